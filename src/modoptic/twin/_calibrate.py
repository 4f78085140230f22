"""Measure a unit as a factory would: charts, an even field and a lens cap before the camera."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import numpy.typing as npt

from modoptic import measure
from modoptic.calibration import Calibration, ColorCalibration, NoisePoint, Shading
from modoptic.frame import Frame, Readout, Settings
from modoptic.optics import LensState, solve
from modoptic.pixels import pixel_format
from modoptic.scenes import (
    Scene,
    colorchecker_reflectances,
    illuminant,
    load_scene,
    observer,
)
from modoptic.source import CameraInfo
from modoptic.twin._definition import Definition

if TYPE_CHECKING:
    from modoptic.twin._twin import Twin

Progress = Callable[[str, float], None]
UInt16Image = npt.NDArray[np.uint16]

_ILLUMINANTS = ((17, "A"), (21, "D65"))  # EXIF LightSource, ours
_GAINS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
_LEVELS = (0.08, 0.2, 0.4, 0.6, 1.3)
"""Share of the range that photon transfer is taken at; the last one saturates."""
_IRISES = (1.4, 2.0, 2.8, 4.0, 5.6, 8.0, 11.0)
_CHART_M = 0.6
_CHART_SHARE = 0.51
"""How much of the frame the patches may fill: there the lens shades little."""
_CHART_SIZE_M = 0.282, 0.188  # of 6 x 4 patches
_PATCH_SIDE_MIN = 8  # pixels of the frame
_PATCH_PITCH_M = 0.047  # of the classic chart
_PATCH_USED_M = 0.022
_STRIPS = 8


def measure_calibration(
    definition: Definition | str | Path,
    *,
    seed: int = 1,
    progress: Progress = lambda what, done: None,
) -> Calibration:
    """The calibration of one unit, measured on its frames with `modoptic.measure`.

    Nothing is copied from the twin's parameters. Takes some seconds; ``progress`` is told what is
    measured now and the share that is done. Raises what `Twin` raises.
    """
    from modoptic.twin._twin import Twin

    cap = Scene("cap", "Lens cap", ())
    twin = Twin(definition, cap, seed=seed, real_time=False, calibration=Calibration())
    twin.start()
    try:
        progress("dark level and defects", 0.0)
        black, defects = _darks(twin)
        dark_pairs = {gain: _dark_pair(twin, gain) for gain in _gains(twin)}
        progress("noise", 0.3)
        luminance = _luminance(twin)
        noise = tuple(_noise(twin, gain, dark_pairs[gain]) for gain in dark_pairs)
        progress("shading", 0.5)
        shading = _shading(twin, black)
        colors: list[ColorCalibration] = []
        for i, (code, light) in enumerate(_ILLUMINANTS):
            progress(f"colour under {light}", 0.7 + 0.3 * i / len(_ILLUMINANTS))
            colors.append(_color(twin, code, light, luminance, black))
        return Calibration(
            unit=twin.info.id,
            colors=tuple(colors),
            noise=noise,
            shading=shading,
            defects=tuple(defects),
            black_level=round(black, 3),
        )
    finally:
        twin.close()


def _shoot(twin: Twin, settings: Settings) -> UInt16Image:
    meta = twin.describe(settings)
    size = pixel_format(meta.pixel_format).row_bytes(meta.width) * meta.height
    data = bytearray(size)
    meta = twin.capture(settings, memoryview(data), lambda rows: None)
    return Frame(meta, memoryview(data)).mosaic()


def _gains(twin: Twin) -> list[float]:
    """Gains that noise is measured at; on both sides of where the conversion gain changes."""
    gains = {gain for gain in _GAINS if gain <= twin.info.gain_max}
    high = twin.definition.sensor.high_conversion_gain
    if high is not None:
        gains |= {max(high.from_gain * (1.0 - 1e-6), 1.0), high.from_gain}
    return sorted(gains)


def _middle(info: CameraInfo, side: int) -> tuple[int, int, int, int]:
    return info.sensor_width // 2 - side // 2, info.sensor_height // 2 - side // 2, side, side


def _darks(twin: Twin) -> tuple[float, list[tuple[int, int]]]:
    info = twin.info
    black = _shoot(
        twin,
        Settings(exposure_s=info.exposure_min_s, readout="full", region=_middle(info, 1024)),
    )
    found: list[tuple[int, int]] = []
    strip = -(-info.sensor_height // _STRIPS // 8) * 8
    for top in range(0, info.sensor_height, strip):
        height = min(strip, info.sensor_height - top)
        settings = Settings(
            exposure_s=1.0,
            gain=4.0,
            readout=_every_photosite(twin),
            region=(0, top, info.sensor_width, height),
        )
        pair = [_shoot(twin, settings) for _ in range(2)]
        found += [(x, y + top) for x, y in measure.defects(pair)]
    return float(black.mean()), found


def _every_photosite(twin: Twin) -> Readout:
    """The readout whose values are those of photosites, none interpolated."""
    return "native" if "native" in twin.definition.sensor.readouts else "full"


def _dark_pair(twin: Twin, gain: float) -> measure.PairStatistics:
    info = twin.info
    settings = Settings(
        exposure_s=info.exposure_min_s,
        gain=gain,
        readout=_every_photosite(twin),
        region=_middle(info, 512),
    )
    return measure.pair_statistics(_shoot(twin, settings), _shoot(twin, settings))


def _luminance(twin: Twin) -> float:
    """cd/m2 at which an even field stands before the lens, so that every level has its exposure.

    100, or what lies nearest to it where the sensor's shortest or longest exposure asks for less or
    more: a coarse photosite gathers a hundred times what a fine one does.
    """
    info = twin.info
    settings = Settings(readout="full", region=_middle(info, 512), f_number=4.0)
    # at the highest gain still the darkest level, wide open still the shading
    shortest = info.exposure_min_s * max(0.6 * max(_gains(twin)) / _LEVELS[0], 30.0)
    longest = max(info.exposure_max_s / (4.0 * max(_LEVELS)), shortest)
    luminance = 100.0
    for _ in range(12):
        twin.set_scene(load_scene("flat", luminance_cd_m2=luminance)).join()
        reached = _exposure_for(twin, settings, 0.5)
        if shortest <= reached <= longest:
            break
        luminance *= reached / min(max(reached, 1.2 * shortest), longest / 1.2)
    return luminance


def _noise(twin: Twin, gain: float, dark: measure.PairStatistics) -> NoisePoint:
    """From green photosites of the rows that have red."""
    info, readout = twin.info, _every_photosite(twin)
    settings = Settings(gain=gain, readout=readout, region=_middle(info, 512), f_number=4.0)
    cfa = twin.describe(settings).cfa
    cell, column = len(cfa), cfa[0].index("G")
    base = _exposure_for(twin, settings, 0.5)
    white = float(twin.describe(settings).white_level)
    pairs: list[measure.PairStatistics] = []
    for level in _LEVELS:
        lit = _with(settings, base * level / 0.5)
        a, b = (_shoot(twin, lit)[::cell, column::cell] for _ in range(2))
        pairs.append(measure.pair_statistics(a, b))
    return measure.noise_point(gain, dark, pairs, white)


def _with(settings: Settings, exposure_s: float) -> Settings:
    return msgspec.structs.replace(settings, exposure_s=exposure_s)


def _exposure_for(twin: Twin, settings: Settings, level: float) -> float:
    """The exposure at which the brightest colour reaches ``level`` of the range."""
    meta = twin.describe(settings)
    black = meta.black_level[0]
    span = meta.white_level - black
    exposure = 1 / 500 / settings.gain
    for _ in range(12):
        mosaic = _shoot(twin, _with(settings, exposure))
        top = max(float(np.percentile(mosaic[j::2, i::2], 99)) for j in (0, 1) for i in (0, 1))
        reached = (top - black) / span
        if 0.8 * level <= reached <= 0.95:
            return exposure * level / reached
        exposure *= 0.25 if reached > 0.95 else min(level / max(reached, 1e-3), 50.0)
        exposure = max(exposure, twin.info.exposure_min_s)
    return exposure


def _shading(twin: Twin, black: float) -> tuple[Shading, ...]:
    info = twin.info
    # wide open is where the rims cut off most
    irises = {info.f_number_min}
    irises |= {n for n in _IRISES if info.f_number_min <= n <= info.f_number_max}
    results: list[Shading] = []
    for f_number in sorted(irises):
        settings = Settings(readout="bin4", f_number=f_number, focus_distance_m=np.inf)
        flat = _shoot(twin, _with(settings, _exposure_for(twin, settings, 0.7)))
        block = min(32, min(flat.shape) // 8 // 2 * 2)
        results.append(
            measure.shading(
                flat, black, f_number=f_number, focus_distance_m=1e9, block=block, cfa=info.cfa
            )
        )
    return tuple(results)


def _color(twin: Twin, code: int, light: str, luminance: float, black: float) -> ColorCalibration:
    info = twin.info
    distance_m = _chart_distance(info)
    readout = _chart_readout(info, distance_m)
    boxes = _patches(info, readout, distance_m)
    settings = Settings(readout=readout, f_number=4.0, focus_distance_m=distance_m)
    card = load_scene(
        "colorchecker", light=light, distance_m=distance_m, luminance_cd_m2=2.0 * luminance
    )
    twin.set_scene(card).join()
    chart_s = _exposure_for(twin, settings, 0.7)
    chart = measure.patch_means(_shoot(twin, _with(settings, chart_s)), info.cfa, boxes, black)
    twin.set_scene(load_scene("flat", light=light, luminance_cd_m2=luminance)).join()
    flat_s = _exposure_for(twin, settings, 0.7)
    flat = measure.patch_means(_shoot(twin, _with(settings, flat_s)), info.cfa, boxes, black)
    # what is left is reflectance times the colour of light and camera
    camera = chart / chart_s / (flat / flat_s) * (flat / flat_s).mean(0)
    spectrum = illuminant(light)
    scale = 1.0 / (spectrum @ observer()[:, 1])
    reflectances = np.stack(list(colorchecker_reflectances().values()))
    xyz = scale * (reflectances * spectrum) @ observer()
    white = scale * spectrum @ observer()
    # the three light greys (neutral 8, 6.5 and 5) are the most even reflectances of the chart
    greys = slice(19, 22)
    neutral = (camera[greys] / xyz[greys, 1:2]).mean(0)
    return measure.color_calibration(code, camera, xyz, white, neutral)


def _chart_distance(info: CameraInfo) -> float:
    """Where the chart stands, metres: the lens focuses on it and sees the patches within its share.

    An object at magnification M is f (2 + M + 1 / M) from its image.
    """
    focal_m, pitch_m = info.focal_length_mm * 1e-3, info.pitch_um * 1e-6
    sides = (info.sensor_width * pitch_m, info.sensor_height * pitch_m)
    m = min(_CHART_SHARE * a / b for a, b in zip(sides, _CHART_SIZE_M, strict=True))
    return max(_CHART_M, info.focus_min_m, focal_m * (2.0 + m + 1.0 / m))


def _chart_readout(info: CameraInfo, distance_m: float) -> Readout:
    """The smallest in which a patch has pixels enough."""
    readouts: tuple[Readout, ...] = ("bin4", "bin2")
    for readout in readouts:
        if _patches(info, readout, distance_m)[0][2] >= _PATCH_SIDE_MIN:
            return readout
    return "full"


def _patches(
    info: CameraInfo, readout: Readout, distance_m: float
) -> list[tuple[int, int, int, int]]:
    """Boxes of the 24 patches in a frame, from the nominal lens and the chart's distance."""
    mode = info.readout(readout)
    thin = solve(LensState(info.focal_length_mm, 4.0, distance_m))
    magnification = thin.image_distance_m / (distance_m - thin.image_distance_m)
    per_m = magnification / (info.pitch_um * 1e-6) * mode.width / info.sensor_width
    side = max(int(_PATCH_USED_M * per_m) // 2 * 2, 2)
    return [
        (
            int(mode.width / 2 + (i % 6 - 2.5) * _PATCH_PITCH_M * per_m - side / 2),
            int(mode.height / 2 + (i // 6 - 1.5) * _PATCH_PITCH_M * per_m - side / 2),
            side,
            side,
        )
        for i in range(24)
    ]
