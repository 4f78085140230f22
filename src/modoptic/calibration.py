"""What was measured on one module unit, as it travels in its manifest.

A calibration is *measured* (``modoptic.measure``) and never copied from the parameters of a twin.
It is named by a digest; every frame says which calibration belongs to it.
"""

from __future__ import annotations

import hashlib
import math

import msgspec

from modoptic.errors import SettingError

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


Triple = tuple[float, float, float]


class Shading(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Relative illumination at one iris and focus.

    1 + k1 r^2 + k2 r^4 + k3 r^6 with r = 1 in the corner.
    """

    f_number: float
    focus_distance_m: float
    coefficients: Triple
    """Of every colour, or of green where red and blue have their own."""
    red: Triple | None = None
    blue: Triple | None = None

    @property
    def colors(self) -> tuple[Triple, Triple, Triple]:
        """Coefficients of red, green and blue."""
        green = self.coefficients
        return self.red or green, green, self.blue or green


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

    def shading_at(self, f_number: float, focus_distance_m: float) -> Shading | None:
        """What was measured nearest to this iris and focus; None where they or it are not known.

        0 is an iris or a distance that is not known.
        """
        if not self.shading or f_number == 0 or focus_distance_m == 0:
            return None

        def away(s: Shading) -> float:
            apart = abs(1 / s.focus_distance_m - 1 / focus_distance_m)
            return abs(math.log2(s.f_number / f_number)) + 0.3 * apart

        return min(self.shading, key=away)

    def digest(self) -> str:
        """First 32 hex digits of the SHA-256 of the MessagePack form."""
        return hashlib.sha256(msgspec.msgpack.encode(self)).hexdigest()[:32]


_D50 = (0.9642, 1.0, 0.8249)  # ICC.1, profile connection space
_DEFECTS_MAX = 200_000
_POINTS_MAX = 1000


def check_calibration(calibration: Calibration) -> None:
    """Raise `SettingError` for a calibration that no measurement gives.

    It arrives in manifests and files of strangers; behind this check its numbers are used in
    kernels and as divisors without another look.
    """
    _in("number of colours", len(calibration.colors), 0, 2)
    _in("number of noise points", len(calibration.noise), 0, _POINTS_MAX)
    _in("number of shading points", len(calibration.shading), 0, _POINTS_MAX)
    _in("number of defects", len(calibration.defects), 0, _DEFECTS_MAX)
    _in("black level", calibration.black_level, 0, 65535)
    for color in calibration.colors:
        _in("illuminant", color.illuminant, 0, 65535)
        check_matrix("colour matrix", color.color_matrix, "calibration")
        check_matrix("forward matrix", color.forward_matrix, "calibration")
        if not is_forward(color.forward_matrix):
            raise SettingError(
                "forward matrix",
                color.forward_matrix,
                f"rows that sum to the white D50, {_D50}, or all zero",
                "calibration",
            )
    for point in calibration.noise:
        _in("gain of a noise point", point.gain, 1e-6, 1e6)
        _in("noise scale", point.scale, 0, 1e3)
        _in("noise offset", point.offset, 0, 1e3)
    for shading in calibration.shading:
        _in("f-number of a shading point", shading.f_number, 0.1, 1e4)
        if shading.focus_distance_m != math.inf:
            _in("focus distance of a shading point", shading.focus_distance_m, 1e-3, 1e9)
        for coefficients in shading.colors:
            for coefficient in coefficients:
                _in("shading coefficient", coefficient, -100, 100)
            k1, k2, k3 = coefficients
            for r2 in (step / 32 for step in range(33)):
                _in("relative illumination", 1 + r2 * (k1 + r2 * (k2 + r2 * k3)), 0.01, 100)
    for x, y in calibration.defects:
        _in("column of a defect", x, 0, 65535)
        _in("row of a defect", y, 0, 65535)


def check_matrix(
    feature: str, matrix: tuple[tuple[float, ...], ...], where: str, largest: float = 100.0
) -> None:
    """Raise `SettingError` unless ``matrix`` is 3 x 3 and within +-``largest``."""
    fits = [len(row) for row in matrix] == [3, 3, 3]
    # written so that NaN fails
    if not (fits and all(abs(value) <= largest for row in matrix for value in row)):
        raise SettingError(feature, matrix, f"3 x 3 numbers within +-{largest:g}", where)


def is_forward(matrix: Matrix3) -> bool:
    """Whether white, (1, 1, 1), becomes about D50 (DNG 1.4, ForwardMatrix); or nothing at all."""
    sums = [sum(row) for row in matrix]
    return all(abs(a - b) <= 0.1 for a, b in zip(sums, _D50, strict=True)) or not any(
        value for row in matrix for value in row
    )


def _in(feature: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:  # written so that NaN fails
        raise SettingError(feature, value, f"{low:g} to {high:g}", "calibration")
