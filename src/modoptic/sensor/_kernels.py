"""Light to digital numbers to packed bytes, one band of rows at a time.

Random numbers are counter based: a hash of (key, row, segment) picks where in a table of normal
deviates a segment of `SEGMENT` photosites starts. So a band may be computed in any order, in any
thread, and alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit  # pyright: ignore[reportUnknownVariableType]

FloatArray = npt.NDArray[np.float32]
UInt8Array = npt.NDArray[np.uint8]
UInt16Array = npt.NDArray[np.uint16]

SEGMENT = 64
TABLE = 1 << 16
"""Deviates in a table; `SEGMENT` more repeat its beginning, so that no segment wraps."""


def _jit(function: Callable[..., Any]) -> Callable[..., Any]:
    # Python's error model tests every division for zero, which keeps a loop from being vectorised
    options = {"nogil": True, "cache": True, "fastmath": True, "error_model": "numpy"}
    return njit(**options)(function)  # pyright: ignore


@_jit
def _start(key: np.uint64, row: int, segment: int) -> np.int64:
    """Where a segment starts in the table: SplitMix64 (Steele, Lea and Flood, OOPSLA 2014)."""
    z = key + np.uint64(row) * np.uint64(0x9E3779B97F4A7C15)
    z += np.uint64(segment) * np.uint64(0xD1B54A32D192ED03)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.int64((z ^ (z >> np.uint64(31))) & np.uint64(TABLE - 1))


@_jit
def _digitise(
    charge: FloatArray,
    x: int,
    row: int,
    count: int,
    normal: FloatArray,
    keys: npt.NDArray[np.uint64],
    model: FloatArray,
    values: UInt16Array,
) -> None:
    """Mean charge in electrons to DN for photosites x .. x + count of an absolute row.

    ``model``: noise on (0 or 1), read variance in e-^2, PRNU, DSNU in DN, full well in e-, DN per
    electron, black level plus half a DN, largest DN, dark charge in e-.

    The charge is a Poisson number of mean m plus a normal read noise of variance r^2. With
    V = m + r^2 it is drawn as m + s z + a (z^2 - 1), a = m / (6 V), s^2 = V - 2 a^2, z normal: mean
    and variance are exact and the skew is Poisson's to first order (Cornish and Fisher 1938). Read
    noise of an electron or more hides that real charges are whole.
    """
    one, six, two, zero = np.float32(1), np.float32(6), np.float32(2), np.float32(0)
    on, read, prnu, dsnu = model[0], model[1], model[2], model[3]
    well, gain, black, white, dark = model[4], model[5], model[6], model[7], model[8]
    done = 0
    while done < count:
        segment = (x + done) // SEGMENT
        skip = (x + done) % SEGMENT
        n = min(SEGMENT - skip, count - done)
        # slices, not sums of indices: the whole kernel is three times as fast so
        shot = normal[_start(keys[0], row, segment) + skip :]
        gains = normal[_start(keys[1], row, segment) + skip :]
        offsets = normal[_start(keys[2], row, segment) + skip :]
        light, dns = charge[done:], values[done:]
        for i in range(n):
            mean = light[i] * (one + prnu * gains[i]) + dark
            variance = mean + read
            skew = on * mean / (six * variance)
            z = shot[i]
            electrons = mean + on * np.sqrt(variance - two * skew * skew) * z + skew * (z * z - one)
            dn = min(electrons, well) * gain + black + dsnu * offsets[i]
            dns[i] = np.uint16(np.int32(max(zero, min(dn, white))))
        done += n


@_jit
def _pack(values: UInt16Array, bits: int, out: UInt8Array) -> None:
    """A row to PFNC ``12p`` or ``14p``: the loops of `modoptic.pixels`, which has the tests."""
    if bits == 12:
        low, nibble, four, eight = np.uint16(0xFF), np.uint16(0x0F), np.uint16(4), np.uint16(8)
        for i in range(values.size // 2):
            a, b = values[2 * i], values[2 * i + 1]
            out[3 * i] = np.uint8(a & low)
            out[3 * i + 1] = np.uint8(
                np.uint16((a >> eight) & nibble) | np.uint16((b & nibble) << four)
            )
            out[3 * i + 2] = np.uint8((b >> four) & low)
    else:
        for i in range(values.size // 4):
            p = np.uint32(values[4 * i])
            q = np.uint32(values[4 * i + 1])
            r = np.uint32(values[4 * i + 2])
            s = np.uint32(values[4 * i + 3])
            out[7 * i] = np.uint8(p & 0xFF)
            out[7 * i + 1] = np.uint8((p >> 8) | ((q & 0x03) << 6))
            out[7 * i + 2] = np.uint8((q >> 2) & 0xFF)
            out[7 * i + 3] = np.uint8((q >> 10) | ((r & 0x0F) << 4))
            out[7 * i + 4] = np.uint8((r >> 4) & 0xFF)
            out[7 * i + 5] = np.uint8((r >> 12) | ((s & 0x3F) << 2))
            out[7 * i + 6] = np.uint8(s >> 6)


@_jit
def _between(
    above: FloatArray, below: FloatArray, part: float, factor: float, line: FloatArray
) -> None:
    """A row between two rows, times ``factor``; one value more at each end."""
    a, b = np.float32((1.0 - part) * factor), np.float32(part * factor)
    middle = line[1:]
    for i in range(above.size):
        middle[i] = a * above[i] + b * below[i]
    line[0], line[above.size + 1] = line[1], line[above.size]


@_jit
def read_preview(
    light: FloatArray,
    planes: npt.NDArray[np.int64],
    factors: FloatArray,
    first: int,
    end: int,
    x0: int,
    y0: int,
    normal: FloatArray,
    keys: npt.NDArray[np.uint64],
    model: FloatArray,
    bits: int,
    charge: FloatArray,
    values: UInt16Array,
    out: UInt8Array,
) -> None:
    """Rows of a mosaic from ``light`` (3, h, w), whose samples lie in the middle of cells.

    A cell is 2 x 2 or 4 x 4 pixels, as the length of ``charge`` tells; each pixel sees the light of
    its own place, between four samples: one of the whole cell would shift red against blue.
    ``planes`` (2, 2) and ``factors`` (2, 2): channel and electrons per unit of light by position;
    ``charge`` and ``values``: scratch rows; ``out`` (rows, row bytes).
    """
    cells = light.shape[2]
    large = charge.size == 4 * cells
    side = 4 if large else 2
    left, right = np.empty(cells + 2, np.float32), np.empty(cells + 2, np.float32)
    eighth, quarter, three = np.float32(0.125), np.float32(0.25), np.float32(0.375)
    for y in range(first, end):
        place = (y + 0.5) / side - 0.5
        above = math.floor(place)
        part = place - above
        below = min(above + 1, light.shape[1] - 1)
        above = max(above, 0)
        for k, line in enumerate((left, right)):
            plane = light[planes[y & 1, k]]
            _between(plane[above], plane[below], part, factors[y & 1, k], line)
        before, here, after = left, left[1:], right[2:]
        there = right[1:]
        if large:
            behind, ahead = right, left[2:]
            for i in range(cells):
                charge[4 * i] = here[i] + three * (before[i] - here[i])
                charge[4 * i + 1] = there[i] + eighth * (behind[i] - there[i])
                charge[4 * i + 2] = here[i] + eighth * (ahead[i] - here[i])
                charge[4 * i + 3] = there[i] + three * (after[i] - there[i])
        else:
            for i in range(cells):
                charge[2 * i] = here[i] + quarter * (before[i] - here[i])
                charge[2 * i + 1] = there[i] + quarter * (after[i] - there[i])
        _digitise(charge, x0, y0 + y, charge.size, normal, keys, model, values)
        _pack(values, bits, out[y])


@_jit
def read_map(
    light: FloatArray,
    factors: FloatArray,
    first: int,
    end: int,
    x0: int,
    y0: int,
    normal: FloatArray,
    keys: npt.NDArray[np.uint64],
    model: FloatArray,
    bits: int,
    charge: FloatArray,
    values: UInt16Array,
    out: UInt8Array,
) -> None:
    """Rows of a mosaic from ``light`` (h, w) in electrons a second, one value a photosite."""
    half = light.shape[1] // 2
    for y in range(first, end):
        p, q = factors[y & 1, 0], factors[y & 1, 1]
        row = light[y]
        for i in range(half):
            charge[2 * i] = row[2 * i] * p
            charge[2 * i + 1] = row[2 * i + 1] * q
        _digitise(charge, x0, y0 + y, 2 * half, normal, keys, model, values)
        _pack(values, bits, out[y])


@_jit
def read_compact(
    light: UInt16Array,
    factors: FloatArray,
    first: int,
    end: int,
    x0: int,
    y0: int,
    normal: FloatArray,
    keys: npt.NDArray[np.uint64],
    model: FloatArray,
    bits: int,
    charge: FloatArray,
    values: UInt16Array,
    out: UInt8Array,
) -> None:
    """The same from ``light`` (h, w) as square roots, see `compact`."""
    half = light.shape[1] // 2
    for y in range(first, end):
        p, q = factors[y & 1, 0], factors[y & 1, 1]
        row = light[y]
        for i in range(half):
            a, b = np.float32(row[2 * i]), np.float32(row[2 * i + 1])
            charge[2 * i] = a * a * p
            charge[2 * i + 1] = b * b * q
        _digitise(charge, x0, y0 + y, 2 * half, normal, keys, model, values)
        _pack(values, bits, out[y])


@_jit
def compact(light: FloatArray, per_code: np.float32, out: UInt16Array) -> None:
    """``out = round(sqrt(light) / per_code)``, at most 65535, over a band of rows."""
    scale, top, half = np.float32(1) / per_code, np.float32(65535), np.float32(0.5)
    for y in range(light.shape[0]):
        for x in range(light.shape[1]):
            root = np.sqrt(max(light[y, x], np.float32(0))) * scale + half
            out[y, x] = np.uint16(np.int32(min(root, top)))


@_jit
def add_defects(
    x: npt.NDArray[np.int64],
    y: npt.NDArray[np.int64],
    extra: FloatArray,
    bits: int,
    largest: int,
    out: UInt8Array,
) -> None:
    """Add ``extra`` DN to single packed photosites of ``out`` (rows, row bytes)."""
    mask = (1 << bits) - 1
    for k in range(x.size):
        bit = x[k] * bits
        byte, shift = bit >> 3, bit & 7
        size = (shift + bits + 7) >> 3
        word = np.int64(0)
        for i in range(size):
            word |= np.int64(out[y[k], byte + i]) << (8 * i)
        value = min(((word >> shift) & mask) + np.int64(extra[k] + np.float32(0.5)), largest)
        word = (word & ~(mask << shift)) | (value << shift)
        for i in range(size):
            out[y[k], byte + i] = np.uint8((word >> (8 * i)) & 0xFF)
