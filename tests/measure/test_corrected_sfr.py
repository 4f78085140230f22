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
HEIGHT, WIDTH = 120, 80


def across(degrees: float) -> npt.NDArray[np.float64]:
    """Distance of each point of each pixel from an edge tilted by ``degrees``."""
    parts = (np.arange(FINE) + 0.5) / FINE - 0.5
    y = (np.arange(HEIGHT)[:, None] + parts).reshape(-1, 1)
    x = (np.arange(WIDTH)[:, None] + parts).reshape(1, -1)
    t = np.radians(degrees)
    return (x - WIDTH / 2 + 0.2) * np.cos(t) - (y - HEIGHT / 2) * np.sin(t)


def edge(sigma: float, degrees: float) -> npt.NDArray[np.float64]:
    """A Gaussian edge averaged over square pixels, each of 12 x 12 points."""
    light = 100 + 50 * _ERF(across(degrees) / sigma / 2**0.5)
    return light.reshape(HEIGHT, FINE, WIDTH, FINE).mean((1, 3))


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


@pytest.mark.parametrize("lambda_n", [0.6, 1.0, 2.0])
def test_half_response_of_diffraction_with_its_wide_skirt(lambda_n: float) -> None:
    """An Airy disc of cut-off 1 / lambda N; its skirt lies beyond any window."""
    f = (np.arange(4000) + 0.5) / 4000 / lambda_n
    nu = f * lambda_n
    mtf = 2 / np.pi * (np.arccos(nu) - nu * np.sqrt(1 - nu**2))
    d = np.linspace(-90, 90, 14401)
    step = 0.5 + 4 * f[0] * (np.sin(2 * np.pi * d[:, None] * f[None]) / (2 * np.pi * f)) @ mtf
    light = np.interp(across(6.0), d, 100 + 100 * step)
    picture = light.reshape(HEIGHT, FINE, WIDTH, FINE).mean((1, 3))
    t = np.radians(6.0)
    response = mtf * np.sinc(f * np.cos(t)) * np.sinc(f * np.sin(t))
    expected = float(np.interp(-0.5, -response, f))
    # at 2 pixels 1.3 % of the light falls beyond the picture itself
    assert slanted_edge(picture, method="corrected").sfr50 == pytest.approx(expected, rel=0.013)


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
