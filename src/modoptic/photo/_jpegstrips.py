"""A baseline JPEG made of strips that are encoded side by side.

Each strip is an ordinary JPEG with the standard Huffman tables and the same quantisation. Joined,
the strips are separated by restart markers (ITU-T T.81, B.2.4.4 and E.1.4): the restart interval
is the number of minimum coded units in a strip. The result decodes to exactly what one ordinary
encoding of the whole picture would give, because a restart resets nothing but the prediction of
the mean.
"""

from __future__ import annotations

import struct
import threading
from typing import Literal

import imagecodecs
import numpy as np
import numpy.typing as npt

from modoptic.errors import SettingError

__all__ = ["StripEncoder"]

_MAX_SIDE = 65500  # libjpeg's own limit, just below the format's 65535
_MAX_INTERVAL = 65535
_BLOCK = {"444": (8, 8), "422": (16, 8), "420": (16, 16)}


class StripEncoder:
    """Encode a picture strip by strip, from any threads and in any order.

    Parameters
    ----------
    width, height : of the picture, in pixels, at most 65500
    quality : 1 to 100, as libjpeg counts
    subsampling : "420", "422" or "444"

    Raises
    ------
    SettingError : a size, quality or subsampling that JPEG does not have

    Example
    -------
    ::

        encoder = StripEncoder(width, height)
        for first in range(0, height, 256):
            encoder.add(first, rgb[first : first + 256])
        data = encoder.finish()
    """

    def __init__(
        self,
        width: int,
        height: int,
        quality: int = 92,
        subsampling: Literal["420", "422", "444"] = "420",
    ) -> None:
        if not (0 < width <= _MAX_SIDE and 0 < height <= _MAX_SIDE):
            raise SettingError("JPEG size", (width, height), f"1 to {_MAX_SIDE} pixels a side")
        if not 1 <= quality <= 100:
            raise SettingError("JPEG quality", quality, "1 to 100")
        if subsampling not in _BLOCK:
            raise SettingError("JPEG subsampling", subsampling, ", ".join(_BLOCK))
        self.width = width
        self.height = height
        self.quality = quality
        self.subsampling = subsampling
        self._lock = threading.Lock()
        self._strips: dict[int, tuple[int, bytes]] = {}
        self._header = b""

    @property
    def block_rows(self) -> int:
        """Every strip but the last has a multiple of this many rows, and all have the same."""
        return _BLOCK[self.subsampling][1]

    def add(self, first_row: int, rgb: npt.NDArray[np.uint8]) -> None:
        """Encode rows from ``first_row``; ``rgb`` is uint8 ``(rows, width, 3)``, sRGB.

        Runs without the GIL; may be called from several threads at once. ``rgb`` is not kept.
        """
        if rgb.ndim != 3 or rgb.shape[1:] != (self.width, 3) or not rgb.shape[0]:
            raise SettingError("JPEG strip", rgb.shape, f"(rows, {self.width}, 3)")
        data = imagecodecs.jpeg8_encode(
            np.ascontiguousarray(rgb),
            level=self.quality,
            colorspace="RGB",
            outcolorspace="YCBCR",
            subsampling=self.subsampling,
            optimize=False,
        )
        header, body = _split(bytes(data))
        with self._lock:
            self._strips[first_row] = (rgb.shape[0], body)
            if first_row == 0:
                self._header = header

    def finish(self, exif: bytes | None = None, icc: bytes | None = None) -> bytes:
        """The whole JPEG file.

        Parameters
        ----------
        exif : a TIFF block (with or without the leading ``Exif\\0\\0``), at most 65527 bytes
        icc : an ICC profile of any size

        Raises
        ------
        SettingError : strips are missing or their heights do not fit together
        """
        with self._lock:
            strips = sorted(self._strips.items())
        rows = strips[0][1][0] if strips else 0
        expected = 0
        for first, (count, _) in strips:
            last = first + count == self.height
            if first != expected or (not last and (count != rows or count % self.block_rows)):
                raise SettingError(
                    "JPEG strips", [first for first, _ in strips],
                    f"strips of equal height, a multiple of {self.block_rows} rows, "
                    "from the first row to the last",
                )  # fmt: skip
            expected += count
        if expected != self.height:
            raise SettingError("JPEG strips", f"{expected} rows", f"{self.height} rows")
        block_width, block_height = _BLOCK[self.subsampling]
        interval = -(-self.width // block_width) * -(-rows // block_height)
        if len(strips) > 1 and interval > _MAX_INTERVAL:
            raise SettingError(
                "rows of a JPEG strip", rows,
                f"at most {_MAX_INTERVAL // -(-self.width // block_width) * block_height}",
            )  # fmt: skip
        parts = [b"\xff\xd8", *_application(exif, icc)]
        parts += _tables(self._header, self.height, interval if len(strips) > 1 else 0)
        for i, (_, (_, body)) in enumerate(strips):
            if i:
                parts.append(bytes((0xFF, 0xD0 + (i - 1) % 8)))
            parts.append(body)
        parts.append(b"\xff\xd9")
        return b"".join(parts)


def _split(data: bytes) -> tuple[bytes, bytes]:
    """Header with the start of scan, and the coded data, of one encoder's own JPEG."""
    at = 2
    while True:
        marker, length = data[at + 1], struct.unpack(">H", data[at + 2 : at + 4])[0]
        at += 2 + length
        if marker == 0xDA:
            return data[:at], data[at:-2]


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def _application(exif: bytes | None, icc: bytes | None) -> list[bytes]:
    """JFIF, EXIF and ICC segments."""
    parts = [_segment(0xE0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0")]
    if exif is not None:
        body = exif if exif.startswith(b"Exif\0\0") else b"Exif\0\0" + exif
        if len(body) > 65533:
            raise SettingError("EXIF block", f"{len(body)} bytes", "at most 65533 bytes")
        parts.append(_segment(0xE1, body))
    if icc is not None:
        chunks = [icc[i : i + 65519] for i in range(0, len(icc), 65519)]
        parts += [
            _segment(0xE2, b"ICC_PROFILE\0" + bytes((i + 1, len(chunks))) + chunk)
            for i, chunk in enumerate(chunks)
        ]
    return parts


def _tables(header: bytes, height: int, interval: int) -> list[bytes]:
    """Quantisation, frame, Huffman tables and scan of a strip, with the picture's height."""
    parts: list[bytes] = []
    at = 2
    while at < len(header):
        marker, length = header[at + 1], struct.unpack(">H", header[at + 2 : at + 4])[0]
        segment = header[at : at + 2 + length]
        at += 2 + length
        if marker == 0xC0:
            segment = segment[:5] + struct.pack(">H", height) + segment[7:]
        if marker == 0xDA and interval:
            parts.append(_segment(0xDD, struct.pack(">H", interval)))
        if not 0xE0 <= marker <= 0xEF:
            parts.append(segment)
    return parts
