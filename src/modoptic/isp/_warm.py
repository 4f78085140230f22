"""Compile every kernel of the room once, for the types really used."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from modoptic import pixels
from modoptic.calibration import Calibration, Shading
from modoptic.frame import Frame, FrameMeta, NoiseModel, Settings
from modoptic.isp._develop import Develop, demosaic, develop
from modoptic.isp._finder import FinderKernel, FinderLook, halved, loupe


def warm() -> Iterator[str]:
    """Compile what is not in the cache yet; yields a line as each kernel is ready."""
    size = 64
    meta = FrameMeta(
        width=size,
        height=size,
        noise=NoiseModel(scale=1e-4, offset=1e-6),
        as_shot_neutral=(0.5, 1.0, 0.6),
        settings=Settings(readout="full", focus_distance_m=1.0),
    )
    grey = np.full((size, size), 1000, np.uint16)
    frame = Frame(meta, pixels.pack(grey, pixels.pixel_format(meta.pixel_format)))
    calibration = Calibration(
        shading=(Shading(f_number=2.8, focus_distance_m=1.0, coefficients=(-0.1, 0.0, 0.0)),),
        defects=((8, 8),),
    )
    halved(FinderKernel(meta).process(frame, FinderLook()).rgb)
    yield "finder"
    loupe(frame, FinderLook())
    yield "magnifier"
    develop(frame, Develop(), calibration=calibration)
    develop(frame, Develop(scale="half"))
    yield "still"
    demosaic(grey)
    yield "demosaic"
    develop(frame, Develop(denoise=1.0))
    yield "noise reduction"
