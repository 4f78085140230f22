"""What is there is never lost to `develop`; each bad file is named and harms no other."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modoptic import pixels
from modoptic.cli import main
from modoptic.frame import Frame, FrameMeta, NoiseModel, Settings
from modoptic.photo import meta_of, write_jpeg
from modoptic.rawfile import write_dng


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def dng(path: str, side: int = 64, **fields: Any) -> Path:
    """A small raw."""
    values = np.random.default_rng(1).integers(300, 3000, (side, side), dtype=np.uint16)
    meta = FrameMeta(width=side, height=side, **fields)
    frame = Frame(meta, pixels.pack(values, pixels.pixel_format(meta.pixel_format)))
    Path(path).parent.mkdir(exist_ok=True)
    write_dng(path, frame, durable=False)
    return Path(path)


def test_a_photo_beside_its_raw_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    dng("MO_0001.dng")
    Path("MO_0001.jpg").write_bytes(b"the photo")
    assert main(["develop", "MO_0001.dng"]) == 0
    assert Path("MO_0001.jpg").read_bytes() == b"the photo"
    assert meta_of(Path("MO_0001-1.jpg"))
    assert "-> MO_0001-1.jpg" in (said := capsys.readouterr().out)
    assert "MO_0001.jpg was there already" in said
    assert main(["develop", "MO_0001.dng", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["jpeg"] == "MO_0001-2.jpg"


def test_it_is_replaced_where_that_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    dng("a.dng")
    Path("a.jpg").write_bytes(b"old")
    assert main(["develop", "a.dng", "--overwrite"]) == 0
    assert meta_of(Path("a.jpg"))
    assert "already" not in capsys.readouterr().out
    assert sorted(path.name for path in Path().iterdir()) == ["a.dng", "a.jpg"]


def test_a_name_that_was_given_is_no_exception() -> None:
    dng("a.dng")
    Path("mine.jpg").write_bytes(b"old")
    assert main(["develop", "a.dng", "-o", "mine.jpg"]) == 0
    assert Path("mine.jpg").read_bytes() == b"old"
    assert Path("mine-1.jpg").exists()


def test_a_link_that_leads_nowhere_is_left(tmp_path: Path) -> None:
    dng("a.dng")
    Path("a.jpg").symlink_to(tmp_path / "unplugged" / "a.jpg")
    assert main(["develop", "a.dng"]) == 0
    assert Path("a.jpg").is_symlink() and Path("a-1.jpg").exists()


@pytest.mark.parametrize("more", [[], ["--overwrite"]])
def test_raws_of_one_name_become_photos_of_two(more: list[str]) -> None:
    first = dng("a/x.dng", serial="first")
    second = dng("b/x.dng", serial="second")
    assert main(["develop", str(first), str(second), "-o", "out", *more]) == 0
    found = {path.name: meta_of(path) for path in Path("out").iterdir()}
    assert {name: meta and meta.serial for name, meta in found.items()} == {
        "x.jpg": "first",
        "x-1.jpg": "second",
    }


def test_no_raw_is_replaced_by_its_own_photo() -> None:
    samples = bytes(2 * 64 * 64)
    Path("frame.jpg").write_bytes(samples)
    sizes = ["--width", "64", "--height", "64", "--cfa", "RGGB", "--bits", "12"]
    assert main(["develop", "frame.jpg", "--overwrite", *sizes]) == 0
    assert Path("frame.jpg").read_bytes() == samples
    assert meta_of(Path("frame-1.jpg"))


def test_whatever_is_wrong_with_one_the_others_are_developed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rawpy", None)
    dng("tiny.dng", side=16)
    dng("two_reds.dng", cfa=("RR", "GB"))
    Path("b.nef").write_bytes(bytes(100))
    Path("c.dng").write_bytes(b"nothing")
    bad = ["tiny.dng", "two_reds.dng", "b.nef", "c.dng", "absent.dng"]
    dng("good.dng")
    assert main(["develop", *bad, "good.dng"]) == 1
    said = capsys.readouterr()
    assert "good.dng -> good.jpg" in said.out
    *each, total = said.err.splitlines()
    assert [line.split(": ")[1] for line in each] == bad
    assert "5 of 6 files were not developed" in total
    assert main(["develop", "good.dng"]) == 0


def test_a_parameter_that_is_wrong_for_all_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["develop", "a.dng", "b.dng", "--ev", "9"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "modoptic: develop: exposure_ev cannot be 9.0; expected -5 to 5"
    ]


def _no_constant(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


@pytest.mark.parametrize("name", ["a.dng", "a.jpg"])
def test_info_says_everything_in_json_that_is_json(
    capsys: pytest.CaptureFixture[str], name: str
) -> None:
    path = dng("a.dng", extra={"later": [math.inf, b"\x01", {"a": math.nan}]})
    if name == "a.jpg":
        meta = FrameMeta(width=64, height=64, extra={"later": [math.inf, b"\x01", {"a": math.nan}]})
        path = Path("a.jpg")
        write_jpeg(path, np.zeros((64, 64, 3), np.uint8), meta, durable=False)
    assert main(["info", str(path), "--json"]) == 0
    said = json.loads(capsys.readouterr().out, parse_constant=_no_constant)
    assert set(said) == {"file", *FrameMeta.__struct_fields__}
    assert set(said["settings"]) == set(Settings.__struct_fields__)
    assert set(said["noise"]) == set(NoiseModel.__struct_fields__)
    assert said["settings"]["focus_distance_m"] is None  # infinity
    assert (said["iso"], said["white_level"], said["pixel_format"]) == (100, 4095, "BayerRG12p")
    assert said["extra"] == {"later": [None, "01", {"a": None}]}


def test_info_of_several_stops_at_none(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rawpy", None)
    Path("b.nef").write_bytes(bytes(100))
    dng("good.dng")
    assert main(["info", "b.nef", "good.dng"]) == 1
    said = capsys.readouterr()
    assert said.err.startswith("modoptic: b.nef: ")
    assert said.out.startswith("good.dng")
