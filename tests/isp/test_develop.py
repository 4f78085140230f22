"""What a developed picture must be, whatever the code."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from isp_frames import CANON, NEUTRAL, PHASES, flat, frame_of, mosaicked, textured
from PIL import Image

import modoptic
from modoptic import isp, pixels
from modoptic.calibration import Calibration, ColorCalibration, Shading
from modoptic.errors import DetachedError, SettingError
from modoptic.frame import Frame, FrameMeta, NoiseModel, Settings
from modoptic.isp import Develop
from modoptic.isp import _develop as room
from modoptic.quad import QUAD, mend, remosaic


def cpsnr(a: npt.NDArray[np.generic], b: npt.NDArray[np.generic]) -> float:
    error = a.astype(float) - b.astype(float)
    return float(10 * np.log10(255**2 / np.mean(error[8:-8, 8:-8] ** 2)))


@pytest.mark.data
def test_the_kodak_set_comes_back_at_forty_decibels(data_dir: Path) -> None:
    # all 24 give 40.80; these six lie near the mean of the set
    found = []
    for number in (1, 4, 11, 19, 20, 21):
        path = data_dir / "kodak" / f"kodim{number:02}.png"
        picture = np.asarray(Image.open(path).convert("RGB"))
        rgb = isp.demosaic(mosaicked(picture), white_level=255.0)
        found.append(cpsnr(np.rint(np.clip(rgb * 255, 0, 255)), picture))
    assert np.mean(found) > 40.0


@pytest.mark.parametrize("method", ["gradient", "linear"])
def test_all_four_phases_are_the_same_picture(method: room.Method) -> None:
    # a shifted crop of one mosaic has another phase; away from the edge the colours agree exactly
    mosaic = textured(160, 200)
    whole = isp.demosaic(mosaic, PHASES[0], method=method)
    for cfa, (y, x) in zip(PHASES, ((0, 0), (0, 1), (1, 0), (1, 1)), strict=True):
        part = isp.demosaic(np.ascontiguousarray(mosaic[y:, x:]), cfa, method=method)
        np.testing.assert_allclose(
            part[20:-20, 20:-20], whole[y:, x:][20:-20, 20:-20], rtol=0, atol=1e-6
        )


@pytest.mark.parametrize("cfa", PHASES)
@pytest.mark.parametrize("scale", ["full", "half"])
def test_grey_stays_flat_and_neutral_to_the_last_corner(cfa: tuple[str, ...], scale: str) -> None:
    for level in (0.02, 0.18, 0.7):
        picture = isp.develop(flat(level, cfa), Develop(scale=scale))  # type: ignore[arg-type]
        assert int(np.ptp(picture.astype(int), axis=2).max()) <= 1
        assert int(np.ptp(picture)) <= 2


@pytest.mark.parametrize("scale", ["full", "half"])
@pytest.mark.parametrize("ev", [-1.0, 0.0, 1.0])
def test_blown_highlights_are_not_pink(scale: str, ev: float) -> None:
    mosaic = textured(96, 128)
    mosaic[32:64, 40:90] = 4095
    picture = isp.develop(frame_of(mosaic), Develop(scale=scale, exposure_ev=ev))  # type: ignore[arg-type]
    factor = 2 if scale == "half" else 1
    blown = picture[40 // factor : 56 // factor, 50 // factor : 80 // factor].astype(int)
    assert int(np.ptp(blown, axis=2).max()) <= 1
    assert blown.min() == 255 or ev < 0


def test_bands_leave_no_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = frame_of(textured(200, 2100), ("GB", "RG"))
    whole = isp.develop(frame)
    monkeypatch.setattr(room, "BAND_ROWS", 48)
    assert np.array_equal(isp.develop(frame), whole)


def test_columns_leave_no_seam() -> None:
    # a block of columns is 1024 wide: a crop that begins elsewhere has its seams elsewhere
    mosaic = textured(64, 2600)
    whole = isp.demosaic(mosaic)
    part = isp.demosaic(np.ascontiguousarray(mosaic[:, 300:]))
    np.testing.assert_allclose(part[:, 40:-40], whole[:, 340:-40], rtol=0, atol=1e-6)


@pytest.mark.parametrize("scale", ["full", "half"])
def test_rows_that_arrive_from_another_thread_give_the_same_picture(scale: str) -> None:
    frame = frame_of(textured(600, 256))
    params = Develop(scale=scale)  # type: ignore[arg-type]
    whole = isp.develop(frame, params)
    arriving = Frame(frame.meta, frame.data, rows_valid=0)
    first_band = threading.Event()
    strips: dict[int, npt.NDArray[np.uint8]] = {}

    def sink(row: int, rgb: npt.NDArray[np.uint8]) -> None:
        strips[row] = rgb.copy()
        first_band.set()

    def send() -> None:
        arriving.rows_arrived(560)
        # the rest comes only after a band has been developed: it does not wait for all rows
        assert first_band.wait(30)
        arriving.rows_arrived(600)

    sender = threading.Thread(target=send)
    sender.start()
    picture = isp.develop(arriving, params, sink=sink)
    sender.join()
    assert np.array_equal(picture, whole)
    assert np.array_equal(np.concatenate([strips[row] for row in sorted(strips)]), whole)


def test_bands_to_a_sink_are_the_picture() -> None:
    frame = frame_of(textured(600, 128))
    strips: dict[int, npt.NDArray[np.uint8]] = {}
    heard: list[float] = []
    isp.develop_to(strips.__setitem__, frame, progress=heard.append)
    assert sorted(strips) == [0, 256, 512]
    assert np.array_equal(np.concatenate([strips[r] for r in sorted(strips)]), isp.develop(frame))
    assert heard == sorted(heard) and heard[-1] == 1.0


def test_a_frame_that_breaks_off_is_an_error_not_a_hang() -> None:
    whole = frame_of(textured(600, 128))
    arriving = Frame(whole.meta, whole.data, rows_valid=300)
    arriving.fail("the module was pulled off")
    with pytest.raises(DetachedError, match="pulled off"):
        isp.develop(arriving)


def test_progress_can_cancel() -> None:
    def stop(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        isp.develop(frame_of(textured(600, 128)), progress=stop)


def test_exposure_brightens_and_keeps_order() -> None:
    frame = flat(0.1, PHASES[0])
    means = [isp.develop(frame, Develop(exposure_ev=ev)).mean() for ev in (-2, -1, 0, 1, 2)]
    assert means == sorted(means) and means[-1] - means[0] > 80


def test_linear_tone_is_the_srgb_encoding() -> None:
    picture = isp.develop(flat(0.18, PHASES[0]), Develop(tone="linear", sharpening=0.0))
    # IEC 61966-2-1: 0.18 is 117.6
    assert abs(float(picture.mean()) - 117.6) < 1.0


def test_shading_is_evened_out() -> None:
    height, width = 240, 320
    y, x = np.mgrid[:height, :width]
    r2 = ((x - 159.5) ** 2 + (y - 119.5) ** 2) / (159.5**2 + 119.5**2)
    light = 0.3 * (1 - 0.5 * r2 + 0.1 * r2**2)
    mosaic = mosaicked(np.rint(64 + 4031 * light[..., None] * np.array(NEUTRAL)))
    frame = frame_of(mosaic)
    known = Calibration(
        shading=(Shading(f_number=2.8, focus_distance_m=1.0, coefficients=(-0.5, 0.1, 0.0)),)
    )
    evened = isp.develop(frame, calibration=known)
    assert int(np.ptp(evened)) <= 3
    left = isp.develop(frame, Develop(shading=False), calibration=known)
    assert int(np.ptp(left)) > 30


@pytest.mark.parametrize("phase", PHASES)
def test_shading_of_each_colour_is_evened_out(phase: tuple[str, str]) -> None:
    height, width = 240, 320
    y, x = np.mgrid[:height, :width]
    r2 = ((x - 159.5) ** 2 + (y - 119.5) ** 2) / (159.5**2 + 119.5**2)
    corners = np.array([-0.6, -0.5, -0.4])
    light = 0.3 * (1 + corners * r2[..., None]) * np.array(NEUTRAL)
    frame = frame_of(mosaicked(np.rint(64 + 4031 * light), phase), phase)
    red, green, blue = ((k, 0.0, 0.0) for k in corners.tolist())
    shading = Shading(f_number=2.8, focus_distance_m=1.0, coefficients=green, red=red, blue=blue)
    assert int(np.ptp(isp.develop(frame, calibration=Calibration(shading=(shading,))))) <= 4
    alike = msgspec.structs.replace(shading, red=None, blue=None)
    assert int(np.ptp(isp.develop(frame, calibration=Calibration(shading=(alike,))))) > 10


def test_defects_are_mended() -> None:
    frame = flat(0.2, PHASES[0])
    clean = isp.develop(frame)
    mosaic = frame.mosaic()
    mosaic[31, 41] = 4095
    mosaic[0, 0] = 4095
    spotted = frame_of(mosaic)
    assert not np.array_equal(isp.develop(spotted), clean)
    known = Calibration(defects=((41, 31), (0, 0)))
    assert np.array_equal(isp.develop(spotted, calibration=known), clean)


@pytest.mark.parametrize(
    "params",
    [
        Develop(exposure_ev=float("nan")),
        Develop(sharpening=-1.0),
        Develop(white_balance=(0.0, 1.0, 1.0)),
        Develop(white_balance=100.0),
        Develop(demosaic="vng"),  # type: ignore[arg-type]
        Develop(white_balance="sunny"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_asked_for_is_refused(params: Develop) -> None:
    with pytest.raises(SettingError):
        isp.develop(flat(0.2, PHASES[0]), params)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"tone": "fillm"}, "'fillm'; expected one of film, linear"),
        ({"scale": "quarter"}, "'quarter'; expected one of full, half"),
        ({"demosaic": "best"}, "'best'; expected one of gradient, linear"),
        ({"contrast": 2}, "'contrast'; expected one of exposure_ev, white_balance, tint, tone"),
        ({"exposure_ev": "bright"}, "'bright'; expected -5 to 5"),
        ({"exposure_ev": np.nan}, "nan; expected -5 to 5"),
        ({"saturation": None}, "None; expected 0 to 2"),
        ({"shading": "yes"}, "'yes'; expected one of True, False"),
        ({"white_balance": "cloudy"}, "'cloudy'; expected 'as shot', 'auto', kelvin"),
        ({"white_balance": (1.0, 1.0)}, "expected 'as shot', 'auto', kelvin"),
        ({"white_balance": ("a", 1.0, 1.0)}, "expected 'as shot', 'auto', kelvin"),
        ({"white_balance": None}, "expected 'as shot', 'auto', kelvin"),
    ],
)
def test_what_there_is_not_is_refused_with_what_there_is(params: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingError) as refused:
        modoptic.develop(flat(0.2, PHASES[0]), **params)
    assert said in str(refused.value).replace("cannot be ", "")


def test_colours_that_make_no_picture_are_refused() -> None:
    color = ColorCalibration(
        illuminant=21,
        color_matrix=CANON,
        forward_matrix=((np.nan,) * 3, (0.0, 1.0, 0.0), (0.0, 0.0, 0.8249)),
    )
    with pytest.raises(SettingError, match="colour matrix"):
        isp.develop(flat(0.2, PHASES[0]), calibration=Calibration(colors=(color,)))


@pytest.mark.parametrize("unknown", [{"f_number": 0.0}, {"focus_distance_m": 0.0}])
def test_without_iris_or_focus_no_fall_off_is_evened_out(unknown: dict[str, float]) -> None:
    known = Calibration(
        shading=(Shading(f_number=2.8, focus_distance_m=1.0, coefficients=(-0.5, 0.1, 0.0)),)
    )
    settings = msgspec.structs.replace(flat(0.2, PHASES[0]).meta.settings, **unknown)
    shot = frame_of(textured(64, 96), settings=settings)
    assert np.array_equal(isp.develop(shot, calibration=known), isp.develop(shot))


def test_frames_that_cannot_be_developed_are_refused() -> None:
    with pytest.raises(SettingError, match="Bayer"):
        isp.develop(Frame(FrameMeta(width=64, height=64, cfa=("RR", "GB")), bytes(64 * 96)))
    with pytest.raises(SettingError, match="at least 32"):
        isp.develop(Frame(FrameMeta(width=16, height=16), bytes(16 * 24)))
    with pytest.raises(SettingError, match="white level"):
        isp.develop(frame_of(textured(64, 64), white_level=10))


def test_frames_of_any_memory_are_developed() -> None:
    # 16 bit rows are a view of the frame's memory, which may not be writable
    mosaic = textured(64, 64)
    fields = {"pixel_format": "BayerRG16", "as_shot_neutral": NEUTRAL, "black_level": (64.0,)}
    meta = FrameMeta(width=64, height=64, color_matrix=CANON, **fields)  # type: ignore[arg-type]
    for memory in (mosaic.tobytes(), bytearray(mosaic.tobytes())):
        assert np.array_equal(
            isp.develop(Frame(meta, memoryview(memory))), isp.develop(frame_of(mosaic))
        )


def test_odd_sizes_are_developed() -> None:
    mosaic = textured(67, 91)
    meta = FrameMeta(
        width=91, height=67, pixel_format="BayerGR12", cfa=("GR", "BG"), as_shot_neutral=NEUTRAL
    )
    frame = Frame(meta, mosaic.reshape(-1).view(np.uint8))
    assert isp.develop(frame).shape == (67, 91, 3)
    assert isp.develop(frame, Develop(scale="half")).shape == (33, 45, 3)


def noisy(height: int, width: int, noise: NoiseModel) -> tuple[Frame, Frame]:
    """A step between two greys, without and with noise."""
    x = np.arange(width)
    light = np.where(x < width // 2, 0.05, 0.25)[None, :, None] * np.array(NEUTRAL)
    clean = mosaicked(np.broadcast_to(64 + 4031 * light, (height, width, 3)))
    level = (clean - 64.0) / 4031
    spread = np.sqrt(noise.scale * level + noise.offset)
    dn = clean + 4031 * spread * np.random.default_rng(2).standard_normal(clean.shape)
    spotted = np.clip(np.rint(dn), 0, 4095).astype(np.uint16)
    return frame_of(clean, noise=noise), frame_of(spotted, noise=noise)


def test_noise_goes_and_the_edge_stays() -> None:
    noise = NoiseModel(scale=1e-3, offset=1e-5)
    clean, spotted = noisy(160, 240, noise)
    wanted = isp.develop(clean).astype(float)
    before = isp.develop(spotted).astype(float) - wanted
    after = isp.develop(spotted, Develop(denoise=1.0)).astype(float) - wanted
    assert after.std() < 0.5 * before.std()
    colour = after[..., 0] - after[..., 1], before[..., 0] - before[..., 1]
    assert colour[0].std() < 0.6 * colour[1].std()
    # the picture is neither lighter nor darker for it
    assert abs(after[:, 20:100].mean()) < 1.5 and abs(after[:, 140:220].mean()) < 1.5
    kept = isp.develop(clean, Develop(denoise=1.0)).astype(float)
    assert np.abs(kept - wanted).max() <= 3


def test_reducing_noise_leaves_no_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    _, frame = noisy(330, 1300, NoiseModel(scale=1e-3, offset=1e-5))
    whole = isp.develop(frame, Develop(denoise=1.0))
    monkeypatch.setattr(room, "_DENOISE_ROWS", 48)
    assert np.array_equal(isp.develop(frame, Develop(denoise=1.0)), whole)


def test_without_a_noise_model_nothing_is_smoothed() -> None:
    frame = frame_of(textured(64, 96))
    assert np.array_equal(isp.develop(frame, Develop(denoise=1.0)), isp.develop(frame))


@pytest.mark.parametrize("params", [{}, {"scale": "half"}, {"denoise": 1.0}])
def test_a_quad_mosaic_is_developed_as_the_bayer_mosaic_it_becomes(params: dict[str, Any]) -> None:
    # more rows than a band, so that mosaics of bands meet
    light = np.random.default_rng(3).integers(200, 3000, (640, 96)).astype(np.uint16)
    defects = ((40, 300), (41, 301), (3, 3))
    for x, y in defects:
        light[y, x] = 4000
    meta = FrameMeta(
        width=96, height=640, pixel_format="QuadBayerRG12p", cfa=QUAD, as_shot_neutral=NEUTRAL,
        settings=Settings(readout="native"), noise=NoiseModel(scale=1e-4, offset=1e-6),
    )  # fmt: skip
    native = Frame(meta, pixels.pack(light, pixels.pixel_format(meta.pixel_format)))
    calibration = Calibration(defects=defects)
    mended = light.copy()
    mend(mended, 0, np.array(sorted((y, x) for x, y in defects)))
    bayer = msgspec.structs.replace(
        meta, pixel_format="BayerRG12p", cfa=("RG", "GB"), remosaiced=True,
        settings=Settings(readout="full"),
    )  # fmt: skip
    form = pixels.pixel_format("BayerRG12p")
    made = Frame(bayer, pixels.pack(remosaic(mended), form))
    how = Develop(**params)
    np.testing.assert_array_equal(
        isp.develop(native, how, calibration=calibration),
        isp.develop(made, how, calibration=calibration),
    )


def test_a_quad_mosaic_is_developed_while_it_arrives() -> None:
    light = np.random.default_rng(3).integers(200, 3000, (640, 96)).astype(np.uint16)
    meta = FrameMeta(
        width=96, height=640, pixel_format="QuadBayerRG12p", cfa=QUAD, as_shot_neutral=NEUTRAL
    )
    data = pixels.pack(light, pixels.pixel_format(meta.pixel_format))
    whole, coming = Frame(meta, data), Frame(meta, data, rows_valid=0)
    feeder = threading.Thread(
        target=lambda: [coming.rows_arrived(rows) for rows in range(20, 660, 20)]
    )
    feeder.start()
    found = isp.develop(coming)
    feeder.join()
    np.testing.assert_array_equal(found, isp.develop(whole))
