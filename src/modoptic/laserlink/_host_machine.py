"""The phone's end of the link, without I/O, threads or a clock.

Inward go dock signals, control packets and pixel packets (`place`, then `arrived`, then `settle`
once a batch). Outward come control packets (`control_out`) and calls for the listener (`news`).
"""

from __future__ import annotations

import contextlib
import functools
import logging
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

import numpy as np
import numpy.typing as npt

from modoptic import pixels
from modoptic.errors import DetachedError, LinkError, ModopticError, ProtocolError
from modoptic.frame import Frame, FrameMeta, Settings, check_meta, decode_meta
from modoptic.laserlink import _messages as m
from modoptic.laserlink._buffers import FinderPool, StillBuffer, finder_bytes
from modoptic.laserlink._dock import Dock, Signal
from modoptic.laserlink._manifest import MAX_MANIFEST, Manifest, decode_manifest, manifest_digest
from modoptic.laserlink._module_machine import FREE_LINE_BYTE_S, read_control
from modoptic.laserlink._packets import (
    CONTROL,
    FINDER,
    MAJOR,
    MAX_PAYLOAD,
    MINOR,
    STILLS,
    Header,
    OtherVersion,
    checksum,
    pack_packet,
)
from modoptic.laserlink._receive import Incoming, check_leader
from modoptic.source import RingTurned

_log = logging.getLogger(__name__)

FINDER_BUFFERS: Final = 3
ASK_AGAIN_S: Final = 0.05
_REMEMBERED: Final = 512
_MAX_ARRIVING: Final = 32

StillPhase = Literal["preparing", "exposing", "crossing"]


class HostListener(Protocol):
    """What the phone does with what the link brings.

    Called from the link's own thread, one call at a time; each must return at once.
    A listener may also have ``finder_begins(name, frame)``: the leader of a finder frame has come,
    and rows become valid from now (`Frame.wait_rows`). Every such frame ends: it is given to
    `finder`, or it fails (`Frame.failed`) and must be released all the same. Releasing it before it
    is whole tells the module to spare the rest. And it may have ``stream_refused(name, why)``,
    called where the module cannot do what a stream was asked for; else that is only logged.
    """

    def dock_changed(self, state: str, why: str, at_ns: int) -> None:
        """The dock's state, the reason in words where it needs one, and when the hand moved."""
        ...

    def ready(self, manifest: Manifest, known: bool) -> None:
        """Streams and stills may be asked for; ``known``: the module was met before."""
        ...

    def detached(self, why: str) -> None:
        """The session is over; streams and requests are forgotten."""
        ...

    def ring_turned(self, event: RingTurned) -> None:
        """The ring was turned by hand."""
        ...

    def finder(self, name: str, frame: Frame) -> None:
        """A frame of stream ``name`` is whole. Its memory is the link's: release it soon."""
        ...

    def still_progress(self, request_id: int, phase: StillPhase, fraction: float) -> None: ...

    def still_begins(self, request_id: int, frame: StillBuffer) -> None:
        """The leader of a still has come; rows become valid from now. Its memory is the listener's
        until it releases it."""
        ...

    def still_done(self, request_id: int) -> None:
        """The still is whole, its metadata final. Answer with ``ack_durable`` once it is safe."""
        ...

    def still_lost(self, request_id: int, why: str, frame: Frame | None) -> None:
        """The still will not come whole; ``frame`` has what came, if anything did."""
        ...


class Manifests(Protocol):
    """Memory of manifests by digest; see `ManifestStore`."""

    def get(self, digest: str) -> bytes | None: ...
    def put(self, digest: str, data: bytes) -> None: ...


class Stills(Protocol):
    """Where memory for stills comes from; see `StillPool`."""

    def take(self, meta: FrameMeta, size: int) -> StillBuffer: ...
    def forget(self) -> None: ...


News = Callable[[HostListener], None]


@dataclass(slots=True)
class _Stream:
    request_id: int
    credit: int = FINDER_BUFFERS
    newest: int = 0


@dataclass(slots=True)
class _Still:
    request_id: int
    frame: StillBuffer | None = None
    frame_id: int | None = None
    size: int = 0
    received: int = 0


@dataclass(slots=True)
class _Session:
    """All that ends with the session."""

    hello: m.Hello
    known: bool
    pools: dict[str, FinderPool]
    parts: bytearray = field(default_factory=bytearray)
    ready: bool = False
    still_buffers: int = 0
    streams: dict[str, _Stream] = field(default_factory=dict[str, _Stream])
    stills: dict[int, _Still] = field(default_factory=dict[int, _Still])
    held: set[int] = field(default_factory=set[int])
    """Frames of stills that the module still holds for us."""
    arriving: dict[int, Incoming] = field(default_factory=dict[int, Incoming])
    unknown: dict[int, float] = field(default_factory=dict[int, float])
    """Frames whose leader is missing, and when it was last asked for."""
    closed: OrderedDict[int, None] = field(default_factory=OrderedDict[int, None])
    touched: dict[int, Incoming] = field(default_factory=dict[int, Incoming])


class HostMachine:
    """The phone's end, over any number of sessions with one dock.

    Parameters
    ----------
    manifests, stills : memory that outlives the machine
    early : the listener's ``finder_begins``, if it has one
    enter : runs what a reader's `Frame.release`, from any thread, does to this machine
    """

    def __init__(
        self,
        manifests: Manifests,
        stills: Stills,
        *,
        early: Callable[[str, Frame], None] | None = None,
        enter: Callable[[Callable[[], None]], None] = lambda action: action(),
    ) -> None:
        self.dock = Dock()
        self.manifest: Manifest | None = None
        self.news: deque[News] = deque()
        self.damaged = 0
        """Packets whose payload did not hold, since the start."""
        self.line_rate = 0.0
        """Payload bit/s: of the last still, or while none has come of the last second."""
        self._manifests = manifests
        self._stills = stills
        self._early = early
        self._enter = enter
        self._control: list[bytes] = []
        self._sequence = 0
        self._last_request = 0
        self._session: _Session | None = None
        self._scratch = memoryview(bytearray(MAX_PAYLOAD))
        self._target: Incoming | None = None
        self._now = 0.0
        self._second_at = 0.0
        self._second_bytes = 0
        self._measured_still = False

    # --- what the phone asks

    def stream(self, name: str, settings: Settings) -> int:
        """Ask for frames of ``name`` until it is replaced or stopped; the request's id."""
        session = self._ready()
        if name not in m.REPEATING:
            raise LinkError(
                f"there is no stream {name!r}; expected one of {', '.join(m.REPEATING)}"
            )
        request_id = self._next_request()
        stream = session.streams.setdefault(name, _Stream(request_id))
        stream.request_id = request_id
        self._say(
            m.Request(
                id=request_id,
                stream="finder" if name == "finder" else "loupe",
                settings=settings,
                count=0,
                credit=stream.credit,
            )
        )
        return request_id

    def stop_stream(self, name: str) -> None:
        """No more frames of ``name``; does nothing where there is no such stream."""
        session = self._session
        if session is None or name not in session.streams:
            return
        session.streams[name].request_id = 0
        self._say(m.StopStream(stream="finder" if name == "finder" else "loupe"))

    def shoot(self, settings: Settings) -> int:
        """Ask for a still; the request's id.

        Raises
        ------
        DetachedError : no module is ready
        LinkError : BUSY, the module's still buffers are full
        """
        session = self._ready()
        pending = sum(still.frame_id is None for still in session.stills.values())
        if pending + len(session.held) >= session.still_buffers:
            raise LinkError(
                f"BUSY: the module holds {session.still_buffers} photos already; "
                f"try again in about {self._busy_s(session):.1f} s"
            )
        request_id = self._next_request()
        session.stills[request_id] = _Still(request_id)
        self._say(m.Request(id=request_id, stream="still", settings=settings))
        return request_id

    def cancel(self, request_id: int) -> None:
        """Forget a still that has not come whole; it is reported as lost."""
        if self._session is not None and request_id in self._session.stills:
            self._say(m.Cancel(id=request_id))

    def flush(self) -> None:
        """Forget everything that is not exposed yet, streams included."""
        for stream in self._ready().streams.values():
            stream.request_id = 0
        self._say(m.Flush())

    def ack_durable(self, frame_id: int) -> None:
        """The still ``frame_id`` is safe on disk: the module may use its buffer again."""
        if self._session is not None and frame_id in self._session.held:
            self._session.held.discard(frame_id)
            self._say(m.AckDurable(frame=frame_id))

    def set_lens(self, focus_distance_m: float | None, f_number: float | None) -> None:
        """Move the lens at once."""
        self._ready()
        values: dict[str, m.FeatureValue] = {}
        if focus_distance_m is not None:
            values["ObjectSensorDistance"] = focus_distance_m * 1000
        if f_number is not None:
            values["Aperture"] = f_number
        self._say(m.WriteFeatures(values=values))

    # --- what comes from the dock

    def signal(self, signal: Signal) -> None:
        """A contact of the dock changed."""
        was_session = self.dock.in_session
        if not self.dock.signal(signal):
            return
        if was_session and not self.dock.in_session:
            self._end(self.dock.why)
        self._dock_news()

    def hung_up(self, why: str, *, fault: bool = False) -> None:
        """The carrier is gone: nothing is attached any more."""
        self._end(why)
        if self.dock.to("FAULT" if fault else "DETACHED", why):
            self._dock_news()
        if fault and self.dock.to("DETACHED", why):
            self._dock_news()

    def refuse(self, major: int) -> None:
        """The module speaks another major version: there is no session with it."""
        why = f"it speaks version {major} of the link; this phone speaks {MAJOR}"
        if self.dock.in_session:
            self._end(why)
        if self.dock.to("REFUSED", why):
            self._dock_news()

    # --- the control path

    def control(self, packet: bytes | memoryview, now: float) -> None:
        """A whole packet of the control path.

        Raises
        ------
        ProtocolError : damaged, or against the protocol; the session cannot go on
        """
        try:
            message = read_control(packet)
        except OtherVersion as error:
            self.refuse(error.major)
            return
        if message is None:
            return
        if isinstance(message, m.Hello):
            self._hello(message)
            return
        session = self._session
        if session is None:
            return  # left over from before the dock let go
        match message:
            case m.ManifestPart():
                self._manifest_part(session, message)
            case m.Ready(still_buffers=buffers):
                self._now_ready(session, buffers)
            case m.Accepted():
                self._accepted(session, message)
            case m.Refused(id=request_id, why=why) | m.StillFailed(id=request_id, why=why):
                self._refused_stream(session, request_id, why)
                self._lose(session, request_id, why)
            case m.Progress(id=request_id, phase=phase, fraction=part) if (
                request_id in session.stills
            ):
                self.news.append(lambda to: to.still_progress(request_id, phase, part))
            case m.Gone(frame=frame_id, stream=stream, why=why):
                self._gone(session, frame_id, stream, why)
            case m.RingEvent():
                ring = RingTurned(message.sequence, message.focus_distance_m, message.at_ns)
                self.news.append(lambda to: to.ring_turned(ring))
            case _:
                pass

    def control_out(self) -> list[bytes]:
        """Packets to send on the control path, in order; each is given once."""
        packets, self._control = self._control, []
        return packets

    # --- the pixel path

    def place(self, header: Header) -> memoryview:
        """Where the payload of ``header`` belongs: its own place in its frame, or scrap."""
        self._target = None
        session = self._session
        if session is not None and header.packet:
            incoming = session.arriving.get(header.frame)
            if incoming is not None:
                target = incoming.place(header)
                if target is not None:
                    self._target = incoming
                    return target
        return self._scratch

    def arrived(self, header: Header, payload: memoryview, now: float) -> None:
        """The payload of ``header`` lies where `place` said; it is checked here."""
        session = self._session
        if session is None or header.channel not in (FINDER, STILLS):
            return
        whole = checksum(payload) == header.payload_crc
        if not whole:
            self.damaged += 1
        self._now = now
        self._second_bytes += header.length
        incoming = self._target
        if incoming is not None:
            incoming.arrived(header, whole=whole)
            session.touched[incoming.id] = incoming
            return
        if header.frame in session.closed:
            return
        incoming = session.arriving.get(header.frame)
        if incoming is None:
            if header.packet == 0 and whole:
                self._leader(session, header, payload)
            elif len(session.unknown) < _MAX_ARRIVING:
                session.unknown.setdefault(header.frame, 0.0)
        elif header.packet == incoming.count + 1 and whole:
            with contextlib.suppress(ProtocolError):
                incoming.end(m.decode_trailer(payload))
                session.touched[incoming.id] = incoming

    def settle(self, now: float) -> None:
        """After a batch: rows become valid, whole frames are handed on, gaps asked for."""
        session = self._session
        if session is None:
            return
        for incoming in session.touched.values():
            if incoming.id not in session.arriving:
                continue
            if incoming.whole:
                self._whole(session, incoming, now)
                continue
            incoming.frame.rows_arrived(incoming.rows())
            if incoming.stream == "still":
                self._still_progress(session, incoming)
        session.touched.clear()
        self._ask(session, now)
        if now - self._second_at >= 1.0:
            if not self._measured_still and self._second_at:
                self.line_rate = 8 * self._second_bytes / (now - self._second_at)
            self._second_at, self._second_bytes = now, 0

    def wake_at(self) -> float | None:
        """When `settle` has something to ask for again."""
        session = self._session
        if session is None:
            return None
        times = [i.asked_at + ASK_AGAIN_S for i in session.arriving.values() if i.missing]
        times += [asked + ASK_AGAIN_S for asked in session.unknown.values()]
        return min(times, default=None)

    # --- inside

    def _say(self, message: m.Message) -> None:
        self._sequence += 1
        self._control.append(pack_packet(CONTROL, self._sequence, m.encode(message)))

    def _ready(self) -> _Session:
        session = self._session
        if session is None or not session.ready:
            raise DetachedError("no module is ready on this dock; snap one on and wait for READY")
        return session

    def _next_request(self) -> int:
        self._last_request += 1
        return self._last_request

    def _busy_s(self, session: _Session) -> float:
        rate = self.line_rate / 8 if self.line_rate else FREE_LINE_BYTE_S
        left = [s.size - s.received for s in session.stills.values() if s.size]
        return min(left, default=0) / rate

    def _dock_news(self) -> None:
        state, why, at_ns = self.dock.state, self.dock.why, self.dock.at_ns
        self.news.append(lambda to: to.dock_changed(state, why, at_ns))

    def _hello(self, hello: m.Hello) -> None:
        if hello.major != MAJOR:
            self.refuse(hello.major)
            return
        if self.dock.state != "ACTIVATED":
            raise ProtocolError(f"a hello while the dock is {self.dock.state}")
        if not 0 < hello.manifest_bytes <= MAX_MANIFEST:
            raise ProtocolError(
                f"a hello that announces a manifest of {hello.manifest_bytes} bytes; "
                f"expected 1 to {MAX_MANIFEST}"
            )
        known = self._known(hello.manifest_digest)
        pools = {name: FinderPool(FINDER_BUFFERS) for name in m.REPEATING}
        session = self._session = _Session(hello, known is not None, pools)
        self._control.clear()
        self._say(
            m.Welcome(
                major=MAJOR,
                minor=MINOR,
                session=hello.session,
                packet_bytes=MAX_PAYLOAD,
                need_manifest=known is None,
            )
        )
        if known is not None:
            self._met(session, known)
        if self.dock.to("ENUMERATED"):
            self._dock_news()

    def _known(self, digest: str) -> Manifest | None:
        """The manifest from an earlier session; None if there is none that this version reads."""
        stored = self._manifests.get(digest)
        if stored is None:
            return None
        try:
            return decode_manifest(stored)
        except ProtocolError as error:
            _log.info("a kept manifest is asked for again: %s", error)
            return None

    def _met(self, session: _Session, manifest: Manifest) -> None:
        """It is known what the module is: memory for what it will show gets its pages now."""
        self.manifest = manifest
        session.pools["finder"].expect(finder_bytes(manifest.info))

    def _manifest_part(self, session: _Session, part: m.ManifestPart) -> None:
        if session.known or part.offset != len(session.parts):
            raise ProtocolError("a piece of the manifest that was not asked for")
        total = session.hello.manifest_bytes
        if len(session.parts) + len(part.data) > total:
            raise ProtocolError(f"more manifest than the {total} bytes that the hello announced")
        session.parts += part.data
        if len(session.parts) < total:
            return
        data = bytes(session.parts)
        if manifest_digest(data) != session.hello.manifest_digest:
            raise ProtocolError("the manifest is not the one that the hello named")
        self._met(session, decode_manifest(data))
        self._manifests.put(session.hello.manifest_digest, data)

    def _now_ready(self, session: _Session, buffers: int) -> None:
        manifest = self.manifest
        if session.ready:
            return
        if manifest is None or (not session.known and not session.parts):
            raise ProtocolError("ready before the manifest was sent")
        session.ready = True
        session.still_buffers = max(1, buffers)
        known = session.known
        if self.dock.to("READY"):
            self._dock_news()
        self.news.append(lambda to: to.ready(manifest, known))

    def _accepted(self, session: _Session, message: m.Accepted) -> None:
        still = session.stills.get(message.id)
        if still is not None and message.size <= self._limit_bytes():
            still.size = message.size
        for name, stream in session.streams.items():
            if stream.request_id == message.id and message.size <= self._limit_bytes():
                session.pools[name].expect(message.size)

    def _refused_stream(self, session: _Session, request_id: int, why: str) -> None:
        names = [n for n, stream in session.streams.items() if stream.request_id == request_id]
        for name in names:
            self.news.append(functools.partial(_tell_refused, name=name, why=why))

    def _limit_bytes(self) -> int:
        """Bytes that a frame of this sensor can have, at 16 bit."""
        if self.manifest is None:
            raise ProtocolError("a frame before the manifest")
        return 2 * self.manifest.info.sensor_width * self.manifest.info.sensor_height

    def _leader(self, session: _Session, header: Header, payload: memoryview) -> None:
        session.unknown.pop(header.frame, None)
        limit = self._limit_bytes() // 2
        try:
            leader = m.decode_leader(payload)
            meta = decode_meta(leader.meta)
            check_meta(meta)
            row_bytes = pixels.pixel_format(meta.pixel_format).row_bytes(meta.width)
            check_leader(leader, meta, row_bytes, limit)
        except ModopticError:
            self._unwanted(session, header.frame)
            return
        room = len(session.arriving) < _MAX_ARRIVING
        frame = self._frame_for(session, leader, meta, header.frame) if room else None
        if frame is None:
            self._unwanted(session, header.frame)
            return
        incoming = Incoming(leader, meta, frame, header.frame)
        incoming.began_at = self._now
        session.arriving[header.frame] = incoming
        if isinstance(frame, StillBuffer):
            request_id, still_frame = leader.request_id, frame
            self.news.append(lambda to: to.still_begins(request_id, still_frame))
        elif self._early is not None:
            early, name = self._early, leader.stream
            self.news.append(lambda _: early(name, frame))

    def _unwanted(self, session: _Session, frame_id: int) -> None:
        self._close(session, frame_id)
        self._say(m.FrameDone(frame=frame_id, whole=False))

    def _frame_for(
        self, session: _Session, leader: m.Leader, meta: FrameMeta, frame_id: int
    ) -> Frame | None:
        if leader.stream == "still":
            still = session.stills.get(leader.request_id)
            if still is None or still.frame is not None:
                return None
            still.frame = self._stills.take(meta, leader.size)
            still.frame_id = frame_id
            still.size = leader.size
            session.held.add(frame_id)
            request_id = leader.request_id
            still.frame.on_release(
                lambda: self._enter(lambda: self._released_still(session, request_id, frame_id))
            )
            return still.frame
        stream = session.streams.get(leader.stream)
        if stream is None:
            return None
        if not stream.request_id or frame_id <= stream.newest:
            self._credit(leader.stream, stream)
            return None
        memory = session.pools[leader.stream].take(leader.size)
        name = leader.stream

        def give_back() -> None:
            self._enter(lambda: self._release(session, name, memory, frame_id))

        return Frame(meta, memory, rows_valid=0, release=give_back)

    def _release(
        self, session: _Session, name: str, memory: npt.NDArray[np.uint8], frame_id: int
    ) -> None:
        if session is self._session and frame_id in session.arriving:
            self._unwanted(session, frame_id)  # released on its way: the rest shall not come
        session.pools[name].give_back(memory)
        if session is self._session:
            self._credit(name, session.streams[name])

    def _released_still(self, session: _Session, request_id: int, frame_id: int) -> None:
        if session is self._session and frame_id in session.arriving:
            self._unwanted(session, frame_id)
            self._lose(session, request_id, "released before it was whole")

    def _credit(self, name: str, stream: _Stream) -> None:
        stream.credit += 1
        self._say(m.Credit(stream="finder" if name == "finder" else "loupe", total=stream.credit))

    def _close(self, session: _Session, frame_id: int) -> None:
        session.arriving.pop(frame_id, None)
        session.unknown.pop(frame_id, None)
        session.closed[frame_id] = None
        while len(session.closed) > _REMEMBERED:
            session.closed.popitem(last=False)

    def _whole(self, session: _Session, incoming: Incoming, now: float) -> None:
        try:
            meta = incoming.final_meta()
        except ModopticError as error:
            self._give_up(session, incoming, str(error))
            return
        self._close(session, incoming.id)
        frame = incoming.frame
        frame.meta = meta
        frame.rows_arrived(frame.height)
        self._say(m.FrameDone(frame=incoming.id))
        if incoming.stream == "still":
            self._measured_still = True
            self.line_rate = 8 * incoming.size / max(now - incoming.began_at, 1e-6)
            request_id = incoming.request_id
            session.stills.pop(request_id, None)
            self.news.append(lambda to: to.still_progress(request_id, "crossing", 1.0))
            self.news.append(lambda to: to.still_done(request_id))
            return
        name = incoming.stream
        stream = session.streams.get(name)
        for older in [
            i for i in session.arriving.values() if i.stream == name and i.id < incoming.id
        ]:
            self._give_up(session, older, "overtaken by a newer frame")
        if stream is None or not stream.request_id or incoming.id <= stream.newest:
            frame.fail("not wanted any more")
            if self._early is None:
                frame.release()
            return
        stream.newest = incoming.id
        self.news.append(lambda to: to.finder(name, frame))

    def _give_up(self, session: _Session, incoming: Incoming, why: str) -> None:
        """A frame that will not come whole, in a session that goes on."""
        self._unwanted(session, incoming.id)
        if incoming.stream == "still":
            self._lose(session, incoming.request_id, why)
        else:
            incoming.frame.fail(why)
            if self._early is None:
                incoming.frame.release()

    def _gone(self, session: _Session, frame_id: int, name: str, why: str) -> None:
        incoming = session.arriving.get(frame_id)
        if incoming is not None:
            self._give_up(session, incoming, why or "the module dropped it")
            return
        stream = session.streams.get(name)
        if frame_id not in session.closed and stream is not None:
            self._credit(name, stream)
        self._close(session, frame_id)

    def _lose(self, session: _Session, request_id: int, why: str) -> None:
        still = session.stills.pop(request_id, None)
        if still is None:
            return
        frame = still.frame
        if still.frame_id is not None:
            self._close(session, still.frame_id)
            session.held.discard(still.frame_id)
        if frame is not None:
            frame.fail(why)
        self.news.append(lambda to: to.still_lost(request_id, why, frame))

    def _still_progress(self, session: _Session, incoming: Incoming) -> None:
        still = session.stills.get(incoming.request_id)
        if still is None:
            return
        still.received = min(incoming.received * incoming.packet_bytes, incoming.size)
        fraction = still.received / incoming.size
        if fraction >= incoming.told_fraction + 0.01:
            incoming.told_fraction = fraction
            request_id = incoming.request_id
            self.news.append(lambda to: to.still_progress(request_id, "crossing", fraction))

    def _ask(self, session: _Session, now: float) -> None:
        for incoming in session.arriving.values():
            if incoming.missing and now - incoming.asked_at >= ASK_AGAIN_S:
                incoming.asked_at = now
                self._say(m.Resend(frame=incoming.id, ranges=incoming.ranges()))
        for frame_id, asked_at in session.unknown.items():
            if now - asked_at >= ASK_AGAIN_S:
                session.unknown[frame_id] = now
                self._say(m.Resend(frame=frame_id, ranges=((0, 1),)))

    def _end(self, why: str) -> None:
        session, self._session = self._session, None
        self._target = None
        self.manifest = None
        self._control.clear()
        if session is None:
            return
        for pool in session.pools.values():
            pool.close()
        self._stills.forget()
        for incoming in session.arriving.values():
            incoming.frame.rows_arrived(incoming.rows())
            incoming.frame.fail(why)
            if incoming.stream != "still" and self._early is None:
                incoming.frame.release()
        self.news.append(lambda to: to.detached(why))
        for request_id in list(session.stills):
            self._lose(session, request_id, why)


def _tell_refused(listener: HostListener, name: str, why: str) -> None:
    told: Callable[[str, str], None] | None = getattr(listener, "stream_refused", None)
    if told is None:
        _log.warning("the module refused the stream %s: %s", name, why)
    else:
        told(name, why)
