"""The module's sensor, characterised after EMVA 1288 from its frames alone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from modoptic.measure import ExposureStep, dark_current, emva1288
from modoptic.pixels import pixel_format, unpack
from modoptic.sensor import Sensor, Shot
from modoptic.twin import load_definition

SIDE = 2048
"""Of the mosaic: 1 megapixel in each colour, as the standard's figures are of one colour."""
STEPS = 50
FRAMES = 100


class Red:
    """The red photosites of even light, exposure by exposure."""

    def __init__(self, gain: float = 1.0) -> None:
        self.spec = load_definition("xiaomi-mos-35").sensor
        without = msgspec.structs.replace(self.spec, defects_per_million=0.0)
        self.sensor = Sensor(without, seed=4)
        self.shot = Shot(exposure_s=0.01, gain=gain)
        self.frames = 0

    def take(self, electrons: float, seconds: float = 0.01) -> npt.NDArray[np.uint16]:
        self.frames += 1
        light = np.full((SIDE, SIDE), electrons / seconds, np.float32)
        shot = replace(self.shot, exposure_s=seconds, key=self.frames)
        packed = self.sensor.expose_all(light, shot)
        mosaic = unpack(packed.reshape(-1), pixel_format("BayerRG12p"), SIDE, SIDE)
        return np.ascontiguousarray(mosaic[::2, ::2])

    def steps(self, full: float) -> Iterator[ExposureStep]:
        for electrons in np.linspace(0, 1.06 * full, STEPS):
            yield ExposureStep(
                float(electrons), self.take(electrons), self.take(electrons), self.take(0),
                self.take(0),
            )  # fmt: skip


def saturation(full: float, read_e: float) -> float:
    """Mean of clipped electrons where their variance is largest, as the standard defines it."""
    mean = np.linspace(0.5, 1.06, 4000) * full
    sigma = np.sqrt(mean + read_e**2)
    a = (full - mean) / sigma
    below = np.array([0.5 * (1 + math.erf(v / math.sqrt(2))) for v in a])
    density = np.exp(-(a**2) / 2) / math.sqrt(2 * math.pi)
    first = below * mean - sigma * density + (1 - below) * full
    second = below * (mean**2 + sigma**2) - sigma * density * (mean + full) + (1 - below) * full**2
    return float(first[np.argmax(second - first**2)])


@pytest.mark.parametrize("gain", [1.0, 16.0])
def test_figures_of_the_model(gain: float) -> None:
    red = Red(gain)
    spec = red.spec
    per_electron = spec.dn_per_electron * gain
    full = min(spec.full_well_e, (4095 - red.sensor._black) / per_electron)
    found = emva1288(
        red.steps(full),
        dark_stack=(red.take(0) for _ in range(FRAMES)),
        grey_stack=(red.take(0.5 * full) for _ in range(FRAMES)),
    )
    assert found.gain.value == pytest.approx(per_electron, rel=0.01)
    assert found.dark_noise_e.value == pytest.approx(red.sensor.read_noise_e(gain), rel=0.01)
    assert found.dsnu_e is not None and found.prnu is not None
    assert found.dsnu_e.value == pytest.approx(spec.dsnu_e, rel=0.02)
    assert found.prnu.value == pytest.approx(spec.prnu, rel=0.02)
    # electrons of unit light are what the unit's own filter lets through
    assert found.quantum_efficiency.value == pytest.approx(red.sensor._qe[0], rel=0.005)
    expected = saturation(full, red.sensor.read_noise_e(gain))
    assert found.saturation_e.value == pytest.approx(expected, abs=full * 1.06 / (STEPS - 1))
    assert found.linearity_error < 0.05


def test_dark_current_of_the_model() -> None:
    red = Red()
    times = [0.0, 20.0, 40.0, 60.0, 80.0]
    pairs = [(red.take(0, t or 0.01), red.take(0, t or 0.01)) for t in times]
    full = red.spec.full_well_e
    found = dark_current(times, pairs, emva1288(red.steps(full)).gain)
    assert found.from_mean.value == pytest.approx(red.sensor.dark_rate_e_s(25.0), rel=0.01)
    assert found.from_variance.value == pytest.approx(red.sensor.dark_rate_e_s(25.0), rel=0.02)
