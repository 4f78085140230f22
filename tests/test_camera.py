"""The camera from Python, over a real module process."""

import pytest

import modoptic
from modoptic.errors import CaptureError, DetachedError, SettingError


def test_public_names_are_those_that_are_shown() -> None:
    assert modoptic.__all__ == sorted(modoptic.__all__)
    for name in modoptic.__all__:
        assert getattr(modoptic, name) is not None


def test_set_shoot_and_look_at_the_numbers() -> None:
    with modoptic.open("xiaomi-mos-35", scene="chart", real_time=False) as cam:
        cam.set(aperture=4.0, focus_distance_m=1.0, exposure_s=1 / 50, iso=200, size="finder")
        shot = cam.capture().result()
        assert shot.meta.settings.f_number == 4.0
        assert shot.meta.settings.exposure_s == pytest.approx(1 / 50)
        assert shot.meta.iso == pytest.approx(200)
        assert shot.mosaic().shape == (shot.meta.height, shot.meta.width)
        assert shot.mosaic().std() > 10
        with pytest.raises(SettingError, match="aperture"):
            cam.set(aperture=0.7)


def test_the_meter_puts_the_scene_in_the_middle() -> None:
    with modoptic.open("xiaomi-mos-35", scene="studio", real_time=False) as cam:
        cam.set(aperture=2.0, size="finder")
        shot = cam.capture().result()
    black = sum(shot.meta.black_level) / len(shot.meta.black_level)
    level = (shot.mosaic().mean() - black) / (shot.meta.white_level - black)
    assert 0.03 < level < 0.4


def test_a_killed_module_ends_every_wait() -> None:
    with modoptic.open("xiaomi-mos-35", scene="chart") as cam:
        cam.set(exposure_s=1.0, iso=100, size="finder")
        capture = cam.capture()
        assert cam.device is not None
        cam.device.kill()
        with pytest.raises(CaptureError):
            capture.result(10)
        with pytest.raises(DetachedError):
            cam.capture()
