"""Memory of the phone into which pixels arrive. The link's core owns none of it."""

from __future__ import annotations

import contextlib
import mmap
import os
import threading
import time
import weakref
from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from modoptic.errors import SettingError
from modoptic.frame import Frame, FrameMeta

SPARE_S: Final = 5.0
"""How long the memory of a released still is kept for the next: a burst needs no fresh pages."""


class StillMemory:
    """Memory of one still: a memfd of this process and its mapping."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.fd = os.memfd_create("modoptic-still", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self.fd, size)
        self.view = memoryview(mmap.mmap(self.fd, size))
        # also where a reader forgets to release
        self._close = weakref.finalize(self, os.close, self.fd)

    def fill_pages(self) -> None:
        """Give the memory its pages in another thread, without the GIL.

        150 MB take 100 ms, which pass while the sensor reads, else in the crossing itself.
        """
        own = os.dup(self.fd)

        def fill() -> None:
            with contextlib.suppress(OSError):
                os.posix_fallocate(own, 0, self.size)
            os.close(own)

        threading.Thread(target=fill, name="still-pages", daemon=True).start()

    def close(self) -> None:
        """Give it back; the mapping itself ends with the last array over it."""
        self._close()
        self.view = memoryview(b"")


class StillBuffer(Frame):
    """A still as it arrives: a `Frame` over memory that other processes can map.

    ``fd`` is a memfd of ``size`` bytes with the pixels at offset 0, as ``meta.pixel_format`` says;
    it can be sent to another process, which maps it with `map_still`. It is valid until `release`.
    """

    def __init__(self, meta: FrameMeta, memory: StillMemory, stills: StillPool) -> None:
        super().__init__(meta, memory.view, rows_valid=0, release=self._give_back)
        self.fd = memory.fd
        self.size = self.data.size
        self._memory: StillMemory | None = memory
        self._stills = stills
        self._before: Callable[[], None] | None = None

    def on_release(self, before: Callable[[], None]) -> None:
        """Call ``before`` when this is released, while it still has its memory. For the link."""
        self._before = before

    def _give_back(self) -> None:
        memory, self._memory = self._memory, None
        if memory is not None:
            if self._before is not None:
                self._before()
            self.fd = -1
            self.data = np.empty(0, np.uint8)
            self._stills.give_back(memory)


def map_still(fd: int, meta: FrameMeta, *, rows_valid: int | None = None) -> Frame:
    """The frame that lies in ``fd`` (see `StillBuffer`), mapped for reading into this process.

    Raises
    ------
    SettingError : the memory is smaller than ``meta`` says
    """
    size = os.fstat(fd).st_size
    if size <= 0:
        raise SettingError("still memory", f"{size} bytes", "the memfd of a StillBuffer")
    mapped = mmap.mmap(fd, size, mmap.MAP_SHARED, mmap.PROT_READ)
    return Frame(meta, memoryview(mapped), rows_valid=rows_valid)


class StillPool:
    """Makes the memory of stills and keeps what was released for a short while."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spares: list[tuple[float, StillMemory]] = []
        self._closed = False

    def take(self, meta: FrameMeta, size: int) -> StillBuffer:
        with self._lock:
            found = next((s for s in self._spares if s[1].size == size), None)
            if found is not None:
                self._spares.remove(found)
        if found is not None:
            return StillBuffer(meta, found[1], self)
        memory = StillMemory(size)
        memory.fill_pages()
        return StillBuffer(meta, memory, self)

    def give_back(self, memory: StillMemory) -> None:
        with self._lock:
            same = [s for s in self._spares if s[1].size == memory.size]
            if len(same) < 2 and not self._closed:
                self._spares.append((time.monotonic() + SPARE_S, memory))
                return
        memory.close()

    def drop_old(self, now: float) -> float | None:
        """Close spares whose time is over; the time when the next one's is."""
        with self._lock:
            old = [s for s in self._spares if s[0] <= now]
            self._spares = [s for s in self._spares if s[0] > now]
            following = min((s[0] for s in self._spares), default=None)
        for _, memory in old:
            memory.close()
        return following

    def close(self) -> None:
        with self._lock:
            self._closed = True
        self.drop_old(float("inf"))


def plain_memory(size: int, *, fill: bool) -> npt.NDArray[np.uint8]:
    """``size`` bytes of small pages; with ``fill`` these are in place already (0.7 ms a MB).

    Not from numpy, which asks for huge pages: waiting for these took 25 ms for a finder frame and
    400 ms for a still.
    """
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | (mmap.MAP_POPULATE if fill else 0)
    return np.frombuffer(mmap.mmap(-1, size, flags), np.uint8)


class FinderPool:
    """Memory of one stream's frames, reused while the size stays, also by the next session."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._size = 0
        self._free: list[npt.NDArray[np.uint8]] = []

    def expect(self, size: int) -> None:
        """Have ``count`` buffers of ``size`` bytes with their pages in place."""
        if size != self._size:
            self._size = size
            self._free = [plain_memory(size, fill=True) for _ in range(self._count)]

    def take(self, size: int) -> npt.NDArray[np.uint8]:
        if size != self._size:
            self._size, self._free = size, []
        return self._free.pop() if self._free else plain_memory(size, fill=True)

    def give_back(self, memory: npt.NDArray[np.uint8]) -> None:
        if memory.size == self._size and len(self._free) < self._count:
            self._free.append(memory)
