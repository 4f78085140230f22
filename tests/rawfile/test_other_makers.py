"""DNGs as other makers write them, headerless raws, and LibRaw's word on the real ones."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rawfile_frames import frame, mosaic

from modoptic import pixels
from modoptic.errors import MissingExtraError, RawFileError
from modoptic.rawfile import read_raw, write_dng
from modoptic.rawfile.tiff import Directory, Field, Tag, TiffReader, Type, layout, rational

Image = np.ndarray[Any, np.dtype[np.uint16]]


def packed_msb(values: Image, bits: int) -> bytes:
    """The definition itself: a row's samples as one string of bits, filled up to whole bytes."""
    rows = []
    for row in values:
        text = "".join(f"{int(value):0{bits}b}" for value in row)
        text += "0" * (-len(text) % 8)
        rows.append(int(text, 2).to_bytes(len(text) // 8, "big"))
    return b"".join(rows)


def write(
    path: Path,
    image: Image,
    encode: Callable[[Image], bytes],
    *,
    bits: int = 16,
    compression: int = 1,
    rows: int | None = None,
    tile: tuple[int, int] | None = None,
    more: Directory | None = None,
) -> Path:
    """A DNG 1.4 with one directory, strips of ``rows`` or tiles."""
    height, width = image.shape
    if tile is None:
        rows = rows or height
        pieces = [image[y : y + rows] for y in range(0, height, rows)]
    else:
        tall, wide = tile
        big = np.pad(image, ((0, -height % tall), (0, -width % wide)), "edge")
        pieces = [
            big[y : y + tall, x : x + wide]
            for y in range(0, big.shape[0], tall)
            for x in range(0, big.shape[1], wide)
        ]
    coded = [encode(np.ascontiguousarray(piece)) for piece in pieces]
    fields: Directory = {
        Tag.NEW_SUBFILE_TYPE: Field(Type.LONG, [0]),
        Tag.IMAGE_WIDTH: Field(Type.LONG, [width]),
        Tag.IMAGE_LENGTH: Field(Type.LONG, [height]),
        Tag.BITS_PER_SAMPLE: Field(Type.SHORT, [bits]),
        Tag.COMPRESSION: Field(Type.SHORT, [compression]),
        Tag.PHOTOMETRIC: Field(Type.SHORT, [32803]),
        Tag.SAMPLES_PER_PIXEL: Field(Type.SHORT, [1]),
        Tag.MAKE: Field(Type.ASCII, b"Elsewhere\0"),
        Tag.MODEL: Field(Type.ASCII, b"Elsewhere X1\0"),
        Tag.UNIQUE_CAMERA_MODEL: Field(Type.ASCII, b"Elsewhere X1\0"),
        Tag.DNG_VERSION: Field(Type.BYTE, bytes((1, 4, 0, 0))),
        Tag.CFA_REPEAT_PATTERN_DIM: Field(Type.SHORT, [2, 2]),
        Tag.CFA_PATTERN: Field(Type.BYTE, bytes((0, 1, 1, 2))),
        Tag.WHITE_LEVEL: Field(Type.LONG, [4095 if bits > 8 else 255]),
        Tag.COLOR_MATRIX_1: Field(Type.SRATIONAL, [1, 0, 0, 0, 1, 0, 0, 0, 1]),
        Tag.CALIBRATION_ILLUMINANT_1: Field(Type.SHORT, [21]),
        Tag.AS_SHOT_NEUTRAL: Field(Type.RATIONAL, [0.5, 1, 0.8]),
        **(more or {}),
    }
    sizes = Field(Type.LONG, [len(data) for data in coded])
    if tile is None:
        assert rows is not None
        fields[Tag.ROWS_PER_STRIP] = Field(Type.LONG, [rows])
        places, lengths = Tag.STRIP_OFFSETS, Tag.STRIP_BYTE_COUNTS
    else:
        fields[Tag.TILE_LENGTH] = Field(Type.LONG, [tile[0]])
        fields[Tag.TILE_WIDTH] = Field(Type.LONG, [tile[1]])
        places, lengths = Tag.TILE_OFFSETS, Tag.TILE_BYTE_COUNTS
    fields[lengths] = sizes
    fields[places] = Field(Type.LONG, [0] * len(coded))
    at = 8 + len(layout(fields, 8))
    offsets = []
    for data in coded:
        offsets.append(at)
        at += len(data)
    fields[places] = Field(Type.LONG, offsets)
    path.write_bytes(b"II*\0\x08\0\0\0" + layout(fields, 8) + b"".join(coded))
    return path


def ljpeg(components: int, predictor: int = 1) -> Callable[[Image], bytes]:
    def encode(tile: Image) -> bytes:
        height, width = tile.shape
        shape = (height, width // components, components) if components > 1 else (height, width)
        return imagecodecs.jpeg8_encode(
            tile.reshape(shape),
            lossless=True,
            predictor=predictor,
            bitspersample=16,
            colorspace="UNKNOWN",
            outcolorspace="UNKNOWN",
        )

    return encode


def row_pairs(tile: Image) -> bytes:
    """Two rows side by side in one, as Adobe's own converter writes."""
    height, width = tile.shape
    return imagecodecs.ljpeg_encode(tile.reshape(height // 2, 2 * width), bitspersample=12)


def jpeg_xl(tile: Image) -> bytes:
    return imagecodecs.jpegxl_encode(tile, lossless=True, effort=1, bitspersample=16)


CASES: dict[str, dict[str, Any]] = {
    "uint16 strips": {"encode": lambda t: t.astype("<u2").tobytes(), "rows": 7},
    "uint16 tiles": {"encode": lambda t: t.astype("<u2").tobytes(), "tile": (32, 48)},
    "10 bit": {"encode": lambda t: packed_msb(t, 10), "bits": 10, "rows": 16},
    "12 bit": {"encode": lambda t: packed_msb(t, 12), "bits": 12},
    "14 bit": {"encode": lambda t: packed_msb(t, 14), "bits": 14, "rows": 5},
    "lossless JPEG, one component": {"encode": ljpeg(1), "compression": 7, "tile": (32, 32)},
    "two components": {"encode": ljpeg(2), "compression": 7, "tile": (32, 32)},
    "two components, predictor 6": {"encode": ljpeg(2, 6), "compression": 7},
    "four components": {"encode": ljpeg(4), "compression": 7, "tile": (32, 32)},
    "row pairs": {"encode": row_pairs, "compression": 7, "bits": 12, "tile": (32, 32)},
    "strips, last one shorter": {"encode": ljpeg(2), "compression": 7, "rows": 24},
    "JPEG XL in a container": {"encode": jpeg_xl, "compression": 52546, "tile": (32, 32)},
}


@pytest.mark.parametrize("case", CASES)
def test_every_way_to_store_a_mosaic(tmp_path: Path, case: str) -> None:
    image = mosaic(58, 94) if CASES[case].get("bits") != 10 else mosaic(58, 94) // 4
    more: Directory = {}
    if CASES[case].get("bits") == 10:
        more[Tag.WHITE_LEVEL] = Field(Type.LONG, [1023])
    path = write(tmp_path / "a.dng", image, more=more, **CASES[case])
    raw = read_raw(path)
    assert np.array_equal(raw.frame.mosaic(), image)
    assert raw.frame.meta.cfa == ("RG", "GB")
    assert raw.frame.meta.as_shot_neutral == pytest.approx((0.5, 1.0, 0.8))
    assert raw.camera == "Elsewhere X1" and raw.frame.meta.model == "X1"


def test_8_bit_with_a_linearization_table(tmp_path: Path) -> None:
    image = (mosaic(32, 48) // 16).astype(np.uint16)
    table = [value * value // 16 for value in range(256)]
    more: Directory = {
        Tag.LINEARIZATION_TABLE: Field(Type.SHORT, table),
        Tag.WHITE_LEVEL: Field(Type.LONG, [4064]),
    }
    path = write(
        tmp_path / "a.dng", image, lambda t: t.astype(np.uint8).tobytes(), bits=8, more=more
    )
    back = read_raw(path).frame
    assert np.array_equal(back.mosaic(), np.array(table, np.uint16)[image])
    assert back.meta.white_level == 4064


def test_big_endian(tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    image = mosaic(40, 60)
    tifffile.imwrite(
        tmp_path / "a.dng",
        image,
        byteorder=">",
        photometric="cfa",
        subfiletype=0,
        metadata=None,
        extratags=[
            (50706, 1, 4, (1, 4, 0, 0), True),
            (33421, 3, 2, (2, 2), True),
            (33422, 1, 4, (1, 2, 0, 1), True),
            (50717, 3, 1, 4095, True),
        ],
    )
    back = read_raw(tmp_path / "a.dng")
    assert np.array_equal(back.frame.mosaic(), image)
    assert back.frame.meta.cfa == ("GB", "RG")
    assert back.calibration is None


@pytest.mark.parametrize("left", [0, 1, 2, 5])
@pytest.mark.parametrize("top", [0, 1, 4])
def test_crops_keep_colours_and_black_levels_in_place(tmp_path: Path, top: int, left: int) -> None:
    """LibRaw counts the pattern from the active area, as Adobe's SDK does."""
    rawpy = pytest.importorskip("rawpy")
    image = mosaic(80, 120)
    more: Directory = {
        Tag.ACTIVE_AREA: Field(Type.LONG, [top, left, 76, 112]),
        Tag.DEFAULT_CROP_ORIGIN: Field(Type.LONG, [3, 2]),
        Tag.DEFAULT_CROP_SIZE: Field(Type.LONG, [60, 50]),
        Tag.BLACK_LEVEL_REPEAT_DIM: Field(Type.SHORT, [2, 2]),
        Tag.BLACK_LEVEL: Field(Type.RATIONAL, [10, 20, 30, 40]),
    }
    path = write(tmp_path / "a.dng", image, lambda t: t.astype("<u2").tobytes(), more=more)
    back = read_raw(path).frame
    y, x = top + 2, left + 3
    assert np.array_equal(back.mosaic(), image[y : y + 50, x : x + 60])
    # three columns and two rows into the pattern of the active area
    assert back.meta.cfa == ("GR", "BG")
    assert back.meta.black_level == (20.0, 10.0, 40.0, 30.0)
    with rawpy.imread(str(path)) as raw:
        names = "RGBG"
        seen = [names[raw.raw_color(y + dy, x + dx)] for dy in (0, 1) for dx in (0, 1)]
        assert "".join(seen) == "".join(back.meta.cfa)


def test_black_level_deltas_are_taken_out(tmp_path: Path) -> None:
    flat = np.full((40, 60), 500, np.uint16)
    columns, rows = np.arange(60) % 7, np.arange(40) % 3 - 1
    image = (flat + columns + rows[:, None]).astype(np.uint16)
    more: Directory = {
        Tag.BLACK_LEVEL: Field(Type.RATIONAL, [100]),
        Tag.BLACK_LEVEL_DELTA_H: Field(Type.SRATIONAL, columns.tolist()),
        Tag.BLACK_LEVEL_DELTA_V: Field(Type.SRATIONAL, rows.tolist()),
    }
    path = write(tmp_path / "a.dng", image, lambda t: t.astype("<u2").tobytes(), more=more)
    assert np.array_equal(read_raw(path).frame.mosaic(), flat)


def test_white_goes_to_white_through_a_derived_forward_matrix(tmp_path: Path) -> None:
    """DNG 1.7.1, chapter 6: rows of a forward matrix sum to the white of D50."""
    more: Directory = {
        Tag.COLOR_MATRIX_1: Field(
            Type.SRATIONAL, [0.902, -0.289, -0.0715, -0.4535, 1.2436, 0.2348, -0.0934, 0.1919, 0.7]
        )
    }
    path = write(tmp_path / "a.dng", mosaic(32, 48), lambda t: t.tobytes(), more=more)
    calibration = read_raw(path).calibration
    assert calibration is not None
    sums = np.sum(calibration.colors[0].forward_matrix, axis=1)
    assert sums == pytest.approx([0.9642, 1.0, 0.8249], abs=1e-6)


def test_the_real_canon_chart_as_libraw_reads_it(data_dir: Path) -> None:
    rawpy = pytest.importorskip("rawpy")
    path = data_dir / "raw" / "tinydng_colorchart.dng"
    raw = read_raw(path)
    with rawpy.imread(str(path)) as seen:
        assert np.array_equal(raw.frame.mosaic(), seen.raw_image_visible)
        assert set(seen.black_level_per_channel) == {2056}
        gains = seen.camera_whitebalance
        neutral = gains[1] / gains[0], 1.0, gains[1] / gains[2]
    assert raw.frame.meta.as_shot_neutral == pytest.approx(neutral, rel=1e-5)
    assert raw.frame.meta.black_level == (2056.0,) and raw.frame.meta.white_level == 15000
    assert raw.frame.meta.cfa == ("RG", "GB")
    assert raw.camera == "Canon EOS Kiss X4"
    assert "ExposureTime" not in raw.exif


@pytest.mark.parametrize("phase", ["rggb", "gbrg"])
def test_the_real_nikon_crop_by_sidecar(data_dir: Path, tmp_path: Path, phase: str) -> None:
    source = data_dir / "raw" / f"mushfiqulalam_DSC_1339_768x512_14bit_{phase}.raw"
    path = tmp_path / source.name
    path.write_bytes(source.read_bytes())
    path.with_suffix(".toml").write_text(
        f'width = 768\nheight = 512\ncfa = "{phase}"\nbits = 14\nblack = 600\nwhite = 15520\n'
        "wb = [1.94921875, 1.0, 1.34375]\n"
        "color_matrix = [[0.902, -0.289, -0.0715], [-0.4535, 1.2436, 0.2348], "
        "[-0.0934, 0.1919, 0.7086]]\n"
    )
    raw = read_raw(path)
    values = np.fromfile(source, "<u2").reshape(512, 768)
    assert np.array_equal(raw.frame.mosaic(), values)
    assert "".join(raw.frame.meta.cfa) == phase.upper()
    assert raw.frame.meta.as_shot_neutral == pytest.approx((1 / 1.94921875, 1.0, 1 / 1.34375))
    # the rose is red: after white balance its red photosites see the most light
    gain = {"R": 1.94921875, "G": 1.0, "B": 1.34375}
    cells = raw.frame.mosaic().astype(float) - 600
    means = {
        letter: gain[letter] * np.mean(cells[y::2, x::2])
        for y, row in enumerate(raw.frame.meta.cfa)
        for x, letter in enumerate(row)
    }
    assert means["R"] > means["B"] and means["R"] > means["G"]


def test_the_real_pgm_and_png(data_dir: Path) -> None:
    strip = read_raw(data_dir / "raw" / "halide_bayer_2592_304.pgm", cfa="GRBG", bits=10, black=25)
    assert strip.frame.mosaic().shape == (304, 2592)
    assert strip.frame.meta.white_level == 1023 and strip.frame.mosaic().max() == 959
    small = read_raw(data_dir / "raw" / "halide_bayer_small.png", cfa="GRBG", bits=12)
    assert small.frame.mosaic().shape == (344, 256)


@pytest.mark.parametrize("packing", ["uint16", "uint16-be", "lsb", "msb"])
def test_headerless_packings(tmp_path: Path, packing: str) -> None:
    image = mosaic(24, 32)
    data = {
        "uint16": image.astype("<u2").tobytes(),
        "uint16-be": image.astype(">u2").tobytes(),
        "lsb": pixels.pack(image, pixels.pixel_format("BayerRG12p")).tobytes(),
        "msb": packed_msb(image, 12),
    }[packing]
    (tmp_path / "a.bin").write_bytes(data)
    raw = read_raw(tmp_path / "a.bin", width=32, height=24, cfa="BGGR", bits=12, packing=packing)
    assert np.array_equal(raw.frame.mosaic(), image)
    assert raw.frame.meta.cfa == ("BG", "GR")


@pytest.mark.parametrize("name", ["frame.dat", "frame", "frame.r16", "frame.dng", "frame.nef"])
@pytest.mark.parametrize("by_options", [True, False])
def test_a_headerless_file_may_have_any_name(tmp_path: Path, name: str, by_options: bool) -> None:
    image = mosaic(24, 32)
    path = tmp_path / name
    path.write_bytes(image.astype("<u2").tobytes())
    options: dict[str, Any] = {"width": 32, "height": 24, "cfa": "RGGB", "bits": 12}
    if not by_options:
        lines = [f"{key} = {value!r}" for key, value in options.items()]
        path.with_suffix(".toml").write_text("\n".join(lines))
        options = {}
    assert np.array_equal(read_raw(path, **options).frame.mosaic(), image)


def test_a_dng_stays_one_whatever_is_said_of_it(tmp_path: Path) -> None:
    write_dng(tmp_path / "a.dng", frame(48, 64))
    for name in ("a.dng", "a.xyz"):
        path = (tmp_path / "a.dng").rename(tmp_path / name)
        assert read_raw(path, width=32, bits=14).frame.width == 64
        path.rename(tmp_path / "a.dng")


def test_a_name_that_says_nothing_is_told_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "a.dat").write_bytes(bytes(100))
    with pytest.raises(RawFileError, match=r"width, height, cfa and bits.* a\.toml"):
        read_raw(tmp_path / "a.dat")
    (tmp_path / "a.toml").write_text("width = 4")
    with pytest.raises(RawFileError, match="no DNG"):
        read_raw(tmp_path / "a.toml")


@pytest.mark.parametrize("line", ["f_number = -1.0", "exposure_s = nan", "iso = inf"])
def test_a_sidecar_is_held_to_what_a_frame_can_have(tmp_path: Path, line: str) -> None:
    (tmp_path / "a.raw").write_bytes(bytes(2 * 16 * 16))
    (tmp_path / "a.toml").write_text("width = 16\nheight = 16\ncfa = 'RGGB'\nbits = 12\n" + line)
    with pytest.raises(RawFileError, match=r"a\.raw: .*expected 0 to"):
        read_raw(tmp_path / "a.raw")


def test_what_a_headerless_file_lacks_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.raw"
    path.write_bytes(bytes(2 * 32 * 24))
    with pytest.raises(RawFileError, match=r"width, height.*a\.toml"):
        read_raw(path, cfa="RGGB")
    with pytest.raises(RawFileError, match="are 1920"):
        read_raw(path, width=40, height=32, cfa="RGGB", bits=12)
    with pytest.raises(RawFileError, match="RGGB"):
        read_raw(path, width=32, height=24, cfa="RRGB", bits=12)
    path.with_suffix(".toml").write_text("width = 'wide'")
    with pytest.raises(RawFileError, match="width"):
        read_raw(path)


def test_other_raws_without_libraw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.nef").write_bytes(b"MM\0*\0\0\0\x08\0\x01\x01\0\0\x04\0\0\0\x01\0\0\0\0\0\0\0\0")
    monkeypatch.setitem(sys.modules, "rawpy", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'modoptic\[raw\]'") as refused:
        read_raw(tmp_path / "a.nef")
    assert ".venv/bin/pip install '.[raw]'" in str(refused.value)


class _Quattro:
    """What rawpy says of a sensor without a mosaic."""

    raw_pattern = None
    raw_image = None

    def __enter__(self) -> _Quattro:
        return self

    def __exit__(self, *_: object) -> None: ...


def test_another_kind_of_sensor_is_sent_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = type("LibRawError", (Exception,), {})
    rawpy = SimpleNamespace(imread=lambda _: _Quattro(), LibRawError=error, NotSupportedError=error)
    monkeypatch.setitem(sys.modules, "rawpy", rawpy)
    (tmp_path / "a.x3f").write_bytes(bytes(100))
    with pytest.raises(RawFileError, match=r"no 2 x 2 Bayer mosaic.* use a converter"):
        read_raw(tmp_path / "a.x3f")


def test_other_raws_that_libraw_refuses(tmp_path: Path) -> None:
    pytest.importorskip("rawpy")
    (tmp_path / "a.cr3").write_bytes(b"no raw at all" * 100)
    with pytest.raises(RawFileError, match="LibRaw"):
        read_raw(tmp_path / "a.cr3")


@given(st.floats(0, 1e12) | st.fractions(0, 10**12), st.booleans())
def test_rationals_are_near_and_fit(value: Any, signed: bool) -> None:
    top, under = rational(value, signed=signed)
    limit = 2**31 - 1 if signed else 2**32 - 1
    assert 0 <= top <= limit and 1 <= under <= limit
    assert top / under == pytest.approx(min(float(value), limit), rel=1e-6, abs=1e-9)


@given(
    st.dictionaries(
        st.integers(1, 65535),
        st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=5)
        | st.binary(min_size=1, max_size=20),
        min_size=1,
        max_size=9,
    )
)
def test_a_directory_comes_back(
    tmp_path_factory: pytest.TempPathFactory, values: dict[int, Any]
) -> None:
    path = tmp_path_factory.mktemp("tiff") / "a.tif"
    values.pop(Tag.SUB_IFDS, None)
    values[1] = b"one"
    directory: Directory = {
        tag: Field(Type.UNDEFINED if isinstance(value, bytes) else Type.LONG, value)
        for tag, value in values.items()
    }
    path.write_bytes(b"II*\0\x08\0\0\0" + layout(directory, 8))
    with TiffReader(path) as file:
        (found,) = list(file.directories())
        for tag, value in values.items():
            assert found[tag].values == (value if isinstance(value, bytes) else tuple(value))
            assert found[tag].first == value[0]
            assert found[tag].count == len(value)
