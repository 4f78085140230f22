"""The full model: layers convolved with the lens' kernel for their place, depth and colour."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from modoptic.bands import run_bands
from modoptic.optics import _kernels, _layer_kernels, _tail_kernels
from modoptic.optics._iris import (
    RINGS,
    RINGS_COARSE,
    STILL,
    Left,
    Swaying,
    masks,
    mixed,
)
from modoptic.optics._pupil import Pupil, bent, quick_size
from modoptic.optics._sources import (
    COVERS,
    Bulbs,
    Cached,
    Direct,
    Lattice,
    SampleGrid,
    Surface,
    Texture,
    means_of_four,
    moved_out,
    reach_um,
)
from modoptic.optics._spread import Binning, Cell, Kind, Spread
from modoptic.optics._tails import SIDE

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_OPAQUE = 1e-4
"""A share of light below this, left behind what is in front, is not traced further."""
_DETAIL = 6.5
"""A layer is evaluated at the coarsest points of which so many fit into its blur disc."""
_DETAIL_EDGES, _CLOSEST = 48.0, 2
"""The same where it has edges, if samples are not coarse; but from this level of points on half as
far apart as elsewhere at least."""
_DETAIL_TOUCHED, _EDGES_TOUCHED = 17.0, 34.0
"""The same where a slanted layer is hidden by what stands on it, smooth and with edges."""
_EDGE = 0.3
"""Neighbouring points whose light differs by so much of its sum are an edge within a layer."""
_CLOSER_FROM = 4
"""In a picture that changes only from this level on: there points are few."""
_MORE_FROM_UM = 250.0
"""Where what is parted first has a larger blur disc, the iris has a ring of parts more."""
_RINGS_FROM_UM = 200.0
"""And there is parted coarsely what blur discs smaller than that hide."""
_BLUR_STEP_UM = 4.5
"""Kernels of a slanted layer are made for blur discs so far apart; farther, half a sample or a
point of the level, where those are larger."""
_BLUR_STEP_COARSE_UM = 24.0
"""The same for coarse samples."""
_COARSE_UM = 5.0
"""Samples so far apart are coarse: a finder's."""
_CELL_UM, _CELL_COARSE_UM = 760.0, 2000.0
"""Side of the squares of the sensor that share their kernels; the same for coarse samples."""
_WHOLE_UM = 8.0
"""Blur discs smaller than that are taken as alike through all parts of the iris."""
_LAMP_BLUR = 3.0
"""Lamps whose blur disc has a diameter of fewer samples are alike through all of the iris, too."""
_LAMP_DENSE = 3
"""Points to a coarse sample at which what hides a lamp from it is evaluated."""
_SOFT_STEPS, _SOFT_AIRY = 0.4, 0.3
"""Light strays from where its part of the iris sends it by so many steps of the lattice, and by so
many um times the f-number."""
_LAMP_KEPT = 0.9998
_LAMP_TAIL_UM = 6.0
"""A lamp's diffraction is drawn so far beyond its blur, times the f-number, and fades to nothing
there: all but 1 % of an Airy pattern."""
_DENSE_FROM = 4
"""From this binning on a sharp layer has two points to a sample along each axis."""
_SPREAD_OVER = 2.8
"""A lens that spreads what is in focus over more samples than that hides what a point for each
square that they gather would take for something else."""
_JUST = 1.0 + 1e-9
"""So much more, and a blur that was computed as a limit counts as beyond it."""
_SHARP = 2.0
"""Sharp is what is blurred over fewer samples than that."""
_CHANNELS = (Kind(0), Kind(1), Kind(2))
_STRIP = 128
"""Rows of kept texture that are resampled together."""
_BLURRED = 1 << 18
"""Values of a blurred layer that are kept between being made and laid under what is there."""
_TAILS_LACK = 0.0024
"""Error, of white, that the tails of kernels may leave in what somebody watches."""


class Tile(NamedTuple):
    """Samples that share a cell of the sensor."""

    rows: tuple[int, int]
    columns: tuple[int, int]
    cell: Cell

    @property
    def shape(self) -> tuple[int, int]:
        return self.rows[1] - self.rows[0], self.columns[1] - self.columns[0]

    @property
    def samples(self) -> int:
        return math.prod(self.shape)


Seen = dict[tuple[int, int, int, float], tuple[int, int, FloatArray]]
"""Layers of a tile: first row and column, and the image (4, h, w), by layer, level and band."""


def _fetched(
    of: Direct | Cached, level: int, i: int, j: int, size: tuple[int, int],
    name: tuple[int, int, int, float], seen: Seen,
) -> FloatArray:  # fmt: skip
    """As ``of.fetch``, or a part of what was seen before; kernels of colours reach unlike far."""
    if name in seen:
        top, left, image = seen[name]
        a, b = i - top, j - left
        if a >= 0 and b >= 0 and a + size[0] <= image.shape[1] and b + size[1] <= image.shape[2]:
            return np.ascontiguousarray(image[:, a : a + size[0], b : b + size[1]])
    if isinstance(of, Direct) and of.apart and level:
        # the four points of which each is the mean may be asked for next, for edges
        four = of.points(level - 1, 2 * i, 2 * j, 2 * size[0], 2 * size[1])
        seen[(*name[:2], level - 1, name[3])] = 2 * i, 2 * j, four
        image = means_of_four(four)
    else:
        image = of.fetch(level, i, j, *size)
    seen[name] = i, j, image
    return image


def tiles(grid: SampleGrid, side_um: float = _CELL_UM) -> list[list[Tile]]:
    """The samples of a grid, cell by cell; those that are mirror images together.

    Such share kernels, and cells at one distance from the axis what those are made from: groups
    that follow each other are near the axis and far from it in turn, so that threads which take
    one each do not wait for the same.
    """

    def spans(places: DoubleArray) -> list[tuple[tuple[int, int], int]]:
        cell = np.floor(places / side_um).astype(np.int64)
        starts = np.flatnonzero(np.diff(cell, prepend=cell[0] - 1))
        ends = [*starts[1:].tolist(), cell.size]
        return [
            ((int(a), int(b)), int(cell[a])) for a, b in zip(starts.tolist(), ends, strict=True)
        ]

    found = [
        Tile(rows, columns, Cell(cx, cy, side_um))
        for rows, cy in spans(grid.y_um)
        for columns, cx in spans(grid.x_um)
    ]
    groups: dict[tuple[int, int], list[Tile]] = {}
    for tile in found:
        x, y = (max(at, -1 - at) for at in (tile.cell.x, tile.cell.y))
        groups.setdefault((x, y), []).append(tile)
    order = sorted(groups, key=lambda at: at[0] ** 2 + at[0] + at[1] ** 2 + at[1])
    half = (len(order) + 1) // 2
    turns = [k for pair in itertools.zip_longest(order[:half], order[half:]) for k in pair if k]
    return [groups[k] for k in turns]


def _fit(places: DoubleArray) -> tuple[float, float, tuple[float, float]]:
    """(first, step) of an even lattice through samples, and where even and odd ones lie off it."""
    last = places.size - 1
    step = float((places[last] - places[last & 1]) / (last - (last & 1) or 1)) if last > 1 else 0.0
    step = step or float(places[1] - places[0])
    off = places - step * np.arange(places.size)
    even, odd = float(off[0::2].mean()), float(off[1::2].mean())
    first = 0.5 * (even + odd)
    # what is left of rounding would make more kinds of samples than there are
    return first, step, (round(even - first, 6) + 0.0, round(odd - first, 6) + 0.0)


def sample_lattice(grid: SampleGrid, lens_m: float) -> Lattice:
    """The lattice of a grid's samples, in tangents seen from the lens."""
    x0, step_x, _ = _fit(grid.x_um)
    y0, step_y, _ = _fit(grid.y_um)
    v_um = lens_m * 1e6
    return Lattice(x0 / v_um, y0 / v_um, 0.5 * (step_x + step_y) / v_um)


class _Source:
    """A layer, evaluated at points of the lattice, between them, and from a raster if there is.

    What the lens makes of its place is looked at once somebody asks: most layers are out of sight
    of a region.
    """

    def __init__(
        self, part: Surface, pupil: Pupil, lattices: tuple[Lattice, Lattice], apart: bool,
        raster: Cached | None, texture: Texture | None,
    ) -> None:  # fmt: skip
        self.texture = texture
        self._part, self._pupil, self._lattices = part, pupil, lattices
        self._apart, self._raster = apart, raster
        self._lens_m = pupil.thin.image_distance_m
        self.a, self.b = part.layer.inverse_depth(self._lens_m)
        """Its inverse depth in direction y is a + b y."""
        self.bounds = part.layer.bounds(self._lens_m)

    @functools.cached_property
    def _warp(self) -> DoubleArray:
        return self._pupil.warp if self.b else self._pupil.warp_of(self.a)

    @functools.cached_property
    def direct(self) -> Direct:
        return Direct(self._part, self._lattices[0], self._lens_m, self._warp, apart=self._apart)

    @functools.cached_property
    def finest(self) -> Direct:
        return Direct(self._part, self._lattices[1], self._lens_m, self._warp)

    @functools.cached_property
    def cached(self) -> Cached | None:
        return self._raster.at(self._lens_m, self._warp) if self._raster else None


class _Band(NamedTuple):
    """Directions y of a cell, from ``top`` to ``bottom``, and what a layer's blur is there."""

    top: float
    bottom: float
    grown: float
    """Directions over places, by the distortion."""
    offset: float
    slope: float

    def blur(self, y: npt.NDArray[np.floating]) -> DoubleArray:
        """Signed diameters of the blur disc in directions y, as tangents."""
        return np.asarray(self.offset + self.slope * y, np.float64)


class _Part(NamedTuple):
    """A layer as it is seen from samples of a tile, in the points that their kernels reach."""

    image: FloatArray
    margin: int
    """So many points lie about those of the samples on each side."""
    which: IntArray
    """The kernel of each row of points."""
    dense: int
    """Points to a sample, where samples are points."""
    opaque: bool
    corner: tuple[int, int]
    """Row and column of the first sample."""
    places: tuple[DoubleArray, DoubleArray] | None
    """Rows and columns of samples among the points; None if they are points."""

    @property
    def shape(self) -> tuple[int, int]:
        """How many rows and columns of samples there are."""
        if self.places is not None:
            return self.places[0].size, self.places[1].size
        rows, columns = (n - 2 * self.margin - 1 for n in self.image.shape[1:])
        return rows // self.dense + 1, columns // self.dense + 1

    def kernels(self, rows: slice) -> slice:
        """From the first to the last of the kernels that these rows of samples need."""
        if self.places is not None:
            y = self.places[0][rows]
            rows = slice(int(y[0]), int(y[-1]) + 2)
        which = self.which[rows]
        return slice(int(which.min()), int(which.max()) + 1)

    def mixed(self) -> BoolArray:
        """Samples whose kernels reach some of the layer and some of what is behind it, (h, w)."""
        out = mixed(self.image[3], self.margin)
        if self.places is None:
            return out[:: self.dense, :: self.dense]
        out[:-1] |= out[1:]
        out[:, :-1] |= out[:, 1:]
        rows, columns = (v.astype(np.int64) for v in self.places)
        return out[np.ix_(rows, columns)]

    def lay(
        self, kernels: tuple[FloatArray, IntArray], pattern: IntArray, light: FloatArray,
        passing: FloatArray, share: FloatArray, at: tuple[slice, slice] | None = None,
        swaying: Swaying = STILL,
    ) -> None:  # fmt: skip
        """Lay it under samples, all or these, with kernels (parts, n, kinds, m, m) and their spans.

        ``passing`` (h, w, lanes) and ``share`` (h, w) as of `_layer_kernels`.
        """
        taps, spans = kernels
        rows, columns = at or tuple(slice(0, n) for n in self.shape)
        top, left = rows.start + self.corner[0], columns.start + self.corner[1]
        if self.places is None:
            n, m = self.dense, 2 * self.margin + 1
            window = self.image[
                :, n * rows.start : n * (rows.stop - 1) + m,
                n * columns.start : n * (columns.stop - 1) + m,
            ]  # fmt: skip
            count = pattern.shape[0] * n
            height, width = window.shape[1], -(-window.shape[2] // count) + 1
            split = _and_beyond(4 * count * height, width).reshape(count, 4, height, width)
            # the last columns are not filled, and read with taps of 0
            split[..., -2:] = 0.0
            _layer_kernels.split_columns(np.ascontiguousarray(window), split)
            _layer_kernels.convolve_under_mosaic(
                split, self.margin, self.which[rows], taps, spans, self.opaque, pattern, top,
                left, columns.stop - columns.start, light, passing, share, swaying.inverse,
                swaying.beside, swaying.sway,
            )  # fmt: skip
            return
        y, x = self.places[0][rows], self.places[1][columns]
        i, j = np.floor(y).astype(np.int64), np.floor(x).astype(np.int64)
        i0, i1, j0, j1 = int(i[0]), int(i[-1]) + 2, int(j[0]), int(j[-1]) + 2
        wanted = np.empty((i1 - i0, 2), np.int64)
        _layer_kernels.wanted_points(i - i0, j - j0, top, left, share, wanted)
        m = 2 * self.margin
        window = np.ascontiguousarray(self.image[:, i0 : i1 + m, j0 : j1 + m])
        # so many rows of points at a time that what is made of them stays in the cache
        height, wide = i1 - i0, 6 * (j1 - j0) * passing.shape[2]
        strip = min(max(_BLURRED // wide, 8), height - 1)
        blurred = np.empty((strip + 1, 6, j1 - j0, passing.shape[2]), np.float32)
        for first in range(0, height - 1, strip):
            end = min(first + strip, height - 1)
            # the last row of the strip before is the first of this one
            kept = min(first, 1)
            blurred[:kept] = blurred[strip : strip + kept]
            _layer_kernels.convolve_planes(
                window, first + kept, self.margin, self.which[i0:i1], taps, spans, wanted,
                self.opaque, blurred[kept : end + 1 - first],
            )  # fmt: skip
            r0, r1 = np.searchsorted(i - i0, (first, end))
            _layer_kernels.under_mosaic(
                blurred, i[r0:r1] - i0 - first, (y - i)[r0:r1].astype(np.float32), j - j0,
                (x - j).astype(np.float32), top + int(r0), left, pattern, light, passing, share,
                *swaying,
            )  # fmt: skip


def _coarsest(blur: float, detail: float) -> int:
    """The level at which so many points or more fit into a blur disc of so many samples."""
    return int(math.log2(max(blur / detail, 1.0)))


def _smooth(image: FloatArray) -> bool:
    """Whether nowhere in a layer (4, h, w) something bright lies right beside something dark."""
    green = image[1]
    return all(
        bool((np.abs(one - two) <= _EDGE * (one + two)).all())
        for one, two in ((green[1:], green[:-1]), (green[:, 1:], green[:, :-1]))
    )


class _Pairs(NamedTuple):
    """A mosaic as `convolve_pairs` takes it: four columns hold two samples of each of two kinds."""

    kinds: tuple[Kind, ...]
    colors: IntArray
    order: IntArray
    columns: IntArray


def paired(channels: IntArray, kinds: tuple[Kind, ...]) -> _Pairs | None:
    """None where a row has kinds that do not come in pairs."""
    period = len(channels)
    unlike = tuple(dict.fromkeys(kinds))
    each = np.array([unlike.index(kind) for kind in kinds], np.int64).reshape(period, period)
    rows = np.tile(each, (SIDE // period, SIDE // period))
    columns = np.argsort(rows, axis=1, kind="stable").reshape(SIDE, 2, 2)
    order = np.take_along_axis(rows, columns.reshape(SIDE, SIDE), axis=1).reshape(SIDE, 2, 2)
    if (order[..., 0] != order[..., 1]).any():
        return None
    colors = np.array([kind.channel for kind in unlike], np.int64)[order[..., 0]]
    return _Pairs(unlike, colors, order[..., 0].copy(), columns)


@functools.lru_cache(maxsize=16)
def _rolled(cfa: tuple[str, ...]) -> list[list[IntArray]]:
    """Channels of a mosaic from each of its rows and columns on."""
    channels, n = np.array([["RGB".index(c) for c in row] for row in cfa], np.int64), len(cfa)
    return [[np.roll(channels, (-i, -j), (0, 1)).copy() for j in range(n)] for i in range(n)]


def _side_by_side(kernels: Sequence[FloatArray]) -> tuple[FloatArray, IntArray]:
    """Kernels (kinds, n, n) of several sizes in one array, and how far each reaches."""
    reaches = np.array([(k.shape[1] + 1) // 2 - 1 for k in kernels], np.int64)
    most = int(reaches.max())
    side = max(2 * most + 1, 0)
    stack = np.zeros((len(kernels), len(kernels[0]), side, side), np.float32)
    for place, kernel, reach in zip(stack, kernels, reaches, strict=True):
        if reach >= 0:
            part = slice(most - reach, most + reach + 1)
            place[:, part, part] = kernel
    return stack, reaches


def _and_beyond(*shape: int) -> FloatArray:
    """Not filled, with a row of 0 behind the last: kernels read a little beyond, with taps of 0."""
    out = np.empty((shape[0] + 1, *shape[1:]), np.float32)
    out[-1] = 0.0
    return out[:-1]


class ExactView:
    """One lens setting and one grid of samples: renders tiles of it, from several threads.

    Layers whose blur lets points lie as far apart as those of ``rasters`` are taken from there,
    what is evaluated at the samples themselves from ``textures``, where kernels' tails are split
    off.
    ``progress`` is told what share of the lamps, which come first, is done.
    """

    def __init__(
        self, spread: Spread, parts: Sequence[Surface | Bulbs], grid: SampleGrid,
        rasters: Sequence[Cached | Bulbs] | None = None,
        textures: Sequence[Texture | None] | None = None,
        progress: Callable[[float], None] = lambda done: None,
    ) -> None:  # fmt: skip
        self._lack = _TAILS_LACK if textures else 0.0
        self.spread, self.grid = spread, grid
        self.pupil, self.thin = spread.pupil, spread.pupil.thin
        v_um = self.thin.image_distance_m * 1e6
        self._per_um = 1.0 / v_um
        x0, step_x, off_x = _fit(grid.x_um)
        y0, step_y, off_y = _fit(grid.y_um)
        self._step_um = 0.5 * (step_x + step_y)
        self._tx, self._ty = grid.x_um / v_um, grid.y_um / v_um
        self._lattice = Lattice(x0 / v_um, y0 / v_um, self._step_um / v_um)
        # what is sharp is sampled between samples that lie farther apart than photosites
        self._coarse = self._step_um >= _COARSE_UM
        self.side_um = _CELL_COARSE_UM if self._coarse else _CELL_UM
        """Of the cells of its tiles."""
        self._dense = grid.points or (2 if grid.binning >= _DENSE_FROM else 1)
        self._rings = RINGS_COARSE if self._coarse else RINGS
        self._watched = self._coarse or bool(textures)
        self._closer_from, self._rings_from_um = math.inf if self._coarse else 1, 0.0
        if textures:
            self._closer_from = max(self._closer_from, _CLOSER_FROM)
            self._rings_from_um = _RINGS_FROM_UM
        squares = round(self._step_um / grid.pitch_um)
        if 1 < squares < self._dense and spread.least_um() > _SPREAD_OVER * self._step_um:
            self._dense = squares
        fine_um = self._step_um / self._dense
        # a point for each square that samples gather lies in its middle
        in_pairs = self._dense == 2 and abs(grid.pitch_um / fine_um - 1.0) < 1e-6
        self._aside_um = 0.5 * fine_um if in_pairs else 0.0
        self._fine = Lattice(
            (x0 + self._aside_um) / v_um, (y0 + self._aside_um) / v_um, fine_um / v_um
        )
        self._binning = Binning(grid.pitch_um, grid.binning)
        self._period = n = len(grid.cfa)
        self._patterns = _rolled(tuple(grid.cfa))
        channels = self._patterns[0][0]
        self._kinds = tuple(
            Kind(int(channels[i, j]), off_x[j & 1], off_y[i & 1])
            for i in range(n)
            for j in range(n)
        )
        aside = self._aside_um
        self._dense_kinds = tuple(
            Kind(k.channel, k.x_um - aside, k.y_um - aside) for k in self._kinds
        )
        self._pairs = paired(channels, self._kinds)
        self._spill = max(
            spread.reach_um(r, self.thin.inverse_focus)
            for r in np.linspace(0.0, reach_um(grid.x_um, grid.y_um), 8)
        )
        spread_um = self._spill + 2.2 * self.thin.working_f_number
        self._room = 1.5 * spread_um * self._per_um + 16.0 * self._lattice.step + 0.01
        self._spare: list[FloatArray] = []
        self._sources: list[_Source | list[_Stamp]] = []
        lamps: list[tuple[int, Bulbs]] = []
        for n, part in enumerate(parts):
            if isinstance(part, Bulbs):
                lamps.append((n, part))
                self._sources.append([])
                continue
            raster = rasters[n] if rasters else None
            texture = textures[n] if textures else None
            lattices = self._lattice, self._fine
            self._sources.append(
                _Source(
                    part, self.pupil, lattices, not self._coarse,
                    raster if isinstance(raster, Cached) else None, texture,
                )
            )  # fmt: skip
        for n, bulbs in lamps:
            front = [source for source in self._sources[n:] if isinstance(source, _Source)]
            self._sources[n] = self._stamps(bulbs, front, progress)

    def tile(
        self, tile: Tile, through: FloatArray | None = None, seen: Seen | None = None
    ) -> FloatArray:
        """Light (h, w) before shading; ``through`` gets what passes from behind the scene.

        ``seen``: layers evaluated for the same tile in another colour, and now for the next one.
        """
        seen = {} if seen is None else seen
        light, left = np.zeros(tile.shape, np.float32), Left(tile.shape, self._spare)
        pattern = self._patterns[tile.rows[0] % self._period][tile.columns[0] % self._period]
        middle = sum(v * v for v in tile.cell.middle_um) * self._per_um**2
        grown = float(self.pupil.warp[0] * bent(self.pupil.warp[1:], np.array(middle)))
        for source in reversed(self._sources):
            if isinstance(source, list):
                self._add(source, tile, light, left)
                continue
            hidden = [
                self._under(source, band, tile, pattern, light, left, seen)
                for band in self._bands(source, tile.cell, grown)
            ]
            if hidden and all(hidden):
                break
        if through is not None:
            through[:] = left.whole
        left.done()
        return light

    def _add(self, stamps: list[_Stamp], tile: Tile, light: FloatArray, left: Left) -> None:
        """Lay lamps under what is there."""
        (i0, _), (j0, _) = tile.rows, tile.columns
        whole, free = left.whole, np.ones_like(light)
        for stamp in stamps:
            _kernels.stamp_mosaic(
                stamp.values, stamp.row - i0, stamp.column - j0, i0, j0, self._period, light,
                free if stamp.passed else whole,
            )  # fmt: skip

    def _masks(self, reach: int, radius: float, step_um: float, rings: int) -> FloatArray:
        """As `masks`, of taps ``step_um`` apart."""
        soft = math.hypot(_SOFT_STEPS, _SOFT_AIRY * self.thin.working_f_number / step_um)
        return masks(reach, radius, soft, rings)

    def _bands(self, source: _Source, cell: Cell, grown: float) -> list[_Band]:
        """Parts of a cell in which a layer is blurred alike enough; none if it is not seen there.

        Of the whole cell, so that a part of it is rendered alike. ``grown``: directions over places
        in its middle.
        """
        thin, step = self.thin, self._lattice.step
        left, top, right, bottom = (v * cell.side_um * self._per_um for v in (
            cell.x, cell.y, cell.x + 1, cell.y + 1
        ))  # fmt: skip
        offset = thin.iris_m * (source.a - thin.inverse_focus)
        slope = thin.iris_m * source.b * grown
        ends = offset + slope * top, offset + slope * bottom
        # a quick look, with more room than kernels ever take
        room = 1.5 * max(abs(ends[0]), abs(ends[1])) + self._room
        x0, y0, x1, y1 = (v / grown for v in source.bounds)
        if x0 > right + room or x1 < left - room or y0 > bottom + room or y1 < top - room:
            return []
        cuts: set[float] = set()
        if slope:
            limits = [_SHARP * step] if self._dense > 1 else []
            limits += [_DETAIL * step * 2.0**k for k in range(1, 6)]
            for limit in limits:
                cuts |= {(sign * limit - offset) / slope for sign in (-1.0, 1.0)}
        inner = sorted(y for y in cuts if top < y < bottom)
        edges = [top, *inner, bottom]
        return [_Band(*ends, grown, offset, slope) for ends in itertools.pairwise(edges)]

    def _under(
        self, found: _Source, band: _Band, tile: Tile, pattern: IntArray, light: FloatArray,
        left: Left, seen: Seen, closer: bool = False, touched: int | None = None,
    ) -> bool:  # fmt: skip
        """Lay one layer under a band of the tile; True if nothing behind it can be seen there.

        ``closer``: it is known to have edges, so that points are to lie closer. ``touched``: at
        points of this level under what is parted, and not at all where light would pass it.
        """
        lattice = self._lattice
        source, cached = found.direct, found.cached
        if closer:
            # its points are as fine as those of which `Direct` takes the mean
            source = found.finest
        tx = self._tx[tile.columns[0] : tile.columns[1]]
        ty = self._ty[tile.rows[0] : tile.rows[1]]
        within = np.searchsorted(ty, (band.top, band.bottom))
        if within[0] == within[1]:
            return True
        ends = band.blur(np.array([band.top, band.bottom]))
        most = float(np.abs(ends).max())
        least = 0.0 if ends[0] * ends[1] < 0 else float(np.abs(ends).min())
        apart = least / lattice.step * _JUST
        level = _coarsest(apart, _DETAIL)
        if closer:
            # few points are to lie closer yet, those of layers that are blurred much
            finest = _coarsest(apart, _DETAIL_EDGES)
            level = max(finest, min(level - 1, _CLOSEST))
        level = min(level if touched is None else touched, source.max_level)
        x0, y0, step = lattice.origin(level)
        of: Direct | Cached = source
        taken, kept = level, -1
        if cached is not None:
            # a raster whose points lie about so far apart or less
            kept = math.floor(math.log2(step / (cached.lattice.step * cached.scale)) + 0.1)
            kept = min(kept, cached.max_level)
            if level and kept >= 0:
                of, taken = cached, kept
                x0, y0, step = (cached.scale * v for v in cached.lattice.origin(taken))
        step_um = step * self.thin.image_distance_m * 1e6

        # samples that the layer may reach: kernels end where the window does
        cell = tile.cell
        far = max((float(ends[0]), float(ends[1])), key=abs)
        reach = self.spread.window(cell, self._inverse(far), step_um) // 2
        edge = 0.5 * most + (reach + 2.0) * step
        box = np.array(found.bounds) / band.grown
        with np.errstate(invalid="ignore"):
            edges = edge + np.where(np.isfinite(box), 0.003 * np.abs(box), 0.0)
        j0, j1 = np.searchsorted(tx, (box[0] - edges[0], box[2] + edges[2]))
        i0, i1 = np.searchsorted(ty, (box[1] - edges[1], box[3] + edges[3])).clip(*within)
        if touched is not None:
            i0, i1 = (v.clip(left.box[0].start, left.box[0].stop) for v in (i0, i1))
            j0, j1 = (v.clip(left.box[1].start, left.box[1].stop) for v in (j0, j1))
        if j0 >= j1 or i0 >= i1:
            return False

        # the points of the level that the part needs, and how blurred each of their rows is
        x = np.round((tx[j0:j1] - x0) / step, 5)
        y = np.round((ty[i0:i1] - y0) / step, 5)
        jx, iy = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
        first_row, first_column = int(iy[0]), int(jx[0])
        height, width = int(iy[-1]) - first_row + 2, int(jx[-1]) - first_column + 2
        dense = 1
        if level == 0:
            # samples are points of the lattice; where they lie beside them is in their kernels
            dense = self._dense if least * _JUST < _SHARP * lattice.step else 1
            step /= dense
            step_um /= dense
            first_row, first_column = tile.rows[0] + int(i0), tile.columns[0] + int(j0)
            height, width = int(i1 - i0), int(j1 - j0)
        rows = band.blur(y0 + step * dense * (first_row + np.arange(height)))
        if band.slope == 0.0:
            discs, which = rows[:1], np.zeros(height, np.int64)
        else:
            least_um = _BLUR_STEP_COARSE_UM if self._coarse else _BLUR_STEP_UM
            quantum = max(least_um * self._per_um, (1.0 if level else 0.5) * step * dense)
            # from infinity on, so that they stay the same while the ring turns
            shift = self.thin.iris_m * self.thin.inverse_focus if found.texture else 0.0
            discs, which = np.unique(np.round((rows + shift) / quantum), return_inverse=True)
            discs = discs * quantum - shift
        whole = i1 - i0 == within[1] - within[0] and j1 - j0 == tx.size
        alike = most * self.thin.image_distance_m * 1e6 < _WHOLE_UM
        if level == 0 and dense == 1 and cached is None and self._pairs and not left.parts.size:
            area = first_row, first_column, height, width
            rest = self._at_samples(
                found, band, tile, area, discs, which, self._pairs, alike, light, left.alike, seen
            )
            if rest is not None:
                return whole and rest < _OPAQUE
        kinds = _CHANNELS
        if level == 0:
            n, (r, c) = self._period, (tile.rows[0], tile.columns[0])
            of_samples = self._dense_kinds if dense > 1 else self._kinds
            kinds = tuple(
                of_samples[(r + i) % n * n + (c + j) % n] for i in range(n) for j in range(n)
            )
        stack = self._stack(cell, discs, step_um, kinds, bool(found.b))
        margin = stack.shape[2] // 2
        size = dense * (height - 1) + 1 + 2 * margin, dense * (width - 1) + 1 + 2 * margin
        i, j = dense * first_row - margin, dense * first_column - margin
        if level == 0 and dense == 1 and cached is not None and kept >= 0:
            image = cached.resampled(kept, x0 + j * step, y0 + i * step, step, size)
        elif level == 0 and dense == 1 and found.texture is not None:
            texture = found.texture.at(self.thin.image_distance_m, source.warp)
            image = texture.sharp(x0 + j * step, y0 + i * step, step, size)
        else:
            of = found.finest if dense > 1 else of
            name = id(of.layer), dense, taken, band.top
            image = _fetched(of, taken, i, j, size, name, seen)
        if not image[3].any():
            return False
        opaque = bool(image[3].min() >= COVERS)
        if touched is not None:
            if not opaque:
                return False
        elif level >= self._closer_from and not closer and not (opaque and _smooth(image)):
            # edges show how far apart points lie
            return self._under(found, band, tile, pattern, light, left, seen, closer=True)
        elif (
            not self._watched
            and band.slope
            and left.within((int(i0), int(j0)), (int(i1 - i0), int(j1 - j0)))
            and left.parted_at(float(ends.min()), float(ends.max()))
        ):
            # what stands on it and what it hides have nearly one blur: each edge of parts shows
            finer = _coarsest(apart, _EDGES_TOUCHED if closer else _DETAIL_TOUCHED)
            if finer < level:
                self._under(found, band, tile, pattern, light, left, seen, touched=finer)

        part = _Part(
            image, margin, which, dense, opaque, (int(i0), int(j0)),
            (y - first_row, x - first_column) if level else None,
        )  # fmt: skip
        self._put(part, pattern, stack, left, light, None if alike else (discs / step, step_um))
        return whole and not left.more_than(_OPAQUE, slice(*within), slice(0, tx.size))

    def _put(
        self, part: _Part, pattern: IntArray, kernels: FloatArray, left: Left, light: FloatArray,
        blur: tuple[DoubleArray, float] | None,
    ) -> None:  # fmt: skip
        """Lay a layer under a part of a tile, by parts of the iris where it is hidden by them.

        ``blur``: signed diameters of the blur disc of each kernel, in taps, and the distance of
        taps, um; None if the iris does not matter.
        """
        spans = np.empty((1, len(kernels), kernels.shape[2], 2), np.int64)
        _layer_kernels.tap_spans(kernels[None], spans)
        whole = kernels[None], spans
        apart = part.mixed() if blur is not None and not part.opaque else None
        at = left.within(part.corner, part.shape)
        if blur is not None and (at is not None or (apart is not None and apart.any())):
            reach = kernels.shape[2] // 2
            if not left.rings:
                disc_um = float(np.abs(blur[0]).max()) * blur[1]
                left.rings = RINGS_COARSE if disc_um < self._rings_from_um else self._rings
                if left.rings > RINGS_COARSE and disc_um > _MORE_FROM_UM:
                    left.rings += 1
            each = [self._masks(reach, 0.5 * float(d), blur[1], left.rings) for d in blur[0]]
            shares = left.weigh(kernels, each)
            if apart is not None:
                discs = blur[0] * (blur[1] * self._per_um)
                left.part(apart, part.corner, (float(discs.min()), float(discs.max())))
                at = left.within(part.corner, part.shape)
            if at is not None:
                n = part.kernels(at[0])
                cut = left.cut(kernels[n], each[n], np.ascontiguousarray(shares[:, n]))
                few = part._replace(which=part.which - n.start)
                few.lay(cut, pattern, light, left.parts, left.apart, at, left.swaying)
        elif at is not None:
            alone, kept = np.zeros_like(light), (left.apart > 0.0).astype(np.float32)
            part.lay(whole, pattern, alone, kept[..., None], kept, at)
            left.pass_on(alone, kept, light)
        part.lay(whole, pattern, light, left.alike[..., None], left.alike)
        left.gather()

    def _at_samples(
        self, found: _Source, band: _Band, tile: Tile, area: tuple[int, int, int, int],
        discs: DoubleArray, which: IntArray, pairs: _Pairs, alike: bool, light: FloatArray,
        passing: FloatArray, seen: Seen,
    ) -> float | None:  # fmt: skip
        """Lay a layer, taken at the samples themselves, under (row, column, height, width).

        Returns the largest share of light left. None, and nothing done, for a layer that does not
        cover all of it unless its light is ``alike`` through all parts of the iris.
        """
        row, column, height, width = area
        how = self._step_um, self._binning, pairs.kinds, self._lack, bool(found.b)
        made = [self.spread.parted(tile.cell, self._inverse(float(d)), *how) for d in discs]
        cores, core_reaches = _side_by_side([split.core for split in made])
        tails, tail_reaches = _side_by_side([split.tail for split in made])
        # whole blocks of 4 x 4 samples, with what kernels reach about them
        beside = int(tail_reaches.max()) + 1
        room = max(-(-(int(core_reaches.max()) + 8) // SIDE), beside)
        i, j = SIDE * (row // SIDE - room), SIDE * (column // SIDE - room)
        rows = SIDE * ((row + height - 1) // SIDE + 1 + room) - i
        count = (column + width - 1) // SIDE + 1 + room - j // SIDE
        x0, y0, step = self._lattice.origin(0)
        x0, y0 = x0 + j * step, y0 + i * step
        size = rows, SIDE * count
        texture, image = None, None
        if found.texture is not None:
            texture = found.texture.at(self.thin.image_distance_m, found.direct.warp)
            planes = texture.planes(x0, y0, step, size)
        else:
            name = id(found.direct.layer), 1, 0, band.top
            image = _fetched(found.direct, 0, i, j, size, name, seen)
            planes = 3 if image[3].min() >= COVERS else 4 if image[3].any() else 0
        if not planes:
            return 1.0
        if planes == 4 and not alike:
            return None
        # so many rows at a time that they stay in the cache, and what kernels reach about them
        around = 2 * SIDE * room
        strip = rows - around
        if texture is not None:
            strip = SIDE * math.ceil(strip / (SIDE * math.ceil(strip / _STRIP)))
        split = _and_beyond(strip + around, planes, SIDE, count)
        blocks = _and_beyond(len(split) // SIDE, planes, count)
        most = 0.0
        for first in range(0, rows - around, strip):
            if texture is not None:
                kept = around if first else 0
                split[:kept] = split[strip : strip + kept]
                texture.slid(x0, y0 + (first + kept) * step, step, split[kept:])
            else:
                _tail_kernels.split_image(image, split)
            if beside > 0:
                _tail_kernels.block_means(split, blocks)
            top = max(row, i + first + SIDE * room)
            end = min(row + height, i + first + SIDE * room + strip)
            rest = cast(float, _tail_kernels.convolve_pairs(
                split, blocks, (i + first, j), which[top - row : end - row], cores, core_reaches,
                tails, tail_reaches, pairs.colors, pairs.order, pairs.columns,
                (top, column, width), (tile.rows[0], tile.columns[0]), light, passing,
            ))  # fmt: skip
            most = max(most, rest)
        return most

    def _inverse(self, disc: float) -> float:
        """Inverse depth at which the blur disc has this signed diameter, a tangent."""
        return self.thin.inverse_focus + disc / self.thin.iris_m

    def _stack(
        self, cell: Cell, discs: DoubleArray, step_um: float, kinds: tuple[Kind, ...],
        slanted: bool,
    ) -> FloatArray:  # fmt: skip
        """Kernels (n, kinds, m, m) for each blur disc, as large as the largest."""
        made = [
            self.spread.kernels(
                cell, self._inverse(float(d)), step_um, self._binning, kinds, slanted
            )
            for d in discs
        ]
        return _side_by_side(made)[0]

    def _stamps(
        self, bulbs: Bulbs, front: Sequence[_Source], progress: Callable[[float], None]
    ) -> list[_Stamp]:
        """Each lamp, with these layers in front of it, as its light falls on the samples."""
        lamps, thin = bulbs.lamps, self.thin
        away = lamps.position_m[:, 2] - thin.image_distance_m
        tangents = lamps.position_m[:, :2] / away[:, None]
        # a quick look, with more room than kernels ever take
        blur = thin.iris_m * np.abs(1.0 / away - thin.inverse_focus)
        room = 1.5 * blur + self._room
        room += lamps.radius_m / away + _LAMP_TAIL_UM * thin.working_f_number * self._per_um

        def near(places: DoubleArray, room: DoubleArray) -> BoolArray:
            found = np.ones(len(places), np.bool_)
            for at, axis in ((places[:, 0], self._tx), (places[:, 1], self._ty)):
                found &= (at >= axis[0] - room) & (at <= axis[-1] + room)
            return found

        # as in focus they lie less far from where they are than they are blurred
        places = self.pupil.seen(tangents)
        for n in np.flatnonzero(near(places, room + blur)):
            places[n] = self.pupil.seen(tangents[n], 1.0 / float(away[n]))
        seen = np.flatnonzero(near(places, room))
        found: list[_Stamp | None] = [None] * seen.size

        def work(first: int, end: int) -> None:
            for n in range(first, end):
                found[n] = self._stamp(bulbs, int(seen[n]), places[seen[n]], front)

        if seen.size:
            run_bands(work, seen.size, 1, done=lambda made: progress(made / seen.size))
        return [stamp for stamp in found if stamp is not None]

    def _stamp(
        self, bulbs: Bulbs, n: int, place: DoubleArray, front: Sequence[_Source]
    ) -> _Stamp | None:
        lamps, thin, step_um = bulbs.lamps, self.thin, self._step_um
        x0, y0, step = self._lattice.origin(0)
        away = float(lamps.position_m[n, 2] - thin.image_distance_m)
        radius = max(float(lamps.radius_m[n] / away), 1e-9)
        row, column = (round((p - o) / step) for p, o in ((place[1], y0), (place[0], x0)))
        off_y_um = ((place[1] - y0) / step - row) * step_um
        off_x_um = ((place[0] - x0) / step - column) * step_um
        at_um = place * thin.image_distance_m * 1e6
        cell = Cell(int(at_um[0] // _CELL_UM), int(at_um[1] // _CELL_UM), _CELL_UM)
        tail = math.ceil(_LAMP_TAIL_UM * thin.working_f_number / step_um)
        span = self.spread.window(cell, 1.0 / away, step_um)
        span += 2 * (math.ceil(radius / step) + tail)
        height, width = self.grid.y_um.size, self.grid.x_um.size
        if not (-span < row < height + span and -span < column < width + span):
            return None
        every = [Kind(k.channel, k.x_um - off_x_um, k.y_um - off_y_um) for k in self._kinds]
        kinds = tuple(dict.fromkeys(every))
        kernels = self.spread.kernels_at(
            (float(at_um[0]), float(at_um[1])), 1.0 / away, step_um, self._binning, kinds,
            2 * quick_size(math.ceil(span / 2)), disc_um=radius / step * step_um, kept=_LAMP_KEPT,
        )  # fmt: skip
        light = bulbs.channels[n] * (math.pi * radius**2 / step**2)
        scale = light[[k.channel for k in kinds]].astype(np.float32)
        # a lamp is so bright that a kernel's overshoot would count
        np.maximum(kernels, 0.0, out=kernels)
        reach = kernels.shape[1] // 2
        # what lies beyond the blur disc and the aberrations is diffraction alone
        drawn = 0.55 * self.pupil.blur_um(1.0 / away) + self._spill
        drawn = math.ceil(drawn / step_um + radius / step)
        kernels *= _faded(reach, max(reach - drawn, min(tail, reach // 2)))
        kernels *= scale[:, None, None] / kernels.sum(axis=(1, 2), keepdims=True)
        values = np.ascontiguousarray(kernels[[kinds.index(k) for k in every], ::-1, ::-1])
        stamp = _Stamp(row - reach, column - reach, values)
        blur = thin.iris_m * (1.0 / away - thin.inverse_focus)
        if abs(blur) < _LAMP_BLUR * step:
            return stamp
        # within the blur disc each sample gets its light through one place of the iris
        at = np.arange(-reach, reach + 1)
        inside = np.hypot(at[:, None], at) <= drawn
        passed = self._passed(front, place, radius, blur, stamp)
        # what is beyond it comes through all that is open
        drawn_light = max(float(values[:, inside].sum()), 1e-30)
        share = float((values * passed)[:, inside].sum()) / drawn_light
        values *= np.where(inside, passed, np.float32(share))
        return stamp._replace(passed=True)

    def _passed(
        self, front: Sequence[_Source], place: DoubleArray, radius: float, blur: float,
        stamp: _Stamp,
    ) -> FloatArray:  # fmt: skip
        """What layers let pass of a lamp's light on its way to the samples of its stamp.

        The way from the lamp at ``place`` to a sample meets a layer between their directions: as
        far from the sample's to the lamp's as the blur of the one goes into that of the other.
        """
        x0, y0, step = self._lattice.origin(0)
        dense = _LAMP_DENSE if self._coarse else 1
        count = stamp.values.shape[1]
        # one sample more on each side, for those that lie beside the lattice
        points = dense * (count + 2)
        passed = np.ones((points, points), np.float32)
        gathered = math.sqrt(4.0 * (self._binning.side**2 - 1.0) + 1.0) * self._binning.pitch_um
        for source in front:
            inverse = source.a + source.b * float(place[1])
            part = self.thin.iris_m * (inverse - self.thin.inverse_focus) / blur
            away = 1.0 - part if abs(1.0 - part) > 1e-3 else 1e-3
            # an edge is as soft as a sample is wide, and as the lamp throws it
            thrown = math.sqrt(3.0) * radius * abs(part / away) / step
            soft = round(0.5 * (dense * math.hypot(gathered / self._step_um, thrown) - 1.0))
            off = 0.5 * (1.0 / dense - 1.0) - 1.0 - soft / dense
            size, apart = points + 2 * soft, step * away / dense
            span = np.array([0.0, apart * (size - 1)])
            ends = [
                away * (origin + step * (k + off)) + part * float(p) + span
                for origin, k, p in ((x0, stamp.column, place[0]), (y0, stamp.row, place[1]))
            ]
            left, top, right, bottom = moved_out(source.bounds)
            (x, x_end), (y, y_end) = (np.sort(v).tolist() for v in ends)
            if x > right or x_end < left or y > bottom or y_end < top:
                continue
            seen = np.empty((4, size, size), np.float32)
            of = source.direct
            of.sample(x, y, abs(apart), seen)
            turned = slice(None, None, 1 if apart > 0.0 else -1)
            cover = ndimage.uniform_filter(seen[3, turned, turned], 2 * soft + 1)
            passed *= 1.0 - cover[soft : size - soft, soft : size - soft]
        out = np.empty(stamp.values.shape, np.float32)
        for plane, kind in zip(out, self._kinds, strict=True):
            i, j = (
                dense + dense // 2 + round(v / self._step_um * dense)
                for v in (kind.y_um, kind.x_um)
            )
            plane[:] = passed[i : i + dense * count : dense, j : j + dense * count : dense]
        return out


@functools.lru_cache(maxsize=64)
def _faded(reach: int, over: int) -> FloatArray:
    """(2 reach + 1) squared: 1, and within the last ``over`` of a round edge falling to 0."""
    at = np.arange(-reach, reach + 1)
    left = np.clip((reach + 1 - np.hypot(at[:, None], at)) / (over + 1), 0.0, 1.0)
    return (0.5 - 0.5 * np.cos(np.pi * left)).astype(np.float32)


class _Stamp(NamedTuple):
    """A lamp on the samples: its values (kinds, n, n) for each kind from (row, column) on."""

    row: int
    column: int
    values: FloatArray
    passed: bool = False
    """Whether it is what passed the layers in front already."""
