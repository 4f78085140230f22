"""The finder's kernel: each 2 x 2 quad of the mosaic becomes one pixel, and statistics with it.

Green is the mean of the quad's two greens, which lies in the middle of the quad; red and blue are
interpolated to the same point (weights 9, 3, 3, 1 sixteenths where pixels lie evenly), so that
edges show no colour.
"""

# pyright: reportMissingParameterType=false, reportUnknownParameterType=false
# (numba infers the types of a kernel; docstrings give them where rooms meet)
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit  # pyright: ignore[reportUnknownVariableType]

BINS = 64
ZONE_ROWS, ZONE_COLUMNS = 24, 32
BORDER = 1
"""Quad rows above and below that an output row depends on."""
CLIPPED = 0.985
"""Part of full scale from which a photosite counts as clipped."""


def _jit(function: Callable[..., Any]) -> Callable[..., Any]:
    return njit(  # pyright: ignore
        nogil=True,
        cache=True,
        boundscheck=False,
        error_model="numpy",
        fastmath={"nnan", "nsz", "contract", "arcp", "reassoc"},
    )(function)


@_jit
def _level(row, even, odd, black0, black1, gain0, gain1):
    """0..1 between black and white of the even and odd columns; one column more at each end."""
    n = even.size - 2
    e, o = even[1:], odd[1:]
    for k in range(n):
        e[k] = (np.float32(row[2 * k]) - black0) * gain0
        o[k] = (np.float32(row[2 * k + 1]) - black1) * gain1
    even[0], odd[0] = even[1], odd[1]
    even[n + 1], odd[n + 1] = even[n], odd[n]


@_jit
def _quad_row(mosaic, at, red, black, gain, scratch, planes):
    """Red, green, blue (3, n + 2) of one row of quads, not balanced."""
    ry, rx = red
    half = np.float32(0.5)
    for y in range(2):
        _level(
            mosaic[at + y],
            scratch[y, 0],
            scratch[y, 1],
            black[y, 0],
            black[y, 1],
            gain[y, 0],
            gain[y, 1],
        )
    planes[0, :] = scratch[ry, rx]
    planes[2, :] = scratch[1 - ry, 1 - rx]
    a, b, g = scratch[ry, 1 - rx], scratch[1 - ry, rx], planes[1]
    for k in range(g.size):
        g[k] = half * (a[k] + b[k])


@_jit
def _register(here, beside, step, balance, away, out):
    """Red or blue moved to the middle of its quad and balanced, at most 1.

    It lies ``away`` from there along each axis, in quads.
    """
    n = out.size
    rest, one = np.float32(1) - away, np.float32(1)
    near, far = rest * balance, away * balance
    h0, h1, b0, b1 = here[1:], here[1 + step :], beside[1:], beside[1 + step :]
    for k in range(n):
        v0 = near * h0[k] + far * b0[k]
        v1 = near * h1[k] + far * b1[k]
        out[k] = min(rest * v0 + away * v1, one)


@_jit
def _scale(values, balance, out):
    one = np.float32(1)
    for k in range(out.size):
        out[k] = min(values[k] * balance, one)


@_jit
def _detail(above, here, below, part, r, b):
    """Green's finest detail given to red and blue, which `_register` blurred by more.

    Along an axis its weights have a variance of 3/4 of a photosite squared, those of the mean of
    the two greens 1/4; a blur of the quads by 1, 14, 1 sixteenths makes up for the difference.
    Without it thin lines are coloured. ``part`` is 1/16, times the balance of green;
    less where pixels lie nearer to the middle of their quad.
    """
    four = np.float32(4)
    left, middle, right, up, down = here, here[1:], here[2:], above[1:], below[1:]
    for k in range(r.size):
        d = part * (four * middle[k] - left[k] - right[k] - up[k] - down[k])
        r[k] += d
        b[k] += d


@_jit
def _whiten(r, g, b):
    """Green raised where red and blue are nearly at their end and above it.

    Balanced red and blue end at 1 with less light than green does, so at the rim of a lamp, where
    one photosite is clipped and its neighbour is not, green alone would fall: a magenta fringe.
    """
    start, slope, zero = np.float32(0.7), np.float32(1 / 0.3), np.float32(0)
    for k in range(g.size):
        low = min(r[k], b[k])
        g[k] += max(low - start, zero) * slope * max(low - g[k], zero)


@_jit
def _show(r, g, b, matrix, curve, place, out):
    """Balanced camera RGB to sRGB bytes of one row."""
    zero, top, half = np.float32(0), np.float32(curve.size - 1), np.float32(0.5)
    n = r.size
    for c in range(3):
        m0, m1, m2 = matrix[c, 0] * top, matrix[c, 1] * top, matrix[c, 2] * top
        for k in range(n):
            v = m0 * r[k] + m1 * g[k] + m2 * b[k] + half
            place[k] = np.int32(max(zero, min(top, v)))
        shifted = out[c:]
        for k in range(n):
            shifted[3 * k] = curve[np.uint32(place[k])]


@_jit
def _sum(values):
    total = np.float32(0)
    for k in range(values.size):
        total += values[k]
    return total


@_jit
def _contrast(values):
    total = np.float32(0)
    a, b = values[: values.size - 1], values[1:]
    for k in range(a.size):
        d = b[k] - a[k]
        total += d * d
    return total


@_jit
def _zone_row(planes, sums, histogram, balanced, place):
    """Add one row of quads to the zone sums (columns, 6) and the histogram (`BINS` + 1,)."""
    n = planes.shape[1] - 2
    columns = sums.shape[0]
    for z in range(columns):
        low, high = 1 + z * n // columns, 1 + (z + 1) * n // columns
        for c in range(3):
            sums[z, c] += _sum(planes[c, low:high])
        sums[z, 3] += _contrast(planes[1, low:high])
        sums[z, 4] += np.float32(high - low)
    r, g, b = balanced[0], balanced[1], balanced[2]
    quarter, half, top = np.float32(0.25), np.float32(0.5), np.float32(BINS - 1)
    zero = np.float32(0)
    for k in range(n):
        y = max(quarter * (r[k] + b[k]) + half * g[k], zero)
        place[k] = np.int32(min(np.sqrt(y) * np.float32(BINS), top))
    for k in range(n):
        histogram[np.uint32(place[k])] += 1
    r, g, b = planes[0, 1:], planes[1, 1:], planes[2, 1:]
    limit = np.float32(CLIPPED)
    clipped = np.int32(0)
    for k in range(n):
        clipped += np.int32(max(r[k], g[k], b[k]) >= limit)
    histogram[BINS] += clipped


@_jit
def quad_rows(
    mosaic,
    row0,
    height,
    red,
    black,
    gain,
    balance,
    matrix,
    curve,
    shift,
    first,
    out,
    statistics,
    sums,
    histogram,
):
    """Rows ``first .. first + len(out)`` of the half-size picture.

    Parameters
    ----------
    mosaic : uint16 (rows, width), DN; the frame's quad rows from ``row0``, reaching `BORDER`
        beyond the output except at the frame's edges
    height : quad rows of the frame
    red : (row, column) of red in the quad
    black, gain : float32 (2, 2) by place in the quad; level = (DN - black) * gain, white is 1
    balance : float32 (3,), white balance gains
    matrix : float32 (3, 3), balanced camera RGB, exposed, to linear sRGB
    curve : uint8 (n,), linear 0..1 to sRGB
    shift : float32, see `FrameMeta.centroid_shift`
    out : uint8 (rows, width // 2, 3)
    statistics : take every second quad row into ``sums`` and ``histogram``
    sums : float64 (`ZONE_ROWS`, `ZONE_COLUMNS`, 6): red, green, blue, squared green steps, quads
    histogram : int64 (`BINS` + 1,), of the square root of balanced luma; last, clipped quads
    """
    n = out.shape[1]
    planes = np.zeros((4, 3, n + 2), np.float32)
    scratch = np.zeros((2, 2, n + 2), np.float32)
    balanced = np.zeros((3, n), np.float32)
    place = np.zeros(n, np.int32)
    down, right = 1 - 2 * red[0], 1 - 2 * red[1]
    # of a pixel from the middle of its quad, in quads
    away = np.float32(0.25) - np.float32(0.5) * shift
    spare = np.float32(0.125) * away * (np.float32(4) - np.float32(8) * away)
    ready = first - 2
    for y in range(first, first + out.shape[0]):
        while ready < y + 1:
            ready += 1
            if 0 <= ready < height:
                _quad_row(mosaic, 2 * (ready - row0), red, black, gain, scratch, planes[ready & 3])
        here = planes[y & 3]
        beside_red = planes[min(max(y + down, 0), height - 1) & 3]
        beside_blue = planes[min(max(y - down, 0), height - 1) & 3]
        _register(here[0], beside_red[0], right, balance[0], away, balanced[0])
        _scale(here[1, 1:], balance[1], balanced[1])
        _register(here[2], beside_blue[2], -right, balance[2], away, balanced[2])
        if statistics and y & 1 == 0:
            _zone_row(here, sums[y * ZONE_ROWS // height], histogram, balanced, place)
        above, below = planes[max(y - 1, 0) & 3], planes[min(y + 1, height - 1) & 3]
        _detail(above[1], here[1], below[1], spare * balance[1], balanced[0], balanced[2])
        _whiten(balanced[0], balanced[1], balanced[2])
        _show(
            balanced[0],
            balanced[1],
            balanced[2],
            matrix,
            curve,
            place,
            out[y - first].reshape(-1),
        )


@_jit
def halve(rgb, out):
    """Means of 2 x 2 pixels of ``rgb`` (rows, width, 3) into ``out`` (rows // 2, width // 2, 3)."""
    two, shift = np.uint16(2), np.uint16(2)
    for y in range(out.shape[0]):
        above, below, target = (
            rgb[2 * y].reshape(-1),
            rgb[2 * y + 1].reshape(-1),
            out[y].reshape(-1),
        )
        for x in range(out.shape[1]):
            for c in range(3):
                i = 6 * x + c
                total = np.uint16(above[i]) + np.uint16(above[i + 3])
                total += np.uint16(below[i]) + np.uint16(below[i + 3])
                target[3 * x + c] = np.uint8(np.uint16(total + two) >> shift)
