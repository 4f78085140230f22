"""The ``tcp`` carrier, on loopback: two connections, control apart from pixels.

Connected means seated and a hang-up is the detach; so is silence of 500 ms, where each end says
something on the control connection every 100 ms. Each connection begins with 24 bytes: magic
``MoLL``, major version, role (0 control, 1 pixels), two zeros, and 16 random bytes that join them.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from modoptic.errors import AddressError
from modoptic.laserlink._address import TcpAddress
from modoptic.laserlink._carrier import BEAT_S, Files, HangUp, Pulse, Sink
from modoptic.laserlink._dock import Signal, SignalKind
from modoptic.laserlink._packets import (
    CONTROL,
    HEADER_BYTES,
    HEARTBEAT,
    MAGIC,
    MAJOR,
    Header,
    PacketReader,
    damage,
    pack_packet,
    parse_header,
)
from modoptic.laserlink._send import Packet

SILENCE_S: Final = 0.5
_CONNECT_S: Final = 1.0
_BATCH: Final = 8
_BELOW: Final = 128 * 1024
_TCP_NOTSENT_LOWAT: Final = 25  # linux/tcp.h
_PREAMBLE = struct.Struct("<4sBBH16s")
_BEAT = pack_packet(CONTROL, 0, b"", flags=HEARTBEAT)
_OTHER_VERSION: Final = 2
"""In place of the role of a phone that cannot be understood."""


def _tune(sock: socket.socket) -> None:
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # little may wait below the order of the channels
    sock.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, _BELOW)


class _Control:
    """The control connection of one end, with its heartbeats."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.heard_at = time.monotonic()
        self._said_at = 0.0
        self._out = bytearray()
        self._in = bytearray()
        self._lock = threading.Lock()

    def files(self) -> Files:
        return [(self.sock.fileno(), select.POLLIN | (select.POLLOUT if self._out else 0))]

    def send(self, packets: Iterable[bytes]) -> None:
        with self._lock:
            for packet in packets:
                self._out += packet
            self._flush()

    def beat(self) -> None:
        """Say that this end lives; from any thread."""
        self._said_at = time.monotonic()
        self.send([_BEAT])

    def _flush(self) -> None:
        while self._out:
            try:
                sent = self.sock.send(self._out)
            except BlockingIOError:
                return
            except OSError:
                self._out.clear()  # the reader sees the hang-up
                return
            del self._out[:sent]

    def receive(self) -> list[bytes]:
        with self._lock:
            self._flush()
        try:
            data = self.sock.recv(256 * 1024)
        except BlockingIOError:
            return []
        except OSError as error:
            raise HangUp(f"the connection broke ({error.strerror})") from error
        if not data:
            raise HangUp("the other end hung up")
        self.heard_at = time.monotonic()
        self._in += data
        packets: list[bytes] = []
        while len(self._in) >= HEADER_BYTES:
            header = parse_header(self._in)
            if header is None:
                raise damage(self._in, "a control packet")
            end = HEADER_BYTES + header.length
            if len(self._in) < end:
                break
            if not header.flags & HEARTBEAT:
                packets.append(bytes(self._in[:end]))
            del self._in[:end]
        return packets

    def tick(self, now: float) -> float:
        if now - self.heard_at > SILENCE_S:
            # what waits unread counts as heard: it may be this end that was busy
            if not select.select([self.sock], [], [], 0)[0]:
                raise HangUp(f"silent for {SILENCE_S * 1000:.0f} ms")
            self.heard_at = now
        if now - self._said_at >= BEAT_S:
            self.beat()
        return min(self._said_at + BEAT_S, self.heard_at + SILENCE_S + 0.001)

    def close(self) -> None:
        self.sock.close()


class TcpModule:
    """The module's end."""

    lasts = False

    def __init__(self, control: socket.socket, pixels: socket.socket) -> None:
        for sock in (control, pixels):
            _tune(sock)
        self._control = _Control(control)
        self._pixels = pixels
        self._out: deque[memoryview] = deque()
        self._pulse = Pulse(self._control.beat)

    def files(self) -> Files:
        # the pixel connection is watched for writing while packets wait (`room` is 0 then)
        pixels = select.POLLOUT if self._out else 0
        return [*self._control.files(), (self._pixels.fileno(), pixels)]

    def receive(self) -> list[bytes]:
        self._flush()
        return self._control.receive()

    def signal(self, signal: Signal) -> None:
        return  # connected is seated

    def send_control(self, packets: Iterable[bytes]) -> None:
        self._control.send(packets)

    def room(self) -> int:
        self._flush()
        return 0 if self._out else 2

    def send_pixels(self, packets: Sequence[Packet]) -> None:
        for header, payload in packets:
            self._out.append(memoryview(header))
            if len(payload):
                self._out.append(payload)
        self._flush()

    def _flush(self) -> None:
        while self._out:
            try:
                sent = self._pixels.sendmsg(self._out)
            except BlockingIOError:
                return
            except OSError as error:
                raise HangUp(f"the connection broke ({error.strerror})") from error
            while sent:
                first = self._out[0]
                if len(first) > sent:
                    self._out[0] = first[sent:]
                    return
                sent -= len(first)
                self._out.popleft()

    def tick(self, now: float) -> float | None:
        self._pulse.turned()
        return self._control.tick(now)

    def close(self) -> None:
        self._pulse.close()
        self._control.close()
        self._pixels.close()


@dataclass(slots=True)
class _Half:
    sock: socket.socket
    since: float
    data: bytes = b""
    role: int = -1
    nonce: bytes = b""


class TcpListener:
    """A module waiting on a port of this machine."""

    def __init__(self, address: TcpAddress) -> None:
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        self._sock = socket.socket(family, socket.SOCK_STREAM)
        self._halves: list[_Half] = []
        try:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._sock.bind((address.host, address.port))
            self._sock.listen(8)
            self._sock.setblocking(False)
        except OSError as error:
            self._sock.close()
            raise AddressError(
                f"{address}: cannot listen there ({error.strerror or error}); choose another port"
            ) from error
        self.address = str(TcpAddress(address.host, int(self._sock.getsockname()[1])))

    def files(self) -> Files:
        halves = [(half.sock.fileno(), select.POLLIN) for half in self._halves if half.role < 0]
        return [(self._sock.fileno(), select.POLLIN), *halves]

    def accept(self, *, seated: bool, busy: bool) -> TcpModule | None:
        while True:
            try:
                sock, _ = self._sock.accept()
            except OSError:
                break
            if busy or not seated:
                sock.close()
                continue
            sock.setblocking(False)
            self._halves.append(_Half(sock, time.monotonic()))
        for half in self._halves:
            self._read(half)
        return self._join(seated)

    def _read(self, half: _Half) -> None:
        if half.role >= 0:
            return
        try:
            data = half.sock.recv(_PREAMBLE.size - len(half.data))
        except BlockingIOError:
            return
        except OSError:
            data = b""
        half.data += data
        if not data:
            half.sock.close()
        elif len(half.data) == _PREAMBLE.size:
            magic, major, role, _, nonce = _PREAMBLE.unpack(half.data)
            if magic == MAGIC and major == MAJOR and role in (0, 1):
                half.role, half.nonce = role, nonce
            elif magic == MAGIC and major != MAJOR:
                # a heartbeat shows our version; it is closed with the halves that stay alone
                with contextlib.suppress(OSError):
                    half.sock.send(_BEAT)
                half.role = _OTHER_VERSION
            else:
                half.sock.close()

    def _join(self, seated: bool) -> TcpModule | None:
        now = time.monotonic()
        for half in self._halves:
            if not seated or now - half.since > _CONNECT_S:
                half.sock.close()
        self._halves = [half for half in self._halves if half.sock.fileno() >= 0][-16:]
        for control in self._halves:
            for pixels in self._halves:
                if (control.role, pixels.role) == (0, 1) and control.nonce == pixels.nonce:
                    self._halves = [h for h in self._halves if h not in (control, pixels)]
                    return TcpModule(control.sock, pixels.sock)
        return None

    def close(self) -> None:
        for half in self._halves:
            half.sock.close()
        self._sock.close()


class TcpHost:
    """The phone's end.

    Raises
    ------
    OSError : nobody listens there
    """

    def __init__(self, address: TcpAddress) -> None:
        nonce = os.urandom(16)
        socks: list[socket.socket] = []
        try:
            for role in (0, 1):
                sock = socket.create_connection(address, timeout=_CONNECT_S)
                socks.append(sock)
                sock.sendall(_PREAMBLE.pack(MAGIC, MAJOR, role, 0, nonce))
                _tune(sock)
        except OSError:
            for sock in socks:
                sock.close()
            raise
        self._control = _Control(socks[0])
        self._pixels = socks[1]
        self._reader: PacketReader | None = None
        self._seated = False
        self._now = 0.0
        self._packets = 0

    def files(self) -> Files:
        return [*self._control.files(), (self._pixels.fileno(), select.POLLIN)]

    def receive(self, sink: Sink, now: float) -> bool:
        self._now = now
        try:
            packets = self._control.receive()
        except HangUp as error:
            if self._seated:
                raise
            raise HangUp("it turns us away: another phone uses it, or it is not seated") from error
        if packets and not self._seated:
            # a module that turns us away hangs up before it says anything
            self._seated = True
            at_ns = time.monotonic_ns()
            sink.signal(Signal(SignalKind.MAGNET_ON, 0, at_ns))
            sink.signal(Signal(SignalKind.POWER, 1, at_ns))
            sink.signal(Signal(SignalKind.LIGHT_ON, 0, at_ns))
        for packet in packets:
            sink.control(packet, now)
        more = self._read_pixels(sink)
        sink.settle(now)
        return more

    def _read_pixels(self, sink: Sink) -> bool:
        reader = self._reader
        if reader is None:

            def arrived(header: Header, payload: memoryview) -> None:
                self._packets += 1
                sink.arrived(header, payload, self._now)

            reader = self._reader = PacketReader(sink.place, arrived)
        end = self._packets + _BATCH
        while self._packets < end:
            try:
                count = self._pixels.recv_into(reader.want())
            except BlockingIOError:
                return False
            except OSError as error:
                raise HangUp(f"the connection broke ({error.strerror})") from error
            if not count:
                raise HangUp("the other end hung up")
            self._control.heard_at = self._now
            reader.filled(count)
        return True

    def send_control(self, packets: Iterable[bytes]) -> None:
        self._control.send(packets)

    def tick(self, now: float) -> float | None:
        return self._control.tick(now)

    def close(self) -> None:
        for sock in (self._control.sock, self._pixels):
            with contextlib.suppress(OSError):
                sock.close()
