"""The lens: from what is in front of it to the light that falls on the sensor."""

from modoptic.optics._lens import (
    DepthOfField,
    LensState,
    ThinLens,
    circle_of_confusion_um,
    depth_of_field,
    diffraction_mtf,
    solve,
)
from modoptic.optics._render import LightRenderer, SampleGrid, SceneLike, SpectralResponse, warm

__all__ = [
    "DepthOfField",
    "LensState",
    "LightRenderer",
    "SampleGrid",
    "SceneLike",
    "SpectralResponse",
    "ThinLens",
    "circle_of_confusion_um",
    "depth_of_field",
    "diffraction_mtf",
    "solve",
    "warm",
]
