"""What is in front of the lens: spectral radiance and depth, in physical units."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from modoptic.errors import SettingError
from modoptic.scenes import _charts, _cube, _panorama, _pictures
from modoptic.scenes._cube import SpectralCube, load_cube
from modoptic.scenes._motion import HandShake, Movable, Moving, Pose, layers_at, scene_at
from modoptic.scenes._panorama import PanoramaLayer
from modoptic.scenes._patches import PatchLayer
from modoptic.scenes._planes import PlanesLayer
from modoptic.scenes._raster import RasterLayer
from modoptic.scenes._scene import Lamps, Layer, Scene, ShadedLayer
from modoptic.scenes._spectra import (
    ILLUMINANTS,
    WAVELENGTHS_NM,
    Spectrum,
    black_body,
    checked_wavelengths,
    colorchecker_reflectances,
    colorchecker_sg_reflectances,
    daylight,
    illuminant,
    illuminant_1nm,
    luminance,
    observer,
    photons,
    primaries,
    resample,
    white_radiance,
)
from modoptic.scenes._studio import studio, toy_train

__all__ = [
    "ILLUMINANTS",
    "WAVELENGTHS_NM",
    "HandShake",
    "Lamps",
    "Layer",
    "Movable",
    "Moving",
    "PanoramaLayer",
    "PatchLayer",
    "PlanesLayer",
    "Pose",
    "RasterLayer",
    "Scene",
    "ShadedLayer",
    "SpectralCube",
    "Spectrum",
    "black_body",
    "checked_wavelengths",
    "colorchecker_reflectances",
    "colorchecker_sg_reflectances",
    "daylight",
    "illuminant",
    "illuminant_1nm",
    "layers_at",
    "load_cube",
    "load_scene",
    "luminance",
    "observer",
    "photons",
    "primaries",
    "resample",
    "scene_at",
    "scene_names",
    "warm",
    "white_radiance",
]

_SCENES: dict[str, Callable[..., Scene]] = {
    "studio": studio,
    "toy-train": toy_train,
    "motorcycle": _pictures.motorcycle,
    **_charts.CHARTS,
}


def scene_names() -> tuple[str, ...]:
    """Names that `load_scene` knows; anything else is taken as the path of a picture."""
    return tuple(_SCENES)


_FILES: dict[str, Callable[..., Scene]] = {
    ".exr": _panorama.hdr_scene,
    ".hdr": _panorama.hdr_scene,
    ".npz": _cube.cube_scene,
}
"""Scenes that files of these kinds make; they have their own depth."""


def load_scene(
    name_or_path: str | Path, depth: str | Path | None = None, **options: float | str
) -> Scene:
    """A scene by name, or a picture of one's own.

    >>> load_scene("colorchecker", light="A", luminance_cd_m2=150.0).title
    'ColorChecker under A'

    Parameters
    ----------
    name_or_path : one of `scene_names`, or the path of any picture that Pillow reads, of an OpenEXR
        or Radiance panorama (``.exr``, ``.hdr``) or of a spectral cube (``.npz``, see `load_cube`);
        light may follow a chart's name: ``colorchecker@A``, ``chart@3200K``
    depth : map of the same size as a picture: a ``.npy`` in metres, or a picture (white near)
    options : charts: ``light`` (see `illuminant`), ``luminance_cd_m2``, ``distance_m``, ``size_m``
        (width; ``flat`` has none); ``chart``, ``slanted-edges``: ``angle_degrees``;
        ``slanted-edges``: ``contrast``; ``siemens-star``: ``cycles``; ``zone-plate``:
        ``edge_cycles_m``; ``step-wedge``: ``density_step``; ``point-grid``: ``radius_m``;
        ``motorcycle``: ``view_degrees``; a picture: ``distance_m``, ``near_m``, ``far_m``,
        ``view_degrees``; a panorama: ``luminance_cd_m2`` or ``white_cd_m2``, ``yaw_degrees``,
        ``pitch_degrees``, ``distance_m``; a cube: ``luminance_cd_m2``, ``distance_m``,
        ``view_degrees``

    Raises
    ------
    PictureError : not a picture, damaged, too large, or a depth map of another size
    SettingError : an option that the scene does not have or with an impossible value
    """
    name, at, light = str(name_or_path).partition("@")
    if at and name in _SCENES:
        if name not in _charts.CHARTS:
            expected = f"light of one's own for {', '.join(_charts.CHARTS)} alone"
            raise SettingError("scene", str(name_or_path), expected)
        illuminant(light)
        name_or_path, options = name, {**options, "light": light}
    chosen: dict[str, object] = dict(options)
    make = _SCENES.get(str(name_or_path))
    if make is None:
        read = _FILES.get(Path(name_or_path).suffix.lower(), _pictures.picture)
        make = functools.partial(read, name_or_path)
    known = [k for k, p in inspect.signature(make).parameters.items() if p.kind is p.KEYWORD_ONLY]
    if depth is not None:
        if "depth" not in known:
            expected = "none; this scene has its own depth"
            raise SettingError("depth map", str(depth), expected, str(name_or_path))
        chosen["depth"] = depth
    for option in options:
        if option not in known:
            expected = f"one of {', '.join(known)}" if known else "none, as it has no options"
            raise SettingError("option", option, expected, str(name_or_path))
    try:
        return make(**chosen)
    except TypeError as error:
        raise SettingError(
            "scene options", options, "numbers, and names of lights", str(name_or_path)
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
    _warm_layers(matrix, out)
    yield "scenes: spectra and panoramas"
    rgb = np.full((32, 32, 3), 128, np.uint8)
    for layer in _pictures.slices(rgb, np.full((32, 32), 1.0, np.float32), 100.0):
        layer.sample(matrix, 0.0175, -0.01, -0.01, 0.001, out)
    yield "scenes: pictures"


def _warm_layers(matrix: np.ndarray[Any, np.dtype[np.float32]], out: Any) -> None:
    basis = np.ones((3, WAVELENGTHS_NM.size))
    pixels = np.ones((16, 32, 4), np.float32)
    layers: list[Layer] = [
        PlanesLayer("", basis, pixels, 1.0, 30.0),
        PatchLayer("", basis, 1.0, (1, 3), 0.1, 0.9),
        PanoramaLayer("", basis, np.ascontiguousarray(pixels[..., :3]), 100.0),
    ]
    for layer in layers:
        layer.sample(matrix, 0.0175, -0.01, 0.2, 0.001, out)
