"""Every camera that is shipped opens, shows its view, takes a picture and develops it."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

import modoptic
from modoptic.frame import Frame, Settings
from modoptic.isp import Develop, develop
from modoptic.measure._difference import srgb_to_linear
from modoptic.pixels import pixel_format
from modoptic.twin import Twin, definitions

SIDE = 512


@pytest.mark.parametrize("name", definitions())
def test_a_grey_target_is_shown_and_developed_neutral(name: str) -> None:
    twin = Twin(name, "flat", real_time=False)
    info = twin.info
    assert twin.calibration.unit == info.id and twin.calibration.colors
    assert twin.calibration.shading[0].f_number == info.f_number_min
    middle = info.sensor_width // 2 - SIDE // 2, info.sensor_height // 2 - SIDE // 2, SIDE, SIDE
    shown = Settings(readout="bin4", f_number=info.f_number_min, exposure_s=8e-3,
                     focus_distance_m=np.inf)  # fmt: skip
    twin.start()
    try:
        finder = shoot(twin, shown)
        still = shoot(twin, msgspec.structs.replace(shown, readout="full", region=middle))
    finally:
        twin.close()
    assert finder.mosaic().shape == (info.sensor_height // 4, info.sensor_width // 4)
    assert still.mosaic().shape == (SIDE, SIDE)
    params = Develop(
        tone="linear", sharpening=0.0, saturation=1.0, white_balance=middle_color(still)
    )
    whole, detail = (
        srgb_to_linear(develop(frame, params, calibration=twin.calibration) / 255.0)
        for frame in (finder, still)
    )
    # the sensor's white balance serves the finder too, and the light is the same
    color = detail.mean((0, 1))
    np.testing.assert_allclose(color, color[1], rtol=0.01)
    assert 0.05 < color[1] < 0.9
    height, width = (8 * (side // 8) for side in whole.shape[:2])
    blocks = whole[:height, :width].reshape(8, height // 8, 8, width // 8, 3).mean((1, 3))
    np.testing.assert_allclose(blocks[3:5, 3:5], color[1], rtol=0.03)
    # wide open it is neutral and as light in the corners
    np.testing.assert_allclose(blocks / blocks[..., 1:2], 1.0, atol=0.02)
    np.testing.assert_allclose(blocks[..., 1] / blocks[3:5, 3:5, 1].mean(), 1.0, atol=0.04)


@pytest.mark.parametrize("name", definitions())
def test_it_opens_from_python_and_a_grey_target_is_neutral(name: str) -> None:
    with modoptic.open(name, scene="flat", real_time=False) as cam:
        cam.set(size="finder")
        shot = cam.capture().result(30)
        assert cam.info.id == f"{name}-000001"
    neutral = np.array(middle_color(shot.frame))
    # the meter looks at the whole field, whose corners are a little red and blue
    found = np.array(shot.meta.as_shot_neutral)
    np.testing.assert_allclose(found / found[1], neutral / neutral[1], rtol=0.05)
    picture = shot.develop(tone="linear", saturation=1.0, white_balance=tuple(neutral))
    color = srgb_to_linear(picture / 255.0).mean((0, 1))
    np.testing.assert_allclose(color, color[1], rtol=0.02)
    assert 0.05 < color[1] < 0.9


def middle_color(frame: Frame) -> tuple[float, float, float]:
    """Camera RGB in the middle of a frame."""
    y, x = frame.height // 4 * 2 - SIDE // 4, frame.width // 4 * 2 - SIDE // 4
    part = frame.mosaic()[y : y + SIDE // 2, x : x + SIDE // 2] - frame.meta.black_level[0]
    assert frame.meta.cfa == ("RG", "GB")
    return part[::2, ::2].mean(), part[::2, 1::2].mean(), part[1::2, 1::2].mean()


def shoot(twin: Twin, settings: Settings) -> Frame:
    meta = twin.describe(settings)
    data = bytearray(pixel_format(meta.pixel_format).row_bytes(meta.width) * meta.height)
    return Frame(twin.capture(settings, memoryview(data), lambda rows: None), memoryview(data))
