"""Bench ``link-memory``: 100 MP frames between two processes, every packet checked, faults planted.

Run as ``python -m modoptic.bench.link ADDRESS EVERY`` this is the device's process.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from typing import IO, Any, Final

import msgspec
import numpy as np

from modoptic.errors import LinkError
from modoptic.frame import Frame, FrameMeta, Settings
from modoptic.laserlink import HostEnd, LineFaults, Manifest, StillBuffer, checksum
from modoptic.module import Device
from modoptic.source import RingTurned
from modoptic.testing._source import FakeSource

WIDTH: Final = 11648
HEIGHT: Final = 8736
BAR: Final = 10.0
_STILL: Final = Settings(readout="full")
_PACKET: Final = 64 * 1024
_WAIT_S: Final = 60.0


class ReadyMade(FakeSource):
    """A 100 MP camera whose frames lie ready: reading one out copies nothing.

    The first capture into a buffer fills it; the same buffer is then handed on as it is.
    """

    def __init__(self) -> None:
        super().__init__(WIDTH, HEIGHT, still_buffers=2)
        self._filled: set[int] = set()

    def capture(
        self, settings: Settings, out: memoryview, rows: Callable[[int], None]
    ) -> FrameMeta:
        where = np.frombuffer(out, np.uint8).ctypes.data
        if where not in self._filled:
            self._filled.add(where)
            return super().capture(settings, out, rows)
        rows(HEIGHT)
        return msgspec.structs.replace(self.describe(settings), readout_end_ns=time.monotonic_ns())


class _Phone:
    """Counts stills; each is released as soon as it is whole."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.is_ready = False
        self.began: dict[int, int] = {}
        self.done: dict[int, int] = {}
        self.failed: list[str] = []
        self.frames: dict[int, StillBuffer] = {}

    def dock_changed(self, state: str, why: str, at_ns: int) -> None: ...

    def ready(self, manifest: Manifest, known: bool) -> None:
        with self.changed:
            self.is_ready = True
            self.changed.notify_all()

    def detached(self, why: str) -> None:
        with self.changed:
            self.failed.append(why)
            self.changed.notify_all()

    def ring_turned(self, event: RingTurned) -> None: ...

    def finder(self, name: str, frame: Frame) -> None:
        frame.release()

    def still_progress(self, request_id: int, phase: str, fraction: float) -> None: ...

    def still_begins(self, request_id: int, frame: StillBuffer) -> None:
        self.began[request_id] = time.monotonic_ns()
        self.frames[request_id] = frame

    def still_done(self, request_id: int) -> None:
        with self.changed:
            self.done[request_id] = time.monotonic_ns()
            self.changed.notify_all()

    def still_lost(self, request_id: int, why: str, frame: Frame | None) -> None:
        with self.changed:
            self.failed.append(why)
            self.changed.notify_all()

    def wait(self, reached: Callable[[], bool]) -> None:
        with self.changed:
            if not self.changed.wait_for(lambda: reached() or bool(self.failed), _WAIT_S):
                raise LinkError(f"nothing came over the link for {_WAIT_S:g} s")
        if self.failed:
            raise LinkError(f"the link failed: {self.failed[0]}")


def measure_memory_rate(frames: int = 20, corrupt_every: int = 10_000) -> dict[str, Any]:
    """Send ``frames`` 100 MP stills from another process and check every byte of the last.

    One packet in ``corrupt_every`` is damaged on its way. The rate of a still counts from its
    leader to the moment it is whole, on the phone's own copy.

    Raises
    ------
    LinkError : a planted fault was not found, or a picture is not as it was sent
    """
    with tempfile.TemporaryDirectory(prefix="modoptic-") as folder:
        address = f"memory:{folder}/link.sock"
        device = subprocess.Popen(
            [sys.executable, "-m", "modoptic.bench.link", address, str(corrupt_every)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert device.stdin is not None and device.stdout is not None
        try:
            _line(device.stdout)
            return _measure(address, frames, device.stdin, device.stdout)
        finally:
            device.stdin.close()
            device.wait(20)
            device.stdout.close()


def _line(stream: IO[str]) -> dict[str, Any]:
    text = stream.readline()
    if not text:
        raise LinkError("the device's process ended early")
    return json.loads(text)


def _measure(address: str, frames: int, ask: IO[str], answer: IO[str]) -> dict[str, Any]:
    phone = _Phone()
    warm = 3
    rates: list[float] = []
    with HostEnd(address, phone) as link:
        phone.wait(lambda: phone.is_ready)
        picture = FakeSource(WIDTH, HEIGHT)
        expected = picture.picture(picture.describe(_STILL))
        for _ in range(warm + frames):
            request = link.shoot(_STILL)
            phone.wait(lambda: request in phone.done)  # noqa: B023
            still = phone.frames.pop(request)
            rates.append(8 * still.size / (phone.done[request] - phone.began[request]))
            whole = bool(np.array_equal(still.data, expected))
            link.ack_durable(still.meta.frame_id)
            still.release()
            if not whole:
                raise LinkError("a picture that crossed the link is not as it was sent")
        ask.write("faults\n")
        ask.flush()
        planted = _line(answer)["planted"]
        if link.damaged != planted:
            raise LinkError(f"{planted} damaged packets were sent and {link.damaged} found")
    rates = sorted(rates[warm:])
    return {
        "rate": rates[len(rates) // 2],
        "slowest": rates[0],
        "fastest": rates[-1],
        "frames": frames,
        "bytes": int(expected.size),
        "planted": planted,
        "bare": bare_loop_rate(expected),
    }


def bare_loop_rate(picture: np.ndarray[Any, np.dtype[np.uint8]], repeats: int = 5) -> float:
    """Gbit/s of nothing but copying packets of 64 KiB and checking them, in one process."""
    source = picture.data
    target = memoryview(bytearray(picture.size))
    best = float("inf")
    for _ in range(repeats):
        began = time.perf_counter()
        for at in range(0, picture.size, _PACKET):
            target[at : at + _PACKET] = source[at : at + _PACKET]
            checksum(target[at : at + _PACKET])
        best = min(best, time.perf_counter() - began)
    return 8 * picture.size / best / 1e9


def link_memory() -> dict[str, Any]:
    """The bench ``link-memory``; its value is the p50 over frames."""
    measured = measure_memory_rate()
    return {
        "name": "link-memory",
        "value": measured["rate"],
        "unit": "Gbit/s",
        "bar": BAR,
        "met": measured["rate"] >= BAR,  # a fault that was not found has raised before
        "peer": "copy and CRC32C in one loop",
        "peer_value": measured["bare"],
        "ratio": measured["rate"] / measured["bare"],
        "slowest": measured["slowest"],
        "fastest": measured["fastest"],
        "note": (
            f"{measured['frames']} frames of {measured['bytes'] / 1e6:.1f} MB; "
            f"{measured['planted']} damaged packets planted, all found and sent again"
        ),
    }


def main(address: str, corrupt_every: int) -> None:
    """The device's process: serves until standard input closes; each line asks for its faults."""
    sys.setswitchinterval(0.0005)
    source = ReadyMade()
    source.picture(source.describe(_STILL))
    faults = LineFaults(corrupt_every=corrupt_every)
    device = Device(source, address, faults=faults)
    device.start()
    print(json.dumps({"address": device.address}), flush=True)
    for _ in sys.stdin:
        print(json.dumps({"planted": faults.planted}), flush=True)
    device.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
