"""A scene: layers of spectral radiance at their depths, and small lamps.

Lengths are metres, y grows downward. The axis of the camera is x = y = 0, the sensor plane z = 0; a
lens stands ``lens_m`` before it. Directions are tangents (tx, ty) as seen from the lens.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from modoptic.scenes import _shaders
from modoptic.scenes._spectra import WAVELENGTHS_NM, Spectrum

FloatArray = npt.NDArray[np.float32]
Box = tuple[float, float, float, float]

NO_ITEMS = np.zeros((1, 8), np.float32)
STRAIGHT: npt.NDArray[np.float64] = np.zeros(3, np.float64)
"""Of a lens without distortion; see `Layer.sample`."""
NO_ATLAS = (np.zeros(4, np.uint8), np.array([[0, 2, 2], [0, 2, 2]], np.int64))


class Layer(Protocol):
    """One whole object: radiance and coverage everywhere, also behind what stands before it.

    Its radiance is ``basis[0] * r + basis[1] * g + basis[2] * b`` with coefficients r, g, b that
    the layer evaluates; ``basis`` has shape (3, 81), W sr^-1 m^-2 nm^-1. Layers of measured spectra
    may have any other count k of rows, and then as many coefficients.
    """

    @property
    def name(self) -> str: ...

    @property
    def basis(self) -> Spectrum: ...

    def inverse_depth(self, lens_m: float) -> tuple[float, float]:
        """(a, b): in the direction ty the layer is ``1 / (a + b * ty)`` metres before the lens."""
        ...

    def bounds(self, lens_m: float) -> Box:
        """(left, top, right, bottom) in tangents, outside of which nothing is; may be infinite."""
        ...

    def sample(
        self,
        matrix: FloatArray,
        lens_m: float,
        x0: float,
        y0: float,
        step: float,
        out: FloatArray,
        warp: npt.NDArray[np.float64] = STRAIGHT,
    ) -> None:
        """Fill ``out`` (4, h, w): premultiplied channels and coverage.

        Channels are ``matrix`` (3, 3), or (3, k), times the coefficients. Sample (i, j) lies at
        s = (x0 + j step, y0 + i step) of the sensor, in units of the distance from the lens, and
        averages over a square of that step. It looks along s (1 + k1 q + k2 q^2 + k3 q^3) with
        q = s^2, where ``warp`` (3,) holds k1 to k3, the lens' radial distortion.
        """
        ...


@dataclass(frozen=True, eq=False)
class ShadedLayer:
    """A surface evaluated by formula (see `_shaders`)."""

    name: str
    kind: int
    basis: Spectrum
    distance_m: float
    """Of an upright layer from the sensor plane; of a flat one below the axis."""
    center_m: tuple[float, float] = (0.0, 0.0)
    extent_m: Box = (-math.inf, -math.inf, math.inf, math.inf)
    """left, top, right, bottom about the centre; of a flat layer bottom is its far end in z."""
    flat: bool = False
    params: tuple[float, ...] = ()
    items: FloatArray = field(default_factory=lambda: NO_ITEMS)
    atlas: tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]] = NO_ATLAS

    def inverse_depth(self, lens_m: float) -> tuple[float, float]:
        if self.flat:
            return 0.0, 1.0 / self.distance_m
        return 1.0 / (self.distance_m - lens_m), 0.0

    def bounds(self, lens_m: float) -> Box:
        if self.flat:
            return -math.inf, self.distance_m / (self.extent_m[3] - lens_m), math.inf, math.inf
        away = self.distance_m - lens_m
        (x, y), (left, top, right, bottom) = self.center_m, self.extent_m
        return (x + left) / away, (y + top) / away, (x + right) / away, (y + bottom) / away

    def moved(self, x_m: float, y_m: float, z_m: float) -> ShadedLayer:
        """The same upright object so much farther to the right, down and away."""
        x, y = self.center_m
        return replace(self, distance_m=self.distance_m + z_m, center_m=(x + x_m, y + y_m))

    def sample(
        self,
        matrix: FloatArray,
        lens_m: float,
        x0: float,
        y0: float,
        step: float,
        out: FloatArray,
        warp: npt.NDArray[np.float64] = STRAIGHT,
    ) -> None:
        params = np.zeros(8, np.float32)
        params[: len(self.params)] = self.params
        found, room = np.empty((48, 5), np.float32), np.empty((14, 64))
        place = float(self.distance_m), lens_m, *map(float, self.center_m)
        _shaders.shade_layer(
            self.kind, self.flat, *place, tuple(map(float, self.extent_m)), params, found, room,
            self.items, *self.atlas, matrix, x0, y0, step, warp, out,
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Lamps:
    """Small round emitters of even radiance; they hide nothing behind them.

    ``position_m`` (n, 3): x, y, z; ``radius_m`` (n,); ``radiance`` (n, 81) in W sr^-1 m^-2 nm^-1.
    """

    name: str
    position_m: npt.NDArray[np.float64]
    radius_m: npt.NDArray[np.float64]
    radiance: Spectrum

    def moved(self, x_m: float, y_m: float, z_m: float) -> Lamps:
        """The same lamps so much farther to the right, down and away."""
        return replace(self, position_m=self.position_m + np.array([x_m, y_m, z_m]))


@dataclass(frozen=True, eq=False)
class Scene:
    """What is in front of the lens, from the farthest to the nearest."""

    name: str
    title: str
    layers: tuple[Layer | Lamps, ...]
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    """What people should know of it: sources, scale, what was widened or assumed."""
    wavelengths_nm: Spectrum = field(default_factory=lambda: WAVELENGTHS_NM)
