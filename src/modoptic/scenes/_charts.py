"""Charts for measuring: ColorChecker, slanted edge and Siemens star, an even field."""

from __future__ import annotations

import math

import numpy as np

from modoptic.errors import SettingError
from modoptic.scenes import _shaders as kinds
from modoptic.scenes._scene import Scene, ShadedLayer
from modoptic.scenes._spectra import (
    Spectrum,
    colorchecker_reflectances,
    illuminant,
    white_radiance,
)

PATCH_M = 0.040
"""Side of a patch of the classic chart; its pitch is 47 mm (X-Rite's drawing, rounded)."""
PITCH_M = 0.047


def _light(name: str | float, luminance_cd_m2: float) -> Spectrum:
    if not 0 < luminance_cd_m2 <= 1e9:
        raise SettingError("luminance", luminance_cd_m2, "more than 0, at most 1e9 cd/m2")
    return white_radiance(illuminant(name), luminance_cd_m2)


def _one(radiance: Spectrum) -> Spectrum:
    """A basis whose first coefficient is ``radiance``."""
    return np.stack([radiance, np.zeros_like(radiance), np.zeros_like(radiance)])


def _check(distance_m: float) -> None:
    if not 0.1 <= distance_m <= 1e4:
        raise SettingError("distance", distance_m, "0.1 to 10000 m")


def colorchecker(
    *, light: str | float = "D65", luminance_cd_m2: float = 200.0, distance_m: float = 0.6
) -> Scene:
    """The 24 patches on their black card before a grey of 18 %.

    The patches fill most of a 52 degree view from 0.6 m, where the lens of a 4/3 camera sees them
    beside each other without the corners of the frame.
    """
    _check(distance_m)
    white = _light(light, luminance_cd_m2)
    layers = [
        ShadedLayer(
            "grey", kinds.RECT, _one(0.18 * white), distance_m * 1.02, params=(0, 0, 1, 0, 0)
        ),
        ShadedLayer(
            "card", kinds.RECT, _one(0.035 * white), distance_m,
            extent_m=(-0.15, -0.105, 0.15, 0.105), params=(0.148, 0.101, 1, 0, 0),
        ),
    ]  # fmt: skip
    half = PATCH_M / 2
    for i, (name, reflectance) in enumerate(colorchecker_reflectances().items()):
        center = ((i % 6 - 2.5) * PITCH_M, (i // 6 - 1.5) * PITCH_M)
        layers.append(
            ShadedLayer(
                name, kinds.RECT, _one(reflectance * white), distance_m, center,
                (-half, -half, half, half), params=(half, half, 1, 0, 0),
            )
        )  # fmt: skip
    return Scene(
        "colorchecker",
        f"ColorChecker under {light}",
        tuple(layers),
        {
            "light": f"{light}; a perfect white has {luminance_cd_m2:g} cd/m2",
            "focus": f"the chart stands {distance_m:g} m from the sensor plane",
            "source": "reflectances of Ohta 1997 (ISO 17321-1:2012), by way of colour-science",
        },
    )


def chart(
    *, light: str | float = "D65", luminance_cd_m2: float = 200.0, distance_m: float = 1.0,
    angle_degrees: float = 5.0,
) -> Scene:  # fmt: skip
    """Four slanted edges, a Siemens star of 72 cycles, line pairs and grey steps of 0.15 density.

    It fills a view of 52.6 x 40.7 degrees; paper reflects 80 %, ink 6 %.
    """
    _check(distance_m)
    half = 0.494 * distance_m, 0.3707 * distance_m
    basis = _one(_light(light, luminance_cd_m2))
    angle = math.radians(angle_degrees)
    layer = ShadedLayer(
        "chart", kinds.CHART, basis, distance_m, params=(*half, math.cos(angle), math.sin(angle))
    )
    return Scene(
        "chart",
        "Slanted edges and a Siemens star",
        (layer,),
        {
            "light": f"{light}; a perfect white has {luminance_cd_m2:g} cd/m2",
            "focus": f"the chart stands {distance_m:g} m from the sensor plane",
            "source": f"procedural; edges turned by {angle_degrees:g} degrees (ISO 12233)",
        },
    )


def flat(
    *, light: str | float = "D65", luminance_cd_m2: float = 100.0, distance_m: float = 1.0
) -> Scene:
    """An even field without end: the opening of an integrating sphere."""
    _check(distance_m)
    basis = _one(_light(light, luminance_cd_m2))
    layer = ShadedLayer("field", kinds.RECT, basis, distance_m, params=(0, 0, 1, 0, 0))
    return Scene(
        "flat",
        "An even field",
        (layer,),
        {"light": f"{light}; {luminance_cd_m2:g} cd/m2 everywhere"},
    )
