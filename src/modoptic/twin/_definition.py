"""Camera definitions: TOML files that say what a twin is, with a source for every figure."""

from __future__ import annotations

import math
import re
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np

from modoptic.errors import FileError, SettingError
from modoptic.frame import Readout
from modoptic.optics import IdealLens, Lens, SpectralResponse, TracedLens, VeilingGlare
from modoptic.scenes import WAVELENGTHS_NM, illuminant, luminance
from modoptic.sensor import BINNING, SensorSpec
from modoptic.source import CameraInfo, ReadoutMode, StartUp

_HIGH = "sensor.high_conversion_gain"
_LEAST_READ_E = 0.5
_ISO_STEPS = (1.0, 1.25, 1.6, 2.0, 2.5, 3.2, 4.0, 5.0, 6.4, 8.0)
"""A decade of the speeds that cameras are marked with, a third of a stop apart."""
_FOLDER = resources.files("modoptic.twin").joinpath("definitions")
_CHANGED = re.compile(r"(.+?)@((?:[a-z0-9_]+\.)*[a-z0-9_]+ *=.*)")
_NEXT_CHANGE = re.compile(r",(?= *[a-z0-9_.]+ *=)")


class ReadoutTiming(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    readout_s: float
    """From the first row to the last."""
    frame_rate_max: float


class Response(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    table: str
    """Name of a table shipped with the package, or path of a CSV file: nm, R, G, B."""
    peak_qe: float
    """Electrons per photon at the largest value of the table."""


class LensTolerance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    focal_length: float = 0.0
    """Relative standard deviation between units."""


class LensModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How light passes the lens."""

    model: str = "ideal"
    """"ideal" for a thin lens without aberrations, or the name or .npz file of traced tables."""
    wavefront: float = 1.0
    """Factor on its errors: 0 leaves diffraction alone."""
    own_field: bool = True
    """The tables are of this lens. Else its focal length and its corner are stretched to this."""
    blades: int = 0
    """Of the iris; 0 is round."""
    veiling_glare: float = 0.0
    """Share of the light in the sensor's plane that is scattered over all of it."""


class Stabilisation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a lens that is shifted against the hand's turning leaves of pitch and yaw."""

    stops: float
    """Slow turning is left over 2^-stops."""
    corner_hz: float
    """Turning so quick is half suppressed, quicker one less; see `HandShake.stabilised`."""


class Definition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything a twin is built from. Units are in the names; see the TOML files for sources."""

    name: str = ""
    """Of the file, without its ending; changes follow it."""
    make: str
    model: str
    title: str
    lens_model: str
    sensor_format: str
    built_in: bool = False
    focal_length_mm: float
    focal_length_35mm: float
    f_number_min: float
    f_number_max: float
    focus_min_m: float
    transmittance: float
    still_default: Readout = "bin2"
    still_buffers: int = 2
    temperature_c: float = 25.0
    sensor: SensorSpec
    tolerance: LensTolerance = LensTolerance()
    lens: LensModel = LensModel()
    stabilisation: Stabilisation | None = None
    response: Response
    readout: dict[Readout, ReadoutTiming]
    start_up: StartUp = StartUp()
    power_mw: dict[str, float] = {}


def definitions() -> list[str]:
    """Names of the definitions shipped with the package."""
    return sorted(f.name[:-5] for f in _FOLDER.iterdir() if f.name.endswith(".toml"))


def load_definition(name_or_path: str | Path) -> Definition:
    """The definition of that name, or of a TOML file, perhaps with some figures changed.

    Changes follow an @, as TOML writes them with dotted keys, with commas between:
    ``phone-1inch@lens.wavefront=2``, or ``mine.toml@temperature_c=40,sensor.prnu=0``.

    Raises
    ------
    SettingError : no definition has that name, or a change is no TOML
    FileError : the file cannot be read or says something impossible; the message names the entry
    """
    text_name, changed = str(name_or_path), ""
    if found := _CHANGED.fullmatch(text_name):
        text_name, changed = found[1], found[2]
        name_or_path = text_name
    if text_name in definitions():
        text = _FOLDER.joinpath(f"{text_name}.toml").read_text("utf-8")
        stem = text_name
    else:
        path = Path(name_or_path)
        if path.suffix != ".toml":
            expected = ", ".join(definitions()) + ", or the path of a .toml file"
            raise SettingError("camera", text_name, expected)
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise FileError(path, f"this camera definition cannot be read: {error}") from error
        stem = path.stem
    changes = _changes(changed)
    if changed:
        stem += "-" + re.sub(r"[^a-z0-9_.]+", "-", changed)
        text_name += f"@{changed}"
    try:
        read = _merged(tomllib.loads(text), changes)
        definition = msgspec.convert({"name": stem, **read}, Definition)
    except tomllib.TOMLDecodeError as error:
        raise FileError(text_name, f"no valid TOML: {error}") from error
    except msgspec.ValidationError as error:
        raise FileError(text_name, f"this camera definition has a fault: {error}") from error
    _check(definition, text_name)
    spectral_response(definition)
    lens = lens_of(definition)
    if isinstance(lens, TracedLens) and definition.f_number_min < lens.f_number_min:
        opens = f"f_number_min is {definition.f_number_min}; lens.model opens to"
        raise FileError(
            text_name,
            f"this camera definition has a fault: {opens} {lens.f_number_min:g}",
        )
    return definition


def _changes(text: str) -> dict[str, Any]:
    """What stands behind the @ of a definition's name."""
    try:
        return tomllib.loads("\n".join(_NEXT_CHANGE.split(text)))
    except tomllib.TOMLDecodeError as error:
        expected = "changes such as phone-1inch@lens.wavefront=2"
        raise SettingError("camera", f"@{text}", expected) from error


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """``below`` with the entries of ``above`` in it, table by table."""
    merged = dict(below)
    for key, value in above.items():
        kept = merged.get(key)
        if isinstance(kept, dict) and isinstance(value, dict):
            value = _merged(cast("dict[str, Any]", kept), cast("dict[str, Any]", value))
        merged[key] = value
    return merged


def _check(d: Definition, where: str) -> None:
    s = d.sensor
    positive = {
        "focal_length_mm": d.focal_length_mm,
        "focal_length_35mm": d.focal_length_35mm,
        "f_number_min": d.f_number_min,
        "sensor.pitch_um": s.pitch_um,
        "sensor.full_well_e": s.full_well_e,
        "sensor.dn_per_electron": s.dn_per_electron,
        "sensor.dark_doubling_c": s.dark_doubling_c,
        "sensor.exposure_min_s": s.exposure_min_s,
        **{f"readout.{n}.readout_s": t.readout_s for n, t in d.readout.items()},
        **{f"readout.{n}.frame_rate_max": t.frame_rate_max for n, t in d.readout.items()},
    }
    noise = ("read_noise_e", "reset_residual_e", "row_noise_e", "column_offset_e", "dsnu_e")
    not_negative = {
        f"sensor.{name}": getattr(s, name)
        for name in (
            "black_dn",
            "adc_noise_e",
            "dark_current_e_s",
            "prnu",
            "defects_per_million",
            *noise,
        )
    }
    high = s.high_conversion_gain
    if high is not None:
        not_negative |= {f"{_HIGH}.{name}": getattr(high, name) for name in noise}
        positive[f"{_HIGH}.full_well_e"] = high.full_well_e
    ranges: dict[str, tuple[float, float, float]] = {
        "f_number_max": (d.f_number_max, d.f_number_min, 1e3),
        "focus_min_m": (d.focus_min_m, 0.0, 1e3),
        "still_buffers": (d.still_buffers, 1, 16),
        "temperature_c": (d.temperature_c, -60.0, 125.0),
        "lens.wavefront": (d.lens.wavefront, 0.0, 100.0),
        "lens.veiling_glare": (d.lens.veiling_glare, 0.0, 0.05),
        "sensor.diffusion_um": (s.diffusion_um, 0.0, 10.0),
        "sensor.gain_max": (s.gain_max, 1.0, 1e6),
        "sensor.nonlinearity": (s.nonlinearity, 0.0, 0.1),
        "sensor.exposure_max_s": (s.exposure_max_s, s.exposure_min_s, 86400.0),
        "tolerance.focal_length": (d.tolerance.focal_length, 0.0, 0.1),
        **{f"sensor.angle.half_deg[{i}]": (v, 1.0, 90.0) for i, v in enumerate(s.angle.half_deg)},
        "sensor.angle.microlens_deg": (s.angle.microlens_deg, 0.0, 80.0),
        **{f"sensor.angle.crosstalk[{i}]": (v, 0.0, 0.2) for i, v in enumerate(s.angle.crosstalk)},
        "sensor.tolerance.qe": (s.tolerance.qe, 0.0, 0.1),
        "sensor.tolerance.read_noise": (s.tolerance.read_noise, 0.0, 0.1),
        "sensor.tolerance.black_dn": (s.tolerance.black_dn, 0.0, 100.0),
        **{
            f"start_up.{name}": (getattr(d.start_up, name), 0.0, 10.0)
            for name in StartUp.__struct_fields__
        },
        **{f"power_mw.{name}": (value, 0.0, 1e5) for name, value in d.power_mw.items()},
    }
    if d.stabilisation is not None:
        ranges["stabilisation.stops"] = (d.stabilisation.stops, 0.0, 10.0)
        positive["stabilisation.corner_hz"] = d.stabilisation.corner_hz
    if high is not None:
        ranges[f"{_HIGH}.from_gain"] = (high.from_gain, 1.0, s.gain_max)
    faults = [
        *(
            f"{k} is {v}; it must be {low:g} to {high:g}"
            for k, (v, low, high) in ranges.items()
            if not low <= v <= high
        ),
        *(f"{k} is {v}; it must be more than 0" for k, v in positive.items() if not 0 < v < 1e9),
        *(f"{k} is {v}; it must be 0 or more" for k, v in not_negative.items() if not 0 <= v < 1e9),
    ]
    if not 0 < d.transmittance <= 1 or not 0 < d.response.peak_qe <= 1:
        faults.append("transmittance and response.peak_qe must be more than 0 and at most 1")
    if not d.focus_min_m >= 4e-3 * d.focal_length_mm:
        faults.append("focus_min_m is nearer than four focal lengths")
    if d.lens.blades and not 3 <= d.lens.blades <= 31:
        faults.append(f"lens.blades is {d.lens.blades}; it must be 0 (round), or 3 to 31")
    if not s.bits:
        faults.append("sensor.bits leave nothing to set")
    if s.width <= 0 or s.height <= 0 or s.width % 16 or s.height % 8 or s.width * s.height > 4e8:
        faults.append("sensor.width must be a multiple of 16, height of 8, at most 400 MP in all")
    if high is not None and high.full_well_e > s.full_well_e:
        faults.append(f"{_HIGH}.full_well_e is more than sensor.full_well_e; it must be less")
    if s.black_dn >= 4095:
        faults.append(f"sensor.black_dn is {s.black_dn}; the 12 bit converter ends at 4095")
    modes = {"sensor": s} if high is None else {"sensor": s, _HIGH: high}
    faults += [
        f"{k}.read_noise_e is {v.read_noise_e}; it must be {_LEAST_READ_E} or more, below which "
        "the noise model cannot tell whole electrons"
        for k, v in modes.items()
        if v.read_noise_e < _LEAST_READ_E
    ]
    bayer = sorted("".join(s.bayer)) == sorted("RGGB") and all(len(row) == 2 for row in s.bayer)
    if not bayer or (isinstance(s.cfa, str) and s.cfa not in ("quad", "bayer")):
        cfa = s.cfa if isinstance(s.cfa, str) else list(s.cfa)
        expected = '"quad", "bayer" or a Bayer pattern such as ["RG", "GB"]'
        faults.append(f"sensor.cfa is {cfa!r}; it must be {expected}")
    if set(d.readout) != set(BINNING) - {"native"}:
        faults.append("readout must have full, bin2 and bin4")
    if faults:
        raise FileError(where, "this camera definition has a fault: " + "; ".join(faults))


def spectral_response(definition: Definition) -> SpectralResponse:
    """Electrons per photon of the nominal sensor, filters included.

    Raises
    ------
    FileError : there is no such table, or it is no table of rising wavelengths
    """
    table = definition.response.table
    try:
        if table.endswith(".csv"):
            text = Path(table).read_text("utf-8")
        else:
            shipped = resources.files("modoptic.twin").joinpath("data", f"{table}.csv")
            text = shipped.read_text("utf-8")
        lines = [s for s in text.splitlines() if s and not s.startswith("#")]
        values = np.array([[float(v) for v in line.split(",")] for line in lines[1:]])
    except (OSError, ValueError) as error:
        raise FileError(table, f"no spectral response can be read: {error}") from error
    rising = values.ndim == 2 and values.shape[1] == 4 and (np.diff(values[:, 0]) > 0).all()
    if not rising or values[:, 1:].max() <= 0 or values[:, 1:].min() < 0:
        raise FileError(table, "expected rows nm, R, G, B with rising nm and values of 0 or more")
    relative = values[:, 1:].T / values[:, 1:].max()
    return SpectralResponse(
        values[:, 0], np.ascontiguousarray(relative * definition.response.peak_qe)
    )


def saturation_speed(definition: Definition) -> float:
    """ISO speed by saturation, 78 / H_sat, at gain 1 and in daylight (ISO 12232:2019).

    H_sat is the exposure in lx s, in the plane of the sensor, that brings the first of the colours
    to the end of its output, in the light of D55.
    """
    sensor, response = definition.sensor, spectral_response(definition)
    daylight = illuminant("D55")
    electrons_per_um2 = response.electrons(WAVELENGTHS_NM, daylight).max() * 1e-12
    lux = luminance(daylight)  # of any light: radiance is to luminance as irradiance to lx
    saturation_per_um2 = sensor.saturation_e() / sensor.pitch_um**2
    return 78.0 * float(electrons_per_um2) / (saturation_per_um2 * lux)


def base_iso(definition: Definition) -> float:
    """The ISO at gain 1: `saturation_speed` as cameras mark it, the nearest third of a stop."""
    speed = saturation_speed(definition)
    decade = 10.0 ** math.floor(math.log10(speed))
    steps = [step * decade for step in (*_ISO_STEPS, 10.0)]
    return min(steps, key=lambda step: abs(math.log(step / speed)))


def lens_of(definition: Definition) -> Lens:
    """How light passes the definition's lens.

    Raises
    ------
    SettingError, FileError : no such lens, or tables with a fault
    """
    lens, s = definition.lens, definition.sensor
    if lens.model == "ideal":
        return IdealLens(blades=lens.blades)
    stretched = not lens.own_field
    corner_mm = 0.5e-3 * s.pitch_um * math.hypot(s.width, s.height)
    return TracedLens.load(
        lens.model,
        wavefront=lens.wavefront,
        focal_length_mm=definition.focal_length_mm if stretched else None,
        field_mm=corner_mm if stretched else None,
        blades=lens.blades,
    )


def glare_of(definition: Definition) -> VeilingGlare:
    """What the definition's lens scatters; its image circle is about the sensor."""
    s = definition.sensor
    radius_um = 0.5 * s.pitch_um * math.hypot(s.width, s.height)
    return VeilingGlare(definition.lens.veiling_glare, radius_um)


def _timed_as(readout: Readout) -> Readout:
    """Remosaicing keeps up with reading, so leaving it out makes nothing quicker."""
    return "full" if readout == "native" else readout


def camera_info(definition: Definition, serial: str) -> CameraInfo:
    """What the manifest says of a unit with this serial number."""
    d, s = definition, definition.sensor
    return CameraInfo(
        id=f"{d.name}-{serial}",
        make=d.make,
        model=d.model,
        serial=serial,
        title=d.title,
        lens_model=d.lens_model,
        sensor_format=d.sensor_format,
        sensor_width=s.width,
        sensor_height=s.height,
        pitch_um=s.pitch_um,
        cfa=s.bayer,
        focal_length_mm=d.focal_length_mm,
        focal_length_35mm=d.focal_length_35mm,
        f_number_min=d.f_number_min,
        f_number_max=d.f_number_max,
        focus_min_m=d.focus_min_m,
        base_iso=base_iso(d),
        gain_max=s.gain_max,
        exposure_min_s=s.exposure_min_s,
        exposure_max_s=s.exposure_max_s,
        bits=s.bits,
        readouts=tuple(
            ReadoutMode(
                name=name,
                width=s.width // side,
                height=s.height // side,
                readout_s=d.readout[_timed_as(name)].readout_s,
                frame_rate_max=d.readout[_timed_as(name)].frame_rate_max,
            )
            for name in s.readouts
            for side in (BINNING[name],)
        ),
        still_default=d.still_default,
        still_buffers=d.still_buffers,
        built_in=d.built_in,
        start_up=d.start_up,
        power_mw=d.power_mw,
    )
