"""What pages measured: when each frame was drawn, in the server's clock."""

from __future__ import annotations

import threading
from collections import deque

import msgspec


class Draw(msgspec.Struct, frozen=True, kw_only=True):
    """One frame that a page drew. Times in ns of CLOCK_MONOTONIC."""

    viewer: int
    kind: str
    sequence: int
    frame_id: int
    camera: str
    start_ns: int
    mid_exposure_ns: int
    readout_end_ns: int
    ready_ns: int
    sent_ns: int
    drawn_ns: int


class PageFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Finder frames since the last `reset`: readout-end to drawn."""

    drawn: int
    skipped: int
    """Offered to a page and not drawn, because a newer frame was there."""
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    rate: float
    """Frames drawn per second."""


class FigureBook:
    """Keeps the last `Draw`s of all pages. Safe from any thread."""

    def __init__(self, length: int = 8192) -> None:
        self._draws: deque[Draw] = deque(maxlen=length)
        self._skipped = 0
        self._lock = threading.Lock()

    def drew(self, draw: Draw) -> None:
        with self._lock:
            self._draws.append(draw)

    def skipped(self) -> None:
        with self._lock:
            self._skipped += 1

    def reset(self) -> None:
        with self._lock:
            self._draws.clear()
            self._skipped = 0

    def draws(self) -> list[Draw]:
        with self._lock:
            return list(self._draws)

    def figures(self) -> PageFigures:
        with self._lock:
            draws = [draw for draw in self._draws if draw.kind == "finder"]
            skipped = self._skipped
        late = sorted((draw.drawn_ns - draw.readout_end_ns) / 1e6 for draw in draws)
        span = (draws[-1].drawn_ns - draws[0].drawn_ns) / 1e9 if len(draws) > 1 else 0.0
        return PageFigures(
            drawn=len(draws),
            skipped=skipped,
            p50_ms=_quantile(late, 0.50),
            p95_ms=_quantile(late, 0.95),
            p99_ms=_quantile(late, 0.99),
            rate=(len(draws) - 1) / span if span > 0 else 0.0,
        )


def _quantile(ordered: list[float], part: float) -> float | None:
    if not ordered:
        return None
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]
