"""The demo comes up, says where it is, and leaves nothing behind however it ends."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from modoptic.testing import corridor, wait_until

Command = Callable[..., "subprocess.CompletedProcess[str]"]


def _family(pid: int) -> list[psutil.Process]:
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def _all_gone(processes: list[psutil.Process]) -> Callable[[], bool]:
    def gone() -> bool:
        return not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes)

    return gone


def _runtime_folders() -> set[str]:
    return {path.name for path in Path(tempfile.gettempdir()).glob("modoptic-*")}


def _demo(tmp_path: Path, *more: str) -> tuple[str, ...]:
    return ("demo", "--no-browser", "--port", "0", "--gallery", str(tmp_path / "photos"), *more)


def test_the_page_is_served_and_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    before = _runtime_folders()
    with corridor(*_demo(tmp_path), home=tmp_path / "home") as demo:
        assert httpx.get(demo.url).status_code == 200
        family = _family(demo.process.pid)
        assert len(family) >= 4  # phone, module, built-in camera, developer
        assert demo.interrupt() == 0
        wait_until(_all_gone(family), 10, "every process to end")
    assert _runtime_folders() - before <= {p for p in _runtime_folders() if "test" in p}


def test_a_killed_parent_leaves_nothing(tmp_path: Path) -> None:
    before = _runtime_folders()
    with corridor(*_demo(tmp_path), home=tmp_path / "home") as demo:
        family = _family(demo.process.pid)
        demo.process.send_signal(signal.SIGKILL)
        wait_until(_all_gone(family), 10, "every process to end")
    wait_until(lambda: not (_runtime_folders() - before), 5, "sockets to be removed")


def test_a_parent_killed_while_a_device_starts_leaves_nothing() -> None:
    with tempfile.TemporaryDirectory(prefix="parent-") as temporary:
        starts = "from modoptic.devices import start_device; start_device()"
        parent = subprocess.Popen(
            [sys.executable, "-c", starts], env={**os.environ, "TMPDIR": temporary}
        )

        def folders() -> list[Path]:
            return list(Path(temporary).glob("modoptic-*"))

        wait_until(lambda: bool(folders()), 10, "the device to begin")
        children = psutil.Process(parent.pid).children()
        parent.kill()
        parent.wait(5)
        assert children
        wait_until(_all_gone(children), 15, "the device to end")
        assert folders() == []


def test_a_unit_that_is_measured_says_so(command: Command) -> None:
    shoot = ("shoot", "--size", "finder", "--scene", "chart", "--camera", "phone-1inch")
    first = command(*shoot, "--seed", "5")
    assert first.returncode == 0, first.stderr
    assert "measuring this unit, once: noise" in first.stderr
    assert "measuring" not in command(*shoot, "--seed", "5").stderr


def test_a_port_in_use_is_named(command: Command, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        run = command("demo", "--no-browser", "--port", port, "--gallery", str(tmp_path / "photos"))
    assert run.returncode == 1
    assert port in run.stderr
    assert "Traceback" not in run.stderr


def test_a_gallery_that_cannot_be_written_is_named(command: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    run = command(
        "demo", "--no-browser", "--port", "0", "--gallery", str(tmp_path / "file" / "photos")
    )
    assert run.returncode == 1
    assert "choose another folder" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.timeout(180)
def test_once_shoots_at_two_apertures_and_ends_well(command: Command, tmp_path: Path) -> None:
    kept = tmp_path / ".home" / "phone.json"
    kept.parent.mkdir()
    kept.write_text('{"full_size": true}')
    run = command("demo", "--once", "--gallery", str(tmp_path / "photos"), timeout=170)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "f/1.4:" in run.stdout
    assert "f/8:" in run.stdout
    assert "Pulled off" in run.stdout
    photos = tmp_path / "photos"
    assert len(list(photos.glob("*.jpg"))) == 2
    assert len(list(photos.glob("*.dng"))) == 2
    assert kept.read_text() == '{"full_size": true}'  # of the user, who did not ask to change it


def test_once_shoots_what_a_replay_has(command: Command, tmp_path: Path) -> None:
    shot = command("shoot", "--size", "finder", "--scene", "chart", "--aperture", "4")
    assert shot.returncode == 0, shot.stderr
    run = command("demo", "--once", "--replay", "photo.dng", "--gallery", str(tmp_path / "photos"))
    assert run.returncode == 0, run.stdout + run.stderr
    assert "has f/4 alone" in run.stdout
    assert "f/4:" in run.stdout
    assert len(list((tmp_path / "photos").glob("*.jpg"))) == 1


def test_a_camera_that_does_not_exist_is_named(command: Command) -> None:
    run = command("shoot", "--camera", "leica-q9")
    assert run.returncode == 1
    assert "leica-q9" in run.stderr
    assert "xiaomi-mos-35" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("address", ["tcp://192.0.2.1:8036", "udp://127.0.0.1:1", "nonsense"])
def test_addresses_that_cannot_be_used_are_refused_with_the_reason(
    command: Command, address: str
) -> None:
    run = command("module", "serve", address)
    assert run.returncode == 1
    assert "Traceback" not in run.stderr
    assert address in run.stderr or "loopback" in run.stderr


def test_module_and_host_in_two_commands(tmp_path: Path) -> None:
    ready = '{"address"'
    hands = str(tmp_path / "hands.sock")
    arguments = ("module", "serve", "tcp://127.0.0.1:0", "--scene", "chart", "--hands", hands)
    with corridor(*arguments, home=tmp_path / "a", ready=ready) as module:
        address = json.loads(module.ready_line)["address"]
        more = ("--no-browser", "--port", "0", "--gallery", str(tmp_path / "photos"))
        more = (*more, "--hands", hands, "--built-in")
        with corridor("host", "--connect", address, *more, home=tmp_path / "b") as host:

            def state() -> dict[str, Any]:
                return httpx.get(f"{host.url}/api/state").json()

            def module_active() -> bool:
                now = state()["state"]
                active = [c for c in now["cameras"] if c["id"] == now["active"]]
                return bool(active) and not active[0]["built_in"]

            wait_until(module_active, 15, "the phone to show the module")
            assert len(state()["state"]["cameras"]) == 2
            assert state()["state"]["hands"] is True
            family = _family(host.process.pid)
            assert host.interrupt() == 0
            wait_until(_all_gone(family), 10, "every process to end")


def test_hands_that_are_not_there_are_named(command: Command, tmp_path: Path) -> None:
    nowhere = str(tmp_path / "none.sock")
    run = command("host", "--connect", "tcp://127.0.0.1:1", "--hands", nowhere, "--no-browser")
    assert run.returncode == 1
    assert nowhere in run.stderr
    assert "Traceback" not in run.stderr
