"""Contrast autofocus: sweep the lens, look where the detail is finest, and go back there.

The sweep is in dioptres, where the blur of a thin lens is even: diameter = f^2 / N * |difference in
dioptres|. Every frame says where the lens was, so steps are sent without waiting for the last one
to be seen.
"""

from __future__ import annotations

import math

_FINE_STEPS = 6
_COARSE_STEPS_MAX = 14
_LOST_FRAMES = 6


class AutoFocus:
    """One run. `step` is asked for the next distance after each frame, until it says it is done.

    Parameters
    ----------
    focus_min_m : nearest distance of the lens
    blur_per_dioptre_px : diameter of the blur in finder pixels for one dioptre of misfocus
    start_m : distance now
    until_s : time (any clock) at which the best position found so far is taken
    """

    def __init__(
        self, focus_min_m: float, blur_per_dioptre_px: float, start_m: float, until_s: float
    ) -> None:
        self._limit = 1 / focus_min_m
        self._start = _dioptres(start_m)
        self._until = until_s
        # a peak of contrast is some 6 px of blur wide
        count = math.ceil(self._limit * blur_per_dioptre_px / 6) + 1
        count = min(max(count, 5), _COARSE_STEPS_MAX)
        self._pitch = self._limit / (count - 1)
        self._steps = [i * self._pitch for i in range(count)]
        if self._start > self._limit / 2:
            self._steps.reverse()  # begin at the nearer end of the sweep
        self._fine = False
        self._waiting = 0
        self._seen: dict[float, float] = {}
        self._sent: list[float] = []

    def step(self, focus_distance_m: float, contrast: float, now_s: float) -> tuple[float, bool]:
        """(distance to go to in m, whether that is the end), after a frame taken at a distance."""
        self._record(_dioptres(focus_distance_m), contrast)
        if now_s >= self._until:
            return _metres(self._best()), True
        if self._steps:
            position = self._steps.pop(0)
            self._sent.append(position)
            return _metres(position), False
        self._waiting += 1
        missing = [p for p in self._sent if p not in self._seen]
        if self._sent[-1] in missing and self._waiting < _LOST_FRAMES:
            return _metres(self._sent[-1]), False
        if self._fine:
            return _metres(self._best()), True
        centre = self._best()
        low, high = max(centre - self._pitch, 0.0), min(centre + self._pitch, self._limit)
        self._steps = [low + (high - low) * i / _FINE_STEPS for i in range(_FINE_STEPS + 1)]
        self._pitch = (high - low) / _FINE_STEPS
        self._fine, self._waiting, self._sent = True, 0, []
        return self.step(focus_distance_m, contrast, now_s)

    def _record(self, position: float, contrast: float) -> None:
        for sent in self._sent:
            if abs(sent - position) < 1e-3 + 0.1 * self._pitch:
                self._seen[sent] = contrast

    def _best(self) -> float:
        """The peak, refined by the parabola through it and its neighbours."""
        if not self._seen:
            return self._start
        positions = sorted(self._seen)
        peak = max(range(len(positions)), key=lambda i: self._seen[positions[i]])
        if not self._fine or not 0 < peak < len(positions) - 1:
            return positions[peak]
        (a, b, c) = positions[peak - 1 : peak + 2]
        (p, q, r) = (self._seen[x] for x in (a, b, c))
        # vertex of the parabola through three points
        down = (b - a) * (q - r) - (b - c) * (q - p)
        if abs(down) < 1e-12:
            return b
        vertex = b - 0.5 * ((b - a) ** 2 * (q - r) - (b - c) ** 2 * (q - p)) / down
        return min(max(vertex, a), c)


def _dioptres(distance_m: float) -> float:
    return 0.0 if math.isinf(distance_m) else 1 / distance_m


def _metres(dioptres: float) -> float:
    return math.inf if dioptres <= 0 else 1 / dioptres
