"""The phone: the cameras it has now, what it shows, what it does when asked."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol, Self

import msgspec

from modoptic.errors import DetachedError, LinkError, ModopticError, SettingError
from modoptic.frame import Frame, Settings
from modoptic.host import _preferences
from modoptic.host._camera import Camera
from modoptic.host._capture import Capture, Photo
from modoptic.host._darkroom import Darkroom
from modoptic.host._exposure import Metering
from modoptic.host._finder import Finder, Shown
from modoptic.host._loop import Loop
from modoptic.host._shots import Order, Phase, Shots
from modoptic.host.state import (
    Action,
    AutoFocus,
    Choose,
    DockState,
    Figures,
    FinderFrame,
    LensState,
    Magnify,
    Notice,
    PhoneState,
    SetControls,
    Shoot,
    SwitchCamera,
)
from modoptic.laserlink import HostEnd, HostListener, Manifest, StillBuffer
from modoptic.photo import Gallery
from modoptic.source import RingTurned

_TELL_EVERY_S = 0.05
"""For so long changes are gathered; important ones are told at once."""
_FIGURES_EVERY_S = 0.25
_NOTICES_KEPT = 20
_RATE_OVER_S = 1.0


class Link(Protocol):
    """Makes the phone's end of a link; `laserlink.HostEnd` does."""

    def __call__(
        self, address: str, listener: HostListener, *, cache_dir: Path | None, built_in: bool
    ) -> HostEnd: ...


class _Socket:
    """One place where a camera can be: its link, and the camera while it is ready."""

    def __init__(self, address: str, *, built_in: bool) -> None:
        self.address = address
        self.built_in = built_in
        self.link: HostEnd  # set right after, because the link needs its listener first
        self.dock = DockState(carrier=address.partition(":")[0])
        self.camera: Camera | None = None
        self.ring: RingTurned | None = None
        """Where the module's focus ring stands, if it has one."""
        self.seated_ns: int | None = None
        """When the hand seated it, until its first picture is shown."""
        self.finder: Settings | None = None
        """Asked of the link last; None while the stream is stopped."""
        self.loupe: Settings | None = None


class _Listener:
    """Carries what a link says into the phone's thread."""

    def __init__(self, phone: Phone, socket: _Socket) -> None:
        self._phone = phone
        self._socket = socket

    def dock_changed(self, state: str, why: str, at_ns: int) -> None:
        self._post(lambda: self._phone.on_dock(self._socket, state, why, at_ns))

    def ready(self, manifest: Manifest, known: bool) -> None:
        self._post(lambda: self._phone.on_ready(self._socket, manifest, known))

    def detached(self, why: str) -> None:
        self._post(lambda: self._phone.on_detached(self._socket, why))

    def ring_turned(self, event: RingTurned) -> None:
        self._post(lambda: self._phone.on_ring(self._socket, event))

    def finder_begins(self, name: str, frame: Frame) -> None:
        self._phone.finder.begins(self._socket, name, frame)

    def finder(self, name: str, frame: Frame) -> None:
        self._phone.finder.whole(frame)

    def still_progress(self, request_id: int, phase: Phase, fraction: float) -> None:
        link = self._socket.link
        self._post(lambda: self._phone.shots.progress(link, request_id, phase, fraction))

    def still_begins(self, request_id: int, frame: StillBuffer) -> None:
        link = self._socket.link
        self._post(lambda: self._phone.shots.begins(link, request_id, frame))

    def still_done(self, request_id: int) -> None:
        link = self._socket.link
        self._post(lambda: self._phone.shots.crossed(link, request_id))

    def still_lost(self, request_id: int, why: str, frame: Frame | None) -> None:
        link = self._socket.link
        self._post(lambda: self._phone.shots.not_crossed(link, request_id, why))

    def _post(self, work: Callable[[], None]) -> None:
        self._phone.post(work)


class Phone:
    """A phone with its cameras, viewfinder, shutter and gallery.

    Everything that changes does so in one thread of its own; methods may be called from any.

    Parameters
    ----------
    gallery : where photos go
    home : folder of the phone's settings and of the modules it has met
    modules : link addresses where a module may be seated
    built_in : link address of the phone's own camera, if it has one
    link : makes the phone's end of a link; for tests
    darkroom : command that runs the developer; for tests

    Raises
    ------
    StorageError : the gallery or home cannot be written
    AddressError : an address that cannot be used
    """

    def __init__(
        self,
        gallery: Gallery | Path,
        *,
        home: Path,
        modules: Sequence[str] = (),
        built_in: str | None = None,
        link: Link = HostEnd,
        darkroom: tuple[str, ...] | None = None,
    ) -> None:
        # beside one busy thread a hand-over takes 17 ms at Python's default interval, 0.13 ms so
        sys.setswitchinterval(0.0005)
        self.gallery: Gallery = gallery if isinstance(gallery, Gallery) else Gallery(gallery)
        self._own_gallery = not isinstance(gallery, Gallery)
        self._home = home
        self._preferences = _preferences.load(home)
        self._active: _Socket | None = None
        self._sequence = 0
        self._figures = Figures()
        self._notices: tuple[Notice, ...] = ()
        self._notice_count = 0
        self._histogram: tuple[int, ...] = ()
        self._clipped = 0.0
        self._shown_ns: list[int] = []
        self._told_s = 0.0
        self._telling_at: float | None = None
        self._subscribers: list[Callable[[PhoneState], None]] = []
        self._changed = threading.Condition()
        self._closed = False
        self._began_ns = time.monotonic_ns()
        self._loop = Loop("phone")
        self.finder = Finder[_Socket](lambda shown: self.post(lambda: self._on_shown(shown)))
        self._darkroom = Darkroom(
            lambda message: self.post(lambda: self.shots.developed(message)), darkroom
        )
        self.shots = Shots(self.gallery, self._darkroom, self.post, self)
        self._sockets = [_Socket(address, built_in=False) for address in modules]
        if built_in is not None:
            self._sockets.append(_Socket(built_in, built_in=True))
        self._state = self._snapshot()
        try:
            for socket in self._sockets:
                socket.link = link(
                    socket.address,
                    _Listener(self, socket),
                    cache_dir=home / "modules",
                    built_in=socket.built_in,
                )
            for socket in self._sockets:
                socket.link.start()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the cameras; end every thread and process. Photos under way are lost."""
        if self._closed:
            return
        self._closed = True
        self.finder.close()  # first: it holds frames that belong to the links
        for socket in self._sockets:
            if hasattr(socket, "link"):
                socket.link.close()
        self._loop.call(self.shots.close)
        self._darkroom.close()
        self._loop.close()
        if self._own_gallery:
            self.gallery.close()

    # what people see and do

    def state(self) -> PhoneState:
        """The phone at this moment."""
        return self._state

    def subscribe(self, callback: Callable[[PhoneState], None]) -> Callable[[], None]:
        """Call ``callback`` when something changed, from the phone's thread.

        It must return at once. At most 20 times a second, and at once for what is important.
        Returns what ends it.
        """
        self._loop.call(lambda: self._subscribers.append(callback))

        def unsubscribe() -> None:
            self.post(lambda: self._subscribers.remove(callback))

        return unsubscribe

    def on_finder(self, callback: Callable[[FinderFrame], None]) -> Callable[[], None]:
        """Call ``callback`` with each finder or magnifier picture, from the finder's thread.

        It must return at once. Returns what ends it.
        """
        return self.finder.subscribe(callback)

    def shows(self, width: int | None) -> None:
        """Say how many pixels across finder pictures are looked at; None if that is not known.

        They are made at half their size where that is enough, which spares a third of the work.
        """
        self.finder.shown_width = width

    def wait_for(
        self, condition: Callable[[PhoneState], bool], timeout_s: float = 10.0
    ) -> PhoneState:
        """Wait until the state meets ``condition``, and return it.

        Raises
        ------
        TimeoutError : it did not within ``timeout_s``
        """
        with self._changed:
            if not self._changed.wait_for(lambda: condition(self._state), timeout_s):
                raise TimeoutError(f"the phone did not get there within {timeout_s:g} s")
            return self._state

    def act(self, action: Action) -> None:
        """Do what ``action`` says; returns when it was begun.

        Raises
        ------
        SettingError : a value that the camera does not have
        DetachedError : there is no camera to do it
        StorageError : the photo's place in the gallery, or the settings, cannot be written
        """
        if isinstance(action, Shoot):
            self.shoot()
            return
        self._loop.call(lambda: self._act(action))

    def shoot(self) -> Capture:
        """Release the shutter of the active camera with the settings of this moment.

        Raises
        ------
        DetachedError : there is no camera
        StorageError : the gallery cannot be written
        """
        return self._loop.call(self._shoot)

    def post(self, work: Callable[[], None]) -> None:
        """Run ``work`` in the phone's thread."""
        self._loop.post(work)

    def _act(self, action: Action) -> None:
        if isinstance(action, Choose):
            self._choose(action)
        elif isinstance(action, SwitchCamera):
            self._switch(action.camera)
        else:
            socket, camera = self._camera()
            if isinstance(action, SetControls):
                camera.check(action)
                camera.take_over(action)
                self.finder.look(socket, camera.info.id, camera.look())
                if action.focus_distance_m is not None:
                    socket.link.set_lens(focus_distance_m=camera.settings.focus_distance_m)
            elif isinstance(action, Magnify):
                _check_point("magnifier", action.at)
                camera.magnified = action.at
            elif isinstance(action, AutoFocus):
                _check_point("focus point", action.at)
                camera.start_autofocus(action.at, time.monotonic())
            self._refresh(socket)
        self._tell(important=True)

    def _choose(self, action: Choose) -> None:
        was = self._preferences
        full = was.full_size
        if action.still_size is not None:
            sizes = self._camera()[1].sizes()
            if action.still_size not in sizes:
                expected = " or ".join(f"{size:g}" for size in sizes)
                raise SettingError("photo size", action.still_size, f"{expected} megapixels")
            full = action.still_size == max(sizes)
        chosen = _preferences.Preferences(
            auto_switch=was.auto_switch if action.auto_switch is None else action.auto_switch,
            full_size=full,
            save_dng=was.save_dng if action.save_dng is None else action.save_dng,
            dng_compression=action.dng_compression or was.dng_compression,
        )
        if chosen != was:
            self._preferences = chosen
            _preferences.save(self._home, chosen)

    def _switch(self, camera: str) -> None:
        for socket in self._sockets:
            if socket.camera is not None and socket.camera.info.id == camera:
                self._activate(socket)
                return
        ready = [s.camera.info.id for s in self._sockets if s.camera is not None]
        raise SettingError("camera", camera, ", ".join(ready) or "no camera is attached")

    def _shoot(self) -> Capture:
        socket, camera = self._camera()
        chosen = self._preferences
        sizes = camera.sizes()
        return self.shots.release(
            Order(
                link=socket.link,
                settings=camera.still_settings(full=chosen.full_size),
                calibration=camera.calibration,
                neutral=camera.neutral,
                megapixels=max(sizes) if chosen.full_size else min(sizes),
                save_dng=chosen.save_dng,
                dng_compression=chosen.dng_compression,
            )
        )

    def _camera(self) -> tuple[_Socket, Camera]:
        if self._active is None or self._active.camera is None:
            raise DetachedError("there is no camera; snap a module on, or wait until it is ready")
        return self._active, self._active.camera

    # what the links say; in the phone's thread, but for frames

    def on_dock(self, socket: _Socket, state: str, why: str, at_ns: int) -> None:
        # the first state after DETACHED is the hand's signal
        if socket.dock.state == "DETACHED" and state != "DETACHED":
            # a module that was there before the phone came up has nothing to be timed
            socket.seated_ns = at_ns if at_ns >= self._began_ns else None
            socket.dock = msgspec.structs.replace(socket.dock, ready_ms=None)
        socket.dock = msgspec.structs.replace(socket.dock, state=state, why=why)
        self._tell(important=True)

    def on_ready(self, socket: _Socket, manifest: Manifest, known: bool) -> None:
        info, calibration = manifest.info, manifest.calibration
        before = self._active.camera if self._active is not None else None
        socket.camera = Camera(info, calibration, before)
        if socket.ring is not None:
            socket.camera.focus(socket.ring.focus_distance_m)
        socket.dock = msgspec.structs.replace(socket.dock, known=known)
        wanted = self._preferences.auto_switch and not socket.built_in
        if self._active is None or wanted:
            self._activate(socket)
        self._tell(important=True)

    def on_detached(self, socket: _Socket, why: str) -> None:
        camera, socket.camera = socket.camera, None
        socket.finder = socket.loupe = None
        socket.seated_ns = socket.ring = None
        if self._active is socket:
            self._active = None
            # the picture first, then the paperwork
            instead = next((s for s in self._by_preference() if s.camera is not None), None)
            if instead is not None:
                self._activate(instead)
            else:
                self.finder.show(None)
        self.shots.detached(socket.link)
        if camera is not None and why:
            said = " pulled off" if why == "pulled off" else f": {why}"
            self._notice("info", f"{camera.info.title}{said}")
        self._tell(important=True)

    def on_ring(self, socket: _Socket, event: RingTurned) -> None:
        socket.ring = event
        if socket.camera is None:  # a session begins with where the ring stands
            return
        socket.camera.autofocus = None  # the hand has the last word
        socket.camera.focus(event.focus_distance_m)
        self._refresh(socket)
        self._tell()

    # inside

    def _by_preference(self) -> list[_Socket]:
        return sorted(self._sockets, key=lambda socket: not socket.built_in)

    def _activate(self, socket: _Socket) -> None:
        """Show the picture of a camera that is ready; the other's stream rests."""
        camera = socket.camera
        assert camera is not None
        was, self._active = self._active, socket
        self.finder.look(socket, camera.info.id, camera.look())
        self.finder.show(socket)
        self._refresh(socket)
        if was is not None and was is not socket:
            self._refresh(was)

    def _refresh(self, socket: _Socket) -> None:
        """Ask the link for what the camera shall do now, where that differs from what it does."""
        camera = socket.camera
        if camera is None:
            return
        shown = socket is self._active
        finder = camera.settings if shown else None
        loupe = camera.loupe_settings() if shown and camera.magnified else None
        try:
            if finder != socket.finder:
                _ask(socket.link, "finder", finder)
                socket.finder = finder
            if loupe != socket.loupe:
                _ask(socket.link, "loupe", loupe)
                socket.loupe = loupe
        except LinkError:
            pass  # it is going away; `on_detached` follows

    def _on_shown(self, shown: Shown[_Socket]) -> None:
        """A picture was made from a frame: learn from it."""
        socket = shown.place
        camera = socket.camera
        if camera is None or socket is not self._active:
            return
        header = shown.header
        if shown.stats is not None and header.kind == "finder":
            stats = shown.stats
            in_force = shown.meta.settings
            metering = Metering(stats.level, stats.highlight, stats.clipped, in_force)
            camera.meter(metering, stats.zones)
            if camera.autofocus is not None:
                contrast = stats.contrast_at(camera.autofocus_at)
                camera.sharpness(in_force.focus_distance_m, contrast, time.monotonic())
            self.finder.look(socket, camera.info.id, camera.look())
            self._refresh(socket)
            self._histogram, self._clipped = stats.histogram, stats.clipped
        self._measure(socket, shown)

    def _measure(self, socket: _Socket, shown: Shown[_Socket]) -> None:
        header = shown.header
        figures: dict[str, float | int | None] = {
            "frame_age_ms": (header.ready_ns - header.readout_end_ns) / 1e6,
            "skipped": shown.skipped,
            "link_gbit_s": socket.link.line_rate / 1e9,
        }
        if header.kind == "finder":
            since = header.ready_ns - _RATE_OVER_S * 1e9
            self._shown_ns = [t for t in self._shown_ns if t > since] + [header.ready_ns]
            spans = len(self._shown_ns) - 1
            if spans > 0:
                figures["frame_rate"] = spans * 1e9 / (self._shown_ns[-1] - self._shown_ns[0])
        first = socket.seated_ns is not None
        if socket.seated_ns is not None:
            took = (header.ready_ns - socket.seated_ns) / 1e6
            socket.seated_ns = None
            socket.dock = msgspec.structs.replace(socket.dock, ready_ms=took)
            if not socket.built_in:
                figures["attach_ms"] = took
        self._figures = msgspec.structs.replace(self._figures, **figures)
        self._tell(important=first, within_s=_FIGURES_EVERY_S)

    # what the queue of shots says

    def shots_changed(self, *, important: bool) -> None:
        self._tell(important=important)

    def shot_finished(self, photo: Photo, shot_s: float, develop_s: float) -> None:
        self._figures = msgspec.structs.replace(self._figures, shot_s=shot_s, develop_s=develop_s)
        self._tell(important=True)

    def shot_warned(self, name: str, why: str) -> None:
        self._notice("warning", why, name)

    def shot_lost(self, name: str, why: str) -> None:
        self._notice("error", f"{name} was lost: {why}", name)

    def _notice(
        self, level: Literal["info", "warning", "error"], text: str, shot: str = ""
    ) -> None:
        self._notice_count += 1
        notice = Notice(id=self._notice_count, level=level, text=text, shot=shot)
        self._notices = (*self._notices, notice)[-_NOTICES_KEPT:]
        self._tell(important=True)

    # telling

    def _tell(self, *, important: bool = False, within_s: float = _TELL_EVERY_S) -> None:
        """Say that something changed: now, or together with what else changes soon."""
        now = time.monotonic()
        if important or now - self._told_s >= within_s:
            self._tell_now()
            return
        when = self._told_s + within_s
        if self._telling_at is None or when < self._telling_at:
            self._telling_at = when
            self._loop.at(when, lambda: self._tell_gathered(when))

    def _tell_gathered(self, when: float) -> None:
        if self._telling_at == when:
            self._tell_now()

    def _tell_now(self) -> None:
        self._told_s, self._telling_at = time.monotonic(), None
        self._sequence += 1
        state = self._snapshot()
        with self._changed:
            self._state = state
            self._changed.notify_all()
        for subscriber in tuple(self._subscribers):
            subscriber(state)

    def _snapshot(self) -> PhoneState:
        socket = self._active
        camera = socket.camera if socket is not None else None
        chosen = self._preferences
        sizes = camera.sizes() if camera else ()
        lens: LensState | None = camera.lens_state() if camera else None
        return PhoneState(
            sequence=self._sequence,
            active=camera.info.id if camera else None,
            cameras=tuple(s.camera.camera_state() for s in self._sockets if s.camera is not None),
            dock=self._dock(),
            lens=lens,
            exposure_s=camera.shutter_control() if camera else None,
            iso=camera.iso_control() if camera else None,
            ev=camera.ev if camera else 0.0,
            white_balance="manual" if camera and camera.kelvin_by_hand else "auto",
            white_kelvin=camera.kelvin if camera else 5500.0,
            auto_switch=chosen.auto_switch,
            magnifier=camera.magnified if camera else None,
            still_megapixels=sizes,
            still_size=(max(sizes) if chosen.full_size else min(sizes)) if sizes else 0.0,
            save_dng=chosen.save_dng,
            dng_compression=chosen.dng_compression,
            shots=self.shots.states(),
            notices=self._notices,
            figures=self._figures,
            histogram=self._histogram,
            clipped=self._clipped,
            gallery_dir=str(self.gallery.folder),
        )

    def _dock(self) -> DockState:
        """Of the first module that is not away; the built-in camera is never docked."""
        modules = [s for s in self._sockets if not s.built_in]
        if not modules:
            return DockState()
        socket = next((s for s in modules if s.dock.state != "DETACHED"), modules[0])
        dock = socket.dock
        if socket.camera is not None:
            power = socket.camera.info.power_mw
            state = "finder" if socket is self._active else "standby"
            rate = socket.link.line_rate / 1e9
            dock = msgspec.structs.replace(dock, power_mw=power.get(state, 0.0), link_gbit_s=rate)
        return dock


def _ask(link: HostEnd, stream: str, settings: Settings | None) -> None:
    if settings is None:
        link.stop_stream(stream)
    else:
        link.stream(stream, settings)


def _check_point(what: str, at: tuple[float, float] | None) -> None:
    if at is not None and not all(0.0 <= part <= 1.0 for part in at):
        raise SettingError(what, at, "x and y from 0 to 1 of the picture")


__all__ = ["Link", "ModopticError", "Phone"]
