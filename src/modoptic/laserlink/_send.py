"""The module's side of pixels: frames cut into packets, and the order in which packets leave."""

from __future__ import annotations

from collections import deque
from typing import Final

from modoptic.frame import FrameMeta, encode_meta
from modoptic.laserlink._messages import Leader, StreamName, Trailer, encode
from modoptic.laserlink._packets import FINDER, RESENT, STILLS, Header, checksum, pack_header
from modoptic.laserlink._receive import packets_of

TAIL_REPEAT_S: Final = 0.1
"""A frame that was sent whole and not answered for so long gets its trailer again."""

Packet = tuple[bytes, memoryview]


class Outgoing:
    """A frame that is being read and sent. Its memory belongs to the device."""

    def __init__(
        self,
        *,
        stream: StreamName,
        frame_id: int,
        request_id: int,
        memory: memoryview,
        size: int,
        rows: int,
        described: FrameMeta,
        packet_bytes: int,
    ) -> None:
        self.stream: StreamName = stream
        self.channel = STILLS if stream == "still" else FINDER
        self.id = frame_id
        self.request_id = request_id
        self.memory = memory
        self.size = size
        self.row_bytes = size // rows
        self.rows = rows
        self.packet_bytes = packet_bytes
        self.count = packets_of(size, packet_bytes)
        self.ready = 0
        """Bytes that were read from the sensor."""
        self.next_index = 0
        self.resend: deque[int] = deque()
        self.sent_at: float | None = None
        self.digest = 0
        self._leader = encode(
            Leader(
                stream=stream,
                request_id=request_id,
                size=size,
                packet_bytes=packet_bytes,
                meta=encode_meta(described),
            )
        )
        self._trailer: bytes | None = None
        self._meta: bytes | None = None

    def finish(self, meta: FrameMeta) -> None:
        """All rows are read; ``meta`` is final."""
        self.ready = self.size
        self._meta = encode_meta(meta)

    @property
    def sent(self) -> bool:
        """Everything has left once; resends may still be asked for."""
        return self.next_index > self.count + 1

    @property
    def begun(self) -> bool:
        return self.next_index > 0

    def sendable(self) -> bool:
        """A packet could leave now."""
        if self.resend:
            return True
        index = self.next_index
        if 1 <= index <= self.count:
            return self.ready >= min(index * self.packet_bytes, self.size)
        return index == 0 or (index == self.count + 1 and self._meta is not None)

    def ask_again(self, ranges: tuple[tuple[int, int], ...]) -> None:
        """Queue packets for resending; only those that left before."""
        waiting = set(self.resend)
        for first, count in ranges:
            for index in range(max(first, 0), min(first + count, self.next_index)):
                if index not in waiting:
                    waiting.add(index)
                    self.resend.append(index)

    def next_packet(self) -> Packet:
        """The next packet; only when `sendable`."""
        if self.resend:
            return self._packet(self.resend.popleft(), RESENT)
        index = self.next_index
        self.next_index += 1
        return self._packet(index, 0)

    def _packet(self, index: int, flags: int) -> Packet:
        if index == 0:
            payload = memoryview(self._leader)
        elif index <= self.count:
            start = (index - 1) * self.packet_bytes
            payload = self.memory[start : min(start + self.packet_bytes, self.size)]
        else:
            payload = memoryview(self._end())
        crc = checksum(payload)
        if 1 <= index <= self.count and not flags:
            self.digest = checksum(crc.to_bytes(4, "little"), self.digest)
        header = Header(self.channel, flags, self.id, index, len(payload), crc)
        return pack_header(header), payload

    def _end(self) -> bytes:
        if self._trailer is None:
            assert self._meta is not None
            self._trailer = encode(
                Trailer(size=self.size, rows=self.rows, digest=self.digest, meta=self._meta)
            )
        return self._trailer


class Line:
    """How much may leave when: a token bucket over the payload of pixel packets.

    ``bit_s`` None is a line without limit. A packet leaves when the bucket is not in debt, so that
    nothing waits below the order of the channels.
    """

    BURST_S: Final = 0.010
    """What was not used for so long is lost; a busy machine wakes the sender late."""

    def __init__(self, bit_s: float | None) -> None:
        self.bit_s = bit_s
        self._tokens = 0.0
        self._filled_at: float | None = None

    def set(self, bit_s: float | None) -> None:
        self.bit_s = bit_s
        self._tokens = 0.0
        self._filled_at = None

    def open_at(self, now: float) -> float:
        """When the next packet may leave; ``now`` or before means at once."""
        if self.bit_s is None:
            return now
        rate = self.bit_s / 8
        if self._filled_at is None:
            self._filled_at = now
        self._tokens = min(self._tokens + (now - self._filled_at) * rate, rate * self.BURST_S)
        self._filled_at = now
        return now if self._tokens >= 0 else now - self._tokens / rate

    def took(self, size: int) -> None:
        if self.bit_s is not None:
            self._tokens -= size


class Shares:
    """Which of two channels goes first when both have packets.

    On a free line the finder gets three packets of four, and a still its floor of 25 %. On a
    limited line a still would starve behind a finder that alone wants more than there is: there the
    still gets three of four, and the finder goes on with every fourth.
    """

    def __init__(self) -> None:
        self._turn = 0

    def finder_first(self, *, limited: bool) -> bool:
        self._turn = (self._turn + 1) % 4
        return (self._turn == 0) if limited else (self._turn != 0)
