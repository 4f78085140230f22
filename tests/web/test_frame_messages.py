"""Frame messages: what is packed comes out again, and nothing else is taken for one."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modoptic import web
from modoptic.host.state import FinderFrame, FinderHeader, SetControls
from modoptic.web._messages import HandsRequest, decode_message

clock = st.integers(0, 2**63 - 1)
headers = st.builds(
    FinderHeader,
    sequence=st.integers(0, 2**40),
    camera=st.text(max_size=40),
    frame_id=st.integers(0, 2**40),
    width=st.integers(1, 20000),
    height=st.integers(1, 20000),
    kind=st.sampled_from(["finder", "magnifier"]),
    exposure_s=st.floats(1e-5, 30),
    iso=st.floats(50, 1e5),
    f_number=st.floats(0.9, 32),
    focus_distance_m=st.none() | st.floats(0.01, 1000),
    mid_exposure_ns=clock,
    start_ns=clock,
    readout_end_ns=clock,
    ready_ns=clock,
)


@given(headers, st.binary(max_size=500), st.integers(0, 2**32 - 1), clock)
def test_a_frame_comes_out_as_it_went_in(
    header: FinderHeader, jpeg: bytes, ticket: int, sent_ns: int
) -> None:
    frame = FinderFrame(header=header, jpeg=jpeg)
    prefix, back = web.unpack_frame(web.pack_frame(frame, ticket, sent_ns))
    assert back == frame
    assert (prefix.ticket, prefix.sent_ns, prefix.kind) == (ticket, sent_ns, header.kind)
    assert (prefix.start_ns, prefix.readout_end_ns) == (header.start_ns, header.readout_end_ns)


@given(st.binary(max_size=200))
def test_noise_is_no_frame(data: bytes) -> None:
    with pytest.raises((ValueError, msgspec.MsgspecError)):
        web.unpack_frame(data)


def test_a_page_says_actions_and_hands_in_one_way() -> None:
    assert decode_message('{"type":"set","f_number":2.0}') == SetControls(f_number=2.0)
    assert decode_message('{"type":"hands","hands":"seat"}') == HandsRequest(hands="seat")


@given(st.binary(max_size=80) | st.text(max_size=80).map(str.encode))
def test_noise_is_no_message(data: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        decode_message(data)
