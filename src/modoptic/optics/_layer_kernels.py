"""Kernels that convolve a layer and lay it under what is there, by parts of the iris or by all.

Images are float32 (4, height, width): three premultiplied channels and coverage. What passes the
layers in front lies side by side for each sample, (h, w, lanes): of all of the iris, one lane, or
of its parts, as many lanes as fill whole vectors of 8; those beyond the last part are 0.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from modoptic.optics._kernels import _jit  # pyright: ignore[reportPrivateUsage]

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

LANES = 8
"""Parts are computed so many at a time."""
_SWAYS = 0.2
"""What passes and what is seen vary together within a part, too, where the standard deviations of
both over the parts may make so much of the light."""
_TOGETHER = 8
"""Rows that are convolved together."""


@_jit
def tap_spans(kernels: FloatArray, spans: IntArray) -> None:
    """First and end of the taps that are not 0 in each row of kernels, of any of their kinds.

    ``kernels`` (parts, n, kinds, m, m), ``spans`` (parts, n, m, 2); both are 0 in an empty row.
    """
    parts, count, kinds, size, _ = kernels.shape
    for part in range(parts):
        for n in range(count):
            for i in range(size):
                first, end = size, 0
                for kind in range(kinds):
                    row = kernels[part, n, kind, i]
                    k = 0
                    while k < first and row[k] == np.float32(0.0):
                        k += 1
                    first = k
                    k = size
                    while k > end and row[k - 1] == np.float32(0.0):
                        k -= 1
                    end = k
                spans[part, n, i, 0] = min(first, end)
                spans[part, n, i, 1] = end


@_jit
def _filled(line: FloatArray, left: int, width: int) -> tuple[int, int]:
    """From which place on, counted from ``left``, and up to which a row is not 0."""
    first, end = 0, width
    while first < end and line[left + first] == np.float32(0.0):
        first += 1
    while end > first and line[left + end - 1] == np.float32(0.0):
        end -= 1
    return first, end


@_jit
def mask_shares(kernels: FloatArray, n: int, masks: FloatArray, shares: FloatArray) -> None:
    """Which share of kernel n of (n, kinds, m, m) comes through each part of the iris.

    By ``masks`` (parts, m, m); into ``shares[:, n]`` of (parts, n, kinds).
    """
    kinds, size = kernels.shape[1:3]
    for part in range(masks.shape[0]):
        shares[part, n] = np.float32(0.0)
        for i in range(size):
            mask = masks[part, i]
            first, end = _filled(mask, 0, size)
            for kind in range(kinds):
                row, total = kernels[n, kind, i], np.float32(0.0)
                for j in range(first, end):
                    total += mask[j] * row[j]
                shares[part, n, kind] += total


@_jit
def cut_kernels(
    kernels: FloatArray, n: int, masks: FloatArray, shares: FloatArray, whole: BoolArray,
    out: FloatArray, spans: IntArray,
) -> None:  # fmt: skip
    """Kernel n of (n, kinds, m, m) for each part of the iris, each with a sum of 1.

    ``masks`` and ``shares`` as of `mask_shares`; a part that is ``whole`` (parts,) gets the whole
    kernel. Into ``out`` (parts, n, kinds, m, m) go the taps within ``spans``, see `tap_spans`.
    """
    kinds, size = kernels.shape[1:3]
    for part in range(masks.shape[0]):
        for i in range(size):
            mask = masks[part, i]
            first, end = (0, size) if whole[part] else _filled(mask, 0, size)
            begin, beyond = end, first
            for kind in range(kinds):
                low, high = _filled(kernels[n, kind, i], first, end - first)
                if low < high:
                    begin, beyond = min(begin, first + low), max(beyond, first + high)
            for kind in range(kinds):
                row, target = kernels[n, kind, i], out[part, n, kind, i]
                if whole[part]:
                    target[begin:beyond] = row[begin:beyond]
                else:
                    scale = np.float32(1.0) / shares[part, n, kind]
                    for j in range(begin, beyond):
                        target[j] = row[j] * mask[j] * scale
            spans[part, n, i, 0], spans[part, n, i, 1] = begin, max(begin, beyond)


@_jit
def wanted_points(
    rows: IntArray, columns: IntArray, top: int, left: int, share: FloatArray, wanted: IntArray
) -> None:
    """First and end of the points in each row between which samples lie that are still open.

    See `under_mosaic`; ``wanted`` (h, 2) is of the rows of its layers.
    """
    wanted[:, 0] = np.iinfo(np.int64).max
    wanted[:, 1] = 0
    for i in range(rows.size):
        first, end = _filled(share[top + i], left, columns.size)
        if first < end:
            for y in range(rows[i], rows[i] + 2):
                wanted[y, 0] = min(wanted[y, 0], columns[first])
                wanted[y, 1] = max(wanted[y, 1], columns[end - 1] + 2)


@_jit
def _add_taps(taps: FloatArray, line: FloatArray, into: FloatArray) -> None:
    """Convolve a line with taps, four at a time, and add that; those that are missing are 0."""
    for x in range(0, taps.size, 4):
        t0, t1, t2, t3 = taps[x], taps[x + 1], taps[x + 2], taps[x + 3]
        part = line[x : x + into.size + 3]
        for j in range(into.size):
            into[j] += t0 * part[j] + t1 * part[j + 1] + t2 * part[j + 2] + t3 * part[j + 3]


@_jit
def _add_three(
    taps: FloatArray, line: FloatArray, one: FloatArray, two: FloatArray, three: FloatArray
) -> None:
    """As `_add_taps` with three rows of taps."""
    for x in range(0, taps.shape[1], 4):
        a0, a1, a2, a3 = taps[0, x], taps[0, x + 1], taps[0, x + 2], taps[0, x + 3]
        b0, b1, b2, b3 = taps[1, x], taps[1, x + 1], taps[1, x + 2], taps[1, x + 3]
        c0, c1, c2, c3 = taps[2, x], taps[2, x + 1], taps[2, x + 2], taps[2, x + 3]
        part = line[x : x + one.size + 3]
        for j in range(one.size):
            v0, v1, v2, v3 = part[j], part[j + 1], part[j + 2], part[j + 3]
            one[j] += a0 * v0 + a1 * v1 + a2 * v2 + a3 * v3
            two[j] += b0 * v0 + b1 * v1 + b2 * v2 + b3 * v3
            three[j] += c0 * v0 + c1 * v1 + c2 * v2 + c3 * v3


@_jit
def convolve_planes(
    source: FloatArray, first_row: int, margin: int, which: IntArray, kernels: FloatArray,
    spans: IntArray, wanted: IntArray, opaque: bool, out: FloatArray,
) -> None:  # fmt: skip
    """Convolve rows of a layer with the kernel of each channel, for each part of the iris.

    Row i takes ``kernels[:, which[i]]`` of (parts, n, 3, m, m), of whose taps those within
    ``spans`` (parts, n, m, 2) are not 0; ``source`` is larger by ``margin`` points on each side.
    ``out`` (h, 6, w, lanes), which begins at ``first_row``, gets, where row i of the layer is
    ``wanted[i]`` (2,), the three channels and then the coverage as each channel sees it.
    ``opaque`` says that the layer covers all.
    """
    parts, size = kernels.shape[0], kernels.shape[3]
    off = margin - size // 2
    beyond, lanes = first_row + out.shape[0], out.shape[3]
    planes = 3 if opaque else 4
    # a few rows, one after the other in one line, so that loops are long and all is in the cache
    rows = (_TOGETHER + size) * (source.shape[2] + 4)
    lines = np.zeros((4, rows), np.float32)
    sums = np.empty((6, rows), np.float32)
    taps = np.zeros((3, size + 4), np.float32)
    i = first_row
    while i < beyond:
        n = which[i]
        top, begin, end = i, wanted[i, 0], wanted[i, 1]
        i += 1
        if begin >= end:
            continue
        while i < min(top + _TOGETHER, beyond) and which[i] == n and wanted[i, 0] < wanted[i, 1]:
            begin, end = min(begin, wanted[i, 0]), max(end, wanted[i, 1])
            i += 1
        low, high = size, 0
        for part in range(parts):
            for y in range(size):
                if spans[part, n, y, 0] < spans[part, n, y, 1]:
                    low = min(low, spans[part, n, y, 0])
                    high = max(high, spans[part, n, y, 1])
        width = end - begin
        wide = width + max(high - low, 1) - 1
        count = (i - top - 1) * wide + width
        for c in range(planes):
            for y in range(i - top + size - 1):
                left = begin + off + low
                lines[c, y * wide : (y + 1) * wide] = source[c, top + off + y, left : left + wide]
        s0, s1, s2 = sums[3, :count], sums[4, :count], sums[5, :count]
        if parts < lanes:
            out[top - first_row : i - first_row, :, begin:end] = np.float32(0.0)
        for part in range(parts):
            sums[:, :count] = np.float32(0.0)
            for y in range(size):
                first, last = spans[part, n, y, 0], spans[part, n, y, 1]
                if first >= last:
                    continue
                fours = (last - first + 3) // 4 * 4
                for c in range(3):
                    taps[c, : last - first] = kernels[part, n, c, y, first:last]
                    taps[c, last - first : fours] = np.float32(0.0)
                at = y * wide + first - low
                for c in range(3):
                    _add_taps(taps[c, :fours], lines[c, at:], sums[c, :count])
                if not opaque:
                    # what covers is the same in all three
                    _add_three(taps[:, :fours], lines[3, at:], s0, s1, s2)
            if opaque:
                sums[3:, :count] = np.float32(1.0)
            for row in range(top, i):
                for c in range(6):
                    line = sums[c, (row - top) * wide : (row - top) * wide + width]
                    target = out[row - first_row, c, begin:end]
                    for j in range(width):
                        target[j, part] = line[j]


@_jit
def _swayed(
    before: FloatArray, lit: FloatArray, hidden: FloatArray, inverse: FloatArray,
    beside: IntArray, sway: FloatArray, rest: FloatArray,
) -> tuple[np.float32, np.float32]:  # fmt: skip
    """What is seen more because what passes and what is ``lit`` vary together, see `under_mosaic`.

    All (lanes,): ``before`` passes what is in front, ``rest`` all of that and what is ``hidden``,
    which is mended. Returns the light and the sum of what passes.
    """
    more, total, half = np.float32(0.0), np.float32(0.0), np.float32(0.5)
    for n in range(before.size):
        before[n] *= inverse[n]
    for pair in range(sway.size):
        n, m = beside[pair, 0], beside[pair, 1]
        by = sway[pair] * (before[n] - before[m])
        more += by * (lit[n] - lit[m])
        by *= half * (hidden[n] - hidden[m])
        rest[n] -= by
        rest[m] -= by
    for n in range(rest.size):
        rest[n] = max(rest[n], np.float32(0.0))
        total += rest[n]
    return more, total


@_jit
def under_mosaic(
    layers: FloatArray,
    rows: IntArray,
    row_part: FloatArray,
    columns: IntArray,
    column_part: FloatArray,
    top: int,
    left: int,
    pattern: IntArray,
    light: FloatArray,
    passing: FloatArray,
    share: FloatArray,
    weights: FloatArray,
    inverse: FloatArray,
    beside: IntArray,
    sway: FloatArray,
) -> None:
    """Lay a layer under what is there, each sample in its own colour, by parts of the iris.

    ``layers`` (rows, 6, columns, lanes) is by `convolve_planes`. Sample (top + i, left + j) of the
    tile lies ``row_part[i]`` beyond row ``rows[i]`` of it, which is not the last; likewise for
    columns. ``pattern`` (p, p) has the channels of the tile's first samples. ``light`` (h, w)
    gathers, ``passing`` (h, w, lanes) is the share that passes what is in front, and ``share``
    (h, w) its sum, where it is more than 0.

    What passes the front and what is behind both vary within a part, and together: the mean of
    their product is that of their means and, where both are linear, the product of their slopes
    times the part's second moment. Slopes are those between parts ``beside`` (n, 2) each other;
    ``sway`` (n,) is the moment over their distance, times their weight. ``weights`` (lanes,) of
    parts add up to 1, ``inverse`` is 1 over them; both are 0 beyond the last part.
    """
    width, lanes = columns.size, passing.shape[2]
    one, zero = np.float32(1.0), np.float32(0.0)
    line = np.empty((4, layers.shape[2], lanes), np.float32)
    wide, each = layers.shape[2], np.uintp(lanes)
    flat, rest = line.reshape(-1), passing.reshape(-1)
    before, lit, hidden = np.empty((3, lanes), np.float32)
    last = pattern.shape[0] - 1
    for i in range(rows.size):
        left_over = share[top + i]
        first, end = _filled(left_over, left, width)
        if first >= end:
            continue
        y, part = rows[i], row_part[i]
        colors = pattern[(top + i) & last]
        c0 = c1 = colors[0]
        for k in range(last + 1):
            c1 = colors[k] if colors[k] != c0 else c1
        begin, beyond = columns[first], columns[end - 1] + 2
        for k in range(4):
            plane = (k >> 1) * 3 + (c1 if k & 1 else c0)
            above = layers[y, plane, begin:beyond].reshape(-1)
            below = layers[y + 1, plane, begin:beyond].reshape(-1)
            into = line[k, begin:beyond].reshape(-1)
            for j in range(into.size):
                into[j] = above[j] + part * (below[j] - above[j])
        target = light[top + i]
        if lanes == 1:
            for j in range(first, end):
                through = left_over[left + j]
                if through == zero:
                    continue
                x, t = columns[j], column_part[j]
                k = 0 if colors[(left + j) & last] == c0 else 1
                cover = max(
                    line[2 + k, x, 0] + t * (line[2 + k, x + 1, 0] - line[2 + k, x, 0]), zero
                )
                value = max(line[k, x, 0] + t * (line[k, x + 1, 0] - line[k, x, 0]), zero)
                if cover > one:
                    value /= cover
                    cover = one
                target[left + j] += through * value
                left_over[left + j] = through * (one - cover)
            continue
        for j in range(first, end):
            if left_over[left + j] == zero:
                continue
            x, t = columns[j], column_part[j]
            k = 0 if colors[(left + j) & last] == c0 else 1
            # places in flat arrays, as to take a part of one costs as much as all below
            p0 = np.uintp((k * wide + x) * lanes)
            a0 = p0 + np.uintp(2 * wide * lanes)
            p1, a1 = p0 + np.uintp(lanes), a0 + np.uintp(lanes)
            r = np.uintp(((top + i) * passing.shape[1] + left + j) * lanes)
            gathered, total, seen, seen2 = zero, zero, zero, zero
            for n in range(each):
                cover = max(flat[a0 + n] + t * (flat[a1 + n] - flat[a0 + n]), zero)
                value = max(flat[p0 + n] + t * (flat[p1 + n] - flat[p0 + n]), zero)
                over = one / max(cover, one)
                through = rest[r + n]
                before[n] = through
                value *= over
                gathered += through * value
                through *= one - cover * over
                rest[r + n] = through
                total += through
                weighed = value * weights[n]
                seen += weighed
                seen2 += value * weighed
            # what is between 0 and 1 has at most this variance, and what is seen has the other
            varies = left_over[left + j] * (one - left_over[left + j]) * (seen2 - seen * seen)
            if varies > np.float32(_SWAYS**2) * gathered * gathered:
                for n in range(each):
                    cover = max(flat[a0 + n] + t * (flat[a1 + n] - flat[a0 + n]), zero)
                    value = max(flat[p0 + n] + t * (flat[p1 + n] - flat[p0 + n]), zero)
                    over = one / max(cover, one)
                    lit[n], hidden[n] = value * over, cover * over
                more, total = _swayed(
                    before, lit, hidden, inverse, beside, sway, passing[top + i, left + j]
                )
                gathered += more
            target[left + j] += max(gathered, zero)
            left_over[left + j] = total


@_jit
def split_columns(source: FloatArray, out: FloatArray) -> None:
    """Columns of (4, h, w) dealt out to n parts, (n, 4, h, w / n rounded up)."""
    planes, height, width = source.shape
    parts = out.shape[0]
    for c in range(planes):
        for i in range(height):
            line = source[c, i]
            for n in range(parts):
                target = out[n, c, i]
                for j in range((width - n + parts - 1) // parts):
                    target[j] = line[j * parts + n]


@_jit
def convolve_under_mosaic(
    split: FloatArray, margin: int, which: IntArray, kernels: FloatArray, spans: IntArray,
    opaque: bool, pattern: IntArray, top: int, left: int, width: int, light: FloatArray,
    passing: FloatArray, share: FloatArray, inverse: FloatArray, beside: IntArray,
    sway: FloatArray,
) -> None:  # fmt: skip
    """Convolve a layer, each sample with the kernel of its kind, and lay it under what is there.

    ``pattern`` (p, p) has the channels of the tile's first samples. ``split`` (p n, 4, rows,
    columns) is the layer by `split_columns`; n of its points make the distance of two samples. It
    is larger than the part by ``margin`` points on each side. Row i of the part, which begins at
    (top, left) of the tile, takes ``kernels[:, which[i]]`` of (parts, n, p p, m, m), of whose taps
    those within ``spans`` (parts, n, m, 2) are not 0. ``opaque`` says that the layer covers all.
    The last two columns of ``split``, and two numbers behind it, may be read with taps of 0.
    ``share`` (h, w) tells which samples are open; in parts it stays as it is, see `gather_parts`.
    What varies within a part is taken as by `under_mosaic`.
    """
    period = pattern.shape[0]
    half = width // period + 2
    zero, one = np.float32(0.0), np.float32(1.0)
    sums = np.empty((kernels.shape[0], half), np.float32)
    cover = np.empty((kernels.shape[0], half), np.float32)
    before, lit, hidden = np.zeros((3, passing.shape[2]), np.float32)
    size = kernels.shape[3]
    parts, rows, columns = split.shape[0], split.shape[2], split.shape[3]
    flat, apart = split.reshape(-1), 4 * rows * columns
    dense = parts // period
    off = margin - size // 2
    for i in range(which.size):
        opened = share[top + i]
        first, end = _filled(opened, left, width)
        if first >= end:
            continue
        last = end - 1
        target, rest = light[top + i], passing[top + i]
        n = which[i]
        for side in range(period):
            begin = first + (side - first - left) % period
            if begin > last:
                continue
            count = (last - begin) // period + 1
            many = np.uintp(count)
            kind = period * ((top + i) % period) + side
            c = pattern[(top + i) % period, side]
            for part in range(kernels.shape[0]):
                sums[part, :count] = zero
                cover[part, :count] = one if opaque else zero
                for plane in range(1 if opaque else 2):
                    into = cover[part] if plane else sums[part]
                    source = 3 if plane else c
                    for y in range(size):
                        row = dense * i + off + y
                        taps = kernels[part, n, kind, y]
                        x, beyond = spans[part, n, y, 0], spans[part, n, y, 1]
                        at = dense * begin + off
                        lane = (source * rows + row) * columns
                        while x < beyond:
                            # places in a flat array: to take a part of one costs as much as a loop
                            p = at + x
                            o0 = np.uintp(p % parts * apart + lane + p // parts)
                            p += 1
                            o1 = np.uintp(p % parts * apart + lane + p // parts)
                            p += 1
                            o2 = np.uintp(p % parts * apart + lane + p // parts)
                            p += 1
                            o3 = np.uintp(p % parts * apart + lane + p // parts)
                            t0 = taps[x]
                            t1 = taps[x + 1] if x + 1 < beyond else zero
                            t2 = taps[x + 2] if x + 2 < beyond else zero
                            t3 = taps[x + 3] if x + 3 < beyond else zero
                            for j in range(many):
                                into[j] += (
                                    t0 * flat[o0 + j] + t1 * flat[o1 + j] + t2 * flat[o2 + j]
                                    + t3 * flat[o3 + j]
                                )  # fmt: skip
                            x += 4
            for j in range(count):
                at = left + begin + period * j
                if opened[at] == zero:
                    continue
                gathered, through = zero, rest[at]
                for part in range(kernels.shape[0]):
                    # where the kernel overshoots, colour and coverage do so together
                    over = one / max(cover[part, j], one)
                    lit[part] = max(sums[part, j], zero) * over
                    hidden[part] = max(cover[part, j], zero) * over
                    before[part] = through[part]
                    gathered += through[part] * lit[part]
                    through[part] *= one - hidden[part]
                if sway.size:
                    gathered += _swayed(before, lit, hidden, inverse, beside, sway, through)[0]
                target[at] += max(gathered, zero)


@_jit
def part_light(
    where: BoolArray, top: int, left: int, weights: FloatArray, alike: FloatArray,
    parts: FloatArray, apart: FloatArray,
) -> None:  # fmt: skip
    """What is ``alike`` (h, w) through all of the iris becomes a share of each of its parts.

    By their ``weights`` (lanes,), ``where`` (rows, columns) from (top, left) of the tile on says
    so. ``parts`` (h, w, lanes); ``apart`` (h, w) is its sum.
    """
    flat, lanes = parts.reshape(-1), np.uintp(weights.size)
    for i in range(where.shape[0]):
        for j in range(where.shape[1]):
            share = alike[top + i, left + j]
            if where[i, j] and share > np.float32(0.0):
                at = np.uintp(((top + i) * parts.shape[1] + left + j) * weights.size)
                for n in range(lanes):
                    flat[at + n] += share * weights[n]
                apart[top + i, left + j] += share
                alike[top + i, left + j] = np.float32(0.0)


@_jit
def pass_parts(
    alone: FloatArray, kept: FloatArray, light: FloatArray, parts: FloatArray, apart: FloatArray,
    top: int, bottom: int, left: int, right: int,
) -> None:  # fmt: skip
    """Add to ``light`` a layer that is ``alone`` (h, w) through all parts and leaves ``kept``.

    Of rows from ``top`` to ``bottom`` and columns from ``left`` to ``right``; see `part_light`.
    """
    for i in range(top, bottom):
        for j in range(left, right):
            if apart[i, j] > np.float32(0.0):
                light[i, j] += alone[i, j] * apart[i, j]
                apart[i, j] *= kept[i, j]
                for n in range(parts.shape[2]):
                    parts[i, j, n] *= kept[i, j]


@_jit
def gather_parts(
    parts: FloatArray, weights: FloatArray, alike: FloatArray, apart: FloatArray, top: int,
    bottom: int, left: int, right: int, within: float,
) -> tuple[int, int, int, int]:  # fmt: skip
    """Where all parts are their weight's share of their sum, add it to ``alike``.

    And make them 0; of rows from ``top`` to ``bottom`` and columns from ``left`` to ``right``.
    Returns the rows and columns between which some are left. See `part_light`.
    """
    rows0, rows1, columns0, columns1 = bottom, top, right, left
    zero, close = np.float32(0.0), np.float32(within)
    flat, lanes = parts.reshape(-1), np.uintp(weights.size)
    for i in range(top, bottom):
        for j in range(left, right):
            if apart[i, j] == zero:
                continue
            at = np.uintp((i * parts.shape[1] + j) * weights.size)
            total, off = zero, zero
            for n in range(lanes):
                total += flat[at + n]
            for n in range(lanes):
                off = max(off, abs(flat[at + n] - weights[n] * total))
            apart[i, j] = total
            if off > close:
                rows0, rows1 = min(rows0, i), i + 1
                columns0, columns1 = min(columns0, j), max(columns1, j + 1)
            else:
                alike[i, j] += total
                apart[i, j] = zero
                for n in range(lanes):
                    flat[at + n] = zero
    return rows0, max(rows1, rows0), columns0, max(columns1, columns0)


@_jit
def any_above(
    share: FloatArray, top: int, bottom: int, left: int, right: int, limit: float
) -> bool:
    """Whether anything in these rows and columns is more than ``limit``."""
    for i in range(top, bottom):
        most = np.float32(0.0)
        for j in range(left, right):
            most = max(most, share[i, j])
        if most >= np.float32(limit):
            return True
    return False
