"""Auto white balance finds the light, smoothly, and stays on light that exists."""

from __future__ import annotations

import pytest

from modoptic.host._white_balance import KELVIN_MAX, KELVIN_MIN, AutoWhiteBalance


def neutral_of(kelvin):
    """A camera that sees warm light red, about as silicon does."""
    return (0.5 * (5500 / kelvin) ** 0.6, 1.0, 0.65 * (kelvin / 5500) ** 0.9)


@pytest.mark.parametrize("kelvin", [2800, 4000, 5500, 7500])
def test_a_grey_scene_gives_the_light(kelvin):
    white = AutoWhiteBalance(neutral_of)
    for _ in range(5):
        white.meter(neutral_of(kelvin))
    assert white.kelvin == pytest.approx(kelvin, rel=0.02)


def test_a_green_wall_does_not_pull_it_off_the_light():
    white = AutoWhiteBalance(neutral_of)
    red, green, blue = neutral_of(5000)
    for _ in range(20):
        white.meter((red, 2 * green, blue))
    assert white.kelvin == pytest.approx(5000, rel=0.2)


def test_later_changes_are_smooth():
    white = AutoWhiteBalance(neutral_of)
    white.meter(neutral_of(5500))
    before = white.kelvin
    white.meter(neutral_of(3000))
    assert 1e6 / white.kelvin - 1e6 / before == pytest.approx(
        0.15 * (1e6 / 3000 - 1e6 / 5500), rel=0.1
    )


def test_no_colour_at_all_is_no_news_and_the_ends_hold():
    white = AutoWhiteBalance(neutral_of, 4000)
    white.meter((0.0, 0.0, 0.0))
    assert white.kelvin == pytest.approx(4000)
    for _ in range(50):
        white.meter((10.0, 1.0, 0.01))
    assert KELVIN_MIN * 0.99 <= white.kelvin <= KELVIN_MAX * 1.01
