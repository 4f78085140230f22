"""Kernels of the lens: layers blurred and laid over each other, lamps, and shading.

Images are float32 (4, height, width): three premultiplied channels and coverage. While the ring
turns they are (height, width, 4), so that the four of a point are worked on as one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit  # pyright: ignore[reportUnknownVariableType]

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_EVEN_UM = 100.0
"""Over so much, shading is nearly linear."""
_VEIL_APART = 0.6
"""Of the distance of its points, over so much a veil is nearly linear."""


def _jit(function: Callable[..., Any]) -> Callable[..., Any]:
    return njit(nogil=True, cache=True, error_model="numpy", fastmath=True)(function)  # pyright: ignore


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
def spans_of(
    rims: FloatArray, reach: float, x: float, y: float, apart: float, out: FloatArray
) -> None:
    """Where rows cut a blur disc, at places (x, y) of a row of the picture and on, ``apart``.

    ``rims`` (m, k, 2) are convex outlines (across, outward) at even distances from the axis up to
    ``reach``. ``out`` (n, rows, 2): left and right at even v from -1.1 to 1.1; left is more than
    right where the row passes it by.
    """
    points = rims.shape[1]
    rows = out.shape[1]
    u, v = np.empty(points, np.float32), np.empty(points, np.float32)
    last = rims.shape[0] - 1
    for n in range(out.shape[0]):
        far = math.hypot(x + n * apart, y)
        c, s = ((x + n * apart) / far, y / far) if far > 1e-9 else (0.0, 1.0)
        at = min(far / reach * last, last)
        m = min(int(at), last - 1)
        t = at - m
        for k in range(points):
            a = rims[m, k, 0] + t * (rims[m + 1, k, 0] - rims[m, k, 0])
            b = rims[m, k, 1] + t * (rims[m + 1, k, 1] - rims[m, k, 1])
            u[k], v[k] = -a * s + b * c, a * c + b * s
        for i in range(rows):
            at = -1.1 + 2.2 * i / (rows - 1)
            left, right = np.float32(9.0), np.float32(-9.0)
            for k in range(points):
                j = k + 1 if k + 1 < points else 0
                if (v[k] <= at) != (v[j] <= at):
                    cut = u[k] + (at - v[k]) / (v[j] - v[k]) * (u[j] - u[k])
                    left, right = min(left, cut), max(right, cut)
            out[n, i, 0], out[n, i, 1] = left, right


@_jit
def reaches_of(
    rims: FloatArray, turns: FloatArray, parts: FloatArray, side: DoubleArray, out: DoubleArray
) -> None:
    """How far blur discs reach from x on in even azimuths, (n, azimuths).

    ``rims`` as of `spans_of`, ``parts`` (n,) which of them each place takes, with a fraction
    between two, ``turns`` (n, 2) the unit vector outward there; ``side`` (n,) is -1 beyond the
    focus, else 1. Azimuths of an outline run one way round.
    """
    points, azimuths = rims.shape[1], out.shape[1]
    azimuth, reach = np.empty(points), np.empty(points)
    for n in range(out.shape[0]):
        m = min(int(parts[n]), rims.shape[0] - 2)
        t = parts[n] - m
        for k in range(points):
            a = side[n] * (rims[m, k, 0] + t * (rims[m + 1, k, 0] - rims[m, k, 0]))
            b = side[n] * (rims[m, k, 1] + t * (rims[m + 1, k, 1] - rims[m, k, 1]))
            u, v = -a * turns[n, 1] + b * turns[n, 0], a * turns[n, 0] + b * turns[n, 1]
            azimuth[k], reach[k] = math.atan2(v, u) * azimuths / (2.0 * math.pi), math.hypot(u, v)
        for k in range(points):
            here, there = k, k + 1 if k + 1 < points else 0
            wide = azimuth[there] - azimuth[here]
            wide -= azimuths * math.floor(wide / azimuths + 0.5)
            if wide < 0.0:
                here, there, wide = there, here, -wide
            first = math.ceil(azimuth[here])
            for i in range(first, math.floor(azimuth[here] + wide) + 1):
                part = (i - azimuth[here]) / wide if wide > 0.0 else 0.0
                out[n, i % azimuths] = reach[here] + part * (reach[there] - reach[here])


@_jit
def lattice_of(
    places: DoubleArray, origin: float, step: float
) -> tuple[int, int, IntArray, FloatArray]:
    """Where rising places lie among even points ``step`` apart from ``origin`` on.

    The first of the points, how many are needed, and for each place the point before it, counted
    from the first one, and how far beyond that it lies.
    """
    at = np.empty(places.size, np.int64)
    part = np.empty(places.size, np.float32)
    per = 1.0 / step
    first = math.floor((places[0] - origin) * per + 5e-6)
    for i in range(places.size):
        # what lies on a point but for rounding is taken as on it
        x = (places[i] - origin) * per + 5e-6
        k = math.floor(x)
        at[i], part[i] = k - first, max(x - k - 1e-5, 0.0)
    return first, at[places.size - 1] + 2, at, part


@_jit
def blur_iris(
    source: FloatArray, row: int, column: int, radii: FloatArray, spans: FloatArray, margin: int,
    out: FloatArray,
) -> None:  # fmt: skip
    """Average over blur discs of the iris' shape; row i of ``out`` with radius ``radii[i]``.

    What is averaged begins at a row and a column of ``source`` (4, rows, columns), whose edges go
    on beyond it, and is wider and higher than ``out`` (h, w, 4) by ``margin`` >= 1.1 |radius| + 2
    on each side. ``spans`` (n, rows, 2) by `spans_of` are the shapes for n even parts of the width.
    A negative radius turns the shape about. Sums along rows make the cost of a pixel the height of
    its disc, not its area.
    """
    height, width = out.shape[0], out.shape[1]
    rows, columns = height + 2 * margin, width + 2 * margin
    below, beyond = source.shape[1] - 1, source.shape[2] - 1
    sums = np.empty((rows, 4 * columns + 4), np.float32)
    for i in range(rows):
        kept = min(max(row + i, 0), below)
        p0, p1, p2, p3 = source[0, kept], source[1, kept], source[2, kept], source[3, kept]
        line = sums[i]
        t0 = t1 = t2 = t3 = np.float32(0.0)
        line[0] = line[1] = line[2] = line[3] = t0
        for j in range(columns):
            k = min(max(column + j, 0), beyond)
            t0 += p0[k]
            t1 += p1[k]
            t2 += p2[k]
            t3 += p3[k]
            at = 4 * j + 4
            line[at], line[at + 1], line[at + 2], line[at + 3] = t0, t1, t2, t3
    blocks, count = spans.shape[0], spans.shape[1]
    places = np.empty((2 * margin + 1, 2), np.int64)
    weights = np.empty((2 * margin + 1, 4), np.float32)
    for block in range(blocks):
        first, end = block * width // blocks, (block + 1) * width // blocks
        wide = end - first
        shape = spans[block]
        known = np.float32(1e9)
        low = high = 0
        for i in range(height):
            r = radii[i]
            if r != known:
                known = r
                # a tap lies where the light comes from: opposite to where it lands
                turned = -r if abs(r) > 0.1 else np.float32(0.1)
                reach = min(math.ceil(1.1 * abs(turned)), margin - 1)
                total = np.float32(0.0)
                low, high = 2 * margin, 0
                for dy in range(-reach, reach + 1):
                    left = right = seen = np.float32(0.0)
                    for part in range(-1, 2):
                        at = ((dy + part / 3.0) / turned + 1.1) * ((count - 1) / 2.2)
                        k = int(at)
                        if at < 0.0 or k > count - 2:
                            continue
                        a, b = shape[k], shape[k + 1]
                        f = np.float32(at - k)
                        if a[0] > a[1] or b[0] > b[1]:
                            # the rim lies between two rows of the table
                            if a[0] > a[1] and b[0] > b[1]:
                                continue
                            inner = b if a[0] > a[1] else a
                            x0, x1 = inner[0], inner[1]
                            if (f < 0.5) == (a[0] > a[1]):
                                continue
                        else:
                            x0, x1 = a[0] + f * (b[0] - a[0]), a[1] + f * (b[1] - a[1])
                        left += min(turned * x0, turned * x1)
                        right += max(turned * x0, turned * x1)
                        seen += np.float32(1.0)
                    if seen == np.float32(0.0):
                        continue
                    left, right = left / seen + 0.5, right / seen + 0.5
                    seen /= np.float32(3.0)
                    kr, kl = math.floor(right), math.floor(left)
                    wr, wl = np.float32(right - kr) * seen, np.float32(left - kl) * seen
                    at = dy + margin
                    places[at, 0], places[at, 1] = margin + kr, margin + kl
                    weights[at, 0], weights[at, 1] = seen - wr, wr
                    weights[at, 2], weights[at, 3] = seen - wl, wl
                    total += seen * np.float32(right - left)
                    low, high = min(low, at), max(high, at + 1)
                for k in range(low, high):
                    for part in range(4):
                        weights[k, part] /= total
            target = out[i, first:end].reshape(-1)
            for j in range(4 * wide):
                target[j] = np.float32(0.0)
            for k in range(low, high):
                line = sums[i + k]
                at, to = 4 * (places[k, 0] + first), 4 * (places[k, 1] + first)
                right0, right1 = line[at : at + 4 * wide], line[at + 4 : at + 4 * wide + 4]
                left0, left1 = line[to : to + 4 * wide], line[to + 4 : to + 4 * wide + 4]
                ar, br, al, bl = weights[k, 0], weights[k, 1], weights[k, 2], weights[k, 3]
                for j in range(4 * wide):
                    target[j] += ar * right0[j] + br * right1[j] - al * left0[j] - bl * left1[j]


@_jit
def sharp(source: FloatArray, row: int, column: int, out: FloatArray) -> None:
    """As `blur_iris` without blur."""
    below, beyond = source.shape[1] - 1, source.shape[2] - 1
    for i in range(out.shape[0]):
        kept = min(max(row + i, 0), below)
        p0, p1, p2, p3 = source[0, kept], source[1, kept], source[2, kept], source[3, kept]
        line = out[i].reshape(-1)
        for j in range(out.shape[1]):
            k = min(max(column + j, 0), beyond)
            at = 4 * j
            line[at], line[at + 1], line[at + 2], line[at + 3] = p0[k], p1[k], p2[k], p3[k]


@_jit
def blur_line(source: FloatArray, taps: FloatArray, out: FloatArray) -> None:
    """Convolve along both axes; ``source`` is larger than ``out`` by half the taps on each side.

    Both are (h, w, 4).
    """
    height, count = out.shape[0], taps.size
    wide = 4 * out.shape[1]
    rows = source.shape[0]
    half = np.empty((rows, wide), np.float32)
    for i in range(rows):
        line = source[i].reshape(-1)
        target = half[i]
        for j in range(wide):
            target[j] = np.float32(0.0)
        for k in range(count):
            tap = taps[k]
            part = line[4 * k : 4 * k + wide]
            for j in range(wide):
                target[j] += tap * part[j]
    for i in range(height):
        target = out[i].reshape(-1)
        for j in range(wide):
            target[j] = np.float32(0.0)
        for k in range(count):
            tap = taps[k]
            line = half[i + k]
            for j in range(wide):
                target[j] += tap * line[j]


@_jit
def share_outside(kernels: FloatArray) -> FloatArray:
    """Of kernels (n, size, size), the most that any lacks within squares about the middle.

    (size // 2,): entry r is for the square that reaches r taps to each side, and larger ones:
    overshoots make the sum swing about 1.
    """
    size = kernels.shape[1]
    middle = size // 2
    out = np.zeros(middle, np.float32)
    rings = np.empty(middle + 1, np.float32)
    for n in range(kernels.shape[0]):
        rings[:] = np.float32(0.0)
        for i in range(size):
            for j in range(size):
                rings[max(abs(i - middle), abs(j - middle))] += kernels[n, i, j]
        total, outside = rings.sum(), rings[middle]
        worst = np.float32(0.0)
        for r in range(middle - 1, -1, -1):
            worst = max(worst, abs(outside / total))
            out[r] = max(out[r], worst)
            outside += rings[r]
    return out


@_jit
def cut(kernels: FloatArray, kept: float) -> FloatArray:
    """The smallest square about the middle that holds ``kept`` of all that is in kernels (n, s, s).

    Each then adds up to 1.
    """
    middle = kernels.shape[1] // 2
    rest = share_outside(kernels)
    reach = middle - 1
    while reach > 0 and rest[reach - 1] <= np.float32(1.0 - kept):
        reach -= 1
    side = 2 * reach + 1
    out = np.empty((kernels.shape[0], side, side), np.float32)
    for n in range(kernels.shape[0]):
        total = 0.0
        for i in range(side):
            line = kernels[n, middle - reach + i]
            for j in range(side):
                out[n, i, j] = line[middle - reach + j]
                total += out[n, i, j]
        out[n] *= np.float32(1.0 / total)
    return out


@_jit
def trim(kernels: FloatArray, faint: float) -> None:
    """Make taps at the ends of rows 0 that are fainter than all others, of kernels (n, s, s).

    As many as hold ``faint`` of each kernel, or a little less; what is left adds up to 1 again.
    """
    for n in range(kernels.shape[0]):
        kernel = kernels[n].reshape(-1)
        most = np.float32(0.0)
        for k in range(kernel.size):
            most = max(most, abs(kernel[k]))
        low, high = np.float32(0.0), most
        for _ in range(12):
            limit = np.float32(0.5) * (low + high)
            below = np.float32(0.0)
            for k in range(kernel.size):
                tap = abs(kernel[k])
                below += tap if tap < limit else np.float32(0.0)
            if below <= np.float32(faint):
                low = limit
            else:
                high = limit
        total = np.float32(0.0)
        for i in range(kernels.shape[1]):
            row = kernels[n, i]
            first, end = 0, row.size
            while first < end and abs(row[first]) < low:
                row[first] = np.float32(0.0)
                first += 1
            while end > first and abs(row[end - 1]) < low:
                end -= 1
                row[end] = np.float32(0.0)
            for j in range(first, end):
                total += row[j]
        kernels[n] *= np.float32(1.0) / total


@_jit
def slide(
    source: FloatArray, left: float, top: float, step: float, x0: float, y0: float,
    step_out: float, amount: float, bend: DoubleArray, out: FloatArray,
) -> None:  # fmt: skip
    """A raster (4, h, w) of a layer as a lens sees it that moved along the axis.

    Its points lie ``step`` apart from (``left``, ``top``) on, those of ``out`` ``step_out`` from
    (x0, y0) on. ``amount`` is the way of the lens over a slanted layer's distance
    from the axis: what is seen in direction y was in direction y / (1 + amount y). ``bend`` (3,)
    is by how much the polynomial of the distortion has grown.
    """
    height, width = source.shape[1], source.shape[2]
    count = out.shape[2]
    b1, b2, b3 = np.float32(bend[0]), np.float32(bend[1]), np.float32(bend[2])
    column_part, row_part = np.empty(count, np.float32), np.empty(count, np.float32)
    at = np.empty(count, np.int64)
    flat = source.reshape(source.shape[0], -1)
    per = np.float32(1.0 / step)
    left_x, top_y = np.float32(left / step), np.float32(top / step)
    zero, one = np.float32(0.0), np.float32(1.0)
    last_row, last_column = np.float32(height - 1.001), np.float32(width - 1.001)
    for i in range(out.shape[1]):
        y = np.float32(y0 + i * step_out)
        shrunk = one / (one + np.float32(amount) * max(y, zero))
        for j in range(count):
            x = np.float32(x0 + j * step_out)
            q = x * x + y * y
            by = shrunk * (one + q * (b1 + q * (b2 + q * b3))) * per
            v = min(max(y * by - top_y, zero), last_row)
            u = min(max(x * by - left_x, zero), last_column)
            iv, iu = int(v), int(u)
            row_part[j], column_part[j] = v - np.float32(iv), u - np.float32(iu)
            at[j] = iv * width + iu
        for c in range(4):
            plane, line = flat[c], out[c, i]
            for j in range(count):
                k, s = at[j], column_part[j]
                a = plane[k] + s * (plane[k + 1] - plane[k])
                k += width
                b = plane[k] + s * (plane[k + 1] - plane[k])
                line[j] = a + row_part[j] * (b - a)


@_jit
def slide_sharp(
    source: FloatArray, left: float, top: float, step: float, x0: float, y0: float,
    step_out: float, amount: float, bend: DoubleArray, out: FloatArray,
) -> None:  # fmt: skip
    """As `slide`, cubic (Catmull and Rom): for what is not blurred afterwards.

    Over 64 points of a row its height in the raster is taken as one.
    """
    height, width = source.shape[1], source.shape[2]
    count = out.shape[2]
    b1, b2, b3 = np.float32(bend[0]), np.float32(bend[1]), np.float32(bend[2])
    at = np.empty(64, np.int64)
    w0, w1, w2, w3 = (
        np.empty(64, np.float32), np.empty(64, np.float32), np.empty(64, np.float32),
        np.empty(64, np.float32),
    )  # fmt: skip
    mixed = np.empty(width, np.float32)
    per = np.float32(1.0 / step)
    left_x, top_y = np.float32(left / step), np.float32(top / step)
    zero, one = np.float32(0.0), np.float32(1.0)
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
            v0, v1, v2, v3 = _cubic(v - np.float32(iv))
            for j in range(wide):
                x = np.float32(x0 + (begin + j) * step_out)
                q = x * x + y * y
                by = shrunk * (one + q * (b1 + q * (b2 + q * b3))) * per
                u = min(max(x * by - left_x, one), np.float32(width - 2.001))
                iu = int(u)
                at[j] = iu - 1
                w0[j], w1[j], w2[j], w3[j] = _cubic(u - np.float32(iu))
            first, last = at[0], at[wide - 1] + 4
            for c in range(4):
                p0, p1 = source[c, iv - 1, first:last], source[c, iv, first:last]
                p2, p3 = source[c, iv + 1, first:last], source[c, iv + 2, first:last]
                for k in range(last - first):
                    mixed[k] = v0 * p0[k] + v1 * p1[k] + v2 * p2[k] + v3 * p3[k]
                line = out[c, i, begin : begin + wide]
                for j in range(wide):
                    k = at[j] - first
                    line[j] = (
                        w0[j] * mixed[k] + w1[j] * mixed[k + 1] + w2[j] * mixed[k + 2]
                        + w3[j] * mixed[k + 3]
                    )  # fmt: skip


@_jit
def stamp_mosaic(
    stamp: FloatArray,
    row: int,
    column: int,
    first: int,
    left: int,
    period: int,
    light: FloatArray,
    passing: FloatArray,
) -> None:
    """Add ``stamp`` (kinds, n, n), a plane for each kind; its first tap is at (row, column).

    The tile's first sample is that of row ``first`` and column ``left`` of the mosaic, whose
    ``period`` x ``period`` samples are a kind each.
    """
    size = stamp.shape[1]
    for i in range(max(row, 0), min(row + size, light.shape[0])):
        for j in range(max(column, 0), min(column + size, light.shape[1])):
            kind = period * ((i + first) % period) + (j + left) % period
            value = stamp[kind, i - row, j - column]
            light[i, j] += passing[i, j] * max(value, np.float32(0.0))


@_jit
def _widened(line: FloatArray, columns: IntArray, parts: FloatArray, out: FloatArray) -> None:
    """Places between the points of a row of fours, which lie ``parts`` beyond ``columns``."""
    for j in range(columns.size):
        k, t, at = 4 * columns[j], parts[j], 4 * j
        a0, a1, a2, a3 = line[k], line[k + 1], line[k + 2], line[k + 3]
        b0, b1, b2, b3 = line[k + 4], line[k + 5], line[k + 6], line[k + 7]
        out[at], out[at + 1] = a0 + t * (b0 - a0), a1 + t * (b1 - a1)
        out[at + 2], out[at + 3] = a2 + t * (b2 - a2), a3 + t * (b3 - a3)


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
) -> None:
    """Lay a layer (rows, columns, 4), with all of its channels, under ``light``.

    Sample (top + i, left + j) lies ``row_part[i]`` beyond row ``rows[i]``, which does not fall;
    likewise for columns. ``light`` (h, w, 4) has the share that passes what is in front beside its
    three channels.
    """
    width = columns.size
    zero, one, most = np.float32(0.0), np.float32(1.0), np.float32(3e38)
    wide = np.empty((2, 4 * width), np.float32)
    held = np.full(2, -1)
    for i in range(rows.size):
        for y in range(rows[i], rows[i] + 2):
            if held[y & 1] != y:
                held[y & 1] = y
                _widened(layer[y].reshape(-1), columns, column_part, wide[y & 1])
        part = row_part[i]
        above, below = wide[rows[i] & 1], wide[(rows[i] + 1) & 1]
        into = light[top + i, left : left + width].reshape(-1)
        for j in range(width):
            # all four alike, so that they become one vector
            k = 4 * j
            a0, a1, a2, a3 = above[k], above[k + 1], above[k + 2], above[k + 3]
            b0, b1, b2, b3 = below[k], below[k + 1], below[k + 2], below[k + 3]
            p0, p1, p2, p3 = into[k], into[k + 1], into[k + 2], into[k + 3]
            v0, v1 = max(a0 + part * (b0 - a0), zero), max(a1 + part * (b1 - a1), zero)
            v2, v3 = max(a2 + part * (b2 - a2), zero), max(a3 + part * (b3 - a3), zero)
            v0, v1, v2, v3 = min(v0, most), min(v1, most), min(v2, most), min(v3, one)
            into[k], into[k + 1] = p0 + p3 * v0, p1 + p3 * v1
            into[k + 2], into[k + 3] = p2 + p3 * v2, p3 - p3 * v3


@_jit
def unlit(light: FloatArray) -> None:
    """Make ``light`` of `under_color` what is before all layers: nothing, and all passes."""
    flat = light.reshape(-1)
    for k in range(0, flat.size, 4):
        flat[k] = flat[k + 1] = flat[k + 2] = np.float32(0.0)
        flat[k + 3] = np.float32(1.0)


@_jit
def open_rows(light: FloatArray, first: int, end: int, least: float) -> tuple[int, int]:
    """From ``first`` on and up to ``end``, those rows of `under_color`'s where light still passes.

    That is, a share of ``least`` somewhere; what is between the first and the last one counts.
    """
    width = light.shape[1]
    while first < end:
        j = 0
        while j < width and light[first, j, 3] < least:
            j += 1
        if j < width:
            break
        first += 1
    while first < end:
        j = 0
        while j < width and light[end - 1, j, 3] < least:
            j += 1
        if j < width:
            break
        end -= 1
    return first, end


@_jit
def add_overlap(
    d: DoubleArray, right: float, up: float, one: DoubleArray, two: DoubleArray, weight: float,
    out: DoubleArray,
) -> None:  # fmt: skip
    """Add ``weight`` times the area common to two circles of radii ``one`` and ``two`` (n,).

    Their centres are ``d`` (n, k) apart, and farther by so much to the right and up.
    """
    for n in range(d.shape[0]):
        small, large = min(one[n], two[n]), max(one[n], two[n])
        for k in range(d.shape[1]):
            far = math.hypot(d[n, k] + right, up)
            if far <= large - small:
                area = math.pi * small * small
            elif far >= large + small:
                area = 0.0
            else:
                a = (far * far + small * small - large * large) / (2.0 * far * small)
                b = (far * far + large * large - small * small) / (2.0 * far * large)
                area = small * small * math.acos(min(max(a, -1.0), 1.0))
                area += large * large * math.acos(min(max(b, -1.0), 1.0))
                kite = (small + large - far) * (far + small - large)
                kite *= (far - small + large) * (far + small + large)
                area -= 0.5 * math.sqrt(max(kite, 0.0))
            out[n, k] += weight * area


@_jit
def add_lamps(
    x: FloatArray,
    y: FloatArray,
    reach: FloatArray,
    profile: FloatArray,
    channels: FloatArray,
    rims: FloatArray,
    tx: FloatArray,
    ty: FloatArray,
    light: FloatArray,
    step: float,
) -> None:
    """Add lamps at (x, y) with radial ``profile`` (n, k) over 0..reach, in tangents.

    ``rims`` (n, azimuths) stretches it. ``light`` is as of `under_color`. A sample averages over
    its square of side ``step``, more finely where the image of the lamp is small.
    """
    last = profile.shape[1] - 1
    around = rims.shape[1]
    for n in range(x.size):
        far = reach[n] * max(rims[n].max(), np.float32(1e-3))
        i0 = np.searchsorted(ty, y[n] - far - step)
        i1 = np.searchsorted(ty, y[n] + far + step)
        j0 = np.searchsorted(tx, x[n] - far - step)
        j1 = np.searchsorted(tx, x[n] + far + step)
        scale = last / reach[n]
        beyond = (far + step) * (far + step)
        parts = min(max(int(36.0 * step / reach[n]), 2), 16)
        for i in range(i0, i1):
            dy = ty[i] - y[n]
            for j in range(j0, j1):
                if light[i, j, 3] == np.float32(0.0):
                    continue
                dx = tx[j] - x[n]
                if dx * dx + dy * dy > beyond:
                    continue
                turn = math.atan2(dy, dx) / (2.0 * math.pi)
                turn = (turn - math.floor(turn)) * around
                at = int(turn) % around
                rim = rims[n, at] + (turn - at) * (rims[n, (at + 1) % around] - rims[n, at])
                stretched = scale / max(rim, np.float32(1e-3))
                value = 0.0
                for part in range(parts * parts):
                    sx = dx + ((part % parts + 0.5) / parts - 0.5) * step
                    sy = dy + ((part // parts + 0.5) / parts - 0.5) * step
                    d = math.sqrt(sx * sx + sy * sy) * stretched
                    k = int(d)
                    if k < last:
                        value += profile[n, k] + (profile[n, k + 1] - profile[n, k]) * (d - k)
                value *= light[i, j, 3] / (parts * parts)
                light[i, j, 0] += value * channels[n, 0]
                light[i, j, 1] += value * channels[n, 1]
                light[i, j, 2] += value * channels[n, 2]


@_jit
def _entry(table: FloatArray, c: int, at: float) -> Any:
    """Of a table (3, n), between two entries."""
    k = min(int(at), table.shape[1] - 2)
    return table[c, k] + np.float32(at - k) * (table[c, k + 1] - table[c, k])


@_jit
def _weighed(
    row: FloatArray, x: FloatArray, yy: float, table: FloatArray, per: float, colors: IntArray,
    out: FloatArray,
) -> None:  # fmt: skip
    """``row`` times ``table`` (3, n) at each sample's place, of its channel ``colors`` (n,).

    Between every eighth sample the table's entries are interpolated, unless they lie far apart.
    """
    turn = colors.size - 1
    c0, c1, c2, c3 = colors[0], colors[1], colors[2 & turn], colors[3 & turn]
    eighth = np.float32(0.125)
    whole = (row.size - 1) // 8 * 8
    if whole and x[8] - x[0] > _EVEN_UM:
        whole = 0
    at = (x[0] * x[0] + yy) * per
    n0, n1, n2, n3 = (
        _entry(table, c0, at), _entry(table, c1, at), _entry(table, c2, at), _entry(table, c3, at)
    )  # fmt: skip
    for begin in range(0, whole, 8):
        a0, a1, a2, a3 = n0, n1, n2, n3
        at = (x[begin + 8] * x[begin + 8] + yy) * per
        n0, n1, n2, n3 = (
            _entry(table, c0, at), _entry(table, c1, at), _entry(table, c2, at),
            _entry(table, c3, at),
        )  # fmt: skip
        d0, d1, d2, d3 = n0 - a0, n1 - a1, n2 - a2, n3 - a3
        for j in range(2):
            k = begin + 4 * j
            t = np.float32(0.5) * np.float32(j)
            out[k] = row[k] * (a0 + t * d0)
            out[k + 1] = row[k + 1] * (a1 + (t + eighth) * d1)
            out[k + 2] = row[k + 2] * (a2 + (t + eighth * np.float32(2.0)) * d2)
            out[k + 3] = row[k + 3] * (a3 + (t + eighth * np.float32(3.0)) * d3)
    for j in range(whole, row.size):
        out[j] = row[j] * _entry(table, colors[j & turn], (x[j] * x[j] + yy) * per)


@_jit
def expose_mosaic(
    light: FloatArray, above: FloatArray, below: FloatArray, x: FloatArray, y: FloatArray,
    table: FloatArray, per: float, pattern: IntArray, first: int,
) -> None:  # fmt: skip
    """What samples of a mosaic (h, w) keep of their light and get of their neighbours', in place.

    The entries of ``table`` (2, 3, n) are for even steps 1 / ``per`` of the squared distance from
    the axis: what is kept, and what is given to the four neighbours. ``above`` and ``below`` are
    the rows about ``light``, whose first one is row ``first`` of the mosaic; ``y`` (h + 2,) is
    of all. Left and right of the mosaic lies a mirror.
    """
    quarter = np.float32(0.25)
    height, width = light.shape
    turn = pattern.shape[0] - 1
    given = np.empty((3, width), np.float32)
    kept = np.empty(width, np.float32)
    _weighed(above, x, y[0] * y[0], table[1], per, pattern[(first - 1) & turn], given[0])
    _weighed(light[0], x, y[1] * y[1], table[1], per, pattern[first & turn], given[1])
    for i in range(height):
        yy = y[i + 2] * y[i + 2]
        following = light[i + 1] if i + 1 < height else below
        up, here, down = given[i % 3], given[(i + 1) % 3], given[(i + 2) % 3]
        _weighed(following, x, yy, table[1], per, pattern[(first + i + 1) & turn], down)
        yy = y[i + 1] * y[i + 1]
        _weighed(light[i], x, yy, table[0], per, pattern[(first + i) & turn], kept)
        row = light[i]
        for j in range(1, width - 1):
            row[j] = kept[j] + quarter * (up[j] + down[j] + here[j - 1] + here[j + 1])
        row[0] = kept[0] + quarter * (up[0] + down[0] + here[1] + here[1])
        j = width - 1
        row[j] = kept[j] + quarter * (up[j] + down[j] + here[j - 1] + here[j - 1])


@_jit
def _spline_weights(t: float) -> tuple[float, float, float, float]:
    """Of a cubic B-spline's four points about a place t between the middle two."""
    sixth, s = 1.0 / 6.0, 1.0 - t
    return (
        sixth * s * s * s, sixth * (4.0 + t * t * (3.0 * t - 6.0)),
        sixth * (4.0 + s * s * (3.0 * s - 6.0)), sixth * t * t * t,
    )  # fmt: skip


@_jit
def _ramps(knots: FloatArray, apart: int, out: FloatArray) -> None:
    """Of ``knots`` (n, m), ``apart`` values each that lead to the next one, (n, apart (m - 1))."""
    per = np.float32(1.0) / np.float32(apart)
    for c in range(knots.shape[0]):
        values, line = knots[c], out[c]
        for n in range(values.size - 1):
            a, d = values[n], per * (values[n + 1] - values[n])
            at = apart * n
            if apart == 8:
                # one by one: a loop over them takes half as long again
                line[at], line[at + 1] = a, a + d
                line[at + 2], line[at + 3] = a + np.float32(2.0) * d, a + np.float32(3.0) * d
                line[at + 4], line[at + 5] = a + np.float32(4.0) * d, a + np.float32(5.0) * d
                line[at + 6], line[at + 7] = a + np.float32(6.0) * d, a + np.float32(7.0) * d
            else:
                for j in range(apart):
                    line[at + j] = a + np.float32(j) * d


@_jit
def _exposed_at(
    y: float, x0: float, step: float, table: FloatArray, per: float, veil: FloatArray, kept: float,
    out: FloatArray,
) -> None:  # fmt: skip
    """What `expose_color` multiplies light by and adds to it, (9, n), at columns of a row.

    ``veil`` (3, n) is what is there. First what red, green and blue keep, and then what they give.
    """
    half = np.float32(0.5)
    last = table.shape[2] - 2
    flat = table.reshape(6, -1)
    for n in range(out.shape[1]):
        x = x0 + step * n
        at = np.float32((x * x + y * y) * per)
        k = min(int(at), last)
        t = at - np.float32(k)
        for c in range(6):
            out[c, n] = flat[c, k] + t * (flat[c, k + 1] - flat[c, k])
        red, green, blue = veil[0, n], veil[1, n], veil[2, n]
        out[6, n] = red * out[0, n] + green * out[4, n]
        out[7, n] = green * out[1, n] + half * (red * out[3, n] + blue * out[5, n])
        out[8, n] = blue * out[2, n] + green * out[4, n]
        for c in range(6):
            out[c, n] *= np.float32(kept)


@_jit
def expose_color(
    light: FloatArray, x: FloatArray, y: FloatArray, table: FloatArray, per: float,
    veil: FloatArray, veil_x: DoubleArray, veil_y: DoubleArray, kept: float, first: int,
    out: FloatArray,
) -> None:  # fmt: skip
    """As `expose_mosaic` for ``light`` (h, w, 4) of `under_color`: as in even light on a Bayer one.

    Of ``kept`` times the light and the ``veil``, as of `lay_veil`. It goes into the rows of ``out``
    (3, m, w) from ``first`` on. Samples lie evenly; between every eighth row and column, or more
    where points of the veil lie close, the table's entries and the veil are interpolated.
    """
    half = np.float32(0.5)
    above, beside = veil.shape[1] - 1, veil.shape[2] - 1
    height, width = light.shape[0], light.shape[1]
    at_x = (veil_x[width - 1] - veil_x[0]) / (width - 1)
    at_y = (veil_y[height - 1] - veil_y[0]) / max(height - 1, 1)
    apart = 8
    while apart > 1 and apart * max(at_x, at_y) > _VEIL_APART:
        apart //= 2
    columns, bands = (width - 1) // apart + 2, (height - 1) // apart + 2
    step_x = (x[width - 1] - x[0]) / (width - 1)
    step_y = (y[height - 1] - y[0]) / max(height - 1, 1)
    # the veil's rows at the columns of the knots, and then at their rows
    top = math.floor(veil_y[0]) - 1
    rows = math.floor(veil_y[0] + at_y * (apart * (bands - 1))) + 3 - top
    lines = np.empty((rows, 3, columns), np.float32)
    for n in range(columns):
        at = veil_x[0] + at_x * (apart * n)
        k = math.floor(at)
        w0, w1, w2, w3 = _spline_weights(at - k)
        k0, k1 = min(max(k - 1, 0), beside), min(max(k, 0), beside)
        k2, k3 = min(max(k + 1, 0), beside), min(max(k + 2, 0), beside)
        for i in range(rows):
            for c in range(3):
                row = veil[c, min(max(top + i, 0), above)]
                lines[i, c, n] = w0 * row[k0] + w1 * row[k1] + w2 * row[k2] + w3 * row[k3]
    laid = np.empty((3, columns), np.float32)
    knots = np.empty((bands, 9, columns), np.float32)
    for band in range(bands):
        at = veil_y[0] + at_y * (apart * band)
        k = math.floor(at)
        w0, w1, w2, w3 = _spline_weights(at - k)
        k -= top
        for c in range(3):
            for n in range(columns):
                laid[c, n] = (
                    w0 * lines[k - 1, c, n] + w1 * lines[k, c, n] + w2 * lines[k + 1, c, n]
                    + w3 * lines[k + 2, c, n]
                )  # fmt: skip
        _exposed_at(
            y[0] + step_y * (apart * band), x[0], apart * step_x, table, per, laid, kept,
            knots[band],
        )  # fmt: skip
    values = np.empty((9, columns), np.float32)
    ramps = np.empty((9, apart * (columns - 1)), np.float32)
    r, g, b = np.empty(width, np.float32), np.empty(width, np.float32), np.empty(width, np.float32)
    for i in range(height):
        band = i // apart
        t = np.float32(i - apart * band) / np.float32(apart)
        for c in range(9):
            one, two, into = knots[band, c], knots[band + 1, c], values[c]
            for n in range(columns):
                into[n] = one[n] + t * (two[n] - one[n])
        _ramps(values, apart, ramps)
        line = light[i].reshape(-1)
        for j in range(width):
            r[j], g[j], b[j] = line[4 * j], line[4 * j + 1], line[4 * j + 2]
        # one plane at a time: loops over few arrays are vectorised
        own, more, target = ramps[0], ramps[6], out[0, first + i]
        given, also = ramps[4], ramps[5]
        for j in range(width):
            target[j] = r[j] * own[j] + g[j] * given[j] + more[j]
        own, more, target = ramps[2], ramps[8], out[2, first + i]
        for j in range(width):
            target[j] = b[j] * own[j] + g[j] * given[j] + more[j]
        own, more, target = ramps[1], ramps[7], out[1, first + i]
        given = ramps[3]
        for j in range(width):
            target[j] = g[j] * own[j] + half * (r[j] * given[j] + b[j] * also[j]) + more[j]
