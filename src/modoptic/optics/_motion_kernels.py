"""Light that moves while it is gathered: sums of shifted copies, block by block.

Within a block all samples share the path along which the picture passes over them. The path becomes
one kernel of weights, so that many instants cost little more than few.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit  # pyright: ignore[reportUnknownVariableType]

FloatArray = npt.NDArray[np.float32]
UInt16Array = npt.NDArray[np.uint16]
IntArray = npt.NDArray[np.int64]
DoubleArray = npt.NDArray[np.float64]

PARTS = 512
"""Places between two samples for which there are weights."""


class Instants(NamedTuple):
    """When a row gathers light, in steps of a table of shifts: first + row rows + k step."""

    first: float
    rows: float
    step: float
    number: int


class Place(NamedTuple):
    """Rows and columns of the picture to fill, and where its samples lie in the light."""

    first: int
    end: int
    left: int
    right: int
    guard: int
    """Steps of the light before the first row and column of the picture."""
    fine: int
    """Steps of the light a sample of the picture."""
    side: int
    """Of the blocks, even."""
    down: float
    """Nodes of the shifts a row."""
    across: float
    """Nodes a column."""


def _jit(function: Callable[..., Any]) -> Callable[..., Any]:
    options = {"nogil": True, "cache": True, "fastmath": True, "error_model": "numpy"}
    return njit(**options)(function)  # pyright: ignore


@_jit
def _path(
    shifts: FloatArray, row: float, y: float, x: float, when: Instants, path: DoubleArray
) -> None:
    """Shifts (count, 2), right and down, at node (y, x) at the instants of a row."""
    last = shifts.shape[0] - 2
    i = min(max(int(y), 0), shifts.shape[1] - 2)
    j = min(max(int(x), 0), shifts.shape[2] - 2)
    p, q = y - i, x - j
    for k in range(when.number):
        at = when.first + row * when.rows + k * when.step
        t = min(max(int(at), 0), last)
        u = at - t
        for axis in range(2):
            total = 0.0
            for n in range(2):
                s = shifts[t + n]
                above = (1.0 - q) * s[i, j, axis] + q * s[i, j + 1, axis]
                below = (1.0 - q) * s[i + 1, j, axis] + q * s[i + 1, j + 1, axis]
                total += (u if n else 1.0 - u) * ((1.0 - p) * above + p * below)
            path[k, axis] = total


@_jit
def _taps(path: DoubleArray, x: float, y: float, weights: FloatArray, taps: FloatArray) -> None:
    """Mean over a path, displaced by -(x, y), of the weights of the samples about its points."""
    taps[:] = np.float32(0)
    count, reach = weights.shape[1], weights.shape[1] // 2 - 1
    parts = weights.shape[0] - 1
    share = np.float32(1.0 / path.shape[0])
    for k in range(path.shape[0]):
        px, py = path[k, 0] - x, path[k, 1] - y
        jx, iy = math.floor(px), math.floor(py)
        across = weights[int((px - jx) * parts + 0.5)]
        down = weights[int((py - iy) * parts + 0.5)]
        for a in range(count):
            w = share * down[a]
            line = taps[int(iy) - reach + a]
            for b in range(count):
                line[int(jx) - reach + b] += w * across[b]


@_jit
def _extent(path: DoubleArray, reach: int, axis: int, low: float, high: float) -> tuple[int, int]:
    """First whole place of the taps along an axis and their number."""
    least, most = path[0, axis], path[0, axis]
    for k in range(1, path.shape[0]):
        least, most = min(least, path[k, axis]), max(most, path[k, axis])
    first = math.floor(least + low) - reach
    return first, math.floor(most + high) + reach + 2 - first


@_jit
def move_mosaic(
    light: UInt16Array, scales: FloatArray, shifts: FloatArray, when: Instants, place: Place,
    offsets: DoubleArray, weights: FloatArray, pattern: IntArray, out: FloatArray,
) -> None:  # fmt: skip
    """Mean light of samples over their row's instants, each in its own colour.

    ``light`` (3, h, w): square roots of each colour, over those of ``scales`` (3,). ``shifts``
    (times, nodes, nodes, 2): how far to the right and down of a sample lies, in the light, what
    falls on it, in its steps, as are ``offsets`` (2, 2): by how much samples of even and odd
    columns and rows lie off it. ``weights``: of the samples about a place, see `interpolation`.
    """
    period = pattern.shape[0]
    side, half, fine = place.side, place.side // period, place.fine
    phases = period * fine
    reach = weights.shape[1] // 2 - 1
    least = min(offsets[0].min(), offsets[1].min())
    most = max(offsets[0].max(), offsets[1].max())
    path = np.empty((when.number, 2), np.float64)
    total = np.empty((half, half), np.float32)
    for top in range(place.first, place.end, side):
        rows = min(side, place.end - top)
        middle = top + 0.5 * (side - 1)
        for left in range(place.left, place.right, side):
            columns = min(side, place.right - left)
            node_x = (left + 0.5 * (side - 1)) * place.across
            _path(shifts, middle, middle * place.down, node_x, when, path)
            y0, down = _extent(path, reach, 1, least, most)
            x0, across = _extent(path, reach, 0, least, most)
            # the light that the block may see, columns together that samples of one colour share
            size = half + across // phases + 2
            patch = np.empty((3, phases, fine * side + down, size), np.float32)
            for c in range(3):
                plane, scale = light[c], scales[c]
                for a in range(fine * rows + down):
                    i = min(max(place.guard + fine * top + y0 + a, 0), plane.shape[0] - 1)
                    line = plane[i]
                    for b in range(fine * columns + across):
                        j = min(max(place.guard + fine * left + x0 + b, 0), plane.shape[1] - 1)
                        root = np.float32(line[j])
                        patch[c, b % phases, a, b // phases] = root * root * scale
            taps = np.empty((down, across), np.float32)
            for parity in range(period * period):
                pi, pj = parity // period, parity % period
                if parity == 0 or least != 0.0 or most != 0.0:
                    off_x, off_y = offsets[0, pj & 1], offsets[1, pi & 1]
                    _taps(path, x0 - off_x, y0 - off_y, weights, taps)
                m = (rows - pi + period - 1) // period
                n = (columns - pj + period - 1) // period
                of = patch[pattern[(top + pi) % period, (left + pj) % period]]
                total[:m, :n] = np.float32(0)
                for a in range(down):
                    for b in range(across):
                        w = taps[a, b]
                        if w == np.float32(0):
                            continue
                        part = of[(fine * pj + b) % phases]
                        skip = (fine * pj + b) // phases
                        for i in range(m):
                            line, to = part[fine * pi + a + phases * i], total[i]
                            for j in range(n):
                                to[j] += w * line[skip + j]
                for i in range(m):
                    to = out[top + pi + period * i]
                    for j in range(n):
                        to[left + pj + period * j] = max(total[i, j], np.float32(0))


@_jit
def move_color(
    light: FloatArray, shifts: FloatArray, when: Instants, place: Place, weights: FloatArray,
    out: FloatArray,
) -> None:  # fmt: skip
    """The same of all three colours, (3, h, w) from (3, h, w)."""
    side = place.side
    reach = weights.shape[1] // 2 - 1
    _, height, width = light.shape
    path = np.empty((when.number, 2), np.float64)
    for top in range(place.first, place.end, side):
        rows = min(side, place.end - top)
        middle = top + 0.5 * (side - 1)
        for left in range(place.left, place.right, side):
            columns = min(side, place.right - left)
            node_x = (left + 0.5 * (side - 1)) * place.across
            _path(shifts, middle, middle * place.down, node_x, when, path)
            y0, down = _extent(path, reach, 1, 0.0, 0.0)
            x0, across = _extent(path, reach, 0, 0.0, 0.0)
            taps = np.empty((down, across), np.float32)
            _taps(path, float(x0), float(y0), weights, taps)
            patch = np.empty((rows + down, columns + across), np.float32)
            for c in range(3):
                for a in range(rows + down):
                    i = min(max(place.guard + top + y0 + a, 0), height - 1)
                    for b in range(columns + across):
                        j = min(max(place.guard + left + x0 + b, 0), width - 1)
                        patch[a, b] = light[c, i, j]
                for i in range(rows):
                    to = out[c, top + i, left : left + columns]
                    to[:] = np.float32(0)
                    for a in range(down):
                        for b in range(across):
                            w = taps[a, b]
                            if w != np.float32(0):
                                line = patch[a + i, b:]
                                for j in range(columns):
                                    to[j] += w * line[j]
