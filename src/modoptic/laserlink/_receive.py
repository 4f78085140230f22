"""The phone's side of one frame: where packets belong, which are missing, when it is whole."""

from __future__ import annotations

import array
import struct

from modoptic.errors import ProtocolError
from modoptic.frame import Frame, FrameMeta, check_meta, decode_meta
from modoptic.laserlink._messages import Leader, StreamName, Trailer
from modoptic.laserlink._packets import MAX_PAYLOAD, Header, checksum

MIN_PACKET = 512
MAX_FRAME = 1 << 30
_MAX_RANGES = 1000


class Incoming:
    """A frame that is arriving.

    Raises
    ------
    ProtocolError : the leader does not agree with itself
    """

    def __init__(self, leader: Leader, meta: FrameMeta, frame: Frame, frame_id: int) -> None:
        self.id = frame_id
        self.stream: StreamName = leader.stream
        self.request_id = leader.request_id
        self.meta = meta
        self.frame = frame
        self.size = leader.size
        self.packet_bytes = leader.packet_bytes
        self.count = packets_of(leader.size, leader.packet_bytes)
        self.view = frame.data.data.cast("B")
        self.got = bytearray(self.count + 1)
        self.received = 0
        self.next_expected = 1
        self.trailer: Trailer | None = None
        self.missing: set[int] = set()
        self.asked_at = 0.0
        self.began_at = 0.0
        self.told_fraction = 0.0
        self._crcs = array.array("I", bytes(4 * self.count))
        self._leading = 0

    def place(self, header: Header) -> memoryview | None:
        """Where this payload belongs; None if it is not wanted (again) or does not fit."""
        index = header.packet
        if not 1 <= index <= self.count or self.got[index]:
            return None
        start = (index - 1) * self.packet_bytes
        end = min(start + self.packet_bytes, self.size)
        if header.length != end - start:
            return None
        return self.view[start:end]

    def arrived(self, header: Header, *, whole: bool) -> None:
        """The payload of ``header`` lies in its place; ``whole`` says that its CRC holds."""
        index = header.packet
        if index >= self.next_expected:
            if index > self.next_expected:
                self.missing.update(range(self.next_expected, index))
            self.next_expected = index + 1
        if not whole:
            self.missing.add(index)
            return
        self.missing.discard(index)
        self.got[index] = 1
        self._crcs[index - 1] = header.payload_crc
        self.received += 1

    def end(self, trailer: Trailer) -> None:
        """The trailer is here: whatever has not come is missing."""
        self.trailer = trailer
        self.next_expected = self.count + 1
        if self.received < self.count:
            self.missing.update(i for i in range(1, self.count + 1) if not self.got[i])

    def rows(self) -> int:
        """Leading rows that are here and checked; the last one only counts with the trailer."""
        gap = self.got.find(0, self._leading + 1)
        self._leading = (gap if gap >= 0 else self.count + 1) - 1
        size = min(self._leading * self.packet_bytes, self.size)
        return min(size // self.frame.row_bytes, self.frame.height - 1)

    @property
    def whole(self) -> bool:
        return self.trailer is not None and self.received == self.count

    def final_meta(self) -> FrameMeta:
        """Check the digest and give the metadata of the trailer.

        Raises
        ------
        ProtocolError : the digest, counts or metadata do not hold
        SettingError : metadata that no frame has
        """
        trailer = self.trailer
        assert trailer is not None
        digest = checksum(memoryview(self._crcs).cast("B"))
        if (trailer.digest, trailer.size, trailer.rows) != (digest, self.size, self.frame.height):
            raise ProtocolError(f"frame {self.id}: the trailer's digest or counts do not hold")
        meta = decode_meta(trailer.meta)
        check_meta(meta)
        same = ("width", "height", "pixel_format", "cfa")
        if any(getattr(meta, name) != getattr(self.meta, name) for name in same):
            raise ProtocolError(f"frame {self.id}: leader and trailer describe different frames")
        return meta

    def ranges(self) -> tuple[tuple[int, int], ...]:
        """The missing packets as (first, count)."""
        return to_ranges(self.missing)


def to_ranges(indexes: set[int]) -> tuple[tuple[int, int], ...]:
    """Sorted ``indexes`` as runs of (first, count); at most 1000 runs."""
    runs: list[tuple[int, int]] = []
    for index in sorted(indexes):
        if runs and runs[-1][0] + runs[-1][1] == index:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        elif len(runs) == _MAX_RANGES:
            break
        else:
            runs.append((index, 1))
    return tuple(runs)


def packets_of(size: int, packet_bytes: int) -> int:
    """Payload packets of a frame of ``size`` bytes."""
    return -(-size // packet_bytes)


def check_leader(leader: Leader, meta: FrameMeta, row_bytes: int, limit: int) -> None:
    """Refuse a leader that would make the phone take memory it does not need.

    Raises
    ------
    ProtocolError : sizes that do not agree, or above ``limit`` photosites
    """
    if not MIN_PACKET <= leader.packet_bytes <= MAX_PAYLOAD:
        raise ProtocolError(f"packets of {leader.packet_bytes} bytes; expected 512 to 65536")
    if meta.height <= 0 or leader.size != row_bytes * meta.height or leader.size > MAX_FRAME:
        raise ProtocolError(f"a frame of {leader.size} bytes; expected {row_bytes} x {meta.height}")
    if meta.width * meta.height > limit:
        raise ProtocolError(
            f"a frame of {meta.width} x {meta.height}; the sensor has fewer photosites"
        )


assert struct.calcsize("I") == 4
