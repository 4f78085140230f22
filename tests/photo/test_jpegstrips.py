"""A JPEG joined from strips is the JPEG that one encoding gives."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor

import imagecodecs
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from modoptic.errors import SettingError
from modoptic.photo._jpegstrips import StripEncoder


def picture(height: int, width: int) -> npt.NDArray[np.uint8]:
    y, x = np.mgrid[:height, :width]
    noise = np.random.default_rng(height * width).integers(0, 60, (height, width, 3))
    base = np.stack([x % 190, y % 190, (x + y) % 190], axis=-1)
    return (base + noise).astype(np.uint8)


def joined(rgb: npt.NDArray[np.uint8], rows: int, sub: str, quality: int = 92) -> bytes:
    encoder = StripEncoder(rgb.shape[1], rgb.shape[0], quality, sub)  # type: ignore[arg-type]
    for first in reversed(range(0, rgb.shape[0], rows)):
        encoder.add(first, rgb[first : first + rows])
    return encoder.finish()


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 300),
    st.integers(1, 130),
    st.sampled_from([16, 48, 64]),
    st.sampled_from(["420", "422", "444"]),
    st.integers(30, 98),
)
def test_it_decodes_to_the_same_pixels(h: int, w: int, rows: int, sub: str, quality: int) -> None:
    rgb = picture(h, w)
    data = joined(rgb, rows, sub, quality)
    whole = imagecodecs.jpeg8_encode(
        rgb, level=quality, subsampling=sub, colorspace="RGB", outcolorspace="YCBCR"
    )
    for decode in (imagecodecs.jpeg8_decode, lambda d: np.asarray(Image.open(io.BytesIO(d)))):
        assert np.array_equal(decode(data), decode(whole))


def test_strips_may_be_encoded_side_by_side() -> None:
    rgb = picture(640, 200)
    encoder = StripEncoder(200, 640)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda y: encoder.add(y, rgb[y : y + 16]), range(0, 640, 16)))
    # 40 strips: the restart markers have gone round five times
    assert encoder.finish() == joined(rgb, 16, "420")


def test_exif_and_profile_are_carried() -> None:
    rgb = picture(40, 40)
    encoder = StripEncoder(40, 40)
    encoder.add(0, rgb)
    exif = Image.Exif()
    exif[271] = "modoptic"
    profile = bytes(range(256)) * 300  # more than one segment
    with Image.open(io.BytesIO(encoder.finish(exif.tobytes(), profile))) as image:
        assert image.getexif()[271] == "modoptic"
        assert image.info["icc_profile"] == profile
        assert np.array_equal(np.asarray(image), imagecodecs.jpeg8_decode(joined(rgb, 40, "420")))


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(SettingError):
        StripEncoder(0, 10)
    with pytest.raises(SettingError):
        StripEncoder(10, 70000)
    encoder = StripEncoder(64, 64)
    with pytest.raises(SettingError):
        encoder.add(0, picture(16, 32))
    encoder.add(0, picture(16, 64))
    with pytest.raises(SettingError, match="16 rows"):
        encoder.finish()
    encoder.add(32, picture(32, 64))
    with pytest.raises(SettingError):
        encoder.finish()
