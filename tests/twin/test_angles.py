"""Light from aside: what the sensor makes of the lens' cone, against rays one by one."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import numpy.typing as npt
import pytest

from modoptic.frame import Frame, Settings
from modoptic.isp import Develop, develop
from modoptic.measure._difference import srgb_to_linear
from modoptic.optics import IdealLens, Lens, LensState, LightRenderer, Pupil, SampleGrid, _kernels
from modoptic.optics._sources import AngularLike
from modoptic.pixels import pixel_format
from modoptic.scenes import load_scene
from modoptic.sensor import AngularSpec
from modoptic.twin import Twin, load_definition
from modoptic.twin._definition import lens_of, spectral_response

Array = npt.NDArray[np.float64]

DEFINITION = load_definition("xiaomi-mos-35")
SPEC = DEFINITION.sensor
CORNER_UM = 0.5 * SPEC.pitch_um * math.hypot(SPEC.width, SPEC.height)
LENSES = {"traced": lens_of(DEFINITION), "ideal": IdealLens()}
EXTENT_UM = (SPEC.width * SPEC.pitch_um, SPEC.height * SPEC.pitch_um)


def state(f_number: float, focus_m: float = math.inf) -> LensState:
    return LensState(DEFINITION.focal_length_mm, f_number, focus_m, DEFINITION.transmittance)


def electrons(angle: AngularSpec, direction: Array, pointed: float) -> Array:
    """Of an even grey light (equal in all colours) in R, G and B of a Bayer mosaic, (3, n)."""
    x, y = direction
    given, kept = [], []
    for half, crosstalk in zip(angle.half_deg, angle.crosstalk, strict=True):
        ratio = np.hypot(x, y - pointed) / np.sin(np.deg2rad(half))
        gathered = 0.5 ** (ratio * ratio)
        away = crosstalk * (x * x + y * y) / np.sin(np.deg2rad(30.0)) ** 2
        given.append(gathered * away)
        kept.append(gathered - gathered * away)
    # red and blue have four green neighbours, green two of each
    return np.stack([
        kept[0] + given[1], kept[1] + 0.5 * (given[0] + given[2]), kept[2] + given[1]
    ])  # fmt: skip


def opened(pupil: Pupil, radius_um: float, x: Array, y: Array) -> npt.NDArray[np.bool_]:
    shape = pupil.shape(radius_um)
    polynomial = np.polynomial.polynomial.polyval2d
    iris = np.hypot(x * polynomial(x * x, y, shape.iris[0]), polynomial(x * x, y, shape.iris[1]))
    dx, dy = x - shape.middle[0], y - shape.middle[1]
    turn = np.arctan2(dy, dx) / (2 * np.pi) % 1.0 * shape.outline.size
    around = np.r_[shape.outline, shape.outline[0]]
    return (iris <= shape.radius) & (
        np.hypot(dx, dy) <= np.interp(turn, np.arange(around.size), around)
    )


def chief(lens: Lens, pupil: Pupil, radius_um: float) -> float:
    if isinstance(lens, IdealLens):
        return math.sin(math.atan(radius_um * 1e-6 / pupil.thin.image_distance_m))
    tables = LENSES["traced"].tables  # type: ignore[attr-defined]
    at = 1.0 / pupil.state.focus_distance_m
    columns = [np.interp(at, 1.0 / tables.focus_m, column) for column in tables.chief.T]
    return float(np.interp(radius_um * 1e-3, tables.heights_mm, columns))


def by_rays(lens: Lens, of: LensState, radius_um: float) -> Array:
    """Light in each colour over radiance, sr: 160000 rays, each at random in its cell."""
    pupil = lens.pupil(of)
    x0, x1, y0, y1 = pupil.shape(radius_um).box
    rng, n = np.random.default_rng(3), 400
    i, j = np.mgrid[:n, :n]
    x = x0 + (x1 - x0) * (j + rng.random((n, n))) / n
    y = y0 + (y1 - y0) * (i + rng.random((n, n))) / n
    inside = opened(pupil, radius_um, x, y)
    sine = pupil.sine
    direction = sine * x[inside], chief(lens, pupil, radius_um) + sine * y[inside]
    pointed = math.sin(math.radians(SPEC.angle.microlens_deg)) * radius_um / CORNER_UM
    total = electrons(SPEC.angle, np.stack(direction), pointed).sum(1)
    return total * (x1 - x0) * (y1 - y0) / n**2 * sine**2 * of.transmittance


def renderer(lens: Lens, angular: AngularLike | None = SPEC.angular_response) -> LightRenderer:
    response = spectral_response(DEFINITION)
    # grey to the sensor: the same number of electrons in each colour
    even = np.full_like(response.qe, 0.3)
    return LightRenderer(
        load_scene("flat", light="E"), dataclasses.replace(response, qe=even), lens,
        angular=angular,
    )  # fmt: skip


def exact(lens: Lens, of: LensState, radius_um: float) -> Array:
    """What the renderer gives red, green and blue about a place on the diagonal."""
    slope = SPEC.height / SPEC.width
    x = radius_um / math.hypot(1.0, slope)
    places: Array = np.arange(-3, 5, dtype=np.float64) * SPEC.pitch_um
    grid = SampleGrid(x + places, x * slope + places, SPEC.pitch_um, 1.0)
    light = renderer(lens).light(of, grid)[2:6, 2:6]
    green = np.stack([light[::2, 1::2], light[1::2, ::2]])
    return np.array([light[::2, ::2].mean(), green.mean(), light[1::2, 1::2].mean()])


@pytest.fixture(scope="module")
def per_sr() -> float:
    """Electrons a second of the renderer's even field, per um2 and sr."""
    scene = load_scene("flat", light="E")
    response = spectral_response(DEFINITION)
    even = dataclasses.replace(response, qe=np.full_like(response.qe, 0.3))
    basis = scene.layers[0].basis  # type: ignore[union-attr]
    return float(even.electrons(scene.wavelengths_nm, basis.sum(0))[1]) * 1e-12


@pytest.mark.parametrize("name", ["traced", "ideal"])
@pytest.mark.parametrize("f_number", [1.4, 2.8, 8.0])
def test_light_in_each_colour_is_the_sum_of_rays(name: str, f_number: float) -> None:
    lens = LENSES[name]
    places = [0.0, 0.5 * CORNER_UM, 0.8 * CORNER_UM, 0.999 * CORNER_UM]
    wanted = np.stack([by_rays(lens, state(f_number), r) for r in places])
    found = np.stack([exact(lens, state(f_number), r) for r in places])
    # one factor, that of the scene, for all colours and places
    scale = wanted[0].sum() / found[0].sum()
    np.testing.assert_allclose(found * scale, wanted, rtol=5e-3)


@pytest.mark.parametrize("name", ["traced", "ideal"])
def test_a_small_iris_on_the_axis_gives_the_spectral_response(name: str, per_sr: float) -> None:
    lens, of = LENSES[name], state(11.0)
    through = per_sr * lens.pupil(of).irradiance_factor(np.zeros(1))[0]
    np.testing.assert_allclose(exact(lens, of, 0.0), through, rtol=5e-3)


def test_opening_gains_less_than_the_iris_says_and_the_corner_is_of_another_colour() -> None:
    lens = LENSES["traced"]
    middle = {n: exact(lens, state(n), 0.0) for n in (1.4, 2.8)}
    gained = np.log2(middle[1.4] / middle[2.8])
    assert (gained < 1.9).all() and (gained > 1.6).all()
    corner = exact(lens, state(1.4), 0.999 * CORNER_UM) / middle[1.4]
    assert abs(corner[0] / corner[1] - 1.0) > 0.01 or abs(corner[2] / corner[1] - 1.0) > 0.01


@pytest.mark.parametrize("focus_m", [math.inf, 1.3, 0.37, 0.3])
@pytest.mark.parametrize("f_number", [1.4, 2.8, 8.0])
def test_the_preview_takes_light_from_aside_as_the_full_model_does(
    f_number: float, focus_m: float
) -> None:
    lens, of = LENSES["traced"], state(f_number, focus_m)
    shown, plain = (
        made.preview(of, 96, 72, EXTENT_UM) for made in (renderer(lens), renderer(lens, None))
    )
    for row, column in ((36, 48), (60, 80), (71, 95)):
        x = (column - 47.5) / 96 * EXTENT_UM[0], (row - 35.5) / 72 * EXTENT_UM[1]
        radius = math.hypot(*x)
        pupil = lens.pupil(of)
        # what the preview itself takes for the lens' shading is left out
        area = pupil.irradiance_factor(np.array([radius]))[0]
        wanted = by_rays(lens, of, radius) / area
        np.testing.assert_allclose(shown[:, row, column] / plain[:, row, column], wanted, rtol=5e-3)


def test_crosstalk_takes_light_from_one_photosite_to_its_four_neighbours() -> None:
    light = np.zeros((6, 6), np.float32)
    light[2, 3] = 1.0
    table = np.zeros((2, 3, 4), np.float32)
    table[0], table[1] = 0.9, 0.1
    pattern = np.array([[0, 1], [1, 2]])
    at = np.zeros(6, np.float32)
    _kernels.expose_mosaic(
        light, light[1].copy(), light[4].copy(), at, np.zeros(8, np.float32), table, 1.0, pattern, 0
    )
    wanted = np.zeros((6, 6))
    wanted[2, 3] = 0.9
    for place in ((1, 3), (3, 3), (2, 2), (2, 4)):
        wanted[place] = 0.025
    np.testing.assert_allclose(light, wanted, atol=1e-7)


@pytest.mark.parametrize("f_number", [1.4, 2.8, 8.0])
def test_a_flat_field_is_developed_flat_and_neutral(f_number: float) -> None:
    twin = Twin(DEFINITION, "flat", real_time=False)
    twin.start()
    settings = Settings(
        readout="bin4", f_number=f_number, focus_distance_m=math.inf,
        exposure_s=f_number**2 / 200,
    )  # fmt: skip
    meta = twin.describe(settings)
    data = bytearray(pixel_format(meta.pixel_format).row_bytes(meta.width) * meta.height)
    frame = Frame(twin.capture(settings, memoryview(data), lambda rows: None), memoryview(data))
    twin.close()
    height, width = frame.height, frame.width
    middle = slice(height // 2 - 48, height // 2 + 48), slice(width // 2 - 64, width // 2 + 64)
    part = frame.mosaic()[middle] - frame.meta.black_level[0]
    neutral = part[::2, ::2].mean(), part[::2, 1::2].mean(), part[1::2, 1::2].mean()
    params = Develop(white_balance=neutral, tone="linear", sharpening=0.0, saturation=1.0)
    picture = srgb_to_linear(develop(frame, params, calibration=twin.calibration) / 255.0)
    corner = np.stack([
        picture[y : y + 96, x : x + 128].mean((0, 1))
        for y in (0, height - 96)
        for x in (0, width - 128)
    ])  # fmt: skip
    center = picture[middle].mean((0, 1))
    assert center.min() > 0.1 and center.max() < 0.9
    np.testing.assert_allclose(corner / center, 1.0, atol=0.03)
    tint = corner / corner[:, 1:2] / (center / center[1])
    np.testing.assert_allclose(tint, 1.0, atol=0.008)
