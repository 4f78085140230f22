"""Measurements against published reference values and against what is known by construction."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from modoptic.errors import SettingError
from modoptic.measure import (
    chromatic_adaptation,
    color_calibration,
    defects,
    noise_point,
    pair_statistics,
    patch_means,
    photon_transfer,
    shading,
    slanted_edge,
)

REFERENCE = {
    # sfrmat5 (ISO 12233:2023 reference code), npol 5, Tukey: SFR 50 % of the first channel, which
    # is the one that it prints, and the response in luminance at .1 to .5
    "Test_edge1.tif": (0.269805, (0.82262, 0.66391, 0.45265, 0.15139, 0.011853)),
    "Test_edge1_mono.tif": (0.275311, (0.82755, 0.67005, 0.46834, 0.16625, 0.036881)),
}


@pytest.mark.data
@pytest.mark.parametrize("name", REFERENCE)
def test_edge_response_of_the_reference_pictures(name: str, data_dir: Path) -> None:
    picture = tifffile.imread(data_dir / "sfr" / name).astype(float)
    first = luminance = picture
    if picture.ndim == 3:
        first, luminance = picture[..., 0], picture @ np.array([0.213, 0.715, 0.072])
    sfr50, response = REFERENCE[name]
    assert slanted_edge(first).sfr50 == pytest.approx(sfr50, rel=1e-3)
    sfr = slanted_edge(luminance)
    assert [sfr.at(f) for f in (0.1, 0.2, 0.3, 0.4, 0.5)] == pytest.approx(response, abs=2e-4)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("sigma", [0.6, 1.5])
def test_edge_response_of_a_gaussian_blur_is_gaussian(sigma: float, turned: bool) -> None:
    from math import erf

    y, x = np.mgrid[:160, :120]
    distance = ((x - 60) - np.tan(np.radians(5.0)) * (y - 80)) * np.cos(np.radians(5.0))
    edge = 100 + 50 * np.vectorize(erf)(distance / sigma / 2**0.5)
    sfr = slanted_edge(edge.T[::-1] if turned else edge)
    for f in (0.05, 0.1, 0.2, 0.3):
        assert sfr.at(f) == pytest.approx(np.exp(-2 * (np.pi * sigma * f) ** 2), abs=0.015)
    assert abs(sfr.edge_degrees) == pytest.approx(5.0, abs=0.05)


def test_no_edge_is_refused() -> None:
    with pytest.raises(SettingError, match="brightness"):
        slanted_edge(np.full((64, 64), 7.0))
    with pytest.raises(SettingError, match="crosses a pixel"):
        slanted_edge(np.repeat([[0.0] * 20 + [1.0] * 20], 40, axis=0))
    with pytest.raises(SettingError, match="16 x 16"):
        slanted_edge(np.zeros((8, 8)))


def _pair(rng: np.random.Generator, electrons: float, gain: float, read: float):
    fixed = 1 + 0.02 * rng.standard_normal((300, 300))
    frames = [
        np.clip(
            np.rint(
                gain * (rng.poisson(electrons * fixed) + read * rng.standard_normal(fixed.shape))
                + 100
            ),
            0,
            4095,
        )
        for _ in range(2)
    ]
    return pair_statistics(frames[0], frames[1])


def test_photon_transfer_finds_gain_and_read_noise_in_spite_of_fixed_pattern() -> None:
    rng = np.random.default_rng(8)
    gain, read = 0.5, 3.0
    dark = _pair(rng, 0.0, gain, read)
    lit = [_pair(rng, e, gain, read) for e in (200, 1000, 2500, 5000, 7000, 9000)]
    found = photon_transfer(dark, lit)
    assert found.dn_per_electron == pytest.approx(gain, rel=0.02)
    assert found.read_noise_e == pytest.approx(read, rel=0.03)
    assert found.dark_level_dn == pytest.approx(100, abs=0.05)
    assert found.saturation_e == pytest.approx(7500, rel=0.08)
    point = noise_point(1.0, dark, lit, 4095)
    assert point.scale == pytest.approx(0.5 / 3995, rel=0.02)
    assert point.offset == pytest.approx((1.5**2 + 1 / 12) / 3995**2, rel=0.03)
    with pytest.raises(SettingError, match="3 pairs"):
        photon_transfer(dark, lit[:1])


def test_defects_are_found_where_they_are() -> None:
    rng = np.random.default_rng(1)
    darks = [np.rint(256 + 2 * rng.standard_normal((200, 300))).astype(np.uint16) for _ in range(2)]
    darks[0][5, 5] = 4000  # once is a cosmic ray, not a defect
    for dark in darks:
        dark[17, 120] = 900
        dark[199, 0] = 400
    assert defects(darks) == [(0, 199), (120, 17)]


def test_shading_of_a_cosine_law_is_recovered() -> None:
    height, width = 1092, 1456
    y, x = np.mgrid[:height, :width]
    r2 = ((y - height / 2) ** 2 + (x - width / 2) ** 2) / ((height / 2) ** 2 + (width / 2) ** 2)
    flat = 256 + 2000 / (1 + 0.38 * r2) ** 2
    found = shading(flat, 256.0, f_number=2.0, focus_distance_m=1.0).coefficients
    for r in (0.0, 0.3, 0.7, 1.0):
        value = 1 + sum(k * r ** (2 * i + 2) for i, k in enumerate(found))
        assert value == pytest.approx(1 / (1 + 0.38 * r * r) ** 2, abs=0.003)


def test_shading_of_each_colour_is_its_own() -> None:
    height, width = 512, 640
    y, x = np.mgrid[:height, :width]
    r2 = ((y - height / 2) ** 2 + (x - width / 2) ** 2) / ((height / 2) ** 2 + (width / 2) ** 2)
    flat = 64 + 1500 * (1 - 0.5 * r2)
    flat[::2, 1::2] = (64 + 700 * (1 - 0.6 * r2))[::2, 1::2]
    flat[1::2, ::2] = (64 + 900 * (1 - 0.4 * r2))[1::2, ::2]
    found = shading(flat, 64.0, f_number=2.0, focus_distance_m=1.0, cfa=("GR", "BG"))
    for coefficients, corner in zip(found.colors, (0.4, 0.5, 0.6), strict=True):
        assert 1 + sum(coefficients) == pytest.approx(corner, abs=0.002)


def test_patches_are_averaged_by_colour() -> None:
    mosaic = np.empty((32, 32))
    mosaic[0::2, 0::2], mosaic[1::2, 1::2] = 110, 130
    mosaic[0::2, 1::2], mosaic[1::2, 0::2] = 119, 121
    found = patch_means(mosaic, ("RG", "GB"), [(3, 5, 10, 10)], 100)
    np.testing.assert_allclose(found, [[10, 20, 30]])
    with pytest.raises(SettingError, match="within 32 x 32"):
        patch_means(mosaic, ("RG", "GB"), [(30, 0, 10, 10)], 100)


def test_a_camera_that_is_linear_in_xyz_gets_its_own_matrix() -> None:
    rng = np.random.default_rng(4)
    xyz = rng.uniform(0.05, 0.8, (24, 3))
    white = np.array([0.95047, 1.0, 1.08883])
    camera_matrix = np.array([[0.57, -0.1, -0.05], [-0.39, 1.1, 0.24], [-0.15, 0.24, 0.49]])
    found = color_calibration(
        21, 700 * xyz @ camera_matrix.T, xyz, white, 700 * camera_matrix @ white
    )
    to_camera = np.array(found.color_matrix)
    np.testing.assert_allclose(to_camera, camera_matrix / (camera_matrix @ white).max(), atol=1e-5)
    # DNG 1.4: each row of a forward matrix sums to the D50 white
    np.testing.assert_allclose(np.sum(found.forward_matrix, 1), [0.96422, 1, 0.82521], atol=1e-5)
    balanced = (xyz @ camera_matrix.T) / (camera_matrix @ white)
    np.testing.assert_allclose(
        balanced @ np.array(found.forward_matrix).T,
        xyz @ chromatic_adaptation(white, np.array([0.96422, 1.0, 0.82521])).T,
        atol=1e-4,
    )
