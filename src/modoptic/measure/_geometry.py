"""Distortion and lateral colour from a chart of points or lines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize, spatial

from modoptic.errors import SettingError
from modoptic.measure._planes import ColorPlanes, homography, project
from modoptic.measure._points import Lattice, find_lattice

FloatArray = npt.NDArray[np.float64]

_LEAST = 20


@dataclass(frozen=True, eq=False)
class Distortion:
    """How far points stand from where a lens without distortion would draw them.

    The axis is the middle of the frame; heights are relative to half the frame's diagonal.
    """

    height: FloatArray
    """(n,): ideal image height of each point, 1 in the corner."""
    local: FloatArray
    """(n,): local geometrical distortion in per cent of the ideal height; NaN below a
    height of 0.1, where it is a ratio of two small numbers."""
    coefficients: FloatArray
    """k1, k2 ... of height' = height (1 + k1 height^2 + k2 height^4 + ...)."""
    deviations: FloatArray
    """Standard deviation of each coefficient by the scatter of the points."""
    residual_px: float
    """Root mean square distance of points from the fit, in pixels of the frame."""
    points: FloatArray
    """(n, 2): places in the frame."""
    ideal: FloatArray
    """(n, 2): the same without distortion."""

    def at(self, height: npt.ArrayLike) -> FloatArray:
        """Local geometrical distortion of the fit at ideal image heights, in per cent."""
        r2 = np.asarray(height, np.float64) ** 2
        total = sum(k * r2 ** (i + 1) for i, k in enumerate(self.coefficients))
        return 100.0 * np.asarray(total, np.float64)

    @property
    def reach(self) -> float:
        """Largest height of a point; beyond it the fit is a guess."""
        return float(self.height.max())

    @property
    def worst(self) -> float:
        """Largest local geometrical distortion of the fit within `reach`, in per cent, signed."""
        values = self.at(np.linspace(0.0, self.reach, 101))
        return float(values[np.argmax(np.abs(values))])


def distortion(chart: Lattice, size: tuple[int, int], *, terms: int = 3) -> Distortion:
    """Local geometrical distortion (ISO 17850:2015) with a radial polynomial.

    The chart may be turned and tilted and of any pitch: a homography, fitted with the polynomial,
    stands for its pose. The scale is that on the axis, where distortion is nothing.

    Parameters
    ----------
    chart : see `find_lattice`
    size : (width, height) of the frame
    terms : coefficients, 1 to 4

    Raises
    ------
    SettingError : fewer than 20 points, or points that reach less than 0.3 of the half diagonal
    """
    if not 1 <= terms <= 4:
        raise SettingError("distortion terms", terms, "1 to 4")
    points = chart.points
    if len(points) < _LEAST:
        raise SettingError("chart", f"{len(points)} points", f"{_LEAST} or more")
    middle = 0.5 * (np.array(size, np.float64) - 1.0)
    half = 0.5 * float(np.hypot(*size))
    seen = (points - middle) / half
    reach = float(np.hypot(seen[:, 0], seen[:, 1]).max())
    if reach < 0.3:
        raise SettingError("chart", f"points to {reach:.2f} of the half diagonal", "0.3 or more")
    index = chart.index / max(float(np.abs(chart.index).max()), 1.0)
    start = homography(index, seen)

    def ideal_of(pose: FloatArray) -> FloatArray:
        return project(np.append(pose, 1.0).reshape(3, 3), index)

    def away(unknown: FloatArray) -> FloatArray:
        ideal = ideal_of(unknown[:8])
        return (ideal * (1.0 + _polynomial(ideal, unknown[8:]))[:, None] - seen).ravel()

    begin = np.concatenate([start.ravel()[:8], np.zeros(terms)])
    found = optimize.least_squares(away, begin, method="lm", x_scale="jac")
    ideal = ideal_of(found.x[:8])
    height = np.hypot(ideal[:, 0], ideal[:, 1])
    actual = np.hypot(seen[:, 0], seen[:, 1])
    free = max(found.fun.size - found.x.size, 1)
    variance = float(found.fun @ found.fun) / free
    covariance = np.linalg.pinv(found.jac.T @ found.jac) * variance
    ratio = np.divide(actual, height, out=np.full(len(height), np.nan), where=height > 0.1)
    return Distortion(
        height=height,
        local=100.0 * (ratio - 1.0),
        coefficients=found.x[8:],
        deviations=np.sqrt(np.diag(covariance)[8:]),
        residual_px=half * float(np.sqrt(2.0 * (found.fun @ found.fun) / found.fun.size)),
        points=points,
        ideal=ideal * half + middle,
    )


def _polynomial(ideal: FloatArray, coefficients: FloatArray) -> FloatArray:
    r2 = (ideal**2).sum(axis=1)
    total = np.zeros(len(r2))
    for k in coefficients[::-1]:
        total = (total + k) * r2
    return total


@dataclass(frozen=True, eq=False)
class LateralColor:
    """How far red and blue stand from green over the field."""

    height: FloatArray
    """(n,): image height of each point, 1 in the corner."""
    points: FloatArray
    """(n, 2): places in green, in pixels of the frame."""
    direction: FloatArray
    """(n, 2): unit vectors away from the axis."""
    red: FloatArray
    blue: FloatArray
    """(n, 2): red's and blue's place less green's, in pixels of the frame; NaN where not found."""
    red_fit: FloatArray
    blue_fit: FloatArray
    """c1, c3, c5 of radial shift = c1 height + c3 height^3 + c5 height^5, in pixels, positive away
    from the axis."""
    red_offset: FloatArray
    blue_offset: FloatArray
    """(2,): shift of the whole colour, of a lens that is not centred, in pixels."""
    residual_px: float
    """Root mean square distance of all shifts from the fits."""

    def radial(self, color: str) -> FloatArray:
        """(n,): measured shift of ``red`` or ``blue`` away from the axis, without the offset of the
        whole colour, in pixels."""
        shift = self._of(color)[0] - self._offset(color)
        return (shift * self.direction).sum(axis=1)

    def tangential(self, color: str) -> FloatArray:
        """(n,): the same across; a centred lens has none."""
        shift, way = self._of(color)[0] - self._offset(color), self.direction
        return way[:, 0] * shift[:, 1] - way[:, 1] * shift[:, 0]

    def at(self, color: str, height: npt.ArrayLike) -> FloatArray:
        """Radial shift of the fit in pixels, without the offset of the whole colour."""
        r = np.asarray(height, np.float64)
        c1, c3, c5 = self._of(color)[1]
        return c1 * r + c3 * r**3 + c5 * r**5

    def worst(self, color: str) -> float:
        """Largest radial shift of the fit within the field of the points, in pixels, signed."""
        values = self.at(color, np.linspace(0.0, float(self.height.max()), 101))
        return float(values[np.argmax(np.abs(values))])

    def _offset(self, color: str) -> FloatArray:
        return self.red_offset if color == "red" else self.blue_offset

    def _of(self, color: str) -> tuple[FloatArray, FloatArray]:
        if color not in ("red", "blue"):
            raise SettingError("colour", color, "red or blue")
        return (self.red, self.red_fit) if color == "red" else (self.blue, self.blue_fit)


def lateral_color(planes: ColorPlanes, *, kind: str = "auto") -> LateralColor:
    """Shift of red and blue against green at the points of a chart (ISO 19084:2015).

    Parameters
    ----------
    planes : a mosaic or a colour picture; see `color_planes`. A demosaiced picture has the
        demosaic's own shifts in it
    kind : as for `find_lattice`

    Raises
    ------
    SettingError : a grey picture, or fewer than 20 points that all three colours show
    """
    if len(planes.values) != 3:
        raise SettingError("lateral colour", "a grey picture", "red, green and blue")
    green = find_lattice(planes, kind=kind)
    near = 0.25 * green.pitch
    shifts: list[FloatArray] = []
    for color in (0, 2):
        other = find_lattice(planes, kind=kind, plane=color)
        distance, at = spatial.KDTree(other.points).query(green.points)
        shift = other.points[at] - green.points
        shift[distance > near] = np.nan
        shifts.append(shift)
    whole = np.isfinite(shifts[0]).all(axis=1) & np.isfinite(shifts[1]).all(axis=1)
    if whole.sum() < _LEAST:
        raise SettingError("chart", f"{int(whole.sum())} points in all colours", "20 or more")
    middle = 0.5 * (np.array(planes.size, np.float64) - 1.0)
    half = 0.5 * float(np.hypot(*planes.size))
    field = (green.points - middle) / half
    height = np.hypot(field[:, 0], field[:, 1])
    fits = [_radial_fit(field[whole], height[whole], shift[whole]) for shift in shifts]
    squares = [float((rest**2).sum()) for *_, rest in fits]
    return LateralColor(
        height=height,
        points=green.points,
        red=shifts[0],
        blue=shifts[1],
        red_fit=fits[0][0],
        blue_fit=fits[1][0],
        red_offset=fits[0][1],
        blue_offset=fits[1][1],
        residual_px=float(np.sqrt(sum(squares) / (2 * whole.sum()))),
        direction=field / np.maximum(height, 1e-12)[:, None],
    )


def _radial_fit(
    field: FloatArray, height: FloatArray, shift: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(c1, c3, c5), offset and rest of shifts along the field."""
    n = len(field)
    columns = np.zeros((2 * n, 5))
    for axis in (0, 1):
        rows = slice(axis * n, (axis + 1) * n)
        columns[rows, 0] = field[:, axis]
        columns[rows, 1] = field[:, axis] * height**2
        columns[rows, 2] = field[:, axis] * height**4
        columns[rows, 3 + axis] = 1.0
    wanted = np.concatenate([shift[:, 0], shift[:, 1]])
    found = np.asarray(np.linalg.lstsq(columns, wanted, rcond=None)[0], np.float64)
    return found[:3], found[3:], wanted - columns @ found
