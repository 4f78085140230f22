"""The still's kernel: one pass from mosaic to 8 bit sRGB over a band of rows.

Demosaic: directional colour differences weighted by the inverse square of their gradients, after
I. Pekkucuksen and Y. Altunbasak, "Gradient based threshold free color filter array
interpolation", ICIP 2010, with Gaussian windows instead of boxes and one update pass. It assumes
that the colours rise and fall together (true of most photographs); where they do not, a plain
linear filter (`linear_rows`) is up to 4 dB better.

Layout. Rows are split into even and odd columns (index 0 and 1 of the second axis) of the
*pattern*, which is the picture shifted so that red lies at even row, even column; every loop then
runs over neighbours in memory and is vectorised. At row y the red or blue sites have the parity
``y & 1`` and green the other. All intermediates are rings of a few rows of one block of columns,
about 400 KB, so that they stay in a core's second-level cache. Borders are mirrored without
repeating the edge, which keeps the pattern.

Loops touch few arrays each because LLVM gives up on vectorising where it would need more than
eight overlap checks.
"""

# pyright: reportMissingParameterType=false, reportUnknownParameterType=false
# (numba infers the types of a kernel; docstrings give them where rooms meet)
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit  # pyright: ignore[reportUnknownVariableType]

BORDER = 14
"""Rows above and below that an output row depends on."""
BLOCK = 512
"""Most pairs of columns in a block."""
MARGIN = 16
"""Pairs of columns on each side of a block that are computed for its sake."""
CURVE_SIZE = 8192
CODE = 256
"""Steps of the curve's output for one 8 bit level."""
GRADIENT, LINEAR, DONE = 0, 1, 2
"""Demosaic methods; `DONE` where the colours are given."""

# Gaussians of sigma 1.5, 3 and 1.5 photosites: across a direction, along it, and for the
# differences themselves; chosen on the odd pictures of the Kodak set
_A1, _A2 = np.float32(0.8007), np.float32(0.4111)
_B1, _B2, _B3, _B4 = np.float32(0.9460), np.float32(0.8007), np.float32(0.6065), np.float32(0.4111)
_C0, _C1, _C2, _C3, _C4 = (np.float32(v / 2.3759) for v in (1.0, 0.8007, 0.4111, 0.1353, 0.0286))
_TINY = np.float32(2e-4)


def _jit(function: Callable[..., Any]) -> Callable[..., Any]:
    return njit(  # pyright: ignore
        nogil=True,
        cache=True,
        boundscheck=False,
        error_model="numpy",
        fastmath={"nnan", "nsz", "contract", "arcp"},
    )(function)


@_jit
def _mirror(i, n):
    if i < 0:
        i = -i
    if i >= n:
        i = 2 * n - 2 - i
    return min(max(i, 0), n - 1)


@_jit
def _load(row, even, odd, x0, black0, black1, gain0, gain1):
    """``even[k], odd[k]`` = levelled ``row[x0 + 2k], row[x0 + 2k + 1]``, at most 1."""
    width = row.size
    n = even.size
    first = min(n, max(0, (1 - x0) // 2))
    last = max(first, min(n, (width - x0) // 2))
    one = np.float32(1.0)
    inner, e, o = row[x0 + 2 * first : x0 + 2 * last], even[first:], odd[first:]
    for k in range(last - first):
        e[k] = min((np.float32(inner[2 * k]) - black0) * gain0, one)
        o[k] = min((np.float32(inner[2 * k + 1]) - black1) * gain1, one)
    for k in range(n):
        if k < first or k >= last:
            a = np.float32(row[_mirror(x0 + 2 * k, width)])
            b = np.float32(row[_mirror(x0 + 2 * k + 1, width)])
            even[k] = min((a - black0) * gain0, one)
            odd[k] = min((b - black1) * gain1, one)


@_jit
def _unshade(samples, x0, y, width, height, shade):
    """Divide by the relative illumination 1 + k1 r^2 + k2 r^4 + k3 r^6, r = 1 in the corner."""
    one = np.float32(1.0)
    middle_x, middle_y = np.float32(0.5 * (width - 1)), np.float32(0.5 * (height - 1))
    scale = one / (middle_x * middle_x + middle_y * middle_y)
    dy2 = (np.float32(y) - middle_y) ** 2 * scale
    k1, k2, k3 = shade[0], shade[1], shade[2]
    for k in range(samples.size):
        dx = np.float32(x0 + 2 * k) - middle_x
        r2 = dx * dx * scale + dy2
        samples[k] = min(samples[k] / (one + r2 * (k1 + r2 * (k2 + r2 * k3))), one)


@_jit
def _along_row(e, o, he, ho):
    """Colour difference along the row, up to its sign: [1 -2 2 -2 1] / 4."""
    half, quarter = np.float32(0.5), np.float32(0.25)
    for k in range(1, e.size - 1):
        he[k] = half * (e[k] - o[k - 1] - o[k]) + quarter * (e[k - 1] + e[k + 1])
        ho[k] = half * (o[k] - e[k] - e[k + 1]) + quarter * (o[k - 1] + o[k + 1])


@_jit
def _step_row(he, ho, de, do):
    n = he.size - 4
    ho1, ho2, he2, he3, oute, outo = ho[1:], ho[2:], he[2:], he[3:], de[2:], do[2:]
    for k in range(n):
        oute[k] = abs(ho1[k] - ho2[k])
        outo[k] = abs(he2[k] - he3[k])


@_jit
def _along_column(a, b, c, d, e, out):
    half, quarter = np.float32(0.5), np.float32(0.25)
    for k in range(out.size):
        out[k] = half * (c[k] - b[k] - d[k]) + quarter * (a[k] + e[k])


@_jit
def _step_column(a, b, out):
    for k in range(out.size):
        out[k] = abs(a[k] - b[k])


@_jit
def _across_row(e, o, oute, outo):
    for k in range(1, e.size - 1):
        oute[k] = e[k] + _A1 * (o[k - 1] + o[k]) + _A2 * (e[k - 1] + e[k + 1])
        outo[k] = o[k] + _A1 * (e[k] + e[k + 1]) + _A2 * (o[k - 1] + o[k + 1])


@_jit
def _across_column(a, b, c, d, e, out):
    for k in range(out.size):
        out[k] = c[k] + _A1 * (b[k] + d[k]) + _A2 * (a[k] + e[k])


@_jit
def _weight_column(a, b, c, d, e, out):
    for k in range(out.size):
        s = a[k] + _B1 * b[k] + _B2 * c[k] + _B3 * d[k] + _B4 * e[k] + _TINY
        out[k] = np.float32(1.0) / (s * s)


@_jit
def _weight_row(own, left, right, west, east):
    """Weights at the sites ``own``; ``left[k]``, ``right[k]`` are their neighbours."""
    n = own.size - 8
    c, l0, r0, out = own[4:], left[4:], right[4:], west[4:]
    c1, c2, l1 = own[3:], own[2:], left[3:]
    for k in range(n):
        s = c[k] + _B1 * l0[k] + _B2 * c1[k] + _B3 * l1[k] + _B4 * c2[k] + _TINY
        out[k] = np.float32(1.0) / (s * s)
    c1, c2, r1, out = own[5:], own[6:], right[5:], east[4:]
    for k in range(n):
        s = c[k] + _B1 * r0[k] + _B2 * c1[k] + _B3 * r1[k] + _B4 * c2[k] + _TINY
        out[k] = np.float32(1.0) / (s * s)


@_jit
def _mean_column(a, b, c, d, e, weight, out):
    """``out`` = weighted mean of green minus colour; its sign changes from row to row."""
    for k in range(out.size):
        out[k] = weight[k] * (_C1 * b[k] + _C3 * d[k] - _C0 * a[k] - _C2 * c[k] - _C4 * e[k])


@_jit
def _difference(own, left, right, north, south, wn, ws, ww, we, out):
    """Mean of four directions; ``north``, ``south`` come weighted, ``south`` is overwritten."""
    n = own.size - 8
    total, sums, weight, result = north[4:], south[4:], ww[4:], out[4:]
    c0, c1, c2, a0, a1 = own[4:], own[3:], own[2:], left[4:], left[3:]
    for k in range(n):
        near = _C1 * a0[k] + _C3 * a1[k] - _C0 * c0[k] - _C2 * c1[k] - _C4 * c2[k]
        sums[k] += total[k] + weight[k] * near
    weight, c1, c2, a0, a1 = we[4:], own[5:], own[6:], right[4:], right[5:]
    for k in range(n):
        near = _C1 * a0[k] + _C3 * a1[k] - _C0 * c0[k] - _C2 * c1[k] - _C4 * c2[k]
        sums[k] += weight[k] * near
    w0, w1, w2 = wn[4:], ws[4:], ww[4:]
    for k in range(n):
        result[k] = sums[k] / (w0[k] + w1[k] + w2[k] + weight[k])


@_jit
def _update(up, here, down, wn, ws, ww, we, out):
    half = np.float32(0.5)
    n = here.size - 10
    up, down, result = up[5:], down[5:], out[5:]
    w0, w1, w2, w3 = wn[5:], ws[5:], ww[5:], we[5:]
    c, left, right = here[5:], here[4:], here[6:]
    for k in range(n):
        total = w0[k] + w1[k] + w2[k] + w3[k]
        near = w0[k] * up[k] + w1[k] * down[k] + w2[k] * left[k] + w3[k] * right[k]
        result[k] = half * (c[k] + near / total)


@_jit
def _cross(up3, up, down, down3, shift, out):
    """The other colour's difference from its diagonal neighbours (the paper's 7 x 7 filter).

    ``shift`` 0: the neighbours of k lie at k - 1 and k; 1: at k and k + 1.
    """
    near, far = np.float32(10 / 32), np.float32(1 / 32)
    i = 7 + shift
    a0, a1, d0, d1 = up3[i - 1 :], up3[i:], down3[i - 1 :], down3[i:]
    b0, b1, b2, b3 = up[i - 2 :], up[i - 1 :], up[i:], up[i + 1 :]
    c0, c1, c2, c3 = down[i - 2 :], down[i - 1 :], down[i:], down[i + 1 :]
    result = out[7:]
    for k in range(out.size - 14):
        result[k] = near * (b1[k] + b2[k] + c1[k] + c2[k]) - far * (
            a0[k] + a1[k] + d0[k] + d1[k] + b0[k] + b3[k] + c0[k] + c3[k]
        )


@_jit
def _at_colour(x, own, other, green, same, opposite):
    """At a red (blue) site: green, red (blue) and blue (red)."""
    for k in range(x.size):
        green[k] = x[k] + own[k]
    for k in range(x.size):
        opposite[k] = x[k] + own[k] - other[k]
    same[:] = x


@_jit
def _at_green(x, row, up, down, shift, out):
    """A colour at green sites from its differences beside, above and below."""
    quarter = np.float32(0.25)
    left, right = row[7 + shift :], row[8 + shift :]
    x, up, down, result = x[8:], up[8:], down[8:], out[8:]
    for k in range(out.size - 16):
        result[k] = x[k] - quarter * (left[k] + right[k] + up[k] + down[k])


@_jit
def rings(n):
    """Memory of one call of the kernel: rings of rows, each row as even and odd columns."""
    f = np.float32
    return (
        np.zeros((16, 2, n), f),  # samples
        np.zeros((8, 2, n), f),  # differences along the row
        np.zeros((16, 2, n), f),  # ... along the column
        np.zeros((8, 2, n), f),  # their steps along the row
        np.zeros((1, 2, n), f),  # ... along the column
        np.zeros((8, 2, n), f),  # steps gathered across, row direction
        np.zeros((16, 2, n), f),  # ... column direction
        np.zeros((4, 4, n), f),  # weights north, south, west, east
        np.zeros((2, n), f),  # means north, south
        np.zeros((8, n), f),  # green minus own colour
        np.zeros((8, n), f),  # ... after the update
        np.zeros((4, n), f),  # green minus other colour
    )


@_jit
def demosaic_row(t, ring, start, rgb):
    """Take in sample row ``t`` and give the colours of row ``t - 13`` in ``rgb`` (3, 2, n).

    ``start`` is the first row ever loaded; a stage waits until its rows are there.
    """
    x, hr, hc, sr, sc, gr, gc, w, mean, d, u, v = ring
    _along_row(x[t & 15, 0], x[t & 15, 1], hr[t & 7, 0], hr[t & 7, 1])
    _step_row(hr[t & 7, 0], hr[t & 7, 1], sr[t & 7, 0], sr[t & 7, 1])
    if t - start < 4:
        return
    y = t - 2
    for p in range(2):
        _along_column(
            x[(y - 2) & 15, p],
            x[(y - 1) & 15, p],
            x[y & 15, p],
            x[(y + 1) & 15, p],
            x[(y + 2) & 15, p],
            hc[y & 15, p],
        )
        _across_column(
            sr[(y - 2) & 7, p],
            sr[(y - 1) & 7, p],
            sr[y & 7, p],
            sr[(y + 1) & 7, p],
            sr[(y + 2) & 7, p],
            gr[y & 7, p],
        )
    y = t - 3
    for p in range(2):
        _step_column(hc[(y - 1) & 15, p], hc[(y + 1) & 15, p], sc[0, p])
    _across_row(sc[0, 0], sc[0, 1], gc[y & 15, 0], gc[y & 15, 1])
    if t - start < 14:
        return
    y = t - 7
    p = y & 1
    wy = w[y & 3]
    _weight_column(
        gc[y & 15, p],
        gc[(y - 1) & 15, p],
        gc[(y - 2) & 15, p],
        gc[(y - 3) & 15, p],
        gc[(y - 4) & 15, p],
        wy[0],
    )
    _weight_column(
        gc[y & 15, p],
        gc[(y + 1) & 15, p],
        gc[(y + 2) & 15, p],
        gc[(y + 3) & 15, p],
        gc[(y + 4) & 15, p],
        wy[1],
    )
    own, other = gr[y & 7, p], gr[y & 7, 1 - p]
    # left and right neighbours of an even site k: odd k - 1 and k; of an odd site: even k, k + 1
    if p == 0:
        _weight_row(own[1:], other[:-1], other[1:], wy[2, 1:], wy[3, 1:])
    else:
        _weight_row(own[:-1], other[:-1], other[1:], wy[2, :-1], wy[3, :-1])
    _mean_column(
        hc[y & 15, p],
        hc[(y - 1) & 15, p],
        hc[(y - 2) & 15, p],
        hc[(y - 3) & 15, p],
        hc[(y - 4) & 15, p],
        wy[0],
        mean[0],
    )
    _mean_column(
        hc[y & 15, p],
        hc[(y + 1) & 15, p],
        hc[(y + 2) & 15, p],
        hc[(y + 3) & 15, p],
        hc[(y + 4) & 15, p],
        wy[1],
        mean[1],
    )
    own, other = hr[y & 7, p], hr[y & 7, 1 - p]
    if p == 0:
        _difference(
            own[1:],
            other[:-1],
            other[1:],
            mean[0, 1:],
            mean[1, 1:],
            wy[0, 1:],
            wy[1, 1:],
            wy[2, 1:],
            wy[3, 1:],
            d[y & 7, 1:],
        )
    else:
        _difference(
            own[:-1],
            other[:-1],
            other[1:],
            mean[0, :-1],
            mean[1, :-1],
            wy[0, :-1],
            wy[1, :-1],
            wy[2, :-1],
            wy[3, :-1],
            d[y & 7, :-1],
        )
    if t - start < 18:
        return
    y = t - 9
    wy = w[y & 3]
    _update(d[(y - 2) & 7], d[y & 7], d[(y + 2) & 7], wy[0], wy[1], wy[2], wy[3], u[y & 7])
    if t - start < 24:
        return
    y = t - 12
    _cross(u[(y - 3) & 7], u[(y - 1) & 7], u[(y + 1) & 7], u[(y + 3) & 7], y & 1, v[y & 3])
    if t - start < 26:
        return
    y = t - 13
    p = y & 1
    same, opposite = 2 * p, 2 - 2 * p
    _at_colour(x[y & 15, p], u[y & 7], v[y & 3], rgb[1, p], rgb[same, p], rgb[opposite, p])
    rgb[1, 1 - p, :] = x[y & 15, 1 - p]
    green = x[y & 15, 1 - p]
    _at_green(green, u[y & 7], v[(y - 1) & 3], v[(y + 1) & 3], 1 - p, rgb[same, 1 - p])
    _at_green(green, v[y & 3], u[(y - 1) & 7], u[(y + 1) & 7], 1 - p, rgb[opposite, 1 - p])


@_jit
def _linear_green(row, own, up, down, up2, down2, shift, out):
    """Malvar's green at red or blue sites ``own``; ``row`` are the greens beside them."""
    left, right = row[1 + shift :], row[2 + shift :]
    c, l2, r2, up, down = own[2:], own[1:], own[3:], up[2:], down[2:]
    up2, down2, result = up2[2:], down2[2:], out[2:]
    eighth, two, four = np.float32(0.125), np.float32(2), np.float32(4)
    for k in range(out.size - 4):
        result[k] = two * (up[k] + down[k]) - up2[k] - down2[k]
    for k in range(out.size - 4):
        near = two * (left[k] + right[k]) + four * c[k] - l2[k] - r2[k]
        result[k] = eighth * (result[k] + near)


@_jit
def _linear_between(near0, near1, own, along2, along3, across0, across1, out, diagonal):
    """Malvar's colour at green sites ``own`` that lie between two sites of it.

    ``near``: those two; ``along``: greens two steps off in their direction; ``across``: greens
    two steps off in the other; ``diagonal``: sum of the four diagonal greens.
    """
    eighth, half = np.float32(0.125), np.float32(0.5)
    four, five = np.float32(4), np.float32(5)
    for k in range(out.size):
        out[k] = four * (near0[k] + near1[k]) + five * own[k] - along2[k] - along3[k]
    for k in range(out.size):
        out[k] = eighth * (out[k] + half * (across0[k] + across1[k]) - diagonal[k])


@_jit
def _linear_opposite(up0, up1, down0, down1, own, left2, right2, up2, down2, out):
    """Malvar's blue at red sites ``own``, red at blue sites."""
    eighth, two = np.float32(0.125), np.float32(2)
    six, more = np.float32(6), np.float32(1.5)
    for k in range(out.size):
        out[k] = two * (up0[k] + up1[k] + down0[k] + down1[k]) + six * own[k]
    for k in range(out.size):
        out[k] = eighth * (out[k] - more * (left2[k] + right2[k] + up2[k] + down2[k]))


@_jit
def linear_row(y, x, scratch, rgb):
    """Colours of row ``y`` by H. Malvar, L.-W. He, R. Cutler, ICASSP 2004: 5 x 5 linear filters."""
    p = y & 1
    same, opposite = 2 * p, 2 - 2 * p
    n = scratch.size
    m = n - 4
    s = 1 - p  # neighbours of a green site k in its row are own sites k - 1 + s and k + s
    here, up, down = x[y & 15], x[(y - 1) & 15], x[(y + 1) & 15]
    up2, down2 = x[(y - 2) & 15], x[(y + 2) & 15]
    rgb[1, 1 - p, :] = here[1 - p]
    rgb[same, p, :] = here[p]
    _linear_green(here[1 - p], here[p], up[p], down[p], up2[p], down2[p], p, rgb[1, p])
    _linear_opposite(
        up[1 - p, 1 + p :],
        up[1 - p, 2 + p :],
        down[1 - p, 1 + p :],
        down[1 - p, 2 + p :],
        here[p, 2:],
        here[p, 1:],
        here[p, 3:],
        up2[p, 2:],
        down2[p, 2:],
        rgb[opposite, p, 2 : 2 + m],
    )
    diagonal = scratch[2 : 2 + m]
    a, b, c, d = up[p, 1 + s :], up[p, 2 + s :], down[p, 1 + s :], down[p, 2 + s :]
    for k in range(m):
        diagonal[k] = a[k] + b[k] + c[k] + d[k]
    g = 1 - p
    _linear_between(
        here[p, 1 + s :],
        here[p, 2 + s :],
        here[g, 2:],
        here[g, 1:],
        here[g, 3:],
        up2[g, 2:],
        down2[g, 2:],
        rgb[same, g, 2 : 2 + m],
        diagonal,
    )
    _linear_between(
        up[g, 2:],
        down[g, 2:],
        here[g, 2:],
        up2[g, 2:],
        down2[g, 2:],
        here[g, 1:],
        here[g, 3:],
        rgb[opposite, g, 2 : 2 + m],
        diagonal,
    )


@_jit
def _given(colours, x0, rgb):
    """A row of given colours (width, 3) as even and odd columns (3, 2, n)."""
    width = colours.shape[0]
    for k in range(rgb.shape[2]):
        for p in range(2):
            x = _mirror(x0 + 2 * k + p, width)
            for c in range(3):
                rgb[c, p, k] = colours[x, c]


@_jit
def _take(mosaic, row0, size, phase, black, gain, shade, t, start, x0, method, ring, scratch, rgb):
    """Load pattern row ``t``; colours of row ``t - 13`` into ``rgb``."""
    height, width = size
    samples = ring[0]
    y = _mirror(t - phase[0], height)
    e, o = samples[t & 15, 0], samples[t & 15, 1]
    c = t & 1
    _load(mosaic[y - row0], e, o, x0, black[c, 0], black[c, 1], gain[c, 0], gain[c, 1])
    # red lies at even rows and columns, blue at odd ones
    for p, row in ((0, e), (1, o)):
        k = shade[c + p]
        if k[0] != 0.0 or k[1] != 0.0 or k[2] != 0.0:
            _unshade(row, x0 + p, y, width, height, k)
    if method == LINEAR:
        if t - start >= 26:
            linear_row(t - 13, samples, scratch, rgb)
    else:
        demosaic_row(t, ring, start, rgb)


@_jit
def _mix(r, g, b, a0, a1, a2, out):
    for k in range(out.size):
        out[k] = a0 * r[k] + a1 * g[k] + a2 * b[k]


@_jit
def _code(values, place, curve, out):
    """``out`` = curve of linear ``values``; the curve spans 0..1."""
    zero, top = np.float32(0), np.float32(CURVE_SIZE - 1)
    for k in range(values.size):
        place[k] = np.int32(max(zero, min(top, values[k] * top + np.float32(0.5))))
    for k in range(values.size):
        out[k] = curve[np.uint32(place[k])]


@_jit
def _colour_row(rgb, matrix, curve, mixed, place, code, luma):
    """Camera RGB to display codes (float32, `CODE` to the level), and their luma."""
    quarter, half = np.float32(0.25), np.float32(0.5)
    for p in range(2):
        r, g, b = rgb[0, p], rgb[1, p], rgb[2, p]
        for c in range(3):
            _mix(r, g, b, matrix[c, 0], matrix[c, 1], matrix[c, 2], mixed)
            _code(mixed, place, curve, code[c, p])
        r, g, b, v = code[0, p], code[1, p], code[2, p], luma[p]
        for k in range(v.size):
            v[k] = quarter * (r[k] + b[k]) + half * g[k]


@_jit
def _soften(up, here, down, out):
    two = np.float32(2)
    for k in range(out.size):
        out[k] = up[k] + two * here[k] + down[k]


@_jit
def _detail(centre, here, left, right, amount, core, out):
    """What the eye misses after demosaic: luma less its 3 x 3 binomial mean, small values cored."""
    two, part = np.float32(2), np.float32(1 / 16)
    limit = np.float32(24 * CODE)
    for k in range(out.size):
        d = centre[k] - part * (left[k] + two * here[k] + right[k])
        d = amount * (d - max(-core, min(core, d)))
        out[k] = max(-limit, min(limit, d))


@_jit
def _add(code, detail):
    for k in range(code.size):
        code[k] += detail[k]


@_jit
def _store(code, x0, out):
    """Codes to bytes of one output row (width, 3)."""
    width = out.shape[0]
    n = code.shape[2]
    first = max(MARGIN, (1 - x0) // 2)
    last = max(first, min(n - MARGIN, (width - x0) // 2))
    part, half = np.float32(1 / CODE), np.float32(0.5)
    low, high = np.float32(0), np.float32(255)
    if first > MARGIN and x0 + 2 * first - 1 == 0:
        for c in range(3):
            out[0, c] = np.uint8(max(low, min(high, code[c, 1, first - 1] * part + half)))
    if last < n - MARGIN and x0 + 2 * last == width - 1:
        for c in range(3):
            out[width - 1, c] = np.uint8(max(low, min(high, code[c, 0, last] * part + half)))
    flat = out.reshape(-1)[3 * (x0 + 2 * first) :]
    for c in range(3):
        e, o = code[c, 0, first:], code[c, 1, first:]
        shifted = flat[c:]
        for k in range(last - first):
            shifted[6 * k] = np.uint8(max(low, min(high, e[k] * part + half)))
            shifted[6 * k + 3] = np.uint8(max(low, min(high, o[k] * part + half)))


@_jit
def _spread(rgb, x0, out):
    """Colours of a row as even and odd columns (3, 2, n) to ``out`` (width, 3)."""
    width = out.shape[0]
    n = rgb.shape[2]
    first = max(MARGIN, (1 - x0) // 2)
    last = max(first, min(n - MARGIN, (width - x0) // 2))
    for c in range(3):
        if first > MARGIN and x0 + 2 * first == 1:
            out[0, c] = rgb[c, 1, first - 1]
        if last < n - MARGIN and x0 + 2 * last == width - 1:
            out[width - 1, c] = rgb[c, 0, last]
        place = out.reshape(-1)[3 * (x0 + 2 * first) + c :]
        e, o = rgb[c, 0, first:], rgb[c, 1, first:]
        for k in range(last - first):
            place[6 * k] = e[k]
            place[6 * k + 3] = o[k]


@_jit
def develop_rows(
    mosaic,
    row0,
    size,
    phase,
    black,
    gain,
    shade,
    matrix,
    curve,
    sharpen,
    core,
    method,
    first,
    colours,
    out,
):
    """Rows ``first .. first + len(out)`` of a picture.

    Parameters
    ----------
    mosaic : uint16 (rows, width), DN, of the picture's rows from ``row0``; reaches `BORDER` rows
        beyond the output on both sides, except at the picture's edges
    size : (height, width) of the whole picture
    phase : (row, column) of red in the 2 x 2 pattern
    black, gain : float32 (2, 2) by parity in the pattern; sample = (DN - black) * gain, at most 1
    shade : float32 (3, 3), relative illumination of red, green, blue; zeros for none
    matrix : float32 (3, 3), balanced camera RGB to linear sRGB
    curve : uint16 (`CURVE_SIZE`,), linear 0..1 to `CODE` times the 8 bit level
    sharpen, core : amount of luma detail added; size below which it is taken for noise, in codes
    method : `GRADIENT`, `LINEAR` or `DONE`
    colours : float32 (rows, width, 3), balanced camera RGB of the rows from ``row0``, one beyond
        the output on both sides; only read with `DONE`, and then ``mosaic`` is not
    out : uint8 (rows, width, 3), sRGB
    """
    width = size[1]
    pairs = (width + phase[1] + 1) // 2
    blocks = (pairs + BLOCK - 1) // BLOCK
    block = (pairs + blocks - 1) // blocks
    n = block + 2 * MARGIN
    ring = rings(n)
    rgb = np.zeros((3, 2, n), np.float32)
    scratch = np.zeros(n, np.float32)
    place = np.zeros(n, np.int32)
    codes = np.zeros((4, 3, 2, n), np.float32)
    lumas = np.zeros((4, 2, n), np.float32)
    soft = np.zeros((2, n), np.float32)
    top = first + phase[0]
    start = top - BORDER
    for b in range(blocks):
        x0 = 2 * (b * block - MARGIN) - phase[1]
        for t in range(start, top + out.shape[0] + BORDER):
            if method == DONE:
                if t - start >= 26:
                    row = _mirror(t - 13 - phase[0], size[0])
                    _given(colours[row - row0], x0, rgb)
            else:
                _take(
                    mosaic,
                    row0,
                    size,
                    phase,
                    black,
                    gain,
                    shade,
                    t,
                    start,
                    x0,
                    method,
                    ring,
                    scratch,
                    rgb,
                )
            y = t - 13
            if y < top - 1:
                continue
            _colour_row(rgb, matrix, curve, scratch, place, codes[y & 3], lumas[y & 3])
            y -= 1
            if y < top:
                continue
            code = codes[y & 3]
            if sharpen > 0.0:
                up, here, down = lumas[(y - 1) & 3], lumas[y & 3], lumas[(y + 1) & 3]
                for p in range(2):
                    _soften(up[p], here[p], down[p], soft[p])
                for p in range(2):
                    _detail(
                        here[p, 1 : n - 1],
                        soft[p, 1:],
                        soft[1 - p, p:],
                        soft[1 - p, p + 1 :],
                        sharpen,
                        core,
                        scratch[1 : n - 1],
                    )
                    for c in range(3):
                        _add(code[c, p, 1 : n - 1], scratch[1:])
            _store(code, x0, out[y - top])


@_jit
def demosaic_rows(mosaic, row0, size, phase, black, gain, shade, method, first, out):
    """As `develop_rows`, but ``out`` is float32 (rows, width, 3), balanced camera RGB."""
    width = size[1]
    pairs = (width + phase[1] + 1) // 2
    blocks = (pairs + BLOCK - 1) // BLOCK
    block = (pairs + blocks - 1) // blocks
    n = block + 2 * MARGIN
    ring = rings(n)
    rgb = np.zeros((3, 2, n), np.float32)
    scratch = np.zeros(n, np.float32)
    top = first + phase[0]
    start = top - BORDER
    for b in range(blocks):
        x0 = 2 * (b * block - MARGIN) - phase[1]
        for t in range(start, top + out.shape[0] + BORDER):
            _take(
                mosaic,
                row0,
                size,
                phase,
                black,
                gain,
                shade,
                t,
                start,
                x0,
                method,
                ring,
                scratch,
                rgb,
            )
            y = t - 13 - top
            if y < 0 or y >= out.shape[0]:
                continue
            _spread(rgb, x0, out[y])
