"""The finder's picture and what it says of light, colour and sharpness."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from isp_frames import NEUTRAL, PHASES, flat, frame_of, mosaicked, textured

from modoptic import isp
from modoptic.errors import SettingError
from modoptic.isp import Develop, FinderKernel, FinderLook


def look_of(frame: object) -> FinderLook:
    return FinderLook.of(frame.meta, NEUTRAL)  # type: ignore[attr-defined]


def test_it_looks_like_the_still() -> None:
    frame = frame_of(textured(256, 320))
    kernel = FinderKernel(frame.meta)
    found = kernel.process(frame, look_of(frame)).rgb
    still = isp.develop(frame, Develop(scale="half"))
    assert np.abs(found.astype(int) - still.astype(int)).max() <= 2


@pytest.mark.parametrize("cfa", PHASES)
def test_grey_is_grey_and_counted_as_it_is(cfa: tuple[str, ...]) -> None:
    frame = flat(0.25, cfa, 128, 192)
    result = FinderKernel(frame.meta).process(frame, look_of(frame))
    assert int(np.ptp(result.rgb.astype(int), axis=2).max()) <= 1
    np.testing.assert_allclose(
        result.stats.zones, np.broadcast_to(0.25 * np.array(NEUTRAL), (24, 32, 3)), atol=2e-3
    )
    # bin i begins at (i / 64) squared: 0.25 lies at the edge of bins 31 and 32
    assert result.stats.histogram[31:33].sum() == result.stats.histogram.sum() > 0
    assert result.stats.clipped == 0
    assert result.stats.focus.max() < 1e-5


@pytest.mark.parametrize("cfa", PHASES)
def test_colours_lie_where_the_edges_are(cfa: tuple[str, ...]) -> None:
    # a smooth grey ramp in both directions must not turn coloured through shifted planes
    y, x = np.mgrid[:128, :192]
    light = 0.1 + 0.003 * x + 0.002 * y
    mosaic = mosaicked(np.rint(64 + 4031 * light[..., None] * np.array(NEUTRAL)), cfa)
    frame = frame_of(mosaic, cfa)
    rgb = FinderKernel(frame.meta).process(frame, look_of(frame)).rgb.astype(int)
    assert int(np.ptp(rgb[2:-2, 2:-2], axis=2).max()) <= 1


def test_thin_grey_lines_stay_grey() -> None:
    # averaged over some places of the line in its quad: a colour that stays is one that is seen
    x = np.arange(480)
    line = 0.6 - 0.5 * np.exp(-0.5 * (((x - 11.5) % 24.37 - 12) / 1.3) ** 2)
    light = np.broadcast_to(line, (128, 480))
    frame = frame_of(mosaicked(np.rint(64 + 4031 * light[..., None] * np.array(NEUTRAL))))
    rgb = FinderKernel(frame.meta).process(frame, look_of(frame)).rgb.astype(float)
    dark = rgb[10:-10, 4:-4][rgb[10:-10, 4:-4, 1] < 0.8 * rgb[..., 1].max()]
    magenta = dark[:, [0, 2]].mean() - dark[:, 1].mean()
    assert abs(magenta) < 12


def test_the_rim_of_a_clipped_lamp_is_not_magenta() -> None:
    y, x = np.mgrid[:128, :192]
    light = 0.02 + 3 * np.exp(-0.5 * (((x - 95.5) / 2.5) ** 2 + ((y - 63.5) / 2.5) ** 2))
    mosaic = mosaicked(np.rint(64 + 4031 * light[..., None] * np.array(NEUTRAL)).clip(0, 4095))
    frame = frame_of(mosaic)
    rgb = FinderKernel(frame.meta).process(frame, look_of(frame)).rgb.astype(int)
    assert int((rgb[..., [0, 2]].min(axis=2) - rgb[..., 1]).max()) < 25


def test_clipping_is_counted() -> None:
    mosaic = textured(128, 192).clip(0, 3000)
    mosaic[:64] = 4095
    frame = frame_of(mosaic)
    stats = FinderKernel(frame.meta).process(frame, look_of(frame)).stats
    assert stats.clipped == pytest.approx(0.5, abs=0.02)


def test_focus_rises_with_sharpness_and_not_with_light() -> None:
    y, x = np.mgrid[:256, :256]
    sharp = 0.3 + 0.2 * np.sin(x * 2.0) * np.sin(y * 2.0)
    soft = 0.3 + 0.2 * np.sin(x * 0.3) * np.sin(y * 0.3)

    def focus(light: npt.NDArray[np.float64]) -> float:
        frame = frame_of(mosaicked(np.rint(64 + 4031 * light[..., None] * np.array(NEUTRAL))))
        stats = FinderKernel(frame.meta).process(frame, look_of(frame)).stats
        return float(stats.focus.mean())

    assert focus(sharp) > 5 * focus(soft)
    assert focus(sharp / 4) == pytest.approx(focus(sharp), rel=0.05)


def test_strips_are_the_picture() -> None:
    frame = frame_of(textured(600, 256))
    strips: dict[int, npt.NDArray[np.uint8]] = {}
    result = FinderKernel(frame.meta).process(
        frame, look_of(frame), sink=lambda row, rgb: strips.__setitem__(row, rgb.copy())
    )
    assert sorted(strips) == [0, 128, 256]
    assert np.array_equal(np.concatenate([strips[r] for r in sorted(strips)]), result.rgb)


def test_half_a_picture_is_the_mean_of_its_pixels() -> None:
    rgb = np.random.default_rng(3).integers(0, 256, (33, 51, 3)).astype(np.uint8)
    means = rgb[:32, :50].reshape(16, 2, 25, 2, 3).mean((1, 3))
    assert np.array_equal(isp.halved(rgb), np.floor(means + 0.5))


def test_another_format_is_refused() -> None:
    frame = frame_of(textured(128, 192))
    with pytest.raises(SettingError):
        FinderKernel(frame.meta).process(frame_of(textured(128, 190)), look_of(frame))


def test_the_loupe_shows_what_the_still_has() -> None:
    frame = frame_of(textured(256, 320), ("GB", "RG"))
    still = isp.develop(frame)
    for x, y in ((0, 0), (64, 100), (200, 180)):
        part = isp.loupe(frame, look_of(frame), (x, y, 96, 64))
        assert part.shape == (64, 96, 3)
        apart = np.abs(part.astype(int) - still[y : y + 64, x : x + 96].astype(int))
        assert apart.max() <= 3
    with pytest.raises(SettingError):
        isp.loupe(frame, look_of(frame), (1000, 0, 96, 64))


def test_warming_names_what_it_compiles() -> None:
    assert next(iter(isp.warm())) == "finder"
