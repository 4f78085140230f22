"""Kernels of layers at the samples themselves: resampled, and convolved with cores and tails.

Images are split by column: (planes, rows, 4, n), column q at [q % 4, q // 4], so that samples of
one colour lie side by side. Planes are three premultiplied channels and, if any, coverage.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from modoptic.optics._kernels import _jit  # pyright: ignore[reportPrivateUsage]

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@_jit
def split_image(image: FloatArray, out: FloatArray) -> None:
    """Deal the columns of (planes, h, w) out to (planes, h, 4, n); w is at most 4 n."""
    for c in range(out.shape[0]):
        for i in range(out.shape[1]):
            line = image[c, i]
            for part in range(4):
                target = out[c, i, part]
                for j in range((line.size - part + 3) // 4):
                    target[j] = line[4 * j + part]


@_jit
def slide_split(
    source: FloatArray, left: float, top: float, step: float, x0: float, y0: float,
    step_out: float, amount: float, bend: DoubleArray, out: FloatArray,
) -> None:  # fmt: skip
    """As `slide_sharp`, split by column; the first planes of ``source`` alone where ``out`` has
    fewer.
    """
    height, width = source.shape[1], source.shape[2]
    count = 4 * out.shape[3]
    b1, b2, b3 = np.float32(bend[0]), np.float32(bend[1]), np.float32(bend[2])
    at = np.empty(64, np.int64)
    w0, w1, w2, w3 = (
        np.empty(64, np.float32), np.empty(64, np.float32), np.empty(64, np.float32),
        np.empty(64, np.float32),
    )  # fmt: skip
    mixed = np.empty(width, np.float32)
    line = np.empty(64, np.float32)
    per = np.float32(1.0 / step)
    left_x, top_y = np.float32(left / step), np.float32(top / step)
    zero, one, two = np.float32(0.0), np.float32(1.0), np.float32(2.0)
    half = np.float32(0.5)
    for i in range(out.shape[1]):
        y = np.float32(y0 + i * step_out)
        shrunk = one / (one + np.float32(amount) * max(y, zero))
        for begin in range(0, count, 64):
            wide = min(64, count - begin)
            x = np.float32(x0 + (begin + 0.5 * wide) * step_out)
            q = x * x + y * y
            by = shrunk * (one + q * (b1 + q * (b2 + q * b3))) * per
            v = min(max(y * by - top_y, one), np.float32(height - 2.001))
            iv = int(v)
            t = v - np.float32(iv)
            v0 = t * (t * (one - half * t) - half)
            v1 = one + t * t * (np.float32(1.5) * t - np.float32(2.5))
            v2 = t * (half + t * (two - np.float32(1.5) * t))
            v3 = t * t * (half * t - half)
            for j in range(wide):
                x = np.float32(x0 + (begin + j) * step_out)
                q = x * x + y * y
                by = shrunk * (one + q * (b1 + q * (b2 + q * b3))) * per
                u = min(max(x * by - left_x, one), np.float32(width - 2.001))
                iu = int(u)
                t = u - np.float32(iu)
                at[j] = iu - 1
                w0[j] = t * (t * (one - half * t) - half)
                w1[j] = one + t * t * (np.float32(1.5) * t - np.float32(2.5))
                w2[j] = t * (half + t * (two - np.float32(1.5) * t))
                w3[j] = t * t * (half * t - half)
            first, last = at[0], at[wide - 1] + 4
            # nearly always a point of the raster to a sample, side by side
            even = last - first == wide + 3
            for c in range(out.shape[0]):
                p0, p1 = source[c, iv - 1, first:last], source[c, iv, first:last]
                p2, p3 = source[c, iv + 1, first:last], source[c, iv + 2, first:last]
                for k in range(last - first):
                    mixed[k] = v0 * p0[k] + v1 * p1[k] + v2 * p2[k] + v3 * p3[k]
                if even:
                    m1, m2, m3 = mixed[1:], mixed[2:], mixed[3:]
                    for j in range(wide):
                        line[j] = w0[j] * mixed[j] + w1[j] * m1[j] + w2[j] * m2[j] + w3[j] * m3[j]
                else:
                    for j in range(wide):
                        k = at[j] - first
                        line[j] = (
                            w0[j] * mixed[k] + w1[j] * mixed[k + 1] + w2[j] * mixed[k + 2]
                            + w3[j] * mixed[k + 3]
                        )  # fmt: skip
                k = begin // 4
                for part in range(4):
                    target = out[c, i, part, k : k + wide // 4]
                    for j in range(wide // 4):
                        target[j] = line[4 * j + part]


@_jit
def block_means(split: FloatArray, out: FloatArray) -> None:
    """Means over blocks of 4 x 4 samples, (planes, rows / 4, n)."""
    sixteenth = np.float32(1.0 / 16.0)
    for c in range(out.shape[0]):
        for a in range(out.shape[1]):
            target = out[c, a]
            target[:] = np.float32(0.0)
            for i in range(4 * a, 4 * a + 4):
                s0, s1, s2, s3 = split[c, i, 0], split[c, i, 1], split[c, i, 2], split[c, i, 3]
                for j in range(target.size):
                    target[j] += sixteenth * (s0[j] + s1[j] + (s2[j] + s3[j]))


@_jit
def _tail_line(blocks: FloatArray, row: int, tail: FloatArray, reach: int, out: FloatArray) -> None:
    """A row of ``blocks`` (h, n) convolved with a tail; ``reach`` columns at each end are left."""
    middle = tail.shape[0] // 2
    count = out.size - 2 * reach
    target = out[reach : reach + count]
    target[:] = np.float32(0.0)
    for y in range(-reach, reach + 1):
        line = blocks[row + y]
        taps = tail[middle + y]
        x = 0
        while x + 3 <= 2 * reach:
            k = middle - reach + x
            t0, t1, t2, t3 = taps[k], taps[k + 1], taps[k + 2], taps[k + 3]
            s0, s1 = line[x : x + count], line[x + 1 : x + 1 + count]
            s2, s3 = line[x + 2 : x + 2 + count], line[x + 3 : x + 3 + count]
            for j in range(count):
                target[j] += t0 * s0[j] + t1 * s1[j] + t2 * s2[j] + t3 * s3[j]
            x += 4
        while x <= 2 * reach:
            t0 = taps[middle - reach + x]
            s0 = line[x : x + count]
            for j in range(count):
                target[j] += t0 * s0[j]
            x += 1


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
    middles it is linear; a reach of -1 is none. Returns the largest share of light left.
    """
    row0, column0, width = part
    wide = blocks.shape[2]
    opaque = split.shape[0] == 3
    middle = cores.shape[2] // 2
    one, two = np.empty(wide, np.float32), np.empty(wide, np.float32)
    over, over2 = np.empty(wide, np.float32), np.empty(wide, np.float32)
    mixed = np.empty(wide, np.float32)
    # rows of blocks convolved so far, of each kind's colour and coverage
    lines = np.zeros((cores.shape[1], 2, 2, wide), np.float32)
    known = np.full((cores.shape[1], 2, 2, 2), -1, np.int64)
    taps_a = np.zeros(2 * cores.shape[2] + 16, np.float32)
    taps_b = np.zeros(2 * cores.shape[2] + 16, np.float32)
    most = np.float32(0.0)
    for i in range(which.size):
        row = row0 + i
        rest = passing[row - tile[0]]
        target = light[row - tile[0]]
        off = column0 - tile[1]
        first, last = width, -1
        for j in range(width):
            if rest[off + j] > np.float32(0.0):
                first = min(first, j)
                last = j
        if last < 0:
            continue
        # whole blocks of four columns
        block = (column0 + first - begin[1]) // 4
        count = (column0 + last - begin[1]) // 4 + 1 - block
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
                    into[:count] = np.float32(0.0)
                    into2[:count] = np.float32(0.0)
                else:
                    for k in range(upper, upper + 2):
                        tag = known[kind, plane, k % 2]
                        if tag[0] != k or tag[1] != n:
                            line = lines[kind, plane, k % 2]
                            _tail_line(blocks[source], k, tails[n, kind], t, line)
                            tag[0], tag[1] = k, n
                    high, low = lines[kind, plane, upper % 2], lines[kind, plane, (upper + 1) % 2]
                    for j in range(block - 1, block + count + 1):
                        mixed[j] = high[j] + share * (low[j] - high[j])
                    for side in range(2):
                        q = b if side else a
                        k = block - 1 if q < 2 else block
                        s = np.float32((q + 2) % 4 * 0.25 + 0.125)
                        m0, m1 = mixed[k : k + count], mixed[k + 1 : k + 1 + count]
                        line = into2 if side else into
                        for j in range(count):
                            line[j] = m0[j] + s * (m1[j] - m0[j])
                for y in range(-r, r + 1):
                    for x in range(2 * r + 1):
                        tap = cores[n, kind, middle + y, middle - r + x]
                        taps_a[x] = tap
                        taps_b[x + gap] = tap
                    for x in range(gap):
                        taps_a[2 * r + 1 + x] = np.float32(0.0)
                        taps_b[x] = np.float32(0.0)
                    lane = split[source, row - begin[0] + y]
                    at = 4 * block + a - r
                    x = 0
                    while x + 8 <= sources:
                        p = at + x
                        s0 = lane[p % 4, p // 4 : p // 4 + count]
                        s4 = lane[p % 4, p // 4 + 1 : p // 4 + 1 + count]
                        p += 1
                        s1 = lane[p % 4, p // 4 : p // 4 + count]
                        s5 = lane[p % 4, p // 4 + 1 : p // 4 + 1 + count]
                        p += 1
                        s2 = lane[p % 4, p // 4 : p // 4 + count]
                        s6 = lane[p % 4, p // 4 + 1 : p // 4 + 1 + count]
                        p += 1
                        s3 = lane[p % 4, p // 4 : p // 4 + count]
                        s7 = lane[p % 4, p // 4 + 1 : p // 4 + 1 + count]
                        t0, t1, t2, t3 = taps_a[x], taps_a[x + 1], taps_a[x + 2], taps_a[x + 3]
                        t4, t5, t6, t7 = taps_a[x + 4], taps_a[x + 5], taps_a[x + 6], taps_a[x + 7]
                        u0, u1, u2, u3 = taps_b[x], taps_b[x + 1], taps_b[x + 2], taps_b[x + 3]
                        u4, u5, u6, u7 = taps_b[x + 4], taps_b[x + 5], taps_b[x + 6], taps_b[x + 7]
                        for j in range(count):
                            v0, v1, v2, v3 = s0[j], s1[j], s2[j], s3[j]
                            v4, v5, v6, v7 = s4[j], s5[j], s6[j], s7[j]
                            into[j] += (t0 * v0 + t1 * v1 + t2 * v2 + t3 * v3) + (
                                t4 * v4 + t5 * v5 + t6 * v6 + t7 * v7
                            )
                            into2[j] += (u0 * v0 + u1 * v1 + u2 * v2 + u3 * v3) + (
                                u4 * v4 + u5 * v5 + u6 * v6 + u7 * v7
                            )
                        x += 8
                    while x < sources:
                        # the last one may lie beyond, where both taps are 0
                        taps_a[sources], taps_b[sources] = np.float32(0.0), np.float32(0.0)
                        p = at + x
                        s0 = lane[p % 4, p // 4 : p // 4 + count]
                        p += 1
                        s1 = lane[p % 4, p // 4 : p // 4 + count]
                        t0, t1, u0, u1 = taps_a[x], taps_a[x + 1], taps_b[x], taps_b[x + 1]
                        for j in range(count):
                            v0, v1 = s0[j], s1[j]
                            into[j] += t0 * v0 + t1 * v1
                            into2[j] += u0 * v0 + u1 * v1
                        x += 2
            for side in range(2):
                q = b if side else a
                sums, cover = (two, over2) if side else (one, over)
                start = 4 * block + begin[1] + q - tile[1]
                for j in range(count):
                    at = start + 4 * j
                    if at < off + first or at > off + last:
                        continue
                    value = max(sums[j], np.float32(0.0))
                    through = rest[at]
                    if opaque:
                        target[at] += through * value
                        rest[at] = np.float32(0.0)
                    else:
                        # where the kernel overshoots, colour and coverage do so together
                        part_covered = max(cover[j], np.float32(0.0))
                        if part_covered > np.float32(1.0):
                            value /= part_covered
                            part_covered = np.float32(1.0)
                        target[at] += through * value
                        through *= np.float32(1.0) - part_covered
                        rest[at] = through
                        most = max(most, through)
    return float(most)
