"""Where pixels come from: the contract between a camera and the module end of the link.

The digital twin, a replay of raw files and (later) real cameras are all a `Source`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from modoptic.calibration import Calibration
from modoptic.frame import FrameMeta, Readout, Settings


class ReadoutMode(msgspec.Struct, frozen=True, kw_only=True):
    """One way to read the sensor."""

    name: Readout
    width: int
    height: int
    readout_s: float
    """Time from the first row to the last."""
    frame_rate_max: float


class StartUp(msgspec.Struct, frozen=True, kw_only=True):
    """What a module spends between being seated and its first frame, in seconds."""

    debounce_s: float = 0.020
    ramp_s: float = 0.010
    light_lock_s: float = 0.005
    controller_s: float = 0.020
    sensor_s: float = 0.030


class CameraInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a camera is and can do. Part of its manifest; never changes while it is on."""

    id: str
    """Of the unit: ``model-serial``."""
    make: str
    model: str
    serial: str
    title: str
    """Short name for people: ``35 mm f/1.4``."""
    lens_model: str = ""
    sensor_format: str = ""
    """As photographers say it: ``4/3``, ``1 inch``."""
    sensor_width: int
    """Photosites of the full array."""
    sensor_height: int
    pitch_um: float
    cfa: tuple[str, ...] = ("RG", "GB")
    focal_length_mm: float
    focal_length_35mm: float
    f_number_min: float
    f_number_max: float
    focus_min_m: float
    base_iso: float
    gain_max: float
    exposure_min_s: float
    exposure_max_s: float
    bits: tuple[int, ...] = (12,)
    readouts: tuple[ReadoutMode, ...]
    still_default: Readout = "bin2"
    """What a normal photo is read with; ``full`` is every photosite."""
    still_buffers: int = 2
    built_in: bool = False
    start_up: StartUp = StartUp()
    power_mw: dict[str, float] = {}
    """By state: ``standby``, ``finder``, ``still``."""

    def readout(self, name: str) -> ReadoutMode:
        return next(mode for mode in self.readouts if mode.name == name)


class RingTurned(msgspec.Struct, frozen=True, tag="RingTurned"):
    """The focus ring was turned by hand; absolute, newer replaces older."""

    sequence: int
    focus_distance_m: float
    at_ns: int
    """When the hand turned it, in the module's clock."""


class Source(Protocol):
    """A camera as the module end of the link sees it.

    ``capture`` is called from one thread at a time; ``set_lens`` and ``subscribe`` from any.
    """

    info: CameraInfo
    calibration: Calibration

    def start(self) -> None:
        """Power is on: get ready to expose. Spends the real start-up time of the sensor."""
        ...

    def stop(self) -> None:
        """Power is gone, at any moment: a capture under way raises `DetachedError` soon."""
        ...

    def close(self) -> None:
        """Give everything back; the source is not used again."""
        ...

    def in_force(self, settings: Settings) -> Settings:
        """The nearest settings that the camera has; a region is rounded outward.

        Raises
        ------
        SettingError : a value that is no number, or a readout or bit depth that does not exist
        """
        ...

    def prepare(self, settings: Settings, progress: Callable[[float], None]) -> None:
        """Do what takes long before ``capture`` with these settings, while the finder goes on.

        A real camera has nothing to do here; the twin computes the light that falls on the sensor.
        Runs in a thread of its own beside ``capture``; ``progress`` gets 0..1.
        """
        ...

    def capture(
        self, settings: Settings, out: memoryview, rows: Callable[[int], None]
    ) -> FrameMeta:
        """Expose once and read into ``out`` (packed as `describe` says).

        ``rows(n)`` is called as the first n rows lie in ``out``, the last time with all. Blocks for
        exposure and readout. Returns what is known of the frame; ids are filled in by the module.
        """
        ...

    def describe(self, settings: Settings) -> FrameMeta:
        """What a frame with these settings would be: size, format, levels. Used for the leader."""
        ...

    def set_lens(
        self, *, focus_distance_m: float | None = None, f_number: float | None = None
    ) -> None:
        """Move the lens at once, before the next exposure asks for it (focus by wire)."""
        ...

    def subscribe(self, listener: Callable[[RingTurned], None]) -> None:
        """Call ``listener``, from any thread, when the hand turns the ring.

        And at once with where it stands, if there is a ring.
        """
        ...
