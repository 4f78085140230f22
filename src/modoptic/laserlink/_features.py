"""The features of a module: one table, with names from the GenICam SFNC 2.7.1.

A name that SFNC does not have is device-specific, as SFNC allows.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec


class Feature(msgspec.Struct, frozen=True, kw_only=True):
    """One feature."""

    name: str
    category: str
    kind: Literal["float", "integer", "enumeration", "event"]
    unit: str
    access: Literal["read", "write", "request"]
    """``request``: set for each exposure by a request; ``write``: at once."""
    in_sfnc: bool = True
    meaning: str


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
