"""Hands that shake and things that move, in the picture."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from modoptic.calibration import Calibration
from modoptic.errors import FileError
from modoptic.frame import Frame, Settings
from modoptic.optics import IdealLens, LensState, LightRenderer, Timing, solve
from modoptic.optics import _render as render
from modoptic.scenes import (
    HandShake,
    Lamps,
    Moving,
    Scene,
    ShadedLayer,
    illuminant,
    load_scene,
    scene_at,
)
from modoptic.sensor import CompactLight
from modoptic.twin import Twin, load_definition, spectral_response
from modoptic.twin import _motion as twin_motion
from modoptic.twin._definition import Stabilisation, _check
from modoptic.twin._light import LightMaps, Window, sample_grid
from modoptic.twin._motion import MovingLight

Doubles = npt.NDArray[np.float64]
MODULE, PHONE = load_definition("xiaomi-mos-35"), load_definition("phone-1inch")
AWAY_M = 1.0


class Steady:
    """A hand that turns and goes evenly."""

    def __init__(self, **rates: float) -> None:
        self.rates = [rates.get(k, 0.0) for k in ("pitch", "yaw", "roll", "x", "y", "z")]

    def poses(self, t_s: npt.ArrayLike) -> Doubles:
        return np.multiply.outer(np.asarray(t_s, np.float64), self.rates)


def lamps(*places: tuple[float, float]) -> Scene:
    position = np.array([[x, y, AWAY_M] for x, y in places])
    light = np.tile(illuminant("D65") * 100.0, (len(places), 1))
    return Scene("lamps", "", (Lamps("lamps", position, np.full(len(places), 1e-5), light),))


def lens_of(definition: object, f_number: float = 8.0) -> LensState:
    focal = definition.focal_length_mm  # type: ignore[attr-defined]
    return LensState(focal, f_number, AWAY_M, 0.9)


def held(scene: Scene, hand: object, definition: object = MODULE) -> MovingLight:
    response = spectral_response(definition)  # type: ignore[arg-type]

    def of(scene: Scene) -> LightRenderer:
        return LightRenderer(scene, response, IdealLens())

    return MovingLight(scene, of(scene), of, definition.sensor, hand)  # type: ignore[arg-type, attr-defined]


def centred(width: int, height: int, definition: object = MODULE, readout: str = "full") -> Window:
    side = {"full": 1, "bin2": 2, "bin4": 4}[readout]
    spec = definition.sensor  # type: ignore[attr-defined]
    x, y = (spec.width // side - width) // 2 & ~3, (spec.height // side - height) // 2 & ~3
    return Window(readout, x, y, width, height)  # type: ignore[arg-type]


def rates(light: CompactLight) -> Doubles:
    return (light.codes.astype(np.float64) * light.per_code) ** 2


def taken(
    moving: MovingLight,
    window: Window,
    timing: Timing,
    definition: object = MODULE,
    f_number: float = 8.0,
) -> Doubles:
    return rates(
        moving.window(lens_of(definition, f_number), window, timing, cancelled=lambda: False)
    )


def spread(light: Doubles) -> tuple[float, float, float]:
    """Centre and variance along the columns, and centre along the rows, of one green."""
    green = light[0::2, 1::2]
    columns, rows = green.sum(0), green.sum(1)
    at, down = 1.0 + 2.0 * np.arange(columns.size), 2.0 * np.arange(rows.size)
    middle = float((columns * at).sum() / columns.sum())
    variance = float((columns * (at - middle) ** 2).sum() / columns.sum())
    return middle, variance, float((rows * down).sum() / rows.sum())


def photosites(definition: object, tangent: float) -> float:
    distance_um = solve(lens_of(definition)).image_distance_m * 1e6
    return distance_um * tangent / definition.sensor.pitch_um  # type: ignore[attr-defined]


@pytest.mark.parametrize("exposure_s", [0.025, 0.05])
def test_a_point_becomes_a_streak_of_the_length_of_the_turn(exposure_s: float) -> None:
    scene, window, rate = lamps((0.0, 0.0)), centred(192, 96), 0.1
    still = taken(held(scene, None), window, Timing(0.0, exposure_s, 0.0))
    moves = held(scene, Steady(yaw=rate))
    streak = taken(moves, window, Timing(-0.5 * exposure_s, exposure_s, 0.0))
    # an even streak of length l has the variance l^2 / 12
    length = math.sqrt(12.0 * (spread(streak)[1] - spread(still)[1]))
    expected = photosites(MODULE, 2.0 * math.tan(0.5 * rate * exposure_s))
    assert length == pytest.approx(expected, rel=0.01)
    # light is neither lost nor made
    assert streak.sum() == pytest.approx(still.sum(), rel=2e-3)


def test_turning_right_moves_the_picture_left_and_nearer_things_more() -> None:
    window = centred(128, 128)
    at = taken(held(lamps((0.0, 0.0)), None), window, Timing(1.0, 1e-4, 0.0))
    x0, _, y0 = spread(at)
    for axis, rate, right, down in (
        ("yaw", 1e-3, -1e-3, 0.0), ("pitch", 1e-3, 0.0, 1e-3),
        ("x", 1e-3, -1e-3, 0.0), ("y", 1e-3, 0.0, -1e-3),
    ):  # fmt: skip
        light = taken(
            held(lamps((0.0, 0.0)), Steady(**{axis: rate})), window, Timing(1.0, 1e-4, 0.0)
        )
        x, _, y = spread(light)
        from_lens = AWAY_M - solve(lens_of(MODULE)).image_distance_m
        scale = photosites(MODULE, 1.0) / (from_lens if axis in "xy" else 1.0)
        assert x - x0 == pytest.approx(right * scale, abs=0.05)
        assert y - y0 == pytest.approx(down * scale, abs=0.05)


def test_the_rolling_shutter_slants_a_vertical_line() -> None:
    """Later rows see a picture that has moved farther: rate times row time a row."""
    step_m, rate, row_s = 2e-3, 0.2, 2e-5
    scene = lamps(*((0.0, k * step_m) for k in range(-4, 5)))
    window = centred(128, 384)
    light = taken(held(scene, Steady(yaw=rate)), window, Timing(0.0, 1e-4, row_s))
    green = light[0::2, 1::2]
    rows = 2.0 * np.flatnonzero(green.sum(1) > 0.2 * green.sum(1).max())
    at = 1.0 + 2.0 * np.arange(green.shape[1])
    centre = np.array([(green[int(r) // 2] * at).sum() / green[int(r) // 2].sum() for r in rows])
    slope = float(np.polyfit(rows, centre, 1)[0])
    assert slope == pytest.approx(-photosites(MODULE, rate * row_s), rel=0.03)
    # on a tripod the line stands upright
    still = taken(held(scene, None), window, Timing(0.0, 1e-4, row_s))[0::2, 1::2]
    upright = np.array([(still[int(r) // 2] * at).sum() / still[int(r) // 2].sum() for r in rows])
    assert abs(float(np.polyfit(rows, upright, 1)[0])) < 0.05 * abs(slope)


class Turned:
    """A layer as a turned camera sees it, point by point: slow and without any shortcut."""

    def __init__(self, layer: ShadedLayer, pose: Doubles) -> None:
        x, y, z = pose[3:]
        self.layer = layer.moved(-x, -y, -z)
        self.name, self.basis, self.pose = layer.name, layer.basis, pose

    def inverse_depth(self, lens_m: float) -> tuple[float, float]:
        return self.layer.inverse_depth(lens_m)

    def bounds(self, lens_m: float) -> tuple[float, float, float, float]:
        return (-math.inf, -math.inf, math.inf, math.inf)

    def sample(
        self, matrix: object, lens_m: float, x0: float, y0: float, step: float,
        out: npt.NDArray[np.float32], warp: object = None,
    ) -> None:  # fmt: skip
        from scipy.spatial.transform import Rotation

        pitch, yaw, roll = self.pose[:3]
        # intrinsic turns about y, x, z; about x up, whereas y points down
        turn = Rotation.from_euler("YXZ", [yaw, pitch, roll])
        height, width = out.shape[1:]
        y, x = np.mgrid[:height, :width]
        rays = np.stack([x0 + step * x, y0 + step * y, np.ones_like(x0 + step * x)], -1)
        seen = turn.apply(rays.reshape(-1, 3))
        tangent = (seen[:, :2] / seen[:, 2:]).reshape(height, width, 2)
        one = np.empty((4, 1, 1), np.float32)
        for i in range(height):
            for j in range(width):
                self.layer.sample(matrix, lens_m, *tangent[i, j], step, one)  # type: ignore[arg-type]
                out[:, i, j] = one[:, 0, 0]


def decibels(found: Doubles, wanted: Doubles) -> float:
    return 10.0 * math.log10(float(wanted.max() ** 2 / ((found - wanted) ** 2).mean()))


def mean_of(render: Callable[[float], Doubles], timing: Timing, count: int) -> Doubles:
    part = timing.exposure_s / count
    return sum(render(timing.start_s + (k + 0.5) * part) for k in range(count)) / count  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("readout", "exposure_s", "f_number", "at_least"),
    [
        ("full", 1 / 60, 2.8, 42.0), ("full", 1 / 1000, 2.8, 34.0), ("full", 1 / 1000, 8.0, 44.0),
        ("bin2", 1 / 60, 2.8, 41.0), ("bin2", 1 / 1000, 2.8, 28.0), ("bin4", 1 / 60, 2.8, 42.0),
    ],
)  # fmt: skip
def test_the_displaced_light_is_that_of_a_camera_that_turned(
    readout: str, exposure_s: float, f_number: float, at_least: float
) -> None:
    """Against the scene rendered anew for each of the poses."""
    chart, hand = load_scene("chart", distance_m=AWAY_M), HandShake(11, 0.03)
    response, lens = spectral_response(MODULE), lens_of(MODULE, f_number)
    window = centred(64, 64, readout=readout)
    grid = sample_grid(MODULE.sensor, window)
    timing = Timing(2.0, exposure_s, 0.0)
    layer = chart.layers[0]
    assert isinstance(layer, ShadedLayer)

    def posed(at_s: float) -> Doubles:
        turned = Turned(layer, hand.poses([at_s])[0])
        renderer = LightRenderer(Scene("", "", (turned,)), response, IdealLens())
        return renderer.light(lens, grid).astype(np.float64)

    wanted = mean_of(posed, timing, 12)
    found = taken(held(chart, hand), window, timing, f_number=f_number)
    assert wanted.std() > 0.2 * wanted.mean()  # there is something to see
    told = decibels(found, wanted)
    print(readout, exposure_s, f_number, round(told, 1), "dB")
    assert told > at_least


def _card() -> ShadedLayer:
    """The studio's orange, whose right edge lies in the middle of the picture."""
    layer = next(layer for layer in load_scene("studio").layers if layer.name == "orange")
    assert isinstance(layer, ShadedLayer)
    x, y = layer.center_m
    return layer.moved(-x - 0.039, -y, 0.98 - layer.distance_m)


# with a period of 0.05 s it turns back within the exposure
@pytest.mark.parametrize("period_s", [None, 0.05])
def test_what_moves_is_drawn_as_it_went(period_s: float | None) -> None:
    """A card passing between charts, against the mean of the scene at many instants."""
    chart = load_scene("chart", distance_m=AWAY_M).layers[0]
    card = _card()
    front = replace(card, distance_m=0.9, center_m=(0.040, 0.0))  # its left edge
    scene = Scene("", "", (chart, Moving(card, (0.15, 0.0, 0.0), period_s), front))
    window, timing = centred(128, 128), Timing(-0.01 if period_s is None else 0.0, 0.02, 0.0)
    response, lens = spectral_response(MODULE), lens_of(MODULE)
    grid = sample_grid(MODULE.sensor, window)

    def at(t_s: float) -> Doubles:
        renderer = LightRenderer(scene_at(scene, t_s), response, IdealLens())
        return renderer.light(lens, grid).astype(np.float64)

    wanted = mean_of(at, timing, 48)
    found = taken(held(scene, None), window, timing)
    told = decibels(found, wanted)
    print("mover", round(told, 1), "dB")
    assert told > 40.0
    # not what it would be at rest
    assert decibels(at(timing.start_s), wanted) < 30.0


@pytest.mark.parametrize("velocity", [(0.4, -0.1, 0.0), (-0.2, 0.0, 0.5)])
def test_the_finder_shows_what_moves_where_it_is(velocity: tuple[float, float, float]) -> None:
    """Against the preview of the scene as it is then; before and behind what rests."""
    orange, chart = _card(), load_scene("chart", distance_m=1.5, size_m=0.6).layers[0]
    front = replace(orange, name="front", distance_m=0.7, center_m=(0.05, 0.0))
    moving = Moving(orange.moved(-0.3, 0.05, 0.0), velocity)
    scene = Scene("", "", (chart, moving, front))
    light, lens = held(scene, None), lens_of(MODULE, 2.0)
    base = light.finder().preview(lens)
    assert isinstance(base, np.ndarray)
    still = base.copy()
    for at_s in (0.0, 0.5, 1.0):
        found = light.preview(lens, base, Timing(at_s - 0.01, 0.02, 0.0))
        now = LightRenderer(scene_at(scene, at_s), spectral_response(MODULE), IdealLens())
        wanted = LightMaps(now, MODULE.sensor).preview(lens)
        assert isinstance(wanted, np.ndarray)
        # where the orange is, as far as it is seen
        there = np.abs(wanted - still).max(axis=0) > 0.1 * still.max()
        assert there.sum() > 2000
        error = (found - wanted)[:, there] / wanted.max()
        assert math.sqrt((error**2).mean()) < 0.02
        assert math.sqrt((((still - wanted)[:, there] / wanted.max()) ** 2).mean()) > 0.1
        np.testing.assert_allclose(found[:, ~there], wanted[:, ~there], atol=0.15 * wanted.max())
    assert np.array_equal(base, still)


def test_one_hand_turns_two_cameras_by_the_same_angles() -> None:
    hand, angles = HandShake(3, 0.03, 0.0), []
    for definition in (MODULE, PHONE):
        window = centred(256, 256, definition)
        moving = held(lamps((0.0, 0.0)), hand, definition)
        found = [
            spread(taken(moving, window, Timing(t, 1e-4, 0.0), definition)) for t in (0.0, 0.02)
        ]
        scale = photosites(definition, 1.0)
        angles.append([(found[1][0] - found[0][0]) / scale, (found[1][2] - found[0][2]) / scale])
    assert np.abs(angles[0]).max() > 1e-4
    np.testing.assert_allclose(angles[0], angles[1], rtol=0.01, atol=1.5e-5)


def test_the_picture_moves_with_the_spectrum_of_the_hand() -> None:
    """Mean square of the movement over a lag: 2 int S / (2 pi f)^2 (1 - cos 2 pi f lag) df."""
    lags = (0.0, 0.004, 0.05, 0.2)
    window, moved = centred(768, 768), []
    for seed in range(4):
        moving = held(lamps((0.0, 0.0)), HandShake(seed, 0.03, 0.0))
        for n in range(5):
            at = [spread(taken(moving, window, Timing(1.3 * n + lag, 1e-4, 0.0))) for lag in lags]
            moved.append([[a[0] - at[0][0], a[2] - at[0][2]] for a in at[1:]])
    squares = (np.array(moved) ** 2).mean(axis=(0, 2)) / photosites(MODULE, 1.0) ** 2
    f = np.linspace(0.5, 20.0, 4000)
    density = np.where(f < 3.0, 1.0, 9.0 / f**2) / (2.5 + 9.0 * (1 / 3 - 1 / 20)) * 0.03**2
    for square, lag in zip(squares, lags[1:], strict=True):
        inside = density / (2.0 * np.pi * f) ** 2 * (1.0 - np.cos(2.0 * np.pi * f * lag))
        assert math.sqrt(square) == pytest.approx(
            math.sqrt(2.0 * float(np.trapezoid(inside, f))), rel=0.25
        )


def test_the_same_bits_for_any_bands_and_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    chart, window = load_scene("chart"), centred(320, 288)
    card = Moving(_card(), (0.1, 0.0, 0.0))
    for scene in (chart, Scene("", "", (*chart.layers, card))):
        seen = []
        for rows, threads in ((128, "2"), (32, "2"), (512, "1")):
            monkeypatch.setattr(twin_motion, "_BAND_ROWS", rows)
            monkeypatch.setenv("MODOPTIC_THREADS", threads)
            seen.append(taken(held(scene, HandShake(2)), window, Timing(0.0, 0.01, 1e-5)))
        assert np.array_equal(seen[0], seen[1]) and np.array_equal(seen[0], seen[2])


def test_colours_computed_together_and_one_by_one_are_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene, window = load_scene("chart"), centred(96, 96)
    seen = []
    for most in (0, 10**9):
        monkeypatch.setattr(render, "_TOGETHER_TO", most)
        seen.append(taken(held(scene, HandShake(2)), window, Timing(0.0, 0.01, 1e-5)))
    assert np.array_equal(*seen)


def _shot(twin: Twin, settings: Settings) -> Frame:
    described = twin.describe(settings)
    out = bytearray(described.width * described.height * 3 // 2)
    return Frame(twin.capture(settings, memoryview(out), lambda rows: None), memoryview(out))


def test_a_twin_on_a_tripod_takes_the_way_of_the_still_and_a_held_one_does_not() -> None:
    star = load_scene("siemens-star", distance_m=AWAY_M)
    settings = Settings(
        readout="full", region=(5568, 4400, 256, 192), exposure_s=1 / 8, f_number=4.0,
        focus_distance_m=AWAY_M,
    )  # fmt: skip
    frames = []
    for hand in (None, HandShake(1), HandShake(1), HandShake(2)):
        twin = Twin(MODULE, star, real_time=False, calibration=Calibration(), shake=hand)
        twin.start()
        assert (twin._moving is None) == (hand is None)
        frames.append(_shot(twin, settings).mosaic().astype(float))
    assert np.array_equal(frames[1], frames[2])
    assert not np.array_equal(frames[1], frames[3])

    def detail(mosaic: Doubles) -> float:
        green = mosaic[::2, 1::2]
        return float(np.abs(np.diff(green, axis=1)).mean() / green.mean())

    assert detail(frames[1]) < 0.9 * detail(frames[0])


def test_finder_frames_follow_the_hand() -> None:
    twin = Twin(MODULE, "chart", real_time=False, calibration=Calibration(), shake=HandShake(4))
    still = Twin(MODULE, "chart", real_time=False, calibration=Calibration())
    for each in (twin, still):
        each.start()
    settings = Settings(readout="bin4", exposure_s=1 / 100)
    first, *_, last = (_shot(twin, settings).mosaic() for _ in range(4))
    rest = _shot(still, settings).mosaic()
    assert first.mean() == pytest.approx(rest.mean(), rel=0.02)
    noise = float(np.abs(_shot(still, settings).mosaic().astype(float) - rest).mean())
    assert float(np.abs(last.astype(float) - first).mean()) > 1.3 * noise


def test_a_stabiliser_takes_the_slow_turning_of_two_axes() -> None:
    assert MODULE.stabilisation is None and PHONE.stabilisation is not None
    hand = HandShake(9)
    left = hand.stabilised(3.0, 20.0)
    t = np.arange(0, 200, 0.01)
    before, after = hand.rates(t), left.rates(t)
    share = after.std(axis=0) / before.std(axis=0)
    # sqrt of the mean over the spectrum of (1/64 + (f/20)^2) / (1 + (f/20)^2)
    f = np.linspace(0.5, 20.0, 4000)
    density = np.where(f < 3.0, 1.0, 9.0 / f**2)
    kept = (1 / 64 + (f / 20) ** 2) / (1 + (f / 20) ** 2)
    expected = math.sqrt(float((density * kept).sum() / density.sum()))
    np.testing.assert_allclose(share[:2], expected, rtol=0.05)
    np.testing.assert_allclose(share[2:], 1.0)
    # poses stay the integral of the rates
    t = np.linspace(0.0, 1.0, 20001)
    rates_ = left.rates(t)
    gone = ((rates_[1:] + rates_[:-1]) / 2 * np.diff(t)[:, None]).sum(axis=0)
    np.testing.assert_allclose(gone, left.poses([1.0])[0] - left.poses([0.0])[0], atol=1e-8)


@pytest.mark.parametrize(
    "wrong", [{"stops": -1.0, "corner_hz": 20.0}, {"stops": 3.0, "corner_hz": 0.0}]
)
def test_an_impossible_stabiliser_is_refused_by_name(wrong: dict[str, float]) -> None:
    bad = msgspec.structs.replace(MODULE, stabilisation=Stabilisation(**wrong))
    with pytest.raises(FileError, match="stabilisation"):
        _check(bad, "bad.toml")


def test_moving_layers_pass_a_twin_without_a_hand() -> None:
    layer = load_scene("siemens-star", distance_m=AWAY_M).layers[0]
    scene = Scene("", "", (*load_scene("flat").layers, Moving(layer, (0.03, 0.0, 0.0))))
    twin = Twin(MODULE, scene, real_time=False, calibration=Calibration())
    twin.start()
    settings = Settings(
        readout="full", region=(5568, 4400, 128, 96), exposure_s=1 / 200, focus_distance_m=AWAY_M
    )
    one, two = (_shot(twin, settings).mosaic().astype(float) for _ in range(2))
    assert abs(one - two).mean() > 0.05 * one.mean()
