"""Veiling glare against Harvey's law: nothing is lost but what leaves the sensor, and all agree."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from modoptic.errors import SettingError
from modoptic.optics import (
    IdealLens,
    Lens,
    LensState,
    LightRenderer,
    SampleGrid,
    SpectralResponse,
    TracedLens,
    VeilingGlare,
)
from modoptic.optics._glare import EVEN, KNEE, SLOPE, Glare
from modoptic.scenes import (
    WAVELENGTHS_NM,
    Lamps,
    Scene,
    ShadedLayer,
    black_body,
    illuminant,
    load_scene,
    white_radiance,
)

DoubleArray = npt.NDArray[np.float64]

WIDTH_UM, HEIGHT_UM = 17297.28, 12972.96
RADIUS_UM = 0.5 * math.hypot(WIDTH_UM, HEIGHT_UM)
GLARE = VeilingGlare(0.05, RADIUS_UM)
GREEN = np.exp(-0.5 * ((WAVELENGTHS_NM - 540.0) / 35.0) ** 2)
RESPONSE = SpectralResponse(WAVELENGTHS_NM, np.stack([GREEN, 0.5 * GREEN, 0.25 * GREEN]))
WHITE = white_radiance(illuminant("E"), 100.0)
STATE = LensState(17.5, 8.0, 1.0)
TRACED = TracedLens.load("us20250271647")


FloatArray = npt.NDArray[np.float32]


def whole(columns: int = 232, cfa: tuple[str, ...] = ("RG", "GB")) -> SampleGrid:
    """The whole sensor in square samples."""
    pitch = WIDTH_UM / columns
    rows = round(HEIGHT_UM / pitch)
    x = (np.arange(columns) - (columns - 1) / 2) * pitch
    y = (np.arange(rows) - (rows - 1) / 2) * pitch
    return SampleGrid(x, y, pitch, pitch * pitch, cfa)


def part(grid: SampleGrid, x: slice, y: slice) -> SampleGrid:
    return SampleGrid(grid.x_um[x], grid.y_um[y], grid.pitch_um, grid.area_um2, grid.cfa)


def lamp(tx: float = 0.0, ty: float = 0.0) -> Scene:
    """One that appears in about that direction, as a tangent."""
    radiance = white_radiance(black_body(2700.0), 1e6)
    lamps = Lamps("lamp", np.array([[3.0 * tx, 3.0 * ty, 3.0]]), np.array([0.002]), radiance[None])
    return Scene("lamp", "One lamp", (lamps,))


def patch(half: float, at: tuple[float, float] = (0.0, 0.0)) -> Scene:
    """A black square of so many metres to each side, 1 m away, before an endless white wall."""
    basis = np.stack([WHITE, WHITE, WHITE])
    wall = ShadedLayer("wall", 0, basis, 4.0, params=(0, 0, 1, 0, 0))
    black = ShadedLayer(
        "black", 0, basis, 1.0, at, (-half, -half, half, half), params=(half, half, 0, 0, 0)
    )
    return Scene("patch", "Black patch", (wall, black))


def scattered(
    renderer: tuple[LightRenderer, LightRenderer], state: LensState, grid: SampleGrid
) -> tuple[DoubleArray, DoubleArray]:
    """What the first one, which has glare, adds to what stays of the second's; the latter."""
    with_it, without = (np.asarray(r.light(state, grid), np.float64) for r in renderer)
    return with_it - (1.0 - GLARE.share) * without, without


def both(scene: Scene, lens: Lens) -> tuple[LightRenderer, LightRenderer]:
    return LightRenderer(scene, RESPONSE, lens, glare=GLARE), LightRenderer(scene, RESPONSE, lens)


def law(sine: DoubleArray) -> DoubleArray:
    """Harvey's law normalised over a disc of radius 1, by its integral written out here."""
    integral = 2.0 * math.pi * KNEE**2 / (SLOPE + 2.0)
    integral *= (1.0 + KNEE**-2) ** (0.5 * SLOPE + 1.0) - 1.0
    return np.where(sine <= 1.0, (1.0 + (sine / KNEE) ** 2) ** (0.5 * SLOPE) / integral, 0.0)


def test_the_law_adds_up_to_one() -> None:
    r = np.geomspace(1e-6, 1.0, 4000)
    mass = np.trapezoid(2.0 * math.pi * r * law(r), r)
    assert mass == pytest.approx(1.0, rel=1e-4)


@pytest.mark.parametrize("lens", [IdealLens(), TRACED], ids=["ideal", "traced"])
@pytest.mark.parametrize("place", [(0.0, 0.0), (0.3, -0.2)])
def test_light_is_scattered_and_not_lost_but_beyond_the_sensor(
    lens: Lens, place: tuple[float, float]
) -> None:
    grid = whole(464, ("GG", "GG"))
    glare, without = scattered(both(lamp(*place), lens), STATE, grid)
    seen = without.sum()
    v_um = lens.pupil(STATE).thin.image_distance_m * 1e6
    # where the lamp really is, as the picture without glare has it
    x0 = float((without * grid.x_um).sum() / seen)
    y0 = float((without * grid.y_um[:, None]).sum() / seen)
    # of what follows the law, the share that meets the sensor, on rings about the lamp
    r = np.geomspace(1e-4, 1.0, 3000)
    turn = np.linspace(0.0, 2.0 * math.pi, 721)[:-1]
    x = x0 + v_um * r[:, None] * np.cos(turn)
    y = y0 + v_um * r[:, None] * np.sin(turn)
    on_it = ((np.abs(x) <= WIDTH_UM / 2) & (np.abs(y) <= HEIGHT_UM / 2)).mean(axis=1)
    met = np.trapezoid(2.0 * math.pi * r * law(r) * on_it, r)
    even = WIDTH_UM * HEIGHT_UM / (math.pi * RADIUS_UM**2)
    expected = GLARE.share * ((1.0 - EVEN) * met + EVEN * even)
    # of all light within 0.1 %
    assert glare.sum() / seen == pytest.approx(expected, abs=1e-3)
    assert glare.min() > 0.0


def test_around_a_lamp_glare_falls_as_the_law_has_it() -> None:
    grid = whole(464, ("GG", "GG"))
    glare, without = scattered(both(lamp(), IdealLens()), STATE, grid)
    pupil = IdealLens().pupil(STATE)
    v_um = pupil.thin.image_distance_m * 1e6
    far = np.hypot(grid.x_um, grid.y_um[:, None]) / v_um
    even = math.pi * (RADIUS_UM / v_um) ** 2
    density = GLARE.share * ((1.0 - EVEN) * law(far) + EVEN / even)
    expected = without.sum() * density * (grid.pitch_um / v_um) ** 2
    # from five points on, where the law is hardly curved between them
    away = far > 0.05
    assert np.abs(glare[away] / expected[away] - 1.0).max() < 0.02


@pytest.mark.parametrize("lens", [IdealLens(), TRACED], ids=["ideal", "traced"])
@pytest.mark.parametrize("f_number", [1.4, 8.0])
@pytest.mark.parametrize("at", [(0.0, 0.0), (0.2, 0.1)])
def test_a_black_patch_is_raised_as_the_law_has_it(
    lens: Lens, f_number: float, at: tuple[float, float]
) -> None:
    half = 0.05
    state = LensState(17.5, f_number, 1.0)
    pupil = lens.pupil(state)
    v_m = pupil.thin.image_distance_m
    place = pupil.seen(np.array(at) / (1.0 - v_m)) * v_m * 1e6
    x, y = (middle + 1.5 * np.arange(-8, 8) for middle in place)
    grid = SampleGrid(x, y, 1.5, 2.25, ("GG", "GG"))
    found = LightRenderer(patch(half, at), RESPONSE, lens, glare=GLARE).light(state, grid).mean()
    field = LightRenderer(patch(0.0005, (0.5, 0.5)), RESPONSE, lens).light(state, grid).mean()

    def shade(x_um: DoubleArray, y_um: DoubleArray) -> DoubleArray:
        known = np.linspace(0.0, RADIUS_UM, 200)
        return np.interp(np.hypot(x_um, y_um), known, pupil.irradiance_factor(known))

    # all around the patch' image, on rings from its edge on
    r = np.geomspace(1e-3, 1.0, 1500)
    turn = np.linspace(0.0, 2.0 * math.pi, 721)[:-1]
    dx, dy = r[:, None] * np.cos(turn), r[:, None] * np.sin(turn)
    tx, ty = place[0] * 1e-6 / v_m + dx, place[1] * 1e-6 / v_m + dy
    lit = np.maximum(np.abs(dx), np.abs(dy)) > half / (1.0 - v_m)
    lit &= np.maximum(np.abs(tx), np.abs(ty)) < 1.0
    around = (shade(tx * v_m * 1e6, ty * v_m * 1e6) * lit).mean(axis=1)
    near = np.trapezoid(2.0 * math.pi * r * law(r) * around, r)
    s = (np.arange(2000) + 0.5) / 2000 * RADIUS_UM
    even = np.average(shade(s, np.zeros_like(s)), weights=s)
    even -= (
        (2.0 * half / (1.0 - v_m) * v_m * 1e6) ** 2
        / (math.pi * RADIUS_UM**2)
        * shade(*place[:, None])[0]
    )
    expected = GLARE.share * ((1.0 - EVEN) * near + EVEN * even) / shade(*place[:, None])[0]
    assert found / field == pytest.approx(expected, rel=0.02)


def test_an_even_field_stays_even_to_the_border() -> None:
    scene = load_scene("flat", light="E")
    grid = whole(116, ("GG", "GG"))
    glare, without = scattered(both(scene, IdealLens()), STATE, grid)
    relative = glare / without / GLARE.share
    # cos^4 leaves the corner 0.52 of the middle: there the glare of the others counts twice
    assert 0.75 < relative[43, 58] < 0.95
    assert relative.max() < 1.35
    assert np.abs(np.diff(relative, axis=0)).max() < 0.02
    assert np.abs(np.diff(relative, axis=1)).max() < 0.02
    mirrored = relative[::-1, ::-1]
    np.testing.assert_allclose(relative, mirrored, rtol=2e-3)


def test_parts_and_threads_give_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    scene, grid = load_scene("studio"), whole(728)
    inner = part(grid, slice(200, 360), slice(150, 280))
    light = LightRenderer(scene, RESPONSE, TRACED, glare=GLARE).light(STATE, inner)
    renderer = LightRenderer(scene, RESPONSE, TRACED, glare=GLARE)
    monkeypatch.setenv("MODOPTIC_THREADS", "1")
    assert np.array_equal(light, renderer.light(STATE, inner))
    # the veil, whatever it is laid over at a time
    glare = Glare(GLARE, renderer._parts)  # pyright: ignore[reportPrivateUsage]
    veil = glare.veil(TRACED.pupil(STATE))
    three = np.float32(3.0)

    def laid(over: SampleGrid, rows: tuple[int, int], columns: tuple[int, int]) -> FloatArray:
        out = np.zeros((over.y_um.size, over.x_um.size), np.float32)
        tile = np.ones((rows[1] - rows[0], columns[1] - columns[0]), np.float32)
        veil.of(over, three)(tile, rows, columns, out)
        assert (tile == 1.0).all()
        return out

    every = laid(grid, (0, 546), (0, 728))
    assert every.min() > 3.0 * (1.0 - GLARE.share)
    for rows, columns in (((0, 3), (0, 728)), ((150, 280), (200, 360)), ((541, 546), (727, 728))):
        inner = slice(*rows), slice(*columns)
        found = laid(grid, rows, columns)
        assert np.array_equal(found[inner], every[inner])
        assert np.count_nonzero(found) == found[inner].size
        # as a region of its own
        region = part(grid, slice(columns[0] & ~1, 728), slice(rows[0] & ~1, 546))
        found = laid(region, (0, region.y_um.size), (0, region.x_um.size))
        assert np.array_equal(found, every[rows[0] & ~1 :, columns[0] & ~1 :])


def test_while_the_ring_turns_glare_is_kept_and_hardly_differs() -> None:
    parts = LightRenderer(load_scene("studio"), RESPONSE, TRACED, glare=GLARE)._parts  # pyright: ignore[reportPrivateUsage]
    glare = Glare(GLARE, parts)
    at = np.linspace(-6000.0, 6000.0, 40)
    pupils = [TRACED.pupil(replace(STATE, focus_distance_m=d)) for d in (1.0, 0.9, 0.5)]
    first, near, far = (glare.shown(pupil) for pupil in pupils)
    assert near.values is first.values
    assert far.values is not first.values
    found, wanted = (np.zeros((3, 40, 40), np.float32) for _ in range(2))
    for veil, planes in ((near, found), (glare.veil(pupils[1]), wanted)):
        for color, plane in zip("RGB", planes, strict=True):
            over = veil.of(SampleGrid(at, at, 1.0, 1.0, (2 * color, 2 * color)), np.float32(1.0))
            over(plane, (0, 40), (0, 40), plane)
    assert wanted.min() > 0.0
    assert np.abs(found / wanted - 1.0).max() < 0.02


def test_no_glare_is_as_if_there_were_none() -> None:
    scene, grid = load_scene("studio"), whole(116)
    none = VeilingGlare(0.0, RADIUS_UM)
    assert np.array_equal(
        LightRenderer(scene, RESPONSE, TRACED, glare=none).light(STATE, grid),
        LightRenderer(scene, RESPONSE, TRACED).light(STATE, grid),
    )


@pytest.mark.parametrize("f_number", [1.4, 8.0])
def test_preview_and_stills_have_the_same_glare(f_number: float) -> None:
    state = LensState(17.5, f_number, 1.0)
    with_it, without = both(load_scene("studio"), TRACED)
    grid = whole(364, ("GG", "GG"))
    still, _ = scattered((with_it, without), state, grid)
    extent = (WIDTH_UM, HEIGHT_UM)
    shown, plain = (
        r.preview(state, 364, 273, extent)[1].astype(np.float64) for r in (with_it, without)
    )
    preview = (shown - (1.0 - GLARE.share) * plain) * grid.area_um2
    # but for what the preview's shading is off, which it is on all light
    assert preview.mean() == pytest.approx(still.mean(), rel=5e-3)
    assert np.abs(preview / still - 1.0).max() < 0.02


def test_what_cannot_be_is_refused() -> None:
    for share, radius in ((-0.01, 1e4), (0.06, 1e4), (math.nan, 1e4), (0.01, 0.0)):
        with pytest.raises(SettingError):
            VeilingGlare(share, radius)
