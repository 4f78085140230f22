"""The pages that look at the phone now.

Each viewer has one slot for each kind of picture. A new frame replaces the one that waits there,
and at most two frames are on their way to a page at a time; the page's ack frees a place. So a
slow or vanished browser costs two frames of memory and delays nobody else.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect

from modoptic.errors import ModopticError, SettingError
from modoptic.host.state import FinderFrame, SetControls
from modoptic.web._contracts import PhoneLike
from modoptic.web._figures import Draw, FigureBook
from modoptic.web._hands import HandsDesk
from modoptic.web._messages import (
    Ack,
    HandsRequest,
    Message,
    Ping,
    TakeControl,
    View,
    decode_message,
    pack_frame,
    state_text,
    text,
)

log = logging.getLogger("modoptic.web")

FRAMES_IN_FLIGHT = 2
STATE_INTERVAL_S = 1 / 30
_MAX_WAITING_ACTIONS = 64
_MAX_WAITING_TEXTS = 64
_Request = Any  # an Action or a HandsRequest


class Viewer:
    """One page."""

    def __init__(self, hub: Hub, socket: WebSocket, number: int) -> None:
        self.number = number
        self.width: int | None = None
        """Display pixels across its finder picture, once it has said so."""
        self._hub = hub
        self._socket = socket
        self._slots: dict[str, FinderFrame] = {}
        self._in_flight: dict[int, tuple[FinderFrame, int]] = {}
        self._greeting: FinderFrame | None = None
        self._ticket = 0
        self._texts: deque[str] = deque(maxlen=_MAX_WAITING_TEXTS)
        self._state: str | None = None
        self._wake = asyncio.Event()
        self._requests: deque[_Request] = deque()
        self._asked = asyncio.Event()

    # what the server has for this page

    def offer(self, frame: FinderFrame) -> None:
        """A new picture; replaces the one that waits."""
        kind = frame.header.kind
        waiting = self._slots.get(kind)
        if waiting is not None and waiting is not self._greeting and kind == "finder":
            self._hub.book.skipped()
        self._slots[kind] = frame
        self._wake.set()

    def greet(self, frame: FinderFrame) -> None:
        """The last picture, however old, so that the page is never empty. Not counted."""
        self._greeting = frame
        self._slots.setdefault(frame.header.kind, frame)
        self._wake.set()

    def offer_state(self, state: str) -> None:
        self._state = state
        self._wake.set()

    def say(self, message: str) -> None:
        self._texts.append(message)
        self._wake.set()

    async def run(self) -> None:
        """Serve this page until it goes away."""
        tasks = [
            asyncio.create_task(job())
            for job in (self._send_loop, self._receive_loop, self._act_loop)
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            for result in await asyncio.gather(*tasks, return_exceptions=True):
                expected = (WebSocketDisconnect, RuntimeError, OSError, asyncio.CancelledError)
                if isinstance(result, BaseException) and not isinstance(result, expected):
                    log.error("viewer %d ended: %r", self.number, result)

    # loops

    async def _send_loop(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._texts:
                await self._socket.send_text(self._texts.popleft())
            if self._state is not None:
                state, self._state = self._state, None
                await self._socket.send_text(state)
            while self._slots and len(self._in_flight) < FRAMES_IN_FLIGHT:
                # the magnifier is what the eye is on while it is open
                frame = self._slots.pop("magnifier", None) or self._slots.pop("finder")
                self._ticket += 1
                sent_ns = time.monotonic_ns()
                self._in_flight[self._ticket] = (frame, sent_ns)
                await self._socket.send_bytes(pack_frame(frame, self._ticket, sent_ns))

    async def _receive_loop(self) -> None:
        while True:
            received = await self._socket.receive()
            if received["type"] != "websocket.receive":
                return
            data = received.get("text") or received.get("bytes") or b""
            try:
                message = decode_message(data)
            except msgspec.MsgspecError as error:
                self.say(text("problem", text=f"That message was not understood: {error}"))
                continue
            self._take(message)

    def _take(self, message: Message) -> None:
        match message:
            case Ack():
                self._acknowledged(message)
            case Ping():
                self.say(text("pong", t=message.t, server_us=time.monotonic_ns() / 1000))
            case View(width=width):
                self.width = width
                self._hub.views_changed()
            case TakeControl():
                self._hub.give_control(self)
            case _:
                self._ask(message)

    def _ask(self, request: _Request) -> None:
        if self._hub.controller is not self:
            self.say(text("problem", text="Another viewer has the controls. Take control first."))
            return
        if self._requests and _replaces(request, self._requests[-1]):
            self._requests[-1] = request
        elif len(self._requests) < _MAX_WAITING_ACTIONS:
            self._requests.append(request)
        else:
            self.say(text("problem", text="Too much at once; try again."))
        self._asked.set()

    async def _act_loop(self) -> None:
        while True:
            await self._asked.wait()
            self._asked.clear()
            while self._requests:
                request = self._requests.popleft()
                try:
                    await self._hub.do(request)
                except (ModopticError, OSError) as error:
                    self.say(text("problem", text=str(error)))
                except Exception:
                    log.exception("%r failed", request)
                    self.say(text("problem", text="That did not work; the log says why."))

    def _acknowledged(self, ack: Ack) -> None:
        sent = self._in_flight.pop(ack.ticket, None)
        if sent is None:
            return
        self._wake.set()
        frame, sent_ns = sent
        if frame is self._greeting:
            return
        header = frame.header
        if ack.drawn_us is None:
            if header.kind == "finder":
                self._hub.book.skipped()
            return
        self._hub.book.drew(
            Draw(
                viewer=self.number,
                kind=header.kind,
                sequence=header.sequence,
                frame_id=header.frame_id,
                camera=header.camera,
                start_ns=header.start_ns,
                mid_exposure_ns=header.mid_exposure_ns,
                readout_end_ns=header.readout_end_ns,
                ready_ns=header.ready_ns,
                sent_ns=sent_ns,
                drawn_ns=int(ack.drawn_us * 1000),
            )
        )


class Hub:
    """All viewers, and who of them is in control: the first, or whoever took it since."""

    def __init__(self, phone: PhoneLike) -> None:
        self.book = FigureBook()
        self.controller: Viewer | None = None
        self.hands: HandsDesk | None = None
        self._phone = phone
        self._viewers: list[Viewer] = []
        self._numbers = 0
        self._last_frame: FinderFrame | None = None
        self._state_due: asyncio.TimerHandle | None = None
        self._state_at = 0.0
        self._actions = ThreadPoolExecutor(1, "web-act")

    @property
    def viewers(self) -> int:
        return len(self._viewers)

    async def serve(self, socket: WebSocket) -> None:
        """Serve one page from hello to goodbye."""
        self._numbers += 1
        viewer = Viewer(self, socket, self._numbers)
        self._viewers.append(viewer)
        self.views_changed()
        viewer.say(text("hello", viewer=viewer.number, version=1))
        viewer.offer_state(self._state_text())
        if self._last_frame is not None:
            viewer.greet(self._last_frame)
        if self.controller is None:
            self.controller = viewer
        self._tell_roles()
        refresh = asyncio.create_task(self.hands.refresh()) if self.hands is not None else None
        try:
            await viewer.run()
        finally:
            if refresh is not None:
                refresh.cancel()
            self._viewers.remove(viewer)
            self.views_changed()
            if self.controller is viewer:
                self.controller = self._viewers[0] if self._viewers else None
            self._tell_roles()
            with contextlib.suppress(Exception):
                await socket.close()

    def offer(self, frame: FinderFrame) -> None:
        """A new picture of the phone, for all viewers. In the loop."""
        if frame.header.kind == "finder":
            self._last_frame = frame
        for viewer in self._viewers:
            viewer.offer(frame)

    def state_changed(self) -> None:
        """The phone's state is another one; pages get the newest, at most 30 times a second."""
        if self._state_due is not None:
            return
        loop = asyncio.get_running_loop()
        due = max(loop.time(), self._state_at + STATE_INTERVAL_S)
        self._state_due = loop.call_at(due, self._send_state)

    def views_changed(self) -> None:
        """The phone makes pictures for the largest view; a page that has not said is that."""
        widths = [viewer.width for viewer in self._viewers]
        known = [width for width in widths if width is not None]
        self._phone.shows(max(known) if known and len(known) == len(widths) else None)

    def hands_changed(self, state: dict[str, Any]) -> None:
        for viewer in self._viewers:
            viewer.say(text("hands", state=state or None))

    def give_control(self, viewer: Viewer) -> None:
        self.controller = viewer
        self._tell_roles()

    async def do(self, request: _Request) -> None:
        """Do what the page in control asked, in a thread."""
        if isinstance(request, HandsRequest):
            if self.hands is None:
                raise SettingError(
                    "hands", request.hands, "a twin; a real module has no hands here"
                )
            await self.hands.do(request)
            return
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._actions, self._phone.act, request)

    def close(self) -> None:
        self._actions.shutdown(wait=False, cancel_futures=True)
        if self.hands is not None:
            self.hands.close()

    def _send_state(self) -> None:
        self._state_due = None
        self._state_at = asyncio.get_running_loop().time()
        if self._viewers:
            state = self._state_text()
            for viewer in self._viewers:
                viewer.offer_state(state)

    def _state_text(self) -> str:
        return state_text(self._phone.state(), hands=self.hands is not None)

    def _tell_roles(self) -> None:
        for viewer in self._viewers:
            control = viewer is self.controller
            viewer.say(text("role", control=control, viewers=len(self._viewers)))


def _replaces(new: _Request, old: _Request) -> bool:
    """Whether ``new`` says the same thing later, so that ``old`` need not be done at all."""
    if isinstance(new, SetControls) and isinstance(old, SetControls):
        return _fields(new) == _fields(old)
    if isinstance(new, HandsRequest) and isinstance(old, HandsRequest):
        return new.hands == old.hands == "turn_ring"
    return False


def _fields(controls: SetControls) -> frozenset[str]:
    return frozenset(msgspec.to_builtins(controls))
