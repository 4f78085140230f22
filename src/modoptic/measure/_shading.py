"""Shading: how light and colour change from the axis to the corner."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modoptic.calibration import Shading
from modoptic.errors import SettingError
from modoptic.measure._planes import ColorPlanes, color_planes

FloatArray = npt.NDArray[np.float64]


_DARKEST = 0.02
"""Of the brightest: what is darker counts no more in a fit."""


def shading(
    flat: npt.NDArray[np.generic],
    black_level: float,
    *,
    f_number: float,
    focus_distance_m: float,
    block: int = 32,
    cfa: tuple[str, ...] | None = None,
) -> Shading:
    """Relative illumination of a frame of an even field: 1 + k1 r^2 + k2 r^4 + k3 r^6.

    r is 1 in the corner of the frame. The frame is averaged in blocks, which asks for a ``block``
    that holds whole CFA patterns. With ``cfa``, rows of a Bayer pattern, each colour is measured by
    itself; else all together. The fit has the least relative error, as who divides by it needs.

    Raises
    ------
    SettingError : a frame smaller than eight blocks on a side, or without light
    """
    rows, columns = flat.shape[0] // block, flat.shape[1] // block
    if min(rows, columns) < 8:
        raise SettingError("flat frame", flat.shape, f"at least {8 * block} pixels on a side")
    height, width = flat.shape
    y = (np.arange(rows) + 0.5) * block - height / 2
    x = (np.arange(columns) + 0.5) * block - width / 2
    r2 = (y[:, None] ** 2 + x[None] ** 2).ravel() / ((height / 2) ** 2 + (width / 2) ** 2)
    terms = np.stack([np.ones_like(r2), r2, r2**2, r2**3], 1)
    planes = color_planes(flat[: rows * block, : columns * block], cfa, black_level=black_level)
    side = block // planes.step

    def fitted(plane: npt.NDArray[np.float32]) -> tuple[float, float, float]:
        blocks = plane.reshape(rows, side, columns, side)
        light = blocks.mean((1, 3), dtype=np.float64).ravel()
        weights = 1.0 / np.maximum(light, _DARKEST * np.abs(light).max() + 1e-12)
        fit = np.linalg.lstsq(terms * weights[:, None], light * weights, rcond=None)[0]
        center, k1, k2, k3 = fit
        if center <= 0:
            raise SettingError("flat frame", f"{center:g} DN in the middle", "light on the sensor")
        return float(k1 / center), float(k2 / center), float(k3 / center)

    fits = [fitted(plane) for plane in planes.values]
    return Shading(
        f_number=f_number,
        focus_distance_m=focus_distance_m,
        coefficients=fits[planes.green],
        red=fits[0] if len(fits) == 3 else None,
        blue=fits[2] if len(fits) == 3 else None,
    )


@dataclass(frozen=True, eq=False)
class ShadingMap:
    """How even a frame of an even field is, in each colour."""

    relative: FloatArray
    """(colours, rows, columns): light over that of the middle, each colour by itself."""
    x: FloatArray
    y: FloatArray
    """(columns,), (rows,): middles of the blocks in pixels of the frame."""
    noise: float
    """Standard deviation of a block's value by the noise of its samples."""
    clipped: float
    """Share of samples at saturation; 0 where saturation is not known."""

    @property
    def light(self) -> FloatArray:
        """(rows, columns): relative illumination, of green where there are colours."""
        return self.relative[1 if len(self.relative) == 3 else 0]

    @property
    def corners(self) -> FloatArray:
        """Relative illumination of the four corner blocks: upper left, upper right, lower left,
        lower right."""
        return self.light[[0, 0, -1, -1], [0, -1, 0, -1]]

    @property
    def color(self) -> FloatArray:
        """(2, rows, columns): red over green and blue over green, 1 in the middle.

        Raises
        ------
        SettingError : a grey picture
        """
        if len(self.relative) != 3:
            raise SettingError("colour shading", "a grey picture", "red, green and blue")
        return self.relative[[0, 2]] / self.relative[1]

    @property
    def nonuniformity(self) -> float:
        """(largest - smallest) / largest of the relative illumination, in per cent."""
        return 100.0 * float(1.0 - self.light.min() / self.light.max())

    @property
    def color_nonuniformity(self) -> tuple[float, float]:
        """The same of red over green and of blue over green."""
        red, blue = (100.0 * float(1.0 - part.min() / part.max()) for part in self.color)
        return red, blue


def shading_map(planes: ColorPlanes, *, blocks: int = 32) -> ShadingMap:
    """Relative illumination and colour shading of a frame of an even field.

    Means of blocks, so that noise and dust count little; the middle is the mean of the one to four
    blocks about it. ISO 17957:2015 asks for the same of the picture; a raw shows lens and sensor
    alone.

    Parameters
    ----------
    planes : linear, the black level taken off
    blocks : along the width, 8 or more

    Raises
    ------
    SettingError : fewer than 8 x 8 samples a block, no light in the middle, or a clipped frame
    """
    height, width = planes.values.shape[1:]
    block = width // blocks if blocks >= 8 else 0
    rows, columns = (height // block, width // block) if block else (0, 0)
    if block < 8 or rows < 2:
        raise SettingError("blocks", blocks, "8 or more, of 8 x 8 samples or more each")
    # what does not fill a block is left out evenly on both sides
    left, top = (width - columns * block) // 2, (height - rows * block) // 2
    part = planes.values[:, top : top + rows * block, left : left + columns * block]
    tiles = part.reshape(len(part), rows, block, columns, block)
    mean = tiles.mean((2, 4), dtype=np.float64)
    down, across = (slice((n - 1) // 2, n // 2 + 1) for n in (rows, columns))
    middle = mean[:, down, across].mean((1, 2))
    if not middle.min() > 0.0:
        raise SettingError("flat frame", middle.tolist(), "light in the middle in every colour")
    full = 0.0
    if planes.saturation is not None:
        full = float((part >= 0.998 * planes.saturation).mean())
        if full > 0.01:
            raise SettingError("flat frame", f"{100 * full:.1f} % clipped", "a shorter exposure")
    # neighbours differ by noise and hardly by shading
    away = np.diff(part[:, ::2], axis=2)[:, :, ::2].std(axis=(1, 2), dtype=np.float64)
    noise = float((away / np.sqrt(2.0) / middle).max()) / block
    x = (left + (np.arange(columns) + 0.5) * block - 0.5) * planes.step
    y = (top + (np.arange(rows) + 0.5) * block - 0.5) * planes.step
    shift = 0.5 * (planes.step - 1)
    return ShadingMap(mean / middle[:, None, None], x + shift, y + shift, noise, full)
