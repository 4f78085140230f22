"""ColorChecker: patches found, published colours agree with each other, a real chart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from modoptic.errors import SettingError
from modoptic.measure import (
    PATCH_NAMES,
    balance_errors,
    color_planes,
    colorchecker_lab,
    compare_colors,
    delta_e_2000,
    find_colorchecker,
    fit_color_matrix,
    homography,
    lab_to_xyz,
    measure_colorchecker,
    measure_patches,
    patch_quads,
    project,
    reflectance_lab,
)
from modoptic.rawfile import read_raw
from modoptic.scenes import colorchecker_reflectances, illuminant, observer

Array = npt.NDArray[np.float64]
CAMERA = np.array([[0.9, 0.35, -0.02], [0.1, 1.0, 0.1], [0.02, 0.2, 0.8]])
CORNERS = np.array([[60.0, 40.0], [330.0, 61.0], [318.0, 230.0], [52.0, 215.0]])


def chart_picture(colors: Array, *, size: tuple[int, int] = (280, 400)) -> Array:
    """A card of 24 even patches before black, seen in perspective."""
    y, x = np.mgrid[: size[0], : size[1]].astype(float)
    to_chart = homography(CORNERS, [[0, 0], [5, 0], [5, 3], [0, 3]])
    place = project(to_chart, np.stack([x, y], -1))
    cell = np.rint(place).astype(int)
    inside = (np.abs(place - cell) < 0.42).all(-1)
    inside &= ((cell >= 0) & (cell < (6, 4))).all(-1)
    index = np.clip(cell[..., 1] * 6 + cell[..., 0], 0, 23)
    return np.where(inside[..., None], colors[index], 0.01)


def test_published_colours_of_three_sources_agree() -> None:
    """Two editions of the maker and Ohta's reflectances of another card, by way of ISO 17321."""
    new, old = colorchecker_lab("after-2014"), colorchecker_lab("before-2014")
    assert delta_e_2000(new, old).mean() < 1.0
    spectra = np.stack(list(colorchecker_reflectances().values()))
    ohta = reflectance_lab(spectra, illuminant("D50"), observer())
    assert delta_e_2000(ohta, old).mean() < 1.5
    assert delta_e_2000(ohta, old).max() < 4.0
    assert len(PATCH_NAMES) == 24
    with pytest.raises(SettingError, match="after-2014 or before-2014"):
        colorchecker_lab("1976")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("begin", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_chart_is_found_however_its_corners_are_told(begin: int, mirrored: bool) -> None:
    colors = lab_to_xyz(colorchecker_lab()) @ CAMERA.T
    planes = color_planes(chart_picture(colors))
    corners = np.roll(CORNERS, begin, axis=0)
    found, quads = measure_colorchecker(planes, corners[::-1] if mirrored else corners)
    np.testing.assert_allclose(found.mean, colors, rtol=1e-5)
    np.testing.assert_allclose(quads[0].mean(0), CORNERS[0], atol=1.0)


@pytest.mark.parametrize("turns", range(4))
def test_a_turned_chart_is_read_from_dark_skin(turns: int) -> None:
    colors = lab_to_xyz(colorchecker_lab()) @ CAMERA.T
    picture = np.rot90(chart_picture(colors), turns)
    corners = CORNERS.copy()
    height, width = 280, 400
    for _ in range(turns):
        corners = np.stack([corners[:, 1], width - 1 - corners[:, 0]], 1)
        height, width = width, height
    found, _ = measure_colorchecker(color_planes(picture), corners)
    np.testing.assert_allclose(found.mean, colors, rtol=1e-5)


def test_a_linear_camera_has_no_error_left() -> None:
    lab = colorchecker_lab()
    camera = 800.0 * lab_to_xyz(lab) @ CAMERA.T
    matrix = fit_color_matrix(camera, lab)
    assert compare_colors(camera @ matrix.T, lab).delta_e_2000.max() < 1e-6
    # without a scale of its own: the greys tell it
    errors = compare_colors(0.37 * camera @ matrix.T, lab, match_exposure=True)
    assert errors.exposure == pytest.approx(1 / 0.37)
    assert errors.delta_e_2000.max() < 1e-6
    assert errors.white_balance == pytest.approx(0.0, abs=1e-6)
    assert errors.saturation == pytest.approx(1.0)


def test_known_errors_are_measured() -> None:
    lab = colorchecker_lab()
    moved = lab + np.array([0.0, 3.0, 4.0])
    errors = compare_colors(lab_to_xyz(moved), lab)
    assert errors.delta_e_ab == pytest.approx(5.0)
    assert errors.white_balance == pytest.approx(5.0)
    greys = np.repeat([[0.5, 0.4, 0.6]], 24, axis=0)
    assert balance_errors(greys) == pytest.approx([0.25, 0.5])
    assert balance_errors(greys, (1.25, 1.0, 1.5)) == pytest.approx([0.0, 0.0])


def test_mosaics_are_measured_as_pictures_are() -> None:
    colors = lab_to_xyz(colorchecker_lab()) @ CAMERA.T
    picture = chart_picture(colors)
    mosaic = np.empty(picture.shape[:2])
    for i, row in enumerate(("GR", "BG")):
        for j, color in enumerate(row):
            mosaic[i::2, j::2] = picture[i::2, j::2, "RGB".index(color)]
    planes = color_planes(1000 * mosaic + 64, ("GR", "BG"), black_level=64.0, white_level=564.0)
    assert planes.offsets.tolist() == [[1, 0], [0.5, 0.5], [0, 1]]
    found, _ = measure_colorchecker(planes, CORNERS)
    np.testing.assert_allclose(found.mean, 1000 * colors, rtol=1e-4)
    assert found.clipped[18] == 1.0 and found.clipped[23] == 0.0


def test_patches_of_one_row() -> None:
    picture = np.repeat([np.repeat(np.arange(5.0), 20)], 30, axis=0)
    quads = patch_quads([[9.5, 5], [89.5, 5], [89.5, 25], [9.5, 25]], 1, 5)
    found = measure_patches(color_planes(picture), quads)
    assert found.mean[:, 0].tolist() == [0, 1, 2, 3, 4]
    assert found.deviation.max() < 1e-12


def test_what_is_no_chart_is_refused() -> None:
    noise = np.random.default_rng(2).uniform(0, 1, (280, 400, 3))
    with pytest.raises(SettingError, match="not those of a ColorChecker"):
        measure_colorchecker(color_planes(noise), CORNERS)
    with pytest.raises(SettingError, match="within 400 x 280"):
        measure_colorchecker(color_planes(noise), CORNERS + 200)
    with pytest.raises(SettingError, match="on a line"):
        measure_colorchecker(color_planes(noise), [[10, 10], [50, 50], [90, 90], [130, 130]])
    with pytest.raises(SettingError, match="red, green and blue"):
        measure_colorchecker(color_planes(noise[..., 0]), CORNERS)


CANON_CORNERS = [(714, 624), (1250, 614), (1258, 922), (702, 930)]


@pytest.mark.data
def test_a_real_chart_of_a_real_camera(data_dir: Path) -> None:
    """A Canon 550D's raw of a small chart, a little out of focus, under light of unlike colours."""
    raw = read_raw(data_dir / "raw" / "tinydng_colorchart.dng")
    meta = raw.frame.meta
    planes = color_planes(
        raw.frame.mosaic(), meta.cfa, black_level=meta.black_level, white_level=meta.white_level
    )
    found, quads = measure_colorchecker(planes, CANON_CORNERS)
    np.testing.assert_allclose(quads[0].mean(0), CANON_CORNERS[0], atol=0.5)
    assert found.clipped.max() == 0.0
    greys = found.mean[18:24, 1]
    assert (np.diff(greys) < 0).all()
    lab = colorchecker_lab("before-2014")
    fitted = compare_colors(
        found.mean @ fit_color_matrix(found.mean, lab).T, lab, match_exposure=True
    )
    assert fitted.delta_e_2000.mean() < 5.0


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_a_chart_is_found_by_itself(turns: int, noise: float) -> None:
    colors = lab_to_xyz(colorchecker_lab()) @ CAMERA.T
    picture = chart_picture(colors)
    picture += noise * np.random.default_rng(3).standard_normal(picture.shape)
    corners, (height, width) = CORNERS.copy(), picture.shape[:2]
    for _ in range(turns):
        corners = np.stack([corners[:, 1], width - 1 - corners[:, 0]], 1)
        height, width = width, height
    found = find_colorchecker(color_planes(np.rot90(picture, turns)))
    np.testing.assert_allclose(found, corners, atol=3.0)


def test_what_is_not_surely_a_chart_is_not_found() -> None:
    rng = np.random.default_rng(4)
    pictures = (
        rng.uniform(0, 1, (280, 400, 3)),
        np.full((280, 400, 3), 0.5),
        # squares in rows and columns, of other colours
        chart_picture(rng.uniform(0.02, 0.9, (24, 3))),
        chart_picture(np.repeat(np.linspace(0.9, 0.02, 24)[:, None], 3, 1)),
    )
    for picture in pictures:
        with pytest.raises(SettingError, match="not found"):
            find_colorchecker(color_planes(picture))
    with pytest.raises(SettingError, match="grey picture"):
        find_colorchecker(color_planes(pictures[0][..., 0]))


@pytest.mark.data
@pytest.mark.parametrize("turns", [0, 1])
def test_real_charts_are_found(turns: int, data_dir: Path) -> None:
    raw = read_raw(data_dir / "raw" / "tinydng_colorchart.dng")
    meta = raw.frame.meta
    planes = color_planes(raw.frame.mosaic(), meta.cfa, black_level=meta.black_level)
    np.testing.assert_allclose(find_colorchecker(planes), CANON_CORNERS, atol=5)
    # a light booth, by a camera of which nothing is known; its last columns are junk
    path = data_dir / "raw" / "InfiniteISP_ColorChecker_1920x1080_12bit_bggr.raw"
    mosaic = np.fromfile(path, "<u2").reshape(1080, 1920)[2:, :1904]
    cfa = (("BG", "GR"), ("GR", "BG"))[turns]
    planes = color_planes(np.rot90(mosaic, turns), cfa, black_level=200.0)
    corners = np.array([(569.0, 439), (1299, 443), (1282, 871), (581, 855)])
    if turns:
        corners = np.stack([corners[:, 1], 1903 - corners[:, 0]], 1)
    np.testing.assert_allclose(find_colorchecker(planes), corners, atol=6)


@pytest.mark.data
def test_no_chart_is_found_in_photographs_without_one(data_dir: Path) -> None:
    for number in range(1, 25, 3):
        picture = np.asarray(Image.open(data_dir / "kodak" / f"kodim{number:02d}.png"))
        with pytest.raises(SettingError, match="not found"):
            find_colorchecker(color_planes((picture / 255.0) ** 2.2))
