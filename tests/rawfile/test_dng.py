"""Our DNGs come back whole, and other people's programs read them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import imagecodecs
import msgspec
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from rawfile_frames import CALIBRATION, frame

import modoptic
from modoptic.errors import DetachedError, SettingError, StorageError
from modoptic.frame import Frame, decode_meta, encode_meta
from modoptic.rawfile import read_raw, write_dng

KINDS = ("jpeg", "jpegxl", "none")


@pytest.mark.parametrize("compression", KINDS)
def test_a_frame_comes_back_whole(tmp_path: Path, compression: Any) -> None:
    shot = frame(300, 1204)
    write_dng(tmp_path / "a.dng", shot, CALIBRATION, compression=compression)
    back = read_raw(tmp_path / "a.dng")
    assert np.array_equal(back.frame.mosaic(), shot.mosaic())
    assert encode_meta(back.frame.meta) == encode_meta(shot.meta)
    assert back.frame.meta.extra == {"later": [1, {"a": b"\x00\xff"}]}
    assert back.calibration == CALIBRATION
    assert back.camera == "Modoptic MOS 35"
    assert back.exif["ExposureTime"] == pytest.approx(1 / 60)
    assert back.exif["taken"] == "2026-11-22T20:00:00.123+01:00"


@settings(max_examples=25, deadline=None)
@given(
    height=st.integers(2, 40).map(lambda n: 2 * n),
    width=st.integers(2, 40).map(lambda n: 4 * n),
    cfa=st.sampled_from([("RG", "GB"), ("GR", "BG"), ("GB", "RG"), ("BG", "GR")]),
    bits=st.sampled_from([12, 14, 16]),
    packed=st.booleans(),
    compression=st.sampled_from(KINDS),
    extra=st.dictionaries(
        st.text(min_size=1).filter(lambda name: name not in {"extra"} and len(name) > 20),
        st.integers(-(2**63), 2**64 - 1) | st.text() | st.binary() | st.none(),
        max_size=4,
    ),
)
def test_any_frame_comes_back_whole(
    tmp_path_factory: pytest.TempPathFactory,
    height: int,
    width: int,
    cfa: tuple[str, ...],
    bits: int,
    packed: bool,
    compression: Any,
    extra: dict[str, Any],
) -> None:
    path = tmp_path_factory.mktemp("dng") / "a.dng"
    shot = frame(height, width, cfa=cfa, bits=bits, packed=packed, extra=extra)
    write_dng(path, shot, compression=compression, durable=False)
    back = read_raw(path)
    assert np.array_equal(back.frame.mosaic(), shot.mosaic())
    assert back.frame.meta == shot.meta


_UNKNOWN = st.dictionaries(
    st.text(min_size=16, max_size=20),
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.binary(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=5,
    ),
    max_size=3,
)


@settings(max_examples=25, deadline=None)
@given(top=_UNKNOWN, inner=_UNKNOWN, noise=_UNKNOWN)
def test_what_a_later_version_knows_of_a_frame_survives_its_file(
    tmp_path_factory: pytest.TempPathFactory,
    top: dict[str, Any],
    inner: dict[str, Any],
    noise: dict[str, Any],
) -> None:
    path = tmp_path_factory.mktemp("dng") / "a.dng"
    shot = frame(16, 16, extra={})
    fields = msgspec.msgpack.decode(encode_meta(shot.meta))
    sent = {
        **top,
        **fields,
        "settings": {**inner, **fields["settings"]},
        "noise": {**noise, **fields["noise"]},
    }
    later = Frame(decode_meta(msgspec.msgpack.encode(sent)), shot.data)
    write_dng(path, later, durable=False)
    assert msgspec.msgpack.decode(encode_meta(read_raw(path).frame.meta)) == sent


@pytest.mark.parametrize("kind", KINDS)
def test_a_shot_is_saved_as_it_is_asked_for(tmp_path: Path, kind: Any) -> None:
    shot = modoptic.Shot(frame(64, 96), CALIBRATION)
    write_dng(tmp_path / "by_hand.dng", shot.frame, CALIBRATION, compression=kind)
    shot.save(tmp_path / "a.dng", compression=kind)
    assert (tmp_path / "a.dng").read_bytes() == (tmp_path / "by_hand.dng").read_bytes()
    shot.save(tmp_path / "a.jpg", compression=kind, exposure_ev=1.0)


@pytest.mark.parametrize("name", ["a.dng", "a.jpg"])
def test_a_shot_is_not_saved_as_there_is_no_way_to(tmp_path: Path, name: str) -> None:
    shot = modoptic.Shot(frame(64, 96), CALIBRATION)
    with pytest.raises(SettingError, match="'jpeg', 'jpegxl' or 'none'"):
        shot.save(tmp_path / name, compression="zip")  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="compresion"):
        shot.save(tmp_path / name, compresion="jpegxl")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("size", [(95, 131), (7, 5), (513, 1031)])
@pytest.mark.parametrize("compression", KINDS)
def test_odd_sizes(tmp_path: Path, size: tuple[int, int], compression: Any) -> None:
    shot = frame(*size, bits=16, packed=False)
    write_dng(tmp_path / "a.dng", shot, compression=compression)
    assert np.array_equal(read_raw(tmp_path / "a.dng").frame.mosaic(), shot.mosaic())


# 768, 1024: at two tiles across, LibRaw would read two rows in one
@pytest.mark.parametrize("size", [(600, 1300), (512, 768), (768, 1024), (64, 400)])
def test_libraw_reads_it(tmp_path: Path, size: tuple[int, int]) -> None:
    rawpy = pytest.importorskip("rawpy")
    shot = frame(*size)
    write_dng(tmp_path / "a.dng", shot, CALIBRATION)
    with rawpy.imread(str(tmp_path / "a.dng")) as raw:
        assert np.array_equal(raw.raw_image, shot.mosaic())
        assert raw.white_level == 4095
        gains = np.array(raw.camera_whitebalance[:3])
        assert gains == pytest.approx([1 / 0.6, 1.0, 1 / 0.7], rel=1e-5)
        assert raw.extract_thumb().format == rawpy.ThumbFormat.JPEG
        assert raw.postprocess(half_size=True).shape[2] == 3


_SDK = """
import sys, numpy, dngpy
dng = dngpy.Dng(sys.argv[1])
numpy.save(sys.argv[2], dng.raw_pixels)
print(dng.metadata.make, dng.metadata.model)
"""


@pytest.mark.parametrize("compression", KINDS)
def test_adobes_sdk_reads_it_without_a_word(tmp_path: Path, compression: Any) -> None:
    pytest.importorskip("dngpy")
    shot = frame(600, 1300)
    write_dng(tmp_path / "a.dng", shot, CALIBRATION, compression=compression)
    # in a process of its own: the SDK prints to the C streams
    said = subprocess.run(
        [sys.executable, "-c", _SDK, str(tmp_path / "a.dng"), str(tmp_path / "a.npy")],
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )
    assert np.array_equal(np.load(tmp_path / "a.npy").squeeze(), shot.mosaic())
    words = (said.stdout + said.stderr).lower()
    assert "warning" not in words and "error" not in words, words


def _exiftool(*arguments: str) -> str:
    tool = shutil.which("exiftool")
    if tool is None:
        pytest.skip("exiftool is not installed")
    done = subprocess.run(
        [tool, *arguments], capture_output=True, text=True, timeout=50, check=True
    )
    return done.stdout


def test_exiftool_finds_it_valid_and_complete(tmp_path: Path) -> None:
    write_dng(tmp_path / "a.dng", frame(), CALIBRATION, description="a test")
    path = str(tmp_path / "a.dng")
    assert "OK" in _exiftool("-validate", "-warning", "-a", path)
    (found,) = json.loads(_exiftool("-json", "-n", path))
    expected = {
        "Make": "Modoptic",
        "Model": "MOS 35",
        "SerialNumber": "0007",
        "LensModel": "17.5 mm f/1.4",
        "FNumber": 1.4,
        "ISO": 200,
        "FocalLength": 17.5,
        "FocalLengthIn35mmFormat": 35,
        "SubjectDistance": 1.2,
        "DateTimeOriginal": "2026:11:22 20:00:00",
        "OffsetTimeOriginal": "+01:00",
        "SubSecTimeOriginal": 123,
        "Orientation": 1,
        "Software": "modoptic 0.1.0",
        "UniqueCameraModel": "Modoptic MOS 35",
        "BlackLevel": "64 65 64.5 63",
        "WhiteLevel": 4095,
        "NoiseProfile": "0.00015 2e-06",
        "CalibrationIlluminant1": 17,
        "CalibrationIlluminant2": 21,
        "ImageDescription": "a test",
        "DNGVersion": "1 4 0 0",
    }
    assert {name: found.get(name) for name in expected} == expected
    assert found["ExposureTime"] == pytest.approx(1 / 60, rel=1e-6)


def test_a_partner_that_turned_the_picture_is_heard(tmp_path: Path) -> None:
    write_dng(tmp_path / "a.dng", frame(), CALIBRATION)
    _exiftool("-overwrite_original", "-Orientation#=6", str(tmp_path / "a.dng"))
    back = read_raw(tmp_path / "a.dng").frame
    assert back.meta.orientation == 6
    assert back.meta.frame_id == 41
    assert np.array_equal(back.mosaic(), frame().mosaic())


def test_without_our_own_data_the_tags_say_the_same(tmp_path: Path) -> None:
    shot = frame(200, 300)
    write_dng(tmp_path / "a.dng", shot, CALIBRATION)
    data = (tmp_path / "a.dng").read_bytes().replace(b"modoptic\0\x82", b"stranger\0\x82")
    (tmp_path / "a.dng").write_bytes(data)
    back = read_raw(tmp_path / "a.dng")
    meta = back.frame.meta
    # the default crop: a border of 8 photosites is left to the demosaicking
    assert np.array_equal(back.frame.mosaic(), shot.mosaic()[8:-8, 8:-8])
    assert meta.cfa == ("RG", "GB") and meta.black_level == (64.0, 65.0, 64.5, 63.0)
    assert meta.white_level == 4095
    assert meta.as_shot_neutral == pytest.approx((0.6, 1.0, 0.7))
    assert (meta.make, meta.model, meta.serial) == ("Modoptic", "MOS 35", "0007")
    assert meta.settings.exposure_s == pytest.approx(1 / 60)
    assert meta.noise.scale == pytest.approx(1.5e-4)
    assert meta.taken == shot.meta.taken
    assert back.calibration is not None
    for read, written in zip(back.calibration.colors, CALIBRATION.colors, strict=True):
        assert np.allclose(read.forward_matrix, written.forward_matrix, atol=1e-5)
        ratio = np.array(read.color_matrix) / np.array(written.color_matrix)
        assert np.allclose(ratio, ratio[0, 0], rtol=1e-4)


def test_preview_is_a_jpeg_in_ifd0(tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    rgb = np.zeros((300, 400, 3), np.uint8)
    rgb[..., 1] = 200
    for name, preview in (
        ("rgb", rgb),
        ("jpeg", imagecodecs.jpeg8_encode(rgb, subsampling="444")),
        ("none", None),
    ):
        write_dng(tmp_path / f"{name}.dng", frame(), CALIBRATION, preview=preview)
        with tifffile.TiffFile(tmp_path / f"{name}.dng") as file:
            page = file.pages[0]
            assert page.compression == 7 and page.bitspersample == 8
            shown = page.asarray()
        if preview is not None:
            assert shown.shape == (300, 400, 3)
            assert np.abs(shown[150, 200].astype(int) - [0, 200, 0]).max() < 4


def test_rows_are_taken_as_they_arrive(tmp_path: Path) -> None:
    whole = frame(1100, 64)
    partial = Frame(whole.meta, whole.data, rows_valid=600)
    partial.fail("the module was pulled off")
    with pytest.raises(DetachedError, match="pulled off"):
        write_dng(tmp_path / "a.dng", partial)
    assert list(tmp_path.iterdir()) == []


def test_bad_requests_are_named(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="compression"):
        write_dng(tmp_path / "a.dng", frame(), compression="zip")  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="preview"):
        write_dng(tmp_path / "a.dng", frame(), preview=b"no jpeg")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError):
        write_dng(tmp_path / "file" / "a.dng", frame())
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("compression", ["jpeg", "jpegxl", "none"])
@pytest.mark.parametrize("own", [True, False])
def test_a_quad_mosaic_comes_back_with_its_pattern(
    tmp_path: Path, compression: str, own: bool
) -> None:
    quad = ("RRGG", "RRGG", "GGBB", "GGBB")
    shot = frame(96, 128, cfa=quad)
    path = tmp_path / "quad.dng"
    write_dng(path, shot, compression=compression)  # type: ignore[arg-type]
    with tifffile.TiffFile(path) as file:
        raw = file.pages[0].pages[0].tags  # type: ignore[union-attr,index]
        assert raw[33421].value == (4, 4)
        assert bytes(raw[33422].value) == bytes((0, 0, 1, 1) * 2 + (1, 1, 2, 2) * 2)
    if not own:
        path.write_bytes(path.read_bytes().replace(b"modoptic\0", b"modoptiq\0"))
    back = read_raw(path).frame
    assert back.meta.cfa == quad and back.format.name.startswith("QuadBayerRG")
    wanted = shot.mosaic() if own else shot.mosaic()[8:-8, 8:-8]
    np.testing.assert_array_equal(back.mosaic(), wanted)


def test_what_was_remosaiced_says_so_in_its_exif(tmp_path: Path) -> None:
    for remosaiced in (False, True):
        shot = frame(64, 64)
        shot.meta = msgspec.structs.replace(shot.meta, remosaiced=remosaiced)
        path = tmp_path / "a.dng"
        write_dng(path, shot)
        assert (b"ASCII\0\0\0Remosaiced" in path.read_bytes()) == remosaiced
        assert read_raw(path).frame.meta.remosaiced == remosaiced
