"""Compile this room's kernels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from modoptic.sensor._sensor import Sensor, SensorSpec, Shot, compact


def warm() -> Iterator[str]:
    """Call every kernel once on a few pixels, for the types really used; yields what is done."""
    spec = SensorSpec(
        width=16, height=16, pitch_um=1.0, full_well_e=1000.0, dn_per_electron=1.0, black_dn=64.0,
        read_noise_e=1.0, adc_noise_e=1.0, dark_current_e_s=0.0, dark_doubling_c=6.0, prnu=0.0,
        dsnu_e=0.0, defects_per_million=20000.0, gain_max=1.0, exposure_min_s=1e-4,
        exposure_max_s=1.0, bits=(12, 14),
    )  # fmt: skip
    sensor, shot = Sensor(spec), Shot(exposure_s=0.01)
    sensor.expose_all(np.ones((3, 8, 8), np.float32), shot)
    yield "sensor: finder frames"
    mosaic = np.ones((16, 16), np.float32)
    sensor.expose_all(compact(mosaic), shot)
    yield "sensor: stills"
    sensor.expose_all(mosaic, shot)
    yield "sensor: regions"
