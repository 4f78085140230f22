"""Where in a frame a ColorChecker is."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from modoptic.errors import SettingError
from modoptic.measure._colorchecker import colorchecker_lab, compare_colors, fit_color_matrix
from modoptic.measure._planes import ColorPlanes, homography, project
from modoptic.measure._points import Lattice, labelled, lattice

FloatArray = npt.NDArray[np.float64]

_LONG_SIDE = 640
"""Samples in which a chart is looked for; more tell nothing of patches."""
_FLATNESS = (0.008, 0.016, 0.03, 0.06)
"""Steps of the root of light within a patch, of the largest root; noise decides which suits."""
_LEAST_PATCHES = 10
_SEEDS = 12
_LARGEST_ERROR = 12.0
_AMBIGUOUS = 1.3


def find_colorchecker(planes: ColorPlanes) -> FloatArray:
    """Middles (4, 2) of the corner patches of the ColorChecker in a frame, for
    `measure_colorchecker`.

    Even squares in rows and columns are looked for, at any turn and in some perspective, and every
    place that a chart of 6 x 4 could have among them is tried: the one whose colours a matrix
    explains best is taken, if it explains them and no other place nearly as well. A chart is found
    where its patches are 10 samples wide or more at 640 across, sharp enough to be squares, and
    some ten of them lie apart from their ground.

    Raises
    ------
    SettingError : a grey picture, or no place that is surely a ColorChecker; give its corners
    """
    if len(planes.values) != 3:
        raise SettingError("colour chart", "a grey picture", "red, green and blue")
    small = _reduced(planes)
    smooth = np.stack([ndimage.uniform_filter(plane, 5) for plane in small.values]).astype(
        np.float32
    )
    tried: list[tuple[float, FloatArray]] = []
    for squares in _squares(small):
        for middles in _places(squares):
            error = _error(small, smooth, middles)
            if error is not None:
                tried.append((error, middles[[0, 5, 23, 18]]))
        if tried and min(error for error, _ in tried) < 0.5 * _LARGEST_ERROR:
            break
    tried.sort(key=lambda one: one[0])
    if tried:
        error, corners = tried[0]
        pitch = float(np.hypot(*(corners[1] - corners[0]))) / 5.0
        others = [e for e, c in tried if float(np.hypot(*(c - corners).T).max()) > 0.5 * pitch]
        if error < _LARGEST_ERROR and (not others or others[0] > _AMBIGUOUS * error):
            return corners
    raise SettingError(
        "colour chart",
        "not found",
        "a ColorChecker of 24 patches, sharp and well lit; give the middles of its corner patches",
    )


def _reduced(planes: ColorPlanes) -> ColorPlanes:
    """Means of square blocks, at most so many along the longer side."""
    height, width = planes.values.shape[1:]
    k = max(1, -(-max(height, width) // _LONG_SIDE))
    rows, columns = height // k, width // k
    part = planes.values[:, : rows * k, : columns * k]
    values = part.reshape(3, rows, k, columns, k).mean((2, 4), dtype=np.float64)
    offsets = planes.offsets + 0.5 * (k - 1) * planes.step
    small = values.astype(np.float32)
    return ColorPlanes(small, planes.step * k, offsets, planes.size, planes.saturation)


def _squares(small: ColorPlanes) -> Iterator[FloatArray]:
    """(n, 3): places and sides of even squares, in the frame, for one evenness after the other."""
    top = np.percentile(small.values, 99, axis=(1, 2))[:, None, None]
    root = np.sqrt(np.clip(small.values / np.maximum(top, 1e-9), 0.0, 1.5))
    root = np.stack([ndimage.uniform_filter(plane, 3) for plane in root])
    down, across = np.gradient(root, axis=(1, 2))
    steep = np.asarray(np.hypot(down, across).max(axis=0), np.float64)
    for limit in _FLATNESS:
        labels, boxes = labelled(steep < limit)
        found: list[tuple[float, float, float]] = []
        for k, box in enumerate(boxes):
            y, x = np.nonzero(labels[box] == k + 1)
            if y.size < 16 or y.size > 0.05 * steep.size:
                continue
            spread = np.cov(np.stack([x, y]))
            narrow, wide = np.linalg.eigvalsh(spread)
            # of a square both are side^2 / 12
            if narrow < 0.3 * wide or not 0.8 < y.size / (12.0 * np.sqrt(narrow * wide)) < 1.1:
                continue
            found.append((x.mean() + box[1].start, y.mean() + box[0].start, np.sqrt(y.size)))
        squares = np.array(found).reshape(-1, 3)
        squares[:, :2] = small.place(small.green, squares[:, :2])
        squares[:, 2] *= small.step
        yield squares


def _places(squares: FloatArray) -> Iterator[FloatArray]:
    """Where the patches of a chart may be among squares of one size in rows and columns."""
    seen: set[tuple[int, ...]] = set()
    # those with many others of their size come first
    alike = [int((np.abs(np.log(squares[:, 2] / side)) < 0.4).sum()) for side in squares[:, 2]]
    for seed in np.argsort(alike)[::-1][:: max(1, len(alike) // _SEEDS)]:
        near = squares[np.abs(np.log(squares[:, 2] / squares[seed, 2])) < 0.4]
        if len(near) < _LEAST_PATCHES:
            continue
        x, y, side = (float(v) for v in squares[seed])
        try:
            rows = lattice(near[:, :2], (x, y), least=_LEAST_PATCHES)
        except SettingError:
            continue
        key = tuple(sorted(int(v) for v in rows.points.round().sum(axis=1)))
        # squares that do not stand close are no chart's
        if key in seen or not 1.0 < rows.pitch / side < 2.5:
            continue
        seen.add(key)
        yield from _windows(rows)


def _windows(rows: Lattice) -> Iterator[FloatArray]:
    """Middles (24, 2) of the patches in reading order, for each place and turn of a chart."""
    try:
        matrix = homography(rows.index, rows.points)
    except SettingError:
        return
    i, j = rows.index[:, 0], rows.index[:, 1]
    for columns, lines in ((6, 4), (4, 6)):
        down, across = np.mgrid[:lines, :columns]
        for left in range(int(i.min()) - 2, int(i.max()) - columns + 4):
            for top in range(int(j.min()) - 2, int(j.max()) - lines + 4):
                inside = (i >= left) & (i < left + columns) & (j >= top) & (j < top + lines)
                if inside.sum() < _LEAST_PATCHES:
                    continue
                grid = project(matrix, np.stack([across + left, down + top], axis=-1))
                for turn in (0, 2) if columns == 6 else (1, 3):
                    yield np.rot90(grid, turn).reshape(24, 2)


def _error(
    small: ColorPlanes, smooth: npt.NDArray[np.float32], middles: FloatArray
) -> float | None:
    """Mean Delta E*ab that the best matrix leaves; None where a patch is beyond the frame."""
    at = np.rint([small.sample(color, middles) for color in range(3)]).astype(int)
    height, width = smooth.shape[1:]
    if (at < 2).any() or (at[..., 0] >= width - 2).any() or (at[..., 1] >= height - 2).any():
        return None
    camera = np.stack([smooth[c, at[c, :, 1], at[c, :, 0]] for c in range(3)], 1, dtype=np.float64)
    lab = colorchecker_lab()
    try:
        matrix = fit_color_matrix(camera, lab)
    except SettingError:  # black where greys should be
        return None
    return float(compare_colors(camera @ matrix.T, lab).delta_e_ab.mean())
