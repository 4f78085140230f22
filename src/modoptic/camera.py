"""A camera from Python: open it, set it, take a picture, save it.

``open`` starts the module as a process of its own and talks to it over the link, exactly as the
phone does; nothing is faked for being called from a script.
"""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

import msgspec
import numpy as np
import numpy.typing as npt

from modoptic.calibration import Calibration
from modoptic.devices import DeviceProcess, start_device
from modoptic.errors import CaptureError, DetachedError, SettingError
from modoptic.frame import Frame, FrameMeta, Readout, Settings
from modoptic.host import AutoExposure, FrameStats, Manual, Metering
from modoptic.isp import Develop, FinderStats, auto_white, even_colors, statistics
from modoptic.isp import develop as develop_frame
from modoptic.laserlink import HostEnd, Manifest, StillBuffer
from modoptic.photo import write_jpeg
from modoptic.rawfile import Compression, RawFile, check_compression, read_raw, write_dng
from modoptic.source import CameraInfo, RingTurned

if TYPE_CHECKING:
    from modoptic.scenes import HandShake

RGB = npt.NDArray[np.uint8]
Size = Literal["default", "full", "finder", "native"]
Progress = Callable[[str, float], None]

READY_WITHIN_S = 10.0
FINDER_WITHIN_S = 30.0
LOOK_EVERY_S = 0.1
STILL_WITHIN_S = 300.0
METERED_FRAMES_MAX = 6
METER_SETTLED_STOPS = 0.08


class Shot:
    """A picture that was taken: the raw, and what is known about it."""

    def __init__(self, frame: Frame, calibration: Calibration) -> None:
        self.frame = frame
        self.calibration = calibration

    @property
    def meta(self) -> FrameMeta:
        return self.frame.meta

    def mosaic(self) -> npt.NDArray[np.uint16]:
        """The raw, uint16 DN, shape ``(height, width)``."""
        return self.frame.mosaic()

    def develop(self, **params: Any) -> RGB:
        """The finished picture, uint8 sRGB, shape ``(height, width, 3)``; see `isp.Develop`."""
        return develop_frame(self.frame, Develop.of(**params), calibration=self.calibration)

    @staticmethod
    def check_target(path: Path | str) -> None:
        """Raise `SettingError` unless ``path`` ends in a kind that `save` knows."""
        if Path(path).suffix.lower() not in (".dng", ".jpg", ".jpeg"):
            raise SettingError("file name", str(path), "one that ends in .dng, .jpg or .jpeg")

    def save(self, path: Path | str, *, compression: Compression = "jpeg", **params: Any) -> Path:
        """Save as DNG (lossless) or JPEG, by the name's ending; whole or not at all.

        ``compression`` is that of `rawfile.write_dng`, for a DNG; ``params`` are those of
        `isp.Develop`, for a JPEG. Raises `SettingError` for any that there is not.
        """
        self.check_target(path)
        check_compression(compression)
        Develop.of(**params)
        target = Path(path)
        if target.suffix.lower() == ".dng":
            write_dng(target, self.frame, self.calibration, compression=compression)
        else:
            write_jpeg(target, self.develop(**params), self.meta)
        return target


class Capture:
    """A picture under way."""

    def __init__(self, future: Future[Shot]) -> None:
        self._future = future

    def result(self, timeout_s: float = STILL_WITHIN_S) -> Shot:
        """Wait for the picture.

        Raises
        ------
        CaptureError : it was not taken, with the reason
        TimeoutError : it is not there after ``timeout_s``
        """
        return self._future.result(timeout_s)

    def done(self) -> bool:
        return self._future.done()


class _Still:
    """A still that was asked for: whom to tell, and its frame once it begins to cross."""

    def __init__(self, progress: Progress | None) -> None:
        self.future: Future[Frame] = Future()
        self.progress = progress
        self.frame: StillBuffer | None = None


class _Listener:
    """Takes what the link says and hands it on; every method returns at once."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.is_ready = threading.Event()
        self.gone: str | None = None
        self.manifest: Manifest | None = None
        self.finder_frames: queue.Queue[Frame] = queue.Queue(4)
        self.stills: dict[int, _Still] = {}

    def dock_changed(self, state: str, why: str, at_ns: int) -> None:
        if state in ("REFUSED", "FAULT"):
            self.gone = why
            self.is_ready.set()

    def ready(self, manifest: Manifest, known: bool) -> None:
        self.manifest = manifest
        self.is_ready.set()

    def detached(self, why: str) -> None:
        with self.lock:
            self.gone = self.gone or why
            stills, self.stills = self.stills, {}
        for number, still in stills.items():
            still.future.set_exception(CaptureError(f"photo {number}", why))

    def ring_turned(self, event: RingTurned) -> None:
        pass

    def finder(self, name: str, frame: Frame) -> None:
        try:
            self.finder_frames.put_nowait(frame)
        except queue.Full:
            frame.release()

    def still_progress(self, request_id: int, phase: str, fraction: float) -> None:
        with self.lock:
            still = self.stills.get(request_id)
        if still is not None and still.progress is not None:
            still.progress(phase, fraction)

    def still_begins(self, request_id: int, frame: StillBuffer) -> None:
        with self.lock:
            still = self.stills.get(request_id)
        if still is None:
            frame.release()
        else:
            still.frame = frame

    def still_done(self, request_id: int) -> None:
        with self.lock:
            still = self.stills.pop(request_id, None)
        if still is not None and still.frame is not None:
            still.future.set_result(still.frame)

    def still_lost(self, request_id: int, why: str, frame: Frame | None) -> None:
        with self.lock:
            still = self.stills.pop(request_id, None)
        if frame is not None:
            frame.release()
        if still is not None:
            still.future.set_exception(CaptureError(f"photo {request_id}", why))


class _Meter(NamedTuple):
    """What was set when a picture was asked for; None is metered."""

    settings: Settings
    exposure_s: float | None
    iso: float | None


class Camera:
    """A camera that is attached. Made by `open`; a context manager."""

    def __init__(self, address: str, device: DeviceProcess | None = None) -> None:
        self._device = device
        self._listener = _Listener()
        self._link = HostEnd(address, self._listener)
        self._link.start()
        if not self._listener.is_ready.wait(READY_WITHIN_S) or self._listener.manifest is None:
            why = self._listener.gone or f"nothing answered within {READY_WITHIN_S:g} s"
            self.close()
            raise DetachedError(f"{address}: {why}")
        self._manifest = self._listener.manifest
        info = self.info
        self._settings = Settings(
            f_number=min(max(2.8, info.f_number_min), info.f_number_max),
            focus_distance_m=max(1.0, info.focus_min_m),
            readout=info.still_default,
            bits=_bits(12 if 12 in info.bits else info.bits[0]),
        )
        self._finder_bits = self._settings.bits
        self._exposure_s: float | None = None
        self._iso: float | None = None
        self._taking: threading.Thread | None = None
        """Of the last picture, until it was asked for."""

    @property
    def info(self) -> CameraInfo:
        return self._manifest.info

    @property
    def calibration(self) -> Calibration:
        return self._manifest.calibration

    @property
    def device(self) -> DeviceProcess | None:
        """The process that runs the module, where `open` started one."""
        return self._device

    def set(
        self,
        *,
        aperture: float | None = None,
        focus_distance_m: float | None = None,
        exposure_s: float | None = None,
        iso: float | None = None,
        size: Size | None = None,
        bits: int | None = None,
    ) -> None:
        """Set by hand; what is left out stays. Exposure and ISO are metered until they are set.

        Parameters
        ----------
        aperture : f-number that the lens has
        focus_distance_m : metres from the sensor, ``inf`` for infinity
        exposure_s, iso : shutter in seconds, sensitivity
        size : ``default`` (binned 2 x 2), ``full`` (every photosite), ``finder`` (binned 4 x 4) or
            ``native`` (every photosite as it lies, of a sensor whose mosaic is not Bayer)
        bits : depth of the raw, 12 or 14 where the camera has it

        Raises
        ------
        SettingError : a value that this camera does not have
        """
        info = self.info
        if aperture is not None:
            _within("aperture", aperture, info.f_number_min, info.f_number_max, info.title)
        if focus_distance_m is not None:
            _within("focus distance", focus_distance_m, info.focus_min_m, math.inf, info.title)
        if exposure_s is not None:
            _within("exposure", exposure_s, info.exposure_min_s, info.exposure_max_s, info.title)
        if iso is not None:
            _within("ISO", iso, info.base_iso, info.base_iso * info.gain_max, info.title)
        readouts: dict[Size, Readout] = {
            "default": info.still_default,
            "full": "full",
            "finder": "bin4",
            "native": "native",
        }
        names = {mode.name for mode in info.readouts}
        readouts = {name: mode for name, mode in readouts.items() if mode in names}
        if size is not None and size not in readouts:
            raise SettingError("size", size, ", ".join(readouts), info.title)
        if bits is not None and bits not in info.bits:
            raise SettingError("bits", bits, " or ".join(map(str, info.bits)), info.title)
        was = self._settings
        self._settings = msgspec.structs.replace(
            was,
            f_number=was.f_number if aperture is None else aperture,
            focus_distance_m=was.focus_distance_m if focus_distance_m is None else focus_distance_m,
            readout=was.readout if size is None else readouts[size],
            bits=was.bits if bits is None else _bits(bits),
        )
        self._exposure_s = self._exposure_s if exposure_s is None else exposure_s
        self._iso = self._iso if iso is None else iso

    def capture(self, *, progress: Progress | None = None) -> Capture:
        """Take a picture; returns at once with a `Capture` to wait for.

        Metering and the picture follow in another thread, which also calls ``progress(phase,
        fraction)``. Pictures are taken in the order in which they were asked for.

        Raises
        ------
        DetachedError : the module is gone already
        """
        if self._listener.gone is not None:
            raise DetachedError(f"{self.info.title}: {self._listener.gone}")
        shot: Future[Shot] = Future()
        meter = _Meter(self._settings, self._exposure_s, self._iso)
        self._taking = threading.Thread(
            target=self._take, args=(meter, shot, progress, self._taking), daemon=True
        )
        self._taking.start()
        return Capture(shot)

    def _take(
        self,
        meter: _Meter,
        shot: Future[Shot],
        progress: Progress | None,
        before: threading.Thread | None,
    ) -> None:
        """Meter and ask for the picture; whatever fails is said by ``shot``."""
        if before is not None:
            before.join()
        try:
            settings, neutral = self._metered(meter)
            taken = datetime.now().astimezone().isoformat(timespec="milliseconds")
            listener = self._listener
            with listener.lock:
                if listener.gone is not None:
                    raise DetachedError(listener.gone)
                still = listener.stills[self._link.shoot(settings)] = _Still(progress)
        except DetachedError as error:
            shot.set_exception(CaptureError("the photo", str(error)))
            return
        except Exception as error:
            shot.set_exception(error)
            return

        def arrived(done: Future[Frame]) -> None:
            error = done.exception()
            if error is not None:
                shot.set_exception(error)
                return
            frame = done.result()
            self._link.ack_durable(frame.meta.frame_id)  # it lies in this process now
            frame.meta = msgspec.structs.replace(
                frame.meta, as_shot_neutral=neutral, taken=taken, software=_software()
            )
            shot.set_result(Shot(frame, self.calibration))

        still.future.add_done_callback(arrived)

    def _metered(self, wanted: _Meter) -> tuple[Settings, tuple[float, float, float]]:
        """Settings with exposure and gain filled in, and what shall look neutral.

        From the finder's raw, by the phone's own meter; two or three frames settle it. Where
        exposure and ISO were set by hand, one frame tells the white.
        """
        info = self.info
        meter = AutoExposure(info)
        still = wanted.settings
        by_hand = wanted.exposure_s is not None and wanted.iso is not None
        manual = Manual(
            f_number=still.f_number,
            exposure_s=wanted.exposure_s,
            gain=None if wanted.iso is None else wanted.iso / info.base_iso,
        )
        neutral = (1.0, 1.0, 1.0)
        for _ in range(METERED_FRAMES_MAX):
            before = meter.wanted
            exposure_s, gain, _ = meter.choose(manual, 0.0)
            still = msgspec.structs.replace(still, exposure_s=exposure_s, gain=gain)
            stats, in_force = self._finder_frame(
                msgspec.structs.replace(still, readout="bin4", bits=self._finder_bits)
            )
            light = FrameStats.of(stats)
            meter.meter(Metering(light.level, light.highlight, light.clipped, in_force))
            zones = even_colors(stats.zones, self.calibration, in_force)
            neutral = auto_white(zones, self.calibration)
            if by_hand or abs(meter.wanted - before) < METER_SETTLED_STOPS:
                break
        return still, neutral

    def _finder_frame(self, settings: Settings) -> tuple[FinderStats, Settings]:
        """Statistics of the first finder frame that was taken with ``settings``."""
        request = self._link.stream("finder", settings)
        deadline = time.monotonic() + FINDER_WITHIN_S
        try:
            while True:
                if self._listener.gone is not None:
                    raise DetachedError(self._listener.gone)
                if time.monotonic() > deadline:
                    raise DetachedError(f"no finder picture came within {FINDER_WITHIN_S:g} s")
                try:
                    frame = self._listener.finder_frames.get(timeout=LOOK_EVERY_S)
                except queue.Empty:
                    continue
                try:
                    if frame.meta.request_id == request:
                        return statistics(frame), frame.meta.settings
                finally:
                    frame.release()
        finally:
            if self._listener.gone is None:
                self._link.stop_stream("finder")

    def close(self) -> None:
        """Let the module go and end its process; pictures under way are not taken."""
        self._listener.detached("the camera was closed")
        self._link.close()
        if self._device is not None:
            self._device.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _within(feature: str, value: float, low: float, high: float, where: str) -> None:
    # a thousandth of slack: 1.4 is engraved where 1.414 is meant
    if not low * 0.999 <= value <= high * 1.001:
        raise SettingError(feature, value, f"{low:g} to {high:g}", where)


def _bits(depth: int) -> Literal[12, 14]:
    return 14 if depth == 14 else 12


def _software() -> str:
    import modoptic

    return f"modoptic {modoptic.__version__}"


def open(  # noqa: A001
    camera: str | Path = "xiaomi-mos-35",
    *,
    scene: str = "studio",
    depth: str | None = None,
    seed: int = 1,
    replay: tuple[str, ...] = (),
    real_time: bool = True,
    shake: float | HandShake = 0.0,
) -> Camera:
    """Open a simulated camera module, or raw files played as one.

    Parameters
    ----------
    camera : name or TOML file of a definition, or the address of a module that runs already
        (``memory:/...`` or ``tcp://127.0.0.1:port``)
    scene : ``studio``, ``motorcycle``, ``colorchecker``, ``chart``, ``flat``, or a picture file;
        the charts take a light: ``colorchecker@F11`` (see `scenes.illuminant`)
    depth : depth map for a picture file
    seed : of the unit and its noise; the same seed gives the same picture
    replay : raw files to play instead of simulating
    real_time : False lets exposure and readout take no time
    shake : the hand that holds the camera: a `scenes.HandShake`, or its turning in rad/s rms an
        axis, 0 to 1, of a hand of seed 1; 0 is a tripod. Give cameras that are compared the same.

    Raises
    ------
    LinkError : the module did not come up
    DetachedError : it came up and did not answer
    """
    if isinstance(camera, str) and camera.startswith(("memory:", "tcp:")):
        return Camera(camera)
    device = start_device(
        camera, scene=scene, depth=depth, seed=seed, replay=replay, real_time=real_time,
        shake=shake,
    )  # fmt: skip
    try:
        return Camera(device.address, device)
    except BaseException:
        device.close()
        raise


def develop(
    raw: Path | str | Frame | RawFile | Shot,
    *,
    progress: Callable[[float], None] | None = None,
    **params: Any,
) -> RGB:
    """A raw to a finished picture: uint8 sRGB, shape ``(height, width, 3)``.

    ``params`` are those of `isp.Develop`. Raises `RawFileError` for a file that is no raw,
    `SettingError` for a parameter that there is not.
    """
    wanted = Develop.of(**params)
    if isinstance(raw, str | Path):
        raw = read_raw(raw)
    calibration = None if isinstance(raw, Frame) else raw.calibration
    frame = raw if isinstance(raw, Frame) else raw.frame
    return develop_frame(frame, wanted, calibration=calibration, progress=progress)
