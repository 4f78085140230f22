"""Packets: a 32-byte header, then at most 64 KiB of payload, each under its own CRC32C.

All numbers are little endian.

====== ===== ==========================================================================
offset bytes field
====== ===== ==========================================================================
0      4     magic, ``MoLL``
4      1     major version of the link, 1
5      1     channel: 0 control, 1 events, 2 finder, 3 stills
6      2     flags: bit 0 resent, bit 1 heartbeat; others zero on write, ignored on read
8      8     frame id on pixel channels; sequence number of the message on the others
16     4     index of the packet in its frame: 0 leader, 1..n payload, n+1 trailer
20     4     payload bytes, at most 65536
24     4     CRC32C of the payload
28     4     CRC32C of the 28 bytes before
====== ===== ==========================================================================

CRC32C is that of RFC 3720: ``crc32c(b"123456789") == 0xE3069283``. Magic, major version and the
header's CRC lie in the same place in every version, so that another version is told from damage.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final, NamedTuple

import crc32c as _crc32c

from modoptic.errors import ProtocolError

MAGIC: Final = b"MoLL"
MAJOR: Final = 1
MINOR: Final = 0
HEADER_BYTES: Final = 32
MAX_PAYLOAD: Final = 64 * 1024

CONTROL: Final = 0
EVENTS: Final = 1
FINDER: Final = 2
STILLS: Final = 3

RESENT: Final = 1
HEARTBEAT: Final = 2
_FLAGS: Final = RESENT | HEARTBEAT

_FIELDS = struct.Struct("<4sBBHQIII")
_CRC = struct.Struct("<I")


def checksum(data: bytes | bytearray | memoryview, value: int = 0) -> int:
    """CRC32C of ``data``, going on from ``value``.

    Keeps the GIL: a packet takes 7 us, and giving the GIL away for each would let any busy thread
    take a whole switch interval a packet.
    """
    return _crc32c.crc32c(data, value, 0)


class OtherVersion(ProtocolError):
    """The other end speaks another major version of the link, which is no damage."""

    def __init__(self, major: int) -> None:
        self.major = major
        super().__init__(f"it speaks version {major} of the link; this end speaks {MAJOR}")


class Header(NamedTuple):
    """A header that was read and found whole."""

    channel: int
    flags: int
    frame: int
    packet: int
    length: int
    payload_crc: int


def pack_header(header: Header) -> bytes:
    """The 32 bytes of ``header``."""
    fields = _FIELDS.pack(
        MAGIC,
        MAJOR,
        header.channel,
        header.flags & _FLAGS,
        header.frame,
        header.packet,
        header.length,
        header.payload_crc,
    )
    return fields + _CRC.pack(checksum(fields))


def parse_header(data: bytes | bytearray | memoryview) -> Header | None:
    """The header in the first 32 bytes of ``data``; None if it is damaged or of another version."""
    if len(data) < HEADER_BYTES:
        return None
    if _CRC.unpack_from(data, 28)[0] != checksum(memoryview(data)[:28]):
        return None
    magic, major, channel, flags, frame, index, length, payload_crc = _FIELDS.unpack_from(data)
    if magic != MAGIC or major != MAJOR or length > MAX_PAYLOAD:
        return None
    return Header(channel, flags & _FLAGS, frame, index, length, payload_crc)


def damage(data: bytes | bytearray | memoryview, what: str) -> ProtocolError:
    """Why `parse_header` found no header in ``data``: `OtherVersion`, or ``what`` is damaged."""
    if (
        len(data) >= HEADER_BYTES
        and _CRC.unpack_from(data, 28)[0] == checksum(memoryview(data)[:28])
        and data[:4] == MAGIC
        and data[4] != MAJOR
    ):
        return OtherVersion(data[4])
    return ProtocolError(f"{what} arrived damaged")


def pack_packet(
    channel: int, frame: int, payload: bytes | memoryview, *, index: int = 0, flags: int = 0
) -> bytes:
    """A whole packet with its payload; for messages, which are small."""
    header = Header(channel, flags, frame, index, len(payload), checksum(payload))
    return pack_header(header) + bytes(payload)


class PacketReader:
    """Cuts a stream of bytes into packets without copying their payloads.

    ``want()`` is where the next bytes belong and ``filled(n)`` says that n of them are there. After
    a damaged header the next whole header is searched for; ``damaged`` counts these searches.

    Parameters
    ----------
    place : where the payload of a packet belongs, at least ``header.length`` bytes
    arrived : called with the header and the filled payload, not yet checked
    """

    def __init__(
        self,
        place: Callable[[Header], memoryview],
        arrived: Callable[[Header, memoryview], None],
    ) -> None:
        self.damaged = 0
        self._place = place
        self._arrived = arrived
        self._head = bytearray(HEADER_BYTES)
        self._view = memoryview(self._head)
        self._have = 0
        self._searching = False
        self._header: Header | None = None
        self._payload = memoryview(b"")

    def want(self) -> memoryview:
        """Where the next bytes of the stream belong; never empty."""
        if self._header is None:
            return self._view[self._have :]
        return self._payload[self._have :]

    def filled(self, count: int) -> None:
        """``count`` bytes were written to the start of what `want` returned."""
        self._have += count
        if self._header is None:
            if self._have == HEADER_BYTES:
                self._head_complete()
        elif self._have == len(self._payload):
            self._payload_complete()

    def _head_complete(self) -> None:
        header = parse_header(self._head)
        if header is None:
            if not self._searching:
                self.damaged += 1
            self._searching = True
            start = _magic_from(self._head, 1)
            self._have = HEADER_BYTES - start
            self._head[: self._have] = self._head[start:]
            return
        self._searching = False
        self._header = header
        self._have = 0
        self._payload = self._place(header)[: header.length]
        if not header.length:
            self._payload_complete()

    def _payload_complete(self) -> None:
        header, payload = self._header, self._payload
        assert header is not None
        self._header = None
        self._have = 0
        self._payload = memoryview(b"")
        self._arrived(header, payload)


def _magic_from(data: bytearray, start: int) -> int:
    """First place at or after ``start`` where the magic, or a beginning of it, lies."""
    found = data.find(MAGIC, start)
    if found >= 0:
        return found
    for keep in range(len(MAGIC) - 1, 0, -1):
        if data.endswith(MAGIC[:keep]):
            return len(data) - keep
    return len(data)
