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
    iris: DoubleArray,
    radius: float,
    blades: float,
    outline: DoubleArray,
    middle: DoubleArray,
    inner: float,
) -> float:
    """How far (x, y) lies within the open pupil, at most 1; negative outside.

    ``inner`` is less than the least radius of the outline by more than what counts as its rim.
    """
    a = x * _polynomial(iris[0], x * x, y)
    b = _polynomial(iris[1], x * x, y)
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
def open_area(
    box: DoubleArray,
    count: int,
    iris: DoubleArray,
    radius: float,
    blades: float,
    outline: DoubleArray,
    middle: DoubleArray,
    found: DoubleArray,
) -> float:
    """Area of what is open in ``box`` (x0, x1, y0, y1); ``found`` gets its own box."""
    x0, y0 = box[0], box[2]
    hx, hy = (box[1] - box[0]) / count, (box[3] - box[2]) / count
    h = math.sqrt(hx * hy)
    inner = outline.min() - h
    total = 0.0
    found[0], found[1], found[2], found[3] = box[1], box[0], box[3], box[2]
    for i in range(count):
        y = y0 + (i + 0.5) * hy
        for j in range(count):
            x = x0 + (j + 0.5) * hx
            part = _inside(x, y, iris, radius, blades, outline, middle, inner) / h + 0.5
            if part > 0.0:
                total += min(part, 1.0)
                found[0], found[1] = min(found[0], x), max(found[1], x)
                found[2], found[3] = min(found[2], y), max(found[3], y)
    found[0] -= hx
    found[1] += hx
    found[2] -= hy
    found[3] += hy
    return total * hx * hy


@_jit
def amplitude(
    origin: DoubleArray,
    spacing: float,
    turn: DoubleArray,
    iris: DoubleArray,
    radius: float,
    blades: float,
    outline: DoubleArray,
    middle: DoubleArray,
    out: FloatArray,
) -> float:
    """What is open, 0..1, at points ``spacing`` apart along the sensor's axes from ``origin`` on.

    ``turn`` is the unit vector outward from the axis in the sensor's axes. Returns the sum.
    """
    inner = outline.min() - spacing
    total = 0.0
    for i in range(out.shape[0]):
        v = origin[1] + i * spacing
        for j in range(out.shape[1]):
            u = origin[0] + j * spacing
            x = -u * turn[1] + v * turn[0]
            y = u * turn[0] + v * turn[1]
            part = _inside(x, y, iris, radius, blades, outline, middle, inner) / spacing + 0.5
            part = min(max(part, 0.0), 1.0)
            out[i, j] = np.float32(part)
            total += part
    return total


@_jit
def paths(
    origin: DoubleArray,
    spacing: float,
    turn: DoubleArray,
    opd: DoubleArray,
    bend: DoubleArray,
    opened: FloatArray,
    out: FloatArray,
) -> None:
    """Path differences in um at the open points of `amplitude`.

    ``out`` (n + 1, h, w): of each of the n tables ``opd``, then what 1 um of defocus adds.
    """
    last = opd.shape[0]
    for i in range(opened.shape[0]):
        v = origin[1] + i * spacing
        for j in range(opened.shape[1]):
            if opened[i, j] > np.float32(0.0):
                u = origin[0] + j * spacing
                x = -u * turn[1] + v * turn[0]
                y = u * turn[0] + v * turn[1]
                for n in range(last):
                    out[n, i, j] = np.float32(_polynomial(opd[n], x * x, y))
                out[last, i, j] = np.float32(_bent(x, y, bend))


@_jit
def wave(
    opened: FloatArray, path: FloatArray, bent: FloatArray, amount: float, per_um: float,
    out: ComplexArray,
) -> None:  # fmt: skip
    """The wave in the pupil with ``amount`` um of defocus; ``per_um`` is 2 pi over the wavelength.

    ``out`` may be larger; the rest is set to 0.
    """
    out[:] = np.complex64(0.0)
    for i in range(opened.shape[0]):
        for j in range(opened.shape[1]):
            part = opened[i, j]
            if part > np.float32(0.0):
                phase = per_um * (path[i, j] + amount * bent[i, j])
                out[i, j] = np.complex64(complex(part * math.cos(phase), part * math.sin(phase)))


@_jit
def transform(picture: ComplexArray, lags: DoubleArray, scale: float, out: ComplexArray) -> None:
    """Transform the power of ``picture`` (h, w) at some lags, (n, n // 2 + 1), times ``scale``.

    ``picture`` has its origin at [0, 0] and wraps round; ``lags`` (n,) are those of a transform
    with negative ones in its second half, not always whole. In one thread: a library's own would
    fight with those that call this.
    """
    height, width = picture.shape
    count = lags.size
    half = count // 2 + 1
    wave = np.empty((half, max(height, width), 2), np.float32)
    power = np.empty((height, width), np.float32)
    for y in range(height):
        for x in range(width):
            p = picture[y, x]
            power[y, x] = p.real * p.real + p.imag * p.imag
    for k in range(half):
        turn = 2.0 * math.pi * abs(lags[k]) / height
        for y in range(height):
            at = turn * (y if 2 * y < height else y - height)
            wave[k, y, 0], wave[k, y, 1] = math.cos(at), math.sin(at)
    # along columns: for lag -k the conjugate
    real, imag = np.zeros((half, width), np.float32), np.zeros((half, width), np.float32)
    for k in range(half):
        re, im = real[k], imag[k]
        for y in range(height):
            c, s, row = wave[k, y, 0], wave[k, y, 1], power[y]
            for x in range(width):
                re[x] += c * row[x]
                im[x] += s * row[x]
    cosine, sine = np.empty(width, np.float32), np.empty(width, np.float32)
    for m in range(half):
        turn = 2.0 * math.pi * abs(lags[m]) / width
        for x in range(width):
            at = turn * (x if 2 * x < width else x - width)
            cosine[x], sine[x] = math.cos(at), math.sin(at)
        for k in range(half):
            re, im = real[k], imag[k]
            a = b = c = d = np.float32(0.0)
            for x in range(width):
                a += re[x] * cosine[x]
                b += im[x] * sine[x]
                c += re[x] * sine[x]
                d += im[x] * cosine[x]
            # lags[half - 1] is the negative one where count is even
            plus = complex((a - b) * scale, (c + d) * scale)
            minus = complex((a + b) * scale, (c - d) * scale)
            if 2 * k == count:
                out[k, m] = np.complex64(plus if lags[k] > 0.0 else minus)
            else:
                out[k, m] = np.complex64(plus)
                if k > 0:
                    out[count - k, m] = np.complex64(minus)


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
def throw(
    box: DoubleArray,
    count: int,
    turn: DoubleArray,
    opd: DoubleArray,
    bend: DoubleArray,
    amount: float,
    iris: DoubleArray,
    radius: float,
    blades: float,
    outline: DoubleArray,
    middle: DoubleArray,
    step_um: float,
    out: FloatArray,
) -> None:
    """Throw ``count`` x ``count`` rays through ``box`` and add up where they land.

    ``opd`` (n, i, j) and ``out`` (n, m, m) are for n wavelengths; the latter has its origin at
    [0, 0] and wraps round, as transforms have it. Each adds up to 1.
    """
    size = out.shape[1]
    hx, hy = (box[1] - box[0]) / count, (box[3] - box[2]) / count
    h = math.sqrt(hx * hy)
    inner = outline.min() - h
    out[:] = np.float32(0.0)
    total = 0.0
    scale = -1.0 / (bend[3] * step_um)
    for i in range(count):
        y = box[2] + (i + 0.5) * hy
        for j in range(count):
            x = box[0] + (j + 0.5) * hx
            part = _inside(x, y, iris, radius, blades, outline, middle, inner) / h + 0.5
            if part <= 0.0:
                continue
            part = min(part, 1.0)
            total += part
            for n in range(out.shape[0]):
                across, along = _slope(x, y, opd[n], bend, amount)
                across *= scale
                along *= scale
                u = -across * turn[1] + along * turn[0]
                v = across * turn[0] + along * turn[1]
                fu, fv = math.floor(u), math.floor(v)
                ru, rv = u - fu, v - fv
                iu, iv = int(fu) % size, int(fv) % size
                ju, jv = iu + 1, iv + 1
                ju = 0 if ju == size else ju
                jv = 0 if jv == size else jv
                out[n, iv, iu] += np.float32(part * (1.0 - ru) * (1.0 - rv))
                out[n, iv, ju] += np.float32(part * ru * (1.0 - rv))
                out[n, jv, iu] += np.float32(part * (1.0 - ru) * rv)
                out[n, jv, ju] += np.float32(part * ru * rv)
    if total > 0.0:
        out *= np.float32(1.0 / total)


@_jit
def landing(
    box: DoubleArray,
    opd: DoubleArray,
    bend: DoubleArray,
    iris: DoubleArray,
    radius: float,
    blades: float,
    outline: DoubleArray,
    middle: DoubleArray,
) -> float:
    """How far rays land from their origin in focus, um: what nearly all of them keep to."""
    count = 24
    inner = outline.min()
    far = squares = rays = 0.0
    for i in range(count):
        y = box[2] + (i + 0.5) / count * (box[3] - box[2])
        for j in range(count):
            x = box[0] + (j + 0.5) / count * (box[1] - box[0])
            if _inside(x, y, iris, radius, blades, outline, middle, inner) >= 0.0:
                a, b = _slope(x, y, opd, bend, 0.0)
                squared = (a * a + b * b) / (bend[3] * bend[3])
                far = max(far, squared)
                squares += squared
                rays += 1.0
    return math.sqrt(min(far, 6.0 * squares / max(rays, 1.0)))


@_jit
def blur_rim(
    box: DoubleArray,
    bend: DoubleArray,
    iris: DoubleArray,
    radius: float,
    blades: float,
    outline: DoubleArray,
    middle: DoubleArray,
    out: FloatArray,
) -> None:
    """Where the rim of the pupil lands by 1 um of defocus, (n, 2): across and along."""
    none = np.zeros((1, 1))
    x0, y0 = 0.0, 0.5 * (box[2] + box[3])
    for k in range(out.shape[0]):
        turn = 2.0 * math.pi * k / out.shape[0]
        c, s = math.cos(turn), math.sin(turn)
        low, high = 0.0, 2.0
        for _ in range(16):
            at = 0.5 * (low + high)
            room = _inside(x0 + at * c, y0 + at * s, iris, radius, blades, outline, middle, 0.0)
            if room >= 0.0:
                low = at
            else:
                high = at
        a, b = _slope(x0 + low * c, y0 + low * s, none, bend, 1.0)
        out[k, 0], out[k, 1] = np.float32(-a / bend[3]), np.float32(-b / bend[3])


@_jit
def openness(
    box: DoubleArray,
    iris: DoubleArray,
    radius: float,
    blades: float,
    outline: DoubleArray,
    middle: DoubleArray,
    out: DoubleArray,
) -> None:
    """How much of each cell of ``box`` is open, 0..1, (rows along y, columns along x)."""
    rows, columns = out.shape
    hx, hy = (box[1] - box[0]) / columns, (box[3] - box[2]) / rows
    h = math.sqrt(hx * hy)
    inner = outline.min() - h
    for i in range(rows):
        y = box[2] + (i + 0.5) * hy
        for j in range(columns):
            x = box[0] + (j + 0.5) * hx
            part = _inside(x, y, iris, radius, blades, outline, middle, inner) / h + 0.5
            out[i, j] = min(max(part, 0.0), 1.0)
