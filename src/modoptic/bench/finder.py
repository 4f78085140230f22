"""The finder without a browser: from the end of a frame's readout to its JPEG on the phone side."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

from modoptic.bench import _ring
from modoptic.bench._figures import quantiles
from modoptic.devices import start_device
from modoptic.errors import ModopticError
from modoptic.host import Phone
from modoptic.host.state import FinderFrame, FinderHeader

WARM_UP = 60
FRAMES = 600
WITHIN_S = 60.0


def finder_host(frames: int = FRAMES) -> dict[str, Any]:
    """End of readout to JPEG ready; a ring of 32 noisy frames of 2912 x 2184 at 12 bit."""
    with ring_device() as address:
        headers = _collect(address, frames=frames)
    late = [(header.ready_ns - header.readout_end_ns) / 1e6 for header in headers]
    p50, p95, p99 = quantiles(late)
    rate, skipped = _rate(headers)
    return {
        "value": p50,
        "unit": "ms",
        "bar": 16.0,
        "met": p50 <= 16 and p95 <= 25,
        "p50": p50,
        "p95": p95,
        "p99": p99,
        "note": f"{len(late)} frames of {headers[0].width} x {headers[0].height}, "
        f"{rate:.1f} a second, {skipped:.1%} skipped",
    }


def finder_rate(seconds: float = 60.0) -> dict[str, Any]:
    """Frames shown a second, and the part of those exposed that was not."""
    with ring_device() as address:
        headers = _collect(address, seconds=seconds)
    return _rate_result(headers, 60.0, most_skipped=0.01)


def finder_live(seconds: float = 20.0) -> dict[str, Any]:
    """The same with the twin of the module, which makes fresh noise for every frame."""
    with start_device() as device:
        headers = _collect(device.address, seconds=seconds)
    return _rate_result(headers, 30.0, most_skipped=1.0)


@contextlib.contextmanager
def ring_device() -> Generator[str]:
    """A process that plays the ring; yields its address."""
    with tempfile.TemporaryDirectory(prefix="modoptic-bench-") as folder:
        address = f"memory:{folder}/ring.sock"
        process = subprocess.Popen(
            [sys.executable, "-m", _ring.__name__, address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert process.stdin is not None and process.stdout is not None
        try:
            if not process.stdout.readline():
                raise ModopticError("the ring of frames did not start; see its message above")
            yield address
        finally:
            process.stdin.close()
            process.wait(10)
            process.stdout.close()


def _collect(address: str, *, frames: int = 0, seconds: float = 0.0) -> list[FinderHeader]:
    """Headers of the pictures after a warm-up: so many, or for so long."""
    headers: list[FinderHeader] = []
    warm, full = threading.Event(), threading.Event()

    def take(picture: FinderFrame) -> None:
        headers.append(picture.header)
        if len(headers) >= WARM_UP:
            warm.set()
        if frames and len(headers) >= WARM_UP + frames:
            full.set()

    with (
        tempfile.TemporaryDirectory(prefix="modoptic-bench-") as folder,
        Phone(Path(folder) / "gallery", home=Path(folder), modules=[address]) as phone,
    ):
        phone.on_finder(take)
        if not warm.wait(WITHIN_S):
            raise ModopticError(f"{len(headers)} frames within {WITHIN_S:g} s; expected {WARM_UP}")
        if frames:
            if not full.wait(WITHIN_S):
                raise ModopticError(
                    f"{len(headers) - WARM_UP} frames within {WITHIN_S:g} s; expected {frames}"
                )
        else:
            full.wait(seconds)
    return headers[WARM_UP:]


def _rate(headers: list[FinderHeader]) -> tuple[float, float]:
    """(pictures a second, part of the exposed frames that was skipped)."""
    span_s = (headers[-1].readout_end_ns - headers[0].readout_end_ns) / 1e9
    exposed = headers[-1].frame_id - headers[0].frame_id + 1
    return (len(headers) - 1) / span_s, 1 - len(headers) / exposed


def _rate_result(headers: list[FinderHeader], bar: float, *, most_skipped: float) -> dict[str, Any]:
    rate, skipped = _rate(headers)
    return {
        "value": rate,
        "unit": "frames/s",
        "bar": bar,
        "met": rate >= bar and skipped <= most_skipped,
        "skipped": skipped,
        "note": f"{len(headers)} frames, {skipped:.2%} skipped",
    }
