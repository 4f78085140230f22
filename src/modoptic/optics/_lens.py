"""The thin lens: focus, blur, light and depth of field.

Distances along the axis are measured from the sensor plane, as engraved on lenses, unless said
otherwise. Equations: any textbook of geometrical optics; here after Kingslake, "Optics in
Photography", SPIE 1992, chapters 2, 5 and 6.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modoptic.errors import SettingError


@dataclass(frozen=True)
class LensState:
    """A lens as it is set now."""

    focal_length_mm: float
    f_number: float
    focus_distance_m: float
    """From the sensor plane to the plane in focus; ``inf`` is infinity."""
    transmittance: float = 1.0
    """Share of the light that passes, 0..1."""


@dataclass(frozen=True)
class ThinLens:
    """What follows from a `LensState`; see `solve`."""

    image_distance_m: float
    """From the lens to the sensor plane."""
    inverse_focus: float
    """1 / distance from the lens to the plane in focus, per metre; 0 at infinity."""
    iris_m: float
    """Diameter of the iris."""
    magnification: float
    """Absolute value, at the plane in focus."""
    working_f_number: float
    """N (1 + |m| / p) with pupil magnification p = 1."""
    transmittance: float
    f_number: float

    def blur_tangent(self, inverse_depth: float) -> float:
        """Diameter of the blur disc of a point 1 / ``inverse_depth`` m before the lens.

        As a tangent seen from the lens: times the image distance it is the circle of confusion
        ``A |v - v_u| / v_u``, written so that it stays exact at infinity and in focus.
        """
        return self.iris_m * abs(inverse_depth - self.inverse_focus)

    @property
    def irradiance_factor(self) -> float:
        """Irradiance on the axis over scene radiance, sr: pi tau / (4 N_w^2)."""
        return math.pi * self.transmittance / (4.0 * self.working_f_number**2)


def solve(lens: LensState) -> ThinLens:
    """The thin lens in this state.

    With D from the plane in focus to the sensor, u + v = D and 1/u + 1/v = 1/f.

    Raises
    ------
    SettingError : the focus is nearer than four focal lengths, or a value is not positive
    """
    if not lens.focal_length_mm > 0:
        raise SettingError("focal length", lens.focal_length_mm, "more than 0 mm")
    if not 0.5 <= lens.f_number <= 1000:
        raise SettingError("f-number", lens.f_number, "0.5 or more (the limit of any lens in air)")
    if not 0 < lens.transmittance <= 1:
        raise SettingError("transmittance", lens.transmittance, "more than 0, at most 1")
    f = lens.focal_length_mm * 1e-3
    distance = lens.focus_distance_m
    if not distance >= 4.0 * f:
        raise SettingError("focus distance", distance, f"at least {4 * f:g} m, four focal lengths")
    if math.isinf(distance):
        image, inverse = f, 0.0
    else:
        u = 0.5 * (distance + math.sqrt(distance * (distance - 4.0 * f)))
        inverse = 1.0 / u
        image = f * u / (u - f)
    m = image * inverse
    return ThinLens(
        image_distance_m=image,
        inverse_focus=inverse,
        iris_m=f / lens.f_number,
        magnification=m,
        working_f_number=lens.f_number * (1.0 + m),
        transmittance=lens.transmittance,
        f_number=lens.f_number,
    )


def circle_of_confusion_um(lens: LensState, depth_m: float) -> float:
    """Diameter in the sensor plane, in um, of the disc of a point ``depth_m`` from that plane."""
    thin = solve(lens)
    inverse = 0.0 if math.isinf(depth_m) else 1.0 / (depth_m - thin.image_distance_m)
    return thin.blur_tangent(inverse) * thin.image_distance_m * 1e6


@dataclass(frozen=True)
class DepthOfField:
    """Limits of what is sharp enough, in metres from the sensor plane."""

    near_m: float
    far_m: float
    """``inf`` where everything behind is sharp."""
    hyperfocal_m: float
    """Focus here and everything from half of it to infinity is sharp."""

    @property
    def total_m(self) -> float:
        return self.far_m - self.near_m


def depth_of_field(
    focal_length_mm: float, f_number: float, focus_distance_m: float, coc_um: float
) -> DepthOfField:
    """Where the blur disc in the sensor plane stays within ``coc_um``; exact for a thin lens.

    >>> round(depth_of_field(100.0, 2.0, 2.105263, 50.0).total_m, 4)  # 2 m before the lens
    0.076

    Raises
    ------
    SettingError : as `solve`, or a circle of confusion that is not positive
    """
    if not coc_um > 0:
        raise SettingError("circle of confusion", coc_um, "more than 0 um")
    thin = solve(LensState(focal_length_mm, f_number, focus_distance_m))
    v = thin.image_distance_m
    reach = coc_um * 1e-6 / (thin.iris_m * v)
    near = 1.0 / (thin.inverse_focus + reach) + v
    left = thin.inverse_focus - reach
    far = 1.0 / left + v if left > 1e-12 else math.inf
    # there A v / u = c with v = f u / (u - f): u = f + f A / c
    f = focal_length_mm * 1e-3
    u = f + f * thin.iris_m / (coc_um * 1e-6)
    return DepthOfField(near, far, u + f * u / (u - f))


def diffraction_mtf(
    cycles_per_mm: npt.NDArray[np.float64], f_number: float, wavelength_nm: float = 550.0
) -> npt.NDArray[np.float64]:
    """MTF of a round iris without aberrations (Goodman, Introduction to Fourier Optics, 6.3)."""
    nu = np.clip(np.abs(cycles_per_mm) * wavelength_nm * 1e-6 * f_number, 0.0, 1.0)
    return (2.0 / np.pi) * (np.arccos(nu) - nu * np.sqrt(1.0 - nu * nu))


def line_spread(
    f_number: float, step_um: float, wavelength_nm: float = 550.0
) -> npt.NDArray[np.float32]:
    """Taps, an odd number, of the filter with that MTF along one axis at samples ``step_um`` apart.

    Applied along both axes it is exact for edges along either, and a little soft along diagonals
    (0.39 for 0.49 at 0.42 of the cut-off). The farthest 2 % of the light, beyond 6 lambda N, are
    put back into the rest.
    """
    width_um = wavelength_nm * 1e-3 * f_number
    count = math.ceil(6.0 * width_um / step_um) + 1
    frequency: npt.NDArray[np.float64] = np.linspace(0.0, 0.5, 2049)[:-1] + 0.5 / 4096.0
    mtf = diffraction_mtf(np.divide(frequency, step_um * 1e-3), f_number, wavelength_nm)
    n = np.arange(-count, count + 1)
    taps = np.cos(2.0 * np.pi * np.outer(n, frequency)) @ mtf / 2048.0
    return (taps / taps.sum()).astype(np.float32)
