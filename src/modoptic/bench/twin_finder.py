"""The sensor alone: how many finder frames it takes a second, every source of noise on."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import numpy.typing as npt

from modoptic.bands import run_bands
from modoptic.bench._figures import quantiles
from modoptic.optics import LensState, LightRenderer
from modoptic.pixels import bayer_format, pixel_format, unpack
from modoptic.scenes import load_scene
from modoptic.sensor import Sensor, Shot, compact
from modoptic.twin import load_definition
from modoptic.twin._definition import glare_of, lens_of, spectral_response
from modoptic.twin._light import Window, sample_grid

FRAMES = 200
WARM_UP = 10
_BAND_ROWS = 256


def twin_finder() -> dict[str, Any]:
    """Packed 12 bit frames of 2912 x 2184 of the studio at rest, new noise in each; no link.

    As the phone meters it: the brightest hundredth is saturated. Beside the rate, the same in the
    dark, at an eighth of the light and eight times the gain; and how far two frames share noise.
    """
    definition = load_definition("xiaomi-mos-35")
    spec = definition.sensor
    width, height = spec.width // 4, spec.height // 4
    renderer = LightRenderer(
        load_scene("studio"), spectral_response(definition), lens_of(definition),
        diffusion_um=spec.diffusion_um, angular=spec.angular_response,
        glare=glare_of(definition),
    )  # fmt: skip
    lens = LensState(definition.focal_length_mm, 2.0, 1.0, definition.transmittance)
    rates = renderer.light(lens, sample_grid(spec, Window("bin4", 0, 0, width, height)))
    exposure_s = 16.0 * spec.saturation_e() / float(np.percentile(rates, 99.0))
    light = compact(rates)
    sensor = Sensor(spec, 1)
    form = bayer_format(spec.bayer, 12, packed=True)
    out = np.empty((height, form.row_bytes(width)), np.uint8)

    def take(key: int, share: float = 1.0) -> None:
        shot = Shot(exposure_s=exposure_s * share, gain=1.0 / share, readout="bin4", key=key)
        run_bands(lambda a, b: sensor.expose(light, shot, out, (a, b)), height, _BAND_ROWS)

    def times(share: float, frames: int) -> list[float]:
        took: list[float] = []
        for key in range(WARM_UP + frames):
            start = time.perf_counter()
            take(key, share)
            took.append((time.perf_counter() - start) * 1e3)
        return took[WARM_UP:]

    took = times(1.0, FRAMES)
    dark = times(1.0 / 8.0, FRAMES // 4)
    frames: list[npt.NDArray[np.float32]] = []
    for key in range(4):
        take(key)
        mosaic = unpack(out.reshape(-1), pixel_format("BayerRG12p"), height, width)
        frames.append(mosaic.astype(np.float32))
    shared = _correlation(frames[0] - frames[1], frames[2] - frames[3])
    rate = 1e3 / float(np.mean(took))
    p50, p95, p99 = quantiles(took)
    return {
        "value": rate, "unit": "frames/s", "bar": 100.0, "p50": p50, "p95": p95, "p99": p99,
        "dark": 1e3 / float(np.mean(dark)), "correlation": shared,
        "met": rate >= 100.0 and abs(shared) < 4.0 / (width * height) ** 0.5,
        "note": f"{len(took)} frames of {width} x {height}; {1e3 / float(np.mean(dark)):.0f} "
        f"frames/s at ISO 512; frames correlate by {shared:.1e}",
    }  # fmt: skip


def _correlation(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> float:
    """Of two pictures of noise, each value in units of the spread about it."""
    spread = np.sqrt(a * a + b * b)
    used = spread > 0
    return float(np.mean(2.0 * a[used] * b[used] / spread[used] ** 2))
