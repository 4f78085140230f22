"""Texture: how much of a known random chart survives, by cross-spectrum.

After McElvain et al., "Texture-based measurement of spatial frequency response using the dead
leaves target" (Proc. SPIE 7537, 2010) and Kirk et al., "Description of texture loss using the dead
leaves target: current issues and a new intrinsic approach" (Proc. SPIE 9014, 2014): noise, and
detail that processing invents, have no phase in common with the chart and drop out, unlike in
methods that compare power spectra.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modoptic.errors import SettingError

FloatArray = npt.NDArray[np.float64]

_RINGS_MIN = 8


@dataclass(frozen=True, eq=False)
class Texture:
    """What is left of a chart's texture."""

    frequency: FloatArray
    """(n,): cycles per pixel, 0 excluded, to 0.5."""
    response: FloatArray
    """(n,): real part of the transfer, 1 where the texture is as in the chart."""
    deviation: FloatArray
    """(n,): standard deviation of ``response`` by what has nothing in common with the chart."""

    @property
    def mtf50(self) -> float:
        """First frequency where the response falls to one half; 0.5 where it never does."""
        below = np.flatnonzero(self.response < 0.5)
        if not below.size:
            return 0.5
        i = int(below[0])
        if i == 0:
            return float(self.frequency[0])
        (f0, f1), (r0, r1) = self.frequency[i - 1 : i + 1], self.response[i - 1 : i + 1]
        return float(f0 + (r0 - 0.5) / (r0 - r1) * (f1 - f0))


def texture(picture: npt.NDArray[np.generic], chart: npt.NDArray[np.generic]) -> Texture:
    """Response of a picture of a known texture, averaged over all directions.

    Parameters
    ----------
    picture : (height, width), linear in light, of the chart alone
    chart : (height, width), what a perfect camera would have seen at the same pixels, linear; its
        scale does not matter beyond that of ``picture``: both are divided by their means

    Raises
    ------
    SettingError : pictures of unlike size, below 64 x 64, not finite, dark, or without texture
    """
    seen, known = (_contrast(np.asarray(part, np.float64)) for part in (picture, chart))
    if seen.shape != known.shape:
        raise SettingError("texture picture", seen.shape, f"the chart's size, {known.shape}")
    height, width = known.shape
    window = np.hanning(height)[:, None] * np.hanning(width)[None]
    a, b = (np.fft.rfft2(part * window) for part in (seen, known))
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    rings = max(_RINGS_MIN, min(height, width) // 4)
    ring = np.ceil(radius * 2 * rings).astype(np.int64).ravel()
    inside = (ring >= 1) & (ring <= rings)
    ring = ring[inside] - 1

    def gathered(values: FloatArray) -> FloatArray:
        return np.bincount(ring, values.ravel()[inside], minlength=rings).astype(np.float64)

    power = gathered(np.abs(b) ** 2)
    if not power.min() > 0.0:
        raise SettingError("chart", "no detail at some frequency", "a texture of all scales")
    response = gathered((a * b.conj()).real) / power
    # what the ring's own response does not explain is noise; half of its power is in phase
    rest = gathered(np.abs(a) ** 2) - response**2 * power
    count = np.bincount(ring, minlength=rings)
    share = np.maximum(rest, 0.0) / (2.0 * np.maximum(count - 1, 1) * power)
    # a window spreads each value over its neighbours: 2.25 of them count as one, each way
    deviation = np.sqrt(share * 2.25)
    middle = gathered(radius) / count
    return Texture(middle, response, deviation)


def _contrast(picture: FloatArray) -> FloatArray:
    if picture.ndim != 2 or min(picture.shape) < 64 or not np.isfinite(picture).all():
        raise SettingError("texture", picture.shape, "a finite picture of at least 64 x 64")
    mean = float(picture.mean())
    if not mean > 0.0:
        raise SettingError("texture", f"a mean of {mean:g}", "a picture that is not dark")
    return picture / mean - 1.0
