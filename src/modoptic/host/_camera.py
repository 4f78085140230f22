"""One camera that is attached, as the phone handles it: its controls, its light, its lens."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import numpy.typing as npt

from modoptic.calibration import Calibration
from modoptic.errors import SettingError
from modoptic.frame import Settings
from modoptic.host._autofocus import AutoFocus
from modoptic.host._depth_of_field import circle_of_confusion_m, depth_of_field
from modoptic.host._exposure import AutoExposure, Manual, Metering
from modoptic.host._white_balance import KELVIN_LIMITS, AutoWhiteBalance, Neutral
from modoptic.host.state import CameraState, Control, LensState, SetControls
from modoptic.isp import FinderLook, neutral_from_kelvin
from modoptic.source import CameraInfo

EV_LIMIT = 5.0
_MAGNIFIED = (960, 720)
"""Photosites that the magnifier shows."""
_LEAST_CHANGE_STOPS = 0.02
_AUTOFOCUS_S = 1.5


class Camera:
    """Controls of a camera from the moment it is ready. Used from the phone's thread only.

    Parameters
    ----------
    info, calibration : from its manifest
    before : the camera in use before, whose exposure and white balance are where this one begins
    """

    def __init__(
        self,
        info: CameraInfo,
        calibration: Calibration,
        before: Camera | None,
    ) -> None:
        self.info = info
        self.calibration = calibration
        self.manual = Manual()
        self.ev = 0.0
        self.kelvin_by_hand: float | None = None
        self.exposure = AutoExposure(info, before.exposure.wanted if before else None)
        self.white = AutoWhiteBalance(calibration, before.white.kelvin if before else None)
        self.magnified: tuple[float, float] | None = None
        self.autofocus: AutoFocus | None = None
        self.autofocus_at = (0.5, 0.5)
        self._look: FinderLook | None = None
        self._confusion_m = circle_of_confusion_m(
            info.sensor_width, info.sensor_height, info.pitch_um
        )
        exposure_s, gain, f_number = self.exposure.choose(self.manual, 0.0)
        hyperfocal = depth_of_field(
            info.focal_length_mm, f_number, math.inf, self._confusion_m
        ).hyperfocal_m
        self.settings = Settings(
            exposure_s=exposure_s,
            gain=gain,
            f_number=f_number,
            # a lens without a position of its own starts where most is sharp
            focus_distance_m=max(hyperfocal, info.focus_min_m),
            readout="bin4",
        )

    @property
    def kelvin(self) -> float:
        return self.kelvin_by_hand or self.white.kelvin

    @property
    def neutral(self) -> Neutral:
        """Camera RGB of grey, as it is shown and noted in photos."""
        if self.kelvin_by_hand is not None:
            return neutral_from_kelvin(self.calibration, self.kelvin_by_hand)
        return self.white.neutral

    def look(self) -> FinderLook:
        """How its finder frames are shown."""
        neutral = self.neutral
        if self._look is None or self._look.neutral != neutral:
            self._look = FinderLook.of(self.calibration, neutral)
        return self._look

    # what the photographer does

    def check(self, change: SetControls) -> None:
        """Raise `SettingError` for anything in ``change`` that this camera does not have."""
        info = self.info
        iso = (info.base_iso, info.base_iso * info.gain_max)
        self._within("aperture", change.f_number, info.f_number_min, info.f_number_max, "f/{:g}")
        self._within(
            "shutter", change.exposure_s, info.exposure_min_s, info.exposure_max_s, "{:g} s"
        )
        self._within("ISO", change.iso, *iso, "{:g}")
        self._within("exposure compensation", change.ev, -EV_LIMIT, EV_LIMIT, "{:+g} EV")
        self._within("white balance", change.white_kelvin, *KELVIN_LIMITS, "{:g} K")
        if change.focus_distance_m != 0:
            self._within(
                "focus distance", change.focus_distance_m, info.focus_min_m, math.inf, "{:g} m"
            )

    def _within(self, what: str, value: float | None, low: float, high: float, unit: str) -> None:
        # a value may differ from an engraved limit by its last digit
        if value is None or low * (1 - 1e-3) <= value <= high * (1 + 1e-3) or low <= value <= high:
            return
        limits = (
            f"{unit.format(low)} to {unit.format(high)}"
            if high < math.inf
            else (f"{unit.format(low)} or farther, or 0 for infinity")
        )
        raise SettingError(what, value, limits, self.info.title)

    def take_over(self, change: SetControls) -> None:
        """Do what was checked."""
        info, manual = self.info, self.manual
        if change.f_number is not None:
            manual.f_number = min(max(change.f_number, info.f_number_min), info.f_number_max)
        if change.exposure_s is not None:
            manual.exposure_s = min(
                max(change.exposure_s, info.exposure_min_s), info.exposure_max_s
            )
        if change.iso is not None:
            manual.gain = min(max(change.iso / info.base_iso, 1.0), info.gain_max)
        if change.ev is not None:
            self.ev = change.ev
        if change.white_kelvin is not None:
            self.kelvin_by_hand = change.white_kelvin
        if change.focus_distance_m is not None:
            self.autofocus = None
            self.focus(change.focus_distance_m or math.inf)
        for name in change.auto:
            if name == "f_number":
                manual.f_number = None
            elif name == "exposure_s":
                manual.exposure_s = None
            elif name == "iso":
                manual.gain = None
            else:
                self.kelvin_by_hand = None
        self._expose(always=True)

    def focus(self, distance_m: float) -> None:
        """The lens stands, or shall stand, at a distance."""
        distance = max(distance_m, self.info.focus_min_m)
        self.settings = msgspec.structs.replace(self.settings, focus_distance_m=distance)

    def start_autofocus(self, at: tuple[float, float], now_s: float) -> None:
        mode = self.info.readout("bin4")
        pixel_um = self.info.pitch_um * self.info.sensor_width / mode.width
        # blur = f^2 / N per dioptre, with f in mm: f^2 / N um
        blur_px = self.info.focal_length_mm**2 / self.settings.f_number / pixel_um
        self.autofocus_at = at
        self.autofocus = AutoFocus(
            self.info.focus_min_m, blur_px, self.settings.focus_distance_m, now_s + _AUTOFOCUS_S
        )

    # what a frame says

    def meter(self, metering: Metering, zones: npt.NDArray[np.float32]) -> None:
        """Exposure and white balance for the frames to come."""
        if self.autofocus is not None:
            return  # a sweep compares frames of one exposure
        self.exposure.meter(metering)
        self.white.meter(zones, metering.settings)
        self._expose()

    def sharpness(self, focus_distance_m: float, contrast: float, now_s: float) -> None:
        """One step of an autofocus under way."""
        if self.autofocus is None:
            return
        distance, done = self.autofocus.step(focus_distance_m, contrast, now_s)
        self.focus(distance)
        if done:
            self.autofocus = None

    def _expose(self, *, always: bool = False) -> None:
        exposure_s, gain, f_number = self.exposure.choose(self.manual, self.ev)
        was = self.settings
        change = max(
            abs(math.log2(exposure_s / was.exposure_s)),
            abs(math.log2(gain / was.gain)),
            2 * abs(math.log2(f_number / was.f_number)),
        )
        if always or change > _LEAST_CHANGE_STOPS:
            self.settings = msgspec.structs.replace(
                was, exposure_s=exposure_s, gain=gain, f_number=f_number
            )

    # what is asked of the link

    def loupe_settings(self) -> Settings:
        """Of the magnifier: the sensor's own pixels around the point."""
        assert self.magnified is not None
        width = min(_MAGNIFIED[0], self.info.sensor_width)
        height = min(_MAGNIFIED[1], self.info.sensor_height)
        left = self.magnified[0] * self.info.sensor_width - width / 2
        top = self.magnified[1] * self.info.sensor_height - height / 2
        x = int(min(max(left, 0), self.info.sensor_width - width)) // 4 * 4
        y = int(min(max(top, 0), self.info.sensor_height - height)) // 4 * 4
        return msgspec.structs.replace(self.settings, readout="full", region=(x, y, width, height))

    def still_settings(self, *, full: bool) -> Settings:
        """Of a photo that is taken now."""
        readout = "full" if full else self.info.still_default
        return msgspec.structs.replace(self.settings, readout=readout, region=None)

    # what is shown

    def sizes(self) -> tuple[float, ...]:
        """Megapixels of the default still and of every photosite, as people say: 25, 100."""
        modes = [self.info.readout(self.info.still_default), self.info.readout("full")]
        return tuple(sorted({float(f"{mode.width * mode.height / 1e6:.2g}") for mode in modes}))

    def camera_state(self) -> CameraState:
        info = self.info
        return CameraState(
            id=info.id,
            title=info.title,
            sensor_format=info.sensor_format,
            focal_length_mm=info.focal_length_mm,
            focal_length_35mm=info.focal_length_35mm,
            sensor_width=info.sensor_width,
            sensor_height=info.sensor_height,
            built_in=info.built_in,
        )

    def lens_state(self) -> LensState:
        info, settings = self.info, self.settings
        field = depth_of_field(
            info.focal_length_mm, settings.f_number, settings.focus_distance_m, self._confusion_m
        )
        return LensState(
            focus_distance_m=finite(settings.focus_distance_m),
            focus_min_m=info.focus_min_m,
            near_m=field.near_m,
            far_m=finite(field.far_m),
            hyperfocal_m=field.hyperfocal_m,
            f_number=Control(
                value=settings.f_number,
                auto=self.manual.f_number is None,
                minimum=info.f_number_min,
                maximum=info.f_number_max,
            ),
        )

    def shutter_control(self) -> Control:
        return Control(
            value=self.settings.exposure_s,
            auto=self.manual.exposure_s is None,
            minimum=self.info.exposure_min_s,
            maximum=self.info.exposure_max_s,
        )

    def iso_control(self) -> Control:
        info = self.info
        return Control(
            value=self.settings.gain * info.base_iso,
            auto=self.manual.gain is None,
            minimum=info.base_iso,
            maximum=info.base_iso * info.gain_max,
        )


def finite(distance_m: float) -> float | None:
    """JSON has no infinity; None stands for it."""
    return None if math.isinf(distance_m) else distance_m
