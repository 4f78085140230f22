"""What photosites make of the cone of light that the lens throws on them."""

from __future__ import annotations

import dataclasses
import math
import threading
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.interpolate import CubicSpline

from modoptic.optics import _pupil_kernels
from modoptic.optics._lens import LensState
from modoptic.optics._pupil import Lens, Pupil
from modoptic.optics._sources import AngularLike

DoubleArray = npt.NDArray[np.float64]

_CELLS = 24
"""Rays along each side of the pupil's box; twice as many change the mean by less than 0.1 %."""
_PLACES = 13
_STEPS_A_DIOPTRE = 2.0
_KEPT = 64


def cone_response(pupil: Pupil, radius_um: float, response: AngularLike) -> DoubleArray:
    """Mean of the response over the open pupil, (2, 3), seen from ``radius_um`` from the axis.

    Light from an even field is the area of the pupil in direction cosines (see `_pupil`), so that
    the mean over it is that over the light.
    """
    shape = pupil.shape(radius_um)
    parts = np.empty((_CELLS, _CELLS))
    _pupil_kernels.openness(shape.box, shape.opening, parts)
    x0, x1, y0, y1 = shape.box
    at = (np.arange(_CELLS) + 0.5) / _CELLS
    across, outward = x0 + (x1 - x0) * at, y0 + (y1 - y0) * at
    rows, columns = np.nonzero(parts)
    weights = parts[rows, columns]
    shares = response(
        radius_um,
        pupil.sine * across[columns],
        pupil.chief(radius_um) + pupil.sine * outward[rows],
    )
    return np.asarray(shares @ weights / weights.sum(), np.float64)


class BetweenFocus:
    """What a pupil makes of distances from the axis, as quick as a picture a moment needs it.

    Between distances of focus it hardly differs: that half a dioptre apart is kept, by iris, and
    what lies between is interpolated. ``of`` gives (..., n) at n distances in um.
    """

    def __init__(self, lens: Lens, of: Callable[[Pupil, DoubleArray], DoubleArray]) -> None:
        self._lens, self._of = lens, of
        self._lock = threading.Lock()
        self._kept: dict[tuple[LensState, float], CubicSpline] = {}

    def __call__(self, pupil: Pupil, radius_um: DoubleArray) -> DoubleArray:
        state, reach = pupil.state, float(radius_um.max())
        nearest = 0.2499e3 / state.focal_length_mm
        at = min(1.0 / state.focus_distance_m, nearest)
        low = math.floor(at * _STEPS_A_DIOPTRE) / _STEPS_A_DIOPTRE
        high = min(low + 1.0 / _STEPS_A_DIOPTRE, nearest)
        t = (at - low) / (high - low) if high > low else 0.0
        squared = radius_um**2
        near = self._at(state, high, reach)(squared) if t else 0.0
        return np.asarray((1.0 - t) * self._at(state, low, reach)(squared) + t * near)

    def _at(self, state: LensState, nearness: float, reach: float) -> CubicSpline:
        focus = 1.0 / nearness if nearness else math.inf
        state = dataclasses.replace(state, focus_distance_m=focus)
        with self._lock:
            made = self._kept.get((state, reach))
        if made is None:
            squared = np.linspace(0.0, reach**2, _PLACES)
            found = self._of(self._lens.pupil(state), np.sqrt(squared))
            made = CubicSpline(squared, found, axis=-1)
            with self._lock:
                self._kept[state, reach] = made
                while len(self._kept) > _KEPT:
                    del self._kept[next(iter(self._kept))]
        return made


class Cones:
    """Mean responses by distance from the axis."""

    def __init__(self, lens: Lens, response: AngularLike) -> None:
        self._response = response
        self._between = BetweenFocus(lens, self.exact)

    def exact(self, pupil: Pupil, radius_um: DoubleArray) -> DoubleArray:
        """(2, 3, n) at n distances from the axis."""
        means = [cone_response(pupil, float(r), self._response) for r in radius_um]
        return np.stack(means, axis=-1)

    def quick(self, pupil: Pupil, radius_um: DoubleArray) -> DoubleArray:
        """Within 0.2 % of the sum of `exact`; see `BetweenFocus`."""
        return self._between(pupil, radius_um)
