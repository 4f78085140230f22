"""Printed text as one atlas of ink coverage with its halved copies, drawn once by Pillow."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Atlas = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]
WIDTH, HEIGHT = 2560, 2048

BODY = (
    "A lens gathers what a scene sends its way and bends it to a point.",
    "Open the iris and the point before or behind the plane of focus grows",
    "into a disc; close it and the disc shrinks until diffraction rounds it.",
    "Between the two lies the picture. Turn the ring and the plane walks",
    "through the room: the orange, the cup, this card, the books, the lamp.",
    "Whoever can read this line at arm's length looks at single photosites.",
)

# name: left, top, width, height in the atlas
PLACES: dict[str, tuple[int, int, int, int]] = {
    "title": (8, 8, 1500, 190),
    "subtitle": (8, 210, 1500, 70),
    "body": (8, 300, 2400, 560),
    "book0": (8, 880, 1500, 150),
    "book1": (8, 1040, 1500, 150),
    "book2": (8, 1200, 1500, 150),
    "book3": (8, 1360, 1500, 150),
}


@functools.cache
def atlas() -> Atlas:
    """(coverage bytes of all levels, (start, height, width) of each level)."""
    page = Image.new("L", (WIDTH, HEIGHT))
    draw = ImageDraw.Draw(page)

    def write(name: str, text: str, size: int, *, row: int = 0, middle: bool = False) -> None:
        left, top, width, height = PLACES[name]
        # Pillow brings this typeface with it (Aileron, CC0)
        font = ImageFont.load_default(size)
        x = left + width / 2 if middle else left + 4
        y = top + height / 2 if middle else top + row
        draw.text((x, y), text, fill=255, font=font, anchor="mm" if middle else "la")

    write("title", "modoptic 35", 170)
    write("subtitle", "focus  1.000 m   \u00b7   17.5 mm f/1.4   \u00b7   4/3", 54)
    for i, line in enumerate(BODY):
        write("body", line, 66, row=92 * i)
    for i, title in enumerate(
        ("OF LIGHT & GLASS", "THE OPEN SHUTTER", "Field Notes on Colour", "A YEAR OF APERTURES")
    ):
        write(f"book{i}", title, 120, middle=True)
    levels: list[npt.NDArray[np.uint8]] = [np.asarray(page)]
    while levels[-1].shape[0] >= 16:
        a = levels[-1].astype(np.uint16)
        mean = (a[::2, ::2] + a[1::2, ::2] + a[::2, 1::2] + a[1::2, 1::2] + 2) >> 2
        levels.append(mean.astype(np.uint8))
    starts = np.cumsum([0, *(level.size for level in levels[:-1])])
    table = np.array([[s, *level.shape] for s, level in zip(starts, levels, strict=True)], np.int64)
    return np.concatenate([level.reshape(-1) for level in levels]), table


def block(name: str, left_m: float, top_m: float, width_m: float) -> tuple[float, ...]:
    """One item for the kernels: where a text lies on an object and in the atlas."""
    x, y, width, height = PLACES[name]
    return left_m, top_m, width_m, float(x), float(y), float(width), float(height), 0.0
