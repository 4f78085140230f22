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

_CELLS = 96
"""Cells of 4 columns that are worked on at a time, so that the rows of a tile stay in the cache."""
_WIDE = _CELLS + 4
"""Cells that these depend on."""
_ROWS = 64
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


def _inline(function: Callable[..., Any]) -> Callable[..., Any]:
    """Put in where it is called, so that whole numbers given there are constants to a compiler."""
    return njit(inline="always", error_model="numpy")(function)  # pyright: ignore


@_jit
def _mirror(i, n):
    """A place beyond 0 .. n mirrored about the middle of the outermost pair: colours stay."""
    if i < 0:
        i = 1 - i
    if i >= n:
        i = 2 * n - 3 - i
    return min(max(i, 0), n - 1)


@_jit
def _load(row, cell, out):
    """`_WIDE` cells of ``row`` from ``cell`` on, dealt out to the four lines of ``out``."""
    width = row.size
    if cell >= 0 and 4 * (cell + _WIDE) <= width:
        inner = row[4 * cell :]
        for k in range(_WIDE):
            out[k] = np.float32(inner[4 * k])
            out[_WIDE + k] = np.float32(inner[4 * k + 1])
            out[2 * _WIDE + k] = np.float32(inner[4 * k + 2])
            out[3 * _WIDE + k] = np.float32(inner[4 * k + 3])
        return
    for p in range(4):
        for k in range(_WIDE):
            out[p * _WIDE + k] = np.float32(row[_mirror(4 * (cell + k) + p, width)])


@_inline
def _at(m, y, x, k):
    """The photosite of row ``y`` and of column ``x`` from the left of cell ``k`` + 2."""
    return m[(4 * y + (x & 3)) * _WIDE + 2 + (x >> 2) + k]


@_inline
def _row(m, y, x, k):
    """Twelve photosites of row ``y``, of which the sixth is in column ``x``."""
    return (
        _at(m, y, x - 5, k), _at(m, y, x - 4, k), _at(m, y, x - 3, k), _at(m, y, x - 2, k),
        _at(m, y, x - 1, k), _at(m, y, x, k), _at(m, y, x + 1, k), _at(m, y, x + 2, k),
        _at(m, y, x + 3, k), _at(m, y, x + 4, k), _at(m, y, x + 5, k), _at(m, y, x + 6, k),
    )  # fmt: skip


@_inline
def _column(m, y, x, k):
    """Twelve photosites of column ``x``, of which the sixth is in row ``y``."""
    return (
        _at(m, y - 5, x, k), _at(m, y - 4, x, k), _at(m, y - 3, x, k), _at(m, y - 2, x, k),
        _at(m, y - 1, x, k), _at(m, y, x, k), _at(m, y + 1, x, k), _at(m, y + 2, x, k),
        _at(m, y + 3, x, k), _at(m, y + 4, x, k), _at(m, y + 5, x, k), _at(m, y + 6, x, k),
    )  # fmt: skip


@_inline
def _first(t, v):
    """Green at the sixth of twelve photosites, which is the first of a block."""
    return (
        t[0] * v[0] + t[1] * v[1] + t[2] * v[2] + t[3] * v[3]
        + t[4] * v[4] + t[5] * v[5] + t[6] * v[6] + t[7] * v[7]
        + t[8] * v[8] + t[9] * v[9] + t[10] * v[10] + t[11] * v[11]
    )  # fmt: skip


@_inline
def _second(t, v):
    """Green at the seventh: the filter turned round."""
    return (
        t[11] * v[0] + t[10] * v[1] + t[9] * v[2] + t[8] * v[3]
        + t[7] * v[4] + t[6] * v[5] + t[5] * v[6] + t[4] * v[7]
        + t[3] * v[8] + t[2] * v[9] + t[1] * v[10] + t[0] * v[11]
    )  # fmt: skip


@_inline
def _within(v):
    """Steps along a block's own line: green to green over it, between neighbours, and from the
    block's own colour to the next blocks of it."""
    half = np.float32(0.5)
    near = abs(v[5] - v[6]) + abs(v[3] - v[4]) + abs(v[7] - v[8])
    return abs(v[4] - v[7]) + half * (near + abs(v[5] - v[2]) + abs(v[6] - v[9]))


@_inline
def _beside(a, b, c, d, e, f):
    """Steps along a line beside the block."""
    return np.float32(0.5) * (abs(c - d) + abs(b - a) + abs(e - f))


@_inline
def _beside_row(m, y, x, k):
    return _beside(
        _at(m, y, x - 2, k), _at(m, y, x - 1, k), _at(m, y, x, k),
        _at(m, y, x + 1, k), _at(m, y, x + 2, k), _at(m, y, x + 3, k),
    )  # fmt: skip


@_inline
def _beside_column(m, y, x, k):
    return _beside(
        _at(m, y - 2, x, k), _at(m, y - 1, x, k), _at(m, y, x, k),
        _at(m, y + 1, x, k), _at(m, y + 2, x, k), _at(m, y + 3, x, k),
    )  # fmt: skip


@_inline
def _block(m, x, even, taps, d):
    """Differences to green of the blocks that begin in column ``x`` of each cell.

    All in one loop, whose reads lie at distances that the compiler knows: so it is vectorised, and
    what lies between stays in registers.

    Parameters
    ----------
    m : `_load`ed rows from the fifth before the blocks on
    d : their two rows, see `_remosaic`
    """
    t = (
        taps[0], taps[1], taps[2], taps[3], taps[4], taps[5],
        taps[6], taps[7], taps[8], taps[9], taps[10], taps[11],
    )  # fmt: skip
    for k in range(_CELLS):
        upper, lower = _row(m, 5, x, k), _row(m, 6, x, k)
        left, right = _column(m, 5, x, k), _column(m, 5, x + 1, k)
        along = _within(upper) + _within(lower)
        along += _beside_row(m, 4, x, k) + _beside_row(m, 7, x, k)
        across = _within(left) + _within(right)
        across += _beside_column(m, 5, x - 1, k) + _beside_column(m, 5, x + 2, k)
        a, b = along + even, across + even
        a, b = a * a, b * b
        share = b / (a + b)
        down = _first(t, left)
        d[k] = upper[5] - (down + share * (_first(t, upper) - down))
        down = _first(t, right)
        d[_CELLS + k] = upper[6] - (down + share * (_second(t, upper) - down))
        down = _second(t, left)
        d[2 * _CELLS + k] = lower[5] - (down + share * (_first(t, lower) - down))
        down = _second(t, right)
        d[3 * _CELLS + k] = lower[6] - (down + share * (_second(t, lower) - down))


@_inline
def _two(base, near, far):
    """``base`` plus a difference a third of the way from ``near`` to ``far``."""
    return base + np.float32(2.0 / 3.0) * near + np.float32(1.0 / 3.0) * far


@_inline
def _four(green, near, side, up, far):
    """The same along both axes."""
    a, b, c = np.float32(4.0 / 9.0), np.float32(2.0 / 9.0), np.float32(1.0 / 9.0)
    return green + a * near + b * (side + up) + c * far


@_inline
def _dn(value, white):
    """Rounded and within 0 .. ``white``."""
    within = max(np.float32(0), min(value, white))
    return np.uint16(np.int32(within + np.float32(0.5)))


@_jit
def _cells(m, d, white, out):
    """Four rows of cells in Bayer colours, DN, to ``out`` (4, 4 `_CELLS`).

    Where Bayer has green at a block, the value less the difference; where it has the block's colour
    at a green photosite, the value and a difference between those of the blocks beside it; where it
    has red at blue or blue at red, both.

    Parameters
    ----------
    m : `_load`ed rows of the cells
    d : differences of the blocks from the blue ones above to the red ones below
    """
    n = _CELLS
    above, red, blue, below = 0, 4 * n, 8 * n, 12 * n
    for k in range(n):
        right = red + 1 + k
        out[0, 4 * k] = _dn(_at(m, 0, 0, k), white)
        out[0, 4 * k + 1] = _dn(_at(m, 0, 1, k) - d[red + n + k], white)
        out[0, 4 * k + 2] = _dn(_two(_at(m, 0, 2, k), d[red + n + k], d[right]), white)
        out[0, 4 * k + 3] = _dn(_at(m, 0, 3, k), white)
    for k in range(n):
        left = blue + n - 1 + k
        green = _at(m, 1, 1, k) - d[red + 3 * n + k]
        mixed = _four(green, d[blue + k], d[left], d[above + 2 * n + k], d[above + 3 * n - 1 + k])
        out[1, 4 * k] = _dn(_at(m, 1, 0, k) - d[red + 2 * n + k], white)
        out[1, 4 * k + 1] = _dn(mixed, white)
        out[1, 4 * k + 2] = _dn(_at(m, 1, 2, k), white)
        mixed = _two(_at(m, 1, 3, k), d[blue + n + k], d[above + 3 * n + k])
        out[1, 4 * k + 3] = _dn(mixed, white)
    for k in range(n):
        right = red + 2 * n + 1 + k
        green = _at(m, 2, 2, k) - d[blue + k]
        mixed = _four(green, d[red + 3 * n + k], d[right], d[below + n + k], d[below + 1 + k])
        out[2, 4 * k] = _dn(_two(_at(m, 2, 0, k), d[red + 2 * n + k], d[below + k]), white)
        out[2, 4 * k + 1] = _dn(_at(m, 2, 1, k), white)
        out[2, 4 * k + 2] = _dn(mixed, white)
        out[2, 4 * k + 3] = _dn(_at(m, 2, 3, k) - d[blue + n + k], white)
    for k in range(n):
        left = blue + 3 * n - 1 + k
        out[3, 4 * k] = _dn(_at(m, 3, 0, k), white)
        out[3, 4 * k + 1] = _dn(_two(_at(m, 3, 1, k), d[blue + 2 * n + k], d[left]), white)
        out[3, 4 * k + 2] = _dn(_at(m, 3, 2, k) - d[blue + 2 * n + k], white)
        out[3, 4 * k + 3] = _dn(_at(m, 3, 3, k), white)


@_jit
def _remosaic(mosaic, row0, height, first, white, even, taps, out):
    """See `remosaic_rows`. Tiles of a few rows and cells with three cells more on each side."""
    cells = mosaic.shape[1] // 4
    m = np.empty((_ROWS + 2 * MARGIN, 4 * _WIDE), np.float32)
    d = np.empty((_ROWS // 2 + 2, 4 * _CELLS), np.float32)  # two rows of blocks, two values each
    lines = np.empty((4, 4 * _CELLS), np.uint16)
    loaded, differences = m.reshape(-1), d.reshape(-1)
    for top in range(0, out.shape[0], _ROWS):
        rows = min(_ROWS, out.shape[0] - top)
        for left in range(0, cells, _CELLS - 2):
            count = min(_CELLS - 2, cells - left)
            for y in range(rows + 2 * MARGIN):
                at = _mirror(first + top - MARGIN + y, height) - row0
                _load(mosaic[at], left - 3, m[y])
            for pair in range(0, rows // 2 + 2, 2):
                # from a blue row above the tile to a red one below
                _block(m[2 * pair + 1 :].reshape(-1), 2, even, taps, d[pair])
                _block(m[2 * pair + 3 :].reshape(-1), 0, even, taps, d[pair + 1])
            for y in range(0, rows, 4):
                _cells(
                    loaded[4 * _WIDE * (MARGIN + y) :], differences[2 * _CELLS * y :], white, lines
                )
                for i in range(4):
                    row = out[top + y + i, 4 * left : 4 * (left + count)]
                    row[:] = lines[i, 4 : 4 * (count + 1)]
