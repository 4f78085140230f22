"""What a picture is made from: the scene's layers and lamps, samples and their response."""

from __future__ import annotations

import copy
import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from modoptic.bands import run_bands
from modoptic.errors import SettingError
from modoptic.optics import _kernels, _tail_kernels
from modoptic.optics._pupil import Pupil, bent

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]

_STILL = 0.1
"""Rasters that would move by so few points are taken as they are."""
_TEXTURE_ROOM = 64
"""Points beside a grid that a kernel reaches, and by which the lens' moving shifts them."""
_LOOKED = 32
"""Side of blocks of a raster of which it is known whether they cover all, or nothing."""
_MOVED = 0.02
"""Most that distortion moves a direction, of its tangent."""
COVERS = 1.0 - 1e-6
"""From this coverage on, nothing is seen behind."""
HC_J_NM = 1.98644586e-16
"""Planck's constant times the speed of light, in J nm (CODATA 2018)."""


class LayerLike(Protocol):
    """What is asked of a layer of a scene; see `modoptic.scenes.Layer`."""

    @property
    def name(self) -> str: ...

    @property
    def basis(self) -> DoubleArray: ...

    def inverse_depth(self, lens_m: float) -> tuple[float, float]: ...

    def bounds(self, lens_m: float) -> tuple[float, float, float, float]: ...

    def sample(
        self,
        matrix: FloatArray,
        lens_m: float,
        x0: float,
        y0: float,
        step: float,
        out: FloatArray,
        warp: DoubleArray = ...,
    ) -> None: ...


class LampsLike(Protocol):
    """What is asked of a set of lamps; see `modoptic.scenes.Lamps`."""

    @property
    def position_m(self) -> DoubleArray: ...

    @property
    def radius_m(self) -> DoubleArray: ...

    @property
    def radiance(self) -> DoubleArray: ...


class SceneLike(Protocol):
    """What is asked of a scene; see `modoptic.scenes.Scene`."""

    @property
    def layers(self) -> Sequence[object]: ...

    @property
    def wavelengths_nm(self) -> DoubleArray: ...


class AngularLike(Protocol):
    """What is asked of a photosite's response to directions; see `modoptic.sensor`."""

    def __call__(self, radius_um: float, across: DoubleArray, outward: DoubleArray) -> DoubleArray:
        """Shares (2, 3, n) of n rays, in each colour: kept, and given to the four neighbours.

        ``across`` and ``outward`` are direction cosines ``radius_um`` from the axis.
        """
        ...


@dataclass(frozen=True, eq=False)
class SpectralResponse:
    """What a sensor makes of light: electrons a photon, all filters included."""

    wavelengths_nm: DoubleArray
    """(n,), rising."""
    qe: DoubleArray
    """(3, n): red, green, blue; 0..1."""

    def electrons(self, wavelengths_nm: DoubleArray, radiance: DoubleArray) -> DoubleArray:
        """Electrons s^-1 sr^-1 m^-2 in each channel, (..., 3), of spectral radiances (..., k).

        Radiance in W sr^-1 m^-2 nm^-1; outside of its table the response is 0.
        """
        step = np.gradient(wavelengths_nm)
        qe = np.stack([
            np.interp(wavelengths_nm, self.wavelengths_nm, row, left=0.0, right=0.0)
            for row in self.qe
        ])  # fmt: skip
        return radiance @ (qe * (step * wavelengths_nm / HC_J_NM)).T

    def shares(self, nodes_nm: DoubleArray) -> DoubleArray:
        """Weights (3, n) of n rising wavelengths that stand for all in an even spectrum.

        What lies between two of them is shared by distance; each row adds up to 1.
        """
        fine = np.arange(self.wavelengths_nm[0], self.wavelengths_nm[-1] + 0.5)
        at = np.clip(np.interp(fine, nodes_nm, np.arange(nodes_nm.size)), 0, nodes_nm.size - 1)
        low = np.minimum(at.astype(np.int64), max(nodes_nm.size - 2, 0))
        high = np.minimum(low + 1, nodes_nm.size - 1)
        out = np.zeros((3, nodes_nm.size))
        for c in range(3):
            photons = fine * np.interp(fine, self.wavelengths_nm, self.qe[c])
            out[c] += np.bincount(low, photons * (1.0 - (at - low)), nodes_nm.size)
            out[c] += np.bincount(high, photons * (at - low), nodes_nm.size)
        return out / np.maximum(out.sum(axis=1, keepdims=True), 1e-300)


@dataclass(frozen=True, eq=False)
class SampleGrid:
    """Where a readout samples the light in the sensor plane.

    x runs to the right as seen in the picture and y down, both from the optical axis; the picture
    is upright.
    """

    x_um: DoubleArray
    """(w,): centres of the samples, rising."""
    y_um: DoubleArray
    """(h,)"""
    pitch_um: float
    """Of the photosites, squares that gather light."""
    area_um2: float
    """Area that collects light in a sample."""
    cfa: tuple[str, ...] = ("RG", "GB")
    """Colours of the samples, row by row, 2 x 2 or 4 x 4; of two colours at most in a row."""
    binning: int = 1
    """A sample is the sum of so many by so many photosites of one colour, two apart."""
    points: int = 0
    """Along each axis of a sample, at which what is sharp is evaluated; 0: as `binning` asks."""
    together: int = 1
    """Side of the block of neighbouring photosites that a sample's charges are of: what such leak
    to each other stays."""

    def __post_init__(self) -> None:
        for axis in (self.x_um, self.y_um):
            if axis.ndim != 1 or axis.size < 2 or not (np.diff(axis) > 0).all():
                raise SettingError("sample grid", axis.shape, "at least 2 rising positions an axis")
        n = len(self.cfa)
        if n not in (2, 4) or any(len(row) != n or set(row) - set("RGB") for row in self.cfa):
            raise SettingError("CFA", self.cfa, "2 x 2 or 4 x 4 of R, G and B")
        if any(len(set(row)) > 2 for row in self.cfa):
            raise SettingError("CFA", self.cfa, "at most two colours in a row")


@dataclass(frozen=True, eq=False)
class Lattice:
    """Uniform points in tangents; those of level k are 2^k apart, centred in blocks of level 0."""

    x0: float
    y0: float
    step: float

    def origin(self, level: int) -> tuple[float, float, float]:
        size = 2.0**level
        off = 0.5 * (size - 1.0) * self.step
        return self.x0 + off, self.y0 + off, self.step * size


@dataclass(frozen=True, eq=False)
class Surface:
    """A layer and what turns its coefficients into channels, (3, 3)."""

    layer: LayerLike
    matrix: FloatArray


@dataclass(frozen=True, eq=False)
class Bulbs:
    """Lamps and their light in channels, (n, 3)."""

    lamps: LampsLike
    channels: DoubleArray


class Shown(NamedTuple):
    """A layer of a scene that a preview shows."""

    number: int
    """Its place in the scene."""
    layer: LayerLike | None = None
    """The same where it has got to, upright; None: where the scene has it."""
    gone_m: tuple[float, float] = (0.0, 0.0)
    """How far to the right and down it has got from where the scene has it."""


class Direct:
    """A layer evaluated where it is asked for."""

    max_level = 7

    def __init__(
        self, surface: Surface, lattice: Lattice, lens_m: float, warp: DoubleArray, *,
        apart: bool = False,
    ) -> None:  # fmt: skip
        self.layer, self.matrix = surface.layer, surface.matrix
        self.lattice, self.lens_m, self.warp = lattice, lens_m, warp
        self.apart = apart
        """Whether points of coarser levels are means of four: texture fades before it is gone."""

    def fetch(self, level: int, i: int, j: int, height: int, width: int) -> FloatArray:
        """(4, height, width) from lattice point (i, j) of the level on."""
        if level and self.apart:
            return means_of_four(self.points(level - 1, 2 * i, 2 * j, 2 * height, 2 * width))
        return self.points(level, i, j, height, width)

    def points(self, level: int, i: int, j: int, height: int, width: int) -> FloatArray:
        """As `fetch`, never means of four."""
        x, y, step = self.lattice.origin(level)
        out = np.empty((4, height, width), np.float32)
        self.sample(x + j * step, y + i * step, step, out)
        return out

    def sample(self, x: float, y: float, step: float, out: FloatArray) -> None:
        """At places of the sensor ``step`` apart from (x, y) on, in units of its distance."""
        scale, bends = float(self.warp[0]), self.warp[1:]
        at = scale * x, scale * y, scale * step
        self.layer.sample(self.matrix, self.lens_m, *at, out, bends)


def means_of_four(four: FloatArray) -> FloatArray:
    """Of squares of 2 x 2 points, (4, h, w) of (4, 2 h, 2 w)."""
    rows = four[:, ::2] + four[:, 1::2]
    mean = np.asarray(rows[..., ::2] + rows[..., 1::2], np.float32)
    mean *= np.float32(0.25)
    return mean


class Cached:
    """A layer kept as a raster with its halved copies, for one size of preview."""

    def __init__(
        self, surface: Surface, lattice: Lattice, span: tuple[int, int, int, int], lens_m: float,
        warp: DoubleArray, levels: int = 6,
    ) -> None:  # fmt: skip
        self.layer, self.lattice, self.lens_m = surface.layer, lattice, lens_m
        self.scale = 1.0
        self.warp = warp
        self.slide, self.bend = 0.0, np.zeros(3)
        self.shift = 0.0, 0.0
        """Tangents to the right and down by which it is seen elsewhere."""
        self._i, self._j, height, width = span
        full = np.empty((4, height, width), np.float32)

        def work(first: int, end: int) -> None:
            band = np.empty((4, end - first, width), np.float32)
            x = warp[0] * (lattice.x0 + self._j * lattice.step)
            y = warp[0] * (lattice.y0 + (self._i + first) * lattice.step)
            step = warp[0] * lattice.step
            surface.layer.sample(surface.matrix, lens_m, x, y, step, band, warp[1:])
            full[:, first:end] = band

        run_bands(work, height, 64, urgent=True)
        ends = np.arange(0, height, _LOOKED), np.arange(0, width, _LOOKED)
        self._covered: tuple[FloatArray, FloatArray] = (
            np.minimum.reduceat(np.minimum.reduceat(full[3], ends[0]), ends[1], axis=1),
            np.maximum.reduceat(np.maximum.reduceat(full[3], ends[0]), ends[1], axis=1),
        )
        """Least and most coverage of blocks."""
        self._mips = [full]
        while min(self._mips[-1].shape[1:]) >= 16 and len(self._mips) < levels:
            a = self._mips[-1]
            a = np.pad(a, ((0, 0), (0, a.shape[1] & 1), (0, a.shape[2] & 1)), mode="edge")
            half = a[:, ::2, ::2] + a[:, 1::2, ::2] + a[:, ::2, 1::2] + a[:, 1::2, 1::2]
            self._mips.append(half * np.float32(0.25))
        self.max_level = len(self._mips) - 1

    def at(self, lens_m: float, warp: DoubleArray | None = None) -> Cached:
        """The same raster seen from a lens that moved: an upright layer grows about the axis.

        With ``warp``, the lens' distortion now, it is also bent, and a slanted one slides over
        itself; without, which is quicker, that is left out.
        """
        moved = copy.copy(self)
        a, b = self.layer.inverse_depth(self.lens_m)
        if b == 0.0:
            moved.scale = self.layer.inverse_depth(lens_m)[0] / a
        if warp is not None:
            moved.slide = (lens_m - self.lens_m) * b * self.warp[0]
            # of what is seen where the raster was made, in units of its places
            power = np.array([2.0, 4.0, 6.0])
            own = self.warp[0] ** power
            moved.bend = (warp[1:] * moved.scale**power - self.warp[1:]) * own
            moved.scale *= self.warp[0] / warp[0]
            if moved.slide == 0.0 and self._moves(moved.bend) < _STILL:
                moved.bend = np.zeros(3)
        return moved

    def elsewhere(self, pupil: Pupil, layer: LayerLike, gone_m: tuple[float, float]) -> Cached:
        """The same raster for an upright layer that has gone; its middle is where it is seen."""
        moved, lens_m = self.at(pupil.thin.image_distance_m), pupil.thin.image_distance_m
        near = layer.inverse_depth(lens_m)[0]
        grown = near / self.layer.inverse_depth(lens_m)[0]
        box = np.array(self.layer.bounds(lens_m)).reshape(2, 2)
        middle = box.mean(axis=0) if np.isfinite(box).all() else np.zeros(2)
        shift = pupil.seen(grown * middle + near * np.array(gone_m)) - grown * pupil.seen(middle)
        moved.layer, moved.scale = layer, moved.scale * grown
        moved.shift = float(shift[0]), float(shift[1])
        return moved

    def _moves(self, bend: DoubleArray) -> float:
        """By how many points a change of the distortion moves the raster's farthest one."""
        _, height, width = self._mips[0].shape
        y0, x0 = self.lattice.y0 / self.lattice.step, self.lattice.x0 / self.lattice.step
        y = max(abs(y0 + self._i), abs(y0 + self._i + height))
        x = max(abs(x0 + self._j), abs(x0 + self._j + width))
        q = (x * x + y * y) * self.lattice.step**2
        return math.hypot(x, y) * q * abs(float(bend[0] + q * (bend[1] + q * bend[2])))

    def empty(self, level: int, i: int, j: int, height: int, width: int) -> bool:
        """Whether nothing is there, as the coarsest copy knows."""
        size = 1 << (self.max_level - level)
        cover = self._mips[-1][3]
        i0, j0 = (i - (self._i >> level)) // size, (j - (self._j >> level)) // size
        i1, j1 = i0 + height // size + 2, j0 + width // size + 2
        # where the asked part lies beyond an edge, the last row or column stands for it
        i0, j0 = (min(max(k, 0), n - 1) for k, n in zip((i0, j0), cover.shape, strict=True))
        return not cover[i0 : max(i1, i0 + 1), j0 : max(j1, j0 + 1)].any()

    def whole(self, level: int, i: int, j: int) -> tuple[FloatArray, int, int]:
        """The raster of a level as it was made, and where the level's point (i, j) lies in it."""
        return self._mips[level], i - (self._i >> level), j - (self._j >> level)

    def fetch(self, level: int, i: int, j: int, height: int, width: int) -> FloatArray:
        """As `Direct.fetch`; beyond its edges the raster repeats its last pixel."""
        mip = self._mips[level]
        if self.slide or self.bend.any():
            x0, y0, step = (self.scale * v for v in self.lattice.origin(level))
            return self.resampled(level, x0 + j * step, y0 + i * step, step, (height, width))
        i -= self._i >> level
        j -= self._j >> level
        if i >= 0 and j >= 0 and i + height <= mip.shape[1] and j + width <= mip.shape[2]:
            return np.ascontiguousarray(mip[:, i : i + height, j : j + width])
        rows = np.clip(np.arange(i, i + height), 0, mip.shape[1] - 1)
        columns = np.clip(np.arange(j, j + width), 0, mip.shape[2] - 1)
        return np.ascontiguousarray(mip[:, rows[:, None], columns[None, :]])

    def resampled(
        self, level: int, x0: float, y0: float, step: float, size: tuple[int, int]
    ) -> FloatArray:
        """As `fetch`, at points of another lattice from (x0, y0) on."""
        out = np.empty((4, *size), np.float32)
        _kernels.slide(*self._onto(level, x0, y0, step), self.slide, self.bend, out)
        return out

    def sharp(self, x0: float, y0: float, step: float, size: tuple[int, int]) -> FloatArray:
        """As `resampled`, of what is not blurred afterwards."""
        out = np.empty((4, *size), np.float32)
        _kernels.slide_sharp(*self._onto(0, x0, y0, step), self.slide, self.bend, out)
        return out

    def planes(self, x0: float, y0: float, step: float, size: tuple[int, int]) -> int:
        """Of `slid`: 3 where the layer covers all, 0 where there is none of it, and else 4."""
        rows, columns = size
        source, left, top, own, x, y, step = self._onto(0, x0, y0, step)
        # a part of the raster in which all that is asked for lies
        ys, xs = np.array([[y], [y + rows * step]]), np.array([x, x + columns * step])
        q = ys**2 + xs**2
        by = bent(self.bend, q) / (1.0 + self.slide * np.maximum(ys, 0.0))
        found: list[slice] = []
        for places, begin, points in (
            (ys * by, top, source.shape[1]), (xs * by, left, source.shape[2])
        ):  # fmt: skip
            first = min(max(int((places.min() - begin) / own) - 4, 0), points - 1)
            found.append(slice(first, max(int((places.max() - begin) / own) + 5, first + 1)))
        # most parts are all or nothing, as blocks know that hold them
        blocks = tuple(slice(s.start // _LOOKED, -(-s.stop // _LOOKED)) for s in found)
        if self._covered[0][blocks].min() >= COVERS:
            return 3
        if not self._covered[1][blocks].max():
            return 0
        cover = source[3, found[0], found[1]]
        return 3 if cover.min() >= COVERS else 4 if cover.max() else 0

    def slid(self, x0: float, y0: float, step: float, out: FloatArray) -> None:
        """As `sharp`, split by column (see `_tail_kernels`)."""
        _tail_kernels.slide_split(*self._onto(0, x0, y0, step), self.slide, self.bend, out)

    def _onto(
        self, level: int, x0: float, y0: float, step: float
    ) -> tuple[FloatArray, float, float, float, float, float, float]:
        """A copy of the raster, where it begins and its step; then points as it was made for."""
        left, top, own = self.lattice.origin(level)
        left += (self._j >> level) * own
        top += (self._i >> level) * own
        asked = x0 / self.scale, y0 / self.scale, step / self.scale
        return self._mips[level], left, top, own, *asked


def reach_um(x_um: DoubleArray, y_um: DoubleArray) -> float:
    """Distance from the axis of the farthest of samples in columns x and rows y."""
    return float(math.hypot(np.abs(x_um).max(), np.abs(y_um).max())) + 1e-9


def moved_out(bounds: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    """Bounds with room for the lens' distortion."""
    left, top, right, bottom = bounds
    return (
        left - _MOVED * abs(left), top - _MOVED * abs(top),
        right + _MOVED * abs(right), bottom + _MOVED * abs(bottom),
    )  # fmt: skip


def rasterize(
    surface: Surface, lattice: Lattice, width: int, height: int, lens_m: float, warp: DoubleArray,
    room: int = 64, levels: int = 6,
) -> Cached:  # fmt: skip
    """The part of a layer that may be seen, with room for blur, in blocks of 32 points.

    As it repeats what is at its edges, there is nothing at those beyond which there is nothing: a
    point of the last of its ``levels``.
    """
    left, top, right, bottom = moved_out(surface.layer.bounds(lens_m))
    nothing = 2 ** (levels - 1) + 1
    edges: list[int] = []
    for low, high, origin, size in (
        (left, right, lattice.x0, width), (top, bottom, lattice.y0, height)
    ):  # fmt: skip
        first, last = (low - origin) / lattice.step, (high - origin) / lattice.step + 1
        first = first - nothing if first > -room else -room
        last = last + nothing if last < size + room else size + room
        edges += [
            math.floor(first / 32) * 32,
            max(math.ceil(last / 32), math.floor(first / 32) + 1) * 32,
        ]
    j0, j1, i0, i1 = edges
    return Cached(surface, lattice, (i0, j0, i1 - i0, j1 - j0), lens_m, warp, levels)


class Texture:
    """A layer where the samples of a grid look, made when it is first asked for; see `Cached`."""

    def __init__(
        self, surface: Surface, lattice: Lattice, size: tuple[int, int], lens_m: float,
        warp: DoubleArray,
    ) -> None:  # fmt: skip
        self._args = surface, lattice, size[1], size[0], lens_m, warp
        self._lock = threading.Lock()
        self._made: Cached | None = None

    def at(self, lens_m: float, warp: DoubleArray) -> Cached:
        """As `Cached.at`."""
        with self._lock:
            if self._made is None:
                self._made = rasterize(*self._args, room=_TEXTURE_ROOM, levels=1)
        return self._made.at(lens_m, warp)
