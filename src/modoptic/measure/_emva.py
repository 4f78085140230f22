"""A sensor characterised after EMVA standard 1288, release 4.0, linear camera model.

Symbols are the standard's: y is a value in DN, mu a mean, sigma^2 a temporal and s^2 a spatial
variance, K the overall system gain in DN per electron, H the exposure in any unit that is
proportional to light.

Intervals are 95 % and come from the number of pixels: a variance estimated from n independent
normal values has a relative standard deviation of sqrt(2 / n); what is derived from several
estimates has theirs added in quadrature. They say nothing of systematic errors, such as light
that is not even.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from modoptic.errors import SettingError
from modoptic.measure._noise import Picture, pair_statistics

__all__ = [
    "DarkCurrent",
    "Emva1288",
    "ExposureStep",
    "Figure",
    "Nonuniformity",
    "dark_current",
    "emva1288",
    "nonuniformity",
]

_QUANTISATION = 1.0 / 12.0
_LEAST_DARK_DN = 0.24
"""Below this temporal dark noise, in DN^2 of variance, quantisation hides it (release 4.0, 6.7)."""
_Z95 = 1.959964
_FIT_TO = 0.7
_LINEAR_FROM, _LINEAR_TO = 0.05, 0.95
_STEPS_MIN = 9
_Part = Literal["total", "row", "column"]


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured figure with its 95 % interval, or why it cannot be measured.

    ``value`` is None where it is not measurable; ``low`` or ``high`` may still be a limit then.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    why: str = ""

    @classmethod
    def of(cls, value: float, deviation: float) -> Figure:
        """``value`` with the standard deviation of its estimate."""
        return cls(value, value - _Z95 * deviation, value + _Z95 * deviation)

    @classmethod
    def root(cls, variance: float, deviation: float, why: str) -> Figure:
        """The root of an estimated variance; not measurable where that is not surely above 0."""
        if variance <= _Z95 * deviation:
            return cls(None, None, math.sqrt(max(variance + _Z95 * deviation, 0.0)), why)
        value = math.sqrt(variance)
        return cls.of(value, 0.5 * deviation / value)

    def times(self, factor: float, relative: float = 0.0) -> Figure:
        """In another unit; ``relative`` is the relative standard deviation of the factor."""
        if self.value is None or self.low is None or self.high is None:
            return Figure(None, None, None if self.high is None else self.high * factor, self.why)
        own = (self.high - self.low) / (2 * _Z95)
        value = self.value * factor
        return Figure.of(value, math.hypot(own * factor, value * relative))

    def __str__(self) -> str:
        if self.value is None:
            limit = "" if self.high is None else f", below {self.high:.3g}"
            limit += "" if self.low is None else f", above {self.low:.3g}"
            return f"not measurable ({self.why}){limit}"
        return f"{self.value:.4g} ({self.low:.4g} to {self.high:.4g})"


@dataclass(frozen=True, slots=True)
class ExposureStep:
    """Two frames of even light, and two dark ones of the same exposure time."""

    exposure: float
    """H: mean photons a pixel, or anything proportional to it."""
    first: Picture
    second: Picture
    dark_first: Picture
    dark_second: Picture


@dataclass(frozen=True, slots=True)
class Nonuniformity:
    """Spatial variance of a stack of frames of the same light, in DN^2, less temporal noise."""

    mean: float
    temporal: float
    """sigma_y.stack^2 of one frame."""
    frames: int
    total: float
    row: float
    column: float
    pixel: float
    deviations: dict[str, float]
    """Standard deviation of each estimate by its name."""


@dataclass(frozen=True, slots=True)
class Emva1288:
    """What the standard reports of one colour plane at one gain."""

    gain: Figure
    """K, DN per electron."""
    dark_level_dn: float
    dark_noise_e: Figure
    """sigma_d: temporal, in electrons, without quantisation."""
    saturation_e: Figure
    """mu_e.sat: mean electrons where the temporal variance is largest."""
    snr_max: Figure
    """Ratio, sqrt(mu_e.sat)."""
    threshold_e: Figure
    """mu_e.min: electrons whose signal to noise ratio is 1."""
    dynamic_range: Figure
    """Ratio, mu_e.sat / mu_e.min."""
    linearity_error: float
    """Mean of the absolute deviations between 5 and 95 % of saturation, in per cent."""
    linearity_worst: tuple[float, float]
    """Smallest and largest of these deviations, in per cent."""
    dsnu_e: Figure | None
    prnu: Figure | None
    """Relative; DSNU and PRNU are None where no stacks were given."""
    dsnu_rows_columns_e: tuple[Figure, Figure] | None
    prnu_rows_columns: tuple[Figure, Figure] | None
    quantum_efficiency: Figure
    """eta, where exposures are photons a pixel; else electrons per unit of exposure."""


@dataclass(frozen=True, slots=True)
class DarkCurrent:
    """Dark current in electrons a second, from the mean and from the variance."""

    from_mean: Figure
    from_variance: Figure


@dataclass(frozen=True, slots=True)
class _Response:
    """Steps as numbers, at rising exposure."""

    exposure: npt.NDArray[np.float64]
    signal: npt.NDArray[np.float64]
    shot: npt.NDArray[np.float64]
    """Temporal variance above the dark's."""
    noise: npt.NDArray[np.float64]
    """Temporal variance, dark included."""
    dark: npt.NDArray[np.float64]
    dark_level: float
    dark_variance: float
    pixels: int


def emva1288(
    steps: Iterable[ExposureStep],
    *,
    dark_stack: Iterable[Picture] | None = None,
    grey_stack: Iterable[Picture] | None = None,
) -> Emva1288:
    """Characterise one colour plane from pairs at rising exposure, and stacks for its patterns.

    Frames are taken one after the other from iterators, so that memory stays at a few frames.

    Parameters
    ----------
    steps : at least 9 (the standard asks for 50), of which the brightest are saturated; frames
        ``(height, width)`` in DN, all of one size
    dark_stack, grey_stack : frames without light, and at about half of saturation; 2 or more each
        (the standard asks for 100 and more)

    Raises
    ------
    SettingError : too few steps, frames of unlike size, exposures that do not rise, or steps that
        do not reach saturation
    """
    response = _response(steps)
    top = int(np.argmax(response.noise))
    if top == response.noise.size - 1:
        raise SettingError(
            "exposure steps",
            f"{response.noise.size}, variance still rising at the last",
            "steps beyond saturation, where the variance falls again",
        )
    saturation_dn = float(response.signal[top])
    gain, gain_relative = _gain(response, saturation_dn)
    electrons = 1.0 / gain
    dark_noise = _dark_noise(response, gain, gain_relative)
    # the saturation lies between its neighbours: half a step is what is not known of it
    half_step = 0.25 * float(response.signal[top + 1] - response.signal[max(top - 1, 0)])
    saturation = Figure.of(
        saturation_dn * electrons,
        math.hypot(abs(half_step) / _Z95 * electrons, saturation_dn * electrons * gain_relative),
    )
    threshold = _threshold(response, gain, gain_relative)
    mean_error, worst = _linearity(response, saturation_dn)
    eta, eta_relative = _efficiency(response, saturation_dn, gain, gain_relative)
    dark = nonuniformity(dark_stack) if dark_stack is not None else None
    grey = nonuniformity(grey_stack) if grey_stack is not None else None
    e_sat = saturation_dn * electrons
    return Emva1288(
        gain=Figure.of(gain, gain * gain_relative),
        dark_level_dn=response.dark_level,
        dark_noise_e=dark_noise,
        saturation_e=saturation,
        snr_max=Figure.of(math.sqrt(e_sat), 0.5 * math.sqrt(e_sat) * _relative(saturation)),
        threshold_e=threshold,
        dynamic_range=saturation.times(1.0 / (threshold.value or math.inf), _relative(threshold)),
        linearity_error=mean_error,
        linearity_worst=worst,
        dsnu_e=_dsnu(dark, "total", electrons, gain_relative) if dark else None,
        prnu=_prnu(dark, grey, "total") if dark and grey else None,
        dsnu_rows_columns_e=(
            (
                _dsnu(dark, "row", electrons, gain_relative),
                _dsnu(dark, "column", electrons, gain_relative),
            )
            if dark
            else None
        ),
        prnu_rows_columns=(
            (_prnu(dark, grey, "row"), _prnu(dark, grey, "column")) if dark and grey else None
        ),
        quantum_efficiency=Figure.of(eta, eta * eta_relative),
    )


def nonuniformity(stack: Iterable[Picture]) -> Nonuniformity:
    """Spatial variances of a stack of frames ``(height, width)`` of the same light.

    Total, row, column and pixel follow from the variances of the mean frame, of its rows' and of
    its columns' means, each less what temporal noise of a mean of L frames leaves in it
    (release 4.0, 8.2).

    Raises
    ------
    SettingError : fewer than two frames, frames of unlike size, or smaller than 16 x 16
    """
    frames = 0
    mean = squares = np.empty((0, 0))
    for picture in stack:
        frame = np.asarray(picture, np.float64)
        if frame.ndim != 2 or min(frame.shape) < 16 or (frames and frame.shape != mean.shape):
            raise SettingError("stack frame", frame.shape, "frames of one size, 16 x 16 or more")
        frames += 1
        if frames == 1:
            mean, squares = frame.copy(), np.zeros(frame.shape)
            continue
        step = frame - mean  # Welford 1962: sums that do not lose digits
        mean += step / frames
        squares += step * (frame - mean)
    if frames < 2:
        raise SettingError("stack", f"{frames} frames", "2 or more, better 100")
    rows, columns = mean.shape
    temporal = float(squares.mean() / (frames - 1))
    left = temporal / frames
    level = float(mean.mean())
    measured = float(mean.var())
    of_rows = float(mean.mean(axis=1).var())
    of_columns = float(mean.mean(axis=0).var())
    # rows' means hold row + pixel / columns, columns' means column + pixel / rows; temporal noise
    # is independent in each pixel and adds to the pixel's share
    share = np.array([[1.0, 0.0, 1 / columns], [0.0, 1.0, 1 / rows], [1.0, 1.0, 1.0]])
    row, column, pixel = np.linalg.solve(share, np.array([of_rows, of_columns, measured]))
    return Nonuniformity(
        mean=level,
        temporal=temporal,
        frames=frames,
        total=measured - left,
        row=float(row),
        column=float(column),
        pixel=float(pixel) - left,
        deviations={
            "total": measured * math.sqrt(2.0 / mean.size),
            "row": of_rows * math.sqrt(2.0 / rows),
            "column": of_columns * math.sqrt(2.0 / columns),
            "pixel": float(pixel) * math.sqrt(2.0 / mean.size),
        },
    )


def dark_current(
    exposures_s: Sequence[float], pairs: Sequence[tuple[Picture, Picture]], gain: Figure
) -> DarkCurrent:
    """Dark current from dark pairs at different exposure times; ``gain`` in DN per electron.

    Raises
    ------
    SettingError : fewer than three exposure times, or all of them the same
    """
    times = np.asarray(exposures_s, np.float64)
    if times.size != len(pairs) or times.size < 3 or np.ptp(times) == 0:
        raise SettingError("dark exposures", len(pairs), "pairs at 3 or more different times")
    if gain.value is None:
        why = "the gain is not known"
        return DarkCurrent(Figure(None, why=why), Figure(None, why=why))
    found = [pair_statistics(*pair) for pair in pairs]
    pixels = pairs[0][0].size
    variance = np.array([pair.variance for pair in found])
    mean_rate, mean_deviation = _line(
        times, np.array([pair.mean for pair in found]), np.sqrt(variance / (2 * pixels))
    )[1]
    rate, deviation = _line(times, variance, variance * math.sqrt(2.0 / pixels))[1]
    why = "the dark level does not rise surely with time"

    def figure(slope: float, spread: float, unit: float, relative: float) -> Figure:
        if slope <= _Z95 * spread:
            return Figure(None, None, max(slope + _Z95 * spread, 0.0) / unit, why)
        return Figure.of(slope, spread).times(1.0 / unit, relative)

    relative = _relative(gain)
    return DarkCurrent(
        from_mean=figure(mean_rate, mean_deviation, gain.value, relative),
        from_variance=figure(rate, deviation, gain.value**2, 2 * relative),
    )


def _response(steps: Iterable[ExposureStep]) -> _Response:
    exposure: list[float] = []
    rows: list[tuple[float, float, float, float]] = []
    size: tuple[int, ...] | None = None
    for step in steps:
        if size is not None and step.first.shape != size:
            raise SettingError("exposure step", step.first.shape, f"frames of {size}")
        size = step.first.shape
        lit = pair_statistics(step.first, step.second)
        dark = pair_statistics(step.dark_first, step.dark_second)
        exposure.append(step.exposure)
        rows.append((lit.mean, lit.variance, dark.mean, dark.variance))
    if size is None or len(rows) < _STEPS_MIN:
        raise SettingError("exposure steps", len(rows), f"{_STEPS_MIN} or more, better 50")
    h = np.array(exposure)
    if not (np.diff(h) > 0).all():
        raise SettingError("exposures", "not rising", "each above the one before")
    mean, variance, dark_mean, dark_variance = np.array(rows).T
    return _Response(
        exposure=h,
        signal=mean - dark_mean,
        shot=variance - dark_variance,
        noise=variance,
        dark=dark_variance,
        dark_level=float(dark_mean[0]),
        dark_variance=float(dark_variance[: max(3, h.size // 10)].mean()),
        pixels=int(np.prod(size)),
    )


def _gain(response: _Response, saturation_dn: float) -> tuple[float, float]:
    """K, the slope of shot noise over signal up to 70 % of saturation, and its relative error."""
    used = (response.signal > 0) & (response.signal <= _FIT_TO * saturation_dn)
    if used.sum() < 3:
        raise SettingError(
            "exposure steps", f"{int(used.sum())} below 70 % of saturation", "3 or more"
        )
    signal, shot = response.signal[used], response.shot[used]
    spread = np.hypot(response.noise[used], response.dark[used]) * math.sqrt(2 / response.pixels)
    weight = 1.0 / spread**2
    norm = float((weight * signal**2).sum())
    gain = float((weight * signal * shot).sum()) / norm
    return gain, 1.0 / (math.sqrt(norm) * gain)


def _dark_noise(response: _Response, gain: float, gain_relative: float) -> Figure:
    variance = response.dark_variance
    pairs = max(3, response.exposure.size // 10)
    deviation = variance * math.sqrt(2.0 / (response.pixels * pairs))
    if variance < _LEAST_DARK_DN:
        limit = math.sqrt(max(_LEAST_DARK_DN - _QUANTISATION, 0.0)) / gain
        return Figure(None, None, limit, "quantisation hides it")
    noise = Figure.root(variance - _QUANTISATION, deviation, "quantisation hides it")
    return noise.times(1.0 / gain, gain_relative)


def _threshold(response: _Response, gain: float, gain_relative: float) -> Figure:
    """Electrons at a signal to noise ratio of 1: sigma_y.dark / K + 1/2 (release 4.0, eq. 26)."""
    dark = math.sqrt(max(response.dark_variance, _LEAST_DARK_DN)) / gain
    relative = math.hypot(gain_relative, math.sqrt(0.5 / (3 * response.pixels)))
    return Figure.of(dark + 0.5, dark * relative)


def _linearity(response: _Response, saturation_dn: float) -> tuple[float, tuple[float, float]]:
    """Deviations from the line that makes relative errors least, in per cent (release 4.0, 6.8)."""
    used = (response.signal >= _LINEAR_FROM * saturation_dn) & (
        response.signal <= _LINEAR_TO * saturation_dn
    )
    if used.sum() < 3:
        raise SettingError(
            "exposure steps", f"{int(used.sum())} between 5 and 95 % of saturation", "3 or more"
        )
    h, y = response.exposure[used], response.signal[used]
    (offset, _), (slope, _) = _line(h, y, y)
    line = offset + slope * h
    deviation = 100.0 * (y - line) / line
    return float(np.abs(deviation).mean()), (float(deviation.min()), float(deviation.max()))


def _efficiency(
    response: _Response, saturation_dn: float, gain: float, gain_relative: float
) -> tuple[float, float]:
    """Electrons per unit of exposure: responsivity over gain, up to 70 % of saturation."""
    used = response.signal <= _FIT_TO * saturation_dn
    h, y = response.exposure[used], response.signal[used]
    spread = np.sqrt((response.noise[used] + response.dark[used]) / (2 * response.pixels))
    weight = 1.0 / np.maximum(spread, 1e-12) ** 2
    norm = float((weight * h**2).sum())
    slope = float((weight * h * y).sum()) / norm
    relative = 1.0 / (math.sqrt(norm) * slope)
    return slope / gain, math.hypot(relative, gain_relative)


def _dsnu(dark: Nonuniformity, part: _Part, electrons: float, relative: float) -> Figure:
    """s_y.dark / K (release 4.0, eq. 48)."""
    root = Figure.root(
        getattr(dark, part), dark.deviations[part], "the pattern is below the noise that is left"
    )
    return root.times(electrons, relative)


def _prnu(dark: Nonuniformity, grey: Nonuniformity, part: _Part) -> Figure:
    """sqrt(s_y.50^2 - s_y.dark^2) / (mu_y.50 - mu_y.dark) (release 4.0, eq. 49)."""
    level = grey.mean - dark.mean
    if level <= 0:
        raise SettingError("grey stack", f"{level:.4g} DN above the dark stack", "more light")
    variance = getattr(grey, part) - getattr(dark, part)
    deviation = math.hypot(grey.deviations[part], dark.deviations[part])
    root = Figure.root(variance, deviation, "the pattern is not above that of the dark")
    return root.times(1.0 / level)


def _line(
    x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], spread: npt.NDArray[np.float64]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Least squares line with errors in y: ((offset, deviation), (slope, deviation))."""
    weight = 1.0 / np.maximum(spread, 1e-12) ** 2
    total = float(weight.sum())
    centre = float((weight * x).sum()) / total
    around = x - centre
    norm = float((weight * around**2).sum())
    slope = float((weight * around * y).sum()) / norm
    offset = float((weight * y).sum()) / total - slope * centre
    return (offset, math.sqrt(1 / total + centre**2 / norm)), (slope, 1 / math.sqrt(norm))


def _relative(figure: Figure) -> float:
    if not figure.value or figure.low is None or figure.high is None:
        return 0.0
    return (figure.high - figure.low) / (2 * _Z95 * abs(figure.value))
