"""The phone process: phone, gallery and page put together."""

from __future__ import annotations

import argparse
import math
import os
import signal
import sys
import tempfile
import threading
import time
import webbrowser
from collections.abc import Callable
from pathlib import Path

from modoptic.cli._folders import gallery_folder, home_folder
from modoptic.devices import DeviceProcess
from modoptic.errors import ModopticError
from modoptic.host import Phone
from modoptic.host.state import CameraState, Choose, PhoneState, SetControls
from modoptic.photo import Gallery
from modoptic.twin.hands import Hands
from modoptic.web import serve

PORT = 8035
CAMERA_WITHIN_S = 30.0
PHOTO_WITHIN_S = 300.0

Condition = Callable[[PhoneState], bool]


def run_phone(
    args: argparse.Namespace,
    *,
    modules: list[str],
    built_in: str | None,
    hands: str | None,
) -> int:
    """Run the phone and its page until Ctrl-C."""
    stop = threading.Event()

    def on_signal(number: int, frame: object) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    gallery = Gallery(gallery_folder(args.gallery))
    with (
        Phone(gallery, home=home_folder(), modules=modules, built_in=built_in) as phone,
        serve(
            phone,
            hands=Hands(hands) if hands else None,
            host=args.listen,
            port=PORT if args.port is None else args.port,
            port_asked=args.port is not None,
        ) as server,
    ):
        print(f"Ready: {server.url}", flush=True)
        print(f"Photos go to {gallery.folder}. Ctrl-C ends it.", flush=True)
        if not args.no_browser and _has_display():
            webbrowser.open(server.url)
        stop.wait()
        print("Closing ...", flush=True)
    return 0


def _has_display() -> bool:
    if not sys.platform.startswith("linux"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def run_once(args: argparse.Namespace, *, module: DeviceProcess, built_in: DeviceProcess) -> int:
    """Attach, focus, shoot wide open and stopped down, pull off; print figures and files.

    The phone is a new one: it changes nothing that the user's own has kept.
    """
    gallery = Gallery(gallery_folder(args.gallery))
    hands = Hands(module.hands) if module.hands else None
    with (
        tempfile.TemporaryDirectory(prefix="modoptic-") as home,
        Phone(
            gallery, home=Path(home), modules=[module.address], built_in=built_in.address
        ) as phone,
    ):
        _wait(phone, lambda state: state.active is not None, "the built-in camera")
        if hands is not None:
            hands.seat()
        state = _wait(phone, _module_active, "the module")
        camera = _active(state)
        if hands is not None:
            state = _wait(phone, lambda now: now.dock.ready_ms is not None, "the first picture")
            print(f"Attached {camera.title}: first picture after {state.dock.ready_ms:.0f} ms")
            focus_m = max(1.0, state.lens.focus_min_m) if state.lens else 1.0
            hands.turn_ring(focus_m)
            _wait(phone, _focused_at(focus_m), "the focus ring")
        sizes = state.still_megapixels
        phone.act(Choose(still_size=max(sizes) if args.size == "full" else min(sizes)))
        irises = _irises(state)
        if len(irises) == 1:
            print(f"{camera.title} has f/{irises[0]:.3g} alone: one photo")
        for f_number in irises:
            phone.act(SetControls(f_number=f_number))
            _settle(phone, f_number)
            start = time.perf_counter()
            photo = phone.shoot().result(PHOTO_WITHIN_S)
            took = time.perf_counter() - start
            files = ", ".join(str(path) for path in (photo.jpeg, photo.dng) if path)
            print(f"f/{f_number:.3g}: {took:.1f} s from release to gallery: {files}", flush=True)
        if hands is not None:
            start = time.perf_counter()
            hands.pull()
            _wait(phone, lambda now: _active_or_none(now, built_in=True), "the built-in camera")
            print(f"Pulled off: back on the phone's camera {_ms_since(start):.0f} ms after it")
        print("Done.")
    return 0


def _irises(state: PhoneState) -> list[float]:
    """f/1.4 and f/8, or the nearest that the active camera has; one where that is all."""
    if state.lens is None:
        return [1.4]
    low, high = state.lens.f_number.minimum, state.lens.f_number.maximum
    return sorted({min(max(wanted, low), high) for wanted in (1.4, 8.0)})


def _wait(phone: Phone, condition: Condition, what: str) -> PhoneState:
    try:
        return phone.wait_for(condition, CAMERA_WITHIN_S)
    except TimeoutError:
        raise ModopticError(
            f"waited {CAMERA_WITHIN_S:g} s for {what}; the dock says "
            f"{phone.state().dock.state} {phone.state().dock.why}".rstrip()
        ) from None


def _active(state: PhoneState) -> CameraState:
    return next(camera for camera in state.cameras if camera.id == state.active)


def _module_active(state: PhoneState) -> bool:
    return _active_or_none(state, built_in=False)


def _active_or_none(state: PhoneState, *, built_in: bool) -> bool:
    return any(c.id == state.active and c.built_in is built_in for c in state.cameras)


def _focused_at(distance_m: float) -> Condition:
    def focused(state: PhoneState) -> bool:
        now = state.lens.focus_distance_m if state.lens else None
        return now is not None and math.isclose(now, distance_m, rel_tol=0.01)

    return focused


def _settle(phone: Phone, f_number: float) -> None:
    """Let the exposure follow the iris, as a person would before releasing."""
    _wait(
        phone,
        lambda state: (
            state.lens is not None
            and math.isclose(state.lens.f_number.value, f_number, rel_tol=0.01)
        ),
        "the iris",
    )
    seen: list[float] = []
    steady = threading.Event()

    def look(state: PhoneState) -> None:
        if state.exposure_s is None or state.iso is None:
            return
        seen.append(math.log2(state.exposure_s.value * state.iso.value))
        if len(seen) > 6 and max(seen[-6:]) - min(seen[-6:]) < 0.1:
            steady.set()

    unsubscribe = phone.subscribe(look)
    steady.wait(1.5)
    unsubscribe()


def _ms_since(start: float) -> float:
    return (time.perf_counter() - start) * 1e3
