"""Digital twins of camera modules: scenes, optics and sensor as a `Source` in real time."""

from modoptic.twin._calibrate import measure_calibration
from modoptic.twin._definition import (
    Definition,
    base_iso,
    definitions,
    load_definition,
    saturation_speed,
    spectral_response,
)
from modoptic.twin._spectral import SpectralCamera
from modoptic.twin._twin import Twin
from modoptic.twin._warm import warm

__all__ = [
    "Definition",
    "SpectralCamera",
    "Twin",
    "base_iso",
    "definitions",
    "load_definition",
    "measure_calibration",
    "saturation_speed",
    "spectral_response",
    "warm",
]
