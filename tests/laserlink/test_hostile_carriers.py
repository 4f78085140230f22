"""Modules that are none, at the other end of a carrier."""

from __future__ import annotations

import os
import select
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modoptic.frame import Frame, FrameMeta, encode_meta
from modoptic.laserlink import HostEnd, HostMachine, Manifest, checksum, listen
from modoptic.laserlink import _messages as m
from modoptic.laserlink._memory import SLOTS, STARVED_S, STRIDE
from modoptic.laserlink._packets import CONTROL, FINDER, HEARTBEAT, pack_packet
from modoptic.source import RingTurned


class Told:
    def __init__(self) -> None:
        self.states: list[tuple[str, str, float]] = []
        self.changed = threading.Condition()

    def dock_changed(self, state: str, why: str, at_ns: int) -> None:
        with self.changed:
            self.states.append((state, why, time.monotonic()))
            self.changed.notify_all()

    def wait(self, state: str, count: int = 1) -> tuple[str, str, float]:
        def found() -> list[tuple[str, str, float]]:
            return [s for s in self.states if s[0] == state]

        with self.changed:
            assert self.changed.wait_for(lambda: len(found()) >= count, 5), self.states
        return found()[count - 1]

    def ready(self, manifest: Manifest, known: bool) -> None: ...
    def detached(self, why: str) -> None: ...
    def ring_turned(self, event: RingTurned) -> None: ...
    def finder(self, name: str, frame: Frame) -> None: ...
    def still_progress(self, request_id: int, phase: str, fraction: float) -> None: ...
    def still_begins(self, request_id: int, frame: Frame) -> None: ...
    def still_done(self, request_id: int) -> None: ...
    def still_lost(self, request_id: int, why: str, frame: Frame | None) -> None: ...


@pytest.fixture
def fake_module(tmp_path: Path) -> Iterator[Callable[[list[bytes], int | None], Told]]:
    """Answers a phone with messages and, if one is given, a memfd with the first; at each call."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(str(tmp_path / "link.sock"))
    listener.listen(4)
    listener.settimeout(10)
    told = Told()
    host = HostEnd(f"memory:{tmp_path}/link.sock", told)
    held: list[socket.socket] = []

    def answer(messages: list[bytes], fd: int | None) -> Told:
        if not held:
            host.start()
        sock, _ = listener.accept()
        held.append(sock)
        for number, message in enumerate(messages):
            if number == 0 and fd is not None:
                socket.send_fds(sock, [message], [fd])
            else:
                sock.send(message)
        return told

    answer.held = held  # type: ignore[attr-defined]
    yield answer
    host.close()
    for sock in held:
        sock.close()
    listener.close()


def ring(size: int, *, sealed: bool) -> int:
    import fcntl

    fd = os.memfd_create("ring", os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    if sealed:
        seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


def signal(kind: int, value: int = 0) -> bytes:
    return b"S" + struct.pack("<BBHq", kind, 0, value, 1)


def later_version(packet: bytes, major: int = 2) -> bytes:
    """``packet`` as another major version of the link would send it."""
    fields = packet[:4] + bytes([major]) + packet[5:28]
    return fields + checksum(fields).to_bytes(4, "little") + packet[32:]


OFFER = b"R" + struct.pack("<II", SLOTS, STRIDE)
MAGNET = signal(1)
HELLO = m.Hello(
    major=1,
    minor=0,
    session=1,
    boot_id="boot",
    module_id="none",
    manifest_digest="0" * 64,
    manifest_bytes=1000,
    packet_bytes=512,
)
SEATED = [MAGNET, signal(5, 1), signal(6), b"C" + pack_packet(CONTROL, 1, m.encode(HELLO))]


@pytest.mark.parametrize(
    ("offer", "size", "sealed"),
    [
        (OFFER, SLOTS * STRIDE, False),
        (OFFER, SLOTS * STRIDE - 4096, True),
        (b"R" + struct.pack("<II", 1 << 31, 1 << 31), 4096, True),
        (b"X", 4096, True),
    ],
)
def test_a_ring_that_could_kill_the_phone_is_not_mapped(
    fake_module: Callable[[list[bytes], int | None], Told], offer: bytes, size: int, sealed: bool
) -> None:
    fd = ring(size, sealed=sealed)
    told = fake_module([offer], fd)
    assert "ring" in told.wait("FAULT")[1]
    os.close(fd)


@pytest.mark.parametrize(
    "messages",
    [
        [b"H" + struct.pack("<Q", 1 << 40)],
        [MAGNET, b"C" + bytes(40)],
        [MAGNET, b"C" + pack_packet(CONTROL, 1, b"\xc1")],
    ],
)
def test_nonsense_ends_the_session_and_not_the_phone(
    fake_module: Callable[[list[bytes], int | None], Told], messages: list[bytes]
) -> None:
    fd = ring(SLOTS * STRIDE, sealed=True)
    told = fake_module([OFFER, *messages], fd)
    told.wait("FAULT")
    told.wait("DETACHED")
    os.close(fd)


def test_a_frame_before_the_manifest_ends_the_session_and_the_dock_is_there_for_the_next(
    fake_module: Callable[[list[bytes], int | None], Told],
) -> None:
    leader = m.Leader(
        stream="finder",
        request_id=1,
        size=24,
        packet_bytes=512,
        meta=encode_meta(FrameMeta(width=4, height=4)),
    )
    packet = pack_packet(FINDER, 1, m.encode(leader))
    fd = ring(SLOTS * STRIDE, sealed=True)
    os.pwrite(fd, packet[:32] + bytes(32) + packet[32:], 0)
    told = fake_module([OFFER, *SEATED], fd)
    told.wait("ENUMERATED")
    fake_module.held[-1].send(b"H" + struct.pack("<Q", 1))  # type: ignore[attr-defined]
    assert "before the manifest" in told.wait("FAULT")[1]
    fake_module([OFFER, MAGNET], fd)
    told.wait("SEATING", 2)
    os.close(fd)


def test_whatever_fails_in_the_phone_the_dock_is_there_for_the_next(
    fake_module: Callable[[list[bytes], int | None], Told],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    fd = ring(SLOTS * STRIDE, sealed=True)
    with monkeypatch.context() as broken:
        broken.setattr(HostMachine, "signal", lambda self, signal: 1 // 0)
        told = fake_module([OFFER, MAGNET], fd)
        assert "ZeroDivisionError" in told.wait("FAULT")[1]
    assert "Traceback" in caplog.text
    fake_module([OFFER, MAGNET], fd)
    told.wait("SEATING")
    os.close(fd)


def test_another_version_is_refused_and_is_no_damage(
    fake_module: Callable[[list[bytes], int | None], Told],
) -> None:
    fd = ring(SLOTS * STRIDE, sealed=True)
    hello = b"C" + later_version(pack_packet(CONTROL, 1, b"what we cannot read"))
    told = fake_module([OFFER, *SEATED[:-1], hello, hello], fd)
    assert "version 2" in told.wait("REFUSED")[1]
    assert [state for state, _, _ in told.states] == ["SEATING", "ATTACHED", "ACTIVATED", "REFUSED"]
    os.close(fd)


def test_another_version_is_refused_once_over_tcp() -> None:
    told = Told()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        with HostEnd(f"tcp://127.0.0.1:{server.getsockname()[1]}", told):
            for _ in range(3):  # tried again, and said once
                control, _ = server.accept()
                pixels, _ = server.accept()
                with control, pixels:
                    control.sendall(later_version(pack_packet(CONTROL, 0, b"", flags=HEARTBEAT)))
                    told.wait("REFUSED")
        assert [state for state, _, _ in told.states if state != "DETACHED"] == ["REFUSED"]


def test_a_phone_of_another_version_sees_ours() -> None:
    listener = listen("tcp://127.0.0.1:0")
    port = int(listener.address.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as phone:
        phone.settimeout(10)
        phone.sendall(b"MoLL" + bytes([2, 0, 0, 0]) + bytes(16))
        while not select.select([phone], [], [], 0.02)[0]:
            assert listener.accept(seated=True, busy=False) is None
        assert phone.recv(5) == b"MoLL\x01"
    listener.close()


def test_signals_and_messages_from_the_future_are_ignored(
    fake_module: Callable[[list[bytes], int | None], Told],
) -> None:
    fd = ring(SLOTS * STRIDE, sealed=True)
    told = fake_module([OFFER, b"?what", b"S" + b"\xff" * 12, b"S!", b"H!", MAGNET], fd)
    told.wait("SEATING")
    os.close(fd)


def test_silence_is_a_detach() -> None:
    told = Told()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        with HostEnd(f"tcp://127.0.0.1:{server.getsockname()[1]}", told):
            control, _ = server.accept()
            pixels, _ = server.accept()
            control.sendall(pack_packet(CONTROL, 0, b"", flags=HEARTBEAT))
            said = time.monotonic()
            assert len(control.recv(24, socket.MSG_WAITALL)) == 24
            hello = pack_packet(CONTROL, 1, b"\x81\xa1t\xa4what")
            control.sendall(hello)
            told.wait("ACTIVATED")
            _, why, at = told.wait("DETACHED")
            assert "silent" in why
            assert 0.3 < at - said < 1.0
            control.close()
            pixels.close()


def test_silence_of_a_connected_module_is_a_detach(
    fake_module: Callable[[list[bytes], int | None], Told],
) -> None:
    fd = ring(SLOTS * STRIDE, sealed=True)
    began = time.monotonic()
    told = fake_module([OFFER, MAGNET], fd)
    told.wait("SEATING")
    _, why, at = told.wait("DETACHED")
    assert "silent" in why
    # this process runs, so it is given the time of one that has no turn on a busy machine
    assert STARVED_S <= at - began < STARVED_S + 1.0
    os.close(fd)


def test_a_module_that_sleeps_is_gone_after_half_a_second(tmp_path: Path) -> None:
    """Its process is there, but has no thread that waits for its turn."""
    code = f"""
import socket, sys, time
from test_hostile_carriers import MAGNET, OFFER, SLOTS, STRIDE, ring
listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
listener.bind({str(tmp_path / "link.sock")!r})
listener.listen(4)
print("ready", flush=True)
sock, _ = listener.accept()
socket.send_fds(sock, [OFFER], [ring(SLOTS * STRIDE, sealed=True)])
sock.send(MAGNET)
time.sleep(60)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
    )
    assert process.stdout is not None
    told = Told()
    try:
        process.stdout.readline()
        with HostEnd(f"memory:{tmp_path}/link.sock", told):
            _, _, seated = told.wait("SEATING")
            _, why, at = told.wait("DETACHED")
            assert "silent" in why
            assert 0.3 < at - seated < 1.5
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()


def test_no_module_is_said_once(tmp_path: Path) -> None:
    told = Told()
    with HostEnd(f"memory:{tmp_path}/none.sock", told):
        _, why, _ = told.wait("DETACHED")
        assert "start it" in why
        assert not threading.Event().wait(0.3)
    assert len(told.states) == 1
