"""The camera from Python, over a real module process."""

import time
from pathlib import Path
from typing import Any

import pytest

import modoptic
import modoptic.camera
import modoptic.rawfile
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


def test_capture_returns_before_the_light_is_metered() -> None:
    with modoptic.open("xiaomi-mos-35", scene="chart") as cam:
        cam.set(size="finder")
        start = time.perf_counter()
        captures = [cam.capture(), cam.capture()]
        assert time.perf_counter() - start < 0.05  # a finder frame alone takes longer
        first, second = (capture.result(30) for capture in captures)
        assert first.meta.frame_id < second.meta.frame_id


def test_by_hand_one_frame_is_enough_to_tell_the_white(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[object] = []
    tell = modoptic.camera.auto_white

    def auto_white(*of: Any) -> tuple[float, float, float]:
        looked.append(of)
        return tell(*of)

    monkeypatch.setattr(modoptic.camera, "auto_white", auto_white)
    with modoptic.open("xiaomi-mos-35", scene="studio", real_time=False) as cam:
        cam.set(exposure_s=1 / 1000, iso=200, size="finder")
        shot = cam.capture().result(30)
    assert len(looked) == 1
    assert shot.meta.as_shot_neutral != (1.0, 1.0, 1.0)


def test_a_camera_that_is_closed_takes_no_picture_and_says_so() -> None:
    with modoptic.open("xiaomi-mos-35", scene="chart") as cam:
        cam.set(exposure_s=1.0, iso=100, size="finder")
        capture = cam.capture()
    with pytest.raises(CaptureError, match="closed"):
        capture.result(5)


def test_fourteen_bit_where_the_camera_has_them(tmp_path: Path) -> None:
    with modoptic.open("xiaomi-mos-35", scene="chart", real_time=False) as cam:
        cam.set(bits=14, size="finder")
        shot = cam.capture().result(30)
        with pytest.raises(SettingError, match="12 or 14"):
            cam.set(bits=16)
    assert shot.meta.settings.bits == 14
    kept = modoptic.rawfile.read_raw(shot.save(tmp_path / "a.dng")).frame
    assert 3 * 4095 < kept.meta.white_level <= 16383
    assert kept.mosaic().max() > 4095
    with (
        modoptic.open("phone-1inch", scene="chart", real_time=False) as phone,
        pytest.raises(SettingError, match="expected 12"),
    ):
        phone.set(bits=14)


def test_a_camera_begins_with_what_it_has(tmp_path: Path) -> None:
    with modoptic.open("phone-1inch", scene="chart", real_time=False) as phone:
        phone.set(size="finder")
        shot = phone.capture().result(30)
    assert shot.meta.settings.f_number == 1.63
    raw = shot.save(tmp_path / "a.dng")
    with modoptic.open(replay=(str(raw),), real_time=False) as cam:
        assert cam.capture().result(30).meta.settings.f_number == pytest.approx(1.63)


def test_a_module_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modoptic.camera, "READY_WITHIN_S", 0.3)
    with pytest.raises(DetachedError, match=r"nowhere\.sock: nothing answered within 0\.3 s"):
        modoptic.open("memory:/tmp/nowhere.sock")
