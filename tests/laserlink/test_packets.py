"""Packets: the bytes on the line, and finding what is damaged."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from modoptic.laserlink import (
    HEADER_BYTES,
    MAX_PAYLOAD,
    Header,
    PacketReader,
    checksum,
    pack_header,
    parse_header,
)
from modoptic.laserlink._packets import OtherVersion, damage

GOLDEN = [
    # a heartbeat: control, no payload
    (
        Header(0, 2, 0, 0, 0, 0),
        "4d6f4c4c 01 00 0200 0000000000000000 00000000 00000000 00000000",
    ),
    # packet 5 of still 7, resent, payload b"123456789"
    (
        Header(3, 1, 7, 5, 9, 0xE3069283),
        "4d6f4c4c 01 03 0100 0700000000000000 05000000 09000000 839206e3",
    ),
]

headers = st.builds(
    Header,
    st.integers(0, 255),
    st.integers(0, 3),
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(0, MAX_PAYLOAD),
    st.integers(0, 2**32 - 1),
)


def test_crc32c_of_rfc_3720() -> None:
    assert checksum(b"123456789") == 0xE3069283
    assert checksum(bytes(32)) == 0x8A9136AA
    assert checksum(b"56789", checksum(b"1234")) == 0xE3069283


def test_golden_headers() -> None:
    for header, text in GOLDEN:
        fields = bytes.fromhex(text)
        packed = pack_header(header)
        assert packed == fields + checksum(fields).to_bytes(4, "little")
        assert parse_header(packed) == header


@given(headers)
def test_a_header_comes_back(header: Header) -> None:
    assert parse_header(pack_header(header)) == header


def test_reserved_flags_are_zero_on_write_and_ignored_on_read() -> None:
    header = Header(2, 0xFFFC | 1, 1, 1, 0, 0)
    packed = pack_header(header)
    assert packed[6:8] == b"\x01\x00"
    later = bytearray(packed[:28])
    later[7] = 0x80
    later += checksum(later).to_bytes(4, "little")
    assert parse_header(later) == header._replace(flags=1)


@given(headers, st.integers(0, HEADER_BYTES - 1), st.integers(1, 255))
def test_any_damaged_byte_of_a_header_is_found(header: Header, at: int, change: int) -> None:
    damaged = bytearray(pack_header(header))
    damaged[at] ^= change
    assert parse_header(damaged) is None


@given(headers, st.integers(0, 255).filter(lambda major: major != 1))
def test_another_version_is_told_from_damage(header: Header, major: int) -> None:
    fields = bytearray(pack_header(header)[:28])
    fields[4] = major
    later = bytes(fields) + checksum(fields).to_bytes(4, "little")
    assert parse_header(later) is None
    told = damage(later, "it")
    assert isinstance(told, OtherVersion)
    assert told.major == major
    fields[9] ^= 1
    assert not isinstance(damage(bytes(fields) + later[28:], "it"), OtherVersion)


@given(st.binary(max_size=100))
def test_random_bytes_are_no_header(data: bytes) -> None:
    assert parse_header(data) is None


def test_a_payload_above_the_limit_is_refused() -> None:
    assert parse_header(pack_header(Header(3, 0, 1, 1, MAX_PAYLOAD + 1, 0))) is None


class Taken:
    """Feeds a `PacketReader` and keeps what it finds whole."""

    def __init__(self) -> None:
        self.packets: list[tuple[int, bytes]] = []
        self.scratch = memoryview(bytearray(MAX_PAYLOAD))
        self.reader = PacketReader(lambda header: self.scratch, self.arrived)

    def arrived(self, header: Header, payload: memoryview) -> None:
        if checksum(payload) == header.payload_crc:
            self.packets.append((header.packet, bytes(payload)))

    def feed(self, data: bytes, cuts: list[int]) -> None:
        at = 0
        for cut in [*cuts, len(data)]:
            piece = data[at : max(at, cut)]
            at = max(at, cut)
            while piece:
                want = self.reader.want()
                assert len(want) > 0
                count = min(len(want), len(piece))
                want[:count] = piece[:count]
                self.reader.filled(count)
                piece = piece[count:]


def stream_of(payloads: list[bytes]) -> bytes:
    return b"".join(
        pack_header(Header(3, 0, 1, index, len(payload), checksum(payload))) + payload
        for index, payload in enumerate(payloads)
    )


@given(
    st.lists(st.binary(max_size=300), max_size=8),
    st.lists(st.integers(0, 2000), max_size=6).map(sorted),
)
def test_a_stream_is_cut_into_packets_however_it_arrives(
    payloads: list[bytes], cuts: list[int]
) -> None:
    taken = Taken()
    taken.feed(stream_of(payloads), cuts)
    assert taken.packets == list(enumerate(payloads))


@settings(max_examples=200)
@given(
    st.lists(st.binary(min_size=40, max_size=200), min_size=5, max_size=8),
    st.data(),
)
def test_one_damaged_byte_costs_at_most_two_packets(
    payloads: list[bytes], data: st.DataObject
) -> None:
    stream = bytearray(stream_of(payloads))
    at = data.draw(st.integers(0, len(stream) - 1))
    stream[at] ^= data.draw(st.integers(1, 255))
    taken = Taken()
    taken.feed(bytes(stream), [])
    sent = list(enumerate(payloads))
    assert all(packet in sent for packet in taken.packets)
    assert len(taken.packets) >= len(sent) - 2


@given(st.binary(max_size=3000))
def test_random_bytes_never_break_the_reader(noise: bytes) -> None:
    taken = Taken()
    taken.feed(noise, [])
    # a packet is found again behind it, unless the noise ends in the beginning of a magic
    taken.feed(stream_of([b"x" * 50, b"y" * 50]), [])
    assert (1, b"y" * 50) in taken.packets
