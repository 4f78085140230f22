"""The measuring tools on the twin's frames, against what its lens was traced to do."""

from __future__ import annotations

import math

import numpy as np
import pytest

from modoptic.frame import Frame, Settings
from modoptic.measure import color_planes, distortion, find_lattice
from modoptic.optics import LensState, TracedLens
from modoptic.pixels import pixel_format
from modoptic.twin import Twin

SETTINGS = Settings(readout="bin4", f_number=5.6, focus_distance_m=1.0, exposure_s=1 / 60)


def frame_of(scene: str) -> Frame:
    twin = Twin("xiaomi-mos-35", scene, real_time=False)
    twin.start()
    meta = twin.describe(SETTINGS)
    raw = bytearray(pixel_format(meta.pixel_format).row_bytes(meta.width) * meta.height)
    meta = twin.capture(SETTINGS, memoryview(raw), lambda _rows: None)
    twin.close()
    return Frame(meta, raw)


def test_distortion_of_the_traced_lens_is_measured_in_its_pictures() -> None:
    frame = frame_of("distortion-grid")
    planes = color_planes(frame.mosaic(), frame.meta.cfa, black_level=frame.meta.black_level)
    found = distortion(find_lattice(planes, kind="lines"), planes.size)
    pupil = TracedLens.load("us20250271647").pupil(LensState(17.5, 5.6, 1.0))
    half = 0.5 * math.hypot(17.297, 12.973) * 1e-3 / pupil.thin.image_distance_m
    for height in (0.3, 0.5, 0.7):
        tangent = np.array([[half * height, 0.0]])
        true = 100 * (float(pupil.seen(tangent)[0, 0]) / (half * height) - 1)
        assert float(found.at(height)) == pytest.approx(true, abs=0.04)
