"""What travels between the server and a page: frames as binary messages, the rest as JSON.

A frame message is a fixed little-endian prefix, the `FinderHeader` as JSON, then the JPEG::

    offset size
     0      4   magic ``MODF``
     4      1   version, 1
     5      1   kind: 0 finder, 1 magnifier
     6      2   length of the JSON header in bytes
     8      4   length of the JPEG in bytes
    12      4   ticket: rises by one with each frame sent on this connection; the ack names it
    16      8   start of the exposure   } CLOCK_MONOTONIC of the server in ns
    24      8   end of the readout      }
    32      8   JPEG ready              }
    40      8   handed to the socket    }
    48          JSON header, then JPEG
"""

from __future__ import annotations

import struct
from typing import Any, Literal

import msgspec

from modoptic.host.state import Action, FinderFrame, FinderHeader, PhoneState

MAGIC = b"MODF"
VERSION = 1
PREFIX = struct.Struct("<4sBBHIIQQQQ")
KINDS = ("finder", "magnifier")


class FramePrefix(msgspec.Struct, frozen=True, kw_only=True):
    """The fixed part of a frame message; see the table above."""

    kind: str
    header_bytes: int
    jpeg_bytes: int
    ticket: int
    start_ns: int
    readout_end_ns: int
    ready_ns: int
    sent_ns: int


def pack_frame(frame: FinderFrame, ticket: int, sent_ns: int) -> bytes:
    """One frame message."""
    header = frame.header
    text = msgspec.json.encode(header)
    prefix = PREFIX.pack(
        MAGIC,
        VERSION,
        KINDS.index(header.kind),
        len(text),
        len(frame.jpeg),
        ticket & 0xFFFFFFFF,
        header.start_ns,
        header.readout_end_ns,
        header.ready_ns,
        sent_ns,
    )
    return b"".join((prefix, text, frame.jpeg))


def unpack_frame(message: bytes) -> tuple[FramePrefix, FinderFrame]:
    """The parts of a frame message, for scripts and tests.

    Raises
    ------
    ValueError : not a frame message of this version, or cut short
    """
    if len(message) < PREFIX.size:
        raise ValueError(f"frame message of {len(message)} bytes; at least {PREFIX.size} expected")
    magic, version, kind, header_bytes, jpeg_bytes, ticket, *times = PREFIX.unpack_from(message)
    if magic != MAGIC or version != VERSION or kind >= len(KINDS):
        raise ValueError("not a frame message of version 1")
    if len(message) != PREFIX.size + header_bytes + jpeg_bytes:
        raise ValueError(f"frame message of {len(message)} bytes says it has other lengths")
    split = PREFIX.size + header_bytes
    header = msgspec.json.decode(message[PREFIX.size : split], type=FinderHeader)
    prefix = FramePrefix(
        kind=KINDS[kind],
        header_bytes=header_bytes,
        jpeg_bytes=jpeg_bytes,
        ticket=ticket,
        start_ns=times[0],
        readout_end_ns=times[1],
        ready_ns=times[2],
        sent_ns=times[3],
    )
    return prefix, FinderFrame(header=header, jpeg=message[split:])


class Ack(msgspec.Struct, frozen=True, tag="ack"):
    """The page is done with a frame and can take another."""

    ticket: int
    drawn_us: float | None = None
    """When it was drawn, in the server's monotonic clock; None = a newer one was drawn instead."""


class Ping(msgspec.Struct, frozen=True, tag="ping"):
    """Asks for the server's clock; ``t`` comes back as it was."""

    t: float


class View(msgspec.Struct, frozen=True, tag="view"):
    """How large the page shows the finder's picture."""

    width: int
    """In pixels of the display."""


class HandsRequest(msgspec.Struct, frozen=True, kw_only=True, tag="hands"):
    """What a person does to the module's twin."""

    hands: Literal["seat", "pull", "tilt", "turn_ring", "set_scene", "set_line"]
    degrees: float = 0.0
    focus_distance_m: float = 0.0
    """0 means infinity."""
    scene: str = ""
    bits_per_s: float | None = None


class TakeControl(msgspec.Struct, frozen=True, tag="take_control"):
    """Another viewer wants the controls."""


Message = Action | Ack | Ping | View | HandsRequest | TakeControl
"""Everything a page may send."""

_decoder: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)


def decode_message(text: str | bytes) -> Message:
    """What a page said.

    Raises
    ------
    msgspec.MsgspecError : nothing that a page may say
    """
    return _decoder.decode(text)


def state_text(state: PhoneState, *, hands: bool) -> str:
    """The state message that pages get."""
    return text("state", state=msgspec.structs.replace(state, hands=hands))


def text(kind: str, **fields: Any) -> str:
    """A JSON message from server to page."""
    return msgspec.json.encode({"type": kind, **fields}).decode()
