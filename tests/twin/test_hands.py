"""Hands reach the twin over their own socket, never hang, and survive nonsense."""

from __future__ import annotations

import json
import math
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modoptic.calibration import Calibration
from modoptic.errors import AddressError, DetachedError, LinkError
from modoptic.source import RingTurned
from modoptic.twin import Twin
from modoptic.twin.hands import Hands, HandsServer


class FakeDock:
    def __init__(self) -> None:
        self.seated = False
        self.line: float | None = None
        self.degrees = 0.0

    def seat(self) -> None:
        self.seated = True

    def pull(self) -> None:
        self.seated = False

    def tilt(self, deg: float) -> None:
        self.degrees = deg

    def set_line(self, bit_s: float | None) -> None:
        if bit_s is not None and bit_s < 0:
            raise LinkError("the line cannot be slower than nothing")
        self.line = bit_s


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Hands, Twin, FakeDock]]:
    path = tmp_path_factory.mktemp("hands") / "hands.sock"
    twin = Twin("phone-1inch", "flat", real_time=False, calibration=Calibration())
    dock = FakeDock()
    with HandsServer(str(path), twin, dock):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        yield Hands(str(path)), twin, dock
    assert not path.exists()


def test_hands_move_dock_ring_line_and_scene(served: tuple[Hands, Twin, FakeDock]) -> None:
    hands, twin, dock = served
    hands.seat()
    assert dock.seated and hands.state()["seated"] is True
    hands.tilt(4.0)
    assert dock.degrees == 4.0
    hands.pull()
    assert not dock.seated
    heard: list[RingTurned] = []
    twin.subscribe(heard.append)
    hands.turn_ring(0.8)
    hands.turn_ring(math.inf)
    assert [e.focus_distance_m for e in heard] == [0.8, math.inf]
    hands.set_line(2e8)
    assert hands.state()["line"] == 2e8
    hands.set_line(None)
    state = hands.state()
    assert state["line"] is None and state["definition"] == "phone-1inch"
    assert state["scene"] == "flat" and "studio" in state["scenes"]
    assert state["focus_distance_m"] is None and state["title"] == twin.info.title
    hands.set_scene("chart@A")
    hands.set_scene("chart")


def test_refusals_are_told(served: tuple[Hands, Twin, FakeDock]) -> None:
    hands, _, _ = served
    with pytest.raises(LinkError, match="scene"):
        hands.set_scene("no-such-scene")
    with pytest.raises(LinkError, match="slower than nothing"):
        hands.set_line(-1.0)
    with pytest.raises(LinkError, match="focus distance"):
        hands.turn_ring(-3.0)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.one_of(st.binary(max_size=200), st.text(max_size=100).map(lambda t: json.dumps(t).encode()))
)
def test_nonsense_gets_an_answer(served: tuple[Hands, Twin, FakeDock], data: bytes) -> None:
    hands, _, _ = served
    line = data.replace(b"\n", b" ") + b"\n"
    with socket.socket(socket.AF_UNIX) as one:
        one.settimeout(10)
        one.connect(hands.path)
        one.sendall(line)
        assert "error" in json.loads(one.makefile("rb").readline())


def test_one_who_says_nothing_keeps_nobody_waiting(served: tuple[Hands, Twin, FakeDock]) -> None:
    hands, _, _ = served
    with socket.socket(socket.AF_UNIX) as silent:
        silent.connect(hands.path)
        assert hands.state()["definition"] == "phone-1inch"
    with socket.socket(socket.AF_UNIX) as long:
        long.settimeout(10)
        long.connect(hands.path)
        long.sendall(b"x" * 70_000)
        assert "64 KiB" in json.loads(long.makefile("rb").readline())["error"]


def test_a_twin_that_is_gone(tmp_path: Path, served: tuple[Hands, Twin, FakeDock]) -> None:
    with pytest.raises(DetachedError):
        Hands(str(tmp_path / "none.sock")).seat()
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(AddressError, match="no socket"):
        HandsServer(str(file / "below.sock"), served[1], FakeDock())
