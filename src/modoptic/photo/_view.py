"""Pictures for looking at: thumbnails, and tiles down to single pixels."""

from __future__ import annotations

import struct
import threading
from collections import OrderedDict
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import imagecodecs
import numpy as np
import numpy.typing as npt
from PIL import Image, JpegImagePlugin

from modoptic.errors import PictureError, RawFileError
from modoptic.photo._jpeg import MAX_PIXELS, small_jpeg
from modoptic.rawfile.tiff import Entry, Tag, TiffReader

RGB = npt.NDArray[np.uint8]

TILE = 512
_QUALITY = 88
_KEPT_BYTES = 420_000_000
"""One 100 MP picture (306 MB) and its halves."""
_KEPT_S = 20.0
_MAX_PREVIEW = 128 << 20
"""Bytes of the preview in a DNG; one of 100 MP has a third of that."""
_LARGEST_SCALE = 3
"""libjpeg decodes at 1/2, 1/4 and 1/8 for a fraction of the time."""

# EXIF orientation to numpy: quarter turns counter-clockwise, then mirrored left to right
_TURNS = {1: (0, 0), 2: (0, 1), 3: (2, 0), 4: (2, 1), 5: (3, 1), 6: (3, 0), 7: (1, 1), 8: (1, 0)}


def levels(width: int, height: int, size: int = TILE) -> int:
    """Levels of a tile pyramid: level 0 is 100 %, each next half as large, the last one tile."""
    count = 1
    while max(width, height) > size:
        width, height = -(-width // 2), -(-height // 2)
        count += 1
    return count


@dataclass(frozen=True, slots=True)
class Shown:
    """What is shown of a photo: itself, or the preview inside of a DNG."""

    path: Path
    jpeg: bytes
    orientation: int
    """EXIF code of how it lies."""
    width: int
    """Upright."""
    height: int

    @classmethod
    def of(cls, path: Path) -> Shown:
        """Read it; raises `PictureError` where there is nothing to show."""
        try:
            data, orientation = _jpeg_of(path)
            with JpegImagePlugin.JpegImageFile(BytesIO(data)) as picture:
                width, height = picture.size
                if orientation is None:
                    orientation = int(picture.getexif().get(int(Tag.ORIENTATION), 1) or 1)
        except (OSError, RawFileError, *_DAMAGED) as error:
            raise PictureError(path, f"has no picture that can be shown ({error})") from error
        if width * height > MAX_PIXELS:
            raise PictureError(path, f"has {width} x {height} pixels; refused")
        if orientation in (5, 6, 7, 8):
            width, height = height, width
        return cls(path, data, orientation, width, height)

    def decoded(self, scale: int) -> RGB:
        """Upright pixels at 1/1, 1/2, 1/4 or 1/8."""
        try:
            with JpegImagePlugin.JpegImageFile(BytesIO(self.jpeg)) as picture:
                if scale == 1 and picture.mode == "RGB":
                    return _upright(imagecodecs.jpeg8_decode(self.jpeg), self.orientation)
                # draft takes the smallest scale that is at least as large as what is asked for
                wide, tall = picture.width // scale, picture.height // scale
                picture.draft("RGB", (max(1, wide), max(1, tall)))
                picture.load()
                return _upright(np.asarray(picture.convert("RGB")), self.orientation)
        except (OSError, RuntimeError, *_DAMAGED) as error:
            raise PictureError(self.path, f"is damaged and cannot be shown ({error})") from error


# What Pillow's parsers raise for damaged files besides OSError
_DAMAGED = (
    SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, MemoryError, struct.error
)  # fmt: skip


def _jpeg_of(path: Path) -> tuple[bytes, int | None]:
    """A JPEG, and how it lies where that does not stand in itself."""
    if path.suffix.lower() != ".dng":
        return path.read_bytes(), None
    with TiffReader(path) as file:
        main: dict[int, Entry] | None = None
        for directory in file.directories():
            main = main or directory
            kind = [directory.get(tag) for tag in (Tag.COMPRESSION, Tag.PHOTOMETRIC)]
            if [entry.first if entry and entry.count else 0 for entry in kind] == [7, 6]:
                offset = int(directory[Tag.STRIP_OFFSETS].first)
                size = int(directory[Tag.STRIP_BYTE_COUNTS].first)
                if size > _MAX_PREVIEW:
                    raise PictureError(path, f"has a preview of {size >> 20} MB; refused")
                turned = main.get(Tag.ORIENTATION)
                jpeg = file.read(offset, size, "the preview")
                return jpeg, int(turned.first) if turned else 1
    raise PictureError(path, "holds no preview; develop it to see it")


def thumbnail(path: Path, side: int) -> bytes:
    """A small upright JPEG of at most ``side`` pixels."""
    shown = Shown.of(path)
    scale = 1
    while scale < 8 and max(shown.width, shown.height) >= 4 * side * scale:
        scale *= 2
    return small_jpeg(shown.decoded(scale), side, quality=85)


class TileMaker:
    """Cuts tiles out of photos; keeps what it decoded last for some seconds, within a bound."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pictures: OrderedDict[tuple[str, int, int], RGB] = OrderedDict()
        self._forgetting: threading.Timer | None = None

    def tile(self, path: Path, version: int, level: int, x: int, y: int, size: int) -> bytes:
        """Tile ``x``, ``y`` of a level (see `levels`), upright; at the edges it is smaller.

        Raises
        ------
        PictureError : no such tile, or a picture that cannot be decoded
        """
        if not 0 <= level < 20 or x < 0 or y < 0 or not 64 <= size <= 4096:
            raise PictureError(path, f"no such tile: level {level}, {x}, {y}")
        picture = self._picture(path, version, level)
        piece = picture[y * size : (y + 1) * size, x * size : (x + 1) * size]
        if piece.size == 0:
            raise PictureError(path, f"no such tile: level {level}, {x}, {y}")
        return bytes(
            imagecodecs.jpeg8_encode(np.ascontiguousarray(piece), level=_QUALITY, subsampling="444")
        )

    def forget(self) -> None:
        """Give the memory back."""
        with self._lock:
            self._pictures.clear()
            if self._forgetting is not None:
                self._forgetting.cancel()
                self._forgetting = None

    def _picture(self, path: Path, version: int, level: int) -> RGB:
        # One decodes while others wait: most of them want the same picture.
        with self._lock:
            key = str(path), version, level
            picture = self._pictures.pop(key, None)
            if picture is None:
                picture = _level(path, level)
            self._pictures[key] = picture
            while len(self._pictures) > 1 and self._kept() > _KEPT_BYTES:
                self._pictures.popitem(last=False)
            if self._forgetting is not None:
                self._forgetting.cancel()
            self._forgetting = threading.Timer(_KEPT_S, self.forget)
            self._forgetting.daemon = True
            self._forgetting.start()
            return picture

    def _kept(self) -> int:
        return sum(picture.nbytes for picture in self._pictures.values())


def _level(path: Path, level: int) -> RGB:
    picture = Shown.of(path).decoded(2 ** min(level, _LARGEST_SCALE))
    for _ in range(level - _LARGEST_SCALE):
        picture = np.asarray(Image.fromarray(picture).reduce(2))
    return picture


def _upright(picture: RGB, orientation: int) -> RGB:
    turns, mirrored = _TURNS.get(orientation, (0, 0))
    turned = np.rot90(picture, turns)
    return turned[:, ::-1] if mirrored else turned
