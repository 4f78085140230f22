"""A picture at one depth: its pixels as 8 bit codes in tiles, and their kernels.

A tile is (64, 64, 4) uint8: sRGB codes of premultiplied linear colour, and coverage; only tiles in
which something is are kept. A phone's picture in a dozen layers takes some hundred megabytes so,
where floats would take four thousand. Kernels and all that they call lie in this file.
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

from modoptic.scenes._scene import STRAIGHT
from modoptic.scenes._spectra import Spectrum

FloatArray = npt.NDArray[np.float32]
Codes = npt.NDArray[np.uint8]
Box = tuple[float, float, float, float]

Table = npt.NDArray[np.int32]

WIDEST = 0.78, 0.60
"""Half the view of the widest lens here, 8.7 mm on 13.1 x 9.8 mm, with some room for blur."""

_BITS = 6
TILE = 1 << _BITS


def _decoding() -> FloatArray:
    """Linear value of each sRGB code, 0..1 (IEC 61966-2-1)."""
    code = np.arange(256) / 255.0
    curve = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
    return np.asarray(curve, np.float32)


def _encoding() -> Codes:
    """Nearest sRGB code of each linear value of 16 bit."""
    value = np.arange(65536) / 65535.0
    curve = np.where(value <= 0.0031308, 12.92 * value, 1.055 * value ** (1 / 2.4) - 0.055)
    return np.rint(255.0 * curve).astype(np.uint8)


DECODE = _decoding()
ENCODE = _encoding()


def _jit(function: Callable[..., Any]) -> Callable[..., Any]:
    return njit(nogil=True, cache=True, error_model="numpy", fastmath=True)(function)  # pyright: ignore


@_jit
def _sample(
    tiles: Codes,
    table: Table,
    h: int,
    w: int,
    per_tangent: float,
    cx: float,
    cy: float,
    decode: FloatArray,
    matrix: FloatArray,
    x0: float,
    y0: float,
    step: float,
    warp: npt.NDArray[np.float64],
    out: FloatArray,
) -> None:
    """Bilinear, as `Layer.sample`.

    A picture of (h, w) goes on as its mirror image beyond its edges; ``per_tangent`` pixels to a
    unit of tangent, (cx, cy) the pixel position on the axis.
    """
    value = np.empty(4, np.float32)
    k1, k2, k3 = warp[0], warp[1], warp[2]
    for i in range(out.shape[1]):
        sy = y0 + i * step
        for j in range(out.shape[2]):
            sx = x0 + j * step
            q = sx * sx + sy * sy
            bent = (1.0 + q * (k1 + q * (k2 + q * k3))) * per_tangent
            y = sy * bent + cy
            fy = math.floor(y)
            ry = y - fy
            x = sx * bent + cx
            fx = math.floor(x)
            rx = x - fx
            value[:] = 0.0
            for a in range(2):
                py = (int(fy) + a) % (2 * h)
                py = py if py < h else 2 * h - 1 - py
                for b in range(2):
                    px = (int(fx) + b) % (2 * w)
                    px = px if px < w else 2 * w - 1 - px
                    at = table[py >> _BITS, px >> _BITS]
                    if at < 0:
                        continue
                    v, u = py & (TILE - 1), px & (TILE - 1)
                    share = (ry if a else 1.0 - ry) * (rx if b else 1.0 - rx)
                    for c in range(3):
                        value[c] += share * decode[tiles[at, v, u, c]]
                    value[3] += share * tiles[at, v, u, 3] * np.float32(1.0 / 255.0)
            for c in range(3):
                out[c, i, j] = (
                    matrix[c, 0] * value[0] + matrix[c, 1] * value[1] + matrix[c, 2] * value[2]
                )
            out[3, i, j] = value[3]


@_jit
def _halve(
    tiles: Codes,
    table: Table,
    decode: FloatArray,
    encode: Codes,
    half_table: Table,
    half_tiles: Codes,
) -> None:
    """Means of squares of 2 x 2, in light."""
    half = TILE // 2
    rows, columns = table.shape
    for y in range(rows):
        for x in range(columns):
            at, to = table[y, x], half_table[y >> 1, x >> 1]
            if at < 0:
                continue
            top, left = (y & 1) * half, (x & 1) * half
            for i in range(half):
                for j in range(half):
                    v, u = 2 * i, 2 * j
                    for c in range(3):
                        light = (
                            decode[tiles[at, v, u, c]]
                            + decode[tiles[at, v, u + 1, c]]
                            + decode[tiles[at, v + 1, u, c]]
                            + decode[tiles[at, v + 1, u + 1, c]]
                        )
                        code = encode[int(light * (0.25 * 65535.0) + 0.5)]
                        half_tiles[to, top + i, left + j, c] = code
                    cover = (
                        int(tiles[at, v, u, 3])
                        + int(tiles[at, v, u + 1, 3])
                        + int(tiles[at, v + 1, u, 3])
                        + int(tiles[at, v + 1, u + 1, 3])
                    )
                    half_tiles[to, top + i, left + j, 3] = (cover + 2) // 4


@_jit
def gather(
    rgb: Codes, slices: Codes, wanted: int, side: int, decode: FloatArray, out: FloatArray
) -> None:
    """Mean light of the pixels of one slice in each square of ``side``, and their share of it.

    ``rgb`` (h, w, 3) sRGB codes, ``slices`` (h, w) the slice of each pixel, ``out`` (4, h / side,
    w / side) rounded up: linear colour times share, share.
    """
    height, width = slices.shape
    out[:] = 0.0
    part = np.float32(1.0 / (side * side))
    for y in range(height):
        for x in range(width):
            if slices[y, x] == wanted:
                for c in range(3):
                    out[c, y // side, x // side] += part * decode[rgb[y, x, c]]
                out[3, y // side, x // side] += part


@_jit
def covered(
    slices: Codes, wanted: int, side: int, near: npt.NDArray[np.bool_], table: Table
) -> int:
    """Number the tiles in which `cut` finds something; the others get -1. Returns how many."""
    height, width = slices.shape
    count = 0
    for r in range(table.shape[0]):
        for c in range(table.shape[1]):
            table[r, c] = -1
            for y in range(r * TILE, min((r + 1) * TILE, height)):
                for x in range(c * TILE, min((c + 1) * TILE, width)):
                    if slices[y, x] == wanted or (
                        slices[y, x] > wanted and near[y // side, x // side]
                    ):
                        table[r, c] = count
                        break
                if table[r, c] >= 0:
                    count += 1
                    break
    return count


@_jit
def cut(
    rgb: Codes,
    slices: Codes,
    wanted: int,
    side: int,
    fill: FloatArray,
    near: npt.NDArray[np.bool_],
    encode: Codes,
    table: Table,
    tiles: Codes,
) -> None:
    """Pixels of one slice into ``tiles`` that hold zeros, and behind what is nearer, ``fill``.

    ``fill`` (3, h, w) linear and ``near`` (h, w), which says where to fill, are of squares of
    ``side``; `gather` and `covered` say the rest.
    """
    height, width = slices.shape
    rows, columns = near.shape
    for y in range(height):
        v = min(max((y + 0.5) / side - 0.5, 0.0), rows - 1.0)
        v0 = int(v)
        v1 = min(v0 + 1, rows - 1)
        v -= v0
        for x in range(width):
            at, i, j = table[y >> _BITS, x >> _BITS], y & (TILE - 1), x & (TILE - 1)
            if slices[y, x] == wanted:
                for c in range(3):
                    tiles[at, i, j, c] = rgb[y, x, c]
                tiles[at, i, j, 3] = 255
            elif slices[y, x] > wanted and near[y // side, x // side]:
                u = min(max((x + 0.5) / side - 0.5, 0.0), columns - 1.0)
                u0 = int(u)
                u1 = min(u0 + 1, columns - 1)
                u -= u0
                for c in range(3):
                    light = (fill[c, v0, u0] * (1 - u) + fill[c, v0, u1] * u) * (1 - v) + (
                        fill[c, v1, u0] * (1 - u) + fill[c, v1, u1] * u
                    ) * v
                    code = encode[int(min(max(light, 0.0), 1.0) * 65535.0 + 0.5)]
                    tiles[at, i, j, c] = code
                tiles[at, i, j, 3] = 255


def ends(
    first: int, last: int, size: int, per_tangent: float, widest: float
) -> tuple[float, float]:
    """From where to where, in tangents, a row holds pixels ``first`` to ``last`` of ``size``.

    It has no end on a side where they reach the edge, or where their mirror image can be seen.
    """
    half, seen = size / 2, widest * per_tangent
    low = -math.inf if first == 0 or half + first < seen else (first - 2 - half) / per_tangent
    rest = size - 1 - last
    high = math.inf if rest == 0 or half + rest < seen else (last + 2 - half) / per_tangent
    return low, high


@dataclass(frozen=True, eq=False)
class RasterLayer:
    """A picture at one depth; beyond its edges it goes on as its mirror image."""

    name: str
    basis: Spectrum
    tiles: Codes
    """(n, 64, 64, 4): sRGB codes of premultiplied colour and coverage."""
    table: Table
    """Which tile lies where, row by row; -1 where nothing is."""
    depth_m: float
    """From the sensor plane."""
    pixels_per_tangent: float
    size: tuple[int, int]
    """(height, width)."""
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

    def moved(self, x_m: float, y_m: float, z_m: float) -> RasterLayer:
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

    @functools.cached_property
    def _box(self) -> Box:
        found: list[tuple[float, float]] = []
        place = np.argwhere(self.table >= 0)
        for axis in (1, 0):
            used = self.tiles[..., 3].any(axis=2 - axis)
            at = (place[:, axis, None] * TILE + np.arange(TILE))[used]
            size = self.size[axis]
            first, last = (int(at.min()), int(at.max())) if at.size else (size, 0)
            found.append(ends(first, last, size, self.pixels_per_tangent, WIDEST[1 - axis]))
        (left, right), (top, bottom) = found
        return left, top, right, bottom

    @functools.cached_property
    def _mips(self) -> list[tuple[Codes, Table]]:
        mips = [(self.tiles, self.table)]
        while min(s >> len(mips) for s in self.size) >= 4:
            tiles, table = mips[-1]
            rows, columns = table.shape
            used = np.pad(table >= 0, ((0, rows & 1), (0, columns & 1)))
            used = used[::2, ::2] | used[1::2, ::2] | used[::2, 1::2] | used[1::2, 1::2]
            half_table = np.where(used, np.cumsum(used).reshape(used.shape) - 1, -1)
            half_table = half_table.astype(np.int32)
            half_tiles = np.zeros((int(used.sum()), TILE, TILE, 4), np.uint8)
            _halve(tiles, table, DECODE, ENCODE, half_table, half_tiles)
            mips.append((half_tiles, half_table))
        return mips

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
        wanted = math.log2(max(step * self.pixels_per_tangent, 1.0))
        level = min(int(wanted + 0.5), len(self._mips) - 1)
        height, width = self.size
        # a picture's own directions were seen from the sensor plane's origin, near enough
        scale = 0.5**level
        per = self.pixels_per_tangent / (self.depth_m - lens_m)
        x, y = width * 0.5 - per * self.shift_m[0], height * 0.5 - per * self.shift_m[1]
        _sample(
            *self._mips[level], height >> level, width >> level,
            self.pixels_per_tangent * scale, x * scale - 0.5, y * scale - 0.5, DECODE,
            matrix, x0, y0, step, warp, out,
        )  # fmt: skip
