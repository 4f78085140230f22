"""JPEGs say what is known of a picture, and other programs understand it."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from modoptic.errors import PictureError, SettingError, StorageError
from modoptic.frame import FrameMeta, Settings
from modoptic.photo import StripEncoder, exif_block, small_jpeg, srgb_icc, write_jpeg
from modoptic.photo._jpeg import open_jpeg, read_meta

META = FrameMeta(
    module_id="MOS 35-0007",
    frame_id=41,
    make="Modoptic",
    model="MOS 35",
    serial="SN 7",
    lens_model="17.5 mm f/1.4",
    settings=Settings(exposure_s=1 / 60, f_number=1.4, focus_distance_m=1.2, readout="full"),
    iso=200.0,
    focal_length_mm=17.5,
    focal_length_35mm=35.0,
    width=640,
    height=480,
    orientation=6,
    temperature_c=31.5,
    software="modoptic 0.1.0",
    taken="2026-11-22T20:00:00.123+01:00",
    extra={"later": [1, b"\x00"]},
)


def picture(height: int = 480, width: int = 640) -> np.ndarray[Any, np.dtype[np.uint8]]:
    y, x = np.mgrid[0:height, 0:width]
    planes = [128 + 100 * np.sin(x / 40), 128 + 100 * np.cos(y / 30), (x + y) % 256]
    return np.stack(planes, axis=-1).astype(np.uint8)


def test_it_is_a_picture_with_a_profile_and_a_thumbnail(tmp_path: Path) -> None:
    write_jpeg(tmp_path / "a.jpg", picture(), META)
    with Image.open(tmp_path / "a.jpg") as seen:
        assert seen.size == (640, 480)
        close = np.abs(np.asarray(seen)[..., :2].astype(int) - picture()[..., :2])
        assert close.mean() < 3
        profile = ImageCms.ImageCmsProfile(BytesIO(seen.info["icc_profile"]))
        assert "sRGB" in ImageCms.getProfileDescription(profile)
    data = (tmp_path / "a.jpg").read_bytes()
    # EXIF 2.32, 4.7.1: APP1 follows at once upon SOI
    assert data[:4] == b"\xff\xd8\xff\xe1" and data[6:12] == b"Exif\0\0"


def test_exiftool_finds_it_valid_and_complete(tmp_path: Path) -> None:
    tool = shutil.which("exiftool")
    if tool is None:
        pytest.skip("exiftool is not installed")
    path = tmp_path / "a.jpg"
    write_jpeg(path, picture(), META)
    run = [tool, "-validate", "-warning", "-a", str(path)]
    said = subprocess.run(run, capture_output=True, text=True, timeout=50, check=True).stdout
    # the only thing it has to remark is that it does not know our own
    assert "1 Warning (minor)" in said and "Unrecognized MakerNotes" in said, said
    run = [tool, "-json", "-n", str(path)]
    said = subprocess.run(run, capture_output=True, text=True, timeout=50, check=True).stdout
    (found,) = json.loads(said)
    expected = {
        "Make": "Modoptic",
        "Model": "MOS 35",
        "SerialNumber": "SN 7",
        "LensModel": "17.5 mm f/1.4",
        "FNumber": 1.4,
        "ISO": 200,
        "FocalLength": 17.5,
        "FocalLengthIn35mmFormat": 35,
        "SubjectDistance": 1.2,
        "Orientation": 6,
        "DateTimeOriginal": "2026:11:22 20:00:00",
        "OffsetTimeOriginal": "+01:00",
        "Software": "modoptic 0.1.0",
        "ColorSpace": 1,
        "ExifImageWidth": 640,
        "ExifImageHeight": 480,
        "ProfileDescription": found["ProfileDescription"],
    }
    assert {name: found.get(name) for name in expected} == expected
    assert found["ExposureTime"] == pytest.approx(1 / 60, rel=1e-6)
    small = subprocess.run(
        [tool, "-b", "-ThumbnailImage", str(path)], capture_output=True, timeout=50, check=True
    ).stdout
    with Image.open(BytesIO(small)) as thumbnail:
        assert thumbnail.size == (160, 120)


def test_xmp_is_embedded(tmp_path: Path) -> None:
    packet = "<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"
    write_jpeg(tmp_path / "a.jpg", picture(), META, xmp=packet)
    with Image.open(tmp_path / "a.jpg") as seen:
        assert seen.info["xmp"] == packet.encode()


@settings(max_examples=50, deadline=None)
@given(
    exposure=st.floats(1e-6, 1e5),
    f_number=st.floats(0.5, 256),
    distance=st.floats(0.001, 1e5) | st.just(math.inf),
    iso=st.floats(1, 1e7),
    words=st.text(max_size=30),
    extra=st.dictionaries(st.text("xyz", min_size=8), st.integers(0, 2**63) | st.text()),
)
def test_whatever_is_known_comes_back(
    exposure: float,
    f_number: float,
    distance: float,
    iso: float,
    words: str,
    extra: dict[str, Any],
) -> None:
    meta = FrameMeta(
        settings=Settings(exposure_s=exposure, f_number=f_number, focus_distance_m=distance),
        iso=iso,
        lens_model=words,
        width=64,
        height=48,
        extra=extra,
    )
    encoder = StripEncoder(64, 48)
    encoder.add(0, picture(48, 64))
    data = encoder.finish(exif_block(meta, thumbnail=small_jpeg(picture())), srgb_icc())
    with Image.open(BytesIO(data)) as seen:
        tags = seen.getexif().get_ifd(0x8769)
        assert float(tags[33434]) == pytest.approx(exposure, rel=1e-4, abs=1e-6)
        assert float(tags[33437]) == pytest.approx(f_number, rel=1e-2)
        assert read_meta(seen) == meta  # type: ignore[arg-type]


def test_more_than_a_segment_holds_is_left_out() -> None:
    block = exif_block(
        FrameMeta(extra={"large": "x" * 60_000}), thumbnail=small_jpeg(picture(), 160)
    )
    assert len(block) <= 65533 and block.startswith(b"Exif\0\0II*\0")


def test_bad_requests_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    with pytest.raises(SettingError, match="picture"):
        write_jpeg(path, picture().astype(np.uint16), META)  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="quality"):
        write_jpeg(path, picture(), META, quality=0)
    with pytest.raises(SettingError, match="subsampling"):
        write_jpeg(path, picture(), META, subsampling="411")  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="xmp"):
        write_jpeg(path, picture(), META, xmp=b" " * 70_000)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError):
        write_jpeg(tmp_path / "file" / "a.jpg", picture(), META)
    assert not path.exists()


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 600))
def test_damaged_jpegs_are_picture_errors(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, at: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.jpg"
    whole = bytearray(small_jpeg(picture()))
    whole[at : at + len(data)] = data
    path.write_bytes(whole)
    try:
        with open_jpeg(path) as seen:
            read_meta(seen)
    except PictureError as error:
        assert "damaged.jpg" in str(error)
