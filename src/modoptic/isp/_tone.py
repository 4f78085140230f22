"""How linear light becomes display values: the same curve for the finder and for the still."""

from __future__ import annotations

import functools
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Tone: TypeAlias = Literal["film", "linear"]

LUMA = np.array([0.2126, 0.7152, 0.0722])
"""Luminance of linear sRGB (ITU-R BT.709)."""
_CONTRAST = 1.30
_GREY_IN, _GREY_OUT = 0.13, 0.18
"""A meter that leaves about 3 stops above mid grey for highlights puts grey near 0.13 of full
scale; on the display it is 0.18."""


def srgb_encoded(linear: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """IEC 61966-2-1 encoding of 0..1."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def _film(x: npt.NDArray[np.float64], white: float) -> npt.NDArray[np.float64]:
    """Log-logistic curve through (0, 0), mid grey and (white, 1): toe, straight part, shoulder."""
    grey, top = _GREY_IN**_CONTRAST, white**_CONTRAST
    k = top * grey * (1 - _GREY_OUT) / (_GREY_OUT * top - grey)
    power = x**_CONTRAST
    return (top + k) / top * power / (power + k)


@functools.lru_cache(maxsize=32)
def tone_curve(tone: Tone, exposure_ev: float, size: int, top: int) -> npt.NDArray[np.uint16]:
    """Table from linear 0..1 to ``0..top``, uint16 ``(size,)``, read-only.

    ``film`` has a toe and a shoulder; ``linear`` is only the sRGB encoding. Exposure is applied
    before the curve; when raised, the shoulder is lengthened so that highlights still roll off.
    """
    x = np.linspace(0.0, 1.0, size) * 2.0**exposure_ev
    if tone == "film":
        x = _film(x, max(1.0, 2.0**exposure_ev))
    table = np.rint(srgb_encoded(np.clip(x, 0.0, 1.0)) * top).astype(np.uint16)
    table.setflags(write=False)
    return table


def saturation_matrix(amount: float) -> npt.NDArray[np.float64]:
    """3 x 3 for linear sRGB: 1 leaves colours, 0 makes grey, above 1 makes them stronger."""
    return amount * np.eye(3) + (1 - amount) * np.tile(LUMA, (3, 1))
