"""A fake phone with a server in front of it, for tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fake_phone import FakeHands, FakePhone

from modoptic import web


class Served:
    """A fake phone with hands, and the server in front of it."""

    def __init__(self, folder: Path) -> None:
        self.phone = FakePhone(folder, rate=20, size=(480, 360))
        self.hands = FakeHands(self.phone)
        self.serve(0)

    def serve(self, port: int) -> None:
        self.server = web.serve(self.phone, hands=self.hands, port=port, port_asked=True)
        self.url = self.server.url

    def photo(self, name: str) -> None:
        picture = self.phone.still_life.picture(1.2, 2.0, 17.5, 0.0)
        self.phone.gallery.add(
            name, picture.resize((2000, 1500)), {"f_number": 2.0, "iso": 200, "taken": "2026-11-22"}
        )

    def close(self) -> None:
        self.server.stop()
        self.phone.close()


def until(condition: Callable[[], Any], seconds: float = 8.0) -> Any:
    """Wait until ``condition`` holds and return what it said."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)
    return value
