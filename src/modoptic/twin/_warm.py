"""Compile the kernels of a twin by using one."""

from __future__ import annotations

from collections.abc import Iterator

from modoptic.calibration import Calibration
from modoptic.frame import Settings
from modoptic.twin._twin import Twin


def warm() -> Iterator[str]:
    """Take a small frame of each readout; yields what is done."""
    twin = Twin("phone-1inch", "flat", real_time=False, calibration=Calibration(unit="warm"))
    twin.start()
    for settings, name in (
        (Settings(readout="bin4", region=(0, 0, 512, 512)), "regions"),
        (Settings(readout="bin4"), "finder frames"),
    ):
        meta = twin.describe(settings)
        out = bytearray(meta.width * meta.height * 3 // 2)
        twin.capture(settings, memoryview(out), lambda rows: None)
        yield f"twin: {name}"
    twin.close()
