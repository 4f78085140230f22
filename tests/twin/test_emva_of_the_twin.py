"""The module's sensor, characterised after EMVA 1288 from its frames alone.

What is expected comes from the definition by the laws of the camera model, never from frames.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from modoptic.measure import Emva1288, ExposureStep, dark_current, emva1288
from modoptic.pixels import pixel_format, unpack
from modoptic.sensor import Conversion, ConversionGain, Sensor, SensorSpec, Shot
from modoptic.twin import load_definition

SIDE = 2048
"""Of the mosaic: 1 megapixel in each colour, as the standard's figures are of one colour."""
STEPS = np.concatenate([np.linspace(0, 0.9, 50), np.arange(0.905, 1.06, 0.005)])
"""Exposures, of that which saturates: 50 as the standard asks, and finer ones about the end."""
FRAMES = 100
TIMES_S = (0.01, 50.0, 100.0, 150.0, 200.0)
SPEC = msgspec.structs.replace(
    load_definition("xiaomi-mos-35").sensor, defects_per_million=0.0
)  # the standard leaves defect pixels out


class Red:
    """The red photosites of even light, exposure by exposure, at one conversion gain."""

    def __init__(self, conversion: Conversion) -> None:
        high = SPEC.high_conversion_gain
        assert high is not None
        # each where its own well, and not the converter, ends the range
        self.gain = 1.0 if conversion == "low" else SPEC.full_well_e / high.full_well_e
        self.sensor = Sensor(SPEC, seed=4)
        # the photosites themselves: remosaicing would mix them
        self.shot = Shot(exposure_s=0.01, gain=self.gain, conversion=conversion, readout="native")
        self.frames = 0

    @property
    def dn_per_electron(self) -> float:
        return SPEC.dn_per_electron * self.gain

    @property
    def model(self) -> ConversionGain:
        return SPEC.at(self.gain, self.shot.conversion)

    @property
    def read_noise_e(self) -> float:
        return self.sensor.read_noise_e(self.gain, self.shot.conversion)

    @property
    def full_e(self) -> float:
        return SPEC.saturation_e(self.gain, self.shot.conversion)

    def signal_e(self, electrons: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """What the output says of so many electrons, in electrons of the linear gain."""
        e = np.minimum(electrons, self.model.full_well_e)
        bent = e - SPEC.nonlinearity / self.model.full_well_e * e**2
        return np.clip(bent, None, (4095 - SPEC.black_dn) / self.dn_per_electron)

    def take(self, electrons: float, seconds: float = 0.01) -> npt.NDArray[np.uint16]:
        self.frames += 1
        light = np.full((SIDE, SIDE), electrons / seconds, np.float32)
        shot = replace(self.shot, exposure_s=seconds, key=self.frames)
        packed = self.sensor.expose_all(light, shot)
        mosaic = unpack(packed.reshape(-1), pixel_format("QuadBayerRG12p"), SIDE, SIDE)
        cells = mosaic.reshape(SIDE // 4, 4, SIDE // 4, 4)
        return np.ascontiguousarray(cells[:, :2, :, :2]).reshape(SIDE // 2, SIDE // 2)

    def steps(self, shares: npt.NDArray[np.float64]) -> Iterator[ExposureStep]:
        for electrons in shares * self.full_e:
            yield ExposureStep(
                float(electrons), self.take(electrons), self.take(electrons), self.take(0),
                self.take(0),
            )  # fmt: skip


@pytest.fixture(scope="module", params=["low", "high"])
def red(request: pytest.FixtureRequest) -> Red:
    return Red(request.param)


@pytest.fixture(scope="module")
def found(red: Red) -> Emva1288:
    return emva1288(
        red.steps(STEPS),
        dark_stack=(red.take(0) for _ in range(FRAMES)),
        grey_stack=(red.take(0.5 * red.full_e) for _ in range(FRAMES)),
    )


def saturation_e(red: Red) -> float:
    """Mean signal where its variance is largest, as the standard defines it."""
    z, weight = np.polynomial.hermite_e.hermegauss(200)
    weight /= weight.sum()
    mean = np.linspace(0.9, 1.06, 2000)[:, None] * red.full_e
    signal = red.signal_e(mean + np.sqrt(mean + red.read_noise_e**2) * z)
    first = signal @ weight
    variance = signal**2 @ weight - first**2
    return float(first[np.argmax(variance)])


def linearity_error(red: Red) -> float:
    """Mean deviation, per cent, from the line of least relative squares over 5 to 95 %."""
    electrons = np.linspace(0.05, 0.95, 400) * red.full_e
    signal = red.signal_e(electrons)
    slope, offset = np.polyfit(electrons, signal, 1, w=1 / signal)
    return 100 * float(np.abs(signal / (offset + slope * electrons) - 1).mean())


def test_gain_and_dark_noise(red: Red, found: Emva1288) -> None:
    assert found.gain.value == pytest.approx(red.dn_per_electron, rel=0.01)
    assert found.dark_noise_e.value == pytest.approx(red.read_noise_e, rel=0.01)
    # the figures that the definition was made for
    nominal = 3.0 if red.shot.conversion == "low" else 1.2
    assert found.dark_noise_e.value == pytest.approx(nominal, rel=0.01)


def test_patterns(red: Red, found: Emva1288) -> None:
    assert found.dsnu_e is not None and found.prnu is not None
    total_e = math.hypot(red.model.dsnu_e, red.model.column_offset_e)
    assert found.dsnu_e.value == pytest.approx(total_e, rel=0.02)
    assert found.prnu.value == pytest.approx(SPEC.prnu, rel=0.02)
    assert found.dsnu_rows_columns_e is not None
    rows, columns = found.dsnu_rows_columns_e
    # 1024 columns tell a standard deviation to 2.2 % (one sigma)
    assert columns.value == pytest.approx(red.model.column_offset_e, rel=0.08)
    # rows differ from frame to frame only: the mean of a stack keeps a tenth
    left_e = red.model.row_noise_e / math.sqrt(FRAMES)
    assert rows.high is not None and rows.high < 1.3 * left_e


def test_saturation_linearity_and_quantum_efficiency(red: Red, found: Emva1288) -> None:
    assert found.saturation_e.value is not None
    assert found.saturation_e.value == pytest.approx(saturation_e(red), rel=0.01)
    well_e = red.model.full_well_e
    # which lies a few sigma below the well
    assert well_e - 4 * math.sqrt(well_e) < found.saturation_e.value < well_e
    assert found.snr_max.value == pytest.approx(math.sqrt(saturation_e(red)), rel=0.01)
    assert found.linearity_error == pytest.approx(linearity_error(red), abs=0.05)
    # electrons of unit light are what the unit's own filter lets through
    assert found.quantum_efficiency.value == pytest.approx(red.sensor._qe[0], rel=0.01)


def test_dark_current(red: Red, found: Emva1288) -> None:
    pairs = [(red.take(0, t), red.take(0, t)) for t in TIMES_S]
    measured = dark_current(TIMES_S, pairs, found.gain)
    rate = red.sensor.dark_rate_e_s(25.0)
    assert rate == SPEC.dark_current_e_s
    assert measured.from_mean.value == pytest.approx(rate, rel=0.01)
    assert measured.from_variance.value == pytest.approx(rate, rel=0.01)


def test_conversion_gain_changes_at_iso_400_and_the_levels_do_not() -> None:
    """One gain more in the photosite, one less behind it: DN per electron do not jump."""
    from modoptic.twin import base_iso

    high = SPEC.high_conversion_gain
    assert high is not None
    assert base_iso(load_definition("xiaomi-mos-35")) * high.from_gain == 400
    sensor = Sensor(SPEC, seed=4)
    noise, levels = [], []
    for gain in (high.from_gain * 0.999, high.from_gain):
        noise.append(sensor.read_noise_e(gain))
        light = np.full((512, 512), 5e4, np.float32)
        packed = sensor.expose_all(light, Shot(exposure_s=0.01, gain=gain, bits=14))
        mosaic = unpack(packed.reshape(-1), pixel_format("BayerRG14p"), 512, 512)
        levels.append(float(mosaic.mean()) - 1024)
    assert levels[1] / levels[0] == pytest.approx(1.001, abs=0.001)
    assert noise[0] == pytest.approx(1.55, abs=0.02) and noise[1] == pytest.approx(1.09, abs=0.02)


@pytest.mark.parametrize("name", ["xiaomi-mos-35", "phone-1inch"])
def test_the_converter_ends_just_before_the_wells(name: str) -> None:
    spec: SensorSpec = load_definition(name).sensor
    high = spec.high_conversion_gain
    assert high is not None
    for gain, conversion in ((1.0, "low"), (spec.full_well_e / high.full_well_e, "high")):
        well_e = spec.at(gain, conversion).full_well_e  # type: ignore[arg-type]
        ends_e = spec.saturation_e(gain, conversion)  # type: ignore[arg-type]
        assert 0.998 * well_e < ends_e < well_e
