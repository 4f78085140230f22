"""A frame's rows become valid from the top; metadata keeps what it does not know."""

import math
import threading
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modoptic import pixels
from modoptic.errors import DetachedError, ProtocolError, SettingError
from modoptic.frame import (
    Frame,
    FrameMeta,
    NoiseModel,
    Settings,
    check_meta,
    decode_meta,
    encode_meta,
)

KNOWN = {
    name
    for kind in (FrameMeta, Settings, NoiseModel)
    for name in kind.__struct_fields__
    if name != "extra"
}
names = st.sampled_from(["extra"]) | st.text(min_size=1, max_size=12).filter(
    lambda name: name not in KNOWN
)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.binary(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)
unknown = st.dictionaries(names, values, max_size=4)


@given(st.dictionaries(names, values, max_size=4), st.integers(0, 2**60))
def test_unknown_fields_come_back_as_they_came(extra: dict[str, object], frame_id: int) -> None:
    meta = FrameMeta(frame_id=frame_id, module_id="m", extra=extra)
    assert decode_meta(encode_meta(meta)) == meta


@given(top=unknown, settings=unknown, noise=unknown, f_number=st.floats(1, 64))
def test_a_later_version_s_fields_pass_through_wherever_they_are(
    top: dict[str, Any], settings: dict[str, Any], noise: dict[str, Any], f_number: float
) -> None:
    sent = {
        **top,
        "frame_id": 7,
        "settings": {**settings, "f_number": f_number},
        "noise": {**noise, "scale": 0.5},
    }
    meta = decode_meta(msgspec.msgpack.encode(sent))
    assert (meta.settings.f_number, meta.noise.scale) == (f_number, 0.5)
    passed_on = msgspec.msgpack.decode(encode_meta(meta))
    for name, value in sent.items():
        if name in ("settings", "noise"):
            assert passed_on[name].items() >= value.items()
        else:
            assert passed_on[name] == value
    assert decode_meta(encode_meta(meta)) == meta


@pytest.mark.parametrize(
    "value", [msgspec.msgpack.Ext(5, b"x"), [{"a": msgspec.msgpack.Ext(-1, bytes(4))}]]
)
@pytest.mark.parametrize("inside", [None, "settings", "noise"])
def test_what_could_not_be_put_back_is_refused(value: object, inside: str | None) -> None:
    fields = {"later": value} if inside is None else {inside: {"later": value}}
    with pytest.raises(ProtocolError, match="expected nil, booleans, numbers"):
        decode_meta(msgspec.msgpack.encode(fields))


@given(st.binary(max_size=200))
def test_hostile_metadata_is_refused_or_read(data: bytes) -> None:
    try:
        meta = decode_meta(data)
    except ProtocolError:
        return
    assert isinstance(meta, FrameMeta)
    assert decode_meta(encode_meta(meta)).frame_id == meta.frame_id


def test_what_is_not_known_of_a_frame_is_no_fault() -> None:
    check_meta(FrameMeta())
    unknown = Settings(exposure_s=0.0, f_number=0.0, focus_distance_m=0.0)
    check_meta(FrameMeta(settings=unknown, iso=0.0))
    check_meta(FrameMeta(settings=Settings(focus_distance_m=math.inf)))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"settings": Settings(f_number=-1.0)}, "f-number"),
        ({"settings": Settings(f_number=math.nan)}, "f-number"),
        ({"settings": Settings(exposure_s=math.inf)}, "exposure"),
        ({"settings": Settings(gain=-1.0)}, "gain"),
        ({"settings": Settings(focus_distance_m=math.nan)}, "focus distance"),
        ({"settings": Settings(region=(-2, 0, 8, 8))}, "region"),
        ({"noise": NoiseModel(scale=math.nan)}, "noise scale"),
        ({"noise": NoiseModel(offset=-1.0)}, "noise offset"),
        ({"black_level": (math.nan,)}, "black level"),
        ({"black_level": (4095.0,)}, "black level"),
        ({"black_level": (1.0, 2.0)}, "black level"),
        ({"black_level": ()}, "black level"),
        ({"white_level": 0}, "white level"),
        ({"white_level": 70000}, "white level"),
        ({"as_shot_neutral": (math.nan, 1.0, 1.0)}, "neutral"),
        ({"as_shot_neutral": (0.0, 1.0, 1.0)}, "neutral"),
        ({"color_matrix": ((math.nan,) * 3,) * 3}, "colour matrix"),
        ({"color_matrix": ((1.0, 0.0),) * 3}, "colour matrix"),
        ({"color_matrix": ((1e30, 0.0, 0.0),) * 3}, "colour matrix"),
        ({"cfa": ()}, "CFA"),
        ({"cfa": ("RG", "G")}, "CFA"),
        ({"orientation": 9}, "orientation"),
        ({"temperature_c": math.nan}, "temperature"),
        ({"iso": math.inf}, "ISO"),
        ({"width": -1}, "width"),
    ],
)
def test_metadata_that_no_frame_has_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingError, match=said):
        check_meta(FrameMeta(**changes))


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
