"""Mosaics without a raw's header: bare samples, PGM, PNG, described by a sidecar or options."""

from __future__ import annotations

import re
import struct
import tomllib
from pathlib import Path
from typing import Any

import imagecodecs
import msgspec
import numpy as np
import numpy.typing as npt

from modoptic import pixels
from modoptic.calibration import Calibration
from modoptic.errors import ModopticError, RawFileError
from modoptic.frame import FrameMeta, Settings
from modoptic.rawfile import _color
from modoptic.rawfile._file import RawFile, bayer_pattern, bits_for, check_size, checked, frame_of
from modoptic.rawfile._unpack import unpack_rows

UInt16Image = npt.NDArray[np.uint16]

SUFFIXES = frozenset({".raw", ".bin", ".pgm", ".png"})
_MAX_SIDECAR = 64 * 1024


class Description(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A sidecar: ``photo.toml`` beside ``photo.raw``. Options of `read_raw` win over it."""

    width: int | None = None
    height: int | None = None
    cfa: str | None = None
    """``RGGB``, ``GRBG``, ``GBRG`` or ``BGGR``."""
    bits: int | None = None
    black: float | list[float] | None = None
    """In DN: one, or one for each photosite of the pattern in reading order."""
    white: int | None = None
    packing: str | None = None
    """``uint8``, ``uint16`` (little endian), ``uint16-be``, ``lsb`` (PFNC ``p``) or ``msb`` (TIFF);
    without it told from the file's size."""
    offset: int = 0
    """Bytes before the first sample."""
    wb: list[float] | None = None
    """Gains of red, green and blue that make grey neutral."""
    color_matrix: list[list[float]] | None = None
    """XYZ (D65) to camera, as in DNG."""
    orientation: int = 1
    """EXIF code."""
    make: str = ""
    model: str = ""
    exposure_s: float = 0.0
    f_number: float = 0.0
    iso: float = 0.0


def read_headerless(path: Path, options: dict[str, Any]) -> RawFile:
    """See `read_raw`."""
    described = _described(path, options)
    if not path.is_file():
        raise RawFileError(path, "does not exist or is no file")
    try:
        if path.suffix.lower() == ".pgm":
            mosaic, largest = _pgm(path)
        elif path.suffix.lower() == ".png":
            mosaic, largest = _png(path)
        else:
            mosaic, largest = _bare(path, described)
    except OSError as error:
        raise RawFileError(path, f"cannot be read ({error.strerror})") from error
    return _raw_file(path, described, mosaic, largest)


def _described(path: Path, options: dict[str, Any]) -> Description:
    sidecar = path.with_suffix(".toml")
    fields: dict[str, Any] = {}
    if sidecar.is_file():
        try:
            if sidecar.stat().st_size > _MAX_SIDECAR:
                raise RawFileError(sidecar, f"is larger than {_MAX_SIDECAR} bytes")
            fields = tomllib.loads(sidecar.read_text("utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError, RecursionError) as error:
            raise RawFileError(sidecar, f"is no TOML that can be read ({error})") from error
    fields |= {name: value for name, value in options.items() if value is not None}
    if isinstance(fields.get("cfa"), tuple | list):
        fields["cfa"] = "".join(fields["cfa"])
    if isinstance(fields.get("black"), tuple):
        fields["black"] = list(fields["black"])
    try:
        return msgspec.convert(fields, Description)
    except msgspec.ValidationError as error:
        raise RawFileError(
            sidecar if sidecar.is_file() else path, f"described wrongly: {error}"
        ) from error


def _needed(path: Path, described: Description, *names: str) -> None:
    missing = [name for name in names if getattr(described, name) is None]
    if missing:
        raise RawFileError(
            path,
            f"does not say its {', '.join(missing)}; give them as options, or in "
            f"{path.with_suffix('.toml').name} beside it",
        )


def _bare(path: Path, described: Description) -> tuple[UInt16Image, int]:
    _needed(path, described, "width", "height", "cfa", "bits")
    width, height, bits = described.width or 0, described.height or 0, described.bits or 0
    check_size(path, width, height)
    if not 8 <= bits <= 16:
        raise RawFileError(path, f"{bits} bits a photosite; 8 to 16 can be read")
    have = path.stat().st_size - described.offset
    packing = described.packing or _packing(have, width * height, bits)
    rows = {
        "uint8": width,
        "uint16": 2 * width,
        "uint16-be": 2 * width,
        "lsb": width * bits // 8,
        "msb": -(-width * bits // 8),
    }
    if packing not in rows:
        raise RawFileError(path, f"packing {packing!r}; expected one of {', '.join(rows)}")
    needed = rows[packing] * height
    if described.offset < 0 or have < needed:
        raise RawFileError(
            path,
            f"has {have} bytes of samples; {width} x {height} as {packing} are {needed}",
        )
    with path.open("rb") as file:
        file.seek(described.offset)
        data = np.frombuffer(file.read(needed), np.uint8)
    try:
        return _samples(data, packing, bits, height, width), (1 << bits) - 1
    except ModopticError as error:
        raise RawFileError(path, str(error)) from error


def _samples(
    data: npt.NDArray[np.uint8], packing: str, bits: int, height: int, width: int
) -> UInt16Image:
    if packing == "uint8":
        return data.reshape(height, width).astype(np.uint16)
    if packing == "msb":
        return unpack_rows(data, bits, height, width)
    if packing == "lsb":
        return pixels.unpack(data, pixels.pixel_format(f"BayerRG{bits}p"), height, width)
    order = ">u2" if packing == "uint16-be" else "<u2"
    return data.view(order).reshape(height, width).astype(np.uint16, copy=False)


def _packing(have: int, count: int, bits: int) -> str:
    if bits == 8 and have < 2 * count:
        return "uint8"
    return "lsb" if bits in (10, 12, 14) and have < 2 * count else "uint16"


def _pgm(path: Path) -> tuple[UInt16Image, int]:
    """A binary PGM (netpbm, P5): one byte a sample up to 255, else two, most significant first."""
    with path.open("rb") as file:
        head = file.read(512)
        found = re.match(rb"P5\s(?:\s*#[^\n]*\n)*\s*(\d{1,6})\s+(\d{1,6})\s+(\d{1,5})\s", head)
        if found is None:
            raise RawFileError(path, "is no binary PGM (P5)")
        width, height, largest = (int(part) for part in found.groups())
        check_size(path, width, height)
        if not 0 < largest <= 65535:
            raise RawFileError(path, f"has a largest value of {largest}; expected 1 to 65535")
        size = width * height * (2 if largest > 255 else 1)
        file.seek(found.end())
        data = file.read(size) if path.stat().st_size >= found.end() + size else b""
    if len(data) != size:
        raise RawFileError(path, f"is cut off: {width} x {height} samples are {size} bytes")
    kind = ">u2" if largest > 255 else "u1"
    return np.frombuffer(data, kind).reshape(height, width).astype(np.uint16), largest


def _png(path: Path) -> tuple[UInt16Image, int]:
    """A grey PNG of 8 or 16 bits."""
    with path.open("rb") as file:
        head = file.read(33)
        if head[:8] != b"\x89PNG\r\n\x1a\n" or head[12:16] != b"IHDR" or len(head) < 33:
            raise RawFileError(path, "is no PNG")
        width, height, depth, kind = struct.unpack(">IIBB", head[16:26])
        check_size(path, width, height)
        if kind != 0 or depth not in (8, 16):
            raise RawFileError(path, "is no grey PNG of 8 or 16 bits, so it can be no mosaic")
        data = head + file.read()
    # deflate gains at most 1032 : 1
    if width * height * depth // 8 > 1032 * len(data):
        raise RawFileError(path, f"is damaged: {width} x {height} in {len(data)} bytes")
    try:
        mosaic = imagecodecs.png_decode(data)
    except (RuntimeError, ValueError) as error:
        raise RawFileError(path, f"is damaged ({error})") from error
    if mosaic.shape != (height, width):
        raise RawFileError(path, "is no grey PNG, so it can be no mosaic")
    return mosaic.astype(np.uint16, copy=False), (1 << depth) - 1


def _raw_file(path: Path, described: Description, mosaic: UInt16Image, largest: int) -> RawFile:
    _needed(path, described, "cfa")
    height, width = mosaic.shape
    if described.bits is not None:
        if not 8 <= described.bits <= 16:
            raise RawFileError(path, f"{described.bits} bits a photosite; 8 to 16 can be read")
        largest = (1 << described.bits) - 1
    white = largest if described.white is None else described.white
    black = described.black if isinstance(described.black, list) else [described.black or 0.0]
    if len(black) not in (1, 4) or not 0 <= min(black) <= max(black) < white <= 65535:
        raise RawFileError(path, f"black level {black} and white level {white} do not fit together")
    for name, given, size in (
        ("width", described.width, width),
        ("height", described.height, height),
    ):
        if given is not None and given != size:
            raise RawFileError(path, f"has a {name} of {size}, not {given}")
    gains = described.wb
    if gains is not None and (len(gains) != 3 or not all(0 < gain < 100 for gain in gains)):
        raise RawFileError(path, f"white balance gains {gains}; expected three above 0")
    matrix = _matrix(path, described.color_matrix)
    color = None if matrix is None else _color.calibration_of(matrix, 21)
    meta = FrameMeta(
        make=described.make,
        model=described.model,
        settings=Settings(
            exposure_s=described.exposure_s,
            f_number=described.f_number,
            focus_distance_m=0.0,
            readout="full",
            bits=12 if white < 4096 else 14,
        ),
        iso=described.iso,
        cfa=bayer_pattern(path, described.cfa or ""),
        black_level=tuple(float(level) for level in black),
        white_level=white,
        orientation=described.orientation if 1 <= described.orientation <= 8 else 1,
        as_shot_neutral=None if gains is None else (gains[1] / gains[0], 1.0, gains[1] / gains[2]),
        color_matrix=None if color is None else color.color_matrix,
    )
    checked(path, meta)
    bits = bits_for(max(white, int(mosaic.max())), at_least=8 if largest < 256 else 12)
    return RawFile(
        path,
        frame_of(mosaic[: height & ~1, : width & ~1], meta, bits),
        None if color is None else Calibration(colors=(color,)),
        f"{described.make} {described.model}".strip(),
    )


def _matrix(path: Path, rows: list[list[float]] | None) -> npt.NDArray[np.float64] | None:
    if rows is None:
        return None
    if [len(row) for row in rows] != [3, 3, 3]:
        raise RawFileError(path, "color_matrix is not three rows of three")
    return np.array(rows, np.float64)
