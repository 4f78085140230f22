"""Other makers' raws, through LibRaw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from modoptic.calibration import Calibration
from modoptic.errors import MissingExtraError, RawFileError
from modoptic.frame import FrameMeta, Settings
from modoptic.rawfile import _color
from modoptic.rawfile._file import RawFile, bayer_pattern, bits_for, check_size, checked, frame_of

_NAMES = (
    "3fr arw cr2 cr3 crw dcr dng erf fff gpr iiq k25 kdc mef mos mrw nef nrw orf pef raf raw "
    "rw2 rwl sr2 srf srw x3f"
)
SUFFIXES = frozenset(f".{name}" for name in _NAMES.split())


def read_other(path: Path) -> RawFile:
    """A raw that LibRaw reads and that has a Bayer mosaic.

    Raises
    ------
    MissingExtraError : rawpy is not installed
    RawFileError : LibRaw cannot read it, or it has another kind of mosaic
    """
    try:
        import rawpy
    except ImportError:
        raise MissingExtraError(f"reading {path.suffix or 'this kind of'} files", "raw") from None
    try:
        with rawpy.imread(str(path)) as raw:
            return _raw_file(path, raw)
    except (rawpy.LibRawError, rawpy.NotSupportedError, OSError, ValueError, MemoryError) as error:
        raise RawFileError(path, f"cannot be read by LibRaw ({_text(error)})") from error


def _text(error: Exception) -> str:
    said = error.args[0] if error.args else error
    return said.decode("ascii", "replace") if isinstance(said, bytes) else str(said)


def _raw_file(path: Path, raw: Any) -> RawFile:
    pattern = raw.raw_pattern
    if pattern is None or pattern.shape != (2, 2) or raw.raw_image is None:
        raise RawFileError(
            path,
            "has no 2 x 2 Bayer mosaic, the only kind that modoptic develops; use a converter that "
            "knows this camera, such as darktable or RawTherapee",
        )
    mosaic = np.array(raw.raw_image_visible, np.uint16)
    check_size(path, mosaic.shape[1], mosaic.shape[0])
    names = raw.color_desc.decode("ascii", "replace")
    cfa = bayer_pattern(path, "".join(names[code] for code in pattern.reshape(-1)))
    black = tuple(float(raw.black_level_per_channel[code]) for code in pattern.reshape(-1))
    white = int(raw.white_level)
    gains = [float(gain) for gain in raw.camera_whitebalance[:3]]
    neutral = None
    if all(gain > 0 for gain in gains):
        neutral = (gains[1] / gains[0], 1.0, gains[1] / gains[2])
    matrix = np.array(raw.rgb_xyz_matrix[:3], np.float64)
    color = _color.calibration_of(matrix, 21) if matrix.any() else None
    meta = FrameMeta(
        make="",
        model=path.suffix.lstrip(".").upper(),
        settings=Settings(
            exposure_s=0.0, f_number=0.0, focus_distance_m=0.0, readout="full", bits=14
        ),
        iso=0.0,
        cfa=cfa,
        black_level=black,
        white_level=white,
        # LibRaw's turns: 3 half, 5 left, 6 right
        orientation={3: 3, 5: 8, 6: 6}.get(int(raw.sizes.flip), 1),
        as_shot_neutral=neutral,
        color_matrix=None if color is None else color.color_matrix,
    )
    checked(path, meta)
    height, width = mosaic.shape
    return RawFile(
        path,
        frame_of(
            mosaic[: height & ~1, : width & ~1], meta, bits_for(max(white, int(mosaic.max())))
        ),
        None if color is None else Calibration(colors=(color,)),
        "",
    )
