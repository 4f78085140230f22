"""Illuminants and reflectances against the numbers of the CIE and IEC."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from modoptic.errors import SettingError
from modoptic.optics import SpectralResponse
from modoptic.scenes import (
    WAVELENGTHS_NM,
    ShadedLayer,
    black_body,
    colorchecker_reflectances,
    daylight,
    illuminant,
    illuminant_1nm,
    load_scene,
    luminance,
    observer,
    photons,
    primaries,
    resample,
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


@pytest.mark.parametrize("name", ["A", "D65", "F2", "F11"])
def test_light_meets_reflectance_before_anything_is_summed(name: str) -> None:
    # raw values of every patch against the plain sum over the 5 nm tables of the CIE
    qe = np.stack([np.exp(-(((WAVELENGTHS_NM - c) / 50) ** 2)) for c in (600.0, 540.0, 460.0)])
    response = SpectralResponse(WAVELENGTHS_NM, qe)
    scene = load_scene("colorchecker", light=name, luminance_cd_m2=100.0)
    layers = {layer.name: layer for layer in scene.layers}
    light = illuminant(name)
    scale = 100.0 / (683.002 * 5.0 * (light @ observer()[:, 1]))
    for patch, reflectance in colorchecker_reflectances().items():
        layer = layers[patch]
        assert isinstance(layer, ShadedLayer)
        matrix = response.electrons(WAVELENGTHS_NM, layer.basis).T.astype(np.float32)
        away = layer.distance_m - 0.0175
        out = np.empty((4, 1, 1), np.float32)
        x, y = layer.center_m
        layer.sample(matrix, 0.0175, x / away, y / away, 1e-4, out)
        wanted = 5.0 * qe @ (scale * light * reflectance * WAVELENGTHS_NM / 1.98644586e-16)
        assert np.allclose(out[:3, 0, 0], wanted, rtol=2e-3), patch


def test_lines_meet_reflectance_at_1_nm() -> None:
    # a three-band lamp by its lines in nm (mercury, terbium, europium) on a weak continuum: what
    # it lights is summed at 1 nm, and taken to our 5 nm bands afterwards
    fine = np.arange(380.0, 781.0, 1.0)
    lamp = np.full_like(fine, 0.02)
    for nm, power in ((405, 1.0), (436, 2.5), (488, 0.9), (543, 4.0), (546, 3.0), (587, 1.0),
                      (611, 6.0), (631, 0.9)):  # fmt: skip
        lamp[fine == nm] += power
    qe = np.stack([np.exp(-(((WAVELENGTHS_NM - c) / 50) ** 2)) for c in (600.0, 540.0, 460.0)])
    response = SpectralResponse(WAVELENGTHS_NM, qe)
    for patch, reflectance in colorchecker_reflectances().items():
        lit = lamp * np.interp(fine, WAVELENGTHS_NM, reflectance)
        exact = response.electrons(fine, lit)
        assert np.allclose(response.electrons(WAVELENGTHS_NM, resample(fine, lit)), exact,
                           rtol=2e-3), patch  # fmt: skip


@pytest.mark.parametrize(("name", "within"), [("F2", 1e-3), ("F7", 1e-3), ("F11", 3.5e-3)])
def test_lamps_at_1_nm_have_lines_and_are_the_tables(name: str, within: float) -> None:
    fine, lamp = illuminant_1nm(name)
    table = illuminant(name)
    assert lamp.min() >= 0.0
    assert np.allclose(resample(fine, lamp), table, atol=1e-4)
    # mercury's lines stand out of what is 4 nm beside them, which straight lines would hide
    for line in (404.656, 435.833, 546.074):
        near = lamp[np.abs(fine - line) < 1.0].sum()
        beside = max(lamp[fine == round(line) + d][0] for d in (-7, 7))
        assert near > 6.0 * beside, line
    # raw values of the patches summed at 1 nm, curves between the 5 nm tables, against 5 nm
    qe = np.stack([np.exp(-(((WAVELENGTHS_NM - c) / 50) ** 2)) for c in (600.0, 540.0, 460.0)])
    inside = (fine >= 380.0) & (fine <= 780.0)
    for patch, reflectance in colorchecker_reflectances().items():
        curve = CubicSpline(WAVELENGTHS_NM, np.vstack([qe, reflectance]), axis=1)(fine[inside])
        at_1nm = (curve[:3] * curve[3] * lamp[inside]) @ fine[inside]
        at_5nm = 5.0 * (qe * reflectance * table) @ WAVELENGTHS_NM
        assert np.allclose(at_1nm, at_5nm, rtol=within), patch


def test_other_lights_at_1_nm_are_joined_by_straight_lines() -> None:
    fine, light = illuminant_1nm("D65")
    assert np.allclose(light[5:-5:5], illuminant("D65"))
    assert (fine[0], fine[-1], fine.size) == (375.0, 785.0, 411)
    with pytest.raises(SettingError, match="candle"):
        illuminant_1nm("candle")


@pytest.mark.parametrize(
    ("spectrum", "said"),
    [
        (np.ones(80), r"shape \(80,\)'; expected shape \(81,\)"),
        (-np.ones(81), r"-1\.0; expected finite values of 0 or more; .* is at \(0,\)"),
        (np.full(81, np.nan), "nan"),
        (np.full(81, np.inf), "inf"),
        (np.zeros(81), "dark"),
    ],
)
def test_impossible_spectra_are_refused(spectrum: np.ndarray, said: str) -> None:
    with pytest.raises(SettingError, match=said):
        white_radiance(spectrum, 100.0)


def test_impossible_levels_and_samples_are_refused() -> None:
    for level in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(SettingError, match="luminance"):
            white_radiance(illuminant("E"), level)
    with pytest.raises(SettingError, match="4 values'; expected 3 values"):
        resample([400.0, 500.0, 600.0], np.ones((2, 4)))
    with pytest.raises(SettingError, match="rising"):
        resample([400.0, 400.0, 600.0], np.ones(3))
    with pytest.raises(SettingError, match="3 values a spectrum"):
        photons(np.ones(4), [400.0, 500.0, 600.0])
    with pytest.raises(SettingError, match="colour temperature"):
        black_body(np.nan)
    with pytest.raises(SettingError, match="daylight temperature"):
        daylight(np.nan)
