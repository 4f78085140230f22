"""EMVA 1288 on sensors whose figures are known, and on the twin's."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pytest

from modoptic.errors import SettingError
from modoptic.measure import (
    Emva1288,
    ExposureStep,
    dark_current,
    emva1288,
    nonuniformity,
)

Frame = npt.NDArray[np.float64]


@dataclass
class Model:
    """A sensor of the standard's linear model, written anew here: Poisson, offsets, rounding."""

    seed: int = 1
    shape: tuple[int, int] = (512, 512)
    gain: float = 0.5
    read_e: float = 3.0
    dsnu_e: float = 2.0
    row_e: float = 0.0
    prnu: float = 0.01
    eta: float = 0.6
    well_e: float = 7000.0
    dark_e_s: float = 0.0
    black: float = 100.0
    bend: float = 0.0
    """Share of the signal missing at the full well."""
    random: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)
        self.offsets = self.dsnu_e * self.random.standard_normal(self.shape)
        self.offsets += self.row_e * self.random.standard_normal((self.shape[0], 1))
        self.gains = 1 + self.prnu * self.random.standard_normal(self.shape)

    def take(self, photons: float = 0.0, seconds: float = 0.0) -> Frame:
        electrons = self.random.poisson(photons * self.eta, self.shape) * self.gains
        electrons = electrons * (1 - self.bend * electrons / self.well_e)
        electrons += self.random.poisson(self.dark_e_s * seconds, self.shape)
        electrons += self.read_e * self.random.standard_normal(self.shape)
        return np.rint(self.black + self.gain * np.minimum(electrons + self.offsets, self.well_e))

    def steps(self, count: int = 26) -> Iterator[ExposureStep]:
        top = 1.25 * self.well_e / self.eta
        for n in range(count):
            photons = top * n / (count - 1)
            yield ExposureStep(
                photons, self.take(photons), self.take(photons), self.take(), self.take()
            )

    def stack(self, photons: float = 0.0, frames: int = 24) -> Iterator[Frame]:
        for _ in range(frames):
            yield self.take(photons)

    def measured(self, *, stacks: bool = True) -> Emva1288:
        half = 0.5 * self.well_e / self.eta
        return emva1288(
            self.steps(),
            dark_stack=self.stack() if stacks else None,
            grey_stack=self.stack(half) if stacks else None,
        )


def test_every_figure_of_a_known_sensor() -> None:
    model = Model()
    found = model.measured()
    assert found.gain.value == pytest.approx(0.5, rel=0.01)
    assert found.dark_noise_e.value == pytest.approx(3.0, rel=0.01)
    assert found.dark_level_dn == pytest.approx(100, abs=0.05)
    # the variance falls where the first photosites clip: within a step of 350 e-
    assert found.saturation_e.value == pytest.approx(7000, abs=1.1 * 350)
    assert found.snr_max.value == pytest.approx(math.sqrt(found.saturation_e.value or 0))
    dark_e = math.sqrt(3.0**2 + 1 / 12 / 0.5**2)
    assert found.threshold_e.value == pytest.approx(dark_e + 0.5, rel=0.01)
    assert found.quantum_efficiency.value == pytest.approx(0.6, rel=0.01)
    assert found.dsnu_e is not None and found.prnu is not None
    assert found.dsnu_e.value == pytest.approx(2.0, rel=0.02)
    assert found.prnu.value == pytest.approx(0.01, rel=0.02)
    assert found.linearity_error < 0.05


def test_patterns_are_told_apart() -> None:
    found = nonuniformity(Model(row_e=1.5, dsnu_e=2.0, prnu=0.0).stack(frames=30))
    dn = 0.5
    assert math.sqrt(found.row) / dn == pytest.approx(1.5, rel=0.1)
    assert math.sqrt(found.pixel) / dn == pytest.approx(2.0, rel=0.01)
    assert abs(found.column) < 4 * found.deviations["column"]
    assert found.total == pytest.approx(found.row + found.column + found.pixel)
    assert found.temporal == pytest.approx(0.25 * 9 + 1 / 12, rel=0.01)


def test_a_bent_response_is_measured() -> None:
    bend = 0.02
    found = Model(bend=bend, prnu=0.0).measured(stacks=False)
    # the same line through the bent curve without noise
    photons = np.linspace(0, 1.25 * 7000 / 0.6, 26)
    e = photons * 0.6
    y = 0.5 * e * (1 - bend * e / 7000)
    full = 0.5 * (found.saturation_e.value or 0.0)
    used = (y > 0.05 * full) & (y < 0.95 * full)
    slope, offset = np.polyfit(photons[used], y[used], 1, w=1 / y[used])
    line = offset + slope * photons[used]
    expected = 100 * np.abs((y[used] - line) / line).mean()
    assert found.linearity_error == pytest.approx(expected, abs=0.05)
    assert found.linearity_worst[0] < 0 < found.linearity_worst[1]


def test_what_cannot_be_measured_says_so() -> None:
    found = Model(dsnu_e=0.0, prnu=0.0, read_e=0.3, gain=0.2).measured()
    assert found.dark_noise_e.value is None
    assert "not measurable (quantisation hides it), below" in str(found.dark_noise_e)
    assert found.prnu is not None and found.prnu.value is None
    assert found.prnu.high is not None and found.prnu.high < 1e-3
    assert found.dsnu_rows_columns_e is not None
    assert all(part.value is None for part in found.dsnu_rows_columns_e)


def test_dark_current_from_mean_and_from_variance() -> None:
    model = Model(dark_e_s=40.0)
    times = [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    pairs = [(model.take(seconds=t), model.take(seconds=t)) for t in times]
    gain = Model(dark_e_s=0.0).measured(stacks=False).gain
    found = dark_current(times, pairs, gain)
    assert found.from_mean.value == pytest.approx(40, rel=0.01)
    assert found.from_variance.value == pytest.approx(40, rel=0.02)
    cold = [(model.take(), model.take()) for _ in times]
    none = dark_current(times, cold, gain).from_variance
    assert none.value is None or none.value < 0.1


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    held = {"gain": 0, "dark_noise_e": 0, "dsnu_e": 0, "prnu": 0, "quantum_efficiency": 0}
    runs = 60
    for seed in range(runs):
        model = Model(seed=seed, shape=(64, 64))
        found = model.measured()
        truth = {
            "gain": 0.5, "dark_noise_e": 3.0, "quantum_efficiency": 0.6,
            "dsnu_e": model.offsets.std(), "prnu": model.gains.std() / model.gains.mean(),
        }  # fmt: skip
        for name, value in truth.items():
            figure = getattr(found, name)
            held[name] += figure.low <= value <= figure.high
    # 95 % of 60 is 57; fewer than 50 would happen once in ten thousand tries
    assert all(count >= 50 for count in held.values()), held


@pytest.mark.parametrize(
    ("steps", "what"),
    [
        (lambda m: list(m.steps())[:4], "9 or more"),
        (lambda m: list(m.steps())[:12], "beyond saturation"),
        (lambda m: list(m.steps())[::-1], "above the one before"),
    ],
)
def test_steps_that_do_not_do_are_refused(steps, what: str) -> None:
    with pytest.raises(SettingError, match=what):
        emva1288(steps(Model(shape=(128, 128))))
    with pytest.raises(SettingError, match="2 or more"):
        nonuniformity([np.zeros((32, 32))])
