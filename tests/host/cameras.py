"""Cameras that tests talk about."""

from __future__ import annotations

import msgspec

from modoptic.source import CameraInfo, ReadoutMode

MODULE = CameraInfo(
    id="mos-35-0001",
    make="modoptic",
    model="MOS 35",
    serial="0001",
    title="35 mm f/1.4",
    sensor_format="4/3",
    sensor_width=11648,
    sensor_height=8736,
    pitch_um=1.485,
    focal_length_mm=17.5,
    focal_length_35mm=35,
    f_number_min=1.4,
    f_number_max=11,
    focus_min_m=0.3,
    base_iso=100,
    gain_max=64,
    exposure_min_s=1 / 8000,
    exposure_max_s=4,
    readouts=(
        ReadoutMode(name="full", width=11648, height=8736, readout_s=0.125, frame_rate_max=8),
        ReadoutMode(name="bin2", width=5824, height=4368, readout_s=0.05, frame_rate_max=20),
        ReadoutMode(name="bin4", width=2912, height=2184, readout_s=0.01, frame_rate_max=60),
    ),
)

BUILT_IN = msgspec.structs.replace(
    MODULE,
    id="phone-0001",
    title="24 mm f/1.6",
    focal_length_mm=8.7,
    focal_length_35mm=24,
    f_number_min=1.63,
    f_number_max=1.63,
    focus_min_m=0.1,
    built_in=True,
)
