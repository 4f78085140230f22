"""The viewfinder: raw frames in, JPEGs and statistics out, in a thread of its own; latest wins.

A frame is taken up when it begins to come and worked on while the rest arrives. One that waits is
overtaken by a newer one that is whole, not by one that has only begun: the next begins as soon as
the sensor is free, long before it could be shown.
"""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Generic, TypeVar

from modoptic.errors import DetachedError
from modoptic.frame import Frame, FrameMeta
from modoptic.host._camera import finite
from modoptic.host._render import FrameStats, Renderer
from modoptic.host.state import FinderFrame, FinderHeader
from modoptic.isp import FinderLook

_log = logging.getLogger("modoptic.host")
_WHOLE_WITHIN_S = 0.25
"""From the last row to the trailer, which follows at once or not at all."""
_LOG_EVERY_S = 10.0


Place = TypeVar("Place")
"""Where frames come from; whatever the phone tells cameras apart by."""


_WAITING_MAX = 4
"""Frames of finder and magnifier together; what a link lends is less."""


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting(Generic[Place]):
    place: Place
    name: str
    frame: Frame


@dataclass(frozen=True, slots=True)
class Shown(Generic[Place]):
    """A frame that was made into a picture."""

    place: Place
    header: FinderHeader
    meta: FrameMeta
    stats: FrameStats | None
    """None for the magnifier."""
    skipped: int
    """Frames so far that a newer one overtook here, since this camera is shown."""


class Finder(Generic[Place]):
    """Makes pictures of the newest frames of the camera that is shown.

    Parameters
    ----------
    shown : called in the finder's thread for each picture, after its subscribers; returns at once
    """

    def __init__(self, shown: Callable[[Shown[Place]], None]) -> None:
        self._shown = shown
        self._changed = threading.Condition()
        self._waiting: list[_Waiting[Place]] = []
        """Oldest first."""
        self._whole: set[int] = set()
        """Ids (of Python) of frames that are complete with their final metadata."""
        self._visible: Place | None = None
        self._looks: dict[Place, tuple[str, FinderLook]] = {}
        self._subscribers: tuple[Callable[[FinderFrame], None], ...] = ()
        self._shows = 0
        """How often it was said what to show: a camera that comes again is another one."""
        self._skipped = 0
        self._sequence = 0
        self._logged_s: dict[str, float] = {}
        """When a problem was logged."""
        self.shown_width: int | None = None
        """Pixels across at which pictures are looked at; None where that is not known."""
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="finder", daemon=True)
        self._thread.start()

    def subscribe(self, listener: Callable[[FinderFrame], None]) -> Callable[[], None]:
        """Call ``listener`` with each picture; returns what ends it."""
        with self._changed:
            self._subscribers = (*self._subscribers, listener)

        def unsubscribe() -> None:
            with self._changed:
                self._subscribers = tuple(s for s in self._subscribers if s is not listener)

        return unsubscribe

    def look(self, place: Place, camera: str, look: FinderLook) -> None:
        """How frames from ``place`` are shown from now on, and the id of the camera there."""
        with self._changed:
            self._looks[place] = (camera, look)

    def show(self, place: Place | None) -> None:
        """Show the frames from ``place`` alone."""
        with self._changed:
            self._visible = place
            self._shows += 1
            self._drop(self._waiting)
            self._skipped = 0

    def begins(self, place: Place, name: str, frame: Frame) -> None:
        """A frame begins to arrive. It is released after use, or at once where it is not wanted."""
        with self._changed:
            if self._closed or place != self._visible:
                frame.release()
                return
            if len(self._waiting) == _WAITING_MAX:
                self._drop(self._waiting[:1])
            self._whole.discard(id(frame))
            self._waiting.append(_Waiting(place, name, frame))
            self._changed.notify_all()

    def whole(self, frame: Frame) -> None:
        """A frame is complete and its metadata final."""
        with self._changed:
            self._whole.add(id(frame))
            for at, newest in enumerate(self._waiting):
                if newest.frame is frame:
                    self._drop([w for w in self._waiting[:at] if w.name == newest.name])
                    break
            self._changed.notify_all()

    def close(self) -> None:
        """End the thread."""
        self.show(None)
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(10)

    def _run(self) -> None:
        renderer = Renderer()
        with self._go_on("the viewfinder's kernels could not be loaded"):
            renderer.load()
        shown = self._shows
        while (taken := self._take()) is not None:
            if shown != self._shows:
                # nothing of the session or camera before is used again
                shown, renderer = self._shows, Renderer()
            with self._go_on(f"a frame of {taken[3]} cannot be shown"):
                self._picture(renderer, *taken)

    def _picture(
        self,
        renderer: Renderer,
        place: Place,
        name: str,
        frame: Frame,
        camera: str,
        look: FinderLook,
        skipped: int,
    ) -> None:
        """Make one frame into a picture and tell of it."""
        try:
            stats: FrameStats | None = None
            if name == "finder":
                jpeg, width, height, stats = renderer.finder(frame, look, self.shown_width)
            else:
                jpeg, width, height = renderer.magnifier(frame, look)
            meta = self._final(place, frame)
        except DetachedError:
            return  # it was overtaken on the way, or the module is gone
        finally:
            frame.release()
        self._sequence += 1
        header = _header(self._sequence, camera, name, meta, width, height)
        with self._changed:
            subscribers = self._subscribers
            if place != self._visible:
                return  # switched meanwhile: the old camera's picture must not come back
        picture = FinderFrame(header=header, jpeg=jpeg)
        for subscriber in subscribers:
            with self._go_on("who watches the viewfinder failed"):
                subscriber(picture)
        self._shown(Shown(place, header, meta, stats, skipped))

    @contextlib.contextmanager
    def _go_on(self, problem: str) -> Generator[None]:
        """The viewfinder outlives whatever fails in here; a problem is logged, not each of many."""
        try:
            yield
        except Exception:
            now = time.monotonic()
            if now - self._logged_s.get(problem, -math.inf) >= _LOG_EVERY_S:
                self._logged_s[problem] = now
                _log.exception("%s; the viewfinder goes on", problem)

    def _take(self) -> tuple[Place, str, Frame, str, FinderLook, int] | None:
        """The next frame and how to show it; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if self._closed:
                return None
            first = self._waiting.pop(0)
            self._whole &= {id(first.frame), *(id(other.frame) for other in self._waiting)}
            camera, look = self._looks[first.place]
            return first.place, first.name, first.frame, camera, look, self._skipped

    def _drop(self, overtaken: list[_Waiting[Place]]) -> None:
        """Give frames back unseen; with the lock held."""
        for waiting in tuple(overtaken):
            self._waiting.remove(waiting)
            waiting.frame.release()
            self._skipped += waiting.name == "finder"

    def _final(self, place: Place, frame: Frame) -> FrameMeta:
        with self._changed:
            self._changed.wait_for(
                lambda: id(frame) in self._whole or place != self._visible,
                _WHOLE_WITHIN_S,
            )
            if id(frame) not in self._whole:
                raise DetachedError(frame.failed or "the end of a frame did not come")
            self._whole.discard(id(frame))
            return frame.meta


def _header(
    sequence: int, camera: str, name: str, meta: FrameMeta, width: int, height: int
) -> FinderHeader:
    settings = meta.settings
    start = meta.sensor_time_ns
    # the centre row starts half a readout later
    middle = start + int(settings.exposure_s * 5e8) + meta.row_time_ns * meta.height // 2
    return FinderHeader(
        sequence=sequence,
        camera=camera,
        frame_id=meta.frame_id,
        width=width,
        height=height,
        kind="finder" if name == "finder" else "magnifier",
        exposure_s=settings.exposure_s,
        iso=meta.iso,
        f_number=settings.f_number,
        focus_distance_m=finite(settings.focus_distance_m),
        mid_exposure_ns=middle,
        start_ns=start,
        readout_end_ns=meta.readout_end_ns,
        ready_ns=time.monotonic_ns(),
    )
