"""A lens whose ring turns: what changes little from one distance of focus to the next is kept."""

from __future__ import annotations

import dataclasses
import math
import threading
from collections import OrderedDict

import numpy as np
import numpy.typing as npt

from modoptic.optics._lens import LensState
from modoptic.optics._pupil import Lens, Pupil
from modoptic.optics._sources import SpectralResponse
from modoptic.optics._spread import Binning, Cell, Kind, Spread
from modoptic.optics._tails import Split

FloatArray = npt.NDArray[np.float32]

_BLUR_APART = 2.7
"""Kernels are kept at distances of focus at which blur differs by so many points: 4 um at 1:1."""
_FARTHEST_APART = 0.125
"""And at most so many dioptres."""
_ABOUT_APART = 0.25
"""The same for what depends on aberrations' size, and for glare."""
_DEPTHS_APART = 1e-3
"""Depths that differ by fewer dioptres are taken as one: the lens moves against the scene."""
_SPREADS_KEPT = 16


class Turning:
    """Spreads of one lens at several distances of focus; may be used from several threads."""

    def __init__(self, lens: Lens, response: SpectralResponse, diffusion_um: float) -> None:
        self._lens, self._response, self._diffusion_um = lens, response, diffusion_um
        self._lock = threading.Lock()
        self._kept: OrderedDict[LensState, Spread] = OrderedDict()
        self._last: LensState | None = None

    def spread(self, pupil: Pupil) -> TurningSpread:
        """For the lens as it is now; where it was the last time says how fast it turns."""
        state = pupil.state
        with self._lock:
            last, self._last = self._last, state
        moved = math.inf
        if (
            last is not None
            and dataclasses.replace(last, focus_distance_m=state.focus_distance_m) == state
        ):
            moved = abs(1.0 / last.focus_distance_m - 1.0 / state.focus_distance_m)
        return TurningSpread(pupil, self._response, self._diffusion_um, self, moved)

    def at(self, state: LensState, nearness: float) -> Spread:
        """Of the same iris, focus so many dioptres away."""
        state = dataclasses.replace(
            state, focus_distance_m=1.0 / nearness if nearness else math.inf
        )
        with self._lock:
            made = self._kept.pop(state, None)
            if made is None:
                made = Spread(self._lens.pupil(state), self._response, self._diffusion_um)
            self._kept[state] = made
            while len(self._kept) > _SPREADS_KEPT:
                self._kept.popitem(last=False)
        return made


class TurningSpread(Spread):
    """As `Spread`; kernels are interpolated between two distances of focus, where those are kept.

    A ring that turns by more than their distance from one picture to the next would need new ones
    each time: then kernels are made for where it is.
    """

    def __init__(
        self, pupil: Pupil, response: SpectralResponse, diffusion_um: float, turning: Turning,
        moved: float,
    ) -> None:  # fmt: skip
        super().__init__(pupil, response, diffusion_um)
        self._turning, self._moved = turning, moved
        self._nearness = 1.0 / pupil.state.focus_distance_m
        self._nearest = 0.2499e3 / pupil.state.focal_length_mm
        at = round(self._nearness / _ABOUT_APART) * _ABOUT_APART
        self._places: dict[float, Spread] = {}
        self._about = self._at(min(at, self._nearest)).pupil

    @property
    def about(self) -> Pupil:
        return self._about

    def _at(self, nearness: float) -> Spread:
        """As `Turning.at`; threads may ask for the same."""
        if nearness not in self._places:
            self._places[nearness] = self._turning.at(self.pupil.state, nearness)
        return self._places[nearness]

    def parted(
        self, cell: Cell, inverse_depth: float, step_um: float, binning: Binning,
        kinds: tuple[Kind, ...], allowed: float, slanted: bool = False,
    ) -> Split:  # fmt: skip
        step_um = round(step_um, 6)
        inverse_depth = round(inverse_depth / _DEPTHS_APART) * _DEPTHS_APART
        args = cell, inverse_depth, step_um, binning, kinds, allowed, slanted
        state = self.pupil.state
        # f^2 / N: blur in um is nearly that times dioptres
        apart = _BLUR_APART * step_um * state.f_number / state.focal_length_mm**2
        apart = min(apart, _FARTHEST_APART)
        k = math.floor(self._nearness / apart)
        if self._moved > apart or (k + 1) * apart > self._nearest:
            return super().parted(*args)
        one, two = (self._at(n * apart).parted(*args) for n in (k, k + 1))
        share = np.float32(self._nearness / apart - k)
        return Split(_mixed(one.core, two.core, share), _mixed(one.tail, two.tail, share))


def _mixed(one: FloatArray, two: FloatArray, share: np.float32) -> FloatArray:
    """Between kernels (kinds, n, n) of two sizes."""
    if one.shape[1] < two.shape[1]:
        one, two, share = two, one, np.float32(1.0) - share
    out = one * (np.float32(1.0) - share)
    room = (one.shape[1] - two.shape[1] + 1) // 2
    if two.shape[1]:
        out[:, room : room + two.shape[1], room : room + two.shape[1]] += share * two
    return out
