"""Raw to picture: kernels for the finder and for stills.

A still goes `Frame` -> `develop` -> uint8 sRGB, in bands, while its rows arrive. The finder goes
`Frame` -> `FinderKernel.process` -> half-size picture and statistics, with the same colours.
"""

from modoptic.isp._color import (
    auto_white,
    camera_to_srgb,
    even_colors,
    kelvin_from_neutral,
    neutral_from_kelvin,
)
from modoptic.isp._develop import (
    BAND_ROWS,
    Develop,
    demosaic,
    develop,
    develop_to,
    picture_size,
    white_balance,
)
from modoptic.isp._finder import (
    STRIP_ROWS,
    FinderKernel,
    FinderLook,
    FinderResult,
    FinderStats,
    halved,
    loupe,
    statistics,
)
from modoptic.isp._warm import warm

__all__ = [
    "BAND_ROWS",
    "STRIP_ROWS",
    "Develop",
    "FinderKernel",
    "FinderLook",
    "FinderResult",
    "FinderStats",
    "auto_white",
    "camera_to_srgb",
    "demosaic",
    "develop",
    "develop_to",
    "even_colors",
    "halved",
    "kelvin_from_neutral",
    "loupe",
    "neutral_from_kelvin",
    "picture_size",
    "statistics",
    "warm",
    "white_balance",
]
