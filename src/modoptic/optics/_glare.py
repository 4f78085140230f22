"""Veiling glare: light that a lens scatters over the picture.

Two things make it. Rough surfaces scatter about the way that light goes on; how much by which angle
is Harvey's law for polished ones, b0 [1 + (|sine - sine0| / L)^2]^(S / 2) (J. E. Harvey,
"Understanding Surface Scatter Phenomena", SPIE 2019), which depends on the difference of the sines
alone: it moves over the picture without changing its shape. And what is reflected twice or more
between surfaces spreads evenly, but for ghosts, which are left out.

It is so smooth that a picture with points a hundredth of the lens' distance apart holds it.
"""

from __future__ import annotations

import functools
import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
from scipy import fft

from modoptic.errors import SettingError
from modoptic.optics._glare_kernels import lay_veil
from modoptic.optics._lens import LensState
from modoptic.optics._pupil import Pupil, quick_size
from modoptic.optics._sources import Bulbs, SampleGrid, Surface

FloatArray = npt.NDArray[np.float32]
ComplexArray = npt.NDArray[np.complex64]
DoubleArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Span = tuple[int, int]

KNEE = 0.01
"""L of Harvey's law; 0.0001 to 0.01 is usual, and 0.01 and -1.5 what FRED assumes of a polished
surface (help.photonengr.com, "Harvey-Shack")."""
SLOPE = -1.5
"""S of Harvey's law."""
FARTHEST = 1.0
"""Sines differ by no more; farther nothing is scattered to."""
EVEN = 0.5
"""Share of glare that is spread evenly. An assumption: 12 coated surfaces of 0.6 % reflect 0.24 %
twice, and at 1.5 nm of roughness scatter 0.17 %, (2 pi 0.7 1.5 / 550)^2 each."""
_STEP = 0.01
"""Distance of the points, in tangents as seen from the lens."""
_HALF = 1.0
"""So far from the axis, in tangents, light still comes in that is scattered."""
_VEILS_KEPT = 4
_SHOWN_STEPS, _SHOWN_KEPT = 2.0, 16
"""While the ring turns glare is computed anew so often a dioptre of focus; it hardly changes."""
_SHADES = 33
_DARKEST = np.float32(1e-3)
"""Less shade than this is taken for this: glare is divided by it before shading."""
_PARTS = 16


@dataclass(frozen=True)
class VeilingGlare:
    """How much a lens scatters.

    Raises
    ------
    SettingError : a value out of its range
    """

    share: float
    """Of the light in each place of the sensor's plane that is spread, 0 to 0.05."""
    image_radius_um: float
    """Of the image circle: over it the even part spreads; farther out no lens is known, and what
    comes in there is taken to be shaded as at its edge."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.share <= 0.05:
            raise SettingError("veiling glare", self.share, "a share of 0 to 0.05 of the light")
        if not 0.0 < self.image_radius_um < 1e6:
            raise SettingError("image circle", self.image_radius_um, "a radius of more than 0 um")


class Veil:
    """Scattered light for one lens setting, in the units of light before shading."""

    def __init__(self, values: FloatArray, half: float, kept: float, image_distance_m: float):
        self.values, self._half, self.kept = values, half, kept
        self._first, self._per_um = half / _STEP, 1e-6 / image_distance_m / _STEP

    def seen_from(self, image_distance_m: float) -> Veil:
        """The same in the same directions, at another distance of the sensor."""
        return Veil(self.values, self._half, self.kept, image_distance_m)

    def of(
        self, grid: SampleGrid, scale: np.float32
    ) -> Callable[[FloatArray, Span, Span, FloatArray], None]:
        """What lays it over a part (h, w) of a grid's samples, given rows and columns.

        Times ``scale`` both go there in the whole picture that is given.
        """
        x, y = self.points(grid.x_um), self.points(grid.y_um)
        colors = np.array([["RGB".index(color) for color in row] for row in grid.cfa], np.int64)

        def over(light: FloatArray, rows: Span, columns: Span, out: FloatArray) -> None:
            pattern = np.roll(colors, (-rows[0], -columns[0]), (0, 1)).copy()
            lay_veil(
                light, self.values, pattern, x[slice(*columns)], y[slice(*rows)], self.kept,
                float(scale), out, rows[0], columns[0],
            )  # fmt: skip

        return over

    def points(self, places_um: DoubleArray) -> DoubleArray:
        """Where places of the sensor lie among the veil's points."""
        return self._first + self._per_um * places_um


NO_VEIL = Veil(np.zeros((3, 1, 1), np.float32), 0.0, 1.0, 1.0)


@dataclass(frozen=True, eq=False)
class _Seen:
    """What a scene sends to the lens, without blur, in directions a step apart."""

    half: float
    surfaces: FloatArray
    """(3, n, n), in channels."""
    bulbs: list[tuple[Bulbs, FloatArray]]
    """Lamps, and the share (n, n) of them that what is nearer lets pass."""


class Glare:
    """Veiling glare of one scene; keeps what does not change. May be used from several threads.

    It is taken from the scene and not from a rendered picture, so that stills, parts of them and
    the finder have the same, and also what is just beside the picture scatters light into it: all
    within 45 degrees of the axis.
    """

    def __init__(self, glare: VeilingGlare, parts: Sequence[Surface | Bulbs]) -> None:
        self.glare, self._parts = glare, parts
        self._lock = threading.Lock()
        self._seen: tuple[float, _Seen] | None = None
        self._veils: OrderedDict[LensState, Veil] = OrderedDict()
        self._shown: OrderedDict[tuple[float, ...], Veil] = OrderedDict()

    def shown(self, pupil: Pupil) -> Veil:
        """As `veil`, kept for a little turn of the ring."""
        state = pupil.state
        steps = round(_SHOWN_STEPS / state.focus_distance_m)
        key = state.focal_length_mm, state.f_number, state.transmittance, steps
        with self._lock:
            made = self._shown.get(key)
            if made is None:
                made = self._shown[key] = self._made(pupil)
                while len(self._shown) > _SHOWN_KEPT:
                    self._shown.popitem(last=False)
        return made.seen_from(pupil.thin.image_distance_m)

    def veil(self, pupil: Pupil) -> Veil:
        with self._lock:
            made = self._veils.get(pupil.state)
            if made is None:
                made = self._veils[pupil.state] = self._made(pupil)
                while len(self._veils) > _VEILS_KEPT:
                    self._veils.popitem(last=False)
        return made

    def _made(self, pupil: Pupil) -> Veil:
        v_m, radius_um = pupil.thin.image_distance_m, self.glare.image_radius_um
        seen = self._looked(pupil.state.focal_length_mm * 1e-3)
        light = seen.surfaces.copy()
        for bulbs, passing in seen.bulbs:
            _add_lamps(bulbs, passing, pupil, seen.half, light)
        n = light.shape[1]
        at = _STEP * np.arange(n) - seen.half
        far_um = np.hypot(at[:, None], at) * (v_m * 1e6)
        # shading is even about the axis; beyond the image circle it is as at its edge
        known = np.linspace(0.0, radius_um, _SHADES)
        shades = pupil.quick_irradiance_factor(known)
        shade = np.interp(far_um, known, shades / shades[0]).astype(np.float32)
        np.maximum(shade, _DARKEST, out=shade)
        light *= shade
        # nothing wraps round to where it counts: the middle ones, less the farthest scattered
        reach = math.ceil((radius_um * 1e-6 / v_m + FARTHEST) / _STEP)
        size = quick_size(max(n, (n - 1) // 2 + reach + 1))
        spectrum = _spectrum(size)
        padded = cast(ComplexArray, fft.rfft2(light, (size, size), axes=(1, 2)))
        padded *= np.float32(1.0 - EVEN) * spectrum
        whole = cast(FloatArray, fft.irfft2(padded, (size, size), axes=(1, 2)))
        out = np.asarray(whole[:, :n, :n], np.float32)
        # the share of each point's square that lies within the image circle, nearly
        within = np.clip((radius_um - far_um) / (v_m * 1e6 * _STEP) + 0.5, 0.0, 1.0)
        out += EVEN * ((light * within).sum(axis=(1, 2)) / within.sum())[:, None, None]
        out *= np.float32(self.glare.share) / shade
        np.maximum(out, 0.0, out=out)
        return Veil(np.ascontiguousarray(out, np.float32), seen.half, 1.0 - self.glare.share, v_m)

    def _looked(self, focal_m: float) -> _Seen:
        """The scene as the lens sees it focused at infinity; how far it moves does not matter."""
        if self._seen is not None and self._seen[0] == focal_m:
            return self._seen[1]
        half = _STEP * math.ceil(max(_HALF, 1.05e-6 * self.glare.image_radius_um / focal_m) / _STEP)
        n = 2 * round(half / _STEP) + 1
        light, passing = np.zeros((3, n, n), np.float32), np.ones((n, n), np.float32)
        bulbs: list[tuple[Bulbs, FloatArray]] = []
        for part in reversed(self._parts):
            if isinstance(part, Bulbs):
                bulbs.append((part, passing.copy()))
                continue
            layer = np.empty((4, n, n), np.float32)
            part.layer.sample(part.matrix, focal_m, -half, -half, _STEP, layer)
            light += passing * layer[:3]
            passing *= 1.0 - np.clip(layer[3], 0.0, 1.0)
        np.maximum(light, 0.0, out=light)
        seen = _Seen(half, light, bulbs)
        self._seen = (focal_m, seen)
        return seen


@functools.lru_cache(maxsize=4)
def _spectrum(size: int) -> FloatArray:
    """Harvey's law as a real transform of ``size`` x ``size`` points."""
    far = math.ceil(FARTHEST / _STEP) + 1
    at = np.arange(-far, far + 1)
    kernel = np.zeros((at.size, at.size))
    # means over the squares of the points; the middle ones hold the peak
    for parts, inner in ((3, far), (25, 4)):
        middle = slice(far - inner, far + inner + 1)
        fine = (np.arange(parts) + 0.5) / parts - 0.5
        lines = (at[middle, None] + fine).ravel() * _STEP
        squared = lines[:, None] ** 2 + lines**2
        density = (1.0 + squared / KNEE**2) ** (0.5 * SLOPE) * (squared <= FARTHEST**2)
        side = 2 * inner + 1
        kernel[middle, middle] = density.reshape(side, parts, side, parts).mean(axis=(1, 3))
    kernel /= kernel.sum()
    wrapped = np.zeros((size, size))
    np.add.at(wrapped, (at[:, None] % size, at[None, :] % size), kernel)
    # symmetric about its middle: the transform is real
    found = cast(ComplexArray, fft.rfft2(wrapped))
    return np.ascontiguousarray(found.real, np.float32)


def _add_lamps(
    bulbs: Bulbs, passing: FloatArray, pupil: Pupil, half: float, light: FloatArray
) -> None:
    """Add lamps where the lens images them, each as points spread over its disc."""
    lamps = bulbs.lamps
    away = lamps.position_m[:, 2] - pupil.thin.image_distance_m
    radius = lamps.radius_m / away
    turn = np.arange(_PARTS) * (math.pi * (3.0 - math.sqrt(5.0)))
    far = np.sqrt((np.arange(_PARTS) + 0.5) / _PARTS)
    disc = np.stack([far * np.cos(turn), far * np.sin(turn)], axis=-1)
    middle = lamps.position_m[:, None, :2] / away[:, None, None]
    points = middle + radius[:, None, None] * disc
    n = passing.shape[0]
    index, weight = _corners(points, half, n)
    through = (passing.ravel()[index] * weight).sum(axis=-1)
    index, weight = _corners(pupil.seen(points), half, n)
    weight *= (through * (math.pi * radius**2 / (_PARTS * _STEP**2))[:, None])[..., None]
    for c in range(3):
        share = weight * bulbs.channels[:, c, None, None]
        light[c] += np.bincount(index.ravel(), share.ravel(), n * n).reshape(n, n)


def _corners(points: DoubleArray, half: float, n: int) -> tuple[IntArray, DoubleArray]:
    """The four points about each place (..., 2), as indices, and its weights; 0 beyond the edge."""
    at = (points + half) / _STEP
    whole = np.floor(at).astype(np.int64)
    t = at - whole
    index = np.empty((*at.shape[:-1], 4), np.int64)
    weight = np.empty(index.shape)
    for k in range(4):
        j, i = whole[..., 0] + (k & 1), whole[..., 1] + (k >> 1)
        there = (i >= 0) & (j >= 0) & (i < n) & (j < n)
        index[..., k] = np.where(there, i * n + j, 0)
        wx = t[..., 0] if k & 1 else 1.0 - t[..., 0]
        wy = t[..., 1] if k >> 1 else 1.0 - t[..., 1]
        weight[..., k] = np.where(there, wx * wy, 0.0)
    return index, weight


def warm_glare() -> Iterator[str]:
    """Compile the kernel of glare; one line."""
    two = np.zeros((2, 2), np.float32)
    at = np.arange(2.0)
    color = np.zeros((2, 2), np.int64)
    lay_veil(two, np.zeros((3, 4, 4), np.float32), color, at, at, 1.0, 1.0, two, 0, 0)
    yield "optics: glare"
