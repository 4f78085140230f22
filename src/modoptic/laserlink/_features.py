"""The features of a module: one table, with names from the GenICam SFNC 2.7.1.

A name that SFNC does not have is device-specific, as SFNC allows. The table of one camera, with its
ranges, travels in its manifest (`features_of`).
"""

from __future__ import annotations

import math
from typing import Final

import msgspec

from modoptic import pixels, quad
from modoptic.errors import SettingError
from modoptic.source import CameraInfo


class Feature(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One feature. Words that a later version may add to are text, not enumerations."""

    name: str
    category: str = ""
    kind: str = ""
    """``float``, ``integer``, ``enumeration`` or ``event``."""
    unit: str = ""
    minimum: float | None = None
    """Of this camera; None is without limit, or not known."""
    maximum: float | None = None
    values: tuple[str, ...] = ()
    """What an enumeration of this camera can be."""
    access: str = ""
    """``request``: set for each exposure by a request; ``write``: at once; ``read``."""
    locked: bool = False
    """It cannot be changed while its stream runs."""
    delay_frames: int = 0
    """Exposures that begin after the change and do not show it yet."""
    in_sfnc: bool = True
    meaning: str = ""


FEATURES: Final[dict[str, Feature]] = {
    feature.name: feature
    for feature in (
        Feature(
            name="ExposureTime",
            category="AcquisitionControl",
            kind="float",
            unit="us",
            access="request",
            meaning="time that each row is exposed",
        ),
        Feature(
            name="Gain",
            category="AnalogControl",
            kind="float",
            unit="1",
            access="request",
            meaning="analogue gain, linear; 1 is the base sensitivity",
        ),
        Feature(
            name="Aperture",
            category="OpticControl",
            kind="float",
            unit="f-number",
            access="write",
            meaning="of the iris",
        ),
        Feature(
            name="ObjectSensorDistance",
            category="OpticControl",
            kind="float",
            unit="mm",
            access="write",
            meaning="from the sensor to the plane of focus; infinity is allowed",
        ),
        Feature(
            name="FocalLength",
            category="OpticControl",
            kind="float",
            unit="mm",
            access="read",
            meaning="of the lens, at infinity",
        ),
        Feature(
            name="PixelFormat",
            category="ImageFormatControl",
            kind="enumeration",
            unit="",
            access="request",
            meaning="PFNC name",
        ),
        Feature(
            name="BinningHorizontal",
            category="ImageFormatControl",
            kind="integer",
            unit="photosites",
            access="request",
            meaning="photosites of one colour that become one; the same vertically",
        ),
        Feature(
            name="Width",
            category="ImageFormatControl",
            kind="integer",
            unit="pixels",
            access="request",
            meaning="of the region that is read",
        ),
        Feature(
            name="Height",
            category="ImageFormatControl",
            kind="integer",
            unit="pixels",
            access="request",
            meaning="of the region that is read",
        ),
        Feature(
            name="DeviceTemperature",
            category="DeviceControl",
            kind="float",
            unit="degC",
            access="read",
            meaning="of the sensor, in each frame's metadata",
        ),
        Feature(
            name="EventFocusRingTurned",
            category="EventControl",
            kind="event",
            unit="m",
            access="read",
            in_sfnc=False,
            meaning="the ring was turned by hand; absolute distance",
        ),
    )
}


def features_of(info: CameraInfo) -> tuple[Feature, ...]:
    """The table of one camera: `FEATURES` with its ranges."""
    binnings = [info.sensor_width / mode.width for mode in info.readouts]
    ranges: dict[str, tuple[float, float]] = {
        "ExposureTime": (1e6 * info.exposure_min_s, 1e6 * info.exposure_max_s),
        "Gain": (1.0, info.gain_max),
        "Aperture": (info.f_number_min, info.f_number_max),
        "ObjectSensorDistance": (1000 * info.focus_min_m, math.inf),
        "FocalLength": (info.focal_length_mm, info.focal_length_mm),
        "BinningHorizontal": (round(min(binnings)), round(max(binnings))),
        "Width": (1, info.sensor_width),
        "Height": (1, info.sensor_height),
        "EventFocusRingTurned": (info.focus_min_m, math.inf),
    }
    return tuple(
        msgspec.structs.replace(
            feature,
            minimum=_limit(ranges[name][0]) if name in ranges else None,
            maximum=_limit(ranges[name][1]) if name in ranges else None,
            values=_formats(info) if name == "PixelFormat" else (),
        )
        for name, feature in FEATURES.items()
    )


def _formats(info: CameraInfo) -> tuple[str, ...]:
    try:
        native = [quad.QUAD for mode in info.readouts if mode.name == "native"]
        return tuple(
            pixels.bayer_format(cfa, bits, packed=True).name
            for cfa in (info.cfa, *native)
            for bits in info.bits
        )
    except SettingError:
        return ()  # not of a pattern that PFNC has a name for


def _limit(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
