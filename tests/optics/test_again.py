"""Light that is asked for again while the ring turns: cores and tails of kernels, what is kept."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from modoptic.optics import (
    LensState,
    LightRenderer,
    SampleGrid,
    SpectralResponse,
    TracedLens,
    VeilingGlare,
    _exact,
    _tail_kernels,
)
from modoptic.optics._exact import paired
from modoptic.optics._spread import Binning, Cell, Kind, Spread
from modoptic.optics._tails import SIDE, Split, split
from modoptic.optics._turning import Turning
from modoptic.scenes import WAVELENGTHS_NM, load_scene

FloatArray = npt.NDArray[np.float32]


def _flare(reach: int, disc: float) -> FloatArray:
    """A disc with three tenths of its light in a wide skirt, (1, n, n)."""
    at = np.arange(-reach, reach + 1)
    far = np.hypot(at[:, None], at)
    core = np.clip(disc + 0.5 - far, 0.0, 1.0)
    skirt = np.clip(reach - far, 0.0, 1.0) / (4.0 + far) ** 2.5
    both = 0.7 * core / core.sum() + 0.3 * skirt / skirt.sum()
    return both[None].astype(np.float32)


def _convolved(picture: FloatArray, parts: Split, opaque: bool) -> FloatArray:
    """The middle of a picture (n, n) as a mosaic of one colour sees it."""
    room, size = 64, picture.shape[0] - 128
    pairs = paired(np.zeros((2, 2), np.int64), (Kind(0),) * 4)
    assert pairs is not None
    planes = np.stack([picture] * 3 + [np.full_like(picture, 0.5)] * (not opaque))
    # kernels read a little beyond the last row
    rows, count = picture.shape[0], picture.shape[1] // SIDE
    image = np.empty((rows + 1, len(planes), SIDE, count), np.float32)[:-1]
    _tail_kernels.split_image(planes, image)
    blocks = np.empty((rows // SIDE + 1, len(planes), count), np.float32)[:-1]
    _tail_kernels.block_means(image, blocks)
    light, passing = np.zeros((size, size), np.float32), np.ones((size, size), np.float32)
    reaches = [np.array([(part.shape[1] + 1) // 2 - 1], np.int64) for part in parts]
    left = _tail_kernels.convolve_pairs(
        image, blocks, (0, 0), np.zeros(size, np.int64), parts.core[None], reaches[0],
        parts.tail[None], reaches[1], pairs.colors, pairs.order, pairs.columns,
        (room, room, size), (room, room), light, passing,
    )  # fmt: skip
    assert left == pytest.approx(0.0 if opaque else 0.5, abs=1e-5)
    return light


@pytest.mark.parametrize("disc", [0.0, 3.0, 6.0, 9.0])
def test_core_and_tail_are_the_kernel(disc: float) -> None:
    kernel = _flare(22, disc)
    parts = split(kernel, 0.0012)
    assert parts.core.shape[1] < 32
    assert parts.core.sum() + parts.tail.sum() == pytest.approx(1.0, abs=2e-4)
    rng = np.random.default_rng(3)
    # patches with sharp edges, some as small as photosites
    picture = np.kron(rng.random((32, 32)), np.ones((8, 8))).astype(np.float32)
    picture *= rng.integers(0, 2, picture.shape)
    for opaque in (True, False):
        wanted = _convolved(picture, split(kernel, 0.0), opaque)
        error = _convolved(picture, parts, opaque) - wanted
        assert float(np.sqrt(np.mean(error**2))) < 0.003
        by_hand = float((kernel[0] * picture[64 + 37 - 22 : 64 + 60, 64 + 50 - 22 : 64 + 73]).sum())
        assert wanted[37, 50] == pytest.approx(by_hand, rel=1e-4)


def test_a_kernel_without_a_smooth_tail_stays_whole() -> None:
    rng = np.random.default_rng(4)
    rough = rng.random((1, 31, 31)).astype(np.float32)
    rough[:, 8:23, 8:23] = 0.0
    rough /= rough.sum()
    assert split(rough, 0.0012).tail.size == 0


def _window(width: int, height: int, x: int, y: int) -> SampleGrid:
    columns = (np.arange(width, dtype=np.float64) + x - 5823.5) * 1.485
    rows = (np.arange(height, dtype=np.float64) + y - 4367.5) * 1.485
    return SampleGrid(columns, rows, 1.485, 1.485**2, ("RRGG", "RRGG", "GGBB", "GGBB"))


def _psnr(found: FloatArray, wanted: FloatArray) -> float:
    white = np.float32(np.percentile(wanted, 99.5))
    error = np.minimum(found, white) - np.minimum(wanted, white)
    return float(20.0 * np.log10(white / (np.sqrt(np.mean(error**2)) + 1e-30)))


@pytest.mark.parametrize(
    ("f_number", "place"), [(1.4, (5600, 4400)), (1.4, (8300, 6300)), (5.6, (5600, 4400))]
)
def test_a_region_while_the_ring_turns(f_number: float, place: tuple[int, int]) -> None:
    bells = [0.6 * np.exp(-0.5 * ((WAVELENGTHS_NM - at) / 35.0) ** 2) for at in (600, 540, 460)]
    response = SpectralResponse(WAVELENGTHS_NM, np.stack(bells))
    renderer = LightRenderer(
        load_scene("studio"), response, TracedLens.load("us20250271647"),
        diffusion_um=0.3, glare=VeilingGlare(0.005, 10811.0),
    )  # fmt: skip
    region = _window(640, 400, *place)
    for focus in (1.04, 1.03, 1.02, 1.015, 0.98, 0.975, 0.97, 0.4):
        lens = LensState(17.5, f_number, focus)
        found = renderer.light(lens, region, again=True)
        wanted = renderer.light(lens, region)
        assert _psnr(found, wanted) > 50.0
        assert found.mean() == pytest.approx(wanted.mean(), rel=1e-3)


def _apart(found: FloatArray, wanted: FloatArray) -> float:
    """By what share of its light the kernels (kinds, n, n) of two sizes differ, the worst kind."""
    most = max(found.shape[1], wanted.shape[1])
    each: list[FloatArray] = []
    for kernels in (found, wanted):
        room = (most - kernels.shape[1]) // 2
        each.append(np.pad(kernels, ((0, 0), (room, room), (room, room))))
    return float(0.5 * np.abs(each[0] - each[1]).sum(axis=(1, 2)).max())


def test_kernels_between_two_places_of_the_ring_are_those_of_where_it_is() -> None:
    bells = [0.6 * np.exp(-0.5 * ((WAVELENGTHS_NM - at) / 35.0) ** 2) for at in (600, 540, 460)]
    response = SpectralResponse(WAVELENGTHS_NM, np.stack(bells))
    lens = TracedLens.load("us20250271647")
    turning = Turning(lens, response, 0.3)
    turning.spread(lens.pupil(LensState(17.5, 1.4, 1.0001)))
    pupil = lens.pupil(LensState(17.5, 1.4, 1.0))
    spread, own = turning.spread(pupil), Spread(pupil, response, 0.3)
    kinds = Kind(0), Kind(1), Kind(2)
    for away in (-0.044, 0.0, 0.04):
        depth = round(pupil.thin.inverse_focus + away, 3)
        asked = Cell(1, 0, 760.0), depth, 1.485, Binning(1.485), kinds, 0.0
        found, wanted = (each.parted(*asked).core for each in (spread, own))
        assert 0.0 < _apart(found, wanted) < 0.2


def test_there_are_numbers_where_kernels_read_beyond_the_last_row() -> None:
    # a tap of 0 does not hide what is not a number
    rows = _exact._and_beyond(3, 4, 5)
    assert rows.shape == (3, 4, 5) and rows.base is not None
    assert rows.base.shape == (4, 4, 5) and not rows.base[-1].any()
