"""Messages are read without trust."""

from __future__ import annotations

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modoptic.errors import ProtocolError
from modoptic.frame import Settings
from modoptic.laserlink import _messages as m

MESSAGES: list[m.Message] = [
    m.Hello(
        major=1,
        minor=0,
        session=3,
        boot_id="ab",
        module_id="x-1",
        manifest_digest="0" * 64,
        manifest_bytes=10,
        packet_bytes=65536,
    ),
    m.Request(id=1, stream="still", settings=Settings(readout="full")),
    m.Resend(frame=9, ranges=((1, 2), (7, 1))),
    m.WriteFeatures(values={"Aperture": 2.0, "ObjectSensorDistance": float("inf")}),
    m.RingEvent(sequence=1, focus_distance_m=1.5, at_ns=7),
]

leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=40)
    | st.binary(max_size=40)
)
trees = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=5), inner, max_size=20)
    ),
    max_leaves=30,
)


def nesting(tree: object) -> int:
    if isinstance(tree, dict):
        return 1 + max((nesting(v) for v in tree.values()), default=0) if tree else 0
    if isinstance(tree, list):
        return 1 + max((nesting(v) for v in tree), default=0) if tree else 0
    return 0


@pytest.mark.parametrize("message", MESSAGES)
def test_messages_come_back(message: m.Message) -> None:
    assert m.decode(m.encode(message)) == message


def test_unknown_fields_are_skipped_and_unknown_kinds_ignored() -> None:
    later = {"t": "credit", "stream": "finder", "total": 4, "new": {"a": [1]}}
    assert m.decode(msgspec.msgpack.encode(later)) == m.Credit(stream="finder", total=4)
    assert m.decode(msgspec.msgpack.encode({"t": "teleport", "to": 1})) is None


@pytest.mark.parametrize(
    "hostile",
    [
        b"",
        b"\xc1",
        b"\x81",
        msgspec.msgpack.encode({"t": "credit", "stream": "finder", "total": "many"}),
        msgspec.msgpack.encode({"no": "kind"}),
        msgspec.msgpack.encode([1, 2]),
        b"\xdd\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        bytes(70_000),
    ],
)
def test_hostile_messages_are_refused(hostile: bytes) -> None:
    with pytest.raises(ProtocolError):
        m.decode(hostile)


def test_nesting_is_limited() -> None:
    def nested(levels: int) -> bytes:
        tree: object = 1
        for _ in range(levels - 1):
            tree = [tree]
        return msgspec.msgpack.encode({"t": "flush", "x": tree})

    assert m.decode(nested(16)) == m.Flush()
    with pytest.raises(ProtocolError, match="16 levels"):
        m.decode(nested(17))


@given(trees)
def test_depth_counts_as_python_does(tree: object) -> None:
    assert min(m.depth(msgspec.msgpack.encode(tree)), 17) == min(nesting(tree), 17)


@given(st.binary(max_size=400))
def test_random_bytes_give_a_message_or_a_protocol_error(data: bytes) -> None:
    for read in (m.decode, m.decode_leader, m.decode_trailer):
        with contextlib.suppress(ProtocolError):
            read(data)


@given(st.sampled_from(MESSAGES), st.data())
def test_a_damaged_message_gives_a_message_or_a_protocol_error(
    message: m.Message, data: st.DataObject
) -> None:
    damaged = bytearray(m.encode(message))
    damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(ProtocolError):
        m.decode(bytes(damaged))


def test_a_message_above_64_kib_is_not_sent() -> None:
    with pytest.raises(ProtocolError):
        m.encode(m.ManifestPart(offset=0, data=bytes(70_000)))
