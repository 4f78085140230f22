"""Scenes: whole layers, physical levels, no aliasing, and clear refusals."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from modoptic.errors import PictureError, SettingError
from modoptic.scenes import (
    Lamps,
    Layer,
    PanoramaLayer,
    PlanesLayer,
    RasterLayer,
    Scene,
    illuminant,
    load_scene,
    luminance,
    scene_names,
    warm,
)
from modoptic.scenes import _pictures as pictures

LENS_M = 0.0178
UNIT = np.eye(3, dtype=np.float32)


def surfaces(scene: Scene) -> list[Layer]:
    return [layer for layer in scene.layers if not isinstance(layer, Lamps)]


def sampled(layer: Layer, x: float, y: float, step: float, size: int) -> np.ndarray:
    """A square of samples whose corner is (x, y), in coefficients."""
    out = np.empty((4, size, size), np.float32)
    count = len(layer.basis)
    matrix = UNIT if count == 3 else np.full((3, count), 0.5, np.float32)
    layer.sample(matrix, LENS_M, x + step / 2, y + step / 2, step, out)
    return out


def middle(layer: Layer) -> tuple[float, float]:
    left, top, right, bottom = np.clip(layer.bounds(LENS_M), -0.5, 0.37)
    return (left + right) / 2, (top + bottom) / 2


@pytest.mark.parametrize("name", scene_names())
def test_every_scene_is_physical(name: str) -> None:
    scene = load_scene(name)
    assert scene.title
    for layer in surfaces(scene):
        assert layer.basis.shape[1:] == (81,)
        assert layer.basis.min() >= 0
        x, y = middle(layer)
        values = sampled(layer, x - 0.06, y - 0.06, 0.002, 60)
        assert np.isfinite(values).all()
        assert values.min() >= -1e-6
        assert values[3].max() <= 1.0 + 1e-6
        a, b = layer.inverse_depth(LENS_M)
        assert a + b * 0.3 > 0


def test_detail_is_filtered_to_the_footprint() -> None:
    # the mean of fine samples is what a coarse sample sees
    for layer in surfaces(load_scene("studio")):
        x, y = middle(layer)
        fine = sampled(layer, x, y, 1e-4, 128)
        coarse = sampled(layer, x, y, 16e-4, 8)
        mean = fine.reshape(4, 8, 16, 8, 16).mean(axis=(2, 4))
        assert np.abs(mean - coarse).mean() < 0.06 * max(mean.mean(), 0.02), layer.name
        assert coarse.mean() == pytest.approx(mean.mean(), rel=0.05, abs=1e-3), layer.name


@pytest.mark.parametrize("off", [0.0, 0.31, 0.62])
def test_the_table_ends_before_the_horizon_however_coarse_the_points(off: float) -> None:
    table = next(layer for layer in load_scene("studio").layers if layer.name == "table")
    assert not isinstance(table, Lamps)
    lens_m, step, k = 0.0182, 0.0052, 16
    identity = np.eye(3, dtype=np.float32)
    end = table.bounds(lens_m)[1]
    top = -step * off
    coarse = np.empty((4, 24, 40), np.float32)
    fine = np.empty((4, 24 * k, 40 * k), np.float32)
    table.sample(identity, lens_m, -20 * step, top, step, coarse)
    aside = 0.5 * step * (1.0 / k - 1.0)
    table.sample(identity, lens_m, -20 * step + aside, top + aside, step / k, fine)
    means = fine.reshape(4, 24, k, 40, k).mean(axis=(2, 4))
    assert 2.0 * step < end - top < 22.0 * step and means[3, -1].min() == 1.0
    assert coarse[3] == pytest.approx(means[3], abs=0.02)
    assert coarse[:3].max() < 1.2 * means[:3].max()


def test_the_studio_has_its_levels_and_distances() -> None:
    scene = load_scene("studio")
    lamps = [layer for layer in scene.layers if isinstance(layer, Lamps)]
    levels = [luminance(r) for lamp in lamps for r in lamp.radiance]
    assert max(levels) > 1.5e5
    assert all(1e4 <= level <= 3e5 for level in levels)
    assert all(3.0 <= z <= 4.5 for lamp in lamps for z in lamp.position_m[:, 2])
    assert luminance(surfaces(scene)[0].basis.sum(axis=0)) == pytest.approx(120.0, rel=1e-3)
    standing = [layer for layer in surfaces(scene) if layer.inverse_depth(0.0)[0] > 0]
    depths = {layer.name: 1 / layer.inverse_depth(0.0)[0] for layer in standing}
    assert depths["test card"] == pytest.approx(1.0)
    assert 0.35 <= min(depths.values()) <= 0.5
    assert len(set(depths.values())) >= 10


def test_the_finest_print_of_the_card_is_resolved_by_single_photosites() -> None:
    card = next(
        layer for layer in load_scene("studio").layers if getattr(layer, "name", "") == "test card"
    )
    assert not isinstance(card, Lamps)
    step = 1.485e-6 / LENS_M
    # a line pair of 1/3 mm covers four photosites
    away = 1.0 - LENS_M
    x, y = (0.135 + 0.055 - 0.004 + 0.0470 + 0.002) / away, (0.2 - 0.1045 + 0.047) / away
    row = sampled(card, x, y, step, 64)[0, 0]
    assert row.max() - row.min() > 0.5


def test_motorcycle_has_its_measured_depth() -> None:
    scene = load_scene("motorcycle")
    depths = [layer.depth_m for layer in scene.layers if isinstance(layer, RasterLayer)]
    assert 2.0 < min(depths) < 2.4
    assert 4.0 < max(depths) < 5.1
    assert depths == sorted(depths, reverse=True)
    assert "widened" in scene.metadata["scale"]
    # the farthest layer is whole: nothing is missing behind
    first = scene.layers[0]
    assert isinstance(first, RasterLayer)
    assert sampled(first, -0.4, -0.3, 0.01, 60)[3].min() > 0.999


def test_slices_together_are_the_picture(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    rgb = rng.integers(0, 255, (48, 64, 3), np.uint8)
    Image.fromarray(rgb).save(tmp_path / "a.png")
    depth = np.linspace(0.5, 8.0, 64, dtype=np.float32)[None].repeat(48, axis=0)
    np.save(tmp_path / "depth.npy", depth)
    scene = load_scene(tmp_path / "a.png", depth=tmp_path / "depth.npy")
    assert len(scene.layers) > 4
    whole = np.zeros((3, 48, 64), np.float32)
    for layer in scene.layers:
        assert isinstance(layer, RasterLayer)
        pixels = np.empty((4, 48, 64), np.float32)
        step = 1 / layer.pixels_per_tangent
        layer.sample(UNIT, LENS_M, -31.5 * step, -23.5 * step, step, pixels)
        whole = pixels[:3] + whole * (1 - pixels[3])
    code = rgb / 255.0
    linear = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
    assert np.allclose(whole, linear.transpose(2, 0, 1), atol=1e-4)


def test_a_picture_of_a_phone_takes_a_small_multiple_of_its_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "DEEP_PIXELS", 1_000_000)
    rng = np.random.default_rng(3)
    small = Image.fromarray(rng.integers(0, 255, (30, 40, 3), np.uint8))
    small.resize((1600, 1200)).save(tmp_path / "a.png")
    depth = np.linspace(1.0, 8.0, 1200, dtype=np.float32)[:, None].repeat(1600, axis=1)
    depth[300:500, 400:700] = 0.4
    np.save(tmp_path / "depth.npy", depth)
    scene = load_scene(tmp_path / "a.png", depth=tmp_path / "depth.npy")
    layers = [layer for layer in scene.layers if isinstance(layer, RasterLayer)]
    height, width = layers[0].size
    assert 0.95e6 < height * width <= 1e6
    assert f"1600 x 1200, scaled down to {width} x {height}" in scene.metadata["source"]
    assert sum(layer.tiles.nbytes for layer in layers) < 3 * 4 * height * width
    # what stands before the slope is where it was, and at its own distance, not at a mean
    nearest = layers[-1]
    assert nearest.depth_m == pytest.approx(0.4, rel=0.01)
    step = width / 1600 / layers[0].pixels_per_tangent
    cover = np.empty((4, 1200, 1600), np.float32)
    nearest.sample(UNIT, LENS_M, -799.5 * step, -599.5 * step, step, cover)
    rows, columns = np.nonzero(cover[3] > 0.5)
    edges = columns.min(), columns.max() + 1, rows.min(), rows.max() + 1
    assert np.allclose(edges, (400, 700, 300, 500), atol=2)
    left, top, right, bottom = np.array(nearest.bounds(LENS_M)) / step
    assert left <= 400 - 800 and top <= 300 - 600
    assert np.allclose((right, bottom), (700 - 800, 500 - 600), atol=6)


def test_bad_pictures_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PictureError, match="no such file"):
        load_scene(tmp_path / "none.jpg")
    text = tmp_path / "text.jpg"
    text.write_text("not a picture")
    with pytest.raises(PictureError, match="not a picture"):
        load_scene(text)
    with pytest.raises(PictureError):
        load_scene(tmp_path)
    good = tmp_path / "good.jpg"
    Image.new("RGB", (64, 48), "orange").save(good)
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(good.read_bytes()[:400])
    with pytest.raises(PictureError):
        load_scene(cut)
    Image.new("L", (32, 48)).save(tmp_path / "depth.png")
    with pytest.raises(PictureError, match="32 x 48 points"):
        load_scene(good, depth=tmp_path / "depth.png")
    with pytest.raises(PictureError):
        load_scene(good, depth=text)
    for value in (np.nan, np.inf, 0.0, -2.0):
        depth = np.ones((48, 64))
        depth[11, 7] = value
        np.save(tmp_path / "depth.npy", depth)
        with pytest.raises(PictureError, match=f"depth of {value:g} m at row 11, column 7"):
            load_scene(good, depth=tmp_path / "depth.npy")
    (tmp_path / "bad.npy").write_bytes(b"\x93NUMPY nonsense")
    with pytest.raises(PictureError):
        load_scene(good, depth=tmp_path / "bad.npy")
    monkeypatch.setattr(pictures, "MAX_PIXELS", 1000)
    with pytest.raises(PictureError, match="too many"):
        load_scene(good)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(at=st.integers(0, 700), junk=st.binary(min_size=1, max_size=40))
def test_a_damaged_picture_loads_or_is_refused(tmp_path: Path, at: int, junk: bytes) -> None:
    buffer = io.BytesIO()
    Image.effect_noise((32, 24), 60).convert("RGB").save(buffer, "PNG")
    data = bytearray(buffer.getvalue())
    data[at : at + len(junk)] = junk
    path = tmp_path / "damaged.png"
    path.write_bytes(bytes(data))
    try:
        load_scene(path)
    except PictureError as error:
        assert str(path) in str(error)


def test_a_picture_says_at_what_scale_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.effect_noise((64, 48), 60).convert("RGB").save(path)
    scene = load_scene(path)
    assert "widened to 52.6 x 40.7 degrees" in scene.metadata["scale"]
    # 40 of 52.6 degrees, and as much of the height
    scene = load_scene(path, view_degrees=40.0)
    assert scene.metadata["scale"].startswith("true: 40.0 x 30.5 degrees, as it was seen")
    assert "it fills 54 %, beyond its edges stands its mirror image" in scene.metadata["scale"]
    layer = scene.layers[0]
    assert isinstance(layer, RasterLayer)
    half = np.tan(np.radians(20.0))
    assert layer.pixels_per_tangent == pytest.approx(32 / half)
    # on either side of its edge it is alike
    inner, outer = (sampled(layer, x, 0.0, 1e-4, 1)[0, 0, 0] for x in (half - 2e-3, half + 2e-3))
    assert inner == pytest.approx(outer, abs=1e-3)
    # one that was seen wider than the lens sees fills all of it
    assert "mirror" not in load_scene(path, view_degrees=70.0).metadata["scale"]
    moto = load_scene("motorcycle", view_degrees=40.8).metadata["scale"]
    assert "true: 40.8" in moto
    for bad in (0.0, 170.0, np.nan):
        with pytest.raises(SettingError, match="view cannot be"):
            load_scene(path, view_degrees=bad)


def test_wrong_options_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError):
        load_scene("chart", colour="red")
    with pytest.raises(SettingError):
        load_scene("flat", luminance_cd_m2=-1.0)
    with pytest.raises(SettingError):
        load_scene("colorchecker", light="moon")
    with pytest.raises(SettingError):
        load_scene("studio", depth=tmp_path / "depth.png")


def test_a_chart_stands_in_the_light_that_was_asked_for() -> None:
    scene = load_scene("colorchecker@F11")
    assert scene.title == "ColorChecker under F11"
    white = surfaces(scene)[0].basis[0]
    assert np.allclose(white / white.sum(), illuminant("F11") / illuminant("F11").sum())
    assert load_scene("chart@3200K").metadata["light"].startswith("3200K")
    with pytest.raises(SettingError, match="F11, LED-B1"):
        load_scene("colorchecker@candle")
    with pytest.raises(SettingError, match="colorchecker, chart, flat"):
        load_scene("studio@A")


def test_warm_runs_every_kind() -> None:
    assert list(warm())


def test_a_layer_is_sampled_through_the_distortion() -> None:
    warp = np.array([-0.02, 0.01, -0.003])
    x, y, step = 0.31, 0.22, 0.0005
    q = x * x + y * y
    bent = 1.0 + q * (warp[0] + q * (warp[1] + q * warp[2]))
    seen = 0
    layers = [layer for name in scene_names() for layer in surfaces(load_scene(name))]
    pixels = np.random.default_rng(6).random((32, 64, 3)).astype(np.float32)
    basis = np.ones((3, 81))
    layers.append(PanoramaLayer("panorama", basis, pixels, 100.0, 0.3, -0.2))
    layers.append(PlanesLayer("planes", basis[:2], pixels, 2.0, 50.0, (0.1, -0.2)))
    for layer in layers:
        here, there = np.empty((4, 1, 1), np.float32), np.empty((4, 1, 1), np.float32)
        matrix = np.ones((3, len(layer.basis)), np.float32)
        layer.sample(matrix, LENS_M, x, y, step, here, warp)
        layer.sample(matrix, LENS_M, x * bent, y * bent, step, there)
        np.testing.assert_allclose(here, there, rtol=1e-4, atol=1e-6)
        seen += bool(there[3, 0, 0] > 0)
    assert seen >= 3
