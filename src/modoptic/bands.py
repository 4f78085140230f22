"""Spread a serial kernel over bands of rows with one bounded pool of threads.

Kernels are compiled with ``nogil`` and work on one band; this is the only place that decides how
many run at once. Progress and cancelling come for free, and a still can be processed while its
rows arrive.
"""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait

__all__ = ["bands", "give_way", "pool", "run_bands", "urgently", "worker_count"]

_GIVE_WAY_S = 0.2
"""For so long at most a band that has not begun lets an urgent job pass."""


def worker_count() -> int:
    """Threads used for picture work: the cores this process may use (``MODOPTIC_THREADS`` wins)."""
    asked = os.environ.get("MODOPTIC_THREADS", "")
    if asked.isdigit() and int(asked) > 0:
        return int(asked)
    return max(1, len(os.sched_getaffinity(0)))


@functools.cache
def pool() -> ThreadPoolExecutor:
    """The process-wide pool. Work given to it must not wait for other work in it."""
    return ThreadPoolExecutor(worker_count(), thread_name_prefix="modoptic-bands")


class _Here(threading.local):
    """What this thread is about."""

    urgent = False
    works = False
    """It is one of those for urgent work, and must not wait for them."""


_here = _Here()


def _begin_urgent() -> None:
    _here.urgent = _here.works = True


@functools.cache
def _urgent_pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(
        worker_count(), thread_name_prefix="modoptic-urgent", initializer=_begin_urgent
    )


@contextlib.contextmanager
def urgently() -> Generator[None]:
    """Somebody watches what this thread does here: all its jobs are urgent, see `run_bands`."""
    before, _here.urgent = _here.urgent, True
    try:
        yield
    finally:
        _here.urgent = before


class _RightOfWay:
    """While urgent jobs run, bands of other jobs that have not begun wait a moment."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs = 0
        self._free = threading.Event()
        self._free.set()

    def __enter__(self) -> None:
        with self._lock:
            self._jobs += 1
            self._free.clear()

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._jobs -= 1
            if self._jobs == 0:
                self._free.set()

    def give(self) -> None:
        """Wait until no urgent job runs, at most `_GIVE_WAY_S`: nothing stops for good."""
        self._free.wait(_GIVE_WAY_S)


_right_of_way = _RightOfWay()


def give_way() -> None:
    """Let urgent jobs pass; for work that takes long, between its parts. Urgent work goes on."""
    if not _here.urgent:
        _right_of_way.give()


def bands(height: int, rows: int) -> Iterator[tuple[int, int]]:
    """(first, end) of each band of at most ``rows`` rows covering ``0 <= row < height``."""
    for first in range(0, height, rows):
        yield first, min(first + rows, height)


def run_bands(
    work: Callable[[int, int], None],
    height: int,
    rows: int,
    *,
    done: Callable[[int], None] | None = None,
    urgent: bool = False,
) -> None:
    """Call ``work(first, end)`` for each band, several at once, and wait for all.

    Parameters
    ----------
    work : called with row numbers; must release the GIL to run beside others
    height, rows : total rows and rows a band
    done : called in the caller's thread with the count of leading rows that are finished
    urgent : do not queue behind the bands of other jobs, which pause; for short work that somebody
        watches. What an urgent band has to spread in turn, its thread does alone.

    Raises
    ------
    Whatever ``work`` raised first; bands not yet begun are cancelled.
    """
    spans = list(bands(height, rows))
    if len(spans) == 1 or worker_count() == 1 or _here.works:
        for first, end in spans:
            work(first, end)
            if done is not None:
                done(end)
        return
    if urgent or _here.urgent:
        with _right_of_way:
            _spread(_urgent_pool(), work, spans, done)
        return

    def after_others(first: int, end: int) -> None:
        give_way()
        work(first, end)

    _spread(pool(), after_others, spans, done)


def _spread(
    workers: ThreadPoolExecutor,
    work: Callable[[int, int], None],
    spans: list[tuple[int, int]],
    done: Callable[[int], None] | None,
) -> None:
    # only a few bands are queued at a time, so that two jobs take turns
    ahead = 2 * worker_count()
    waiting: deque[tuple[int, Future[None]]] = deque()
    try:
        for first, end in spans:
            waiting.append((end, workers.submit(work, first, end)))
            if len(waiting) > ahead:
                _finish(waiting, done)
        while waiting:
            _finish(waiting, done)
    except BaseException:
        for _, future in waiting:
            future.cancel()
        wait([future for _, future in waiting if not future.cancelled()])
        raise


def _finish(waiting: deque[tuple[int, Future[None]]], done: Callable[[int], None] | None) -> None:
    end, future = waiting[0]
    future.result()
    waiting.popleft()
    if done is not None:
        done(end)
