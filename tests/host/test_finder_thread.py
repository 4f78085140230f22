"""The finder's own thread: what waits, what is overtaken, how large pictures are."""

from __future__ import annotations

import queue
import threading
import time
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from modoptic import pixels
from modoptic.frame import Frame, FrameMeta
from modoptic.host._finder import Finder
from modoptic.host._render import Renderer
from modoptic.isp import FinderLook

WIDTH, HEIGHT = 416, 312


class Watched(Frame):
    """Says when somebody waits for its rows."""

    def wait_rows(self, rows, timeout_s=60.0):
        self.taken.set()
        return super().wait_rows(rows, timeout_s)


class Place:
    """Where a test's frames come from."""


@pytest.fixture
def finder():
    shown = queue.SimpleQueue()
    finder = Finder(shown.put)
    finder.pictures = queue.SimpleQueue()
    finder.subscribe(finder.pictures.put)
    finder.place = Place()
    finder.look(finder.place, "module", FinderLook())
    finder.show(finder.place)
    finder.shown = shown
    Arriving(finder, 100).come()  # kernels are loaded
    assert ids(finder, 1) == [100] and finder.pictures.get(timeout=10)
    yield finder
    finder.close()


class Arriving:
    """A frame whose rows a test lets come."""

    def __init__(self, finder, number, name="finder"):
        self.finder = finder
        now = time.monotonic_ns()
        meta = FrameMeta(
            width=WIDTH, height=HEIGHT, frame_id=number, sensor_time_ns=now, readout_end_ns=now
        )
        grey = np.full((HEIGHT, WIDTH), 1000, np.uint16)
        data = pixels.pack(grey, pixels.pixel_format(meta.pixel_format))
        self.released = threading.Event()
        self.frame = Watched(meta, data, rows_valid=0, release=self.released.set)
        self.frame.taken = threading.Event()
        finder.begins(finder.place, name, self.frame)

    def is_taken(self):
        return self.frame.taken.wait(10)

    def come(self):
        self.frame.rows_arrived(HEIGHT)
        self.finder.whole(self.frame)


def ids(finder, count):
    return [finder.shown.get(timeout=10).header.frame_id for _ in range(count)]


def test_a_frame_that_has_only_begun_overtakes_none(finder):
    first, second, third = (Arriving(finder, n) for n in (1, 2, 3))
    assert first.is_taken()
    first.come()
    second.come()
    assert ids(finder, 2) == [1, 2]
    third.come()
    assert ids(finder, 1) == [3]
    assert all(f.released.wait(5) for f in (first, second, third))


def test_a_whole_frame_overtakes_those_that_wait(finder):
    blocking = Arriving(finder, 1)
    assert blocking.is_taken()
    second, third = Arriving(finder, 2), Arriving(finder, 3)
    second.come()
    third.come()
    assert second.released.wait(5)
    blocking.come()
    assert ids(finder, 2) == [1, 3]


def test_what_waits_is_bounded(finder):
    blocking = Arriving(finder, 1)
    assert blocking.is_taken()
    flood = [Arriving(finder, n) for n in range(2, 9)]
    assert sum(f.released.is_set() for f in flood) >= 3
    for frame in (blocking, *flood[-2:]):
        frame.come()
    assert ids(finder, 2) == [1, 8]


def test_the_magnifier_is_not_overtaken_by_the_finder(finder):
    blocking = Arriving(finder, 1)
    assert blocking.is_taken()
    loupe, newer = Arriving(finder, 2, "loupe"), Arriving(finder, 3)
    newer.come()
    loupe.come()
    blocking.come()
    assert ids(finder, 3) == [1, 2, 3]


def test_whatever_fails_the_viewfinder_goes_on(finder, monkeypatch, caplog):
    def fail(*args):
        raise ValueError("a bad day")

    end = finder.subscribe(fail)
    for number in range(1, 4):
        Arriving(finder, number).come()
        assert ids(finder, 1) == [number]
        assert finder.pictures.get(timeout=10).header.frame_id == number
    end()
    with monkeypatch.context() as broken:
        broken.setattr(Renderer, "finder", fail)
        frame = Arriving(finder, 4)
        frame.come()
        assert frame.released.wait(10)
    Arriving(finder, 5).come()
    assert ids(finder, 1) == [5]
    # said once, not for each frame
    told = [record.message.partition(";")[0] for record in caplog.records]
    assert told == ["who watches the viewfinder failed", "a frame of module cannot be shown"]


def test_nothing_of_a_session_makes_the_pictures_of_the_next(finder, monkeypatch):
    used = []
    finder_of = Renderer.finder

    def watched(renderer, *args):
        used.append(renderer)
        return finder_of(renderer, *args)

    monkeypatch.setattr(Renderer, "finder", watched)
    for number in (1, 2):
        Arriving(finder, number).come()
        ids(finder, 1)
    finder.show(None)  # taken off
    finder.show(finder.place)
    Arriving(finder, 3).come()
    ids(finder, 1)
    assert used[0] is used[1]
    assert used[2] is not used[0]


def test_pictures_are_halved_where_that_is_enough(finder):
    for number, (looked_at, expected) in enumerate(
        ((None, (208, 156)), (105, (208, 156)), (104, (104, 78))), 1
    ):
        finder.shown_width = looked_at
        Arriving(finder, number).come()
        picture = finder.pictures.get(timeout=10)
        assert (picture.header.width, picture.header.height) == expected
        assert Image.open(BytesIO(picture.jpeg)).size == expected
