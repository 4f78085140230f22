"""Start camera modules as processes of their own on this machine.

A device process ends when the one that started it does, however that happens: it watches its
standard input, which closes with its parent.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from modoptic.errors import LinkError

if TYPE_CHECKING:
    from modoptic.scenes import HandShake

READY_WITHIN_S = 60.0


class DeviceProcess:
    """A running module: where its link and, for a twin, its hands are reached.

    Attributes
    ----------
    address : of the link, ``memory:/...sock`` or ``tcp://127.0.0.1:port``
    hands : path of the hands' socket, or None where there are none
    title : what the camera calls itself
    """

    def __init__(
        self, process: subprocess.Popen[bytes], ready: dict[str, Any], folder: Path
    ) -> None:
        self._process = process
        self._folder = folder
        self.address: str = ready["address"]
        self.hands: str | None = ready.get("hands")
        self.title: str = ready.get("title", "")

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """End it the hard way, as a fault would."""
        self._process.kill()
        self._process.wait(5)

    def close(self) -> None:
        """Ask it to end, wait, insist, and leave nothing behind."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        try:
            self._process.wait(3)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
        if self._process.stdout is not None:
            self._process.stdout.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def start_device(
    definition: str | Path = "xiaomi-mos-35",
    *,
    scene: str = "studio",
    depth: str | None = None,
    seed: int = 1,
    seated: bool = True,
    line_bit_s: float | None = None,
    replay: tuple[str, ...] = (),
    real_time: bool = True,
    address: str | None = None,
    shake: float | HandShake = 0.0,
) -> DeviceProcess:
    """Start a module process and wait until it listens.

    Parameters
    ----------
    definition : name or TOML file of the camera
    scene, depth : name of a scene, or a picture and its depth map
    seed : of the unit and its noise
    seated : whether it is on the phone already
    line_bit_s : limit of the light link in bit/s, or None
    replay : raw files to play instead of the twin
    real_time : False lets exposure and readout take no time
    address : of the link; a fresh ``memory:`` address by default
    shake : the hand that holds the camera, or its turning in rad/s rms an axis; 0 is a tripod

    Raises
    ------
    LinkError : it did not come up; the text is its own
    """
    # the device makes its folder and removes it, so that none stays if this process dies first
    folder = Path(tempfile.gettempdir()) / f"modoptic-{secrets.token_hex(6)}"
    command = [sys.executable, "-m", "modoptic", "module", "serve"]
    command += [address or f"memory:{folder / 'link.sock'}", "--die-with-parent"]
    command += ["--runtime-dir", str(folder), "--seed", str(seed)]
    if replay:
        command += ["--replay", *replay]
    else:
        command += ["--definition", str(definition), "--scene", scene]
        command += ["--hands", str(folder / "hands.sock")]
        command += ["--depth", depth] if depth else []
        command += _hand(shake)
    command += [] if seated else ["--unseated"]
    command += [] if real_time else ["--no-real-time"]
    command += ["--line", f"{line_bit_s:g}"] if line_bit_s else []
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C goes to the phone, which ends its modules in order
        env=os.environ,
    )
    try:
        ready = _ready_line(process)
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(5)
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return DeviceProcess(process, ready, folder)


def _hand(shake: float | HandShake) -> list[str]:
    if isinstance(shake, float | int):
        return ["--shake", f"{shake!r}"] if shake else []
    hand = ["--shake", f"{shake.rms_rad_s!r}", "--shake-m-s", f"{shake.rms_m_s!r}"]
    return [*hand, "--shake-seed", str(shake.seed)]


def _ready_line(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    assert process.stdout is not None
    descriptor = process.stdout.fileno()
    deadline = time.monotonic() + READY_WITHIN_S
    line = b""
    while not line.endswith(b"\n"):
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([descriptor], [], [], left)[0]:
            raise LinkError(f"the module process did not come up within {READY_WITHIN_S:g} s")
        part = os.read(descriptor, 4096)
        if not part:
            process.wait(5)
            raise LinkError("the module process ended before it was ready; see its message above")
        line += part
    ready: dict[str, Any] = json.loads(line)
    if "error" in ready:
        raise LinkError(str(ready["error"]))
    return ready
