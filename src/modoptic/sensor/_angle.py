"""What a photosite makes of light that arrives aslant."""

from __future__ import annotations

import math
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

DoubleArray = npt.NDArray[np.float64]

CROSSTALK_AT = 0.5
"""Sine of the angle that `AngularSpec.crosstalk` is for: 30 degrees."""


class AngularSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a sensor takes light from aside; what is not given does not depend on the angle."""

    half_deg: tuple[float, float, float] = (90.0, 90.0, 90.0)
    """Red, green, blue: so far from where its microlens points a photosite takes half of the
    light; 90 for all of it from anywhere."""
    microlens_deg: float = 0.0
    """Where the microlenses in the sensor's corner point, outward."""
    crosstalk: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Of light below a red, green, blue filter at 30 degrees: share that reaches neighbours."""


@dataclass(frozen=True)
class AngularResponse:
    """The response of a photosite to one direction, over that to normal light in the middle.

    A microlens images the lens' pupil onto the photodiode. Light whose direction cosines are a
    distance u from those the microlens points at lands a distance in proportion to u from the
    photodiode's middle (the stack divides all sines by its index, and bends none more than
    another), and is gathered as 2^-(u / h)^2, a Gaussian, with h the sine of `half_deg`. The sines
    that microlenses point at rise in proportion to the distance from the axis.

    Of what is gathered, x = crosstalk (s / 0.5)^2, s the sine of incidence, reaches the four
    neighbours, a quarter each: the farther aslant, the longer the way below a neighbour's filter.
    What neighbours get of normal light is part of the spectral response, which was measured so.
    """

    spec: AngularSpec
    corner_um: float
    """From the axis to the corner."""

    def __call__(self, radius_um: float, across: DoubleArray, outward: DoubleArray) -> DoubleArray:
        """Shares of the light in each colour (2, 3, n): what a photosite keeps, what it gives away.

        Parameters
        ----------
        radius_um : distance of the photosite from the axis
        across, outward : (n,) direction cosines of light, along the sensor
        """
        spec = self.spec
        pointed = math.sin(math.radians(spec.microlens_deg)) * radius_um / self.corner_um
        away = across**2 + (outward - pointed) ** 2
        sine2 = np.minimum(across**2 + outward**2, 1.0)
        out = np.empty((2, 3, across.size))
        for c, (half, share) in enumerate(zip(spec.half_deg, spec.crosstalk, strict=True)):
            taken = np.ones_like(away)
            if half < 90.0:
                taken = np.exp2(-away / math.sin(math.radians(half)) ** 2)
            given = np.minimum(share * sine2 / CROSSTALK_AT**2, 1.0)
            out[0, c], out[1, c] = taken * (1.0 - given), taken * given
        return out
