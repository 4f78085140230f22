"""Small frames that look like a picture, for tests of files."""

from __future__ import annotations

from typing import Any

import numpy as np

from modoptic import pixels
from modoptic.calibration import Calibration, ColorCalibration, NoisePoint
from modoptic.frame import Frame, FrameMeta, NoiseModel, Settings

CALIBRATION = Calibration(
    unit="MOS 35-0007",
    colors=(
        ColorCalibration(
            illuminant=17,
            color_matrix=((1.1, -0.4, -0.1), (-0.4, 1.2, 0.2), (-0.05, 0.2, 0.6)),
            forward_matrix=((0.6, 0.25, 0.1142), (0.25, 0.75, 0.0), (0.0, 0.1, 0.7249)),
        ),
        ColorCalibration(
            illuminant=21,
            color_matrix=((0.9, -0.29, -0.07), (-0.45, 1.24, 0.23), (-0.09, 0.19, 0.7)),
            forward_matrix=((0.65, 0.2, 0.1142), (0.3, 0.7, 0.0), (0.0, 0.1, 0.7249)),
        ),
    ),
    noise=(NoisePoint(gain=1.0, scale=1e-4, offset=1e-6),),
)


def mosaic(height: int, width: int, bits: int = 12) -> np.ndarray[Any, np.dtype[np.uint16]]:
    """A smooth scene with shot noise, the same each time."""
    rng = np.random.default_rng(height * 100_003 + width)
    y, x = np.mgrid[0:height, 0:width]
    signal = 1500 + 900 * np.sin(x / 31.0) * np.cos(y / 27.0)
    signal[0::2, 0::2] *= 0.6
    signal[1::2, 1::2] *= 0.7
    scale = 2 ** (bits - 12)
    noisy = rng.normal(signal * scale, np.sqrt(signal) * scale)
    return np.clip(noisy + 64, 0, 2**bits - 1).astype(np.uint16)


def frame(
    height: int = 96,
    width: int = 128,
    *,
    cfa: tuple[str, ...] = ("RG", "GB"),
    bits: int = 12,
    packed: bool = True,
    extra: dict[str, Any] | None = None,
) -> Frame:
    """With every field of the metadata set to something."""
    form = pixels.bayer_format(cfa, bits, packed=packed)
    meta = FrameMeta(
        module_id="MOS 35-0007",
        boot_id="b00t",
        session=3,
        frame_id=41,
        request_id=9,
        make="Modoptic",
        model="MOS 35",
        serial="0007",
        lens_model="17.5 mm f/1.4",
        sensor_time_ns=123_456_789,
        readout_end_ns=133_456_789,
        row_time_ns=2200,
        settings=Settings(
            exposure_s=1 / 60,
            gain=2.0,
            f_number=1.4,
            focus_distance_m=1.2,
            readout="full",
            bits=12 if bits <= 12 else 14,
        ),
        iso=200.0,
        focal_length_mm=17.5,
        focal_length_35mm=35.0,
        width=width,
        height=height,
        pixel_format=form.name,
        cfa=cfa,
        black_level=(64.0, 65.0, 64.5, 63.0) if len(cfa) == 2 else (64.0,),
        white_level=2**bits - 1,
        noise=NoiseModel(scale=1.5e-4, offset=2e-6),
        temperature_c=31.5,
        calibration=CALIBRATION.digest(),
        as_shot_neutral=(0.6, 1.0, 0.7),
        software="modoptic 0.1.0",
        taken="2026-11-22T20:00:00.123+01:00",
        extra={"later": [1, {"a": b"\x00\xff"}]} if extra is None else extra,
    )
    return Frame(meta, pixels.pack(mosaic(height, width, bits), form))
