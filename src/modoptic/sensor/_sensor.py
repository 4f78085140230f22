"""A sensor: what becomes of light between the lens and the pins."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from modoptic.bands import bands, run_bands
from modoptic.errors import SettingError
from modoptic.frame import Readout
from modoptic.pixels import bayer_format
from modoptic.sensor import _kernels

FloatArray = npt.NDArray[np.float32]
UInt8Array = npt.NDArray[np.uint8]
UInt16Array = npt.NDArray[np.uint16]

BINNING: dict[Readout, int] = {"full": 1, "bin2": 2, "bin4": 4}
"""Side of the block of same-coloured photosites that becomes one pixel, by readout."""

_BAND_ROWS = 64


class Tolerance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far units lie from the nominal, as standard deviations."""

    qe: float = 0.0
    """Relative, for each channel on its own."""
    read_noise: float = 0.0
    """Relative."""
    black_dn: float = 0.0
    """DN at 12 bit."""


class SensorSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The nominal figures of a sensor. Electrons are those of one photosite."""

    width: int
    height: int
    pitch_um: float
    cfa: tuple[str, str] = ("RG", "GB")
    full_well_e: float
    dn_per_electron: float
    """At 12 bit and gain 1."""
    black_dn: float
    """At 12 bit."""
    read_noise_e: float
    """Of the photosite: what is left at high gain."""
    adc_noise_e: float
    """Of the converter, referred to gain 1; total is sqrt(read^2 + (adc / gain)^2)."""
    dark_current_e_s: float
    """At 25 degrees C."""
    dark_doubling_c: float
    """Dark current doubles every so many degrees."""
    prnu: float
    """Relative standard deviation of the response between photosites."""
    dsnu_e: float
    """Standard deviation of the dark level between photosites."""
    defects_per_million: float = 0.0
    """Photosites with extra dark current."""
    diffusion_um: float = 0.0
    """Standard deviation of how far charge wanders before it is gathered, a Gaussian."""
    base_iso: float
    gain_max: float
    exposure_min_s: float
    exposure_max_s: float
    bits: tuple[Literal[12, 14], ...] = (12,)
    tolerance: Tolerance = Tolerance()


@dataclass(frozen=True, slots=True)
class Shot:
    """How one frame is taken."""

    exposure_s: float
    gain: float = 1.0
    readout: Readout = "full"
    bits: Literal[12, 14] = 12
    origin: tuple[int, int] = (0, 0)
    """First pixel (x, y) of the frame in the readout's own pixels; even."""
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


def _normal_table() -> FloatArray:
    """Normal deviates with mean 0, variance 1 and skew near 0; fixed, the keys make them differ."""
    half = np.random.default_rng(20250303).standard_normal(_kernels.TABLE // 2)
    both = np.concatenate([half, -half])
    both = np.random.default_rng(1).permutation(both) / both.std()
    return np.concatenate([both, both[: _kernels.SEGMENT]]).astype(np.float32)


_PLANE = {"R": 0, "G": 1, "B": 2}


class Sensor:
    """One unit of a sensor, which differs from the nominal by what ``seed`` decides.

    Binning is done after reading, as most sensors with 2 x 2 same-colour binning do: each photosite
    is converted, then 4 or 16 are averaged. So, in electrons of the sum, the well is n times as
    deep and the read noise sqrt(n) times as large; the average keeps the levels in DN. The pattern
    of PRNU and DSNU of a binned readout is drawn on its own, with the spread of an average of n.
    """

    def __init__(self, spec: SensorSpec, seed: int = 1) -> None:
        self.spec = spec
        self.seed = seed
        rng = np.random.default_rng([seed, 0x5E9])
        spread = spec.tolerance
        deviates = rng.standard_normal(5)
        self._qe = (1.0 + spread.qe * deviates[:3]).astype(np.float32)
        self._read_scale = float(1.0 + spread.read_noise * deviates[3])
        self._black = float(spec.black_dn + spread.black_dn * deviates[4])
        self._prnu, self._dsnu, self._noise = spec.prnu, spec.dsnu_e, 1.0
        self._normal = _normal_table()
        count = round(spec.defects_per_million * 1e-6 * spec.width * spec.height)
        self._defects = np.stack(
            [rng.integers(0, spec.width, count), rng.integers(0, spec.height, count)], 1
        )
        # from barely seen to blinding in a second, log-uniform: an assumption
        self._defect_rate = np.exp(rng.uniform(np.log(200.0), np.log(20000.0), count))

    def size(self, readout: Readout) -> tuple[int, int]:
        """(width, height) of a readout in its own pixels."""
        return self.spec.width // BINNING[readout], self.spec.height // BINNING[readout]

    def white_level(self, bits: int) -> int:
        """DN where the converter ends."""
        return (1 << bits) - 1

    def read_noise_e(self, gain: float) -> float:
        """Of one photosite of this unit, in e-."""
        spec = self.spec
        return self._read_scale * float(np.hypot(spec.read_noise_e, spec.adc_noise_e / gain))

    def dark_rate_e_s(self, temperature_c: float) -> float:
        """Dark current of one photosite."""
        return self.spec.dark_current_e_s * 2.0 ** (
            (temperature_c - 25.0) / self.spec.dark_doubling_c
        )

    def expose(
        self, light: Light, shot: Shot, out: UInt8Array, rows: tuple[int, int] | None = None
    ) -> None:
        """Take rows of a frame of ``light`` into ``out``.

        Runs in the calling thread without the GIL. Any division into rows gives the same frame.

        Parameters
        ----------
        light : e-/s for each pixel of this readout, and of nominal units; see `Light`
        out : uint8 (height, row bytes), the whole frame, packed as PFNC ``BayerXX12p`` or ``14p``
        rows : (first, end) of the frame; all by default

        Raises
        ------
        SettingError : a bit depth that the sensor lacks, or an ``out`` of another size
        """
        if shot.bits not in self.spec.bits:
            raise SettingError("bits", shot.bits, f"one of {self.spec.bits}", "sensor")
        preview = not isinstance(light, CompactLight) and light.ndim == 3
        height, width = light.shape[-2:]
        if preview:
            cell = 4 if out.shape[0] == 4 * height else 2
            height, width = cell * height, cell * width
        row_bytes = bayer_format(self.spec.cfa, shot.bits, packed=True).row_bytes(width)
        if out.shape != (height, row_bytes):
            raise SettingError("frame buffer", out.shape, f"({height}, {row_bytes})", "sensor")
        first, end = rows or (0, height)
        planes = np.array([[_PLANE[c] for c in row] for row in self.spec.cfa], np.int64)
        factors = (self._qe[planes] * shot.exposure_s).astype(np.float32)
        common = (
            first, end, *shot.origin, self._normal, self._keys(shot), self._model(shot), shot.bits,
            np.empty(width, np.float32), np.empty(width, np.uint16), out,
        )  # fmt: skip
        if isinstance(light, CompactLight):
            factors *= np.float32(light.per_code**2)
            _kernels.read_compact(light.codes, factors, *common)
        elif preview:
            _kernels.read_preview(light, planes, factors, *common)
        else:
            _kernels.read_map(light, factors, *common)
        self._add_defects(shot, width, (first, end), out)

    def expose_all(self, light: Light, shot: Shot) -> UInt8Array:
        """The whole frame as packed bytes (height, row bytes), in the calling thread."""
        scale = 2 if not isinstance(light, CompactLight) and light.ndim == 3 else 1
        height, width = (scale * n for n in light.shape[-2:])
        form = bayer_format(self.spec.cfa, shot.bits, packed=True)
        out = np.empty((height, form.row_bytes(width)), np.uint8)
        for rows in bands(height, _BAND_ROWS):
            self.expose(light, shot, out, rows)
        return out

    def _dn_per_electron(self, shot: Shot) -> float:
        """Of an electron of the sum of a block."""
        depth = 2.0 ** (shot.bits - 12)
        return self.spec.dn_per_electron * depth * shot.gain / BINNING[shot.readout] ** 2

    def _keys(self, shot: Shot) -> npt.NDArray[np.uint64]:
        fixed = [frame_key(self.seed, shot.readout, kind) for kind in ("prnu", "dsnu")]
        return np.array([frame_key(self.seed, shot.key), *fixed], np.uint64)

    def _model(self, shot: Shot) -> FloatArray:
        side = BINNING[shot.readout]
        n = side * side
        depth = 2.0 ** (shot.bits - 12)
        per_electron = self._dn_per_electron(shot)
        return np.array(
            [
                self._noise,
                n * self.read_noise_e(shot.gain) ** 2,
                self._prnu / side,
                # the pattern of an average of n, in DN: n electrons of the sum are one of each
                self._dsnu / side * n * per_electron,
                n * self.spec.full_well_e,
                per_electron,
                self._black * depth + 0.5,
                self.white_level(shot.bits),
                n * self.dark_rate_e_s(shot.temperature_c) * shot.exposure_s,
            ],
            np.float32,
        )

    def _add_defects(self, shot: Shot, width: int, rows: tuple[int, int], out: UInt8Array) -> None:
        if not len(self._defects):
            return
        block = 2 * BINNING[shot.readout]
        place = 2 * (self._defects // block) + (self._defects & 1) - np.array(shot.origin)
        x, y = place[:, 0], place[:, 1]
        here = (x >= 0) & (x < width) & (y >= rows[0]) & (y < rows[1])
        if here.any():
            rate = self._defect_rate * 2.0 ** (
                (shot.temperature_c - 25.0) / self.spec.dark_doubling_c
            )
            extra = (rate * shot.exposure_s * self._dn_per_electron(shot)).astype(np.float32)
            _kernels.add_defects(
                x[here], y[here], extra[here], shot.bits, self.white_level(shot.bits), out
            )


class IdealSensor(Sensor):
    """The same call without noise, pattern, defects, dark current, tolerance: mean light in DN."""

    def __init__(self, spec: SensorSpec) -> None:
        ideal = {"prnu": 0.0, "dsnu_e": 0.0, "defects_per_million": 0.0, "dark_current_e_s": 0.0}
        super().__init__(msgspec.structs.replace(spec, tolerance=Tolerance(), **ideal), 0)
        self._noise = 0.0
