"""Charts: what they say of themselves is what a sample sees, at any scale."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from modoptic.errors import SettingError
from modoptic.scenes import (
    Lamps,
    Layer,
    PatchLayer,
    colorchecker_sg_reflectances,
    illuminant,
    load_scene,
    luminance,
    observer,
    scene_names,
    white_radiance,
)

LENS_M = 0.0178
CHARTS = [name for name in scene_names() if name not in ("studio", "toy-train", "motorcycle")]
SHEETS = [name for name in CHARTS if name not in ("colorchecker", "colorchecker-sg", "flat")]


def sheet(name: str, **options: float | str) -> Layer:
    (layer,) = load_scene(name, **options).layers
    assert not isinstance(layer, Lamps)
    return layer


def tones(layer: Layer, x: float, y: float, step: float, shape: tuple[int, int]) -> np.ndarray:
    """First coefficient on a grid whose first sample is at (x, y) metres of a chart at 1 m."""
    away = 1 / layer.inverse_depth(LENS_M)[0]
    out = np.empty((4, *shape), np.float32)
    layer.sample(np.eye(3, dtype=np.float32), LENS_M, x / away, y / away, step / away, out)
    return out[0]


@pytest.mark.parametrize("name", SHEETS)
@pytest.mark.parametrize("times", [4, 16])
def test_a_coarse_sample_sees_the_mean_of_fine_ones(name: str, times: int) -> None:
    layer = sheet(name)
    size, fine = 16, 1.5e-4
    step = fine * times
    x, y = -0.31, -0.13
    many = tones(layer, x, y, fine, (size * times, size * times))
    mean = many.reshape(size, times, size, times).mean(axis=(1, 3))
    # a coarse sample lies in the middle of its fine ones
    off = (times - 1) / 2 * fine
    few = tones(layer, x + off, y + off, step, (size, size))
    scale = max(float(mean.mean()), 0.02)
    # of discs smaller than the sample only the mean is kept
    allowed = 0.09 if name == "dead-leaves" else 0.06
    assert float(np.abs(few - mean).mean()) < allowed * scale
    assert few.mean() == pytest.approx(mean.mean(), rel=0.03)


@pytest.mark.parametrize("name", CHARTS)
def test_every_chart_takes_light_and_distance(name: str) -> None:
    scene = load_scene(name, light="A", luminance_cd_m2=50.0, distance_m=2.0)
    assert scene.name == name
    assert scene.metadata["light"].startswith("A;")
    layer = scene.layers[-1]
    assert not isinstance(layer, Lamps)
    assert 1 / layer.inverse_depth(0.0)[0] == pytest.approx(2.0)
    by_suffix = load_scene(f"{name}@F11").layers[-1]
    assert not isinstance(by_suffix, Lamps)
    assert not np.allclose(by_suffix.basis, layer.basis)


@pytest.mark.parametrize("name", SHEETS)
def test_a_chart_of_half_the_size_at_half_the_distance_looks_the_same(name: str) -> None:
    near, far = sheet(name, size_m=0.4, distance_m=0.5), sheet(name, size_m=0.8, distance_m=1.0)
    seen: list[np.ndarray] = []
    for layer in (near, far):
        out = np.empty((4, 40, 60), np.float32)
        # from the sensor plane itself, so that the distances are as 1 to 2
        layer.sample(np.eye(3, dtype=np.float32), 0.0, -0.3, -0.2, 0.01, out)
        seen.append(out)
    assert np.allclose(*seen, atol=2e-3)


def test_slanted_edges_have_their_angle_and_contrast() -> None:
    layer = sheet("slanted-edges", size_m=1.0, angle_degrees=7.0, contrast=10.0)
    # the middle column's squares stand at x = 0; the second row's lies 1/8 of the height above
    pitch_y = 0.3707 / 0.494 / 4
    out = tones(layer, -0.1, -pitch_y / 2 - 0.02, 2e-4, (200, 1000))
    assert out.max() / out.min() == pytest.approx(10.0, rel=1e-3)
    # where each row crosses the middle tone on the square's left edge
    middle = (out.max() + out.min()) / 2
    crossing = np.array([int(np.argmax(row < middle)) for row in out])
    slope = np.polyfit(np.arange(200), crossing, 1)[0]
    assert math.degrees(math.atan(abs(slope))) == pytest.approx(7.0, abs=0.1)


def test_the_star_has_its_cycles_and_is_a_sine() -> None:
    layer = sheet("siemens-star", size_m=1.0, cycles=36)
    radius = 0.2
    angle = np.arange(720) / 720 * 2 * math.pi
    values = np.array([
        tones(layer, radius * math.cos(a), radius * math.sin(a), 1e-5, (1, 1))[0, 0] for a in angle
    ])  # fmt: skip
    power = np.abs(np.fft.rfft(values - values.mean())) ** 2
    assert power.argmax() == 36
    assert power[36] / power.sum() > 0.999
    assert values.max() == pytest.approx(0.80, abs=0.01)
    assert values.min() == pytest.approx(0.05, abs=0.01)


def test_the_zone_plate_has_its_frequency() -> None:
    layer = sheet("zone-plate", size_m=1.0, edge_cycles_m=400.0)
    # at half of half the width it is half as fine: 200 cycles a metre
    row = tones(layer, 0.24, 0.0, 2e-5, (1, 1000))[0]
    cycles = np.count_nonzero(np.diff(np.sign(row - 0.42))) / 2
    assert cycles / 0.02 == pytest.approx(200, rel=0.04)
    # finer than the footprint there is the mean and nothing else
    assert np.allclose(tones(layer, 0.4, 0.0, 4e-3, (1, 20)), 0.42, atol=0.01)


def test_the_wedge_has_its_densities() -> None:
    layer = sheet("step-wedge", size_m=0.76, density_step=0.1)
    pitch_x, pitch_y = 0.1, 0.76 * 0.3707 / 0.494 / 3.6
    for order in range(21):
        row, place = divmod(order, 7)
        column = place if row != 1 else 6 - place
        tone = tones(layer, (column - 3) * pitch_x, (row - 1) * pitch_y, 1e-4, (1, 1))[0, 0]
        assert -math.log10(tone) == pytest.approx(0.05 + 0.1 * order, abs=1e-4)


def test_grain_is_white_and_even() -> None:
    layer = sheet("noise-patches", size_m=1.0)
    cell = 1.0 / 4096 * 4
    # the third noise patch; one sample a grain, in its middle
    x, y = 0.5 * 2 / 6.6 * 1.5 * 0.5, 0.3707 / 0.494 / 4
    x, y = (math.floor(v / cell) * cell + cell / 2 for v in (x - 32 * cell, y - 32 * cell))
    grain = tones(layer, x, y, cell, (64, 64))
    assert grain.mean() == pytest.approx(0.36, abs=0.01)
    assert grain.std() == pytest.approx(0.60 / math.sqrt(12), rel=0.05)
    near = grain - grain.mean()
    for other in (near[1:, :] * near[:-1, :], near[:, 1:] * near[:, :-1]):
        assert abs(other.mean()) < 0.06 * near.var()


def test_points_keep_their_light_at_any_scale() -> None:
    layer = sheet("point-grid", size_m=1.05, radius_m=3e-4)
    area = math.pi * 3e-4**2
    for step in (2e-5, 1e-4, 5e-4):
        count = round(0.01 / step)
        light = tones(layer, -0.005 + step / 2, -0.005 + step / 2, step, (count, count))
        assert light.sum() * step**2 == pytest.approx(area, rel=0.03)
    # the next hole is 1/21 of the width away
    assert tones(layer, 0.05, 0.0, 1e-5, (1, 1))[0, 0] == pytest.approx(1.0)


def test_the_grid_has_24_spaces_across() -> None:
    layer = sheet("distortion-grid", size_m=1.2)
    row = tones(layer, -0.59, 0.026, 1e-4, (1, 11800))[0]
    dark = np.flatnonzero(np.diff((row < 0.4).astype(int)) == 1)
    assert len(dark) == 23
    assert np.allclose(np.diff(dark) * 1e-4, 0.05, atol=2e-4)


def test_dead_leaves_look_alike_at_every_scale() -> None:
    # Lee, Mumford and Huang 2001: the mean and the variance do not depend on the scale
    layer = sheet("dead-leaves", size_m=1.0)
    rng = np.random.default_rng(3)
    levels: list[tuple[float, float]] = []
    for step in (4e-4, 8e-4, 16e-4):
        parts = [
            tones(layer, *rng.uniform(-0.5, 0.3, 2), step, (96, 96)).ravel() for _ in range(24)
        ]
        whole = np.concatenate(parts)
        levels.append((float(whole.mean()), float(whole.std())))
    means, deviations = np.array(levels).T
    assert np.allclose(means, 0.34, atol=0.03)
    assert deviations.max() / deviations.min() < 1.25
    # power falls about as f^-2
    image = tones(layer, -0.2, -0.15, 2e-4, (512, 512))
    power = np.abs(np.fft.fft2((image - image.mean()) * np.hanning(512)[:, None] * np.hanning(512)))
    radius = np.hypot(*np.meshgrid(np.fft.fftfreq(512), np.fft.fftfreq(512)))
    edges = np.geomspace(0.02, 0.25, 8)
    ring = [
        float((power[(radius >= low) & (radius < high)] ** 2).mean())
        for low, high in itertools.pairwise(edges)
    ]
    slope = np.polyfit(np.log(np.sqrt(edges[1:] * edges[:-1])), np.log(ring), 1)[0]
    assert -3.2 < slope < -1.8


def test_sg_has_its_patches_where_its_names_say() -> None:
    reflectances = colorchecker_sg_reflectances()
    assert len(reflectances) == 140
    scene = load_scene("colorchecker-sg", distance_m=1.0)
    layer = scene.layers[-1]
    assert isinstance(layer, PatchLayer)
    # its corners are white and its greys on row 5 to 6 are neutral under D50
    y = observer()[:, 1]
    light = illuminant("D50")

    def bright(name: str) -> float:
        return float((reflectances[name] * light) @ y / (light @ y))

    assert min(bright(corner) for corner in ("A1", "A10", "N1", "N10")) > 0.85
    white = white_radiance(illuminant("D65"), 200.0)
    away = 1.0 - LENS_M
    for name in ("A1", "G5", "N10", "B9"):
        column, row = "ABCDEFGHIJKLMN".index(name[0]), int(name[1:]) - 1
        x, yy = (column - 6.5) * 0.0185, (row - 4.5) * 0.0185
        for k in range(0, 81, 20):
            matrix = np.tile(layer.basis[:, k], (3, 1)).astype(np.float32)
            out = np.empty((4, 1, 1), np.float32)
            layer.sample(matrix, LENS_M, x / away, yy / away, 1e-4, out)
            assert out[0, 0, 0] == pytest.approx(reflectances[name][k] * white[k], rel=1e-5)
            assert out[3, 0, 0] == 1.0
    with pytest.raises(ValueError, match="140 spectra"):
        layer.sample(np.eye(3, dtype=np.float32), LENS_M, 0.0, 0.0, 1e-3, np.empty((4, 1, 1)))
    assert luminance(layer.basis[0]) == pytest.approx(200 * 0.89, rel=0.05)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("siemens-star", {"cycles": math.nan}, "cycles cannot be nan; expected 4 to 2000"),
        ("slanted-edges", {"contrast": 1.0}, "contrast cannot be 1.0"),
        ("slanted-edges", {"angle_degrees": 90.0}, "angle"),
        ("zone-plate", {"size_m": -1.0}, "size cannot be -1.0; expected 0.001 to 1000 m"),
        ("dead-leaves", {"distance_m": 0.0}, "distance cannot be 0.0; expected 0.1 to 10000 m"),
        ("chart", {"distance_m": math.nan}, "distance cannot be nan"),
        ("step-wedge", {"density_step": 2.0}, "density step"),
        ("point-grid", {"radius_m": 0.5}, "radius"),
        ("distortion-grid", {"luminance_cd_m2": math.inf}, "luminance"),
        ("noise-patches", {"light": "moon"}, "illuminant cannot be 'moon'"),
        ("flat", {"size_m": 1.0}, "flat: option cannot be 'size_m'; expected one of light"),
        ("studio", {"light": "A"}, "studio: option cannot be 'light'; expected none"),
        ("colorchecker", {"distance_m": "far"}, "distance cannot be 'far'"),
    ],
)
def test_refusals_name_what_and_where(
    name: str, options: dict[str, float | str], said: str
) -> None:
    with pytest.raises(SettingError) as refused:
        load_scene(name, **options)
    assert said in str(refused.value)
