"""Colours as DNG describes them (DNG 1.7.1, chapter 6), in our terms."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from modoptic.calibration import ColorCalibration, Matrix3, is_forward
from modoptic.rawfile.tiff import Entry, Tag

Matrix = npt.NDArray[np.float64]

# CIE 15, 2 degree observer: chromaticity by EXIF LightSource code
_WHITE_XY = {
    17: (0.44757, 0.40745),
    18: (0.34842, 0.35161),
    19: (0.31006, 0.31616),
    20: (0.33242, 0.34743),
    21: (0.31271, 0.32902),
    22: (0.29902, 0.31485),
    23: (0.34567, 0.35850),
}
_D65 = 21
_D50 = np.array([0.9642, 1.0, 0.8249])  # ICC.1, profile connection space
# Lam 1985, as in ICC.1 annex E
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)


def white_xyz(illuminant: int) -> Matrix:
    """XYZ, Y = 1, of an EXIF LightSource code; D65 for one that names no white."""
    x, y = _WHITE_XY.get(illuminant, _WHITE_XY[_D65])
    return np.array([x / y, 1.0, (1 - x - y) / y])


def forward_matrix(color_matrix: Matrix, illuminant: int) -> Matrix:
    """White-balanced camera to XYZ D50 where a file gives only a colour matrix.

    The inverse of the colour matrix, scaled so that the illuminant's white becomes (1, 1, 1), then
    adapted to D50 by Bradford's method.

    Raises
    ------
    LinAlgError : the matrix has no inverse
    """
    white = white_xyz(illuminant)
    response = _BRADFORD @ _D50 / (_BRADFORD @ white)
    adapt = np.linalg.inv(_BRADFORD) @ np.diag(response) @ _BRADFORD
    return adapt @ np.linalg.inv(color_matrix) @ np.diag(color_matrix @ white)


def calibration_of(color_matrix: Matrix, illuminant: int) -> ColorCalibration | None:
    """From a colour matrix alone; None where it makes no sense."""
    white = np.max(np.abs(color_matrix @ white_xyz(illuminant)))
    if not 0 < white < math.inf:
        return None
    scaled = color_matrix / white
    try:
        forward = forward_matrix(scaled, illuminant)
    except np.linalg.LinAlgError:
        return None
    # written so that NaN fails
    if not (np.abs(forward).max() <= 100 and np.abs(scaled).max() <= 100):
        return None
    return ColorCalibration(
        illuminant=illuminant, color_matrix=_tuple(scaled), forward_matrix=_tuple(forward)
    )


def from_tags(main: dict[int, Entry]) -> tuple[ColorCalibration, ...]:
    """Calibrations of a DNG, warm illuminant first; empty where it has none that makes sense."""
    sets = (
        (Tag.COLOR_MATRIX_1, Tag.FORWARD_MATRIX_1, Tag.CALIBRATION_ILLUMINANT_1),
        (Tag.COLOR_MATRIX_2, Tag.FORWARD_MATRIX_2, Tag.CALIBRATION_ILLUMINANT_2),
    )
    balance = _matrix(main, Tag.ANALOG_BALANCE, (3,))
    found: list[ColorCalibration] = []
    for matrix_tag, forward_tag, illuminant_tag in sets:
        matrix = _matrix(main, matrix_tag, (3, 3))
        if matrix is None:
            continue
        if balance is not None:
            matrix = np.diag(balance) @ matrix
        entry = main.get(illuminant_tag)
        illuminant = int(entry.first) if entry is not None and entry.count else _D65
        if not 0 <= illuminant <= 65535:
            illuminant = _D65
        color = calibration_of(matrix, illuminant)
        if color is None:
            continue
        forward = _matrix(main, forward_tag, (3, 3))
        # One that takes white elsewhere is none; the inverse of the colour matrix serves instead.
        if forward is not None and np.abs(forward).max() <= 100 and is_forward(_tuple(forward)):
            color = ColorCalibration(
                illuminant=illuminant,
                color_matrix=color.color_matrix,
                forward_matrix=_tuple(forward),
            )
        found.append(color)
    # The rising ratio of blue to red in the white orders illuminants from warm to cold.
    return tuple(sorted(found, key=lambda color: white_xyz(color.illuminant)[2]))


def neutral(
    main: dict[int, Entry], colors: tuple[ColorCalibration, ...]
) -> tuple[float, float, float] | None:
    """AsShotNeutral with green 1, from either of the two ways in which DNG may say it."""
    values = _matrix(main, Tag.AS_SHOT_NEUTRAL, (3,))
    chromaticity = _matrix(main, Tag.AS_SHOT_WHITE_XY, (2,))
    if values is None and chromaticity is not None and colors and chromaticity[1] > 0:
        x, y = chromaticity
        values = np.array(colors[-1].color_matrix) @ np.array([x / y, 1, (1 - x - y) / y])
    if values is None or not (values > 1e-4).all():
        return None
    red, green, blue = (float(v) for v in values)
    return red / green, 1.0, blue / green


def _matrix(main: dict[int, Entry], tag: int, shape: tuple[int, ...]) -> Matrix | None:
    entry = main.get(tag)
    if entry is None or entry.count != np.prod(shape) or isinstance(entry.values, bytes):
        return None
    values = np.array(entry.values, np.float64)
    if not np.isfinite(values).all() or not values.any():
        return None
    return values.reshape(shape)


def _tuple(matrix: Matrix) -> Matrix3:
    a, b, c = (tuple(float(v) for v in row) for row in matrix)
    return a, b, c  # pyright: ignore[reportReturnType]
