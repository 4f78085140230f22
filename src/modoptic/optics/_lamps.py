"""Lamps as the quick view draws them: round images with radial profiles."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modoptic.optics._lens import ThinLens
from modoptic.optics._sources import Bulbs

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LampImages:
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


def image_lamps(bulbs: Bulbs, thin: ThinLens) -> LampImages:
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
    return LampImages(
        (lamps.position_m[:, 0] / away).astype(np.float32),
        (lamps.position_m[:, 1] / away).astype(np.float32),
        reach.astype(np.float32),
        profile.astype(np.float32),
        bulbs.channels.astype(np.float32),
    )
