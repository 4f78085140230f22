"""Veiling glare: light that a lens spreads over what should be black."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from modoptic.errors import SettingError
from modoptic.measure._emva import Figure
from modoptic.measure._planes import ColorPlanes
from modoptic.measure._points import labelled

FloatArray = npt.NDArray[np.float64]

_LEAST_AREA = 64
"""Samples of a patch; smaller dark places are noise or dust."""
_INNER = 0.5
"""Of the patch' radius: where it is measured, clear of its blurred rim."""


@dataclass(frozen=True, eq=False)
class Glare:
    """Light in a black patch in an even bright field."""

    index: tuple[Figure, ...]
    """Veiling glare index of each colour, in per cent of the field's light."""
    black: FloatArray
    white: FloatArray
    """(colours,): what was read in the patch and in the field about it, above the black level."""
    center: tuple[float, float]
    radius: float
    """The patch in pixels of the frame, as a disc of its area."""


def veiling_glare(
    planes: ColorPlanes,
    *,
    box: tuple[float, float, float, float] | None = None,
    black_level_deviation: float = 0.0,
) -> Glare:
    """Veiling glare index by the integral method of ISO 9358:1994.

    A black patch, a light trap at best, lies in an even bright field that fills the view and more.
    The light in the middle of its picture over that of the field beside it is the index. The patch'
    own reflectance is part of what is read: 5 % black paper reads 5 points too much.

    Parameters
    ----------
    planes : linear in light with the black level taken off, or the index means nothing
    box : (x, y, width, height) around the patch; the largest dark patch is taken unless given
    black_level_deviation : how well the black level is known, on the scale of the values; it
        widens the interval and makes an index within it not measurable

    Raises
    ------
    SettingError : no dark patch, a box beyond the frame, a field that clips, or too few samples
    """
    center, radius = _patch(planes, box)
    black, white = np.empty(len(planes.values)), np.empty(len(planes.values))
    figures: list[Figure] = []
    for color, plane in enumerate(planes.values):
        place = planes.sample(color, np.array([center]))[0]
        r = radius / planes.step
        height, width = plane.shape
        y, x = np.ogrid[:height, :width]
        distance = np.hypot(x - place[0], y - place[1])
        inner = plane[distance <= _INNER * r].astype(np.float64)
        field = plane[(distance >= 1.5 * r) & (distance <= 2.5 * r)].astype(np.float64)
        if inner.size < 16 or field.size < 64:
            raise SettingError("black patch", f"{inner.size} samples", "16 or more; a larger patch")
        if planes.saturation is not None and field.mean() > 0.95 * planes.saturation:
            raise SettingError("bright field", "clipped", "a shorter exposure, or raw values")
        black[color], white[color] = inner.mean(), field.mean()
        if not white[color] > 0.0:
            raise SettingError("bright field", float(white[color]), "light above the black level")
        spread = float(np.hypot(inner.std() / np.sqrt(inner.size), black_level_deviation))
        figures.append(_index(float(black[color]), spread, float(white[color])))
    return Glare(tuple(figures), black, white, center, radius)


def _index(black: float, deviation: float, white: float) -> Figure:
    low, high = (black + z * 1.959964 * deviation for z in (-1.0, 1.0))
    if low <= 0.0:
        why = "not above the black level by more than its uncertainty"
        return Figure(None, None, 100.0 * max(high, 0.0) / white, why)
    return Figure.of(black, deviation).times(100.0 / white)


def _patch(
    planes: ColorPlanes, box: tuple[float, float, float, float] | None
) -> tuple[tuple[float, float], float]:
    plane = planes.values[planes.green]
    x0, y0 = 0, 0
    if box is not None:
        x, y, w, h = box
        width, height = planes.size
        if not (x >= 0 and y >= 0 and w > 0 and h > 0 and x + w <= width and y + h <= height):
            raise SettingError("box", box, f"within {width} x {height}")
        x0, y0 = int(x) // planes.step, int(y) // planes.step
        plane = plane[y0 : int(y + h) // planes.step, x0 : int(x + w) // planes.step]
    if min(plane.shape) < 16:
        raise SettingError("glare picture", plane.shape, "16 x 16 samples or more")
    smooth = ndimage.uniform_filter(plane, 5)
    low, high = float(smooth.min()), float(np.percentile(smooth, 90))
    dark, boxes = labelled(smooth < 0.5 * (low + high))
    if not low < 0.5 * high:
        raise SettingError("glare picture", f"{low:.4g} to {high:.4g}", "a black patch in bright")
    area = np.bincount(dark.ravel())[1:]
    for k, (rows, columns) in enumerate(boxes):
        whole = rows.start > 0 and columns.start > 0
        whole = whole and rows.stop < plane.shape[0] and columns.stop < plane.shape[1]
        area[k] *= whole
    if area.max(initial=0) < _LEAST_AREA:
        raise SettingError("glare picture", "no whole dark patch", "black with bright all around")
    cy, cx = np.argwhere(dark == int(np.argmax(area)) + 1).mean(axis=0)
    center = planes.place(planes.green, np.array([[cx + x0, cy + y0]]))[0]
    # a square patch has the disc of its area; the inner half of its radius lies well within
    radius = float(np.sqrt(area.max() / np.pi)) * planes.step
    return (float(center[0]), float(center[1])), radius
