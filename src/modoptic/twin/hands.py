"""A person's hands on the twin: seat, pull off, turn the ring, change what is before the lens.

They reach the twin over a local socket of their own, never over the link. A request is one line of
JSON, ``{"do": "turn_ring", "focus_distance_m": 1.2}``, and so is the answer,
``{"ok": {...}}`` or ``{"error": "...", "kind": "setting"}``.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import socket
import threading
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from modoptic.errors import AddressError, DetachedError, LinkError, ModopticError, SettingError
from modoptic.scenes import scene_names
from modoptic.twin._twin import Twin

__all__ = ["Dock", "Hands", "HandsServer"]

_log = logging.getLogger(__name__)
_MAX_LINE = 64 * 1024
_ANSWER_WITHIN_S = 10.0


class Dock(Protocol):
    """The module's end of the dock, as far as hands can move it."""

    def seat(self) -> None: ...
    def pull(self) -> None: ...
    def tilt(self, deg: float, /) -> None: ...
    def set_line(self, bit_s: float | None, /) -> None: ...
    @property
    def seated(self) -> bool: ...
    @property
    def line(self) -> float | None: ...


class _Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    do: str
    degrees: float = 0.0
    focus_distance_m: float | None = None
    scene: str = ""
    bits_per_s: float | None = None


class HandsServer:
    """Serves requests on a Unix socket (mode 0600) in threads of its own, until closed.

    Raises
    ------
    AddressError : the socket cannot be made there
    """

    def __init__(self, path: str, twin: Twin, dock: Dock) -> None:
        self.path = path
        self._twin = twin
        self._dock = dock
        self._closed = False
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        old = os.umask(0o177)
        try:
            self._socket.bind(path)
            self._socket.listen(16)
        except OSError as error:
            self._socket.close()
            problem = error.strerror or error
            raise AddressError(f"no socket for hands can be made at {path}: {problem}") from error
        finally:
            os.umask(old)
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, name="hands", daemon=True).start()

    def close(self) -> None:
        """Hang up on everybody and remove the socket."""
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(OSError):
            os.unlink(self.path)  # noqa: PTH108
        with self._lock:
            open_now = [self._socket, *self._connections]
        for each in open_now:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def __enter__(self) -> HandsServer:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _accept(self) -> None:
        while not self._closed:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with self._lock:
                self._connections.add(connection)
            threading.Thread(
                target=self._serve, args=(connection,), name="hands-one", daemon=True
            ).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rb") as lines:
                while line := lines.readline(_MAX_LINE + 1):
                    whole = line.endswith(b"\n")
                    reply = self._answer(line) if whole else _refusal("a line of 64 KiB at most")
                    connection.sendall(json.dumps(reply).encode() + b"\n")
                    if not whole:
                        return
        except OSError:
            pass  # they let go
        finally:
            with self._lock:
                self._connections.discard(connection)

    def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = msgspec.json.decode(line, type=_Request)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            return _refusal(f"this is no request: {error}")
        doings: dict[str, Callable[[], object]] = {
            "seat": self._dock.seat,
            "pull": self._dock.pull,
            "tilt": lambda: self._dock.tilt(request.degrees),
            "turn_ring": lambda: self._twin.turn_ring(
                math.inf if request.focus_distance_m is None else request.focus_distance_m
            ),
            "set_scene": lambda: self._set_scene(request.scene),
            "set_line": lambda: self._dock.set_line(request.bits_per_s),
            "state": lambda: None,
        }
        if request.do not in doings:
            return _refusal(f"hands cannot {request.do!r}; they can {', '.join(doings)}")
        try:
            doings[request.do]()
            return {"ok": self._state()}
        except ModopticError as error:
            return _refusal(str(error))
        except Exception as error:
            _log.exception("hands failed")
            return _refusal(f"{request.do} failed: {error}")

    def _set_scene(self, name: str) -> None:
        if name.partition("@")[0] not in scene_names():
            raise SettingError("scene", name, ", ".join(scene_names()), "hands")
        self._twin.set_scene(name)

    def _state(self) -> dict[str, Any]:
        twin = self._twin
        focus = twin.focus_distance_m
        return {
            "definition": twin.definition.name,
            "title": twin.info.title,
            "scene": twin.scene.name,
            "scene_loading": twin.scene_loading,
            "scene_error": twin.scene_error,
            "scenes": list(scene_names()),
            "focus_distance_m": None if math.isinf(focus) else focus,
            "seated": self._dock.seated,
            "line": self._dock.line,
        }


def _refusal(text: str) -> dict[str, Any]:
    return {"error": text}


class Hands:
    """Moves a twin that is served by `HandsServer` at ``path``. May be used from several threads.

    Every method raises `DetachedError` when the twin is gone or does not answer within 10 s, and
    `LinkError` with the twin's own words when it refuses.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def seat(self) -> None:
        """Snap the module on."""
        self._ask("seat")

    def pull(self) -> None:
        """Pull the module off."""
        self._ask("pull")

    def tilt(self, degrees: float) -> None:
        """Let the module sit askew by an angle."""
        self._ask("tilt", degrees=degrees)

    def turn_ring(self, focus_distance_m: float) -> None:
        """Turn the focus ring to a distance; ``inf`` is infinity."""
        asked = None if math.isinf(focus_distance_m) else focus_distance_m
        self._ask("turn_ring", focus_distance_m=asked)

    def set_scene(self, name: str) -> None:
        """Put another scene before the lens; the old one stays until it is ready."""
        self._ask("set_scene", scene=name)

    def set_line(self, bits_per_s: float | None) -> None:
        """Slow the light down to so many bits a second; None is full speed."""
        self._ask("set_line", bits_per_s=bits_per_s)

    def state(self) -> dict[str, Any]:
        """definition, title, scene, scene_loading, scene_error, scenes, focus_distance_m (None is
        infinity), seated, line."""
        return self._ask("state")

    def _ask(self, do: str, **fields: object) -> dict[str, Any]:
        request = json.dumps({"do": do, **fields}).encode() + b"\n"
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(_ANSWER_WITHIN_S)
                connection.connect(self.path)
                connection.sendall(request)
                with connection.makefile("rb") as lines:
                    line = lines.readline(_MAX_LINE)
        except OSError as error:
            raise DetachedError(f"no hands on a twin at {self.path}: {error}") from error
        if not line:
            raise DetachedError(f"the twin at {self.path} went away while it was asked to {do}")
        reply = json.loads(line)
        if "error" in reply:
            raise LinkError(str(reply["error"]))
        return reply["ok"]
