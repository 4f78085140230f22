"""Colour: chart patches to the matrices of DNG 1.4, chapter 6."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from modoptic.calibration import ColorCalibration, Matrix3
from modoptic.errors import SettingError

FloatArray = npt.NDArray[np.float64]

D50_WHITE = np.array([0.96422, 1.0, 0.82521])
"""XYZ of the profile connection space (ICC.1:2010, 7.2.16)."""
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
"""Lam 1985, as in ICC.1:2010, annex E."""


def patch_means(
    mosaic: npt.NDArray[np.generic],
    cfa: tuple[str, ...],
    boxes: Sequence[tuple[int, int, int, int]],
    black_level: float,
) -> FloatArray:
    """Mean camera RGB above black of each box (x, y, width, height); shape (n, 3), in DN.

    Raises
    ------
    SettingError : a box that leaves the frame or is smaller than the pattern
    """
    height, width = mosaic.shape
    rows, columns = len(cfa), len(cfa[0])
    result = np.empty((len(boxes), 3))
    for i, (x, y, w, h) in enumerate(boxes):
        x, y = x - x % columns, y - y % rows
        if x < 0 or y < 0 or x + w > width or y + h > height or w < columns or h < rows:
            raise SettingError("patch", (x, y, w, h), f"a box within {width} x {height}")
        part = np.asarray(mosaic[y : y + h, x : x + w], np.float64)
        for c, color in enumerate("RGB"):
            planes = [
                part[j::rows, k::columns].mean()
                for j in range(rows)
                for k in range(columns)
                if cfa[j][k] == color
            ]
            result[i, c] = np.mean(planes) - black_level
    return result


def chromatic_adaptation(source_white: FloatArray, target_white: FloatArray) -> FloatArray:
    """Linear Bradford: XYZ under one white to XYZ under another, (3, 3)."""
    ratio = (_BRADFORD @ target_white) / (_BRADFORD @ source_white)
    return np.linalg.inv(_BRADFORD) @ np.diag(ratio) @ _BRADFORD


def color_calibration(
    illuminant: int, camera: FloatArray, xyz: FloatArray, white_xyz: FloatArray, neutral: FloatArray
) -> ColorCalibration:
    """Colour matrices from chart patches.

    Both matrices take the illuminant's white exactly where it was measured, and the patches as
    near as least squares get.

    Parameters
    ----------
    illuminant : EXIF LightSource code
    camera : (n, 3) linear camera RGB of the patches, any scale
    xyz : (n, 3) their XYZ under the illuminant, a perfect white having Y = 1
    white_xyz : (3,) XYZ of the illuminant's white
    neutral : (3,) camera RGB that a perfect white would have, on the scale of ``camera``

    Raises
    ------
    SettingError : fewer than 6 patches
    """
    if camera.shape != xyz.shape or camera.ndim != 2 or len(camera) < 6:
        raise SettingError("colour patches", (camera.shape, xyz.shape), "6 or more of each, alike")
    white = white_xyz / white_xyz[1]
    camera, neutral = camera / neutral.max(), neutral / neutral.max()
    to_camera = np.stack([constrained_fit(xyz, camera[:, c], white, neutral[c]) for c in range(3)])
    adapted = xyz @ chromatic_adaptation(white, D50_WHITE).T
    balanced = camera / neutral
    forward = np.stack(
        [constrained_fit(balanced, adapted[:, c], np.ones(3), D50_WHITE[c]) for c in range(3)]
    )
    return ColorCalibration(
        illuminant=illuminant, color_matrix=_matrix(to_camera), forward_matrix=_matrix(forward)
    )


def constrained_fit(
    inputs: FloatArray, wanted: FloatArray, point: FloatArray, value: float
) -> FloatArray:
    """Least squares for v with inputs @ v = wanted, under v . point = value exactly."""
    base = point * (value / (point @ point))
    free = np.linalg.svd(point[None])[2][1:].T
    rest = np.linalg.lstsq(inputs @ free, wanted - inputs @ base, rcond=None)[0]
    return base + free @ rest


def _matrix(values: FloatArray) -> Matrix3:
    a, b, c = ((float(row[0]), float(row[1]), float(row[2])) for row in np.round(values, 6))
    return a, b, c
