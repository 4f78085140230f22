"""Illuminants and reflectances against the numbers of the CIE and IEC."""

from __future__ import annotations

import numpy as np
import pytest

from modoptic.errors import SettingError
from modoptic.scenes import (
    black_body,
    colorchecker_reflectances,
    daylight,
    illuminant,
    luminance,
    observer,
    primaries,
    white_radiance,
)


@pytest.mark.parametrize(
    ("name", "x", "y"),
    [
        ("A", 0.44757, 0.40745),
        ("D50", 0.34567, 0.35850),
        ("D65", 0.31272, 0.32903),
        ("E", 0.33333, 0.33333),
        # CIE 15:2018, tables 10.2 and 12.2
        ("F2", 0.3721, 0.3751),
        ("F7", 0.3129, 0.3292),
        ("F11", 0.3805, 0.3769),
        ("LED-B1", 0.4560, 0.4078),
        ("LED-B3", 0.3756, 0.3723),
    ],
)
def test_chromaticity_of_illuminants(name: str, x: float, y: float) -> None:
    xyz = illuminant(name) @ observer()
    assert xyz[0] / xyz.sum() == pytest.approx(x, abs=4e-4)
    assert xyz[1] / xyz.sum() == pytest.approx(y, abs=4e-4)


def test_a_black_body_peaks_where_wien_says() -> None:
    nm = np.arange(380.0, 781.0, 5.0)
    assert nm[black_body(5200.0).argmax()] == pytest.approx(2.8978e6 / 5200.0, abs=5.0)


def test_primaries_sum_to_white_and_have_the_colours_of_srgb() -> None:
    red_green_blue = primaries()
    assert red_green_blue.min() >= 0
    assert red_green_blue.max() <= 1
    assert np.allclose(red_green_blue.sum(axis=0), 1.0, atol=2e-5)
    light = illuminant("D65")
    xyz = (red_green_blue * light) @ observer() / (light @ observer()[:, 1])
    # IEC 61966-2-1
    expected = [[0.4124, 0.2126, 0.0193], [0.3576, 0.7152, 0.1192], [0.1805, 0.0722, 0.9505]]
    assert np.allclose(xyz, expected, atol=2e-3)


def test_luminance_of_a_white() -> None:
    assert luminance(white_radiance(daylight(5000.0), 120.0)) == pytest.approx(120.0)


def test_colorchecker_greys_have_their_printed_densities() -> None:
    patches = colorchecker_reflectances()
    assert len(patches) == 24
    y = observer()[:, 1]
    light = illuminant("D50")
    for name, spectrum in patches.items():
        if "(" in name:
            density = float(name.split("(")[1].split(" D")[0])
            reflectance = float((spectrum * light) @ y / (light @ y))
            assert reflectance == pytest.approx(10.0**-density, rel=0.08), name


def test_unknown_illuminants_are_refused() -> None:
    for bad in ("candle", 10.0, "-3K"):
        with pytest.raises(SettingError):
            illuminant(bad)
    with pytest.raises(SettingError):
        daylight(3000.0)
