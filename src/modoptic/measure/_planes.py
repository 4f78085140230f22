"""A frame of any camera as its colours, each on its own grid, and even patches cut from it.

Places are (x, y) in pixels of the frame, the middle of the first pixel being (0, 0).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modoptic.errors import SettingError

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ColorPlanes:
    """Samples of each colour, linear in light, black being 0."""

    values: npt.NDArray[np.float32]
    """(colours, rows, columns): red, green, blue; or one plane."""
    step: int
    """Pixels of the frame from sample to sample: 1 in a picture, 2 in a Bayer frame."""
    offsets: FloatArray
    """(colours, 2): place of the first sample of each."""
    size: tuple[int, int]
    """(width, height) of the frame in pixels."""
    saturation: float | None = None
    """Value at which the camera clips; None where it is not known."""

    @property
    def colors(self) -> str:
        return "RGB" if len(self.values) == 3 else "Y"

    @property
    def green(self) -> int:
        """Which plane stands for brightness."""
        return 1 if len(self.values) == 3 else 0

    def place(self, plane: int, points: FloatArray) -> FloatArray:
        """Places (n, 2) in the frame of places counted in samples of a plane."""
        return points * self.step + self.offsets[plane]

    def sample(self, plane: int, points: FloatArray) -> FloatArray:
        """The reverse of `place`."""
        return (points - self.offsets[plane]) / self.step


def color_planes(
    frame: npt.NDArray[np.generic],
    cfa: tuple[str, ...] | None = None,
    *,
    black_level: float | Sequence[float] = 0.0,
    white_level: float | None = None,
    pool: bool = True,
) -> ColorPlanes:
    """The colours of a mosaic, a colour picture or a grey picture.

    The greens of a pattern are averaged; their common place is the middle between them, so that
    positions in different colours can be compared to a small part of a pixel. Noise is that of
    single photosites only without ``pool``.

    Parameters
    ----------
    frame : (height, width) mosaic with ``cfa`` or grey picture without; or (height, width, 3).
        Linear in light
    cfa : ``("RG", "GB")`` and so on, 2 x 2 or larger
    black_level, white_level : on the scale of ``frame``; black one value, or one for each position
        of ``cfa`` in reading order
    pool : average the sites that a colour has in the pattern; else the first of them is taken

    Raises
    ------
    SettingError : another shape, a pattern without red, green or blue, values that are not finite
    """
    array = np.asarray(frame)
    blacks = [float(black_level)] if isinstance(black_level, int | float) else list(black_level)
    top = None if white_level is None else float(white_level) - float(np.mean(blacks))
    picture = array.ndim == 3 and array.shape[2] == 3 and cfa is None
    if (array.ndim != 2 and not picture) or min(array.shape[:2]) < 2:
        raise SettingError("frame", array.shape, "(height, width), or (height, width, 3)")
    height, width = array.shape[:2]
    if cfa is None:
        layers = np.moveaxis(array, 2, 0) if picture else array[None]
        values = layers.astype(np.float32) - np.float32(blacks[0])
        step, offsets = 1, np.zeros((len(values), 2))
    else:
        values, step, offsets = _split(array, cfa, blacks, pool=pool)
    if not np.isfinite(values).all():
        raise SettingError("frame", "values that are not finite", "numbers everywhere")
    return ColorPlanes(values, step, offsets, (width, height), top)


def _split(
    array: npt.NDArray[np.generic], cfa: tuple[str, ...], blacks: list[float], *, pool: bool
) -> tuple[npt.NDArray[np.float32], int, FloatArray]:
    side = len(cfa)
    if {len(row) for row in cfa} != {side} or set("".join(cfa)) != set("RGB"):
        raise SettingError("colour pattern", cfa, "a square of R, G and B")
    if len(blacks) not in (1, side * side):
        raise SettingError("black level", blacks, f"one value or {side * side}")
    rows, columns = array.shape[0] // side, array.shape[1] // side
    values = np.zeros((3, rows, columns), np.float32)
    offsets = np.zeros((3, 2))
    for color, plane in enumerate("RGB"):
        sites = [(i, j) for i in range(side) for j in range(side) if cfa[i][j] == plane]
        sites = sites if pool else sites[:1]
        for i, j in sites:
            part = array[i : rows * side : side, j : columns * side : side]
            values[color] += part.astype(np.float32) - blacks[(i * side + j) % len(blacks)]
        values[color] /= len(sites)
        offsets[color] = np.mean(sites, axis=0)[::-1]
    return values, side, offsets


@dataclass(frozen=True, eq=False)
class Patches:
    """What even patches hold."""

    mean: FloatArray
    """(n, colours)"""
    deviation: FloatArray
    """(n, colours): standard deviation about a plane laid through each patch, so that light that
    is not even counts little; temporal noise and fixed pattern together."""
    count: npt.NDArray[np.int64]
    """(n,): samples of each colour."""
    clipped: FloatArray
    """(n,): share of samples at saturation in any colour; 0 where saturation is not known."""


def homography(source: npt.ArrayLike, target: npt.ArrayLike) -> FloatArray:
    """The (3, 3) map of a plane seen in perspective that takes points (n, 2) to others, n >= 4.

    Least squares of the direct linear transform with both sets centred and scaled (R. Hartley,
    "In defense of the eight-point algorithm", PAMI 1997).

    Raises
    ------
    SettingError : fewer than four points, or all on a line
    """
    a, b = np.asarray(source, np.float64), np.asarray(target, np.float64)
    if a.shape != b.shape or a.ndim != 2 or a.shape[1] != 2 or len(a) < 4:
        raise SettingError("points", (a.shape, b.shape), "4 or more (x, y) of each")
    (a, from_a), (b, from_b) = _normalised(a), _normalised(b)
    x, y, one, zero = a[:, 0], a[:, 1], np.ones(len(a)), np.zeros(len(a))
    u, v = b[:, 0], b[:, 1]
    rows = np.concatenate(
        [
            np.stack([x, y, one, zero, zero, zero, -u * x, -u * y, -u], 1),
            np.stack([zero, zero, zero, x, y, one, -v * x, -v * y, -v], 1),
        ]
    )
    values, vectors = np.linalg.svd(rows)[1:]
    if values[7] < 1e-9 * values[0]:
        raise SettingError("points", "some on one line", "four corners, no three of them on a line")
    found = np.linalg.inv(from_b) @ vectors[-1].reshape(3, 3) @ from_a
    return found / found[2, 2]


def project(matrix: FloatArray, points: npt.ArrayLike) -> FloatArray:
    """Points ``(..., 2)`` through a `homography`."""
    p = np.asarray(points, np.float64)
    above = p @ matrix[:2, :2].T + matrix[:2, 2]
    return above / (p @ matrix[2, :2] + matrix[2, 2])[..., None]


def _normalised(points: FloatArray) -> tuple[FloatArray, FloatArray]:
    middle = points.mean(axis=0)
    scale = 1.0 / max(float(np.abs(points - middle).mean()), 1e-12)
    matrix = np.array([[scale, 0, -scale * middle[0]], [0, scale, -scale * middle[1]], [0, 0, 1]])
    return (points - middle) * scale, matrix


def patch_quads(
    corners: npt.ArrayLike, rows: int, columns: int, *, fill: float = 0.5
) -> FloatArray:
    """Outlines (rows * columns, 4, 2) of the patches of a chart, in reading order.

    Parameters
    ----------
    corners : (4, 2), middles of the corner patches: first of the first row, last of the first row,
        last of the last row, first of the last row. Of a single row, the corners of its outline
        half a patch within: give ends of the upper and lower edge of where to measure
    fill : side of what is measured, of the patch pitch

    Raises
    ------
    SettingError : other corners, or a chart of one patch
    """
    points = np.asarray(corners, np.float64)
    if points.shape != (4, 2) or not np.isfinite(points).all():
        raise SettingError("chart corners", points.shape, "four (x, y)")
    if min(rows, columns) < 1 or rows * columns < 2 or not 0.05 <= fill <= 1.0:
        raise SettingError("chart", (rows, columns, fill), "2 patches or more, fill 0.05 to 1")
    half = 0.5 * fill
    # a single row has no pitch down: its corners lie above and below what is measured
    top, bottom = (0.0, rows - 1.0) if rows > 1 else (-half, half)
    left, right = (0.0, columns - 1.0) if columns > 1 else (-half, half)
    matrix = homography([[left, top], [right, top], [right, bottom], [left, bottom]], points)
    y, x = (part.ravel() for part in np.mgrid[:rows, :columns].astype(np.float64))
    corner = half * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    return project(matrix, np.stack([x, y], 1)[:, None] + corner[None])


def measure_patches(planes: ColorPlanes, quads: FloatArray) -> Patches:
    """Mean and deviation of what lies in each of (n, 4, 2) convex outlines.

    Raises
    ------
    SettingError : an outline that leaves the frame, or holds fewer than 9 samples
    """
    n, colors = len(quads), len(planes.values)
    mean, deviation = np.empty((n, colors)), np.empty((n, colors))
    count, clipped = np.zeros(n, np.int64), np.zeros(n)
    for i, quad in enumerate(quads):
        inside = (quad.min() >= 0) & (quad.max(axis=0) <= np.array(planes.size) - 1).all()
        if not inside:
            raise SettingError(
                "patch",
                [[round(float(v), 1) for v in p] for p in quad],
                f"within {planes.size[0]} x {planes.size[1]}",
            )
        full = np.zeros(0, np.bool_)
        for color in range(colors):
            found, places = _within(planes.values[color], planes.sample(color, quad))
            if found.size < 9:
                raise SettingError(
                    "patch", f"{found.size} samples", "9 or more; a larger picture or fill"
                )
            plane = np.concatenate([np.ones((found.size, 1)), places - places.mean(axis=0)], 1)
            rest = found - plane @ np.linalg.lstsq(plane, found, rcond=None)[0]
            mean[i, color] = found.mean()
            deviation[i, color] = np.sqrt((rest @ rest) / (found.size - 3))
            count[i] = found.size
            if planes.saturation is not None:
                full = np.append(full, found >= 0.998 * planes.saturation)
        clipped[i] = full.mean() if full.size else 0.0
    return Patches(mean, deviation, count, clipped)


def _within(plane: npt.NDArray[np.float32], quad: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Samples (n,) of a plane whose middles lie in a convex outline, and their places (n, 2)."""
    height, width = plane.shape
    x0, y0 = (max(int(v), 0) for v in np.ceil(quad.min(axis=0)))
    x1, y1 = np.floor(quad.max(axis=0)).astype(int) + 1
    y, x = np.mgrid[y0 : min(y1, height), x0 : min(x1, width)].astype(np.float64)
    side = np.roll(quad, -1, axis=0) - quad
    cross = [dx * (y - py) - dy * (x - px) for (px, py), (dx, dy) in zip(quad, side, strict=True)]
    inside = np.all([c >= 0 for c in cross], axis=0) | np.all([c <= 0 for c in cross], axis=0)
    found = plane[y0 : min(y1, height), x0 : min(x1, width)][inside].astype(np.float64)
    return found, np.stack([x[inside], y[inside]], 1)
