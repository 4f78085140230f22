"""Hands that shake and things that move."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from modoptic.errors import SettingError
from modoptic.scenes import (
    HandShake,
    Lamps,
    Layer,
    Moving,
    Pose,
    Scene,
    ShadedLayer,
    SpectralCube,
    load_scene,
    scene_at,
)


def test_rates_have_the_rms_that_was_asked_for() -> None:
    t = np.arange(0, 300, 1 / 50)
    for rms in (0.01, 0.03, 0.06):
        rates = HandShake(1, rms).rates(t)
        assert np.allclose(rates[:, :3].std(axis=0), rms, rtol=0.02)
        assert np.allclose(rates[:, 3:].std(axis=0), 0.01 * rms / 0.03, rtol=0.02)
        # the axes have nothing to do with each other
        assert np.abs(np.corrcoef(rates.T) - np.eye(6)).max() < 0.1
    assert np.allclose(HandShake(1, 0.0).poses(t[:5]), 0.0)


def test_the_spectrum_is_even_then_falls_as_1_over_f2_and_ends() -> None:
    rate, hands = 100, 12
    t = np.arange(0, 200, 1 / rate)
    power = np.zeros(len(t) // 2 + 1)
    for seed in range(hands):
        rates = HandShake(seed).rates(t)[:, :3]
        window = np.hanning(len(t))[:, None]
        spectrum = np.abs(np.fft.rfft(rates * window, axis=0)) ** 2
        power += spectrum.sum(axis=1) * 2 / (rate * (window**2).sum() * 3 * hands)
    f = np.fft.rfftfreq(len(t), 1 / rate)
    # the even part: 0.03^2 = S (2.5 + 9 (1/3 - 1/20))
    level = 0.03**2 / (2.5 + 9 * (1 / 3 - 1 / 20))

    def mean(low: float, high: float) -> float:
        return float(power[(f >= low) & (f < high)].mean())

    for low, high in ((0.55, 1), (1, 1.5), (1.5, 2), (2, 2.5), (2.5, 2.95)):
        assert mean(low, high) == pytest.approx(level, rel=0.1)
    for low, high in ((3.05, 4), (4, 6), (6, 9), (9, 13), (13, 19.5)):
        # the mean of 9 / f^2 over the band
        assert mean(low, high) == pytest.approx(level * 9 / (low * high), rel=0.12)
    assert mean(20.2, 50) < 1e-4 * level
    assert mean(0.05, 0.45) < 1e-3 * level


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**40), t=st.floats(-1e6, 1e6))
def test_the_same_seed_is_the_same_hand(seed: int, t: float) -> None:
    one, other = HandShake(seed), HandShake(seed)
    assert one.pose(t) == other.pose(t)
    # asked for alone or among others, before or after
    among = other.poses([5.0, t, 0.0, -3.0])[1]
    assert np.allclose(one.pose(t), among, rtol=1e-12, atol=1e-15)
    assert one.pose(t) != HandShake(seed + 1).pose(t)
    # continuous: nothing moves faster than its tones allow
    before, after = np.array(one.pose(t)), np.array(one.pose(t + 1e-3))
    assert np.abs(after - before)[:3].max() < 1e-3 * 0.03 * math.sqrt(2 * 96)


def test_poses_are_the_integral_of_rates() -> None:
    shake = HandShake(3)
    t = np.linspace(0, 2, 20001)
    rates = shake.rates(t)
    moved = ((rates[1:] + rates[:-1]) / 2 * np.diff(t)[:, None]).sum(axis=0)
    assert np.allclose(moved, shake.poses([2.0])[0] - shake.poses([0.0])[0], atol=1e-8)
    assert isinstance(shake.pose(0.0), Pose)


class Held(HandShake):
    """A hand that holds one pose, to test what it does to the image."""

    def __init__(self, **pose: float) -> None:
        super().__init__(0)
        self.held = [pose.get(axis, 0.0) for axis in Pose._fields]

    def poses(self, t_s: object) -> np.ndarray:
        return np.tile(self.held, (len(np.atleast_1d(np.asarray(t_s))), 1))


@pytest.mark.parametrize("axis", Pose._fields)
@pytest.mark.parametrize("at", [(0.0, 0.0), (6000.0, -4000.0)])
def test_the_image_moves_as_geometry_says(axis: str, at: tuple[float, float]) -> None:
    small, focal_um, distance = 1e-5, 17500.0, 0.8
    path = Held(**{axis: small}).path_um(
        [0.0], focal_um / 1000, distance_m=distance, at_um=at
    )  # fmt: skip
    # the same by turning and moving a point in space: x right, y down, z forward
    point = distance * np.array([at[0] / focal_um, at[1] / focal_um, 1.0])
    c, s = math.cos(small), math.sin(small)
    camera_to_world = {
        "yaw": [[c, 0, s], [0, 1, 0], [-s, 0, c]],
        "pitch": [[1, 0, 0], [0, c, -s], [0, s, c]],
        "roll": [[c, -s, 0], [s, c, 0], [0, 0, 1]],
    }.get(axis, np.eye(3))
    shift = small * np.array([axis == "x", axis == "y", axis == "z"])
    seen = np.asarray(camera_to_world).T @ (point - shift)
    wanted = seen[:2] / seen[2] * focal_um - np.array(at)
    assert np.allclose(path[0], wanted, atol=1e-4, rtol=1e-3)


def test_blur_grows_with_exposure_and_nearness() -> None:
    shake = HandShake(5)
    assert shake.blur_um(0.0, 1e-4, 17.5) < 0.1
    # at first the blur is the rate times the time: 0.03 rad/s rms an axis over 1/500 s
    starts = np.arange(0, 40, 0.4)
    short = np.array([shake.blur_um(t, 0.002, 17.5) for t in starts])
    expected = 17500 * 0.002 * 0.03 * math.sqrt(2)
    assert math.sqrt(float((short**2).mean())) == pytest.approx(expected, rel=0.12)
    mean = [np.mean([shake.blur_um(t, e, 17.5) for t in starts]) for e in (0.008, 1 / 30, 0.125)]
    assert mean[0] < mean[1] < mean[2]
    # translation matters near by: at 0.33 m it adds as much as turning, far away nothing
    near = [shake.blur_um(t, 0.002, 17.5, distance_m=1 / 3) for t in starts]
    far = [shake.blur_um(t, 0.002, 17.5, distance_m=100.0) for t in starts]
    assert np.sqrt(np.mean(np.square(near)) / (short**2).mean()) == pytest.approx(1.414, rel=0.12)
    assert np.allclose(far, short, rtol=0.05)
    # twice the focal length, twice the blur
    assert shake.blur_um(1.0, 0.1, 35.0) == pytest.approx(2 * shake.blur_um(1.0, 0.1, 17.5))


@pytest.mark.parametrize(
    "call",
    [
        lambda: HandShake(-1),
        lambda: HandShake(1.5),  # pyright: ignore[reportArgumentType]
        lambda: HandShake(1, math.nan),
        lambda: HandShake(1, -0.1),
        lambda: HandShake(1, 0.03, 5.0),
        lambda: HandShake(1).pose(math.nan),
        lambda: HandShake(1).pose(math.inf),
        lambda: HandShake(1).blur_um(0.0, 0.0, 17.5),
        lambda: HandShake(1).blur_um(0.0, 0.1, -17.5),
        lambda: HandShake(1).path_um([0.0], 17.5, distance_m=0.0),
    ],
)
def test_impossible_shakes_are_refused(call: object) -> None:
    assert callable(call)
    with pytest.raises(SettingError):
        call()


LENS_M = 0.0175


def sampled(layer: Layer, x: float, y: float, distance: float) -> np.ndarray:
    """64 x 64 samples about a point at that distance from the sensor plane, by an even response."""
    away = distance - LENS_M
    out = np.empty((4, 64, 64), np.float32)
    step = 0.002 / away
    matrix = np.tile(layer.basis.sum(axis=1), (3, 1)).astype(np.float32)
    layer.sample(matrix, LENS_M, x / away - 31.5 * step, y / away - 31.5 * step, step, out)
    return out


def kinds(tmp_path: Path) -> dict[str, Layer]:
    """One layer of each kind that can move, at 1 m."""
    rng = np.random.default_rng(8)
    small = Image.fromarray(rng.integers(0, 255, (12, 16, 3), np.uint8))
    small.resize((320, 240)).save(tmp_path / "a.png")
    cube = SpectralCube(
        np.array([450.0, 550.0, 650.0]), rng.random((6, 8, 3)).repeat(20, axis=0).repeat(20, axis=1)
    )
    found = {
        "formula": load_scene("chart").layers[0],
        "patches": load_scene("colorchecker-sg", distance_m=1.0).layers[-1],
        "picture": load_scene(tmp_path / "a.png", distance_m=1.0).layers[0],
        "cube": cube.scene(depth_m=1.0).layers[0],
    }
    return {k: v for k, v in found.items() if not isinstance(v, Lamps)}


@pytest.mark.parametrize("kind", ["formula", "patches", "picture", "cube"])
def test_a_layer_is_where_its_speed_brought_it(tmp_path: Path, kind: str) -> None:
    layer = kinds(tmp_path)[kind]
    moving = Moving(layer, (0.10, -0.04, 0.0))
    before = sampled(layer, 0.02, 0.01, 1.0)
    light = float(before[0].max())
    assert before[0].std() > 0.01 * light
    assert np.array_equal(sampled(moving, 0.02, 0.01, 1.0), before)
    after = sampled(moving.at(0.5), 0.07, -0.01, 1.0)
    assert np.allclose(after, before, atol=2e-3 * light)
    still = sampled(moving.at(0.5), 0.02, 0.01, 1.0)
    assert not np.allclose(still[0], before[0], atol=0.01 * light)
    # away: the same points are seen at the new distance
    far = Moving(layer, (0.0, 0.0, 2.0)).at(0.5)
    assert far.inverse_depth(0.0)[0] == pytest.approx(0.5)
    if kind in ("formula", "patches"):
        there = sampled(far, 0.02, 0.01, 2.0)
        assert np.allclose(there[0], before[0], atol=0.02 * light)
        assert np.allclose(there[3], before[3], atol=0.02)
    # its bounds came along
    box, moved = layer.bounds(LENS_M), moving.at(0.5).bounds(LENS_M)
    away = 1.0 - LENS_M
    for a, b, shift in zip(box, moved, (0.05, -0.02, 0.05, -0.02), strict=True):
        assert b == pytest.approx(a + shift / away) or math.isinf(a)


def test_what_swings_comes_back_and_has_its_speed_at_first() -> None:
    layer = load_scene("chart").layers[0]
    assert isinstance(layer, ShadedLayer)
    swinging = Moving(layer, (0.5, 0.0, -0.2), 2.0)
    assert np.allclose(swinging.gone(0.0, 1e-6), (0.5e-6, 0.0, -0.2e-6))
    # its farthest after a quarter: the sine of that speed has v T / 2 pi
    assert np.allclose(swinging.gone(0.0, 0.5), (0.5 / math.pi, 0.0, -0.2 / math.pi))
    assert np.allclose(swinging.gone(0.5, 1.5), (-1.0 / math.pi, 0.0, 0.4 / math.pi))
    assert np.allclose(swinging.gone(0.3, 2.3), 0.0)
    at = swinging.at(0.5)
    assert isinstance(at, ShadedLayer)
    assert at.center_m[0] == pytest.approx(layer.center_m[0] + 0.5 / math.pi)
    assert at.distance_m == pytest.approx(layer.distance_m - 0.2 / math.pi)


def test_the_toy_train_goes_to_and_fro_on_the_table() -> None:
    scene = load_scene("toy-train")
    names = [layer.name for layer in scene.layers]
    assert [n for n in names if n != "toy train"] == [n.name for n in load_scene("studio").layers]
    train = scene.layers[names.index("toy train")]
    assert isinstance(train, Moving)
    boxes = [scene_at(scene, t).layers[names.index("toy train")] for t in (0.0, 1.0, 2.0, 3.0)]
    lefts = [box.bounds(0.0)[0] for box in boxes if not isinstance(box, Lamps)]
    assert lefts[0] == pytest.approx(lefts[2]) and lefts[3] < lefts[0] - 0.2 < lefts[1] - 0.4
    # it stands on the table, and has an engine to the right that is higher than its wagons
    found = np.empty((4, 90, 320), np.float32)
    train.sample(np.eye(3, dtype=np.float32), 0.0, -0.16 / 0.9, 0.11 / 0.9, 0.001 / 0.9, found)
    seen = found[3] > 0.5
    assert seen.any(axis=0).sum() > 290 and np.flatnonzero(seen.any(axis=1))[-1] == 89
    heights = [np.flatnonzero(half.any(axis=1))[0] for half in (seen[:, :160], seen[:, 160:])]
    assert heights[0] > heights[1] + 10


def test_a_scene_at_a_time_has_its_order() -> None:
    def board(name: str, distance: float) -> ShadedLayer:
        layer = load_scene("chart", distance_m=distance).layers[0]
        assert isinstance(layer, ShadedLayer)
        return ShadedLayer(name, layer.kind, layer.basis, distance, params=layer.params)

    back, mid, near = board("back", 4.0), board("mid", 2.0), board("near", 1.0)
    scene = Scene("x", "x", (back, Moving(mid, (0.1, 0, -1.0)), Moving(near, (0.5, 0, 0))))
    names = [[layer.name for layer in scene_at(scene, t).layers] for t in (0.0, 0.5, 1.5, -3.0)]
    assert names == [
        ["back", "mid", "near"],
        ["back", "mid", "near"],
        ["back", "near", "mid"],
        ["mid", "back", "near"],
    ]
    assert not any(isinstance(layer, Moving) for layer in scene_at(scene, 0.5).layers)
    with pytest.raises(SettingError, match=r"0\.1 m away"):
        scene_at(scene, 2.0)


def test_what_cannot_move_is_refused(tmp_path: Path) -> None:
    layer = kinds(tmp_path)["formula"]
    for velocity in ((math.nan, 0.0, 0.0), (1.0, 2.0)):
        with pytest.raises(SettingError, match="three finite numbers"):
            Moving(layer, velocity)  # pyright: ignore[reportArgumentType]
    with pytest.raises(SettingError, match="time"):
        Moving(layer, (1.0, 0.0, 0.0)).at(math.nan)
    for period in (0.0, -1.0, math.nan):
        with pytest.raises(SettingError, match="period"):
            Moving(layer, (1.0, 0.0, 0.0), period)
    table = next(part for part in load_scene("studio").layers if part.name == "table")
    assert not isinstance(table, Lamps)
    with pytest.raises(SettingError, match="a layer that stands upright"):
        Moving(table, (1.0, 0.0, 0.0))
