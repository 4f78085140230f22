"""Spectral cubes to raw: the quick way against every band on its own, and against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from modoptic.errors import ModopticError, SettingError
from modoptic.optics import CubeRenderer, LensState, SampleGrid, SpectralResponse, diffraction_mtf
from modoptic.optics._spread import Binning, Cell, Kind, Spread
from modoptic.scenes import (
    WAVELENGTHS_NM,
    colorchecker_reflectances,
    illuminant,
    white_radiance,
)
from modoptic.twin import SpectralCamera, load_definition, spectral_response
from modoptic.twin._definition import lens_of

NM = np.arange(400.0, 701.0, 10.0)
FULL_DN = 4095 - 256


def chart(height: int = 128, width: int = 192, light: str = "D65") -> np.ndarray:
    """Patches of a ColorChecker, each photosite of them as dark as chance has it: (h, w, 31)."""
    rng = np.random.default_rng(8)
    colours = np.stack([
        np.interp(NM, WAVELENGTHS_NM, r) for r in colorchecker_reflectances().values()
    ])  # fmt: skip
    spectrum = np.interp(NM, WAVELENGTHS_NM, white_radiance(illuminant(light), 1000.0))
    patch = rng.integers(0, 24, (height // 8, width // 8)).repeat(8, 0).repeat(8, 1)
    texture = rng.uniform(0.1, 1.0, (height, width, 1))
    return (colours[patch] * spectrum * texture).astype(np.float32)


def even(value: float, height: int = 64, width: int = 64) -> np.ndarray:
    return np.full((height, width, NM.size), value, np.float32)


@pytest.mark.parametrize("light", ["D65", "A", "F11"])
@pytest.mark.parametrize(
    ("name", "f_number"), [("xiaomi-mos-35", 4.0), ("xiaomi-mos-35", 1.4), ("phone-1inch", 1.63)]
)
def test_few_planes_are_every_band(name: str, f_number: float, light: str) -> None:
    cube = chart(light=light)
    camera = SpectralCamera(name, NM, noise=False)
    found = camera.light(cube, f_number=f_number)
    wanted = camera.light(cube, f_number=f_number, exact=True)
    saturated = float(wanted.max())  # an exposure in which the brightest photosite is just full
    assert np.abs(found - wanted).max() <= 1e-3 * saturated
    # it is not that one plane would have done
    assert camera.planes(128, 192, f_number=f_number, focus_distance_m=2.0) > 1
    exposure_s = camera.definition.sensor.saturation_e() / saturated
    raws = [
        camera.raw(cube, f_number=f_number, exposure_s=exposure_s, exact=exact).astype(np.int64)
        for exact in (False, True)
    ]
    assert raws[1].max() > 0.9 * 4095
    assert np.abs(raws[0] - raws[1]).max() <= 1e-3 * FULL_DN + 1  # rounding apart


def test_single_bands_blur_as_their_own_wavelength_does() -> None:
    # a grating of one photosite in four, lit by one band alone, through an ideal lens at f/8
    pitch = 1.5
    nm = np.array([450.0, 550.0, 650.0])
    response = SpectralResponse(np.arange(400.0, 701.0, 1.0), np.ones((3, 301)))
    renderer = CubeRenderer(nm, response)
    at = (np.arange(96) - 47.5) * pitch
    grid = SampleGrid(at, at, pitch, pitch**2)
    lens = LensState(17.5, 8.0, math.inf)
    wave = 1.0 + np.cos(2.0 * np.pi * np.arange(96) / 8.0)
    for exact in (False, True):
        for band, wavelength in enumerate(nm):
            cube = np.zeros((96, 96, 3), np.float32)
            cube[:, :, band] = wave
            row = renderer.light(cube, lens, grid, exact=exact)[48].astype(float)
            inner = row[24:72]
            phase = np.exp(2j * np.pi * np.arange(24, 72) / 8.0)
            contrast = 2.0 * abs((inner * phase).mean()) / inner.mean()
            wanted = float(diffraction_mtf(np.array([1e3 / (8 * pitch)]), 8.0, wavelength)[0])
            # a tail of 4 % of the Airy pattern lies beyond the kernel, as in the full model
            assert contrast == pytest.approx(wanted, abs=0.03), (exact, wavelength)


def test_an_even_field_keeps_its_level_and_its_colour() -> None:
    camera = SpectralCamera("xiaomi-mos-35", NM, noise=False)
    found = camera.light(even(0.01), f_number=8.0)
    definition = camera.definition
    electrons = spectral_response(definition).electrons(NM, np.full(NM.size, 0.01))
    lens = LensState(definition.focal_length_mm, 8.0, 2.0, definition.transmittance)
    factor = float(camera._renderer.lens.pupil(lens).irradiance_factor(np.array([0.0]))[0])
    area = (definition.sensor.pitch_um * 1e-6) ** 2
    for y, x, c in ((32, 32, 0), (32, 33, 1), (33, 33, 2)):
        # the sensor's response to cones of light about the axis is 1 within 2 % at f/8
        assert found[y, x] == pytest.approx(electrons[c] * factor * area, rel=0.02)
    # and the planes that carry the change of blur with wavelength add nothing to it
    exact = camera.light(even(0.01), f_number=8.0, exact=True)
    assert np.allclose(found, exact, rtol=2e-6)


def test_noise_is_that_of_the_sensor_and_its_key() -> None:
    camera = SpectralCamera("xiaomi-mos-35", NM, seed=3)
    cube = even(0.004, 256, 256)
    a, b = (camera.raw(cube, exposure_s=0.01, f_number=4.0, key=key) for key in (1, 2))
    assert np.array_equal(a, camera.raw(cube, exposure_s=0.01, f_number=4.0, key=1))
    spec = camera.definition.sensor
    mean_e = camera.light(cube, f_number=4.0)[::2, 1::2].mean() * 0.01
    apart = (a.astype(float) - b)[::2, 1::2] / spec.dn_per_electron
    variance = 0.5 * apart.var()
    read = camera._sensor.read_noise_e(1.0)
    assert variance == pytest.approx(mean_e + read**2, rel=0.05)
    assert a.shape == (256, 256) and a.dtype == np.uint16


def test_defocus_blurs() -> None:
    cube = chart()
    camera = SpectralCamera("xiaomi-mos-35", NM, noise=False)
    sharp = camera.light(cube, f_number=2.8)[::2, ::2]
    soft = camera.light(cube, f_number=2.8, distance_m=1.0)[::2, ::2]
    assert soft.mean() == pytest.approx(sharp.mean(), rel=0.02)
    assert soft.std() < 0.75 * sharp.std()


def bad(value: float) -> np.ndarray:
    cube = even(0.01).astype(np.float64)
    cube[5, 7, 11] = value
    return cube


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("cube", "said"),
    [
        (bad(-1.0), r"radiance cannot be -1\.0; .* first other one is at \(5, 7, 11\)"),
        (bad(np.nan), r"radiance cannot be nan; .* at \(5, 7, 11\)"),
        (bad(np.inf), r"radiance cannot be inf; .* at \(5, 7, 11\)"),
        (even(0.01)[..., :30], r"shape \(64, 64, 30\)'; expected \(height, width, 31\)"),
        (even(0.01)[0], "as there are 31 wavelengths"),
        (even(0.01)[:63], "an even height"),
        (even(0.01)[:, :62], "a multiple of 4"),
    ],
)
def test_impossible_cubes_are_refused(cube: np.ndarray, said: str, kind: type) -> None:
    camera = SpectralCamera("xiaomi-mos-35", NM)
    with pytest.raises(SettingError, match=said) as refused:
        camera.raw(cube.astype(kind), exposure_s=0.01)
    assert "spectral cube: radiance" in str(refused.value)


def test_impossible_settings_are_refused() -> None:
    for nm, said in (
        (NM / 1000, "nanometres from 200 to 2500"),
        (NM[::-1], "rising"),
        ([800.0, 900.0, 1000.0], r"expected some of 380 to 780 nm"),
    ):
        with pytest.raises(SettingError, match=said):
            SpectralCamera("xiaomi-mos-35", nm)
    camera = SpectralCamera("xiaomi-mos-35", NM)
    cube = even(0.01)
    with pytest.raises(SettingError, match="complex128"):
        camera.raw(cube.astype(complex), exposure_s=0.01)
    for value in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(SettingError, match="distance_m cannot be"):
            camera.raw(cube, exposure_s=0.01, distance_m=value)
        with pytest.raises(SettingError, match="exposure_s cannot be"):
            camera.raw(cube, exposure_s=value)
        with pytest.raises(SettingError, match="gain cannot be"):
            camera.raw(cube, exposure_s=0.01, gain=value)
    with pytest.raises(ModopticError, match="f-number"):
        camera.raw(cube, exposure_s=0.01, f_number=0.9)


def test_the_whole_sensor_is_the_most_a_cube_may_be() -> None:
    camera = SpectralCamera("phone-1inch", [500.0, 600.0])
    spec = load_definition("phone-1inch").sensor
    flat = np.broadcast_to(np.float32(0.01), (2, spec.width + 4, 2))
    with pytest.raises(SettingError, match=f"at most {spec.width}"):
        camera.raw(flat, exposure_s=0.01)


def test_a_point_spreads_as_in_the_full_model() -> None:
    # one brighter photosite far off the axis, where the traced lens has coma: kernels of the full
    # model for that cell of the sensor, which it makes from six wavelengths. On an even ground, as
    # kernels overshoot and no light is negative
    definition = load_definition("xiaomi-mos-35")
    spec, response = definition.sensor, spectral_response(definition)
    lens = LensState(definition.focal_length_mm, 2.0, 2.0, definition.transmittance)
    cell = Cell(-6, 4, 760.0)
    x_um, y_um = cell.middle_um
    at = (np.arange(96) - 47.5) * spec.pitch_um
    grid = SampleGrid(at + x_um, at + y_um, spec.pitch_um, spec.pitch_um**2, ("GG", "GG"))
    pupil = lens_of(definition).pupil(lens)
    nm = pupil.wavelengths_nm
    renderer = CubeRenderer(nm, response, lens_of(definition), diffusion_um=spec.diffusion_um)
    # the shares in which the full model takes those wavelengths
    spectrum = response.shares(nm)[1] / response.electrons(nm, np.eye(nm.size))[:, 1]
    cube = np.ones((96, 96, 1), np.float32) * (spectrum / spectrum.max()).astype(np.float32)
    ground = renderer.light(cube, lens, grid).astype(float)
    cube[47, 48] *= 2.0
    found = renderer.light(cube, lens, grid) / ground - 1.0
    spread = Spread(pupil, response, spec.diffusion_um)
    (taps,) = spread.kernels(
        cell, pupil.thin.inverse_focus, spec.pitch_um, Binning(spec.pitch_um), (Kind(1),)
    )
    wanted = taps[::-1, ::-1]
    r = wanted.shape[0] // 2
    part = found[47 - r : 48 + r, 48 - r : 49 + r]

    def apart(other: np.ndarray) -> float:
        return float(np.abs(part - other).sum())

    assert apart(wanted) < 0.1
    for turned in (wanted[::-1], wanted[:, ::-1], wanted[::-1, ::-1], wanted.T):
        assert apart(turned) > 2.0 * apart(wanted)
