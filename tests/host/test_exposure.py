"""Auto exposure meets a scene whose light is known, through a delay of two frames."""

from __future__ import annotations

import math
from collections import deque

import pytest
from cameras import MODULE

from modoptic.frame import Settings
from modoptic.host._exposure import MID_GREY, AutoExposure, Manual, Metering, stops

DELAY = 2


def expose(settings, light, lamps=0.0):
    """What a frame of a scene says: mean light, and a part of it in lamps a thousand times
    brighter.
    """
    level = 2 ** stops(settings) * light
    highlight = 1.0 if lamps > 0.005 else min(level * 3, 1.0)
    spread = [level * 2 ** (k / 4 - 1.5) for k in range(11)]
    clipped = sum(value >= 1 for value in spread) / 11 * (1 - lamps)
    clipped += lamps if level * 1000 >= 1 else 0
    mean = (1 - lamps) * sum(min(v, 1.0) for v in spread) / 11 + lamps * min(level * 1000, 1)
    return Metering(mean, highlight, clipped, settings)


def run(exposure, light, frames, manual=None, ev=0.0, lamps=0.0):
    """Levels of successive frames when settings take effect DELAY frames after their statistics."""
    manual = manual or Manual()
    exposure_s, gain, f_number = exposure.choose(manual, ev)
    now = Settings(exposure_s=exposure_s, gain=gain, f_number=f_number)
    coming = deque([now] * DELAY)
    seen = []
    for _ in range(frames):
        coming.append(now)
        metering = expose(coming.popleft(), light, lamps)
        seen.append(metering)
        exposure.meter(metering)
        exposure_s, gain, f_number = exposure.choose(manual, ev)
        now = Settings(exposure_s=exposure_s, gain=gain, f_number=f_number)
    return seen


@pytest.mark.parametrize(("light_stops", "frames"), [(-2, 5), (0, 5), (3, 5), (6, 5), (9, 8)])
def test_it_is_within_a_third_of_a_stop_after_a_few_frames(light_stops, frames):
    seen = run(AutoExposure(MODULE), 2.0**light_stops * 100, frames + DELAY + 12)
    for metering in seen[frames + DELAY :]:
        assert abs(math.log2(metering.level / MID_GREY)) < 1 / 3


def test_it_does_not_swing():
    seen = run(AutoExposure(MODULE), 5000, 40)
    levels = [math.log2(metering.level) for metering in seen[10:]]
    assert max(levels) - min(levels) < 0.1


def test_lamps_clip_rather_than_darken_the_picture_by_more_than_a_stop():
    seen = run(AutoExposure(MODULE), 500, 40, lamps=0.02)
    assert abs(math.log2(seen[-1].level / MID_GREY)) < 1.1


def test_the_shutter_is_faster_than_the_hand_shakes_until_gain_runs_out():
    bright, dim = AutoExposure(MODULE), AutoExposure(MODULE)
    run(bright, 3000, 20)
    exposure_s, gain, f_number = bright.choose(Manual(), 0)
    assert gain == 1 and exposure_s < 1 / 35 and f_number == pytest.approx(2.8)
    run(dim, 20, 20)
    exposure_s, gain, _ = dim.choose(Manual(), 0)
    assert gain > 1 and exposure_s <= 1 / 35


def test_what_the_hand_set_stays_and_the_rest_makes_up_for_it():
    exposure = AutoExposure(MODULE)
    run(exposure, 100, 10)
    manual = Manual(f_number=8.0, exposure_s=1 / 30)
    seen = run(exposure, 100, 20, manual)
    exposure_s, gain, f_number = exposure.choose(manual, 0)
    assert (exposure_s, f_number) == (1 / 30, 8.0)
    assert gain > 1
    assert abs(math.log2(seen[-1].level / MID_GREY)) < 0.2
    by_hand = Manual(f_number=2.0, exposure_s=1 / 500, gain=4.0)
    assert exposure.choose(by_hand, 2.0) == (1 / 500, 4.0, 2.0)


def test_iso_by_hand_leaves_the_shutter_to_the_camera():
    exposure = AutoExposure(MODULE)
    run(exposure, 1000, 10)
    base = exposure.choose(Manual(gain=1.0), 0)
    more = exposure.choose(Manual(gain=8.0), 0)
    assert more[0] == pytest.approx(base[0] / 8)


def test_compensation_is_in_stops():
    exposure = AutoExposure(MODULE)
    run(exposure, 3000, 10)
    normal, over = exposure.choose(Manual(), 0), exposure.choose(Manual(), 1.0)
    assert over[0] * over[1] == pytest.approx(2 * normal[0] * normal[1])


def test_it_begins_where_the_camera_before_was():
    before = AutoExposure(MODULE)
    run(before, 700, 20)
    after = AutoExposure(MODULE, before.wanted)
    assert after.choose(Manual(), 0) == before.choose(Manual(), 0)


def test_limits_of_the_camera_hold_in_the_dark_and_in_the_sun():
    for light in (1e-3, 1e7):
        exposure = AutoExposure(MODULE)
        run(exposure, light, 30)
        exposure_s, gain, f_number = exposure.choose(Manual(), 0)
        assert MODULE.exposure_min_s <= exposure_s <= MODULE.exposure_max_s
        assert 1 <= gain <= MODULE.gain_max
        assert MODULE.f_number_min <= f_number <= MODULE.f_number_max
