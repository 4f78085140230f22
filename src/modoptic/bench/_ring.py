"""A camera that plays a ring of noisy frames as fast as a finder wants them.

Run as ``python -m modoptic.bench._ring ADDRESS``, it is a module process of its own, so that
finder benches measure the link and the phone, not the making of pictures. It prints a line when it
listens and ends with its standard input.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable

import msgspec
import numpy as np

from modoptic import pixels
from modoptic.calibration import Calibration, ColorCalibration
from modoptic.errors import DetachedError
from modoptic.frame import FrameMeta, NoiseModel, Settings
from modoptic.source import CameraInfo, ReadoutMode, RingTurned, StartUp

FRAMES = 32
WIDTH, HEIGHT = 2912, 2184
PERIOD_S = 1 / 62.5
READOUT_S = 0.010
_BANDS = 8
_BLACK, _WHITE = 256, 4095

# any plausible camera will do here: that of the Canon EOS 550D as dcraw 9.28 has it, D65
_COLORS = ColorCalibration(
    illuminant=21,
    color_matrix=((0.6941, -0.1164, -0.0857), (-0.3825, 1.1597, 0.2482), (-0.0416, 0.1540, 0.6039)),
    forward_matrix=((0.72, 0.13, 0.1142), (0.27, 0.93, -0.20), (0.03, -0.14, 0.9352)),
)


class RingSource:
    """Plays `FRAMES` different frames of a structured, noisy picture, in finder size."""

    def __init__(self, period_s: float = PERIOD_S) -> None:
        self.calibration = Calibration(unit="ring-0001", colors=(_COLORS,))
        mode = ReadoutMode(
            name="bin4",
            width=WIDTH,
            height=HEIGHT,
            readout_s=READOUT_S,
            frame_rate_max=1 / period_s,
        )
        self.info = CameraInfo(
            id="ring-0001",
            make="modoptic",
            model="ring",
            serial="0001",
            title="ring of frames",
            sensor_width=4 * WIDTH,
            sensor_height=4 * HEIGHT,
            pitch_um=1.485,
            focal_length_mm=17.5,
            focal_length_35mm=35,
            f_number_min=1.4,
            f_number_max=11,
            focus_min_m=0.3,
            base_iso=100,
            gain_max=64,
            exposure_min_s=1 / 8000,
            exposure_max_s=4,
            readouts=(
                mode,
                msgspec.structs.replace(mode, name="bin2", width=2 * WIDTH, height=2 * HEIGHT),
                msgspec.structs.replace(mode, name="full", width=4 * WIDTH, height=4 * HEIGHT),
            ),
            start_up=StartUp(debounce_s=0, ramp_s=0, light_lock_s=0, controller_s=0, sensor_s=0),
        )
        self._period_s = period_s
        self._frames = _noisy_frames()
        self._count = 0
        self._next_s = 0.0
        self._stopped = threading.Event()

    def start(self) -> None:
        self._stopped.clear()
        self._next_s = time.monotonic()

    def stop(self) -> None:
        self._stopped.set()

    def close(self) -> None:
        self._stopped.set()

    def in_force(self, settings: Settings) -> Settings:
        return settings

    def prepare(self, settings: Settings, progress: Callable[[float], None]) -> None:
        progress(1.0)

    def describe(self, settings: Settings) -> FrameMeta:
        return FrameMeta(
            module_id=self.info.id,
            make=self.info.make,
            model=self.info.model,
            row_time_ns=int(READOUT_S * 1e9 / HEIGHT),
            settings=settings,
            iso=self.info.base_iso * settings.gain,
            focal_length_mm=self.info.focal_length_mm,
            focal_length_35mm=self.info.focal_length_35mm,
            width=WIDTH,
            height=HEIGHT,
            black_level=(float(_BLACK),),
            white_level=_WHITE,
            noise=NoiseModel(scale=1e-4, offset=1e-6),
        )

    def capture(
        self, settings: Settings, out: memoryview, rows: Callable[[int], None]
    ) -> FrameMeta:
        frame = self._frames[self._count % FRAMES]
        self._count += 1
        # keep the beat, but never try to catch up
        self._next_s = max(self._next_s + self._period_s, time.monotonic())
        begins_s = self._next_s - READOUT_S
        target = np.frombuffer(out, np.uint8)
        row_bytes = frame.size // HEIGHT
        read_ns = 0
        for band in range(_BANDS):
            first, end = HEIGHT * band // _BANDS, HEIGHT * (band + 1) // _BANDS
            if self._stopped.wait(
                max(begins_s + READOUT_S * (band + 1) / _BANDS - time.monotonic(), 0)
            ):
                raise DetachedError("the ring was stopped")
            target[first * row_bytes : end * row_bytes] = frame[first * row_bytes : end * row_bytes]
            read_ns = time.monotonic_ns()
            rows(end)
        return msgspec.structs.replace(
            self.describe(settings),
            sensor_time_ns=int((begins_s - settings.exposure_s) * 1e9),
            readout_end_ns=read_ns,
        )

    def set_lens(
        self, *, focus_distance_m: float | None = None, f_number: float | None = None
    ) -> None:
        return

    def subscribe(self, listener: Callable[[RingTurned], None]) -> None:
        return


def _noisy_frames() -> list[pixels.UInt8Array]:
    """Structure at all scales with shot noise; a picture that codes like a photograph."""
    random = np.random.default_rng(7)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    light = 0.22 + 0.12 * np.sin(x / 97) * np.cos(y / 61) + 0.06 * np.sin(x / 7 + y / 11)
    for size in (8, 32, 128):
        coarse = random.random((HEIGHT // size + 1, WIDTH // size + 1), np.float32)
        light += 0.06 * np.kron(coarse, np.ones((size, size), np.float32))[:HEIGHT, :WIDTH]
    light[0::2, 0::2] *= 0.55
    light[1::2, 1::2] *= 0.65
    electrons = light * 4000
    form = pixels.pixel_format("BayerRG12p")
    frames: list[pixels.UInt8Array] = []
    grain = random.standard_normal((HEIGHT, WIDTH), np.float32)
    for k in range(FRAMES):
        noise = np.roll(grain, (k * 37, k * 101), (0, 1)) * np.sqrt(electrons)
        values = _BLACK + (electrons + noise) * ((_WHITE - _BLACK) / 4000)
        frames.append(pixels.pack(np.clip(values, 0, _WHITE).astype(np.uint16), form))
    return frames


def main(address: str) -> None:
    """Serve the ring until standard input closes."""
    from modoptic.module import Device

    sys.setswitchinterval(0.0005)
    source = RingSource()
    device = Device(source, address)
    threading.Thread(target=device.serve_forever, daemon=True).start()
    print("listening", flush=True)
    while os.read(0, 4096):
        pass
    device.close()


if __name__ == "__main__":
    main(sys.argv[1])
