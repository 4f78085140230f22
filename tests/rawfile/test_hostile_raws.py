"""Files from strangers: whatever they hold, the answer is a picture or a `RawFileError`."""

from __future__ import annotations

import math
import os
import resource
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rawfile_frames import CALIBRATION, frame

from modoptic.calibration import Calibration, Shading
from modoptic.errors import PictureError, RawFileError
from modoptic.frame import Frame, NoiseModel, check_meta
from modoptic.isp import develop
from modoptic.photo._view import thumbnail
from modoptic.rawfile import _write, read_header, read_raw, write_dng
from modoptic.rawfile.tiff import Directory, Field, Tag, TiffReader, Type, layout


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    folder = tmp_path_factory.mktemp("samples")
    preview = np.zeros((16, 16, 3), np.uint8)
    found = []
    for compression in ("jpeg", "jpegxl", "none"):
        path = folder / f"{compression}.dng"
        write_dng(path, frame(64, 96), CALIBRATION, compression=compression, preview=preview)
        found.append(path.read_bytes())
    # the same as a stranger's file, whose tags are believed
    return found + [data.replace(b"modoptic\0\x82", b"stranger\0\x82") for data in found]


_CHANGE = st.tuples(
    st.floats(0, 1, exclude_max=True),
    st.sampled_from([b"\0\0\0\0", b"\xff\xff\xff\xff", b"\1", b"\0", b"\xff\xff", b"\x7f", None])
    | st.binary(min_size=1, max_size=4),
)


@settings(max_examples=400, deadline=2000)
@given(
    which=st.integers(0, 5), head=st.booleans(), changes=st.lists(_CHANGE, min_size=1, max_size=8)
)
def test_damage_never_comes_out_as_anything_else(
    samples: list[bytes],
    tmp_path_factory: pytest.TempPathFactory,
    which: int,
    head: bool,
    changes: list[tuple[float, bytes | None]],
) -> None:
    data = bytearray(samples[which])
    for where, new in changes:
        at = int(where * min(len(data), 1600 if head else len(data)))
        if new is None:
            del data[max(8, at) :]
        else:
            data[at : at + len(new)] = new
    path = tmp_path_factory.getbasetemp() / "damaged.dng"
    path.write_bytes(data)
    for read in (read_raw, read_header):
        try:
            read(path)
        except RawFileError as error:
            assert str(path) in str(error)
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert peak_kb < 4_000_000


@pytest.mark.parametrize("kept", [0, 1, 4, 7, 8, 100, 0.3, 0.6, 0.9, 0.999])
def test_a_file_cut_off_anywhere_is_refused(
    samples: list[bytes], tmp_path: Path, kept: float
) -> None:
    for number, data in enumerate(samples):
        size = kept if isinstance(kept, int) else int(kept * len(data))
        # the preview lies last, and is not part of the raw
        if kept == 0.999:
            size = len(data) - 1200
        (tmp_path / f"{number}.dng").write_bytes(data[:size])
        with pytest.raises(RawFileError):
            read_raw(tmp_path / f"{number}.dng")


def _dng(tmp_path: Path, data: bytes = b"", **changes: Any) -> Path:
    """A small valid DNG with some of its tags changed; None takes one away."""
    fields: Directory = {
        Tag.NEW_SUBFILE_TYPE: Field(Type.LONG, [0]),
        Tag.IMAGE_WIDTH: Field(Type.LONG, [32]),
        Tag.IMAGE_LENGTH: Field(Type.LONG, [32]),
        Tag.BITS_PER_SAMPLE: Field(Type.SHORT, [16]),
        Tag.COMPRESSION: Field(Type.SHORT, [1]),
        Tag.PHOTOMETRIC: Field(Type.SHORT, [32803]),
        Tag.ROWS_PER_STRIP: Field(Type.LONG, [32]),
        Tag.STRIP_BYTE_COUNTS: Field(Type.LONG, [2048]),
        Tag.DNG_VERSION: Field(Type.BYTE, bytes((1, 4, 0, 0))),
        Tag.CFA_REPEAT_PATTERN_DIM: Field(Type.SHORT, [2, 2]),
        Tag.CFA_PATTERN: Field(Type.BYTE, bytes((0, 1, 1, 2))),
        Tag.STRIP_OFFSETS: Field(Type.LONG, [4096]),
    }
    for name, value in changes.items():
        tag = Tag[name]
        if value is None:
            del fields[tag]
        else:
            fields[tag] = value if isinstance(value, Field) else Field(Type.LONG, value)
    path = tmp_path / "a.dng"
    path.write_bytes((b"II*\0\x08\0\0\0" + layout(fields, 8)).ljust(4096, b"\0") + data)
    return path


_SAMPLES = bytes(2048)


def test_the_small_one_is_valid(tmp_path: Path) -> None:
    assert read_raw(_dng(tmp_path, _SAMPLES)).frame.mosaic().shape == (32, 32)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"IMAGE_WIDTH": [65535], "IMAGE_LENGTH": [65535]}, "refused"),
        ({"IMAGE_WIDTH": [0xFFFFFFFF]}, "refused"),
        ({"IMAGE_WIDTH": [0]}, "at least 4 x 4"),
        (
            {"IMAGE_WIDTH": [20000], "IMAGE_LENGTH": [20000], "ROWS_PER_STRIP": [20000]},
            "cannot lie",
        ),
        ({"STRIP_OFFSETS": [0xFFFFFFF0]}, "cut off"),
        ({"STRIP_OFFSETS": [4096, 4096]}, "tiles"),
        ({"STRIP_OFFSETS": None}, "tiles"),
        ({"STRIP_BYTE_COUNTS": [0xFFFFFFFF]}, "cut off"),
        ({"STRIP_BYTE_COUNTS": [7]}, "7 bytes"),
        ({"ROWS_PER_STRIP": [0]}, "tiles"),
        ({"ROWS_PER_STRIP": [1]}, "tiles"),
        ({"TILE_OFFSETS": [4096], "TILE_BYTE_COUNTS": [2048]}, "tiles"),
        ({"BITS_PER_SAMPLE": [32]}, "32 bits"),
        ({"SAMPLES_PER_PIXEL": [3]}, "several samples"),
        ({"COMPRESSION": [8]}, "method 8"),
        ({"COMPRESSION": [34892]}, "method 34892"),
        ({"COMPRESSION": [7]}, "no JPEG"),
        ({"COMPRESSION": [52546]}, "no JPEG XL"),
        ({"PHOTOMETRIC": [34892]}, "demosaicked"),
        ({"PHOTOMETRIC": [2]}, "no mosaic"),
        ({"CFA_PATTERN": Field(Type.BYTE, bytes((0, 0, 1, 2)))}, "RGGB"),
        ({"CFA_PATTERN": Field(Type.BYTE, bytes((0, 9, 9, 2)))}, "damaged"),
        ({"CFA_REPEAT_PATTERN_DIM": [6, 6]}, "Bayer"),
        ({"ACTIVE_AREA": [0, 0, 33, 32]}, "active area"),
        ({"DEFAULT_CROP_ORIGIN": [31, 0], "DEFAULT_CROP_SIZE": [8, 8]}, "default crop"),
        ({"BLACK_LEVEL": [70000]}, "black level"),
        ({"BLACK_LEVEL": [10] * 4}, "black levels"),
        ({"WHITE_LEVEL": [0]}, "white level"),
        ({"SUB_IFDS": [8]}, "circle"),
        ({"SUB_IFDS": [0xFFFFFFF0]}, "cut off"),
        ({"EXIF_IFD": [4095]}, "directory"),
    ],
)
def test_each_lie_is_named(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(RawFileError, match=said):
        read_raw(_dng(tmp_path, _SAMPLES, **changes))


def test_a_small_file_cannot_claim_a_large_picture_in_its_codec(tmp_path: Path) -> None:
    """A JPEG XL of 268 million pixels in a tile that should hold a thousand."""
    bits, at = 0, 0
    for value, count in ((0, 1), (2, 2), (16383, 18), (0, 3), (2, 2), (16383, 18), (1, 1)):
        bits |= value << at
        at += count
    coded = b"\xff\x0a" + bits.to_bytes(8, "little") + bytes(64)
    with pytest.raises(RawFileError, match="another size"):
        read_raw(_dng(tmp_path, coded.ljust(2048, b"\0"), COMPRESSION=[52546]))
    jpeg = struct.pack(">HHHBHHB", 0xFFD8, 0xFFC3, 17, 16, 65000, 65000, 1) + bytes(32)
    with pytest.raises(RawFileError, match="65000 x 65000"):
        read_raw(_dng(tmp_path, jpeg.ljust(2048, b"\0"), COMPRESSION=[7]))


def test_the_chain_of_directories_ends(tmp_path: Path) -> None:
    block = layout({Tag.MAKE: Field(Type.ASCII, b"A\0")}, 8, next_directory=8)
    (tmp_path / "a.tif").write_bytes(b"II*\0\x08\0\0\0" + block)
    with TiffReader(tmp_path / "a.tif") as file, pytest.raises(RawFileError, match="circle"):
        list(file.directories())
    step = len(block)
    many = b"".join(
        layout({Tag.MAKE: Field(Type.ASCII, b"A\0")}, 8 + n * step, 8 + (n + 1) * step)
        for n in range(200)
    )
    (tmp_path / "a.tif").write_bytes(b"II*\0\x08\0\0\0" + many)
    with TiffReader(tmp_path / "a.tif") as file, pytest.raises(RawFileError, match="more than"):
        list(file.directories())


def _peak_mb(work: Any) -> float:
    """Of the memory that ``work`` takes, whether it is refused or not."""
    tracemalloc.start()
    try:
        work()
    except (RawFileError, PictureError):
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak / 1e6


def _shared(path: Path, tags: list[int], kind: Type, size: int, count: int) -> None:
    """A TIFF of one directory in which all tags share the ``size`` bytes behind it."""
    where = 8 + 2 + 12 * len(tags) + 4
    head = b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags))
    body = b"".join(struct.pack("<HHII", tag, kind, count, where) for tag in sorted(tags))
    path.write_bytes(head + body + bytes(4))
    os.truncate(path, where + size)


@pytest.mark.parametrize("read", [read_raw, read_header, lambda path: thumbnail(path, 160)])
def test_tags_that_share_bytes_of_a_small_file_take_little_memory(
    tmp_path: Path, read: Any
) -> None:
    path = tmp_path / "a.dng"
    _shared(path, list(range(30000, 31900)), Type.SBYTE, 60_000, 60_000)
    assert path.stat().st_size < 84_000
    assert _peak_mb(lambda: read(path)) < 5


@pytest.mark.parametrize("read", [read_raw, read_header, lambda path: thumbnail(path, 160)])
@pytest.mark.parametrize("kind", [Type.BYTE, Type.SBYTE, Type.LONG, Type.SRATIONAL])
def test_values_that_are_read_are_bounded_in_all(tmp_path: Path, read: Any, kind: Type) -> None:
    path = tmp_path / "a.dng"
    _shared(path, [int(tag) for tag in Tag], kind, 1 << 30, 100 << 20)
    assert _peak_mb(lambda: read(path)) < 80


def test_entries_are_bounded_in_all(tmp_path: Path) -> None:
    path = tmp_path / "a.dng"
    block = struct.pack("<H", 1900) + struct.pack("<HHII", 30000, 3, 1, 0) * 1900
    step = len(block) + 4
    chain = [block + struct.pack("<I", 8 + (n + 1) * step) for n in range(10)]
    path.write_bytes(b"II*\0\x08\0\0\0" + b"".join(chain))
    for read in (read_raw, read_header):
        with pytest.raises(RawFileError, match="at most 5000"):
            read(path)


@pytest.mark.parametrize("kind", [Type.FLOAT, Type.RATIONAL])
def test_a_pointer_that_is_no_number_is_refused(tmp_path: Path, kind: Type) -> None:
    value = [math.inf] if kind == Type.FLOAT else [0]
    path = _dng(tmp_path, _SAMPLES, SUB_IFDS=Field(kind, value))
    if kind == Type.RATIONAL:  # 0/0
        data = path.read_bytes()
        path.write_bytes(data.replace(struct.pack("<II", 0, 1), bytes(8)))
    for name in ("a.dng", "a.xyz"):
        path = path.rename(tmp_path / name)
        with pytest.raises(RawFileError):
            read_raw(path)
    with pytest.raises(PictureError):
        thumbnail(path.rename(tmp_path / "a.dng"), 160)


_NAN = math.nan


def _replaced(shot: Frame, **changes: Any) -> Frame:
    settings = {name[9:]: changes.pop(name) for name in list(changes) if name[:9] == "settings_"}
    settings = msgspec.structs.replace(shot.meta.settings, **settings)
    meta = msgspec.structs.replace(shot.meta, settings=settings, **changes)
    return Frame(meta, shot.data)


_SHADING = Shading(f_number=2.0, focus_distance_m=1.0, coefficients=(-0.5, 0.1, 0.0))


@pytest.mark.parametrize(
    ("changes", "calibration"),
    [
        ({"noise": NoiseModel(scale=_NAN, offset=_NAN)}, {}),
        ({"as_shot_neutral": (_NAN, 1.0, 1.0)}, {}),
        ({"color_matrix": ((_NAN,) * 3,) * 3}, {}),
        ({"black_level": (_NAN,)}, {}),
        ({"settings_f_number": 0.0}, {"shading": (_SHADING,)}),
        ({"settings_f_number": _NAN}, {"shading": (_SHADING,)}),
        ({"settings_focus_distance_m": 0.0}, {"shading": (_SHADING,)}),
        ({}, {"shading": (msgspec.structs.replace(_SHADING, f_number=0.0),)}),
        ({}, {"shading": (msgspec.structs.replace(_SHADING, focus_distance_m=0.0),)}),
        ({}, {"shading": (msgspec.structs.replace(_SHADING, coefficients=(_NAN,) * 3),)}),
        ({}, {"defects": ((-5, -5),)}),
    ],
)
def test_what_a_file_of_ours_says_is_not_believed_unseen(
    tmp_path: Path, changes: dict[str, Any], calibration: dict[str, Any]
) -> None:
    """Our private block is as easily forged as any tag; what makes no sense is not used."""
    shot = _replaced(frame(64, 96), **changes)
    # the tags are those of a sane frame, the private block says what the forger wants
    known = msgspec.structs.replace(CALIBRATION, **calibration)
    path = tmp_path / "a.dng"
    with pytest.MonkeyPatch.context() as patch:
        forged = _write.private_data(shot.meta, known)
        patch.setattr(_write, "private_data", lambda *_: forged)
        write_dng(path, frame(64, 96), CALIBRATION)
    back = read_raw(path)
    check_meta(back.frame.meta)
    check_meta(read_header(path))
    picture = develop(back.frame, calibration=back.calibration)
    sane = develop(frame(64, 96), calibration=CALIBRATION)
    assert abs(float(picture.mean()) - float(sane.mean())) < 25


def test_a_private_block_as_large_as_no_calibration_is_left_alone(tmp_path: Path) -> None:
    many = Calibration(defects=((1, 1),) * 1_500_000)
    path = tmp_path / "a.dng"
    write_dng(path, frame(64, 96), many)
    assert _peak_mb(lambda: read_header(path)) < 15
    assert read_raw(path).calibration != many


@pytest.mark.parametrize("name", ["a.dng", "a.nef", "a.txt", "a.pgm", "a.png", "a"])
@pytest.mark.parametrize("data", [b"", b"II", b"II*\0", b"P5\n", b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_what_is_no_raw_is_refused(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(RawFileError):
        read_raw(tmp_path / name, cfa="RGGB", width=640, height=480, bits=12)


def test_what_is_not_there_or_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RawFileError, match="cannot be opened"):
        read_raw(tmp_path / "absent.dng")
    with pytest.raises(RawFileError, match="cannot be opened"):
        read_raw(tmp_path)


@settings(max_examples=150, deadline=2000)
@given(st.binary(max_size=80))
def test_headers_of_pictures_are_not_believed(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    folder = tmp_path_factory.getbasetemp()
    for name, start in (("x.pgm", b"P5 9 9 "), ("x.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")):
        (folder / name).write_bytes(start + data)
        try:
            read_raw(folder / name, cfa="RGGB")
        except RawFileError:
            continue


@settings(max_examples=100, deadline=2000)
@given(st.text(max_size=60) | st.sampled_from(["black = [1]", "wb = [0, 1, 1]", "bits = 99"]))
def test_sidecars_are_not_believed(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.mktemp("sidecar")
    (folder / "x.bin").write_bytes(bytes(2 * 16 * 16))
    (folder / "x.toml").write_text(
        "width = 16\nheight = 16\ncfa = 'RGGB'\n" + text, "utf-8", errors="replace"
    )
    with pytest.raises(RawFileError):
        read_raw(folder / "x.bin", bits=7)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.dng")
    with pytest.raises(RawFileError, match="is a pipe"):
        read_raw(tmp_path / "pipe.dng")
