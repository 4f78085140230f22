"""Every figure of a sensor says where it is from, and the page of assumptions says the same."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from modoptic.sensor import AngularSpec, ConversionGain, SensorSpec, Tolerance
from modoptic.twin import definitions

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("assumptions", ROOT / "tools/assumptions.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_says_what_the_definitions_say(tool: ModuleType) -> None:
    text = tool.PAGE.read_text("utf-8")
    assert tool.page(text) == text, "run tools/assumptions.py"


def test_every_figure_is_listed_with_its_source(tool: ModuleType) -> None:
    assert set(tool.NAMES) == set(definitions())
    keys = {*SensorSpec.__struct_fields__} - {"high_conversion_gain", "angle", "tolerance"}
    keys |= {f"angle.{key}" for key in AngularSpec.__struct_fields__}
    keys |= {f"high_conversion_gain.{key}" for key in ConversionGain.__struct_fields__}
    keys |= {f"tolerance.{key}" for key in Tolerance.__struct_fields__}
    keys |= {"lens.veiling_glare"}
    for name in tool.NAMES:
        figures = tool.figures((tool.DEFINITIONS / f"{name}.toml").read_text("utf-8"))
        assert {key for key, _, _ in figures} == keys
        for key, _, comment in figures:
            assert comment.startswith(("assumption", "computed", "published")), (name, key)
