"""Parts of the iris: what hides what is behind it, and how sharply a lamp is cut."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from tests.optics.test_depth_edges import LENS, RESPONSE, WHITE, grid, level, sheet

from modoptic.bench.twin_edges import twin_light
from modoptic.optics import (
    IdealLens,
    LensState,
    LightRenderer,
    SampleGrid,
    _kernels,
    _layer_kernels,
    reference_light,
)
from modoptic.optics._iris import (
    RINGS,
    Left,
    _beside,  # pyright: ignore[reportPrivateUsage]
    _centres,  # pyright: ignore[reportPrivateUsage]
    masks,
    mixed,
)
from modoptic.scenes import Lamps, Scene

FloatArray = npt.NDArray[np.float32]


@pytest.mark.parametrize("radius", [0.0, 3.0, -11.5])
def test_parts_share_every_tap_and_a_large_disc_evenly(radius: float) -> None:
    found = masks(14, radius, 0.7, RINGS)
    assert found.shape == (37, 29, 29)
    assert found.sum(axis=0) == pytest.approx(1.0, abs=1e-6)
    at = np.arange(-14, 15)
    disc = np.hypot(at[:, None], at) <= abs(radius)
    shares = (found * disc).sum(axis=(1, 2)) / disc.sum()
    assert shares == pytest.approx(1 / 37, rel=0.5)
    if radius < 0.0:
        # the disc of what is beyond the focus is upside down
        assert found[:, ::-1, ::-1] == pytest.approx(masks(14, -radius, 0.7, RINGS), abs=1e-6)


def test_spans_hold_all_taps_of_a_kernel_and_no_more() -> None:
    kernels = np.zeros((1, 2, 3, 9, 9), np.float32)
    kernels[0, 0, 1, 1:4, 2:6] = 1.0
    kernels[0, 0, 2, 3, 7] = -1.0
    kernels[0, 1, 0, 4, 4] = 1.0
    spans = np.empty((1, 2, 9, 2), np.int64)
    _layer_kernels.tap_spans(kernels, spans)
    wanted = np.zeros((2, 9, 2), np.int64)
    wanted[0, 1:4] = 2, 6
    wanted[0, 3, 1] = 8
    wanted[1, 4] = 4, 5
    assert (spans[0] == wanted).all()


def test_a_trimmed_kernel_lacks_its_faint_rim_alone() -> None:
    at = np.arange(-20, 21)
    away = np.hypot(at[:, None], at)
    kernel = np.where(away < 12.0, 1.0, 0.02 * np.exp(-(away - 12.0) / 6.0)).astype(np.float32)
    kernel /= kernel.sum()
    found = kernel[None].copy()
    _kernels.trim(found, 0.002)
    assert found.sum() == pytest.approx(1.0, abs=1e-6)
    gone = found[0] == 0.0
    assert 0.001 < kernel[gone].sum() < 0.002 and gone.mean() > 0.15
    assert kernel[gone].max() <= kernel[~gone].min() * 1.01
    assert not gone[away < 12.0].any()
    _kernels.trim(found, 0.0)
    assert (found[0] == 0.0).sum() == gone.sum()


def test_kernels_of_parts_are_what_masks_leave_and_add_up_to_one() -> None:
    rng = np.random.default_rng(3)
    kernels = rng.random((2, 3, 29, 29), np.float32)
    kernels[:, :, :4] = 0.0
    kernels /= kernels.sum(axis=(2, 3), keepdims=True)
    each = [masks(14, radius, 0.7, RINGS) for radius in (12.0, -11.0)]
    left = Left((4, 6))
    left.rings = RINGS
    shares = left.weigh(kernels, each)
    assert shares.sum(axis=0) == pytest.approx(1.0, abs=1e-5)
    found, spans = left.cut(kernels, each, shares)
    columns = np.arange(29)
    within = (columns >= spans[..., :1]) & (columns < spans[..., 1:])
    for n, mask in enumerate(each):
        wanted = kernels[n] * mask[:, None]
        wanted /= wanted.sum(axis=(2, 3), keepdims=True)
        assert (wanted[~np.broadcast_to(within[:, n, None], wanted.shape)] == 0.0).all()
        taps = np.where(within[:, n, None], found[:, n], 0.0)
        assert taps == pytest.approx(wanted, abs=1e-6)
    # most of each part's taps are left out
    assert within.mean() < 0.12


def test_what_is_spare_is_zero_again_for_the_next_tile() -> None:
    spare: list[FloatArray] = []
    for _ in range(2):
        left = Left((8, 6), spare)
        left.rings = RINGS
        left.weigh(np.full((1, 3, 29, 29), 29**-2, np.float32), [masks(14, 10.0, 0.7, RINGS)])
        left.part(np.ones((2, 3), np.bool_), (1, 2), (0.0, 0.0))
        assert left.apart.sum() == pytest.approx(6.0) and not left.parts[3:].any()
        assert left.parts.sum() == pytest.approx(6.0)
        left.parts[1, 2, 0] = 0.5
        left.done()
        assert len(spare) == 1 and not spare[0].any()


def test_what_parted_is_known_by_its_blur() -> None:
    left = Left((4, 6))
    left.rings = RINGS
    left.weigh(np.full((1, 3, 29, 29), 29**-2, np.float32), [masks(14, 10.0, 0.7, RINGS)])
    left.part(np.zeros((2, 3), np.bool_), (1, 2), (-0.5, 0.5))
    assert not left.parted_at(-1.0, 1.0), "what hides nothing parts nothing"
    left.part(np.ones((2, 3), np.bool_), (1, 2), (0.010, 0.012))
    assert left.parted_at(0.012, 0.02) and left.parted_at(0.011, 0.0115)
    assert not left.parted_at(0.013, 0.02) and not left.parted_at(-0.012, -0.010)


def test_parts_that_touch_are_neighbours_all_round() -> None:
    for rings, pairs in ((1, 12), (3, 90)):
        beside = _beside(rings)
        assert len(beside) == pairs
        count = np.bincount(beside.ravel())
        # within the rim each has about six
        assert count[0] == 6 and count.min() >= 3 and count.max() <= 7


@pytest.mark.parametrize("rings", [1, 3])
def test_what_passes_and_what_is_seen_vary_together_within_parts(rings: int) -> None:
    # over the iris both rise from one side to the other: their product's mean is more than that
    # of their means in each part
    left = Left((2, 2))
    left.rings = rings
    at = np.arange(-14, 15)
    disc = (np.hypot(at[:, None], at) <= 13.0).astype(np.float32)
    kernel = np.broadcast_to(disc / disc.sum(), (1, 3, 29, 29)).copy()
    left.weigh(kernel, [masks(14, 13.0, 0.7, rings)])
    parts = 1 + 3 * rings * (rings + 1)
    x = _centres(rings)[:, 0]
    left.part(np.ones((2, 2), np.bool_), (0, 0), (0.0, 0.0))
    passing, share = left.parts, left.apart
    weights = left.swaying.weights
    passing[..., :parts] = weights[:parts] * (0.5 + 0.5 * x)
    share[:] = passing.sum(axis=2)
    planes = np.zeros((3, 6, 3, passing.shape[2]), np.float32)
    planes[:, :3, :, :parts] = 1.0 + x
    planes[:, 3:, :, :parts] = 0.3 * (1.0 + x)
    light = np.zeros((2, 2), np.float32)
    at, part = np.arange(2), np.full(2, 0.5, np.float32)
    pattern = np.zeros((2, 2), np.int64)
    _layer_kernels.under_mosaic(
        planes, at, part, at, part, 0, 0, pattern, light, passing, share, *left.swaying
    )
    # over a disc of radius 1 the mean of x squared is a quarter
    assert light == pytest.approx(0.5 * 1.25, rel=0.002 if rings == 3 else 0.015)
    assert share == pytest.approx(0.5 - 0.15 * 1.25, rel=0.002 if rings == 3 else 0.015)
    assert share == pytest.approx(passing.sum(axis=2), rel=1e-5)
    # without what is within parts, it would lack as much
    means = float((weights[:parts] * (0.5 + 0.5 * x) * (1.0 + x)).sum())
    assert means < float(light.max()) - (0.002 if rings == 3 else 0.012)


def test_what_is_mixed_reaches_as_far_as_the_kernel() -> None:
    cover = np.zeros((20, 30), np.float32)
    cover[:, 15:] = 1.0
    found = mixed(cover, 3)
    assert found.shape == (14, 24)
    # an edge between columns 14 and 15, 11 and 12 of the result
    assert np.flatnonzero(found[0]).tolist() == list(range(9, 16))


def test_parts_that_let_the_same_pass_are_one_again() -> None:
    left = Left((4, 6))
    left.rings = RINGS
    kernel = np.ones((1, 3, 29, 29), np.float32) / 29**2
    left.weigh(kernel, [masks(14, 10.0, 0.7, RINGS)])
    left.part(np.ones((2, 3), np.bool_), (1, 2), (0.0, 0.0))
    assert left.whole == pytest.approx(1.0, abs=1e-6)
    assert left.within((0, 0), (4, 6)) == (slice(1, 3), slice(2, 5))
    left.parts[1, 2] *= 0.25
    left.parts[2, 4, :9] = 0.0
    left.gather()
    assert left.alike[1, 2] == pytest.approx(0.25, abs=1e-6) and not left.parts[1, 2].any()
    assert left.alike[2, 4] == 0.0 and left.parts[2, 4, 9:19].all()
    rest = float(left.parts[2, 4].sum())
    assert left.apart[2, 4] == pytest.approx(rest) and left.whole[2, 4] == pytest.approx(rest)
    # nothing else is in parts any more
    assert left.within((0, 0), (4, 6)) == (slice(2, 3), slice(4, 5))
    assert left.more_than(0.9 * rest, slice(2, 3), slice(4, 5))
    assert not left.more_than(1.1 * rest, slice(2, 3), slice(4, 5))


def test_a_blurred_card_hides_a_blurred_one_right_behind_it() -> None:
    card, behind = sheet(0.6, 0.0, half=0.02), sheet(0.6001, 1.0, half=0.02)
    samples = grid(96, 24.0)
    light = twin_light(Scene("a", "a", (behind, card)), RESPONSE, LENS, samples)
    # as if through unrelated parts of the iris, a quarter of the light would be left
    assert light.max() < 0.08 * level(LENS) * 16.0


def _lamp_and_card(lamp_z: float, card_z: float) -> Scene:
    lamp = Lamps(
        "lamp", np.array([[0.004, 0.003, lamp_z]]), np.array([2.5e-3]), 300.0 * WHITE[None]
    )
    return Scene("a", "a", (sheet(6.0, 0.02), lamp, sheet(card_z, 0.05, half=0.05, x=0.05)))


@pytest.mark.parametrize(("lamp_z", "card_z"), [(3.0, 0.6), (4.0, 2.0), (0.5, 0.42)])
def test_a_lamp_is_cut_as_sharply_as_rays_cut_it(lamp_z: float, card_z: float) -> None:
    lens = LensState(17.5, 1.4, 1.0)
    samples = grid(160, 3.0)
    scene = _lamp_and_card(lamp_z, card_z)
    wanted = reference_light(scene, RESPONSE, lens, samples, rays=256)
    found = LightRenderer(scene, RESPONSE, IdealLens()).light(lens, samples)
    bright = wanted > 0.5 * wanted.max()
    assert 0.005 < bright.mean() < 0.8
    # half of the disc is left, and its edge lies where rays have it
    assert found.sum() / wanted.sum() == pytest.approx(1.0, abs=0.04)
    edge = np.abs(found - wanted) > 0.25 * wanted.max()
    assert edge.mean() < 0.02


def test_a_lamp_in_a_coarse_sample_is_that_of_the_fine_ones() -> None:
    lens = LensState(17.5, 1.4, 1.0)
    at = (np.arange(320) - 159.5) * 1.5
    fine = SampleGrid(at, at, 1.5, 2.25, ("GG", "GG"))
    coarse = SampleGrid(*(at.reshape(-1, 4).mean(axis=1),) * 2, 6.0, 36.0, ("GG", "GG"), 1, 3)
    scene = _lamp_and_card(3.0, 0.6)
    renderer = LightRenderer(scene, RESPONSE, IdealLens())
    wanted = renderer.light(lens, fine).reshape(80, 4, 80, 4).sum(axis=(1, 3))
    found = renderer.light(lens, coarse)
    assert np.sqrt(np.mean((found - wanted) ** 2)) < 0.01 * wanted.max()
