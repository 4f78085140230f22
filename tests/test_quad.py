"""Quad-Bayer mosaics become the Bayer mosaics that the same light would have given."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from modoptic.errors import SettingError
from modoptic.optics import IdealLens, LensState, LightRenderer, SampleGrid, SpectralResponse
from modoptic.quad import BAYER, QUAD, is_quad, remosaic, remosaic_rows, rows_needed
from modoptic.scenes import WAVELENGTHS_NM, load_scene

UInt16Image = npt.NDArray[np.uint16]


def sampled(picture: npt.NDArray[np.generic], cfa: tuple[str, ...]) -> UInt16Image:
    """The mosaic of a picture (height, width, 3)."""
    n = len(cfa)
    out = np.empty(picture.shape[:2], np.uint16)
    for y in range(n):
        for x in range(n):
            out[y::n, x::n] = picture[y::n, x::n, "RGB".index(cfa[y][x])]
    return out


def psnr(found: npt.NDArray[np.generic], wanted: npt.NDArray[np.generic], peak: float) -> float:
    error = (found.astype(np.float64) - wanted)[8:-8, 8:-8]
    return float(10.0 * np.log10(peak**2 / np.mean(error**2)))


def nearest(mosaic: UInt16Image) -> UInt16Image:
    """Each colour from its nearest photosites, averaged: the plainest remosaic there is."""
    out = np.zeros(mosaic.shape)
    weight = np.zeros(mosaic.shape)
    height, width = mosaic.shape
    want = np.tile(np.array([list(r) for r in BAYER]), (height // 2, width // 2))
    have = np.tile(np.array([list(r) for r in QUAD]), (height // 4, width // 4))
    for reach in (0, 1, 2):
        open_ = weight == 0
        for dy in range(-reach, reach + 1):
            for dx in range(-reach, reach + 1):
                if max(abs(dy), abs(dx)) != reach:
                    continue
                there = np.roll(have, (dy, dx), (0, 1)) == want
                use = open_ & there
                out[use] += np.roll(mosaic, (dy, dx), (0, 1))[use]
                weight[use] += 1
    return np.rint(out / weight).astype(np.uint16)


def test_the_pattern_is_known() -> None:
    assert is_quad(QUAD) and not is_quad(BAYER)
    same = sum(QUAD[y][x] == BAYER[y & 1][x & 1] for y in range(4) for x in range(4))
    assert same == 6


@pytest.mark.parametrize("color", [(1000, 1000, 1000), (300, 2100, 900), (4095, 4095, 1200)])
def test_an_even_field_stays_exact_to_the_last_corner(color: tuple[int, int, int]) -> None:
    picture = np.broadcast_to(np.array(color), (72, 840, 3))
    np.testing.assert_array_equal(remosaic(sampled(picture, QUAD)), sampled(picture, BAYER))


def test_photosites_of_the_right_colour_pass_through() -> None:
    mosaic = np.random.default_rng(3).integers(0, 4096, (64, 96)).astype(np.uint16)
    found = remosaic(mosaic)
    for y in range(4):
        for x in range(4):
            kept = found[y::4, x::4] == mosaic[y::4, x::4]
            assert kept.all() == (QUAD[y][x] == BAYER[y & 1][x & 1])


def test_black_is_added_after_as_before() -> None:
    mosaic = np.random.default_rng(4).integers(500, 900, (32, 32)).astype(np.uint16)
    more = remosaic(mosaic + np.uint16(256)).astype(int) - 256
    assert np.abs(more - remosaic(mosaic)).max() <= 1


def test_rows_of_any_division_and_tiles_of_any_width_are_the_same() -> None:
    # wider and higher than a tile of the kernel
    mosaic = np.random.default_rng(5).integers(0, 4096, (120, 1700)).astype(np.uint16)
    whole = remosaic(mosaic)
    for first, end in ((0, 4), (48, 60), (4, 120), (116, 120)):
        low, high = rows_needed(first, end, 120)
        out = np.empty((end - first, 1700), np.uint16)
        remosaic_rows(mosaic[low:high].copy(), low, 120, first, 4095, out)
        np.testing.assert_array_equal(out, whole[first:end])
    # what is far from both edges does not know of them
    np.testing.assert_array_equal(remosaic(mosaic[:, 400:800].copy())[:, 16:-16], whole[:, 416:784])


def test_straight_edges_along_rows_and_columns_stay_sharp() -> None:
    for turned in (False, True):
        picture = np.empty((64, 64, 3))
        picture[:] = np.where(np.arange(64)[:, None, None] < 29, 400, 3000)
        picture = picture.swapaxes(0, 1) if turned else picture
        found, wanted = remosaic(sampled(picture, QUAD)), sampled(picture, BAYER)
        error = np.abs(found.astype(int) - wanted)[8:-8, 8:-8]
        assert (error > 26).mean() < 0.15 and error.max() < 1300


def _light(scene: str, **options: object) -> tuple[npt.NDArray[np.float32], ...]:
    """Noise-free light of a scene on a quad and on a Bayer mosaic, in DN up to 3600."""

    def bell(peak: float) -> npt.NDArray[np.float64]:
        return 0.6 * np.exp(-0.5 * ((WAVELENGTHS_NM - peak) / 35.0) ** 2)

    response = SpectralResponse(WAVELENGTHS_NM, np.stack([bell(600), bell(540), bell(460)]))
    renderer = LightRenderer(load_scene(scene, **options), response, IdealLens(), diffusion_um=0.3)
    x = (np.arange(768) - 500.0) * 1.485
    y = (np.arange(640) - 300.0) * 1.485
    lens = LensState(17.5, 4.0, 1.0)
    made = [renderer.light(lens, SampleGrid(x, y, 1.485, 1.485**2, cfa)) for cfa in (QUAD, BAYER)]
    top = float(made[1].max())
    return tuple(np.rint(light / top * 3600) for light in made)


@pytest.mark.parametrize(
    ("scene", "least", "gain"),
    # leaves differ in colour at every edge, which nothing that goes by green can know
    [("chart", 37.0, 15.0), ("siemens-star", 37.0, 15.0), ("dead-leaves", 31.0, 2.5)],
)
def test_remosaiced_light_is_near_light_on_a_bayer_mosaic(
    scene: str, least: float, gain: float
) -> None:
    quad, bayer = _light(scene)
    found = remosaic(quad.astype(np.uint16))
    ours, plain = psnr(found, bayer, 3600.0), psnr(nearest(quad.astype(np.uint16)), bayer, 3600.0)
    print(f"{scene}: {ours:.2f} dB, nearest neighbours {plain:.2f} dB")
    assert ours > least and ours > plain + gain


def test_sides_that_hold_no_whole_cells_are_refused() -> None:
    with pytest.raises(SettingError, match="multiples of 4"):
        remosaic(np.zeros((34, 32), np.uint16))
