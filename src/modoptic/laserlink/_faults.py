"""A line that damages what passes, for tests and benches. Nothing of the link knows it is there."""

from __future__ import annotations

from modoptic.laserlink._send import Packet


class LineFaults:
    """Damages pixel packets between the module's core and the carrier.

    Parameters
    ----------
    corrupt_every : one payload in so many gets one bit turned; resent ones count as others
    corrupt_headers : turn the bit in the header instead
    cut_after : bytes (headers and payloads) after which the light is cut, inside a packet; once
    """

    def __init__(
        self,
        *,
        corrupt_every: int | None = None,
        corrupt_headers: bool = False,
        cut_after: int | None = None,
    ) -> None:
        self.corrupt_every = corrupt_every
        self.corrupt_headers = corrupt_headers
        self.cut_after = cut_after
        self.packets = 0
        self.planted = 0
        self.bytes = 0

    def apply(self, packets: list[Packet]) -> tuple[list[Packet], bool]:
        """What comes out of the line, and whether the light was cut at the end of it."""
        passed: list[Packet] = []
        for header, payload in packets:
            self.packets += 1
            size = len(header) + len(payload)
            if self.cut_after is not None and self.bytes + size >= self.cut_after:
                left = self.cut_after - self.bytes
                self.cut_after = None
                if left > len(header):
                    passed.append((header, payload[: left - len(header)]))
                return passed, True
            self.bytes += size
            if self.corrupt_every is not None and self.packets % self.corrupt_every == 0:
                passed.append(self._damage(header, payload))
            else:
                passed.append((header, payload))
        return passed, False

    def _damage(self, header: bytes, payload: memoryview) -> Packet:
        self.planted += 1
        damaged = bytearray(header if self.corrupt_headers or not len(payload) else payload)
        damaged[self.planted * 7919 % len(damaged)] ^= 1 << self.planted % 8
        if self.corrupt_headers or not len(payload):
            return bytes(damaged), payload
        return header, memoryview(damaged)
