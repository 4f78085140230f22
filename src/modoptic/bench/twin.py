"""The twin: how fast it makes light and frames, and how near the quick ways are to the exact."""

from __future__ import annotations

import math
import statistics
import time
from typing import Any

import numpy as np
import numpy.typing as npt

from modoptic.bands import run_bands
from modoptic.bench._figures import quantiles
from modoptic.optics import LensState, LightRenderer, SampleGrid
from modoptic.pixels import bayer_format
from modoptic.scenes import load_scene
from modoptic.sensor import BINNING, CompactLight, Sensor, Shot, compact
from modoptic.twin import load_definition
from modoptic.twin._definition import glare_of, lens_of, spectral_response
from modoptic.twin._light import Window, sample_grid

FloatArray = npt.NDArray[np.float32]

DEFINITION = load_definition("xiaomi-mos-35")
SPEC = DEFINITION.sensor
EXTENT_UM = (SPEC.width * SPEC.pitch_um, SPEC.height * SPEC.pitch_um)
_PREVIEW = SPEC.width // 8, SPEC.height // 8
_CROP = 512


def _renderer(*, angular: bool = True) -> LightRenderer:
    return LightRenderer(
        load_scene("studio"), spectral_response(DEFINITION), lens_of(DEFINITION),
        diffusion_um=SPEC.diffusion_um, angular=SPEC.angular_response if angular else None,
        glare=glare_of(DEFINITION),
    )  # fmt: skip


def _lens(f_number: float, focus_m: float) -> LensState:
    return LensState(DEFINITION.focal_length_mm, f_number, focus_m, DEFINITION.transmittance)


def _psnr(found: FloatArray, wanted: FloatArray) -> float:
    """Of exposures up to white, the level that only one sample in 200 exceeds, dB."""
    white = np.float32(np.percentile(wanted, 99.5))
    error = np.minimum(found, white) - np.minimum(wanted, white)
    return 20.0 * math.log10(float(white) / (math.sqrt(float(np.mean(error**2))) + 1e-30))


def _finder_grid() -> SampleGrid:
    side = BINNING["bin4"]
    return sample_grid(SPEC, Window("bin4", 0, 0, SPEC.width // side, SPEC.height // side))


def _seen_by_finder(preview: FloatArray) -> FloatArray:
    """A preview as the sensor takes it, (h, w): each sample between the four around it."""
    _, height, width = preview.shape
    out = np.empty((2 * height, 2 * width), np.float32)
    channel = {"R": 0, "G": 1, "B": 2}
    beside = 0.25 - 0.5 * SPEC.centroid_shift("bin4")
    for i in range(2):
        for j in range(2):
            plane = np.pad(preview[channel[SPEC.bayer[i][j]]], 1, mode="edge")
            y, x = (np.arange(n) for n in (height, width))
            fy, fx = (beside * (2 * k - 1) for k in (i, j))
            rows = plane[1 + y] * (1 - abs(fy)) + plane[1 + y + int(np.sign(fy))] * abs(fy)
            out[i::2, j::2] = rows[:, 1 + x] * (1 - abs(fx)) + rows[
                :, 1 + x + int(np.sign(fx))
            ] * abs(fx)
    return out


def twin_ring() -> dict[str, Any]:
    """Ring and iris moving: light and a noisy packed frame of 2912 x 2184, 40 different ones."""
    renderer, sensor = _renderer(), Sensor(SPEC, 1)
    width, height, area_um2 = SPEC.width // 4, SPEC.height // 4, (4 * SPEC.pitch_um) ** 2
    form = bayer_format(SPEC.bayer, 12, packed=True)
    out = np.empty((height, form.row_bytes(width)), np.uint8)

    def frame(number: int) -> FloatArray:
        focus = 0.35 + 2.0 * (0.5 - 0.5 * math.cos(number * 0.16))
        lens = _lens(1.4 if number % 4 else 2.0, focus)
        light = renderer.preview(lens, *_PREVIEW, EXTENT_UM, area_um2=area_um2, together=2)
        shot = Shot(exposure_s=1 / 60, gain=4.0, readout="bin4", key=number)
        run_bands(lambda a, b: sensor.expose(light, shot, out, (a, b)), height, 256, urgent=True)
        return light

    for number in range(3):
        frame(number)
    took: list[float] = []
    for number in range(3, 43):
        start = time.perf_counter()
        frame(number)
        took.append((time.perf_counter() - start) * 1e3)
    worst = math.inf
    for f_number, focus in ((1.4, 1.0), (1.4, 0.42), (1.4, 3.0), (8.0, 1.0)):
        lens = _lens(f_number, focus)
        settled = renderer.light(lens, _finder_grid())
        quick = renderer.preview(lens, *_PREVIEW, EXTENT_UM, area_um2=area_um2, together=2)
        worst = min(worst, _psnr(_seen_by_finder(quick), settled))
    p50, p95, p99 = quantiles(took)
    return {
        "value": p50, "unit": "ms", "bar": 33.0, "p50": p50, "p95": p95, "p99": p99,
        "psnr_db": worst, "met": p50 <= 33.0 and worst >= 36.0,
        "note": f"{worst:.1f} dB at least against the settled light (bar 36)",
    }  # fmt: skip


def twin_settle() -> dict[str, Any]:
    """At rest: light of the finder by the full model, of five places of the ring."""
    renderer, grid = _renderer(), _finder_grid()
    seen = (*_PREVIEW, EXTENT_UM)
    renderer.light(_lens(1.4, 1.2), grid, seen=seen)
    took: list[float] = []
    for focus in (1.0, 0.8, 1.5, 3.0, 0.5):
        start = time.perf_counter()
        renderer.light(_lens(1.4, focus), grid, seen=seen)
        took.append((time.perf_counter() - start) * 1e3)
    worst, steps = math.inf, 0.0
    for f_number, focus, x, y in (
        (1.4, 1.0, 5400, 4200), (1.4, 1.0, 400, 600), (1.4, 0.5, 7600, 5600),
        (5.6, 1.0, 6400, 4800), (1.4, 1.0, 3000, 6096), (1.4, 0.8, 8000, 6600),
    ):  # fmt: skip
        lens = _lens(f_number, focus)
        side = 4 * _CROP
        full = renderer.light(lens, sample_grid(SPEC, Window("full", x, y, side, side)))
        # charges of four neighbours, then four of these that lie two apart
        charges = full.reshape(side // 2, 2, side // 2, 2).sum(axis=(1, 3))
        binned = charges.reshape(side // 8, 2, 2, side // 8, 2, 2).sum(axis=(1, 4))
        binned = binned.reshape(side // 4, side // 4)
        window = Window("bin4", x // 4, y // 4, side // 4, side // 4)
        settled = renderer.light(lens, sample_grid(SPEC, window), seen=seen)
        worst = min(worst, _psnr(settled, binned))
        steps = max(steps, abs(float(settled.mean() / binned.mean()) - 1.0))
    p50, p95, p99 = quantiles(took)
    return {
        "value": p50, "unit": "ms", "bar": 500.0, "p50": p50, "p95": p95, "p99": p99,
        "psnr_db": worst, "met": p50 <= 500.0 and worst >= 46.0 and steps < 0.005,
        "note": f"{worst:.1f} dB at least against the 100 MP model binned (bar 46), "
        f"mean level within {steps * 100:.2f} % (bar 0.5)",
    }  # fmt: skip


def twin_magnifier() -> dict[str, Any]:
    """1:1 region of 1456 x 1092 photosites at the chart, the ring moving, as the twin makes it."""
    renderer = _renderer()
    grid = sample_grid(SPEC, Window("full", 5600, 4400, 1456, 1092))
    for focus in (1.03, 1.02):
        renderer.light(_lens(1.4, focus), grid, again=True)
    took: list[float] = []
    worst = math.inf
    for number in range(12):
        lens = _lens(1.4, 0.97 + 0.005 * number)
        start = time.perf_counter()
        found = renderer.light(lens, grid, again=True)
        took.append((time.perf_counter() - start) * 1e3)
        if number % 4 == 0:
            worst = min(worst, _psnr(found, renderer.light(lens, grid)))
    p50, p95, p99 = quantiles(took)
    return {
        "value": p50, "unit": "ms", "bar": 33.0, "p50": p50, "p95": p95, "p99": p99,
        "psnr_db": worst, "met": p50 <= 33.0,
        "note": f"{worst:.1f} dB at least against the light of one call",
    }  # fmt: skip


def twin_100mp() -> dict[str, Any]:
    """100 MP raw of the studio, full model, nothing cached; then the next, only noise new."""
    renderer, sensor = _renderer(), Sensor(SPEC, 1)
    window = Window("full", 0, 0, SPEC.width, SPEC.height)
    lens = _lens(1.4, 1.0)
    renderer.light(lens, sample_grid(SPEC, Window("full", 0, 0, 1024, 1024)))
    start = time.perf_counter()
    light = compact(renderer.light(lens, sample_grid(SPEC, window)))
    raw = _read(sensor, light, 1)
    first = time.perf_counter() - start
    after: list[float] = []
    for key in (2, 3, 4):
        start = time.perf_counter()
        _read(sensor, light, key, raw)
        after.append(time.perf_counter() - start)
    following = statistics.median(after)
    # samples between the samples have no neighbours of their own to give light to
    optics = _renderer(angular=False)
    worst = min(_against_fine(optics, lens, x, y) for x, y in _PLACES)
    peak = _peak_gb()
    return {
        "value": first, "unit": "s", "bar": 20.0, "next": following, "psnr_db": worst,
        "memory_gb": peak,
        "met": first <= 20.0 and following <= 0.5 and worst >= 46.0 and peak <= 3.0,
        "note": f"next {following:.2f} s (bar 0.5), memory {peak:.2f} GB (bar 3), {worst:.1f} dB "
        f"at least on {len(_PLACES)} crops against three times as many points (bar 46)",
    }  # fmt: skip


_PLACES = (
    (5600, 4300), (7800, 5200), (5500, 6300), (200, 200), (11100, 8200), (11000, 300),
    (3000, 5600), (2600, 7000), (7300, 6700), (8600, 3000),
)  # fmt: skip
"""Of crops: three at the edges of depths, three in corners."""


def _against_fine(renderer: LightRenderer, lens: LensState, x: int, y: int) -> float:
    """PSNR of a crop against samples between the samples: a scene taken three times as fine."""
    size = _CROP // 2
    grid = sample_grid(SPEC, Window("full", x, y, size, size))
    found = renderer.light(lens, grid)
    pitch = SPEC.pitch_um

    def fine(places: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return (places[:, None] + np.array([-pitch / 3, 0.0, pitch / 3])).ravel()

    wanted = np.empty_like(found)
    period = len(grid.cfa)
    for i in range(period):
        for j in range(period):
            colour = grid.cfa[i][j]
            dense = SampleGrid(
                fine(grid.x_um), fine(grid.y_um), pitch, grid.area_um2, (colour * 2, colour * 2)
            )
            light = renderer.light(lens, dense)[1::3, 1::3]
            wanted[i::period, j::period] = light[i::period, j::period]
    return _psnr(found, wanted)


def _read(
    sensor: Sensor, light: CompactLight, key: int, out: npt.NDArray[np.uint8] | None = None
) -> npt.NDArray[np.uint8]:
    height, width = light.codes.shape
    if out is None:
        row_bytes = bayer_format(SPEC.bayer, 12, packed=True).row_bytes(width)
        out = np.empty((height, row_bytes), np.uint8)
    into, shot = out, Shot(exposure_s=1 / 60, gain=1.0, key=key)
    run_bands(lambda a, b: sensor.expose(light, shot, into, (a, b)), height, 256)
    return out


def _peak_gb() -> float:
    """Largest memory of this process so far."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def twin_growth() -> dict[str, Any]:
    """Light of 1 to 100 MP of one view: seconds a megapixel and the memory they take."""
    renderer, lens = _renderer(), _lens(1.4, 1.0)
    renderer.light(lens, sample_grid(SPEC, Window("full", 5600, 4400, 1024, 1024)))
    rates: list[float] = []
    lines: list[str] = []
    for share in (0.1, 0.316, 1.0):
        # about the middle, so that each holds the same kinds of things
        width = int(SPEC.width * share) // 16 * 16
        height = int(SPEC.height * share) // 8 * 8
        x, y = (SPEC.width - width) // 4 * 2, (SPEC.height - height) // 4 * 2
        start = time.perf_counter()
        renderer.light(lens, sample_grid(SPEC, Window("full", x, y, width, height)))
        took, size = time.perf_counter() - start, width * height / 1e6
        rates.append(took / size)
        lines.append(f"{size:.0f} MP {took:.2f} s")
    growth = rates[-1] / min(rates)
    peak = _peak_gb()
    return {
        "value": growth, "unit": "x", "bar": 1.5, "memory_gb": peak,
        "met": growth <= 1.5 and peak <= 3.0,
        "bar_text": "a megapixel takes at most 1.5 times as long, <= 3 GB",
        "note": f"{', '.join(lines)}; at most {peak:.2f} GB",
    }  # fmt: skip
