"""Pixel formats: the vectors of PFNC, and nothing is lost by packing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modoptic.errors import SettingError
from modoptic.pixels import PIXEL_FORMATS, bayer_format, pack, pixel_format, unpack

PACKED = [f for f in PIXEL_FORMATS.values() if f.name.startswith("BayerRG")]


@pytest.mark.parametrize(
    ("name", "values", "packed"),
    [
        # PFNC: without gaps, least significant bit first
        ("BayerRG12p", (0xABC, 0x123), "bc3a12"),
        ("BayerRG10p", (0x3FF, 0, 0x3FF, 0), "ff03f03f00"),
        ("BayerRG14p", (0x3FFF, 0, 0, 0), "ff3f0000000000"),
        ("BayerRG14p", (0, 0, 0, 0x3FFF), "0000000000fcff"),
        ("BayerRG16", (0x1234, 0x5678), "34127856"),
        ("BayerRG8", (0x12, 0x34), "1234"),
    ],
)
def test_published_vectors(name: str, values: tuple[int, ...], packed: str) -> None:
    row = np.array([values], np.uint16)
    assert pack(row, pixel_format(name)).tobytes().hex() == packed


@pytest.mark.parametrize("form", PACKED, ids=lambda f: f.name)
@settings(max_examples=25, deadline=None)
@given(st.integers(1, 5), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_unpacking_gives_back_what_was_packed(form, height: int, groups: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 2**form.bits, (height, groups * form.group), dtype=np.uint16)
    data = pack(values, form)
    assert data.size == form.row_bytes(values.shape[1]) * height
    np.testing.assert_array_equal(unpack(data, form, *values.shape), values)


@pytest.mark.parametrize("form", [f for f in PACKED if f.stored_bits < 16], ids=lambda f: f.name)
def test_a_packed_row_is_one_long_number(form) -> None:
    values = np.random.default_rng(3).integers(0, 2**form.bits, form.group, dtype=np.uint16)
    number = sum(int(v) << (form.bits * i) for i, v in enumerate(values))
    expected = number.to_bytes(form.row_bytes(form.group), "little")
    assert pack(values[None], form).tobytes() == expected


def test_refuses_what_does_not_fit() -> None:
    with pytest.raises(SettingError, match="multiple of 2"):
        pixel_format("BayerRG12p").row_bytes(3)
    with pytest.raises(SettingError, match="expected"):
        pixel_format("Mono99")
    with pytest.raises(SettingError):
        unpack(np.zeros(2, np.uint8), pixel_format("BayerRG12p"), 1, 2)
    with pytest.raises(SettingError):
        bayer_format(("RGB",), 12, packed=True)
