"""From a scene to the light on a sensor: layers blurred by depth and laid over each other."""

from __future__ import annotations

import copy
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
import numpy.typing as npt

from modoptic.bands import run_bands
from modoptic.errors import SettingError
from modoptic.optics import _kernels
from modoptic.optics._lens import LensState, ThinLens, line_spread, solve

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]

HC_J_NM = 1.98644586e-16
"""Planck's constant times the speed of light, in J nm (CODATA 2018)."""

_PREVIEW_STRIPS = 8
_OPAQUE = 1e-3
"""A share of light below this, left behind what is in front, is not traced further."""


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
        tx0: float,
        ty0: float,
        step: float,
        out: FloatArray,
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
    footprint_um: float
    """Side of the square that a sample gathers light from."""
    area_um2: float
    """Area that collects light in a sample."""
    cfa: tuple[str, ...] = ("RG", "GB")
    """Colours of the samples, row by row, 2 x 2."""


@dataclass(frozen=True, eq=False)
class _Lattice:
    """Uniform points in tangents; those of level k are 2^k apart, centred in blocks of level 0."""

    x0: float
    y0: float
    step: float

    def origin(self, level: int) -> tuple[float, float, float]:
        size = 2.0**level
        off = 0.5 * (size - 1.0) * self.step
        return self.x0 + off, self.y0 + off, self.step * size


@dataclass(frozen=True, eq=False)
class _Surface:
    """A layer and what turns its coefficients into channels, (3, 3)."""

    layer: LayerLike
    matrix: FloatArray


@dataclass(frozen=True, eq=False)
class _Bulbs:
    """Lamps and their light in channels, (n, 3)."""

    lamps: LampsLike
    channels: DoubleArray


class _Direct:
    """A layer evaluated where it is asked for."""

    max_level = 7

    scale = 1.0

    def __init__(self, surface: _Surface, lattice: _Lattice, lens_m: float) -> None:
        self.layer, self.matrix = surface.layer, surface.matrix
        self.lattice, self.lens_m = lattice, lens_m

    def empty(self, level: int, i: int, j: int, height: int, width: int) -> bool:
        """Whether it is known at once that nothing is there."""
        return False

    def fetch(self, level: int, i: int, j: int, height: int, width: int) -> FloatArray:
        """(4, height, width) from lattice point (i, j) of the level on."""
        x, y, step = self.lattice.origin(level)
        out = np.empty((4, height, width), np.float32)
        self.layer.sample(self.matrix, self.lens_m, x + j * step, y + i * step, step, out)
        return out


class _Cached:
    """A layer kept as a raster with its halved copies, for one size of preview."""

    def __init__(
        self, surface: _Surface, lattice: _Lattice, span: tuple[int, int, int, int], lens_m: float
    ) -> None:
        self.layer, self.lattice, self.lens_m = surface.layer, lattice, lens_m
        self.scale = 1.0
        self._i, self._j, height, width = span
        full = np.empty((4, height, width), np.float32)

        def work(first: int, end: int) -> None:
            band = np.empty((4, end - first, width), np.float32)
            x = lattice.x0 + self._j * lattice.step
            y = lattice.y0 + (self._i + first) * lattice.step
            surface.layer.sample(surface.matrix, lens_m, x, y, lattice.step, band)
            full[:, first:end] = band

        run_bands(work, height, 64, urgent=True)
        self._mips = [full]
        while min(self._mips[-1].shape[1:]) >= 16 and len(self._mips) < 6:
            a = self._mips[-1]
            a = np.pad(a, ((0, 0), (0, a.shape[1] & 1), (0, a.shape[2] & 1)), mode="edge")
            half = a[:, ::2, ::2] + a[:, 1::2, ::2] + a[:, ::2, 1::2] + a[:, 1::2, 1::2]
            self._mips.append(half * np.float32(0.25))
        self.max_level = len(self._mips) - 1

    def at(self, lens_m: float) -> _Cached:
        """The same raster seen from a lens that moved: an upright layer grows about the axis."""
        moved = copy.copy(self)
        a, b = self.layer.inverse_depth(self.lens_m)
        if b == 0.0:
            moved.scale = self.layer.inverse_depth(lens_m)[0] / a
        return moved

    def empty(self, level: int, i: int, j: int, height: int, width: int) -> bool:
        """As `_Direct.empty`, from the coarsest copy."""
        size = 1 << (self.max_level - level)
        i0, j0 = (i - (self._i >> level)) // size, (j - (self._j >> level)) // size
        cover = self._mips[-1][3]
        i1, j1 = i0 + height // size + 2, j0 + width // size + 2
        rows, columns = np.clip((i0, i1), 0, cover.shape[0]), np.clip((j0, j1), 0, cover.shape[1])
        # where the asked part lies beyond an edge, the last row or column stands for it
        i0, j0 = min(int(rows[0]), cover.shape[0] - 1), min(int(columns[0]), cover.shape[1] - 1)
        return not cover[i0 : max(int(rows[1]), i0 + 1), j0 : max(int(columns[1]), j0 + 1)].any()

    def fetch(self, level: int, i: int, j: int, height: int, width: int) -> FloatArray:
        """As `_Direct.fetch`; beyond its edges the raster repeats its last pixel."""
        mip = self._mips[level]
        i -= self._i >> level
        j -= self._j >> level
        if i >= 0 and j >= 0 and i + height <= mip.shape[1] and j + width <= mip.shape[2]:
            return np.ascontiguousarray(mip[:, i : i + height, j : j + width])
        rows = np.clip(np.arange(i, i + height), 0, mip.shape[1] - 1)
        columns = np.clip(np.arange(j, j + width), 0, mip.shape[2] - 1)
        return np.ascontiguousarray(mip[:, rows[:, None], columns[None, :]])


@dataclass(frozen=True, eq=False)
class _LampImages:
    """Lamps as the lens images them, in tangents."""

    x: FloatArray
    y: FloatArray
    reach: FloatArray
    profile: FloatArray
    channels: FloatArray


def _overlap(d: DoubleArray, r: DoubleArray, s: DoubleArray) -> DoubleArray:
    """Area common to two circles of radii r and s whose centres are d apart."""
    small, large = np.minimum(r, s), np.maximum(r, s)
    d = np.clip(d, large - small + 1e-12, None)
    safe = np.clip(d, None, small + large)
    a = np.arccos(np.clip((safe**2 + r**2 - s**2) / (2 * safe * r), -1, 1))
    b = np.arccos(np.clip((safe**2 + s**2 - r**2) / (2 * safe * s), -1, 1))
    kite = (-safe + r + s) * (safe + r - s) * (safe - r + s) * (safe + r + s)
    return r**2 * a + s**2 * b - 0.5 * np.sqrt(np.clip(kite, 0, None))


def _image_lamps(bulbs: _Bulbs, thin: ThinLens) -> _LampImages:
    """Each lamp's disc spread over its blur disc (the exact overlap) and by diffraction.

    The latter is taken as Gaussian; every profile keeps the lamp's light exactly.
    """
    lamps = bulbs.lamps
    away = lamps.position_m[:, 2] - thin.image_distance_m
    radius = np.maximum(lamps.radius_m / away, 1e-9)
    blur = np.maximum(0.5 * thin.iris_m * np.abs(1.0 / away - thin.inverse_focus), 1e-9)
    # 0.42 lambda N: the Gaussian nearest to the core of an Airy disc
    sigma = 0.42 * 550e-9 * thin.f_number / thin.image_distance_m
    reach = radius + blur + 3.0 * sigma
    points, count = np.polynomial.hermite.hermgauss(5), 64
    d = reach[:, None] * np.linspace(0.0, 1.0, count)
    profile = np.zeros_like(d)
    for x, wx in zip(*points, strict=True):
        for y, wy in zip(*points, strict=True):
            if y < 0.0:
                continue  # the same as on the other side of the axis
            far = np.hypot(d + x * sigma * math.sqrt(2.0), y * sigma * math.sqrt(2.0))
            sides = 2.0 if y > 0.0 else 1.0
            profile += sides * wx * wy / math.pi * _overlap(far, radius[:, None], blur[:, None])
    spacing = reach / (count - 1)
    # the integral of a piecewise linear profile over the plane
    a, b, r = profile[:, :-1], profile[:, 1:], d[:, :-1]
    h = spacing[:, None]
    total = 2.0 * np.pi * np.sum(h * (r * (a + b) / 2.0 + h * (a / 6.0 + b / 3.0)), axis=1)
    profile *= (np.pi * radius**2 / total)[:, None]
    return _LampImages(
        (lamps.position_m[:, 0] / away).astype(np.float32),
        (lamps.position_m[:, 1] / away).astype(np.float32),
        reach.astype(np.float32),
        profile.astype(np.float32),
        bulbs.channels.astype(np.float32),
    )


class _View:
    """One lens setting and one set of samples: renders tiles of it.

    A layer is evaluated at the coarsest points of which ``detail`` still fit into its blur disc;
    diffraction counts from ``airy_from`` times the distance of those points on.
    """

    def __init__(
        self, thin: ThinLens, sources: Sequence[_Direct | _Cached | _LampImages],
        tx: DoubleArray, ty: DoubleArray, lattice: _Lattice, *, detail: float, airy_from: float,
    ) -> None:  # fmt: skip
        self.thin, self.sources, self.tx, self.ty = thin, sources, tx, ty
        self.lattice, self.detail, self.airy_from = lattice, detail, airy_from
        self._taps: dict[float, FloatArray] = {}

    def _line_spread(self, step: float) -> FloatArray | None:
        """Diffraction at this sampling, or None where it is too fine to matter."""
        if step not in self._taps:
            step_um = step * self.thin.image_distance_m * 1e6
            if 0.55 * self.thin.f_number < self.airy_from * step_um:
                self._taps[step] = np.ones(1, np.float32)
            else:
                self._taps[step] = line_spread(self.thin.f_number, step_um)
        taps = self._taps[step]
        return None if taps.size == 1 else taps

    def tile(
        self, rows: tuple[int, int], columns: tuple[int, int], pattern: npt.NDArray[np.int64] | None
    ) -> FloatArray:
        """(1 or 3, h, w): light from near to far until nothing behind can be seen."""
        tx, ty = self.tx[columns[0] : columns[1]], self.ty[rows[0] : rows[1]]
        planes = 3 if pattern is None else 1
        light = np.zeros((planes, len(ty), len(tx)), np.float32)
        passing = np.ones((len(ty), len(tx)), np.float32)
        tx32, ty32 = tx.astype(np.float32), ty.astype(np.float32)
        for source in reversed(self.sources):
            if isinstance(source, _LampImages):
                _kernels.add_lamps(
                    source.x, source.y, source.reach, source.profile, source.channels, tx32, ty32,
                    np.zeros((2, 2), np.int64) if pattern is None else pattern, light, passing,
                    self.lattice.step,
                )  # fmt: skip
            elif self._under(source, tx, ty, pattern, light, passing):
                break
        factor = self.thin.irradiance_factor
        _kernels.expose(light, tx32, ty32, factor)
        return light

    def _under(
        self, source: _Direct | _Cached, tx: DoubleArray, ty: DoubleArray,
        pattern: npt.NDArray[np.int64] | None, light: FloatArray, passing: FloatArray,
    ) -> bool:  # fmt: skip
        """Lay one layer under the tile; True if nothing behind it can be seen."""
        thin = self.thin
        a, b = source.layer.inverse_depth(thin.image_distance_m)
        ends = [thin.iris_m * (a + b * t - thin.inverse_focus) for t in (ty[0], ty[-1])]
        most = max(abs(e) for e in ends)
        least = 0.0 if ends[0] * ends[1] < 0 else min(abs(e) for e in ends)
        level = max(0, int(math.log2(max(least / (self.lattice.step * self.detail), 1.0))))
        level = min(level, source.max_level)
        scale = source.scale
        x0, y0, step = source.lattice.origin(level)
        taps = self._line_spread(step * scale)
        spread = 0 if taps is None else taps.size // 2

        left, top, right, bottom = source.layer.bounds(thin.image_distance_m)
        edge = 0.5 * most + (spread + 2.0) * step * scale
        j0, j1 = np.searchsorted(tx, (left - edge, right + edge))
        i0, i1 = np.searchsorted(ty, (top - edge, bottom + edge))
        if j0 >= j1 or i0 >= i1:
            return False
        # which points of the layer's lattice are needed
        x = np.round((tx[j0:j1] / scale - x0) / step, 5)
        y = np.round((ty[i0:i1] / scale - y0) / step, 5)
        jx, iy = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
        width, height = int(jx[-1] - jx[0]) + 2, int(iy[-1] - iy[0]) + 2
        row_t = (y0 + (iy[0] + np.arange(height)) * step) * scale
        radii = 0.5 * thin.iris_m * np.abs(a + b * row_t - thin.inverse_focus) / (step * scale)
        disc = math.ceil(radii.max()) + 2 if radii.max() > 0.3 else 0

        margin = disc + spread
        span = int(iy[0]) - margin, int(jx[0]) - margin, height + 2 * margin, width + 2 * margin
        if source.empty(level, *span):
            return False
        image = source.fetch(level, *span)
        if not image[3].any():
            return False
        if disc:
            wide = np.empty((4, height + 2 * spread, width + 2 * spread), np.float32)
            if spread:
                radii = np.pad(radii, spread, mode="edge")
            _kernels.blur_disc(image, radii.astype(np.float32), disc, wide)
            image = wide
        if taps is not None:
            out = np.empty((4, height, width), np.float32)
            _kernels.blur_line(image, taps, out)
            image = out

        part = (
            image, iy - iy[0], (y - iy).astype(np.float32), jx - jx[0], (x - jx).astype(np.float32),
            int(i0), int(j0),
        )  # fmt: skip
        if pattern is None:
            rest = cast(float, _kernels.under_color(*part, light, passing))
        else:
            rest = cast(float, _kernels.under_mosaic(*part, pattern, light[0], passing))
        whole = i1 - i0 == len(ty) and j1 - j0 == len(tx)
        return whole and rest < _OPAQUE


def _tiles(
    height: int, width: int, rows: int, columns: int
) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    return [
        ((i, min(i + rows, height)), (j, min(j + columns, width)))
        for i in range(0, height, rows)
        for j in range(0, width, columns)
    ]


class LightRenderer:
    """Renders one scene for one spectral response; keeps what does not change.

    May be called from several threads.
    """

    def __init__(self, scene: SceneLike, response: SpectralResponse) -> None:
        self.scene = scene
        self._parts: list[_Surface | _Bulbs] = []
        for layer in scene.layers:
            if hasattr(layer, "radiance"):
                lamps = cast(LampsLike, layer)
                channels = response.electrons(scene.wavelengths_nm, lamps.radiance)
                self._parts.append(_Bulbs(lamps, channels))
            else:
                surface = cast(LayerLike, layer)
                matrix = response.electrons(scene.wavelengths_nm, surface.basis).T
                self._parts.append(_Surface(surface, np.ascontiguousarray(matrix, np.float32)))
        self._lock = threading.Lock()
        self._previews: dict[tuple[int, int, float, float, float], list[_Cached | _Bulbs]] = {}

    def light(
        self,
        lens: LensState,
        grid: SampleGrid,
        *,
        progress: Callable[[float], None] | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> FloatArray:
        """Mean photo-electrons a second of each sample in its own colour, float32 (h, w).

        The same call gives the same numbers. Memory: the result and a few tiles.

        Parameters
        ----------
        progress : called in the caller's thread with 0..1
        cancel : asked before each tile; once it is true no further tile is begun

        Raises
        ------
        concurrent.futures.CancelledError : ``cancel`` said so
        SettingError : a lens state that cannot be (see `solve`), a grid that does not rise or has
            another CFA than 2 x 2
        """
        thin = solve(lens)
        scale = 1e-6 / thin.image_distance_m
        tx, ty = grid.x_um * scale, grid.y_um * scale
        for axis in (tx, ty):
            if axis.ndim != 1 or axis.size < 2 or not (np.diff(axis) > 0).all():
                raise SettingError("sample grid", axis.shape, "at least 2 rising positions an axis")
        if len(grid.cfa) != 2 or any(len(row) != 2 or set(row) - set("RGB") for row in grid.cfa):
            raise SettingError("CFA", grid.cfa, "2 x 2 of R, G and B")
        step = float(0.5 * ((tx[-1] - tx[0]) / (tx.size - 1) + (ty[-1] - ty[0]) / (ty.size - 1)))
        lattice = _Lattice(
            float(np.mean(tx - step * np.arange(tx.size))),
            float(np.mean(ty - step * np.arange(ty.size))),
            step,
        )
        sources: list[_Direct | _Cached | _LampImages] = []
        for part in self._parts:
            if isinstance(part, _Bulbs):
                sources.append(_image_lamps(part, thin))
            else:
                sources.append(_Direct(part, lattice, thin.image_distance_m))
        view = _View(thin, sources, tx, ty, lattice, detail=8.0, airy_from=0.25)
        pattern = np.array([["RGB".index(c) for c in row] for row in grid.cfa], np.int64)
        height, width = ty.size, tx.size
        out = np.empty((height, width), np.float32)
        side = 512 if height * width >= 16 * 512 * 512 else 256
        tiles = _tiles(height, width, side, side)
        area = np.float32(grid.area_um2 * 1e-12)

        def work(first: int, end: int) -> None:
            for (i0, i1), (j0, j1) in tiles[first:end]:
                if cancel is not None and cancel():
                    raise CancelledError("the light was not needed any more")
                tile = view.tile((i0, i1), (j0, j1), pattern)
                np.multiply(tile[0], area, out=out[i0:i1, j0:j1])

        def done(count: int) -> None:
            if progress is not None:
                progress(count / len(tiles))

        run_bands(work, len(tiles), 1, done=done)
        return out

    def preview(
        self, lens: LensState, width: int, height: int, extent_um: tuple[float, float]
    ) -> FloatArray:
        """Electrons s^-1 um^-2 in every channel, float32 (3, height, width), as quick as it goes.

        ``extent_um`` is the width and height of the part of the sensor plane shown, centred on the
        axis. The first call for a size and focal length evaluates the scene and takes longer.

        Raises
        ------
        SettingError : a lens state that cannot be, or a size that is not positive
        """
        if width < 2 or height < 2:
            raise SettingError("preview size", (width, height), "at least 2 x 2")
        thin = solve(lens)
        scale = 1e-6 / thin.image_distance_m
        tx: DoubleArray = np.arange(width, dtype=np.float64) - (width - 1) / 2
        ty: DoubleArray = np.arange(height, dtype=np.float64) - (height - 1) / 2
        tx *= extent_um[0] / width * scale
        ty *= extent_um[1] / height * scale
        cached = self._cached(width, height, extent_um, lens.focal_length_mm)
        step = float(tx[1] - tx[0])
        sources: list[_Direct | _Cached | _LampImages] = []
        for part in cached:
            if isinstance(part, _Bulbs):
                sources.append(_image_lamps(part, thin))
            else:
                sources.append(part.at(thin.image_distance_m))
        view = _View(
            thin,
            sources,
            tx,
            ty,
            _Lattice(float(tx[0]), float(ty[0]), step),
            detail=5.0,
            airy_from=0.6,
        )
        out = np.empty((3, height, width), np.float32)

        # strips: what a tile costs besides its pixels is Python's, which threads cannot share
        tiles = _tiles(height, width, math.ceil(height / _PREVIEW_STRIPS), width)

        def work(first: int, end: int) -> None:
            for (i0, i1), (j0, j1) in tiles[first:end]:
                tile = view.tile((i0, i1), (j0, j1), None)
                np.multiply(tile, np.float32(1e-12), out=out[:, i0:i1, j0:j1])

        # beside a still of 100 MP the finder stays live
        run_bands(work, len(tiles), 1, urgent=True)
        return out

    def _cached(
        self, width: int, height: int, extent_um: tuple[float, float], focal_length_mm: float
    ) -> list[_Cached | _Bulbs]:
        key = (width, height, *extent_um, focal_length_mm)
        with self._lock:
            if key not in self._previews:
                lens_m = focal_length_mm * 1e-3
                step = extent_um[0] / width * 1e-6 / lens_m
                lattice = _Lattice(-(width - 1) / 2 * step, -(height - 1) / 2 * step, step)
                rasters = [
                    part
                    if isinstance(part, _Bulbs)
                    else _raster(part, lattice, width, height, lens_m)
                    for part in self._parts
                ]
                # two sizes, as a coarse and a fine preview take turns
                self._previews = {**dict([*self._previews.items()][-1:]), key: rasters}
            return self._previews[key]


def _raster(
    surface: _Surface, lattice: _Lattice, width: int, height: int, lens_m: float
) -> _Cached:
    """The part of a layer that may be seen, with room for blur, in blocks of 32 points."""
    room = 64
    left, top, right, bottom = surface.layer.bounds(lens_m)
    edges: list[int] = []
    for low, high, origin, size in (
        (left, right, lattice.x0, width), (top, bottom, lattice.y0, height)
    ):  # fmt: skip
        first = max((low - origin) / lattice.step - 2, -room)
        last = min((high - origin) / lattice.step + 3, size + room)
        edges += [
            math.floor(first / 32) * 32,
            max(math.ceil(last / 32), math.floor(first / 32) + 1) * 32,
        ]
    j0, j1, i0, i1 = edges
    return _Cached(surface, lattice, (i0, j0, i1 - i0, j1 - j0), lens_m)


def warm() -> Iterator[str]:
    """Compile every kernel for the types in use; one line each."""
    four = np.ones((4, 9, 9), np.float32)
    image = np.ones((4, 3, 3), np.float32)
    _kernels.blur_disc(four, np.ones(3, np.float32), 3, image)
    yield "optics: defocus"
    _kernels.blur_line(four, np.ones(7, np.float32), image)
    yield "optics: diffraction"
    at, part = np.zeros(2, np.int64), np.zeros(2, np.float32)
    pattern = np.zeros((2, 2), np.int64)
    light, passing = np.zeros((3, 2, 2), np.float32), np.ones((2, 2), np.float32)
    _kernels.under_mosaic(image, at, part, at, part, 0, 0, pattern, light[0], passing)
    _kernels.under_color(image, at, part, at, part, 0, 0, light, passing)
    yield "optics: occlusion"
    _kernels.add_lamps(
        part, part, part + 1, image[0], image[0], part, part, pattern, light, passing, 1.0
    )
    _kernels.expose(light, part, part, 1.0)
    yield "optics: lamps"
