"""A DNG to a frame. Files come from strangers: every number is checked before it is believed."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from modoptic import bands, pixels
from modoptic.calibration import Calibration, check_calibration
from modoptic.errors import ModopticError, RawFileError
from modoptic.frame import Frame, FrameMeta, NoiseModel, Settings, check_meta, decode_meta
from modoptic.quad import QUAD, is_quad
from modoptic.rawfile import _codecs, _color
from modoptic.rawfile._file import RawFile, bits_for, check_size, frame_of
from modoptic.rawfile._unpack import unpack_rows
from modoptic.rawfile._write import PRIVATE_NAME
from modoptic.rawfile.tiff import Entry, Tag, TiffReader

UInt16Image = npt.NDArray[np.uint16]
Entries = dict[int, Entry]

_Result = TypeVar("_Result")

_CFA, _LINEAR_RAW = 32803, 34892
_BAYER = ("RGGB", "GRBG", "GBRG", "BGGR")
_MAX_TILES = 200_000
_MAX_PRIVATE = 4 << 20
"""As large as a module's manifest may be, which the calibration comes from."""
# Lossless JPEG spends at least a bit a sample; JPEG XL codes a flat field in next to nothing.
_PIXELS_A_BYTE = {_codecs.UNCOMPRESSED: 1, _codecs.LOSSLESS_JPEG: 8, _codecs.JPEG_XL: 1000}
_SMALL = 4_000_000
_INFINITE = float(0xFFFFFFFF)


def read_dng(path: Path) -> RawFile:
    """The raw picture of a DNG; see `read_raw`."""
    return _guarded(path, _read)


def read_header(path: Path | str) -> FrameMeta:
    """What a DNG says of itself, without its pixels: size, camera, exposure, levels.

    Raises
    ------
    RawFileError : no DNG, damaged or hostile
    """
    return _guarded(Path(path), _header)


def _guarded(path: Path, read: Callable[[TiffReader], _Result]) -> _Result:
    """What ``read`` makes of the file; whatever goes wrong inside is the file's fault."""
    try:
        with TiffReader(path) as file:
            return read(file)
    except RawFileError:
        raise
    except (
        ArithmeticError,
        LookupError,
        ValueError,
        TypeError,
        struct.error,
        MemoryError,
        ModopticError,
    ) as error:
        # What a damaged number leads to is not foreseen for each number; it ends here.
        raise RawFileError(path, f"is damaged and cannot be read ({error})") from error


def is_dng(path: Path) -> bool:
    """Whether it is a TIFF that says it is a DNG; raises `RawFileError` for a damaged one."""

    def says(file: TiffReader) -> bool:
        return any(Tag.DNG_VERSION in directory for directory in file.directories())

    return _guarded(path, says)


def _read(file: TiffReader) -> RawFile:
    directories = list(file.directories())
    main = directories[0]
    raw = _raw_directory(file, directories)
    picture = _Picture.of(file, raw)
    exif = _exif(file, main)
    camera = _camera(main)
    own = _own(main, picture)
    if own is not None:
        meta, calibration = own
        frame = _own_frame(_mosaic(file, raw, picture), meta)
        return RawFile(file.path, frame, calibration, camera, exif)
    crop = _crop(raw, picture)
    meta, calibration = _meta(main, raw, picture, exif, crop)
    mosaic = _mosaic(file, raw, picture)[crop.rows, crop.columns]
    frame = frame_of(mosaic, meta, bits_for(max(meta.white_level, picture.largest)))
    return RawFile(file.path, frame, calibration, camera, exif)


def _header(file: TiffReader) -> FrameMeta:
    directories = list(file.directories())
    main = directories[0]
    raw = _raw_directory(file, directories)
    picture = _Picture.of(file, raw)
    own = _own(main, picture, whole=False)
    if own is not None:
        return own[0]
    return _meta(main, raw, picture, _exif(file, main), _crop(raw, picture))[0]


def _raw_directory(file: TiffReader, directories: list[Entries]) -> Entries:
    found = [entry for entry in directories if _integer(entry, Tag.PHOTOMETRIC, -1) == _CFA]
    if not found:
        if any(_integer(entry, Tag.PHOTOMETRIC, -1) == _LINEAR_RAW for entry in directories):
            raise file.error("holds a demosaicked picture (LinearRaw); a Bayer mosaic is needed")
        raise file.error("holds no mosaic of a sensor (photometric interpretation 32803)")
    whole = [entry for entry in found if _integer(entry, Tag.NEW_SUBFILE_TYPE, 0) == 0]
    return max(whole or found, key=lambda entry: _integer(entry, Tag.IMAGE_WIDTH, 0))


@dataclass(frozen=True, slots=True)
class _Picture:
    """How the mosaic lies in the file."""

    width: int
    height: int
    tile_width: int
    tile_height: int
    offsets: tuple[int, ...]
    sizes: tuple[int, ...]
    striped: bool
    bits: int
    compression: int
    interleave: tuple[int, int]
    largest: int
    """Largest value that can occur."""

    @classmethod
    def of(cls, file: TiffReader, raw: Entries) -> _Picture:
        width, height = _integer(raw, Tag.IMAGE_WIDTH, 0), _integer(raw, Tag.IMAGE_LENGTH, 0)
        check_size(file.path, width, height)
        if _integer(raw, Tag.SAMPLES_PER_PIXEL, 1) != 1:
            raise file.error("has several samples a pixel; a Bayer mosaic has one")
        bits = _integer(raw, Tag.BITS_PER_SAMPLE, 1)
        if not 8 <= bits <= 16 or _integer(raw, 339, 1) != 1:
            raise file.error(f"has samples of {bits} bits; integers of 8 to 16 bits can be read")
        compression = _integer(raw, Tag.COMPRESSION, 1)
        if compression not in _PIXELS_A_BYTE:
            raise file.error(
                f"is compressed by method {compression}; uncompressed, lossless JPEG (7) and "
                "JPEG XL (52546) can be read"
            )
        if _integer(raw, 266, 1) != 1 or _integer(raw, Tag.PREDICTOR, 1) != 1:
            raise file.error("uses a fill order or predictor that no camera uses")
        striped = Tag.TILE_OFFSETS not in raw
        if striped:
            tile = width, min(height, _integer(raw, Tag.ROWS_PER_STRIP, height))
            places, lengths = Tag.STRIP_OFFSETS, Tag.STRIP_BYTE_COUNTS
        else:
            tile = _integer(raw, Tag.TILE_WIDTH, 0), _integer(raw, Tag.TILE_LENGTH, 0)
            places, lengths = Tag.TILE_OFFSETS, Tag.TILE_BYTE_COUNTS
        if min(tile) < 1 or max(tile) > 65535:
            raise file.error(f"is damaged: tiles of {tile[0]} x {tile[1]}")
        count = -(-width // tile[0]) * -(-height // tile[1])
        have = [raw[tag].count if tag in raw else 0 for tag in (places, lengths)]
        if count > _MAX_TILES or have != [count, count]:
            raise file.error(
                f"is damaged: {have[0]} tiles with {have[1]} lengths, expected {count}"
            )
        offsets, sizes = (tuple(int(v) for v in raw[tag].numbers) for tag in (places, lengths))
        if count * tile[0] * tile[1] > 4 * width * height + _SMALL:
            raise file.error(f"is damaged: tiles of {tile[0]} x {tile[1]} for {width} x {height}")
        if sum(sizes) > file.size:
            raise file.error("is damaged or cut off: its tiles are longer than the file")
        if width * height > max(_SMALL, _PIXELS_A_BYTE[compression] * sum(sizes)):
            raise file.error(f"is damaged: {width} x {height} cannot lie in {sum(sizes)} bytes")
        interleave = (
            _integer(raw, Tag.ROW_INTERLEAVE_FACTOR, 1),
            _integer(raw, Tag.COLUMN_INTERLEAVE_FACTOR, 1),
        )
        if not all(1 <= factor <= 8 for factor in interleave):
            raise file.error(f"is damaged: interleave factors {interleave}")
        table = raw.get(Tag.LINEARIZATION_TABLE)
        if table is not None and not 0 < table.count <= 65536:
            raise file.error(f"is damaged: a linearization table of {table.count} values")
        largest = (1 << bits) - 1 if table is None else int(max(table.numbers))
        if largest > 65535:
            raise file.error("is damaged: linearization table beyond 16 bits")
        return cls(
            width, height, *tile, offsets, sizes, striped, bits, compression, interleave, largest
        )

    def tile(self, index: int) -> tuple[int, int, int, int]:
        """Row, column, and size as coded, of a tile of the picture as it is stored."""
        across = -(-self.width // self.tile_width)
        y, x = index // across * self.tile_height, index % across * self.tile_width
        tall = min(self.tile_height, self.height - y) if self.striped else self.tile_height
        return y, x, tall, self.tile_width


def _mosaic(file: TiffReader, raw: Entries, picture: _Picture) -> UInt16Image:
    out = np.empty((picture.height, picture.width), np.uint16)
    entry = raw.get(Tag.LINEARIZATION_TABLE)
    table = np.array(entry.numbers, np.uint16) if entry else None

    def one(index: int) -> None:
        y, x, tall, wide = picture.tile(index)
        try:
            tile = _decoded(file, picture, index, tall, wide)
        except _codecs.TileError as error:
            raise file.error(f"is damaged or of an unknown kind: tile {index}: {error}") from error
        if table is not None:
            tile = table[np.minimum(tile, table.size - 1)]
        _place(tile, y, x, out, picture.interleave)

    count = len(picture.offsets)
    if count == 1:
        one(0)
    else:
        futures: list[Future[None]] = [bands.pool().submit(one, index) for index in range(count)]
        try:
            for future in futures:
                future.result()
        finally:
            for future in futures:
                future.cancel()
    return _without_deltas(raw, out)


def _decoded(file: TiffReader, picture: _Picture, index: int, tall: int, wide: int) -> UInt16Image:
    offset, size = picture.offsets[index], picture.sizes[index]
    if picture.compression == _codecs.UNCOMPRESSED:
        needed = -(-wide * picture.bits // 8) * tall
        if size < needed:
            raise _codecs.TileError(f"{size} bytes, expected {needed}")
        data = file.read(offset, needed, f"tile {index}")
        if picture.bits == 8:
            return np.frombuffer(data, np.uint8).reshape(tall, wide).astype(np.uint16)
        if picture.bits == 16:
            return np.frombuffer(data, f"{file.order}u2").reshape(tall, wide).astype(np.uint16)
        return unpack_rows(np.frombuffer(data, np.uint8), picture.bits, tall, wide)
    data = file.read(offset, size, f"tile {index}")
    if picture.compression == _codecs.LOSSLESS_JPEG:
        return _codecs.decode_lossless_jpeg(data, tall, wide)
    return _codecs.decode_jpeg_xl(data, tall, wide)


def _place(
    tile: UInt16Image, y: int, x: int, out: UInt16Image, interleave: tuple[int, int]
) -> None:
    """Put a stored tile where it belongs; with interleaved fields its pixels lie apart."""
    height, width = out.shape
    tile = tile[: height - y, : width - x]
    for rows, into_rows in _fields(y, tile.shape[0], height, interleave[0]):
        for columns, into_columns in _fields(x, tile.shape[1], width, interleave[1]):
            out[into_rows, into_columns] = tile[rows, columns]


def _fields(first: int, count: int, length: int, factor: int) -> list[tuple[slice, slice]]:
    """Which of the stored lines ``first .. first + count`` belong to each field, and where to."""
    parts: list[tuple[slice, slice]] = []
    start = 0
    for field in range(factor):
        lines = len(range(field, length, factor))
        low, high = max(first, start), min(first + count, start + lines)
        if low < high:
            begin = field + factor * (low - start)
            end = field + factor * (high - 1 - start) + 1
            parts.append((slice(low - first, high - first), slice(begin, end, factor)))
        start += lines
    return parts


def _without_deltas(raw: Entries, mosaic: UInt16Image) -> UInt16Image:
    """Take out what the black level differs by column and row (DNG BlackLevelDeltaH, DeltaV)."""
    top, left, bottom, right = _active_area(raw, *mosaic.shape)
    for tag, axis, length in (
        (Tag.BLACK_LEVEL_DELTA_H, 1, right - left),
        (Tag.BLACK_LEVEL_DELTA_V, 0, bottom - top),
    ):
        entry = raw.get(tag)
        if entry is None:
            continue
        if entry.count != length:
            raise ValueError("black level deltas do not fit the picture")
        deltas = np.nan_to_num(np.array(entry.numbers, np.float64))
        if np.abs(deltas).max(initial=0) > 65535:
            raise ValueError("black level deltas do not fit the picture")
        shift = np.expand_dims(np.rint(deltas).astype(np.int32), 1 - axis)
        active = mosaic[top:bottom, left:right]
        for first in range(0, active.shape[0], 256):
            rows = slice(first, first + 256)
            less = active[rows] - (shift if axis == 1 else shift[rows])
            active[rows] = np.clip(less, 0, 65535)
    return mosaic


def _active_area(raw: Entries, height: int, width: int) -> tuple[int, int, int, int]:
    entry = raw.get(Tag.ACTIVE_AREA)
    if entry is None:
        return 0, 0, height, width
    top, left, bottom, right = (int(v) for v in entry.numbers)
    if not (0 <= top < bottom <= height and 0 <= left < right <= width):
        raise ValueError(f"active area {top}, {left}, {bottom}, {right} outside of the picture")
    return top, left, bottom, right


@dataclass(frozen=True, slots=True)
class _Crop:
    """What of the stored mosaic is the picture."""

    rows: slice
    columns: slice
    y: int
    """Offset in the active area, where patterns begin."""
    x: int


def _crop(raw: Entries, picture: _Picture) -> _Crop:
    """The default crop of the active area, whole cells of the pattern in size."""
    top, left, bottom, right = _active_area(raw, picture.height, picture.width)
    height, width = bottom - top, right - left
    x = y = 0
    origin, size = raw.get(Tag.DEFAULT_CROP_ORIGIN), raw.get(Tag.DEFAULT_CROP_SIZE)
    if origin is not None and size is not None:
        x, y = (round(v) for v in origin.numbers)
        wide, tall = (round(v) for v in size.numbers)
        if not (0 <= x < x + wide <= width and 0 <= y < y + tall <= height):
            raise ValueError("default crop outside of the active area")
        width, height = wide, tall
    cell = 4 if _integer(raw, Tag.CFA_REPEAT_PATTERN_DIM, 2) == 4 else 2
    top, left, width, height = top + y, left + x, width // cell * cell, height // cell * cell
    if width < 4 or height < 4:
        raise ValueError("default crop smaller than 4 x 4")
    return _Crop(slice(top, top + height), slice(left, left + width), y, x)


def _rolled(cells: list[Any], rows: int, columns: int, y: int, x: int) -> list[Any]:
    """A repeating pattern in reading order, as it begins ``y`` rows and ``x`` columns further."""
    return [
        cells[(y + row) % rows * columns + (x + column) % columns]
        for row in range(rows)
        for column in range(columns)
    ]


def _pattern(raw: Entries) -> tuple[str, int]:
    """Colours of the pattern in reading order, and its side: 2, or 4 of a quad-Bayer mosaic."""
    dims = tuple(_numbers(raw, Tag.CFA_REPEAT_PATTERN_DIM, (2, 2)))
    entry = raw.get(Tag.CFA_PATTERN)
    planes = raw.get(Tag.CFA_PLANE_COLOR)
    side = int(dims[0]) if dims in ((2, 2), (4, 4)) else 0
    if not side or entry is None or entry.count != side * side:
        raise ValueError("its colour pattern is neither a 2 x 2 Bayer pattern nor quad-Bayer")
    if planes is not None and planes.numbers != (0, 1, 2):
        raise ValueError("its colours are not red, green and blue")
    if _integer(raw, Tag.CFA_LAYOUT, 1) != 1:
        raise ValueError("its photosites do not lie in a rectangular grid")
    pattern = "".join("RGB"[int(code)] for code in entry.numbers)
    known = _BAYER if side == 2 else ("".join(QUAD),)
    if pattern not in known:
        raise ValueError(f"colour pattern {pattern}; expected one of {', '.join(known)}")
    return pattern, side


def _black(raw: Entries) -> tuple[int, int, list[float]]:
    rows, columns = (int(v) for v in _numbers(raw, Tag.BLACK_LEVEL_REPEAT_DIM, (1, 1)))
    levels = list(_numbers(raw, Tag.BLACK_LEVEL, (0,) * (rows * columns)))
    if not (1 <= rows <= 8 and 1 <= columns <= 8 and len(levels) == rows * columns):
        raise ValueError(f"{len(levels)} black levels for a pattern of {rows} x {columns}")
    if not all(0 <= level < 65535 for level in levels):
        raise ValueError(f"black levels {levels}")
    return rows, columns, levels


def _meta(
    main: Entries,
    raw: Entries,
    picture: _Picture,
    exif: dict[str, Any],
    crop: _Crop,
) -> tuple[FrameMeta, Calibration | None]:
    """What a file of another maker says, in our terms."""
    pattern, side = _pattern(raw)
    cfa = "".join(_rolled(list(pattern), side, side, crop.y, crop.x))
    if side == 4 and cfa != pattern:
        raise ValueError("its default crop does not begin with a whole cell of 4 x 4 photosites")
    rows, columns, levels = _black(raw)
    # one value for each photosite of the 2 x 2 pattern; of larger patterns the mean
    wide = np.tile(np.array(levels).reshape(rows, columns), (2, 2))
    at = [wide[y % rows :: 2, x % columns :: 2].mean() for y, x in np.ndindex(2, 2)]
    if rows in (1, 2) and columns in (1, 2):
        at = [levels[y % rows * columns + x % columns] for y, x in np.ndindex(2, 2)]
    black = tuple(float(v) for v in _rolled(at, 2, 2, crop.y, crop.x))
    white = _integer(raw, Tag.WHITE_LEVEL, picture.largest)
    if not max(black) < white <= 65535:
        raise ValueError(f"black level {max(black):g}, white level {white}")
    noise = _numbers(raw, Tag.NOISE_PROFILE, _numbers(main, Tag.NOISE_PROFILE, ()))
    pair = noise[2:4] if len(noise) == 6 else noise[:2]
    colors = _color.from_tags(main)
    turned = _integer(main, Tag.ORIENTATION, 1)
    make, model = _text(main, Tag.MAKE), _text(main, Tag.MODEL)
    settings = Settings(
        exposure_s=exif.get("ExposureTime", 0.0),
        f_number=exif.get("FNumber", 0.0),
        focus_distance_m=exif.get("SubjectDistance", 0.0),
        readout="full",
        bits=12 if picture.largest < 4096 else 14,
    )
    meta = FrameMeta(
        width=crop.columns.stop - crop.columns.start,
        height=crop.rows.stop - crop.rows.start,
        make=make,
        model=model.removeprefix(make).strip() or model,
        serial=_text(main, Tag.CAMERA_SERIAL_NUMBER) or exif.get("BodySerialNumber", ""),
        lens_model=exif.get("LensModel", ""),
        settings=settings,
        iso=exif.get("PhotographicSensitivity", 0.0),
        focal_length_mm=exif.get("FocalLength", 0.0),
        focal_length_35mm=exif.get("FocalLengthIn35mmFilm", 0.0),
        cfa=tuple(cfa[k : k + side] for k in range(0, side * side, side)),
        # of a quad-Bayer mosaic one value for all
        black_level=black if side == 2 and len(set(black)) > 1 else (sum(black) / len(black),),
        white_level=white,
        noise=NoiseModel(scale=pair[0], offset=pair[1])
        if len(pair) == 2 and all(0 <= v <= 1000 for v in pair)
        else NoiseModel(),
        orientation=turned if 1 <= turned <= 8 else 1,
        as_shot_neutral=_color.neutral(main, colors),
        color_matrix=colors[-1].color_matrix if colors else None,
        software=_text(main, Tag.SOFTWARE),
        taken=exif.get("taken", ""),
    )
    check_meta(meta)
    return meta, Calibration(colors=colors) if colors else None


def _own(
    main: Entries, picture: _Picture, *, whole: bool = True
) -> tuple[FrameMeta, Calibration | None] | None:
    """What `write_dng` kept, if it still belongs to this mosaic and makes sense.

    Else the file is read as any other maker's, by its tags. Unless ``whole``, the calibration is
    left alone.
    """
    entry = main.get(Tag.DNG_PRIVATE_DATA)
    if entry is None or entry.count > _MAX_PRIVATE or not entry.begins(PRIVATE_NAME):
        return None
    try:
        parts = msgspec.msgpack.decode(entry.data[len(PRIVATE_NAME) :], type=dict[str, bytes])
        meta = decode_meta(parts["meta"])
        check_meta(meta)
        kept = parts.get("calibration") if whole else None
        calibration = msgspec.msgpack.decode(kept, type=Calibration) if kept else None
        if calibration is not None:
            check_calibration(calibration)
        pixels.pixel_format(meta.pixel_format).row_bytes(meta.width)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, KeyError, ModopticError):
        return None
    fits = (meta.width, meta.height) == (picture.width, picture.height)
    if not (fits and ("".join(meta.cfa) in _BAYER or is_quad(meta.cfa))):
        return None
    # people turn pictures with other programs, which know the tag alone
    turned = _integer(main, Tag.ORIENTATION, meta.orientation)
    turned = turned if 1 <= turned <= 8 else 1
    return msgspec.structs.replace(meta, orientation=turned), calibration


def _own_frame(mosaic: UInt16Image, meta: FrameMeta) -> Frame:
    form = pixels.pixel_format(meta.pixel_format)
    if form.bits < 16 and int(mosaic.max()) >= 1 << form.bits:
        raise ValueError(f"values beyond the {form.bits} bits it claims")
    packed = np.empty(form.row_bytes(meta.width) * meta.height, np.uint8)
    row = form.row_bytes(meta.width)

    def band(first: int, end: int) -> None:
        pixels.pack(mosaic[first:end], form, packed[first * row : end * row])

    bands.run_bands(band, meta.height, 256)
    return Frame(meta, packed)


def _positive(entry: Entry) -> float | None:
    """A number above zero, or None: makers write 0 or 0/0 for what they do not know."""
    value = float(entry.first) if entry.count else 0.0
    return value if 0 < value <= 1e6 else None


def _f_number(entry: Entry) -> float | None:
    value = _positive(entry)
    return value if value is not None and value <= 1e4 else None


def _distance(entry: Entry) -> float | None:
    value = float(entry.first) if entry.count else 0.0
    return math.inf if value >= _INFINITE else _positive(entry)


def _text_of(entry: Entry) -> str:
    return entry.text


_EXIF: dict[Tag, tuple[str, Callable[[Entry], Any]]] = {
    Tag.EXPOSURE_TIME: ("ExposureTime", _positive),
    Tag.F_NUMBER: ("FNumber", _f_number),
    Tag.PHOTOGRAPHIC_SENSITIVITY: ("PhotographicSensitivity", _positive),
    Tag.FOCAL_LENGTH: ("FocalLength", _positive),
    Tag.FOCAL_LENGTH_35MM: ("FocalLengthIn35mmFilm", _positive),
    Tag.SUBJECT_DISTANCE: ("SubjectDistance", _distance),
    Tag.DATE_TIME_ORIGINAL: ("DateTimeOriginal", _text_of),
    Tag.OFFSET_TIME_ORIGINAL: ("OffsetTimeOriginal", _text_of),
    Tag.SUB_SEC_TIME_ORIGINAL: ("SubSecTimeOriginal", _text_of),
    Tag.LENS_MODEL: ("LensModel", _text_of),
    Tag.BODY_SERIAL_NUMBER: ("BodySerialNumber", _text_of),
}


def _exif(file: TiffReader, main: Entries) -> dict[str, Any]:
    """Exposure data; what is missing or senseless is left out."""
    entries = dict(main)
    if Tag.EXIF_IFD in main:
        entries |= file.directory(_integer(main, Tag.EXIF_IFD, 0))[0]
    found: dict[str, Any] = {}
    for tag, (name, value_of) in _EXIF.items():
        if tag in entries and (value := value_of(entries[tag])):
            found[name] = value
    if taken := _iso_time(found):
        found["taken"] = taken
    return found


def _iso_time(exif: dict[str, Any]) -> str:
    """EXIF's date, fraction and zone as ISO 8601, or nothing."""
    date, _, clock = exif.get("DateTimeOriginal", "").partition(" ")
    if len(date) != 10 or len(clock) != 8:
        return ""
    sub = exif.get("SubSecTimeOriginal", "")
    fraction = f".{sub[:3]:0<3}" if sub.isdecimal() else ""
    return f"{date.replace(':', '-')}T{clock}{fraction}{exif.get('OffsetTimeOriginal', '')}"


def _camera(main: Entries) -> str:
    make, model = _text(main, Tag.MAKE), _text(main, Tag.MODEL)
    named = model if model.startswith(make) else f"{make} {model}".strip()
    return named or _text(main, Tag.UNIQUE_CAMERA_MODEL)


def _numbers(entries: Entries, tag: int, default: tuple[float, ...]) -> tuple[float, ...]:
    return entries[tag].numbers if tag in entries else default


def _integer(entries: Entries, tag: int, default: int) -> int:
    entry = entries.get(tag)
    return int(entry.first) if entry is not None and entry.count else default


def _text(entries: Entries, tag: int) -> str:
    return entries[tag].text if tag in entries else ""
