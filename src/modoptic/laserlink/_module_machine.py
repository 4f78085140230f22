"""The module's end of a session, without I/O, threads or a clock.

Inward go packets of the control path (`ModuleMachine.control`) and what the sensor does (`begin`,
`rows`, `finish`, `fail`). Outward come control packets (`control_out`), pixel packets
(`next_packets`) and orders to the device (`orders`).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final, Literal

from modoptic.errors import ProtocolError
from modoptic.frame import FrameMeta, Settings
from modoptic.laserlink import _messages as m
from modoptic.laserlink._manifest import manifest_digest
from modoptic.laserlink._packets import (
    CONTROL,
    EVENTS,
    HEADER_BYTES,
    MAJOR,
    MAX_PAYLOAD,
    MINOR,
    checksum,
    damage,
    pack_packet,
    parse_header,
)
from modoptic.laserlink._send import TAIL_REPEAT_S, Line, Outgoing, Packet, Shares
from modoptic.source import CameraInfo, RingTurned

_MANIFEST_PART: Final = 32 * 1024
_MAX_WAITING: Final = 64
FREE_LINE_BYTE_S: Final = 1.25e9
"""10 Gbit/s, the line's assumed rate; used to say how long a busy buffer will be."""


@dataclass(slots=True)
class Check:
    """Order: say with `accept` or `refuse` whether the source can do this."""

    request: m.Request


@dataclass(slots=True)
class Prepare:
    """Order: prepare this still, then call `prepared`."""

    request_id: int
    settings: Settings


@dataclass(slots=True)
class MoveLens:
    """Order: move the lens now."""

    focus_distance_m: float | None
    f_number: float | None


@dataclass(slots=True)
class Free:
    """Order: nothing needs the memory of this frame any more."""

    frame: Outgoing


Order = Check | Prepare | MoveLens | Free


@dataclass(slots=True)
class Job:
    """One exposure to make."""

    request_id: int
    stream: m.StreamName
    settings: Settings
    described: FrameMeta
    size: int
    frame_id: int


@dataclass(slots=True)
class _Repeating:
    request: m.Request
    settings: Settings
    described: FrameMeta
    size: int


@dataclass(slots=True)
class _Still:
    request: m.Request
    settings: Settings
    described: FrameMeta
    size: int
    state: Literal["preparing", "ready", "exposing", "held"] = "preparing"
    frame: Outgoing | None = None


@dataclass(slots=True)
class _Stream:
    """Frames of one repeating stream: at most one leaves, one waits, latest wins."""

    current: Outgoing | None = None
    waiting: Outgoing | None = None
    sent: list[Outgoing] = field(default_factory=list[Outgoing])
    credit: int = 0
    begun: int = 0


class ModuleMachine:
    """One session of a module.

    Parameters
    ----------
    manifest : its bytes, see `encode_manifest`
    boot_id, session : names of this power-up and of this session
    line : rate limit of the pixel path
    packet_bytes : largest payload of a packet
    """

    def __init__(
        self,
        info: CameraInfo,
        manifest: bytes,
        *,
        boot_id: str,
        session: int,
        line: Line,
        packet_bytes: int = MAX_PAYLOAD,
    ) -> None:
        self.info = info
        self.boot_id = boot_id
        self.session = session
        self.line = line
        self.packet_bytes = packet_bytes
        self.ready = False
        self.dropped = 0
        """Finder frames that were read and never left: no credit, or overtaken."""
        self.orders: list[Order] = []
        self._manifest = manifest
        self._control: list[bytes] = []
        self._sequence = 0
        self._frames = 0
        self._last_request = 0
        self._welcome = False
        self._sensor = False
        self._checking: dict[int, m.Request] = {}
        self._ring: RingTurned | None = None
        self._repeating: dict[str, _Repeating] = {}
        self._streams: dict[str, _Stream] = {name: _Stream() for name in m.REPEATING}
        self._stills: dict[int, _Still] = {}
        self._by_id: dict[int, Outgoing] = {}
        self._turn: deque[str] = deque(m.REPEATING)
        self._leave: deque[str] = deque(m.REPEATING)
        self._shares = Shares()

    # --- the session

    def hello(self) -> None:
        """Begin: the light is locked and the controller runs."""
        self._say(
            m.Hello(
                major=MAJOR,
                minor=MINOR,
                session=self.session,
                boot_id=self.boot_id,
                module_id=self.info.id,
                manifest_digest=manifest_digest(self._manifest),
                manifest_bytes=len(self._manifest),
                packet_bytes=self.packet_bytes,
            )
        )

    def sensor_ready(self) -> None:
        """The sensor has started: requests that wait may be exposed."""
        self._sensor = True

    def control(self, packet: bytes | memoryview) -> None:
        """A whole packet of the control path.

        Raises
        ------
        ProtocolError : damaged, or against the protocol; the session cannot go on
        """
        message = read_control(packet)
        if message is None:
            return
        if isinstance(message, m.Welcome):
            self._welcomed(message)
            return
        if not self._welcome:
            raise ProtocolError(f"{type(message).__name__} before Welcome")
        match message:
            case m.Request():
                self._request(message)
            case m.StopStream(stream=stream):
                self._stop_stream(stream)
            case m.Cancel(id=request_id):
                self._cancel(request_id)
            case m.Flush():
                self._flush()
            case m.Credit(stream=stream, total=total) if stream in self._streams:
                of = self._streams[stream]
                of.credit = max(of.credit, total)
                self._advance(of)
            case m.Resend(frame=frame_id, ranges=ranges):
                self._resend(frame_id, ranges)
            case m.FrameDone(frame=frame_id, whole=whole):
                self._done(frame_id, whole)
            case m.AckDurable(frame=frame_id):
                self._forget_still(frame_id)
            case m.WriteFeatures(values=values):
                self._write(values)
            case _:
                pass

    def ring_turned(self, event: RingTurned) -> None:
        """Where the ring stands now: tell the phone, or keep it until there is one."""
        self._ring = event
        if self._welcome:
            self._say_ring(event)

    def _say_ring(self, event: RingTurned) -> None:
        ring = m.RingEvent(
            sequence=event.sequence,
            focus_distance_m=event.focus_distance_m,
            at_ns=event.at_ns,
        )
        self._say(ring, EVENTS)

    def control_out(self) -> list[bytes]:
        """Packets to send on the control path, in order; each is given once."""
        packets, self._control = self._control, []
        return packets

    # --- answers of the device to orders

    def accept(
        self, request: m.Request, settings: Settings, described: FrameMeta, size: int
    ) -> None:
        """The source can do ``request``, with ``settings`` in force and frames as ``described``."""
        if self._checking.pop(request.id, None) is None:
            return
        self._say(m.Accepted(id=request.id, settings=settings, size=size))
        if request.stream != "still":
            self._repeating[request.stream] = _Repeating(request, settings, described, size)
            return
        self._stills[request.id] = _Still(request, settings, described, size)
        self.orders.append(Prepare(request.id, settings))

    def refuse(self, request: m.Request, why: str) -> None:
        """The source cannot do ``request``."""
        if self._checking.pop(request.id, None) is not None:
            self._say(m.Refused(id=request.id, code="SETTING", why=why))

    def progress(self, request_id: int, fraction: float) -> None:
        """A still is being prepared."""
        if request_id in self._stills:
            self._say(m.Progress(id=request_id, phase="preparing", fraction=fraction))

    def prepared(self, request_id: int) -> None:
        """A still can be exposed as soon as the sensor is free."""
        still = self._stills.get(request_id)
        if still is not None and still.state == "preparing":
            still.state = "ready"

    def request_failed(self, request_id: int, why: str) -> None:
        """The sensor cannot do what was accepted."""
        if self._stills.pop(request_id, None) is not None:
            self._say(m.StillFailed(id=request_id, why=why))
            return
        for name, repeating in list(self._repeating.items()):
            if repeating.request.id == request_id:
                del self._repeating[name]
                self._say(m.Refused(id=request_id, code="SENSOR", why=why))

    def wants(self, request_id: int) -> bool:
        """The phone still wants this still."""
        return request_id in self._stills

    # --- the sensor

    def next_job(self) -> Job | None:
        """What to expose now: a still that is ready, else finder and loupe in turn."""
        if not (self.ready and self._sensor):
            return None
        for still in self._stills.values():
            if still.state == "ready":
                still.state = "exposing"
                self._say(m.Progress(id=still.request.id, phase="exposing", fraction=0.0))
                return self._job(still.request, still.settings, still.described, still.size)
        for _ in range(len(self._turn)):
            name = self._turn[0]
            self._turn.rotate(-1)
            repeating = self._repeating.get(name)
            if repeating is not None:
                of = repeating
                return self._job(of.request, of.settings, of.described, of.size)
        return None

    def _job(self, request: m.Request, settings: Settings, described: FrameMeta, size: int) -> Job:
        self._frames += 1
        return Job(request.id, request.stream, settings, described, size, self._frames)

    def still_waits(self) -> bool:
        """A still could be exposed now."""
        return any(still.state == "ready" for still in self._stills.values())

    def room(self, stream: str) -> bool:
        """A frame of ``stream`` that is read now would not push out another."""
        of = self._streams.get(stream)
        return of is None or of.waiting is None

    def begin(self, job: Job, described: FrameMeta, memory: memoryview) -> Outgoing | None:
        """The exposure of ``job`` begins; its rows will lie in ``memory``. None: not wanted."""
        frame = Outgoing(
            stream=job.stream,
            frame_id=job.frame_id,
            request_id=job.request_id,
            memory=memory,
            size=job.size,
            rows=described.height,
            described=described,
            packet_bytes=self.packet_bytes,
        )
        if job.stream == "still":
            still = self._stills.get(job.request_id)
            if still is None:
                return None
            still.frame = frame
            self._by_id[frame.id] = frame
            return frame
        of = self._streams[job.stream]
        if of.waiting is not None:
            self.dropped += 1
            self._free(of.waiting)
        of.waiting = frame
        self._by_id[frame.id] = frame
        self._advance(of)
        return frame

    def rows(self, frame: Outgoing, rows: int) -> None:
        """The first ``rows`` rows of ``frame`` are read."""
        frame.ready = max(frame.ready, rows * frame.row_bytes)

    def finish(self, frame: Outgoing, meta: FrameMeta) -> None:
        """``frame`` is read whole."""
        frame.finish(meta)
        still = self._stills.get(frame.request_id) if frame.stream == "still" else None
        if still is not None:
            still.state = "held"

    def fail(self, frame: Outgoing, why: str) -> None:
        """``frame`` will not be finished."""
        if frame.id not in self._by_id:
            return
        if frame.stream == "still":
            self._stills.pop(frame.request_id, None)
            self._say(m.StillFailed(id=frame.request_id, why=why))
        else:
            self._drop_from_stream(frame, why)
        self._free(frame)

    # --- the pixel path

    def next_packets(self, now: float, room: int) -> list[Packet]:
        """Up to ``room`` packets that may leave now, each header and payload for a gathering send.

        Payloads are views of the frames' memory, to be sent before this is called again.
        """
        packets: list[Packet] = []
        while len(packets) < room and self.line.open_at(now) <= now:
            frame = self._next_frame()
            if frame is None:
                break
            packet = frame.next_packet()
            packets.append(packet)
            self.line.took(HEADER_BYTES + len(packet[1]))
            if frame.sent and not frame.resend:
                frame.sent_at = now
                self._left(frame)
        return packets

    def wake_at(self, now: float, *, room: bool = True) -> float | None:
        """When `next_packets` (with ``room`` for it) or `tick` has something to do unasked."""
        times = [
            frame.sent_at + TAIL_REPEAT_S
            for frame in self._by_id.values()
            if frame.sent_at is not None and not frame.resend
        ]
        if room and self._next_frame(peek=True) is not None:
            times.append(self.line.open_at(now))
        return min(times, default=None)

    def tick(self, now: float) -> None:
        """Repeat the tail of frames that were sent whole and not answered for."""
        for frame in self._by_id.values():
            if frame.sent_at is not None and now - frame.sent_at >= TAIL_REPEAT_S:
                frame.sent_at = now
                if not frame.resend:
                    frame.resend.append(frame.count + 1)

    def _next_frame(self, *, peek: bool = False) -> Outgoing | None:
        finder = self._finder_frame()
        still = self._still_frame()
        if finder is not None and still is not None:
            if peek or self._shares.finder_first(limited=self.line.bit_s is not None):
                return finder
            return still
        return finder or still

    def _finder_frame(self) -> Outgoing | None:
        for _ in range(len(self._leave)):
            of = self._streams[self._leave[0]]
            for frame in of.sent:
                if frame.resend:
                    return frame
            if of.current is not None and of.current.sendable():
                return of.current
            self._leave.rotate(-1)
        return None

    def _still_frame(self) -> Outgoing | None:
        for still in self._stills.values():
            if still.frame is not None and still.frame.sendable():
                return still.frame
        return None

    def _left(self, frame: Outgoing) -> None:
        of = self._streams.get(frame.stream)
        if of is not None and of.current is frame:
            of.current = None
            of.sent.append(frame)
            self._advance(of)
            if self._leave[0] == frame.stream:
                self._leave.rotate(-1)

    def _advance(self, of: _Stream) -> None:
        """Let the waiting frame leave when nothing else does and the phone has memory for it."""
        if of.current is None and of.waiting is not None and of.begun < of.credit:
            of.current, of.waiting = of.waiting, None
            of.begun += 1

    # --- inside

    def _say(self, message: m.Message, channel: int = CONTROL) -> None:
        self._sequence += 1
        self._control.append(pack_packet(channel, self._sequence, m.encode(message)))

    def _welcomed(self, message: m.Welcome) -> None:
        if self._welcome or message.session != self.session or message.major != MAJOR:
            raise ProtocolError("a Welcome that does not answer this session's Hello")
        self._welcome = True
        self.packet_bytes = max(512, min(self.packet_bytes, message.packet_bytes))
        if message.need_manifest:
            for offset in range(0, len(self._manifest), _MANIFEST_PART):
                part = self._manifest[offset : offset + _MANIFEST_PART]
                self._say(m.ManifestPart(offset=offset, data=part))
        if self._ring is not None:
            self._say_ring(self._ring)
        self.ready = True
        self._say(m.Ready(still_buffers=self.info.still_buffers))

    def _request(self, request: m.Request) -> None:
        if request.id <= self._last_request:
            raise ProtocolError(f"request {request.id} after {self._last_request}; ids must rise")
        self._last_request = request.id
        if request.stream == "still":
            if request.count != 1:
                self._say(m.Refused(id=request.id, code="SETTING", why="a still counts 1"))
                return
            pending = sum(r.stream == "still" for r in self._checking.values())
            if len(self._stills) + pending >= self.info.still_buffers:
                retry_s = self._free_in_s()
                why = (
                    f"BUSY: all {self.info.still_buffers} still buffers of {self.info.title} are "
                    f"full; one is free in about {retry_s:.1f} s"
                )
                refused = m.Refused(id=request.id, code="BUSY", why=why, retry_s=retry_s)
                self._say(refused)
                return
        else:
            of = self._streams[request.stream]
            of.credit = max(of.credit, request.credit)
            self._advance(of)
        if len(self._checking) >= _MAX_WAITING:
            raise ProtocolError("too many requests at once")
        self._checking[request.id] = request
        self.orders.append(Check(request))

    def _free_in_s(self) -> float:
        rate = self.line.bit_s / 8 if self.line.bit_s is not None else FREE_LINE_BYTE_S
        left = [
            still.size
            if still.frame is None
            else still.size - still.frame.next_index * self.packet_bytes
            for still in self._stills.values()
        ]
        return max(0, min(left, default=0)) / rate

    def _stop_stream(self, stream: str) -> None:
        self._repeating.pop(stream, None)
        self._checking = {i: r for i, r in self._checking.items() if r.stream != stream}
        of = self._streams.get(stream)
        if of is None:
            return
        for frame in (of.current, of.waiting, *of.sent):
            if frame is not None:
                self._drop_from_stream(frame, "stopped")
                self._free(frame)

    def _drop_from_stream(self, frame: Outgoing, why: str) -> None:
        of = self._streams[frame.stream]
        if of.waiting is frame:
            of.waiting = None
            return
        if of.current is frame:
            of.current = None
        elif frame in of.sent:
            of.sent.remove(frame)
        self._say(m.Gone(frame=frame.id, stream=frame.stream, why=why))
        self._advance(of)

    def _cancel(self, request_id: int) -> None:
        self._checking.pop(request_id, None)
        still = self._stills.pop(request_id, None)
        if still is not None:
            self._say(m.StillFailed(id=request_id, why="cancelled"))
            if still.frame is not None:
                self._free(still.frame)

    def _flush(self) -> None:
        waiting = [i for i, s in self._stills.items() if s.state in ("preparing", "ready")]
        for request_id in waiting:
            self._cancel(request_id)
        for request_id in list(self._checking):
            self._cancel(request_id)
        self._repeating.clear()
        honoured = max(self._stills, default=0)
        self._say(m.Flushed(id=honoured))

    def _resend(self, frame_id: int, ranges: tuple[tuple[int, int], ...]) -> None:
        frame = self._by_id.get(frame_id)
        if frame is None:
            self._say(m.Gone(frame=frame_id, stream="finder", why="not held any more"))
            return
        frame.sent_at = None
        frame.ask_again(ranges)

    def _done(self, frame_id: int, whole: bool) -> None:
        frame = self._by_id.get(frame_id)
        if frame is None:
            return
        if frame.stream == "still":
            frame.sent_at = None
            frame.resend.clear()
            if not whole:
                self._forget_still(frame_id)
            else:
                del self._by_id[frame_id]
            return
        of = self._streams[frame.stream]
        if frame in of.sent:
            of.sent.remove(frame)
        elif of.current is frame:
            of.current = None
            self._advance(of)
        self._free(frame)

    def _forget_still(self, frame_id: int) -> None:
        for request_id, still in list(self._stills.items()):
            if still.frame is not None and still.frame.id == frame_id:
                del self._stills[request_id]
                self._free(still.frame)

    def _free(self, frame: Outgoing) -> None:
        self._by_id.pop(frame.id, None)
        self.orders.append(Free(frame))

    def _write(self, values: dict[str, m.FeatureValue]) -> None:
        distance = values.get("ObjectSensorDistance")
        aperture = values.get("Aperture")
        order = MoveLens(
            float(distance) / 1000 if isinstance(distance, (int, float)) else None,
            float(aperture) if isinstance(aperture, (int, float)) else None,
        )
        self.orders.append(order)


def read_control(packet: bytes | memoryview) -> m.Message | None:
    """The message in a packet of the control path; None if it is of a kind or channel not known.

    Raises
    ------
    OtherVersion : of another major version
    ProtocolError : damaged
    """
    header = parse_header(packet)
    if header is None:
        raise damage(packet, "a control packet")
    payload = memoryview(packet)[HEADER_BYTES:]
    if header.length != len(payload) or checksum(payload) != header.payload_crc:
        raise ProtocolError("a control packet arrived damaged")
    if header.channel not in (CONTROL, EVENTS):
        return None
    return m.decode(payload)
