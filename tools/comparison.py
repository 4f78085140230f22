"""Module against phone, five fair comparisons: `compare` renders and measures both.

    python tools/pictures.py comparison

writes the table into docs/explanation/module-against-phone.md, the figures beside it as JSON, and
docs/pictures/comparison-*.jpg.

Equal for both: scene, pixel technology (`fair`), raw readout of every photosite, demosaic, white
balance, no sharpening and no noise reduction, and a picture of 4096 x 3072 pixels.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt
from PIL import Image
from validation_plots import MODULE, edge_scene, taken

from modoptic.frame import Frame, Settings
from modoptic.isp import camera_to_srgb, demosaic, neutral_from_kelvin
from modoptic.measure import slanted_edge
from modoptic.optics import LensState, depth_of_field
from modoptic.scenes import HandShake, Lamps, Moving, Scene, load_scene
from modoptic.sensor import Sensor
from modoptic.twin import Definition, Twin, load_definition
from modoptic.twin._definition import lens_of

PAGE = Path(__file__).resolve().parents[1] / "docs" / "explanation" / "module-against-phone.md"
OUT_WIDTH, OUT_HEIGHT = 4096, 3072
PHONE = "phone-1inch"
WHITE_CD_M2 = 5.0
"""Of a perfect white: a dim living room, about 16 lx."""
SHUTTER_S = 1 / 50
DISTANCE_M = 2.0
FUSED = 8
HAND_RAD_S = 0.03
SPEED_M_S, SPEED_AT_M = 1.0, 3.0
_PART = 200
"""Side of a measured part in output pixels."""
_BLOCK = 5
_SHARP_OF = 4
_CELLS = [((2 * i + 1) / 8, (2 * j + 1) / 6) for i in range(4) for j in range(3)]
_FEW_CELLS = [((2 * i + 1) / 4, (2 * j + 1) / 4) for i in range(2) for j in range(2)]
_CORNER = (0.95, 0.935)
Place = Literal["centre", "frame mean", "corner"]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Taking:
    """How one camera takes the picture."""

    definition: Definition
    f_number: float
    exposure_s: float
    crop: float = 1.0
    """Of the picture's sides, against the whole sensor."""
    frames: int = 1
    """Fused: aligned and averaged."""
    held: bool = False
    """By a hand, with the camera's own stabiliser; else on a tripod."""
    speed_m_s: float = 0.0
    """Of the subject, across, at `SPEED_AT_M`."""

    @property
    def step(self) -> float:
        """Photosites to an output pixel, along a side."""
        return self.definition.sensor.width / self.crop / OUT_WIDTH

    @property
    def equivalent_f_number(self) -> float:
        """f-number times crop against 36 x 24 mm, by the diagonal."""
        d = self.definition
        return self.f_number * self.crop * d.focal_length_35mm / d.focal_length_mm

    @property
    def distance_m(self) -> float:
        return SPEED_AT_M if self.speed_m_s else DISTANCE_M

    def place_um(self, u: float, v: float) -> tuple[float, float]:
        """On the sensor, from the axis, of shares of half the picture's width and height."""
        s = self.definition.sensor
        return (
            u * 0.5 * s.width * s.pitch_um / self.crop,
            v * 0.5 * s.height * s.pitch_um / self.crop,
        )

    def light(self, u: float, v: float) -> float:
        """Light of an even field in an output pixel, up to a factor common to all cameras."""
        d = self.definition
        state = LensState(d.focal_length_mm, self.f_number, self.distance_m, d.transmittance)
        radius = np.array([math.hypot(*self.place_um(u, v))])
        area_um2 = (self.step * d.sensor.pitch_um) ** 2
        factor = float(lens_of(d).pupil(state).irradiance_factor(radius)[0])
        return factor * area_um2 * self.exposure_s * self.frames


@dataclass(frozen=True)
class Comparison:
    """Two takings of one scene."""

    name: str
    title: str
    module: Taking
    phone: Taking

    @property
    def by_equivalence(self) -> float:
        """Stops of light by which the module leads, by equivalent f-number, time and frames."""
        m, p = self.module, self.phone
        light = math.log2(m.exposure_s * m.frames / (p.exposure_s * p.frames))
        return 2 * math.log2(p.equivalent_f_number / m.equivalent_f_number) + light


def fair() -> tuple[Definition, Definition]:
    """Module and phone with equal pixel technology, and no scatter between units.

    Both are Bayer with the module's spectral and angular response, temperature and noise; the
    phone's figures in electrons are the module's scaled so that a um2 has the same: wells and dark
    current by the photosite's area, noise by its side.
    """
    module, phone = load_definition(MODULE), load_definition(PHONE)
    sure = msgspec.structs.replace(module.sensor.tolerance, qe=0.0, read_noise=0.0, black_dn=0.0)
    sensor = msgspec.structs.replace(
        module.sensor, cfa=("RG", "GB"), tolerance=sure, defects_per_million=0.0
    )
    side = phone.sensor.pitch_um / sensor.pitch_um
    noises = ("read_noise_e", "reset_residual_e", "row_noise_e", "column_offset_e", "dsnu_e")
    high = sensor.high_conversion_gain
    assert high is not None

    def scaled(part: Any, *more: str) -> dict[str, float]:
        names = {**dict.fromkeys((*noises, *more), side), "full_well_e": side**2}
        return {name: getattr(part, name) * by for name, by in names.items()}

    of_phone = msgspec.structs.replace(
        sensor,
        width=phone.sensor.width,
        height=phone.sensor.height,
        pitch_um=phone.sensor.pitch_um,
        high_conversion_gain=msgspec.structs.replace(high, **scaled(high)),
        dark_current_e_s=sensor.dark_current_e_s * side**2,
        dn_per_electron=sensor.dn_per_electron / side**2,
        prnu=sensor.prnu / side,
        **scaled(sensor, "adc_noise_e"),
    )
    still = msgspec.structs.replace(module.tolerance, focal_length=0.0)
    return (
        msgspec.structs.replace(module, sensor=sensor, tolerance=still),
        msgspec.structs.replace(
            phone, sensor=of_phone, response=module.response, tolerance=still,
            temperature_c=module.temperature_c,
        ),
    )  # fmt: skip


def hand_of(taking: Taking) -> HandShake:
    """What the camera's stabiliser leaves of the hand."""
    stable, hand = taking.definition.stabilisation, HandShake(7, HAND_RAD_S)
    return hand if stable is None else hand.stabilised(stable.stops, stable.corner_hz)


def blur_px(taking: Taking, exposure_s: float, starts: int = 100) -> float:
    """Median extent of the hand's blur in output pixels, over moments of beginning."""
    d = taking.definition
    hand = hand_of(taking)
    extents = [
        hand.blur_um(0.37 * k, exposure_s, d.focal_length_mm, distance_m=DISTANCE_M)
        for k in range(starts)
    ]
    return float(np.median(extents)) / (taking.step * d.sensor.pitch_um)


def longest_s(taking: Taking, px: float = 1.0) -> float:
    """Exposure whose blur by the hand is so many output pixels."""
    low, high = 1e-4, 2.0
    for _ in range(16):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if blur_px(taking, middle) < px else (low, middle)
    return math.sqrt(low * high)


def comparisons() -> list[Comparison]:
    """The five, and the third once more from one standpoint."""
    module, phone = fair()
    tele = module.focal_length_35mm / phone.focal_length_35mm
    m = Taking(module, module.f_number_min, SHUTTER_S)
    p = Taking(phone, phone.f_number_min, SHUTTER_S)
    cropped = replace(p, crop=tele)
    same = phone.f_number_min / phone.focal_length_mm * module.focal_length_mm
    held_m, held_p = (replace(t, held=True, frames=FUSED) for t in (m, cropped))
    moving = {"exposure_s": 1 / 500, "speed_m_s": SPEED_M_S}
    return [
        Comparison("own-view", "1. equal shutter, own views", m, p),
        Comparison("35mm", "2. equal shutter, as 35 mm", m, cropped),
        Comparison("depth", "3. equal depth, own views", replace(m, f_number=2.15), p),
        Comparison(
            "depth-35mm", "3. equal depth, as 35 mm",
            replace(m, f_number=same), cropped,
        ),
        Comparison(
            "held", "4. held, 8 fused, as 35 mm",
            replace(held_m, exposure_s=longest_s(held_m)),
            replace(held_p, exposure_s=longest_s(held_p)),
        ),
        Comparison(
            "moving", "5. moving, as 35 mm",
            replace(m, **moving), replace(cropped, **moving),
        ),
    ]  # fmt: skip


# --- taking


def _twin(taking: Taking, scene: Scene) -> Twin:
    hand = HandShake(7, HAND_RAD_S) if taking.held else None
    twin = Twin(
        taking.definition, scene, real_time=False, shake=hand,
        calibration=load_calibration(),
    )  # fmt: skip
    twin.start()
    return twin


_KEPT: dict[str, Any] = {}


def load_calibration() -> Any:
    """The module's, whose colours are those of both."""
    if not _KEPT:
        _KEPT["it"] = Twin(MODULE, real_time=False).calibration
    return _KEPT["it"]


def _region(taking: Taking, u: float, v: float, part: tuple[int, int]) -> tuple[int, int, int, int]:
    """Of photosites about a place, with a margin for demosaic."""
    s = taking.definition.sensor
    x, y = taking.place_um(u, v)
    sides = [4 * math.ceil((n * taking.step + 24) / 4) for n in part]
    at = x / s.pitch_um + s.width / 2, y / s.pitch_um + s.height / 2
    corner = [
        min(max(round((a - n / 2) / 4) * 4, 0), whole - n)
        for a, n, whole in zip(at, sides, (s.width, s.height), strict=True)
    ]
    return corner[0], corner[1], sides[0], sides[1]


def _settings(taking: Taking, gain: float, region: tuple[int, int, int, int]) -> Settings:
    return Settings(
        readout="full", region=region, f_number=taking.f_number, gain=gain,
        exposure_s=taking.exposure_s, focus_distance_m=taking.distance_m,
    )  # fmt: skip


def _output(
    taking: Taking, linear: Floats, part: tuple[int, int], shift: tuple[float, float] = (0.0, 0.0)
) -> Floats:
    """The middle of a plane, or so many photosites beside it, in output pixels."""
    height, width = linear.shape
    w, h = (n * taking.step for n in part)
    # never beyond the plane
    x = min(max((width - w) / 2 + shift[0], 0.0), width - w)
    y = min(max((height - h) / 2 + shift[1], 0.0), height - h)
    box = (x, y, x + w, y + h)
    made = Image.fromarray(linear.astype(np.float32)).resize(
        part, Image.Resampling.LANCZOS, box=box
    )
    return np.asarray(made, np.float64)


def _colors(frame: Frame) -> Floats:
    """Linear camera RGB in DN above black; noise below black is kept."""
    white = float(frame.meta.white_level)
    rgb = demosaic(frame.mosaic(), frame.meta.cfa, white_level=white, method="linear")
    return np.asarray(rgb, np.float64) * white - float(np.mean(frame.meta.black_level))


def _brightness(frame: Frame, neutral: Floats) -> Floats:
    return _colors(frame) / neutral @ np.array([0.25, 0.5, 0.25])


def _gain(taking: Taking, white_cd_m2: float) -> float:
    """So that a white of the middle lies at half of the range, as far as there is gain."""
    exposure = 0.65 * white_cd_m2 * taking.exposure_s / taking.f_number**2
    return min(max(0.5 * 1.22 / exposure, 1.0), taking.definition.sensor.gain_max)


# --- measuring


@dataclass(frozen=True)
class Noise:
    """Of an 18 % grey."""

    pixel: float
    """Signal to noise ratio of an output pixel."""
    blocks: float
    """The same told from means of 5 x 5 pixels: what demosaic and scaling smooth is not counted."""
    law: float
    """What light's and read noise alone make of the electrons that arrived."""


def noise_at(taking: Taking, twin: Twin, u: float, v: float) -> Noise:
    """Of the fused frames, in brightness, a plane taken off."""
    settings = _settings(taking, _gain(taking, WHITE_CD_M2), _region(taking, u, v, (_PART, _PART)))
    stack = []
    for _ in range(taking.frames):
        twin.prepare(settings, lambda _share: None)
        stack.append(_colors(taken(twin, settings)))
    rgb = np.mean(stack, axis=0)
    neutral = rgb.mean((0, 1))
    plane = _output(taking, rgb / neutral @ np.array([0.25, 0.5, 0.25]), (_PART, _PART))
    y, x = np.mgrid[:_PART, :_PART] / _PART - 0.5
    model = np.stack([np.ones(plane.size), x.ravel(), y.ravel()], 1)
    fit, *_ = np.linalg.lstsq(model, plane.ravel(), rcond=None)
    rest = plane - (model @ fit).reshape(plane.shape)
    n = _PART // _BLOCK
    blocks = rest.reshape(n, _BLOCK, n, _BLOCK).mean((1, 3))
    spec = taking.definition.sensor
    mean = float(plane.mean())
    # of each colour, as if every photosite of an output pixel had it
    electrons = neutral / (spec.dn_per_electron * settings.gain) * taking.frames * taking.step**2
    read = Sensor(spec).read_noise_e(settings.gain) ** 2 * taking.frames * taking.step**2
    # weights 1, 2, 1 on shares 1, 2, 1 of the photosites
    variance = np.array([0.25, 0.5, 0.25]) @ ((electrons + read) / electrons**2)
    return Noise(
        mean / float(rest.std()), mean / float(blocks.std()) / _BLOCK,
        float(1.0 / np.sqrt(variance)),
    )  # fmt: skip


def sharpness_at(taking: Taking, u: float, v: float) -> float:
    """MTF50 in line pairs a picture height, mean of an upright and a level edge.

    In light enough that noise does not move it; held, the mean of the first frames of the burst.
    """
    d = taking.definition
    x, y = taking.place_um(u, v)
    pupil = lens_of(d).pupil(
        LensState(d.focal_length_mm, taking.f_number, taking.distance_m, d.transmittance)
    )
    image_um = pupil.thin.image_distance_m * 1e6
    a, b = _looks(pupil, x / image_um, y / image_um)
    # what is tangent from the lens is a little more from the sensor, which scenes count from
    share = 1.0 - pupil.thin.image_distance_m / taking.distance_m
    bright = 1.2 * taking.f_number**2 / taking.exposure_s
    dim = taking.light(u, v) / taking.light(0.0, 0.0)
    region = _region(taking, u, v, (_PART, _PART))
    found = []
    for upright in (True, False):
        scene = edge_scene(
            a * share, b * share, upright=upright, distance_m=taking.distance_m,
            luminance_cd_m2=bright / dim,
        )  # fmt: skip
        if taking.speed_m_s:
            scene = replace(scene, layers=(_passing(taking, scene, region),))
        twin = _twin(taking, scene)
        settings = _settings(taking, 1.0, region)
        for _ in range(min(taking.frames, _SHARP_OF)):
            twin.prepare(settings, lambda _share: None)
            frame = taken(twin, settings)
            neutral = np.quantile(_colors(frame), 0.9, axis=(0, 1))
            plane = _output(taking, _brightness(frame, neutral), (_PART, _PART))
            found.append(slanted_edge(plane, method="corrected").sfr50)
        twin.close()
    return float(np.mean(found)) * OUT_HEIGHT


def _passing(taking: Taking, scene: Scene, region: tuple[int, int, int, int]) -> Moving:
    """The edge going to the left; it is where it should be when the region's middle is read."""
    d = taking.definition
    # a region is read as if the sensor began there
    when = 0.5 * region[3] / d.sensor.height * d.readout["full"].readout_s + taking.exposure_s / 2
    layer: Any = scene.layers[0]
    return Moving(layer.moved(taking.speed_m_s * when, 0.0, 0.0), (-taking.speed_m_s, 0.0, 0.0))


def _looks(pupil: Any, x: float, y: float) -> tuple[float, float]:
    """The direction that a place on the sensor sees."""
    scale, k1, k2, k3 = pupil.warp
    x, y = x * scale, y * scale
    q = x * x + y * y
    factor = 1.0 + q * (k1 + q * (k2 + q * k3))
    return x * factor, y * factor


def measured(taking: Taking) -> dict[Place, dict[str, float]]:
    """SNR, and MTF50, at the centre, as a mean over the frame, and in the corner."""
    flat = load_scene("flat", luminance_cd_m2=0.18 * WHITE_CD_M2, distance_m=taking.distance_m)
    still = replace(taking, held=False)
    twin = _twin(still, flat)

    def told(places: list[tuple[float, float]], few: list[tuple[float, float]]) -> dict[str, float]:
        noises = [noise_at(still, twin, *place) for place in places]
        return {
            "snr": float(np.mean([n.pixel for n in noises])),
            "snr_blocks": float(np.mean([n.blocks for n in noises])),
            "snr_law": float(np.mean([n.law for n in noises])),
            "light": float(np.mean([math.sqrt(taking.light(*p)) for p in places])) ** 2,
            "mtf50_lp_ph": float(np.mean([sharpness_at(taking, *place) for place in few])),
        }

    found: dict[Place, dict[str, float]] = {
        "centre": told([(0.0, 0.0)], [(0.0, 0.0)]),
        "frame mean": told(_CELLS, _FEW_CELLS),
        "corner": told([_CORNER], [_CORNER]),
    }
    twin.close()
    return found


def compare(each: Comparison) -> dict[str, Any]:
    """Figures of both cameras, and who leads by how many stops of light.

    ``stops`` is 2 log2 of the ratio of SNR (of blocks); ``expected`` is log2 of the ratio of light
    that the lenses' pupils give an output pixel, as if noise were that of light alone;
    ``stops_by_law`` is 2 log2 of the SNR that light's noise and read noise must give together.
    """
    figures = {"module": measured(each.module), "phone": measured(each.phone)}
    places: dict[str, Any] = {}
    for place, m in figures["module"].items():
        p = figures["phone"][place]
        places[place] = {
            "module": m, "phone": p,
            "stops": 2 * math.log2(m["snr_blocks"] / p["snr_blocks"]),
            "stops_by_law": 2 * math.log2(m["snr_law"] / p["snr_law"]),
            "stops_of_pixels": 2 * math.log2(m["snr"] / p["snr"]),
            "expected": math.log2(m["light"] / p["light"]),
        }  # fmt: skip
    return {
        "name": each.name, "title": each.title, "by_equivalence": each.by_equivalence,
        "module": _how(each.module), "phone": _how(each.phone), "places": places,
    }  # fmt: skip


def _how(taking: Taking) -> dict[str, Any]:
    return {
        "f_number": taking.f_number, "equivalent_f_number": taking.equivalent_f_number,
        "exposure_s": taking.exposure_s, "frames": taking.frames, "crop": taking.crop,
    }  # fmt: skip


# --- telling


def depth_m(taking: Taking) -> tuple[float, float]:
    """Near and far end of what is sharp: within 1/1442 of the picture's diagonal.

    The subject fills as much of the picture as it does at 2 m framed as 35 mm.
    """
    d = taking.definition
    diagonal_um = math.hypot(d.sensor.width, d.sensor.height) * d.sensor.pitch_um / taking.crop
    away_m = DISTANCE_M * d.focal_length_35mm * taking.crop / 35.0
    found = depth_of_field(d.focal_length_mm, taking.f_number, away_m, diagonal_um / 1442)
    return found.near_m, found.far_m


def table(results: list[dict[str, Any]]) -> str:
    """Markdown."""
    lines = [
        "| comparison | place | SNR, module | SNR, phone | lead of the module, stops "
        "| by the pupils | with read noise | MTF50 module | MTF50 phone |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for one in results:
        for place, f in one["places"].items():
            first = f"{one['title']} ({one['by_equivalence']:+.2f})" if place == "centre" else ""
            m, p = f["module"], f["phone"]
            lines.append(
                f"| {first} | {place} | {m['snr']:.1f} | {p['snr']:.1f} | {f['stops']:+.2f} "
                f"| {f['expected']:+.2f} | {f['stops_by_law']:+.2f} "
                f"| {m['mtf50_lp_ph']:.0f} | {p['mtf50_lp_ph']:.0f} |"
            )
    return "\n".join(lines)


def takings_table(results: list[dict[str, Any]]) -> str:
    """Markdown."""
    lines = [
        "| comparison | camera | f-number | of 36 x 24 mm | shutter | frames | sharp |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in results:
        for camera in ("module", "phone"):
            t = one[camera]
            title = one["title"] if camera == "module" else ""
            near, far = t["sharp_m"]
            lines.append(
                f"| {title} | {camera} | {t['f_number']:.2f} | {t['equivalent_f_number']:.2f} "
                f"| 1/{1 / t['exposure_s']:.0f} s | {t['frames']} | {near:.2f} to {far:.2f} m |"
            )
    return "\n".join(lines)


def _filled(page: str, name: str, text: str) -> str:
    """The page with what stands between its markers replaced."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, _, rest = page.partition(begin)
    return f"{before}{begin}\n{text}\n{end}{rest.partition(end)[2]}"


# --- pictures

_CARD = (0.222, 0.055)
"""Tangents of the fine print of the studio's test card."""
_SHOWN = (300, 225)
_SCREEN_WHITE = 0.9
"""Of a perfect white before the camera."""
_ROOM = 120
"""Output pixels about it that a hand may leave."""


def _dim_studio(moving: bool) -> Scene:
    scene, share = load_scene("studio"), WHITE_CD_M2 / 120.0
    layers: list[Any] = []
    for layer in scene.layers:
        if isinstance(layer, Lamps):
            layers.append(replace(layer, radiance=layer.radiance * share))
            continue
        dim: Any = replace(layer, basis=layer.basis * share)  # type: ignore[type-var]
        if moving and layer.name == "test card":
            # as fast in the picture as what passes at 3 m
            dim = Moving(dim, (-SPEED_M_S / SPEED_AT_M, 0.0, 0.0))
        layers.append(dim)
    return replace(scene, layers=tuple(layers))


def _shown(taking: Taking, twin: Twin, u: float, v: float) -> Image.Image:
    room = tuple(n + 2 * _ROOM * taking.held for n in _SHOWN)
    region = _region(taking, u, v, (room[0], room[1]))
    gain = _gain(taking, WHITE_CD_M2)
    settings = msgspec.structs.replace(_settings(taking, gain, region), focus_distance_m=1.0)
    calibration = twin.calibration
    neutral = np.array(neutral_from_kelvin(calibration, 5000.0, 0.0))
    matrix = np.asarray(camera_to_srgb(calibration, tuple(neutral)), np.float64)
    total = np.zeros((_SHOWN[1], _SHOWN[0], 3))
    for n in range(taking.frames):
        twin.prepare(settings, lambda _share: None)
        balanced = _colors(taken(twin, settings)) / neutral
        shift = _shift(taking, region, n) if taking.held else (0.0, 0.0)
        for c in range(3):
            total[..., c] += _output(taking, balanced[..., c], _SHOWN, shift)
    # in light, so that noise is not bent: half of the range was white, see `_gain`
    exposure = 0.65 * WHITE_CD_M2 * taking.exposure_s / taking.f_number**2 * gain
    white = exposure / 1.22 * 4095 * taking.light(u, v) / taking.light(0.0, 0.0)
    light = np.clip(total / taking.frames @ matrix.T / white * _SCREEN_WHITE, 0.0, 1.0)
    # IEC 61966-2-1
    codes = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return Image.fromarray(np.uint8(255.0 * codes + 0.5))


def _shift(taking: Taking, region: tuple[int, int, int, int], n: int) -> tuple[float, float]:
    """Photosites by which frame n of a burst lies off the first, as a gyroscope would tell."""
    d = taking.definition
    mode = d.readout["full"]
    frame_s = max(taking.exposure_s + mode.readout_s, 1.0 / mode.frame_rate_max)
    middle = 0.5 * region[3] / d.sensor.height * mode.readout_s + 0.5 * taking.exposure_s
    size = d.sensor.width, d.sensor.height
    at = [(region[k] + 0.5 * (region[2 + k] - size[k])) * d.sensor.pitch_um for k in (0, 1)]
    path = hand_of(taking).path_um(
        [middle, n * frame_s + middle], d.focal_length_mm, distance_m=1.0, at_um=(at[0], at[1])
    )
    x, y = (path[1] - path[0]) / d.sensor.pitch_um
    return float(x), float(y)


def pictures(each: Comparison, keep: Callable[[list[tuple[str, Image.Image]], str], None]) -> None:
    """Test card and lower right corner of both, 100 % of 12 MP, side by side."""
    parts = []
    for camera, taking in (("module", each.module), ("phone", each.phone)):
        twin = _twin(taking, _dim_studio(taking.speed_m_s > 0))
        x, y = (t * taking.definition.focal_length_mm * 1e3 for t in _CARD)
        half = taking.place_um(1.0, 1.0)
        corner = 1 - _SHOWN[0] / OUT_WIDTH, 1 - _SHOWN[1] / OUT_HEIGHT
        for words, place in (("test card", (x / half[0], y / half[1])), ("corner", corner)):
            parts.append((f"{camera}, {words}", _shown(taking, twin, *place)))
        twin.close()
    keep([parts[0], parts[2], parts[1], parts[3]], f"comparison-{each.name}.jpg")


def main(keep: Callable[[list[tuple[str, Image.Image]], str], None]) -> None:
    """Measure, write page and JSON, draw."""
    results = []
    for each in comparisons():
        pictures(each, keep)
        found = compare(each)
        for camera, taking in (("module", each.module), ("phone", each.phone)):
            found[camera]["sharp_m"] = depth_m(taking)
        results.append(found)
    PAGE.with_suffix(".json").write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    page = PAGE.read_text("utf-8")
    page = _filled(page, "takings", takings_table(results))
    PAGE.write_text(_filled(page, "figures", table(results)), "utf-8")
    print(PAGE)
