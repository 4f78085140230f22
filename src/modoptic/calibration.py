"""What was measured on one module unit, as it travels in its manifest.

A calibration is *measured* (``modoptic.measure``) and never copied from the parameters of a twin.
It is named by a digest; every frame says which calibration belongs to it.
"""

from __future__ import annotations

import hashlib

import msgspec

Matrix3 = tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]


class ColorCalibration(msgspec.Struct, frozen=True, kw_only=True):
    """Colour under one illuminant, in the convention of DNG 1.4 (chapter 6)."""

    illuminant: int
    """EXIF LightSource code: 17 standard light A, 21 D65, 23 D50."""
    color_matrix: Matrix3
    """CIE XYZ (2 degree) to camera RGB, scaled so that white of the illuminant reaches 1."""
    forward_matrix: Matrix3
    """White-balanced camera RGB to XYZ D50; each row sums to the D50 white."""


class NoisePoint(msgspec.Struct, frozen=True, kw_only=True):
    """Noise at one analogue gain: variance = scale * signal + offset, signal 0..1.

    As in DNG's NoiseProfile.
    """

    gain: float
    """Analogue gain, linear, 1 = base."""
    scale: float
    offset: float


class Shading(msgspec.Struct, frozen=True, kw_only=True):
    """Relative illumination at one iris and focus.

    1 + k1 r^2 + k2 r^4 + k3 r^6 with r = 1 in the corner.
    """

    f_number: float
    focus_distance_m: float
    coefficients: tuple[float, float, float]


class Calibration(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything measured on one unit. Lists may be empty where nothing was measured."""

    version: int = 1
    unit: str = ""
    """Module id of the unit that was measured."""
    colors: tuple[ColorCalibration, ...] = ()
    """At most two, warm illuminant first."""
    noise: tuple[NoisePoint, ...] = ()
    """For the full readout, rising gain."""
    shading: tuple[Shading, ...] = ()
    defects: tuple[tuple[int, int], ...] = ()
    """(x, y) of photosites of the full array that do not follow the light."""
    black_level: float = 0.0
    """Mean dark level at 12 bit and base gain, in DN."""

    def digest(self) -> str:
        """First 32 hex digits of the SHA-256 of the MessagePack form."""
        return hashlib.sha256(msgspec.msgpack.encode(self)).hexdigest()[:32]
