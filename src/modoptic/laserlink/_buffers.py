"""Memory of the phone into which pixels arrive. The link's core owns none of it."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from modoptic import pixels
from modoptic.errors import DetachedError, SettingError
from modoptic.frame import Frame, FrameMeta, Settings
from modoptic.source import CameraInfo

SPARE_S: Final = 5.0
"""So long the memory of a released still is kept for the session's next: a burst needs no pages."""
_EXPECTED_MAX: Final = 64 << 20
"""Larger frames get their memory when they come: what a module says of itself may be nonsense."""


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


class _Crossing(Frame):
    """A frame that comes over a line: it is waited for as long as some of it comes."""

    def wait_rows(self, rows: int, timeout_s: float = 60.0) -> int:
        """As `Frame.wait_rows`; ``timeout_s`` is counted from the last rows that came."""
        while True:
            before = self.rows_valid
            try:
                return super().wait_rows(rows, timeout_s)
            except DetachedError:
                if self.failed is not None or self.rows_valid == before:
                    raise


class StillBuffer(_Crossing):
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
        self._session = stills.session
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
            self._stills.give_back(memory, self._session)


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
    return _Crossing(meta, memoryview(mapped), rows_valid=rows_valid)


class StillPool:
    """Makes the memory of stills and keeps what was released for a short while."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spares: list[tuple[float, StillMemory]] = []
        self._closed = False
        self.session = 0
        """Rises with each session, whose memory is used in no other."""

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

    def give_back(self, memory: StillMemory, session: int) -> None:
        with self._lock:
            same = [s for s in self._spares if s[1].size == memory.size]
            if len(same) < 2 and session == self.session and not self._closed:
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

    def forget(self) -> None:
        """The session is over: nothing of its memory is used again."""
        with self._lock:
            self.session += 1
        self.drop_old(float("inf"))

    def close(self) -> None:
        with self._lock:
            self._closed = True
        self.drop_old(float("inf"))


def plain_memory(size: int) -> npt.NDArray[np.uint8]:
    """``size`` bytes of small pages, which come when they are first written or by `fill_pages`.

    Not from numpy, which asks for huge pages: waiting for these took 25 ms for a finder frame and
    400 ms for a still.
    """
    return np.frombuffer(mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS), np.uint8)


_MADV_POPULATE_WRITE: Final = 23  # linux/mman.h, since 5.14
_madvise = ctypes.CDLL(None).madvise
_madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


def fill_pages(memories: Sequence[npt.NDArray[np.uint8]]) -> None:
    """Give `plain_memory` its pages in another thread, without the GIL; contents stay as they are.

    10 MB take 5 ms, which pass while the sensor starts. A kernel that cannot do it gives each page
    when it is first written, as it does where the writer is there before the thread.
    """

    def fill() -> None:
        for memory in memories:
            _madvise(memory.ctypes.data, memory.size, _MADV_POPULATE_WRITE)

    threading.Thread(target=fill, name="pages", daemon=True).start()


def finder_bytes(info: CameraInfo) -> int:
    """Bytes of a finder frame as it is most likely asked for; 0 where that is not known."""
    settings = Settings()
    mode = next((mode for mode in info.readouts if mode.name == settings.readout), None)
    if mode is None:
        return 0
    try:
        form = pixels.bayer_format(info.cfa, settings.bits, packed=True)
        return form.row_bytes(mode.width) * mode.height
    except SettingError:
        return 0


class FinderPool:
    """Memory of one stream's frames in one session, reused while the size stays."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._size = 0
        self._free: list[npt.NDArray[np.uint8]] = []
        self._closed = False

    def expect(self, size: int) -> None:
        """Have ``count`` buffers of ``size`` bytes, whose pages come in the background.

        Not where they are larger than a finder frame ever is: these come one by one.
        """
        if size != self._size and 0 < size <= _EXPECTED_MAX:
            self._size = size
            self._free = [plain_memory(size) for _ in range(self._count)]
            fill_pages(self._free[::-1])  # in the order in which they are taken

    def take(self, size: int) -> npt.NDArray[np.uint8]:
        if size != self._size:
            self._size, self._free = size, []
        return self._free.pop() if self._free else plain_memory(size)

    def give_back(self, memory: npt.NDArray[np.uint8]) -> None:
        if memory.size == self._size and len(self._free) < self._count and not self._closed:
            self._free.append(memory)

    def close(self) -> None:
        """The session is over: nothing of its memory is used again."""
        self._closed = True
        self._free = []
