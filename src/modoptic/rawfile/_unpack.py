"""Packed samples of TIFF: most significant bit first, each row beginning at a whole byte."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit  # pyright: ignore[reportUnknownVariableType]

UInt8Array = npt.NDArray[np.uint8]
UInt16Image = npt.NDArray[np.uint16]


@njit(nogil=True, cache=True)
def _unpack_rows(packed: UInt8Array, bits: int, row_bytes: int, out: UInt16Image) -> None:
    height, width = out.shape
    mask = np.uint32((1 << bits) - 1)
    for y in range(height):
        at = y * row_bytes
        word = np.uint32(0)
        have = 0
        for x in range(width):
            while have < bits:
                word = np.uint32(np.uint32(word << np.uint32(8)) | np.uint32(packed[at]))
                at += 1
                have += 8
            have -= bits
            out[y, x] = np.uint16((word >> np.uint32(have)) & mask)


def unpack_rows(packed: UInt8Array, bits: int, height: int, width: int) -> UInt16Image:
    """``height`` rows of ``width`` samples of 2 to 16 bits (TIFF 6.0, FillOrder 1)."""
    row_bytes = -(-width * bits // 8)
    assert packed.size >= row_bytes * height and 2 <= bits <= 16
    out = np.empty((height, width), np.uint16)
    _unpack_rows(packed, bits, row_bytes, out)
    return out
