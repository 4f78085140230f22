"""Charts for measuring: colours, sharpness, texture, tones, noise, geometry, an even field.

All are computed for every sample, averaged over its footprint; lengths are metres on the chart. A
chart stands upright across the axis, and unless its width is given it fills a view of 52.6 x 40.7
degrees; beyond that its ground goes on.
"""

from __future__ import annotations

import math

import numpy as np

from modoptic.errors import SettingError
from modoptic.scenes import _shaders as kinds
from modoptic.scenes._patches import PatchLayer
from modoptic.scenes._scene import Scene, ShadedLayer
from modoptic.scenes._spectra import (
    Spectrum,
    colorchecker_reflectances,
    colorchecker_sg_reflectances,
    illuminant,
    primaries,
    white_radiance,
)

PATCH_M = 0.040
"""Side of a patch of the classic chart; its pitch is 47 mm (X-Rite's drawing, rounded)."""
PITCH_M = 0.047


SG_PITCH_M = 0.0185
"""Of the ColorChecker SG's 14 x 10 patches on a card of 0.28 x 0.216 m (rounded)."""

HALF_TANGENTS = 0.494, 0.3707
"""Half the view of 17.5 mm on 17.30 x 12.97 mm."""


def _light(name: str | float, luminance_cd_m2: float) -> Spectrum:
    return white_radiance(illuminant(name), luminance_cd_m2)


def _one(radiance: Spectrum) -> Spectrum:
    """A basis whose first coefficient is ``radiance``."""
    return np.stack([radiance, np.zeros_like(radiance), np.zeros_like(radiance)])


def _check(
    feature: str, value: float, least: float, most: float, unit: str = ""
) -> float:  # fmt: skip
    """``value``, a number from ``least`` to ``most``; NaN is none."""
    if isinstance(value, str) or not least <= value <= most:
        raise SettingError(feature, value, f"{least:g} to {most:g} {unit}".rstrip(), "chart")
    return float(value)


def _distance(distance_m: float) -> float:
    return _check("distance", distance_m, 0.1, 1e4, "m")


def _half(size_m: float | None, distance_m: float) -> tuple[float, float]:
    """Half width and height of a chart: asked for, or what fills the view."""
    across, down = HALF_TANGENTS
    if size_m is None:
        return across * distance_m, down * distance_m
    half = 0.5 * _check("size", size_m, 1e-3, 1e3, "m across")
    return half, half * down / across


def colorchecker(
    *, light: str | float = "D65", luminance_cd_m2: float = 200.0, distance_m: float = 0.6,
    size_m: float = 0.30,
) -> Scene:  # fmt: skip
    """The 24 patches on their black card before a grey of 18 %.

    The patches fill most of a 52 degree view from 0.6 m, where the lens of a 4/3 camera sees them
    beside each other without the corners of the frame. ``size_m`` is the card's width.
    """
    _distance(distance_m)
    scale = _check("size", size_m, 1e-3, 1e3, "m across") / 0.30
    white = _light(light, luminance_cd_m2)
    layers = [
        ShadedLayer(
            "grey", kinds.RECT, _one(0.18 * white), distance_m * 1.02, params=(0, 0, 1, 0, 0)
        ),
        ShadedLayer(
            "card", kinds.RECT, _one(0.035 * white), distance_m,
            extent_m=(-0.15 * scale, -0.105 * scale, 0.15 * scale, 0.105 * scale),
            params=(0.148 * scale, 0.101 * scale, 1, 0, 0),
        ),
    ]  # fmt: skip
    half, pitch = 0.5 * PATCH_M * scale, PITCH_M * scale
    for i, (name, reflectance) in enumerate(colorchecker_reflectances().items()):
        center = ((i % 6 - 2.5) * pitch, (i // 6 - 1.5) * pitch)
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
    angle_degrees: float = 5.0, size_m: float | None = None,
) -> Scene:  # fmt: skip
    """Four slanted edges, a Siemens star of 72 cycles, line pairs and grey steps of 0.15 density.

    It fills a view of 52.6 x 40.7 degrees; paper reflects 80 %, ink 6 %.
    """
    _distance(distance_m)
    half = _half(size_m, distance_m)
    basis = _one(_light(light, luminance_cd_m2))
    angle = math.radians(_check("angle", angle_degrees, -45, 45, "degrees"))
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
    _distance(distance_m)
    basis = _one(_light(light, luminance_cd_m2))
    layer = ShadedLayer("field", kinds.RECT, basis, distance_m, params=(0, 0, 1, 0, 0))
    return Scene(
        "flat",
        "An even field",
        (layer,),
        {"light": f"{light}; {luminance_cd_m2:g} cd/m2 everywhere"},
    )


def colorchecker_sg(
    *, light: str | float = "D65", luminance_cd_m2: float = 200.0, distance_m: float = 0.6,
    size_m: float = 0.28,
) -> Scene:  # fmt: skip
    """The 140 patches of a ColorChecker Digital SG before a grey of 18 %; ``size_m`` is its width.

    The layout is ours, rounded; the reflectances are one measured card.
    """
    _distance(distance_m)
    scale = _check("size", size_m, 1e-3, 1e3, "m across") / 0.28
    white = _light(light, luminance_cd_m2)
    reflectances = np.stack(list(colorchecker_sg_reflectances().values()))
    half = 0.138 * scale, 0.106 * scale
    return Scene(
        "colorchecker-sg",
        f"ColorChecker SG under {light}",
        (
            ShadedLayer(
                "grey", kinds.RECT, _one(0.18 * white), distance_m * 1.02, params=(0, 0, 1, 0, 0)
            ),
            ShadedLayer(
                "card", kinds.RECT, _one(0.02 * white), distance_m,
                extent_m=(-0.14 * scale, -0.108 * scale, 0.14 * scale, 0.108 * scale),
                params=(*half, 1, 0, 0),
            ),
            PatchLayer(
                "patches", reflectances * white, distance_m, (10, 14), SG_PITCH_M * scale, 0.94
            ),
        ),
        {
            "light": f"{light}; a perfect white has {luminance_cd_m2:g} cd/m2",
            "focus": f"the chart stands {distance_m:g} m from the sensor plane",
            "source": "reflectances measured by F. Imai and A. Lin, 2010, by way of ISETCam; above "
            "730 nm as at 730 nm",
        },
    )  # fmt: skip


def _sheet(
    name: str, title: str, kind: int, light: str | float, luminance_cd_m2: float,
    distance_m: float, params: tuple[float, ...], source: str, *, colored: bool = False,
) -> Scene:  # fmt: skip
    """A chart that is one printed or lit sheet without end."""
    white = _light(light, luminance_cd_m2)
    basis = primaries() * white if colored else _one(white)
    return Scene(
        name,
        title,
        (ShadedLayer(name, kind, basis, distance_m, params=params),),
        {
            "light": f"{light}; a perfect white has {luminance_cd_m2:g} cd/m2",
            "focus": f"the chart stands {distance_m:g} m from the sensor plane",
            "source": f"procedural; {source}",
        },
    )


def slanted_edges(
    *, light: str | float = "D65", luminance_cd_m2: float = 200.0, distance_m: float = 1.0,
    size_m: float | None = None, angle_degrees: float = 5.0, contrast: float = 4.0,
) -> Scene:  # fmt: skip
    """5 x 4 slanted squares of ``contrast`` to the paper of 80 % (ISO 12233:2023 asks for 4)."""
    half = _half(size_m, _distance(distance_m))
    angle = math.radians(_check("angle", angle_degrees, -45, 45, "degrees"))
    dark = 0.80 / _check("contrast", contrast, 1.05, 80)
    return _sheet(
        "slanted-edges", "Slanted edges over the field", kinds.EDGES, light, luminance_cd_m2,
        distance_m, (*half, math.cos(angle), math.sin(angle), dark),
        f"edges turned by {angle_degrees:g} degrees, contrast {contrast:g} (ISO 12233)",
    )  # fmt: skip


def siemens_star(
    *, light: str | float = "D65", luminance_cd_m2: float = 200.0, distance_m: float = 1.0,
    size_m: float | None = None, cycles: float = 144,
) -> Scene:  # fmt: skip
    """A sine-modulated star of whole ``cycles``, 5 to 80 % (ISO 12233:2023, annex E, has 144)."""
    half = _half(size_m, _distance(distance_m))
    count = round(_check("cycles", cycles, 4, 2000))
    return _sheet(
        "siemens-star", "A Siemens star", kinds.STAR, light, luminance_cd_m2, distance_m,
        (half[1], count), f"{count} cycles of sine, reflectance 5 to 80 %",
    )  # fmt: skip


def zone_plate(
    *, light: str | float = "D65", luminance_cd_m2: float = 200.0, distance_m: float = 1.0,
    size_m: float | None = None, edge_cycles_m: float | None = None,
) -> Scene:  # fmt: skip
    """Rings whose frequency rises in proportion to the distance from the middle.

    ``edge_cycles_m`` is the frequency at half the width, in cycles a metre of the chart. Unless
    given it is 1456 cycles in the width: what the finder's 2912 samples a row just resolve.
    """
    half = _half(size_m, _distance(distance_m))
    if edge_cycles_m is None:
        edge_cycles_m = 1456 / (2 * half[0])
    edge = _check("edge frequency", edge_cycles_m, 1e-2, 1e7, "cycles a metre")
    return _sheet(
        "zone-plate", "A zone plate", kinds.ZONES, light, luminance_cd_m2, distance_m,
        (half[0], edge), f"{edge:.4g} cycles a metre at half the width, reflectance 4 to 80 %",
    )  # fmt: skip


def step_wedge(
    *, light: str | float = "D65", luminance_cd_m2: float = 2000.0, distance_m: float = 1.0,
    size_m: float | None = None, density_step: float = 0.15,
) -> Scene:  # fmt: skip
    """21 steps of density from 0.05 on in three rows, to and fro, as on a light table."""
    half = _half(size_m, _distance(distance_m))
    step = _check("density step", density_step, 0.01, 0.3)
    return _sheet(
        "step-wedge", "A step wedge", kinds.STEPS, light, luminance_cd_m2, distance_m,
        (*half, 0.05, step), f"densities 0.05 to {0.05 + 20 * step:.2f}, surround 18 %",
    )  # fmt: skip


def noise_patches(
    *, light: str | float = "D65", luminance_cd_m2: float = 200.0, distance_m: float = 1.0,
    size_m: float | None = None,
) -> Scene:  # fmt: skip
    """12 even patches of density 0.05 to 1.70, and four of white noise of known grain."""
    half = _half(size_m, _distance(distance_m))
    return _sheet(
        "noise-patches", "Patches for noise", kinds.NOISE, light, luminance_cd_m2, distance_m,
        half, "even patches in steps of density of 0.15 (as for ISO 15739); grains of 1/4096 of "
        "the width and 2, 4 and 8 times that, reflectances even in 6 to 66 %",
    )  # fmt: skip


def point_grid(
    *, light: str | float = "D65", luminance_cd_m2: float = 2000.0, distance_m: float = 1.0,
    size_m: float | None = None, radius_m: float | None = None,
) -> Scene:  # fmt: skip
    """21 x 15 lit holes in black; a radius of 1/2000 of the width unless ``radius_m`` is given."""
    half = _half(size_m, _distance(distance_m))
    radius = half[0] / 1000 if radius_m is None else radius_m
    radius = _check("radius", radius, 1e-7, half[0] / 50, "m")
    return _sheet(
        "point-grid", "A grid of points", kinds.POINTS, light, luminance_cd_m2, distance_m,
        (half[0], radius), f"holes of {2e3 * radius:.3g} mm, {2e3 * half[0] / 21:.4g} mm apart",
    )  # fmt: skip


def distortion_grid(
    *, light: str | float = "D65", luminance_cd_m2: float = 200.0, distance_m: float = 1.0,
    size_m: float | None = None,
) -> Scene:  # fmt: skip
    """Straight lines to and fro, 24 spaces across the width, a dot on the axis (ISO 17850)."""
    half = _half(size_m, _distance(distance_m))
    pitch = half[0] / 12
    return _sheet(
        "distortion-grid", "A grid of lines", kinds.GRID, light, luminance_cd_m2, distance_m,
        (half[0], 0.02 * pitch, pitch), f"lines of {40 * pitch:.3g} mm every {1e3 * pitch:.4g} mm",
    )  # fmt: skip


def dead_leaves(
    *, light: str | float = "D65", luminance_cd_m2: float = 200.0, distance_m: float = 1.0,
    size_m: float | None = None,
) -> Scene:  # fmt: skip
    """Coloured discs of every size that hide each other: texture that looks alike at all scales.

    Radii from 1/20 000 to 1/12 of the width, distributed as r^-3 (Lee, Mumford and Huang, IJCV
    2001; Cao, Guichard and Hornung, "Measuring texture sharpness of a digital camera", EI 2009).
    """
    width = 2 * _half(size_m, _distance(distance_m))[0]
    return _sheet(
        "dead-leaves", "Dead leaves", kinds.DEAD_LEAVES, light, luminance_cd_m2, distance_m,
        (width / 20000, width / 12, 0.12), "discs whose radii are distributed as r^-3",
        colored=True,
    )  # fmt: skip


CHARTS = {
    "colorchecker": colorchecker,
    "chart": chart,
    "flat": flat,
    "colorchecker-sg": colorchecker_sg,
    "slanted-edges": slanted_edges,
    "siemens-star": siemens_star,
    "dead-leaves": dead_leaves,
    "zone-plate": zone_plate,
    "step-wedge": step_wedge,
    "noise-patches": noise_patches,
    "point-grid": point_grid,
    "distortion-grid": distortion_grid,
}
"""By the name that `load_scene` knows; all take a light."""
