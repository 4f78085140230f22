"""Modules that are none, at the other end of a carrier."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modoptic.frame import Frame
from modoptic.laserlink import HostEnd, Manifest
from modoptic.laserlink._memory import SLOTS, STARVED_S, STRIDE
from modoptic.laserlink._packets import CONTROL, HEARTBEAT, pack_packet
from modoptic.source import RingTurned


class Told:
    def __init__(self) -> None:
        self.states: list[tuple[str, str, float]] = []
        self.changed = threading.Condition()

    def dock_changed(self, state: str, why: str, at_ns: int) -> None:
        with self.changed:
            self.states.append((state, why, time.monotonic()))
            self.changed.notify_all()

    def wait(self, state: str) -> tuple[str, str, float]:
        def found() -> list[tuple[str, str, float]]:
            return [s for s in self.states if s[0] == state]

        with self.changed:
            assert self.changed.wait_for(lambda: bool(found()), 5), self.states
        return found()[0]

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
    """Answers one phone with messages and, if one is given, a memfd with the first."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(str(tmp_path / "link.sock"))
    listener.listen(4)
    listener.settimeout(10)
    told = Told()
    host = HostEnd(f"memory:{tmp_path}/link.sock", told)
    held: list[socket.socket] = []

    def answer(messages: list[bytes], fd: int | None) -> Told:
        host.start()
        sock, _ = listener.accept()
        held.append(sock)
        for number, message in enumerate(messages):
            if number == 0 and fd is not None:
                socket.send_fds(sock, [message], [fd])
            else:
                sock.send(message)
        return told

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


OFFER = b"R" + struct.pack("<II", SLOTS, STRIDE)
MAGNET = b"S" + struct.pack("<BBHq", 1, 0, 0, 1)


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


def test_no_module_is_said_once(tmp_path: Path) -> None:
    told = Told()
    with HostEnd(f"memory:{tmp_path}/none.sock", told):
        _, why, _ = told.wait("DETACHED")
        assert "start it" in why
        assert not threading.Event().wait(0.3)
    assert len(told.states) == 1
