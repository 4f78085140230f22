"""Texture by cross-spectrum, on dead leaves that were blurred and made noisy in known ways."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from modoptic.errors import SettingError
from modoptic.measure import texture

Picture = npt.NDArray[np.float64]
SIZE = 256


def dead_leaves(seed: int = 1) -> Picture:
    """Discs over discs, radii as r^-3: the statistics of a natural picture."""
    random = np.random.default_rng(seed)
    picture = np.full((SIZE, SIZE), 0.5)
    y, x = np.mgrid[:SIZE, :SIZE]
    for _ in range(4000):
        radius = 2.0 / np.sqrt(1 - random.random() * (1 - (2.0 / 60) ** 2))
        cx, cy = random.random(2) * SIZE
        picture[(x - cx) ** 2 + (y - cy) ** 2 < radius**2] = 0.2 + 0.6 * random.random()
    return picture


def blurred(picture: Picture, sigma: float) -> Picture:
    """Convolved with a Gaussian, its edges going on as at the other side."""
    fy, fx = np.fft.fftfreq(SIZE)[:, None], np.fft.rfftfreq(SIZE)[None]
    transfer = np.exp(-2 * (np.pi * sigma) ** 2 * (fx**2 + fy**2))
    return np.fft.irfft2(np.fft.rfft2(picture) * transfer, (SIZE, SIZE))


@pytest.mark.parametrize("sigma", [0.6, 1.0, 1.6])
def test_a_blur_is_found_whatever_the_noise(sigma: float) -> None:
    chart = dead_leaves()
    noise = np.random.default_rng(2).normal(0, 0.05, chart.shape)
    found = texture(3.0 * (blurred(chart, sigma) + noise), chart)
    expected = np.sqrt(np.log(2) / 2) / np.pi / sigma
    assert found.mtf50 == pytest.approx(min(expected, 0.5), rel=0.05)
    exact = np.exp(-2 * (np.pi * sigma * found.frequency) ** 2)
    apart = np.abs(found.response - exact)
    # the window adds a little where the response bends
    assert (apart < 4 * found.deviation + 0.02).all()
    assert apart[found.frequency < 0.25].max() < 0.06


def test_noise_alone_has_no_texture() -> None:
    chart = dead_leaves()
    noise = 0.5 + np.random.default_rng(3).normal(0, 0.1, chart.shape)
    found = texture(noise, chart)
    # what a comparison of power spectra would take for texture
    assert np.abs(found.response).max() < 0.2
    assert (np.abs(found.response) < 4 * found.deviation).all()


def test_the_stated_deviation_is_that_of_many_pictures() -> None:
    chart = dead_leaves()
    random = np.random.default_rng(4)
    found = [
        texture(blurred(chart, 1.0) + random.normal(0, 0.08, chart.shape), chart) for _ in range(60)
    ]
    spread = np.std([one.response for one in found], axis=0)
    stated = np.mean([one.deviation for one in found], axis=0)
    fine = found[0].frequency > 0.1  # coarser ones hold few values
    assert np.median(stated[fine] / spread[fine]) == pytest.approx(1.0, abs=0.25)


def test_pictures_that_do_not_do_are_refused() -> None:
    chart = dead_leaves()
    with pytest.raises(SettingError, match="the chart's size"):
        texture(chart[:100], chart)
    with pytest.raises(SettingError, match="all scales"):
        texture(chart, np.ones_like(chart))
    with pytest.raises(SettingError, match="64 x 64"):
        texture(chart[:32, :32], chart[:32, :32])
    with pytest.raises(SettingError, match="not dark"):
        texture(0 * chart, chart)
