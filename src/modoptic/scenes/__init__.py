"""What is in front of the lens: spectral radiance and depth, in physical units."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from modoptic.errors import SettingError
from modoptic.scenes import _charts, _pictures
from modoptic.scenes._raster import RasterLayer
from modoptic.scenes._scene import Lamps, Layer, Scene, ShadedLayer
from modoptic.scenes._spectra import (
    ILLUMINANTS,
    WAVELENGTHS_NM,
    Spectrum,
    black_body,
    colorchecker_reflectances,
    daylight,
    illuminant,
    luminance,
    observer,
    primaries,
    white_radiance,
)
from modoptic.scenes._studio import studio

__all__ = [
    "ILLUMINANTS",
    "WAVELENGTHS_NM",
    "Lamps",
    "Layer",
    "RasterLayer",
    "Scene",
    "ShadedLayer",
    "Spectrum",
    "black_body",
    "colorchecker_reflectances",
    "daylight",
    "illuminant",
    "load_scene",
    "luminance",
    "observer",
    "primaries",
    "scene_names",
    "warm",
    "white_radiance",
]

_SCENES: dict[str, Callable[..., Scene]] = {
    "studio": studio,
    "motorcycle": _pictures.motorcycle,
    "colorchecker": _charts.colorchecker,
    "chart": _charts.chart,
    "flat": _charts.flat,
}
_LIT = ("colorchecker", "chart", "flat")


def scene_names() -> tuple[str, ...]:
    """Names that `load_scene` knows; anything else is taken as the path of a picture."""
    return tuple(_SCENES)


def load_scene(
    name_or_path: str | Path, depth: str | Path | None = None, **options: float | str
) -> Scene:
    """A scene by name, or a picture of one's own.

    >>> load_scene("colorchecker", light="A", luminance_cd_m2=150.0).title
    'ColorChecker under A'

    Parameters
    ----------
    name_or_path : one of `scene_names`, or the path of any picture that Pillow reads; light may
        follow a name: ``colorchecker@A``, ``chart@3200K``
    depth : map of the same size as the picture: a ``.npy`` in metres, or a picture (white near)
    options : ``colorchecker``, ``chart``, ``flat``: ``light`` (see `illuminant`),
        ``luminance_cd_m2``, ``distance_m``; ``chart``: ``angle_degrees``; a picture:
        ``distance_m``, ``near_m``, ``far_m``

    Raises
    ------
    PictureError : not a picture, damaged, too large, or a depth map of another size
    SettingError : an option that the scene does not have or with an impossible value
    """
    name, at, light = str(name_or_path).partition("@")
    if at and name in _SCENES:
        if name not in _LIT:
            expected = f"light of one's own for {', '.join(_LIT)} alone"
            raise SettingError("scene", str(name_or_path), expected)
        illuminant(light)
        name_or_path, options = name, {**options, "light": light}
    make = _SCENES.get(str(name_or_path))
    if make is not None and depth is not None:
        raise SettingError(
            "depth map", str(depth), "none; this scene has its own depth", str(name_or_path)
        )
    try:
        if make is not None:
            return make(**options)
        chosen: dict[str, Any] = dict(options)
        return _pictures.picture(name_or_path, depth=depth, **chosen)
    except TypeError as error:
        raise SettingError(
            "scene options", ", ".join(options), "options of this scene", str(name_or_path)
        ) from error


def warm() -> Iterator[str]:
    """Compile every kernel for the types in use; one line each."""
    matrix = np.ones((3, 3), np.float32)
    out = np.empty((4, 4, 4), np.float32)
    for name in ("studio", "chart"):
        for layer in load_scene(name).layers:
            if not isinstance(layer, Lamps):
                layer.sample(matrix, 0.0175, -0.01, 0.2, 0.001, out)
        yield f"scenes: {name}"
    rgb = np.full((32, 32, 3), 128, np.uint8)
    for layer in _pictures.slices(rgb, np.full((32, 32), 1.0, np.float32), 100.0):
        layer.sample(matrix, 0.0175, -0.01, -0.01, 0.001, out)
    yield "scenes: pictures"
