"""modoptic: an open modular optical system.

A camera module as a digital twin, an open light link, and the phone side of a camera.

>>> import modoptic
>>> with modoptic.open("xiaomi-mos-35", scene="studio") as cam:  # doctest: +SKIP
...     cam.set(aperture=2.0, focus_distance_m=1.2)
...     cam.capture().result().save("photo.dng")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modoptic.camera import Camera, Capture, Shot, develop, open  # noqa: A004
    from modoptic.errors import ModopticError
    from modoptic.frame import Frame, FrameMeta, Settings

__version__ = "0.1.0"
__all__ = [
    "Camera",
    "Capture",
    "Frame",
    "FrameMeta",
    "ModopticError",
    "Settings",
    "Shot",
    "develop",
    "open",
]

_HOME = {
    "Camera": "modoptic.camera",
    "Capture": "modoptic.camera",
    "Shot": "modoptic.camera",
    "open": "modoptic.camera",
    "develop": "modoptic.camera",
    "Frame": "modoptic.frame",
    "FrameMeta": "modoptic.frame",
    "Settings": "modoptic.frame",
    "ModopticError": "modoptic.errors",
}


def __getattr__(name: str) -> Any:
    """Public names are imported when first used, so that the command line starts quickly."""
    from importlib import import_module

    if name not in _HOME:
        raise AttributeError(f"module 'modoptic' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
