"""The ColorChecker of 24 patches: where they are, what they should be, and how far off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from modoptic.errors import SettingError
from modoptic.measure._color import D50_WHITE, chromatic_adaptation, constrained_fit
from modoptic.measure._difference import delta_e_2000, delta_e_ab, lab_to_xyz, xyz_to_lab
from modoptic.measure._planes import ColorPlanes, Patches, measure_patches, patch_quads

FloatArray = npt.NDArray[np.float64]
Edition = Literal["after-2014", "before-2014"]

PATCH_NAMES = (
    "dark skin", "light skin", "blue sky", "foliage", "blue flower", "bluish green",
    "orange", "purplish blue", "moderate red", "purple", "yellow green", "orange yellow",
    "blue", "green", "red", "yellow", "magenta", "cyan",
    "white", "neutral 8", "neutral 6.5", "neutral 5", "neutral 3.5", "black",
)  # fmt: skip
"""In reading order, four rows of six, the greys below."""
GREYS = slice(18, 24)
_MIDDLE_GREYS = slice(19, 23)
"""Neutral 8 to 3.5: white may clip, black holds the lens' glare."""

# X-Rite, "New color specifications for ColorChecker SG and Classic charts": Lab, D50, 2 degrees
_LAB: dict[str, tuple[float, ...]] = {
    "after-2014": (
        37.54, 14.37, 14.92, 64.66, 19.27, 17.50, 49.32, -3.82, -22.54, 43.46, -12.74, 22.72,
        54.94, 9.61, -24.79, 70.48, -32.26, -0.37, 62.73, 35.83, 56.50, 39.43, 10.75, -45.17,
        50.57, 48.64, 16.67, 30.10, 22.54, -20.87, 71.77, -24.13, 58.19, 71.51, 18.24, 67.37,
        28.37, 15.42, -49.80, 54.38, -39.72, 32.27, 42.43, 51.05, 28.62, 81.80, 2.67, 80.41,
        50.63, 51.28, -14.12, 49.57, -29.71, -28.32, 95.19, -1.03, 2.93, 81.29, -0.57, 0.44,
        66.89, -0.75, -0.06, 50.76, -0.13, 0.14, 35.63, -0.46, -0.48, 20.64, 0.07, -0.46,
    ),
    "before-2014": (
        37.986, 13.555, 14.059, 65.711, 18.130, 17.810, 49.927, -4.880, -21.925,
        43.139, -13.095, 21.905, 55.112, 8.844, -25.399, 70.719, -33.397, -0.199,
        62.661, 36.067, 57.096, 40.020, 10.410, -45.964, 51.124, 48.239, 16.248,
        30.325, 22.976, -21.587, 72.532, -23.709, 57.255, 71.941, 19.363, 67.857,
        28.778, 14.179, -50.297, 55.261, -38.342, 31.370, 42.101, 53.378, 28.190,
        81.733, 4.039, 79.819, 51.935, 49.986, -14.574, 51.038, -28.631, -28.638,
        96.539, -0.425, 1.186, 81.257, -0.638, -0.335, 66.766, -0.734, -0.504,
        50.867, -0.153, -0.270, 35.656, -0.421, -1.231, 20.461, -0.079, -0.973,
    ),
}  # fmt: skip


def colorchecker_lab(edition: Edition = "after-2014") -> FloatArray:
    """CIELAB (24, 3) under D50, 2 degrees, as the maker publishes it for its charts.

    Raises
    ------
    SettingError : another edition
    """
    if edition not in _LAB:
        raise SettingError("ColorChecker", edition, " or ".join(_LAB))
    return np.array(_LAB[edition]).reshape(24, 3)


def reflectance_lab(
    reflectances: npt.ArrayLike, light: npt.ArrayLike, observer: npt.ArrayLike
) -> FloatArray:
    """CIELAB (n, 3) of reflectances under a light, adapted to D50 by linear Bradford.

    Parameters
    ----------
    reflectances : (n, wavelengths), 0..1
    light : (wavelengths,), power of the illuminant in any unit
    observer : (wavelengths, 3) colour matching functions; all at the same even steps

    Raises
    ------
    SettingError : tables of unlike length
    """
    r, s, cmf = (np.asarray(v, np.float64) for v in (reflectances, light, observer))
    if r.ndim != 2 or s.shape != r.shape[1:] or cmf.shape != (len(s), 3):
        raise SettingError("spectra", (r.shape, s.shape, cmf.shape), "(n, k), (k,) and (k, 3)")
    white = s @ cmf
    xyz = (r * s) @ cmf / white[1]
    return xyz_to_lab(xyz @ chromatic_adaptation(white / white[1], D50_WHITE).T)


def fit_color_matrix(camera: npt.ArrayLike, reference_lab: npt.ArrayLike) -> FloatArray:
    """The (3, 3) from camera RGB to XYZ D50 that suits the 24 patches best.

    Least squares in XYZ; the middle greys' mean keeps its hue exactly, as a white balance would.
    What is left of the difference is what no matrix could remove.

    Raises
    ------
    SettingError : not 24 of each, or greys without light
    """
    rgb, lab = np.asarray(camera, np.float64), np.asarray(reference_lab, np.float64)
    if rgb.shape != (24, 3) or lab.shape != (24, 3):
        raise SettingError("colour patches", (rgb.shape, lab.shape), "24 colours of each")
    xyz = lab_to_xyz(lab)
    neutral, grey = rgb[_MIDDLE_GREYS].mean(axis=0), xyz[_MIDDLE_GREYS].mean(axis=0)
    if not neutral.min() > 0.0:
        raise SettingError("grey patches", neutral.tolist(), "light in every colour")
    return np.stack([constrained_fit(rgb, xyz[:, c], neutral, grey[c]) for c in range(3)])


@dataclass(frozen=True, eq=False)
class ColorErrors:
    """Measured colours of a ColorChecker beside those published."""

    lab: FloatArray
    """(24, 3): measured, D50."""
    reference_lab: FloatArray
    """(24, 3)"""
    exposure: float
    """Factor by which measured light was scaled; 1 where it was left as it is."""

    @property
    def delta_e_2000(self) -> FloatArray:
        """(24,)"""
        return delta_e_2000(self.lab, self.reference_lab)

    @property
    def delta_e_ab(self) -> FloatArray:
        """(24,)"""
        return delta_e_ab(self.lab, self.reference_lab)

    @property
    def delta_c_ab(self) -> FloatArray:
        """(24,): distance in the a*b* plane alone, without lightness."""
        away = (self.lab - self.reference_lab)[:, 1:]
        return np.hypot(away[:, 0], away[:, 1])

    @property
    def white_balance(self) -> float:
        """Mean Delta C*ab of neutral 8 to neutral 3.5: how far greys are from grey."""
        return float(self.delta_c_ab[_MIDDLE_GREYS].mean())

    @property
    def saturation(self) -> float:
        """Mean chroma of the 18 coloured patches over the published one's."""
        chroma = [
            np.hypot(lab[:18, 1], lab[:18, 2]).mean() for lab in (self.lab, self.reference_lab)
        ]
        return float(chroma[0] / chroma[1])


def compare_colors(
    xyz: npt.ArrayLike, reference_lab: npt.ArrayLike, *, match_exposure: bool = False
) -> ColorErrors:
    """How far 24 colours are from those published.

    Parameters
    ----------
    xyz : (24, 3), white D50, a perfect white having Y = 1
    reference_lab : (24, 3), D50; see `colorchecker_lab` and `reflectance_lab`
    match_exposure : scale all light so that the six greys have their luminance, by least squares;
        needed where the scale is not known, as in raws

    Raises
    ------
    SettingError : not 24 of each, or no light
    """
    measured, lab = np.asarray(xyz, np.float64), np.asarray(reference_lab, np.float64)
    if measured.shape != (24, 3) or lab.shape != (24, 3):
        raise SettingError("colour patches", (measured.shape, lab.shape), "24 colours of each")
    factor = 1.0
    if match_exposure:
        seen, wanted = measured[GREYS, 1], lab_to_xyz(lab)[GREYS, 1]
        if not seen @ seen > 0.0:
            raise SettingError("grey patches", seen.tolist(), "light")
        # as the eye, and Delta E, weigh: relative errors of all greys count alike
        weight = 1.0 / wanted**2
        factor = float((weight * seen * wanted).sum() / (weight * seen * seen).sum())
    return ColorErrors(xyz_to_lab(measured * factor), lab, factor)


def balance_errors(camera: npt.ArrayLike, neutral: npt.ArrayLike = (1.0, 1.0, 1.0)) -> FloatArray:
    """Red and blue against green of neutral 8 to 3.5, relative, less 1; (0, 0) is balanced.

    Parameters
    ----------
    camera : (24, 3), linear; black 0
    neutral : (3,) the white balance in force: camera RGB of what shall look grey
    """
    rgb = np.asarray(camera, np.float64)[_MIDDLE_GREYS] / np.asarray(neutral, np.float64)
    mean = rgb.sum(axis=0)
    return np.array([mean[0] / mean[1] - 1.0, mean[2] / mean[1] - 1.0])


def measure_colorchecker(
    planes: ColorPlanes, corners: npt.ArrayLike, *, fill: float = 0.5
) -> tuple[Patches, FloatArray]:
    """The 24 patches in reading order from dark skin, and their outlines (24, 4, 2).

    ``corners`` are the middles of the four corner patches (dark skin, bluish green, black, white),
    begun anywhere and told either way round: of the four ways that the chart may be turned, the
    one whose colours a matrix explains best is taken.

    Raises
    ------
    SettingError : corners that leave the frame or lie on a line, a grey picture, or patches that
        no turn of the chart explains
    """
    points = np.asarray(corners, np.float64)
    if points.shape != (4, 2) or not np.isfinite(points).all():
        raise SettingError("chart corners", points.shape, "four (x, y)")
    if len(planes.values) != 3:
        raise SettingError("colour chart", "a grey picture", "red, green and blue")
    away = points - points.mean(axis=0)
    # y points down, so rising angles run clockwise, as the corners do
    points = points[np.argsort(np.arctan2(away[:, 1], away[:, 0]))]
    lab = colorchecker_lab()
    best: tuple[float, Patches, FloatArray] | None = None
    for turn in range(4):
        quads = patch_quads(np.roll(points, -turn, axis=0), 4, 6, fill=fill)
        found = measure_patches(planes, quads)
        if not found.mean[_MIDDLE_GREYS].mean(axis=0).min() > 0.0:
            continue
        fitted = found.mean @ fit_color_matrix(found.mean, lab).T
        error = float(compare_colors(fitted, lab).delta_e_ab.mean())
        if best is None or error < best[0]:
            best = error, found, quads
    if best is None or best[0] > 20.0:
        raise SettingError(
            "chart corners",
            points.round(1).tolist(),
            "the middles of the patches dark skin, bluish green, black and white; the colours "
            "there are not those of a ColorChecker",
        )
    return best[1], best[2]
