"""Colour temperature and matrices against published values."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modoptic import isp
from modoptic.calibration import Calibration, ColorCalibration, Shading
from modoptic.errors import SettingError
from modoptic.frame import FrameMeta, Settings
from modoptic.isp import _color

CANON = ((0.6461, -0.1164, -0.0857), (-0.3825, 1.1597, 0.2534), (-0.0416, 0.154, 0.6039))
WARM = ((0.7, -0.2, -0.05), (-0.45, 1.3, 0.2), (-0.02, 0.18, 0.45))


def forward_of(matrix: tuple[tuple[float, ...], ...], white: np.ndarray) -> np.ndarray:
    """Balanced camera to XYZ D50, as DNG 1.4 defines it from a colour matrix."""
    camera = np.array(matrix) @ white
    return _color._adapt(white, _color.D50) @ np.linalg.inv(matrix) @ np.diag(camera)


def calibration() -> Calibration:
    colors = []
    for code, matrix, xy in ((17, WARM, (0.4476, 0.4074)), (21, CANON, (0.3127, 0.3290))):
        forward = forward_of(matrix, _color._xyz(xy))
        colors.append(
            ColorCalibration(
                illuminant=code,
                color_matrix=matrix,
                forward_matrix=tuple(map(tuple, forward.tolist())),
            )
        )
    return Calibration(colors=tuple(colors))


@pytest.mark.parametrize(
    ("xy", "kelvin"),
    [
        ((0.4476, 0.4074), 2856),  # CIE A
        ((0.3127, 0.3290), 6504),  # D65
        ((0.3457, 0.3585), 5003),  # D50
        ((0.2990, 0.3149), 7504),  # D75
    ],
)
def test_temperatures_of_the_cie_illuminants(xy: tuple[float, float], kelvin: float) -> None:
    assert _color.kelvin_from_xy(xy)[0] == pytest.approx(kelvin, rel=0.002)


def test_black_body_chromaticities() -> None:
    # Planckian locus in CIE 1931, published tables
    assert _color.xy_from_kelvin(3000) == pytest.approx((0.4369, 0.4041), abs=3e-4)
    assert _color.xy_from_kelvin(6500) == pytest.approx((0.3135, 0.3237), abs=3e-4)


@given(st.floats(2000, 20000), st.floats(-60, 60))
def test_kelvin_to_neutral_and_back(kelvin: float, tint: float) -> None:
    colors = calibration()
    neutral = isp.neutral_from_kelvin(colors, kelvin, tint)
    found, found_tint = isp.kelvin_from_neutral(colors, neutral)
    assert found == pytest.approx(kelvin, rel=0.01)
    assert found_tint == pytest.approx(tint, abs=1.0)


@given(st.tuples(st.floats(0.2, 1.5), st.just(1.0), st.floats(0.2, 1.5)))
def test_grey_stays_grey_under_any_light(neutral: tuple[float, float, float]) -> None:
    for colors in (calibration(), FrameMeta(color_matrix=CANON), FrameMeta(), None):
        np.testing.assert_allclose(isp.camera_to_srgb(colors, neutral).sum(axis=1), 1, atol=1e-9)


def test_forward_and_colour_matrix_agree() -> None:
    known = calibration()
    neutral = isp.neutral_from_kelvin(known, 6504, -9.77)
    by_forward = isp.camera_to_srgb(known, neutral)
    by_matrix = isp.camera_to_srgb(FrameMeta(color_matrix=CANON), neutral)
    np.testing.assert_allclose(by_forward, by_matrix, atol=0.01)


# Macbeth ColorChecker patches as 8 bit sRGB under D65 (X-Rite's published values)
CHECKER = (
    (115, 82, 68), (194, 150, 130), (98, 122, 157), (87, 108, 67), (133, 128, 177),
    (103, 189, 170), (214, 126, 44), (80, 91, 166), (193, 90, 99), (94, 60, 108),
    (157, 188, 64), (224, 163, 46), (56, 61, 150), (70, 148, 73), (175, 54, 60),
    (231, 199, 31), (187, 86, 149), (243, 243, 242), (160, 160, 160), (52, 52, 52),
)  # fmt: skip


def lab(xyz: np.ndarray) -> np.ndarray:
    f = np.cbrt(xyz / _color._xyz((0.3127, 0.3290)))
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], 1)


def test_a_colour_chart_comes_back() -> None:
    # a camera that is exactly its colour matrix sees the chart in daylight
    encoded = np.array(CHECKER) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    xyz = linear @ np.linalg.inv(_color.XYZ_TO_SRGB).T
    neutral = np.array(CANON) @ _color._xyz((0.3127, 0.3290))
    camera = xyz @ np.array(CANON).T / neutral
    found = camera @ isp.camera_to_srgb(calibration(), tuple(neutral / neutral[1])).T
    apart = lab(xyz) - lab(found @ np.linalg.inv(_color.XYZ_TO_SRGB).T)
    assert np.sqrt((apart**2).sum(axis=1)).max() < 1.0


def test_auto_white_finds_the_light_of_a_grey_world() -> None:
    known = calibration()
    light = np.array(isp.neutral_from_kelvin(known, 4000))
    rng = np.random.default_rng(1)
    things = rng.uniform(0.05, 0.6, (24, 32, 1)) * rng.uniform(0.9, 1.1, (24, 32, 3))
    things[:4, :4] = (0.5, 0.05, 0.02)  # a red thing does not pull it
    found = isp.auto_white((things * light).astype(np.float32), known)
    assert isp.kelvin_from_neutral(known, found)[0] == pytest.approx(4000, rel=0.05)


def test_a_flat_grey_is_balanced_as_in_the_middle_though_corners_are_tinted() -> None:
    shading = Shading(
        f_number=1.4, focus_distance_m=2.0, coefficients=(-0.9, 0.2, 0.0), red=(-1.05, 0.2, 0.0),
        blue=(-0.85, 0.2, 0.0),
    )  # fmt: skip
    known = msgspec.structs.replace(calibration(), shading=(shading,))
    settings = Settings(readout="bin4", f_number=1.4, focus_distance_m=2.0)
    grey = np.array(isp.neutral_from_kelvin(known, 5000))
    y, x = np.meshgrid((np.arange(24) - 11.5) / 12, (np.arange(32) - 15.5) / 16, indexing="ij")
    q = ((3 * y) ** 2 + (4 * x) ** 2)[..., None] / 25
    k = np.array(shading.colors).T
    zones = np.asarray(0.4 * grey * (1.0 + q * (k[0] + q * (k[1] + q * k[2]))), np.float32)
    even = isp.even_colors(zones, known, settings)
    assert even[..., 1] == pytest.approx(zones[..., 1], rel=1e-6)
    assert even / even[..., 1:2] == pytest.approx(np.broadcast_to(grey, even.shape), rel=1e-5)
    plain, mended = (np.array(isp.auto_white(z, known)) for z in (zones, even))
    assert np.abs(mended / grey - 1.0).max() < 0.01 < np.abs(plain / grey - 1.0).max()
    # of an iris that nobody knows nothing is mended
    unknown = msgspec.structs.replace(settings, f_number=0.0)
    assert isp.even_colors(zones, known, unknown) is zones


def test_auto_white_of_the_dark_is_some_light() -> None:
    assert min(isp.auto_white(np.zeros((24, 32, 3), np.float32), None)) > 0


@pytest.mark.parametrize("matrix", [((0.0,) * 3,) * 3, ((1.0, 1.0, 1.0),) * 3])
def test_a_hostile_matrix_does_no_harm(matrix: tuple[tuple[float, ...], ...]) -> None:
    meta = FrameMeta(color_matrix=matrix)
    assert np.isfinite(isp.camera_to_srgb(meta, (0.5, 1.0, 0.6))).all()


@pytest.mark.parametrize("kelvin", [0.0, 1e6, float("nan")])
def test_temperatures_that_are_none_are_refused(kelvin: float) -> None:
    with pytest.raises(SettingError):
        isp.neutral_from_kelvin(None, kelvin)
