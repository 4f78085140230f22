"""Kernels of the pupil: the wave in it, and where its rays land.

A pupil is described by arrays that every lens fills in (see `modoptic.optics.Pupil`): coordinates
are direction cosines over ``sine``, y outward from the axis, x across; the picture is upright.
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
ComplexArray = npt.NDArray[np.complex64]
Opening = tuple[DoubleArray, float, float, DoubleArray, DoubleArray]
"""Where a pupil is open: `PupilShape`'s iris, radius, blades, outline and middle."""


def _jit(function: Callable[..., Any]) -> Callable[..., Any]:
    return njit(nogil=True, cache=True, error_model="numpy", fastmath=True)(function)  # pyright: ignore


@_jit
def _polynomial(table: DoubleArray, u: float, y: float) -> float:
    """Sum of table[i, j] u^i y^j."""
    value = 0.0
    for i in range(table.shape[0] - 1, -1, -1):
        row = 0.0
        for j in range(table.shape[1] - 1, -1, -1):
            row = row * y + table[i, j]
        value = value * u + row
    return value


@_jit
def _bent(x: float, y: float, bend: DoubleArray) -> float:
    """Path that 1 um of defocus adds at (x, y); ``bend`` is (qx, qy, tilt, sine)."""
    qx, qy, tilt, sine = bend[0], bend[1], bend[2], bend[3]
    if qx > 0.0:
        return 0.5 * sine * sine * (qx * x * x + qy * y * y)
    c0 = math.sqrt(1.0 - tilt * tilt)
    a, b = sine * x, tilt + sine * y
    return c0 - math.sqrt(max(1.0 - a * a - b * b, 1e-6)) - tilt / c0 * sine * y


@_jit
def _inside(
    x: float,
    y: float,
    opening: Opening,
    inner: float,
) -> float:
    """How far (x, y) lies within the open pupil, at most 1; negative outside.

    ``inner`` is less than the least radius of the outline by more than what counts as its rim.
    """
    iris = opening[0]
    a = x * _polynomial(iris[0], x * x, y)
    b = _polynomial(iris[1], x * x, y)
    return _within(x, y, a, b, opening, inner)


@_jit
def _within(x: float, y: float, a: float, b: float, opening: Opening, inner: float) -> float:
    """As `_inside`, of a ray that meets the iris at (a, b)."""
    iris, radius, blades, outline, middle = opening
    rim = math.sqrt(a * a + b * b)
    ga, gb = a * iris[0, 0, 0], b * iris[1, 0, 1]
    slope = math.sqrt(ga * ga + gb * gb) / rim if rim > 1e-9 else 1.0
    if blades >= 3.0:
        sector = 2.0 * math.pi / blades
        angle = math.atan2(a, b)
        angle -= sector * math.floor(angle / sector + 0.5)
        # flats at the distance that keeps the area of the circle
        flat = radius * math.sqrt(0.5 * sector / math.tan(0.5 * sector))
        room = flat - rim * math.cos(angle)
    else:
        room = radius - rim
    room /= slope
    dx, dy = x - middle[0], y - middle[1]
    far = dx * dx + dy * dy
    # far outside of the iris, or clear of the rims
    if room < -0.2 or (inner > 0.0 and far < inner * inner):
        return min(room, 1.0)
    count = outline.size
    turn = math.atan2(dy, dx) / (2.0 * math.pi)
    turn = (turn - math.floor(turn)) * count
    k = int(turn) % count
    t = turn - math.floor(turn)
    edge = outline[k] + t * (outline[(k + 1) % count] - outline[k])
    return min(room, edge - math.sqrt(far))


@_jit
def open_box(
    box: DoubleArray,
    count: int,
    opening: Opening,
    found: DoubleArray,
) -> None:
    """The box of what is open in ``box`` (x0, x1, y0, y1), from ``count`` points along each axis.

    The half beyond x = 0 is a mirror image.
    """
    half = count // 2
    hx, hy = box[1] / half, (box[3] - box[2]) / count
    h = math.sqrt(hx * hy)
    inner = opening[3].min() - h
    found[0], found[1], found[2], found[3] = box[1], box[0], box[3], box[2]
    widest = -1
    for i in range(count):
        y = box[2] + (i + 0.5) * hy
        # an intersection of discs is open next to the axis where it is open at all
        if not _inside(0.5 * hx, y, opening, inner) / h > -0.5:
            continue
        found[2], found[3] = min(found[2], y), max(found[3], y)
        for j in range(half - 1, widest, -1):
            if _inside((j + 0.5) * hx, y, opening, inner) / h > -0.5:
                widest = j
                break
    if widest >= 0:
        found[1] = (widest + 0.5) * hx
    found[1] += hx
    found[0] = -found[1]
    found[2] -= hy
    found[3] += hy


@_jit
def open_area(
    box: DoubleArray,
    count: int,
    opening: Opening,
) -> float:
    """Area of what is open in ``box``: ``count`` lines across, each out to where it is closed."""
    total = 0.0
    inner = opening[3].min()
    for i in range(count):
        y = box[2] + (i + 0.5) / count * (box[3] - box[2])
        if _inside(0.0, y, opening, inner) < 0.0:
            continue
        low, high = 0.0, box[1]
        for _ in range(18):
            x = 0.5 * (low + high)
            if _inside(x, y, opening, inner) >= 0.0:
                low = x
            else:
                high = x
        total += low + high
    return total * (box[3] - box[2]) / count


@_jit
def amplitude(
    y0: float,
    spacing: float,
    opening: Opening,
    out: FloatArray,
) -> float:
    """What is open, 0..1, at points ``spacing`` apart, [x, y] from (0, y0) on.

    Returns the sum over both halves of the pupil.
    """
    inner = opening[3].min() - spacing
    iris = opening[0]
    terms, powers = iris.shape[1], iris.shape[2]
    row = np.empty((2, powers))
    total = 0.0
    for j in range(out.shape[0]):
        x = j * spacing
        # polynomials of y alone
        for n in range(2):
            for p in range(powers):
                value = 0.0
                for q in range(terms - 1, -1, -1):
                    value = value * (x * x) + iris[n, q, p]
                row[n, p] = value
        line = 0.0
        for i in range(out.shape[1]):
            y = y0 + i * spacing
            a = b = 0.0
            for p in range(powers - 1, -1, -1):
                a, b = a * y + row[0, p], b * y + row[1, p]
            part = _within(x, y, x * a, b, opening, inner) / spacing + 0.5
            part = min(max(part, 0.0), 1.0)
            out[j, i] = np.float32(part)
            line += part
        total += 2.0 * line if j else line
    return total


@_jit
def paths(y0: float, spacing: float, opd: DoubleArray, bend: DoubleArray, out: FloatArray) -> None:
    """Path differences in um at the points of `amplitude`.

    ``out`` (n + 1, w, h): of each of the n tables ``opd``, then what 1 um of defocus adds.
    """
    count, terms, powers = opd.shape
    row = np.empty(powers)
    for j in range(out.shape[1]):
        x = j * spacing
        for n in range(count):
            for p in range(powers):
                value = 0.0
                for q in range(terms - 1, -1, -1):
                    value = value * (x * x) + opd[n, q, p]
                row[p] = value
            line = out[n, j]
            for i in range(line.size):
                y = y0 + i * spacing
                value = 0.0
                for p in range(powers - 1, -1, -1):
                    value = value * y + row[p]
                line[i] = np.float32(value)
        for i in range(out.shape[2]):
            out[count, j, i] = np.float32(_bent(x, y0 + i * spacing, bend))


@_jit
def wave(
    opened: FloatArray, path: FloatArray, bent: FloatArray, amount: float, per_um: float,
    out: ComplexArray,
) -> None:  # fmt: skip
    """The wave in the pupil with ``amount`` um of defocus; ``per_um`` is 1 over the wavelength.

    ``out`` may have more columns; the rest is set to 0.
    """
    height = opened.shape[1]
    a, b = np.float32(per_um), np.float32(per_um * amount)
    half = np.float32(0.5)
    c1, c2, c3 = np.float32(-0.5), np.float32(1.0 / 24.0), np.float32(-1.0 / 720.0)
    c4, c5, c6 = (
        np.float32(1.0 / 40320.0),
        np.float32(-1.0 / 3628800.0),
        np.float32(1.0 / 479001600.0),
    )
    s1, s2, s3 = np.float32(-1.0 / 6.0), np.float32(1.0 / 120.0), np.float32(-1.0 / 5040.0)
    s4, s5 = np.float32(1.0 / 362880.0), np.float32(-1.0 / 39916800.0)
    one, turn = np.float32(1.0), np.float32(math.pi)
    cosine, sine = np.empty(height, np.float32), np.empty(height, np.float32)
    for j in range(opened.shape[0]):
        part, p, q = opened[j], path[j], bent[j]
        for i in range(height):
            # half the angle within half a turn: the series converge, and doubling it is exact
            t = a * p[i] + b * q[i]
            x = (t - np.floor(t + half)) * turn
            u = x * x
            c = one + u * (c1 + u * (c2 + u * (c3 + u * (c4 + u * (c5 + u * c6)))))
            s = x * (one + u * (s1 + u * (s2 + u * (s3 + u * (s4 + u * s5)))))
            cosine[i] = part[i] * (c * c - s * s)
            sine[i] = part[i] * (np.float32(2.0) * s * c)
        for i in range(height):
            out[j, i] = complex(cosine[i], sine[i])
        for i in range(height, out.shape[1]):
            out[j, i] = np.complex64(0.0)


@_jit
def _multiples(angle: float, width: int, count: int) -> tuple[FloatArray, FloatArray]:
    """Cosine and sine of ``angle`` times row times column, (count, width) each."""
    step_c, step_s = np.empty(width), np.empty(width)
    c, s = np.ones(width), np.zeros(width)
    for x in range(width):
        step_c[x], step_s[x] = math.cos(angle * x), math.sin(angle * x)
    cosines = np.empty((count, width), np.float32)
    sines = np.empty((count, width), np.float32)
    for m in range(count):
        for x in range(width):
            cosines[m, x], sines[m, x] = np.float32(c[x]), np.float32(s[x])
            turned = c[x] * step_c[x] - s[x] * step_s[x]
            s[x] = s[x] * step_c[x] + c[x] * step_s[x]
            c[x] = turned
    return cosines, sines


@_jit
def _across(picture: ComplexArray, cosines: FloatArray, out: FloatArray) -> None:
    """Add rows of ``cosines`` (m, n) times the power of ``picture`` (w, h) to ``out`` (m, h).

    The power of all rows but the first and last counts twice. m and n are multiples of 4; entries
    of rows beyond w do not count.
    """
    width, height = picture.shape
    power = np.empty((4, height), np.float32)
    for x in range(0, width, 4):
        power[:] = np.float32(0.0)
        for k in range(min(4, width - x)):
            share = np.float32(1.0 if x + k == 0 or x + k == width - 1 else 2.0)
            into, line = power[k], picture[x + k]
            for y in range(height):
                p = line[y]
                into[y] = share * (p.real * p.real + p.imag * p.imag)
        p0, p1, p2, p3 = power[0], power[1], power[2], power[3]
        for m in range(0, out.shape[0], 4):
            a, b, c, d = cosines[m], cosines[m + 1], cosines[m + 2], cosines[m + 3]
            a0, a1, a2, a3 = a[x], a[x + 1], a[x + 2], a[x + 3]
            b0, b1, b2, b3 = b[x], b[x + 1], b[x + 2], b[x + 3]
            c0, c1, c2, c3 = c[x], c[x + 1], c[x + 2], c[x + 3]
            d0, d1, d2, d3 = d[x], d[x + 1], d[x + 2], d[x + 3]
            one, two, three, four = out[m], out[m + 1], out[m + 2], out[m + 3]
            for y in range(height):
                v0, v1, v2, v3 = p0[y], p1[y], p2[y], p3[y]
                one[y] += a0 * v0 + a1 * v1 + a2 * v2 + a3 * v3
                two[y] += b0 * v0 + b1 * v1 + b2 * v2 + b3 * v3
                three[y] += c0 * v0 + c1 * v1 + c2 * v2 + c3 * v3
                four[y] += d0 * v0 + d1 * v1 + d2 * v2 + d3 * v3


@_jit
def _products(
    even: FloatArray, odd: FloatArray, cosines: FloatArray, sines: FloatArray, scale: float,
    out: ComplexArray,
) -> None:  # fmt: skip
    """``out[k, m]``: row m of ``even`` and ``odd`` with row k of ``cosines`` and ``sines``."""
    count, size = out.shape[0], even.shape[1]
    for k in range(0, count, 2):
        j = min(k + 1, count - 1)
        c0, c1, s0, s1 = cosines[k], cosines[j], sines[k], sines[j]
        for m in range(0, count, 2):
            n = min(m + 1, count - 1)
            e0, e1, o0, o1 = even[m], even[n], odd[m], odd[n]
            a00 = a01 = a10 = a11 = np.float32(0.0)
            b00 = b01 = b10 = b11 = np.float32(0.0)
            for y in range(size):
                a00 += e0[y] * c0[y]
                a01 += e1[y] * c0[y]
                a10 += e0[y] * c1[y]
                a11 += e1[y] * c1[y]
                b00 += o0[y] * s0[y]
                b01 += o1[y] * s0[y]
                b10 += o0[y] * s1[y]
                b11 += o1[y] * s1[y]
            out[k, m] = np.complex64(complex(a00 * scale, b00 * scale))
            out[k, n] = np.complex64(complex(a01 * scale, b01 * scale))
            out[j, m] = np.complex64(complex(a10 * scale, b10 * scale))
            out[j, n] = np.complex64(complex(a11 * scale, b11 * scale))


@_jit
def autocorrelation(picture: ComplexArray, lag: float, scale: float, out: ComplexArray) -> None:
    """Of a pupil from its transform ``picture`` (w, h), at the lags 0, 1, .. n - 1 times ``lag``.

    ``picture`` has the half of x at and above 0, of an even function of period 2 (w - 1); y wraps
    round. ``out`` (n, n) is [y, x]. In one thread: a library's own would fight with those that
    call this.
    """
    width, height = picture.shape
    count = out.shape[0]
    fours, wide = (count + 3) // 4 * 4, (width + 3) // 4 * 4
    across = np.zeros((fours, height), np.float32)
    _across(picture, _multiples(math.pi * lag / (width - 1), wide, fours)[0], across)
    # the even and the odd part of each line meet cosines and sines only
    middle = height // 2
    even, odd = np.zeros((count, middle + 1), np.float32), np.zeros((count, middle + 1), np.float32)
    for m in range(count):
        line, e, o = across[m], even[m], odd[m]
        e[0] = line[0]
        e[middle] = line[middle]
        for y in range(1, (height + 1) // 2):
            e[y] = line[y] + line[height - y]
            o[y] = line[y] - line[height - y]
    cosines, sines = _multiples(2.0 * math.pi * lag / height, middle + 1, count)
    _products(even, odd, cosines, sines, scale, out)


@_jit
def _slope(
    x: float, y: float, opd: DoubleArray, bend: DoubleArray, amount: float
) -> tuple[float, float]:  # fmt: skip
    """Derivatives of the path by x and y with ``amount`` um of defocus."""
    u = x * x
    by_u = by_y = 0.0
    power = 1.0
    for i in range(opd.shape[0]):
        row = row_y = 0.0
        for j in range(opd.shape[1] - 1, -1, -1):
            row_y = row_y * y + row
            row = row * y + opd[i, j]
        by_y += power * row_y
        if i + 1 < opd.shape[0]:
            row = 0.0
            for j in range(opd.shape[1] - 1, -1, -1):
                row = row * y + opd[i + 1, j]
            by_u += (i + 1) * power * row
        power *= u
    qx, qy, tilt, sine = bend[0], bend[1], bend[2], bend[3]
    if qx > 0.0:
        return 2.0 * x * by_u + amount * sine * sine * qx * x, by_y + amount * sine**2 * qy * y
    c0 = math.sqrt(1.0 - tilt * tilt)
    a, b = sine * x, tilt + sine * y
    c = math.sqrt(max(1.0 - a * a - b * b, 1e-6))
    return 2.0 * x * by_u + amount * sine * a / c, by_y + amount * sine * (b / c - tilt / c0)


@_jit
def fly(
    box: DoubleArray,
    opd: DoubleArray,
    bend: DoubleArray,
    opening: Opening,
    parts: FloatArray,
    out: FloatArray,
) -> int:
    """Where rays through the half of ``box`` at x > 0 land, in um.

    ``parts`` (m,) gets the share of each ray, which add up to 1, ``out`` (n + 1, 2, m) where it
    lands, across and outward: for each of n tables ``opd`` in focus, then what 1 um of defocus
    adds. m is 2 k^2. Returns how many rays pass.
    """
    count = int(math.sqrt(parts.size / 2.0) + 0.5)
    none = np.zeros((1, 1))
    terms, powers = opd.shape[1], opd.shape[2]
    # of a row: each path is a polynomial of x squared, and so is its derivative by y
    row, row_y = np.empty((opd.shape[0], terms)), np.empty((opd.shape[0], terms))
    hx, hy = box[1] / count, (box[3] - box[2]) / (2 * count)
    h = math.sqrt(hx * hy)
    inner = opening[3].min() - h
    last = opd.shape[0]
    total = 0.0
    passed = 0
    scale = -1.0 / bend[3]
    for i in range(2 * count):
        y = box[2] + (i + 0.5) * hy
        for n in range(last):
            for k in range(terms):
                value = slope = 0.0
                for p in range(powers - 1, -1, -1):
                    slope = slope * y + value
                    value = value * y + opd[n, k, p]
                row[n, k], row_y[n, k] = value, slope
        for j in range(count):
            x = (j + 0.5) * hx
            part = _inside(x, y, opening, inner) / h + 0.5
            if part <= 0.0:
                continue
            part = min(part, 1.0)
            total += part
            parts[passed] = np.float32(part)
            u = x * x
            for n in range(last):
                by_u = by_y = 0.0
                for k in range(terms - 1, -1, -1):
                    by_u = by_u * u + k * row[n, k] if k else by_u
                    by_y = by_y * u + row_y[n, k]
                out[n, 0, passed] = np.float32(scale * 2.0 * x * by_u)
                out[n, 1, passed] = np.float32(scale * by_y)
            a, b = _slope(x, y, none, bend, 1.0)
            out[last, 0, passed], out[last, 1, passed] = (
                np.float32(scale * a),
                np.float32(scale * b),
            )
            passed += 1
    if total > 0.0:
        parts[:passed] *= np.float32(1.0 / total)
    return passed


@_jit
def land(
    parts: FloatArray, at: FloatArray, more: FloatArray, amount: float, step_um: float,
    gains: FloatArray, out: FloatArray,
) -> None:  # fmt: skip
    """Add up where rays of `fly` land, ``at`` (2, m) with ``amount`` times ``more``.

    Each is shared between its neighbours, after it was multiplied by the entries of ``gains`` for
    its distance along both axes, which are even from 0 to half of the period. ``out`` (w, h) is
    [across, outward], points ``step_um`` apart: the half at and above 0 across, as an even
    function; outward it wraps round.
    """
    width, height = out.shape
    out[:] = np.float32(0.0)
    per_um = 1.0 / step_um
    last = gains.size - 1
    known = 2.0 * last / height
    for n in range(parts.size):
        u = abs(at[0, n] + amount * more[0, n]) * per_um
        v = (at[1, n] + amount * more[1, n]) * per_um
        part = parts[n] * gains[min(int(u * known + 0.5), last)]
        part *= gains[min(int(abs(v) * known + 0.5), last)]
        fu, fv = math.floor(u), math.floor(v)
        iu = int(fu)
        if iu + 1 >= width:
            continue
        ru, rv = u - fu, v - fv
        iv = int(fv) % height
        jv = 0 if iv + 1 == height else iv + 1
        low = 0.5 * part * (1.0 - ru) if iu else part * (1.0 - ru)
        high = 0.5 * part * ru
        out[iu, iv] += np.float32(low * (1.0 - rv))
        out[iu, jv] += np.float32(low * rv)
        out[iu + 1, iv] += np.float32(high * (1.0 - rv))
        out[iu + 1, jv] += np.float32(high * rv)


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
def unshare(rays: ComplexArray, period: float, out: ComplexArray) -> None:
    """The transform [across, outward] of `land`, shares undone, as (n, n) [outward, across]."""
    count = out.shape[0]
    share = np.ones(count, np.float32)
    for k in range(1, count):
        at = math.pi * k / period
        share[k] = (at / math.sin(at)) ** 2
    for i in range(count):
        for j in range(count):
            out[i, j] = np.complex64(share[i] * share[j] * rays[j, i])


@_jit
def weigh(waves: ComplexArray, weights: FloatArray, part: float, out: FloatArray) -> None:
    """Add ``part`` of the transfer functions (n, m, m), weighted (3, n), to what `turned` takes.

    Not by matrices: a library's threads for those would fight with the ones that call this.
    """
    for k in range(waves.shape[0]):
        for c in range(3):
            w = np.float32(part) * weights[c, k]
            for i in range(waves.shape[1]):
                for j in range(waves.shape[2]):
                    out[i + 1, j + 1, 2 * c] += w * waves[k, i, j].real
                    out[i + 1, j + 1, 2 * c + 1] += w * waves[k, i, j].imag


@_jit
def turned(
    near: FloatArray, far: FloatArray, part: float, ratio: float, x: float, y: float,
    cutoff: DoubleArray, out: ComplexArray,
) -> None:  # fmt: skip
    """Transfer functions along the sensor's axes from two along the radius.

    ``near`` and ``far`` (m, m, 8) [outward + 1, across + 1] hold real and imaginary parts of three
    channels side by side; their frequencies are 1 / ``ratio`` of those of ``out``, (3, n,
    n // 2 + 1), rows as a transform has them. ``part`` of the second is mixed in; (x, y) is the
    unit vector outward in the sensor's axes.

    Where ``cutoff`` is not 0, the frequencies of ``out``, across and outward, at which the
    diffraction of an elliptical pupil ends, that is put on what rays make. With defocus alone the
    wave's transfer function is the rays' over the part of the pupil that overlaps itself shifted,
    which is narrower by frequency over cutoff (Stokseth, J. Opt. Soc. Am. 59, 1314, 1969): so the
    rays' is taken at a frequency lower by that.
    """
    size = out.shape[1]
    mixed = np.empty_like(near)
    one, two = near.reshape(-1), far.reshape(-1)
    both = mixed.reshape(-1)
    p = np.float32(part)
    for k in range(one.size):
        both[k] = one[k] + p * (two[k] - one[k])
    diffracted = cutoff[0] > 0.0
    per_u, per_v = 1.0 / max(cutoff[0], 1e-9), 1.0 / max(cutoff[1], 1e-9)
    for i in range(size):
        fy = float(i if 2 * i < size else i - size)
        for j in range(size // 2 + 1):
            v, u = j * x + fy * y, fy * x - j * y
            scale, soft = ratio, 1.0
            if diffracted:
                s = math.sqrt((u * per_u) ** 2 + (v * per_v) ** 2)
                if s >= 1.0:
                    out[:, i, j] = np.complex64(0.0)
                    continue
                scale *= 1.0 - s
                soft = 2.0 / math.pi * (math.acos(s) - s * math.sqrt(1.0 - s * s))
            v, u = v * scale, abs(u) * scale
            sign = np.float32(1.0 if v >= 0.0 else -1.0)
            v = abs(v)
            iv, iu = int(v), int(u)
            wv, wu = _cubic(np.float32(v - iv)), _cubic(np.float32(u - iu))
            # one by one: sums in an array would be written and read again for each term
            r0 = i0 = r1 = i1 = r2 = i2 = np.float32(0.0)
            for a in range(4):
                for b in range(4):
                    w = wv[a] * wu[b]
                    line = mixed[iv + a, iu + b]
                    r0 += w * line[0]
                    i0 += w * line[1]
                    r1 += w * line[2]
                    i1 += w * line[3]
                    r2 += w * line[4]
                    i2 += w * line[5]
            turn = soft * sign
            out[0, i, j] = np.complex64(complex(soft * r0, turn * i0))
            out[1, i, j] = np.complex64(complex(soft * r1, turn * i1))
            out[2, i, j] = np.complex64(complex(soft * r2, turn * i2))


@_jit
def gathered(
    lens: ComplexArray, common: FloatArray, down: ComplexArray, right: ComplexArray,
    out: ComplexArray,
) -> None:  # fmt: skip
    """The conjugate of ``lens`` (n, n // 2 + 1), times what is common and two shifts (n,)."""
    for i in range(out.shape[0]):
        a = down[i]
        for j in range(out.shape[1]):
            value, b = lens[i, j], right[j]
            c = a.real * b.real - a.imag * b.imag
            s = a.real * b.imag + a.imag * b.real
            w = common[i, j]
            out[i, j] = np.complex64(complex(
                w * (value.real * c + value.imag * s), w * (value.real * s - value.imag * c)
            ))  # fmt: skip


@_jit
def landing(
    box: DoubleArray,
    opd: DoubleArray,
    bend: DoubleArray,
    opening: Opening,
) -> float:
    """How far rays land from their origin in focus, um: what nearly all of them keep to."""
    count = 24
    inner = opening[3].min()
    far = squares = rays = 0.0
    for i in range(count):
        y = box[2] + (i + 0.5) / count * (box[3] - box[2])
        for j in range(count):
            x = box[0] + (j + 0.5) / count * (box[1] - box[0])
            if _inside(x, y, opening, inner) >= 0.0:
                a, b = _slope(x, y, opd, bend, 0.0)
                squared = (a * a + b * b) / (bend[3] * bend[3])
                far = max(far, squared)
                squares += squared
                rays += 1.0
    return math.sqrt(min(far, 6.0 * squares / max(rays, 1.0)))


@_jit
def landing_middle(
    box: DoubleArray,
    opd: DoubleArray,
    bend: DoubleArray,
    opening: Opening,
) -> tuple[float, float]:
    """How far outward from their origin rays land on the mean, um: in focus, by 1 um of defocus."""
    count = 14
    hx, hy = box[1] / count, (box[3] - box[2]) / (2 * count)
    h = math.sqrt(hx * hy)
    inner = opening[3].min() - h
    none = np.zeros((1, 1))
    sharp = more = weight = 0.0
    for i in range(2 * count):
        y = box[2] + (i + 0.5) * hy
        for j in range(count):
            x = (j + 0.5) * hx
            part = min(_inside(x, y, opening, inner) / h + 0.5, 1.0)
            if part > 0.0:
                sharp -= part * _slope(x, y, opd, bend, 0.0)[1]
                more -= part * _slope(x, y, none, bend, 1.0)[1]
                weight += part
    return sharp / (weight * bend[3]), more / (weight * bend[3])


@_jit
def blur_rim(
    box: DoubleArray,
    bend: DoubleArray,
    opening: Opening,
    out: FloatArray,
) -> None:
    """Where the rim of the pupil lands by 1 um of defocus, (n, 2): across and along."""
    none = np.zeros((1, 1))
    inner = opening[3].min()
    x0, y0 = 0.0, 0.5 * (box[2] + box[3])
    for k in range(out.shape[0]):
        turn = 2.0 * math.pi * k / out.shape[0]
        c, s = math.cos(turn), math.sin(turn)
        low, high = 0.0, 2.0
        for _ in range(16):
            at = 0.5 * (low + high)
            room = _inside(x0 + at * c, y0 + at * s, opening, inner)
            if room >= 0.0:
                low = at
            else:
                high = at
        a, b = _slope(x0 + low * c, y0 + low * s, none, bend, 1.0)
        out[k, 0], out[k, 1] = np.float32(-a / bend[3]), np.float32(-b / bend[3])


@_jit
def openness(
    box: DoubleArray,
    opening: Opening,
    out: DoubleArray,
) -> None:
    """How much of each cell of ``box`` is open, 0..1, (rows along y, columns along x)."""
    rows, columns = out.shape
    hx, hy = (box[1] - box[0]) / columns, (box[3] - box[2]) / rows
    h = math.sqrt(hx * hy)
    inner = opening[3].min() - h
    for i in range(rows):
        y = box[2] + (i + 0.5) * hy
        for j in range(columns):
            x = box[0] + (j + 0.5) * hx
            part = _inside(x, y, opening, inner) / h + 0.5
            out[i, j] = min(max(part, 0.0), 1.0)
