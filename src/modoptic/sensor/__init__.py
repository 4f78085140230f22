"""Photons to digital numbers: quantum efficiency, wells, noise, gain, conversion, readout modes."""

from modoptic.sensor._angle import AngularResponse, AngularSpec
from modoptic.sensor._sensor import (
    BINNING,
    CompactLight,
    Conversion,
    ConversionGain,
    IdealSensor,
    Light,
    Sensor,
    SensorSpec,
    Shot,
    Tolerance,
    compact,
    frame_key,
)
from modoptic.sensor._warm import warm

__all__ = [
    "BINNING",
    "AngularResponse",
    "AngularSpec",
    "CompactLight",
    "Conversion",
    "ConversionGain",
    "IdealSensor",
    "Light",
    "Sensor",
    "SensorSpec",
    "Shot",
    "Tolerance",
    "compact",
    "frame_key",
    "warm",
]
