"""A sensor: what becomes of light between the lens and the pins."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass, replace
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from modoptic import quad
from modoptic.bands import bands, run_bands
from modoptic.errors import SettingError
from modoptic.frame import Readout
from modoptic.pixels import bayer_format, pack
from modoptic.quad import BAYER, QUAD
from modoptic.sensor import _kernels
from modoptic.sensor._angle import AngularResponse, AngularSpec

FloatArray = npt.NDArray[np.float32]
UInt8Array = npt.NDArray[np.uint8]
UInt16Array = npt.NDArray[np.uint16]

BINNING: dict[Readout, int] = {"full": 1, "bin2": 2, "bin4": 4, "native": 1}
"""Side of the block of same-coloured photosites that becomes one pixel, by readout."""

Conversion = Literal["auto", "low", "high"]
"""Conversion gain; ``auto``: high from the gain on that the sensor switches at."""

_BAND_ROWS = 256
_WHITE_12 = 4095


class Tolerance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far units lie from the nominal, as standard deviations."""

    qe: float = 0.0
    """Relative, for each channel on its own."""
    read_noise: float = 0.0
    """Relative."""
    black_dn: float = 0.0
    """DN at 12 bit."""


class ConversionGain(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the high conversion gain of a sensor changes. Electrons are those of one photosite."""

    from_gain: float
    """Of `Shot.gain`: from this on it is used."""
    full_well_e: float
    """What the smaller capacitance holds."""
    read_noise_e: float
    reset_residual_e: float = 0.0
    row_noise_e: float = 0.0
    column_offset_e: float = 0.0
    dsnu_e: float = 0.0


class SensorSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The nominal figures of a sensor. Electrons are those of one photosite.

    The figures of wells and noise are those at low conversion gain, the only one where
    ``high_conversion_gain`` is not given.
    """

    width: int
    height: int
    pitch_um: float
    cfa: str | tuple[str, str] = "bayer"
    """``"quad"``: 2 x 2 photosites under one filter; ``"bayer"``; or rows of the Bayer pattern."""
    full_well_e: float
    dn_per_electron: float
    """At 12 bit and gain 1, for few electrons."""
    nonlinearity: float = 0.0
    """Share of the signal that is lost at the full well; half of it at half of the well."""
    black_dn: float
    """At 12 bit."""
    read_noise_e: float
    """Of the photosite: what is left at high gain."""
    adc_noise_e: float
    """Of the converter, referred to gain 1; it adds adc / gain."""
    reset_residual_e: float = 0.0
    """Reset noise that correlated double sampling leaves."""
    row_noise_e: float = 0.0
    """Temporal: standard deviation of what all photosites of a row share in one frame."""
    column_offset_e: float = 0.0
    """Fixed: standard deviation of the dark level between columns."""
    dark_current_e_s: float
    """At 25 degrees C."""
    dark_doubling_c: float
    """Dark current doubles every so many degrees."""
    prnu: float
    """Relative standard deviation of the response between photosites."""
    dsnu_e: float
    """Standard deviation of the dark level between photosites, columns' offsets apart."""
    defects_per_million: float = 0.0
    """Photosites with extra dark current."""
    high_conversion_gain: ConversionGain | None = None
    diffusion_um: float = 0.0
    """Standard deviation of how far charge wanders before it is gathered, a Gaussian."""
    gain_max: float
    exposure_min_s: float
    exposure_max_s: float
    bits: tuple[Literal[12, 14], ...] = (12,)
    angle: AngularSpec = AngularSpec()
    tolerance: Tolerance = Tolerance()

    @property
    def is_quad(self) -> bool:
        return self.cfa == "quad"

    @property
    def bayer(self) -> tuple[str, str]:
        """Colours of the Bayer mosaic that is sent."""
        return BAYER if isinstance(self.cfa, str) else self.cfa

    @property
    def mosaic(self) -> tuple[str, ...]:
        """Colours of the photosites."""
        return QUAD if self.is_quad else self.bayer

    @property
    def readouts(self) -> tuple[Readout, ...]:
        """Those that this sensor has."""
        return tuple(name for name in BINNING if name != "native" or self.is_quad)

    def colors(self, readout: Readout) -> tuple[str, ...]:
        """Colours of the pixels of a readout as they are sent."""
        return self.mosaic if readout == "native" else self.bayer

    def charge_side(self, readout: Readout) -> int:
        """Side of the block of photosites whose charge is read at once.

        Four neighbours under one filter share what is read; what is averaged besides are numbers.
        """
        return 2 if self.is_quad and readout in ("bin2", "bin4") else 1

    def centroid_shift(self, readout: Readout) -> float:
        """As `FrameMeta.centroid_shift`.

        The finder's 4 x 4 of a Bayer sensor are weighted so that they lie evenly.
        """
        return 0.25 if readout == ("bin4" if self.is_quad else "bin2") else 0.0

    @property
    def angular_response(self) -> AngularResponse:
        """Of the nominal sensor, centred on the axis."""
        corner_um = 0.5 * self.pitch_um * float(np.hypot(self.width, self.height))
        return AngularResponse(self.angle, corner_um)

    def at(self, gain: float, conversion: Conversion = "auto") -> ConversionGain:
        """Wells and noise at a gain.

        Raises
        ------
        SettingError : ``"high"`` of a sensor that has no high conversion gain
        """
        high = self.high_conversion_gain
        if conversion == "high" and high is None:
            raise SettingError("conversion", conversion, "'auto' or 'low'", "sensor")
        if high is not None and (
            conversion == "high" or (conversion == "auto" and gain >= high.from_gain)
        ):
            return high
        names = ConversionGain.__struct_fields__[1:]
        return ConversionGain(from_gain=1.0, **{name: getattr(self, name) for name in names})

    def saturation_e(self, gain: float = 1.0, conversion: Conversion = "auto") -> float:
        """Electrons at which the nominal output ends: in the well, or where the converter does."""
        well_e = self.at(gain, conversion).full_well_e
        signal_e = (_WHITE_12 - self.black_dn) / (self.dn_per_electron * gain)
        # signal = n - bend n^2
        bend = self.nonlinearity / well_e
        root = 1.0 - 4.0 * bend * signal_e
        return well_e if root <= 0 else min(well_e, 2.0 * signal_e / (1.0 + root**0.5))


@dataclass(frozen=True, slots=True)
class Shot:
    """How one frame is taken."""

    exposure_s: float
    gain: float = 1.0
    conversion: Conversion = "auto"
    readout: Readout = "full"
    bits: Literal[12, 14] = 12
    origin: tuple[int, int] = (0, 0)
    """First pixel (x, y) of the frame in the readout's own pixels; even, a multiple of 4 where
    every photosite of a quad-Bayer sensor is read."""
    temperature_c: float = 25.0
    key: int = 0
    """Names the frame: the same key gives the same noise. See `frame_key`."""


@dataclass(frozen=True, slots=True)
class CompactLight:
    """A map of electron rates in 2 bytes a photosite: rate = (code * per_code)^2, in e-/s.

    Rounding is 1 part in ``code`` of the rate; the largest rate has code 65535.
    """

    codes: UInt16Array
    per_code: float

    @property
    def shape(self) -> tuple[int, int]:
        return self.codes.shape[0], self.codes.shape[1]


Light = FloatArray | CompactLight
"""Mean electrons a second for each pixel of the readout.

Either a mosaic (height, width), as float32 or compact, or three channels (3, height / n, width / n)
whose every sample lies in the middle of a cell of n x n pixels of the mosaic; n is 2 or 4.
"""


def compact(light: FloatArray) -> CompactLight:
    """``light`` (height, width) in e-/s as a `CompactLight`. The same for any number of threads."""
    top = max(float(light.max()), 1e-6)
    per_code = float(np.sqrt(top) / 65535.0)
    codes = np.empty(light.shape, np.uint16)

    def work(first: int, end: int) -> None:
        _kernels.compact(light[first:end], np.float32(per_code), codes[first:end])

    run_bands(work, light.shape[0], 512)
    return CompactLight(codes, per_code)


def frame_key(*parts: object) -> int:
    """A 63 bit number that stands for its parts, the same on every machine."""
    text = "\x1f".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") >> 1


@functools.cache
def _normal_table() -> FloatArray:
    """Normal deviates with mean 0, variance 1 and skew near 0; fixed, the keys make them differ."""
    half = np.random.default_rng(20250303).standard_normal(_kernels.TABLE // 2)
    both = np.concatenate([half, -half])
    both = np.random.default_rng(1).permutation(both) / both.std()
    return np.concatenate([both, both[: _kernels.SEGMENT]]).astype(np.float32)


_PLANE = {"R": 0, "G": 1, "B": 2}


class Sensor:
    """One unit of a sensor, which differs from the nominal by what ``seed`` decides.

    Light makes electrons, a Poisson number of them, more or fewer by photosite (PRNU), and so does
    heat: dark current, much of it in hot photosites. The well ends their number. Reading adds the
    noise of the photosite, what is left of its reset, that of the row and of the converter, and
    offsets of photosites (DSNU) and columns; it bends the response a little. The converter adds
    the black level, rounds, and ends at the white level.

    Binning of a Bayer sensor is done after reading, as most with 2 x 2 same-colour binning do: each
    photosite is converted, then 4 or 16 are averaged. So, in electrons of the sum, the well is n
    times as deep and the read noise sqrt(n) times as large; the average keeps the levels in DN. The
    pattern of PRNU and DSNU of a binned readout is drawn on its own, with the spread of an average
    of n.

    A quad-Bayer sensor adds the charge of the four photosites under one filter and reads it once:
    the well of the sum is four times as deep, and its read noise, offset and reset noise are those
    of one photosite. That takes a converter two bits finer, as IMX492 has when it bins (12 bits
    without, 14 with), so that its noise in electrons stays. ``bin4`` averages four of these as
    numbers. ``full`` is remosaiced to Bayer after conversion, ``native`` sends the photosites.
    """

    _kind = _kernels.ALL_NOISE

    def __init__(self, spec: SensorSpec, seed: int = 1) -> None:
        self.spec = spec
        self.seed = seed
        rng = np.random.default_rng([seed, 0x5E9])
        spread = spec.tolerance
        deviates = rng.standard_normal(5)
        self._qe = (1.0 + spread.qe * deviates[:3]).astype(np.float32)
        self._read_scale = float(1.0 + spread.read_noise * deviates[3])
        self._black = float(spec.black_dn + spread.black_dn * deviates[4])
        count = round(spec.defects_per_million * 1e-6 * spec.width * spec.height)
        self._defects = np.stack(
            [rng.integers(0, spec.width, count), rng.integers(0, spec.height, count)], 1
        )
        # from barely seen to blinding in a second, log-uniform: an assumption
        self._defect_rate = np.exp(rng.uniform(np.log(200.0), np.log(20000.0), count))
        self._columns = np.random.default_rng([seed, 0xC01]).standard_normal(spec.width)
        self._fixed: dict[Readout, _kernels.Fixed] = {}
        self._known = np.empty((0, 2), np.int64)

    def mend(self, defects: tuple[tuple[int, int], ...]) -> None:
        """Replace these photosites (x, y) from now on where a quad-Bayer mosaic is remosaiced."""
        self._known = np.array(sorted((y, x) for x, y in defects), np.int64).reshape(-1, 2)

    def size(self, readout: Readout) -> tuple[int, int]:
        """(width, height) of a readout in its own pixels."""
        return self.spec.width // BINNING[readout], self.spec.height // BINNING[readout]

    def white_level(self, bits: int) -> int:
        """DN where the converter ends."""
        return (1 << bits) - 1

    def read_noise_e(self, gain: float, conversion: Conversion = "auto") -> float:
        """Temporal noise of the dark of one photosite of this unit, rows' noise included, in e-."""
        row_e = self._read_scale * self.spec.at(gain, conversion).row_noise_e
        return float(np.hypot(self._photosite_noise_e(gain, conversion), row_e))

    def dark_rate_e_s(self, temperature_c: float) -> float:
        """Dark current of one photosite."""
        return self.spec.dark_current_e_s * self._warmth(temperature_c)

    def expose(
        self, light: Light, shot: Shot, out: UInt8Array, rows: tuple[int, int] | None = None
    ) -> None:
        """Take rows of a frame of ``light`` into ``out``.

        Runs in the calling thread without the GIL. Any division into rows gives the same frame.

        Parameters
        ----------
        light : e-/s for each pixel of this readout, and of nominal units; see `Light`
        out : uint8 (height, row bytes), the whole frame, packed as ``12p`` or ``14p`` of
            `bayer_format` of `SensorSpec.colors`
        rows : (first, end) of the frame; all by default

        Raises
        ------
        SettingError : a bit depth, a readout or a conversion gain that the sensor lacks, or an
            ``out`` of another size
        """
        spec = self.spec
        if shot.bits not in spec.bits:
            raise SettingError("bits", shot.bits, f"one of {spec.bits}", "sensor")
        if shot.readout not in spec.readouts:
            raise SettingError("readout", shot.readout, ", ".join(spec.readouts), "sensor")
        preview = not isinstance(light, CompactLight) and light.ndim == 3
        height, width = light.shape[-2:]
        side = 1
        if preview:
            side = 4 if out.shape[0] == 4 * height else 2
            height, width = side * height, side * width
        form = bayer_format(spec.colors(shot.readout), shot.bits, packed=True)
        row_bytes = form.row_bytes(width)
        if out.shape != (height, row_bytes):
            raise SettingError("frame buffer", out.shape, f"({height}, {row_bytes})", "sensor")
        if spec.is_quad and shot.readout == "full":
            self._remosaiced(light, shot, out, *(rows or (0, height)))
        else:
            self._read(light, shot, out, rows or (0, height), shot.bits)

    def _read(
        self, light: Light, shot: Shot, out: UInt8Array, rows: tuple[int, int], packed_bits: int
    ) -> None:
        """Rows of any readout but one that is remosaiced; with 16 ``packed_bits`` not packed."""
        spec = self.spec
        preview = not isinstance(light, CompactLight) and light.ndim == 3
        width = light.shape[-1]
        side = 1
        if preview:
            side = 4 if out.shape[0] == 4 * light.shape[-2] else 2
            width *= side
        planes = np.array([[_PLANE[c] for c in row] for row in spec.colors(shot.readout)], np.int64)
        factors = (self._qe[planes] * shot.exposure_s).astype(np.float32)
        key = np.uint64(frame_key(self.seed, shot.key))
        place = _kernels.Place(*rows, *shot.origin, key, packed_bits)
        common = (place, self._model(shot), self._fixed_for(shot, width), out)
        if isinstance(light, CompactLight):
            factors *= np.float32(light.per_code**2)
            _kernels.read_compact(light.codes, factors, *common)
        elif preview:
            shift = spec.centroid_shift(shot.readout)
            _kernels.read_preview(light, planes, factors, side, shift, *common)
        else:
            _kernels.read_map(light, factors, *common)

    def _remosaiced(self, light: Light, shot: Shot, out: UInt8Array, first: int, end: int) -> None:
        """Rows ``first .. end`` of a full readout: of the photosites first, then Bayer."""
        height, width = light.shape[-2:]
        quad.check_size(height, width)
        begin, stop = first // 4 * 4, -(-end // 4) * 4
        top, bottom = quad.rows_needed(begin, stop, height)
        part: Light
        if isinstance(light, CompactLight):
            part = CompactLight(light.codes[top:bottom], light.per_code)
        else:
            part = light[top:bottom]
        x, y = shot.origin
        native = replace(shot, readout="native", origin=(x, y + top))
        photosites = np.empty((bottom - top, width), np.uint16)
        self._read(part, native, photosites.view(np.uint8), (0, bottom - top), 16)
        known = self._known - np.array([y, x])
        inside = (known >= 0).all(1) & (known < np.array([height, width])).all(1)
        quad.mend(photosites, top, known[inside])
        made = np.empty((stop - begin, width), np.uint16)
        quad.remosaic_rows(photosites, top, height, begin, self.white_level(shot.bits), made)
        form = bayer_format(BAYER, shot.bits, packed=True)
        pack(made[first - begin : end - begin], form, out[first:end].reshape(-1))

    def expose_all(self, light: Light, shot: Shot) -> UInt8Array:
        """The whole frame as packed bytes (height, row bytes), in the calling thread."""
        scale = 2 if not isinstance(light, CompactLight) and light.ndim == 3 else 1
        height, width = (scale * n for n in light.shape[-2:])
        form = bayer_format(self.spec.colors(shot.readout), shot.bits, packed=True)
        out = np.empty((height, form.row_bytes(width)), np.uint8)
        for rows in bands(height, _BAND_ROWS):
            self.expose(light, shot, out, rows)
        return out

    def _warmth(self, temperature_c: float) -> float:
        """Dark current, relative to that at 25 degrees C."""
        return 2.0 ** ((temperature_c - 25.0) / self.spec.dark_doubling_c)

    def _photosite_noise_e(self, gain: float, conversion: Conversion) -> float:
        """Temporal noise of the dark that photosites do not share."""
        at = self.spec.at(gain, conversion)
        parts = (at.read_noise_e, at.reset_residual_e, self.spec.adc_noise_e / gain)
        return self._read_scale * float(np.linalg.norm(parts))

    def _model(self, shot: Shot) -> _kernels.Model:
        spec, side = self.spec, BINNING[shot.readout]
        together = spec.charge_side(shot.readout)
        reads = side // together
        at = spec.at(shot.gain, shot.conversion)
        n = side * side
        depth = 2.0 ** (shot.bits - 12)
        per_electron = spec.dn_per_electron * depth * shot.gain
        noise_e = self._photosite_noise_e(shot.gain, shot.conversion)
        row_e = self._read_scale * at.row_noise_e
        f32 = np.float32
        # averages of n photosites, of which `reads` are read in a row and in a column
        per_read = per_electron / together**2
        return _kernels.Model(
            noise=self._kind,
            read_variance=f32(reads**2 * noise_e**2),
            prnu=f32(spec.prnu / side),
            dsnu_dn=f32(at.dsnu_e * per_read / reads),
            row_dn=f32(row_e * per_read / reads**0.5),
            column_dn=f32(at.column_offset_e * per_read),
            well_e=f32(n * at.full_well_e),
            bend=f32(spec.nonlinearity / (n * at.full_well_e)),
            dn_per_electron=f32(per_electron / n),
            black_dn=f32(self._black * depth + 0.5),
            white_dn=f32(self.white_level(shot.bits)),
            dark_e=f32(n * self.dark_rate_e_s(shot.temperature_c) * shot.exposure_s),
            seconds=f32(self._warmth(shot.temperature_c) * shot.exposure_s),
        )

    def _fixed_for(self, shot: Shot, width: int) -> _kernels.Fixed:
        """What is fixed in a readout, for frames that end within its columns or beyond them."""
        readout: Readout = "full" if shot.readout == "native" else shot.readout
        fixed = self._fixed.get(readout)
        if fixed is None:
            fixed = self._fixed[readout] = self._make_fixed(readout)
        end = shot.origin[0] + width
        if end > fixed.columns.size:
            fixed = fixed._replace(columns=np.resize(fixed.columns, _whole_segments(end)))
        return fixed

    def _make_fixed(self, readout: Readout) -> _kernels.Fixed:
        together = self.spec.charge_side(readout)
        reads = BINNING[readout] // together
        pixel = np.arange(_whole_segments(self.size(readout)[0]))
        # charges that are read, in a row of the sensor: `reads` of one colour become a pixel
        first = 2 * reads * (pixel // 2) + pixel % 2
        read = first[:, None] + np.arange(0, 2 * reads, 2)
        columns = self._columns.take(together * read, mode="wrap").mean(1)
        at = self._defects // together
        place = 2 * (at // (2 * reads)) + (at & 1)
        order = np.lexsort((place[:, 0], place[:, 1]))
        return _kernels.Fixed(
            normal=_normal_table(),
            key=np.uint64(frame_key(self.seed, readout, "pattern")),
            columns=columns.astype(np.float32),
            hot_x=np.ascontiguousarray(place[order, 0]),
            hot_y=np.ascontiguousarray(place[order, 1]),
            hot_rate=self._defect_rate[order].astype(np.float32),
        )


def _whole_segments(count: int) -> int:
    return -(-count // _kernels.SEGMENT) * _kernels.SEGMENT


class IdealSensor(Sensor):
    """The same call for a sensor without a fault: mean light in DN, or with its photons' noise.

    No read noise, dark current, pattern, hot photosite, bend or tolerance; the quantum efficiency,
    wells, gain and converter are those of ``spec``.

    Parameters
    ----------
    shot_noise : whole electrons, Poisson numbers; False for the mean itself
    """

    def __init__(self, spec: SensorSpec, seed: int = 0, *, shot_noise: bool = True) -> None:
        high = spec.high_conversion_gain
        if high is not None:
            high = ConversionGain(
                from_gain=high.from_gain, full_well_e=high.full_well_e, read_noise_e=0.0
            )
        none = dict.fromkeys(
            (
                "nonlinearity", "read_noise_e", "adc_noise_e", "reset_residual_e", "row_noise_e",
                "column_offset_e", "dark_current_e_s", "prnu", "dsnu_e", "defects_per_million",
            ),
            0.0,
        )  # fmt: skip
        ideal = msgspec.structs.replace(
            spec, tolerance=Tolerance(), high_conversion_gain=high, **none
        )
        super().__init__(ideal, seed)
        self._kind = _kernels.SHOT_NOISE if shot_noise else _kernels.NO_NOISE
