"""A frame to a DNG that other programs open."""

from __future__ import annotations

import collections
import io
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import BinaryIO, Literal

import imagecodecs
import msgspec
import numpy as np
import numpy.typing as npt
from PIL import JpegImagePlugin

from modoptic import bands, files
from modoptic.calibration import Calibration, Matrix3
from modoptic.errors import SettingError
from modoptic.frame import Frame, FrameMeta, encode_meta
from modoptic.rawfile import _codecs
from modoptic.rawfile.exif import ascii_field, camera_fields, exif_fields, unique_id
from modoptic.rawfile.tiff import Directory, Field, Tag, Type, layout

Compression = Literal["jpeg", "jpegxl", "none"]
UInt16Image = npt.NDArray[np.uint16]
RGB = npt.NDArray[np.uint8]

PRIVATE_NAME = b"modoptic\0"
_CFA_CODES = {"R": 0, "G": 1, "B": 2}
_PREVIEW_SIDE = 1024
# Wide enough for codecs, small enough for both cores to have work at the end. Lossless JPEG codes
# at the same rate from 256 to 1024; JPEG XL gains 15 % from 512 to 1024.
_TILE_SIDE = {"jpeg": 512, "jpegxl": 1024, "none": 1024}
_CODES = {
    "jpeg": _codecs.LOSSLESS_JPEG,
    "jpegxl": _codecs.JPEG_XL,
    "none": _codecs.UNCOMPRESSED,
}
# Bradford-adapted XYZ D50 to linear sRGB: IEC 61966-2-1 with the D50 adaptation of ICC.1
_D50_TO_SRGB = np.array(
    [
        [3.1338561, -1.6168667, -0.4906146],
        [-0.9787684, 1.9161415, 0.0334540],
        [0.0719453, -0.2289914, 1.4052427],
    ]
)


def write_dng(
    path: Path | str,
    frame: Frame,
    calibration: Calibration | None = None,
    *,
    compression: Compression = "jpeg",
    preview: RGB | bytes | None = None,
    software: str = "",
    description: str = "",
    durable: bool = True,
) -> None:
    """Write ``frame`` as DNG, whole or not at all.

    ``"jpeg"`` gives DNG 1.4 with lossless JPEG, which everything opens; ``"jpegxl"`` DNG 1.7.1 with
    lossless JPEG XL, smaller and faster, for readers of 2023 and later; ``"none"`` no compression.
    Rows are taken as they arrive (`Frame.wait_rows`), a band at a time.

    Parameters
    ----------
    calibration : colour matrices of the camera; without one those of the frame's metadata, if any
    preview : uint8 sRGB ``(height, width, 3)`` upright as the sensor is, or a baseline JPEG;
        without one a small one is made from the mosaic
    software : who wrote it; default the frame's own
    description : a line for people (ImageDescription)

    The complete `FrameMeta` and the calibration lie in DNGPrivateData: ``modoptic``, a NUL, and a
    MessagePack map with ``meta`` and ``calibration``, each the MessagePack form of its type.

    Raises
    ------
    SettingError : a mosaic that DNG cannot hold, or an unknown compression
    DetachedError : the rest of the frame will not come
    StorageError : the folder cannot be written, or the disk is full
    """
    check_compression(compression)
    meta = frame.meta
    if meta.width < 4 or meta.height < 4:
        raise SettingError("frame size", (meta.width, meta.height), "at least 4 x 4")
    if any(letter not in _CFA_CODES for row in meta.cfa for letter in row):
        raise SettingError("CFA", meta.cfa, "a pattern of R, G and B")
    written_by = software or meta.software or "modoptic"
    side = _TILE_SIDE[compression]
    tile = _tile_side(meta.width, side), _tile_side(meta.height, side)
    raw = _raw_fields(meta, compression)
    main = _main_fields(meta, calibration, written_by, description, compression)
    sample = _PreviewSample(meta)

    with files.atomic_path(path, durable=durable) as temporary, temporary.open("wb") as file:
        count = -(-meta.width // tile[0]) * -(-meta.height // tile[1])
        raw |= _place_fields(meta, tile, compression, [(0, 0)] * count)
        main[Tag.SUB_IFDS] = [raw]
        main |= _preview_fields(0, 0, (2, 2), 0, 0)
        head = len(layout(main, 8))
        file.write(b"\0" * (8 + head))
        places = [_append(file, data) for data in _coded(frame, tile, compression, sample.take)]
        raw |= _place_fields(meta, tile, compression, places)
        main[Tag.SUB_IFDS] = [raw]
        jpeg = _preview_jpeg(sample.rgb(calibration) if preview is None else preview)
        width, height, subsampling = _jpeg_layout(jpeg)
        main |= _preview_fields(width, height, subsampling, *_append(file, jpeg))
        block = layout(main, 8)
        assert len(block) == head
        file.seek(0)
        file.write(b"II*\0\x08\0\0\0" + block)


def check_compression(compression: str) -> None:
    """Raise `SettingError` for one that `write_dng` does not know."""
    if compression not in tuple(_CODES):
        raise SettingError("compression", compression, "'jpeg', 'jpegxl' or 'none'", "DNG")


def _append(file: BinaryIO, data: bytes) -> tuple[int, int]:
    """Write at an even offset; returns the offset and size."""
    if file.tell() % 2:
        file.write(b"\0")
    offset = file.tell()
    file.write(data)
    return offset, len(data)


def _tile_side(length: int, wanted: int) -> int:
    """A multiple of 16 (TIFF 6.0, section 15) near ``wanted`` that wastes little at the end.

    Never two tiles: LibRaw 0.22 and before take lossless JPEG half as wide as the frame for two
    rows in one.
    """
    count = -(-length // wanted)
    count = 3 if count == 2 else count
    return -(-length // (count * 16)) * 16


def _place_fields(
    meta: FrameMeta,
    tile: tuple[int, int],
    compression: Compression,
    places: list[tuple[int, int]],
) -> Directory:
    """Where the mosaic lies. Uncompressed it is one strip, because RawTherapee misreads tiles."""
    offsets, sizes = [offset for offset, _ in places], [size for _, size in places]
    if compression == "none":
        return {
            Tag.ROWS_PER_STRIP: Field(Type.LONG, [meta.height]),
            Tag.STRIP_OFFSETS: Field(Type.LONG, offsets[:1]),
            Tag.STRIP_BYTE_COUNTS: Field(Type.LONG, [sum(sizes)]),
        }
    return {
        Tag.TILE_WIDTH: Field(Type.LONG, [tile[0]]),
        Tag.TILE_LENGTH: Field(Type.LONG, [tile[1]]),
        Tag.TILE_OFFSETS: Field(Type.LONG, offsets),
        Tag.TILE_BYTE_COUNTS: Field(Type.LONG, sizes),
    }


def _coded(
    frame: Frame,
    tile: tuple[int, int],
    compression: Compression,
    look: Callable[[int, UInt16Image], None],
) -> Iterator[bytes]:
    """What follows each other in the file: tiles in reading order, or bands of plain rows."""
    if compression == "none":
        for first, end in bands.bands(frame.height, tile[1]):
            frame.wait_rows(end)
            band = frame.mosaic(first, end)
            look(first, band)
            yield band.astype("<u2", copy=False).tobytes()
        return
    encode = _codecs.encode_jpeg_xl if compression == "jpegxl" else _codecs.encode_lossless_jpeg
    yield from _coded_tiles(frame, tile, encode, compression == "jpegxl", look)


def _coded_tiles(
    frame: Frame,
    tile: tuple[int, int],
    encode: Callable[[UInt16Image], bytes],
    planes: bool,
    look: Callable[[int, UInt16Image], None],
) -> Iterator[bytes]:
    """Tiles in reading order, coded by the pool; at most two rows of tiles are under way."""
    width, height = frame.width, frame.height
    across = -(-width // tile[0])
    waiting: collections.deque[Future[bytes]] = collections.deque()
    try:
        for first, end in bands.bands(height, tile[1]):
            if planes:
                band = _plane_rows(frame, first, end, look)
            else:
                frame.wait_rows(end)
                band = frame.mosaic(first, end)
                look(first, band)
            for left in range(0, width, tile[0]):
                piece = band[:, left : left + tile[0]]
                waiting.append(bands.pool().submit(_encode_one, encode, piece, tile))
            while len(waiting) > across:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def _plane_rows(
    frame: Frame, first: int, end: int, look: Callable[[int, UInt16Image], None]
) -> UInt16Image:
    """Rows of the picture in which the four colour planes lie as quadrants.

    This is how row and column interleave factors of 2 (DNG 1.7.1) store a mosaic: even rows above
    odd ones, even columns left of odd ones, over the whole picture. JPEG XL codes it a fifth
    smaller than the mosaic as it is. Every row of the mosaic is unpacked twice, which is cheap.
    """
    height, width = frame.height, frame.width
    upper, left = -(-height // 2), -(-width // 2)
    out = np.empty((end - first, width), np.uint16)
    for field, start, stop in ((0, 0, upper), (1, upper, height)):
        top, bottom = max(first, start), min(end, stop)
        if top >= bottom:
            continue
        begins, ends = 2 * (top - start), min(height, 2 * (bottom - start))
        frame.wait_rows(ends)
        band = frame.mosaic(begins, ends)
        if field == 0:
            look(begins, band)
        rows = out[top - first : bottom - first]
        rows[:, :left] = band[field::2, 0::2]
        rows[:, left:] = band[field::2, 1::2]
    return out


def _encode_one(
    encode: Callable[[UInt16Image], bytes], piece: UInt16Image, tile: tuple[int, int]
) -> bytes:
    return encode(np.ascontiguousarray(_padded(_padded(piece, tile[1], 0), tile[0], 1)))


def _padded(piece: UInt16Image, length: int, axis: int) -> UInt16Image:
    """The last two rows or columns repeated, so that each colour goes on as it was."""
    have = piece.shape[axis]
    if have == length:
        return piece
    index = np.arange(length)
    beyond = index >= have
    index[beyond] = max(have - 2, 0) + (index[beyond] - have) % min(2, have)
    return np.take(piece, index, axis=axis)


def _black_levels(meta: FrameMeta) -> tuple[tuple[int, int], tuple[float, ...]]:
    size = len(meta.cfa), len(meta.cfa[0])
    if len(meta.black_level) == size[0] * size[1]:
        return size, meta.black_level
    return (1, 1), meta.black_level[:1] or (0.0,)


def _raw_fields(meta: FrameMeta, compression: Compression) -> Directory:
    repeat, black = _black_levels(meta)
    border = [min(8, side // 8) & ~1 for side in (meta.width, meta.height)]
    fields: Directory = {
        Tag.NEW_SUBFILE_TYPE: Field(Type.LONG, [0]),
        Tag.IMAGE_WIDTH: Field(Type.LONG, [meta.width]),
        Tag.IMAGE_LENGTH: Field(Type.LONG, [meta.height]),
        Tag.BITS_PER_SAMPLE: Field(Type.SHORT, [16]),
        Tag.COMPRESSION: Field(Type.SHORT, [_CODES[compression]]),
        Tag.PHOTOMETRIC: Field(Type.SHORT, [32803]),
        Tag.SAMPLES_PER_PIXEL: Field(Type.SHORT, [1]),
        Tag.PLANAR_CONFIGURATION: Field(Type.SHORT, [1]),
        Tag.CFA_REPEAT_PATTERN_DIM: Field(Type.SHORT, [len(meta.cfa), len(meta.cfa[0])]),
        Tag.CFA_PATTERN: Field(
            Type.BYTE, bytes(_CFA_CODES[letter] for row in meta.cfa for letter in row)
        ),
        Tag.CFA_PLANE_COLOR: Field(Type.BYTE, b"\0\1\2"),
        Tag.CFA_LAYOUT: Field(Type.SHORT, [1]),
        Tag.BLACK_LEVEL_REPEAT_DIM: Field(Type.SHORT, repeat),
        Tag.BLACK_LEVEL: Field(Type.RATIONAL, black),
        Tag.WHITE_LEVEL: Field(Type.LONG, [meta.white_level]),
        Tag.DEFAULT_SCALE: Field(Type.RATIONAL, [1, 1]),
        Tag.BEST_QUALITY_SCALE: Field(Type.RATIONAL, [1]),
        # Demosaicking needs neighbours: readers are asked to leave the outermost photosites out.
        Tag.DEFAULT_CROP_ORIGIN: Field(Type.LONG, border),
        Tag.DEFAULT_CROP_SIZE: Field(
            Type.LONG, [meta.width - 2 * border[0], meta.height - 2 * border[1]]
        ),
        Tag.ACTIVE_AREA: Field(Type.LONG, [0, 0, meta.height, meta.width]),
    }
    if meta.noise.scale > 0 or meta.noise.offset > 0:
        fields[Tag.NOISE_PROFILE] = Field(Type.DOUBLE, [meta.noise.scale, meta.noise.offset])
    if compression == "jpegxl":
        fields[Tag.ROW_INTERLEAVE_FACTOR] = Field(Type.LONG, [2])
        fields[Tag.COLUMN_INTERLEAVE_FACTOR] = Field(Type.LONG, [2])
    return fields


def _main_fields(
    meta: FrameMeta,
    calibration: Calibration | None,
    software: str,
    description: str,
    compression: Compression,
) -> Directory:
    compact = compression == "jpegxl"
    neutral = meta.as_shot_neutral or (1.0, 1.0, 1.0)
    fields: Directory = {
        **camera_fields(meta, software),
        Tag.EXIF_IFD: [exif_fields(meta)],
        Tag.DNG_VERSION: Field(Type.BYTE, bytes((1, 7, 1, 0) if compact else (1, 4, 0, 0))),
        Tag.DNG_BACKWARD_VERSION: Field(
            Type.BYTE, bytes((1, 7, 1, 0) if compact else (1, 1, 0, 0))
        ),
        Tag.UNIQUE_CAMERA_MODEL: ascii_field(f"{meta.make} {meta.model}".strip() or "unknown"),
        Tag.AS_SHOT_NEUTRAL: Field(Type.RATIONAL, [round(v, 6) for v in neutral]),
        Tag.BASELINE_EXPOSURE: Field(Type.SRATIONAL, [0]),
        Tag.BASELINE_NOISE: Field(Type.RATIONAL, [1]),
        Tag.BASELINE_SHARPNESS: Field(Type.RATIONAL, [1]),
        Tag.LINEAR_RESPONSE_LIMIT: Field(Type.RATIONAL, [1]),
        Tag.RAW_DATA_UNIQUE_ID: Field(Type.BYTE, unique_id(meta)),
        Tag.PREVIEW_APPLICATION_NAME: ascii_field("modoptic"),
        Tag.PREVIEW_COLOR_SPACE: Field(Type.LONG, [2]),  # sRGB
        Tag.DNG_PRIVATE_DATA: Field(Type.BYTE, private_data(meta, calibration)),
        **_color_fields(meta, calibration),
    }
    if meta.serial:
        fields[Tag.CAMERA_SERIAL_NUMBER] = ascii_field(meta.serial)
    if description:
        fields[Tag.IMAGE_DESCRIPTION] = ascii_field(description)
    return fields


def private_data(meta: FrameMeta, calibration: Calibration | None) -> bytes:
    """What goes into DNGPrivateData; see `write_dng`."""
    parts = {"meta": encode_meta(meta)}
    if calibration is not None:
        parts["calibration"] = msgspec.msgpack.encode(calibration)
    return PRIVATE_NAME + msgspec.msgpack.encode(parts)


# sRGB primaries seen by a camera whose colours nobody measured: XYZ D65 to linear sRGB
_UNKNOWN_COLOR: Matrix3 = (
    (3.2404542, -1.5371385, -0.4985314),
    (-0.9692660, 1.8760108, 0.0415560),
    (0.0556434, -0.2040259, 1.0572252),
)


def _color_fields(meta: FrameMeta, calibration: Calibration | None) -> Directory:
    colors = calibration.colors[:2] if calibration else ()
    if not colors:
        matrix = meta.color_matrix or _UNKNOWN_COLOR
        return {
            Tag.COLOR_MATRIX_1: _matrix(matrix),
            Tag.CALIBRATION_ILLUMINANT_1: Field(Type.SHORT, [21]),  # D65
        }
    tags = (
        (Tag.COLOR_MATRIX_1, Tag.FORWARD_MATRIX_1, Tag.CALIBRATION_ILLUMINANT_1),
        (Tag.COLOR_MATRIX_2, Tag.FORWARD_MATRIX_2, Tag.CALIBRATION_ILLUMINANT_2),
    )
    fields: Directory = {}
    for color, (matrix, forward, illuminant) in zip(colors, tags, strict=False):
        fields[matrix] = _matrix(color.color_matrix)
        fields[forward] = _matrix(color.forward_matrix)
        fields[illuminant] = Field(Type.SHORT, [color.illuminant])
    return fields


def _matrix(rows: tuple[tuple[float, ...], ...]) -> Field:
    return Field(Type.SRATIONAL, [round(value, 6) for row in rows for value in row])


def _preview_fields(
    width: int, height: int, subsampling: tuple[int, int], offset: int, size: int
) -> Directory:
    return {
        Tag.NEW_SUBFILE_TYPE: Field(Type.LONG, [1]),
        Tag.IMAGE_WIDTH: Field(Type.LONG, [width]),
        Tag.IMAGE_LENGTH: Field(Type.LONG, [height]),
        Tag.BITS_PER_SAMPLE: Field(Type.SHORT, [8, 8, 8]),
        Tag.COMPRESSION: Field(Type.SHORT, [7]),
        Tag.PHOTOMETRIC: Field(Type.SHORT, [6]),  # YCbCr
        Tag.SAMPLES_PER_PIXEL: Field(Type.SHORT, [3]),
        Tag.ROWS_PER_STRIP: Field(Type.LONG, [height]),
        Tag.STRIP_OFFSETS: Field(Type.LONG, [offset]),
        Tag.STRIP_BYTE_COUNTS: Field(Type.LONG, [size]),
        Tag.PLANAR_CONFIGURATION: Field(Type.SHORT, [1]),
        Tag.YCBCR_SUBSAMPLING: Field(Type.SHORT, subsampling),
        Tag.YCBCR_POSITIONING: Field(Type.SHORT, [1]),
        # JFIF's full range, which TIFF does not assume
        Tag.REFERENCE_BLACK_WHITE: Field(Type.RATIONAL, [0, 255, 128, 255, 128, 255]),
        Tag.X_RESOLUTION: Field(Type.RATIONAL, [300]),
        Tag.Y_RESOLUTION: Field(Type.RATIONAL, [300]),
        Tag.RESOLUTION_UNIT: Field(Type.SHORT, [2]),
    }


def _preview_jpeg(preview: RGB | bytes) -> bytes:
    if isinstance(preview, bytes):
        return preview
    if preview.dtype != np.uint8 or preview.ndim != 3 or preview.shape[2] != 3:
        raise SettingError(
            "preview", f"{preview.dtype} {preview.shape}", "uint8 (height, width, 3)"
        )
    step = -(-max(preview.shape[:2]) // (2 * _PREVIEW_SIDE))
    small = np.ascontiguousarray(preview[::step, ::step])
    return bytes(imagecodecs.jpeg8_encode(small, level=85, subsampling="420"))


def _jpeg_layout(jpeg: bytes) -> tuple[int, int, tuple[int, int]]:
    """Width, height and chroma subsampling of a JPEG."""
    try:
        with JpegImagePlugin.JpegImageFile(io.BytesIO(jpeg)) as picture:
            sampling = JpegImagePlugin.get_sampling(picture)
            if picture.mode != "RGB" or sampling not in (0, 1, 2):
                raise SettingError(
                    "preview", picture.mode, "a JPEG in YCbCr, 4:4:4, 4:2:2 or 4:2:0"
                )
            return picture.width, picture.height, ((1, 1), (2, 1), (2, 2))[sampling]
    except (OSError, SyntaxError, ValueError, IndexError) as error:  # as Pillow's parsers raise
        raise SettingError("preview", f"{len(jpeg)} bytes", "a JPEG") from error


class _PreviewSample:
    """Every n-th cell of the mosaic, gathered as the bands go by, for a small preview."""

    def __init__(self, meta: FrameMeta) -> None:
        self._meta = meta
        self._cell = max(2, len(meta.cfa)) if len(meta.cfa) % 2 == 0 else len(meta.cfa)
        step = -(-max(meta.width, meta.height) // _PREVIEW_SIDE)
        self._step = -(-step // self._cell) * self._cell
        self._rows: list[npt.NDArray[np.float32]] = []

    def take(self, first: int, band: UInt16Image) -> None:
        """Cells whose first row lies in ``band``, and whole in it."""
        cell, step = self._cell, self._step
        colors = self._meta.cfa
        columns = range(0, band.shape[1] - cell + 1, step)
        for y in range(-first % step, band.shape[0] - cell + 1, step):
            row = np.zeros((len(columns), 3), np.float32)
            counts = [0, 0, 0]
            for dy in range(cell):
                for dx in range(cell):
                    plane = _CFA_CODES[colors[dy % len(colors)][dx % len(colors[0])]]
                    row[:, plane] += band[y + dy, dx::step][: len(columns)]
                    counts[plane] += 1
            row /= np.maximum(np.array(counts, np.float32), 1)
            self._rows.append(row)

    def rgb(self, calibration: Calibration | None) -> RGB:
        meta = self._meta
        black = float(np.mean(meta.black_level)) if meta.black_level else 0.0
        linear = (np.stack(self._rows) - black) / max(1.0, meta.white_level - black)
        linear = np.clip(linear / np.array(meta.as_shot_neutral or (1.0, 1.0, 1.0)), 0, 1)
        if calibration is not None and calibration.colors:
            forward = np.array(calibration.colors[-1].forward_matrix)
            linear = np.clip(linear @ (_D50_TO_SRGB @ forward).T, 0, 1)
        curve = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
        return np.rint(255 * curve).astype(np.uint8)
