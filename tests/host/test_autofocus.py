"""Contrast autofocus on a lens whose sharpest position is known, through a delay of frames."""

from __future__ import annotations

import math
from collections import deque

import pytest

from modoptic.host._autofocus import AutoFocus

BLUR_PER_DIOPTRE = 18.0  # 17.5 mm at f/2.8, pixels of 5.94 um


def contrast(at_m, subject_m):
    misfocus = (0 if math.isinf(at_m) else 1 / at_m) - (
        0 if math.isinf(subject_m) else 1 / subject_m
    )
    return 1 + 10 / (1 + (misfocus * BLUR_PER_DIOPTRE / 2) ** 2)


def sweep(subject_m, delay=3, frame_s=1 / 30, until_s=2.0, start_m=2.0):
    """Frames arrive ``delay`` after their lens position was asked for."""
    focus = AutoFocus(0.3, BLUR_PER_DIOPTRE, start_m, until_s)
    lens = deque([start_m] * delay)
    for frame in range(200):
        at = lens.popleft()
        asked, done = focus.step(at, contrast(at, subject_m), frame * frame_s)
        if done:
            return asked, frame * frame_s
        lens.append(asked)
    raise AssertionError("it never ended")


@pytest.mark.parametrize("subject", [0.32, 0.5, 0.8, 1.2, 2.4, 5.0, math.inf])
def test_it_finds_the_subject_within_a_pixel_of_blur(subject):
    found, took = sweep(subject)
    misfocus = abs((0 if math.isinf(found) else 1 / found) - 1 / subject)
    assert misfocus * BLUR_PER_DIOPTRE < 1.0
    assert took <= 1.5


def test_it_ends_in_time_with_the_best_so_far_however_slow_the_frames():
    found, took = sweep(1.2, frame_s=0.12, until_s=1.5)
    assert took <= 1.62
    assert found >= 0.3


def test_frames_that_never_come_do_not_hold_it_up():
    focus = AutoFocus(0.3, BLUR_PER_DIOPTRE, 2.0, 100.0)
    for frame in range(100):
        asked, done = focus.step(2.0, 1.0, frame / 30)
        if done:
            assert asked > 0.29
            return
    raise AssertionError("it never ended")
