"""Depth of field against the textbook, and against the blur it is defined by."""

from __future__ import annotations

import math

import pytest

from modoptic.host._depth_of_field import circle_of_confusion_m, depth_of_field

C = circle_of_confusion_m(11648, 8736, 1.485)


def test_the_circle_of_confusion_of_four_thirds_is_about_14_um():
    assert pytest.approx(14.4e-6, rel=0.01) == C


def test_hyperfocal_distance_is_that_of_the_textbook():
    # H = f^2 / (N c) + f, from the lens; a little more from the sensor
    f = 17.5e-3
    textbook = f * f / (2.8 * C) + f
    assert depth_of_field(17.5, 2.8, math.inf, C).hyperfocal_m == pytest.approx(
        textbook + f, rel=2e-3
    )


def test_focused_at_the_hyperfocal_distance_all_from_half_of_it_is_sharp():
    hyperfocal = depth_of_field(17.5, 4.0, math.inf, C).hyperfocal_m
    field = depth_of_field(17.5, 4.0, hyperfocal * 1.0001, C)
    assert math.isinf(field.far_m)
    assert field.near_m == pytest.approx(hyperfocal / 2, rel=0.02)


def test_focused_at_infinity_the_near_limit_is_the_hyperfocal_distance():
    field = depth_of_field(17.5, 2.8, math.inf, C)
    assert field.near_m == pytest.approx(field.hyperfocal_m, rel=0.01)
    assert math.isinf(field.far_m)


@pytest.mark.parametrize("distance", [0.3, 0.6, 1.2, 2.4])
@pytest.mark.parametrize("f_number", [1.4, 4.0, 11.0])
def test_the_blur_at_both_limits_is_the_circle_of_confusion(distance, f_number):
    f = 17.5e-3
    field = depth_of_field(17.5, f_number, distance, C)
    image = (distance - math.sqrt(distance**2 - 4 * f * distance)) / 2

    def blur(subject):
        at = subject - image  # from the lens
        point = 1 / (1 / f - 1 / at) if math.isfinite(at) else f
        return f / f_number * abs(point - image) / point

    assert field.near_m < distance < field.far_m
    assert blur(field.near_m) == pytest.approx(C, rel=1e-6)
    if math.isfinite(field.far_m):
        assert blur(field.far_m) == pytest.approx(C, rel=1e-6)


def test_stopping_down_deepens_the_field():
    wide, narrow = (depth_of_field(17.5, n, 1.2, C) for n in (1.4, 8.0))
    assert narrow.near_m < wide.near_m and narrow.far_m > wide.far_m
