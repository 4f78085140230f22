"""The ``memory`` carrier: two processes of one user on one machine.

A Unix socket (SOCK_SEQPACKET, mode 0600, the peer's user checked) carries control packets, the
dock's signals and doorbells; its hang-up is the detach. Pixels lie in a ring: a memfd of the
module, passed over the socket, which the phone maps for reading once it has seen that its size is
sealed (else a peer that truncates it would kill the phone with SIGBUS).

How far the ring is written and read goes over the socket, never through the shared memory: a
message of the socket orders memory, a number in the ring would not.

Each message begins with a byte that says what it is:

``R`` slots u32, stride u32, with the memfd: the ring. ``H`` u64: packets written so far. ``T`` u64:
packets copied out so far. ``C``: a control packet. ``S``: a dock signal. ``B``, in place of the
ring: busy, another phone uses the module. ``L``: the module lives; it says so every 100 ms, and
500 ms without any message are a detach (a module that was stopped does not hang up) unless a thread
of its process runs or waits for its turn: on a busy machine 3 s are. Others are ignored.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import mmap
import os
import select
import socket
import struct
import time
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from modoptic.errors import AddressError, ProtocolError
from modoptic.laserlink._address import MemoryAddress
from modoptic.laserlink._carrier import BEAT_S, Files, HangUp, Pulse, Sink
from modoptic.laserlink._dock import Signal, pack_signal, unpack_signal
from modoptic.laserlink._packets import HEADER_BYTES, MAX_PAYLOAD, parse_header
from modoptic.laserlink._send import Packet

SILENCE_S: Final = 0.5
"""After so long a silent module is looked at: one that is stopped, gone or asleep is lost ..."""
STARVED_S: Final = 3.0
"""... and one that is busy may have had no turn to speak, but not for longer than this."""
SLOTS: Final = 32
_PAYLOAD_AT: Final = 64
STRIDE: Final = _PAYLOAD_AT + MAX_PAYLOAD
_BATCH: Final = 8
_MAX_MESSAGE: Final = 1 + HEADER_BYTES + MAX_PAYLOAD
_SEALS: Final = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
_RING = struct.Struct("<II")
_COUNT = struct.Struct("<Q")
_CREDENTIALS = struct.Struct("3i")


def _busy(pid: int) -> bool:
    """Whether a thread of this process runs, waits for its turn on a core, or for a disk.

    Where all sleep or are stopped none waits for a turn: whoever should have spoken hangs.
    """
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return False
    for thread in threads:
        with contextlib.suppress(OSError):
            stat = (thread / "stat").read_text(encoding="ascii", errors="replace")
            # proc(5): the state follows the name, which is in brackets and may hold anything
            if stat.rpartition(")")[2].split()[0] in "RD":
                return True
    return False


class _Messages:
    """The socket of one end: sends without blocking, in order, and takes what has come."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._out: deque[bytes] = deque()
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        peer = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        self.peer_pid, uid, _ = _CREDENTIALS.unpack(peer)
        if uid != os.geteuid():
            sock.close()
            raise AddressError(
                f"the process at the other end belongs to user {uid}, this one to {os.geteuid()}; "
                "run both as the same user"
            )

    def send(self, message: bytes) -> None:
        self._out.append(message)
        self.flush()

    def flush(self) -> None:
        while self._out:
            try:
                self.sock.send(self._out[0])
            except BlockingIOError:
                return
            except OSError:
                # the hang-up itself is seen, once, by the reader
                self._out.clear()
                return
            self._out.popleft()

    def files(self) -> Files:
        events = select.POLLIN | (select.POLLOUT if self._out else 0)
        return [(self.sock.fileno(), events)]

    def waiting(self) -> bool:
        """Something has come that was not received yet."""
        poller = select.poll()
        poller.register(self.sock, select.POLLIN)
        return bool(poller.poll(0))

    def receive(self, limit: int) -> list[bytes]:
        messages: list[bytes] = []
        while len(messages) < limit:
            try:
                message = self.sock.recv(_MAX_MESSAGE)
            except BlockingIOError:
                break
            except OSError as error:
                raise HangUp(f"the connection broke ({error.strerror})") from error
            if not message:
                if messages:
                    break  # first what came before
                raise HangUp("the other end hung up")
            messages.append(message)
        return messages


class MemoryModule:
    """The module's end; makes the ring and writes it."""

    lasts = True

    def __init__(self, sock: socket.socket) -> None:
        self._messages = _Messages(sock)
        self._written = 0
        self._read = 0
        fd = os.memfd_create("modoptic-ring", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(fd, SLOTS * STRIDE)
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
            self._ring = mmap.mmap(fd, SLOTS * STRIDE)
            self._view = memoryview(self._ring)
            with contextlib.suppress(OSError):
                socket.send_fds(sock, [b"R" + _RING.pack(SLOTS, STRIDE)], [fd])
        finally:
            os.close(fd)
        self._pulse = Pulse(self._beat)

    def _beat(self) -> None:
        # past the queue: where it is full the phone has enough to hear
        with contextlib.suppress(OSError):
            self._messages.sock.send(b"L")

    def files(self) -> Files:
        return self._messages.files()

    def receive(self) -> list[bytes]:
        self._messages.flush()
        packets: list[bytes] = []
        for message in self._messages.receive(64):
            if message[0] == ord("C"):
                packets.append(message[1:])
            elif message[0] == ord("T") and len(message) == 1 + _COUNT.size:
                (read,) = _COUNT.unpack_from(message, 1)
                if not self._read <= read <= self._written:
                    raise HangUp("the phone says it has read what was never written")
                self._read = read
        return packets

    def signal(self, signal: Signal) -> None:
        self._messages.send(b"S" + pack_signal(signal))

    def send_control(self, packets: Iterable[bytes]) -> None:
        for packet in packets:
            self._messages.send(b"C" + packet)

    def room(self) -> int:
        return SLOTS - (self._written - self._read)

    def send_pixels(self, packets: Sequence[Packet]) -> None:
        view = self._view
        for header, payload in packets:
            at = (self._written % SLOTS) * STRIDE
            view[at : at + HEADER_BYTES] = header
            view[at + _PAYLOAD_AT : at + _PAYLOAD_AT + len(payload)] = payload
            self._written += 1
        self._messages.send(b"H" + _COUNT.pack(self._written))

    def tick(self, now: float) -> float | None:
        self._pulse.turned()
        return now + BEAT_S

    def close(self) -> None:
        self._pulse.close()
        self._messages.sock.close()
        self._view.release()
        self._ring.close()


class MemoryListener:
    """A module waiting on a socket in the file system."""

    def __init__(self, address: MemoryAddress) -> None:
        self.address = str(address)
        self._path = Path(address.path)
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            # on Linux the mode of an unbound socket becomes that of its file: never open to others
            os.fchmod(self._sock.fileno(), 0o600)
            self._bind()
            self._sock.listen(4)
            self._sock.setblocking(False)
        except OSError as error:
            self._sock.close()
            raise AddressError(
                f"{self.address}: cannot listen there ({error.strerror or error}); choose a path "
                "in a folder that exists and can be written"
            ) from error
        except AddressError:
            self._sock.close()
            raise

    def _bind(self) -> None:
        try:
            self._sock.bind(str(self._path))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            if not self._path.is_socket():
                raise AddressError(
                    f"{self.address}: a file that is no socket lies there; choose another path"
                ) from error
            if _answers(self._path):
                raise AddressError(
                    f"{self.address}: another module already listens there; choose another path"
                ) from error
            self._path.unlink(missing_ok=True)  # left by a process that was killed
            self._sock.bind(str(self._path))

    def files(self) -> Files:
        return [(self._sock.fileno(), select.POLLIN)]

    def accept(self, *, seated: bool, busy: bool) -> MemoryModule | None:
        try:
            sock, _ = self._sock.accept()
        except OSError:
            return None
        if busy:
            with sock, contextlib.suppress(OSError):
                sock.send(b"B")
            return None
        try:
            return MemoryModule(sock)
        except AddressError:
            return None

    def close(self) -> None:
        self._sock.close()
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True


class MemoryHost:
    """The phone's end; copies out of the ring into its own memory.

    Raises
    ------
    OSError : nobody listens there
    AddressError : the process there is another user's
    """

    def __init__(self, address: MemoryAddress) -> None:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            sock.setblocking(False)
            sock.connect(address.path)
        except OSError:
            sock.close()
            raise
        self._messages = _Messages(sock)
        self._ring: memoryview | None = None
        self._slots = 0
        self._stride = 0
        self._written = 0
        self._read = 0
        self._heard_at = self._listened_at = time.monotonic()

    def files(self) -> Files:
        return self._messages.files()

    def receive(self, sink: Sink, now: float) -> bool:
        self._messages.flush()
        if self._ring is None:
            self._take_ring()
            return self._ring is not None
        hung_up: HangUp | None = None
        try:
            messages = self._messages.receive(64)
        except HangUp as error:
            messages, hung_up = [], error
        if messages:
            self._heard_at = now
        for message in messages:
            match message[0]:
                case 0x43:  # C
                    sink.control(memoryview(message)[1:], now)
                case 0x53:  # S
                    signal = unpack_signal(message[1:])
                    if signal is not None:
                        sink.signal(signal)
                case 0x48 if len(message) == 1 + _COUNT.size:  # H
                    (written,) = _COUNT.unpack_from(message, 1)
                    if not self._written <= written <= self._read + self._slots:
                        raise ProtocolError("the module's ring counts what cannot be in it")
                    self._written = written
                case _:
                    pass
        if hung_up is not None and self._read == self._written:
            raise hung_up
        self._copy_out(sink, now)
        return self._read < self._written or len(messages) == 64

    def _copy_out(self, sink: Sink, now: float) -> None:
        ring = self._ring
        assert ring is not None
        count = min(_BATCH, self._written - self._read)
        for _ in range(count):
            at = (self._read % self._slots) * self._stride
            self._read += 1
            # a copy, so that what was checked cannot change
            header = parse_header(bytes(ring[at : at + HEADER_BYTES]))
            if header is None:
                continue
            target = sink.place(header)[: header.length]
            start = at + _PAYLOAD_AT
            target[:] = ring[start : start + header.length]
            sink.arrived(header, target, now)
        if count:
            self._messages.send(b"T" + _COUNT.pack(self._read))
            sink.settle(now)

    def _take_ring(self) -> None:
        try:
            data, fds, _, _ = socket.recv_fds(self._messages.sock, 64, 1, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return
        except OSError as error:
            raise HangUp(f"the connection broke ({error.strerror})") from error
        try:
            if not data:
                raise HangUp("the other end hung up")
            if data == b"B":
                raise HangUp("another phone uses this module; close that one, or wait")
            if len(data) != 1 + _RING.size or data[:1] != b"R" or len(fds) != 1:
                raise ProtocolError("the module did not begin with its ring")
            self._map(fds[0], *_RING.unpack_from(data, 1))
        finally:
            for fd in fds:
                os.close(fd)

    def _map(self, fd: int, slots: int, stride: int) -> None:
        if not 2 <= slots <= 1024 or not _PAYLOAD_AT < stride <= STRIDE:
            raise ProtocolError(f"a ring of {slots} slots of {stride} bytes cannot be")
        try:
            seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
        except OSError as error:
            raise ProtocolError("the module's ring is no memfd") from error
        if seals & _SEALS != _SEALS or os.fstat(fd).st_size != slots * stride:
            raise ProtocolError("the module's ring is not sealed at the size that it says")
        self._ring = memoryview(mmap.mmap(fd, slots * stride, mmap.MAP_SHARED, mmap.PROT_READ))
        self._slots, self._stride = slots, stride

    def send_control(self, packets: Iterable[bytes]) -> None:
        for packet in packets:
            self._messages.send(b"C" + packet)

    def tick(self, now: float) -> float | None:
        if self._ring is None:
            return None
        if now - self._listened_at > 2 * BEAT_S:
            self._heard_at = now  # it was this end that slept, with what waits still unread
        self._listened_at = now
        silent = now - self._heard_at
        lost = silent >= STARVED_S or (silent >= SILENCE_S and not _busy(self._messages.peer_pid))
        # what it said before it was looked at is there by now
        if lost and not self._messages.waiting():
            raise HangUp(f"silent for {silent * 1000:.0f} ms; its process hangs or was stopped")
        return now + BEAT_S

    def close(self) -> None:
        self._messages.sock.close()
        self._ring = None
