"""Kernels that evaluate what is in front of the lens, filtered to the footprint of one sample.

A procedural surface is a *kind* (a number below) with parameters and a list of items. Detail whose
period nears the footprint fades into its mean, so that nothing aliases at any scale. Lengths are
metres, y grows downward. Kernels and all that they call lie in this file: the cache of Numba does
not notice a change elsewhere.
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
Rgba = tuple[float, float, float, float]

_COS5, _SIN5 = math.cos(math.radians(5.0)), math.sin(math.radians(5.0))

RECT, WALL, TABLE, CARD, BOOKS, MUG, FRUIT, LEAVES, BOTTLE, SHADE, CHART, POT = range(12)
EDGES, STAR, ZONES, STEPS, NOISE, POINTS, GRID, DEAD_LEAVES = range(12, 20)
TRAIN = 20


def _jit(function: Callable[..., Any]) -> Callable[..., Any]:
    # nothing here makes arrays; to count who holds those handed on would take a third of the time
    return njit(nogil=True, cache=True, error_model="numpy", fastmath=True, _nrt=False)(function)  # pyright: ignore


@_jit
def _clip(x: float) -> float:
    return min(max(x, 0.0), 1.0)


@_jit
def _inside(x: float, fp: float) -> float:
    """Share of a footprint centred at signed distance x that lies on the positive side."""
    return min(max(x / fp + 0.5, 0.0), 1.0)


@_jit
def _box(x: float, a: float, b: float, fp: float) -> float:
    """Share of the footprint around x that lies in a..b."""
    return max(min(x + 0.5 * fp, b) - max(x - 0.5 * fp, a), 0.0) / fp


@_jit
def _stripe_sum(x: float, duty: float) -> float:
    whole = math.floor(x)
    return whole * duty + min(x - whole, duty)


@_jit
def _stripes(x: float, period: float, duty: float, fp: float) -> float:
    """Square wave that is 1 for the first ``duty`` of each period, averaged over the footprint."""
    a = (x - 0.5 * fp) / period
    b = (x + 0.5 * fp) / period
    return (_stripe_sum(b, duty) - _stripe_sum(a, duty)) / (b - a)


@_jit
def _hash(ix: int, iy: int) -> float:
    h = (ix * 374761393 + iy * 668265263) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 1274126177) & 0xFFFFFFFF
    return ((h ^ (h >> 16)) & 0xFFFF) / 65535.0


@_jit
def _noise(x: float, y: float) -> float:
    """Value noise in 0..1, one value a unit cell, smooth between."""
    fx, fy = math.floor(x), math.floor(y)
    ix, iy = int(fx), int(fy)
    tx, ty = x - fx, y - fy
    tx = tx * tx * (3.0 - 2.0 * tx)
    ty = ty * ty * (3.0 - 2.0 * ty)
    a, b = _hash(ix, iy), _hash(ix + 1, iy)
    c, d = _hash(ix, iy + 1), _hash(ix + 1, iy + 1)
    top = a + (b - a) * tx
    return top + (c + (d - c) * tx - top) * ty


_PORE_MEAN, _FLECK_MEAN = 0.0081, 0.0121
"""Of pores in wood and of flecks in a glaze, as `_noise` makes them: over 400 000 places."""
_GRAIN_VARIANCE = 0.046
"""Of `_noise`."""


@_jit
def _kept(fp: float) -> float:
    """Of noise in a place, what tells most of its mean over a footprint of so many cells.

    The slope of that mean against the noise in its middle, along one axis: 0.967, 0.880, 0.761,
    0.639 and 0.449 of footprints of 0.5, 1, 1.5, 2 and 3 cells (over 200 000 cells). From two on
    the noise is dropped little by little, as most of the mean is not told by its middle any more.
    """
    return min(max(3.0 - fp, 0.0), 1.0) / (1.0 + 0.13 * fp * fp)


@_jit
def _wave_kept(half: float) -> float:
    """Of a sine, what its mean over a footprint is of its middle; ``half`` the footprint's angle.

    sin x / x up to its first zero, within 0.003, and 0 beyond.
    """
    if abs(half) >= math.pi:
        return 0.0
    q = half * half
    return 1.0 - q / 6.0 * (1.0 - q / 20.0 * (1.0 - q / 42.0 * (1.0 - q / 72.0)))


@_jit
def _stays(fpx: float, fpy: float) -> float:
    """Share of what noise makes where it exceeds a limit, in footprints of so many of its cells."""
    return min(max(2.0 - 2.0 * max(fpx, fpy), 0.0), 1.0)


@_jit
def _grain(x: float, y: float, fx: float, fy: float, fpx: float, fpy: float) -> float:
    """Noise -0.5..0.5 at frequencies fx, fy, as its mean over the footprint."""
    weight = _kept(fpx * fx) * _kept(fpy * fy)
    if weight == 0.0:
        return 0.0
    return weight * (_noise(x * fx, y * fy) - 0.5)


@_jit
def _texel(
    atlas: npt.NDArray[np.uint8], levels: npt.NDArray[np.int64], k: int, x: float, y: float
) -> float:
    scale = 1.0 / (1 << k)
    x = x * scale - 0.5
    y = y * scale - 0.5
    start, h, w = levels[k, 0], levels[k, 1], levels[k, 2]
    fx, fy = math.floor(x), math.floor(y)
    ix, iy = int(fx), int(fy)
    if ix < 0 or iy < 0 or ix >= w - 1 or iy >= h - 1:
        return 0.0
    tx, ty = x - fx, y - fy
    at = start + iy * w + ix
    a, b = float(atlas[at]), float(atlas[at + 1])
    c, d = float(atlas[at + w]), float(atlas[at + w + 1])
    top = a + (b - a) * tx
    low = c + (d - c) * tx
    return (top + (low - top) * ty) / 255.0


@_jit
def _print(
    atlas: npt.NDArray[np.uint8],
    levels: npt.NDArray[np.int64],
    u: float,
    v: float,
    items: FloatArray,
    n: int,
    fp: float,
) -> float:
    """Ink coverage 0..1 of a text; item n: left, top, width in m, its place in the atlas."""
    scale = items[n, 5] / items[n, 2]
    x = (u - items[n, 0]) * scale
    y = (v - items[n, 1]) * scale
    if x < 0.0 or y < 0.0 or x >= items[n, 5] or y >= items[n, 6]:
        return 0.0
    size = max(fp * scale, 1.0)
    level = math.log2(size)
    k = min(int(level), levels.shape[0] - 2)
    part = min(level - k, 1.0)
    a = _texel(atlas, levels, k, x + items[n, 3], y + items[n, 4])
    if part < 0.02:
        return a
    return a + (_texel(atlas, levels, k + 1, x + items[n, 3], y + items[n, 4]) - a) * part


@_jit
def _wall(u: float, v: float, fp: float) -> Rgba:
    tone = 1.0 + 0.35 * _grain(u, v, 3.0, 3.0, fp, fp) + 0.12 * _grain(u, v, 40.0, 40.0, fp, fp)
    tone *= 1.0 + 0.25 * _grain(u, v, 700.0, 700.0, fp, fp)
    r, g, b = 0.040 * tone, 0.066 * tone, 0.070 * tone
    # panelling below, a lighter rail between
    low = _inside(v - 0.05, fp)
    r, g, b = r * (1 - 0.35 * low), g * (1 - 0.35 * low), b * (1 - 0.35 * low)
    # shelves with books, left
    inside = _box(u, -4.3, -0.72, fp) * _box(v, -1.75, -0.22, fp)
    if inside > 0.0:
        row = math.floor((v + 1.75) / 0.51)
        in_row = v + 1.75 - row * 0.51
        column = math.floor(u / 0.047 + 0.6 * row)
        seed = _hash(int(column), int(row) + 7)
        height = 0.27 + 0.14 * _hash(int(column) + 3, int(row) + 11)
        gap = 1.0 if _hash(int(column) // 4, int(row) + 5) > 0.24 else 0.0
        on = _inside(in_row - (0.47 - height), fp) * gap
        edge = _stripes(u / 0.047 + 0.6 * row, 1.0, 0.93, fp / 0.047)
        sr, sg, sb = 0.018, 0.013, 0.010
        hue = _hash(int(column) + 19, int(row) + 23)
        if hue < 0.34:
            cr, cg, cb = 0.19, 0.045, 0.028
        elif hue < 0.6:
            cr, cg, cb = 0.16, 0.105, 0.045
        elif hue < 0.82:
            cr, cg, cb = 0.03, 0.07, 0.09
        else:
            cr, cg, cb = 0.21, 0.19, 0.15
        dim = (0.35 + 0.65 * seed) * edge
        sr += (cr * dim - sr) * on
        sg += (cg * dim - sg) * on
        sb += (cb * dim - sb) * on
        board = 1.0 - _inside(0.47 - in_row, fp)
        sr += (0.075 - sr) * board
        sg += (0.040 - sg) * board
        sb += (0.020 - sb) * board
        r += (sr - r) * inside
        g += (sg - g) * inside
        b += (sb - b) * inside
    # two framed prints, right
    for i in range(2):
        cx = 0.62 + 0.78 * i
        cy = -0.98 + 0.10 * i
        hw = 0.26 - 0.03 * i
        hh = 0.34 - 0.05 * i
        frame = _box(u, cx - hw, cx + hw, fp) * _box(v, cy - hh, cy + hh, fp)
        if frame > 0.0:
            paper = _box(u, cx - hw + 0.03, cx + hw - 0.03, fp) * _box(
                v, cy - hh + 0.03, cy + hh - 0.03, fp
            )
            art = _box(u, cx - hw + 0.09, cx + hw - 0.09, fp) * _box(
                v, cy - hh + 0.09, cy + hh - 0.09, fp
            )
            hill = _inside(v - cy - 0.06 - 0.05 * math.sin(7.0 * u + 2.0 * i), fp)
            fr = 0.030 + (0.26 - 0.030) * paper
            fg = 0.020 + (0.25 - 0.020) * paper
            fb = 0.014 + (0.21 - 0.014) * paper
            fr += (0.22 - 0.12 * hill - fr) * art
            fg += (0.13 - 0.05 * hill - fg) * art
            fb += (0.08 + 0.02 * hill - fb) * art
            r += (fr - r) * frame
            g += (fg - g) * frame
            b += (fb - b) * frame
    # pools of light: the table lamp on the right, dusk from the left
    d2 = (u - 0.84) * (u - 0.84) + (v + 0.32) * (v + 0.32)
    warm = 2.6 * math.exp(-d2 / 0.16) + 1.1 * math.exp(-d2 / 0.9)
    dusk = 0.30 + 0.45 * math.exp(-((u + 1.3) * (u + 1.3) / 2.2 + (v + 0.8) * (v + 0.8) / 1.5))
    return r * (dusk + 1.30 * warm), g * (dusk + 0.80 * warm), b * (dusk + 0.38 * warm), 1.0


@_jit
def _least(row: DoubleArray) -> float:
    out = row[0]
    for j in range(row.size):
        out = min(out, row[j])
    return out


@_jit
def _most(row: DoubleArray) -> float:
    out = row[0]
    for j in range(row.size):
        out = max(out, row[j])
    return out


@_jit
def _sine_of(x: float) -> float:
    """math.sin within 1e-7, as sums and products alone: several at a time."""
    turn = x * (0.5 / math.pi)
    turn -= math.floor(turn + 0.5)
    turn = max(min(turn, 0.5 - turn), -0.5 - turn)
    a = 2.0 * math.pi * turn
    q = a * a
    return a * (
        1.0 - q / 6.0 * (1.0 - q / 20.0 * (1.0 - q / 42.0 * (1.0 - q / 72.0 * (1.0 - q / 110.0))))
    )


@_jit
def _fall(x: float) -> float:
    """math.exp(-x) of x >= 0 within 1e-7, likewise."""
    y = -min(x, 80.0) / 64.0
    e = 1.0 + y * (1.0 + y / 2.0 * (1.0 + y / 3.0 * (1.0 + y / 4.0 * (1.0 + y / 5.0))))
    e *= e
    e *= e
    e *= e
    e *= e
    e *= e
    return e * e


@_jit
def _add_grain(
    x: DoubleArray, y: DoubleArray, fx: float, fy: float, fpx: DoubleArray, fpy: DoubleArray,
    gain: float, tone: DoubleArray,
) -> None:  # fmt: skip
    """Add `_grain` times ``gain`` to a row of tones."""
    if _least(fpx) * fx >= 3.0 or _least(fpy) * fy >= 3.0:
        return
    for j in range(tone.size):
        u, v = fpx[j] * fx, fpy[j] * fy
        weight = min(max(3.0 - u, 0.0), 1.0) * min(max(3.0 - v, 0.0), 1.0)
        weight *= gain / ((1.0 + 0.13 * u * u) * (1.0 + 0.13 * v * v))
        tone[j] += weight * (_noise(x[j] * fx, y[j] * fy) - 0.5)


@_jit
def _wood(
    x: DoubleArray, z: DoubleArray, fpx: DoubleArray, fpz: DoubleArray, seed: DoubleArray,
    moved: DoubleArray, tone: DoubleArray, groove: DoubleArray,
) -> None:  # fmt: skip
    """Planks along z, a row of places: their tone 0..1.2 and how dark grooves beside them are.

    ``seed`` and ``moved`` are room for as many values.
    """
    width = 0.145
    for j in range(x.size):
        board = math.floor(x[j] / width)
        seed[j] = _hash(int(board), 91)
        side = x[j] - board * width
        near, fp = min(side, width - side), max(fpx[j], 0.0008)
        groove[j] = 1.0 - 0.75 * _box(near, -0.0011, 0.0011, fp)
        waved = _noise(x[j] * 9.0 + 17.0 * seed[j], z[j] * 2.0 + 5.0 * seed[j]) - 0.5
        moved[j] = x[j] + 0.010 * waved
        tone[j] = 0.45 + 0.30 * seed[j]
    if _most(fpx) < 2e-4:
        for j in range(x.size):
            ring = _noise(moved[j] * 24.0 + 40.0 * seed[j], z[j] * 1.1 + 9.0 * seed[j])
            tone[j] += 0.15 * _sine_of(34.0 * ring)
    elif _least(fpx) < 0.04:
        for j in range(x.size):
            across, along = moved[j] * 24.0 + 40.0 * seed[j], z[j] * 1.1 + 9.0 * seed[j]
            half = 12.0 * fpx[j]
            start, end = 34.0 * _noise(across - half, along), 34.0 * _noise(across + half, along)
            # the mean of the sine between two angles, which is one of the sine where they are close
            away, middle = 0.5 * (end - start), 0.5 * (start + end)
            kept = _sine_of(away) / away if abs(away) > 1e-3 else 1.0
            tone[j] += 0.15 * _sine_of(middle) * (kept if fpx[j] < 0.04 else 0.0)
    for j in range(x.size):
        seed[j] += z[j]
    _add_grain(moved, seed, 130.0, 5.0, fpx, fpz, 0.34, tone)
    _add_grain(x, seed, 620.0, 16.0, fpx, fpz, 0.30, tone)
    _add_grain(x, z, 2400.0, 70.0, fpx, fpz, 0.26, tone)
    if _stays(3300.0 * _least(fpx), 120.0 * _least(fpz)) > 0.0:
        for j in range(x.size):
            pores = _stays(3300.0 * fpx[j], 120.0 * fpz[j])
            pore = max(_noise(x[j] * 3300.0, (z[j] + 3.0) * 120.0) - 0.78, 0.0)
            tone[j] -= 0.9 * (_PORE_MEAN + pores * (pore - _PORE_MEAN))
    else:
        for j in range(x.size):
            tone[j] -= 0.9 * _PORE_MEAN
    for j in range(x.size):
        tone[j] = min(max(tone[j], 0.02), 1.2)


_ALONG, _ACROSS = 0.966, 0.259
"""How the runner lies on the table: cosine and sine."""
_WEAVE = math.pi / 0.00115
"""Of its threads, per metre."""


@_jit
def _linen(
    p: DoubleArray, q: DoubleArray, fpx: DoubleArray, fpz: DoubleArray, under: DoubleArray,
    relief: DoubleArray,
) -> None:  # fmt: skip
    """The relief of the runner, p along and q across it, a row of places.

    ``under`` is room for as many values.
    """
    for j in range(p.size):
        # sines along p and q are cosines along their difference and sum, whose means are known
        one = _sine_of(_WEAVE * (p[j] - q[j]) + 0.5 * math.pi)
        two = _sine_of(_WEAVE * (p[j] + q[j]) + 0.5 * math.pi)
        wx, wz = 0.5 * _WEAVE * fpx[j], 0.5 * _WEAVE * fpz[j]
        ax, az = (_ALONG + _ACROSS) * wx, (_ALONG - _ACROSS) * wz
        bx, bz = (_ALONG - _ACROSS) * wx, (_ALONG + _ACROSS) * wz
        weave = 0.5 * (
            _wave_kept(ax) * _wave_kept(az) * one - _wave_kept(bx) * _wave_kept(bz) * two
        )
        double = _wave_kept(2.0 * ax) * _wave_kept(2.0 * az) * (2.0 * one * one - 1.0)
        double += _wave_kept(2.0 * bx) * _wave_kept(2.0 * bz) * (2.0 * two * two - 1.0)
        relief[j] = 0.80 + 0.20 * weave - 0.08 * double
        under[j] = one - two
    if _least(fpx) * 1500.0 < 3.0 and _least(fpz) * 1500.0 < 3.0:
        for j in range(p.size):
            # threads along p lie over those along q, and then under them
            fp, fq = (9000.0, 1500.0) if under[j] > 0.0 else (1500.0, 9000.0)
            weight = _kept(fpx[j] * fp) * _kept(fpz[j] * fq)
            relief[j] += 0.22 * weight * (_noise(p[j] * fp, q[j] * fq) - 0.5)
    _add_grain(p, q, 60.0, 700.0, fpx, fpz, 0.20, relief)
    for j in range(p.size):
        relief[j] *= 1.0 + 0.10 * _sine_of(21.0 * p[j] + 2.0 * _sine_of(9.0 * q[j]))


@_jit
def _shade_table(
    distance: float, lens: float, end: float, items: FloatArray, matrix: FloatArray, x0: float,
    y0: float, step: float, warp: DoubleArray, room: DoubleArray, out: FloatArray,
) -> None:  # fmt: skip
    """`shade_layer` for the table, a few places of a row at a time.

    It ends ``end`` metres away. ``items``: where what stands on it is, x and z, and how far its
    shadow reaches, across and along, and how dark it is.
    """
    k1, k2, k3 = warp[0], warp[1], warp[2]
    horizon = distance / (end - lens)
    most = room.shape[1]
    for i in range(out.shape[1]):
        y = y0 + i * step
        for begin in range(0, out.shape[2], most):
            count = min(out.shape[2] - begin, most)
            x, z, fpx, fpz = room[0, :count], room[1, :count], room[2, :count], room[3, :count]
            p, q, cloth = room[4, :count], room[5, :count], room[6, :count]
            tone, groove, relief = room[7, :count], room[8, :count], room[9, :count]
            shadow, share = room[10, :count], room[11, :count]
            one, two = room[12, :count], room[13, :count]
            for j in range(count):
                tx = x0 + (begin + j) * step
                squared = tx * tx + y * y
                bent = 1.0 + squared * (k1 + squared * (k2 + squared * k3))
                # so much of the point is nearer than its end; what is seen there, at most at it:
                # towards the horizon a point sees on to any distance
                share[j] = _inside(y * bent - horizon, step)
                away = distance / max(y * bent, horizon)
                x[j], z[j] = tx * bent * away, lens + away
                fpx[j], fpz[j] = step * away, step * away * away / distance
                # a linen runner across the table, turned a little
                p[j] = _ALONG * (x[j] + 0.16) + _ACROSS * (z[j] - 0.86)
                q[j] = _ALONG * (z[j] - 0.86) - _ACROSS * (x[j] + 0.16)
            if _most(share) <= 0.0:
                out[:, i, begin : begin + count] = np.float32(0.0)
                continue
            nearest, farthest = _least(z), _most(z)
            for j in range(count):
                fringes = min(max(1.5 - max(fpx[j], fpz[j]) * 900.0, 0.0), 1.0)
                fringe = 0.012 * _noise(q[j] * 900.0, 3.0)
                cloth[j] = _box(p[j], -0.30 - fringe, 0.30 + fringe, max(fpx[j], 0.0003))
                # where they are too fine to be seen, their mean
                mean = _box(p[j], -0.306, 0.306, max(fpx[j], 0.009))
                cloth[j] = mean + fringes * (cloth[j] - mean)
                cloth[j] *= _box(q[j], -0.155, 0.155, max(fpz[j], 0.0003))
                shadow[j], tone[j], groove[j], relief[j] = 1.0, 0.0, 1.0, 0.0
            if _least(cloth) < 1.0:
                _wood(x, z, fpx, fpz, one, two, tone, groove)
            if _most(cloth) > 0.0:
                _linen(p, q, fpx, fpz, one, relief)
            for n in range(items.shape[0]):
                at_x, at_z, wide, deep = items[n, 0], items[n, 1], items[n, 2], items[n, 3]
                if nearest > at_z + 3.0 * deep or farthest < at_z - 3.0 * deep:
                    continue
                for j in range(count):
                    dx, dz = (x[j] - at_x) / wide, (z[j] - at_z) / deep
                    d2 = dx * dx + dz * dz
                    dark = items[n, 4] / (1.0 + d2 * d2 * 1.5)
                    shadow[j] *= 1.0 - (dark if d2 < 9.0 else 0.0)
            red, green, blue = (
                out[0, i, begin : begin + count], out[1, i, begin : begin + count],
                out[2, i, begin : begin + count],
            )  # fmt: skip
            cover = out[3, i, begin : begin + count]
            for j in range(count):
                r = (0.070 + 0.250 * tone[j]) * groove[j]
                g = (0.034 + 0.145 * tone[j]) * groove[j]
                b = (0.016 + 0.066 * tone[j]) * groove[j]
                # the runner's soft shadow on the wood
                d = max(abs(p[j]) - 0.30, abs(q[j]) - 0.155)
                dark = 0.62 + 0.38 * min(d / 0.012, 1.0) if cloth[j] <= 0.0 else 1.0
                r, g, b = r * dark, g * dark, b * dark
                across = abs(q[j])
                stripe = _box(across, 0.118, 0.130, fpz[j]) + _box(across, 0.104, 0.108, fpz[j])
                by = cloth[j]
                r += ((0.56 + (0.075 - 0.56) * stripe) * relief[j] - r) * by
                g += ((0.49 + (0.130 - 0.49) * stripe) * relief[j] - g) * by
                b += ((0.37 + (0.240 - 0.37) * stripe) * relief[j] - b) * by
                dx, dz = x[j] + 0.25, z[j] - 0.95
                light = (0.20 + 0.95 * _fall(dx * dx / 0.75 + dz * dz / 0.55)) * shadow[j]
                # the varnish mirrors the dim room and the lamp far behind, more at a grazing view
                gloss = 1.0 - by
                sheen = gloss * 0.010 * z[j] * z[j] * (0.5 + 0.9 * tone[j])
                aside = x[j] - 0.187 * z[j]
                glow = gloss * 0.075 * z[j] * _fall(aside * aside / 0.02)
                glow *= (0.6 + 0.6 * tone[j]) * shadow[j]
                r = max(share[j] * (r * light * 1.06 + sheen * 0.8 + glow * 1.5), 0.0)
                g = max(share[j] * (g * light + sheen + glow * 0.85), 0.0)
                b = max(share[j] * (b * light * 0.92 + sheen * 1.1 + glow * 0.36), 0.0)
                red[j] = matrix[0, 0] * r + matrix[0, 1] * g + matrix[0, 2] * b
                green[j] = matrix[1, 0] * r + matrix[1, 1] * g + matrix[1, 2] * b
                blue[j] = matrix[2, 0] * r + matrix[2, 1] * g + matrix[2, 2] * b
                cover[j] = share[j]


@_jit
def _star(u: float, v: float, radius: float, cycles: float, fp: float) -> float:
    """Dark share of a Siemens star; grey where its spokes are finer than the footprint."""
    d2 = u * u + v * v
    if d2 > (radius + fp) * (radius + fp):
        return 0.0
    d = max(math.sqrt(d2), 1e-9)
    angle = math.atan2(v, u) * (cycles / (2.0 * math.pi))
    return _stripes(angle, 1.0, 0.5, min(fp * cycles / (2.0 * math.pi * d), 64.0)) * _inside(
        radius - d, fp
    )


@_jit
def _edge(u: float, v: float, half: float, ca: float, sa: float, fp: float) -> float:
    """Dark share of a square turned by an angle (its cosine, sine): the slanted edge, ISO 12233."""
    if u * u + v * v > 2.0 * (half + fp) * (half + fp):
        return 0.0
    p = u * ca + v * sa
    q = v * ca - u * sa
    return _box(p, -half, half, fp) * _box(q, -half, half, fp)


@_jit
def _card(
    u: float,
    v: float,
    fp: float,
    items: FloatArray,
    atlas: npt.NDArray[np.uint8],
    levels: npt.NDArray[np.int64],
) -> Rgba:
    """A printed test card, 0.30 x 0.21 m, standing on its lower edge."""
    cover = _box(u, -0.150, 0.150, fp) * _box(v, -0.105, 0.105, fp)
    if cover <= 0.0:
        return 0.0, 0.0, 0.0, 0.0
    fibre = (
        1.0
        + 0.05 * _grain(u, v, 2600.0, 2600.0, fp, fp)
        + 0.03 * _grain(u, v, 300.0, 300.0, fp, fp)
    )
    light = (1.03 - 0.9 * u) * (1.0 - 0.25 * _clip((v + 0.03) * 6.0) * 0.4)
    r, g, b = 0.84 * fibre, 0.82 * fibre, 0.76 * fibre
    ink = 0.0
    ink += _star(u + 0.082, v + 0.012, 0.056, 36.0, fp)
    ink += _edge(u - 0.030, v + 0.012, 0.027, _COS5, _SIN5, fp)
    # line pairs: 2 to 12 a millimetre is beyond 100 MP at 1 m, 1 to 6 is not
    if -0.062 < u - 0.055 < 0.09 and 0.034 < v < 0.060:
        for i in range(6):
            left = -0.004 + 0.0235 * i
            period = 0.001 / (1.0 + i)
            inside = _box(u, left, left + 0.020, fp) * _box(v, 0.036, 0.058, fp)
            if inside > 0.0:
                ink += inside * _stripes(u - left, period, 0.5, fp)
    # handing over arrays costs more than all the rest, so only where there may be print
    if u > -0.006 and v < -0.025:
        for i in range(3):
            ink += _print(atlas, levels, u, v, items, i, fp)
    ink += _box(max(abs(u) * 0.70, abs(v)), 0.0975, 0.0982, fp)
    ink = 1.0 - _clip(ink) * 0.955
    r, g, b = r * ink, g * ink, b * ink
    # grey steps and colours along the foot
    if 0.066 < v < 0.094 and abs(u) < 0.1371:
        column = int((u + 0.1371) / 0.01958)
        at = u + 0.1371 - column * 0.01958
        inside = _box(at, 0.0006, 0.0190, fp)
        upper = _box(v, 0.068, 0.0795, fp) * inside
        lower = _box(v, 0.0805, 0.092, fp) * inside
        grey = 0.84 * 0.74**column
        n = 3 + column // 2 if column < 14 else 3
        r += (grey - r) * upper + (items[n, 0] - r) * lower
        g += (grey - g) * upper + (items[n, 1] - g) * lower
        b += (grey - b) * upper + (items[n, 2] - b) * lower
    light *= cover
    return r * light * 1.02, g * light, b * light * 0.96, cover


@_jit
def _books(
    u: float,
    v: float,
    fp: float,
    items: FloatArray,
    atlas: npt.NDArray[np.uint8],
    levels: npt.NDArray[np.int64],
) -> Rgba:
    """A stack of books, spines forward. Items in pairs: the book, then its title in the atlas."""
    for i in range(items.shape[0] // 2):
        n = 2 * i
        mid, half, hw, off = items[n, 0], items[n, 1], items[n, 2], items[n, 3]
        y = (v - mid) / half
        if abs(y) > 1.05:
            continue
        x = u - off
        edge = 0.004 * y * y
        cover = _inside(hw - edge - abs(x), fp) * _inside((1.0 - abs(y)) * half, fp)
        if cover <= 0.0:
            continue
        round_off = math.sqrt(max(1.0 - 0.92 * y * y, 0.0))
        light = 0.28 + 0.82 * round_off * (0.85 - 0.25 * y) * (1.0 - 1.1 * x)
        pitch = 0.00062
        fade = min(max(1.5 - 1.2 * fp / pitch, 0.0), 1.0)
        weave = 1.0 + 0.20 * fade * math.sin(math.pi * x / pitch) * math.sin(math.pi * v / pitch)
        weave += 0.22 * _grain(x, v, 420.0, 420.0, fp, fp) + 0.16 * _grain(x, v, 45.0, 90.0, fp, fp)
        r, g, b = items[n, 4] * weave, items[n, 5] * weave, items[n, 6] * weave
        hinge = 1.0 - 0.45 * math.exp(-(((abs(x) - hw + 0.009) / 0.0018) ** 2))
        gilt = 0.0
        if abs(y) < 0.7 and abs(x) < 0.08:
            gilt = _print(atlas, levels, x, v - mid, items, 2 * i + 1, fp)
        band = _box(abs(x), hw - 0.032, hw - 0.0305, fp) + _box(abs(x), hw - 0.0285, hw - 0.028, fp)
        gilt = _clip(gilt + band * _inside(0.86 - abs(y), fp / half))
        shine = 0.55 + 0.55 * math.exp(-(((y + 0.25) / 0.35) ** 2))
        r += (0.78 * shine - r) * gilt
        g += (0.57 * shine - g) * gilt
        b += (0.25 * shine - b) * gilt
        light *= hinge * cover * items[n, 7]
        return r * light, g * light, b * light, cover
    return 0.0, 0.0, 0.0, 0.0


@_jit
def _mug(u: float, v: float, fp: float) -> Rgba:
    """A stoneware mug: radius 42 mm, height 92 mm; its foot is at v = 0."""
    radius, top = 0.042, -0.092
    rim, foot = 0.0052, 0.0096
    nx = u / radius
    curve = math.sqrt(max(1.0 - nx * nx, 0.0))
    body = (
        _inside(radius - abs(u), fp)
        * _inside(v - (top - rim * curve), fp)
        * _inside(foot * curve - v - 0.002, fp)
    )
    # handle: a ring on the right, behind the body
    hu, hv = (u - 0.045) / 0.88, v + 0.050
    ring = math.sqrt(hu * hu + hv * hv)
    handle = _inside(0.0055 - abs(ring - 0.0245), fp) * _inside(u - 0.036, fp)
    if body <= 0.0 and handle <= 0.0:
        return 0.0, 0.0, 0.0, 0.0
    specks = _stays(800.0 * fp, 800.0 * fp)
    speck = _FLECK_MEAN * (1.0 - specks)
    if specks > 0.0:
        dots = _noise((0.8 * u - 0.6 * v) * 800.0, (0.6 * u + 0.8 * v) * 800.0) - 0.5
        dots += 0.35 * (
            _noise((0.28 * u + 0.96 * v) * 2100.0, (0.96 * u - 0.28 * v) * 2100.0) - 0.5
        )
        speck += specks * max(dots - 0.27, 0.0)
    fleck = 1.0 - 2.4 * speck + 0.10 * _grain(u, v, 90.0, 130.0, fp, fp)
    if body < 1.0 and handle > 0.0:
        t = (ring - 0.0245) / 0.0055
        lit = 0.34 + 0.42 * math.sqrt(max(1.0 - t * t, 0.0)) - 0.20 * t * (hu + hv) / 0.03
        hr, hg, hb = (
            0.60 * lit * fleck * handle,
            0.53 * lit * fleck * handle,
            0.42 * lit * fleck * handle,
        )
    else:
        hr, hg, hb = 0.0, 0.0, 0.0
    lit = 0.20 + 0.80 * max(0.45 * curve - 0.66 * nx + 0.12, 0.0)
    line = v + 0.044 + 0.0035 * math.sin(60.0 * u + 1.0) + 0.002 * math.sin(171.0 * u)
    glaze = _inside(line, max(fp, 0.0004))
    drop = math.exp(-(((line + 0.0006) / 0.0014) ** 2))
    r = 0.66 + (0.035 - 0.66) * glaze - 0.20 * drop
    g = 0.59 + (0.150 - 0.59) * glaze - 0.18 * drop
    b = 0.47 + (0.185 - 0.47) * glaze - 0.12 * drop
    ridge = 1.0 + 0.05 * math.sin(v * 2.0 * math.pi / 0.0042) * min(max(1.5 - fp * 400.0, 0.0), 1.0)
    r, g, b = r * lit * fleck * ridge, g * lit * fleck * ridge, b * lit * fleck * ridge
    shine = (
        (0.20 + 0.38 * glaze)
        * math.exp(-(((nx + 0.52) / 0.085) ** 2))
        * _box(v, -0.078, -0.018, 0.012)
    )
    shine += 0.05 * math.exp(-(((nx - 0.86) / 0.06) ** 2))
    r, g, b = r + shine, g + shine * 0.98, b + shine * 0.92
    # the opening: lip, inner wall, coffee
    oy = (v - top) / rim
    opening = math.sqrt(nx * nx + oy * oy)
    if opening < 1.15:
        hole = _inside((0.93 - opening) * rim, fp)
        inner = 0.16 + 0.34 * _clip(0.5 + 0.5 * nx)
        coffee = _inside((oy - 0.05) * rim, fp) * hole
        ir = 0.55 * inner + (0.030 - 0.55 * inner) * coffee
        ig = 0.48 * inner + (0.016 - 0.48 * inner) * coffee
        ib = 0.38 * inner + (0.009 - 0.38 * inner) * coffee
        lip = math.exp(-(((opening - 0.98) / 0.07) ** 2)) * (0.25 - 0.2 * nx)
        r += (ir - r) * hole + lip * 0.6
        g += (ig - g) * hole + lip * 0.55
        b += (ib - b) * hole + lip * 0.46
    ground = 1.0 - 0.45 * math.exp(-(((v - foot * curve) / 0.006) ** 2))
    r, g, b = r * ground, g * ground, b * ground
    rest = 1.0 - body
    return r * body + hr * rest, g * body + hg * rest, b * body + hb * rest, body + handle * rest


@_jit
def _fruit(u: float, v: float, fp: float, params: FloatArray) -> Rgba:
    """An orange or a lemon; params: radii in x and y, colour, how pointed, turned by, stem."""
    ca, sa = math.cos(params[6]), math.sin(params[6])
    x = (u * ca + v * sa) / params[0]
    y = (v * ca - u * sa) / params[1]
    tip = params[5] * math.exp(-(y * y) / 0.05)
    d = math.sqrt((x / (1.0 + tip)) ** 2 + y * y)
    size = min(params[0], params[1])
    cover = _inside((1.0 - d) * size, fp)
    if cover <= 0.0:
        return 0.0, 0.0, 0.0, 0.0
    d2 = min(d * d, 0.9999)
    nz = math.sqrt(1.0 - d2)
    nx, ny = u / params[0], v / params[1]
    # pores: dimples that shift the normal, compressed toward the limb
    k = 1.0 / (0.35 + 0.65 * nz)
    px, py = (0.8 * u - 0.6 * v) * k, (0.6 * u + 0.8 * v) * k
    pore = _grain(px, py, 620.0, 620.0, fp * k, fp * k) + 0.6 * _grain(
        px + 9.0, py, 1500.0, 1500.0, fp * k, fp * k
    )
    lit = max(-0.55 * nx - 0.52 * ny + 0.60 * nz + 0.30 * pore, 0.0)
    fill = 0.10 + 0.10 * max(ny, 0.0) + 0.05 * max(nx, 0.0)
    tone = 1.0 + 0.18 * _grain(u, v, 55.0, 55.0, fp, fp) + 0.12 * pore
    # what tone and light have in common is left where pores are too fine to be seen
    fine, finer = _kept(620.0 * fp * k) ** 2, _kept(1500.0 * fp * k) ** 2
    lit += 0.30 * 0.12 * _GRAIN_VARIANCE * (1.0 - fine * fine + 0.36 * (1.0 - finer * finer))
    r = params[2] * tone * (lit + fill * 1.2)
    g = params[3] * tone * (lit + fill * 0.8)
    b = params[4] * tone * (lit + fill * 0.5)
    h = (nx + 0.40) ** 2 + (ny + 0.42) ** 2
    shine = max(
        0.34 * math.exp(-h / 0.020)
        + 0.10 * math.exp(-h / 0.12)
        + 0.30 * pore * math.exp(-h / 0.10),
        0.0,
    )
    r, g, b = r + shine, g + shine * 0.97, b + shine * 0.88
    if params[7] > 0.0:
        su, sv = u - 0.14 * params[0], v + 0.78 * params[1]
        angle = math.atan2(sv * 2.2, su)
        ds = math.sqrt(su * su + 4.8 * sv * sv)
        calyx = _inside(0.0050 + 0.0016 * math.cos(5.0 * angle) - ds, fp)
        r += (0.10 - r) * calyx
        g += (0.13 - g) * calyx
        b += (0.035 - b) * calyx
    ground = 1.0 - 0.55 * _clip((ny - 0.62) / 0.38)
    cover_light = cover * ground
    return r * cover_light, g * cover_light, b * cover_light, cover


@_jit
def _leaf(items: FloatArray, i: int, ca: float, sa: float, u: float, v: float, fp: float) -> Rgba:
    """A leaf or stem at a place: its colour times its coverage, and that.

    Item: centre x and y, length, width, angle (cosine ``ca``, sine ``sa``), tone, hue, and 1 for a
    stem.
    """
    dx, dy = u - items[i, 0], v - items[i, 1]
    t = (dx * ca + dy * sa) / items[i, 2] + 0.5
    s = dy * ca - dx * sa
    ends = fp / items[i, 2]
    # nowhere is it wider than that
    if t <= -ends or t >= 1.0 + ends or abs(s) > 0.6 * items[i, 3] + 0.06 * items[i, 2] + 2.0 * fp:
        return 0.0, 0.0, 0.0, 0.0
    tone, hue = items[i, 5], items[i, 6]
    if items[i, 7] > 0.5:
        bend = s - 0.06 * items[i, 2] * (4.0 * t * (1.0 - t))
        cover = _inside(0.5 * items[i, 3] - abs(bend), fp)
        cover *= _inside(min(t, 1.0 - t) * items[i, 2], fp)
        lit = tone * (0.8 - 0.5 * bend / items[i, 3]) * cover
        return 0.15 * lit, 0.13 * lit, 0.05 * lit, cover
    s -= 0.05 * items[i, 2] * (4.0 * t * (1.0 - t) - 0.5)
    if abs(s) > 0.6 * items[i, 3] + 2.0 * fp:
        return 0.0, 0.0, 0.0, 0.0
    beyond, t = t, min(max(t, 1e-3), 0.999)
    beyond -= t
    # half its width, squared, and how that grows along the leaf
    power, wide = 0.80 - 0.1 * hue, 0.5 * items[i, 3] * (1.08 - 0.35 * t)
    turn = math.pi * t**power
    squared = wide * wide * math.sin(turn)
    grows = wide * wide * power * turn / t * math.cos(turn)
    grows -= 0.35 * items[i, 3] * wide * math.sin(turn)
    # to its outline: what is 0 there over its gradient
    outward = grows / items[i, 2] + 0.4 * s * (1.0 - 2.0 * t)
    away = squared + grows * beyond - s * s
    away /= max(math.sqrt(outward * outward + 4.0 * s * s), 1e-9)
    # its base is rounded off
    away = min(away, 0.5 * items[i, 2] - math.sqrt(dx * dx + dy * dy))
    cover = _inside(away, fp)
    if cover <= 0.0:
        return 0.0, 0.0, 0.0, 0.0
    across = s / math.sqrt(max(squared, 1e-12))
    lit = 0.72 - 0.20 * across
    if s > 0.0:
        lit -= 0.14
    rib = math.exp(-((s / (0.0011 + 0.35 * fp)) ** 2)) * 0.0011 / (0.0011 + 0.35 * fp)
    vein_fp = max(9.0 * fp / items[i, 2], 1e-4)
    vein = _stripes(9.0 * t - 0.9 * abs(across), 1.0, 0.07, vein_fp)
    net = 0.10 * _grain(u, v, 1300.0, 1300.0, fp, fp) + 0.10 * _grain(u, v, 4200.0, 4200.0, fp, fp)
    bump = math.cos(2.0 * math.pi * (9.0 * t - 0.9 * abs(across))) * min(
        max(1.0 - vein_fp, 0.0), 1.0
    )
    lit = (lit + 0.07 * bump + net) * tone
    light = min(0.55 * rib + 0.40 * vein, 1.0)
    lr = 0.060 + 0.085 * hue + 0.20 * light
    lg = 0.150 + 0.075 * hue + 0.22 * light
    lb = 0.045 + 0.025 * hue + 0.08 * light
    edge = _clip((abs(across) - 0.90) * 10.0) * 0.25
    gleam = 0.11 * math.exp(-(((across + 0.45) / 0.30) ** 2)) * (0.5 + net * 3.0) * tone
    return (
        (lr * lit * (1.0 + edge) + gleam) * cover,
        (lg * lit * (1.0 + edge) + gleam) * cover,
        (lb * lit + gleam * 1.05) * cover,
        cover,
    )


@_jit
def _shade_leaves(
    away: float, ox: float, oy: float, extent: Rgba, items: FloatArray, matrix: FloatArray,
    x0: float, y0: float, step: float, warp: DoubleArray, out: FloatArray,
) -> None:  # fmt: skip
    """`shade_layer` for leaves, front first: each only where it may be, row by row."""
    left, top, right, bottom = extent
    k1, k2, k3 = warp[0], warp[1], warp[2]
    fp = step * away
    width = out.shape[2]
    for i in range(out.shape[1]):
        y = y0 + i * step
        red, green, blue, cover = out[0, i], out[1, i], out[2, i], out[3, i]
        out[:, i] = np.float32(0.0)
        least, most = np.inf, -np.inf
        for j in range(width):
            x = x0 + j * step
            q = x * x + y * y
            bent = 1.0 + q * (k1 + q * (k2 + q * k3))
            least, most = min(least, bent), max(most, bent)
        low, high = min(y * least, y * most) * away - oy, max(y * least, y * most) * away - oy
        if high < top - fp or low > bottom + fp:
            continue
        for n in range(items.shape[0]):
            half = 0.5 * items[n, 2] + fp
            if low > items[n, 1] + half or high < items[n, 1] - half:
                continue
            first, last = (items[n, 0] - half + ox) / away, (items[n, 0] + half + ox) / away
            first, last = min(first / least, first / most), max(last / least, last / most)
            begin = min(max(int((first - x0) / step) - 1, 0), width)
            end = min(max(int((last - x0) / step) + 3, 0), width)
            ca, sa = math.cos(items[n, 4]), math.sin(items[n, 4])
            for j in range(begin, end):
                open_ = 1.0 - cover[j]
                if open_ < 0.001:
                    continue
                x = x0 + j * step
                q = x * x + y * y
                bent = (1.0 + q * (k1 + q * (k2 + q * k3))) * away
                u, v = x * bent - ox, y * bent - oy
                dx, dy = u - items[n, 0], v - items[n, 1]
                if dx * dx + dy * dy > half * half:
                    continue
                if u < left - fp or u > right + fp or v < top - fp or v > bottom + fp:
                    continue
                r, g, b, a = _leaf(items, n, ca, sa, u, v, fp)
                red[j] += open_ * r
                green[j] += open_ * g
                blue[j] += open_ * b
                cover[j] += open_ * a
        for j in range(width):
            if cover[j] > np.float32(0.0):
                r, g, b = max(red[j], 0.0), max(green[j], 0.0), max(blue[j], 0.0)
                red[j] = matrix[0, 0] * r + matrix[0, 1] * g + matrix[0, 2] * b
                green[j] = matrix[1, 0] * r + matrix[1, 1] * g + matrix[1, 2] * b
                blue[j] = matrix[2, 0] * r + matrix[2, 1] * g + matrix[2, 2] * b


@_jit
def _pot(u: float, v: float, fp: float) -> Rgba:
    """A terracotta pot, 0.13 m high; its foot is at v = 0."""
    rim = _inside(v + 0.13, fp) * _inside(-0.100 - v, fp)
    half = 0.052 + 0.020 * _clip(-v / 0.13) + 0.006 * rim
    nx = u / half
    curve = math.sqrt(max(1.0 - nx * nx, 0.0))
    cover = (
        _inside(half - abs(u), fp)
        * _inside(v + 0.13 + 0.003 * curve, fp)
        * _inside(0.006 * curve - v, fp)
    )
    if cover <= 0.0:
        return 0.0, 0.0, 0.0, 0.0
    lit = 0.16 + 0.80 * max(0.50 * curve - 0.62 * nx + 0.08, 0.0)
    lit *= 1.0 - 0.40 * math.exp(-(((v + 0.097) / 0.004) ** 2)) * (1.0 - rim)
    tone = (
        1.0 + 0.35 * _grain(u, v, 35.0, 60.0, fp, fp) + 0.25 * _grain(u, v, 1100.0, 1100.0, fp, fp)
    )
    salt = 0.12 * max(_grain(u, v, 22.0, 30.0, fp, fp), 0.0)
    lit *= cover
    return (
        (0.42 * tone + salt) * lit,
        (0.165 * tone + salt) * lit,
        (0.085 * tone + salt) * lit,
        cover,
    )


@_jit
def _bottle(u: float, v: float, fp: float, params: FloatArray) -> Rgba:
    """A glass bottle, 0.30 m high, foot at v = 0; params: colour, label tone."""
    h = -v / 0.30
    if h > 1.02 or h < -0.05:
        return 0.0, 0.0, 0.0, 0.0
    shoulder = _clip((h - 0.58) / 0.17)
    shoulder = shoulder * shoulder * (3.0 - 2.0 * shoulder)
    half = 0.038 + (0.0135 - 0.038) * shoulder + 0.0018 * _box(h, 0.94, 0.985, 0.01)
    nx = u / half
    curve = math.sqrt(max(1.0 - nx * nx, 0.0))
    cover = _inside(half - abs(u), fp) * _inside(v + 0.30, fp) * _inside(0.004 * curve - v, fp)
    if cover <= 0.0:
        return 0.0, 0.0, 0.0, 0.0
    rim = nx * nx * nx * nx
    through = 0.10 + 0.75 * rim * (1.0 - rim) * 3.0
    r, g, b = params[0] * through, params[1] * through, params[2] * through
    shine = 0.55 * math.exp(-(((nx + 0.58) / 0.07) ** 2)) * (0.6 + 0.4 * _clip(h * 3.0))
    shine += 0.16 * math.exp(-(((nx - 0.70) / 0.05) ** 2))
    label = _box(h, 0.16, 0.44, fp / 0.30) * _inside(0.97 - abs(nx), fp / half) * params[3]
    if label > 0.0:
        lit = 0.16 + 0.75 * max(0.5 * curve - 0.6 * nx + 0.1, 0.0)
        ink = _box(h, 0.185, 0.19, fp / 0.3) + _box(h, 0.41, 0.415, fp / 0.3)
        ink += (
            _box(nx, -0.5, 0.5, fp / half)
            * _stripes(v, 0.0075, 0.35, fp)
            * _box(h, 0.23, 0.37, fp / 0.3)
        )
        lit *= 1.0 - 0.75 * _clip(ink)
        r += (0.70 * lit - r) * label
        g += (0.64 * lit - g) * label
        b += (0.52 * lit - b) * label
        shine *= 1.0 - 0.85 * label
    return (r + shine) * cover, (g + shine) * cover, (b + shine * 0.95) * cover, cover


@_jit
def _over(under: Rgba, r: float, g: float, b: float, cover: float) -> Rgba:
    """A colour laid over what is painted already, premultiplied."""
    rest = 1.0 - cover
    return (
        under[0] * rest + r * cover,
        under[1] * rest + g * cover,
        under[2] * rest + b * cover,
        under[3] * rest + cover,
    )


@_jit
def _rect(
    u: float, v: float, left: float, top: float, right: float, low: float, fp: float
) -> float:
    return _box(u, left, right, fp) * _box(v, top, low, fp)


@_jit
def _train(u: float, v: float, fp: float) -> Rgba:
    """A toy train of painted wood, 0.31 m long: an engine and two wagons; its rail is at v = 0."""
    car = min(max(math.floor(u / 0.105 + 0.5), -1.0), 1.0)
    x = u - 0.105 * car
    found = 0.0, 0.0, 0.0, 0.0
    grain = (
        1.0 + 0.30 * _grain(u, v, 40.0, 600.0, fp, fp) + 0.12 * _grain(u, v, 350.0, 2400.0, fp, fp)
    )
    # what is painted, before all the rest: the couplings
    found = _over(found, 0.05, 0.05, 0.05, _rect(u, v, -0.105, -0.019, 0.105, -0.015, fp))
    if car < 0.5:  # a wagon: its load of logs, ends towards us, in a painted box
        load = x / 0.0125
        log = load - math.floor(load) - 0.5
        ring = math.sqrt(log * log * 0.0125**2 + (v + 0.0555) ** 2)
        cover = _inside(0.0060 - ring, fp) * _box(x, -0.0375, 0.0375, fp)
        fade = min(max(1.5 - fp / 0.0006, 0.0), 1.0)
        tone = (0.75 + 0.25 * fade * math.sin(ring * 2.0 * math.pi / 0.0012)) * grain
        found = _over(found, 0.50 * tone, 0.33 * tone, 0.17 * tone, cover)
        cover = _rect(x, v, -0.042, -0.052, 0.042, -0.019, fp)
        # boards, whose seams are dark
        seam = 1.0 - 0.6 * _stripes(v + 0.019, 0.011, 0.06, fp)
        lit = (0.62 - 2.0 * x) * grain * seam
        red, green, blue = (0.05, 0.16, 0.45) if car < -0.5 else (0.75, 0.52, 0.05)
        found = _over(found, red * lit, green * lit, blue * lit, cover)
    else:
        chimney = _rect(x, v, 0.022, -0.066, 0.034, -0.044, fp)
        chimney += _rect(x, v, 0.019, -0.071, 0.037, -0.066, fp)
        found = _over(found, 0.045, 0.040, 0.040, min(chimney, 1.0))
        # the boiler is round: light comes from above
        y = (v + 0.033) / 0.014
        lit = 0.18 + 0.62 * math.sqrt(max(1.0 - y * y, 0.0)) * (0.75 - 0.35 * y)
        shine = 0.30 * math.exp(-(((y + 0.52) / 0.10) ** 2))
        cover = _rect(x, v, -0.014, -0.047, 0.043, -0.019, fp)
        band = _box(x, 0.004, 0.006, fp) + _box(x, 0.038, 0.041, fp)
        red, green, blue = 0.05 + 0.70 * band, 0.30 + 0.22 * band, 0.10 + 0.02 * band
        found = _over(found, red * lit + shine, green * lit + shine, blue * lit + shine, cover)
        cover = _rect(x, v, -0.043, -0.072, -0.012, -0.019, fp)
        window = _rect(x, v, -0.036, -0.064, -0.019, -0.045, fp)
        frame = _rect(x, v, -0.038, -0.066, -0.017, -0.043, fp) - window
        lit = (0.62 - 2.0 * x) * grain
        found = _over(found, 0.55 * lit, 0.045 * lit, 0.035 * lit, cover)
        found = _over(found, 0.55 * lit, 0.40 * lit, 0.12 * lit, max(frame, 0.0))
        found = _over(found, 0.03, 0.035, 0.045, window)
        found = _over(found, 0.07, 0.065, 0.06, _rect(x, v, -0.047, -0.077, -0.008, -0.072, fp))
    lit = 0.30 * grain
    found = _over(
        found, 0.9 * lit, 0.55 * lit, 0.28 * lit, _rect(x, v, -0.047, -0.021, 0.047, -0.013, fp)
    )
    wx = abs(x) - 0.027
    wheel = math.sqrt(wx * wx + (v + 0.0125) ** 2)
    tyre, disc = _inside(0.0125 - wheel, fp), _inside(0.0095 - wheel, fp)
    lit = 0.55 + 12.0 * (-0.6 * (x - math.copysign(0.027, x)) - 0.8 * (v + 0.0125))
    found = _over(found, 0.06, 0.055, 0.05, tyre)
    found = _over(found, 0.55 * lit, 0.06 * lit, 0.04 * lit, disc)
    return _over(found, 0.60, 0.50, 0.22, _inside(0.0024 - wheel, fp))


@_jit
def _shade(u: float, v: float, fp: float) -> Rgba:
    """A lit lamp with a fabric shade on a thin brass stand; the bulb's height is v = 0."""
    half = 0.15 + 0.35 * (v + 0.13)
    shade = _inside(half - abs(u), fp) * _box(v, -0.13, 0.13, fp)
    stand = _box(u, -0.012, 0.012, fp) * _box(v, 0.13, 0.62, fp)
    foot = _inside(0.10 - abs(u), fp) * _box(v, 0.60, 0.625, fp)
    metal = min(stand + foot, 1.0) * (1.0 - shade)
    if shade + metal <= 0.0:
        return 0.0, 0.0, 0.0, 0.0
    glow = 4.0 + 12.0 * math.exp(-(u * u) / 0.012 - (v - 0.01) * (v - 0.01) / 0.010)
    glow *= 1.0 - 0.45 * (u / half) * (u / half)
    glow *= 1.0 + 0.10 * _grain(u, v, 500.0, 120.0, fp, fp)
    glow *= shade
    metal *= 0.12 + 0.25 * math.exp(-(((u + 0.004) / 0.003) ** 2))
    return (
        glow + 0.9 * metal,
        glow * 0.58 + 0.6 * metal,
        glow * 0.20 + 0.25 * metal,
        min(shade + stand + foot, 1.0),
    )


@_jit
def _chart(u: float, v: float, fp: float, params: FloatArray) -> Rgba:
    """Slanted edges, a Siemens star and grey steps; params: half width, height, cos, sin."""
    hw, hh = params[0], params[1]
    paper, black = 0.80, 0.06
    ink = _star(u, v, 0.52 * hh, 72.0, fp)
    side = 0.17 * hh
    for i in range(4):
        cx = 0.68 * hw * (1.0 if i & 1 else -1.0)
        cy = 0.52 * hh * (1.0 if i & 2 else -1.0)
        ink += _edge(u - cx, v - cy, side, params[2], params[3], fp)
    tone = paper + (black - paper) * _clip(ink)
    step = 2.0 * hw * 0.9 / 12.0
    column = math.floor((u + 0.9 * hw) / step)
    if 0 <= column < 12:
        at = u + 0.9 * hw - column * step
        inside = _box(at, 0.0, step, fp) * _box(v, 0.80 * hh, 0.94 * hh, fp)
        # density in steps of 0.15, from 0.1
        tone += (10.0 ** (-0.1 - 0.15 * column) - tone) * inside
    if abs(v) < 0.06 * hh and abs(u) > 0.56 * hw:
        bar = (abs(u) - 0.56 * hw) / (0.40 * hw)
        if bar < 1.0:
            period = 0.02 * hh / (1.0 + 9.0 * bar)
            lines = paper + (black - paper) * _stripes(v, period, 0.5, fp)
            tone += (lines - tone) * _box(v, -0.05 * hh, 0.05 * hh, fp)
    return tone, tone, tone, 1.0


@_jit
def _sinc(x: float) -> float:
    """What an average over x periods leaves of a sine; 0 beyond the first zero."""
    x = math.pi * abs(x)
    if x >= math.pi:
        return 0.0
    return math.sin(x) / x if x > 1e-4 else 1.0


@_jit
def _edges(u: float, v: float, fp: float, params: FloatArray) -> Rgba:
    """5 x 4 slanted squares; params: half width, height, cos, sin, tone of the ink."""
    pitch_x, pitch_y = params[0] * 2.0 / 5.0, params[1] * 2.0 / 4.0
    column = min(max(math.floor((u + params[0]) / pitch_x), 0.0), 4.0)
    row = min(max(math.floor((v + params[1]) / pitch_y), 0.0), 3.0)
    cu = u + params[0] - (column + 0.5) * pitch_x
    cv = v + params[1] - (row + 0.5) * pitch_y
    ink = _edge(cu, cv, 0.30 * min(pitch_x, pitch_y), params[2], params[3], fp)
    tone = 0.80 + (params[4] - 0.80) * ink
    return tone, tone, tone, 1.0


@_jit
def _sine_star(u: float, v: float, fp: float, params: FloatArray) -> Rgba:
    """A sine-modulated star, squares of its tones beside it; params: half height, cycles."""
    radius, cycles = 0.92 * params[0], params[1]
    white, black = 0.80, 0.05
    middle, swing = 0.5 * (white + black), 0.5 * (white - black)
    d = max(math.sqrt(u * u + v * v), 1e-9)
    star = _inside(radius - d, fp)
    wave = 0.0
    if star > 0.0:
        part = _sinc(fp * cycles / (2.0 * math.pi * d))
        wave = part * math.cos(cycles * math.atan2(v, u))
    tone = middle + swing * wave * star
    side = 0.11 * params[0]
    cu = abs(u) - 1.12 * params[0]
    for row in range(4):
        # from white to black left and back right: what the star's light is read against
        step = row if u < 0.0 else 3 - row
        cv = v - (row - 1.5) * 0.44 * params[0]
        on = _box(cu, -side, side, fp) * _box(cv, -side, side, fp)
        tone += (white + (black - white) * step / 3.0 - tone) * on
    return tone, tone, tone, 1.0


@_jit
def _zones(u: float, v: float, fp: float, params: FloatArray) -> Rgba:
    """A zone plate; params: half width, frequency at that distance from the middle in 1/m."""
    rate = params[1] / params[0]
    # the phase pi rate r^2 has the frequency rate r
    part = _sinc(rate * u * fp) * _sinc(rate * v * fp)
    tone = 0.42
    if part > 0.0:
        tone += 0.38 * part * math.cos(math.pi * rate * (u * u + v * v))
    return tone, tone, tone, 1.0


@_jit
def _steps(u: float, v: float, fp: float, params: FloatArray) -> Rgba:
    """21 densities in three rows, to and fro; params: half width, height, first density, step."""
    pitch_x, pitch_y = params[0] * 2.0 / 7.6, params[1] * 2.0 / 3.6
    column = math.floor(u / pitch_x + 3.5)
    row = math.floor(v / pitch_y + 1.5)
    tone = 0.18
    if 0 <= column < 7 and 0 <= row < 3:
        cu = u - (column - 3.0) * pitch_x
        cv = v - (row - 1.0) * pitch_y
        order = row * 7 + (column if row != 1 else 6 - column)
        on = _box(cu, -0.43 * pitch_x, 0.43 * pitch_x, fp)
        on *= _box(cv, -0.43 * pitch_y, 0.43 * pitch_y, fp)
        tone += (10.0 ** -(params[2] + params[3] * order) - tone) * on
    return tone, tone, tone, 1.0


@_jit
def _white_noise(u: float, v: float, cell: float, fp: float, seed: int) -> float:
    """Mean over the footprint of cells with values even in 0..1; 0.5 where it has very many."""
    if fp > 24.0 * cell:
        return 0.5
    x0, x1 = (u - 0.5 * fp) / cell, (u + 0.5 * fp) / cell
    y0, y1 = (v - 0.5 * fp) / cell, (v + 0.5 * fp) / cell
    total = 0.0
    for iy in range(math.floor(y0), math.floor(y1) + 1):
        high = min(y1, iy + 1.0) - max(y0, float(iy))
        for ix in range(math.floor(x0), math.floor(x1) + 1):
            wide = min(x1, ix + 1.0) - max(x0, float(ix))
            total += high * wide * _hash(ix + 7919 * seed, iy)
    return total / ((x1 - x0) * (y1 - y0))


@_jit
def _noise_patches(u: float, v: float, fp: float, params: FloatArray) -> Rgba:
    """Even patches above, white noise of four grain sizes below; params: half width, height."""
    pitch_x, pitch_y = params[0] * 2.0 / 6.6, params[1] * 2.0 / 4.0
    tone = 0.18
    row = math.floor(v / pitch_y + 1.5)
    if row == 0 or row == 1:
        column = math.floor(u / pitch_x + 3.0)
        if 0 <= column < 6:
            cu = u - (column - 2.5) * pitch_x
            cv = v - (row - 1.0) * pitch_y
            on = _box(cu, -0.43 * pitch_x, 0.43 * pitch_x, fp)
            on *= _box(cv, -0.43 * pitch_y, 0.43 * pitch_y, fp)
            tone += (10.0 ** -(0.05 + 0.15 * (6 * row + column)) - tone) * on
    elif row == 2:
        pitch_x *= 1.5
        column = math.floor(u / pitch_x + 2.0)
        if 0 <= column < 4:
            cu = u - (column - 1.5) * pitch_x
            cv = v - (row - 1.0) * pitch_y
            on = _box(cu, -0.45 * pitch_x, 0.45 * pitch_x, fp)
            on *= _box(cv, -0.43 * pitch_y, 0.43 * pitch_y, fp)
            if on > 0.0:
                # grains of 1/4096 of the width and its doubles
                cell = params[0] / 2048.0 * 2.0**column
                grain = 0.06 + 0.60 * _white_noise(u, v, cell, fp, int(column) + 1)
                tone += (grain - tone) * on
    return tone, tone, tone, 1.0


@_jit
def _points(u: float, v: float, fp: float, params: FloatArray) -> Rgba:
    """Small bright discs on black, 21 x 15; params: half width, radius."""
    pitch = params[0] * 2.0 / 21.0
    column = min(max(math.floor(u / pitch + 0.5), -10.0), 10.0)
    row = min(max(math.floor(v / pitch + 0.5), -7.0), 7.0)
    cu, cv, radius = u - column * pitch, v - row * pitch, params[1]
    if fp < 0.5 * radius:
        tone = _inside(radius - math.sqrt(cu * cu + cv * cv), fp)
    else:
        # a square of the disc's area
        half = 0.5 * math.sqrt(math.pi) * radius
        tone = _box(cu, -half, half, fp) * _box(cv, -half, half, fp)
    return tone, tone, tone, 1.0


@_jit
def _lines(u: float, v: float, fp: float, params: FloatArray) -> Rgba:
    """Lines to and fro on white, a dot in the middle; params: half width, of a line, spacing."""
    half, pitch = params[1], params[2]
    across = _stripes(u + half, pitch, 2.0 * half / pitch, fp)
    down = _stripes(v + half, pitch, 2.0 * half / pitch, fp)
    ink = 1.0 - (1.0 - across) * (1.0 - down)
    dot = _inside(0.22 * pitch - math.sqrt(u * u + v * v), fp)
    tone = 0.80 - 0.75 * max(ink, dot)
    return tone, tone, tone, 1.0


@_jit
def _dead_leaves(u: float, v: float, fp: float, params: FloatArray, found: FloatArray) -> Rgba:
    """Discs of every size that hide each other; params: smallest and largest radius, share.

    Radii are distributed as r^-3, so that the picture looks alike at every scale (Lee, Mumford and
    Huang, IJCV 2001). A sheaf has one disc in each cell of each octave of radius; sheaves lie on
    each other until nothing shows through, the discs of one in a random order. Discs far smaller
    than the footprint become a veil of their mean tone that covers as much as they do. ``found``
    (48, 5) is written over.
    """
    smallest, largest, share = params[0], params[1], params[2]
    r = g = b = 0.0
    rest = 1.0
    count = int(math.log2(largest / smallest) + 0.5)
    # the mean of r^2 over an octave is 2 ln 2 / 3 of the largest
    cells = math.sqrt(math.pi * 0.46210 / share)
    for sheaf in range(24):
        hits = 0
        top = 2.0 * largest
        for octave in range(count):
            top *= 0.5
            if top < 0.5 * fp:
                # nothing of the finer octaves is seen singly: veils between the larger discs
                for veil in range(4):
                    found[hits, 0] = 0.25 * veil + 0.125
                    found[hits, 1] = 1.0 - math.exp(-0.25 * share * (count - octave))
                    found[hits, 2] = found[hits, 3] = found[hits, 4] = 0.34
                    hits += 1
                break
            cell = top * cells
            seed = 64 * sheaf + octave
            cu, cv = u / cell, v / cell
            ix, iy = math.floor(cu), math.floor(cv)
            reach = (top + 0.5 * fp) / cell
            left, right = ix - 1 if cu - ix < reach else ix, ix + 1 if cu - ix > 1 - reach else ix
            above, below = iy - 1 if cv - iy < reach else iy, iy + 1 if cv - iy > 1 - reach else iy
            for y in range(above, below + 1):
                for x in range(left, right + 1):
                    sx, sy = x + 12289 * seed, y + 24593 * seed
                    dx = (x + _hash(sx, sy)) * cell - u
                    if abs(dx) > top + 0.5 * fp:
                        continue
                    dy = (y + _hash(sx + 1009, sy)) * cell - v
                    if abs(dy) > top + 0.5 * fp:
                        continue
                    # radii as r^-3 between top / 2 and top
                    radius = top / math.sqrt(1.0 + 3.0 * _hash(sx, sy + 2003))
                    cover = _inside(radius - math.sqrt(dx * dx + dy * dy), fp)
                    if cover > 0.0 and hits < 44:
                        tone = 0.04 + 0.60 * _hash(sx + 3001, sy)
                        hue = 2.0 * math.pi * _hash(sx, sy + 4001)
                        found[hits, 0] = _hash(sx + 5003, sy + 11)
                        found[hits, 1] = cover
                        found[hits, 2] = tone * (1.0 + 0.45 * math.cos(hue))
                        found[hits, 3] = tone * (1.0 + 0.25 * math.cos(hue + 2.1))
                        found[hits, 4] = tone * (1.0 + 0.45 * math.cos(hue + 4.2))
                        hits += 1
        for _ in range(hits):
            first = 0
            for k in range(1, hits):
                if found[k, 0] < found[first, 0]:
                    first = k
            part = rest * found[first, 1]
            r += part * found[first, 2]
            g += part * found[first, 3]
            b += part * found[first, 4]
            rest -= part
            found[first, 0] = 2.0
        if rest < 0.004:
            break
    return r + 0.34 * rest, g + 0.34 * rest, b + 0.34 * rest, 1.0


@_jit
def _measuring(
    kind: int, u: float, v: float, fp: float, params: FloatArray, found: FloatArray
) -> Rgba:
    """The charts that are one sheet without end."""
    if kind == 12:
        return _edges(u, v, fp, params)
    if kind == 13:
        return _sine_star(u, v, fp, params)
    if kind == 14:
        return _zones(u, v, fp, params)
    if kind == 15:
        return _steps(u, v, fp, params)
    if kind == 16:
        return _noise_patches(u, v, fp, params)
    if kind == 17:
        return _points(u, v, fp, params)
    if kind == 18:
        return _lines(u, v, fp, params)
    return _dead_leaves(u, v, fp, params, found)


@_jit
def shade_layer(
    kind: int,
    flat: bool,
    distance: float,
    lens: float,
    ox: float,
    oy: float,
    extent: Rgba,
    params: FloatArray,
    found: FloatArray,
    room: DoubleArray,
    items: FloatArray,
    atlas: npt.NDArray[np.uint8],
    levels: npt.NDArray[np.int64],
    matrix: FloatArray,
    x0: float,
    y0: float,
    step: float,
    warp: DoubleArray,
    out: FloatArray,
) -> None:
    """Premultiplied channels and coverage of a layer on a grid of points of the sensor.

    ``out`` is (4, h, w): three channels = matrix (3, 3) times the layer's coefficients, and the
    coverage 0..1. Where sample (i, j) looks, ``Layer.sample`` says; it does so from ``lens`` metres
    before the sensor plane. An upright layer stands at ``distance`` from the sensor plane; a flat
    one (``flat``) lies ``distance`` below the axis. ``extent`` is left, top, right and bottom of
    what is not empty about (``ox``, ``oy``); ``found`` (48, 5) is room for dead leaves, ``room``
    (14, n) for n places of the table.
    """
    if kind == 2:
        _shade_table(distance, lens, params[0], items, matrix, x0, y0, step, warp, room, out)
        return
    if kind == 7:
        _shade_leaves(distance - lens, ox, oy, extent, items, matrix, x0, y0, step, warp, out)
        return
    left, top, right, bottom = extent
    k1, k2, k3 = warp[0], warp[1], warp[2]
    for i in range(out.shape[1]):
        y = y0 + i * step
        for j in range(out.shape[2]):
            x = x0 + j * step
            q = x * x + y * y
            bent = 1.0 + q * (k1 + q * (k2 + q * k3))
            ty = y * bent
            away = distance - lens
            if flat:
                if ty < 1e-4:  # at the horizon and above
                    out[:, i, j] = np.float32(0.0)
                    continue
                away = distance / ty
            fp = step * away
            v = ty * away - oy
            u = x * bent * away - ox
            if not flat and (u < left - fp or u > right + fp or v < top - fp or v > bottom + fp):
                out[:, i, j] = np.float32(0.0)
                continue
            if kind == 0:
                r = g = b = a = 1.0
                if params[0] > 0.0:
                    a = _box(u, -params[0], params[0], fp) * _box(v, -params[1], params[1], fp)
                r, g, b = params[2] * a, params[3] * a, params[4] * a
            elif kind == 1:
                r, g, b, a = _wall(u, v, fp)
            elif kind == 3:
                r, g, b, a = _card(u, v, fp, items, atlas, levels)
            elif kind == 4:
                r, g, b, a = _books(u, v, fp, items, atlas, levels)
            elif kind == 5:
                r, g, b, a = _mug(u, v, fp)
            elif kind == 6:
                r, g, b, a = _fruit(u, v, fp, params)
            elif kind == 8:
                r, g, b, a = _bottle(u, v, fp, params)
            elif kind == 9:
                r, g, b, a = _shade(u, v, fp)
            elif kind == 10:
                r, g, b, a = _chart(u, v, fp, params)
            elif kind == 11:
                r, g, b, a = _pot(u, v, fp)
            elif kind == 20:
                r, g, b, a = _train(u, v, fp)
            else:
                r, g, b, a = _measuring(kind, u, v, fp, params, found)
            r, g, b = max(r, 0.0), max(g, 0.0), max(b, 0.0)
            out[0, i, j] = matrix[0, 0] * r + matrix[0, 1] * g + matrix[0, 2] * b
            out[1, i, j] = matrix[1, 0] * r + matrix[1, 1] * g + matrix[1, 2] * b
            out[2, i, j] = matrix[2, 0] * r + matrix[2, 1] * g + matrix[2, 2] * b
            out[3, i, j] = a
