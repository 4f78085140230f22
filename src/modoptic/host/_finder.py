"""The viewfinder: raw frames in, JPEGs and statistics out, in a thread of its own; latest wins."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modoptic.calibration import Calibration
from modoptic.frame import Frame, FrameMeta
from modoptic.host._camera import finite
from modoptic.host._render import FrameStats, Renderer
from modoptic.host.state import FinderFrame, FinderHeader

if TYPE_CHECKING:
    from modoptic.host._phone import _Socket as Socket


@dataclass(frozen=True, slots=True)
class Look:
    """How the frames of a camera are to be shown."""

    camera: str
    kelvin: float
    neutral: tuple[float, float, float]
    calibration: Calibration
    focus_at: tuple[float, float] | None
    """Where contrast is measured, 0..1 of the picture; None: nowhere."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A frame that was made into a picture."""

    socket: Socket
    header: FinderHeader
    meta: FrameMeta
    stats: FrameStats | None
    """None for the magnifier."""
    skipped: int
    """Frames of this stream so far that a newer one overtook."""


class Finder:
    """Makes pictures of the newest frames of the camera that is shown.

    Parameters
    ----------
    shown : called in the finder's thread for each picture, after its subscribers; returns at once
    """

    def __init__(self, shown: Callable[[Shown], None]) -> None:
        self._shown = shown
        self._changed = threading.Condition()
        self._waiting: dict[str, tuple[Socket, Frame]] = {}
        self._visible: Socket | None = None
        self._looks: dict[Socket, Look] = {}
        self._subscribers: tuple[Callable[[FinderFrame], None], ...] = ()
        self._skipped = 0
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

    def look(self, socket: Socket, look: Look) -> None:
        """How frames of ``socket`` are shown from now on."""
        with self._changed:
            self._looks[socket] = look

    def show(self, socket: Socket | None) -> None:
        """Show the frames of ``socket`` alone."""
        with self._changed:
            self._visible = socket
            for _, frame in self._waiting.values():
                frame.release()
            self._waiting.clear()
            self._skipped = 0

    def offer(self, socket: Socket, name: str, frame: Frame) -> None:
        """A frame has arrived. It is released after use, or at once where it is not wanted."""
        with self._changed:
            if self._closed or socket is not self._visible:
                frame.release()
                return
            overtaken = self._waiting.pop(name, None)
            if overtaken is not None:
                overtaken[1].release()
                self._skipped += name == "finder"
            self._waiting[name] = (socket, frame)
            self._changed.notify()

    def close(self) -> None:
        """End the thread."""
        self.show(None)
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(10)

    def _run(self) -> None:
        renderer = Renderer()
        sequence = 0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if self._closed:
                    return
                name = next(iter(self._waiting))
                socket, frame = self._waiting.pop(name)
                look, subscribers = self._looks[socket], self._subscribers
                skipped = self._skipped
            try:
                if name == "finder":
                    jpeg, width, height, stats = renderer.finder(frame, look)
                else:
                    jpeg, width, height = renderer.magnifier(frame, look)
                    stats = None
                meta = frame.meta
            finally:
                frame.release()
            sequence += 1
            header = _header(sequence, look.camera, name, meta, width, height)
            with self._changed:
                if socket is not self._visible:
                    continue  # switched meanwhile: the old camera's picture must not come back
            picture = FinderFrame(header=header, jpeg=jpeg)
            for subscriber in subscribers:
                subscriber(picture)
            self._shown(Shown(socket, header, meta, stats, skipped))


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
