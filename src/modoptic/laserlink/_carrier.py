"""What both ends expect of a carrier, which moves packets and knows nothing of what they say."""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

from modoptic.laserlink._dock import Signal
from modoptic.laserlink._packets import Header
from modoptic.laserlink._send import Packet

Files = list[tuple[int, int]]
"""(file descriptor, poll events)."""


class HangUp(Exception):
    """The other end is gone; the text says how that was seen."""


class Wake:
    """Wakes a thread that waits in poll; an eventfd. Any thread may set it, also after `close`."""

    def __init__(self) -> None:
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._lock = threading.Lock()

    def fileno(self) -> int:
        return self._fd

    def set(self) -> None:
        with self._lock:  # a number that was closed meanwhile may be another file's by now
            if self._fd >= 0:
                os.eventfd_write(self._fd, 1)

    def clear(self) -> None:
        try:
            os.eventfd_read(self._fd)
        except BlockingIOError:
            return

    def close(self) -> None:
        with self._lock:
            fd, self._fd = self._fd, -1
            if fd >= 0:
                os.close(fd)


BEAT_S: Final = 0.1
HUNG_S: Final = 5.0
"""A thread that serves the link and has not turned for so long hangs: a large raw takes less."""


class Pulse:
    """Calls ``beat`` every 100 ms, to say that this module lives.

    In a thread of its own: the one that serves the link may be busy for longer, with a large raw
    that is played for example, and a busy module must not be taken for a dead one. But it beats
    only while that one `turned` within `HUNG_S`.
    """

    def __init__(self, beat: Callable[[], None]) -> None:
        self._beat = beat
        self._turned_at = time.monotonic()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="laserlink-pulse", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._end.wait(BEAT_S):
            if time.monotonic() - self._turned_at < HUNG_S:
                self._beat()

    def turned(self) -> None:
        """The thread that serves the link is at work, or waits for some."""
        self._turned_at = time.monotonic()

    def close(self) -> None:
        """No more beats once this returns."""
        self._end.set()
        self._thread.join()


def wait(files: Files, timeout_s: float | None) -> None:
    """Wait until one of ``files`` is ready or ``timeout_s`` is over."""
    poller = select.poll()
    for fd, events in files:
        poller.register(fd, events)
    # poll counts whole milliseconds and rounds up, which is fine for all but the shortest
    poller.poll(None if timeout_s is None else max(0.0, timeout_s * 1000))


class ModuleCarrier(Protocol):
    """The module's end of one connection."""

    def files(self) -> Files: ...
    def receive(self) -> list[bytes]:
        """Control packets that have come. Raises `HangUp`."""
        ...

    def signal(self, signal: Signal) -> None:
        """Let the phone's contacts feel this; does nothing where connected means seated."""
        ...

    def send_control(self, packets: Iterable[bytes]) -> None: ...
    def room(self) -> int:
        """Pixel packets that can be taken now."""
        ...

    def send_pixels(self, packets: Sequence[Packet]) -> None: ...
    def tick(self, now: float) -> float | None:
        """Heartbeats; the time of the next. Raises `HangUp` after silence."""
        ...

    @property
    def lasts(self) -> bool:
        """The connection outlives the module being pulled off."""
        ...

    def close(self) -> None: ...


class ModuleListener(Protocol):
    """Where a module waits for a phone."""

    @property
    def address(self) -> str: ...
    def files(self) -> Files: ...
    def accept(self, *, seated: bool, busy: bool) -> ModuleCarrier | None:
        """A phone that has connected, or None; over a network only while ``seated``.

        While ``busy`` there is a phone already, and whoever comes is told so and sent away.
        """
        ...

    def close(self) -> None: ...


class Sink(Protocol):
    """What takes what arrives at the phone: `HostMachine`."""

    def signal(self, signal: Signal) -> None: ...
    def control(self, packet: bytes | memoryview, now: float) -> None: ...
    def place(self, header: Header) -> memoryview: ...
    def arrived(self, header: Header, payload: memoryview, now: float) -> None: ...
    def settle(self, now: float) -> None: ...


class HostCarrier(Protocol):
    """The phone's end of one connection."""

    def files(self) -> Files: ...
    def receive(self, sink: Sink, now: float) -> bool:
        """Hand on what has come, a bounded batch; True if there is more. Raises `HangUp`."""
        ...

    def send_control(self, packets: Iterable[bytes]) -> None: ...
    def tick(self, now: float) -> float | None: ...
    def close(self) -> None: ...
