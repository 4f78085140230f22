"""Near and far limit of acceptable sharpness of a thin lens, exactly.

Distances are from the sensor plane, as engraved on lenses. With focal length f, image distance v
and aperture diameter A = f / N, a point imaged at v' makes a blur of A |v' - v| / v' on the sensor
(similar triangles; e.g. Ray, "Applied Photographic Optics", 3rd ed., chapter 22). Setting it to the
circle of confusion c gives v' = v / (1 -+ c / A) for the near and the far limit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DepthOfField:
    """All in metres from the sensor plane; ``far_m`` may be infinite."""

    near_m: float
    far_m: float
    hyperfocal_m: float


def circle_of_confusion_m(width: int, height: int, pitch_um: float) -> float:
    """Diagonal / 1500 of a sensor of ``width`` x ``height`` photosites, in metres."""
    return math.hypot(width, height) * pitch_um * 1e-6 / 1500


def depth_of_field(
    focal_length_mm: float, f_number: float, focus_distance_m: float, confusion_m: float
) -> DepthOfField:
    """Depth of field of a lens focused at ``focus_distance_m`` (``inf`` is infinity)."""
    f = focal_length_mm * 1e-3
    blur = confusion_m * f_number / f  # c / A
    image = _image_distance(f, focus_distance_m)
    hyperfocal_image = f * (1 + blur)
    return DepthOfField(
        near_m=_object_distance(f, image / (1 - blur)) + image,
        far_m=_object_distance(f, image / (1 + blur)) + image,
        hyperfocal_m=_object_distance(f, hyperfocal_image) + hyperfocal_image,
    )


def _image_distance(f: float, distance: float) -> float:
    """The shorter v of v (distance - v) = f distance, with the distance from the sensor."""
    if math.isinf(distance):
        return f
    root = distance * distance - 4 * f * distance
    # nearer than 4 f there is no image: the lens is at unit magnification
    return (distance - math.sqrt(max(root, 0.0))) / 2


def _object_distance(f: float, image: float) -> float:
    """From the lens; infinite where the image lies in the focal plane or before it."""
    # relative: at infinity v' is f up to rounding
    return image * f / (image - f) if image > f * (1 + 1e-12) else math.inf
