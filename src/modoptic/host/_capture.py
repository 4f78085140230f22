"""A photo under way, as whoever asked for it sees it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from modoptic.host.state import ShotState


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo in the gallery."""

    name: str
    jpeg: Path
    dng: Path | None


class Capture:
    """One release of the shutter. ``name`` is what the photo will be called.

    >>> capture = phone.shoot()  # doctest: +SKIP
    >>> capture.result(30).jpeg  # doctest: +SKIP
    PosixPath('/home/ansel/Pictures/modoptic/MO_0001.jpg')
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._future: Future[Photo] = Future()
        self._listeners: list[Callable[[ShotState], None]] = []

    def result(self, timeout_s: float | None = None) -> Photo:
        """Wait for the photo to be in the gallery.

        Raises
        ------
        CaptureError : it was not taken, and why
        StorageError : it could not be saved
        TimeoutError : not within ``timeout_s``
        """
        return self._future.result(timeout_s)

    def done(self) -> bool:
        """Whether it has come to an end, good or bad."""
        return self._future.done()

    def add_progress(self, listener: Callable[[ShotState], None]) -> None:
        """Call ``listener`` at each step, from the phone's thread; it must return at once."""
        self._listeners.append(listener)

    # for the phone:

    def step(self, state: ShotState) -> None:
        for listener in tuple(self._listeners):
            listener(state)

    def succeed(self, photo: Photo) -> None:
        self._future.set_result(photo)

    def fail(self, error: Exception) -> None:
        self._future.set_exception(error)
