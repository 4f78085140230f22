"""Noise over signal and dynamic ranges of model sensors, and published cameras."""

from __future__ import annotations

import math

import numpy as np
import pytest

from modoptic.errors import SettingError
from modoptic.measure import (
    color_planes,
    dynamic_range,
    engineering_dynamic_range,
    image_snr,
    measure_patches,
    pair_statistics,
    patch_quads,
    photographic_dynamic_range,
    photographic_snr,
    snr_curve,
    snr_of_pairs,
    snr_of_patches,
)

FULL_FRAME, FOUR_THIRDS = 43.27, 21.6


@pytest.mark.parametrize(
    ("sensor", "diagonal", "published"),
    [
        # full well and read noise of makers and testers; stops of photonstophotos.net for cameras
        # with that sensor's format (A9 II 10.9, K-1 II 11.6; E-M5 9.27, OM-1 9.54)
        ((51400, 3.5, 3.76), FULL_FRAME, (10.83, 11.6)),
        ((63700, 6.2, 4.63), FOUR_THIRDS, (9.27, 9.54)),
    ],
)
def test_photographic_dynamic_range_of_published_sensors(sensor, diagonal, published) -> None:
    found = photographic_dynamic_range(*sensor, diagonal)
    assert published[0] - 0.1 < found < published[1] + 0.1


def test_pixels_of_one_sensor_may_be_of_any_size() -> None:
    """Without read noise only the light of the whole area counts."""
    small = photographic_dynamic_range(10000, 0.0, 2.0, FOUR_THIRDS)
    large = photographic_dynamic_range(40000, 0.0, 4.0, FOUR_THIRDS)
    assert small == pytest.approx(large)
    # twice the diagonal: four times the light
    assert photographic_dynamic_range(10000, 0.0, 2.0, 2 * FOUR_THIRDS) == pytest.approx(small + 2)


def model_curve(read: float = 3.0, full: float = 8000.0):
    signal = full * 2.0 ** np.arange(-16, 1)
    return snr_curve(signal, np.sqrt(signal + read**2), np.full(17, 1e6)), full


def test_ranges_of_a_curve_are_those_of_its_sensor() -> None:
    curve, full = model_curve()
    least = 0.5 * (1 + math.sqrt(1 + 4 * 9))
    found = dynamic_range(curve, full)
    assert found.value == pytest.approx(math.log2(full / least), abs=0.02)
    assert found.low < found.value < found.high
    snr = photographic_snr(1.5, FOUR_THIRDS)
    expected = photographic_dynamic_range(full, 3.0, 1.5, FOUR_THIRDS)
    assert dynamic_range(curve, full, snr=snr).value == pytest.approx(expected, abs=0.03)
    assert engineering_dynamic_range(full, 3.0) == pytest.approx(math.log2(8000 / 3))
    assert curve.at(2000.0) == pytest.approx(2000 / math.sqrt(2009), rel=1e-3)
    assert math.isnan(curve.at(1e6))
    assert curve.snr_db[-1] == pytest.approx(20 * math.log10(8000 / math.sqrt(8009)))


def test_what_lies_beyond_the_steps_is_not_measurable() -> None:
    curve, full = model_curve()
    bright = snr_curve(curve.signal[8:], curve.noise[8:], curve.samples[8:])
    found = dynamic_range(bright, full)
    assert found.value is None and found.low == pytest.approx(8.0)
    assert "darkest step" in str(found) and "above 8" in str(found)
    assert dynamic_range(curve, full, snr=1e4).value is None


def test_pairs_and_patches_measure_the_noise_that_was_put_in() -> None:
    rng = np.random.default_rng(1)
    pattern = 1 + 0.01 * rng.standard_normal((200, 200))
    levels = (50.0, 400.0, 3000.0)

    def frame(e: float) -> np.ndarray:
        return 100 + rng.poisson(e * pattern) + 3 * rng.standard_normal(pattern.shape)

    pairs = snr_of_pairs([pair_statistics(frame(e), frame(e)) for e in levels], 100.0, 40000)
    assert pairs.signal == pytest.approx(levels, rel=0.01)
    assert pairs.noise == pytest.approx([math.sqrt(e + 9) for e in levels], rel=0.02)
    wedge = np.concatenate([frame(e) for e in levels], axis=1)
    wedge += 0.05 * np.arange(600)[None]  # uneven light
    planes = color_planes(wedge, black_level=100.0, white_level=1e5)
    quads = patch_quads([[100, 50], [500, 50], [500, 150], [100, 150]], 1, 3)
    patches = snr_of_patches(measure_patches(planes, quads), 0)
    expected = [math.sqrt(e + 9 + (0.01 * e) ** 2) for e in levels]
    assert patches.noise == pytest.approx(expected, rel=0.03)


def test_averaging_pixels_raises_the_ratio_as_said() -> None:
    rng = np.random.default_rng(2)
    frame = 100 + 10 * rng.standard_normal((400, 400))
    small = frame.reshape(100, 4, 100, 4).mean((1, 3))
    said = image_snr(frame.mean() / frame.std(), frame.size, out_pixels=small.size)
    assert float(said) == pytest.approx(small.mean() / small.std(), rel=0.03)


def test_values_that_no_sensor_has_are_refused() -> None:
    for call in (
        lambda: photographic_dynamic_range(0, 1, 1, 1),
        lambda: photographic_snr(0, 20),
        lambda: photographic_snr(1, -20),
        lambda: engineering_dynamic_range(100, 0),
        lambda: image_snr(1, 0),
        lambda: snr_curve([1, 2], [1], [1]),
        lambda: snr_curve([-1, 2], [1, 1], [1, 1]),
    ):
        with pytest.raises(SettingError):
            call()
