"""Definitions say what is wrong with them."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

import pytest

from modoptic.errors import FileError, SettingError
from modoptic.twin import definitions, load_definition

TEXT = resources.files("modoptic.twin").joinpath("definitions/phone-1inch.toml").read_text()


def test_shipped_definitions_load_and_explain_their_figures() -> None:
    for name in definitions():
        load_definition(name)
        text = resources.files("modoptic.twin").joinpath(f"definitions/{name}.toml").read_text()
        assert text.count("#") > 25


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("width = 8192", "width = 8191", "multiple of 16"),
        ("width = 8192", 'width = "wide"', "sensor.width"),
        ("prnu = 0.006", "prnu = -1", "prnu"),
        ("prnu = 0.006", "prnoo = 0.006", "prnoo"),
        ("veiling_glare = 0.010", "veiling_glare = 0.06", "lens.veiling_glare is 0.06"),
        ("full_well_e = 7840.0", "full_well_e = nan", "full_well_e"),
        ('table = "hasselblad-l2d-20c"', 'table = "no-such"', "no-such"),
        ("f_number_max = 1.63", "f_number_max = 1.0", "f_number_max"),
        ('cfa = ["RG", "GB"]', 'cfa = ["RR", "GB"]', "Bayer"),
        (
            'cfa = ["RG", "GB"]',
            'cfa = "quat"',
            "mine.toml.*sensor.cfa is .quat.; .*quad",
        ),
        ('cfa = ["RG", "GB"]', "cfa = 4", "sensor.cfa"),
        ("make =", "make = = ", "TOML"),
        ("row_noise_e = 0.20", "row_noise_e = -0.2", "sensor.row_noise_e is -0.2"),
        ("nonlinearity = 0.002", "nonlinearity = 0.5", "sensor.nonlinearity is 0.5"),
        ("from_gain = 6.25", "from_gain = 100.0", "sensor.high_conversion_gain.from_gain is 100"),
        ("full_well_e = 1975.0", "full_well_e = 1e5", "high_conversion_gain.full_well_e"),
        ("read_noise_e = 1.00", "read_noise_e = 0.1", "high_conversion_gain.read_noise_e is 0.1"),
        ("from_gain = 6.25", "from_iso = 400", "from_iso"),
        ("bin4 = {", "bin8 = {", "bin"),
    ],
)
def test_a_fault_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in TEXT
    path = tmp_path / "mine.toml"
    path.write_text(TEXT.replace(old, new, 1))
    with pytest.raises(FileError, match=message):
        load_definition(path)


def test_a_user_definition_is_named_after_its_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(TEXT)
    assert load_definition(path).name == "mine"


def test_figures_are_changed_where_a_definition_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(TEXT)
    for name in ("phone-1inch", str(path)):
        plain = load_definition(name)
        changed = load_definition(
            f"{name}@temperature_c=40,sensor.angle.half_deg=[90, 90, 90], lens.wavefront=2"
        )
        assert changed.temperature_c == 40.0
        assert changed.sensor.angle.half_deg == (90.0, 90.0, 90.0)
        assert changed.lens.wavefront == 2.0
        # everything else stays, in the same tables too
        assert changed.sensor.angle.crosstalk == plain.sensor.angle.crosstalk
        assert changed.lens.model == plain.lens.model and changed.sensor.prnu == plain.sensor.prnu
        assert changed.name != plain.name and re.fullmatch(r"[\w.-]+", changed.name)
    with pytest.raises(SettingError, match=r"phone-1inch@lens\.wavefront=2"):
        load_definition("phone-1inch@lens.wavefront=two")
    with pytest.raises(FileError, match="wavefrond"):
        load_definition("phone-1inch@lens.wavefrond=2")
    with pytest.raises(FileError, match=r"lens\.wavefront is -1"):
        load_definition("phone-1inch@lens.wavefront=-1")
    with pytest.raises(SettingError, match="xiaomi-mos-35"):
        load_definition("no-such-camera@lens.wavefront=2")


def test_unknown_names_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="xiaomi-mos-35"):
        load_definition("no-such-camera")
    with pytest.raises(FileError, match="cannot be read"):
        load_definition(tmp_path / "absent.toml")


@pytest.mark.parametrize(
    ("entry", "value"),
    [("f_number_max", "inf"), ("still_buffers", "0"), ("gain_max", "nan"), ("debounce_s", "-1.0")],
)
def test_figures_that_no_camera_has_are_refused(tmp_path: Path, entry: str, value: str) -> None:
    changed, count = re.subn(rf"(?m)^{entry} = [^ \n]*", f"{entry} = {value}", TEXT)
    assert count == 1
    path = tmp_path / "mine.toml"
    path.write_text(changed)
    with pytest.raises(FileError, match=entry):
        load_definition(path)
