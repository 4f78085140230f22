"""Raw files to and from frames, and a camera that plays them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from modoptic.rawfile._file import RawFile
from modoptic.rawfile._headerless import Description
from modoptic.rawfile._open import read_raw
from modoptic.rawfile._read import read_header
from modoptic.rawfile._replay import ReplaySource
from modoptic.rawfile._unpack import unpack_rows
from modoptic.rawfile._write import Compression, check_compression, write_dng

__all__ = [
    "Compression",
    "Description",
    "RawFile",
    "ReplaySource",
    "check_compression",
    "read_header",
    "read_raw",
    "warm",
    "write_dng",
]


def warm() -> Iterator[str]:
    """Compile the kernels of this room; yields a line for each."""
    unpack_rows(np.frombuffer(bytes(28), np.uint8), 14, 2, 8)
    yield "rawfile: packed samples of TIFF"
