"""Finished pictures to files, and the gallery that keeps them."""

from __future__ import annotations

from modoptic.photo._gallery import Gallery
from modoptic.photo._jpeg import exif_block, meta_of, small_jpeg, srgb_icc, write_jpeg
from modoptic.photo._jpegstrips import StripEncoder

__all__ = [
    "Gallery",
    "StripEncoder",
    "exif_block",
    "meta_of",
    "small_jpeg",
    "srgb_icc",
    "write_jpeg",
]
