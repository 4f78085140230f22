"""Pixel formats by their PFNC names, and packing at memory speed.

Names and 32-bit codes are those of the GenICam Pixel Format Naming Convention (PFNC 2.x); bits
23..16 of a code are the bits a pixel. ``p`` formats are packed without gaps, least significant
bit first: of two 12-bit pixels, byte 0 holds bits 0-7 of the first, byte 1 its bits 8-11 in the
low half and bits 0-3 of the second in the high half, byte 2 bits 4-11 of the second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit  # pyright: ignore[reportUnknownVariableType]

from modoptic.errors import SettingError

UInt8Array = npt.NDArray[np.uint8]
UInt16Image = npt.NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """One entry of the PFNC table."""

    name: str
    code: int
    bits: int
    """Significant bits of a pixel."""
    stored_bits: int
    """Bits a pixel takes in memory."""
    group: int
    """Pixels that share whole bytes; a row's width must be a multiple."""

    def row_bytes(self, width: int) -> int:
        """Bytes of a row of ``width`` pixels; raises `SettingError` if rows would share a byte."""
        if width <= 0 or width % self.group:
            raise SettingError("width", width, f"a positive multiple of {self.group}", self.name)
        return width * self.stored_bits // 8


_OWN = 0x80000000


def _table() -> dict[str, PixelFormat]:
    # codes: EMVA PFNC value list, quoted by Aravis and by GenICam's own header
    codes = {
        "8": (8, 8, 1, {"RG": 0x01080009, "GR": 0x01080008, "GB": 0x0108000A, "BG": 0x0108000B}),
        "10p": (
            10,
            10,
            4,
            {"RG": 0x010A0058, "GR": 0x010A0056, "GB": 0x010A0054, "BG": 0x010A0052},
        ),
        "12p": (
            12,
            12,
            2,
            {"RG": 0x010C0059, "GR": 0x010C0057, "GB": 0x010C0055, "BG": 0x010C0053},
        ),
        "14p": (
            14,
            14,
            4,
            {"RG": 0x010E0106, "GR": 0x010E0105, "GB": 0x010E0107, "BG": 0x010E0108},
        ),
        "12": (12, 16, 1, {"RG": 0x01100011, "GR": 0x01100010, "GB": 0x01100012, "BG": 0x01100013}),
        "14": (14, 16, 1, {"RG": 0x0110010A, "GR": 0x01100109, "GB": 0x0110010B, "BG": 0x0110010C}),
        "16": (16, 16, 1, {"RG": 0x0110002F, "GR": 0x0110002E, "GB": 0x01100030, "BG": 0x01100031}),
    }
    bayer = {
        f"Bayer{phase}{suffix}": PixelFormat(f"Bayer{phase}{suffix}", code, bits, stored, group)
        for suffix, (bits, stored, group, phases) in codes.items()
        for phase, code in phases.items()
    }
    # PFNC names no quad-Bayer mosaic; bit 31 of a code marks a maker's own (PFNC 2.4, 6.2)
    quad = {
        f"Quad{name}": PixelFormat(
            f"Quad{name}", _OWN | form.code, form.bits, form.stored_bits, form.group
        )
        for name, form in bayer.items()
        if name.startswith("BayerRG")
    }
    return bayer | quad


PIXEL_FORMATS: dict[str, PixelFormat] = _table()


def pixel_format(name: str) -> PixelFormat:
    """The format called ``name``; raises `SettingError` for a name that is not known."""
    try:
        return PIXEL_FORMATS[name]
    except KeyError:
        raise SettingError("pixel format", name, ", ".join(PIXEL_FORMATS)) from None


def bayer_format(cfa: tuple[str, ...], bits: int, *, packed: bool) -> PixelFormat:
    """The format of a mosaic at a bit depth: PFNC's for Bayer patterns such as ``("RG", "GB")``.

    Ours, ``QuadBayerRG12p`` and so on, for the quad-Bayer pattern.
    """
    suffix = f"{bits}p" if packed and bits in (10, 12, 14) else str(bits)
    if tuple(cfa) == ("RRGG", "RRGG", "GGBB", "GGBB"):
        return pixel_format(f"QuadBayerRG{suffix}")
    if len(cfa) != 2 or any(len(row) != 2 for row in cfa):
        raise SettingError("CFA", cfa, "a 2 x 2 Bayer pattern, or RRGG/RRGG/GGBB/GGBB")
    return pixel_format(f"Bayer{cfa[0]}{suffix}")


def _jit(function: Callable[..., Any]) -> Callable[..., Any]:
    return njit(nogil=True, cache=True, boundscheck=False)(function)  # pyright: ignore


@_jit
def _unpack10(packed: UInt8Array, out: npt.NDArray[np.uint16]) -> None:
    for i in range(out.size // 4):
        a, b, c, d, e = (
            np.uint16(packed[5 * i]),
            np.uint16(packed[5 * i + 1]),
            np.uint16(packed[5 * i + 2]),
            np.uint16(packed[5 * i + 3]),
            np.uint16(packed[5 * i + 4]),
        )
        out[4 * i] = a | ((b & 0x03) << 8)
        out[4 * i + 1] = (b >> 2) | ((c & 0x0F) << 6)
        out[4 * i + 2] = (c >> 4) | ((d & 0x3F) << 4)
        out[4 * i + 3] = (d >> 6) | (e << 2)


@_jit
def _unpack12(packed: UInt8Array, out: npt.NDArray[np.uint16]) -> None:
    for i in range(out.size // 2):
        a, b, c = (
            np.uint16(packed[3 * i]),
            np.uint16(packed[3 * i + 1]),
            np.uint16(packed[3 * i + 2]),
        )
        out[2 * i] = a | ((b & 0x0F) << 8)
        out[2 * i + 1] = (b >> 4) | (c << 4)


@_jit
def _unpack14(packed: UInt8Array, out: npt.NDArray[np.uint16]) -> None:
    for i in range(out.size // 4):
        word = np.uint64(0)
        for k in range(7):
            word |= np.uint64(packed[7 * i + k]) << np.uint64(8 * k)
        for k in range(4):
            out[4 * i + k] = np.uint16((word >> np.uint64(14 * k)) & np.uint64(0x3FFF))


@_jit
def _pack10(values: npt.NDArray[np.uint16], out: UInt8Array) -> None:
    for i in range(values.size // 4):
        a, b, c, d = values[4 * i], values[4 * i + 1], values[4 * i + 2], values[4 * i + 3]
        out[5 * i] = np.uint8(a & 0xFF)
        out[5 * i + 1] = np.uint8(((a >> 8) & 0x03) | ((b & 0x3F) << 2))
        out[5 * i + 2] = np.uint8(((b >> 6) & 0x0F) | ((c & 0x0F) << 4))
        out[5 * i + 3] = np.uint8(((c >> 4) & 0x3F) | ((d & 0x03) << 6))
        out[5 * i + 4] = np.uint8((d >> 2) & 0xFF)


@_jit
def _pack12(values: npt.NDArray[np.uint16], out: UInt8Array) -> None:
    # plain 16 bit operands with 16 bit constants: wider ones keep the loop from being vectorised
    low, nibble, four, eight = np.uint16(0xFF), np.uint16(0x0F), np.uint16(4), np.uint16(8)
    for i in range(values.size // 2):
        a, b = values[2 * i], values[2 * i + 1]
        out[3 * i] = np.uint8(a & low)
        out[3 * i + 1] = np.uint8(
            np.uint16((a >> eight) & nibble) | np.uint16((b & nibble) << four)
        )
        out[3 * i + 2] = np.uint8((b >> four) & low)


@_jit
def _pack14(values: npt.NDArray[np.uint16], out: UInt8Array) -> None:
    for i in range(values.size // 4):
        a = np.uint32(values[4 * i] & 0x3FFF)
        b = np.uint32(values[4 * i + 1] & 0x3FFF)
        c = np.uint32(values[4 * i + 2] & 0x3FFF)
        d = np.uint32(values[4 * i + 3] & 0x3FFF)
        out[7 * i] = np.uint8(a & 0xFF)
        out[7 * i + 1] = np.uint8((a >> 8) | ((b & 0x03) << 6))
        out[7 * i + 2] = np.uint8((b >> 2) & 0xFF)
        out[7 * i + 3] = np.uint8((b >> 10) | ((c & 0x0F) << 4))
        out[7 * i + 4] = np.uint8((c >> 4) & 0xFF)
        out[7 * i + 5] = np.uint8((c >> 12) | ((d & 0x3F) << 2))
        out[7 * i + 6] = np.uint8(d >> 6)


_UNPACK = {10: _unpack10, 12: _unpack12, 14: _unpack14}
_PACK = {10: _pack10, 12: _pack12, 14: _pack14}


def unpack(
    data: UInt8Array, form: PixelFormat, height: int, width: int, out: UInt16Image | None = None
) -> UInt16Image:
    """Packed bytes to uint16 DN, shape ``(height, width)``.

    Runs serially in the calling thread without the GIL. 16-bit formats come back as a view unless
    ``out`` is given.
    """
    size = form.row_bytes(width) * height
    if data.size < size:
        raise SettingError("pixel data", f"{data.size} bytes", f"{size} bytes", form.name)
    if form.stored_bits == 16:
        view = data[:size].view(np.dtype("<u2")).reshape(height, width)
        if out is None:
            return view
        np.copyto(out, view)
        return out
    if out is None:
        out = np.empty((height, width), np.uint16)
    if form.stored_bits == 8:
        np.copyto(out, data[:size].reshape(height, width))
    else:
        _UNPACK[form.bits](data[:size], out.reshape(-1))
    return out


def pack(values: UInt16Image, form: PixelFormat, out: UInt8Array | None = None) -> UInt8Array:
    """uint16 DN of shape ``(height, width)`` to packed bytes (one dimension)."""
    height, width = values.shape
    size = form.row_bytes(width) * height
    buffer: UInt8Array = np.empty(size, np.uint8) if out is None else out
    if buffer.size < size:
        raise SettingError("pixel buffer", f"{buffer.size} bytes", f"{size} bytes", form.name)
    flat = np.ascontiguousarray(values).reshape(-1)
    if form.stored_bits == 16:
        buffer[:size].view(np.dtype("<u2"))[:] = flat
    elif form.stored_bits == 8:
        np.copyto(buffer[:size], flat, casting="unsafe")
    else:
        _PACK[form.bits](flat, buffer[:size])
    return buffer[:size]


def warm() -> Iterator[str]:
    """Compile the kernels for the arrays that come: packed bytes may be read-only."""
    for bits in (10, 12, 14):
        form = bayer_format(("RG", "GB"), bits, packed=True)
        values = np.zeros((4, 8), np.uint16)
        for writeable in (True, False):
            values.flags.writeable = writeable
            packed = pack(values, form)
            packed.flags.writeable = writeable
            unpack(packed, form, 4, 8)
        yield f"pack and unpack {bits} bit"
