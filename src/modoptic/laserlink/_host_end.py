"""The phone's end of the link with its thread: a `HostMachine` on a carrier."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from modoptic.errors import AddressError, ProtocolError
from modoptic.frame import Frame, Settings
from modoptic.laserlink._address import parse_address
from modoptic.laserlink._buffers import StillPool
from modoptic.laserlink._carrier import HangUp, HostCarrier, Wake, wait
from modoptic.laserlink._connect import connect
from modoptic.laserlink._host_machine import HostListener, HostMachine
from modoptic.laserlink._manifest import Manifest, ManifestStore
from modoptic.laserlink._packets import OtherVersion

_log = logging.getLogger(__name__)

FIRST_RETRY_S: Final = 0.02
LAST_RETRY_S: Final = 0.25


class HostEnd:
    """One dock of the phone: finds the module at ``address`` and keeps finding it.

    Parameters
    ----------
    address : ``memory:/path.sock`` or ``tcp://127.0.0.1:port``
    listener : told what happens, from the link's own thread
    cache_dir : where manifests of modules that were met are kept; None keeps them in memory only
    built_in : this is the phone's own camera

    Raises
    ------
    AddressError : the address cannot be used, with the reason
    """

    def __init__(
        self,
        address: str,
        listener: HostListener,
        *,
        cache_dir: Path | None = None,
        built_in: bool = False,
    ) -> None:
        parse_address(address)
        self.address = address
        self.built_in = built_in
        self._listener = listener
        self._stills = StillPool()
        self._lock = threading.RLock()
        early: Callable[[str, Frame], None] | None = getattr(listener, "finder_begins", None)
        self._machine = HostMachine(
            ManifestStore(cache_dir), self._stills, early=early, enter=self._enter
        )
        self._wake = Wake()
        self._closing = False
        self._carrier: HostCarrier | None = None
        self._thread = threading.Thread(target=self._run, name="laserlink-host", daemon=True)

    def start(self) -> None:
        """Begin to look for the module."""
        self._thread.start()

    def close(self) -> None:
        """End the session and the thread; safe to call twice. Not from the listener."""
        self._closing = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(10.0)
        self._stills.close()
        self._wake.close()

    def __enter__(self) -> HostEnd:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # --- state

    @property
    def dock(self) -> str:
        """The dock's state by name: ``DETACHED``, ``SEATING``, ... ``READY``; see `Dock`."""
        return self._machine.dock.state

    @property
    def manifest(self) -> Manifest | None:
        """Of the module that is attached; None while there is none."""
        return self._machine.manifest

    @property
    def line_rate(self) -> float:
        """Payload bit/s of the last still, or of the last second where there was none."""
        return self._machine.line_rate

    @property
    def damaged(self) -> int:
        """Packets that arrived damaged since the start; each was asked for again."""
        return self._machine.damaged

    # --- requests

    def stream(self, name: str, settings: Settings) -> int:
        """Ask for frames of ``"finder"`` or ``"loupe"`` until replaced; the request's id.

        Raises
        ------
        DetachedError : no module is ready
        """
        with self._lock:
            request_id = self._machine.stream(name, settings)
        self._wake.set()
        return request_id

    def stop_stream(self, name: str) -> None:
        """No more frames of ``name``."""
        with self._lock:
            self._machine.stop_stream(name)
        self._wake.set()

    def shoot(self, settings: Settings) -> int:
        """Ask for a still; the request's id, which the listener's calls repeat.

        Raises
        ------
        DetachedError : no module is ready
        LinkError : BUSY, all still buffers of the module are in use
        """
        with self._lock:
            request_id = self._machine.shoot(settings)
        self._wake.set()
        return request_id

    def cancel(self, request_id: int) -> None:
        """Forget a still; the listener's ``still_lost`` follows unless it came whole before."""
        with self._lock:
            self._machine.cancel(request_id)
        self._wake.set()

    def flush(self) -> None:
        """Forget all that is not exposed yet, streams included."""
        with self._lock:
            self._machine.flush()
        self._wake.set()

    def set_lens(
        self, focus_distance_m: float | None = None, f_number: float | None = None
    ) -> None:
        """Move the lens at once, before the next exposure asks for it."""
        with self._lock:
            self._machine.set_lens(focus_distance_m, f_number)
        self._wake.set()

    def ack_durable(self, frame_id: int) -> None:
        """The still ``frame_id`` of its metadata is safe on disk: the module may forget it."""
        with self._lock:
            self._machine.ack_durable(frame_id)
        self._wake.set()

    # --- the thread

    def _enter(self, action: Callable[[], None]) -> None:
        with self._lock:
            action()
        self._wake.set()

    def _run(self) -> None:
        pause = FIRST_RETRY_S
        while not self._closing:
            try:
                self._carrier = connect(self.address)
            except OSError as error:
                self._nobody(f"no module answers there ({error.strerror or error}); start it first")
            except AddressError as error:
                self._nobody(str(error))
            except Exception as error:
                _log.exception("%s cannot be reached; tried again", self.address)
                self._nobody(f"it cannot be reached: {error}")
            if self._carrier is not None and self._serve(self._carrier):
                pause = FIRST_RETRY_S
            if not self._closing:
                self._rest(pause)
                pause = min(2 * pause, LAST_RETRY_S)

    def _nobody(self, why: str) -> None:
        """Say once why there is no module; why one went away is the better reason."""
        dock = self._machine.dock
        if not dock.why or dock.state == "REFUSED":
            with self._lock:
                self._machine.hung_up(why)
            self._tell()

    def _rest(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._closing and (left := until - time.monotonic()) > 0:
            wait([(self._wake.fileno(), 1)], left)
            self._wake.clear()

    def _serve(self, carrier: HostCarrier) -> bool:
        """Until the carrier hangs up; True if a module was there and kept to the protocol."""
        why, fault, met = "the link was closed", False, False
        refused: OtherVersion | None = None
        try:
            while not self._closing:
                met = met or self._machine.dock.state != "DETACHED"
                self._turn(carrier)
        except HangUp as error:
            why = str(error)
        except OtherVersion as error:
            refused = error
        except ProtocolError as error:
            why, fault = str(error), True
            if why != self._machine.dock.why:  # whoever talks nonsense does so at each try
                _log.warning("%s: %s; the connection is closed", self.address, error)
        except Exception as error:
            # whatever a module made this end do, the dock is there for the next one
            why, fault = f"the link failed on what the module sent: {error!r}", True
            if why != self._machine.dock.why:
                _log.exception("%s: the connection is closed", self.address)
        finally:
            carrier.close()
            self._carrier = None
        with self._lock:
            if refused is not None:
                self._machine.refuse(refused.major)
            else:
                self._machine.hung_up(why, fault=fault)
        self._tell()
        return met and not fault and refused is None

    def _turn(self, carrier: HostCarrier) -> None:
        """Wait for something, take a batch of it, answer, tell the listener."""
        now = time.monotonic()
        times = (carrier.tick(now), self._machine.wake_at(), self._stills.drop_old(now))
        due = min((t for t in times if t is not None), default=None)
        timeout = None if due is None else max(0.0, due - now)
        wait([(self._wake.fileno(), 1), *carrier.files()], timeout)
        self._wake.clear()
        more = True
        while more and not self._closing:
            try:
                with self._lock:
                    now = time.monotonic()
                    carrier.tick(now)
                    more = carrier.receive(self._machine, now)
                    self._machine.settle(now)
                    carrier.send_control(self._machine.control_out())
            finally:
                # also what came before a hang-up
                self._tell()

    def _tell(self) -> None:
        news = self._machine.news
        while news:
            try:
                news.popleft()(self._listener)
            except Exception:
                _log.exception("the listener of %s failed; the link goes on", self.address)
        # the listener may have asked for something
        carrier = self._carrier
        if carrier is not None:
            with self._lock:
                carrier.send_control(self._machine.control_out())
