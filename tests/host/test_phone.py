"""The phone with links that tests hold in their hands: switch, controls, shots, faults."""

from __future__ import annotations

import itertools
import math
import queue
import sys
import threading
import time
from pathlib import Path

import msgspec
import pytest
from cameras import BUILT_IN, MODULE
from fakes import FakeLink

from modoptic.errors import CaptureError, DetachedError, SettingError
from modoptic.frame import encode_meta
from modoptic.host import Phone, _shots
from modoptic.host.state import (
    AutoFocus,
    Choose,
    Magnify,
    PhoneState,
    SetControls,
    Shoot,
    SwitchCamera,
)

FAKE = str(Path(__file__).parent / "fake_developer.py")


class Bench:
    """A phone, its two links, and what it showed."""

    def __init__(self, tmp_path, how="well"):
        self.links: dict[str, FakeLink] = {}
        self.pictures = queue.SimpleQueue()

        def link(address, listener, **options):
            self.links[address] = FakeLink(address, listener, **options)
            return self.links[address]

        self.phone = Phone(
            tmp_path / "gallery",
            home=tmp_path / "home",
            modules=["memory:/module.sock"],
            built_in="memory:/built-in.sock",
            link=link,
            darkroom=(sys.executable, FAKE, how, str(tmp_path / "mark")),
        )
        self.phone.on_finder(self.pictures.put)
        self.module = self.links["memory:/module.sock"]
        self.built_in = self.links["memory:/built-in.sock"]

    def settle(self):
        """Wait until the phone has dealt with all that was said to it."""
        self.phone._loop.call(lambda: None)

    def picture(self, link, level=0.16, name="finder"):
        link.picture(level, name)
        shown = self.pictures.get(timeout=10)
        self.settle()
        self.settle()
        return shown

    def start(self):
        self.built_in.attach(BUILT_IN)
        self.settle()

    def snap_on(self):
        self.module.attach(MODULE)
        self.settle()

    @property
    def state(self) -> PhoneState:
        self.settle()
        return self.phone.state()


@pytest.fixture
def bench(tmp_path, request):
    bench = Bench(tmp_path, getattr(request, "param", "well"))
    yield bench
    bench.phone.close()


# --- which camera is shown


def test_it_switches_to_the_module_by_itself_and_back(bench):
    bench.start()
    assert bench.state.active == BUILT_IN.id
    assert "finder" in bench.built_in.streams
    bench.snap_on()
    assert bench.state.active == MODULE.id
    assert "finder" in bench.module.streams and "finder" not in bench.built_in.streams
    assert bench.picture(bench.module).header.camera == MODULE.id
    start = time.monotonic()
    bench.module.detach()
    assert bench.state.active == BUILT_IN.id
    assert "finder" in bench.built_in.streams
    assert bench.picture(bench.built_in).header.camera == BUILT_IN.id
    assert time.monotonic() - start < 0.2


def test_by_hand_if_it_was_set_so_and_that_is_kept(bench, tmp_path):
    bench.start()
    bench.phone.act(Choose(auto_switch=False))
    bench.snap_on()
    assert bench.state.active == BUILT_IN.id
    assert {camera.id for camera in bench.state.cameras} == {BUILT_IN.id, MODULE.id}
    bench.phone.act(SwitchCamera(camera=MODULE.id))
    assert bench.state.active == MODULE.id
    with pytest.raises(SettingError, match=MODULE.id):
        bench.phone.act(SwitchCamera(camera="no such"))
    bench.phone.close()
    assert b'"auto_switch": false' in (tmp_path / "home" / "phone.json").read_bytes()


def test_a_late_frame_of_the_module_is_not_shown_after_it_was_taken_off(bench):
    bench.start()
    bench.snap_on()
    streams = dict(bench.module.streams)
    bench.module.detach()
    bench.settle()
    bench.module.streams = streams
    bench.module.picture()
    assert bench.picture(bench.built_in).header.camera == BUILT_IN.id


def test_the_module_begins_with_the_exposure_of_the_camera_before(bench):
    bench.start()
    for level in (0.04, 0.13, 0.13):
        bench.picture(bench.built_in, level)
    before = bench.built_in.streams["finder"]
    bench.snap_on()
    after = bench.module.streams["finder"]

    def stops(settings):
        return math.log2(settings.exposure_s * settings.gain / settings.f_number**2)

    assert stops(after) == pytest.approx(stops(before), abs=0.05)


def test_attach_is_measured_from_the_hand_to_the_first_picture(bench):
    bench.start()
    bench.snap_on()
    assert bench.state.figures.attach_ms is None
    bench.picture(bench.module)
    state = bench.phone.wait_for(lambda now: now.figures.attach_ms is not None, 5)
    assert 0 < state.figures.attach_ms < 1000
    assert state.dock.ready_ms == state.figures.attach_ms
    assert state.dock.state == "READY"


# --- controls


def test_a_value_the_camera_does_not_have_is_refused_by_name(bench):
    bench.start()
    bench.snap_on()
    for change, words in (
        (SetControls(f_number=1.2), "aperture.*f/1.4 to f/11"),
        (SetControls(f_number=math.nan), "aperture"),
        (SetControls(iso=10), "ISO.*100 to 6400"),
        (SetControls(exposure_s=60), "shutter"),
        (SetControls(ev=9), "exposure compensation"),
        (SetControls(white_kelvin=100), "white balance"),
        (SetControls(focus_distance_m=0.1), "focus distance.*0.3 m or farther"),
        (Choose(still_size=50), "25 or 100"),
        (Magnify(at=(2.0, 0.5)), "magnifier"),
        (AutoFocus(at=(math.nan, 0.5)), "focus point"),
    ):
        with pytest.raises(SettingError, match=words):
            bench.phone.act(change)
    assert bench.state.lens.f_number.auto


def test_what_the_hand_takes_over_stays_until_it_is_given_back(bench):
    bench.start()
    bench.snap_on()
    bench.phone.act(SetControls(f_number=1.4, iso=200, focus_distance_m=1.2))
    asked = bench.module.streams["finder"]
    assert (asked.f_number, asked.gain, asked.focus_distance_m) == (1.4, 2.0, 1.2)
    assert bench.module.focus_m == 1.2
    for _ in range(5):
        bench.picture(bench.module, 0.3)
    asked = bench.module.streams["finder"]
    assert (asked.f_number, asked.gain) == (1.4, 2.0)
    state = bench.state
    assert not state.lens.f_number.auto and not state.iso.auto and state.exposure_s.auto
    assert state.lens.near_m < 1.2 < state.lens.far_m
    bench.phone.act(SetControls(auto=("f_number", "iso")))
    assert bench.state.lens.f_number.auto and bench.state.iso.auto


def test_zero_is_infinity(bench):
    bench.start()
    bench.phone.act(SetControls(focus_distance_m=0))
    assert math.isinf(bench.built_in.streams["finder"].focus_distance_m)
    assert bench.state.lens.focus_distance_m is None
    assert bench.state.lens.far_m is None


def test_the_ring_moves_the_lens_and_later_settings_leave_it_there(bench):
    bench.start()
    bench.snap_on()
    bench.module.ring(0.77)
    bench.phone.wait_for(lambda now: now.lens.focus_distance_m == 0.77, 5)
    bench.picture(bench.module, 0.4)
    assert bench.module.streams["finder"].focus_distance_m == 0.77


def test_white_balance_by_hand(bench):
    bench.start()
    bench.phone.act(SetControls(white_kelvin=3200))
    assert (bench.state.white_balance, bench.state.white_kelvin) == ("manual", 3200)
    bench.phone.act(SetControls(auto=("white_balance",)))
    assert bench.state.white_balance == "auto"


def test_the_magnifier_asks_for_the_sensors_own_pixels_around_the_point(bench):
    bench.start()
    bench.snap_on()
    bench.phone.act(Magnify(at=(0.5, 0.0)))
    asked = bench.module.streams["loupe"]
    x, y, width, height = asked.region
    assert asked.readout == "full" and y == 0
    assert abs(x + width / 2 - MODULE.sensor_width / 2) <= 4
    assert x % 4 == 0 and width % 4 == 0 and height % 2 == 0
    assert bench.picture(bench.module, name="loupe").header.kind == "magnifier"
    bench.phone.act(Magnify(at=None))
    assert "loupe" not in bench.module.streams


def test_autofocus_sweeps_and_then_the_camera_meters_again(bench):
    bench.start()
    bench.snap_on()
    bench.phone.act(AutoFocus(at=(0.5, 0.5)))
    asked = set()
    for _ in range(60):
        bench.picture(bench.module)
        asked.add(bench.module.streams["finder"].focus_distance_m)
        if bench.phone._active.camera.autofocus is None:
            break
    else:
        raise AssertionError("it never ended")
    assert len(asked) > 8


def test_without_a_camera_it_says_so(bench):
    for action in (SetControls(ev=1), Shoot(), Magnify(at=(0.5, 0.5))):
        with pytest.raises(DetachedError, match="no camera"):
            bench.phone.act(action)


# --- shots


def finish(bench, link, request=1):
    frame = link.still(request)
    frame.rows_arrived(frame.height)
    link.listener.still_done(request)
    return frame


def test_a_shot_ends_in_the_gallery_and_is_acknowledged(bench):
    bench.start()
    bench.snap_on()
    seen = []
    capture = bench.phone.shoot()
    capture.add_progress(lambda shot: seen.append(shot.phase))
    frame = finish(bench, bench.module)
    photo = capture.result(20)
    assert photo.name == capture.name
    assert ("durable", frame.meta.frame_id) in bench.module.asked
    assert frame.released == 1
    assert seen[-1] == "done" and "crossing" in seen
    state = bench.phone.wait_for(lambda now: now.figures.shot_s is not None, 5)
    assert state.shots[-1].phase == "done"


def test_settings_are_those_of_the_release(bench):
    bench.start()
    bench.snap_on()
    bench.phone.act(SetControls(f_number=8.0, focus_distance_m=2.0))
    bench.phone.act(Choose(still_size=100))
    bench.phone.act(Shoot())
    bench.phone.act(SetControls(f_number=1.4))
    asked = [a[1] for a in bench.module.asked if a[0] == "shoot"]
    assert [(s.readout, s.f_number, s.focus_distance_m) for s in asked] == [("full", 8.0, 2.0)]


def test_a_third_shot_waits_and_none_is_dropped(bench):
    bench.start()
    bench.snap_on()
    captures = [bench.phone.shoot() for _ in range(4)]
    assert len({capture.name for capture in captures}) == 4
    assert [shot.phase for shot in bench.state.shots].count("waiting") == 2
    for request, capture in enumerate(captures, 1):
        finish(bench, bench.module, request)
        capture.result(20)
    assert sum(a[0] == "shoot" for a in bench.module.asked) == 4


def test_a_busy_module_is_asked_again_when_a_buffer_is_free(bench):
    bench.start()
    bench.snap_on()
    first = bench.phone.shoot()
    bench.module.busy = True
    second = bench.phone.shoot()
    assert bench.state.shots[-1].phase == "waiting"
    bench.module.busy = False
    finish(bench, bench.module)
    first.result(20)
    bench.settle()
    finish(bench, bench.module, 2)
    second.result(20)


def test_a_shot_cut_off_is_named_and_the_finder_goes_on(bench):
    bench.start()
    bench.snap_on()
    under_way, queued = bench.phone.shoot(), bench.phone.shoot()
    frame = bench.module.still(1)
    frame.rows_arrived(100)
    bench.settle()
    frame.fail("it was taken off")
    bench.module.detach()
    bench.module.listener.still_lost(1, "it was taken off", frame)
    for capture in (under_way, queued):
        with pytest.raises(CaptureError, match=capture.name):
            capture.result(20)
    names = {notice.shot for notice in bench.state.notices}
    assert {under_way.name, queued.name} <= names
    assert frame.released == 1
    assert bench.state.active == BUILT_IN.id
    assert bench.picture(bench.built_in).header.camera == BUILT_IN.id


def test_a_shot_that_has_crossed_survives_the_detach(bench):
    bench.start()
    bench.snap_on()
    capture = bench.phone.shoot()
    finish(bench, bench.module)
    bench.module.detach()
    assert capture.result(20).name == capture.name


@pytest.mark.parametrize("bench", ["crash"], indirect=True)
def test_a_developer_that_keeps_dying_costs_that_shot_only(bench):
    bench.start()
    bench.snap_on()
    capture = bench.phone.shoot()
    frame = finish(bench, bench.module)
    with pytest.raises(CaptureError, match="twice"):
        capture.result(30)
    bench.settle()
    assert ("durable", frame.meta.frame_id) in bench.module.asked  # its buffer is free again
    assert not list(Path(bench.state.gallery_dir).glob(".*.reserved"))
    assert bench.state.active == MODULE.id


def slow(monkeypatch):
    """A patience of a fraction of a second stands for the minute."""
    monkeypatch.setattr(_shots, "_ROWS_WITHIN_S", 0.5)
    monkeypatch.setattr(_shots, "_TELL_WITHIN_S", 0.05)


def test_a_slow_line_loses_no_shot(bench, monkeypatch):
    slow(monkeypatch)
    bench.start()
    bench.snap_on()
    capture = bench.phone.shoot()
    frame = bench.module.still(1)
    for rows in range(10, 110, 10):  # slower than a step of rows in the time
        frame.rows_arrived(rows)
        assert not threading.Event().wait(0.1)
    frame.rows_arrived(frame.height)
    bench.module.listener.still_done(1)
    assert capture.result(20).name == capture.name


def test_a_still_of_which_nothing_arrives_is_given_up(bench, monkeypatch):
    slow(monkeypatch)
    bench.start()
    bench.snap_on()
    capture = bench.phone.shoot()
    bench.module.still(1)
    with pytest.raises(CaptureError):
        capture.result(20)


def test_a_shot_that_the_phone_cannot_hand_on_is_lost_in_words(bench, monkeypatch):
    bench.start()
    bench.snap_on()
    for at, step in ((1, bench.module.still), (2, lambda request: finish(bench, bench.module, 2))):
        capture = bench.phone.shoot()
        with monkeypatch.context() as broken:
            calls = itertools.count(1)

            def refuse(meta, calls=calls, at=at):
                if next(calls) == at:
                    raise TypeError("an Ext cannot be encoded")
                return encode_meta(meta)

            broken.setattr(_shots, "encode_meta", refuse)
            frame = step(at)
            with pytest.raises(CaptureError, match="an Ext cannot be encoded"):
                capture.result(20)
            bench.settle()
        # nothing holds a place of the queue, of the module or of memory
        assert bench.state.shots[-1].phase == "lost"
        assert frame.released == 1
        assert ("durable", frame.meta.frame_id) in bench.module.asked
    capture = bench.phone.shoot()
    finish(bench, bench.module, 3)
    assert capture.result(20).name == capture.name


# --- the phone as a whole


def test_the_state_travels_as_json(bench):
    bench.start()
    bench.snap_on()
    bench.picture(bench.module)
    bench.phone.act(SetControls(focus_distance_m=0))
    state = bench.state
    assert msgspec.json.decode(msgspec.json.encode(state), type=PhoneState) == state


def test_changes_are_gathered(bench):
    bench.start()
    heard = []
    bench.phone.subscribe(heard.append)
    start = time.monotonic()
    for step in range(200):
        bench.built_in.ring(1 + step / 100)
    bench.phone.wait_for(lambda now: now.lens.focus_distance_m == 2.99, 5)
    assert len(heard) <= (time.monotonic() - start) * 20 + 2


def test_closing_leaves_no_thread(tmp_path):
    before = set(threading.enumerate())
    bench = Bench(tmp_path)
    bench.start()
    bench.snap_on()
    capture = bench.phone.shoot()
    bench.module.still(1)
    bench.phone.close()
    with pytest.raises(CaptureError, match="switched off"):
        capture.result(5)
    deadline = time.monotonic() + 5
    while set(threading.enumerate()) - before and time.monotonic() < deadline:
        for thread in set(threading.enumerate()) - before:
            thread.join(0.1)
    assert not set(threading.enumerate()) - before
    assert bench.module.closed and bench.built_in.closed
