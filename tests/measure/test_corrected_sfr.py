"""The corrected edge SFR against responses that are known in closed form."""

from __future__ import annotations

from math import erf

import numpy as np
import numpy.typing as npt
import pytest

from modoptic.errors import SettingError
from modoptic.measure import slanted_edge

_ERF = np.vectorize(erf)
FINE = 12


def edge(
    sigma: float, degrees: float, height: int = 120, width: int = 80
) -> npt.NDArray[np.float64]:
    """A Gaussian edge averaged over square pixels, each of 12 x 12 points."""
    parts = (np.arange(FINE) + 0.5) / FINE - 0.5
    y = np.arange(height)[:, None] + np.tile(parts, height).reshape(height, FINE)
    x = np.arange(width)[:, None] + np.tile(parts, width).reshape(width, FINE)
    t = np.radians(degrees)
    across = (x.reshape(1, -1) - width / 2 + 0.2) * np.cos(t)
    across = across - (y.reshape(-1, 1) - height / 2) * np.sin(t)
    light = 100 + 50 * _ERF(across / sigma / 2**0.5)
    return light.reshape(height, FINE, width, FINE).mean((1, 3))


def true_half(sigma: float, degrees: float) -> float:
    f = np.linspace(0, 1, 100_001)
    t = np.radians(degrees)
    response = (
        np.exp(-2 * (np.pi * sigma * f) ** 2) * np.sinc(f * np.cos(t)) * np.sinc(f * np.sin(t))
    )
    return float(f[np.argmax(response < 0.5)])


@pytest.mark.parametrize("degrees", [2.0, 5.0, -11.0, 20.0])
@pytest.mark.parametrize("sigma", [0.2, 0.35, 0.5, 0.8, 1.5, 2.5])
def test_half_response_of_a_blur_and_a_pixel(sigma: float, degrees: float) -> None:
    expected = true_half(sigma, degrees)
    picture = edge(sigma, degrees)
    for turned in (picture, picture.T[::-1]):
        found = slanted_edge(turned, method="corrected").sfr50
        assert found == pytest.approx(expected, rel=0.005 if expected <= 0.4 else 0.01)


def test_noise_moves_it_by_what_it_says() -> None:
    picture = edge(0.5, 6.0)
    random = np.random.default_rng(5)
    found = [
        slanted_edge(picture + random.normal(0, 1.0, picture.shape), method="corrected")
        for _ in range(400)
    ]
    halves = np.array([sfr.sfr50 for sfr in found])
    assert halves[:50].mean() == pytest.approx(true_half(0.5, 6.0), rel=0.01)
    stated = np.mean([sfr.sfr50_deviation for sfr in found])
    assert stated == pytest.approx(halves.std(), rel=0.2)


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(SettingError, match="sfrmat5 or corrected"):
        slanted_edge(edge(0.5, 5.0), method="mine")  # type: ignore[arg-type]
