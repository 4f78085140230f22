"""Camera colour: matrices, colour temperature and neutrals, in the manner of DNG 1.4, chapter 6.

A *neutral* is the camera's RGB of something grey, green being 1. *Balanced* camera RGB has been
divided by it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from modoptic.calibration import Calibration
from modoptic.errors import SettingError
from modoptic.frame import FrameMeta, Settings

__all__ = [
    "auto_white",
    "camera_to_srgb",
    "even_colors",
    "kelvin_from_neutral",
    "neutral_from_kelvin",
    "xy_from_kelvin",
]

Matrix: TypeAlias = npt.NDArray[np.float64]
Neutral: TypeAlias = tuple[float, float, float]
Colors: TypeAlias = Calibration | FrameMeta | None

D50 = np.array([0.96422, 1.0, 0.82521])
"""XYZ of the ICC profile connection space (ICC.1:2010, 7.2.16)."""
XYZ_TO_SRGB = np.array(
    [
        [3.2404542, -1.5371385, -0.4985314],
        [-0.9692660, 1.8760108, 0.0415560],
        [0.0556434, -0.2040259, 1.0572252],
    ]
)
"""XYZ with white D65 to linear sRGB (IEC 61966-2-1)."""
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
_D65_XY = (0.3127, 0.3290)

# EXIF LightSource to correlated colour temperature in kelvin (DNG 1.4, CalibrationIlluminant1)
_ILLUMINANT_K = {
    1: 5500.0, 2: 4150.0, 3: 2850.0, 4: 5500.0, 9: 5500.0, 10: 6500.0, 11: 7500.0, 12: 6430.0,
    13: 5000.0, 14: 4150.0, 15: 3450.0, 17: 2856.0, 18: 4874.0, 19: 6774.0, 20: 5503.0,
    21: 6504.0, 22: 7504.0, 23: 5003.0, 24: 3200.0,
}  # fmt: skip

# A. R. Robertson's isotherms: reciprocal megakelvin, u, v (CIE 1960) and slope; G. Wyszecki and
# W. S. Stiles, Color Science, 2nd ed., p. 228, with the misprint of u at 325 put right
_ISOTHERMS = np.array(
    [
        (0, 0.18006, 0.26352, -0.24341), (10, 0.18066, 0.26589, -0.25479),
        (20, 0.18133, 0.26846, -0.26876), (30, 0.18208, 0.27119, -0.28539),
        (40, 0.18293, 0.27407, -0.30470), (50, 0.18388, 0.27709, -0.32675),
        (60, 0.18494, 0.28021, -0.35156), (70, 0.18611, 0.28342, -0.37915),
        (80, 0.18740, 0.28668, -0.40955), (90, 0.18880, 0.28997, -0.44278),
        (100, 0.19032, 0.29326, -0.47888), (125, 0.19462, 0.30141, -0.58204),
        (150, 0.19962, 0.30921, -0.70471), (175, 0.20525, 0.31647, -0.84901),
        (200, 0.21142, 0.32312, -1.0182), (225, 0.21807, 0.32909, -1.2168),
        (250, 0.22511, 0.33439, -1.4512), (275, 0.23247, 0.33904, -1.7298),
        (300, 0.24010, 0.34308, -2.0637), (325, 0.24792, 0.34655, -2.4681),
        (350, 0.25591, 0.34951, -2.9641), (375, 0.26400, 0.35200, -3.5814),
        (400, 0.27218, 0.35407, -4.3633), (425, 0.28039, 0.35577, -5.3762),
        (450, 0.28863, 0.35714, -6.7262), (475, 0.29685, 0.35823, -8.5955),
        (500, 0.30505, 0.35907, -11.324), (525, 0.31320, 0.35968, -15.628),
        (550, 0.32129, 0.36011, -23.325), (575, 0.32931, 0.36038, -40.770),
        (600, 0.33724, 0.36051, -116.45),
    ]
)  # fmt: skip
_TINT = 3000.0
"""Tint units to one unit of CIE 1960 uv, as raw converters count it; positive is magenta."""


def _uv(xy: tuple[float, float]) -> tuple[float, float]:
    x, y = xy
    d = 1.5 - x + 6.0 * y
    return 2.0 * x / d, 3.0 * y / d


def _directions() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Unit vectors along the isotherms."""
    slope = _ISOTHERMS[:, 3]
    length = np.sqrt(1 + slope * slope)
    return 1 / length, slope / length


def kelvin_from_xy(xy: tuple[float, float]) -> tuple[float, float]:
    """Correlated colour temperature (K) and tint of a chromaticity, by Robertson's method."""
    u, v = _uv(xy)
    du, dv = _directions()
    side = (v - _ISOTHERMS[:, 2]) * du - (u - _ISOTHERMS[:, 1]) * dv
    crossed = np.flatnonzero(side[1:] <= 0)
    i = int(crossed[0]) + 1 if crossed.size else len(side) - 1
    below, above = max(float(side[i - 1]), 0.0), max(float(-side[i]), 0.0)
    f = below / (below + above) if below + above > 0 else 0.0
    low, high = _ISOTHERMS[i - 1], _ISOTHERMS[i]
    mired = max(float(low[0] + f * (high[0] - low[0])), 10.0)
    foot_u = float(low[1] + f * (high[1] - low[1]))
    foot_v = float(low[2] + f * (high[2] - low[2]))
    along_u = float(du[i - 1] + f * (du[i] - du[i - 1]))
    along_v = float(dv[i - 1] + f * (dv[i] - dv[i - 1]))
    length = math.hypot(along_u, along_v)
    tint = ((u - foot_u) * along_u + (v - foot_v) * along_v) / length * _TINT
    return 1e6 / mired, tint


def xy_from_kelvin(kelvin: float, tint: float = 0.0) -> tuple[float, float]:
    """CIE 1931 chromaticity of a colour temperature (K, 1667 to 100000) and tint.

    Tint 0 is the black-body locus; daylight lies near tint -9.
    """
    mired = min(max(1e6 / kelvin, 1.0), 599.9)
    i = int(np.searchsorted(_ISOTHERMS[:, 0], mired, side="right"))
    low, high = _ISOTHERMS[i - 1], _ISOTHERMS[i]
    f = float((mired - low[0]) / (high[0] - low[0]))
    du, dv = _directions()
    along_u = float(du[i - 1] + f * (du[i] - du[i - 1]))
    along_v = float(dv[i - 1] + f * (dv[i] - dv[i - 1]))
    length = math.hypot(along_u, along_v)
    u = float(low[1] + f * (high[1] - low[1])) + tint / _TINT * along_u / length
    v = float(low[2] + f * (high[2] - low[2])) + tint / _TINT * along_v / length
    d = u - 4.0 * v + 2.0
    return 1.5 * u / d, v / d


def _xyz(xy: tuple[float, float]) -> npt.NDArray[np.float64]:
    x, y = xy
    return np.array([x / y, 1.0, (1.0 - x - y) / y])


def _adapt(source: npt.NDArray[np.float64], target: npt.NDArray[np.float64]) -> Matrix:
    """Bradford chromatic adaptation between two whites in XYZ."""
    ratio = (_BRADFORD @ target) / (_BRADFORD @ source)
    return np.linalg.inv(_BRADFORD) @ np.diag(ratio) @ _BRADFORD


def _matrices(colors: Colors, xy: tuple[float, float]) -> tuple[Matrix, Matrix | None]:
    """XYZ to camera, and balanced camera to XYZ D50 where measured, for a white ``xy``."""
    to_camera, forward = _known(colors, xy)
    if to_camera is None or abs(np.linalg.det(to_camera)) < 1e-6:
        # nothing known, or nothing sensible: take the camera's primaries for those of sRGB
        return XYZ_TO_SRGB, None
    return to_camera, forward


def _known(colors: Colors, xy: tuple[float, float]) -> tuple[Matrix | None, Matrix | None]:
    if isinstance(colors, Calibration) and colors.colors:
        first, last = colors.colors[0], colors.colors[-1]
        a = _ILLUMINANT_K.get(first.illuminant, 5003.0)
        b = _ILLUMINANT_K.get(last.illuminant, 5003.0)
        share = 1.0  # of the first
        if a != b:
            kelvin = kelvin_from_xy(xy)[0]
            share = min(max((1 / kelvin - 1 / b) / (1 / a - 1 / b), 0.0), 1.0)
        mix = share * np.array(first.color_matrix) + (1 - share) * np.array(last.color_matrix)
        forward = share * np.array(first.forward_matrix) + (1 - share) * np.array(
            last.forward_matrix
        )
        measured = np.any(np.array(first.forward_matrix)) and np.any(np.array(last.forward_matrix))
        return mix, forward if measured else None
    if isinstance(colors, FrameMeta) and colors.color_matrix is not None:
        return np.array(colors.color_matrix, dtype=np.float64), None
    return None, None


def _white(colors: Colors, neutral: Sequence[float]) -> tuple[float, float]:
    """Chromaticity of the light under which ``neutral`` is grey (DNG 1.4: solved by iteration)."""
    camera = _checked(neutral)
    xy = (0.3457, 0.3585)  # D50
    for _ in range(30):
        xyz = np.linalg.solve(_matrices(colors, xy)[0], camera)
        total = float(xyz.sum())
        if total <= 0 or xyz[1] <= 0:
            return xy
        found = (float(xyz[0]) / total, float(xyz[1]) / total)
        if abs(found[0] - xy[0]) + abs(found[1] - xy[1]) < 1e-7:
            return found
        xy = found
    return xy


def _checked(neutral: Sequence[float]) -> npt.NDArray[np.float64]:
    values = np.asarray(neutral, dtype=np.float64)
    if values.shape != (3,) or not np.all(np.isfinite(values)) or values.min() <= 0:
        raise SettingError("white balance", neutral, "three positive numbers (camera RGB of grey)")
    return values


def camera_to_srgb(colors: Colors, neutral: Sequence[float]) -> Matrix:
    """3 x 3 matrix from balanced camera RGB to linear sRGB; (1, 1, 1) stays (1, 1, 1).

    Parameters
    ----------
    colors : the unit's calibration; or metadata with a colour matrix; or None, which takes the
        camera's primaries for those of sRGB
    neutral : camera RGB of grey

    Raises
    ------
    SettingError : the neutral is no colour
    """
    camera = _checked(neutral)
    xy = _white(colors, neutral)
    to_camera, forward = _matrices(colors, xy)
    if forward is not None:
        to_xyz = _adapt(D50, _xyz(_D65_XY)) @ forward
    else:
        to_xyz = _adapt(_xyz(xy), _xyz(_D65_XY)) @ np.linalg.inv(to_camera) @ np.diag(camera)
    matrix = XYZ_TO_SRGB @ to_xyz
    sums = matrix.sum(axis=1, keepdims=True)
    return matrix / sums


def neutral_from_kelvin(colors: Colors, kelvin: float, tint: float = 0.0) -> Neutral:
    """Camera RGB, green 1, of grey under light of a colour temperature (K) and tint.

    Raises
    ------
    SettingError : a temperature outside 1700 to 50000 K or a tint beyond +-150
    """
    if not 1700 <= kelvin <= 50000:
        raise SettingError("colour temperature", kelvin, "1700 to 50000 K")
    if not -150 <= tint <= 150:
        raise SettingError("tint", tint, "-150 (green) to 150 (magenta)")
    xy = xy_from_kelvin(kelvin, tint)
    rgb = np.maximum(_matrices(colors, xy)[0] @ _xyz(xy), 1e-3)
    return float(rgb[0] / rgb[1]), 1.0, float(rgb[2] / rgb[1])


def kelvin_from_neutral(colors: Colors, neutral: Sequence[float]) -> tuple[float, float]:
    """Colour temperature (K) and tint of the light under which ``neutral`` is grey."""
    return kelvin_from_xy(_white(colors, neutral))


_LIGHTS_MIRED = range(120, 420, 20)
"""Lights that zones are held against, 8300 to 2400 K."""
_PLAUSIBLE = 0.2
"""How far (in log ratio) a grey thing may be from the locus of real lights ..."""
_SAME_LIGHT = 0.15
"""... and from each other, under one light: white paper is not all of one white."""


class Zoned(Protocol):
    """Anything with mean camera RGB of zones, as `modoptic.isp.FinderStats`."""

    zones: npt.NDArray[np.float32]


def even_colors(
    zones: npt.NDArray[np.float32], calibration: Calibration, settings: Settings
) -> npt.NDArray[np.float32]:
    """Zones (rows, columns, 3) of a whole frame as if the lens had given each the same colour.

    How bright they are stays: what is dark or clipped remains so.
    """
    shading = calibration.shading_at(settings.f_number, settings.focus_distance_m)
    if shading is None:
        return zones
    y, x = (np.abs((np.arange(n) + 0.5) / n * 2.0 - 1.0) for n in zones.shape[:2])
    # of a frame of 4:3, whose corner is at 1
    q = np.add.outer((0.6 * y) ** 2, (0.8 * x) ** 2)[..., None]
    k = np.array(shading.colors).T
    fall = np.maximum(1.0 + q * (k[0] + q * (k[1] + q * k[2])), 1e-3)
    return np.asarray(zones * (fall[..., 1:2] / fall), np.float32)


def auto_white(
    light: npt.NDArray[np.float32] | Zoned, colors: Colors, *, clipped: float = 0.9
) -> Neutral:
    """The neutral of a scene from mean camera RGB of its zones, shape ``(..., 3)``, 0..1.

    The light is where most of the brightness agrees: each zone that is neither dark nor clipped
    votes, by its brightness, for the colour it would have if it were grey; votes far from every
    real light (the black-body locus) count little. The mean of the votes around the densest place
    is taken. A mean over all zones, grey world, would let a table of brown wood turn white paper
    blue. ``light`` is such an array, or the statistics of a finder frame.
    """
    zones = light if isinstance(light, np.ndarray) else light.zones
    means = np.asarray(zones, dtype=np.float64).reshape(-1, 3)
    good = means[(means.max(axis=1) < clipped) & (means.min(axis=1) > 0.004)]
    if not len(good):
        return neutral_from_kelvin(colors, 5000.0)
    ratios = np.log(good[:, [0, 2]] / good[:, [1]])
    if _known(colors, _D65_XY)[0] is None:
        red, blue = np.exp(ratios.mean(axis=0))
        return float(red), 1.0, float(blue)
    lights = np.log([neutral_from_kelvin(colors, 1e6 / m) for m in _LIGHTS_MIRED])[:, [0, 2]]
    apart = np.linalg.norm(ratios[:, None, :] - lights[None, :, :], axis=2)
    votes = good[:, 1] * (np.exp(-((apart.min(axis=1) / _PLAUSIBLE) ** 2)) + 1e-3)
    agree = np.exp(-((apart / _SAME_LIGHT) ** 2))
    densest = agree[:, int(np.argmax(votes @ agree))] + 1e-6
    mean = np.exp((ratios * (votes * densest)[:, None]).sum(axis=0) / (votes @ densest))
    kelvin, tint = kelvin_from_neutral(colors, (float(mean[0]), 1.0, float(mean[1])))
    return neutral_from_kelvin(
        colors, min(max(kelvin, 2000.0), 12000.0), min(max(tint, -40.0), 40.0)
    )
