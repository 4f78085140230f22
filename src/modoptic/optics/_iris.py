"""The iris in parts: what something blurred hides is hidden from the same part of the lens.

Where two layers are both blurred, a ray that passes beside the front one meets the one behind it at
a place that goes with its place in the iris. Laid over each other as pictures that are blurred
already, they would meet as if through unrelated parts of it. A tap of a kernel tells through which
part its light came, as the blur disc is a picture of the iris: so kernels are cut up, and each part
composited for itself.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from modoptic.optics import _layer_kernels

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

RINGS, RINGS_COARSE = 3, 1
"""Of parts about the middle one: 37 parts, and 7 where samples are coarse."""
_SOFT = 0.04
"""Parts run into each other by so much of the radius of the iris."""
_FEW = 0.1
"""Of a part's share of the light: a layer that gets less through it is taken as through all."""
_ALIKE = 1e-4
"""Parts through which the same passes within this are taken as one again."""


@functools.cache
def _centres(rings: int) -> DoubleArray:
    """Centres (n, 2) of parts of a round iris of radius 1, equally large: one, and rings of 6 k."""
    total = 1 + 3 * rings * (rings + 1)
    out = [(0.0, 0.0)]
    for k in range(1, rings + 1):
        inner, outer = (math.sqrt((1 + 3 * m * (m + 1)) / total) for m in (k - 1, k))
        # centroids of sectors
        half = math.pi / (6 * k)
        at = 2.0 / 3.0 * (outer**3 - inner**3) / (outer**2 - inner**2) * math.sin(half) / half
        turns = half * (2.0 * np.arange(6 * k) + (k & 1))
        out += [(at * math.cos(turn), at * math.sin(turn)) for turn in turns]
    return np.array(out)


@functools.lru_cache(maxsize=64)
def masks(reach: int, radius: float, soft: float, rings: int) -> FloatArray:
    """Which share of each tap came through each part of the iris, (parts, n, n), n = 2 reach + 1.

    Parameters
    ----------
    radius : of the blur disc in taps, signed: the iris is upside down in it where it is negative
    soft : how far light strays from where its part sends it, in taps
    rings : of parts
    """
    at = np.arange(-reach, reach + 1, dtype=np.float64)
    x, y = (v[:, None, None] for v in (_centres(rings) * radius).T)
    away = (at[:, None] - y) ** 2 + (at - x) ** 2
    away -= away.min(axis=0)
    out = np.exp(-0.5 * away / (soft**2 + (_SOFT * radius) ** 2))
    out[out < 1e-3] = 0.0
    out /= out.sum(axis=0)
    return out.astype(np.float32)


def mixed(cover: FloatArray, reach: int) -> BoolArray:
    """Where some of a layer and some of what is behind it lie within ``reach`` points.

    ``cover`` (h + 2 reach, w + 2 reach) is its coverage; the result (h, w).
    """
    edge = (cover > 0.0) & (cover < 1.0)
    edge[1:] |= cover[1:] != cover[:-1]
    edge[:, 1:] |= cover[:, 1:] != cover[:, :-1]
    out = edge.view(np.uint8)
    for axis in (0, 1):
        out = ndimage.maximum_filter1d(out, 2 * reach + 1, axis)
    size = slice(reach, -reach or None)
    return np.asarray(out[size, size], np.bool_)


@functools.cache
def _beside(rings: int) -> IntArray:
    """Pairs (n, 2) of parts that touch."""
    centres = _centres(rings)
    away = np.hypot(*(centres[:, None] - centres).transpose(2, 0, 1))
    # as far apart as the middles of hexagons of their size, and a little more
    far = 1.4 * math.sqrt(2.0 * math.pi / (math.sqrt(3.0) * len(centres)))
    first, second = np.nonzero(np.triu(away < far, 1))
    return np.stack([first, second], axis=1).astype(np.int64)


class Swaying(NamedTuple):
    """How parts vary within, as `_layer_kernels.under_mosaic` takes it."""

    weights: FloatArray
    inverse: FloatArray
    beside: IntArray
    sway: FloatArray


_ONE = np.ones(1, np.float32)
STILL = Swaying(_ONE, _ONE, np.zeros((0, 2), np.int64), np.zeros(0, np.float32))
"""Of all of the iris in one."""


class Left:
    """The share of light that passes what is in front, of each sample of a tile.

    Where something blurred hides a part of it, through each part of the iris. ``spare`` are arrays
    of 0 to have those in, which are given back by `done`: first touched, memory is slow.
    """

    def __init__(self, shape: tuple[int, int], spare: list[FloatArray] | None = None) -> None:
        self._spare = [] if spare is None else spare
        self.alike = np.ones(shape, np.float32)
        """(h, w) through all of the iris; 0 where it is parted."""
        self.parts = np.zeros((*shape, 0), np.float32)
        """(h, w, lanes) through each part, 0 where it is not; the first to be parted makes it."""
        self.apart = np.zeros(shape, np.float32)
        """(h, w), the sum of `parts`."""
        self.box = slice(0, 0), slice(0, 0)
        """Rows and columns within which it is more than 0."""
        self._used = self.box
        self.rings = 0
        """Of parts, see `masks`; 0 as long as nothing is parted."""
        self._discs: list[tuple[float, float]] = []
        """Signed diameters between which the blur disc of each layer lies that parted it."""
        self.swaying = STILL
        """Of these parts, among it how much of the light each gets; `weigh` knows."""

    @property
    def whole(self) -> FloatArray:
        """(h, w) through all parts together."""
        return self.alike + self.apart

    def more_than(self, limit: float, rows: slice, columns: slice) -> bool:
        """Whether so much is left of any sample in these rows and columns."""
        ends = rows.start, rows.stop, columns.start, columns.stop
        return any(
            cast(bool, _layer_kernels.any_above(of, *ends, limit))
            for of in (self.alike, self.apart)
        )

    def weigh(self, kernels: FloatArray, masks: Sequence[FloatArray]) -> FloatArray:
        """Which share of kernels (n, kinds, m, m) comes through each part, (parts, n, kinds).

        By masks (parts, m, m) of each. The first layer for which this is asked says how much of
        the light each part gets.
        """
        shares = np.empty((len(masks[0]), *kernels.shape[:2]), np.float32)
        for n, mask in enumerate(masks):
            _layer_kernels.mask_shares(kernels, n, mask, shares)
        if self.swaying is STILL:
            mean = np.maximum(shares.mean(axis=(1, 2)), 0.0)
            lanes = -(-mean.size // _layer_kernels.LANES) * _layer_kernels.LANES
            weights = np.zeros(lanes, np.float32)
            weights[: mean.size] = mean / mean.sum()
            self.swaying = self._sways(weights)
        return shares

    def _sways(self, weights: FloatArray) -> Swaying:
        beside = _beside(self.rings)
        # about its middle a disc of area A has a second moment of A / (4 pi) along each axis; the
        # squares of what six neighbours differ by, in hexagons of that area 2 A / sqrt(3) away
        # squared, add up to three times that and the slope's. At the rim there are fewer
        moment = 1.0 / (4.0 * math.pi) / (3.0 * 2.0 / math.sqrt(3.0))
        each = 6.0 / np.bincount(beside.ravel())[beside].astype(np.float32)
        sway = moment * each.sum(axis=1) * weights[beside].min(axis=1)
        inverse = np.where(weights > 0.0, 1.0 / np.maximum(weights, 1e-9), 0.0)
        return Swaying(weights, inverse.astype(np.float32), beside, sway.astype(np.float32))

    def cut(
        self, kernels: FloatArray, masks: Sequence[FloatArray], shares: FloatArray
    ) -> tuple[FloatArray, IntArray]:
        """Kernels of a layer for each part, (parts, n, kinds, m, m), by what `weigh` takes, gives.

        And the spans of their taps, beyond which they are not filled.
        """
        weights = self.swaying.weights[: len(shares)]
        whole = (shares.min(axis=(1, 2)) < _FEW * weights) | (weights == 0.0)
        out = np.empty((len(shares), *kernels.shape), np.float32)
        spans = np.empty((len(out), len(kernels), kernels.shape[2], 2), np.int64)
        for n, mask in enumerate(masks):
            _layer_kernels.cut_kernels(kernels, n, mask, shares, whole, out, spans)
        return out, spans

    def part(
        self, where: BoolArray, corner: tuple[int, int], discs: tuple[float, float]
    ) -> None:  # fmt: skip
        """From now on by parts of the iris, where (h, w) from a place of the tile on says so.

        ``discs``: signed diameters between which the blur disc of what hides it there lies.
        """
        rows, columns = np.flatnonzero(where.any(axis=1)), np.flatnonzero(where.any(axis=0))
        if not rows.size:
            return
        self._discs.append(discs)
        if not self.parts.size:
            shape = *self.alike.shape, self.swaying.weights.size
            size = math.prod(shape)
            self.parts = self._zeros(size)[:size].reshape(shape)
        _layer_kernels.part_light(
            np.ascontiguousarray(where), *corner, self.swaying.weights, self.alike, self.parts,
            self.apart,
        )  # fmt: skip
        spans = [
            slice(first + int(at[0]), first + int(at[-1]) + 1)
            for first, at in zip(corner, (rows, columns), strict=True)
        ]
        self.box = _hull(self.box[0], spans[0]), _hull(self.box[1], spans[1])
        self._used = _hull(self._used[0], spans[0]), _hull(self._used[1], spans[1])

    def parted_at(self, least: float, most: float) -> bool:
        """Whether something whose blur disc is like one between these has parted it."""
        return any(first <= most and least <= last for first, last in self._discs)

    def _zeros(self, size: int) -> FloatArray:
        """At least so many."""
        try:
            found = self._spare.pop()
        except IndexError:
            return np.zeros(size, np.float32)
        return found if found.size >= size else np.zeros(size, np.float32)

    def done(self) -> None:
        """Nothing more is asked of it."""
        if self.parts.size:
            self.parts[self._used] = 0.0
            self._spare.append(cast(FloatArray, self.parts.base))

    def within(self, corner: tuple[int, int], shape: tuple[int, int]) -> tuple[slice, slice] | None:
        """`box` within a part of the tile, counted from its corner; None if it lies outside."""
        out = [
            slice(max(span.start - first, 0), min(span.stop - first, size))
            for span, first, size in zip(self.box, corner, shape, strict=True)
        ]
        return (out[0], out[1]) if all(s.start < s.stop for s in out) else None

    def pass_on(self, alone: FloatArray, kept: FloatArray, light: FloatArray) -> None:
        """Add to light (h, w) a layer ``alone``, alike through all parts, that leaves ``kept``."""
        _layer_kernels.pass_parts(alone, kept, light, self.parts, self.apart, *self._ends())

    def gather(self) -> None:
        """Parts have changed: those through which the same share is left are alike again."""
        if not _empty(self.box):
            top, bottom, left, right = cast(
                "tuple[int, int, int, int]",
                _layer_kernels.gather_parts(
                    self.parts, self.swaying.weights, self.alike, self.apart, *self._ends(), _ALIKE
                ),
            )
            self.box = slice(top, bottom), slice(left, right)

    def _ends(self) -> tuple[int, int, int, int]:
        rows, columns = self.box
        return rows.start, rows.stop, columns.start, columns.stop


def _empty(box: tuple[slice, slice]) -> bool:
    return any(span.start >= span.stop for span in box)


def _hull(one: slice, other: slice) -> slice:
    """From the first to the last of two spans, the one of which may be empty."""
    if one.start >= one.stop:
        return other
    return slice(min(one.start, other.start), max(one.stop, other.stop))
