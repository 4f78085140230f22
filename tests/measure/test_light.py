"""Shading, glare: fields of light made with known faults."""

from __future__ import annotations

import numpy as np
import pytest

from modoptic.errors import SettingError
from modoptic.measure import color_planes, shading_map, veiling_glare

SIZE = 480, 640


def field(fall: float = 0.5, red: float = 0.1) -> np.ndarray:
    """(h, w, 3) light that falls by ``fall`` to the corners; red falls further."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]].astype(float)
    r2 = ((x - 319.5) ** 2 + (y - 239.5) ** 2) / (319.5**2 + 239.5**2)
    light = 1 - fall * r2
    return np.stack([light * (1 - red * r2), light, light * (1 + red * r2)], -1)


def mosaic_of(picture: np.ndarray) -> np.ndarray:
    raw = np.empty(picture.shape[:2])
    for i, row in enumerate(("RG", "GB")):
        for j, color in enumerate(row):
            raw[i::2, j::2] = picture[i::2, j::2, "RGB".index(color)]
    return raw


@pytest.mark.parametrize("raw", [False, True])
def test_known_shading_is_measured(raw: bool) -> None:
    picture = 64 + 1000 * field()
    rng = np.random.default_rng(1)
    picture += rng.normal(0, 10, picture.shape)
    planes = color_planes(
        mosaic_of(picture) if raw else picture, ("RG", "GB") if raw else None, black_level=64.0
    )
    found = shading_map(planes, blocks=20)
    y, x = np.meshgrid(found.y, found.x, indexing="ij")
    r2 = ((x - 319.5) ** 2 + (y - 239.5) ** 2) / (319.5**2 + 239.5**2)
    # a block's mean is the value at its middle but for the little that the field bends there
    np.testing.assert_allclose(found.light, 1 - 0.5 * r2, atol=0.006)
    np.testing.assert_allclose(found.color[0], 1 - 0.1 * r2, atol=0.01)
    np.testing.assert_allclose(found.color[1], 1 + 0.1 * r2, atol=0.01)
    assert found.nonuniformity == pytest.approx(100 * 0.5 * r2.max(), abs=1.0)
    assert found.color_nonuniformity[0] == pytest.approx(100 * 0.1 * r2.max(), abs=1.5)
    assert found.corners == pytest.approx(found.light[[0, 0, -1, -1], [0, -1, 0, -1]])
    block = 640 // 20 // planes.step
    assert found.noise == pytest.approx(0.01 / block, rel=0.15)


def test_flat_frames_that_do_not_do_are_refused() -> None:
    with pytest.raises(SettingError, match="light in the middle"):
        shading_map(color_planes(np.zeros((300, 400))))
    with pytest.raises(SettingError, match="clipped"):
        shading_map(color_planes(np.full((300, 400), 255.0), white_level=255))
    with pytest.raises(SettingError, match="8 x 8 samples"):
        shading_map(color_planes(np.ones((40, 40))))
    with pytest.raises(SettingError, match="grey picture"):
        _ = shading_map(color_planes(np.ones((300, 400)))).color


def patch(index: float, *, square: bool = False) -> np.ndarray:
    y, x = np.mgrid[: SIZE[0], : SIZE[1]].astype(float)
    distance = np.hypot(x - 331, y - 222)
    if square:
        distance = np.maximum(np.abs(x - 331), np.abs(y - 222))
    edge = 1 / (1 + np.exp((60 - distance) / 2))
    return index + (1 - index) * edge


@pytest.mark.parametrize("square", [False, True])
def test_known_glare_is_measured(square: bool) -> None:
    light = np.stack([patch(v, square=square) for v in (0.02, 0.013, 0.03)], -1)
    raw = 64 + 800 * mosaic_of(light) + np.random.default_rng(2).normal(0, 3, SIZE)
    planes = color_planes(raw, ("RG", "GB"), black_level=64.0, white_level=1023.0)
    found = veiling_glare(planes)
    assert found.center == pytest.approx((331, 222), abs=0.5)
    for figure, truth in zip(found.index, (2.0, 1.3, 3.0), strict=True):
        assert figure.value == pytest.approx(truth, abs=0.05)
        assert figure.low < truth < figure.high
    boxed = veiling_glare(planes, box=(230, 120, 200, 200))
    assert boxed.index[1].value == pytest.approx(1.3, abs=0.05)


def test_glare_below_the_black_level_uncertainty_is_not_measurable() -> None:
    raw = 64 + 800 * patch(0.0005) + np.random.default_rng(3).normal(0, 3, SIZE)
    found = veiling_glare(color_planes(raw, black_level=64.0), black_level_deviation=1.0)
    assert found.index[0].value is None
    assert "not measurable" in str(found.index[0])
    assert 0.05 < found.index[0].high < 0.5


def test_pictures_without_a_black_patch_are_refused() -> None:
    with pytest.raises(SettingError, match="a black patch"):
        veiling_glare(color_planes(np.ones(SIZE)))
    with pytest.raises(SettingError, match="bright all around"):
        veiling_glare(color_planes(np.concatenate([np.zeros(SIZE), np.ones(SIZE)])))
    with pytest.raises(SettingError, match="clipped"):
        veiling_glare(color_planes(patch(0.1), white_level=1.0))
    with pytest.raises(SettingError, match="within 640 x 480"):
        veiling_glare(color_planes(patch(0.1)), box=(600, 0, 100, 100))
