"""From the hand's seat event to the first picture of the module on the phone side.

Processes run and kernels are compiled before; at each unseat the dock, session, streams, buffers,
exposure and finder pipeline of the module are reset. The twin spends the start-up of its
definition, 103 ms.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from pathlib import Path
from typing import Any

from modoptic.bench._figures import quantiles
from modoptic.devices import start_device
from modoptic.errors import ModopticError
from modoptic.host import Phone
from modoptic.host.state import FinderFrame
from modoptic.twin.hands import Hands

TIMES = 15
WITHIN_S = 30.0


def attach_known() -> dict[str, Any]:
    """A module whose manifest the phone has kept."""
    return _result(_attach(TIMES + 2, known=True)[2:], 150.0)


def attach_new() -> dict[str, Any]:
    """A module that the phone has never met: its manifest crosses the link."""
    return _result(_attach(TIMES + 2, known=False)[2:], 500.0)


def _attach(times: int, *, known: bool) -> list[float]:
    """Milliseconds of each attach. A new phone each time is what makes a module unknown."""
    with (
        start_device(seated=False) as module,
        start_device("phone-1inch") as built_in,
        tempfile.TemporaryDirectory(prefix="modoptic-bench-") as folder,
    ):
        assert module.hands is not None
        hands, home = Hands(module.hands), Path(folder)
        took: list[float] = []
        while len(took) < times:
            with Phone(
                home / "gallery", home=home, modules=[module.address], built_in=built_in.address
            ) as phone:
                _shown_from(phone, built_in=True)
                for _ in range(times if known else 1):
                    hands.seat()
                    _shown_from(phone, built_in=False)
                    state = phone.wait_for(lambda now: now.dock.ready_ms is not None)
                    assert state.dock.ready_ms is not None
                    took.append(state.dock.ready_ms)
                    hands.pull()
                    _shown_from(phone, built_in=True)
            shutil.rmtree(home / "modules", ignore_errors=True)
        return took


def _shown_from(phone: Phone, *, built_in: bool) -> None:
    """Wait for a picture of the module or of the built-in camera."""
    seen = threading.Event()

    def look(picture: FinderFrame) -> None:
        cameras = {camera.id: camera for camera in phone.state().cameras}
        camera = cameras.get(picture.header.camera)
        if camera is not None and camera.built_in is built_in:
            seen.set()

    end = phone.on_finder(look)
    if not seen.wait(WITHIN_S):
        raise ModopticError(
            f"no picture within {WITHIN_S:g} s; the dock says {phone.state().dock.state}"
        )
    end()


def _result(took: list[float], bar: float) -> dict[str, Any]:
    p50, p95, p99 = quantiles(took)
    return {
        "value": p50,
        "unit": "ms",
        "bar": bar,
        "met": p50 <= bar,
        "p50": p50,
        "p95": p95,
        "p99": p99,
        "note": f"{len(took)} times",
    }
