"""Auto white balance finds the light, smoothly, and stays near light that exists."""

from __future__ import annotations

import numpy as np
import pytest
from fakes import COLORS

from modoptic.calibration import Calibration
from modoptic.host._white_balance import AutoWhiteBalance
from modoptic.isp import neutral_from_kelvin

CAMERA = Calibration(colors=COLORS)


def grey_under(kelvin, level=0.3):
    return np.full((24, 32, 3), level, np.float32) * np.array(neutral_from_kelvin(CAMERA, kelvin))


@pytest.mark.parametrize("kelvin", [2800, 4000, 5500, 7500])
def test_the_first_grey_frame_gives_the_light(kelvin):
    white = AutoWhiteBalance(CAMERA)
    white.meter(grey_under(kelvin))
    assert white.kelvin == pytest.approx(kelvin, rel=0.03)
    assert white.neutral == pytest.approx(neutral_from_kelvin(CAMERA, kelvin), rel=0.03)


def test_a_change_of_light_is_followed_smoothly_and_fully():
    white = AutoWhiteBalance(CAMERA)
    white.meter(grey_under(5500))
    seen = []
    for _ in range(120):
        white.meter(grey_under(3000))
        seen.append(1e6 / white.kelvin)
    steps = np.diff(seen)
    assert steps.max() < 0.5 * (1e6 / 3000 - 1e6 / 5500)
    assert white.kelvin == pytest.approx(3000, rel=0.03)


def test_a_lawn_does_not_turn_it_magenta():
    white = AutoWhiteBalance(CAMERA)
    zones = grey_under(5200)
    zones[8:] *= np.array([0.5, 1.0, 0.4], np.float32)
    white.meter(zones)
    assert white.kelvin == pytest.approx(5200, rel=0.2)


def test_in_the_dark_it_keeps_to_daylight():
    white = AutoWhiteBalance(CAMERA, 4000)
    white.meter(np.zeros((24, 32, 3), np.float32))
    assert 4000 <= white.kelvin <= 6000
