"""Auto exposure: from raw statistics of a frame to the settings of a frame to come.

Each frame says what was in force when it was taken, so it measures the *light of the scene*
whatever is still on its way through the link. The light is what is smoothed, and the settings
follow from it at once; a delay of some frames between statistics and effect can therefore not make
it swing.

Exposure here is H = exposure_s * gain / f_number^2, in stops where said so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from modoptic.frame import Settings
from modoptic.source import CameraInfo

MID_GREY = 0.13
"""Mean raw level that is aimed at: 3 stops below white, as `modoptic.isp` expects of mid grey."""
HIGHLIGHT = 0.95
"""Raw level under which the brightest half percent should stay ..."""
PROTECTION_STOPS = 0.7
"""... but never at the price of more than this: lamps in the picture may clip."""
DEFAULT_F_NUMBER = 2.8
_CLIPPED_SHARE = 0.005
_DEAD_ZONE = 0.08
_SLOW_SHARE = 0.25
_BLIND_LEVEL = 1e-4
_FINDER_SLOWEST_S = 1 / 60
_AUTO_GAIN_MAX = 32.0
_AUTO_SLOWEST_S = 1 / 8


@dataclass(frozen=True, slots=True)
class Metering:
    """What one raw frame says about light."""

    level: float
    """Mean luminance, 0 (black) to 1 (white level), after the black level."""
    highlight: float
    """Level that 99.5 % of the photosites do not exceed."""
    clipped: float
    """Part of the photosites at the white level."""
    settings: Settings
    """In force when it was taken."""


@dataclass(slots=True)
class Manual:
    """What the photographer has taken over; None is left to the camera."""

    f_number: float | None = None
    exposure_s: float | None = None
    gain: float | None = None


def stops(settings: Settings) -> float:
    """log2 of H."""
    return math.log2(settings.exposure_s * settings.gain / settings.f_number**2)


class AutoExposure:
    """Keeps an estimate of the light and turns it into settings along a program line.

    Parameters
    ----------
    info : limits of the camera
    start : log2 H to begin with, from the camera that was in use before; None if there was none
    """

    def __init__(self, info: CameraInfo, start: float | None = None) -> None:
        self._info = info
        self._wanted = math.log2(1 / 60 / DEFAULT_F_NUMBER**2) if start is None else start
        self._settled = False

    @property
    def wanted(self) -> float:
        """log2 H that would expose the scene right, without compensation."""
        return self._wanted

    def meter(self, metering: Metering) -> None:
        """Learn from a frame."""
        level = max(metering.level, _BLIND_LEVEL)
        # clipped photosites hide light. How much is not known: a frame that is all white may be 4
        # stops brighter still, and one that came out too dark then says exactly how much
        level *= 2 ** (4 * metering.clipped**2)
        error = math.log2(MID_GREY / level)
        over = math.log2(HIGHLIGHT / max(metering.highlight, _BLIND_LEVEL))
        if metering.clipped > _CLIPPED_SHARE:
            # how far above is not known: go down by the share that clips, and look again
            over = -min(20 * metering.clipped, 2.0)
        error = min(error, max(over, error - PROTECTION_STOPS))
        change = stops(metering.settings) + error - self._wanted
        if not self._settled:
            self._wanted += change
            self._settled = True
        elif abs(change) > _DEAD_ZONE:
            # a new scene is followed at once, a cloud gently
            self._wanted += change * min(_SLOW_SHARE + abs(change), 1.0)

    def choose(self, manual: Manual, ev: float) -> tuple[float, float, float]:
        """(exposure_s, gain, f_number) for the light and what the hand set; ``ev`` in stops.

        The shutter stays faster than 1 / (35 mm equivalent focal length), and than a finder frame,
        as long as gain can make up for it; then it gets longer.
        """
        info = self._info
        f_number = manual.f_number or _clamp(DEFAULT_F_NUMBER, info.f_number_min, info.f_number_max)
        exposure = 2 ** (self._wanted + ev) * f_number**2  # exposure_s * gain
        slowest = min(_FINDER_SLOWEST_S, 1 / max(info.focal_length_35mm, 1.0))
        if manual.exposure_s is not None:
            exposure_s = manual.exposure_s
            gain = manual.gain or _clamp(exposure / exposure_s, 1.0, info.gain_max)
        elif manual.gain is not None:
            gain = manual.gain
            exposure_s = exposure / gain
        else:
            exposure_s = min(exposure, slowest)
            gain = _clamp(exposure / exposure_s, 1.0, min(_AUTO_GAIN_MAX, info.gain_max))
            exposure_s = min(exposure / gain, _AUTO_SLOWEST_S)
            gain = _clamp(exposure / exposure_s, gain, info.gain_max)
        exposure_s = _clamp(exposure_s, info.exposure_min_s, info.exposure_max_s)
        if manual.f_number is None and exposure < info.exposure_min_s:
            # brighter than the fastest shutter can cut: close the iris
            f_number *= math.sqrt(info.exposure_min_s / exposure)
            f_number = _clamp(f_number, info.f_number_min, info.f_number_max)
        return exposure_s, gain, f_number


def _clamp(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)
