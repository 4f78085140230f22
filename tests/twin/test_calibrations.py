"""A unit is measured once; what was kept is used again only where it still fits."""

from pathlib import Path

import msgspec
import pytest

from modoptic.calibration import Calibration
from modoptic.twin import Definition, _calibrate, load_definition
from modoptic.twin._calibrations import calibration_of
from modoptic.twin._definition import camera_info


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Seeds of the units that were measured; measuring itself takes seconds and is left out."""
    seeds: list[int] = []

    def measure(definition: Definition, *, seed: int, progress: object) -> Calibration:
        seeds.append(seed)
        return Calibration(black_level=200.0 + seed)

    monkeypatch.setattr(_calibrate, "measure_calibration", measure)
    return seeds


def _calibration(definition: Definition, seed: int, folder: Path) -> Calibration:
    return calibration_of(definition, camera_info(definition, f"{seed:06d}"), seed, folder)


def test_each_unit_is_measured_once(measured: list[int], tmp_path: Path) -> None:
    definition = load_definition("phone-1inch")
    levels = [_calibration(definition, seed, tmp_path).black_level for seed in (7, 7, 8, 7)]
    assert levels == [207.0, 207.0, 208.0, 207.0]
    assert measured == [7, 8]


def test_the_shipped_unit_is_not_measured(measured: list[int], tmp_path: Path) -> None:
    assert _calibration(load_definition("phone-1inch"), 1, tmp_path).colors
    assert measured == []


def test_another_definition_or_a_damaged_file_is_measured_again(
    measured: list[int], tmp_path: Path
) -> None:
    definition = load_definition("phone-1inch")
    _calibration(definition, 7, tmp_path)
    _calibration(msgspec.structs.replace(definition, temperature_c=40.0), 7, tmp_path)
    (tmp_path / "phone-1inch-7.json").write_text("{")
    _calibration(definition, 7, tmp_path)
    assert measured == [7, 7, 7]


def test_a_folder_that_cannot_be_written_is_no_fault(measured: list[int], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "below"
    assert _calibration(load_definition("phone-1inch"), 7, folder).black_level == 207.0
