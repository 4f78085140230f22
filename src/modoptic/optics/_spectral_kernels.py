"""One pass over a spectral cube: bands mixed into planes, planes blurred under a mosaic.

In single precision for pictures, and in double with every band a plane of its own for what they
are checked against. Kernels and all that they call lie in this file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit  # pyright: ignore[reportUnknownVariableType]

Real = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.int64]
Bits = npt.NDArray[np.unsignedinteger]

CHUNK = 64
"""Columns of a half that are mixed together."""


class Part(NamedTuple):
    """Photosites [top, bottom) x [left, right) of the cube."""

    top: int
    bottom: int
    left: int
    right: int


def _jit(function: Callable[..., Any]) -> Callable[..., Any]:
    return njit(nogil=True, cache=True, error_model="numpy", fastmath=True)(function)  # pyright: ignore


@_jit
def _count_bad(bits: Bits, most: Any, sign: Any) -> int:
    """How many numbers lie beyond ``most``, below 0 or nowhere, all told by their bits.

    Fast arithmetic knows no NaN; as whole numbers, negative ones and NaN lie beyond all others.
    """
    bad = np.int32(0)
    for i in range(bits.size):
        b = bits[i]
        bad += np.int32((b > most) & (b != sign))  # -0 is 0
    return int(bad)


@_jit
def _inside(at: int, size: int) -> int:
    """Beyond its edges a picture goes on as in a mirror."""
    if size == 1:
        return 0
    period = 2 * size - 2
    at = abs(at) % period
    return min(at, period - at)


@_jit
def _mix_row(line: Real, left: int, mix: Real, turned: Real, into: Real) -> None:
    """Bands of a row to planes: ``line`` (w, bands), ``mix`` (planes, bands and zeros).

    ``into`` (planes, 2, m) begins at column ``left``; columns are dealt to two halves. ``turned``
    (bands and zeros, `CHUNK`): scratch, where the bands lie apart, so that columns can be worked on
    in parallel.
    """
    bands = line.shape[1]
    width = line.shape[0]
    planes, _, half = into.shape
    for side in range(2):
        for start in range(0, half, CHUNK):
            count = min(CHUNK, half - start)
            for i in range(count):
                spectrum = line[_inside(left + side + 2 * (start + i), width)]
                for n in range(bands):
                    turned[n, i] = spectrum[n]
            for p in range(0, planes, 2):
                one, two = into[p, side, start : start + count], into[p + 1, side, start:]
                one[:] = 0
                two[:count] = 0
                for n in range(0, mix.shape[1], 4):
                    a0, a1, a2, a3 = mix[p, n], mix[p, n + 1], mix[p, n + 2], mix[p, n + 3]
                    b0, b1, b2, b3 = (
                        mix[p + 1, n],
                        mix[p + 1, n + 1],
                        mix[p + 1, n + 2],
                        mix[p + 1, n + 3],
                    )
                    t0, t1, t2, t3 = turned[n], turned[n + 1], turned[n + 2], turned[n + 3]
                    for i in range(count):
                        one[i] += a0 * t0[i] + a1 * t1[i] + a2 * t2[i] + a3 * t3[i]
                        two[i] += b0 * t0[i] + b1 * t1[i] + b2 * t2[i] + b3 * t3[i]


@_jit
def image_cube(
    cube: Real,
    mix: Real,
    first: IntArray,
    taps: Real,
    reaches: IntArray,
    pattern: IntArray,
    part: Part,
    bits: Bits,
    limits: Bits,
    out: Real,
) -> int:
    """Light under the mosaic of a part of a cube.

    Parameters
    ----------
    cube : (h, w, bands), a spectrum for each photosite
    mix : (planes, bands), what each plane takes of a band; an even number of planes, and zeros
        for the bands that make a multiple of four
    first : (3,), the first plane of each channel
    taps : (3, count, k, k), k odd: how ``count`` planes of a channel spread, seen from the sample
    reaches : (3, count), of the taps that count, from the middle; less than 0 for none
    pattern : (2, 2), channels of the mosaic
    bits : ``cube`` as whole numbers
    limits : (2,), bits of the largest radiance that may be, and of -0
    out : (h, w), the part of it is filled

    Returns
    -------
    how many values of the part are no radiance
    """
    height = cube.shape[0]
    size = taps.shape[2]
    r = size // 2
    wide = part.right - part.left
    half = (wide + 1) // 2
    ring = np.empty((size, mix.shape[0], 2, half + r + 1), mix.dtype)
    turned = np.zeros((mix.shape[1], CHUNK), mix.dtype)
    sums = np.empty(half, mix.dtype)
    sums[:] = 0
    zero = sums[0]
    bad = 0
    for y in range(part.top - r, part.bottom + r):
        line = cube[_inside(y, height)]
        if part.top <= y < part.bottom:
            checked = bits[y, part.left : part.right].reshape(-1)
            bad += _count_bad(checked, limits[0], limits[1])
        _mix_row(line, part.left - r, mix, turned, ring[(y - part.top + r) % size])
        row = y - r
        if row < part.top:
            continue
        for side in range(2):
            c = pattern[row & 1, (part.left + side) & 1]
            count = (wide - side + 1) // 2
            sums[:] = 0
            for j in range(taps.shape[1]):
                plane, reach = first[c] + j, reaches[c, j]
                for i in range(r - reach, r + reach + 1):
                    source = ring[(row - part.top + i) % size, plane]
                    weights = taps[c, j, i]
                    x, end = r - reach, r + reach + 1
                    while x + 8 <= end:
                        a = side + x
                        t0, t1, t2, t3 = weights[x], weights[x + 1], weights[x + 2], weights[x + 3]
                        t4, t5, t6, t7 = (
                            weights[x + 4], weights[x + 5], weights[x + 6], weights[x + 7]
                        )  # fmt: skip
                        near, far = source[a & 1, a >> 1 :], source[(a + 1) & 1, (a + 1) >> 1 :]
                        near1, far1 = near[1:], far[1:]
                        near2, far2, near3, far3 = near[2:], far[2:], near[3:], far[3:]
                        for m in range(count):
                            sums[m] += (
                                t0 * near[m] + t1 * far[m] + t2 * near1[m] + t3 * far1[m]
                                + t4 * near2[m] + t5 * far2[m] + t6 * near3[m] + t7 * far3[m]
                            )  # fmt: skip
                        x += 8
                    while x + 4 <= end:
                        a = side + x
                        t0, t1, t2, t3 = weights[x], weights[x + 1], weights[x + 2], weights[x + 3]
                        near, far = source[a & 1, a >> 1 :], source[(a + 1) & 1, (a + 1) >> 1 :]
                        near1, far1 = near[1:], far[1:]
                        for m in range(count):
                            sums[m] += t0 * near[m] + t1 * far[m] + t2 * near1[m] + t3 * far1[m]
                        x += 4
                    while x < end:
                        a = side + x
                        t0 = weights[x]
                        near = source[a & 1, a >> 1 :]
                        for m in range(count):
                            sums[m] += t0 * near[m]
                        x += 1
            target = out[row]
            for m in range(count):
                # where a kernel overshoots, next to what is bright
                target[part.left + side + 2 * m] = max(sums[m], zero)
    return bad
