"""What reading a raw gives, and what all readers share."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from modoptic import pixels
from modoptic.calibration import Calibration
from modoptic.errors import RawFileError, SettingError
from modoptic.frame import Frame, FrameMeta, check_meta

UInt16Image = npt.NDArray[np.uint16]

MAX_PIXELS = 400_000_000
"""Four times the largest sensor that a module is expected to have; larger claims are refused."""


@dataclass(frozen=True, slots=True)
class RawFile:
    """A raw as it came from a file. The frame owns its memory."""

    path: Path
    frame: Frame
    calibration: Calibration | None
    """Of the unit that took it, or of the colours the file describes; None where it has none."""
    camera: str
    """Make and model."""
    exif: dict[str, Any] = field(default_factory=dict[str, Any])
    """Exposure data as the file has them, by EXIF name."""


def check_size(path: Path, width: int, height: int) -> None:
    """Raise `RawFileError` for a size that no camera has."""
    if width < 4 or height < 4:
        raise RawFileError(path, f"claims {width} x {height} photosites; at least 4 x 4 are needed")
    if width > 65535 or height > 65535 or width * height > MAX_PIXELS:
        raise RawFileError(
            path,
            f"claims {width} x {height} photosites; more than {MAX_PIXELS:,} are refused",
        )


def bayer_pattern(path: Path, text: str | tuple[str, ...]) -> tuple[str, ...]:
    """``("RG", "GB")`` from ``"RGGB"``, ``"RG/GB"`` or itself; raises `RawFileError`."""
    letters = "".join(text).upper().replace("/", "").replace(" ", "")
    if letters not in ("RGGB", "GRBG", "GBRG", "BGGR"):
        raise RawFileError(
            path, f"colour pattern {letters!r}; only RGGB, GRBG, GBRG and BGGR can be read"
        )
    return letters[:2], letters[2:]


def checked(path: Path, meta: FrameMeta) -> None:
    """`check_meta`, but a `RawFileError`."""
    try:
        check_meta(meta)
    except SettingError as error:
        raise RawFileError(path, str(error)) from error


def bits_for(white_level: int, *, at_least: int = 8) -> int:
    """The smallest bit depth (8, 12, 14, 16) that holds ``white_level``."""
    return next((bits for bits in (8, 12, 14) if white_level < 1 << bits and bits >= at_least), 16)


def frame_of(mosaic: UInt16Image, meta: FrameMeta, bits: int) -> Frame:
    """``mosaic`` as a frame; 16 bits in memory unless it has 8. Size and format are filled in."""
    import msgspec

    form = pixels.bayer_format(meta.cfa, bits, packed=False)
    height, width = mosaic.shape
    meta = msgspec.structs.replace(meta, width=width, height=height, pixel_format=form.name)
    return Frame(meta, pixels.pack(mosaic, form))
