"""Shading: how the light falls off from the axis to the corner."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from modoptic.calibration import Shading
from modoptic.errors import SettingError


def shading(
    flat: npt.NDArray[np.generic],
    black_level: float,
    *,
    f_number: float,
    focus_distance_m: float,
    block: int = 32,
) -> Shading:
    """Relative illumination of a frame of an even field: 1 + k1 r^2 + k2 r^4 + k3 r^6.

    r is 1 in the corner of the frame. The frame is averaged in blocks, all colours together, which
    asks for a ``block`` that holds whole CFA patterns.

    Raises
    ------
    SettingError : a frame smaller than eight blocks on a side, or without light
    """
    rows, columns = flat.shape[0] // block, flat.shape[1] // block
    if min(rows, columns) < 8:
        raise SettingError("flat frame", flat.shape, f"at least {8 * block} pixels on a side")
    whole = np.asarray(flat[: rows * block, : columns * block], np.float64)
    mean = whole.reshape(rows, block, columns, block).mean((1, 3)) - black_level
    height, width = flat.shape
    y = (np.arange(rows) + 0.5) * block - height / 2
    x = (np.arange(columns) + 0.5) * block - width / 2
    r2 = (y[:, None] ** 2 + x[None] ** 2).ravel() / ((height / 2) ** 2 + (width / 2) ** 2)
    terms = np.stack([np.ones_like(r2), r2, r2**2, r2**3], 1)
    center, k1, k2, k3 = np.linalg.lstsq(terms, mean.ravel(), rcond=None)[0]
    if center <= 0:
        raise SettingError("flat frame", f"{center:g} DN in the middle", "light on the sensor")
    return Shading(
        f_number=f_number,
        focus_distance_m=focus_distance_m,
        coefficients=(float(k1 / center), float(k2 / center), float(k3 / center)),
    )
