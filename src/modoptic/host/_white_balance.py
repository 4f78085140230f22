"""Auto white balance that follows the light smoothly."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from modoptic.calibration import Calibration
from modoptic.frame import Settings
from modoptic.isp import auto_white, even_colors, kelvin_from_neutral, neutral_from_kelvin

Neutral = tuple[float, float, float]
"""Camera RGB of grey, green 1."""

START_KELVIN = 5500.0
KELVIN_LIMITS = (2000.0, 12000.0)
"""Of light that photographs are taken in, found or set by hand."""
TINT_MAX = 40.0
_SLOW_SHARE = 0.4
_DEAD_MIRED = 2.0
_LOOK_EVERY = 8
"""Frames: light changes slowly, and looking costs 2 ms."""


class AutoWhiteBalance:
    """Follows the light of one camera.

    Parameters
    ----------
    calibration : of the camera
    start_kelvin : where to begin, from the camera in use before
    """

    def __init__(self, calibration: Calibration, start_kelvin: float | None = None) -> None:
        self._calibration = calibration
        self._mired = 1e6 / (start_kelvin or START_KELVIN)
        self._tint = 0.0
        self._frames = 0
        self._neutral = neutral_from_kelvin(calibration, self.kelvin)

    @property
    def kelvin(self) -> float:
        return 1e6 / self._mired

    @property
    def neutral(self) -> Neutral:
        return self._neutral

    def meter(self, zones: npt.NDArray[np.float32], settings: Settings | None = None) -> None:
        """Learn from the mean camera RGB of a frame's zones, shape ``(rows, columns, 3)``, 0..1.

        With the ``settings`` of the frame, what the lens makes of colours is evened out.
        """
        due = self._frames % _LOOK_EVERY == 0
        self._frames += 1
        if not due:
            return
        if settings is not None:
            zones = even_colors(zones, self._calibration, settings)
        found = auto_white(zones, self._calibration)
        kelvin, tint = kelvin_from_neutral(self._calibration, found)
        kelvin = min(max(kelvin, KELVIN_LIMITS[0]), KELVIN_LIMITS[1])
        tint = min(max(tint, -TINT_MAX), TINT_MAX)
        change = 1e6 / kelvin - self._mired
        share = 1.0 if self._frames == 1 else _SLOW_SHARE
        if abs(change) > _DEAD_MIRED or abs(tint - self._tint) > 1 or share == 1.0:
            self._mired += share * change
            self._tint += share * (tint - self._tint)
            self._neutral = neutral_from_kelvin(self._calibration, self.kelvin, self._tint)
