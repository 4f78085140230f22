"""The traced lens against its own prescription's figures and another program's."""

from __future__ import annotations

import itertools
import json
import math
from importlib import resources
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from modoptic.errors import FileError, SettingError
from modoptic.optics import (
    IdealLens,
    Lens,
    LensState,
    SpectralResponse,
    TracedLens,
    _spread,
    diffraction_mtf,
    lens_tables,
)
from modoptic.optics._pupil import PupilShape
from modoptic.optics._spread import Spread
from modoptic.optics._traced import load_tables
from modoptic.scenes import WAVELENGTHS_NM

NAME = "us20250271647"
DATA = resources.files("modoptic.optics").joinpath("data")
NAMES = (NAME, "realme-73", "realme-234")
LENSES = {name: TracedLens.load(name) for name in NAMES}
LENS = LENSES[NAME]
MAIN = 3  # 587.56 nm

Array = npt.NDArray[np.float64]


def far(f_number: float, lens: TracedLens = LENS) -> LensState:
    return LensState(lens.tables.focal_length_mm, f_number, math.inf)


def test_the_design_is_the_published_one_scaled() -> None:
    tables = LENS.tables
    assert tables.focal_length_mm == pytest.approx(17.5, abs=1e-3)
    assert len([g for g in tables.glasses if g]) == 11  # ten elements and the cover
    assert not any("model" in g for g in tables.glasses)  # all are catalogue glasses
    ideal = tables.tangent[0] * tables.focal_length_mm
    distortion = tables.heights_mm[1:] / ideal[1:] - 1.0
    assert 0.009 < np.abs(distortion).max() < 0.011
    # 31.75 degrees reach the corner
    corner = np.interp(10.83, tables.heights_mm, tables.tangent[0])
    assert math.degrees(math.atan(corner)) == pytest.approx(31.75, abs=0.05)
    chief = np.interp(10.83, tables.heights_mm, tables.chief[0])
    assert math.degrees(math.asin(chief)) == pytest.approx(38.4, abs=0.5)


@pytest.mark.parametrize(
    ("name", "listed_mm", "scale", "elements", "corner_deg", "chief_deg", "distorted"),
    [
        # focal lengths as the listings give them; elements, and the cover
        ("realme-73", 41.2005, 0.68, 16, 16.35, 7.98, -0.0032),
        ("realme-234", 49.9989, 1.80, 7, 5.22, 3.83, -0.0023),
    ],
)
def test_the_lenses_of_the_bare_sensor_are_the_published_ones_scaled(
    name: str, listed_mm: float, scale: float, elements: int, corner_deg: float,
    chief_deg: float, distorted: float,
) -> None:  # fmt: skip
    tables = LENSES[name].tables
    assert tables.focal_length_mm == pytest.approx(listed_mm * scale, rel=2e-4)
    assert len([g for g in tables.glasses if g]) == elements + 1
    assert LENSES[name].f_number_min == 1.8
    ideal = tables.tangent[0] * tables.focal_length_mm
    distortion = tables.heights_mm[1:] / ideal[1:] - 1.0
    worst = distortion[np.abs(distortion).argmax()]
    assert worst == pytest.approx(distorted, abs=2e-4)
    corner = np.interp(8.192, tables.heights_mm, tables.tangent[0])
    assert math.degrees(math.atan(corner)) == pytest.approx(corner_deg, abs=0.01)
    chief = np.interp(8.192, tables.heights_mm, tables.chief[0])
    assert math.degrees(math.asin(chief)) == pytest.approx(chief_deg, abs=0.02)


def test_relative_illumination_is_that_of_the_prescription() -> None:
    at = np.array([0.0, 4800.0, 7200.0, 10050.0, 10830.0])
    light = LENS.pupil(far(1.4)).irradiance_factor(at)
    np.testing.assert_allclose(light[1:] / light[0], [0.72, 0.42, 0.16, 0.12], atol=0.0105)
    # on the axis the light is that of the sine of the marginal ray
    assert light[0] == pytest.approx(math.pi * (0.5 / 1.4) ** 2, rel=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_light_over_the_field_is_that_of_another_programs_rays(name: str) -> None:
    """Its rays are aimed forward through the stop, and halved towards the edge of what passes."""
    reference = json.loads(DATA.joinpath(f"{name}-reference.json").read_text("utf-8"))
    heights, areas = np.array([[c["height_mm"], c["area"]] for c in reference["illumination"]]).T
    pupil = LENSES[name].pupil(far(reference["widest"], LENSES[name]))
    light = pupil.irradiance_factor(heights * 1e3)
    np.testing.assert_allclose(light / light[0], areas / areas[0], atol=0.003)
    np.testing.assert_allclose(light[0], areas[0], rtol=2e-3)


def opened(shape: PupilShape, x: Array, y: Array) -> npt.NDArray[np.bool_]:
    """Which points are open, written out once more."""
    u = x * x
    polynomial = np.polynomial.polynomial.polyval2d
    iris = np.hypot(x * polynomial(u, y, shape.iris[0]), polynomial(u, y, shape.iris[1]))
    dx, dy = x - shape.middle[0], y - shape.middle[1]
    turn = np.arctan2(dy, dx) / (2 * np.pi) % 1.0 * shape.outline.size
    around = np.r_[shape.outline, shape.outline[0]]
    edge = np.interp(turn, np.arange(around.size), around)
    return (iris <= shape.radius) & (np.hypot(dx, dy) <= edge)


@pytest.mark.parametrize("f_number", [1.4, 2.8, 8.0])
@pytest.mark.parametrize("height_um", [0.0, 4800.0, 10830.0])
def test_irradiance_is_the_sum_of_a_million_rays(f_number: float, height_um: float) -> None:
    pupil = LENS.pupil(far(f_number))
    shape = pupil.shape(height_um)
    x0, x1, y0, y1 = shape.box
    rng = np.random.default_rng(5)
    # a jittered grid: one ray at random in each of a million cells
    n = 1000
    i, j = np.mgrid[:n, :n]
    x = x0 + (x1 - x0) * (j + rng.random((n, n))) / n
    y = y0 + (y1 - y0) * (i + rng.random((n, n))) / n
    area = opened(shape, x, y).mean() * (x1 - x0) * (y1 - y0)
    expected = pupil.state.transmittance * pupil.sine**2 * area
    assert pupil.irradiance_factor(np.array([height_um]))[0] == pytest.approx(expected, rel=1e-3)
    quick = pupil.quick_irradiance_factor(np.array([height_um]))[0]
    assert quick == pytest.approx(expected, rel=0.01)


def transfer(shape: PupilShape, sine: float, per_mm: float, weighted: bool) -> tuple[float, float]:
    """MTF across and along by shifting the pupil over itself, on a fine grid."""
    count = 701
    x0, x1, y0, y1 = shape.box
    reach = max(x1, -x0, (y1 - y0) / 2)
    at = np.linspace(-reach, reach, count)
    step = at[1] - at[0]
    x, y = np.meshgrid(at, (y0 + y1) / 2 + at)
    polynomial = np.polynomial.polynomial.polyval2d
    wave = opened(shape, x, y) * np.exp(
        2j * np.pi * polynomial(x * x, y, shape.opd_um[MAIN]) / 0.5875618
    )
    if weighted:
        a = x * polynomial(x * x, y, shape.iris[0])
        b = polynomial(x * x, y, shape.iris[1])
        (ay, ax), (by, bx) = np.gradient(a, step), np.gradient(b, step)
        wave *= np.abs(ax * by - ay * bx)
    power = np.abs(wave) ** 2
    lag = 0.5875618e-3 * per_mm / sine / step
    k, t = int(lag), lag - int(lag)
    found: list[float] = []
    for axis in (0, 1):
        turned = np.moveaxis(wave, axis, 0)
        both = [abs(np.vdot(turned[: count - q], turned[q:])) / power.sum() for q in (k, k + 1)]
        found.append(both[0] * (1 - t) + both[1] * t)
    return found[0], found[1]


REFERENCE = [
    (name, case)
    for name in NAMES
    for case in json.loads(DATA.joinpath(f"{name}-reference.json").read_text("utf-8"))["cases"]
]


@pytest.mark.parametrize(
    ("name", "case"),
    REFERENCE,
    ids=lambda v: v if isinstance(v, str) else f"{v['f_number']}-{v['cycles_per_mm']}",
)
def test_mtf_agrees_with_another_programs_huygens_psf(name: str, case: dict[str, float]) -> None:
    pupil = LENSES[name].pupil(far(case["f_number"], LENSES[name]))
    height_um, per_mm = case["height_mm"] * 1e3, case["cycles_per_mm"]
    shape = pupil.shape(height_um)
    wanted = np.array([case["across"], case["along"]])
    # that program gives each ray that is even in the stop the same amplitude
    alike = transfer(shape, pupil.sine, per_mm, weighted=True)
    np.testing.assert_allclose(alike, wanted, atol=0.01)
    # light itself is even in direction cosines, which the traced lens nearly conserves
    across, along = pupil.mtf(per_mm, height_um)
    ours = np.array([across[MAIN, 0], along[MAIN, 0]])
    np.testing.assert_allclose(ours, transfer(shape, pupil.sine, per_mm, False), atol=0.004)
    np.testing.assert_allclose(ours, wanted, atol=0.03)


def test_without_its_errors_the_lens_is_limited_by_diffraction() -> None:
    perfect = TracedLens.load(NAME, wavefront=0.0).pupil(far(2.8))
    frequencies = np.array([50.0, 100.0, 200.0])
    across, along = perfect.mtf(frequencies)
    for k, wavelength in enumerate(perfect.wavelengths_nm):
        expected = diffraction_mtf(frequencies, 2.8, wavelength)
        np.testing.assert_allclose(across[k], expected, atol=2e-3)
        np.testing.assert_allclose(along[k], expected, atol=2e-3)
    worse = TracedLens.load(NAME, wavefront=2.0).pupil(far(1.4)).mtf(100.0)[0][MAIN, 0]
    usual = LENS.pupil(far(1.4)).mtf(100.0)[0][MAIN, 0]
    assert worse < usual < diffraction_mtf(np.array([100.0]), 1.4, 587.6)[0]


@pytest.mark.parametrize("f_number", [1.4, 2.8, 5.6, 11.0])
@pytest.mark.parametrize(
    "lens", [IdealLens(), TracedLens.load(NAME, wavefront=0.0)], ids=["ideal", "traced"]
)
def test_a_perfect_lens_has_the_closed_form_of_diffraction(lens: Lens, f_number: float) -> None:
    pupil = lens.pupil(LensState(17.5, f_number, math.inf))
    frequencies = np.array([1e-3, 0.1, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0])
    expected = [diffraction_mtf(frequencies, f_number, w) for w in pupil.wavelengths_nm]
    for found in pupil.mtf(frequencies):
        np.testing.assert_allclose(found, expected, atol=6e-4)
    np.testing.assert_allclose(pupil.mtf(1e-3), 1.0, atol=1e-4)
    # as kernels are made from it
    frequencies = np.array([5.0 * k for k in range(32)])
    whole = pupil.otf(0.0, pupil.thin.inverse_focus, 0.005, 32)
    for found, wavelength in zip(whole, pupil.wavelengths_nm, strict=True):
        expected = diffraction_mtf(frequencies, f_number, wavelength)
        np.testing.assert_allclose(found[0], expected, atol=2.5e-3)
        np.testing.assert_allclose(found[:, 0], expected, atol=2.5e-3)


def spread_of(lens: Lens) -> Spread:
    """All wavelengths alike, in every channel."""
    response = SpectralResponse(WAVELENGTHS_NM, np.ones((3, WAVELENGTHS_NM.size)))
    return Spread(lens.pupil(LensState(17.5, 1.4, 1.0)), response, 0.0)


def defocused(spread: Spread, waves: float) -> float:
    """Inverse depth at which defocus is so many waves."""
    thin = spread.pupil.thin
    return (
        thin.inverse_focus
        + waves * 8.0 * 0.55e-6 * (thin.working_f_number / thin.image_distance_m) ** 2
    )


@pytest.mark.parametrize("lens", [LENS, IdealLens()], ids=["traced", "ideal"])
@pytest.mark.parametrize("height_um", [0.0, 5000.0, 9000.0])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_rays_and_waves_meet_where_one_gives_way_to_the_other(
    height_um: float, sign: float, lens: Lens
) -> None:
    spread = spread_of(lens)
    place = 0.0, height_um
    waves = sum(spread.fade(place, 1.485)) / 2
    inverse = defocused(spread, sign * waves)
    assert spread.pupil.waves(inverse) == pytest.approx(waves)
    # without aberrations at eight waves
    assert (waves == pytest.approx(8.0)) == (lens is not LENS)
    # finer than what is so blurred is ever drawn
    size, step = 48, abs(spread.pupil.blur_um(inverse)) / 16.3
    one, two = (
        of(place, inverse, step, size)[1] for of in (spread.by_waves, spread.by_rays)
    )  # fmt: skip
    # along the axes of the picture
    assert np.abs(np.abs(one[0]) - np.abs(two[0])).max() < 0.025
    assert np.abs(np.abs(one[:, 0]) - np.abs(two[:, 0])).max() < 0.025
    pictures = [np.fft.irfft2(t, (size, size)) for t in (one, two)]
    i = np.fft.fftfreq(size, 1.0 / size)
    # where light falls, and on which side coma lies
    middle = [np.array([(p * i[:, None]).sum(), (p * i).sum()]) for p in pictures]
    np.testing.assert_allclose(middle[0], middle[1], atol=0.05)
    around = np.hypot(i[:, None] - middle[1][0], i - middle[1][1])
    for radius in (3.0, 4.0, 6.0, 8.0, 10.0):
        inside = [p[around <= radius].sum() for p in pictures]
        assert inside[0] == pytest.approx(inside[1], abs=0.01)


@pytest.mark.parametrize("lens", [LENS, IdealLens()], ids=["traced", "ideal"])
@pytest.mark.parametrize("height_um", [0.0, 5000.0, 9000.0])
@pytest.mark.parametrize("waves", [-16.0, -8.2, 8.2, 8.5, 12.0, 20.0])
def test_blur_discs_share_their_shape_with_others_of_nearly_their_size(
    height_um: float, waves: float, lens: Lens, monkeypatch: pytest.MonkeyPatch
) -> None:
    spread = spread_of(lens)
    inverse = defocused(spread, waves)
    where = (0.0, height_um), inverse, abs(spread.pupil.blur_um(inverse)) / 16.3, 48
    shared = spread.by_waves(*where)[1]
    monkeypatch.setattr(_spread, "_LIKE_FROM", math.inf)
    own = spread.by_waves(*where)[1]
    assert np.abs(np.abs(shared) - np.abs(own)).max() < 0.01
    pictures = [np.fft.irfft2(t, (48, 48)) for t in (shared, own)]
    i = np.fft.fftfreq(48, 1.0 / 48)
    around = np.hypot(i[:, None], i)
    for radius in (3.0, 6.0, 8.0, 10.0):
        one, two = (p[around <= radius].sum() for p in pictures)
        assert one == pytest.approx(two, abs=0.01)


@pytest.mark.parametrize("lens", [LENS, IdealLens()], ids=["traced", "ideal"])
@pytest.mark.parametrize("height_um", [0.0, 5000.0, 9000.0])
def test_a_focus_sweep_shows_no_step(height_um: float, lens: Lens) -> None:
    spread = spread_of(lens)
    place = 0.0, height_um
    first, last = spread.fade(place, 1.485)
    step = spread.pupil.blur_um(defocused(spread, first)) / 16.3
    seen = [
        np.abs(spread.spectrum(place, defocused(spread, w), step, 48, 1.485)[1])
        for w in np.arange(first - 0.25, last + 0.25, 0.1)
    ]
    steps = [float(np.abs(b - a).max()) for a, b in itertools.pairwise(seen)]
    # a switch at once would be a step of 0.016 at 9 mm; a new shape for the disc is one of 0.007
    assert max(steps) < float(np.median(steps)) + 0.0075


def test_what_the_lens_cannot_do_is_refused() -> None:
    assert NAME in lens_tables()
    with pytest.raises(SettingError, match=r"1\.24"):
        LENS.pupil(far(1.2))
    with pytest.raises(SettingError, match=NAME):
        TracedLens.load("nothing of the kind")
    for options in ({"wavefront": -1.0}, {"wavefront": math.nan}, {"focal_length_mm": 0.0}):
        with pytest.raises(SettingError):
            TracedLens.load(NAME, **options)
    with pytest.raises(SettingError, match="blades"):
        TracedLens.load(NAME, blades=2)


def test_damaged_tables_are_refused_with_the_reason(tmp_path: Path) -> None:
    with np.load(str(DATA.joinpath(f"{NAME}.npz"))) as file:
        good = dict(file)
    path = tmp_path / "lens.npz"

    def store(**changed: npt.NDArray[np.float64]) -> str:
        load_tables.cache_clear()
        np.savez(path, **(good | changed))
        return str(path)

    assert TracedLens.load(store()).tables.sine == LENS.tables.sine
    bad = good["opd_um"].copy()
    bad[0, 0, 0, 0, 0] = np.nan
    for changed, reason in (
        ({"opd_um": bad}, "opd_um"),
        ({"chief": good["chief"][:2]}, "chief"),
        ({"heights_mm": good["heights_mm"][::-1]}, "rise"),
        ({"focus_m": good["focus_m"][::-1]}, "focus_m"),
    ):
        with pytest.raises(FileError, match=reason):
            TracedLens.load(store(**changed))
    path.write_bytes(b"no archive")
    load_tables.cache_clear()
    with pytest.raises(FileError):
        TracedLens.load(path)
    load_tables.cache_clear()
