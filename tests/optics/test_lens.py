"""The thin lens against textbook numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modoptic.errors import SettingError
from modoptic.optics import (
    LensState,
    circle_of_confusion_um,
    depth_of_field,
    diffraction_mtf,
    solve,
)
from modoptic.optics._lens import line_spread


def test_depth_of_field_of_a_known_lens() -> None:
    # 100 mm at f/2, 2 m before the lens, c = 50 um: 2 N c u (u - f) f^2 / (f^4 - N^2 c^2 (u - f)^2)
    v = 0.1 * 2.0 / 1.9
    limits = depth_of_field(100.0, 2.0, 2.0 + v, 50.0)
    exact = 2 * 2 * 5e-5 * 2.0 * 1.9 * 0.01 / (1e-4 - 4 * 25e-10 * 1.9**2)
    assert limits.total_m == pytest.approx(exact, rel=1e-9)
    assert limits.total_m == pytest.approx(0.0760, rel=2e-3)


def test_limits_of_depth_of_field_have_that_blur() -> None:
    limits = depth_of_field(17.5, 2.0, 1.2, 8.0)
    lens = LensState(17.5, 2.0, 1.2)
    assert circle_of_confusion_um(lens, limits.near_m) == pytest.approx(8.0, rel=1e-9)
    assert circle_of_confusion_um(lens, limits.far_m) == pytest.approx(8.0, rel=1e-9)


def test_at_the_hyperfocal_distance_infinity_is_just_sharp() -> None:
    hyperfocal = depth_of_field(17.5, 4.0, 1.0, 6.0).hyperfocal_m
    assert math.isinf(depth_of_field(17.5, 4.0, hyperfocal * 1.0001, 6.0).far_m)
    assert not math.isinf(depth_of_field(17.5, 4.0, hyperfocal * 0.999, 6.0).far_m)
    blur = circle_of_confusion_um(LensState(17.5, 4.0, hyperfocal), math.inf)
    assert blur == pytest.approx(6.0, rel=1e-6)


@given(
    f=st.floats(4, 200),
    n=st.floats(1, 22),
    times=st.floats(4.1, 1e4),
)
def test_conjugate_distances_add_up(f: float, n: float, times: float) -> None:
    distance = times * f * 1e-3
    thin = solve(LensState(f, n, distance))
    u, v = 1 / thin.inverse_focus, thin.image_distance_m
    assert u + v == pytest.approx(distance, rel=1e-9)
    assert 1 / u + 1 / v == pytest.approx(1e3 / f, rel=1e-9)
    assert thin.working_f_number == pytest.approx(n * v / (f * 1e-3), rel=1e-9)


def test_the_image_distance_grows_toward_near_focus() -> None:
    # lens breathing: 17.5 mm focused at 0.30 m sees 6.6 % less than at infinity
    near = solve(LensState(17.5, 1.4, 0.30)).image_distance_m
    assert near / 0.0175 == pytest.approx(1.0663, abs=1e-4)


@pytest.mark.parametrize("f_number", [2.8, 5.6, 11.0])
def test_line_spread_has_the_mtf_of_a_round_iris(f_number: float) -> None:
    taps = line_spread(f_number, 1.485)
    n = np.arange(taps.size) - taps.size // 2
    for cycles in (40.0, 100.0, 200.0):
        found = float(np.sum(taps * np.cos(2 * np.pi * n * cycles * 1.485e-3)))
        assert found == pytest.approx(
            float(diffraction_mtf(np.array([cycles]), f_number)[0]), abs=0.02
        )


@pytest.mark.parametrize(
    "lens",
    [
        LensState(17.5, 1.4, 0.05),
        LensState(17.5, 1.4, math.nan),
        LensState(0.0, 1.4, 1.0),
        LensState(17.5, 0.1, 1.0),
        LensState(17.5, 1.4, 1.0, 1.5),
    ],
)
def test_a_lens_that_cannot_be_is_refused(lens: LensState) -> None:
    with pytest.raises(SettingError):
        solve(lens)
