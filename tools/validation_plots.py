"""Plots of what the twin was validated against: `tools/pictures.py validation` makes them.

Each curve comes from the product's own functions, each reference from where the test of the same
fact has it: stored figures of another program, a sum of rays, a closed form.
"""

from __future__ import annotations

import importlib
import json
import math
import sys
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from modoptic.frame import Frame, Settings
from modoptic.measure import (
    Plot,
    Series,
    color_planes,
    distortion,
    emva1288,
    find_lattice,
    pair_statistics,
    slanted_edge,
)
from modoptic.optics import LensState, TracedLens
from modoptic.pixels import pixel_format
from modoptic.scenes import WAVELENGTHS_NM, Scene, ShadedLayer, illuminant, photons, white_radiance
from modoptic.scenes import _shaders as kinds
from modoptic.twin import Twin, load_definition, spectral_response

OUT = Path(__file__).resolve().parents[1] / "docs" / "pictures"
TESTS = Path(__file__).resolve().parents[1] / "tests" / "twin"
MODULE = "xiaomi-mos-35"
LENS = "us20250271647"
MAIN = 3  # 587.56 nm
Array = npt.NDArray[np.float64]

_STYLE = """
text{font:12px system-ui,sans-serif;fill:#1d2129}.title{font-size:14px;font-weight:600}
.tick{fill:#5b6270;text-anchor:middle}.tick.end{text-anchor:end}.tick.begin{text-anchor:start}
.label{text-anchor:middle;font-size:12.5px}.grid{stroke:#d9dce2;stroke-width:1}
.frame{fill:none;stroke:#5b6270;stroke-width:1}
.mark{stroke:#5b6270;stroke-width:1.2;stroke-dasharray:3 3}
"""


def keep_svg(plots: Sequence[Plot], name: str, columns: int = 2) -> None:
    """Plots side by side in one SVG file on white paper, readable on a page of any colour."""
    drawn = [plot.svg() for plot in plots]
    sizes = [tuple(map(float, d.split("viewBox='0 0 ")[1].split("'")[0].split())) for d in drawn]
    width, height = max(w for w, _ in sizes), max(h for _, h in sizes)
    columns = min(columns, len(plots))
    rows = -(-len(plots) // columns)
    # a plot begins with <svg, to which place and size are given
    parts = [
        f"<svg x='{i % columns * width:g}' y='{i // columns * height:g}' width='{w:g}' "
        f"height='{h:g}' {one[5:]}"
        for i, (one, (w, h)) in enumerate(zip(drawn, sizes, strict=True))
    ]
    whole = columns * width, rows * height
    text = (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {whole[0]:g} {whole[1]:g}' "
        f"width='{whole[0]:g}' height='{whole[1]:g}'><style>{_STYLE}</style>"
        f"<rect width='100%' height='100%' fill='#fff'/>{''.join(parts)}</svg>\n"
    )
    (OUT / name).write_text(text, "utf-8")
    print(OUT / name, len(text) // 1000, "kB")


def taken(twin: Twin, settings: Settings) -> Frame:
    """A frame of a twin that was started."""
    meta = twin.describe(settings)
    raw = bytearray(pixel_format(meta.pixel_format).row_bytes(meta.width) * meta.height)
    meta = twin.capture(settings, memoryview(raw), lambda _rows: None)
    return Frame(meta, raw)


def _far(f_number: float) -> LensState:
    return LensState(TracedLens.load(LENS).tables.focal_length_mm, f_number, math.inf)


def _reference() -> dict[str, Any]:
    text = resources.files("modoptic.optics").joinpath("data", f"{LENS}-reference.json")
    return json.loads(text.read_text("utf-8"))


def lens() -> None:
    """The module's lens at 588 nm: lines are ours, points the Huygens PSF of optiland."""
    traced, cases = TracedLens.load(LENS), _reference()["cases"]
    plots = []
    for f_number, most in ((1.4, 250.0), (2.8, 250.0), (8.0, 150.0)):
        here = [c for c in cases if c["f_number"] == f_number]
        heights = sorted({c["height_mm"] for c in here})
        frequency = np.linspace(5.0, most, 120)
        pupil = traced.pupil(_far(f_number))
        series: list[Series] = []
        for height, words in zip(heights, ("axis", "0.7 field"), strict=True):
            across, along = (m[MAIN] for m in pupil.mtf(frequency, height * 1e3))
            points = [c for c in here if c["height_mm"] == height]
            at = np.array([float(c["cycles_per_mm"]) for c in points])
            shown = [("", across, "across", "first")]
            if height > 0:
                shown = [(", T", across, "across", "second"), (", S", along, "along", "third")]
            for letter, ours, key, color in shown:
                series.append(Series(f"{words}{letter}", frequency, ours, color))
                wanted = np.array([c[key] for c in points])
                series.append(Series("", at, wanted, color, style="points"))
        series.append(
            Series("optiland", np.array([-1.0]), np.array([-1.0]), "luminance", style="points")
        )
        title = f"MTF at f/{f_number:g}, 588 nm"
        plots.append(
            Plot(title, "cycles per mm", "MTF", series, x_range=(0.0, most), y_range=(0.0, 1.0))
        )
    keep_svg([*plots, _illumination()], "validation-lens.svg")


def _illumination() -> Plot:
    """Light over the field wide open, beside optiland's rays and the fourth power of the cosine."""
    reference = _reference()
    lens = TracedLens.load(LENS)
    heights = np.linspace(0.0, 10.83, 80)
    series: list[Series] = []
    for f_number, color in ((reference["widest"], "first"), (2.8, "second"), (8.0, "third")):
        light = lens.pupil(_far(f_number)).irradiance_factor(heights * 1e3)
        series.append(Series(f"f/{f_number:g}", heights, light / light[0], color))
    at, areas = np.array([[c["height_mm"], c["area"]] for c in reference["illumination"]]).T
    series.append(Series("optiland, f/1.4", at, areas / areas[0], "first", style="points"))
    fourth = (1.0 + (heights / 17.5) ** 2) ** -2.0
    series.append(Series("cos⁴", heights, fourth, "quiet", style="dashed"))
    title = "Light over the field, module's lens"
    return Plot(title, "image height, mm", "of the middle", series, (0.0, 10.9), (0.0, 1.05))


def _test(name: str) -> Any:
    """A module of the tests, for the reference that it holds the twin against."""
    sys.path.insert(0, str(TESTS))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(TESTS))


def angles() -> None:
    """Light of an even field in each colour over the field: the renderer, and 160 000 rays."""
    test = _test("test_angles")
    lens = test.LENSES["traced"]
    plots = []
    for f_number in (1.4, 2.8):
        of = test.state(f_number)
        shares = np.linspace(0.0, 0.999, 12)
        ours = np.stack([test.exact(lens, of, s * test.CORNER_UM) for s in shares])
        some = shares[::2]
        rays = np.stack([test.by_rays(lens, of, s * test.CORNER_UM) for s in some])
        # what the lens alone would give shows what the sensor takes
        area = lens.pupil(of).irradiance_factor(shares * test.CORNER_UM)
        ours_kept = ours / area[:, None]
        rays_kept = rays / area[::2, None]
        scale = float(rays_kept[0].mean() / ours_kept[0].mean())
        series = [
            Series(f"{color}, twin", shares, ours_kept[:, c] * scale, color)
            for c, color in enumerate(("red", "green", "blue"))
        ] + [
            Series("" if c else "sum of rays", some, rays_kept[:, c], color, style="points")
            for c, color in enumerate(("red", "green", "blue"))
        ]
        plots.append(
            Plot(
                f"What photosites take of the lens' light, f/{f_number:g}",
                "image height, 1 is the corner", "share of light from straight ahead", series,
                (0.0, 1.0), (0.6, 1.02),
            )
        )  # fmt: skip
    keep_svg(plots, "validation-angles.svg")


def noise() -> None:
    """Photon transfer of the module's sensor at both conversion gains; dark noise over ISO."""
    test = _test("test_emva_of_the_twin")
    test.SIDE = 1024
    series: list[Series] = []
    ends: list[tuple[float, str]] = []
    for conversion, color in (("low", "first"), ("high", "second")):
        red = test.Red(conversion)
        steps = list(red.steps(np.concatenate([np.geomspace(0.002, 0.9, 26), test.STEPS[50::2]])))
        found = emva1288(iter(steps))
        assert found.gain.value is not None and found.dark_noise_e.value is not None
        gain, dark = found.gain.value, found.dark_noise_e.value
        pairs = [pair_statistics(step.first, step.second) for step in steps]
        mean = np.array([p.mean for p in pairs]) - found.dark_level_dn
        variance = np.array([p.variance for p in pairs])
        kept = mean > 1.0
        iso = f"ISO {64 * red.gain:.0f}"
        series.append(Series(f"{iso}, {conversion}", mean[kept], variance[kept], color, "points"))
        law = np.geomspace(2.0, 3900.0, 60)
        expected = (
            red.dn_per_electron * law + (red.read_noise_e * red.dn_per_electron) ** 2 + 1 / 12
        )
        series.append(Series("", law, expected, color))
        print(f"K {gain:.4f} DN/e-, expected {red.dn_per_electron:.4f}; dark {dark:.3f} e-")
    series.append(Series("gain x signal + dark", np.array([1e-9]), np.array([1e-9]), "luminance"))
    transfer = Plot(
        "Photon transfer, EMVA 1288", "signal, DN at 12 bit", "temporal variance, DN²", series,
        (2.0, 5000.0), (0.5, 5000.0), x_log=True, y_log=True,
    )  # fmt: skip
    keep_svg([transfer, _dark_noise(test, ends)], "validation-noise.svg")


def _dark_noise(test: Any, marks: list[tuple[float, str]]) -> Plot:
    """Measured from dark pairs at each ISO, beside the definition's law."""
    from modoptic.sensor import Sensor, Shot
    from modoptic.twin import base_iso

    spec, base = test.SPEC, base_iso(load_definition(MODULE))
    sensor = Sensor(spec, seed=4)
    high = spec.high_conversion_gain
    isos = base * np.array([1, 2, 4, 6.2, 6.25, 12.5, 25, 50, 64], float)
    measured = []
    for k, iso in enumerate(isos):
        gain = iso / base
        pair = []
        for n in (1, 2):
            shot = Shot(
                exposure_s=1e-4, gain=float(gain), bits=14, key=10 * k + n, readout="native"
            )
            packed = sensor.expose_all(np.zeros((1024, 1024), np.float32), shot)
            pair.append(
                test.unpack(packed.reshape(-1), test.pixel_format("BayerRG14p"), 1024, 1024)
            )
        # 14 bit: four times the numbers, and a rounding of 1/12
        difference = np.asarray(pair[0], np.float64) - pair[1]
        variance = max(0.5 * difference.var() - 1 / 12, 0.0) / 16
        measured.append(math.sqrt(variance) / (spec.dn_per_electron * gain))
    fine = np.geomspace(base, 64 * base, 300)
    law = np.array([sensor.read_noise_e(float(iso / base)) for iso in fine])
    marks.append((base * high.from_gain, "high conversion gain"))
    series = [
        Series("definition", fine, law, "first"),
        Series("measured", isos, np.array(measured), "second", "points"),
    ]
    return Plot(
        "Dark noise and the gain's two regions", "ISO", "electrons a photosite", series,
        y_range=(0.0, 3.4), x_log=True, marks=marks,
    )  # fmt: skip


def edge_scene(
    x: float, y: float, *, upright: bool, distance_m: float = 2.0, luminance_cd_m2: float = 200.0
) -> Scene:
    """A slanted edge of contrast 4 through the direction of tangents (x, y), under D65."""
    white = white_radiance(illuminant("D65"), luminance_cd_m2)
    basis = np.stack([white, 0 * white, 0 * white])
    d = distance_m
    angle = math.radians(5.0)
    # of the squares' sides the left one stands at (-0.15, 0.25), the upper one at (0, 0.10)
    off = (0.15, -0.25) if upright else (0.0, -0.10)
    layer = ShadedLayer(
        "edge", kinds.EDGES, basis, d, ((x + off[0]) * d, (y + off[1]) * d),
        params=(1.25 * d, 1.0 * d, math.cos(angle), math.sin(angle), 0.2),
    )  # fmt: skip
    return Scene("edge", "A slanted edge", (layer,))


def sfr() -> None:
    """Measured from a Gaussian edge, and from the twin's raw green, beside what must come out."""
    slope, sigma = math.tan(math.radians(5.0)), 0.8
    rows, columns = np.mgrid[0:200, 0:120].astype(float)
    # a Gaussian blur, and a square pixel by 16 x 16 points
    erf = np.vectorize(math.erf)
    picture = np.zeros(rows.shape)
    for dy in (np.arange(8) + 0.5) / 8 - 0.5:
        for dx in (np.arange(8) + 0.5) / 8 - 0.5:
            away = (columns + dx - 60 - slope * (rows + dy - 100)) * math.cos(math.atan(slope))
            picture += erf(away / (sigma * math.sqrt(2))) / 64
    found = slanted_edge(picture + 2.0, method="corrected")
    f = found.frequency
    tilt = math.atan(slope)
    closed = np.exp(-2 * (np.pi * sigma * f) ** 2)
    closed = closed * np.sinc(f * math.cos(tilt)) * np.sinc(f * math.sin(tilt))
    drawn = Plot(
        "A Gaussian edge, 5 degrees", "cycles per pixel", "SFR",
        [Series("measured", f, found.response, "first"),
         Series("closed form", f, closed, "second", "dashed")], (0.0, 1.0), (0.0, 1.05),
    )  # fmt: skip
    keep_svg([drawn, _sfr_of_the_twin()], "validation-sfr.svg")


def _sfr_of_the_twin() -> Plot:
    definition = load_definition(f"{MODULE}@sensor.cfa='bayer',lens.veiling_glare=0.0")
    twin = Twin(
        definition, edge_scene(0.0, 0.0, upright=True), real_time=False,
        calibration=Twin(MODULE, real_time=False).calibration,
    )  # fmt: skip
    twin.start()
    width, height = definition.sensor.width, definition.sensor.height
    series: list[Series] = []
    for f_number, color in ((2.8, "first"), (8.0, "second")):
        region = (width // 2 - 160, height // 2 - 320, 320, 640)
        shot = Settings(
            readout="full", bits=14, f_number=f_number, focus_distance_m=2.0,
            exposure_s=f_number**2 / 150.0, region=region,
        )  # fmt: skip
        frame = taken(twin, shot)
        # greens of the red rows alone: the mean of both would be a filter of its own
        green = frame.mosaic()[::2, 1::2].astype(np.float64) - frame.meta.black_level[0]
        found = slanted_edge(green, method="corrected")
        per_um = found.frequency / (2 * definition.sensor.pitch_um)
        kept = per_um <= 0.3
        series.append(Series(f"f/{f_number:g}", per_um[kept] * 1e3, found.response[kept], color))
        series.append(
            Series(
                "" if series[1:] else "lens x photosite", per_um[kept] * 1e3,
                _expected(definition, twin, f_number, per_um[kept]), color, "dashed",
            )
        )  # fmt: skip
    twin.close()
    return Plot(
        "SFR of the module's raws, green, axis",
        "cycles per mm",
        "SFR",
        series,
        (0.0, 300.0),
        (0.0, 1.05),
    )


def _expected(definition: Any, twin: Twin, f_number: float, per_um: Array) -> Array:
    """MTF of the lens in the green of D65, of a square photosite, and of diffusion."""
    state = LensState(twin._focal_length_mm, f_number, 2.0)  # noqa: SLF001
    pupil = TracedLens.load(LENS).pupil(state)
    response = spectral_response(definition)
    light = photons(illuminant("D65"))
    weight = np.interp(pupil.wavelengths_nm, response.wavelengths_nm, response.qe[1])
    weight = weight * np.interp(pupil.wavelengths_nm, WAVELENGTHS_NM, light)
    across, _ = pupil.mtf(per_um * 1e3)
    lens = (across * weight[:, None]).sum(0) / weight.sum()
    sensor = definition.sensor
    photosite = np.sinc(per_um * sensor.pitch_um)
    diffusion = np.exp(-2 * (np.pi * sensor.diffusion_um * per_um) ** 2)
    return lens * photosite * diffusion


def distorted() -> None:
    """Distortion measured from a picture of a grid, and that of the traced lens."""
    twin = Twin(MODULE, "distortion-grid", real_time=False)
    twin.start()
    frame = taken(
        twin,
        Settings(readout="bin4", f_number=5.6, focus_distance_m=1.0, exposure_s=1 / 60),
    )
    twin.close()
    planes = color_planes(frame.mosaic(), frame.meta.cfa, black_level=frame.meta.black_level)
    found = distortion(find_lattice(planes, kind="lines"), planes.size)
    pupil = TracedLens.load(LENS).pupil(LensState(17.5, 5.6, 1.0))
    half = 0.5 * math.hypot(17.297, 12.973) * 1e-3 / pupil.thin.image_distance_m
    heights = np.linspace(0.05, found.reach, 60)
    true = [
        100 * (float(pupil.seen(np.array([[half * h, 0.0]]))[0, 0]) / (half * h) - 1)
        for h in heights
    ]
    some = np.isfinite(found.local)
    series = [
        Series("points of the picture", found.height[some], found.local[some], "quiet", "points"),
        Series("their fit", heights, found.at(heights), "first"),
        Series("traced lens", heights, np.array(true), "second", "dashed"),
    ]
    plot = Plot(
        "Distortion of the module's lens", "image height, 1 is the corner", "per cent", series,
        (0.0, 1.0), (-1.6, 0.4),
    )  # fmt: skip
    keep_svg([plot], "validation-distortion.svg")


PLOTS = (lens, angles, noise, sfr, distorted)


def validation() -> None:
    """Every plot."""
    for plot in PLOTS:
        plot()


if __name__ == "__main__":
    for one in PLOTS:
        if not sys.argv[1:] or one.__name__ in sys.argv[1:]:
            one()
