"""Kernels of layers at the samples themselves: resampled, and convolved with cores and tails.

Images are split by column: (rows, planes, 4, n), column q at [q % 4, q // 4], so that samples of
one colour lie side by side. Planes are three premultiplied channels and, if any, coverage.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from modoptic.optics._kernels import _jit  # pyright: ignore[reportPrivateUsage]

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_STILL = 0.004
"""Points of a raster that lie aside by so little, of their distance, are taken as they are."""


@_jit
def _cubic(t: Any) -> tuple[Any, Any, Any, Any]:
    """Weights of Catmull and Rom of four even points for a place t between the middle two."""
    half, one = np.float32(0.5), np.float32(1.0)
    a = t * (t * (one - half * t) - half)
    b = one + t * t * (np.float32(1.5) * t - np.float32(2.5))
    c = t * (half + t * (np.float32(2.0) - np.float32(1.5) * t))
    d = t * t * (half * t - half)
    return a, b, c, d


@_jit
def _padded(count: int) -> int:
    """So many that loops over them are done in whole vectors; what is too much is not used."""
    return (count + 31) // 32 * 32


@_jit
def split_image(image: FloatArray, out: FloatArray) -> None:
    """Deal the columns of (planes, h, w) out to (h, planes, 4, n); w is at most 4 n."""
    for c in range(out.shape[1]):
        for i in range(out.shape[0]):
            line = image[c, i]
            for part in range(4):
                target = out[i, c, part]
                for j in range((line.size - part + 3) // 4):
                    target[j] = line[4 * j + part]


@_jit
def _farthest(begin: float, step: float, count: int) -> float:
    """Of even places the largest distance from 0."""
    return max(abs(begin), abs(begin + step * (count - 1)))


@_jit
def slide_split(
    source: FloatArray, left: float, top: float, step: float, x0: float, y0: float,
    step_out: float, amount: float, bend: DoubleArray, out: FloatArray,
) -> None:  # fmt: skip
    """As `slide_sharp`, split by column; the first planes of ``source`` where ``out`` has fewer.

    Where distortion moves points by less than `_STILL` against their neighbours, along a row they
    are taken from one height, and in several rows from the same columns.
    """
    height, width = source.shape[1], source.shape[2]
    count = 4 * out.shape[3]
    b1, b2, b3 = np.float32(bend[0]), np.float32(bend[1]), np.float32(bend[2])
    at = np.empty(count, np.int64)
    w0, w1, w2, w3 = (
        np.empty(count, np.float32), np.empty(count, np.float32), np.empty(count, np.float32),
        np.empty(count, np.float32),
    )  # fmt: skip
    mixed = np.empty(width, np.float32)
    line = np.empty(count, np.float32)
    per = np.float32(1.0 / step)
    left_x, top_y = np.float32(left / step), np.float32(top / step)
    zero, one = np.float32(0.0), np.float32(1.0)
    # how far at most neighbours move apart, in points: of a row by their column, and so back
    x, y = _farthest(x0, step_out, count), _farthest(y0, step_out, out.shape[0])
    q = x * x + y * y
    bent = 2.0 * x * y * (abs(bend[0]) + q * (2.0 * abs(bend[1]) + 3.0 * q * abs(bend[2])))
    far = max(bent, (x + y) * abs(amount)) * step_out / step
    alike = int(min(2.0 * _STILL / max(far, 1e-12), 1e6))
    longest, rows = max(alike, 64), max(alike, 1)
    ends = np.empty(count, np.int64)
    runs = inner = outer = 0
    for i in range(out.shape[0]):
        y = np.float32(y0 + i * step_out)
        shrunk = one / (one + np.float32(amount) * max(y, zero))
        if i % rows == 0:
            last_row = min(i + rows, out.shape[0]) - 1
            y_middle = np.float32(y0 + 0.5 * (i + last_row) * step_out)
            shrunk_middle = one / (one + np.float32(amount) * max(y_middle, zero))
            for j in range(count):
                x = np.float32(x0 + j * step_out)
                q = x * x + y_middle * y_middle
                by = shrunk_middle * (one + q * (b1 + q * (b2 + q * b3))) * per
                u = min(max(x * by - left_x, one), np.float32(width - 2.001))
                iu = int(u)
                at[j] = iu - 1
                w0[j], w1[j], w2[j], w3[j] = _cubic(u - np.float32(iu))
            inner, outer = 0, count
            while inner + 1 < count and at[inner + 1] == 0:
                inner += 1
            while outer > inner + 1 and at[outer - 2] == width - 4:
                outer -= 1
            # long runs of samples with a point of the raster to each, side by side
            runs = 0
            begin = inner
            for j in range(inner + 1, outer + 1):
                if j == outer or at[j] != at[j - 1] + 1 or j - begin == longest:
                    ends[runs] = begin = j
                    runs += 1
        for c in range(out.shape[1]):
            begin = inner
            for run in range(runs):
                end = ends[run]
                x = np.float32(x0 + 0.5 * (begin + end) * step_out)
                q = x * x + y * y
                by = shrunk * (one + q * (b1 + q * (b2 + q * b3))) * per
                v = min(max(y * by - top_y, one), np.float32(height - 2.001))
                iv = int(v)
                v0, v1, v2, v3 = _cubic(v - np.float32(iv))
                first, last = at[begin], at[begin] + end - begin + 3
                p0, p1 = source[c, iv - 1, first:last], source[c, iv, first:last]
                p2, p3 = source[c, iv + 1, first:last], source[c, iv + 2, first:last]
                for k in range(last - first):
                    mixed[k] = v0 * p0[k] + v1 * p1[k] + v2 * p2[k] + v3 * p3[k]
                m1, m2, m3 = mixed[1:], mixed[2:], mixed[3:]
                a0, a1, a2, a3 = w0[begin:], w1[begin:], w2[begin:], w3[begin:]
                piece = line[begin:end]
                for j in range(end - begin):
                    piece[j] = a0[j] * mixed[j] + a1[j] * m1[j] + a2[j] * m2[j] + a3[j] * m3[j]
                begin = end
            # beyond its ends the raster goes on as it ends
            line[:inner] = line[inner]
            line[outer:] = line[outer - 1]
            # one by one: each is done in whole vectors
            for part in range(4):
                target = out[i, c, part]
                for j in range(target.size):
                    target[j] = line[4 * j + part]


@_jit
def block_means(split: FloatArray, out: FloatArray) -> None:
    """Means over blocks of 4 x 4 samples, (rows / 4, planes, n)."""
    sixteenth = np.float32(1.0 / 16.0)
    for a in range(out.shape[0]):
        for c in range(out.shape[1]):
            target = out[a, c]
            target[:] = np.float32(0.0)
            for i in range(4 * a, 4 * a + 4):
                s0, s1, s2, s3 = split[i, c, 0], split[i, c, 1], split[i, c, 2], split[i, c, 3]
                for j in range(target.size):
                    target[j] += sixteenth * (s0[j] + s1[j] + (s2[j] + s3[j]))


@_jit
def _tail_line(
    blocks: FloatArray, row: int, plane: int, tail: FloatArray, reach: int, out: FloatArray
) -> None:
    """A row of ``blocks`` convolved with a tail; ``reach`` columns at each end are left."""
    middle = tail.shape[0] // 2
    planes, wide = blocks.shape[1], blocks.shape[2]
    flat = blocks.reshape(-1)
    count = np.uintp(_padded(wide - 2 * reach))
    target = out[reach:]
    target[:] = np.float32(0.0)
    zero = np.float32(0.0)
    for y in range(-reach, reach + 1):
        lane = np.uintp(((row + y) * planes + plane) * wide)
        taps = tail[middle + y, middle - reach : middle + reach + 1]
        x = 0
        while x + 5 < taps.size:
            # unsigned, as an index that may be negative is looked at each time
            o0 = lane + np.uintp(x)
            o1, o2, o3 = o0 + np.uintp(1), o0 + np.uintp(2), o0 + np.uintp(3)
            o4, o5 = o0 + np.uintp(4), o0 + np.uintp(5)
            t0, t1, t2 = taps[x], taps[x + 1], taps[x + 2]
            t3, t4, t5 = taps[x + 3], taps[x + 4], taps[x + 5]
            for j in range(count):
                target[j] += (t0 * flat[o0 + j] + t1 * flat[o1 + j] + t2 * flat[o2 + j]) + (
                    t3 * flat[o3 + j] + t4 * flat[o4 + j] + t5 * flat[o5 + j]
                )
            x += 6
        while x < taps.size:
            o0 = lane + np.uintp(x)
            o1, o2 = o0 + np.uintp(1), o0 + np.uintp(2)
            t0 = taps[x]
            t1 = taps[x + 1] if x + 1 < taps.size else zero
            t2 = taps[x + 2] if x + 2 < taps.size else zero
            for j in range(count):
                target[j] += t0 * flat[o0 + j] + t1 * flat[o1 + j] + t2 * flat[o2 + j]
            x += 3


@_jit
def convolve_pairs(
    split: FloatArray, blocks: FloatArray, begin: tuple[int, int], which: IntArray,
    cores: FloatArray, core_reaches: IntArray, tails: FloatArray, tail_reaches: IntArray,
    colors: IntArray, kinds: IntArray, columns: IntArray, part: tuple[int, int, int],
    tile: tuple[int, int], light: FloatArray, passing: FloatArray,
) -> float:  # fmt: skip
    """Convolve a layer, each sample with the kernel of its kind, and lay it under what is there.

    Rows and columns are those of the mosaic, where four columns hold two samples of each of two
    kinds. ``split``, which begins at ``begin``, in both a multiple of four, has coverage only where
    the layer does not cover all; ``blocks`` are its `block_means`. ``colors``, ``kinds`` (4, 2) and
    ``columns`` (4, 2, 2) are the channel, the kernel and the columns, rising, of each pair in four
    rows. ``part`` is first row, first column and width, ``tile`` where ``light`` and ``passing``
    begin.

    Row i of the part takes what is at ``which[i]``: ``cores`` (m, kinds, k, k), of which the middle
    out to ``core_reaches`` is used, at each sample, and ``tails`` likewise at blocks, between whose
    middles it is linear; a reach of -1 is none. Memory after ``split`` and ``blocks``, as much as a
    row, is read with taps of 0: there must be numbers. Returns the largest share of light left.
    """
    row0, column0, width = part
    wide = blocks.shape[2]
    planes = split.shape[1]
    opaque = planes == 3
    middle = cores.shape[2] // 2
    flat = split.reshape(-1)
    following = np.uintp(1)
    room = wide + 64
    one, two = np.empty(room, np.float32), np.empty(room, np.float32)
    over, over2 = np.empty(room, np.float32), np.empty(room, np.float32)
    mixed = np.zeros(room, np.float32)
    # rows of blocks convolved so far, of each kind's colour and coverage
    lines = np.zeros((cores.shape[1], 2, 2, room), np.float32)
    known = np.full((cores.shape[1], 2, 2, 2), -1, np.int64)
    # rows of the kernel in use, for each pair in four rows, one of the two moved to the other
    taps = np.empty((4, 2, 2, cores.shape[2], cores.shape[2] + 16), np.float32)
    filled = np.full((4, 2), -1, np.int64)
    most = np.float32(0.0)
    for i in range(which.size):
        row = row0 + i
        rest = passing[row - tile[0]]
        target = light[row - tile[0]]
        off = column0 - tile[1]
        first, last = 0, width - 1
        while first < width and rest[off + first] <= np.float32(0.0):
            first += 1
        if first == width:
            continue
        while rest[off + last] <= np.float32(0.0):
            last -= 1
        # whole blocks of four columns
        block = (column0 + first - begin[1]) // 4
        count = (column0 + last - begin[1]) // 4 + 1 - block
        padded = np.uintp(_padded(count))
        n = which[i]
        r, t = core_reaches[n], tail_reaches[n]
        phase = row % 4
        upper = (row - begin[0]) // 4 - (1 if phase < 2 else 0)
        share = np.float32((phase + 2) % 4 * 0.25 + 0.125)
        for pair in range(2):
            kind = kinds[phase, pair]
            a, b = columns[phase, pair, 0], columns[phase, pair, 1]
            gap = b - a
            sources = 2 * r + 1 + gap
            for plane in range(1 if opaque else 2):
                into, into2 = (over, over2) if plane else (one, two)
                source = 3 if plane else colors[phase, pair]
                if t < 0:
                    into[:] = np.float32(0.0)
                    into2[:] = np.float32(0.0)
                else:
                    for k in range(upper, upper + 2):
                        tag = known[kind, plane, k % 2]
                        if tag[0] != k or tag[1] != n:
                            line = lines[kind, plane, k % 2]
                            _tail_line(blocks, k, source, tails[n, kind], t, line)
                            tag[0], tag[1] = k, n
                    high, low = lines[kind, plane, upper % 2], lines[kind, plane, (upper + 1) % 2]
                    for j in range(room):
                        mixed[j] = high[j] + share * (low[j] - high[j])
                    for side in range(2):
                        q = b if side else a
                        k = block - 1 if q < 2 else block
                        s = np.float32((q + 2) % 4 * 0.25 + 0.125)
                        m0, m1 = mixed[k:], mixed[k + 1 :]
                        line = into2 if side else into
                        for j in range(padded):
                            line[j] = m0[j] + s * (m1[j] - m0[j])
                if filled[phase, pair] != n:
                    filled[phase, pair] = n
                    for y in range(-r, r + 1):
                        line = cores[n, kind, middle + y]
                        taps_a, taps_b = taps[phase, pair, 0, y + r], taps[phase, pair, 1, y + r]
                        # up to eight sources are taken at a time; what lies beyond has taps of 0
                        taps_a[:] = np.float32(0.0)
                        taps_b[:] = np.float32(0.0)
                        for x in range(2 * r + 1):
                            taps_a[x] = line[middle - r + x]
                            taps_b[x + gap] = line[middle - r + x]
                for y in range(-r, r + 1):
                    taps_a, taps_b = taps[phase, pair, 0, y + r], taps[phase, pair, 1, y + r]
                    lane = ((row - begin[0] + y) * planes + source) * 4 * wide
                    at = 4 * block + a - r
                    x = 0
                    while x + 4 < sources:
                        p = at + x
                        # unsigned, as an index that may be negative is looked at each time
                        o0 = np.uintp(lane + (p & 3) * wide + (p >> 2))
                        p += 1
                        o1 = np.uintp(lane + (p & 3) * wide + (p >> 2))
                        p += 1
                        o2 = np.uintp(lane + (p & 3) * wide + (p >> 2))
                        p += 1
                        o3 = np.uintp(lane + (p & 3) * wide + (p >> 2))
                        t0, t1, t2, t3 = taps_a[x], taps_a[x + 1], taps_a[x + 2], taps_a[x + 3]
                        t4, t5, t6, t7 = taps_a[x + 4], taps_a[x + 5], taps_a[x + 6], taps_a[x + 7]
                        u0, u1, u2, u3 = taps_b[x], taps_b[x + 1], taps_b[x + 2], taps_b[x + 3]
                        u4, u5, u6, u7 = taps_b[x + 4], taps_b[x + 5], taps_b[x + 6], taps_b[x + 7]
                        for j in range(padded):
                            v0, v1, v2, v3 = flat[o0 + j], flat[o1 + j], flat[o2 + j], flat[o3 + j]
                            k = j + following
                            v4, v5, v6, v7 = flat[o0 + k], flat[o1 + k], flat[o2 + k], flat[o3 + k]
                            into[j] += (t0 * v0 + t1 * v1 + t2 * v2 + t3 * v3) + (
                                t4 * v4 + t5 * v5 + t6 * v6 + t7 * v7
                            )
                            into2[j] += (u0 * v0 + u1 * v1 + u2 * v2 + u3 * v3) + (
                                u4 * v4 + u5 * v5 + u6 * v6 + u7 * v7
                            )
                        x += 8
                    if x < sources:
                        p = at + x
                        o0 = np.uintp(lane + (p & 3) * wide + (p >> 2))
                        p += 1
                        o1 = np.uintp(lane + (p & 3) * wide + (p >> 2))
                        p += 1
                        o2 = np.uintp(lane + (p & 3) * wide + (p >> 2))
                        p += 1
                        o3 = np.uintp(lane + (p & 3) * wide + (p >> 2))
                        t0, t1, t2, t3 = taps_a[x], taps_a[x + 1], taps_a[x + 2], taps_a[x + 3]
                        u0, u1, u2, u3 = taps_b[x], taps_b[x + 1], taps_b[x + 2], taps_b[x + 3]
                        for j in range(padded):
                            v0, v1, v2, v3 = flat[o0 + j], flat[o1 + j], flat[o2 + j], flat[o3 + j]
                            into[j] += t0 * v0 + t1 * v1 + t2 * v2 + t3 * v3
                            into2[j] += u0 * v0 + u1 * v1 + u2 * v2 + u3 * v3
            for side in range(2):
                q = b if side else a
                sums, cover = (two, over2) if side else (one, over)
                start = 4 * block + begin[1] + q - tile[1]
                low = (off + first - start + 3) // 4
                high = (off + last - start) // 4 + 1
                if opaque:
                    for j in range(low, high):
                        at = start + 4 * j
                        target[at] += rest[at] * max(sums[j], np.float32(0.0))
                        rest[at] = np.float32(0.0)
                    continue
                for j in range(low, high):
                    at = start + 4 * j
                    # where the kernel overshoots, colour and coverage do so together
                    value, covered = max(sums[j], np.float32(0.0)), max(cover[j], np.float32(0.0))
                    if covered > np.float32(1.0):
                        value /= covered
                        covered = np.float32(1.0)
                    through = rest[at]
                    target[at] += through * value
                    through *= np.float32(1.0) - covered
                    rest[at] = through
                    most = max(most, through)
    return float(most)
