"""A card of even patches, each with a spectrum of its own, and its kernel."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit  # pyright: ignore[reportUnknownVariableType]

from modoptic.scenes._scene import STRAIGHT, Box, FloatArray
from modoptic.scenes._spectra import Spectrum


def _jit(function: Callable[..., Any]) -> Callable[..., Any]:
    return njit(nogil=True, cache=True, error_model="numpy", fastmath=True)(function)  # pyright: ignore


@_jit
def _box(x: float, half: float, fp: float) -> float:
    """Share of the footprint around x that lies in -half..half."""
    return max(min(x + 0.5 * fp, half) - max(x - 0.5 * fp, -half), 0.0) / fp


@_jit
def _sample_patches(
    rows: int,
    columns: int,
    pitch: float,
    half: float,
    cx: float,
    cy: float,
    away: float,
    matrix: FloatArray,
    x0: float,
    y0: float,
    step: float,
    warp: npt.NDArray[np.float64],
    out: FloatArray,
) -> None:
    """As `Layer.sample`, of patches row by row about (cx, cy), ``away`` metres before the lens."""
    k1, k2, k3 = warp[0], warp[1], warp[2]
    fp = step * away
    reach = 0.5 * fp / pitch
    out[:] = 0.0
    for i in range(out.shape[1]):
        sy = y0 + i * step
        for j in range(out.shape[2]):
            sx = x0 + j * step
            q = sx * sx + sy * sy
            bent = (1.0 + q * (k1 + q * (k2 + q * k3))) * away
            u = (sx * bent - cx) / pitch + 0.5 * columns
            v = (sy * bent - cy) / pitch + 0.5 * rows
            first, last = max(math.floor(u - reach), 0), min(math.floor(u + reach), columns - 1)
            above, below = max(math.floor(v - reach), 0), min(math.floor(v + reach), rows - 1)
            for r in range(int(above), int(below) + 1):
                for c in range(int(first), int(last) + 1):
                    share = _box((u - c - 0.5) * pitch, half, fp)
                    share *= _box((v - r - 0.5) * pitch, half, fp)
                    for k in range(3):
                        out[k, i, j] += share * matrix[k, r * columns + c]
                    out[3, i, j] += share


@dataclass(frozen=True, eq=False)
class PatchLayer:
    """Square patches in rows; between them nothing is."""

    name: str
    basis: Spectrum
    """(rows * columns, 81): the radiance of each patch, row by row."""
    distance_m: float
    """From the sensor plane."""
    shape: tuple[int, int]
    """(rows, columns)"""
    pitch_m: float
    filled: float
    """Side of a patch over the pitch, 0..1."""
    center_m: tuple[float, float] = (0.0, 0.0)

    def inverse_depth(self, lens_m: float) -> tuple[float, float]:
        return 1.0 / (self.distance_m - lens_m), 0.0

    def bounds(self, lens_m: float) -> Box:
        away = self.distance_m - lens_m
        (x, y), (rows, columns) = self.center_m, self.shape
        half_x, half_y = 0.5 * columns * self.pitch_m, 0.5 * rows * self.pitch_m
        return (x - half_x) / away, (y - half_y) / away, (x + half_x) / away, (y + half_y) / away

    def moved(self, x_m: float, y_m: float, z_m: float) -> PatchLayer:
        """The same card so much farther to the right, down and away."""
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
        if matrix.shape != (3, len(self.basis)):  # the kernel would read beyond its end
            raise ValueError(f"matrix of shape {matrix.shape} for {len(self.basis)} spectra")
        _sample_patches(
            *self.shape, self.pitch_m, 0.5 * self.filled * self.pitch_m, *self.center_m,
            self.distance_m - lens_m, matrix, x0, y0, step, warp, out,
        )  # fmt: skip
