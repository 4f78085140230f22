"""A calibration is believed only where a measurement could have given it."""

import math
from typing import Any

import msgspec
import pytest

from modoptic.calibration import (
    Calibration,
    ColorCalibration,
    NoisePoint,
    Shading,
    check_calibration,
)
from modoptic.errors import SettingError

NAN = math.nan
EYE = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
FORWARD = ((0.72, 0.13, 0.1142), (0.27, 0.93, -0.20), (0.03, -0.14, 0.9349))
NONE = ((0.0,) * 3,) * 3


def _color(**changes: Any) -> ColorCalibration:
    return ColorCalibration(
        **{"illuminant": 21, "color_matrix": EYE, "forward_matrix": FORWARD, **changes}
    )


def _shading(*coefficients: float, f_number: float = 2.0, distance: float = 1.0) -> Shading:
    a, b, c = coefficients or (-0.5, 0.1, 0.0)
    return Shading(f_number=f_number, focus_distance_m=distance, coefficients=(a, b, c))


def test_what_a_measurement_gives_is_accepted() -> None:
    check_calibration(Calibration())
    check_calibration(
        Calibration(
            colors=(_color(illuminant=17), _color(forward_matrix=NONE)),
            noise=(NoisePoint(gain=1.0, scale=1e-4, offset=0.0),),
            shading=(_shading(), _shading(distance=math.inf)),
            defects=((0, 0), (11647, 8735)),
            black_level=64.0,
        )
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"colors": (_color(color_matrix=((NAN,) * 3,) * 3),)},
        {"colors": (_color(forward_matrix=((NAN,) * 3,) * 3),)},
        {"colors": (_color(forward_matrix=((0.0, 0.0, 0.0), *FORWARD[1:])),)},
        {"colors": (_color(forward_matrix=((1e30, -1e30, 0.9642), *FORWARD[1:])),)},
        {"colors": (_color(illuminant=-1),)},
        {"colors": (_color(),) * 3},
        {"noise": (NoisePoint(gain=0.0, scale=1e-4, offset=0.0),)},
        {"noise": (NoisePoint(gain=1.0, scale=NAN, offset=0.0),)},
        {"noise": (NoisePoint(gain=1.0, scale=1e-4, offset=-1.0),)},
        {"shading": (_shading(f_number=0.0),)},
        {"shading": (_shading(f_number=NAN),)},
        {"shading": (_shading(distance=0.0),)},
        {"shading": (_shading(distance=NAN),)},
        {"shading": (_shading(NAN, 0.0, 0.0),)},
        {"shading": (_shading(-1.5, 0.0, 0.0),)},
        {"shading": (msgspec.structs.replace(_shading(), blue=(-1.5, 0.0, 0.0)),)},
        {"shading": (msgspec.structs.replace(_shading(), red=(NAN, 0.0, 0.0)),)},
        {"defects": ((-1, 0),)},
        {"defects": ((0, 1 << 20),)},
        {"black_level": NAN},
    ],
)
def test_what_no_measurement_gives_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match="calibration: "):
        check_calibration(Calibration(**changes))
