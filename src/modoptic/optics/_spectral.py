"""A spectral cube through a lens: blurred wavelength by wavelength, in a few planes.

A photosite of channel c gets the sum over bands n of w[c, n] (K[n] * L[n]): L is the radiance, K
the kernel of the lens, the sensor's charge and its photosites at that wavelength, w what the sensor
makes of it. Done so, it is one convolution a band. But kernels change smoothly with wavelength:

    w[c, n] K[n] = w[c, n] M[c] + sum over j of a[c, n, j] B[c, j] + what is left out

with M[c] the mean kernel of the channel and a few pairs a, B from the singular values of the rest.
So bands are mixed into few planes for each channel first - its plain response w[c], and how much
more or less of it comes at wavelengths that blur unlike the mean - and only planes are convolved,
each where the mosaic has that colour. Every B sums to 0, so an even field stays exact. Mixing
belongs to wavelengths alone and B to a place of the sensor: kernels may vary over the field.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from modoptic.bands import run_bands
from modoptic.errors import SettingError
from modoptic.optics import _kernels, _spectral_kernels
from modoptic.optics._angles import Cones
from modoptic.optics._exact import tiles
from modoptic.optics._lens import LensState
from modoptic.optics._pupil import IdealLens, Lens, Pupil, PupilShape
from modoptic.optics._render import Shading, expose
from modoptic.optics._sources import (
    AngularLike,
    SampleGrid,
    SpectralResponse,
    reach_um,
)
from modoptic.optics._spread import Binning, Cell, Kind, Spread

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Real = npt.NDArray[np.floating]

LEFT_OUT = 0.02
"""Planes are as many as it takes: of an even spectrum at most so much of the light of a channel is
put at a wrong place, all taps and wavelengths added up, half of it too much and half too little. In
pictures errors of many taps cancel: the worst photosite of a chart is off by a fiftieth of that."""
_SPILLED = 4e-3
"""As much again, and no more, is beyond the taps of a plane that are used."""
_KEPT = 0.995
"""Share of the light within a kernel; as in the full model, what is left is given to it."""
_ROWS = 96
_PLANS_KEPT = 4
_MOST = float(np.finfo(np.float32).max)


@dataclass(frozen=True, eq=False)
class _AtBands(Pupil):
    """A pupil at other wavelengths; path differences between the lens' own are interpolated."""

    base: Pupil | None = None
    bands_nm: tuple[float, ...] = ()

    @property
    def _base(self) -> Pupil:
        assert self.base is not None
        return self.base

    @property
    def sine(self) -> float:
        return self._base.sine

    @property
    def wavelengths_nm(self) -> DoubleArray:
        return np.array(self.bands_nm)

    def chief(self, radius_um: float) -> float:
        return self._base.chief(radius_um)

    def _shape(self, radius_um: float) -> PupilShape:
        shape = self._base.shape(radius_um)
        nodes = self._base.wavelengths_nm
        at = np.interp(self.bands_nm, nodes, np.arange(nodes.size))
        low = np.minimum(at.astype(np.int64), max(nodes.size - 2, 0))
        part = (at - low)[:, None, None]
        high = np.minimum(low + 1, nodes.size - 1)
        opd = shape.opd_um[low] * (1.0 - part) + shape.opd_um[high] * part
        return replace(shape, opd_um=np.ascontiguousarray(opd))

    def warp_of(self, inverse_depth: float) -> DoubleArray:
        return self._base.warp_of(inverse_depth)

    def aside_um(self, radius_um: float, inverse_depth: float) -> float:
        return self._base.aside_um(radius_um, inverse_depth)


class _ThreeBands(Spread):
    """Kernels of three single wavelengths, in place of those of the sensor's channels."""

    def __init__(
        self, pupil: Pupil, bands_nm: DoubleArray, response: SpectralResponse, diffusion_um: float
    ) -> None:
        bands = _AtBands(pupil.state, pupil.blades, pupil, tuple(map(float, bands_nm)))
        super().__init__(bands, response, diffusion_um)
        self._nodes = (0, 1, 2)
        self._weights = np.eye(3, dtype=np.float32)


class _Job(NamedTuple):
    part: _spectral_kernels.Part
    cell: int


@dataclass(frozen=True, eq=False)
class _Plan:
    """One lens setting for one set of samples."""

    mix: Real
    first: IntArray
    taps: list[Real]
    """Of each cell."""
    reaches: IntArray
    jobs: list[_Job]
    shading: Shading
    planes: int


class CubeRenderer:
    """Light under a sensor's mosaic from spectral cubes that have a spectrum for each photosite.

    May be called from several threads. What follows from a lens setting is kept for the last few.

    Parameters
    ----------
    wavelengths_nm : (n,), rising; centres of the bands of a cube
    response, lens, diffusion_um, angular : as of `LightRenderer`

    Raises
    ------
    SettingError : the sensor sees none of the wavelengths
    """

    def __init__(
        self,
        wavelengths_nm: DoubleArray,
        response: SpectralResponse,
        lens: Lens | None = None,
        *,
        diffusion_um: float = 0.0,
        angular: AngularLike | None = None,
    ) -> None:
        self.wavelengths_nm = wavelengths_nm
        self.lens = lens or IdealLens()
        self._response = response
        self._diffusion_um = diffusion_um
        self._cones = None if angular is None else Cones(self.lens, angular)
        self._weights = response.electrons(wavelengths_nm, np.eye(wavelengths_nm.size)).T
        if not self._weights.any():
            low, high = response.wavelengths_nm[0], response.wavelengths_nm[-1]
            found = (float(wavelengths_nm[0]), float(wavelengths_nm[-1]))
            raise SettingError("wavelengths", found, f"some of {low:g} to {high:g} nm, in which "
                               "the sensor sees", "spectral cube")  # fmt: skip
        self._lock = threading.Lock()
        self._plans: OrderedDict[tuple[object, ...], _Plan] = OrderedDict()

    def light(
        self,
        radiance: Real,
        lens: LensState,
        grid: SampleGrid,
        *,
        distance_m: float | None = None,
        exact: bool = False,
    ) -> FloatArray:
        """Mean photo-electrons a second of each photosite in its own colour, float32 (h, w).

        The picture lies as the sensor sees it, distortion included, upright and evenly lit: what
        the lens takes away towards its corners follows here. Beyond its edges it goes on as in a
        mirror. Any number of threads gives the same.

        Parameters
        ----------
        radiance : (h, w, n), W sr^-1 m^-2 nm^-1, float32 or float64, C-contiguous
        grid : of photosites that are not binned; its sides are even
        distance_m : of all that is seen, from the sensor plane; None for what is in focus
        exact : every band is blurred on its own, in float64; some ten times slower

        Raises
        ------
        SettingError : another shape or mosaic, values that are negative or not finite, or a lens
            state that cannot be
        """
        wanted = (grid.y_um.size, grid.x_um.size, self.wavelengths_nm.size)
        if radiance.shape != wanted:
            expected = f"shape {wanted}: rows, columns, wavelengths"
            raise SettingError("radiance", f"shape {radiance.shape}", expected, "spectral cube")
        if len(grid.cfa) != 2:
            raise SettingError("CFA", grid.cfa, "2 x 2 of R, G and B", "spectral cube")
        plan = self._plan(lens, grid, distance_m, exact)
        out = np.empty(wanted[:2], np.float64 if exact else np.float32)
        pattern = np.array([["RGB".index(c) for c in row] for row in grid.cfa], np.int64)
        bad = np.zeros(len(plan.jobs), np.int64)
        whole = np.uint32 if radiance.dtype == np.float32 else np.uint64
        bits = radiance.view(whole)
        limits = np.array([_MOST, -0.0], radiance.dtype).view(whole)

        def work(first: int, end: int) -> None:
            for k in range(first, end):
                part, cell = plan.jobs[k]
                bad[k] = _spectral_kernels.image_cube(
                    radiance, plan.mix, plan.first, plan.taps[cell], plan.reaches, pattern, part,
                    bits, limits, out,
                )  # fmt: skip

        run_bands(work, len(plan.jobs), 1)
        if bad.any():
            _refuse(radiance)
        light = out.astype(np.float32, copy=False)
        expose(light, grid, plan.shading)
        return light

    def planes(self, lens: LensState, grid: SampleGrid, *, distance_m: float | None = None) -> int:
        """How many planes each channel takes with that lens."""
        return self._plan(lens, grid, distance_m, False).planes

    def _plan(
        self, lens: LensState, grid: SampleGrid, distance_m: float | None, exact: bool
    ) -> _Plan:
        key = (
            lens, distance_m, exact, grid.pitch_um, grid.cfa, grid.x_um.size, grid.y_um.size,
            float(grid.x_um[0]), float(grid.y_um[0]), grid.area_um2,
        )  # fmt: skip
        with self._lock:
            if key in self._plans:
                self._plans.move_to_end(key)
                return self._plans[key]
        made = self._make_plan(lens, grid, distance_m, exact)
        with self._lock:
            self._plans[key] = made
            while len(self._plans) > _PLANS_KEPT:
                self._plans.popitem(last=False)
        return made

    def _make_plan(
        self, lens: LensState, grid: SampleGrid, distance_m: float | None, exact: bool
    ) -> _Plan:
        pupil = self.lens.pupil(lens)
        inverse = pupil.thin.inverse_focus
        if distance_m is not None:
            away = distance_m - pupil.thin.image_distance_m
            if not away > 0:
                least = f"more than {pupil.thin.image_distance_m:g} m, where the lens stands"
                raise SettingError("distance", distance_m, least, "spectral cube")
            inverse = 1.0 / away
        found = [tile for group in tiles(grid) for tile in group]
        cells = list(dict.fromkeys(tile.cell for tile in found))
        kernels = self._kernels(pupil, cells, inverse, grid.pitch_um)
        weights = self._weights * (grid.area_um2 * 1e-12)
        make = _every_band if exact else _few_planes
        mix, first, taps, reaches = make(weights, kernels)
        jobs = [
            _Job(_spectral_kernels.Part(top, min(top + _ROWS, tile.rows[1]), *tile.columns),
                 cells.index(tile.cell))
            for tile in found for top in range(*tile.rows, _ROWS)
        ]  # fmt: skip
        shading = Shading(pupil, reach_um(grid.x_um, grid.y_um), self._cones)
        kind = np.float64 if exact else np.float32
        return _Plan(
            _padded(mix).astype(kind), first, [np.ascontiguousarray(t, kind) for t in taps],
            reaches, jobs, shading, int((reaches >= 0).sum(axis=1).max()),
        )  # fmt: skip

    def _kernels(
        self, pupil: Pupil, cells: list[Cell], inverse: float, pitch_um: float
    ) -> DoubleArray:
        """Kernels of each cell and band, (cells, bands, k, k); each adds up to 1."""
        nm = self.wavelengths_nm
        # by threes, the last ones again if there is a rest
        threes = [np.minimum(np.arange(k, k + 3), nm.size - 1) for k in range(0, nm.size, 3)]
        spreads = [
            _ThreeBands(pupil, nm[three], self._response, self._diffusion_um) for three in threes
        ]
        size = max(s.window(cell, inverse, pitch_um) for s in spreads for cell in cells)
        kinds = (Kind(0), Kind(1), Kind(2))
        apart = {tuple(map(abs, cell.middle_um)) for cell in cells}
        of: dict[tuple[float, ...], FloatArray] = {
            (x, y): np.concatenate([
                _whole(s.kernels_at((x, y), inverse, pitch_um, Binning(pitch_um), kinds, size,
                                    kept=1.0), size)
                for s in spreads
            ])[: nm.size]
            for x, y in sorted(apart)
        }  # fmt: skip
        share = self._weights / np.maximum(self._weights.sum(axis=1, keepdims=True), 1e-300)
        seen = [np.einsum("cn,nij->cij", share, made).astype(np.float32) for made in of.values()]
        rest = np.max([_kernels.share_outside(means) for means in seen], axis=0)
        middle = size // 2 - 1
        reach = int(np.argmax(rest <= 1.0 - _KEPT)) if (rest <= 1.0 - _KEPT).any() else middle
        cut = slice(middle - reach, middle + reach + 1)
        out: list[DoubleArray] = []
        for cell in cells:
            x, y = cell.middle_um
            made = of[abs(x), abs(y)][:, cut, cut].astype(np.float64)
            made /= made.sum(axis=(1, 2), keepdims=True)
            out.append(made[:, :: 1 if y >= 0 else -1, :: 1 if x >= 0 else -1])
        return np.stack(out)


def _whole(kernels: FloatArray, size: int) -> FloatArray:
    """Kernels in the middle of (n, size - 1, size - 1)."""
    room = (size - 1 - kernels.shape[1]) // 2
    return np.pad(kernels, ((0, 0), (room, room), (room, room)))


def _padded(mix: DoubleArray) -> DoubleArray:
    """An even number of planes, and of bands a multiple of four."""
    planes, bands = mix.shape
    return np.pad(mix, ((0, planes % 2), (0, -bands % 4)))


class _Mixed(NamedTuple):
    mix: DoubleArray
    """(planes, bands), what planes take of bands."""
    first: IntArray
    """(3,), the first plane of each channel."""
    taps: DoubleArray
    """(cells, 3, J, k, k)"""
    reaches: IntArray
    """(3, J), how far the taps that count lie from the middle; -1 where there are none."""


def _every_band(weights: DoubleArray, kernels: DoubleArray) -> _Mixed:
    """Each band is a plane; as `_few_planes`."""
    taps = weights[None, :, :, None, None] * kernels[:, None]
    bands, reach = weights.shape[1], kernels.shape[-1] // 2
    reaches = np.full((3, bands), reach, np.int64)
    return _Mixed(np.eye(bands), np.zeros(3, np.int64), taps, reaches)


def _few_planes(weights: DoubleArray, kernels: DoubleArray) -> _Mixed:
    """Bands by as few planes as `LEFT_OUT` asks for.

    Parameters
    ----------
    weights : (3, bands), electrons in each channel of a unit of each band
    kernels : (cells, bands, k, k)
    """
    cells, bands, k, _ = kernels.shape
    flat = kernels.transpose(1, 0, 2, 3).reshape(bands, cells, k * k)
    channels: list[tuple[DoubleArray, DoubleArray, list[int]]] = []
    for weight in weights:
        total = float(weight.sum()) or 1.0
        share = weight / total
        mean = np.einsum("n,nct->ct", share, flat)
        change = (share[:, None, None] * (flat - mean)).reshape(bands, cells * k * k)
        u, s, v = np.linalg.svd(change, full_matrices=False)
        left, count = change, 0
        while np.abs(left.reshape(bands, cells, -1)).sum(axis=(0, 2)).max() > LEFT_OUT:
            left = left - np.outer(u[:, count] * s[count], v[count])
            count += 1
        mix = np.vstack([weight, (u[:, :count] * total).T])
        taps = np.vstack([mean.reshape(1, -1), s[:count, None] * v[:count]])
        taps = taps.reshape(-1, cells, k, k)
        reaches = [k // 2]
        for j in range(1, count + 1):
            reaches.append(_cut(taps[j], _SPILLED / float(np.abs(u[:, j - 1]).sum())))
        channels.append((mix, taps, reaches))
    planes = max(mix.shape[0] for mix, _, _ in channels)
    mixes = np.zeros((3, planes, bands))
    taps = np.zeros((cells, 3, planes, k, k))
    reaches = np.full((3, planes), -1, np.int64)
    for c, (mix, own, reach) in enumerate(channels):
        mixes[c, : mix.shape[0]] = mix
        taps[:, c, : own.shape[0]] = own.transpose(1, 0, 2, 3)
        reaches[c, : len(reach)] = reach
    first = np.arange(3, dtype=np.int64) * planes
    return _Mixed(mixes.reshape(3 * planes, bands), first, taps, reaches)


def _cut(taps: DoubleArray, spilled: float) -> int:
    """Least reach of taps (cells, k, k) that leaves out at most so much; they add up to 0 again."""
    middle = taps.shape[-1] // 2
    for reach in range(middle):
        inside = slice(middle - reach, middle + reach + 1)
        part = taps[:, inside, inside]
        outside = np.abs(taps).sum(axis=(1, 2)) - np.abs(part).sum(axis=(1, 2))
        if outside.max() <= spilled:
            part -= part.mean(axis=(1, 2), keepdims=True)
            return reach
    return middle


def _refuse(radiance: Real) -> None:
    """Say which value is no radiance."""
    for y, row in enumerate(radiance):
        good = (row >= 0) & (row <= _MOST)
        if not good.all():
            x, band = map(int, np.argwhere(~good)[0])
            expected = f"finite values of 0 or more; the first other one is at {(y, x, band)}"
            raise SettingError("radiance", float(row[x, band]), expected, "spectral cube")


def warm_spectral() -> Iterator[str]:
    """Compile the kernels for the types in use; one line each."""
    nm = np.array([450.0, 550.0, 650.0])
    renderer = CubeRenderer(nm, SpectralResponse(nm, np.eye(3)))
    at = np.arange(-2.0, 2.0) + 0.5
    grid = SampleGrid(at, at, 1.0, 1.0)
    lens = LensState(17.5, 4.0, math.inf)
    for kind in (np.float32, np.float64):
        for exact in (False, True):
            renderer.light(np.ones((4, 4, 3), kind), lens, grid, exact=exact)
    yield "optics: spectral cubes"
