"""What any camera's frames say: sharpness, photon transfer, colour, shading, defects.

Everything here takes frames as arrays and knows nothing of the camera they came from.
"""

from modoptic.measure._color import chromatic_adaptation, color_calibration, patch_means
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
from modoptic.measure._shading import shading
from modoptic.measure._sharpness import Sfr, slanted_edge
from modoptic.measure._texture import Texture, texture

__all__ = [
    "DarkCurrent",
    "Emva1288",
    "ExposureStep",
    "Figure",
    "Nonuniformity",
    "PairStatistics",
    "PhotonTransfer",
    "Sfr",
    "Texture",
    "chromatic_adaptation",
    "color_calibration",
    "dark_current",
    "defects",
    "emva1288",
    "noise_point",
    "nonuniformity",
    "pair_statistics",
    "patch_means",
    "photon_transfer",
    "shading",
    "slanted_edge",
    "texture",
]
