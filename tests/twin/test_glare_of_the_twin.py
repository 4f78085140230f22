"""Veiling glare of the twin's raw frames, by `measure` in the geometry of ISO 9358."""

from __future__ import annotations

import math

import numpy as np
import pytest

from modoptic.calibration import Calibration
from modoptic.frame import Frame, Settings
from modoptic.measure import color_planes, veiling_glare
from modoptic.optics import LensState
from modoptic.pixels import pixel_format
from modoptic.scenes import Scene, ShadedLayer, illuminant, white_radiance
from modoptic.twin import Twin, load_definition
from modoptic.twin._definition import lens_of

HALF_M = 0.0325
"""At 1 m: about a tenth of the picture's height across."""
KNEE, SLOPE, EVEN = 0.01, -1.5, 0.5  # as the page of assumptions says


def patch() -> Scene:
    white = white_radiance(illuminant("D55"), 200.0)
    basis = np.stack([white] * 3)
    wall = ShadedLayer("wall", 0, basis, 1.0, params=(0, 0, 1, 1, 1))
    black = ShadedLayer(
        "black", 0, basis, 0.999, (0.0, 0.0), (-HALF_M, -HALF_M, HALF_M, HALF_M),
        params=(HALF_M, HALF_M, 0, 0, 0),
    )  # fmt: skip
    return Scene("patch", "Black patch", (wall, black))


def predicted(camera: str, f_number: float) -> float:
    """Index in the middle, of light before the photosites: rings about the axis."""
    d = load_definition(camera)
    s = d.sensor
    radius_um = 0.5 * s.pitch_um * math.hypot(s.width, s.height)
    pupil = lens_of(d).pupil(LensState(d.focal_length_mm, f_number, 1.0, d.transmittance))
    v_m = pupil.thin.image_distance_m
    known = np.linspace(0.0, radius_um, 200)
    factor = pupil.irradiance_factor(known) / pupil.irradiance_factor(np.zeros(1))
    r = np.geomspace(1e-4, 1.0, 4000)
    law = (1.0 + (r / KNEE) ** 2) ** (0.5 * SLOPE)
    half = HALF_M / (0.999 - v_m)
    # the share of each ring that lies outside of the square
    beyond = np.clip(1.0 - 4.0 / math.pi * np.arccos(np.clip(half / r, 0.0, 1.0)), 0.0, 1.0)
    open_ = 1.0 - np.where(r <= half, 1.0, beyond)
    shade = np.interp(r * v_m * 1e6, known, factor)
    near = np.trapezoid(r * law * open_ * shade, r) / np.trapezoid(r * law, r)
    even = 2.0 * np.trapezoid(known * factor, known) / radius_um**2
    even -= (2.0 * half * v_m * 1e6) ** 2 / (math.pi * radius_um**2)
    return d.lens.veiling_glare * float((1.0 - EVEN) * near + EVEN * even)


@pytest.mark.parametrize(
    ("camera", "f_number"), [("xiaomi-mos-35", 1.4), ("xiaomi-mos-35", 8.0), ("phone-1inch", 1.63)]
)
def test_the_index_is_the_stated_share_less_what_shading_takes(
    camera: str, f_number: float
) -> None:
    twin = Twin(camera, patch(), real_time=False, calibration=Calibration())
    twin.start()
    try:
        # a window about the patch; glare is that of the whole scene all the same
        info = twin.info
        side = 4096
        region = ((info.sensor_width - side) // 2, (info.sensor_height - side) // 2, side, side)
        settings = Settings(
            readout="bin4", region=region, f_number=f_number, focus_distance_m=1.0,
            exposure_s=2e-3 * f_number**2, bits=max(info.bits),
        )  # fmt: skip
        meta = twin.describe(settings)
        data = bytearray(pixel_format(meta.pixel_format).row_bytes(meta.width) * meta.height)
        meta = twin.capture(settings, memoryview(data), lambda rows: None)
        raw = Frame(meta, memoryview(data)).mosaic()
        # the black level as the unit has it, from a capped lens
        cap = twin.set_scene(Scene("cap", "Cap", ()))
        cap.join()
        twin.capture(settings, memoryview(data), lambda rows: None)
        black = float(Frame(meta, memoryview(data)).mosaic().mean())
    finally:
        twin.close()
    planes = color_planes(raw, cfa=info.cfa, black_level=black, white_level=meta.white_level)
    found = veiling_glare(planes)
    assert all(white > 0.2 * (meta.white_level - black) for white in found.white)
    share = twin.definition.lens.veiling_glare
    for index in found.index:
        assert index.value is not None
        # it is measured over the inner half of the patch, which gets more than its very middle
        assert index.value / 100.0 == pytest.approx(predicted(camera, f_number), rel=0.05)
        # what is stated, less what the patch itself and the darker corners do not give
        assert 0.45 * share < index.value / 100.0 < share
