"""Kernel of veiling glare: a coarse picture of scattered light laid over samples."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit  # pyright: ignore[reportUnknownVariableType]

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


# without fastmath: a sample's value does not depend on which other ones are in its row
@njit(nogil=True, cache=True, error_model="numpy")  # pyright: ignore[reportUntypedFunctionDecorator]
def lay_veil(
    light: FloatArray, veil: FloatArray, colors: IntArray, x: DoubleArray, y: DoubleArray,
    kept: float, scale: float, out: FloatArray, top: int, left: int,
) -> None:  # fmt: skip
    """Make of ``light`` (h, w) ``kept`` times itself and the ``veil`` (3, n, m).

    Times ``scale`` it goes into ``out``, which may be ``light``, from row ``top`` and column
    ``left`` on.
    ``x`` and ``y`` are where columns and rows lie among the veil's points; between those it is a
    cubic B-spline, whose weights are positive and add up to 1. ``colors`` (n, n) are the channels
    of the samples, which repeat.
    """
    height, width = light.shape
    above, beside = veil.shape[1] - 1, veil.shape[2] - 1
    first = int(np.floor(y[0])) - 1
    count = int(np.floor(y[height - 1])) + 3 - first
    sixth = 1.0 / 6.0
    # the points' rows at every column
    period = colors.shape[0]
    lines = np.empty((period, count, width), np.float32)
    for j in range(width):
        k = int(np.floor(x[j]))
        t = x[j] - k
        s = 1.0 - t
        w0, w3 = sixth * s * s * s, sixth * t * t * t
        w1 = sixth * (4.0 + t * t * (3.0 * t - 6.0))
        w2 = sixth * (4.0 + s * s * (3.0 * s - 6.0))
        k0, k1 = min(max(k - 1, 0), beside), min(max(k, 0), beside)
        k2, k3 = min(max(k + 1, 0), beside), min(max(k + 2, 0), beside)
        for a in range(period):
            c = colors[a, j % period]
            for r in range(count):
                at = veil[c, min(max(first + r, 0), above)]
                lines[a, r, j] = w0 * at[k0] + w1 * at[k1] + w2 * at[k2] + w3 * at[k3]
    keep, times = np.float32(kept), np.float32(scale)
    for i in range(height):
        k = int(np.floor(y[i]))
        t = y[i] - k
        s = 1.0 - t
        v0, v3 = np.float32(sixth * s * s * s), np.float32(sixth * t * t * t)
        v1 = np.float32(sixth * (4.0 + t * t * (3.0 * t - 6.0)))
        v2 = np.float32(sixth * (4.0 + s * s * (3.0 * s - 6.0)))
        n = k - 1 - first
        own = lines[i % period]
        l0, l1, l2, l3 = own[n], own[n + 1], own[n + 2], own[n + 3]
        row, into = light[i], out[top + i, left : left + width]
        for j in range(width):
            both = keep * row[j] + (v0 * l0[j] + v1 * l1[j] + (v2 * l2[j] + v3 * l3[j]))
            into[j] = times * both
