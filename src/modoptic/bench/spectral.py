"""Spectral cube to raw: how fast, and how near to every band on its own."""

from __future__ import annotations

import statistics
import time
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from modoptic.bench._figures import quantiles
from modoptic.scenes import (
    WAVELENGTHS_NM,
    colorchecker_reflectances,
    illuminant,
    white_radiance,
)
from modoptic.sensor import AngularSpec
from modoptic.twin import Definition, SpectralCamera, load_definition

HEIGHT, WIDTH = 640, 960
NM = np.arange(400.0, 701.0, 10.0)
PORT_OPTICS, PORT_SENSOR = 0.13, 0.84
"""MPix/s of pyisetcam (commit ecc712f) at this size and these bands on 2 cores, as measured for its
`oiCompute` and `sensorCompute`; it is in no package index, so it cannot run beside us."""
PORT = 1.0 / (1.0 / PORT_OPTICS + 1.0 / PORT_SENSOR)
_WARM_UP, _REPEATS = 3, 40
_F_NUMBER = 4.0


def chart() -> npt.NDArray[np.float32]:
    """Patches of a ColorChecker of 8 x 8 photosites in daylight, each photosite as dark as chance
    has it: spectra and contrast that no lens lets through. (h, w, 31), W sr^-1 m^-2 nm^-1."""
    rng = np.random.default_rng(1)
    colours = np.stack([
        np.interp(NM, WAVELENGTHS_NM, r) for r in colorchecker_reflectances().values()
    ])  # fmt: skip
    light = np.interp(NM, WAVELENGTHS_NM, white_radiance(illuminant("D65"), 1000.0))
    patch = rng.integers(0, 24, (HEIGHT // 8, WIDTH // 8)).repeat(8, 0).repeat(8, 1)
    texture = rng.uniform(0.1, 1.0, (HEIGHT, WIDTH, 1))
    return (colours[patch] * light * texture).astype(np.float32)


def of_the_port() -> Definition:
    """The module's sensor behind ISETCam's default lens: ideal, 3.862755 mm, on 2.8 um pixels."""
    module = load_definition("xiaomi-mos-35")
    return msgspec.structs.replace(
        module, focal_length_mm=3.862755, transmittance=1.0,
        lens=msgspec.structs.replace(module.lens, model="ideal"),
        sensor=msgspec.structs.replace(
            module.sensor, pitch_um=2.8, diffusion_um=0.0, angle=AngularSpec()
        ),
    )  # fmt: skip


def twin_spectral() -> dict[str, Any]:
    """640 x 960 x 31 float32 in memory to a noisy 12 bit raw, f/4, new noise in each of 40.

    The lens is the port's default, an ideal one; beside it, the module's own, traced. What follows
    from the lens alone is made by the first frame, and told apart. Against every band on its own in
    float64, without noise, in the exposure that just fills the brightest photosite.
    """
    cube = chart()
    port = _measure(of_the_port(), cube)
    module = _measure(load_definition("xiaomi-mos-35"), cube)
    p50, p95, p99 = quantiles(port.took_ms)
    size = HEIGHT * WIDTH * 1e-3
    rate = size / p50
    worst = max(port.error, module.error)
    own = size / statistics.median(module.took_ms)
    return {
        "value": rate, "unit": "MPix/s", "bar": 100.0 * PORT, "p50": p50, "p95": p95, "p99": p99,
        "times_port": rate / PORT, "module": own, "error": worst,
        "met": rate >= 100.0 * PORT and worst <= 1e-3,
        "note": f"{rate / PORT:.0f} times the port's {PORT:.3f} (as measured: {PORT_OPTICS} optics,"
        f" {PORT_SENSOR} sensor), {port.planes} planes a colour; the module's traced lens "
        f"{own:.1f} MPix/s, {own / PORT:.0f} times, {module.planes} planes; p in ms; "
        f"{port.cpu_ms:.0f} and {module.cpu_ms:.0f} ms of all cores' time a frame; first frame "
        f"{port.first_s:.2f} s and {module.first_s:.2f} s; off by {worst:.1e} of full scale at "
        "most (bar 1e-3)",
    }  # fmt: skip


class _Measured(msgspec.Struct):
    took_ms: list[float]
    cpu_ms: float
    """Of all threads together, a frame: what a busy machine hides."""
    first_s: float
    planes: int
    error: float


def _measure(definition: Definition, cube: npt.NDArray[np.float32]) -> _Measured:
    mean = SpectralCamera(definition, NM, noise=False)
    wanted = mean.light(cube, f_number=_F_NUMBER, exact=True)
    full = float(wanted.max())
    error = float(np.abs(mean.light(cube, f_number=_F_NUMBER) - wanted).max()) / full
    camera = SpectralCamera(definition, NM)
    exposure_s = definition.sensor.saturation_e() / full
    took: list[float] = []
    cpu: list[float] = []
    for key in range(1 + _WARM_UP + _REPEATS):
        start, spent = time.perf_counter(), time.process_time()
        camera.raw(cube, exposure_s=exposure_s, f_number=_F_NUMBER, key=key)
        took.append((time.perf_counter() - start) * 1e3)
        cpu.append((time.process_time() - spent) * 1e3)
    planes = camera.planes(HEIGHT, WIDTH, f_number=_F_NUMBER, focus_distance_m=2.0)
    return _Measured(
        took[1 + _WARM_UP :], statistics.median(cpu[1 + _WARM_UP :]), took[0] * 1e-3, planes, error
    )  # fmt: skip
