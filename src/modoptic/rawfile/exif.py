"""What a photograph's EXIF says, from a frame's metadata. Shared by DNG and JPEG.

Tags and their meanings: CIPA DC-008 (EXIF 2.32).
"""

from __future__ import annotations

import hashlib
import math
from datetime import datetime
from fractions import Fraction

from modoptic.frame import FrameMeta
from modoptic.rawfile.tiff import Directory, Field, Tag, Type

REMOSAICED = b"Remosaiced in the camera: quad-Bayer to Bayer"

__all__ = ["camera_fields", "exif_fields", "unique_id"]


def ascii_field(text: str) -> Field:
    return Field(Type.ASCII, text.encode("ascii", "replace").replace(b"\0", b" ") + b"\0")


def camera_fields(meta: FrameMeta, software: str) -> Directory:
    """Fields of the main directory that say which camera took it, when, and which side is up."""
    fields: Directory = {
        Tag.MAKE: ascii_field(meta.make or "unknown"),
        Tag.MODEL: ascii_field(meta.model or "unknown"),
        Tag.ORIENTATION: Field(Type.SHORT, [meta.orientation]),
        Tag.SOFTWARE: ascii_field(software),
    }
    when = _taken(meta)
    if when is not None:
        fields[Tag.DATE_TIME] = ascii_field(when.strftime("%Y:%m:%d %H:%M:%S"))
    return fields


def unique_id(meta: FrameMeta) -> bytes:
    """16 bytes that name this exposure of this unit, the same in each file made of it."""
    name = f"{meta.module_id}/{meta.boot_id}/{meta.session}/{meta.frame_id}/{meta.taken}"
    return hashlib.sha256(name.encode()).digest()[:16]


def exif_fields(meta: FrameMeta) -> Directory:
    """The EXIF directory: exposure, lens, time. Unknown values (0, empty) are left out."""
    settings = meta.settings
    fields: Directory = {
        Tag.EXIF_VERSION: Field(Type.UNDEFINED, b"0232"),
        Tag.IMAGE_UNIQUE_ID: ascii_field(unique_id(meta).hex()),
    }
    if meta.remosaiced:
        # the character code comes first (CIPA DC-008, 4.6.5)
        fields[Tag.USER_COMMENT] = Field(Type.UNDEFINED, b"ASCII\0\0\0" + REMOSAICED)
    if settings.exposure_s > 0:
        exposure = Fraction(settings.exposure_s)
        fields[Tag.EXPOSURE_TIME] = Field(Type.RATIONAL, [_as_engraved(exposure)])
        fields[Tag.SHUTTER_SPEED_VALUE] = Field(
            Type.SRATIONAL, [round(-math.log2(settings.exposure_s), 6)]
        )
    if settings.f_number > 0:
        f_number = Fraction(settings.f_number).limit_denominator(1000)
        fields[Tag.F_NUMBER] = Field(Type.RATIONAL, [f_number])
        fields[Tag.APERTURE_VALUE] = Field(
            Type.RATIONAL, [max(0.0, round(2 * math.log2(settings.f_number), 6))]
        )
    if meta.iso > 0:
        fields[Tag.PHOTOGRAPHIC_SENSITIVITY] = Field(Type.SHORT, [min(65535, round(meta.iso))])
        fields[Tag.SENSITIVITY_TYPE] = Field(Type.SHORT, [2])  # recommended exposure index
        fields[Tag.RECOMMENDED_EXPOSURE_INDEX] = Field(Type.LONG, [round(meta.iso)])
    if settings.focus_distance_m > 0:
        fields[Tag.SUBJECT_DISTANCE] = Field(
            Type.RATIONAL,
            [settings.focus_distance_m]
            if math.isinf(settings.focus_distance_m)
            else [Fraction(settings.focus_distance_m).limit_denominator(10000)],
        )
    if meta.focal_length_mm > 0:
        focal = Fraction(meta.focal_length_mm).limit_denominator(1000)
        fields[Tag.FOCAL_LENGTH] = Field(Type.RATIONAL, [focal])
    if meta.focal_length_35mm > 0:
        fields[Tag.FOCAL_LENGTH_35MM] = Field(
            Type.SHORT, [min(65535, round(meta.focal_length_35mm))]
        )
    if -100 < meta.temperature_c < 200:
        fields[Tag.AMBIENT_TEMPERATURE] = Field(Type.SRATIONAL, [round(meta.temperature_c, 2)])
    if meta.serial:
        fields[Tag.BODY_SERIAL_NUMBER] = ascii_field(meta.serial)
    if meta.lens_model:
        fields[Tag.LENS_MODEL] = ascii_field(meta.lens_model)
        fields[Tag.LENS_MAKE] = ascii_field(meta.make)
    fields.update(_time_fields(meta))
    return fields


def _as_engraved(exposure: Fraction) -> Fraction:
    """1/60 rather than 16667/1000000, where that is the same within a part in 10 000."""
    if exposure < Fraction(1, 2):
        whole = Fraction(1, round(1 / exposure))
        if abs(whole / exposure - 1) < Fraction(1, 10000):
            return whole
    return exposure.limit_denominator(1_000_000)


def _taken(meta: FrameMeta) -> datetime | None:
    try:
        return datetime.fromisoformat(meta.taken)
    except ValueError:
        return None


def _time_fields(meta: FrameMeta) -> Directory:
    when = _taken(meta)
    if when is None:
        return {}
    text = ascii_field(when.strftime("%Y:%m:%d %H:%M:%S"))
    fields: Directory = {Tag.DATE_TIME_ORIGINAL: text, Tag.DATE_TIME_DIGITIZED: text}
    if when.tzinfo is not None:
        zone = ascii_field(f"{when:%z}"[:3] + ":" + f"{when:%z}"[3:5])
        fields |= {
            Tag.OFFSET_TIME: zone,
            Tag.OFFSET_TIME_ORIGINAL: zone,
            Tag.OFFSET_TIME_DIGITIZED: zone,
        }
    sub = ascii_field(f"{when.microsecond // 1000:03d}")
    return fields | {
        Tag.SUB_SEC_TIME: sub,
        Tag.SUB_SEC_TIME_ORIGINAL: sub,
        Tag.SUB_SEC_TIME_DIGITIZED: sub,
    }
