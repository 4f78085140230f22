"""Spread a serial kernel over bands of rows with one bounded pool of threads.

Kernels are compiled with ``nogil`` and work on one band; this is the only place that decides how
many run at once. Progress and cancelling come for free, and a still can be processed while its
rows arrive.
"""

from __future__ import annotations

import functools
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait

__all__ = ["bands", "pool", "run_bands", "worker_count"]


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
) -> None:
    """Call ``work(first, end)`` for each band, several at once, and wait for all.

    Parameters
    ----------
    work : called with row numbers; must release the GIL to run beside others
    height, rows : total rows and rows a band
    done : called in the caller's thread with the count of leading rows that are finished

    Raises
    ------
    Whatever ``work`` raised first; bands not yet begun are cancelled.
    """
    spans = list(bands(height, rows))
    if len(spans) == 1 or worker_count() == 1:
        for first, end in spans:
            work(first, end)
            if done is not None:
                done(end)
        return
    # only a few bands are queued at a time, so that a long job and a finder frame take turns
    ahead = 2 * worker_count()
    waiting: deque[tuple[int, Future[None]]] = deque()
    try:
        for first, end in spans:
            waiting.append((end, pool().submit(work, first, end)))
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
