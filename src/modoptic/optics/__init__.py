"""The lens: from what is in front of it to the light that falls on the sensor."""

from modoptic.optics._glare import VeilingGlare
from modoptic.optics._lens import (
    DepthOfField,
    LensState,
    ThinLens,
    circle_of_confusion_um,
    depth_of_field,
    diffraction_mtf,
    solve,
)
from modoptic.optics._motion import (
    Going,
    Planes,
    Poses,
    Samples,
    Timing,
    Track,
    moved,
    moved_color,
    track,
)
from modoptic.optics._pupil import IdealLens, IdealPupil, Lens, Pupil, airy_radius_um
from modoptic.optics._reference import reference_light
from modoptic.optics._render import LightRenderer
from modoptic.optics._sources import SampleGrid, SceneLike, Shown, SpectralResponse
from modoptic.optics._spectral import CubeRenderer
from modoptic.optics._traced import TracedLens, TracedPupil, lens_tables
from modoptic.optics._warm import warm

__all__ = [
    "CubeRenderer",
    "DepthOfField",
    "Going",
    "IdealLens",
    "IdealPupil",
    "Lens",
    "LensState",
    "LightRenderer",
    "Planes",
    "Poses",
    "Pupil",
    "SampleGrid",
    "Samples",
    "SceneLike",
    "Shown",
    "SpectralResponse",
    "ThinLens",
    "Timing",
    "TracedLens",
    "TracedPupil",
    "Track",
    "VeilingGlare",
    "airy_radius_um",
    "circle_of_confusion_um",
    "depth_of_field",
    "diffraction_mtf",
    "lens_tables",
    "moved",
    "moved_color",
    "reference_light",
    "solve",
    "track",
    "warm",
]
