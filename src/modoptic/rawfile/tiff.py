"""The container of DNG and EXIF: TIFF 6.0 directories, read with distrust and written whole.

Only what those two need: classic TIFF, both byte orders for reading, little endian for writing.
``tifffile`` writes no EXIF directory, and a reader of files from strangers must bound every number
before it allocates anything; hence this module.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Literal

from modoptic.errors import RawFileError

__all__ = ["Directory", "Entry", "Field", "Tag", "TiffReader", "Type", "layout", "rational"]


class Type(IntEnum):
    """Field types of TIFF 6.0, section 2."""

    BYTE = 1
    ASCII = 2
    SHORT = 3
    LONG = 4
    RATIONAL = 5
    SBYTE = 6
    UNDEFINED = 7
    SSHORT = 8
    SLONG = 9
    SRATIONAL = 10
    FLOAT = 11
    DOUBLE = 12
    IFD = 13


_CODES = {
    Type.BYTE: "B",
    Type.ASCII: "s",
    Type.SHORT: "H",
    Type.LONG: "I",
    Type.RATIONAL: "II",
    Type.SBYTE: "b",
    Type.UNDEFINED: "s",
    Type.SSHORT: "h",
    Type.SLONG: "i",
    Type.SRATIONAL: "ii",
    Type.FLOAT: "f",
    Type.DOUBLE: "d",
    Type.IFD: "I",
}


_SIZES: dict[int, int] = {kind: struct.calcsize(f"={code}") for kind, code in _CODES.items()}


class Tag(IntEnum):
    """Tags used here: TIFF 6.0, TIFF/EP, EXIF 2.32 and DNG 1.7.1, by their names there."""

    NEW_SUBFILE_TYPE = 254
    IMAGE_WIDTH = 256
    IMAGE_LENGTH = 257
    BITS_PER_SAMPLE = 258
    COMPRESSION = 259
    PHOTOMETRIC = 262
    IMAGE_DESCRIPTION = 270
    MAKE = 271
    MODEL = 272
    STRIP_OFFSETS = 273
    ORIENTATION = 274
    SAMPLES_PER_PIXEL = 277
    ROWS_PER_STRIP = 278
    STRIP_BYTE_COUNTS = 279
    X_RESOLUTION = 282
    Y_RESOLUTION = 283
    PLANAR_CONFIGURATION = 284
    RESOLUTION_UNIT = 296
    SOFTWARE = 305
    DATE_TIME = 306
    PREDICTOR = 317
    TILE_WIDTH = 322
    TILE_LENGTH = 323
    TILE_OFFSETS = 324
    TILE_BYTE_COUNTS = 325
    SUB_IFDS = 330
    JPEG_INTERCHANGE_FORMAT = 513
    JPEG_INTERCHANGE_FORMAT_LENGTH = 514
    YCBCR_SUBSAMPLING = 530
    YCBCR_POSITIONING = 531
    REFERENCE_BLACK_WHITE = 532
    XMP = 700
    CFA_REPEAT_PATTERN_DIM = 33421
    CFA_PATTERN = 33422
    EXPOSURE_TIME = 33434
    F_NUMBER = 33437
    EXIF_IFD = 34665
    PHOTOGRAPHIC_SENSITIVITY = 34855
    SENSITIVITY_TYPE = 34864
    RECOMMENDED_EXPOSURE_INDEX = 34866
    EXIF_VERSION = 36864
    DATE_TIME_ORIGINAL = 36867
    DATE_TIME_DIGITIZED = 36868
    OFFSET_TIME = 36880
    OFFSET_TIME_ORIGINAL = 36881
    OFFSET_TIME_DIGITIZED = 36882
    COMPONENTS_CONFIGURATION = 37121
    SHUTTER_SPEED_VALUE = 37377
    APERTURE_VALUE = 37378
    SUBJECT_DISTANCE = 37382
    FOCAL_LENGTH = 37386
    USER_COMMENT = 37510
    SUB_SEC_TIME = 37520
    SUB_SEC_TIME_ORIGINAL = 37521
    SUB_SEC_TIME_DIGITIZED = 37522
    AMBIENT_TEMPERATURE = 37888
    FLASHPIX_VERSION = 40960
    COLOR_SPACE = 40961
    PIXEL_X_DIMENSION = 40962
    PIXEL_Y_DIMENSION = 40963
    FOCAL_LENGTH_35MM = 41989
    IMAGE_UNIQUE_ID = 42016
    BODY_SERIAL_NUMBER = 42033
    LENS_MAKE = 42035
    LENS_MODEL = 42036
    DNG_VERSION = 50706
    DNG_BACKWARD_VERSION = 50707
    UNIQUE_CAMERA_MODEL = 50708
    CFA_PLANE_COLOR = 50710
    CFA_LAYOUT = 50711
    LINEARIZATION_TABLE = 50712
    BLACK_LEVEL_REPEAT_DIM = 50713
    BLACK_LEVEL = 50714
    BLACK_LEVEL_DELTA_H = 50715
    BLACK_LEVEL_DELTA_V = 50716
    WHITE_LEVEL = 50717
    DEFAULT_SCALE = 50718
    DEFAULT_CROP_ORIGIN = 50719
    DEFAULT_CROP_SIZE = 50720
    COLOR_MATRIX_1 = 50721
    COLOR_MATRIX_2 = 50722
    ANALOG_BALANCE = 50727
    AS_SHOT_NEUTRAL = 50728
    AS_SHOT_WHITE_XY = 50729
    BASELINE_EXPOSURE = 50730
    BASELINE_NOISE = 50731
    BASELINE_SHARPNESS = 50732
    LINEAR_RESPONSE_LIMIT = 50734
    CAMERA_SERIAL_NUMBER = 50735
    DNG_PRIVATE_DATA = 50740
    CALIBRATION_ILLUMINANT_1 = 50778
    CALIBRATION_ILLUMINANT_2 = 50779
    BEST_QUALITY_SCALE = 50780
    RAW_DATA_UNIQUE_ID = 50781
    ACTIVE_AREA = 50829
    FORWARD_MATRIX_1 = 50964
    FORWARD_MATRIX_2 = 50965
    PREVIEW_APPLICATION_NAME = 50966
    PREVIEW_COLOR_SPACE = 50970
    ROW_INTERLEAVE_FACTOR = 50975
    NOISE_PROFILE = 51041
    COLUMN_INTERLEAVE_FACTOR = 52547


Number = int | float | Fraction


@dataclass(frozen=True, slots=True)
class Field:
    """A value to write: numbers of one type, or bytes (ASCII with its final NUL, UNDEFINED)."""

    type: Type
    values: Sequence[Number] | bytes

    def encoded(self) -> tuple[int, bytes]:
        """Count and bytes, little endian."""
        if isinstance(self.values, bytes):
            return len(self.values), self.values
        flat: list[Number] = []
        for value in self.values:
            if self.type in (Type.RATIONAL, Type.SRATIONAL):
                flat += rational(value, signed=self.type == Type.SRATIONAL)
            else:
                flat.append(value)
        code = _CODES[self.type][0]
        return len(self.values), struct.pack(f"<{len(flat)}{code}", *flat)


Directory = dict[int, "Field | list[Directory]"]
"""Fields by tag; a list of directories is written as one pointer to each."""


def rational(value: Number, *, signed: bool = False) -> tuple[int, int]:
    """Numerator and denominator of ``value``, as near as 32 bits allow; infinity as EXIF has it."""
    if value == float("inf"):
        return 0xFFFFFFFF, 1
    limit = 2**31 - 1 if signed else 2**32 - 1
    ratio = Fraction(max(min(value, limit), -limit if signed else 0))
    largest = min(10**9, int(limit / max(1, abs(ratio))))
    ratio = ratio.limit_denominator(max(1, largest))
    return ratio.numerator, ratio.denominator


def layout(directory: Directory, start: int, next_directory: int = 0) -> bytes:
    """``directory`` with its values and its children, to be put at the even offset ``start``.

    The length depends on the counts and not on the values, so that offsets of data can be
    filled in afterwards.
    """
    entries = sorted(directory.items())
    head = bytearray(struct.pack("<H", len(entries)))
    body = bytearray()
    body_start = start + 2 + 12 * len(entries) + 4
    for tag, field in entries:
        if isinstance(field, list):
            offsets: list[int] = []
            for child in field:
                offsets.append(body_start + len(body))
                body += layout(child, offsets[-1])
            field = Field(Type.LONG, offsets)
        count, data = field.encoded()
        head += struct.pack("<HHI", tag, field.type, count)
        if len(data) <= 4:
            head += data.ljust(4, b"\0")
        else:
            head += struct.pack("<I", body_start + len(body))
            body += data + b"\0" * (len(data) % 2)
    return bytes(head + struct.pack("<I", next_directory) + body)


_MAX_ENTRIES = 5000
_MAX_DIRECTORIES = 50
_MAX_VALUES = 32 << 20
"""Bytes of memory for all values that are read from one file. Tags may share bytes of a small
file, so its size bounds nothing."""
_NUMBER_BYTES = 40
"""Of a number in a tuple."""


class Entry:
    """A value of a directory. It is read when it is first asked for, while the file is open.

    Raises
    ------
    RawFileError : from `values`, `numbers`, `text` and `data`, where the file ends before them or
        more was asked for than one file may hold
    """

    def __init__(
        self, file: TiffReader, tag: int, kind: Type, count: int, held: bytes | int
    ) -> None:
        self._file, self._tag, self._held = file, tag, held
        self.type = kind
        self.count = count
        """Of numbers, or of bytes."""

    @cached_property
    def values(self) -> tuple[float, ...] | bytes:
        """Numbers (rationals as float, 0/0 as nan), or bytes."""
        return self._read(self.count)

    @cached_property
    def numbers(self) -> tuple[float, ...]:
        values = self.values
        if isinstance(values, bytes):
            self._file.spend(8 * len(values), self._tag)
        return tuple(values)

    @property
    def first(self) -> float:
        """The first number, whatever follows; ``IndexError`` where there is none."""
        return self._read(min(self.count, 1))[0]

    @property
    def text(self) -> str:
        if not isinstance(self.values, bytes):
            return ""
        return self.values.split(b"\0", 1)[0].decode("utf-8", "replace").strip()

    @property
    def data(self) -> bytes:
        """The value as bytes, for BYTE and UNDEFINED."""
        return self.values if isinstance(self.values, bytes) else b""

    def begins(self, with_: bytes) -> bool:
        """Whether the value is bytes that begin so; no more than these is read."""
        return self._read(min(self.count, len(with_))) == with_

    def _read(self, count: int) -> tuple[float, ...] | bytes:
        code = _CODES[self.type]
        size = _SIZES[self.type] * count
        as_bytes = self.type in (Type.ASCII, Type.UNDEFINED, Type.BYTE)
        self._file.spend(size if as_bytes else _NUMBER_BYTES * len(code) * count, self._tag)
        held = self._held
        data = (
            held[:size]
            if isinstance(held, bytes)
            else self._file.read(held, size, f"tag {self._tag}")
        )
        if as_bytes:
            return data
        flat = struct.unpack(f"{self._file.order}{count * len(code)}{code[0]}", data)
        if len(code) == 1:
            return flat
        pairs = zip(flat[::2], flat[1::2], strict=True)
        return tuple(top / under if under else float("nan") for top, under in pairs)


class TiffReader:
    """Directories of a TIFF file, with every offset, count and loop checked.

    Raises
    ------
    RawFileError : no TIFF, damaged or hostile; also from the other methods
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._spent = self._entries = 0
        try:
            self._file = self.path.open("rb")
        except OSError as error:
            raise RawFileError(path, f"cannot be opened ({error.strerror})") from error
        try:
            self.size = os.fstat(self._file.fileno()).st_size
            header = self.read(0, 8, "header")
            orders: dict[bytes, Literal["<", ">"]] = {b"II": "<", b"MM": ">"}
            if header[:2] not in orders:
                raise self.error("is no TIFF or DNG: it does not begin with II or MM")
            self.order: Literal["<", ">"] = orders[header[:2]]
            magic, self._first = struct.unpack(f"{self.order}HI", header[2:])
            if magic != 42:
                raise self.error(f"is no TIFF or DNG: magic number {magic}, expected 42")
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> TiffReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def error(self, problem: str) -> RawFileError:
        return RawFileError(self.path, problem)

    def read(self, offset: int, size: int, what: str) -> bytes:
        """``size`` bytes at ``offset``; safe from several threads."""
        if offset < 0 or size < 0 or offset + size > self.size:
            raise self.error(
                f"is damaged or cut off: {what} should lie at {offset} to {offset + size}, "
                f"but the file ends at {self.size}"
            )
        try:
            data = os.pread(self._file.fileno(), size, offset)
        except OSError as error:
            raise self.error(f"cannot be read ({error.strerror})") from error
        if len(data) != size:
            raise self.error(f"is damaged or cut off while reading {what}")
        return data

    def spend(self, size: int, tag: int) -> None:
        """Count ``size`` bytes of memory for values against what one file may hold."""
        self._spent += size
        if self._spent > _MAX_VALUES:
            raise self.error(
                f"is damaged or hostile: with tag {tag} its values take more than "
                f"{_MAX_VALUES >> 20} MB of memory; refused"
            )

    def directories(self) -> Iterator[dict[int, Entry]]:
        """Each directory of the main chain, followed by its SubIFDs; loops are refused."""
        waiting = [self._first]
        seen: set[int] = set()
        while waiting:
            offset = waiting.pop(0)
            if offset in seen:
                raise self.error(
                    f"is damaged: directories point at each other in a circle ({offset})"
                )
            seen.add(offset)
            if len(seen) > _MAX_DIRECTORIES:
                raise self.error(f"has more than {_MAX_DIRECTORIES} directories; refused")
            directory, following = self.directory(offset)
            sub = directory.get(Tag.SUB_IFDS)
            if sub is not None and sub.count > _MAX_DIRECTORIES:
                raise self.error(f"has more than {_MAX_DIRECTORIES} directories; refused")
            children = [int(child) for child in sub.numbers] if sub else []
            waiting = [*children, *([following] if following else []), *waiting]
            yield directory

    def directory(self, offset: int) -> tuple[dict[int, Entry], int]:
        """The directory at ``offset`` and the offset of the next one (0: none)."""
        (count,) = struct.unpack(f"{self.order}H", self.read(offset, 2, "a directory"))
        self._entries += count
        if count == 0 or self._entries > _MAX_ENTRIES:
            raise self.error(
                f"is damaged: a directory of {count} entries, {self._entries} in all; "
                f"at most {_MAX_ENTRIES} are read"
            )
        block = self.read(offset + 2, 12 * count, "a directory")
        entries: dict[int, Entry] = {}
        for at in range(0, len(block), 12):
            tag, kind, length, where = struct.unpack_from(f"{self.order}HHII", block, at)
            if kind not in _SIZES:
                continue  # TIFF 6.0: readers skip types that they do not know
            size = _SIZES[kind] * length
            held: bytes | int = where
            if size <= 4:
                held = block[at + 8 : at + 8 + size]
            elif where + size > self.size:
                raise self.error(
                    f"is damaged or cut off: tag {tag} should lie at {where} to {where + size}, "
                    f"but the file ends at {self.size}"
                )
            entries[tag] = Entry(self, tag, Type(kind), length, held)
        end = offset + 2 + len(block)
        # Some writers leave out the last pointer, at the end of the file.
        if end + 4 > self.size:
            return entries, 0
        return entries, struct.unpack(f"{self.order}I", self.read(end, 4, "a directory"))[0]
