"""Points and lines drawn where a known lens would draw them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from modoptic.errors import SettingError
from modoptic.measure import (
    Lattice,
    color_planes,
    distortion,
    find_lattice,
    find_points,
    homography,
    lateral_color,
    lattice,
    project,
)

Array = npt.NDArray[np.float64]
SIZE = 720, 540  # width, height
MIDDLE = (np.array(SIZE) - 1) / 2
HALF = 0.5 * np.hypot(*SIZE)
K = np.array([-0.06, 0.015])


def bent(points: Array, k: Array = K) -> Array:
    q = (points - MIDDLE) / HALF
    r2 = (q**2).sum(-1, keepdims=True)
    return MIDDLE + HALF * q * (1 + k[0] * r2 + k[1] * r2**2)


def chart(turn: float = 0.03, tilt: float = 1e-4, pitch: float = 44.3) -> tuple[Array, Array]:
    """Ideal places and indices of a chart that is turned and tilted."""
    i, j = (part.ravel() for part in np.mgrid[-8:9, -6:7])
    pose = np.array([
        [pitch * np.cos(turn), -pitch * np.sin(turn), MIDDLE[0] + 3.3],
        [pitch * np.sin(turn), pitch * np.cos(turn), MIDDLE[1] - 2.1],
        [tilt, -tilt, 1.0],
    ])  # fmt: skip
    index = np.stack([i, j], 1)
    return project(pose, index), index


def draw_points(places: Array, radius: float = 3.0) -> Array:
    """Soft discs whose centroid is exact."""
    y, x = np.mgrid[: SIZE[1], : SIZE[0]].astype(float)
    picture = np.zeros(SIZE[::-1])
    for px, py in places:
        x0, y0 = int(px) - 12, int(py) - 12
        if x0 < 0 or y0 < 0 or x0 + 25 > SIZE[0] or y0 + 25 > SIZE[1]:
            continue
        part = np.s_[y0 : y0 + 25, x0 : x0 + 25]
        distance = np.hypot(x[part] - px, y[part] - py)
        picture[part] += 1 / (1 + np.exp(3 * (distance - radius)))
    return picture


def draw_lines(k: Array = K, pitch: float = 44.3, turn: float = 0.03) -> Array:
    """Dark lines on bright, each sample looked up on the chart."""
    y, x = np.mgrid[: SIZE[1] * 3, : SIZE[0] * 3] / 3.0 - 1 / 3
    seen = (np.stack([x, y], -1) - MIDDLE) / HALF
    q = seen.copy()
    for _ in range(12):
        r2 = (q**2).sum(-1, keepdims=True)
        q = seen / (1 + k[0] * r2 + k[1] * r2**2)
    u, v = q[..., 0] * HALF / pitch - 0.11, q[..., 1] * HALF / pitch + 0.2
    u, v = u * np.cos(turn) + v * np.sin(turn), v * np.cos(turn) - u * np.sin(turn)
    line = np.minimum(np.abs(u - np.rint(u)), np.abs(v - np.rint(v))) < 0.05
    fine = np.where(line, 0.1, 0.9)
    return fine.reshape(SIZE[1], 3, SIZE[0], 3).mean((1, 3))


@pytest.mark.parametrize("dark", [False, True])
def test_points_are_found_to_a_fiftieth_of_a_pixel(dark: bool) -> None:
    places = bent(chart()[0])
    picture = draw_points(places)
    picture = 0.02 + 0.9 * (1 - picture if dark else picture)
    # light that falls off, and noise
    y, x = np.mgrid[: SIZE[1], : SIZE[0]]
    picture *= 1 - 0.4 * ((x - MIDDLE[0]) ** 2 + (y - MIDDLE[1]) ** 2) / HALF**2
    picture += np.random.default_rng(1).normal(0, 0.005, picture.shape)
    found = find_points(picture)
    apart = np.linalg.norm(found[:, None] - places[None], axis=2).min(1)
    assert len(found) > 180
    assert np.sqrt((apart**2).mean()) < 0.05


def test_a_known_distortion_is_measured_from_points() -> None:
    picture = draw_points(bent(chart()[0]))
    found = distortion(find_lattice(color_planes(picture)), SIZE, terms=2)
    for r in (0.3, 0.6, 0.9):
        assert found.at(r) == pytest.approx(100 * (K[0] * r**2 + K[1] * r**4), abs=0.03)
    assert found.residual_px < 0.05
    assert found.worst == pytest.approx(float(found.at(found.reach)))


@pytest.mark.parametrize("invert", [False, True])
def test_a_known_distortion_is_measured_from_lines(invert: bool) -> None:
    picture = draw_lines()
    picture = 1 - picture if invert else picture
    chart_found = find_lattice(color_planes(picture), kind="lines")
    assert chart_found.pitch == pytest.approx(44.3, rel=0.05)
    found = distortion(chart_found, SIZE, terms=2)
    for r in (0.3, 0.6, 0.9):
        assert found.at(r) == pytest.approx(100 * (K[0] * r**2 + K[1] * r**4), abs=0.05)
    assert found.residual_px < 0.1
    # crossings are followed to where the frame cuts the cells
    assert found.reach > 0.9
    # which of both it is shows by itself
    assert len(find_lattice(color_planes(picture)).points) == len(chart_found.points)


def test_no_distortion_is_none_though_the_chart_is_tilted() -> None:
    picture = draw_points(chart(tilt=4e-3)[0])
    found = distortion(find_lattice(color_planes(picture)), SIZE, terms=1)
    assert abs(float(found.at(1.0))) < 0.02


def test_stated_deviations_are_those_of_many_charts() -> None:
    places, index = chart()
    inside = ((places > 10) & (places < np.array(SIZE) - 10)).all(1)
    places, index = bent(places[inside]), index[inside]
    rng = np.random.default_rng(4)
    runs = [
        distortion(Lattice(places + rng.normal(0, 0.2, places.shape), index), SIZE, terms=1)
        for _ in range(60)
    ]
    spread = np.std([run.coefficients[0] for run in runs])
    assert np.mean([run.deviations[0] for run in runs]) == pytest.approx(spread, rel=0.3)


@pytest.mark.parametrize("mosaic", [False, True])
def test_lateral_colour_is_measured(mosaic: bool) -> None:
    ideal = chart(turn=0.02, tilt=0.0)[0]

    def scaled(places: Array, c1: float, c3: float) -> Array:
        q = (places - MIDDLE) / HALF
        return places + q * (c1 + c3 * (q**2).sum(-1, keepdims=True))

    red, blue = (1.2, -0.5), (-0.8, 0.3)
    layers = [
        draw_points(scaled(ideal, *red), 6.0),
        draw_points(ideal, 6.0),
        draw_points(scaled(ideal, *blue) + np.array([0.2, -0.1]), 6.0),
    ]
    picture = np.stack(layers, -1)
    if mosaic:
        raw = np.empty(picture.shape[:2])
        for i, row in enumerate(("GB", "RG")):
            for j, color in enumerate(row):
                raw[i::2, j::2] = picture[i::2, j::2, "RGB".index(color)]
        planes = color_planes(raw, ("GB", "RG"))
    else:
        planes = color_planes(picture)
    found = lateral_color(planes)
    for r in (0.3, 0.6, 0.9):
        assert found.at("red", r) == pytest.approx(red[0] * r + red[1] * r**3, abs=0.03)
        assert found.at("blue", r) == pytest.approx(blue[0] * r + blue[1] * r**3, abs=0.03)
    assert found.blue_offset == pytest.approx([0.2, -0.1], abs=0.03)
    assert found.red_offset == pytest.approx([0.0, 0.0], abs=0.03)
    assert np.nanstd(found.tangential("red")) < 0.06
    assert found.worst("red") > 0 > found.worst("blue")


def test_lattices_are_numbered_from_the_middle_and_strangers_left_out() -> None:
    places, index = chart()
    order = np.random.default_rng(3).permutation(len(places))
    strangers = np.array([[101.0, 55.0], [400.0, 301.0]])
    found = lattice(np.concatenate([bent(places)[order], strangers]), tuple(MIDDLE))
    assert len(found.points) == len(places)
    by_index = {tuple(i): p for i, p in zip(index.tolist(), bent(places), strict=True)}
    for i, p in zip(found.index.tolist(), found.points, strict=True):
        np.testing.assert_allclose(by_index[tuple(i)], p)


def test_pictures_without_a_chart_are_refused() -> None:
    rng = np.random.default_rng(5)
    with pytest.raises(SettingError, match="chart"):
        find_lattice(color_planes(rng.normal(1, 0.01, (300, 400))))
    with pytest.raises(SettingError, match="64 x 64"):
        find_points(np.zeros((20, 20)))
    with pytest.raises(SettingError, match="points, lines or auto"):
        find_lattice(color_planes(np.zeros((100, 100))), kind="rings")
    with pytest.raises(SettingError, match="red, green and blue"):
        lateral_color(color_planes(np.zeros((100, 100))))
    places, index = chart()
    with pytest.raises(SettingError, match="20 or more"):
        distortion(Lattice(places[:15], index[:15]), SIZE)


def test_a_homography_takes_points_where_it_was_told() -> None:
    matrix = np.array([[1.1, 0.1, 5], [-0.2, 0.9, 7], [1e-3, 2e-3, 1]])
    points = np.random.default_rng(6).uniform(0, 100, (9, 2))
    np.testing.assert_allclose(homography(points, project(matrix, points)), matrix, atol=1e-8)
