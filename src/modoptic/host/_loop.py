"""One thread that owns the state of the phone; everybody else posts to it.

That is the whole lock discipline: what belongs to the phone is read and changed in this thread
only. Nothing polls: the thread sleeps until something is posted or a time that was asked for has
come.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from modoptic.errors import ModopticError

T = TypeVar("T")
_log = logging.getLogger("modoptic.host")


class Loop:
    """Runs what is posted, in order."""

    def __init__(self, name: str) -> None:
        self._posted: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._timed: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def post(self, work: Callable[[], None]) -> None:
        """Run ``work`` soon. From any thread; returns at once."""
        self._posted.put(work)

    def call(self, work: Callable[[], T], timeout_s: float = 10.0) -> T:
        """Run ``work`` in the loop and return what it returns, or raise what it raises.

        Raises
        ------
        ModopticError : the phone was closed, or did not answer in time
        """
        if threading.current_thread() is self._thread:
            return work()
        done: Future[T] = Future()

        def answer() -> None:
            try:
                done.set_result(work())
            except Exception as error:
                done.set_exception(error)

        self.post(answer)
        if not self._thread.is_alive():
            raise ModopticError("the phone is closed")
        try:
            return done.result(timeout_s)
        except TimeoutError:
            raise ModopticError(f"the phone did not answer within {timeout_s:g} s") from None

    def at(self, when_s: float, work: Callable[[], None]) -> None:
        """Run ``work`` at a time of `time.monotonic`. From the loop's own thread only."""
        heapq.heappush(self._timed, (when_s, next(self._order), work))

    def close(self) -> None:
        """Finish what was posted before, then end the thread."""
        self._posted.put(None)
        if threading.current_thread() is not self._thread:
            self._thread.join(10)

    def _run(self) -> None:
        while True:
            try:
                work = self._posted.get(timeout=self._patience())
            except queue.Empty:
                work = heapq.heappop(self._timed)[2]
            if work is None:
                return
            try:
                work()
            except Exception:
                # one bad event must not end the phone; it is told where a developer looks
                _log.exception("in the phone's loop")

    def _patience(self) -> float | None:
        if not self._timed:
            return None
        return max(self._timed[0][0] - time.monotonic(), 0.0)
