"""The phone's side: the cameras it has now, exposure, focus, white balance, finder, photos."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modoptic.host._capture import Capture, Photo
    from modoptic.host._exposure import AutoExposure, Manual, Metering
    from modoptic.host._phone import Phone
    from modoptic.host._render import FrameStats

__all__ = ["AutoExposure", "Capture", "FrameStats", "Manual", "Metering", "Phone", "Photo"]

_HOME = {
    "AutoExposure": "_exposure",
    "Capture": "_capture",
    "FrameStats": "_render",
    "Manual": "_exposure",
    "Metering": "_exposure",
    "Phone": "_phone",
    "Photo": "_capture",
}


def __getattr__(name: str) -> Any:
    """Imported when first used: the developer and the page need only a part of this room."""
    if name not in _HOME:
        raise AttributeError(f"module 'modoptic.host' has no attribute {name!r}")
    return getattr(import_module(f"modoptic.host.{_HOME[name]}"), name)
