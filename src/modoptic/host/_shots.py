"""The queue of photos: asked for, exposed, crossing the link, developed, in the gallery.

A shot is never dropped silently: it ends in the gallery, or is named in a notice with the reason.
Its module keeps it until it is acknowledged, and that is done when its files lie on the disk,
synced: a raw spool of 150 MB of its own would cost a second of disk and protect nothing that the
module does not hold anyway.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from modoptic import __version__
from modoptic.calibration import Calibration
from modoptic.errors import CaptureError, DetachedError, LinkError, ModopticError, StorageError
from modoptic.frame import FrameMeta, Settings, encode_meta
from modoptic.host._capture import Capture, Photo
from modoptic.host._darkroom import Darkroom
from modoptic.host._pipe import DevelopJob, Kept, Progress, Saved, ToPhone
from modoptic.host.state import ShotState
from modoptic.laserlink import HostEnd, StillBuffer
from modoptic.photo import Gallery

_log = logging.getLogger("modoptic.host")
_UNDER_WAY = 2
"""Shots between release and file at a time: the memory of two raws, and as many as modules hold."""
_FINISHED_SHOWN = 4
_ROW_STEP = 256
_ROWS_WITHIN_S = 60.0
"""A still of which nothing arrives for so long is given up; a slow line is no reason to."""
_TELL_WITHIN_S = 2.0
"""The developer hears of rows after so long, also where they are less than a step."""

Phase = Literal[
    "waiting", "preparing", "exposing", "crossing", "developing", "saving", "done", "lost"
]


@dataclass(frozen=True, slots=True)
class Order:
    """What a photo is to be, frozen at the release."""

    link: HostEnd
    settings: Settings
    calibration: Calibration
    neutral: tuple[float, float, float]
    megapixels: float
    save_dng: bool
    dng_compression: Literal["jpeg", "jpegxl"]


@dataclass(slots=True)
class _Shot:
    capture: Capture
    order: Order
    released_s: float
    job: int
    phase: Phase = "waiting"
    fraction: float = 0.0
    why: str = ""
    request: int | None = None
    buffer: StillBuffer | None = None
    taken: str = ""
    whole: bool = False
    """Every row has arrived: the module is not needed any more."""

    def meta(self) -> FrameMeta:
        """What the module says of the frame, and what only the phone knows."""
        assert self.buffer is not None
        return msgspec.structs.replace(
            self.buffer.meta,
            as_shot_neutral=self.order.neutral,
            software=f"modoptic {__version__}",
            taken=self.taken,
        )

    def state(self) -> ShotState:
        return ShotState(
            name=self.capture.name,
            phase=self.phase,
            fraction=self.fraction,
            why=self.why,
            megapixels=self.order.megapixels,
        )


class Watcher(Protocol):
    """What the queue tells the phone, in the phone's own thread."""

    def shots_changed(self, *, important: bool) -> None: ...

    def shot_finished(self, photo: Photo, shot_s: float, develop_s: float) -> None: ...

    def shot_warned(self, name: str, why: str) -> None: ...

    def shot_lost(self, name: str, why: str) -> None: ...


class Shots:
    """All shots under way. Used from the phone's thread only.

    Parameters
    ----------
    gallery : where photos go and names come from
    darkroom : develops them
    post : runs something in the phone's thread
    watcher : hears of every step
    """

    def __init__(
        self,
        gallery: Gallery,
        darkroom: Darkroom,
        post: Callable[[Callable[[], None]], None],
        watcher: Watcher,
    ) -> None:
        self._gallery = gallery
        self._darkroom = darkroom
        self._post = post
        self._watcher = watcher
        self._numbers = itertools.count(1)
        self._shots: list[_Shot] = []
        self._finished: list[ShotState] = []

    def states(self) -> tuple[ShotState, ...]:
        return (*self._finished, *(shot.state() for shot in self._shots))

    def release(self, order: Order) -> Capture:
        """Take a photo: its name is reserved, and it goes to the end of the queue.

        Raises
        ------
        StorageError : the gallery cannot be written
        """
        capture = Capture(self._gallery.reserve())
        self._shots.append(_Shot(capture, order, time.monotonic(), next(self._numbers)))
        self._pump()
        self._watcher.shots_changed(important=True)
        return capture

    def close(self) -> None:
        """Fail what has not come to its end."""
        for shot in tuple(self._shots):
            self._lose(shot, "the phone was switched off")

    # what the link says

    def progress(self, link: HostEnd, request: int, phase: Phase, fraction: float) -> None:
        shot = self._find(link, request)
        if shot is not None and not shot.whole:
            self._step(shot, phase, fraction)

    def begins(self, link: HostEnd, request: int, frame: StillBuffer) -> None:
        shot = self._find(link, request)
        if shot is None or shot.buffer is not None:
            frame.release()
            return
        shot.buffer = frame
        try:
            self._develop(shot, frame)
        except Exception as error:
            _log.exception("%s cannot be developed", shot.capture.name)
            self._fail(shot, f"the phone cannot develop it: {error}")
            return
        self._step(shot, "crossing", 0.0)

    def _develop(self, shot: _Shot, frame: StillBuffer) -> None:
        """Hand a still that begins to arrive to the developer."""
        shot.taken = datetime.now().astimezone().isoformat(timespec="milliseconds")
        order = shot.order
        job = DevelopJob(
            job=shot.job,
            name=shot.capture.name,
            meta=encode_meta(shot.meta()),
            calibration=order.calibration,
            folder=str(self._gallery.folder),
            save_dng=order.save_dng,
            dng_compression=order.dng_compression,
        )
        self._darkroom.develop(job, frame.fd)
        threading.Thread(
            target=self._forward_rows, args=(shot.job, frame), name="still-rows", daemon=True
        ).start()

    def crossed(self, link: HostEnd, request: int) -> None:
        shot = self._find(link, request)
        if shot is None or shot.buffer is None:
            return
        shot.whole = True
        try:
            meta = encode_meta(shot.meta())
        except Exception as error:
            _log.exception("%s cannot be developed", shot.capture.name)
            self._fail(shot, f"the phone cannot develop it: {error}")
            return
        self._darkroom.whole(shot.job, meta)
        self._step(shot, "developing", 0.0)

    def not_crossed(self, link: HostEnd, request: int, why: str) -> None:
        shot = self._find(link, request)
        if shot is not None and not shot.whole:
            self._interrupt(shot, why)

    def detached(self, link: HostEnd) -> None:
        """Whatever of this link has not crossed will not."""
        for shot in tuple(self._shots):
            if shot.order.link is link and not shot.whole and shot.phase != "lost":
                self._interrupt(shot, "the module was taken off before it had arrived whole")

    # what the developer says

    def developed(self, message: ToPhone) -> None:
        shot = next((shot for shot in self._shots if shot.job == message.job), None)
        if shot is None:
            return
        if isinstance(message, Progress):
            if shot.whole:
                self._step(shot, message.phase, message.fraction)
        elif isinstance(message, Saved):
            self._file(shot, message)
        elif isinstance(message, Kept):
            kept = f"; what arrived is kept as {message.partial}" if message.partial else ""
            self._lose(shot, shot.why + kept)
        else:
            self._lose(shot, message.text, disk=message.disk)

    def _file(self, shot: _Shot, saved: Saved) -> None:
        photo = Photo(shot.capture.name, Path(saved.jpeg), Path(saved.dng) if saved.dng else None)
        assert shot.buffer is not None
        try:
            self._gallery.add(photo.name, jpeg=photo.jpeg, dng=photo.dng, meta=shot.meta())
        except ModopticError as error:
            # the files are safe; the index can be rebuilt from them
            shot.why = f"{photo.name} is saved, but the gallery's index could not take it: {error}"
        frame_id = shot.buffer.meta.frame_id
        shot.order.link.ack_durable(frame_id)
        took = time.monotonic() - shot.released_s
        shot.phase, shot.fraction = "done", 1.0
        if saved.problem:
            shot.why = f"{photo.name}: the JPEG is saved, the DNG is not. {saved.problem}"
        if shot.why:
            self._watcher.shot_warned(photo.name, shot.why)
        self._end(shot)
        shot.capture.succeed(photo)
        self._watcher.shot_finished(photo, took, saved.develop_s)
        self._pump()

    # inside

    def _pump(self) -> None:
        """Ask for as many shots as may be under way."""
        under_way = sum(shot.phase != "waiting" for shot in self._shots)
        for shot in tuple(self._shots):
            if shot.phase != "waiting":
                continue
            if under_way >= _UNDER_WAY:
                return
            try:
                shot.request = shot.order.link.shoot(shot.order.settings)
            except DetachedError as error:
                self._lose(shot, str(error))
                continue
            except LinkError as error:
                if under_way == 0:
                    self._lose(shot, str(error))
                    continue
                return  # the module's buffers are full; asked again when one is free
            under_way += 1
            self._step(shot, "preparing", 0.0)

    def _find(self, link: HostEnd, request: int) -> _Shot | None:
        for shot in self._shots:
            if shot.order.link is link and shot.request == request:
                return shot
        return None

    def _step(self, shot: _Shot, phase: Phase, fraction: float) -> None:
        important = phase != shot.phase
        shot.phase, shot.fraction = phase, fraction
        shot.capture.step(shot.state())
        self._watcher.shots_changed(important=important)

    def _interrupt(self, shot: _Shot, why: str) -> None:
        if shot.buffer is None:
            self._lose(shot, why)
            return
        # the darkroom hears of it after the last row that came, keeps those, then says so
        shot.why = why
        shot.phase = "lost"
        shot.buffer.fail(why)
        self._watcher.shots_changed(important=True)

    def _fail(self, shot: _Shot, why: str) -> None:
        """Give up a still that began to arrive; the module need not hold it either."""
        assert shot.buffer is not None
        frame_id = shot.buffer.meta.frame_id
        self._darkroom.abandon(shot.job, why)
        self._lose(shot, why)  # releases it: what has not crossed does not come
        shot.order.link.ack_durable(frame_id)

    def _lose(self, shot: _Shot, why: str, *, disk: bool = False) -> None:
        shot.phase, shot.why = "lost", why
        if shot.whole and shot.buffer is not None:
            # nothing more will be done with it: the module need not hold it for us
            shot.order.link.ack_durable(shot.buffer.meta.frame_id)
        self._end(shot)
        name = shot.capture.name
        with contextlib.suppress(StorageError):
            self._gallery.give_back(name)
        if disk:
            shot.capture.fail(StorageError(self._gallery.folder, f"{name} was not saved: {why}"))
        else:
            shot.capture.fail(CaptureError(name, why))
        self._watcher.shot_lost(name, why)
        self._pump()

    def _end(self, shot: _Shot) -> None:
        self._shots.remove(shot)
        self._finished = [*self._finished, shot.state()][-_FINISHED_SHOWN:]
        if shot.buffer is not None:
            if not shot.whole:
                shot.buffer.fail(shot.why)  # whoever waits for rows
            shot.buffer.release()
        shot.capture.step(shot.state())
        self._watcher.shots_changed(important=True)

    def _forward_rows(self, job: int, frame: StillBuffer) -> None:
        """Tell the developer of rows as they become valid. In a thread of its own."""
        rows = 0
        try:
            while rows < frame.height:
                rows = _arrived(frame, rows)
                self._darkroom.rows(job, rows)
        except DetachedError as error:
            self._darkroom.rows(job, frame.rows_valid)
            self._darkroom.abandon(job, str(error))


def _arrived(frame: StillBuffer, rows: int) -> int:
    """Wait for a step of rows more than ``rows``, or for what comes within two seconds.

    Raises
    ------
    DetachedError : no more rows will come, or none came for a minute
    """
    until = time.monotonic() + _ROWS_WITHIN_S
    while time.monotonic() < until:
        try:
            return frame.wait_rows(rows + _ROW_STEP, _TELL_WITHIN_S)
        except DetachedError:
            if frame.failed is not None:
                raise
            if frame.rows_valid > rows:
                return frame.rows_valid
    raise DetachedError(f"nothing of it arrived for {_ROWS_WITHIN_S:g} s")
