"""The digital twin of a camera module: a scene, a lens and a sensor as a `Source`, in real time."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from pathlib import Path

import msgspec
import numpy as np

from modoptic.bands import bands, run_bands, worker_count
from modoptic.calibration import Calibration
from modoptic.errors import DetachedError, SettingError
from modoptic.frame import FrameMeta, NoiseModel, Settings
from modoptic.optics import LensState, LightRenderer, Timing
from modoptic.pixels import bayer_format, pixel_format
from modoptic.scenes import HandShake, Scene, load_scene
from modoptic.sensor import BINNING, CompactLight, Light, Sensor, Shot, frame_key
from modoptic.source import RingTurned
from modoptic.twin._calibrations import calibration_of
from modoptic.twin._definition import (
    Definition,
    camera_info,
    glare_of,
    lens_of,
    load_definition,
    spectral_response,
)
from modoptic.twin._light import LightMaps, Window
from modoptic.twin._motion import MovingLight

_BAND_ROWS = 256
RING_AT_M = 1.0
"""Where a module's focus ring stands when it leaves the shelf (an assumption)."""
_SMALL_FRAME = 16 << 20  # bytes; one core makes so many in 6 ms
_BESIDE_STILL_S = 0.18
"""From one finder frame to the next while the light of a still is computed, times cores, or 2 where
there are fewer. Module and phone spend 0.05 s of one core on a frame; the rest is the still's."""


class Twin:
    """One unit of a simulated camera; implements `modoptic.source.Source`.

    Parameters
    ----------
    definition : name of a shipped definition or path of a TOML file, see `load_definition`
    scene : what stands before the lens: a name, the path of a picture, or a `Scene`
    seed : decides how this unit differs from the nominal, and its noise. The same seed, scene and
        order of calls give the same pixels.
    real_time : spend the time that exposing and reading take; without it, only computing takes time
    unit : serial number; by default made from the seed
    calibration : of this unit; by default the shipped one, or measured now (some seconds)
    cache_dir : where a calibration measured now is kept for the next time
    progress : told what is measured and the share that is done, where it is measured now
    shake : the hand that holds the camera, whose stabiliser takes its part; by default a tripod.
        Give cameras that are compared the same. Its time, and that of `scenes.Moving`, is 0 s when
        the sensor starts or the scene is new; without ``real_time`` it goes on by a frame a still,
        and for the finder by a frame on its own.

    Raises
    ------
    SettingError, FileError : no such definition or scene, or one with a fault
    """

    def __init__(
        self,
        definition: str | Path | Definition,
        scene: str | Scene = "studio",
        *,
        seed: int = 1,
        real_time: bool = True,
        unit: str | None = None,
        calibration: Calibration | None = None,
        cache_dir: Path | None = None,
        progress: Callable[[str, float], None] = lambda what, done: None,
        shake: HandShake | None = None,
    ) -> None:
        self.definition = (
            definition if isinstance(definition, Definition) else load_definition(definition)
        )
        self.seed = seed
        self.real_time = real_time
        self.info = camera_info(self.definition, unit or f"{seed:06d}")
        self._sensor = Sensor(self.definition.sensor, seed)
        self._response = spectral_response(self.definition)
        self._design = lens_of(self.definition)
        tolerance = float(np.random.default_rng([seed, 0x1E5]).standard_normal())
        self._focal_length_mm = self.definition.focal_length_mm * (
            1.0 + tolerance * self.definition.tolerance.focal_length
        )
        stable = self.definition.stabilisation
        self._hand = (
            shake if shake is None or stable is None
            else shake.stabilised(stable.stops, stable.corner_hz)
        )  # fmt: skip
        self._since_ns = 0
        self._still_s = self._finder_s = 0.0
        self._scene_lock = threading.Lock()
        self._scene_wanted = 0
        self._scene_loading: str | None = None
        self._scene_error: str | None = None
        self._scene = scene if isinstance(scene, Scene) else load_scene(scene)
        self._maps, self._moving = self._light_of(self._scene)

        self._lens_lock = threading.Lock()
        # a built-in camera has no ring that could stand anywhere
        self._focus_m = math.inf if self.info.built_in else RING_AT_M
        self._f_number = self.info.f_number_min
        self._lens_moved_ns = 0
        self._asked: tuple[float, float] | None = None
        self._ring_sequence = 0
        self._listeners: list[Callable[[RingTurned], None]] = []

        self._off = threading.Event()
        self._off.set()
        self._boots = 0
        self._frames = 0
        self._stills = 0
        self._preparing = 0
        self._counting = threading.Lock()
        self._begun_ns = 0
        """When the last frame of the finder was begun."""
        self._announced: list[Settings] = []
        self._last: tuple[Settings, int, int] | None = None
        self.calibration = calibration or calibration_of(
            self.definition, self.info, seed, cache_dir, progress
        )
        self._sensor.mend(self.calibration.defects)

    # --- what hands do

    @property
    def scene(self) -> Scene:
        """What stands before the lens now."""
        return self._scene

    @property
    def scene_loading(self) -> str | None:
        """Name of the scene that takes its place when it is ready, or None."""
        return self._scene_loading

    @property
    def scene_error(self) -> str | None:
        """Why the last scene asked for could not be loaded, or None."""
        return self._scene_error

    @property
    def focus_distance_m(self) -> float:
        """Where the lens stands now."""
        return self._focus_m

    def look(self) -> None:
        """Let light through the lens before anyone asks for a picture.

        The first look at a scene takes a second; on a real sensor light falls at all times.
        """
        self._maps.look(self._lens(self._focus_m, self._f_number))

    def turn_ring(self, focus_distance_m: float) -> None:
        """Turn the focus ring by hand: the lens moves at once, and listeners are told.

        Raises
        ------
        SettingError : no number, or not more than 0
        """
        distance = _number("focus distance", focus_distance_m, "a distance in metres, or infinity")
        if distance <= 0:
            raise SettingError("focus distance", focus_distance_m, "more than 0 m")
        with self._lens_lock:
            self._move(max(distance, self.info.focus_min_m), None)
            self._ring_sequence += 1
            event = RingTurned(
                sequence=self._ring_sequence,
                focus_distance_m=self._focus_m,
                at_ns=self._lens_moved_ns,
            )
            listeners = list(self._listeners)
        for listener in listeners:
            listener(event)

    def set_scene(self, scene: str | Scene) -> threading.Thread:
        """Put something else before the lens; the old scene stays until the new one is ready.

        Returns the thread that loads it. The last scene asked for wins.
        """
        with self._scene_lock:
            self._scene_wanted += 1
            wanted = self._scene_wanted
            self._scene_loading = scene if isinstance(scene, str) else scene.name
            self._scene_error = None

        def load() -> None:
            error = None
            try:
                ready = scene if isinstance(scene, Scene) else load_scene(scene)
                maps, moving = self._light_of(ready)
                maps.look(self._lens(self._focus_m, self._f_number))
                with self._scene_lock:
                    if wanted == self._scene_wanted:
                        self._scene, self._maps, self._moving = ready, maps, moving
                        self._restart_clock()
            except Exception as problem:
                error = str(problem)
            with self._scene_lock:
                if wanted == self._scene_wanted:
                    self._scene_loading, self._scene_error = None, error

        thread = threading.Thread(target=load, name="twin-scene", daemon=True)
        thread.start()
        return thread

    # --- Source

    def start(self) -> None:
        """Power is on. Spends ``start_up.sensor_s`` in real time.

        Raises
        ------
        DetachedError : power went away meanwhile
        """
        self._boots += 1
        self._frames = self._stills = 0
        self._announced.clear()
        self._last = None
        self._restart_clock()
        self._off = threading.Event()
        self._wait_until(self._off, time.monotonic_ns() + int(self.info.start_up.sensor_s * 1e9))

    def stop(self) -> None:
        self._off.set()
        self._maps.rest()

    def close(self) -> None:
        self.stop()
        self._maps.close()
        with self._lens_lock:
            self._listeners.clear()

    def in_force(self, settings: Settings) -> Settings:
        info = self.info
        readouts = self.definition.sensor.readouts
        if settings.readout not in readouts:
            raise SettingError("readout", settings.readout, ", ".join(readouts), info.title)
        if settings.bits not in info.bits:
            expected = " or ".join(map(str, info.bits))
            raise SettingError("bits", settings.bits, expected, info.title)
        exposure = _number("exposure", settings.exposure_s, "seconds")
        gain = _number("gain", settings.gain, "a factor of 1 or more")
        f_number = _number("f-number", settings.f_number, "a number such as 2.8")
        focus = _number("focus distance", settings.focus_distance_m, "metres, or infinity")
        return msgspec.structs.replace(
            settings,
            exposure_s=min(max(exposure, info.exposure_min_s), info.exposure_max_s),
            gain=min(max(gain, 1.0), info.gain_max),
            f_number=min(max(f_number, info.f_number_min), info.f_number_max),
            focus_distance_m=max(focus, info.focus_min_m),
            region=self._region_in_force(settings),
        )

    def describe(self, settings: Settings) -> FrameMeta:
        settings = self.in_force(settings)
        info, window = self.info, self._window(settings)
        depth = 2.0 ** (settings.bits - 12)
        sensor = self.definition.sensor
        cfa = sensor.colors(settings.readout)
        form = bayer_format(cfa, settings.bits, packed=True)
        readout_s = info.readout(settings.readout).readout_s
        whole_height = info.sensor_height // BINNING[settings.readout]
        return FrameMeta(
            module_id=info.id,
            make=info.make,
            model=info.model,
            serial=info.serial,
            lens_model=info.lens_model,
            row_time_ns=round(readout_s / whole_height * 1e9),
            settings=settings,
            iso=info.base_iso * settings.gain,
            focal_length_mm=info.focal_length_mm,
            focal_length_35mm=info.focal_length_35mm,
            width=window.width,
            height=window.height,
            pixel_format=form.name,
            cfa=cfa,
            remosaiced=sensor.is_quad and settings.readout == "full",
            centroid_shift=sensor.centroid_shift(settings.readout),
            black_level=(
                (self.calibration.black_level or self.definition.sensor.black_dn) * depth,
            ),
            white_level=self._sensor.white_level(settings.bits),
            noise=self._noise(settings),
            temperature_c=self.definition.temperature_c,
            calibration=self.calibration.digest() if self.calibration.unit else "",
        )

    def prepare(self, settings: Settings, progress: Callable[[float], None]) -> None:
        """Compute the light of a still, so that `capture` is quick. See `Source.prepare`."""
        settings = self.in_force(settings)
        self._announced.append(settings)
        off = self._off
        if settings.readout != "bin4":
            maps, moving = self._maps, self._moving
            lens, window = (
                self._lens(settings.focus_distance_m, settings.f_number),
                self._window(settings),
            )
            with maps.still(), self._slow_finder():
                if moving is None:
                    maps.window(lens, window, progress=progress, cancelled=off.is_set)
                elif not moving.has_movers:
                    moving.window(
                        lens, window, self._timing(settings, self._still_s), progress=progress,
                        cancelled=off.is_set,
                    )  # fmt: skip
        progress(1.0)

    def capture(
        self, settings: Settings, out: memoryview, rows: Callable[[int], None]
    ) -> FrameMeta:
        """See `Source.capture`. In real time, rows are given when the readout would have them.

        A still whose light was not prepared is prepared here.
        """
        if self._off.is_set():
            raise DetachedError(f"{self.info.title} has no power; start it first")
        settings = self.in_force(settings)
        announced = settings in self._announced
        with self._maps.still() if announced else contextlib.nullcontext():
            return self._capture(settings, announced, out, rows)

    def _capture(
        self, settings: Settings, announced: bool, out: memoryview, rows: Callable[[int], None]
    ) -> FrameMeta:
        off = self._off
        key = self._noise_key(settings)
        maps, moving, lens, began = self._begin(settings, announced, off)
        window = self._window(settings)
        light: Light
        if moving is not None:
            timing = self._next_timing(settings, announced, began)
            light = self._moved(moving, maps, lens, window, timing, off)
            began = max(began, time.monotonic_ns() if settings.readout != "bin4" else began)
        elif settings.readout == "bin4" and settings.region is None:
            light = maps.preview(lens)
        else:
            light = maps.window(lens, window, cancelled=off.is_set)
            began = max(began, time.monotonic_ns() if settings.readout != "bin4" else began)
        settings = msgspec.structs.replace(
            settings, focus_distance_m=lens.focus_distance_m, f_number=lens.f_number
        )
        meta = self.describe(settings)
        end = self._read(light, settings, window, meta, key, began, off, out, rows)
        exposure_end = began + int(settings.exposure_s * 1e9)
        self._last = (settings, exposure_end, end)
        return msgspec.structs.replace(meta, sensor_time_ns=began, readout_end_ns=end)

    def set_lens(
        self, *, focus_distance_m: float | None = None, f_number: float | None = None
    ) -> None:
        info = self.info
        if focus_distance_m is not None:
            focus_distance_m = _number("focus distance", focus_distance_m, "metres, or infinity")
            focus_distance_m = max(focus_distance_m, info.focus_min_m)
        if f_number is not None:
            f_number = _number("f-number", f_number, "a number such as 2.8")
            f_number = min(max(f_number, info.f_number_min), info.f_number_max)
        with self._lens_lock:
            self._move(focus_distance_m, f_number)

    def subscribe(self, listener: Callable[[RingTurned], None]) -> None:
        with self._lens_lock:
            self._listeners.append(listener)
            now = RingTurned(
                sequence=self._ring_sequence,
                focus_distance_m=self._focus_m,
                at_ns=self._lens_moved_ns,
            )
        if not self.info.built_in:
            listener(now)

    # --- inside

    def _light_of(self, scene: Scene) -> tuple[LightMaps, MovingLight | None]:
        """Light of a scene at rest, and of it in motion if anything moves."""
        sensor = self.definition.sensor

        def renderer_of(scene: Scene) -> LightRenderer:
            return LightRenderer(
                scene, self._response, self._design, diffusion_um=sensor.diffusion_um,
                angular=sensor.angular_response, glare=glare_of(self.definition),
            )  # fmt: skip

        renderer = renderer_of(scene)
        moving = MovingLight(scene, renderer, renderer_of, sensor, self._hand)
        moves = self._hand is not None or moving.has_movers
        # the full model's light of the finder is a mosaic, which cannot be displaced
        maps = LightMaps(renderer, sensor, settles=self.real_time and not moves)
        return moving.finder() if moving.has_movers else maps, moving if moves else None

    @contextlib.contextmanager
    def _slow_finder(self) -> Generator[None]:
        """While the light of a still is computed the finder takes fewer of the cores."""
        with self._counting:
            self._preparing += 1
        try:
            yield
        finally:
            with self._counting:
                self._preparing -= 1

    def _restart_clock(self) -> None:
        self._since_ns = time.monotonic_ns()
        self._still_s = self._finder_s = 0.0

    def _timing(self, settings: Settings, start_s: float) -> Timing:
        rows = self.info.sensor_height // BINNING[settings.readout]
        row_s = self.info.readout(settings.readout).readout_s / rows
        return Timing(start_s, settings.exposure_s, row_s)

    def _next_timing(self, settings: Settings, announced: bool, began: int) -> Timing:
        """Of a frame that begins now, as hands and scene count time; see ``shake``."""
        if self.real_time:
            return self._timing(settings, (began - self._since_ns) * 1e-9)
        mode = self.info.readout(settings.readout)
        frame_s = max(settings.exposure_s + mode.readout_s, 1.0 / mode.frame_rate_max)
        if announced:
            self._still_s += frame_s
            return self._timing(settings, self._still_s - frame_s)
        self._finder_s += frame_s
        return self._timing(settings, self._finder_s - frame_s)

    def _moved(
        self, moving: MovingLight, maps: LightMaps, lens: LensState, window: Window,
        timing: Timing, off: threading.Event,
    ) -> Light:  # fmt: skip
        whole = window.width == self.info.sensor_width // BINNING[window.readout]
        whole = whole and window.height == self.info.sensor_height // BINNING[window.readout]
        if window.readout == "bin4" and whole:
            light = maps.preview(lens)
            if not isinstance(light, CompactLight):
                return moving.preview(lens, light, timing)
        return moving.window(lens, window, timing, cancelled=off.is_set)

    def _move(self, focus_m: float | None, f_number: float | None) -> None:
        """Move the lens; its lock is held."""
        focus_m = self._focus_m if focus_m is None else focus_m
        f_number = self._f_number if f_number is None else f_number
        if (focus_m, f_number) != (self._focus_m, self._f_number):
            self._focus_m, self._f_number = focus_m, f_number
        self._lens_moved_ns = time.monotonic_ns()

    def _noise_key(self, settings: Settings) -> int:
        """Of the next frame. Stills are counted apart from the finder's frames.

        How many finder frames there were is a matter of time, so a still's noise would not repeat.
        """
        if settings in self._announced:
            self._announced.remove(settings)
            self._stills += 1
            return frame_key(self.info.id, self._boots, "still", self._stills)
        self._frames += 1
        return frame_key(self.info.id, self._boots, self._frames)

    def _lens(self, focus_m: float, f_number: float) -> LensState:
        return LensState(self._focal_length_mm, f_number, focus_m, self.definition.transmittance)

    def _begin(
        self, settings: Settings, announced: bool, off: threading.Event
    ) -> tuple[LightMaps, MovingLight | None, LensState, int]:
        """Put the lens where it shall be and begin to expose.

        The finder repeats its settings; they move the lens when they change, so that an older
        request does not turn back what a hand or `set_lens` did meanwhile. A still says where the
        lens shall be.
        """
        exposure, earliest = int(settings.exposure_s * 1e9), 0
        if self._last is not None:
            mode = self.info.readout(settings.readout)
            pause = int((1.0 / mode.frame_rate_max - mode.readout_s) * 1e9)
            earliest = self._last[2] + pause - exposure
            self._wait_until(off, earliest)
        finder = settings.readout == "bin4" and not announced
        if finder and self._preparing:
            self._wait_until(off, self._begun_ns + _beside_still_ns())
        asked = (settings.focus_distance_m, settings.f_number)
        with self._lens_lock:
            if settings.readout != "bin4" or asked != self._asked:
                if asked != (self._focus_m, self._f_number):
                    self._move(*asked)
                self._asked = asked
            lens = self._lens(self._focus_m, self._f_number)
            now = time.monotonic_ns()
            self._begun_ns = now if finder else self._begun_ns
            began = now
            if self._last is not None and self._last[0].exposure_s == settings.exposure_s:
                # while a frame is read, the rows already read expose the next one
                began = min(now, max(self._last[1], self._lens_moved_ns, now - exposure, earliest))
            return self._maps, self._moving, lens, began

    def _read(
        self,
        light: Light,
        settings: Settings,
        window: Window,
        meta: FrameMeta,
        key: int,
        began: int,
        off: threading.Event,
        out: memoryview,
        rows: Callable[[int], None],
    ) -> int:
        """Make noise and pack, band by band; returns when the last row was read."""
        form = pixel_format(meta.pixel_format)
        row_bytes = form.row_bytes(window.width)
        size = row_bytes * window.height
        if len(out) < size:
            raise SettingError("frame buffer", f"{len(out)} bytes", f"{size} bytes")
        packed = np.frombuffer(out, np.uint8, size).reshape(window.height, row_bytes)
        shot = Shot(
            exposure_s=settings.exposure_s,
            gain=settings.gain,
            readout=settings.readout,
            bits=settings.bits,
            origin=(window.x, window.y),
            temperature_c=self.definition.temperature_c,
            key=key,
        )
        exposed = began + int(settings.exposure_s * 1e9)

        def work(first: int, end: int) -> None:
            if off.is_set():
                raise DetachedError("power went away while a frame was read")
            self._sensor.expose(light, shot, packed, (first, end))

        def read_at(count: int) -> int:
            return exposed + count * meta.row_time_ns

        def done(count: int) -> None:
            self._wait_until(off, read_at(count))
            rows(count)

        if size < _SMALL_FRAME:
            # beside a still that is being prepared, the pool would keep a finder frame waiting; all
            # is made while it is exposed and read, so that it is there when the last row is
            ready: deque[int] = deque()
            for first, end in bands(window.height, _BAND_ROWS):
                work(first, end)
                ready.append(end)
                while ready and (not self.real_time or read_at(ready[0]) <= time.monotonic_ns()):
                    done(ready.popleft())
            for count in ready:
                done(count)
        else:
            run_bands(work, window.height, _BAND_ROWS, done=done)
        return time.monotonic_ns()

    def _wait_until(self, off: threading.Event, moment_ns: int) -> None:
        left = moment_ns - time.monotonic_ns() if self.real_time else 0
        if off.wait(left * 1e-9) if left > 0 else off.is_set():
            raise DetachedError("power went away")

    def _window(self, settings: Settings) -> Window:
        side = BINNING[settings.readout]
        x, y, width, height = settings.region or (
            0, 0, self.info.sensor_width, self.info.sensor_height
        )  # fmt: skip
        # the same light falls on what is sent as it is and on what is remosaiced
        readout = "full" if settings.readout == "native" else settings.readout
        return Window(readout, x // side, y // side, width // side, height // side)

    def _region_in_force(self, settings: Settings) -> tuple[int, int, int, int] | None:
        if settings.region is None:
            return None
        side = BINNING[settings.readout]
        x, y, width, height = settings.region
        if width <= 0 or height <= 0:
            raise SettingError("region", settings.region, "a width and a height of 1 or more")
        # whole cells of the mosaic that is read
        cell = len(self.definition.sensor.mosaic) if side == 1 else 2 * side
        left, right = _outward(x, x + width, cell, 4 * side, self.info.sensor_width)
        top, bottom = _outward(y, y + height, cell, cell, self.info.sensor_height)
        return left, top, right - left, bottom - top

    def _noise(self, settings: Settings) -> NoiseModel:
        """As measured for single photosites; a binned readout averages n.

        Where charges are added before they are read, there is as much noise of the dark in a sum as
        in one photosite.
        """
        points = self.calibration.noise
        if not points:
            return NoiseModel()
        side = BINNING[settings.readout]
        together = self.definition.sensor.charge_side(settings.readout)
        dark = together**4 * (side // together) ** 2
        gains = np.log([p.gain for p in points])
        at = math.log(settings.gain)
        scale = math.exp(np.interp(at, gains, np.log([p.scale for p in points])))
        offset = math.exp(np.interp(at, gains, np.log([p.offset for p in points])))
        return NoiseModel(scale=scale / side**2, offset=offset / dark)


def _beside_still_ns() -> int:
    return int(_BESIDE_STILL_S / max(worker_count(), 2) * 1e9)


def _number(feature: str, value: float, expected: str) -> float:
    if math.isnan(value):
        raise SettingError(feature, value, expected)
    return float(value)


def _outward(first: int, end: int, step: int, multiple: int, size: int) -> tuple[int, int]:
    """The smallest readable span about first .. end that lies within 0 .. size."""
    first = min(max(first, 0), size - multiple) // step * step
    end = min(max(end, first + 1), size)
    length = -(-(end - first) // multiple) * multiple
    return (first, first + length) if first + length <= size else (size - length, size)
