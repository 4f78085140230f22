"""Brute force: the light of a thin lens, ray by ray, to check quicker ways against.

Nothing is blurred here. Each sample sends rays from its own area through the whole of the iris
(distributed ray tracing: Cook, Porter and Carpenter, SIGGRAPH 1984), each ray meets the layers from
near to far at their own depths, and what it sees is averaged. Diffraction is left out.

The kernels and all that they call lie in this file.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt
from numba import njit  # pyright: ignore[reportUnknownVariableType]
from scipy.stats import qmc

from modoptic.bands import run_bands
from modoptic.errors import SettingError
from modoptic.optics._lens import LensState, ThinLens, solve
from modoptic.optics._sources import (
    LampsLike,
    LayerLike,
    SampleGrid,
    SceneLike,
    SpectralResponse,
)

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BitArray = npt.NDArray[np.uint32]

_TILE = 64
_PER_SAMPLE = 8
"""Points of a layer's raster to a sample along each axis: a ray sees the one that it meets."""
_MOST_LAMP_RAYS = 1 << 19
_STRAIGHT: DoubleArray = np.zeros(3)


def _jit(function: Callable[..., Any]) -> Callable[..., Any]:
    return njit(nogil=True, cache=True, error_model="numpy", fastmath=True)(function)  # pyright: ignore


@_jit
def _mix(a: int, b: int, c: int) -> int:
    """32 well mixed bits of three numbers (the finalizer of MurmurHash3)."""
    h = (a * 0x9E3779B1 + b * 0x85EBCA77 + c * 0xC2B2AE3D) & 0xFFFFFFFF
    h = ((h ^ (h >> 16)) * 0x85EBCA6B) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 0xC2B2AE35) & 0xFFFFFFFF
    return h ^ (h >> 16)


@_jit
def _unit(bits: int, mixed: int) -> float:
    """A coordinate 0..1 of a point, digitally shifted."""
    return ((bits ^ mixed) + 0.5) * (1.0 / 4294967296.0)


@_jit
def _place(part: float, pitch: float, side: int) -> float:
    """Where in a sample 0..1 of its gathering area lies, along one axis, from its middle."""
    photosite = math.floor(part * side)
    return (2.0 * photosite - (side - 1) + (part * side - photosite) - 0.5) * pitch


@_jit
def _through(
    tx: float, ty: float, lx: float, ly: float, focus: float, first: int, channel: int,
    lattices: DoubleArray, sizes: IntArray, texels: FloatArray,
) -> tuple[float, float]:  # fmt: skip
    """What a ray sees of layers ``first`` and nearer, and what share of it passes them all.

    It leaves the lens at (lx, ly) metres toward the direction (tx, ty) in the plane in focus,
    whose inverse distance is ``focus``.
    """
    seen: float = 0.0
    passing: float = 1.0
    for n in range(lattices.shape[0] - 1, first - 1, -1):
        a, b = lattices[n, 0], lattices[n, 1]
        # the layer is where a z + b y = 1, the ray at y = ly + z (ty - ly focus)
        inverse = (a + b * (ty - ly * focus)) / (1.0 - b * ly)
        if inverse <= 0.0:
            continue
        away = inverse - focus
        j = math.floor((tx + lx * away - lattices[n, 2]) * lattices[n, 4] + 0.5)
        i = math.floor((ty + ly * away - lattices[n, 3]) * lattices[n, 4] + 0.5)
        height, width = sizes[n, 1], sizes[n, 2]
        if i < 0 or j < 0 or i >= height or j >= width:
            continue
        at = sizes[n, 0] + int(i) * width + int(j)
        plane = height * width
        cover = texels[at + 3 * plane]
        if cover > 0.0:
            seen += passing * float(texels[at + channel * plane])
            passing *= 1.0 - float(cover)
            if passing < 1e-6:
                break
    return seen, passing


@_jit
def trace(
    points: BitArray, seed: int, top: int, left: int, tx: DoubleArray, ty: DoubleArray,
    pitch: float, side: int, pattern: IntArray, radius: float, focus: float,
    lattices: DoubleArray, sizes: IntArray, texels: FloatArray, out: FloatArray,
) -> None:  # fmt: skip
    """Mean of what the rays of each sample see, ``out`` (h, w), in the sample's channel.

    ``points`` (n, 4): where a ray leaves the sample and where it meets the iris, of ``radius``
    metres. Row n of ``lattices`` (layers, 5): its inverse depth a + b y, and the first point and
    points a tangent of its raster; of ``sizes`` (layers, 3): where in ``texels`` it begins, height
    and width. ``tx``, ``ty`` and ``pitch`` are tangents.
    """
    period = pattern.shape[0]
    for i in range(ty.size):
        for j in range(tx.size):
            m0 = _mix(seed, top + i, left + j)
            m1, m2, m3 = _mix(m0, 1, 2), _mix(m0, 3, 4), _mix(m0, 5, 6)
            channel = pattern[(top + i) % period, (left + j) % period]
            total = 0.0
            for k in range(points.shape[0]):
                x = tx[j] + _place(_unit(points[k, 0], m0), pitch, side)
                y = ty[i] + _place(_unit(points[k, 1], m1), pitch, side)
                r = radius * math.sqrt(_unit(points[k, 2], m2))
                turn = 2.0 * math.pi * _unit(points[k, 3], m3)
                seen, _ = _through(
                    x, y, r * math.cos(turn), r * math.sin(turn), focus, 0, channel,
                    lattices, sizes, texels,
                )  # fmt: skip
                total += seen
            out[i, j] += total / points.shape[0]


@_jit
def _first(places: DoubleArray, wanted: float) -> int:
    """Index of the first of rising places that is not below ``wanted``."""
    low, high = 0, places.size
    while low < high:
        middle = (low + high) // 2
        if places[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low


@_jit
def _gathers(away: float, pitch: float, side: int) -> bool:
    """Whether a sample gathers light so far from its middle, along one axis."""
    photosite = math.floor(away / pitch + side - 0.5)
    return 0 <= photosite <= 2 * side - 2 and photosite % 2 == 0


@_jit
def throw(
    points: BitArray, count: int, mixed: int, lamp: DoubleArray, channels: DoubleArray, above: int,
    top: int, left: int, tx: DoubleArray, ty: DoubleArray, pitch: float, side: int,
    pattern: IntArray, radius: float, focus: float, lattices: DoubleArray, sizes: IntArray,
    texels: FloatArray, out: FloatArray,
) -> None:  # fmt: skip
    """Add a lamp's light: ``count`` rays from its disc through the iris to where they land.

    ``lamp`` (4,): the direction it is in, inverse depth and radius, as a tangent; ``channels`` (3,)
    its radiance; layers from ``above`` on are before it. Others as in `trace`.
    """
    period = pattern.shape[0]
    m1, m2, m3 = _mix(mixed, 1, 2), _mix(mixed, 3, 4), _mix(mixed, 5, 6)
    away = lamp[2] - focus
    # a ray's share of the mean radiance over a sample's area
    part = math.pi * lamp[3] * lamp[3] / (count * (side * pitch) ** 2)
    reach = side * pitch
    for k in range(count):
        r = lamp[3] * math.sqrt(_unit(points[k, 0], mixed))
        turn = 2.0 * math.pi * _unit(points[k, 1], m1)
        x, y = lamp[0] + r * math.cos(turn), lamp[1] + r * math.sin(turn)
        r = radius * math.sqrt(_unit(points[k, 2], m2))
        turn = 2.0 * math.pi * _unit(points[k, 3], m3)
        lx, ly = r * math.cos(turn), r * math.sin(turn)
        x -= lx * away
        y -= ly * away
        passing = -1.0
        i = _first(ty, y - reach)
        while i < ty.size and ty[i] < y + reach:
            if _gathers(y - ty[i], pitch, side):
                j = _first(tx, x - reach)
                while j < tx.size and tx[j] < x + reach:
                    if _gathers(x - tx[j], pitch, side):
                        if passing < 0.0:
                            _, passing = _through(
                                x, y, lx, ly, focus, above, 0, lattices, sizes, texels
                            )
                        channel = pattern[(top + i) % period, (left + j) % period]
                        out[i, j] += passing * part * channels[channel]
                    j += 1
            i += 1


class _Lamp(NamedTuple):
    place: DoubleArray
    """(4,): as `throw` takes it."""
    channels: DoubleArray
    above: int
    """How many layers lie behind it."""


class _Rasters(NamedTuple):
    """Layers as the rays of a tile may meet them, as `trace` takes them."""

    lattices: DoubleArray
    sizes: IntArray
    texels: FloatArray


class _Reference:
    """One scene, one state of the lens and one grid."""

    def __init__(
        self, scene: SceneLike, response: SpectralResponse, thin: ThinLens, grid: SampleGrid
    ) -> None:
        self.thin, self.grid = thin, grid
        self.per_um = 1e-6 / thin.image_distance_m
        self.pitch = grid.pitch_um * self.per_um
        self.step = float(np.diff(grid.x_um).mean()) * self.per_um / _PER_SAMPLE
        self.layers: list[tuple[LayerLike, FloatArray]] = []
        self.lamps: list[_Lamp] = []
        for part in scene.layers:
            if hasattr(part, "radiance"):
                self._add(cast(LampsLike, part), response, scene)
                continue
            layer = cast(LayerLike, part)
            matrix = response.electrons(scene.wavelengths_nm, layer.basis).T
            self.layers.append((layer, np.ascontiguousarray(matrix, np.float32)))

    def _add(self, lamps: LampsLike, response: SpectralResponse, scene: SceneLike) -> None:
        channels = response.electrons(scene.wavelengths_nm, lamps.radiance)
        for n, (x, y, z) in enumerate(lamps.position_m):
            away = float(z) - self.thin.image_distance_m
            place = np.array([x / away, y / away, 1.0 / away, lamps.radius_m[n] / away])
            self.lamps.append(_Lamp(place, channels[n], len(self.layers)))

    def rasters(self, tx: DoubleArray, ty: DoubleArray) -> _Rasters:
        """Of each layer what rays from samples in these directions may meet."""
        lens_m = self.thin.image_distance_m
        room = self.grid.binning * self.pitch + 2.0 * self.step
        lattices, sizes = np.zeros((len(self.layers), 5)), np.zeros((len(self.layers), 3), np.int64)
        end = 0
        for n, (layer, _) in enumerate(self.layers):
            a, b = layer.inverse_depth(lens_m)
            x, y = self._met(a, b, tx, ty, room)
            bounds = layer.bounds(lens_m)
            x0, y0 = max(x[0], bounds[0] - self.step), max(y[0], bounds[1] - self.step)
            x1, y1 = min(x[1], bounds[2] + self.step), min(y[1], bounds[3] + self.step)
            lattices[n] = a, b, x0, y0, 1.0 / self.step
            if x1 > x0 and y1 > y0:
                sizes[n, 1:] = [math.ceil(v / self.step) + 1 for v in (y1 - y0, x1 - x0)]
            sizes[n, 0] = end
            end += 4 * int(sizes[n, 1] * sizes[n, 2])
        texels = np.empty(end, np.float32)
        for n, (layer, matrix) in enumerate(self.layers):
            first, height, width = (int(v) for v in sizes[n])
            if not height:
                continue
            into = texels[first : first + 4 * height * width].reshape(4, height, width)
            x0, y0 = lattices[n, 2:4]
            layer.sample(matrix, lens_m, float(x0), float(y0), self.step, into, _STRAIGHT)
        return _Rasters(lattices, sizes, texels)

    def _met(
        self, a: float, b: float, tx: DoubleArray, ty: DoubleArray, room: float
    ) -> tuple[tuple[float, float], tuple[float, float]]:
        """Directions, (left, right) and (top, bottom), in which rays may meet a layer."""
        focus, radius = self.thin.inverse_focus, 0.5 * self.thin.iris_m
        ly = np.linspace(-radius, radius, 9)[:, None]
        y = np.array([ty[0] - room, ty[-1] + room])
        away = (a + b * (y - ly * focus)) / (1.0 - b * ly) - focus
        met = y + ly * away
        wide = radius * float(np.abs(away).max()) + room
        return (
            (float(tx[0]) - wide, float(tx[-1]) + wide),
            (float(met.min()) - room, float(met.max()) + room),
        )

    def lamp_rays(self, lamp: _Lamp, rays: int) -> int:
        """So many that each sample of the lamp's image gets about ``rays``."""
        wide = 2.0 * lamp.place[3] + self.thin.blur_tangent(float(lamp.place[2]))
        samples = (wide / (self.step * _PER_SAMPLE) + 1.0) ** 2
        return min(rays << math.ceil(math.log2(samples)), max(rays, _MOST_LAMP_RAYS))


@functools.lru_cache(maxsize=4)
def _points(count: int, seed: int) -> BitArray:
    """(count, 4) points of a scrambled Sobol sequence, as 32 bits."""
    made = qmc.Sobol(4, scramble=True, seed=seed).random(count)  # pyright: ignore[reportCallIssue]
    return np.ascontiguousarray(made * 2.0**32, np.uint32)


def reference_light(
    scene: SceneLike,
    response: SpectralResponse,
    lens: LensState,
    grid: SampleGrid,
    *,
    rays: int = 1024,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> FloatArray:
    """Mean photo-electrons a second of each sample in its own colour, float32 (h, w), by rays.

    What `LightRenderer.light` of an `IdealLens` computes, without diffraction, charge diffusion and
    the photosites' angular response: E = pi L tau / (4 N_w^2) cos^4, L the mean over the sample's
    area and the round iris. 1e8 rays take about 12 s of one core.

    A layer is evaluated at points an eighth of a sample apart, and a ray sees the one that it meets
    at the layer's own depth, continuous on a slanted one. Layers cover each other in the scene's
    order, as they do everywhere. A lamp's disc sends rays itself, so many that each sample of its
    image gets about as many as it would send.

    Parameters
    ----------
    rays : of a sample; a power of two, as they are points of a Sobol sequence
    seed : of the points, scrambled and shifted anew for each sample; other seeds tell how much of
        the light is chance
    progress : called in the caller's thread with 0..1

    Raises
    ------
    SettingError : a lens state that cannot be, or a number of rays that is not a power of two
    """
    if rays < 1 or rays & (rays - 1):
        raise SettingError("rays", rays, "a power of two")
    thin = solve(lens)
    reference = _Reference(scene, response, thin, grid)
    pattern = np.array([["RGB".index(color) for color in row] for row in grid.cfa], np.int64)
    tx, ty = grid.x_um * reference.per_um, grid.y_um * reference.per_um
    most = max([rays, *(reference.lamp_rays(lamp, rays) for lamp in reference.lamps)])
    points = _points(most, seed)
    out = np.zeros((ty.size, tx.size), np.float32)
    focus, radius = thin.inverse_focus, 0.5 * thin.iris_m
    across = math.ceil(tx.size / _TILE)

    def work(first: int, end: int) -> None:
        for tile in range(first, end):
            top, left = (_TILE * k for k in divmod(tile, across))
            x, y = tx[left : left + _TILE], ty[top : top + _TILE]
            part = np.zeros((y.size, x.size), np.float32)
            rasters = reference.rasters(x, y)
            sampled = reference.pitch, grid.binning, pattern, radius, focus, *rasters, part
            trace(points[:rays], seed, top, left, x, y, *sampled)
            for n, lamp in enumerate(reference.lamps):
                wide = lamp.place[3] + radius * abs(lamp.place[2] - focus)
                wide += grid.binning * reference.pitch
                if not (x[0] - wide < lamp.place[0] < x[-1] + wide):
                    continue
                if not (y[0] - wide < lamp.place[1] < y[-1] + wide):
                    continue
                count, mixed = reference.lamp_rays(lamp, rays), _mix(seed, -1, n)
                throw(
                    points, count, mixed, lamp.place, lamp.channels, lamp.above, top, left, x, y,
                    *sampled,
                )  # fmt: skip
            out[top : top + _TILE, left : left + _TILE] = part

    count = across * math.ceil(ty.size / _TILE)

    def told(done: int) -> None:
        if progress is not None:
            progress(done / count)

    run_bands(work, count, 1, done=told)
    squared = tx[None, :] ** 2 + ty[:, None] ** 2
    out *= thin.irradiance_factor / (1.0 + squared) ** 2 * (grid.area_um2 * 1e-12)
    return out


def warm_reference() -> Iterator[str]:
    """Compile the kernels of the reference; one line."""
    at, pattern, none = np.array([0.0]), np.zeros((2, 2), np.int64), np.zeros((0, 3), np.int64)
    points, out = np.zeros((1, 4), np.uint32), np.zeros((1, 1), np.float32)
    sampled = 1.0, 1, pattern, 0.01, 1.0, np.zeros((0, 5)), none, out[0], out
    trace(points, 0, 0, 0, at, at, *sampled)
    throw(points, 1, _mix(0, -1, 0), np.ones(4), np.ones(3), 0, 0, 0, at, at, *sampled)
    yield "optics: reference"
