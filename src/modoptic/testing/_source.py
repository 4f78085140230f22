"""A small, fast, repeatable camera for tests: no optics, no clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import msgspec
import numpy as np
import numpy.typing as npt

from modoptic import pixels
from modoptic.calibration import Calibration
from modoptic.errors import DetachedError, SettingError
from modoptic.frame import FrameMeta, Readout, Settings
from modoptic.source import CameraInfo, ReadoutMode, RingTurned, StartUp

_BINNING = {"full": 1, "bin2": 2, "bin4": 4}
_BANDS = 8


class FakeSource:
    """A `Source` that makes the same gradient with noise each time, as fast as memory allows.

    Parameters
    ----------
    width, height : photosites of the full array, multiples of 16
    serial : of the unit; the camera's id is ``fake-<serial>``
    start_up : time spent before the first frame; nothing unless given
    still_buffers : see `CameraInfo`
    before_rows : called before each band of rows is handed on, with its last row; for tests that
        stop a capture in the middle
    prepare : called instead of doing nothing in `prepare`
    """

    def __init__(
        self,
        width: int = 256,
        height: int = 192,
        *,
        serial: str = "1",
        start_up: StartUp | None = None,
        still_buffers: int = 2,
        frame_rate_max: float = 1000.0,
        before_rows: Callable[[int], None] | None = None,
        prepare: Callable[[Callable[[float], None]], None] | None = None,
    ) -> None:
        if width <= 0 or height <= 0 or width % 16 or height % 16:
            raise SettingError("size", (width, height), "multiples of 16", "FakeSource")
        readouts: tuple[Readout, ...] = ("full", "bin2", "bin4")
        self.info = CameraInfo(
            id=f"fake-{serial}",
            make="modoptic",
            model="fake",
            serial=serial,
            title="fake f/2",
            sensor_width=width,
            sensor_height=height,
            pitch_um=2.0,
            focal_length_mm=10.0,
            focal_length_35mm=35.0,
            f_number_min=2.0,
            f_number_max=16.0,
            focus_min_m=0.1,
            base_iso=100.0,
            gain_max=16.0,
            exposure_min_s=1e-5,
            exposure_max_s=1.0,
            bits=(12, 14),
            readouts=tuple(
                ReadoutMode(
                    name=name,
                    width=width // _BINNING[name],
                    height=height // _BINNING[name],
                    readout_s=0.0,
                    frame_rate_max=frame_rate_max,
                )
                for name in readouts
            ),
            still_buffers=still_buffers,
            start_up=start_up or StartUp(**dict.fromkeys(StartUp.__struct_fields__, 0.0)),
        )
        self.calibration = Calibration(unit=self.info.id, black_level=64.0)
        self.lens: tuple[float | None, float | None] = (None, None)
        """Focus distance and f-number of the last `set_lens`."""
        self.frames = 0
        self._on = threading.Event()
        self._before_rows = before_rows
        self._prepare = prepare
        self._listeners: list[Callable[[RingTurned], None]] = []
        self._turns = 0
        self._pictures: dict[tuple[int, int, str], npt.NDArray[np.uint8]] = {}
        # compiled before anything waits for a frame
        pixels.pack(
            np.zeros((1, 16), np.uint16), pixels.bayer_format(self.info.cfa, 12, packed=True)
        )

    def start(self) -> None:
        if self.info.start_up.sensor_s:
            time.sleep(self.info.start_up.sensor_s)
        self._on.set()

    def stop(self) -> None:
        self._on.clear()

    def close(self) -> None:
        self.stop()

    def in_force(self, settings: Settings) -> Settings:
        if not settings.exposure_s > 0:
            raise SettingError("ExposureTime", settings.exposure_s, "above 0", self.info.title)
        region = settings.region
        if region is not None:
            x, y, width, height = region
            if min(x, y) < 0 or width < 16 or height < 16:
                raise SettingError("region", region, "16 photosites at least", self.info.title)
            region = (x // 16 * 16, y // 16 * 16, width // 16 * 16, height // 16 * 16)
        f_number = min(max(settings.f_number, self.info.f_number_min), self.info.f_number_max)
        return msgspec.structs.replace(settings, f_number=f_number, region=region)

    def describe(self, settings: Settings) -> FrameMeta:
        step = _BINNING[settings.readout]
        _, _, width, height = settings.region or (
            0,
            0,
            self.info.sensor_width,
            self.info.sensor_height,
        )
        return FrameMeta(
            make=self.info.make,
            model=self.info.model,
            serial=self.info.serial,
            settings=settings,
            width=width // step,
            height=height // step,
            pixel_format=pixels.bayer_format(self.info.cfa, settings.bits, packed=True).name,
            cfa=self.info.cfa,
            black_level=(64.0,),
            white_level=(1 << settings.bits) - 1,
            iso=self.info.base_iso * settings.gain,
            focal_length_mm=self.info.focal_length_mm,
            focal_length_35mm=self.info.focal_length_35mm,
        )

    def picture(self, meta: FrameMeta) -> npt.NDArray[np.uint8]:
        """The packed bytes of every frame of this size and format."""
        key = (meta.width, meta.height, meta.pixel_format)
        if key not in self._pictures:
            form = pixels.pixel_format(meta.pixel_format)
            self._pictures[key] = pixels.pack(fake_mosaic(meta.width, meta.height, form.bits), form)
        return self._pictures[key]

    def prepare(self, settings: Settings, progress: Callable[[float], None]) -> None:
        if self._prepare is not None:
            self._prepare(progress)

    def capture(
        self, settings: Settings, out: memoryview, rows: Callable[[int], None]
    ) -> FrameMeta:
        started = time.monotonic_ns()
        meta = self.describe(settings)
        picture = self.picture(meta).data
        row_bytes = len(picture) // meta.height
        band = -(-meta.height // _BANDS)
        for first in range(0, meta.height, band):
            end = min(first + band, meta.height)
            if self._before_rows is not None:
                self._before_rows(end)
            if not self._on.is_set():
                raise DetachedError("the fake camera was stopped")
            out[first * row_bytes : end * row_bytes] = picture[first * row_bytes : end * row_bytes]
            rows(end)
        self.frames += 1
        return msgspec.structs.replace(
            meta, sensor_time_ns=started, readout_end_ns=time.monotonic_ns()
        )

    def set_lens(
        self, *, focus_distance_m: float | None = None, f_number: float | None = None
    ) -> None:
        self.lens = (focus_distance_m, f_number)

    def subscribe(self, listener: Callable[[RingTurned], None]) -> None:
        self._listeners.append(listener)

    def turn_ring(self, focus_distance_m: float) -> None:
        """What a hand does."""
        self._turns += 1
        event = RingTurned(self._turns, focus_distance_m, time.monotonic_ns())
        for listener in self._listeners:
            listener(event)


def fake_mosaic(width: int, height: int, bits: int = 12) -> npt.NDArray[np.uint16]:
    """A diagonal gradient with noise, never 0: uint16 DN of shape ``(height, width)``."""
    noise = np.random.default_rng(1).integers(0, 64, (min(height, 512), width), np.uint16)
    top = (1 << bits) - 200
    across = np.linspace(0, top / 2, width, dtype=np.float32).astype(np.uint16)
    down = np.linspace(0, top / 2, height, dtype=np.float32).astype(np.uint16)
    mosaic = across[None, :] + down[:, None]
    for first in range(0, height, 512):
        rows = mosaic[first : first + 512]
        rows += noise[: len(rows)] + np.uint16(64)
    return mosaic
