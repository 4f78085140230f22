"""The viewfinder page and its server: what people touch."""

from modoptic.web._contracts import GalleryLike, HandsLike, PhoneLike
from modoptic.web._figures import Draw, PageFigures
from modoptic.web._messages import FramePrefix, pack_frame, unpack_frame
from modoptic.web._server import Server, serve

__all__ = [
    "Draw",
    "FramePrefix",
    "GalleryLike",
    "HandsLike",
    "PageFigures",
    "PhoneLike",
    "Server",
    "pack_frame",
    "serve",
    "unpack_frame",
]
