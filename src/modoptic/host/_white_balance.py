"""Auto white balance: the grey world, held to light that exists.

The mean colour of a scene is taken for grey (Buchsbaum 1980), but only as far as it could be the
colour of daylight or of a lamp: the nearest point on a table of camera neutrals over correlated
colour temperature is used. A wall of one colour pulls along the table, never off it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

Neutral = tuple[float, float, float]
"""Camera RGB of grey, green 1."""

KELVIN_MIN, KELVIN_MAX = 2500.0, 9000.0
_STEPS = 53
_SLOW_SHARE = 0.15
_DEAD_MIRED = 2.0


class AutoWhiteBalance:
    """Follows the light of one camera.

    Parameters
    ----------
    neutral_of : camera neutral under light of a colour temperature in kelvin
    start_kelvin : where to begin, from the camera in use before
    """

    def __init__(
        self, neutral_of: Callable[[float], Neutral], start_kelvin: float | None = None
    ) -> None:
        first, last = 1e6 / KELVIN_MAX, 1e6 / KELVIN_MIN
        self._mireds = [first + (last - first) * i / (_STEPS - 1) for i in range(_STEPS)]
        self._table = [_logs(neutral_of(1e6 / mired)) for mired in self._mireds]
        self._mired = 1e6 / (start_kelvin or 5500.0)
        self._settled = False

    @property
    def kelvin(self) -> float:
        return 1e6 / self._mired

    def meter(self, mean: Neutral) -> None:
        """Learn from the mean camera RGB of a frame's photosites that are not clipped."""
        if min(mean) <= 0:
            return
        red, blue = _logs(mean)
        distances = [(r - red) ** 2 + (b - blue) ** 2 for r, b in self._table]
        nearest = min(range(_STEPS), key=distances.__getitem__)
        change = self._mireds[nearest] - self._mired
        if not self._settled:
            self._mired += change
            self._settled = True
        elif abs(change) > _DEAD_MIRED:
            self._mired += change * _SLOW_SHARE


def _logs(rgb: Neutral) -> tuple[float, float]:
    return math.log(rgb[0] / rgb[1]), math.log(rgb[2] / rgb[1])
