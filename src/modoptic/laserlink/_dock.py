"""The dock as the phone sees it: magnet, pads and light, and what they make of the link.

Signals are what the phone's own contacts say. They are no messages of the link: over the `memory`
carrier they travel beside it, and a network carrier makes them from its connection.
"""

from __future__ import annotations

import enum
import struct
from typing import Final, Literal, NamedTuple

DockName = Literal[
    "DETACHED",
    "SEATING",
    "ATTACHED",
    "ACTIVATED",
    "ENUMERATED",
    "WAITING_CONSENT",
    "READY",
    "SUSPENDED",
    "OFF",
    "REFUSED",
    "FAULT",
]


class SignalKind(enum.IntEnum):
    MAGNET_ON = 1
    MAGNET_OFF = 2
    PADS_BAD = 3
    """The magnet holds, the pads touch badly; ``value`` is the tilt in hundredths of a degree."""
    PADS_GOOD = 4
    POWER = 5
    """``value``: 0 probe, 1 bring-up, 2 contract."""
    LIGHT_ON = 6
    LIGHT_OFF = 7


class Signal(NamedTuple):
    kind: int
    value: int
    at_ns: int
    """CLOCK_MONOTONIC of the machine, when the hand did it."""


_FIELDS = struct.Struct("<BBHq")
SIGNAL_BYTES: Final = _FIELDS.size


def pack_signal(signal: Signal) -> bytes:
    return _FIELDS.pack(signal.kind, 0, signal.value, signal.at_ns)


def unpack_signal(data: bytes) -> Signal | None:
    """The signal in ``data``; None if it is none."""
    if len(data) != SIGNAL_BYTES:
        return None
    kind, _, value, at_ns = _FIELDS.unpack(data)
    return Signal(kind, value, at_ns)


class Dock:
    """The dock's state. Each method returns True where the state changed."""

    def __init__(self) -> None:
        self.state: DockName = "DETACHED"
        self.why = ""
        self.at_ns = 0

    @property
    def in_session(self) -> bool:
        return self.state in ("ENUMERATED", "WAITING_CONSENT", "READY", "SUSPENDED")

    def to(self, state: DockName, why: str = "", at_ns: int = 0) -> bool:
        if (state, why) == (self.state, self.why):
            return False
        self.state, self.why, self.at_ns = state, why, at_ns or self.at_ns
        return True

    def signal(self, signal: Signal) -> bool:
        """A contact of the phone changed; signals that make no sense now are ignored."""
        match signal.kind:
            case SignalKind.MAGNET_ON if self.state == "DETACHED":
                return self.to("SEATING", at_ns=signal.at_ns)
            case SignalKind.MAGNET_OFF:
                return self.to("DETACHED", "pulled off", signal.at_ns)
            case SignalKind.PADS_BAD if self.state != "DETACHED":
                why = f"tilted by {signal.value / 100:g} degrees; press it flat"
                return self.to("SEATING", why, signal.at_ns)
            case SignalKind.PADS_GOOD if self.state == "SEATING":
                return self.to("SEATING", "", signal.at_ns)
            case SignalKind.POWER if self.state == "SEATING" and signal.value == 1:
                return self.to("ATTACHED", at_ns=signal.at_ns)
            case SignalKind.LIGHT_ON if self.state == "ATTACHED":
                return self.to("ACTIVATED", at_ns=signal.at_ns)
            case SignalKind.LIGHT_OFF if self.in_session or self.state == "ACTIVATED":
                return self.to("ATTACHED", "the light is cut", signal.at_ns)
            case _:
                return False
