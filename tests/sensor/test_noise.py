"""Noise is what its laws say it is, number by number: distribution, independence, repeatability."""

from __future__ import annotations

import itertools
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from modoptic.pixels import pixel_format, unpack
from modoptic.sensor import IdealSensor, Sensor, SensorSpec, Shot, compact

SIDE = 1000
SEEDS = 100
READ_E = 1.2
PLAIN = SensorSpec(
    width=1024, height=1024, pitch_um=1.5, full_well_e=1e5, dn_per_electron=1.0, black_dn=500.0,
    read_noise_e=READ_E, adc_noise_e=0.0, dark_current_e_s=0.0, dark_doubling_c=6.0, prnu=0.0,
    dsnu_e=0.0, gain_max=64.0, exposure_min_s=1e-5, exposure_max_s=30.0, bits=(12, 14),
)  # fmt: skip

Doubles = npt.NDArray[np.float64]


def take(sensor: Sensor, electrons: float, shot: Shot) -> npt.NDArray[np.int64]:
    """A flat frame of 14 bit, in DN above black."""
    light = np.full((SIDE, SIDE), electrons / shot.exposure_s, np.float32)
    packed = sensor.expose_all(light, shot)
    mosaic = unpack(packed.reshape(-1), pixel_format("BayerRG14p"), SIDE, SIDE)
    return mosaic.astype(np.int64) - round(4 * sensor.spec.black_dn)


def kolmogorov(uniform: Doubles) -> float:
    """p-value of numbers that shall be uniform in 0 .. 1 (Kolmogorov 1933; Stephens 1970)."""
    n = uniform.size
    ordered = np.sort(uniform.astype(np.float32)).astype(np.float64)
    steps = np.arange(n + 1) / n
    distance = max(float((steps[1:] - ordered).max()), float((ordered - steps[:-1]).max()))
    x = distance * (math.sqrt(n) + 0.12 + 0.11 / math.sqrt(n))
    terms = [(-1) ** (k - 1) * math.exp(-2 * (k * x) ** 2) for k in range(1, 101)]
    return min(max(2 * sum(terms), 0.0), 1.0)


def poisson(mean: float) -> Doubles:
    """Probabilities of 0, 1, 2, ... up to 12 sigma."""
    count = np.arange(int(mean + 12 * math.sqrt(mean) + 30))
    return np.exp(count * math.log(mean) - mean - np.array([math.lgamma(k + 1) for k in count]))


def ranks(found: npt.NDArray[np.int64], cumulated: Doubles, rng: np.random.Generator) -> Doubles:
    """Place of each whole number in its distribution, drawn evenly within its own probability.

    ``cumulated[k]`` is the probability of k or less; so the ranks are uniform, exactly.
    """
    below = np.concatenate([[0.0], cumulated])
    return below[found] + rng.random(found.size) * (below[found + 1] - below[found])


@pytest.mark.parametrize("electrons", [1.0, 10.0, 100.0, 1000.0])
def test_photons_are_poisson_numbers(electrons: float) -> None:
    """A million photosites, a hundred seeds: the p-values are even, as those of true noise are."""
    cumulated = poisson(electrons).cumsum()
    shot = Shot(exposure_s=0.01, bits=14)

    def p_value(seed: int) -> float:
        dn = take(IdealSensor(PLAIN, seed), electrons, shot).ravel()
        assert not (dn % 4).any()  # 4 DN an electron: none is divided
        return kolmogorov(ranks(dn // 4, cumulated, np.random.default_rng(seed)))

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(p_value, range(SEEDS)))
    assert kolmogorov(np.array(found)) > 0.01


@pytest.mark.parametrize("electrons", [1.0, 10.0, 66.0, 1000.0])
def test_read_noise_is_normal_and_adds(electrons: float) -> None:
    """The same with the converter at 10 DN an electron: the sum of a Poisson number and a normal.

    66 e- is the least that is not drawn as a whole number.
    """
    spec = msgspec.structs.replace(PLAIN, dn_per_electron=2.5)
    probability = poisson(electrons)
    edges = np.arange(-200, round(10 * electrons) + 4000) + 0.5
    ends = np.array([math.erf(v) for v in np.linspace(-6, 6, 24001)])
    cumulated = np.zeros(edges.size)
    for count in np.flatnonzero(probability > 1e-12):
        at = (edges / 10 - count) / (READ_E * math.sqrt(2))
        normal = np.interp(at, np.linspace(-6, 6, 24001), ends)
        cumulated += probability[count] * 0.5 * (1 + normal)
    rng = np.random.default_rng(2)
    shot = Shot(exposure_s=0.01, bits=14)
    found = []
    for seed in range(25):
        dn = take(Sensor(spec, seed), electrons, shot).ravel() + 200
        found.append(kolmogorov(ranks(dn, cumulated, rng)))
    assert kolmogorov(np.array(found)) > 0.01


LAGS = ((0, 1), (0, 2), (1, 0), (1, 1), (0, 32), (0, 64), (0, 128), (0, 256), (2, 0), (64, 0))


@pytest.mark.parametrize("electrons", [2.0, 40.0, 2000.0])
def test_no_photosite_knows_of_another(electrons: float) -> None:
    frames = [
        take(Sensor(PLAIN, 3), electrons, Shot(exposure_s=0.01, bits=14, key=key)).astype(float)
        for key in (0, 1, 2)
    ]
    limit = 4 / SIDE  # 4 / sqrt(N)
    for power in (1, 2):  # squares: two deviates of one radius would show here
        values = [(f - f.mean()) ** power for f in frames]
        values = [(v - v.mean()) / v.std() for v in values]
        for down, right in LAGS:
            a, b = values[0][down:, right:], values[0][: SIDE - down, : SIDE - right]
            assert abs(float((a * b).mean())) < limit * SIDE / math.sqrt(a.size), (down, right)
        for other in values[1:]:
            assert abs(float((values[0] * other).mean())) < limit


def test_seeds_and_neighbouring_keys_share_nothing() -> None:
    one = take(Sensor(PLAIN, 3), 200.0, Shot(exposure_s=0.01, bits=14, key=7)).astype(float)
    two = take(Sensor(PLAIN, 4), 200.0, Shot(exposure_s=0.01, bits=14, key=7)).astype(float)
    for shift in (0, 1, 64, 128):
        a, b = one[:, shift:].ravel(), two[:, : SIDE - shift].ravel()
        assert abs(float(np.corrcoef(a, b)[0, 1])) < 4 / math.sqrt(a.size)


ALL = msgspec.structs.replace(
    PLAIN, adc_noise_e=2.0, reset_residual_e=0.2, row_noise_e=0.5, column_offset_e=0.5,
    dark_current_e_s=5.0, prnu=0.01, dsnu_e=0.5, defects_per_million=200.0, nonlinearity=0.01,
)  # fmt: skip


@pytest.mark.parametrize("exposure_s", [2e-4, 0.01])
def test_bits_do_not_depend_on_bands_threads_or_windows(exposure_s: float) -> None:
    """Light from none to far beyond the exact numbers, within every segment."""
    sensor, shot = Sensor(ALL, 9), Shot(exposure_s=exposure_s, bits=14, key=4)
    light = np.random.default_rng(1).exponential(1e5, (256, 640)).astype(np.float32)
    whole = sensor.expose_all(light, shot)
    for threads in (1, 2, 5):
        parts = np.zeros_like(whole)
        cuts = [0, *range(7, 256, 31 // threads + 3), 256]
        with ThreadPoolExecutor(threads) as pool:
            for first, end in itertools.pairwise(cuts):
                pool.submit(sensor.expose, light, shot, parts, (first, end))
        np.testing.assert_array_equal(parts, whole)

    def mosaic(packed: npt.NDArray[np.uint8], width: int) -> npt.NDArray[np.uint16]:
        form = pixel_format("BayerRG14p")
        return unpack(packed.reshape(-1), form, packed.shape[0], width)

    expected = mosaic(whole, 640)
    for x, y, width, height in ((2, 2, 4, 6), (100, 40, 200, 64), (126, 0, 512, 8)):
        window = np.ascontiguousarray(light[y : y + height, x : x + width])
        found = mosaic(sensor.expose_all(window, replace(shot, origin=(x, y))), width)
        np.testing.assert_array_equal(found, expected[y : y + height, x : x + width])


def test_compact_light_and_a_map_give_the_same_noise() -> None:
    light = np.full((64, 256), 3e5, np.float32)
    sensor, shot = Sensor(ALL, 9), Shot(exposure_s=0.01, bits=14)
    one, two = (
        unpack(sensor.expose_all(form, shot).reshape(-1), pixel_format("BayerRG14p"), 64, 256)
        for form in (light, compact(light))
    )
    assert np.abs(one.astype(int) - two.astype(int)).max() <= 1
