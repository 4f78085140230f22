"""Charts of points and of lines: where each stands in the frame, to a small part of a pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
from scipy import ndimage, spatial

from modoptic.errors import SettingError
from modoptic.measure._planes import ColorPlanes, homography, project

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Plane = npt.NDArray[np.float32]

_TILES = 16
_LEAST_POINTS = 12
_SEARCH_MIN_PIXELS = 64


@dataclass(frozen=True, eq=False)
class Lattice:
    """Points of a regular chart as they were found."""

    points: FloatArray
    """(n, 2): places in the frame."""
    index: IntArray
    """(n, 2): column and row of each on the chart, (0, 0) nearest to the middle of the frame."""

    @property
    def pitch(self) -> float:
        """Median distance of neighbours, in pixels of the frame."""
        place = {(int(i), int(j)): n for n, (i, j) in enumerate(self.index)}
        steps = [
            float(np.hypot(*(self.points[place[i + 1, j]] - self.points[n])))
            for (i, j), n in place.items()
            if (i + 1, j) in place
        ]
        return float(np.median(steps)) if steps else 0.0


def find_points(plane: npt.NDArray[np.generic]) -> FloatArray:
    """Places (n, 2), in samples, of even small points on a plain ground; lit or dark.

    What stands out by half of its surrounding's contrast is a point if it is near the usual size
    and does not touch the frame's edge. Its place is the centroid of light about it, over twice its
    size, so that a threshold does not move it.

    Parameters
    ----------
    plane : (rows, columns), linear in light, 64 x 64 or more

    Raises
    ------
    SettingError : nothing stands out of the noise, or fewer than 12 points
    """
    image = _checked(plane)
    image = -image if _points_are_dark(image) else image
    _, boxes, area = _blobs(image)
    usual = float(np.median(area[area > 0.0]))
    kept = np.flatnonzero((area >= 0.25 * usual) & (area <= 4.0 * usual))
    # points of a few samples are blurred ones; their skirts hold light, too
    reach = max(2.5, 2.0 * float(np.sqrt(usual / np.pi)))
    found = [_centroid(image, boxes[k], reach) for k in kept]
    return _enough(np.array([place for place in found if place is not None]).reshape(-1, 2))


def find_cells(plane: npt.NDArray[np.generic]) -> FloatArray:
    """Places (n, 2), in samples, of the middles of the cells between the lines of a grid.

    Raises
    ------
    SettingError : nothing stands out of the noise, or fewer than 12 whole cells
    """
    image = _checked(plane)
    # lines cover less than half: the cells are what is usual
    low, middle, high = np.percentile(image[::3, ::3], (2, 50, 98))
    image = -image if high - middle > middle - low else image
    labels, _, area = _blobs(image)
    usual = float(np.median(area[area > 0.1 * area.max()]))
    kept = np.flatnonzero((area >= 0.5 * usual) & (area <= 2.0 * usual))
    filled = np.ones_like(labels, np.uint8)
    centers = np.array(ndimage.center_of_mass(filled, labels, kept + 1)).reshape(-1, 2)
    return _enough(centers[:, ::-1])


def lattice(
    points: FloatArray, middle: tuple[float, float], *, least: int = _LEAST_POINTS
) -> Lattice:
    """Which column and row each point belongs to; points off the lattice are left out.

    Begins at the point nearest to ``middle`` and goes from neighbour to neighbour, so that
    distortion and perspective may bend the lattice as long as neighbours stay neighbours.

    Raises
    ------
    SettingError : fewer than ``least`` points lie on one lattice
    """
    tree = spatial.KDTree(points)
    first = int(tree.query(middle)[1])
    right, down = _steps_at(points, tree, first)
    index = {first: (0, 0)}
    taken = {(0, 0): first}
    steps = {first: (right, down)}
    queue = [first]
    for n in queue:
        i, j = index[n]
        for di, dj in ((1, 0), (0, 1), (-1, 0), (0, -1)):
            place = (i + di, j + dj)
            if place in taken:
                continue
            right, down = steps[n]
            step = di * right + dj * down
            distance, m = tree.query(points[n] + step)
            m = int(m)
            if distance > 0.25 * float(np.hypot(*step)) or m in index:
                continue
            index[m], taken[place] = place, m
            # the step as it is here; the other one keeps its share of the last
            seen = (points[m] - points[n]) * (di + dj)
            steps[m] = (
                (0.5 * (right + seen), down) if di else (right, 0.5 * (down + seen))
            )  # fmt: skip
            queue.append(m)
    if len(queue) < least:
        raise SettingError("chart", f"{len(queue)} points in rows", f"{least} or more, evenly set")
    return Lattice(points[queue], np.array([index[n] for n in queue], np.int64))


def find_lattice(planes: ColorPlanes, *, kind: str = "auto", plane: int | None = None) -> Lattice:
    """The points, or the crossings of the lines, of a chart in one colour (green unless given).

    Parameters
    ----------
    kind : ``points``, ``lines`` or ``auto``, which takes what gives more

    Raises
    ------
    SettingError : an unknown kind, or no such chart in the frame
    """
    if kind not in ("auto", "points", "lines"):
        raise SettingError("chart", kind, "points, lines or auto")
    color = planes.green if plane is None else plane
    image = planes.values[color]
    middle = (0.5 * (image.shape[1] - 1), 0.5 * (image.shape[0] - 1))
    found: list[Lattice] = []
    problem: SettingError | None = None
    for name in ("points", "lines"):
        if kind not in ("auto", name):
            continue
        try:
            if name == "points":
                found.append(lattice(find_points(image), middle))
            else:
                found.append(_crossings(image, lattice(find_cells(image), middle)))
        except SettingError as error:
            problem = error
    if not found:
        assert problem is not None
        raise problem
    best = max(found, key=lambda one: len(one.points))
    return Lattice(planes.place(color, best.points), best.index)


def _checked(plane: npt.NDArray[np.generic]) -> Plane:
    image = np.asarray(plane, np.float32)
    if image.ndim != 2 or min(image.shape) < _SEARCH_MIN_PIXELS:
        raise SettingError("chart picture", image.shape, "64 x 64 samples or more")
    return image


def _enough(points: FloatArray) -> FloatArray:
    if len(points) < _LEAST_POINTS:
        raise SettingError(
            "chart", f"{len(points)} points", "12 or more that stand out of their ground"
        )
    return points


def _points_are_dark(image: Plane) -> bool:
    low, middle, high = np.percentile(ndimage.uniform_filter(image, 3), (0.05, 50, 99.95))
    return bool(middle - low > high - middle)


def _blobs(image: Plane) -> tuple[npt.NDArray[np.int32], list[tuple[slice, slice]], FloatArray]:
    """What is brighter than half way from the ground to the top of its neighbourhood."""
    smooth = np.asarray(ndimage.uniform_filter(image, 3), np.float32)
    rows, columns = (max(1, min(_TILES, n // 32)) for n in image.shape)
    down = np.linspace(0, image.shape[0], rows + 1).astype(int)
    across = np.linspace(0, image.shape[1], columns + 1).astype(int)
    ground, top = np.empty((rows, columns)), np.empty((rows, columns))
    for i in range(rows):
        for j in range(columns):
            tile = smooth[down[i] : down[i + 1], across[j] : across[j + 1]]
            ground[i, j], top[i, j] = np.percentile(tile, 2), tile.max()
    # a tile may hold no point
    top = ndimage.maximum_filter(top, 3)
    ground = ndimage.minimum_filter(ground, 3)
    away = np.abs(image[1:] - image[:-1])[::3, ::3]
    noise = 1.4826 * float(np.median(away)) / 3.0  # of a mean of nine
    contrast = float(np.median(top - ground))
    if not contrast > max(12.0 * noise, 1e-9):
        raise SettingError(
            "chart", f"contrast {contrast:.3g}, noise {noise:.3g}", "points or lines that stand out"
        )
    factors = image.shape[0] / rows, image.shape[1] / columns
    half = np.asarray(ndimage.zoom(0.5 * (top + ground), factors, order=1), np.float64)
    labels, boxes = labelled(smooth > half)
    area = np.bincount(labels.ravel(), minlength=len(boxes) + 1)[1:].astype(np.float64)
    height, width = image.shape
    for k, (y, x) in enumerate(boxes):
        if y.start == 0 or x.start == 0 or y.stop == height or x.stop == width:
            area[k] = 0.0
    if not area.max(initial=0.0) > 0.0:
        raise SettingError("chart", "nothing whole within the frame", "12 points or more")
    return labels, boxes, area


def labelled(
    mask: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.int32], list[tuple[slice, slice]]]:
    """Connected parts of a mask: their numbers from 1 on, 0 outside, and the box of each."""
    labels, _ = cast("tuple[npt.NDArray[np.int32], int]", ndimage.label(mask))
    return labels, cast("list[tuple[slice, slice]]", ndimage.find_objects(labels))


def _centroid(image: Plane, box: tuple[slice, slice], reach: float) -> FloatArray | None:
    y, x = box
    cy, cx = 0.5 * (y.start + y.stop - 1), 0.5 * (x.start + x.stop - 1)
    place = np.array([cx, cy])
    for _ in range(3):
        found = _centroid_at(image, place, reach)
        if found is None:
            return None
        place = found
    return place


def _centroid_at(image: Plane, place: FloatArray, reach: float) -> FloatArray | None:
    """Centroid of light above the ground within ``reach``; None where the window leaves."""
    far = int(np.ceil(reach)) + 2
    cx, cy = round(float(place[0])), round(float(place[1]))
    if cx < far or cy < far or cx + far >= image.shape[1] or cy + far >= image.shape[0]:
        return None
    part = image[cy - far : cy + far + 1, cx - far : cx + far + 1].astype(np.float64)
    v, u = np.mgrid[-far : far + 1, -far : far + 1].astype(np.float64)
    u, v = u + cx - place[0], v + cy - place[1]
    radius = np.hypot(u, v)
    ring = part[radius > reach + 0.5]
    # a soft rim: a sample does not come in or go out at once as the window moves
    weight = np.clip(reach + 0.5 - radius, 0.0, 1.0) * (part - np.median(ring))
    total = float(weight.sum())
    if not total > 0.0:
        return None
    moved = np.array([(weight * u).sum(), (weight * v).sum()]) / total
    return place + moved if float(np.hypot(*moved)) < reach else None


def _steps_at(
    points: FloatArray, tree: spatial.KDTree, first: int
) -> tuple[FloatArray, FloatArray]:
    """Steps to the right and down of the lattice at a point."""
    near = np.atleast_1d(tree.query(points[first], k=min(9, len(points)))[1])[1:]
    ways = points[near] - points[first]
    right = max(ways[:4], key=lambda w: float(w[0] / np.hypot(*w)))
    down = max(ways[:6], key=lambda w: float((right[0] * w[1] - right[1] * w[0]) / np.hypot(*w)))
    if float(right[0]) <= 0 or float(np.hypot(*down)) > 3 * float(np.hypot(*right)):
        raise SettingError("chart", "no rows and columns", "points that are evenly spaced")
    return right, down


def _crossings(image: Plane, cells: Lattice) -> Lattice:
    """Crossings of lines between cells: both lines are traced beside the crossing and met."""
    place = {(int(i), int(j)): p for (i, j), p in zip(cells.index, cells.points, strict=True)}
    sign = 1.0 if _lines_are_bright(image, cells) else -1.0
    found: dict[tuple[int, int], FloatArray] = {}
    contrasts: list[float] = []
    for i, j in place:
        around = [place.get((i + di, j + dj)) for di, dj in ((0, 0), (1, 0), (1, 1), (0, 1))]
        four = [p for p in around if p is not None]
        met = _meet(image, np.stack(four), sign) if len(four) == 4 else None
        if met is not None:
            found[i, j] = met[0]
            contrasts.append(met[1])
    if len(found) < _LEAST_POINTS:
        raise SettingError("chart", f"{len(found)} crossings", "12 or more")
    _extend(image, found, sign, 0.3 * float(np.median(contrasts)))
    return Lattice(np.stack(list(found.values())), np.array(list(found), np.int64))


def _extend(
    image: Plane, found: dict[tuple[int, int], FloatArray], sign: float, contrast: float
) -> None:
    """Go on beyond the whole cells, to crossings whose cells the frame's edge cuts."""
    last = np.array(image.shape[::-1], np.float64) - 1.0
    queue = list(found)
    for i, j in queue:
        here = found[i, j]
        for di, dj in ((1, 0), (0, 1), (-1, 0), (0, -1)):
            place = (i + di, j + dj)
            before, aside = found.get((i - di, j - dj)), found.get((i + dj, j + di))
            other = found.get((i - dj, j - di))
            if place in found or before is None or (aside is None and other is None):
                continue
            step = here - before
            if aside is not None and other is not None:
                cross = 0.5 * (aside - other)
            else:
                cross = aside - here if aside is not None else here - cast(FloatArray, other)
            right, down = (step * di, cross) if di else (cross, step * dj)
            middle = here + step
            corners = middle + 0.5 * np.stack(
                [-right - down, right - down, right + down, down - right]
            )
            if (corners < 0).any() or (corners > last).any():
                continue
            met = _meet(image, corners, sign)
            if met is None or met[1] < contrast:
                continue
            if float(np.hypot(*(met[0] - middle))) < 0.2 * float(np.hypot(*step)):
                found[place] = met[0]
                queue.append(place)


def _lines_are_bright(image: Plane, cells: Lattice) -> bool:
    at = np.rint(cells.points).astype(int)
    return float(np.median(image[at[:, 1], at[:, 0]])) < float(image[::3, ::3].mean())


def _meet(image: Plane, corners: FloatArray, sign: float) -> tuple[FloatArray, float] | None:
    """Where lines meet within four cells' middles, clockwise from the upper left; contrast."""
    size = 33
    unit = np.array([[-1.0, -1.0], [1, -1], [1, 1], [-1, 1]])
    matrix = homography(unit, corners)
    axis = np.linspace(-0.8, 0.8, size)
    u, v = np.meshgrid(axis, axis)
    pixels = project(matrix, np.stack([u, v], -1))
    values = sign * ndimage.map_coordinates(
        image, [pixels[..., 1], pixels[..., 0]], order=1, mode="nearest"
    )
    beside = (np.abs(axis) > 0.2) & (np.abs(axis) < 0.75)
    down = _trace(values[beside], axis)  # u of the upright line, at v = axis[beside]
    across = _trace(values[:, beside].T, axis)
    if down is None or across is None:
        return None
    # u = a0 + a1 v, v = b0 + b1 u near the crossing, where squares are small
    _, a1, a0 = np.polyfit(axis[beside], down[0], 2)
    _, b1, b0 = np.polyfit(axis[beside], across[0], 2)
    x = (a0 + a1 * b0) / (1.0 - a1 * b1)
    return project(matrix, np.array([x, b0 + b1 * x])), min(down[1], across[1])


def _trace(profiles: FloatArray, axis: FloatArray) -> tuple[FloatArray, float] | None:
    """Place of the line in each profile, and its least height: centroid of its upper part."""
    height = profiles - np.median(profiles, axis=1, keepdims=True)
    near = np.abs(axis) < 0.45
    top = height[:, near].max(axis=1, keepdims=True)
    if not (top > 0).all() or float(np.min(top)) < 0.3 * float(np.median(top)):
        return None
    # noise of the ground would draw the centroid to the middle
    weight = np.where(near, np.maximum(height - 0.25 * top, 0.0), 0.0)
    return (weight @ axis) / weight.sum(axis=1), float(top.min())
