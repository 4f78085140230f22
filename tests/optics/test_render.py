"""Light at the sensor against the formulas of photometry and geometry."""

from __future__ import annotations

import math
from concurrent.futures import CancelledError
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from modoptic.errors import SettingError
from modoptic.optics import (
    LensState,
    LightRenderer,
    SampleGrid,
    SpectralResponse,
    VeilingGlare,
    _glare_kernels,
    _kernels,
    _layer_kernels,
    _pupil_kernels,
    _reference,
    _tail_kernels,
    circle_of_confusion_um,
    reference_light,
    solve,
)
from modoptic.optics import warm as warm_optics
from modoptic.optics._sources import Lattice, Surface, rasterize
from modoptic.scenes import (
    WAVELENGTHS_NM,
    Lamps,
    Scene,
    ShadedLayer,
    _raster,
    _shaders,
    black_body,
    illuminant,
    load_scene,
    white_radiance,
)
from modoptic.scenes import warm as warm_scenes

PITCH = 1.485
WIDTH, HEIGHT = 11648, 8736


def _bell(peak: float) -> npt.NDArray[np.float64]:
    return 0.6 * np.exp(-0.5 * ((WAVELENGTHS_NM - peak) / 35.0) ** 2)


RESPONSE = SpectralResponse(WAVELENGTHS_NM, np.stack([_bell(600), _bell(540), _bell(460)]))


def grid(width: int, height: int, x: int = 0, y: int = 0, pitch: float = PITCH) -> SampleGrid:
    """Photosites from (x, y) of the full array on."""
    columns = (np.arange(width) + x - (WIDTH - 1) / 2) * pitch
    rows = (np.arange(height) + y - (HEIGHT - 1) / 2) * pitch
    return SampleGrid(columns, rows, pitch, pitch * pitch)


def centered(size: int) -> SampleGrid:
    return grid(size, size, (WIDTH - size) // 2, (HEIGHT - size) // 2)


def one_lamp(z: float = 3.0, radius: float = 0.0005) -> Scene:
    radiance = white_radiance(black_body(2700.0), 1e5)
    lamp = Lamps("lamp", np.array([[0.0, 0.0, z]]), np.array([radius]), radiance[None])
    return Scene("lamp", "One lamp", (lamp,))


def test_irradiance_of_an_even_field_and_cos4() -> None:
    lens = LensState(17.5, 2.0, 0.8, 0.9)
    scene = load_scene("flat", light="E", luminance_cd_m2=100.0)
    light = LightRenderer(scene, RESPONSE).light(
        lens,
        SampleGrid(np.array([0.0, 8000.0]), np.array([0.0, 6000.0]), PITCH, PITCH**2, ("GG", "GG")),
    )
    # written out here once more: photons h nu, E = pi L tau / (4 N^2 (1 + m)^2)
    radiance = white_radiance(illuminant("E"), 100.0)
    photons = radiance * WAVELENGTHS_NM * 1e-9 / (6.62607015e-34 * 299792458.0)
    u = 0.5 * (0.8 + math.sqrt(0.8 * (0.8 - 0.07)))
    m = (0.8 - u) / u
    factor = math.pi * 0.9 / (4 * 4 * (1 + m) ** 2) * (PITCH * 1e-6) ** 2
    expected = float(np.sum(photons * RESPONSE.qe[1])) * 5.0 * factor
    assert light[0, 0] == pytest.approx(expected, rel=1e-3)
    angle = math.atan(math.hypot(8000.0, 6000.0) * 1e-6 / (0.8 - u))
    assert light[1, 1] / light[0, 0] == pytest.approx(math.cos(angle) ** 4, rel=1e-4)


def test_blur_disc_of_a_lamp_has_the_diameter_of_the_formula() -> None:
    lens = LensState(17.5, 1.4, 1.0)
    light = LightRenderer(one_lamp(radius=0.0002), RESPONSE).light(lens, centered(256))
    green = light[0::2, 1::2]
    # waves leave a quarter of the light at the edge of a shadow, and bright fringes within
    inside = np.count_nonzero(green > 0.25 * np.median(green[54:74, 54:74])) * 4
    diameter = 2.0 * math.sqrt(inside / math.pi) * PITCH
    assert diameter == pytest.approx(circle_of_confusion_um(lens, 3.0), rel=0.01)


def test_a_lamp_keeps_its_light_at_any_focus_and_as_much_as_the_iris_lets_in() -> None:
    renderer = LightRenderer(one_lamp(), RESPONSE)
    sums: list[float] = []
    for focus in (0.5, 1.0, 2.0, 3.0, math.inf):
        lens = LensState(17.5, 1.4, focus)
        light = renderer.light(lens, replace(centered(512), cfa=("GG", "GG")))
        sums.append(float(light.sum(dtype=np.float64)))
        iris, away = 0.0175 / 1.4, 3.0 - solve(lens).image_distance_m
        photons = one_lamp().layers[0].radiance[0] * WAVELENGTHS_NM / 1.98644586e-16  # type: ignore[union-attr]
        rate = float(np.sum(photons * RESPONSE.qe[1])) * 5.0
        expected = rate * (math.pi * 0.0005**2) * (math.pi * iris**2 / 4) / away**2
        assert sums[-1] == pytest.approx(expected, rel=0.01)
    assert max(sums) / min(sums) < 1.02


def _edge_width(f_number: float, focus: float = 1.0) -> float:
    """10 to 90 % rise of a vertical edge, in photosites."""
    white = white_radiance(illuminant("E"), 100.0)
    basis = np.stack([white, white, white])
    card = ShadedLayer(
        "card", 0, basis, 1.0, (0.5, 0.0), (-0.5, -1.0, 0.5, 1.0), params=(0.5, 1, 1, 0, 0)
    )
    light = LightRenderer(Scene("edge", "Edge", (card,)), RESPONSE).light(
        LensState(17.5, f_number, focus), replace(centered(128), cfa=("GG", "GG"))
    )
    rise = light.mean(axis=0)
    rise = rise / rise[-8:].mean()
    at = np.arange(rise.size)
    return float(np.interp(0.9, rise, at) - np.interp(0.1, rise, at))


def test_diffraction_widens_an_edge_with_the_f_number() -> None:
    sharp, soft = _edge_width(2.8), _edge_width(11.0)
    # 5.52 photosites from the transfer function of a round iris and of a photosite, at 550 nm; the
    # edge stands at 1 m, where the working f-number is 1.018 times as large
    assert soft == pytest.approx(5.515 * 1.018, rel=0.03)
    assert soft > 1.8 * sharp


def test_defocus_widens_an_edge() -> None:
    assert _edge_width(2.8, 0.8) > 3.0 * _edge_width(2.8)


def test_an_opaque_card_hides_a_lamp_and_a_blurred_edge_shows_no_hole() -> None:
    white = white_radiance(illuminant("E"), 100.0)
    basis = np.stack([white, white, white])
    lamp = one_lamp().layers[0]
    wall = ShadedLayer("wall", 0, basis, 4.0, params=(0, 0, 1, 0, 0))
    card = ShadedLayer("card", 0, basis, 1.0, (0.0, 0.0), (-1, -1, 1, 1), params=(1, 1, 1, 0, 0))
    lens = LensState(17.5, 4.0, 1.0)
    hidden = LightRenderer(Scene("a", "a", (wall, lamp, card)), RESPONSE).light(lens, centered(64))
    alone = LightRenderer(Scene("b", "b", (card,)), RESPONSE).light(lens, centered(64))
    assert np.array_equal(hidden, alone)
    # a card as bright as the wall behind vanishes at any blur, edges and all
    small = ShadedLayer(
        "small", 0, basis, 1.0, (0.0, 0.0), (-0.01, -0.01, 0.01, 0.01), params=(0.01, 0.01, 1, 0, 0)
    )
    for focus in (0.5, 1.0, 3.0):
        lens = LensState(17.5, 1.4, focus)
        both = LightRenderer(Scene("c", "c", (wall, small)), RESPONSE).light(lens, centered(512))
        bare = LightRenderer(Scene("d", "d", (wall,)), RESPONSE).light(lens, centered(512))
        assert np.allclose(both, bare, rtol=2e-3)


@pytest.mark.parametrize("f_number", [1.4, 8.0])
def test_preview_agrees_with_the_full_light(f_number: float) -> None:
    renderer = LightRenderer(load_scene("studio"), RESPONSE)
    lens = LensState(17.5, f_number, 1.0, 0.9)
    preview = renderer.preview(lens, WIDTH // 16, HEIGHT // 16, (WIDTH * PITCH, HEIGHT * PITCH))
    for x, y in ((5600, 4400), (1600, 5600), (7600, 2000)):
        light = renderer.light(lens, grid(512, 512, x, y)) / PITCH**2
        green = 0.5 * (light[0::2, 1::2] + light[1::2, 0::2])
        blocks = green.reshape(32, 8, 32, 8).mean(axis=(1, 3))
        part = preview[1, y // 16 : y // 16 + 32, x // 16 : x // 16 + 32]
        difference = (part - blocks).reshape(8, 4, 8, 4).mean(axis=(1, 3))
        assert np.abs(difference).mean() < 0.03 * blocks.mean()
        assert part.mean() == pytest.approx(blocks.mean(), rel=0.01)


def test_binned_positions_and_other_patterns() -> None:
    # 2 x 2 photosites of one colour: centres at 1, 2, 5, 6, ... of the full array
    at = np.array([1.0, 2.0, 5.0, 6.0, 9.0, 10.0, 13.0, 14.0]) * PITCH
    scene = load_scene("flat")
    lens = LensState(17.5, 2.0, 1.0)
    binned = SampleGrid(at, at, PITCH, 4 * PITCH**2, ("BG", "GR"), 2)
    light = LightRenderer(scene, RESPONSE).light(lens, binned)
    full = LightRenderer(scene, RESPONSE).light(lens, centered(16))
    assert light[0, 0] == pytest.approx(4 * full[1, 1], rel=1e-3)
    assert light[0, 1] == pytest.approx(4 * full[0, 1], rel=1e-3)
    assert light[1, 1] == pytest.approx(4 * full[0, 0], rel=1e-3)


def test_light_is_repeatable_reports_progress_and_can_be_cancelled() -> None:
    renderer = LightRenderer(load_scene("studio"), RESPONSE)
    lens = LensState(17.5, 2.0, 1.0)
    seen: list[float] = []
    first = renderer.light(lens, centered(320), progress=seen.append)
    assert np.array_equal(first, renderer.light(lens, centered(320)))
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert np.isfinite(first).all()
    assert (first >= 0).all()
    with pytest.raises(CancelledError):
        renderer.light(lens, centered(320), cancel=lambda: True)


@pytest.mark.parametrize("place", [(5600, 4400), (7602, 5202), (5501, 6303)])
def test_a_quad_mosaic_has_the_light_of_bayer_mosaics_of_every_phase(
    place: tuple[int, int],
) -> None:
    renderer = LightRenderer(load_scene("studio"), RESPONSE, glare=VeilingGlare(0.05, 11000.0))
    lens = LensState(17.5, 2.0, 1.0)
    even = grid(420, 300, *place)
    quad = ("RRGG", "RRGG", "GGBB", "GGBB")
    found = renderer.light(lens, replace(even, cfa=quad))
    compared = np.zeros(found.shape, np.bool_)
    for phase in (("RG", "GB"), ("GR", "BG"), ("GB", "RG"), ("BG", "GR")):
        light = renderer.light(lens, replace(even, cfa=phase))
        for y in range(4):
            for x in range(4):
                if phase[y & 1][x & 1] == quad[y][x]:
                    compared[y::4, x::4] = True
                    np.testing.assert_allclose(found[y::4, x::4], light[y::4, x::4], rtol=2e-5)
    assert compared.all()


def test_wrong_grids_are_refused() -> None:
    renderer = LightRenderer(load_scene("flat"), RESPONSE)
    lens = LensState(17.5, 2.0, 1.0)
    at = np.arange(4.0)
    for x, cfa in ((at[::-1], ("RG", "GB")), (at[:1], ("RG", "GB")), (at, ("RGB", "GBR"))):
        with pytest.raises(SettingError):
            SampleGrid(x, at, 1.0, 1.0, cfa)
    with pytest.raises(SettingError):
        renderer.preview(lens, 0, 10, (1.0, 1.0))


def test_after_warm_nothing_is_compiled_any_more() -> None:
    list(warm_scenes())
    list(warm_optics())
    kernels = [
        _shaders.shade_layer,
        _glare_kernels.lay_veil,
        *(getattr(_raster, name) for name in ("_sample", "_halve", "gather", "covered", "cut")),
        *(getattr(_kernels, name) for name in (
            "spans_of", "reaches_of", "blur_iris", "blur_line", "share_outside", "cut", "trim",
            "slide", "slide_sharp", "under_color", "open_rows", "add_lamps", "stamp_mosaic",
            "expose_mosaic", "expose_color", "unlit", "lattice_of", "sharp", "add_overlap",
        )),
        *(getattr(_layer_kernels, name) for name in (
            "tap_spans", "mask_shares", "cut_kernels", "wanted_points", "convolve_planes",
            "under_mosaic", "split_columns", "convolve_under_mosaic", "part_light", "pass_parts",
            "gather_parts", "any_above",
        )),
        *(getattr(_pupil_kernels, name) for name in (
            "amplitude", "paths", "wave", "autocorrelation", "fly", "land", "unshare",
            "turned", "weigh", "gathered", "landing", "landing_middle", "blur_rim", "open_area",
            "open_box", "openness",
        )),
        *(getattr(_tail_kernels, name) for name in (
            "split_image", "slide_split", "block_means", "convolve_pairs",
        )),
        _reference.trace, _reference.throw,
    ]  # fmt: skip
    for name in ("studio", "motorcycle", "colorchecker", "flat"):
        options = {"distance_m": 1} if name == "flat" else {}
        glare = VeilingGlare(0.005, 10811.0)
        renderer = LightRenderer(load_scene(name, **options), RESPONSE, glare=glare)
        renderer.light(LensState(17.5, 8.0, 1.0), grid(600, 300, 5000, 4500))
        for focus in (1.0, 1.01, 1.012):
            renderer.light(LensState(17.5, 8.0, focus), grid(80, 60, 5000, 4500), again=True)
        renderer.preview(LensState(17.5, 1.4, 2), 200, 150, (17297, 12973))
        lens = LensState(17.5, 1.4, math.inf)
        reference_light(renderer.scene, RESPONSE, lens, grid(70, 9, 5000, 2000), rays=1)
    assert [len(kernel.signatures) for kernel in kernels] == [1] * len(kernels)


def test_a_raster_repeats_nothing_beyond_the_end_of_its_layer() -> None:
    width, height, step = 364, 273, 0.003
    lattice = Lattice(-0.5 * (width - 1) * step, -0.5 * (height - 1) * step, step)
    matrix = np.eye(3, dtype=np.float32)
    for layer in load_scene("studio").layers:
        if isinstance(layer, Lamps):
            continue
        raster = rasterize(
            Surface(layer, matrix), lattice, width, height, 0.0182, np.array([1.0, 0.0, 0.0, 0.0])
        )
        left, top, right, bottom = layer.bounds(0.0182)
        x0, y0, room = lattice.x0, lattice.y0, 64 * step
        within = (
            left > x0 - room, right < -x0 + room, top > y0 - room, bottom < -y0 + room,
        )  # fmt: skip
        for level in range(raster.max_level + 1):
            cover = raster.whole(level, 0, 0)[0][3]
            sides = cover[:, 0], cover[:, -1], cover[0], cover[-1]
            for ends, side in zip(within, sides, strict=True):
                assert not (ends and side.any()), (layer.name, level)
