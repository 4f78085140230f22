"""What any camera's frames say: sharpness, photon transfer, colour, shading, defects.

Everything here takes frames as arrays and knows nothing of the camera they came from.
"""

from modoptic.measure._color import chromatic_adaptation, color_calibration, patch_means
from modoptic.measure._colorchecker import (
    GREYS,
    PATCH_NAMES,
    ColorErrors,
    balance_errors,
    colorchecker_lab,
    compare_colors,
    fit_color_matrix,
    measure_colorchecker,
    reflectance_lab,
)
from modoptic.measure._difference import (
    delta_e_2000,
    delta_e_ab,
    lab_to_xyz,
    srgb_to_linear,
    srgb_to_xyz_d50,
    xyz_to_lab,
)
from modoptic.measure._emva import (
    DarkCurrent,
    Emva1288,
    ExposureStep,
    Figure,
    Nonuniformity,
    dark_current,
    emva1288,
    nonuniformity,
)
from modoptic.measure._noise import (
    PairStatistics,
    PhotonTransfer,
    defects,
    noise_point,
    pair_statistics,
    photon_transfer,
)
from modoptic.measure._planes import (
    ColorPlanes,
    Patches,
    color_planes,
    homography,
    measure_patches,
    patch_quads,
    project,
)
from modoptic.measure._shading import shading
from modoptic.measure._sharpness import Sfr, slanted_edge
from modoptic.measure._texture import Texture, texture

__all__ = [
    "GREYS",
    "PATCH_NAMES",
    "ColorErrors",
    "ColorPlanes",
    "DarkCurrent",
    "Emva1288",
    "ExposureStep",
    "Figure",
    "Nonuniformity",
    "PairStatistics",
    "Patches",
    "PhotonTransfer",
    "Sfr",
    "Texture",
    "balance_errors",
    "chromatic_adaptation",
    "color_calibration",
    "color_planes",
    "colorchecker_lab",
    "compare_colors",
    "dark_current",
    "defects",
    "delta_e_2000",
    "delta_e_ab",
    "emva1288",
    "fit_color_matrix",
    "homography",
    "lab_to_xyz",
    "measure_colorchecker",
    "measure_patches",
    "noise_point",
    "nonuniformity",
    "pair_statistics",
    "patch_means",
    "patch_quads",
    "photon_transfer",
    "project",
    "reflectance_lab",
    "shading",
    "slanted_edge",
    "srgb_to_linear",
    "srgb_to_xyz_d50",
    "texture",
    "xyz_to_lab",
]
