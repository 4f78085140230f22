"""Noise reduction after demosaic, led by the noise model.

A square root makes the noise of all levels alike (the variance-stabilising transform of M. Makitalo
and A. Foi, IEEE TIP 2013, for shot and read noise, without its exact inverse). Then luma and colour
differences are averaged over neighbours that a slightly blurred picture calls alike: a bilateral
filter with a clean guide and Tukey's biweight. Colour is averaged over a wider field than luma,
because colour noise is what disturbs most and colour detail what is missed least.
"""

# pyright: reportMissingParameterType=false, reportUnknownParameterType=false
# (numba infers the types of a kernel; docstrings give them where rooms meet)
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit  # pyright: ignore[reportUnknownVariableType]

REACH = 8
"""Rows above and below that a row depends on."""
_PAD = 8
_BLOCK = 1024
_LUMA_STEP, _CHROMA_STEP = 1, 3
# deviation of the blurred guides in units of a sample's: what a 3 x 3 binomial leaves of noise
# that demosaic has made smooth already
_GUIDE = np.float32(0.42)


def _jit(function: Callable[..., Any]) -> Callable[..., Any]:
    return njit(  # pyright: ignore
        nogil=True,
        cache=True,
        boundscheck=False,
        error_model="numpy",
        fastmath={"nnan", "nsz", "contract", "arcp"},
    )(function)


@_jit
def _stabilise(rgb, scale, offset, planes):
    """Luma and colour differences (3, width) of one row of balanced RGB, noise about 1.

    One curve serves all channels, so that grey of any level has no colour difference.
    """
    width = rgb.shape[0]
    zero, quarter, half = np.float32(0), np.float32(0.25), np.float32(0.5)
    factor, floor = np.float32(2) / np.sqrt(scale), offset / scale
    v = np.empty((3, width), np.float32)
    for c in range(3):
        row, given = v[c], rgb.reshape(-1)[c:]
        for k in range(width):
            row[k] = max(given[3 * k] + floor, zero)
        for k in range(width):
            row[k] = factor * np.sqrt(row[k])
    r, g, b = v[0], v[1], v[2]
    y, u, w = planes[0, _PAD:], planes[1, _PAD:], planes[2, _PAD:]
    for k in range(width):
        y[k] = quarter * (r[k] + b[k]) + half * g[k]
    for k in range(width):
        u[k] = r[k] - g[k]
    for k in range(width):
        w[k] = b[k] - g[k]
    for c in range(3):
        planes[c, :_PAD] = planes[c, _PAD]
        planes[c, _PAD + width :] = planes[c, _PAD + width - 1]


@_jit
def _restore(y, u, w, scale, offset, rgb):
    """The inverse of `_stabilise`; overwrites ``u`` and ``w``."""
    quarter = np.float32(0.25)
    factor, floor = quarter * scale, offset / scale
    green = np.empty_like(y)
    for k in range(y.size):
        green[k] = y[k] - quarter * (u[k] + w[k])
    for k in range(y.size):
        u[k] += green[k]
    for k in range(y.size):
        w[k] += green[k]
    for c, v in ((0, u), (1, green), (2, w)):
        out = rgb.reshape(-1)[c:]
        for k in range(y.size):
            out[3 * k] = factor * v[k] * v[k] - floor


@_jit
def _blur_column(a, b, c, out):
    two, part = np.float32(2), np.float32(1 / 16)
    for k in range(out.size):
        out[k] = part * (a[k] + two * b[k] + c[k])


@_jit
def _blur_row(v, out):
    two = np.float32(2)
    left, right, middle = v, v[2:], v[1:]
    inner = out[1:]
    for k in range(out.size - 2):
        inner[k] = left[k] + two * middle[k] + right[k]
    out[0], out[out.size - 1] = out[1], out[out.size - 2]


@_jit
def _alike(here, there, limit, weight, first):
    """Biweight of the difference; multiplied into ``weight`` unless ``first``."""
    zero, one = np.float32(0), np.float32(1)
    if first:
        for k in range(weight.size):
            d = (here[k] - there[k]) * limit
            q = max(one - d * d, zero)
            weight[k] = q * q
    else:
        for k in range(weight.size):
            d = (here[k] - there[k]) * limit
            q = max(one - d * d, zero)
            weight[k] *= q * q


@_jit
def _gather(weight, there, total):
    for k in range(weight.size):
        total[k] += weight[k] * there[k]


@_jit
def _add(weight, total):
    for k in range(weight.size):
        total[k] += weight[k]


@_jit
def _share(total, weights, here, part, out):
    for k in range(out.size):
        out[k] = here[k] + part * (total[k] / weights[k] - here[k])


@_jit
def denoise_rows(rgb, scale, offset, strength, luma):
    """Reduce noise in place.

    Parameters
    ----------
    rgb : float32 (rows, width, 3), balanced camera RGB; rows within `REACH` of an end that is
        not the picture's own are left less clean
    scale, offset : float32; variance = scale * value + offset, the mean of the balanced channels
    strength : how different neighbours may be, 1 = three standard deviations
    luma : part of the luma noise that is taken out, 0..1
    """
    rows, width = rgb.shape[0], rgb.shape[1]
    n = width + 2 * _PAD
    planes = np.empty((rows, 3, n), np.float32)
    guide = np.empty((rows, 3, n), np.float32)
    column = np.empty(n, np.float32)
    for y in range(rows):
        _stabilise(rgb[y], scale, offset, planes[y])
    for y in range(rows):
        for c in range(3):
            _blur_column(
                planes[max(y - 1, 0), c], planes[y, c], planes[min(y + 1, rows - 1), c], column
            )
            _blur_row(column, guide[y, c])
    # wide enough that noise alone is nearly always alike; chosen by PSNR on kodim05 with noise
    limit_luma = np.float32(1) / (np.float32(3) * strength * _GUIDE * np.float32(1.0))
    limit_chroma = np.float32(1) / (np.float32(3) * strength * _GUIDE * np.float32(2.2))
    one = np.float32(1)
    size = min(_BLOCK, width)
    weight = np.empty(size, np.float32)
    sums = np.zeros((5, size), np.float32)
    for left in range(0, width, size):
        m = min(size, width - left)
        a = left + _PAD
        w = weight[:m]
        for y in range(rows):
            sums[:] = 0
            here = guide[y]
            for j in range(-2, 3):
                near = min(max(y + j * _LUMA_STEP, 0), rows - 1)
                far = min(max(y + j * _CHROMA_STEP, 0), rows - 1)
                for i in range(-2, 3):
                    at = a + i * _LUMA_STEP
                    _alike(here[0, a : a + m], guide[near, 0, at : at + m], limit_luma, w, True)
                    _gather(w, planes[near, 0, at : at + m], sums[0, :m])
                    _add(w, sums[1, :m])
                    at = a + i * _CHROMA_STEP
                    _alike(here[0, a : a + m], guide[far, 0, at : at + m], limit_luma, w, True)
                    for c in range(1, 3):
                        _alike(
                            here[c, a : a + m], guide[far, c, at : at + m], limit_chroma, w, False
                        )
                    for c in range(1, 3):
                        _gather(w, planes[far, c, at : at + m], sums[c + 1, :m])
                    _add(w, sums[4, :m])
            middle = planes[y]
            _share(sums[0, :m], sums[1, :m], middle[0, a : a + m], luma, sums[0, :m])
            for c in range(1, 3):
                _share(sums[c + 1, :m], sums[4, :m], middle[c, a : a + m], one, sums[c + 1, :m])
            _restore(sums[0, :m], sums[2, :m], sums[3, :m], scale, offset, rgb[y, left : left + m])
