"""Raw files that come off a sensor again."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rawfile_frames import CALIBRATION, frame, mosaic

from modoptic.errors import DetachedError, RawFileError, SettingError
from modoptic.frame import Frame, FrameMeta, Settings
from modoptic.rawfile import ReplaySource, write_dng


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write_dng(tmp_path / "a.dng", frame(96, 128), CALIBRATION)
    return tmp_path / "a.dng"


def shoot(source: ReplaySource, settings: Settings) -> tuple[Frame, list[int]]:
    described = source.describe(settings)
    size = len(Frame(described, bytes(10**6)).data)
    out = bytearray(size)
    rows: list[int] = []
    meta = source.capture(settings, memoryview(out), rows.append)
    assert (meta.width, meta.height, meta.pixel_format) == (
        described.width,
        described.height,
        described.pixel_format,
    )
    return Frame(meta, out), rows


def test_every_photosite_comes_off_again(file: Path) -> None:
    source = ReplaySource([file], real_time=False)
    source.start()
    still, rows = shoot(source, Settings(readout="full"))
    assert np.array_equal(still.mosaic(), mosaic(96, 128))
    assert rows == sorted(rows) and rows[-1] == 96
    meta = still.meta
    assert meta.black_level == (64.0, 65.0, 64.5, 63.0) and meta.white_level == 4095
    assert meta.pixel_format == "BayerRG12p" and meta.cfa == ("RG", "GB")
    assert meta.settings.exposure_s == pytest.approx(1 / 60) and meta.settings.f_number == 1.4
    assert meta.calibration == CALIBRATION.digest() and source.calibration == CALIBRATION
    assert meta.readout_end_ns >= meta.sensor_time_ns > 0
    source.close()


@pytest.mark.parametrize(("readout", "factor"), [("bin2", 2), ("bin4", 4)])
def test_photosites_of_one_colour_are_binned(file: Path, readout: Any, factor: int) -> None:
    source = ReplaySource(file, real_time=False)
    binned, _ = shoot(source, Settings(readout=readout))
    whole = mosaic(96, 128).astype(float)
    seen = binned.mosaic()
    assert seen.shape == (96 // factor, 128 // factor)
    mode = source.info.readout(readout)
    assert (mode.height, mode.width) == seen.shape
    for y, x in np.ndindex(2, 2):
        plane = whole[y::2, x::2]
        cells = plane.reshape(48 // factor, factor, 64 // factor, factor)
        assert np.abs(seen[y::2, x::2] - cells.mean(axis=(1, 3))).max() <= 0.5


def test_a_region_is_read_as_it_lies(file: Path) -> None:
    source = ReplaySource([file], real_time=False)
    force = source.in_force(Settings(readout="full", region=(13, 7, 30, 21)))
    assert force.region == (12, 6, 32, 22)
    part, _ = shoot(source, Settings(readout="full", region=(13, 7, 30, 21)))
    assert np.array_equal(part.mosaic(), mosaic(96, 128)[6:28, 12:44])
    # beyond the edge: what there is
    x, y, width, height = source.in_force(
        Settings(readout="full", region=(120, 90, 500, 500))
    ).region or (0, 0, 0, 0)
    assert x + width == 128 and y + height == 96


def test_files_follow_each_other(tmp_path: Path) -> None:
    names = []
    for number in (1, 2, 3):
        shot = frame(64, 64)
        values = np.full((64, 64), 100 * number, np.uint16)
        meta = FrameMeta(width=64, height=64, pixel_format="BayerRG16", white_level=4095)
        write_dng(tmp_path / f"{number}.dng", Frame(meta, values))
        names.append(tmp_path / f"{number}.dng")
        assert shot.height == 64
    source = ReplaySource(names, title="three", real_time=False)
    levels = [int(shoot(source, Settings())[0].mosaic()[0, 0]) for _ in range(4)]
    assert levels == [100, 200, 300, 100]
    assert source.info.title == "three"


@pytest.mark.parametrize(("bits", "format_name"), [(12, "12p"), (14, "14p"), (16, "16")])
def test_depth_is_kept(tmp_path: Path, bits: int, format_name: str) -> None:
    write_dng(tmp_path / "a.dng", frame(64, 64, bits=bits, packed=False))
    source = ReplaySource(tmp_path / "a.dng", real_time=False)
    still, _ = shoot(source, Settings(readout="full"))
    assert still.meta.pixel_format == f"BayerRG{format_name}"
    assert np.array_equal(still.mosaic(), mosaic(64, 64, bits))


def test_files_that_do_not_fit_are_named(tmp_path: Path, file: Path) -> None:
    write_dng(tmp_path / "b.dng", frame(64, 64))
    with pytest.raises(RawFileError, match=r"b\.dng.*64 x 64"):
        ReplaySource([file, tmp_path / "b.dng"])
    with pytest.raises(RawFileError, match="no file"):
        ReplaySource([])
    with pytest.raises(SettingError, match="readout"):
        ReplaySource(file).in_force(Settings(readout="bin8"))  # type: ignore[arg-type]


def test_power_goes_while_it_reads(file: Path) -> None:
    source = ReplaySource(file)
    source.start()
    settings = Settings(readout="full")
    out = bytearray(96 * 192)
    failed: list[BaseException] = []

    def run() -> None:
        try:
            for _ in range(1000):
                source.capture(settings, memoryview(out), lambda rows: None)
        except DetachedError as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    source.stop()
    thread.join(5)
    assert not thread.is_alive() and failed


def test_the_real_chart_plays(data_dir: Path) -> None:
    source = ReplaySource(data_dir / "raw" / "tinydng_colorchart.dng", real_time=False)
    assert source.info.title == "Canon EOS Kiss X4"
    assert source.info.bits == (14,)
    finder, _ = shoot(source, Settings(readout="bin4"))
    assert finder.meta.black_level == (2056.0,) and finder.meta.white_level == 15000
    assert 2056 < finder.mosaic().mean() < 15000
