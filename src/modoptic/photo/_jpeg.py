"""A finished picture to JPEG, with everything that photographers' programs look for."""

from __future__ import annotations

import functools
import struct
from io import BytesIO
from pathlib import Path
from typing import Literal

import imagecodecs
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms, JpegImagePlugin

from modoptic import files
from modoptic.errors import PictureError, ProtocolError, SettingError
from modoptic.frame import FrameMeta, decode_meta, encode_meta
from modoptic.rawfile.exif import camera_fields, exif_fields
from modoptic.rawfile.tiff import Directory, Field, Tag, Type, layout

RGB = npt.NDArray[np.uint8]
Subsampling = Literal["444", "422", "420"]

_MAKER_NOTE = 37500
_MAKER_NAME = b"modoptic\0"
_EXIF_HEAD = b"Exif\0\0"
_XMP_HEAD = b"http://ns.adobe.com/xap/1.0/\0"
_SEGMENT = 65533
_THUMBNAIL = 160
MAX_PIXELS = 400_000_000


@functools.cache
def srgb_icc() -> bytes:
    """An ICC profile of sRGB (IEC 61966-2-1), as Little CMS makes it."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def exif_block(
    meta: FrameMeta,
    *,
    width: int | None = None,
    height: int | None = None,
    thumbnail: bytes | None = None,
) -> bytes:
    """The payload of a JPEG's EXIF segment, ``Exif\\0\\0`` and a TIFF structure.

    Camera, lens, exposure, time; the whole `FrameMeta` in the MakerNote (``modoptic``, a NUL, then
    MessagePack), so that nothing known about a picture is lost with its raw.

    Parameters
    ----------
    width, height : of the picture as stored; default those of the frame
    thumbnail : a small baseline JPEG
    """
    picture: Directory = {
        **exif_fields(meta),
        Tag.COLOR_SPACE: Field(Type.SHORT, [1]),  # sRGB
        Tag.COMPONENTS_CONFIGURATION: Field(Type.UNDEFINED, b"\1\2\3\0"),  # Y Cb Cr
        Tag.FLASHPIX_VERSION: Field(Type.UNDEFINED, b"0100"),
        Tag.PIXEL_X_DIMENSION: Field(Type.LONG, [width or meta.width]),
        Tag.PIXEL_Y_DIMENSION: Field(Type.LONG, [height or meta.height]),
    }
    noted: Directory = {
        **picture,
        _MAKER_NOTE: Field(Type.UNDEFINED, _MAKER_NAME + encode_meta(meta)),
    }
    # What does not fit into one segment is left out, the thumbnail first.
    for fields, small in ((noted, thumbnail), (noted, None), (picture, thumbnail)):
        block = _exif_tiff(meta, fields, small)
        if len(block) <= _SEGMENT:
            return block
    return _exif_tiff(meta, picture, None)


def _exif_tiff(meta: FrameMeta, picture: Directory, thumbnail: bytes | None) -> bytes:
    main: Directory = {
        **camera_fields(meta, meta.software or "modoptic"),
        **_resolution(),
        Tag.YCBCR_POSITIONING: Field(Type.SHORT, [1]),
        Tag.EXIF_IFD: [picture],
    }
    first = layout(main, 8)
    if thumbnail is None:
        return _EXIF_HEAD + b"II*\0\x08\0\0\0" + first
    second = 8 + len(first)

    def small(offset: int) -> bytes:
        return layout(
            {
                Tag.COMPRESSION: Field(Type.SHORT, [6]),
                **_resolution(),
                Tag.JPEG_INTERCHANGE_FORMAT: Field(Type.LONG, [offset]),
                Tag.JPEG_INTERCHANGE_FORMAT_LENGTH: Field(Type.LONG, [len(thumbnail)]),
            },
            second,
        )

    first = layout(main, 8, second)
    return (
        _EXIF_HEAD + b"II*\0\x08\0\0\0" + first + small(second + len(small(0))) + bytes(thumbnail)
    )


def _resolution() -> Directory:
    """Dots an inch, which EXIF demands and a camera cannot know."""
    return {
        Tag.X_RESOLUTION: Field(Type.RATIONAL, [300]),
        Tag.Y_RESOLUTION: Field(Type.RATIONAL, [300]),
        Tag.RESOLUTION_UNIT: Field(Type.SHORT, [2]),
    }


def small_jpeg(rgb: RGB, side: int = _THUMBNAIL, quality: int = 80) -> bytes:
    """``rgb`` reduced to at most ``side`` pixels, as JPEG."""
    # every n-th pixel first, so that a large picture costs no more than a small one
    step = max(1, max(rgb.shape[:2]) // (4 * side))
    picture = Image.fromarray(np.ascontiguousarray(rgb[::step, ::step]))
    picture.thumbnail((side, side), Image.Resampling.BOX)
    out = BytesIO()
    picture.save(out, "JPEG", quality=quality)
    return out.getvalue()


def write_jpeg(
    path: Path | str,
    rgb: RGB,
    meta: FrameMeta,
    *,
    quality: int = 92,
    subsampling: Subsampling = "420",
    xmp: bytes | str | None = None,
    durable: bool = True,
) -> None:
    """Write a picture with EXIF, thumbnail and sRGB profile, whole or not at all.

    Parameters
    ----------
    rgb : uint8 sRGB, ``(height, width, 3)``, as the sensor sees; ``meta.orientation`` says which
        side is up
    xmp : a packet to embed

    Raises
    ------
    SettingError : another kind of array, quality outside 1 to 100, or XMP above 64 kB
    StorageError : the folder cannot be written, or the disk is full
    """
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
        shape = f"{rgb.dtype} {rgb.shape}"
        raise SettingError("picture", shape, "uint8 of shape (height, width, 3)")
    height, width = rgb.shape[:2]
    if not (1 <= height <= 65500 and 1 <= width <= 65500):
        raise SettingError("picture size", (width, height), "1 to 65500 each way, as JPEG allows")
    if not 1 <= quality <= 100:
        raise SettingError("quality", quality, "1 to 100")
    if subsampling not in ("444", "422", "420"):
        raise SettingError("subsampling", subsampling, "'444', '422' or '420'")
    exif = exif_block(meta, width=width, height=height, thumbnail=small_jpeg(rgb))
    head = b"\xff\xd8" + _segment(0xE1, exif)
    if xmp is not None:
        packet = xmp.encode() if isinstance(xmp, str) else xmp
        if len(_XMP_HEAD) + len(packet) > _SEGMENT:
            raise SettingError("xmp", f"{len(packet)} bytes", f"at most {_SEGMENT - 29}")
        head += _segment(0xE1, _XMP_HEAD + packet)
    head += _segment(0xE2, b"ICC_PROFILE\0\1\1" + srgb_icc())
    coded = memoryview(
        imagecodecs.jpeg8_encode(np.ascontiguousarray(rgb), level=quality, subsampling=subsampling)
    )
    with files.atomic_path(path, durable=durable) as temporary, temporary.open("wb") as file:
        file.write(head)
        file.write(coded[_after_jfif(coded) :])


def _segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">HH", 0xFF00 | marker, len(payload) + 2) + payload


def _after_jfif(coded: memoryview) -> int:
    """Where the picture begins behind SOI and JFIF's segment, which has no place beside EXIF."""
    marker, length = struct.unpack_from(">HH", coded, 2)
    return 4 + length if marker == 0xFFE0 else 2


def open_jpeg(path: Path) -> JpegImagePlugin.JpegImageFile:
    """The header of a JPEG; pixels are decoded later. Up to 400 million pixels are accepted.

    Raises
    ------
    PictureError : no JPEG, damaged or too large
    """
    try:
        # Image.open would warn above 89 million pixels, which is an ordinary photo here
        picture = JpegImagePlugin.JpegImageFile(path)
    except (OSError, SyntaxError, ValueError, struct.error, IndexError) as error:
        raise PictureError(path, f"is no JPEG that can be read ({error})") from error
    if picture.width * picture.height > MAX_PIXELS:
        picture.close()
        raise PictureError(path, f"has {picture.width} x {picture.height} pixels; refused")
    return picture


def meta_of(path: Path) -> FrameMeta | None:
    """What is known of a photo that modoptic made; None for any other JPEG.

    Raises
    ------
    PictureError : no JPEG, damaged or too large
    """
    with open_jpeg(path) as picture:
        return read_meta(picture)


def read_meta(picture: JpegImagePlugin.JpegImageFile) -> FrameMeta | None:
    """What `exif_block` put into the MakerNote, or None."""
    try:
        note = picture.getexif().get_ifd(int(Tag.EXIF_IFD)).get(_MAKER_NOTE)
        if isinstance(note, bytes) and note.startswith(_MAKER_NAME):
            return decode_meta(note[len(_MAKER_NAME) :])
    except (ProtocolError, OSError, SyntaxError, ValueError, KeyError, struct.error):
        pass  # somebody's EXIF is damaged; the picture is not
    return None
