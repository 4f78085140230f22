"""Shoot, look, develop: the files are there and other programs can open them."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

Command = Callable[..., "subprocess.CompletedProcess[str]"]


def test_shoot_info_develop(command: Command, tmp_path: Path) -> None:
    shoot = ("shoot", "--aperture", "2", "--focus", "2.4", "--scene", "motorcycle")
    shot = command(*shoot, "--size", "finder", "-o", "photo.dng", "--json")
    assert shot.returncode == 0, shot.stderr
    said = json.loads(shot.stdout)
    assert (said["width"], said["height"], said["f_number"]) == (2912, 2184, 2.0)

    info = command("info", "photo.dng", "--json")
    assert json.loads(info.stdout)["settings"]["focus_distance_m"] == 2.4

    developed = command("develop", "photo.dng")
    assert developed.returncode == 0, developed.stderr
    with Image.open(tmp_path / "photo.jpg") as picture:
        assert picture.size[0] > 2800
        exif = picture.getexif().get_ifd(0x8769)
        assert float(exif[0x829D]) == 2.0  # FNumber
        pixels = picture.convert("L").reduce(16).tobytes()
    info = command("info", "photo.jpg", "--json")
    assert json.loads(info.stdout)["settings"]["f_number"] == 2.0
    # a picture, neither black nor white
    assert 40 < sum(pixels) / len(pixels) < 215


def test_the_same_seed_gives_the_same_raw(command: Command, tmp_path: Path) -> None:
    import modoptic.rawfile

    options = ("--scene", "chart", "--size", "finder", "--exposure", "1/60", "--iso", "100")
    for name in ("one.dng", "two.dng"):
        run = command("shoot", *options, "--seed", "1", "-o", name)
        assert run.returncode == 0, run.stderr
    one, two = (
        modoptic.rawfile.read_raw(tmp_path / name).frame.mosaic() for name in ("one.dng", "two.dng")
    )
    assert (one == two).all()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--aperture", "0.5"], "aperture"),
        (["--focus", "0.01"], "focus distance"),
        (["-o", "photo.gif"], ".dng"),
        (["--scene", "nowhere.jpg"], "nowhere.jpg"),
    ],
)
def test_what_the_camera_does_not_have_is_named(
    command: Command, tmp_path: Path, arguments: list[str], says: str
) -> None:
    run = command("shoot", *arguments)
    assert run.returncode == 1
    assert says in run.stderr
    assert "Traceback" not in run.stderr
    assert not [path for path in tmp_path.iterdir() if path.suffix in (".dng", ".jpg", ".part")]


def test_defaults_are_what_the_camera_has(command: Command) -> None:
    shoot = ("shoot", "--size", "finder", "--scene", "chart", "--json")
    shot = command(*shoot, "--camera", "phone-1inch", "--focus", "inf", "-o", "a.dng")
    assert shot.returncode == 0, shot.stderr

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    said = json.loads(shot.stdout, parse_constant=refuse)
    assert said["f_number"] == 1.63
    assert said["focus_distance_m"] is None
    again = command("shoot", "--replay", "a.dng", "-o", "b.dng", "--compression", "none", "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["f_number"] == pytest.approx(1.63)
    refused = command("shoot", "--replay", "a.dng", "--aperture", "2.8")
    assert refused.returncode == 1
    assert "aperture" in refused.stderr


def test_depth_and_compression_of_the_raw(command: Command, tmp_path: Path) -> None:
    shoot = ("shoot", "--size", "finder", "--scene", "chart", "--bits", "14")
    sizes: dict[str, int] = {}
    for compression in ("none", "jpegxl"):
        name = f"{compression}.dng"
        shot = command(*shoot, "--compression", compression, "-o", name)
        assert shot.returncode == 0, shot.stderr
        sizes[compression] = (tmp_path / name).stat().st_size
    assert sizes["none"] > 2912 * 2184 * 14 / 8
    assert sizes["jpegxl"] < 0.8 * sizes["none"]


def test_one_bad_file_does_not_stop_the_others(command: Command, tmp_path: Path) -> None:
    (tmp_path / "bad.dng").write_bytes(b"II*\0 this is no raw")
    shot = command("shoot", "--scene", "chart", "--size", "finder", "-o", "good.dng")
    assert shot.returncode == 0, shot.stderr
    run = command("develop", "bad.dng", "good.dng", "-o", "finished")
    assert run.returncode == 1
    assert "bad.dng" in run.stderr
    assert (tmp_path / "finished" / "good.jpg").stat().st_size > 10_000
