"""Tiles of a mosaic to bytes and back; headers are checked before a C decoder sees the data."""

from __future__ import annotations

import struct
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt

UInt16Image = npt.NDArray[np.uint16]

# DNG 1.7.1, "Compression"
UNCOMPRESSED, LOSSLESS_JPEG, JPEG_XL = 1, 7, 52546


class TileError(ValueError):
    """Coded data that cannot be what it should be."""


def encode_lossless_jpeg(tile: UInt16Image) -> bytes:
    """Lossless JPEG (ITU-T T.81, process 14, predictor 1) with two components, one per CFA column.

    This layout is read by darktable, RawTherapee, LibRaw and Adobe's SDK.
    """
    height, width = tile.shape
    return bytes(
        imagecodecs.jpeg8_encode(
            tile.reshape(height, width // 2, 2),
            lossless=True,
            predictor=1,
            bitspersample=16,
            colorspace="UNKNOWN",
            outcolorspace="UNKNOWN",
        )
    )


def encode_jpeg_xl(tile: UInt16Image) -> bytes:
    """Lossless JPEG XL, effort 1, as a bare codestream: not all readers accept the container."""
    coded = imagecodecs.jpegxl_encode(
        tile, lossless=True, effort=1, bitspersample=16, usecontainer=False, numthreads=1
    )
    return bare_codestream(bytes(coded))


def decode_lossless_jpeg(data: bytes, height: int, width: int) -> UInt16Image:
    """A tile of ``height`` x ``width`` from lossless JPEG of any arrangement into components.

    DNG only asks that the samples follow each other as in the tile; raises `TileError`.
    """
    rows, columns, components = _lossless_jpeg_size(data)
    samples = rows * columns * components
    # A last strip may be coded with all the rows of the others.
    longer = columns * components == width and height < rows <= 65535
    if samples != height * width and not (longer and samples <= 64 * height * width):
        raise TileError(
            f"lossless JPEG of {columns} x {rows} x {components} in a tile of {width} x {height}"
        )
    try:
        decoded = imagecodecs.jpeg8_decode(data, colorspace="UNKNOWN", outcolorspace="UNKNOWN")
    except (RuntimeError, ValueError, TypeError, MemoryError) as error:
        raise TileError(f"lossless JPEG cannot be decoded ({error})") from error
    if decoded.size != samples:
        raise TileError("lossless JPEG decodes to another size than it says")
    return (
        decoded.reshape(-1)[: height * width].reshape(height, width).astype(np.uint16, copy=False)
    )


def _lossless_jpeg_size(data: bytes) -> tuple[int, int, int]:
    """Rows, columns and components of the first frame header."""
    if data[:2] != b"\xff\xd8":
        raise TileError("no JPEG where one should be")
    at = 2
    while at + 4 <= len(data):
        marker, length = struct.unpack_from(">HH", data, at)
        if marker == 0xFFC3:
            if length < 11 or at + 2 + length > len(data):
                break
            precision, rows, columns, components = struct.unpack_from(">BHHB", data, at + 4)
            if not (2 <= precision <= 16 and rows and columns and 1 <= components <= 4):
                raise TileError("lossless JPEG with an impossible header")
            return rows, columns, components
        if marker in (0xFFC0, 0xFFC1, 0xFFC2):
            raise TileError("lossy JPEG raw data, which modoptic does not read")
        if not 0xFFC4 <= marker <= 0xFFFE or marker == 0xFFDA:
            break
        at += 2 + length
    raise TileError("JPEG without a frame header")


def decode_jpeg_xl(data: bytes, height: int, width: int) -> UInt16Image:
    """A tile of ``height`` x ``width`` of one integer plane; raises `TileError`."""
    stream = bare_codestream(data)
    if jpeg_xl_size(stream) != (height, width):
        raise TileError(f"JPEG XL of another size than the tile of {width} x {height}")
    out = np.empty((height, width), np.uint16)
    try:
        decoded: npt.NDArray[Any] = imagecodecs.jpegxl_decode(
            stream, keeporientation=True, numthreads=1
        )
    except (RuntimeError, ValueError, TypeError, MemoryError) as error:
        raise TileError(f"JPEG XL cannot be decoded ({error})") from error
    if decoded.shape != (height, width) or decoded.dtype.name not in ("uint8", "uint16"):
        raise TileError(f"JPEG XL of {decoded.dtype} {decoded.shape}; a raw has one integer plane")
    np.copyto(out, decoded)
    return out


_JXL_CONTAINER = bytes.fromhex("0000000c4a584c200d0a870a")


def bare_codestream(data: bytes) -> bytes:
    """The codestream of a JPEG XL file, out of its container (ISO/IEC 18181-2) if it has one."""
    if data[:2] == b"\xff\x0a":
        return data
    if data[:12] != _JXL_CONTAINER:
        raise TileError("no JPEG XL where one should be")
    parts: list[bytes] = []
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if size == 1 and at + 16 <= len(data):
            (size,) = struct.unpack_from(">Q", data, at + 8)
            head = 16
        end = len(data) if size == 0 else at + size
        if end > len(data) or end < at + head:
            break
        if kind == b"jxlc":
            return data[at + head : end]
        if kind == b"jxlp":
            parts.append(data[at + head + 4 : end])
        at = end
    stream = b"".join(parts)
    if stream[:2] != b"\xff\x0a":
        raise TileError("JPEG XL container without a picture")
    return stream


class _Bits:
    """Bits of a JPEG XL codestream header, least significant first (ISO/IEC 18181-1, B.2)."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data[:64], "little")

    def u(self, count: int) -> int:
        value = self._value & ((1 << count) - 1)
        self._value >>= count
        return value

    def u32(self, *choices: tuple[int, int]) -> int:
        offset, count = choices[self.u(2)]
        return offset + self.u(count)


def jpeg_xl_size(stream: bytes) -> tuple[int, int]:
    """Height and width that a bare codestream says (ISO/IEC 18181-1, SizeHeader).

    A preview, an animation or extra channels, which no raw has, raise `TileError`: they could
    make a small file allocate much.
    """
    bits = _Bits(stream[2:])
    by_eight = bits.u(1)
    choices = ((1, 9), (1, 13), (1, 18), (1, 30))

    def side() -> int:
        return 8 * (1 + bits.u(5)) if by_eight else bits.u32(*choices)

    height = side()
    ratio = bits.u(3)
    ratios = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
    width = side() if ratio == 0 else height * ratios[ratio - 1][0] // ratios[ratio - 1][1]
    if not bits.u(1):  # not all_default
        if bits.u(1):  # extra_fields
            bits.u(3)
            if any(bits.u(1) for _ in range(3)):  # intrinsic size, preview, animation
                raise TileError("JPEG XL with a preview or an animation; a raw has none")
        if bits.u(1):
            bits.u32((32, 0), (16, 0), (24, 0), (1, 6))
            bits.u(4)
        else:
            bits.u32((8, 0), (10, 0), (12, 0), (1, 6))
        bits.u(1)  # modular_16bit_buffers
        if bits.u32((0, 0), (1, 0), (2, 4), (1, 12)):
            raise TileError("JPEG XL with extra channels; a raw has none")
    return height, width
