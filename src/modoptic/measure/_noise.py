"""Noise: photon transfer, dark level, noise profiles and defects (after EMVA 1288 release 4.0)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modoptic.calibration import NoisePoint
from modoptic.errors import SettingError

FloatArray = npt.NDArray[np.float64]
Picture = npt.NDArray[np.generic]

_QUANTISATION = 1.0 / 12.0
"""Variance of rounding to whole DN, in DN^2."""


@dataclass(frozen=True, slots=True)
class PairStatistics:
    """What two frames of the same light say."""

    mean: float
    """DN, dark level included."""
    variance: float
    """Temporal, of one frame, DN^2."""


@dataclass(frozen=True, slots=True)
class PhotonTransfer:
    """The photon transfer of one colour plane (EMVA 1288, linear model)."""

    dn_per_electron: float
    """Overall system gain K."""
    dark_level_dn: float
    read_noise_e: float
    """Temporal dark noise without rounding."""
    saturation_e: float
    """Signal where the temporal variance is largest."""


def pair_statistics(first: Picture, second: Picture) -> PairStatistics:
    """Mean and temporal variance from two frames of the same light; fixed patterns drop out.

    Raises
    ------
    SettingError : frames of unlike or no size
    """
    if first.shape != second.shape or first.size < 2:
        raise SettingError("frame pair", (first.shape, second.shape), "two frames of one size")
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    difference = a - b
    return PairStatistics(float(0.5 * (a.mean() + b.mean())), float(0.5 * difference.var()))


def photon_transfer(dark: PairStatistics, lit: Sequence[PairStatistics]) -> PhotonTransfer:
    """Gain, read noise and saturation from pairs at rising light.

    K is the slope of temporal variance over mean between 0 and 70 % of saturation, as the standard
    has it; shot noise of n electrons has variance n.

    Raises
    ------
    SettingError : fewer than three lit pairs below saturation
    """
    pairs = sorted(lit, key=lambda p: p.mean)
    top = max(range(len(pairs)), key=lambda i: pairs[i].variance, default=0)
    saturation = pairs[top].mean - dark.mean if pairs else 0.0
    used = [p for p in pairs if 0 < p.mean - dark.mean <= 0.7 * saturation]
    if len(used) < 3:
        raise SettingError("photon transfer", f"{len(used)} pairs", "3 pairs below 70 % saturation")
    signal = np.array([p.mean - dark.mean for p in used])
    variance = np.array([p.variance - dark.variance for p in used])
    # a variance is known to a fixed share of itself
    weight = 1.0 / np.array([p.variance for p in used])
    gain = float((weight * weight * signal * variance).sum() / (weight**2 * signal**2).sum())
    read = float(np.sqrt(max(dark.variance - _QUANTISATION, 0.0))) / gain
    return PhotonTransfer(gain, dark.mean, read, saturation / gain)


def noise_point(
    gain: float, dark: PairStatistics, lit: Sequence[PairStatistics], white_level: float
) -> NoisePoint:
    """The noise profile at one analogue gain: variance = scale * signal + offset, signal 0..1.

    ``lit`` as for `photon_transfer`; ``white_level`` in DN.
    """
    transfer = photon_transfer(dark, lit)
    levels = white_level - dark.mean
    return NoisePoint(
        gain=gain, scale=transfer.dn_per_electron / levels, offset=dark.variance / levels**2
    )


def defects(darks: Sequence[Picture], *, sigmas: float = 12.0) -> list[tuple[int, int]]:
    """(x, y) of pixels that stand out in every one of at least two dark frames, sorted.

    A pixel stands out when it lies more than ``sigmas`` robust standard deviations (1.4826 times
    the median absolute deviation) from the median, and at least 8 DN.
    """
    if len(darks) < 2:
        raise SettingError("dark frames", len(darks), "at least 2")
    found: npt.NDArray[np.bool_] | None = None
    for dark in darks:
        level = np.asarray(dark, np.float32)
        distance = np.abs(level - np.median(level[::3]))
        # the tail decides here, so a part of the pixels is enough to know the spread
        spread = 1.4826 * float(np.median(distance.reshape(-1)[::17]))
        out = distance > max(sigmas * spread, 8.0)
        found = out if found is None else found & out
    assert found is not None
    return sorted((int(x), int(y)) for y, x in np.argwhere(found))
