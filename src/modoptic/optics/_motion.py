"""How the picture moves while it is taken: by the camera's turning and going, and by what moves.

A lens that turns about its pupil sees the same light in other directions, so a picture taken while
it turns follows from the light of a still one: exactly, as far as the spread of a point changes
little over the distance. Going somewhere shifts what is seen by its nearness; so what is in focus
moves rightly, and what is not by too much or too little, by the share of its blur disc that the
camera went of its iris.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from modoptic.bands import run_bands
from modoptic.optics import _motion_kernels as _kernels
from modoptic.optics._pupil import Pupil, bent

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]

STEP = 0.5
"""Instants lie so close that the picture moves less than so many samples from one to the next."""
INSTANTS_MOST = 1024
NODES = 33, 25
"""Columns and rows of places for which paths are computed; between them they are straight."""
_TIME_STEP_S = 1e-3
"""Hands shake up to 20 Hz; paths are straight for so long."""
_TIMES_MOST = 4096
_SLACK = 0.06
"""Samples by which a block's path may be off at its edges."""
_SIDES = 32, 16, 8
_BAND_ROWS = 128


class Poses(Protocol):
    """Who holds the camera; see `modoptic.scenes.HandShake`."""

    def poses(self, t_s: npt.ArrayLike) -> DoubleArray: ...


class Timing(NamedTuple):
    """When a frame is taken: row r from ``start_s + r row_s`` on, for ``exposure_s``."""

    start_s: float
    exposure_s: float
    row_s: float


class Samples(NamedTuple):
    """An even lattice on the sensor: first x and y from the axis, step, columns and rows."""

    x_um: float
    y_um: float
    step_um: float
    width: int
    height: int


def _at_rest(t_s: float) -> tuple[float, float, float]:
    return 0.0, 0.0, 0.0


class Going(NamedTuple):
    """What moves in front of the camera: its distance from the lens, and where it goes."""

    inverse_depth: float
    """When its light is computed."""
    gone: Callable[[float], tuple[float, float, float]] = _at_rest
    """How far to the right, down and away it is at a time from where it was then, in m."""


@dataclass(frozen=True, eq=False)
class Track:
    """Where in a still light lies what falls on samples, at times of a frame."""

    shifts: FloatArray
    """(times, nodes, nodes, 2): to the right and down, in steps of the light."""
    timing: Timing
    first_s: float
    step_s: float
    per_row: float
    per_column: float
    fine: int = 1
    """Steps a sample."""

    @property
    def farthest(self) -> float:
        """Steps of the largest shift along an axis."""
        return float(np.abs(self.shifts).max())

    @property
    def instants(self) -> int:
        """How many a row needs: moving `STEP` samples a step, at most `INSTANTS_MOST`."""
        steps = np.diff(self.shifts, axis=0)
        speed = float(np.sqrt((steps**2).sum(axis=-1)).max()) / self.step_s
        wanted = math.ceil(speed * self.timing.exposure_s / (STEP * self.fine))
        return min(max(wanted, 1), INSTANTS_MOST)

    @property
    def side(self) -> int:
        """Of the blocks within which all samples take the same path."""
        down = np.abs(np.diff(self.shifts, axis=1)).max() * self.per_row
        across = np.abs(np.diff(self.shifts, axis=2)).max() * self.per_column
        rolling = np.abs(np.diff(self.shifts, axis=0)).max() / self.step_s * self.timing.row_s
        slope = 0.5 * max(float(down + rolling), float(across))
        return next((side for side in _SIDES if slope * side <= _SLACK * self.fine), _SIDES[-1])

    def when(self, count: int, k: int | None = None) -> _kernels.Instants:
        """The middles of ``count`` equal parts of the exposure, or the k-th alone."""
        part = self.timing.exposure_s / count
        first = self.timing.start_s - self.first_s + (0.5 if k is None else k + 0.5) * part
        rows, step = self.timing.row_s / self.step_s, part / self.step_s
        return _kernels.Instants(first / self.step_s, rows, step, count if k is None else 1)


def track(
    pupil: Pupil, samples: Samples, timing: Timing, hand: Poses | None, what: Going, fine: int = 1
) -> Track:
    """How a plane that faces the camera moves over the samples during a frame.

    In steps of light that is known at ``fine`` places a sample along each axis.
    """
    span = timing.exposure_s + timing.row_s * samples.height
    step_s = max(_TIME_STEP_S, span / _TIMES_MOST)
    times = timing.start_s + step_s * np.arange(math.ceil(span / step_s) + 2)
    columns, rows = NODES
    v_um = pupil.thin.image_distance_m * 1e6
    per_column, per_row = (n / max(size - 1, 1) for n, size in (
        (columns - 1, samples.width), (rows - 1, samples.height)
    ))  # fmt: skip
    x = (samples.x_um + samples.step_um * np.arange(columns) / per_column) / v_um
    y = (samples.y_um + samples.step_um * np.arange(rows) / per_row) / v_um
    place = np.stack(np.broadcast_arrays(x[None, :], y[:, None]), axis=-1)
    poses = np.zeros((times.size, 6)) if hand is None else hand.poses(times)
    per_um = fine * v_um / samples.step_um
    shifts = np.empty((times.size, rows, columns, 2), np.float32)
    for n, (at, pose) in enumerate(zip(times, poses, strict=True)):
        gone = what.gone(float(at))
        shifts[n] = (_source(pupil, place, pose, what.inverse_depth, gone) - place) * per_um
    return Track(shifts, timing, timing.start_s, step_s, per_row, per_column, fine)


def _source(
    pupil: Pupil, place: DoubleArray, pose: DoubleArray, near: float,
    gone: tuple[float, float, float],
) -> DoubleArray:  # fmt: skip
    """Where the held camera saw, before it had gone, what the posed one sees at ``place``."""
    place = place * pupil.warp[0]
    q = (place * place).sum(axis=-1, keepdims=True)
    direction = place * bent(pupil.warp[1:], q)
    ahead = np.concatenate([direction, np.ones_like(q)], axis=-1)
    turned = np.einsum("ij,...j->...i", _turn(*pose[:3]), ahead)
    tangent = turned[..., :2] / turned[..., 2:]
    x, y, z = pose[3:]
    right, down, away = gone
    # in units of the distance before
    found = (1.0 + (away - z) * near) * tangent + near * np.array([x - right, y - down])
    return pupil.seen(found)


def _turn(pitch: float, yaw: float, roll: float) -> DoubleArray:
    """From the camera's directions to the world's: x right, y down, z forward.

    Pitch up, yaw to the right, roll clockwise as seen from behind, see `modoptic.scenes.Pose`.
    """
    (cp, cy, cr), (sp, sy, sr) = (f(np.array([pitch, yaw, roll])) for f in (np.cos, np.sin))
    about_y = np.array([[cy, 0.0, sy], [0.0, 1.0, 0.0], [-sy, 0.0, cy]])
    about_x = np.array([[1.0, 0.0, 0.0], [0.0, cp, -sp], [0.0, sp, cp]])
    about_z = np.array([[cr, -sr, 0.0], [sr, cr, 0.0], [0.0, 0.0, 1.0]])
    return np.einsum("ij,jk,kl->il", about_y, about_x, about_z)


def interpolation(taps: int) -> FloatArray:
    """Weights (places + 1, taps) of the samples about a place between two of them.

    2: straight. More: a sinc below Lanczos' window, each row of which adds up to 1.
    """
    part = np.linspace(0.0, 1.0, _kernels.PARTS + 1)[:, None]
    off = np.arange(taps) - (taps // 2 - 1) - part
    weights = np.maximum(1.0 - np.abs(off), 0.0)
    if taps > 2:
        weights = np.sinc(off) * np.sinc(off / (taps / 2)) * (np.abs(off) < taps / 2)
    return np.ascontiguousarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


SHARP, QUICK = interpolation(6), interpolation(2)


@dataclass(frozen=True, eq=False)
class Planes:
    """Light of every colour on an even lattice that goes beyond the samples by ``guard`` steps."""

    codes: npt.NDArray[np.uint16]
    """(3, h, w): square roots of light, of `per_code`."""
    per_code: FloatArray
    """(3,)"""
    guard: int
    fine: int = 1
    """Steps a sample."""


def moved(
    planes: Planes, of: Track, offsets: DoubleArray, cfa: tuple[str, ...], out: FloatArray,
    when: _kernels.Instants, rows: tuple[int, int], columns: tuple[int, int],
) -> None:  # fmt: skip
    """Fill rows of ``out`` (h, w) with the mean light at instants; in the calling thread.

    Rows begin at a multiple of 32. ``offsets`` as in `_motion_kernels.move_mosaic`.
    """
    pattern = np.array([["RGB".index(c) for c in row] for row in cfa], np.int64)
    at = planes.guard, planes.fine, of.side
    place = _kernels.Place(*rows, *columns, *at, of.per_row, of.per_column)
    scales = np.asarray(planes.per_code**2, np.float32)
    _kernels.move_mosaic(planes.codes, scales, of.shifts, when, place, offsets, SHARP, pattern, out)


def moved_color(light: FloatArray, of: Track) -> FloatArray:
    """A quick picture (3, h, w) as it looks when it moves; beyond its edges it repeats them."""
    out = np.empty_like(light)
    _, height, width = light.shape
    count = of.instants

    def work(first: int, end: int) -> None:
        place = _kernels.Place(first, end, 0, width, 0, 1, of.side, of.per_row, of.per_column)
        _kernels.move_color(light, of.shifts, of.when(count), place, QUICK, out)

    run_bands(work, height, _BAND_ROWS, urgent=True)
    return out


def warm_motion() -> None:
    """Compile the kernels for the types in use."""
    light = np.ones((3, 8, 8), np.uint16)
    color = np.ones((3, 8, 8), np.float32)
    still = Track(np.zeros((2, 2, 2, 2), np.float32), Timing(0.0, 1.0, 0.0), 0.0, 1.0, 0.2, 0.2)
    planes = Planes(light, np.ones(3, np.float32), 1)
    out = np.empty((4, 4), np.float32)
    moved(planes, still, np.zeros((2, 2)), ("RG", "GB"), out, still.when(2), (0, 4), (0, 4))
    moved_color(color, still)
