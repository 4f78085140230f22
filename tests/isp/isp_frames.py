"""Frames for the tests of developing."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from modoptic import pixels
from modoptic.frame import Frame, FrameMeta, Settings

PHASES = (("RG", "GB"), ("GR", "BG"), ("GB", "RG"), ("BG", "GR"))
NEUTRAL = (0.5, 1.0, 0.625)
CANON = ((0.6461, -0.1164, -0.0857), (-0.3825, 1.1597, 0.2534), (-0.0416, 0.154, 0.6039))


def mosaicked(
    picture: npt.NDArray[np.generic], cfa: tuple[str, ...] = ("RG", "GB")
) -> npt.NDArray[np.uint16]:
    out = np.empty(picture.shape[:2], np.uint16)
    for y in range(2):
        for x in range(2):
            out[y::2, x::2] = picture[y::2, x::2, "RGB".index(cfa[y][x])]
    return out


def frame_of(
    mosaic: npt.NDArray[np.uint16], cfa: tuple[str, ...] = ("RG", "GB"), **fields: object
) -> Frame:
    form = pixels.bayer_format(cfa, 12, packed=True)
    meta = FrameMeta(
        width=mosaic.shape[1],
        height=mosaic.shape[0],
        pixel_format=form.name,
        cfa=cfa,
        **{  # type: ignore[arg-type]
            "black_level": (64.0,),
            "as_shot_neutral": NEUTRAL,
            "color_matrix": CANON,
            "settings": Settings(readout="full", focus_distance_m=1.0),
            **fields,
        },
    )
    return Frame(meta, pixels.pack(mosaic, form))


def textured(height: int, width: int, seed: int = 3) -> npt.NDArray[np.uint16]:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    light = 1200 + 700 * np.sin(x * y / 700) + 300 * rng.standard_normal((height, width))
    return np.clip(light, 0, 4095).astype(np.uint16)


def flat(level: float, cfa: tuple[str, ...], height: int = 64, width: int = 96) -> Frame:
    grey = np.rint(64 + level * 4031 * np.array(NEUTRAL))
    return frame_of(mosaicked(np.tile(grey, (height, width, 1)), cfa), cfa)
