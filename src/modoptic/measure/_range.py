"""Signal to noise ratio over the signal, and the dynamic ranges that follow from it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modoptic.errors import SettingError
from modoptic.measure._emva import Figure
from modoptic.measure._noise import PairStatistics
from modoptic.measure._planes import Patches

FloatArray = npt.NDArray[np.float64]

CLAFF_CIRCLE_UM = 22.0
"""Side of the square circle of confusion of a 36 x 24 mm frame. B. Claff does not print the number;
this one reproduces the values he publishes within 0.5 stops."""
CLAFF_SNR = 20.0
FULL_FRAME_DIAGONAL_MM = 43.267


@dataclass(frozen=True, eq=False)
class SnrCurve:
    """Signal and noise of one colour at rising light, in one unit."""

    signal: FloatArray
    """(n,): above the black level, rising."""
    noise: FloatArray
    """(n,): standard deviation of a pixel."""
    samples: FloatArray
    """(n,): independent values behind each noise."""

    @property
    def snr(self) -> FloatArray:
        return self.signal / self.noise

    @property
    def snr_db(self) -> FloatArray:
        """20 log10 of it (EMVA 1288, release 4.0, 2.5)."""
        return 20.0 * np.log10(np.maximum(self.snr, 1e-12))

    def at(self, signal: float) -> float:
        """Signal to noise ratio at a signal, between the steps; NaN beyond them."""
        if not self.signal[0] <= signal <= self.signal[-1]:
            return math.nan
        return float(np.exp(np.interp(math.log(signal), np.log(self.signal), np.log(self.snr))))

    def signal_at(self, snr: float) -> Figure:
        """The smallest signal with a signal to noise ratio; not measurable beyond the steps."""
        ratio = self.snr
        above = np.flatnonzero(ratio >= snr)
        if not above.size:
            why = f"the ratio reaches {ratio.max():.3g} only"
            return Figure(None, float(self.signal[-1]), None, why)
        k = int(above[0])
        if k == 0:
            why = f"the ratio is {ratio[0]:.3g} at the darkest step already"
            return Figure(None, None, float(self.signal[0]), why)
        x, y = np.log(self.signal[k - 1 : k + 1]), np.log(ratio[k - 1 : k + 1])
        slope = float((y[1] - y[0]) / (x[1] - x[0]))
        value = math.exp(float(x[0]) + (math.log(snr) - float(y[0])) / slope)
        # a standard deviation of n values is known to 1 / sqrt(2 n) of itself
        spread = math.sqrt(0.5 / float(self.samples[k - 1 : k + 1].min())) / slope
        return Figure.of(value, value * spread)


def snr_curve(signal: npt.ArrayLike, noise: npt.ArrayLike, samples: npt.ArrayLike) -> SnrCurve:
    """A curve of steps in any order; those without signal or noise are left out.

    Raises
    ------
    SettingError : lengths that differ, or fewer than two steps with signal and noise
    """
    s, n, count = (np.atleast_1d(np.asarray(v, np.float64)) for v in (signal, noise, samples))
    if s.ndim != 1 or s.shape != n.shape or s.shape != count.shape:
        raise SettingError("noise steps", (s.shape, n.shape, count.shape), "of one length")
    order = np.argsort(s)
    order = order[(s[order] > 0.0) & (n[order] > 0.0)]
    if order.size < 2:
        raise SettingError("noise steps", f"{order.size} above black", "2 or more")
    return SnrCurve(s[order], n[order], count[order])


def snr_of_pairs(pairs: Iterable[PairStatistics], dark_level: float, pixels: int) -> SnrCurve:
    """Temporal noise from `pair_statistics` of flat frames of ``pixels`` each."""
    found = list(pairs)
    return snr_curve(
        [pair.mean - dark_level for pair in found],
        [math.sqrt(pair.variance) for pair in found],
        [float(pixels)] * len(found),
    )


def snr_of_patches(patches: Patches, color: int) -> SnrCurve:
    """Noise within the patches of one frame, fixed pattern included; clipped patches left out."""
    kept = patches.clipped < 0.001
    return snr_curve(patches.mean[kept, color], patches.deviation[kept, color], patches.count[kept])


def image_snr(snr: npt.ArrayLike, pixels: float, *, out_pixels: float = 8e6) -> FloatArray:
    """Signal to noise ratio of the whole picture scaled to ``out_pixels``: image-normalised.

    Cameras of different resolution are compared at one picture size. Averaging m pixels whose noise
    is independent raises the ratio by sqrt(m); a finished picture's noise is not, and gains less.

    Raises
    ------
    SettingError : pixels that are not above zero
    """
    if not (pixels > 0 and out_pixels > 0):
        raise SettingError("pixels", (pixels, out_pixels), "numbers above zero")
    return np.asarray(snr, np.float64) * math.sqrt(pixels / out_pixels)


def engineering_dynamic_range(saturation_e: float, dark_noise_e: float) -> float:
    """log2 of full well over temporal dark noise, in stops.

    EMVA 1288 itself divides by the threshold mu_e.min, where the ratio is 1 with the signal's own
    shot noise: `Emva1288.dynamic_range`.

    Raises
    ------
    SettingError : values that are not above zero
    """
    if not (saturation_e > 0 and dark_noise_e > 0):
        raise SettingError("full well and noise", (saturation_e, dark_noise_e), "above zero")
    return math.log2(saturation_e / dark_noise_e)


def dynamic_range(curve: SnrCurve, saturation: float, *, snr: float = 1.0) -> Figure:
    """Stops from the signal whose signal to noise ratio is ``snr`` up to saturation.

    Not measurable, with a lower limit, where the darkest step is better than that already.
    """
    least = curve.signal_at(snr)
    if least.value is None or least.low is None or least.high is None:
        low = None if least.high is None else math.log2(saturation / least.high)
        high = None if least.low is None else math.log2(saturation / least.low)
        return Figure(None, low, high, least.why)
    deviation = (least.high - least.low) / (2 * 1.959964 * least.value * math.log(2.0))
    return Figure.of(math.log2(saturation / least.value), deviation)


def circle_of_confusion_um(diagonal_mm: float) -> float:
    """Side of Claff's square for a sensor, smaller in proportion to its diagonal.

    Raises
    ------
    SettingError : a diagonal that is not above zero
    """
    if not diagonal_mm > 0:
        raise SettingError("sensor diagonal", diagonal_mm, "millimetres above zero")
    return CLAFF_CIRCLE_UM * diagonal_mm / FULL_FRAME_DIAGONAL_MM


def photographic_snr(pitch_um: float, diagonal_mm: float) -> float:
    """Ratio of one pixel at which a circle of confusion has 20; for `dynamic_range`.

    The photographic dynamic range of B. Claff counts from the signal whose ratio is 20 in the area
    that an eye takes for a point in a print of a given size
    (photonstophotos.net, "Photographic Dynamic Range").

    Raises
    ------
    SettingError : a pitch or diagonal that is not above zero
    """
    if not pitch_um > 0:
        raise SettingError("pixel pitch", pitch_um, "micrometres above zero")
    return CLAFF_SNR * pitch_um / circle_of_confusion_um(diagonal_mm)


def photographic_dynamic_range(
    saturation_e: float, read_noise_e: float, pitch_um: float, diagonal_mm: float
) -> float:
    """Claff's photographic dynamic range of a sensor with shot and read noise, in stops.

    With m pixels in a circle of confusion the least signal S in it solves
    S / sqrt(S + m r^2) = 20. A measured curve knows of fixed pattern and quantisation, too: use
    ``dynamic_range(curve, saturation, snr=photographic_snr(pitch_um, diagonal_mm))``.

    Raises
    ------
    SettingError : values that are not above zero (read noise may be zero)
    """
    if not (saturation_e > 0 and read_noise_e >= 0 and pitch_um > 0):
        raise SettingError(
            "sensor", (saturation_e, read_noise_e, pitch_um), "full well and pitch above zero"
        )
    pixels = (circle_of_confusion_um(diagonal_mm) / pitch_um) ** 2
    square = CLAFF_SNR**2
    least = 0.5 * (square + math.sqrt(square**2 + 4 * square * pixels * read_noise_e**2))
    return math.log2(saturation_e * pixels / least)
