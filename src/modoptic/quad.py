"""Quad-Bayer mosaics: 2 x 2 photosites under one filter, and how they become Bayer ones.

The colours repeat every four photosites: ``RRGG``, ``RRGG``, ``GGBB``, ``GGBB``. Remosaicing gives
the Bayer mosaic that a sensor of the same pitch would have given, so that everything made for Bayer
mosaics can go on from there. Six photosites of sixteen have the right colour already and pass
through unchanged.

Green at the red and blue photosites is estimated along the row and along the column by a filter of
12 photosites and mixed by the inverse square of the gradients about the block, as in Hamilton and
Adams (US 5,629,734, 1997) and Pekkucuksen and Altunbasak (ICIP 2010). Red and blue follow from the
difference to green, which changes slowly, interpolated linearly. The filter was fitted by least
squares on the even pictures of the Kodak set, with weights that add up to 1 for green and to 0 for
the other colour: an even field comes out as it went in, and so does any black level.
"""

# pyright: reportMissingParameterType=false, reportUnknownParameterType=false
# (numba infers the types of a kernel; docstrings give them where rooms meet)
from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit  # pyright: ignore[reportUnknownVariableType]

from modoptic.bands import run_bands
from modoptic.errors import SettingError

UInt16Image = npt.NDArray[np.uint16]

QUAD = ("RRGG", "RRGG", "GGBB", "GGBB")
"""The pattern of a quad-Bayer mosaic, row by row."""
BAYER = ("RG", "GB")
"""The pattern that it becomes."""
MARGIN = 8
"""Rows above and below that a remosaiced row depends on."""
BAND_ROWS = 256

_BLOCKS = 364
"""Cells of 4 columns that are worked on at a time, so that the rows of a tile stay in the cache."""
_ROWS = 48
"""Rows of a tile."""
_FILTER = np.array(
    [
        0.1663, -0.1741, -0.1681, 0.1400, 0.2302, 0.8031,
        -0.1492, 0.1847, 0.1289, -0.1558, -0.1559, 0.1499,
    ],
    np.float32,
)  # fmt: skip
"""For the first photosite of a block, from 5 before it to 6 after; green at -5, -2, -1, 2, 3, 6."""
_EVEN = np.float32(64.0)
"""DN at 12 bit below which the sum of gradients about a block counts as noise."""


def is_quad(cfa: tuple[str, ...]) -> bool:
    """Whether a colour pattern is that of a quad-Bayer mosaic."""
    return tuple(cfa) == QUAD


def remosaic(mosaic: UInt16Image, *, white_level: int = 4095) -> UInt16Image:
    """The Bayer mosaic (red first) of a quad-Bayer one, uint16 of the same shape, in DN.

    Works in bands on all cores.

    Parameters
    ----------
    mosaic : uint16 (height, width) in DN, the colours as in `QUAD`; both sides multiples of 4
    white_level : DN that no value exceeds

    Raises
    ------
    SettingError : sides that are no multiples of 4, or less than 16
    """
    check_size(*mosaic.shape)
    data = np.require(mosaic, np.uint16, ["C", "W"])
    out = np.empty_like(data)

    def work(first: int, end: int) -> None:
        remosaic_rows(data, 0, data.shape[0], first, white_level, out[first:end])

    run_bands(work, data.shape[0], BAND_ROWS)
    return out


def check_size(height: int, width: int) -> None:
    """Raise `SettingError` for a mosaic that does not hold whole cells of 4 x 4."""
    if height % 4 or width % 4 or min(height, width) < 16:
        raise SettingError(
            "quad-Bayer mosaic", (width, height), "sides that are multiples of 4, 16 at least"
        )


def rows_needed(first: int, end: int, height: int) -> tuple[int, int]:
    """Rows of a quad mosaic that rows ``first .. end`` of the Bayer one depend on, whole cells."""
    return max(first // 4 * 4 - MARGIN, 0), min(-(-end // 4) * 4 + MARGIN, height)


def remosaic_rows(
    mosaic: UInt16Image, row0: int, height: int, first: int, white_level: int, out: UInt16Image
) -> None:
    """Rows ``first .. first + len(out)`` of the Bayer mosaic, in the calling thread.

    Without the GIL. Any division into rows gives the same mosaic.

    Parameters
    ----------
    mosaic : rows of the quad mosaic from ``row0`` on, at least those of `rows_needed`
    height : rows of the whole mosaic
    first : a multiple of 4, as is the number of rows of ``out``
    """
    # how even a field may look grows with the range of the numbers
    even = np.float32(_EVEN * (white_level + 1) / 4096.0)
    _remosaic(mosaic, row0, height, first, np.float32(white_level), even, _FILTER, out)


def mend(mosaic: UInt16Image, row0: int, defects: npt.NDArray[np.int64]) -> None:
    """Replace defective photosites by the median of the other three of their block, in place.

    Before remosaicing, which would spread each over a dozen others.

    Parameters
    ----------
    mosaic : rows of the quad mosaic from ``row0`` on, an even number
    defects : (n, 2), row and column of each in the whole mosaic, sorted by row
    """
    low, high = np.searchsorted(defects[:, 0], (row0, row0 + mosaic.shape[0]))
    for y, x in defects[low:high]:
        top, left = (y - row0) // 2 * 2, x // 2 * 2
        block = mosaic[top : top + 2, left : left + 2].reshape(-1)
        others = np.delete(block, 2 * ((y - row0) % 2) + x % 2)
        mosaic[y - row0, x] = np.uint16(np.median(others))


def warm() -> Iterator[str]:
    """Compile the kernel for the arrays that come."""
    remosaic(np.zeros((16, 16), np.uint16))
    yield "quad-Bayer to Bayer"


def _jit(function: Callable[..., Any]) -> Callable[..., Any]:
    return njit(  # pyright: ignore
        nogil=True,
        cache=True,
        boundscheck=False,
        error_model="numpy",
        fastmath={"nnan", "nsz", "contract", "arcp", "reassoc"},
    )(function)


@_jit
def _mirror(i, n):
    """A place beyond 0 .. n mirrored about the middle of the outermost pair: colours stay."""
    if i < 0:
        i = 1 - i
    if i >= n:
        i = 2 * n - 3 - i
    return min(max(i, 0), n - 1)


@_jit
def _load(row, block, out):
    """The columns of ``row`` dealt out to (4, n) from cell ``block`` on."""
    width = row.size
    n = out.shape[1]
    low = min(n, max(0, -block))
    high = max(low, min(n, width // 4 - block))
    inner = row[4 * (block + low) : 4 * (block + high)]
    for p in range(4):
        target = out[p, low:]
        for k in range(high - low):
            target[k] = np.float32(inner[4 * k + p])
        for k in range(n):
            if k < low or k >= high:
                out[p, k] = np.float32(row[_mirror(4 * (block + k) + p, width)])


@_jit
def _line(m, row, column, n):
    """Photosites ``column`` columns from the left of each cell but the two outermost ones."""
    at = 2 + (column >> 2)
    return m[row, column & 3, at : at + n]


@_jit
def _first(a, b, c, d, t, out):
    t0, t1, t2, t3 = t[0], t[1], t[2], t[3]
    for k in range(out.size):
        out[k] = t0 * a[k] + t1 * b[k] + t2 * c[k] + t3 * d[k]


@_jit
def _more(a, b, c, d, t, out):
    t0, t1, t2, t3 = t[0], t[1], t[2], t[3]
    for k in range(out.size):
        out[k] += t0 * a[k] + t1 * b[k] + t2 * c[k] + t3 * d[k]


@_jit
def _inner(a, b, c, d, e, f, out):
    """Steps along a block's own line: green to green over it, and between neighbours."""
    half = np.float32(0.5)
    for k in range(out.size):
        out[k] += abs(b[k] - e[k]) + half * (abs(c[k] - d[k]) + abs(a[k] - b[k]) + abs(e[k] - f[k]))


@_jit
def _own(a, b, c, d, out):
    """Steps of the block's own colour to the next blocks of it."""
    half = np.float32(0.5)
    for k in range(out.size):
        out[k] += half * (abs(b[k] - a[k]) + abs(c[k] - d[k]))


@_jit
def _outer(a, b, c, d, e, f, out):
    """Steps along a line beside the block."""
    half = np.float32(0.5)
    for k in range(out.size):
        out[k] += half * (abs(c[k] - d[k]) + abs(b[k] - a[k]) + abs(e[k] - f[k]))


@_jit
def _share(along, across, even):
    """In place: the weight of the estimate along the row, by gradients along row and column."""
    for k in range(along.size):
        a, b = along[k] + even, across[k] + even
        a, b = a * a, b * b
        along[k] = b / (a + b)


@_jit
def _difference(own, along, down, share, out):
    """Colour minus the mixed estimate of green."""
    for k in range(out.size):
        out[k] = own[k] - (down[k] + share[k] * (along[k] - down[k]))


@_jit
def _block(m, r, o, n, even, taps, back, work, d):
    """Differences to green of the blocks that begin at row ``r`` and column ``o`` of each cell."""
    along, across, share, other = work[0, :n], work[1, :n], work[2, :n], work[3, :n]
    share[:] = np.float32(0)
    other[:] = np.float32(0)
    for p in range(2):
        y, x = r + p, o + p
        _inner(
            _line(m, y, o - 2, n), _line(m, y, o - 1, n), _line(m, y, o, n),
            _line(m, y, o + 1, n), _line(m, y, o + 2, n), _line(m, y, o + 3, n), share,
        )  # fmt: skip
        _own(
            _line(m, y, o - 3, n), _line(m, y, o, n), _line(m, y, o + 1, n),
            _line(m, y, o + 4, n), share,
        )  # fmt: skip
        _inner(
            _line(m, r - 2, x, n), _line(m, r - 1, x, n), _line(m, r, x, n),
            _line(m, r + 1, x, n), _line(m, r + 2, x, n), _line(m, r + 3, x, n), other,
        )  # fmt: skip
        _own(
            _line(m, r - 3, x, n), _line(m, r, x, n), _line(m, r + 1, x, n),
            _line(m, r + 4, x, n), other,
        )  # fmt: skip
    for q in (-1, 2):
        y, x = r + q, o + q
        _outer(
            _line(m, y, o - 2, n), _line(m, y, o - 1, n), _line(m, y, o, n),
            _line(m, y, o + 1, n), _line(m, y, o + 2, n), _line(m, y, o + 3, n), share,
        )  # fmt: skip
        _outer(
            _line(m, r - 2, x, n), _line(m, r - 1, x, n), _line(m, r, x, n),
            _line(m, r + 1, x, n), _line(m, r + 2, x, n), _line(m, r + 3, x, n), other,
        )  # fmt: skip
    _share(share, other, even)
    for i in range(2):
        y = r + i
        for j in range(2):
            x = o + j
            t = back if j else taps
            _first(
                _line(m, y, o - 5, n), _line(m, y, o - 4, n), _line(m, y, o - 3, n),
                _line(m, y, o - 2, n), t, along,
            )  # fmt: skip
            _more(
                _line(m, y, o - 1, n), _line(m, y, o, n), _line(m, y, o + 1, n),
                _line(m, y, o + 2, n), t[4:], along,
            )  # fmt: skip
            _more(
                _line(m, y, o + 3, n), _line(m, y, o + 4, n), _line(m, y, o + 5, n),
                _line(m, y, o + 6, n), t[8:], along,
            )  # fmt: skip
            t = back if i else taps
            _first(
                _line(m, r - 5, x, n), _line(m, r - 4, x, n), _line(m, r - 3, x, n),
                _line(m, r - 2, x, n), t, across,
            )  # fmt: skip
            _more(
                _line(m, r - 1, x, n), _line(m, r, x, n), _line(m, r + 1, x, n),
                _line(m, r + 2, x, n), t[4:], across,
            )  # fmt: skip
            _more(
                _line(m, r + 3, x, n), _line(m, r + 4, x, n), _line(m, r + 5, x, n),
                _line(m, r + 6, x, n), t[8:], across,
            )  # fmt: skip
            _difference(_line(m, y, x, n), along, across, share, _line(d, y, x, n))


@_jit
def _less(a, b, out):
    for k in range(out.size):
        out[k] = a[k] - b[k]


@_jit
def _two(base, near, far, out):
    """``base`` plus a difference a third of the way from ``near`` to ``far``."""
    a, b = np.float32(2.0 / 3.0), np.float32(1.0 / 3.0)
    for k in range(out.size):
        out[k] = base[k] + a * near[k] + b * far[k]


@_jit
def _four(base, less, near, side, up, far, out):
    """The same along both axes, from green: ``base`` minus ``less``."""
    a, b, c = np.float32(4.0 / 9.0), np.float32(2.0 / 9.0), np.float32(1.0 / 9.0)
    for k in range(out.size):
        out[k] = base[k] - less[k] + a * near[k] + b * (side[k] + up[k]) + c * far[k]


@_jit
def _store(lines, count, white, out):
    """Four columns of each cell, rounded and within 0 .. ``white``, to a row of DN."""
    zero, half = np.float32(0), np.float32(0.5)
    for p in range(4):
        line, target = lines[p, 1:], out[p:]
        for k in range(count):
            target[4 * k] = np.uint16(np.int32(max(zero, min(line[k], white)) + half))


@_jit
def _cell_row(m, d, r, n, lines):
    """The four rows from ``r`` on in Bayer colours: (4, 4, cells)."""
    for y in range(4):
        for x in range(4):
            out = lines[y, x, :n]
            if (y < 2) == (x < 2):
                if (y + x) & 1:  # red or blue where Bayer has green
                    _less(_line(m, r + y, x, n), _line(d, r + y, x, n), out)
                    continue
                if y == 1 or y == 2:  # red where Bayer has blue, or the other way round
                    ny, fy = (r + 2, r - 1) if y == 1 else (r + 1, r + 4)
                    nx, fx = (2, -1) if y == 1 else (1, 4)
                    _four(
                        _line(m, r + y, x, n), _line(d, r + y, x, n), _line(d, ny, nx, n),
                        _line(d, ny, fx, n), _line(d, fy, nx, n), _line(d, fy, fx, n), out,
                    )  # fmt: skip
                    continue
            elif (y + x) & 1 == 0:  # green where Bayer has red or blue
                if y == 0:
                    _two(_line(m, r, x, n), _line(d, r, 1, n), _line(d, r, 4, n), out)
                elif y == 3:
                    _two(_line(m, r + 3, x, n), _line(d, r + 3, 2, n), _line(d, r + 3, -1, n), out)
                elif y == 2:
                    _two(_line(m, r + 2, x, n), _line(d, r + 1, x, n), _line(d, r + 4, x, n), out)
                else:
                    _two(_line(m, r + 1, x, n), _line(d, r + 2, x, n), _line(d, r - 1, x, n), out)
                continue
            out[:] = _line(m, r + y, x, n)


@_jit
def _remosaic(mosaic, row0, height, first, white, even, taps, out):
    """See `remosaic_rows`. Tiles of a few rows and cells with three cells more on each side."""
    width = mosaic.shape[1]
    cells = width // 4
    most = min(cells, _BLOCKS) + 6
    m = np.empty((_ROWS + 2 * MARGIN, 4, most), np.float32)
    d = np.zeros((_ROWS + 2 * MARGIN, 4, most), np.float32)
    work = np.empty((4, most), np.float32)
    lines = np.empty((4, 4, most), np.float32)
    back = taps[::-1].copy()
    for top in range(0, out.shape[0], _ROWS):
        rows = min(_ROWS, out.shape[0] - top)
        for left in range(0, cells, _BLOCKS):
            count = min(_BLOCKS, cells - left)
            mt, dt = m[:, :, : count + 6], d[:, :, : count + 6]
            for y in range(rows + 2 * MARGIN):
                at = _mirror(first + top - MARGIN + y, height) - row0
                _load(mosaic[at], left - 3, mt[y])
            n = count + 2
            for r in range(MARGIN - 2, MARGIN + rows + 1, 2):
                _block(mt, r, (r - MARGIN) & 2, n, even, taps, back, work, dt)
            for r in range(0, rows, 4):
                _cell_row(mt, dt, MARGIN + r, n, lines)
                for y in range(4):
                    row = out[top + r + y, 4 * left : 4 * (left + count)]
                    _store(lines[y], count, white, row)
