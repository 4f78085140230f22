"""The full model: layers convolved with the lens' kernel for their place, depth and colour."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt

from modoptic.bands import run_bands
from modoptic.optics import _kernels
from modoptic.optics._pupil import quick_size
from modoptic.optics._sources import (
    Bulbs,
    Cached,
    Direct,
    Lattice,
    SampleGrid,
    Surface,
    Texture,
    reach_um,
)
from modoptic.optics._spread import Binning, Cell, Kind, Spread

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_OPAQUE = 1e-4
"""A share of light below this, left behind what is in front, is not traced further."""
_DETAIL = 8.0
"""A layer is evaluated at the coarsest points of which so many fit into its blur disc."""
_BLUR_STEP_UM = 4.5
"""Kernels of a slanted layer are made for blur discs so far apart; farther, half a sample or a
point of the level, where those are larger."""
_CELL_UM = 760.0
"""Side of the squares of the sensor that share their kernels."""
_LAMP_KEPT = 0.9998
_LAMP_TAIL_UM = 6.0
"""A lamp's diffraction is drawn so far beyond its blur, times the f-number, and fades to nothing
there: all but 1 % of an Airy pattern."""
_DENSE_FROM = 4
"""From this binning on a sharp layer has two points to a sample along each axis."""
_JUST = 1.0 + 1e-9
"""So much more, and a blur that was computed as a limit counts as beyond it."""
_SHARP = 4.0
"""Sharp is what is blurred over fewer samples than that."""
_CHANNELS = (Kind(0), Kind(1), Kind(2))


class Tile(NamedTuple):
    """Samples that share a cell of the sensor."""

    rows: tuple[int, int]
    columns: tuple[int, int]
    cell: Cell


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
    image = of.fetch(level, i, j, *size)
    seen[name] = i, j, image
    return image


def tiles(grid: SampleGrid) -> list[list[Tile]]:
    """The samples of a grid, cell by cell; those that are mirror images together.

    Such share kernels, and cells at one distance from the axis what those are made from: groups
    that follow each other are near the axis and far from it in turn, so that threads which take
    one each do not wait for the same.
    """
    side_um = _CELL_UM

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
    return first, step, (even - first, odd - first)


def sample_lattice(grid: SampleGrid, lens_m: float) -> Lattice:
    """The lattice of a grid's samples, in tangents seen from the lens."""
    x0, step_x, _ = _fit(grid.x_um)
    y0, step_y, _ = _fit(grid.y_um)
    v_um = lens_m * 1e6
    return Lattice(x0 / v_um, y0 / v_um, 0.5 * (step_x + step_y) / v_um)


class _Source(NamedTuple):
    """A layer, evaluated at points of the lattice, between them, and from a raster if there is."""

    direct: Direct
    finest: Direct
    cached: Cached | None
    texture: Texture | None
    a: float
    b: float
    """Its inverse depth in direction y is a + b y."""
    bounds: tuple[float, float, float, float]


class _Band(NamedTuple):
    """Directions y of a cell, from ``top`` to ``bottom``, and what a layer's blur is there."""

    top: float
    bottom: float
    bent: float
    offset: float
    slope: float

    def blur(self, y: npt.NDArray[np.floating]) -> DoubleArray:
        """Signed diameters of the blur disc in directions y, as tangents."""
        return np.asarray(self.offset + self.slope * y, np.float64)


class ExactView:
    """One lens setting and one grid of samples: renders tiles of it, from several threads.

    Layers whose blur lets points lie as far apart as those of ``rasters`` are taken from there,
    what is evaluated at the samples themselves from ``textures``.
    ``progress`` is told what share of the lamps, which come first, is done.
    """

    def __init__(
        self, spread: Spread, parts: Sequence[Surface | Bulbs], grid: SampleGrid,
        rasters: Sequence[Cached | Bulbs] | None = None,
        textures: Sequence[Texture | None] | None = None,
        progress: Callable[[float], None] = lambda done: None,
    ) -> None:  # fmt: skip
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
        self._dense = grid.points or (2 if grid.binning >= _DENSE_FROM else 1)
        self._fine = Lattice(x0 / v_um, y0 / v_um, self._step_um / v_um / self._dense)
        self._binning = Binning(grid.pitch_um, grid.binning)
        self._channels = np.array([["RGB".index(c) for c in row] for row in grid.cfa], np.int64)
        self._period = n = len(grid.cfa)
        self._patterns = [
            [np.roll(self._channels, (-i, -j), (0, 1)).copy() for j in range(n)] for i in range(n)
        ]
        self._kinds = tuple(
            Kind(int(self._channels[i, j]), off_x[j & 1], off_y[i & 1])
            for i in range(n)
            for j in range(n)
        )
        lens_m = self.thin.image_distance_m
        self._spill = max(
            self.pupil.reach_um(r, self.thin.inverse_focus)
            for r in np.linspace(0.0, reach_um(grid.x_um, grid.y_um), 8)
        )
        self._sources: list[_Source | list[_Stamp]] = []
        for n, part in enumerate(parts):
            if isinstance(part, Bulbs):
                self._sources.append(self._stamps(part, progress))
                continue
            raster = rasters[n] if rasters else None
            cached = raster.at(lens_m, self.pupil.warp) if isinstance(raster, Cached) else None
            direct, finest = (
                Direct(part, lattice, lens_m, self.pupil.warp)
                for lattice in (self._lattice, self._fine)
            )
            depth, bounds = part.layer.inverse_depth(lens_m), part.layer.bounds(lens_m)
            texture = textures[n] if textures else None
            self._sources.append(_Source(direct, finest, cached, texture, *depth, bounds))

    def tile(
        self, tile: Tile, through: FloatArray | None = None, seen: Seen | None = None
    ) -> FloatArray:
        """Light (h, w) before shading; ``through`` gets what passes from behind the scene.

        ``seen``: layers evaluated for the same tile in another colour, and now for the next one.
        """
        (i0, i1), (j0, j1) = tile.rows, tile.columns
        light = np.zeros((i1 - i0, j1 - j0), np.float32)
        passing = np.ones((i1 - i0, j1 - j0), np.float32)
        pattern = self._patterns[i0 % self._period][j0 % self._period]
        for source in reversed(self._sources):
            if isinstance(source, list):
                for stamp in source:
                    _kernels.stamp_mosaic(
                        stamp.values, stamp.row - i0, stamp.column - j0, i0, j0, self._period,
                        light, passing,
                    )  # fmt: skip
                continue
            hidden = [
                self._under(source, band, tile, pattern, light, passing, seen)
                for band in self._bands(source, tile.cell)
            ]
            if hidden and all(hidden):
                break
        if through is not None:
            through[:] = passing
        return light

    def _bands(self, source: _Source, cell: Cell) -> list[_Band]:
        """Parts of a cell in which a layer is blurred alike enough; none if it is not seen there.

        Of the whole cell, so that a part of it is rendered alike.
        """
        thin, step = self.thin, self._lattice.step
        middle = (cell.middle_um[0] ** 2 + cell.middle_um[1] ** 2) * self._per_um**2
        k1, k2, k3 = self.pupil.warp
        bent = 1.0 + middle * (k1 + middle * (k2 + middle * k3))
        left, top, right, bottom = (v * cell.side_um * self._per_um for v in (
            cell.x, cell.y, cell.x + 1, cell.y + 1
        ))  # fmt: skip
        offset = thin.iris_m * (source.a - thin.inverse_focus)
        slope = thin.iris_m * source.b * bent
        ends = offset + slope * top, offset + slope * bottom
        # a quick look, with more room than kernels ever take
        room = 1.5 * max(abs(ends[0]), abs(ends[1])) + 16.0 * step
        room += 1.5 * (self._spill + 2.2 * thin.working_f_number) * self._per_um + 0.01
        x0, y0, x1, y1 = (v / bent for v in source.bounds)
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
        return [_Band(low, high, bent, offset, slope) for low, high in itertools.pairwise(edges)]

    def _under(
        self, found: _Source, band: _Band, tile: Tile, pattern: IntArray, light: FloatArray,
        passing: FloatArray, seen: Seen | None,
    ) -> bool:  # fmt: skip
        """Lay one layer under a band of the tile; True if nothing behind it can be seen there."""
        lattice = self._lattice
        source, cached, bent = found.direct, found.cached, band.bent
        tx = self._tx[tile.columns[0] : tile.columns[1]]
        ty = self._ty[tile.rows[0] : tile.rows[1]]
        within = np.searchsorted(ty, (band.top, band.bottom))
        if within[0] == within[1]:
            return True
        ends = band.blur(np.array([band.top, band.bottom]))
        most = float(np.abs(ends).max())
        least = 0.0 if ends[0] * ends[1] < 0 else float(np.abs(ends).min())
        level = int(math.log2(max(least / (lattice.step * _DETAIL), 1.0) * _JUST))
        level = min(level, source.max_level)
        x0, y0, step = lattice.origin(level)
        of: Direct | Cached = source
        finer, kept = level, -1
        if cached is not None:
            # a raster whose points lie about so far apart or less
            kept = math.floor(math.log2(step / (cached.lattice.step * cached.scale)) + 0.1)
            kept = min(kept, cached.max_level)
            if level and kept >= 0:
                of, finer = cached, kept
                x0, y0, step = (cached.scale * v for v in cached.lattice.origin(finer))
        step_um = step * self.thin.image_distance_m * 1e6

        # samples that the layer may reach: kernels end where the window does
        cell = tile.cell
        far = max((float(ends[0]), float(ends[1])), key=abs)
        reach = self.spread.window(cell, self._inverse(far), step_um) // 2
        edge = 0.5 * most + (reach + 2.0) * step
        box = np.array(found.bounds) / bent
        with np.errstate(invalid="ignore"):
            edges = edge + np.where(np.isfinite(box), 0.003 * np.abs(box), 0.0)
        j0, j1 = np.searchsorted(tx, (box[0] - edges[0], box[2] + edges[2]))
        i0, i1 = np.searchsorted(ty, (box[1] - edges[1], box[3] + edges[3])).clip(*within)
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
            quantum = max(_BLUR_STEP_UM * self._per_um, (1.0 if level else 0.5) * step * dense)
            discs, which = np.unique(np.round(rows / quantum) * quantum, return_inverse=True)
        kinds = _CHANNELS
        if level == 0:
            n, (r, c) = self._period, (tile.rows[0], tile.columns[0])
            kinds = tuple(
                self._kinds[(r + i) % n * n + (c + j) % n] for i in range(n) for j in range(n)
            )
        stack, reaches = self._stack(cell, discs, step_um, kinds)
        margin = int(reaches.max())
        size = dense * (height - 1) + 1 + 2 * margin, dense * (width - 1) + 1 + 2 * margin
        i, j = dense * first_row - margin, dense * first_column - margin
        if level == 0 and dense == 1 and cached is not None and kept >= 0:
            image = cached.resampled(kept, x0 + j * step, y0 + i * step, step, size)
        elif level == 0 and dense == 1 and found.texture is not None:
            texture = found.texture.at(self.thin.image_distance_m, self.pupil.warp)
            image = texture.sharp(x0 + j * step, y0 + i * step, step, size)
        else:
            of = found.finest if dense > 1 else of
            if seen is None:
                image = of.fetch(finer, i, j, *size)
            else:
                name = id(of.layer), dense, finer, band.top
                image = _fetched(of, finer, i, j, size, name, seen)
        if not image[3].any():
            return False
        opaque = bool(image[3].min() >= 1.0 - 1e-6)
        if level == 0:
            parts = self._period * dense
            split = np.empty((parts, 4, image.shape[1], -(-image.shape[2] // parts)), np.float32)
            _kernels.split_columns(image, split)
            rest = cast(float, _kernels.convolve_under_mosaic(
                split, margin, which, stack, reaches, opaque, pattern, int(i0), int(j0), width,
                light, passing,
            ))  # fmt: skip
        else:
            blurred = np.empty((6, height, width), np.float32)
            _kernels.convolve_planes(image, margin, which, stack, reaches, opaque, blurred)
            rest = cast(float, _kernels.under_mosaic(
                blurred, iy - iy[0], (y - iy).astype(np.float32), jx - jx[0],
                (x - jx).astype(np.float32), int(i0), int(j0), pattern, light, passing,
            ))  # fmt: skip
        whole = i1 - i0 == within[1] - within[0] and j1 - j0 == len(tx)
        return whole and rest < _OPAQUE

    def _inverse(self, disc: float) -> float:
        """Inverse depth at which the blur disc has this signed diameter, a tangent."""
        return self.thin.inverse_focus + disc / self.thin.iris_m

    def _stack(
        self, cell: Cell, discs: DoubleArray, step_um: float, kinds: tuple[Kind, ...]
    ) -> tuple[FloatArray, IntArray]:
        """Kernels for each blur disc, side by side, and how far each reaches."""
        made = [
            self.spread.kernels(cell, self._inverse(float(d)), step_um, self._binning, kinds)
            for d in discs
        ]
        reaches = np.array([k.shape[1] // 2 for k in made], np.int64)
        most = int(reaches.max())
        stack = np.zeros((len(made), len(kinds), 2 * most + 1, 2 * most + 1), np.float32)
        for place, kernel, reach in zip(stack, made, reaches, strict=True):
            part = slice(most - reach, most + reach + 1)
            place[:, part, part] = kernel
        return stack, reaches

    def _stamps(self, bulbs: Bulbs, progress: Callable[[float], None]) -> list[_Stamp]:
        """Each lamp as its light falls on the samples."""
        count = len(bulbs.channels)
        found: list[_Stamp | None] = [None] * count

        def work(first: int, end: int) -> None:
            for n in range(first, end):
                found[n] = self._stamp(bulbs, n)

        run_bands(work, count, 1, done=lambda made: progress(made / count))
        return [stamp for stamp in found if stamp is not None]

    def _stamp(self, bulbs: Bulbs, n: int) -> _Stamp | None:
        lamps, thin, step_um = bulbs.lamps, self.thin, self._step_um
        x0, y0, step = self._lattice.origin(0)
        away = float(lamps.position_m[n, 2] - thin.image_distance_m)
        place = self.pupil.seen(lamps.position_m[n, :2] / away)
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
        return _Stamp(row - reach, column - reach, values)


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
