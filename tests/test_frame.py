"""A frame's rows become valid from the top; metadata keeps what it does not know."""

import threading

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modoptic import pixels
from modoptic.errors import DetachedError, ProtocolError, SettingError
from modoptic.frame import Frame, FrameMeta, decode_meta, encode_meta

KNOWN = set(FrameMeta.__struct_fields__)
names = st.text(min_size=1, max_size=12).filter(lambda name: name not in KNOWN)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(names, values, max_size=4), st.integers(0, 2**60))
def test_unknown_fields_come_back_as_they_came(extra: dict[str, object], frame_id: int) -> None:
    meta = FrameMeta(frame_id=frame_id, module_id="m", extra=extra)
    assert decode_meta(encode_meta(meta)) == meta


@given(st.binary(max_size=200))
def test_hostile_metadata_is_refused_or_read(data: bytes) -> None:
    try:
        meta = decode_meta(data)
    except ProtocolError:
        return
    assert isinstance(meta, FrameMeta)


def test_a_field_of_another_type_is_refused() -> None:
    with pytest.raises(ProtocolError):
        decode_meta(msgspec.msgpack.encode({"width": "wide"}))


def _frame(rows_valid: int) -> Frame:
    form = pixels.pixel_format("BayerRG12p")
    values = np.arange(8 * 16, dtype=np.uint16).reshape(8, 16)
    meta = FrameMeta(width=16, height=8, pixel_format=form.name)
    return Frame(meta, pixels.pack(values, form).data, rows_valid=rows_valid)


def test_rows_are_waited_for_and_read_as_they_come() -> None:
    frame = _frame(0)
    later = threading.Timer(0.05, frame.rows_arrived, (8,))
    later.start()
    assert frame.wait_rows(8, timeout_s=5) == 8
    later.join()
    assert frame.complete
    assert frame.mosaic(2, 4).tolist() == np.arange(32, 64).reshape(2, 16).tolist()


def test_rows_that_have_not_come_cannot_be_read() -> None:
    with pytest.raises(SettingError, match="valid rows"):
        _frame(3).mosaic(0, 4)


def test_a_wait_ends_when_the_frame_fails_or_time_is_up() -> None:
    frame = _frame(3)
    with pytest.raises(DetachedError, match="3 of 8 rows"):
        frame.wait_rows(8, timeout_s=0.01)
    frame.fail("pulled off")
    with pytest.raises(DetachedError, match="pulled off"):
        frame.wait_rows(8, timeout_s=5)


def test_too_little_data_is_refused() -> None:
    with pytest.raises(SettingError, match="frame data"):
        Frame(FrameMeta(width=16, height=8), b"\0" * 100)
