"""Colour differences: CIELAB 1976 and CIEDE2000."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from modoptic.errors import SettingError
from modoptic.measure._color import D50_WHITE, chromatic_adaptation

FloatArray = npt.NDArray[np.float64]

D65_WHITE = np.array([0.95047, 1.0, 1.08883])
"""XYZ of CIE illuminant D65, 2 degree observer (ASTM E308)."""
_SRGB_TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
"""IEC 61966-2-1, white D65."""


def srgb_to_linear(codes: npt.ArrayLike) -> FloatArray:
    """sRGB values 0..1 to light 0..1, any shape (IEC 61966-2-1, 4.6)."""
    value = np.asarray(codes, np.float64)
    return np.where(
        value <= 0.04045, value / 12.92, ((np.maximum(value, 0.04045) + 0.055) / 1.055) ** 2.4
    )


def srgb_to_xyz_d50(linear: npt.ArrayLike) -> FloatArray:
    """Linear sRGB ``(..., 3)`` to XYZ ``(..., 3)`` with white D50, by linear Bradford (ICC.1)."""
    matrix = chromatic_adaptation(D65_WHITE, D50_WHITE) @ _SRGB_TO_XYZ
    return np.asarray(linear, np.float64) @ matrix.T


def xyz_to_lab(xyz: npt.ArrayLike, white: npt.ArrayLike = D50_WHITE) -> FloatArray:
    """CIELAB ``(..., 3)`` of XYZ ``(..., 3)`` under a white ``(3,)`` of any scale (CIE 15, 8.2.1).

    Negative XYZ, which a matrix may give, go on along the straight part near black.
    """
    ratio = np.asarray(xyz, np.float64) / np.asarray(white, np.float64)
    cube = np.cbrt(np.maximum(ratio, 0.0))
    f = np.where(ratio > (6 / 29) ** 3, cube, ratio * (29 / 6) ** 2 / 3 + 4 / 29)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def lab_to_xyz(lab: npt.ArrayLike, white: npt.ArrayLike = D50_WHITE) -> FloatArray:
    """The inverse of `xyz_to_lab`, on the scale of ``white``."""
    values = np.asarray(lab, np.float64)
    y = (values[..., 0] + 16) / 116
    f = np.stack([y + values[..., 1] / 500, y, y - values[..., 2] / 200], axis=-1)
    ratio = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29))
    return ratio * np.asarray(white, np.float64)


def delta_e_ab(first: npt.ArrayLike, second: npt.ArrayLike) -> FloatArray:
    """CIE 1976 difference Delta E*ab of Lab ``(..., 3)``; shape ``(...)`` (CIE 15, 8.2.1.3)."""
    a, b = _alike(first, second)
    return np.sqrt(((a - b) ** 2).sum(axis=-1))


def delta_e_2000(first: npt.ArrayLike, second: npt.ArrayLike) -> FloatArray:
    """CIEDE2000 difference of Lab ``(..., 3)``, all weights 1; shape ``(...)``.

    G. Sharma, W. Wu, E. N. Dalal, "The CIEDE2000 color-difference formula: implementation notes,
    supplementary test data, and mathematical observations", Color Res. Appl. 30 (2005), 21-30.
    Numbers in comments are those of its equations.

    >>> round(float(delta_e_2000([50, 2.6772, -79.7751], [50, 0, -82.7485])), 4)
    2.0425

    Raises
    ------
    SettingError : shapes that do not end in 3 or do not fit each other
    """
    one, two = _alike(first, second)
    chroma = 0.5 * (np.hypot(one[..., 1], one[..., 2]) + np.hypot(two[..., 1], two[..., 2]))
    # (4) and (5): greens and reds near grey are spread
    stretch = 1.0 + 0.5 * (1.0 - np.sqrt(chroma**7 / (chroma**7 + 25.0**7)))
    a1, b1 = stretch * one[..., 1], one[..., 2]
    a2, b2 = stretch * two[..., 1], two[..., 2]
    c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)
    h1, h2 = (np.degrees(np.arctan2(b, a)) % 360.0 for a, b in ((a1, b1), (a2, b2)))
    grey = c1 * c2 == 0.0
    turn = h2 - h1
    # (10): the short way round
    turn = np.where(turn > 180.0, turn - 360.0, np.where(turn < -180.0, turn + 360.0, turn))
    turn = np.where(grey, 0.0, turn)
    lightness = two[..., 0] - one[..., 0]
    purity = c2 - c1
    hue = 2.0 * np.sqrt(c1 * c2) * np.sin(np.radians(0.5 * turn))  # (11)
    level = 0.5 * (one[..., 0] + two[..., 0])
    c = 0.5 * (c1 + c2)
    total = h1 + h2
    # (14)
    far = np.abs(h1 - h2) > 180.0
    h = np.where(far, np.where(total < 360.0, total + 360.0, total - 360.0), total)
    h = np.where(grey, total, 0.5 * h)
    t = (
        1.0
        - 0.17 * np.cos(np.radians(h - 30.0))
        + 0.24 * np.cos(np.radians(2.0 * h))
        + 0.32 * np.cos(np.radians(3.0 * h + 6.0))
        - 0.20 * np.cos(np.radians(4.0 * h - 63.0))
    )  # (15)
    rotation = 30.0 * np.exp(-(((h - 275.0) / 25.0) ** 2))  # (16)
    r_c = 2.0 * np.sqrt(c**7 / (c**7 + 25.0**7))  # (17)
    s_l = 1.0 + 0.015 * (level - 50.0) ** 2 / np.sqrt(20.0 + (level - 50.0) ** 2)  # (18)
    s_c = 1.0 + 0.045 * c  # (19)
    s_h = 1.0 + 0.015 * c * t  # (20)
    r_t = -np.sin(np.radians(2.0 * rotation)) * r_c  # (21)
    lightness, purity, hue = lightness / s_l, purity / s_c, hue / s_h
    # the form is positive, but rounding may take it below nothing
    square = lightness**2 + purity**2 + hue**2 + r_t * purity * hue
    return np.sqrt(np.maximum(square, 0.0))  # (22)


def _alike(first: npt.ArrayLike, second: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    one, two = np.asarray(first, np.float64), np.asarray(second, np.float64)
    fits = one.ndim > 0 and two.ndim > 0 and one.shape[-1] == two.shape[-1] == 3
    try:
        one, two = np.broadcast_arrays(one, two)
    except ValueError:
        fits = False
    if not fits:
        raise SettingError("Lab colours", (one.shape, two.shape), "two of shape (..., 3), alike")
    return one, two
