"""Raw files played as if they came off a sensor."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from modoptic import pixels
from modoptic.calibration import Calibration
from modoptic.errors import DetachedError, RawFileError, SettingError
from modoptic.frame import FrameMeta, Settings
from modoptic.rawfile._file import RawFile, bits_for
from modoptic.rawfile._open import read_raw
from modoptic.source import CameraInfo, ReadoutMode, RingTurned

UInt16Image = npt.NDArray[np.uint16]
UInt8Array = npt.NDArray[np.uint8]

_BINNING = {"full": 1, "bin2": 2, "bin4": 4}
_ROW_TIME_S = 2e-6
"""Of this replay, not of the camera that took the files: a fast sensor of today."""
_LONGEST_WAIT_S = 1 / 30
"""A long exposure was spent when the file was taken; the finder need not spend it again."""
_FAR_M = 10.0
"""Assumed where a file does not say what was in focus, or says infinity."""
_RAWS_KEPT = 2
_READOUTS_KEPT = 16
_BANDS = 8


class ReplaySource:
    """A `modoptic.source.Source` that gives the next of ``files`` at each capture, round and round.

    What was exposed stays as it was: exposure, iris and focus cannot be changed. Finder readouts
    are binned from the mosaic, four or sixteen photosites of one colour to one.

    Parameters
    ----------
    files : one raw or several of one size and colour pattern
    title : short name for people; default the camera's
    real_time : spend the exposure (at most 1/30 s) and the readout

    Raises
    ------
    RawFileError : no file, a file that cannot be read, or files that do not fit together
    """

    def __init__(
        self, files: str | Path | Sequence[str | Path], *, title: str = "", real_time: bool = True
    ) -> None:
        paths = [files] if isinstance(files, str | Path) else list(files)
        if not paths:
            raise RawFileError("replay", "no file was given; name at least one raw")
        self._paths = [Path(path) for path in paths]
        self._real_time = real_time
        self._stopped = threading.Event()
        self._lock = threading.RLock()
        self._raws: OrderedDict[int, RawFile] = OrderedDict()
        self._readouts: OrderedDict[tuple[int, str, object], tuple[FrameMeta, UInt8Array]] = (
            OrderedDict()
        )
        self._next = 0
        first = self._raw(0)
        meta = first.frame.meta
        # Widths of which every readout is a whole number of packed groups, and heights of cells.
        self._width, self._height = meta.width // 16 * 16, meta.height // 8 * 8
        if self._width < 32 or self._height < 32:
            raise RawFileError(first.path, "is smaller than 32 x 32; too small to play")
        self._bits = self._depth(meta)
        self.calibration = first.calibration or Calibration()
        for index in range(1, len(self._paths)):
            other = self._raw(index)
            self._check(first, other)
            self._bits = max(self._bits, self._depth(other.frame.meta))
        self.info = self._info(first, title)

    def start(self) -> None:
        self._stopped.clear()

    def stop(self) -> None:
        self._stopped.set()

    def close(self) -> None:
        self._stopped.set()
        with self._lock:
            self._raws.clear()
            self._readouts.clear()

    def in_force(self, settings: Settings) -> Settings:
        if settings.readout not in _BINNING:
            raise SettingError("readout", settings.readout, ", ".join(_BINNING), self.info.title)
        region = self._region(settings)
        return Settings(
            exposure_s=self.info.exposure_min_s,
            gain=1.0,
            f_number=self.info.f_number_min,
            focus_distance_m=self.info.focus_min_m,
            readout=settings.readout,
            region=region,
            bits=12 if self._bits <= 12 else 14,
        )

    def prepare(self, settings: Settings, progress: Callable[[float], None]) -> None:
        with self._lock:
            self._readout(self._next, self.in_force(settings))
        progress(1.0)

    def describe(self, settings: Settings) -> FrameMeta:
        with self._lock:
            return self._readout(self._next, self.in_force(settings))[0]

    def capture(
        self, settings: Settings, out: memoryview, rows: Callable[[int], None]
    ) -> FrameMeta:
        force = self.in_force(settings)
        with self._lock:
            meta, packed = self._readout(self._next, force)
            self._next = (self._next + 1) % len(self._paths)
        begun_ns = time.monotonic_ns()
        self._spend(min(force.exposure_s, _LONGEST_WAIT_S))
        target = np.frombuffer(out, np.uint8)
        row_bytes = packed.size // meta.height
        for band in range(_BANDS):
            first, end = (meta.height * at // _BANDS for at in (band, band + 1))
            self._spend(_ROW_TIME_S * (end - first))
            target[first * row_bytes : end * row_bytes] = packed[
                first * row_bytes : end * row_bytes
            ]
            rows(end)
        return msgspec.structs.replace(
            meta, sensor_time_ns=begun_ns, readout_end_ns=time.monotonic_ns()
        )

    def set_lens(
        self, *, focus_distance_m: float | None = None, f_number: float | None = None
    ) -> None:
        """Nothing: what lies in the files was focused when it was taken."""

    def subscribe(self, listener: Callable[[RingTurned], None]) -> None:
        """Nothing: nobody turns a ring."""

    def _spend(self, seconds: float) -> None:
        if self._stopped.wait(seconds if self._real_time else 0):
            raise DetachedError("the replay was stopped while a frame was read out")

    def _depth(self, meta: FrameMeta) -> int:
        stored = pixels.pixel_format(meta.pixel_format).bits
        return min(stored, bits_for(meta.white_level, at_least=12)) if stored > 12 else 12

    def _check(self, first: RawFile, other: RawFile) -> None:
        a, b = first.frame.meta, other.frame.meta
        if (a.width, a.height, a.cfa) != (b.width, b.height, b.cfa):
            raise RawFileError(
                other.path,
                f"is {b.width} x {b.height} {'/'.join(b.cfa)}, but {first.path.name} is "
                f"{a.width} x {a.height} {'/'.join(a.cfa)}; play files of one camera together",
            )

    def _info(self, raw: RawFile, title: str) -> CameraInfo:
        meta = raw.frame.meta
        model = meta.model or raw.path.stem
        serial = meta.serial or "replay"
        exposure = meta.settings.exposure_s or 1 / 60
        f_number = meta.settings.f_number or 4.0
        focus = meta.settings.focus_distance_m
        # Not in the files: assumed as of a 36 mm wide sensor where no focal length is known.
        focal = meta.focal_length_mm or 35.0
        focal_35 = meta.focal_length_35mm or focal
        return CameraInfo(
            id=f"{model}-{serial}",
            make=meta.make or "replay",
            model=model,
            serial=serial,
            title=title or raw.camera or raw.path.stem,
            lens_model=meta.lens_model,
            sensor_width=self._width,
            sensor_height=self._height,
            pitch_um=36000 * focal / focal_35 / self._width,
            cfa=meta.cfa,
            focal_length_mm=focal,
            focal_length_35mm=focal_35,
            f_number_min=f_number,
            f_number_max=f_number,
            focus_min_m=focus if 0 < focus < _FAR_M else _FAR_M,
            base_iso=meta.iso or 100.0,
            gain_max=1.0,
            exposure_min_s=exposure,
            exposure_max_s=exposure,
            bits=(12 if self._bits <= 12 else 14,),
            readouts=tuple(
                ReadoutMode(
                    name=name,  # pyright: ignore[reportArgumentType]
                    width=self._width // factor,
                    height=self._height // factor,
                    readout_s=_ROW_TIME_S * self._height / factor,
                    frame_rate_max=30.0,
                )
                for name, factor in _BINNING.items()
            ),
            still_default="full",
        )

    def _region(self, settings: Settings) -> tuple[int, int, int, int] | None:
        """Rounded outward to what this readout can give, and kept inside of the array."""
        if settings.region is None:
            return None
        x, y, width, height = settings.region
        if width <= 0 or height <= 0:
            raise SettingError("region", settings.region, "a positive size", self.info.title)
        across, down = 4 * _BINNING[settings.readout], 2 * _BINNING[settings.readout]
        left, right = _outward(x, x + width, across, self._width)
        top, bottom = _outward(y, y + height, down, self._height)
        return left, top, right - left, bottom - top

    def _raw(self, index: int) -> RawFile:
        with self._lock:
            if index not in self._raws:
                self._raws[index] = read_raw(self._paths[index])
                while len(self._raws) > _RAWS_KEPT:
                    self._raws.popitem(last=False)
            self._raws.move_to_end(index)
            return self._raws[index]

    def _readout(self, index: int, force: Settings) -> tuple[FrameMeta, UInt8Array]:
        key = index, force.readout, force.region
        if key not in self._readouts:
            self._readouts[key] = self._read_out(self._raw(index), force)
            while len(self._readouts) > _READOUTS_KEPT:
                self._readouts.popitem(last=False)
        self._readouts.move_to_end(key)
        return self._readouts[key]

    def _read_out(self, raw: RawFile, force: Settings) -> tuple[FrameMeta, UInt8Array]:
        x, y, width, height = force.region or (0, 0, self._width, self._height)
        mosaic = raw.frame.mosaic(y, y + height)[:, x : x + width]
        mosaic = binned(mosaic, _BINNING[force.readout])
        meta = raw.frame.meta
        form = pixels.bayer_format(meta.cfa, self._bits, packed=True)
        meta = msgspec.structs.replace(
            meta,
            width=mosaic.shape[1],
            height=mosaic.shape[0],
            pixel_format=form.name,
            settings=force,
            iso=meta.iso or self.info.base_iso,
            row_time_ns=round(_ROW_TIME_S * 1e9),
            focal_length_mm=self.info.focal_length_mm,
            focal_length_35mm=self.info.focal_length_35mm,
            make=self.info.make,
            model=self.info.model,
            serial=self.info.serial,
            calibration=self.calibration.digest(),
        )
        return meta, pixels.pack(np.minimum(mosaic, (1 << self._bits) - 1), form)


def _outward(low: int, high: int, step: int, limit: int) -> tuple[int, int]:
    low = max(0, min(low, limit - 1)) // step * step
    high = min(limit, -(-max(high, low + 1) // step) * step)
    return min(low, limit - step), max(high, min(low, limit - step) + step)


def binned(mosaic: UInt16Image, factor: int) -> UInt16Image:
    """Means of ``factor`` x ``factor`` photosites of one colour; the pattern stays the same.

    Sides must be multiples of twice the factor.
    """
    if factor == 1:
        return mosaic
    height, width = (side // (2 * factor) for side in mosaic.shape)
    out = np.empty((2 * height, 2 * width), np.uint16)
    # cell row, photosite of one colour in it, row of the pattern; and the same across
    cells = mosaic.reshape(height, factor, 2, width, factor, 2)
    for y in (0, 1):
        for x in (0, 1):
            total = cells[:, :, y, :, :, x].sum(axis=(1, 3), dtype=np.uint32)
            out[y::2, x::2] = (total + factor * factor // 2) // (factor * factor)
    return out
