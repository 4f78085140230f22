"""Lamps as the quick view draws them: radial profiles, stretched to the pupil's outline."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modoptic.optics import _kernels
from modoptic.optics._pupil import Pupil
from modoptic.optics._sources import Bulbs

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]

_AZIMUTHS, _RIMS = 32, 10


@dataclass(frozen=True, eq=False)
class Rims:
    """Outlines of the blur disc over the field, see `Pupil.blur_rim`."""

    table: FloatArray
    """(m, 64, 2) at even distances from the axis."""
    reach: float
    """The last of them, in tangents."""

    @classmethod
    def of(cls, pupil: Pupil, reach: float) -> Rims:
        um = reach * pupil.thin.image_distance_m * 1e6
        return cls(np.stack([pupil.blur_rim(r) for r in np.linspace(0.0, um, _RIMS)]), reach)

    def at(self, place: DoubleArray) -> tuple[FloatArray, FloatArray]:
        """Of places (n, 2) the unit vectors outward, (n, 2), and which outlines they have, (n,)."""
        far = np.hypot(place[:, 0], place[:, 1])
        turns = np.where(far[:, None] > 1e-9, place / np.maximum(far, 1e-9)[:, None], [0.0, 1.0])
        parts = np.minimum(far / self.reach * (_RIMS - 1), _RIMS - 1)
        return turns.astype(np.float32), parts.astype(np.float32)

    def reaches(self, place: DoubleArray, side: DoubleArray) -> DoubleArray:
        """(n, azimuths): how far discs reach from x on; ``side`` is -1 beyond the focus, else 1."""
        turns, parts = self.at(place)
        out = np.empty((len(place), _AZIMUTHS))
        _kernels.reaches_of(self.table, turns, parts, side, out)
        return out


@dataclass(frozen=True, eq=False)
class LampImages:
    """Lamps as the lens images them, in tangents."""

    x: FloatArray
    y: FloatArray
    reach: FloatArray
    profile: FloatArray
    channels: FloatArray
    rims: FloatArray
    """(n, azimuths): how far the blur disc reaches from x on, of the round one's radius."""


def image_lamps(bulbs: Bulbs, pupil: Pupil, rims: Rims) -> LampImages:
    """Each lamp's disc spread over its blur disc (the exact overlap) and by diffraction.

    The latter is taken as Gaussian; every profile keeps the lamp's light exactly.
    """
    lamps, thin = bulbs.lamps, pupil.thin
    away = lamps.position_m[:, 2] - thin.image_distance_m
    radius = np.maximum(lamps.radius_m / away, 1e-9)
    blur = np.maximum(0.5 * thin.iris_m * np.abs(1.0 / away - thin.inverse_focus), 1e-9)
    # 0.42 lambda N: the Gaussian nearest to the core of an Airy disc
    sigma = 0.42 * 550e-9 * thin.f_number / thin.image_distance_m
    reach = radius + blur + 3.0 * sigma
    points, count = np.polynomial.hermite.hermgauss(3), 48
    d = reach[:, None] * np.linspace(0.0, 1.0, count)
    profile = np.zeros_like(d)
    for x, wx in zip(*points, strict=True):
        for y, wy in zip(*points, strict=True):
            if y < 0.0:
                continue  # the same as on the other side of the axis
            sides = 2.0 if y > 0.0 else 1.0
            off = sigma * math.sqrt(2.0) * x, sigma * math.sqrt(2.0) * y
            _kernels.add_overlap(d, *off, radius, blur, sides * wx * wy / math.pi, profile)
    spacing = reach / (count - 1)
    # the integral of a piecewise linear profile over the plane
    a, b, r = profile[:, :-1], profile[:, 1:], d[:, :-1]
    h = spacing[:, None]
    total = 2.0 * np.pi * np.sum(h * (r * (a + b) / 2.0 + h * (a / 6.0 + b / 3.0)), axis=1)
    profile *= (np.pi * radius**2 / total)[:, None]
    place = pupil.seen(lamps.position_m[:, :2] / away[:, None])
    side = np.where(1.0 / away > thin.inverse_focus, 1.0, -1.0)
    reaches = rims.reaches(place, side)
    # the light is the same: what the pupil loses, shading takes
    profile /= np.mean(reaches**2, axis=1)[:, None]
    return LampImages(
        place[:, 0].astype(np.float32),
        place[:, 1].astype(np.float32),
        reach.astype(np.float32),
        profile.astype(np.float32),
        bulbs.channels.astype(np.float32),
        reaches.astype(np.float32),
    )
