"""Every message of the link, and reading them without trust.

A message is a MessagePack map with the key ``t`` for its kind; unknown fields are skipped and
messages of unknown kinds are ignored. At most 64 KiB and 16 levels deep.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from modoptic.errors import ProtocolError
from modoptic.frame import Settings
from modoptic.laserlink._packets import MAX_PAYLOAD

MAX_DEPTH: Final = 16

StreamName = Literal["finder", "loupe", "still"]
REPEATING: Final = ("finder", "loupe")

FeatureValue = float | int | str | bool


class _Message(msgspec.Struct, kw_only=True, tag_field="t", omit_defaults=True):
    pass


class Hello(_Message, tag="hello"):
    """Module: I am here."""

    major: int
    minor: int
    session: int
    boot_id: str
    module_id: str
    manifest_digest: str
    """SHA-256 of the manifest's bytes, hex."""
    manifest_bytes: int
    packet_bytes: int
    """Largest payload of a packet that the module makes."""


class Welcome(_Message, tag="welcome"):
    """Phone: answer to `Hello`; from now the session is in force."""

    major: int
    minor: int
    session: int
    packet_bytes: int
    need_manifest: bool


class ManifestPart(_Message, tag="manifest"):
    """Module: a piece of the manifest, in order."""

    offset: int
    data: bytes


class Ready(_Message, tag="ready"):
    """Module: requests are acted on."""

    still_buffers: int


class Request(_Message, tag="request"):
    """Phone: make frames. A repeating request replaces the former of its stream."""

    id: int
    stream: StreamName
    settings: Settings
    count: int = 1
    """0: until replaced."""
    credit: int = 0
    """See `Credit`."""


class Accepted(_Message, tag="accepted"):
    """Module: will be done so; the settings may differ from those asked for."""

    id: int
    settings: Settings
    size: int
    """Of one frame."""


class Refused(_Message, tag="refused"):
    """Module: will not be done. ``retry_s`` is the time until it could be, if that is known."""

    id: int
    code: Literal["BUSY", "SETTING", "SENSOR"]
    why: str
    retry_s: float | None = None


class StopStream(_Message, tag="stop"):
    stream: StreamName


class Cancel(_Message, tag="cancel"):
    """Phone: forget this still, wherever it is."""

    id: int


class Flush(_Message, tag="flush"):
    """Phone: forget all that is not exposed yet."""


class Flushed(_Message, tag="flushed"):
    """Module: the last request id that will be honoured."""

    id: int


class Credit(_Message, tag="credit"):
    """Phone: so many frames of the stream may be begun in this session. Only rises."""

    stream: StreamName
    total: int


class Resend(_Message, tag="resend"):
    """Phone: send these packets of a frame again; (first index, count) each."""

    frame: int
    ranges: tuple[tuple[int, int], ...]


class Gone(_Message, tag="gone"):
    """Module: this frame, once begun, will not be finished."""

    frame: int
    stream: StreamName
    why: str = ""


class FrameDone(_Message, tag="done"):
    """Phone: nothing more of this frame is needed: it is whole, or given up."""

    frame: int
    whole: bool = True


class AckDurable(_Message, tag="durable"):
    """Phone: the still is safe on disk; its buffer in the module is free."""

    frame: int


class Progress(_Message, tag="progress"):
    """Module: how far a still is, before it crosses."""

    id: int
    phase: Literal["preparing", "exposing"]
    fraction: float


class StillFailed(_Message, tag="failed"):
    """Module: a still that was accepted will not come."""

    id: int
    why: str


class WriteFeatures(_Message, tag="write"):
    """Phone: set features by their SFNC names, at once."""

    values: dict[str, FeatureValue]


class RingEvent(_Message, tag="ring"):
    """Module: the focus ring was turned by hand. Absolute; newer replaces older."""

    sequence: int
    focus_distance_m: float
    at_ns: int


Message = (
    Hello
    | Welcome
    | ManifestPart
    | Ready
    | Request
    | Accepted
    | Refused
    | StopStream
    | Cancel
    | Flush
    | Flushed
    | Credit
    | Resend
    | Gone
    | FrameDone
    | AckDurable
    | Progress
    | StillFailed
    | WriteFeatures
    | RingEvent
)


class Leader(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """First packet of a frame: what comes."""

    stream: StreamName
    request_id: int
    size: int
    """Of pixels in the frame."""
    packet_bytes: int
    """Payload of each packet but the last: packet i begins at byte (i - 1) * packet_bytes."""
    meta: bytes
    """`FrameMeta` as it is known before the exposure."""


class Trailer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Last packet of a frame: what came."""

    size: int
    rows: int
    digest: int
    """CRC32C over the payload CRCs of packets 1..n, 4 bytes each, little endian."""
    meta: bytes
    """`FrameMeta` after the exposure."""


_encoder = msgspec.msgpack.Encoder()
_messages = msgspec.msgpack.Decoder(Message)
_leaders = msgspec.msgpack.Decoder(Leader)
_trailers = msgspec.msgpack.Decoder(Trailer)
_kinds = msgspec.msgpack.Decoder(dict[str, msgspec.Raw])
_text = msgspec.msgpack.Decoder(str)
_KNOWN_KINDS = frozenset(
    str(kind.__struct_config__.tag)
    for kind in (
        Hello, Welcome, ManifestPart, Ready, Request, Accepted, Refused, StopStream, Cancel, Flush,
        Flushed, Credit, Resend, Gone, FrameDone, AckDurable, Progress, StillFailed, WriteFeatures,
        RingEvent,
    )
)  # fmt: skip


def encode(message: Message | Leader | Trailer) -> bytes:
    """``message`` as MessagePack.

    Raises
    ------
    ProtocolError : larger than 64 KiB
    """
    data = _encoder.encode(message)
    if len(data) > MAX_PAYLOAD:
        raise ProtocolError(f"a message of {len(data)} bytes; at most {MAX_PAYLOAD} can be sent")
    return data


def decode(data: bytes | memoryview) -> Message | None:
    """The message in ``data``; None if its kind is not known to this version.

    Raises
    ------
    ProtocolError : too large, too deep, no message, or a field of another type
    """
    _check(data)
    try:
        return _messages.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        if _unknown_kind(data):
            return None
        raise ProtocolError(f"a message cannot be read: {error}") from error


def decode_leader(data: bytes | memoryview) -> Leader:
    """The leader in ``data``; raises `ProtocolError` like `decode`."""
    _check(data)
    try:
        return _leaders.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"a frame's leader cannot be read: {error}") from error


def decode_trailer(data: bytes | memoryview) -> Trailer:
    """The trailer in ``data``; raises `ProtocolError` like `decode`."""
    _check(data)
    try:
        return _trailers.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"a frame's trailer cannot be read: {error}") from error


def _unknown_kind(data: bytes | memoryview) -> bool:
    try:
        return _text.decode(_kinds.decode(data)["t"]) not in _KNOWN_KINDS
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, KeyError):
        return False


def _check(data: bytes | memoryview) -> None:
    if len(data) > MAX_PAYLOAD:
        raise ProtocolError(f"a message of {len(data)} bytes; at most {MAX_PAYLOAD} are accepted")
    if depth(data) > MAX_DEPTH:
        raise ProtocolError(f"a message nested deeper than {MAX_DEPTH} levels")


def _sizes() -> tuple[list[int], list[int], list[int]]:
    """For each first byte: bytes to skip, bytes of a length that follows, and what it counts."""
    skip = [0] * 256
    length = [0] * 256
    counts = [0] * 256  # 0 nothing, 1 bytes, 2 items, 3 pairs
    for code, size in {
        0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8,
        0xD4: 2, 0xD5: 3, 0xD6: 5, 0xD7: 9, 0xD8: 17,
    }.items():  # fmt: skip
        skip[code] = size
    for code in range(0xA0, 0xC0):
        skip[code] = code & 0x1F
    for code, size in {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}.items():
        length[code], counts[code] = size, 1
    for code, size in {0xC7: 1, 0xC8: 2, 0xC9: 4}.items():  # extension: a type byte besides
        length[code], counts[code], skip[code] = size, 1, 1
    length[0xDC], counts[0xDC] = 2, 2
    length[0xDD], counts[0xDD] = 4, 2
    length[0xDE], counts[0xDE] = 2, 3
    length[0xDF], counts[0xDF] = 4, 3
    return skip, length, counts


_SKIP, _LENGTH, _COUNTS = _sizes()


def depth(data: bytes | memoryview) -> int:
    """How deep maps and arrays nest in MessagePack ``data``; stops counting past the limit."""
    open_items: list[int] = []
    deepest = 0
    at = 0
    end = len(data)
    while at < end:
        code = data[at]
        at += 1
        items = -1
        if 0x80 <= code <= 0x8F:
            items = 2 * (code & 0x0F)
        elif 0x90 <= code <= 0x9F:
            items = code & 0x0F
        elif counted := _COUNTS[code]:
            size = _LENGTH[code]
            number = int.from_bytes(data[at : at + size], "big")
            at += size + _SKIP[code]
            if counted == 1:
                at += number
            else:
                items = number * (counted - 1)
        else:
            at += _SKIP[code]
        if items > 0:
            open_items.append(items)
            deepest = max(deepest, len(open_items))
            if deepest > MAX_DEPTH:
                return deepest
            continue
        while open_items:
            open_items[-1] -= 1
            if open_items[-1]:
                break
            open_items.pop()
    return deepest
