"""The server without a browser: who may come in, what is told, what a slow viewer costs."""

from __future__ import annotations

import contextlib
import json
import math
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fake_phone import FakePhone
from served import Served, until
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from modoptic import web
from modoptic.errors import AddressError
from modoptic.host.state import SetControls, Shoot


class Page:
    """What a page does, without drawing."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    def say(self, **message: Any) -> None:
        self.socket.send(json.dumps(message))

    def hear(self, kind: str) -> Any:
        """The next message of this kind (``frame`` for pictures)."""
        while True:
            message = self.socket.recv(timeout=8)
            if isinstance(message, bytes):
                if kind == "frame":
                    return web.unpack_frame(message)
            elif json.loads(message)["type"] == kind:
                return json.loads(message)


@contextlib.contextmanager
def page(served: Served | web.Server, **options: Any) -> Iterator[Page]:
    address = served.url.replace("http", "ws", 1) + "/ws"
    with connect(address, compression=None, **options) as socket:
        yield Page(socket)


def test_a_page_gets_the_state_and_pictures(served: Served) -> None:
    with page(served) as viewer:
        state = viewer.hear("state")["state"]
        assert state["active"] == "phone-0001" and state["hands"] is True
        prefix, frame = viewer.hear("frame")
        assert frame.jpeg[:2] == b"\xff\xd8" and prefix.jpeg_bytes == len(frame.jpeg)
        assert prefix.readout_end_ns <= prefix.sent_ns


def test_two_pictures_are_on_their_way_until_one_is_acknowledged(served: Served) -> None:
    with page(served) as viewer:
        tickets = [viewer.hear("frame")[0].ticket for _ in range(2)]
        before = served.server.figures().skipped
        until(lambda: served.server.figures().skipped > before + 3)  # newer replaced older
        viewer.say(type="ack", ticket=tickets[1], drawn_us=time.monotonic_ns() / 1e3)
        prefix, frame = viewer.hear("frame")
        assert prefix.ticket == tickets[1] + 1
        assert time.monotonic_ns() - frame.header.readout_end_ns < 1e9, "it waited for the oldest"


def test_figures_are_readout_to_drawn(served: Served) -> None:
    with page(served) as viewer:
        for _ in range(4):
            prefix, frame = viewer.hear("frame")
            drawn_us = frame.header.readout_end_ns / 1e3 + 30_000
            viewer.say(type="ack", ticket=prefix.ticket, drawn_us=drawn_us)
        figures = until(lambda: (f := served.server.figures()).drawn >= 3 and f)
        assert figures.p50_ms == pytest.approx(30, abs=0.01)
        draw = served.server.draws()[-1]
        assert draw.kind == "finder" and draw.drawn_ns - draw.readout_end_ns == pytest.approx(
            3e7, 1e-3
        )


def test_pictures_are_as_large_as_the_largest_view(served: Served) -> None:
    with page(served) as small, page(served) as large:
        small.say(type="view", width=390)
        large.say(type="view", width=1100)
        until(lambda: served.phone.shown_width == 1100)
        with page(served):  # one that has not said
            until(lambda: served.phone.shown_width is None)
        until(lambda: served.phone.shown_width == 1100)
        large.socket.close()
        until(lambda: served.phone.shown_width == 390)


def test_a_vanished_viewer_delays_nobody(served: Served) -> None:
    with page(served) as gone, page(served) as alive:
        gone.hear("frame")  # and never another word
        started = time.monotonic()
        for _ in range(10):
            prefix, _frame = alive.hear("frame")
            alive.say(type="ack", ticket=prefix.ticket, drawn_us=None)
        assert time.monotonic() - started < 4
        gone.socket.socket.close()  # no goodbye either
        until(lambda: served.server.viewers == 1)


def test_actions_reach_the_phone_and_errors_come_back_as_a_sentence(served: Served) -> None:
    with page(served) as viewer:
        viewer.hear("state")
        viewer.say(type="shoot")
        until(lambda: Shoot() in served.phone.actions)
        viewer.say(type="set", f_number=0.5)
        assert "aperture cannot be 0.5" in viewer.hear("problem")["text"]
        viewer.say(type="no such thing")
        assert "not understood" in viewer.hear("problem")["text"]
        viewer.socket.send(b"\xff\xfe")
        assert "Traceback" not in viewer.hear("problem")["text"]


def test_a_fast_drag_is_thinned_to_the_newest(served: Served) -> None:
    with page(served) as viewer:
        for n in range(200):
            viewer.say(type="set", focus_distance_m=1 + n / 200)
        until(lambda: served.phone.actions[-1:] == [SetControls(focus_distance_m=1 + 199 / 200)])
    assert len(served.phone.actions) < 200


def test_hands_move_the_twin_and_zero_is_infinity(served: Served) -> None:
    with page(served) as viewer:
        viewer.say(type="hands", hands="seat")
        until(lambda: served.phone.state().dock.state == "READY")
        until(lambda: viewer.hear("hands")["state"]["seated"])
        viewer.say(type="hands", hands="turn_ring", focus_distance_m=0)
        until(lambda: ("turn_ring", math.inf) in served.hands.done)
        viewer.say(type="hands", hands="set_line", bits_per_s=200e6)
        until(lambda: viewer.hear("hands")["state"]["line"] == 200e6)


def test_without_hands_there_is_nothing_to_move(tmp_path: Path) -> None:
    phone = FakePhone(tmp_path, rate=5, size=(96, 72))
    with web.serve(phone, port=0) as server, page(server) as viewer:
        assert viewer.hear("state")["state"]["hands"] is False
        viewer.say(type="hands", hands="seat")
        assert "twin" in viewer.hear("problem")["text"]
    phone.close()


def test_the_first_viewer_is_in_control_until_another_takes_it(served: Served) -> None:
    with page(served) as first, page(served) as second:
        assert first.hear("role")["control"] is True
        assert second.hear("role")["control"] is False
        second.say(type="shoot")
        assert "control" in second.hear("problem")["text"]
        second.say(type="take_control")
        until(lambda: second.hear("role")["control"])
        second.say(type="shoot")
        until(lambda: Shoot() in served.phone.actions)


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1"])
def test_foreign_origins_are_refused(served: Served, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refused, page(served, origin=origin):
        pass
    assert refused.value.response.status_code == 403
    served.photo("A_0001")
    deleted = httpx.delete(f"{served.url}/api/photos/A_0001", headers={"Origin": origin})
    assert deleted.status_code == 403
    assert served.phone.gallery.list()
    with page(served, origin=served.url) as own:
        own.hear("state")


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8035", "10.0.0.1", "", "a b"])
def test_foreign_host_names_are_refused(served: Served, host: str) -> None:
    answer = httpx.get(f"{served.url}/api/state", headers={"Host": host})
    assert answer.status_code in (400, 403)
    assert "phone-0001" not in answer.text


def test_bodies_and_large_messages_are_refused(served: Served) -> None:
    assert httpx.request("DELETE", f"{served.url}/api/photos/x", content=b"x").status_code == 403
    with page(served) as viewer:
        viewer.hear("state")
        viewer.socket.send("x" * 100_000)
        with pytest.raises(ConnectionClosed):
            while True:
                viewer.socket.recv(timeout=8)


def test_nothing_foreign_may_run_in_the_page(served: Served) -> None:
    answer = httpx.get(served.url)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "https://" not in answer.text


def test_photos_over_http(served: Served) -> None:
    served.photo("A_0001")
    photo = f"{served.url}/api/photos/A_0001"
    with httpx.Client() as client:
        assert [p["name"] for p in client.get(f"{served.url}/api/photos").json()] == ["A_0001"]
        assert client.get(photo).json()["width"] == 2000
        for part in ("thumb", "thumb?size=9999999999", "tile/0/0/0", "tile/2/0/0"):
            answer = client.get(f"{photo}/{part}")
            assert (
                answer.headers["content-type"] == "image/jpeg" and answer.content[:2] == b"\xff\xd8"
            )
        assert client.get(f"{photo}/tile/0/99/0").status_code == 404
        whole = client.get(f"{served.url}/photos/A_0001.jpg?download")
        assert "attachment" in whole.headers["content-disposition"]
        part = client.get(f"{served.url}/photos/A_0001.jpg", headers={"Range": "bytes=0-1"})
        assert part.content == b"\xff\xd8"
        assert client.get(f"{served.url}/photos/A_0001.dng").status_code == 200
        assert client.delete(photo).status_code == 200
        assert client.get(photo).status_code == 404
        assert client.post(f"{photo}/restore").status_code == 200
        assert client.get(photo).status_code == 200


@pytest.mark.parametrize(
    "path",
    ["/api/photos/nope", "/photos/nope.jpg", "/photos/A.exe", "/photos/..%2f..%2fetc%2fpasswd.jpg",
     "/api/photos/..%2f..", "/api/photos/.hidden", "/static/../_server.py", "/nope"],
)  # fmt: skip
def test_what_is_not_there_is_not_found(served: Served, path: str) -> None:
    answer = httpx.get(served.url + path)
    assert answer.status_code == 404
    assert "Traceback" not in answer.text and "File" not in answer.text


def test_a_fault_of_ours_is_one_sentence(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(served.phone.gallery, "list", broken)
    answer = httpx.get(f"{served.url}/api/photos")
    assert answer.status_code == 500
    assert "secret" not in answer.text and "log" in answer.json()["problem"]


def test_a_taken_port_is_left_for_the_next_unless_it_was_asked_for(tmp_path: Path) -> None:
    phone = FakePhone(tmp_path, rate=5, size=(96, 72))
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        urls: list[str] = []
        with web.serve(phone, port=port, on_ready=urls.append) as server:
            assert port < server.port < port + 50
            assert urls == [server.url]
        with pytest.raises(AddressError, match=f"port {port} .* is taken"):
            web.serve(phone, port=port, port_asked=True)
    phone.close()


def test_stopping_gives_everything_back(served: Served) -> None:
    with page(served) as viewer:
        viewer.hear("state")
        started = time.monotonic()
        served.server.stop()
        assert time.monotonic() - started < 3
        served.server.wait()
        with pytest.raises((ConnectionClosed, OSError)):
            while True:
                viewer.socket.recv(timeout=5)
    served.server.stop()
    with web.serve(served.phone, port=served.server.port, port_asked=True) as again:
        assert httpx.get(f"{again.url}/api/state").status_code == 200
