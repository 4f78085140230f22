"""Kernels of the lens: layers blurred and laid over each other, lamps, and shading.

Images are float32 (4, height, width): three premultiplied channels and coverage.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit  # pyright: ignore[reportUnknownVariableType]

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


def _jit(function: Callable[..., Any]) -> Callable[..., Any]:
    return njit(nogil=True, cache=True, error_model="numpy", fastmath=True)(function)  # pyright: ignore


@_jit
def _segment(t: float, r: float) -> float:
    """Integral of sqrt(r^2 - t^2) from 0 to t."""
    t = min(max(t, -r), r)
    return 0.5 * (t * math.sqrt(max(r * r - t * t, 0.0)) + r * r * math.asin(t / r))


@_jit
def blur_disc(source: FloatArray, radii: FloatArray, margin: int, out: FloatArray) -> None:
    """Average over a disc of exact area; row i of ``out`` with radius ``radii[i]``, in pixels.

    Four planes. ``source`` is wider and higher than ``out`` by ``margin`` on each side;
    margin >= radius + 2.
    Sums along rows make the cost of a pixel the height of its disc, not its area.
    """
    planes, height, width = out.shape
    rows, columns = source.shape[1], source.shape[2]
    sums = np.empty((4, rows, columns + 1), np.float32)
    for i in range(rows):
        # side by side, because each sum waits for its last one
        s0, s1, s2, s3 = sums[0, i], sums[1, i], sums[2, i], sums[3, i]
        p0, p1, p2, p3 = source[0, i], source[1, i], source[2, i], source[3, i]
        t0 = t1 = t2 = t3 = 0.0
        s0[0] = s1[0] = s2[0] = s3[0] = np.float32(0.0)
        for j in range(columns):
            t0 += p0[j]
            t1 += p1[j]
            t2 += p2[j]
            t3 += p3[j]
            s0[j + 1] = t0
            s1[j + 1] = t1
            s2[j + 1] = t2
            s3[j + 1] = t3
    known = np.float32(-1.0)
    reach = 0
    places = np.empty((2 * margin + 1, 2), np.int64)
    weights = np.empty((2 * margin + 1, 4), np.float32)
    for i in range(height):
        r = max(radii[i], np.float32(0.05))
        if r != known:
            known = r
            reach = math.ceil(r - 0.5)
            weight = np.float32(1.0 / (math.pi * r * r))
            for dy in range(-reach, reach + 1):
                half = 0.5 * (_segment(dy + 0.5, r) - _segment(dy - 0.5, r)) * 2.0
                right, left = 0.5 + half, 0.5 - half
                kr, kl = math.floor(right), math.floor(left)
                wr, wl = np.float32(right - kr) * weight, np.float32(left - kl) * weight
                places[dy + reach, 0], places[dy + reach, 1] = margin + kr, margin + kl
                weights[dy + reach, 0], weights[dy + reach, 1] = weight - wr, wr
                weights[dy + reach, 2], weights[dy + reach, 3] = weight - wl, wl
        for c in range(planes):
            target = out[c, i]
            for j in range(width):
                target[j] = 0.0
            for k in range(2 * reach + 1):
                line = sums[c, i + margin + k - reach]
                at, to = places[k, 0], places[k, 1]
                right0, right1 = line[at : at + width], line[at + 1 : at + 1 + width]
                left0, left1 = line[to : to + width], line[to + 1 : to + 1 + width]
                ar, br, al, bl = weights[k, 0], weights[k, 1], weights[k, 2], weights[k, 3]
                for j in range(width):
                    target[j] += ar * right0[j] + br * right1[j] - al * left0[j] - bl * left1[j]


@_jit
def blur_line(source: FloatArray, taps: FloatArray, out: FloatArray) -> None:
    """Convolve along both axes; ``source`` is larger than ``out`` by half the taps on each side."""
    planes, height, width = out.shape
    count = taps.size
    rows = source.shape[1]
    half = np.empty((rows, width), np.float32)
    for c in range(planes):
        for i in range(rows):
            line = source[c, i]
            target = half[i]
            for j in range(width):
                target[j] = 0.0
            for k in range(count):
                tap = taps[k]
                part = line[k : k + width]
                for j in range(width):
                    target[j] += tap * part[j]
        for i in range(height):
            target = out[c, i]
            for j in range(width):
                target[j] = 0.0
            for k in range(count):
                tap = taps[k]
                line = half[i + k]
                for j in range(width):
                    target[j] += tap * line[j]


@_jit
def share_outside(kernels: FloatArray) -> FloatArray:
    """Of kernels (n, size, size), the most that any has outside of squares about the middle.

    (size // 2,): entry r is for the square that reaches r taps to each side.
    """
    size = kernels.shape[1]
    middle = size // 2
    out = np.zeros(middle, np.float32)
    rings = np.empty(middle + 1, np.float32)
    for n in range(kernels.shape[0]):
        rings[:] = np.float32(0.0)
        for i in range(size):
            for j in range(size):
                rings[max(abs(i - middle), abs(j - middle))] += abs(kernels[n, i, j])
        total, inside = rings.sum(), np.float32(0.0)
        for r in range(middle):
            inside += rings[r]
            out[r] = max(out[r], np.float32(1.0) - inside / total)
    return out


@_jit
def split_columns(source: FloatArray, out: FloatArray) -> None:
    """Even and odd columns of (4, h, w) apart, (2, 4, h, (w + 1) / 2)."""
    planes, height, width = source.shape
    for c in range(planes):
        for i in range(height):
            line, even, odd = source[c, i], out[0, c, i], out[1, c, i]
            for j in range(width // 2):
                even[j] = line[2 * j]
                odd[j] = line[2 * j + 1]
            if width & 1:
                even[width // 2] = line[width - 1]


@_jit
def convolve_under_mosaic(
    split: FloatArray,
    margin: int,
    which: IntArray,
    kernels: FloatArray,
    reaches: IntArray,
    opaque: bool,
    pattern: IntArray,
    top: int,
    left: int,
    width: int,
    light: FloatArray,
    passing: FloatArray,
) -> float:
    """Convolve a layer, each sample with the kernel of its kind, and lay it under what is there.

    ``split`` is the layer by `split_columns`, larger than the part by ``margin`` on each side. Row
    i of the part, which begins at (top, left) of the tile, takes ``kernels[which[i]]`` (4, n, n),
    of which the middle out to ``reaches[which[i]]`` is used. ``opaque`` says that the layer covers
    all. Returns the largest share of light left in the part.
    """
    half = (width + 1) // 2 + 1
    sums = np.empty(half, np.float32)
    cover = np.empty(half, np.float32)
    middle = kernels.shape[2] // 2
    most = np.float32(0.0)
    for i in range(which.size):
        rest = passing[top + i]
        first, last = width, -1
        for j in range(width):
            if rest[left + j] > np.float32(0.0):
                first = min(first, j)
                last = j
        if last < 0:
            continue
        target = light[top + i]
        n = which[i]
        r = reaches[n]
        for side in range(2):
            begin = first + ((first + left + side) & 1)
            count = (last - begin) // 2 + 1
            if begin > last:
                continue
            kind = 2 * ((top + i) & 1) + side
            c = pattern[(top + i) & 1, side]
            sums[:count] = np.float32(0.0)
            cover[:count] = np.float32(0.0)
            for y in range(-r, r + 1):
                row = i + margin + y
                taps = kernels[n, kind, middle + y]
                x = -r
                while x <= r:
                    at = begin + margin + x
                    a, b = at & 1, at >> 1
                    d, e = (at + 1) & 1, (at + 1) >> 1
                    t0 = taps[middle + x]
                    s0 = split[a, c, row, b : b + count]
                    if x + 3 <= r:
                        t1, t2, t3 = (
                            taps[middle + x + 1],
                            taps[middle + x + 2],
                            taps[middle + x + 3],
                        )
                        s1 = split[d, c, row, e : e + count]
                        s2 = split[a, c, row, b + 1 : b + 1 + count]
                        s3 = split[d, c, row, e + 1 : e + 1 + count]
                        for j in range(count):
                            sums[j] += t0 * s0[j] + t1 * s1[j] + t2 * s2[j] + t3 * s3[j]
                        if not opaque:
                            s0 = split[a, 3, row, b : b + count]
                            s1 = split[d, 3, row, e : e + count]
                            s2 = split[a, 3, row, b + 1 : b + 1 + count]
                            s3 = split[d, 3, row, e + 1 : e + 1 + count]
                            for j in range(count):
                                cover[j] += t0 * s0[j] + t1 * s1[j] + t2 * s2[j] + t3 * s3[j]
                        x += 4
                    else:
                        for j in range(count):
                            sums[j] += t0 * s0[j]
                        if not opaque:
                            s0 = split[a, 3, row, b : b + count]
                            for j in range(count):
                                cover[j] += t0 * s0[j]
                        x += 1
            for j in range(count):
                at = left + begin + 2 * j
                through = rest[at]
                if opaque:
                    target[at] += through * max(sums[j], np.float32(0.0))
                    rest[at] = np.float32(0.0)
                else:
                    # where the kernel overshoots, colour and coverage do so together
                    share = max(cover[j], np.float32(0.0))
                    value = max(sums[j], np.float32(0.0))
                    if share > np.float32(1.0):
                        value /= share
                        share = np.float32(1.0)
                    target[at] += through * value
                    through *= np.float32(1.0) - share
                    rest[at] = through
                    most = max(most, through)
    return float(most)


@_jit
def convolve_planes(
    source: FloatArray,
    margin: int,
    which: IntArray,
    kernels: FloatArray,
    reaches: IntArray,
    out: FloatArray,
) -> None:
    """Convolve a layer with the kernel (3, n, n) of each channel; see `convolve_under_mosaic`.

    ``out`` (6, h, w): the three channels, then the coverage as each channel sees it.
    """
    middle = kernels.shape[2] // 2
    width = out.shape[2]
    for i in range(out.shape[1]):
        n = which[i]
        r = reaches[n]
        for c in range(3):
            sums, cover = out[c, i], out[3 + c, i]
            sums[:] = np.float32(0.0)
            cover[:] = np.float32(0.0)
            for y in range(-r, r + 1):
                row = i + margin + y
                taps = kernels[n, c, middle + y]
                x = -r
                while x <= r:
                    at = margin + x
                    t0 = taps[middle + x]
                    s0, a0 = source[c, row, at : at + width], source[3, row, at : at + width]
                    if x + 1 <= r:
                        t1 = taps[middle + x + 1]
                        s1 = source[c, row, at + 1 : at + 1 + width]
                        a1 = source[3, row, at + 1 : at + 1 + width]
                        for j in range(width):
                            sums[j] += t0 * s0[j] + t1 * s1[j]
                            cover[j] += t0 * a0[j] + t1 * a1[j]
                        x += 2
                    else:
                        for j in range(width):
                            sums[j] += t0 * s0[j]
                            cover[j] += t0 * a0[j]
                        x += 1


@_jit
def under_mosaic(
    layer: FloatArray,
    rows: IntArray,
    row_part: FloatArray,
    columns: IntArray,
    column_part: FloatArray,
    top: int,
    left: int,
    pattern: IntArray,
    light: FloatArray,
    passing: FloatArray,
) -> float:
    """Lay ``layer`` of `convolve_planes` under what is there, each sample in its own colour.

    Sample (top + i, left + j) of the tile lies ``row_part[i]`` beyond row ``rows[i]`` of the layer,
    likewise for columns; ``pattern`` (2, 2) has the channels of the tile's first samples. ``light``
    (h, w) gathers, ``passing`` (h, w) is the share that passes what is in front. Returns the
    largest share left in the part touched.
    """
    width = columns.size
    wide = layer.shape[2]
    line = np.empty((4, wide), np.float32)
    most = np.float32(0.0)
    for i in range(rows.size):
        y, part = rows[i], row_part[i]
        c0 = pattern[(top + i) & 1, left & 1]
        c1 = pattern[(top + i) & 1, (left + 1) & 1]
        y1 = y + 1 if part > 0.0 else y
        for j in range(wide):
            line[0, j] = layer[c0, y, j] + part * (layer[c0, y1, j] - layer[c0, y, j])
            line[1, j] = layer[c1, y, j] + part * (layer[c1, y1, j] - layer[c1, y, j])
            line[2, j] = layer[3 + c0, y, j] + part * (layer[3 + c0, y1, j] - layer[3 + c0, y, j])
            line[3, j] = layer[3 + c1, y, j] + part * (layer[3 + c1, y1, j] - layer[3 + c1, y, j])
        target = light[top + i]
        rest = passing[top + i]
        for j in range(width):
            x, t = columns[j], column_part[j]
            x1 = x + 1 if t > 0.0 else x
            p, a = line[j & 1], line[2 + (j & 1)]
            share = max(a[x] + t * (a[x1] - a[x]), np.float32(0.0))
            value = max(p[x] + t * (p[x1] - p[x]), np.float32(0.0))
            if share > np.float32(1.0):
                value /= share
                share = np.float32(1.0)
            through = rest[left + j]
            target[left + j] += through * value
            through *= np.float32(1.0) - share
            rest[left + j] = through
            most = max(most, through)
    return float(most)


@_jit
def stamp_mosaic(
    stamp: FloatArray,
    row: int,
    column: int,
    parity: int,
    light: FloatArray,
    passing: FloatArray,
) -> None:
    """Add ``stamp`` (4, n, n), a plane for each kind of sample; its first tap is at (row, column).

    ``parity`` 2 a + b is that of the tile's first row and column.
    """
    size = stamp.shape[1]
    for i in range(max(row, 0), min(row + size, light.shape[0])):
        for j in range(max(column, 0), min(column + size, light.shape[1])):
            kind = 2 * ((i + (parity >> 1)) & 1) + ((j + parity) & 1)
            value = stamp[kind, i - row, j - column]
            light[i, j] += passing[i, j] * max(value, np.float32(0.0))


@_jit
def under_color(
    layer: FloatArray,
    rows: IntArray,
    row_part: FloatArray,
    columns: IntArray,
    column_part: FloatArray,
    top: int,
    left: int,
    light: FloatArray,
    passing: FloatArray,
) -> float:
    """As `under_mosaic` with all three channels; ``light`` is (3, h, w)."""
    width = columns.size
    wide = layer.shape[2]
    line = np.empty((4, wide), np.float32)
    most = np.float32(0.0)
    for i in range(rows.size):
        y, part = rows[i], row_part[i]
        y1 = y + 1 if part > 0.0 else y
        for c in range(4):
            for j in range(wide):
                line[c, j] = layer[c, y, j] + part * (layer[c, y1, j] - layer[c, y, j])
        r, g, b = light[0, top + i], light[1, top + i], light[2, top + i]
        rest = passing[top + i]
        for j in range(width):
            x, t = columns[j], column_part[j]
            x1 = x + 1 if t > 0.0 else x
            through = rest[left + j]
            r[left + j] += through * max(
                line[0, x] + t * (line[0, x1] - line[0, x]), np.float32(0.0)
            )
            g[left + j] += through * max(
                line[1, x] + t * (line[1, x1] - line[1, x]), np.float32(0.0)
            )
            b[left + j] += through * max(
                line[2, x] + t * (line[2, x1] - line[2, x]), np.float32(0.0)
            )
            cover = line[3, x] + t * (line[3, x1] - line[3, x])
            through *= np.float32(1.0) - min(max(cover, np.float32(0.0)), np.float32(1.0))
            rest[left + j] = through
            most = max(most, through)
    return float(most)


@_jit
def add_lamps(
    x: FloatArray,
    y: FloatArray,
    reach: FloatArray,
    profile: FloatArray,
    channels: FloatArray,
    tx: FloatArray,
    ty: FloatArray,
    light: FloatArray,
    passing: FloatArray,
    step: float,
) -> None:
    """Add lamps at (x, y) with radial ``profile`` (n, k) over 0..reach, in tangents.

    ``light`` is (3, h, w). A sample averages over its square of side ``step``, more finely where
    the image of the lamp is small.
    """
    last = profile.shape[1] - 1
    for n in range(x.size):
        i0 = np.searchsorted(ty, y[n] - reach[n] - step)
        i1 = np.searchsorted(ty, y[n] + reach[n] + step)
        j0 = np.searchsorted(tx, x[n] - reach[n] - step)
        j1 = np.searchsorted(tx, x[n] + reach[n] + step)
        scale = last / reach[n]
        parts = min(max(int(36.0 * step / reach[n]), 2), 16)
        for i in range(i0, i1):
            dy = ty[i] - y[n]
            for j in range(j0, j1):
                dx = tx[j] - x[n]
                value = 0.0
                for part in range(parts * parts):
                    sx = dx + ((part % parts + 0.5) / parts - 0.5) * step
                    sy = dy + ((part // parts + 0.5) / parts - 0.5) * step
                    d = math.sqrt(sx * sx + sy * sy) * scale
                    k = int(d)
                    if k < last:
                        value += profile[n, k] + (profile[n, k + 1] - profile[n, k]) * (d - k)
                value *= passing[i, j] / (parts * parts)
                light[0, i, j] += value * channels[n, 0]
                light[1, i, j] += value * channels[n, 1]
                light[2, i, j] += value * channels[n, 2]


@_jit
def expose_mosaic(
    light: FloatArray, x: FloatArray, y: FloatArray, table: FloatArray, per: float,
    pattern: IntArray,
) -> None:  # fmt: skip
    """Multiply (h, w) by ``table`` (3, n), in place: of each sample's channel, at its place.

    The table's entries are for even steps 1 / ``per`` of the squared distance from the axis.
    """
    last = table.shape[1] - 2
    for i in range(light.shape[0]):
        yy = y[i] * y[i]
        for j in range(light.shape[1]):
            at = (x[j] * x[j] + yy) * per
            k = min(int(at), last)
            c = pattern[i & 1, j & 1]
            light[i, j] *= table[c, k] + (at - k) * (table[c, k + 1] - table[c, k])


@_jit
def expose_color(
    light: FloatArray, x: FloatArray, y: FloatArray, table: FloatArray, per: float
) -> None:
    """As `expose_mosaic` for three planes (3, h, w)."""
    last = table.shape[1] - 2
    for i in range(light.shape[1]):
        yy = y[i] * y[i]
        for c in range(3):
            for j in range(light.shape[2]):
                at = (x[j] * x[j] + yy) * per
                k = min(int(at), last)
                light[c, i, j] *= table[c, k] + (at - k) * (table[c, k + 1] - table[c, k])
