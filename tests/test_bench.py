"""The benches as a command: what is printed, and that one which cannot run spoils no other."""

from __future__ import annotations

import json
import sys
from types import ModuleType

import pytest

from modoptic import bench
from modoptic.bench import develop
from modoptic.errors import ModopticError, SettingError


@pytest.fixture
def benches(monkeypatch: pytest.MonkeyPatch) -> None:
    made = ModuleType("modoptic.bench.made_up")

    def fine() -> bench.Result:
        return {"value": 2.0, "unit": "ms", "bar": 3.0, "met": True, "p50": 2.0, "p95": 3, "p99": 4}

    def slow() -> bench.Result:
        return {"value": 9.0, "unit": "ms", "bar": 3.0, "met": False}

    def broken() -> bench.Result:
        raise ZeroDivisionError("by zero")

    def peerless() -> bench.Result:
        raise ModuleNotFoundError("No module named 'peer'", name="peer")

    def unable() -> bench.Result:
        raise ModopticError("there is no display here")

    entries = {}
    for function in (fine, slow, broken, peerless, unable):
        setattr(made, function.__name__, function)
        entries[function.__name__] = bench.Entry(f"made_up:{function.__name__}", "?", "<= 3 ms")
    monkeypatch.setitem(sys.modules, made.__name__, made)
    monkeypatch.setattr(bench, "BENCHES", entries)


@pytest.mark.usefixtures("benches")
def test_one_that_fails_ends_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.run(["broken", "peerless", "unable", "slow", "fine"], as_json=True) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["name"] for line in lines] == ["broken", "peerless", "unable", "slow", "fine"]
    assert "ZeroDivisionError" in lines[0]["missing"]
    assert "peer is missing" in lines[1]["missing"] and "make bench" in lines[1]["missing"]
    assert lines[2]["missing"] == "there is no display here"
    assert (lines[4]["p50"], lines[4]["value"], lines[4]["unit"]) == (2.0, 2.0, "ms")


@pytest.mark.usefixtures("benches")
def test_a_missed_bar_is_said_and_fails_only_where_asked(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert bench.run(["fine"], strict=True) == 0
    assert bench.run(["slow"], strict=False) == 0
    assert bench.run(["slow"], strict=True) == 1
    assert "slow            MISS 9 ms  (bar <= 3 ms)" in capsys.readouterr().out
    with pytest.raises(SettingError, match="fine"):
        bench.run(["nothing"])


def test_without_its_peer_ours_is_measured_and_the_way_to_it_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "rawpy", None)
    result = develop.develop_100mp(height=96, width=128, repeats=1)
    assert result["value"] > 0 and "peer" not in result
    assert "LibRaw not run" in result["note"] and "make bench" in result["note"]
