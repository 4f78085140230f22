"""A picture at one depth in any number of spectral coefficients, as floats, and its kernels.

Where `RasterLayer` holds eight bit codes of three colours, `PlanesLayer` holds what a spectral cube
was reduced to. Kernels and all that they call lie in this file.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit  # pyright: ignore[reportUnknownVariableType]

from modoptic.scenes._raster import WIDEST, ends
from modoptic.scenes._scene import STRAIGHT, Box, FloatArray
from modoptic.scenes._spectra import Spectrum


def _jit(function: Callable[..., Any]) -> Callable[..., Any]:
    return njit(nogil=True, cache=True, error_model="numpy", fastmath=True)(function)  # pyright: ignore


@_jit
def _mirrored(at: int, size: int) -> int:
    at = at % (2 * size)
    return at if at < size else 2 * size - 1 - at


@_jit
def _sample_planes(
    planes: FloatArray,
    per_tangent: float,
    cx: float,
    cy: float,
    matrix: FloatArray,
    x0: float,
    y0: float,
    step: float,
    warp: npt.NDArray[np.float64],
    out: FloatArray,
) -> None:
    """Bilinear, as `Layer.sample`; ``planes`` (h, w, k + 1) and mirror images beyond the edges."""
    h, w, last = planes.shape[0], planes.shape[1], planes.shape[2] - 1
    value = np.empty(last + 1, np.float32)
    k1, k2, k3 = warp[0], warp[1], warp[2]
    for i in range(out.shape[1]):
        sy = y0 + i * step
        for j in range(out.shape[2]):
            sx = x0 + j * step
            q = sx * sx + sy * sy
            bent = (1.0 + q * (k1 + q * (k2 + q * k3))) * per_tangent
            y, x = sy * bent + cy, sx * bent + cx
            fy, fx = math.floor(y), math.floor(x)
            ry, rx = y - fy, x - fx
            value[:] = 0.0
            for a in range(2):
                py = _mirrored(int(fy) + a, h)
                for b in range(2):
                    px = _mirrored(int(fx) + b, w)
                    share = np.float32((ry if a else 1.0 - ry) * (rx if b else 1.0 - rx))
                    for c in range(last + 1):
                        value[c] += share * planes[py, px, c]
            for c in range(3):
                total = np.float32(0.0)
                for k in range(last):
                    total += matrix[c, k] * value[k]
                out[c, i, j] = max(total, np.float32(0.0))
            out[3, i, j] = value[last]


@dataclass(frozen=True, eq=False)
class PlanesLayer:
    """A picture at one depth; beyond its edges it goes on as its mirror image."""

    name: str
    basis: Spectrum
    """(k, 81)"""
    planes: FloatArray
    """(h, w, k + 1): premultiplied coefficients, and coverage 0..1."""
    depth_m: float
    """From the sensor plane."""
    pixels_per_tangent: float
    shift_m: tuple[float, float] = (0.0, 0.0)
    """How far the picture's middle lies to the right of and below the axis."""

    def inverse_depth(self, lens_m: float) -> tuple[float, float]:
        return 1.0 / (self.depth_m - lens_m), 0.0

    def bounds(self, lens_m: float) -> Box:
        """About the covered pixels, and without end where their mirror images can be seen."""
        away = self.depth_m - lens_m
        left, top, right, bottom = self._box
        x, y = (shift / away for shift in self.shift_m)
        return left + x, top + y, right + x, bottom + y

    @functools.cached_property
    def _box(self) -> Box:
        cover = self.planes[..., -1] > 0
        found: list[tuple[float, float]] = []
        for axis in (0, 1):
            used = np.flatnonzero(cover.any(axis=axis))
            size = cover.shape[1 - axis]
            first, last = (int(used[0]), int(used[-1])) if used.size else (size, 0)
            found.append(ends(first, last, size, self.pixels_per_tangent, WIDEST[axis]))
        (left, right), (top, bottom) = found
        return left, top, right, bottom

    @functools.cached_property
    def _mips(self) -> list[FloatArray]:
        mips = [self.planes]
        while min(mips[-1].shape[:2]) >= 8:
            a = mips[-1]
            a = a[: a.shape[0] // 2 * 2, : a.shape[1] // 2 * 2]
            mips.append((a[::2, ::2] + a[1::2, ::2] + a[::2, 1::2] + a[1::2, 1::2]) / np.float32(4))
        return mips

    def moved(self, x_m: float, y_m: float, z_m: float) -> PlanesLayer:
        """The same object so much farther to the right, down and away."""
        depth = self.depth_m + z_m
        x, y = self.shift_m
        other = replace(
            self,
            depth_m=depth,
            pixels_per_tangent=self.pixels_per_tangent * depth / self.depth_m,
            shift_m=(x + x_m, y + y_m),
        )
        # the pixels are the same, so are their halved copies
        vars(other)["_mips"] = self._mips
        return other

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
        wanted = math.log2(max(step * self.pixels_per_tangent, 1.0))
        level = min(int(wanted + 0.5), len(self._mips) - 1)
        height, width = self.planes.shape[:2]
        scale = 0.5**level
        away = self.depth_m - lens_m
        per = self.pixels_per_tangent
        x, y = (per * shift / away for shift in self.shift_m)
        cx, cy = (width * 0.5 - x) * scale - 0.5, (height * 0.5 - y) * scale - 0.5
        _sample_planes(
            self._mips[level], per * scale, cx, cy, matrix, x0, y0, step, warp, out,
        )  # fmt: skip
