"""What the phone shows and what can be asked of it: the contract between the phone and its page.

`PhoneState` is a whole picture of the phone at one moment; the page draws it and keeps nothing.
Every `Action` is a message that the page, a script or a test may send. Both travel as JSON.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class Control(msgspec.Struct, frozen=True, kw_only=True):
    """One exposure control: what is in force, whether the camera chose it, and its range."""

    value: float
    auto: bool
    minimum: float
    maximum: float


class LensState(msgspec.Struct, frozen=True, kw_only=True):
    focus_distance_m: float | None
    """None is infinity (JSON has no infinity)."""
    focus_min_m: float
    near_m: float
    """Near and far limit of acceptable sharpness (circle of confusion: diagonal / 1500)."""
    far_m: float | None
    hyperfocal_m: float
    f_number: Control


class CameraState(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    title: str
    sensor_format: str
    focal_length_mm: float
    focal_length_35mm: float
    sensor_width: int
    sensor_height: int
    built_in: bool


class DockState(msgspec.Struct, frozen=True, kw_only=True):
    """The dock, as `laserlink` names its states."""

    state: str = "DETACHED"
    """DETACHED SEATING ATTACHED ACTIVATED ENUMERATED WAITING_CONSENT READY OFF REFUSED FAULT"""
    why: str = ""
    """One line for people, where the state needs one."""
    known: bool = False
    ready_ms: float | None = None
    """From the seat signal to the first picture of the module, last time."""
    power_mw: float = 0.0
    link_gbit_s: float = 0.0
    """Payload rate of the last photo, or of the last second where there was none."""
    carrier: str = "memory"


class ShotState(msgspec.Struct, frozen=True, kw_only=True):
    """A photo under way."""

    name: str
    phase: Literal[
        "waiting", "preparing", "exposing", "crossing", "developing", "saving", "done", "lost"
    ]
    fraction: float
    why: str = ""
    megapixels: float = 0.0


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """Something to tell the photographer; newest last; the page shows those it has not shown."""

    id: int
    level: Literal["info", "warning", "error"]
    text: str
    shot: str = ""


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Measured, not assumed."""

    attach_ms: float | None = None
    frame_age_ms: float | None = None
    """End of readout to JPEG ready."""
    frame_rate: float = 0.0
    skipped: int = 0
    link_gbit_s: float = 0.0
    shot_s: float | None = None
    """Release to JPEG in the gallery, last photo."""
    develop_s: float | None = None


class PhoneState(msgspec.Struct, frozen=True, kw_only=True):
    sequence: int
    active: str | None
    """Id of the camera whose picture is shown."""
    cameras: tuple[CameraState, ...]
    dock: DockState
    lens: LensState | None
    exposure_s: Control | None
    iso: Control | None
    ev: float
    """Exposure compensation in stops."""
    white_balance: Literal["auto", "manual"]
    white_kelvin: float
    auto_switch: bool
    magnifier: tuple[float, float] | None
    """Centre of the magnified part, 0..1 of the picture, or None."""
    still_megapixels: tuple[float, ...]
    """What can be chosen: 25 and 100 for the module."""
    still_size: float
    save_dng: bool
    dng_compression: Literal["jpeg", "jpegxl"]
    shots: tuple[ShotState, ...]
    notices: tuple[Notice, ...]
    figures: Figures
    histogram: tuple[int, ...] = ()
    """64 bins of raw luminance after white balance; bin i begins at (i / 64) squared; counts
    scaled to 0..255."""
    clipped: float = 0.0
    """Part of the photosites at the white level."""
    gallery_dir: str = ""
    hands: bool = False
    """A twin is attached whose hands can be moved from the page; filled in by the server."""


class SetControls(msgspec.Struct, frozen=True, kw_only=True, tag="set", omit_defaults=True):
    """Take over controls by hand; a field left out stays as it is."""

    f_number: float | None = None
    exposure_s: float | None = None
    iso: float | None = None
    ev: float | None = None
    white_kelvin: float | None = None
    focus_distance_m: float | None = None
    """0 means infinity."""
    auto: tuple[Literal["f_number", "exposure_s", "iso", "white_balance"], ...] = ()
    """Controls to give back to the camera."""


class Choose(msgspec.Struct, frozen=True, kw_only=True, tag="choose", omit_defaults=True):
    """Settings of the phone; kept."""

    still_size: float | None = None
    save_dng: bool | None = None
    dng_compression: Literal["jpeg", "jpegxl"] | None = None
    auto_switch: bool | None = None


class SwitchCamera(msgspec.Struct, frozen=True, kw_only=True, tag="switch"):
    camera: str


class Magnify(msgspec.Struct, frozen=True, kw_only=True, tag="magnify"):
    """Show the sensor's own pixels around ``at`` (0..1 of the picture); None closes."""

    at: tuple[float, float] | None


class Shoot(msgspec.Struct, frozen=True, kw_only=True, tag="shoot"):
    pass


class AutoFocus(msgspec.Struct, frozen=True, kw_only=True, tag="focus_at"):
    """Focus on what lies at ``at`` (0..1 of the picture)."""

    at: tuple[float, float]


Action = SetControls | Choose | SwitchCamera | Magnify | Shoot | AutoFocus


class FinderHeader(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the finder picture that is shown."""

    sequence: int
    camera: str
    frame_id: int
    width: int
    height: int
    kind: Literal["finder", "magnifier"]
    exposure_s: float
    iso: float
    f_number: float
    focus_distance_m: float | None
    mid_exposure_ns: int
    """CLOCK_MONOTONIC of the machine in this version (module and phone share it)."""
    start_ns: int
    """Start of the exposure."""
    readout_end_ns: int
    ready_ns: int
    """JPEG ready on the phone side."""


class FinderFrame(msgspec.Struct, frozen=True, kw_only=True):
    header: FinderHeader
    jpeg: bytes
