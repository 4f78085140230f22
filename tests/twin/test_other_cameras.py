"""A definition of one's own is measured, whatever its lens and photosites are."""

import math

import msgspec
import numpy as np
import pytest

from modoptic.calibration import Matrix3
from modoptic.sensor import AngularSpec
from modoptic.twin import Definition, Twin, load_definition, measure_calibration
from modoptic.twin._definition import LensModel

SHIPPED = load_definition("xiaomi-mos-35")
REPLACE = msgspec.structs.replace


def camera(
    focal_mm: float, width: int, pitch_um: float, *, focus_min_m: float = 0.4, well_e: float = 14e3
) -> Definition:
    """A 4/3 camera of few photosites, so that measuring takes a fraction of a second."""
    high = SHIPPED.sensor.high_conversion_gain
    assert high is not None
    sensor = REPLACE(
        SHIPPED.sensor,
        width=width,
        height=width * 3 // 4,
        pitch_um=pitch_um,
        full_well_e=well_e,
        dn_per_electron=3800 / well_e,
        high_conversion_gain=REPLACE(high, full_well_e=well_e / 4),
        angle=AngularSpec(),  # the shipped one's microlenses are made for its lens
    )
    return REPLACE(
        SHIPPED,
        focal_length_mm=focal_mm,
        focal_length_35mm=2 * focal_mm,
        focus_min_m=focus_min_m,
        sensor=sensor,
        lens=LensModel(),
    )


@pytest.fixture(scope="module")
def matrices() -> list[Matrix3]:
    """Of the shipped camera, as it was measured."""
    colors = Twin(SHIPPED, "flat", real_time=False).calibration.colors
    return [color.color_matrix for color in colors]


@pytest.mark.parametrize(
    "definition",
    [
        pytest.param(camera(25, 1024, 17.0), id="25 mm"),
        pytest.param(camera(50, 1024, 17.0), id="50 mm"),
        pytest.param(camera(85, 1024, 17.0), id="85 mm"),
        pytest.param(camera(85, 1024, 17.0, focus_min_m=4.0), id="85 mm, nothing near"),
        pytest.param(camera(17.5, 640, 27.0), id="coarse, small wells"),
        pytest.param(camera(17.5, 640, 27.0, well_e=150e3), id="coarse, large wells"),
        pytest.param(camera(17.5, 320, 54.0), id="320 x 240"),
        pytest.param(camera(4.0, 1024, 4.0), id="small and wide"),
    ],
)
def test_any_camera_can_be_measured(definition: Definition, matrices: list[Matrix3]) -> None:
    found = measure_calibration(definition)
    sensor = definition.sensor
    white = 4095 - found.black_level
    # photon transfer: the variance of n electrons is n
    gain = found.noise[0].scale * white
    assert gain == pytest.approx(sensor.dn_per_electron, rel=0.05)
    assert [round(point.gain) for point in found.noise] == [1, 2, 4, 6, 6, 8, 16, 32, 64]
    # colour is that of the filters, which are the shipped camera's
    for color, matrix in zip(found.colors, matrices, strict=True):
        np.testing.assert_allclose(color.color_matrix, matrix, atol=0.03)
    # light falls off with the fourth power of the cosine, and no faster stopped down
    corner = math.hypot(sensor.width, sensor.height) / 2 * sensor.pitch_um * 1e-3
    cosine = math.cos(math.atan(corner / definition.focal_length_mm))
    closed = found.shading[-1]
    assert 1 + sum(closed.coefficients) == pytest.approx(cosine**4, abs=0.05)
