"""The viewfinder in a real browser: how old a picture is when it is drawn.

The phone and its server run in this process, the module and the built-in camera in theirs, and
Chromium in its own, with the page of a phone at one display pixel for each CSS pixel. Draw times
are mapped to this machine's monotonic clock by the page's pings.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modoptic.bench._figures import quantiles
from modoptic.devices import start_device
from modoptic.errors import ModopticError
from modoptic.host import Phone
from modoptic.host.state import PhoneState, SetControls
from modoptic.photo import Gallery
from modoptic.twin.hands import Hands
from modoptic.web import Draw, Server, serve

if TYPE_CHECKING:
    from playwright.sync_api import Page

FRAMES = 600
FRAMES_WITHIN_S = 60.0
RING_TURNS = 40
CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-gpu",  # software GL is 5 times slower than drawing without it
]


def finder_page() -> dict[str, Any]:
    """End of readout to drawn, the twin at 30 frames/s, 600 frames after a warm-up of 60."""
    with _viewfinder() as (server, phone, _, page):
        phone.act(SetControls(exposure_s=1 / 30))  # one frame after the other: 30 a second
        _drawn(server, 60)
        server.reset_figures()
        _drawn(server, FRAMES)
        draws = [draw for draw in server.draws() if draw.kind == "finder"]
        size = _size_drawn(page)
    # of all that the sensor exposed, wherever they were dropped
    skipped = 1 - len(draws) / (draws[-1].frame_id - draws[0].frame_id + 1)
    rate = (len(draws) - 1) * 1e9 / (draws[-1].readout_end_ns - draws[0].readout_end_ns)
    p50, p95, p99 = quantiles([(draw.drawn_ns - draw.readout_end_ns) / 1e6 for draw in draws])
    return {
        "value": p50,
        "unit": "ms",
        "bar": 40.0,
        "met": p50 <= 40 and skipped <= 0.02 and rate >= 29,
        "p50": p50,
        "p95": p95,
        "p99": p99,
        "skipped": skipped,
        "frame_rate": rate,
        "note": f"{len(draws)} frames of {size} at {rate:.1f} frames/s, {skipped:.1%} skipped",
    }


def ring_page() -> dict[str, Any]:
    """From the hand's event to the draw of the first frame exposed after it, at 1/125 s."""
    late: list[float] = []
    stages: list[tuple[float, float, float, float]] = []
    with _viewfinder() as (server, phone, hands, page):
        phone.act(SetControls(exposure_s=1 / 125))
        _drawn(server, 60)
        for turn in range(RING_TURNS + 5):
            turned_ns = time.monotonic_ns()
            hands.turn_ring(0.8 + 0.4 * (turn % 2) + 0.01 * turn)
            draw = _first_after(server, turned_ns)
            if turn >= 5:
                late.append((draw.drawn_ns - turned_ns) / 1e6)
                times = (
                    turned_ns,
                    draw.start_ns,
                    draw.readout_end_ns,
                    draw.ready_ns,
                    draw.drawn_ns,
                )
                steps = [(b - a) / 1e6 for a, b in itertools.pairwise(times)]
                stages.append((steps[0], steps[1], steps[2], steps[3]))
            # turns fall anywhere in the frame's cycle, not in step with it
            threading.Event().wait(0.15 + 0.037 * (turn % 5))
        size = _size_drawn(page)
    p50, p95, p99 = quantiles(late)
    middle = [quantiles([stage[i] for stage in stages])[0] for i in range(4)]
    return {
        "value": p50,
        "unit": "ms",
        "bar": 110.0,
        "met": p50 <= 110,
        "p50": p50,
        "p95": p95,
        "p99": p99,
        "stages_ms": dict(
            zip(("to_exposure", "exposure_and_readout", "to_jpeg", "to_drawn"), middle, strict=True)
        ),
        "note": f"pictures of {size}; p50 by stage: "
        + "ring to exposure {:.0f}, exposure and readout {:.0f}, link and JPEG {:.0f}, "
        "to drawn {:.0f} ms".format(*middle),
    }


@contextlib.contextmanager
def _viewfinder() -> Generator[tuple[Server, Phone, Hands, Page]]:
    """A module seated, a phone, a server, and Chromium showing the page."""
    from playwright.sync_api import sync_playwright

    chromium = os.environ.get("MODOPTIC_CHROMIUM") or shutil.which("chromium")
    if not chromium:
        raise ModopticError("no Chromium on PATH: apt install chromium, or set MODOPTIC_CHROMIUM")
    with (
        tempfile.TemporaryDirectory() as folder,
        start_device("xiaomi-mos-35", scene="studio", seated=True) as module,
        Phone(
            Gallery(Path(folder) / "gallery"), home=Path(folder) / "home", modules=[module.address]
        ) as phone,
        serve(phone, hands=None, port=0) as server,
        sync_playwright() as playwright,
    ):
        assert module.hands is not None
        hands = Hands(module.hands)
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_OPTIONS)
        page = browser.new_page(viewport={"width": 390, "height": 844})
        page.goto(server.url)
        phone.wait_for(_streaming, 30.0)
        try:
            yield server, phone, hands, page
        finally:
            browser.close()


def _size_drawn(page: Page) -> str:
    width, height = page.evaluate("(c => [c.width, c.height])(document.querySelector('#picture'))")
    return f"{width} x {height}"


def _streaming(state: PhoneState) -> bool:
    return state.active is not None and state.figures.frame_rate > 0


def _drawn(server: Server, frames: int) -> None:
    server.reset_figures()
    deadline = time.monotonic() + FRAMES_WITHIN_S
    while server.figures().drawn < frames:
        if time.monotonic() > deadline:
            raise ModopticError(
                f"the page drew {server.figures().drawn} of {frames} frames "
                f"in {FRAMES_WITHIN_S:g} s"
            )
        threading.Event().wait(0.1)


def _first_after(server: Server, turned_ns: int) -> Draw:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        for draw in server.draws()[-30:]:
            if draw.kind == "finder" and draw.start_ns >= turned_ns:
                return draw
        threading.Event().wait(0.02)
    raise ModopticError("no frame exposed after the ring was turned was drawn within 5 s")
