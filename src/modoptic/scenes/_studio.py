"""The studio: a still life on a wooden table, laid out in metres.

A window to the left lights it as daylight of 5000 K would; a perfect white facing the window has
120 cd/m2. The lamps far behind are black bodies of 2100 to 3000 K and a few coloured ones, 3e4 to
3e5 cd/m2. Layout, colours and levels are our own choice.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from modoptic.scenes import _shaders as kinds
from modoptic.scenes._motion import Moving
from modoptic.scenes._scene import FloatArray, Lamps, Layer, Scene, ShadedLayer
from modoptic.scenes._spectra import (
    WAVELENGTHS_NM,
    Spectrum,
    black_body,
    daylight,
    luminance,
    primaries,
    white_radiance,
)
from modoptic.scenes._text import atlas, block

WHITE_CD_M2 = 120.0
TABLE_DROP_M = 0.20
TABLE_END_M = 2.30
FOCUS_M = 1.0
"""The test card stands here."""
TRAIN_M, TRAIN_M_S, TRAIN_S = 0.90, 0.45, 4.0
"""Where the toy train goes, how fast in the middle, and how long to and fro takes."""


def _items(rows: list[tuple[float, ...]]) -> FloatArray:
    table = np.zeros((max(len(rows), 1), 8), np.float32)
    for i, row in enumerate(rows):
        table[i, : len(row)] = row
    return table


def _lamps() -> Lamps:
    """Strings of small bulbs, sagging between hooks, 3 to 4.3 m away."""
    rng = np.random.default_rng(35)
    positions: list[tuple[float, float, float]] = []
    radii: list[float] = []
    spectra: list[Spectrum] = []
    strings = [
        ((-3.0, -1.35, 3.9), (-0.35, -1.12, 3.4), 0.42, 24),
        ((-0.35, -1.12, 3.4), (1.75, -1.32, 3.7), 0.46, 21),
        ((1.75, -1.32, 3.7), (3.6, -1.0, 4.2), 0.35, 15),
        ((-0.9, -0.30, 4.2), (0.75, -0.42, 4.3), 0.28, 14),
    ]
    for (x0, y0, z0), (x1, y1, z1), sag, count in strings:
        for i in range(count):
            t = (i + 0.5) / count
            jitter = rng.normal(0.0, 0.012, 3)
            y = y0 + (y1 - y0) * t + sag * 4.0 * t * (1.0 - t)
            positions.append((x0 + (x1 - x0) * t + jitter[0], y + jitter[1], z0 + (z1 - z0) * t))
            radii.append(float(rng.uniform(0.0008, 0.0017)))
            kind = rng.random()
            if kind < 0.80:
                shape = black_body(float(rng.uniform(2100.0, 2800.0)))
            else:
                # a coloured bulb: a band of 35 nm (1 sigma) with a little white
                peak = (625.0, 595.0, 480.0)[int(rng.integers(3))]
                shape = np.exp(-0.5 * ((WAVELENGTHS_NM - peak) / 28.0) ** 2) + 0.06
            level = 3e4 * 10.0 ** float(rng.uniform(0.1, 1.0)) * (1.0 if kind < 0.80 else 0.35)
            spectra.append(shape * (level / luminance(shape)))
    return Lamps("string lights", np.array(positions), np.array(radii), np.array(spectra))


def _foliage(seed: int, count: int, spread: float, rise: float, length: float) -> FloatArray:
    """A pot plant: leaves that rise and arch from the origin, front first, stems behind."""
    rng = np.random.default_rng(seed)
    leaves: list[tuple[float, ...]] = []
    stems: list[tuple[float, ...]] = []
    for i in range(count):
        side = (i + 0.5) / count * 2.0 - 1.0
        lean = side * spread + float(rng.normal(0.0, 0.12))
        reach = rise * (1.0 - 0.45 * abs(side)) * float(rng.uniform(0.72, 1.1))
        bx, by = math.sin(lean) * reach, -math.cos(lean) * reach
        angle = math.atan2(by, bx) + 0.35 * math.copysign(1.0, bx) + float(rng.normal(0.0, 0.2))
        size = length * float(rng.uniform(0.75, 1.15))
        depth = float(rng.uniform(0.0, 1.0))
        x, y = bx + 0.42 * size * math.cos(angle), by + 0.42 * size * math.sin(angle)
        tone = 0.45 + 0.75 * depth - 0.25 * max(side, 0.0)
        leaves.append(
            (x, y, size, size * 0.40, angle, tone, float(rng.uniform(0.0, 1.0)), 0.0, depth)
        )
        half = 0.5 * math.hypot(bx, by)
        stems.append((bx / 2, by / 2, 2 * half, 0.0035, math.atan2(by, bx), 0.8, 0.0, 1.0))
    leaves.sort(key=lambda leaf: -leaf[8])
    return _items([leaf[:8] for leaf in leaves] + stems)


def _sprig() -> FloatArray:
    """A branch that reaches in from the upper left, near the lens."""
    rng = np.random.default_rng(7)
    rows: list[tuple[float, ...]] = []
    stem: list[tuple[float, ...]] = []
    x, y, angle = -0.225, -0.165, 0.36
    for i in range(6):
        nx, ny = x + 0.024 * math.cos(angle), y + 0.024 * math.sin(angle)
        stem.append(((x + nx) / 2, (y + ny) / 2, 0.030, 0.0026 - 0.00018 * i, angle, 0.9, 0.0, 1.0))
        for side in (-1.0, 1.0):
            turn = angle + side * float(rng.uniform(0.75, 1.25))
            size = (0.052 - 0.0035 * i) * float(rng.uniform(0.85, 1.1))
            rows.append((
                nx + 0.5 * size * math.cos(turn), ny + 0.5 * size * math.sin(turn), size,
                size * 0.52, turn, 0.75 + 0.35 * float(rng.random()) - 0.1 * side,
                0.3 + 0.7 * float(rng.random()), 0.0,
            ))  # fmt: skip
        x, y = nx, ny
        angle += 0.055
    return _items(rows + stem)


def studio() -> Scene:
    """The still life; see the module."""
    light = white_radiance(daylight(5000.0), WHITE_CD_M2)
    basis = primaries() * light
    drop = TABLE_DROP_M
    text = atlas()

    books = _items([
        (-0.113, 0.0150, 0.094, 0.012, 0.55, 0.46, 0.30, 1.0),
        block("book2", -0.050, -0.0050, 0.10),
        (-0.082, 0.0160, 0.108, -0.008, 0.035, 0.085, 0.115, 1.0),
        block("book1", -0.062, -0.0062, 0.124),
        (-0.048, 0.0180, 0.112, 0.006, 0.36, 0.060, 0.035, 1.0),
        block("book0", -0.070, -0.0070, 0.14),
        (-0.0145, 0.0145, 0.122, -0.002, 0.040, 0.060, 0.042, 1.0),
        block("book3", -0.066, -0.0066, 0.132),
    ])  # fmt: skip
    card = _items([
        block("title", -0.004, -0.0925, 0.118),
        block("subtitle", -0.002, -0.0755, 0.116),
        block("body", 0.0640, -0.055, 0.074),
        (0.38, 0.045, 0.030), (0.75, 0.28, 0.03), (0.80, 0.60, 0.05), (0.10, 0.30, 0.075),
        (0.03, 0.19, 0.32), (0.045, 0.06, 0.28), (0.40, 0.06, 0.20),
    ])  # fmt: skip
    shadows = _items([
        (0.135, 1.005, 0.170, 0.022, 0.62), (0.16, 1.06, 0.17, 0.06, 0.38),
        (-0.165, 0.800, 0.050, 0.045, 0.72), (-0.115, 0.825, 0.075, 0.05, 0.45),
        (-0.33, 1.36, 0.135, 0.06, 0.65), (-0.27, 1.40, 0.14, 0.08, 0.35),
        (0.130, 0.735, 0.040, 0.030, 0.80), (0.165, 0.750, 0.055, 0.038, 0.42),
        (0.215, 0.795, 0.040, 0.030, 0.80), (0.25, 0.81, 0.05, 0.035, 0.42),
        (0.055, 0.660, 0.034, 0.026, 0.75), (0.085, 0.670, 0.045, 0.03, 0.42),
        (0.62, 1.72, 0.080, 0.06, 0.72), (0.70, 1.76, 0.15, 0.09, 0.40),
        (-0.72, 1.95, 0.06, 0.05, 0.7), (-0.56, 1.80, 0.055, 0.05, 0.7),
        (-1.02, 1.55, 0.16, 0.07, 0.6),
        (1.10, 1.40, 0.060, 0.05, 0.7),
    ])  # fmt: skip

    def upright(
        name: str, kind: int, z: float, x: float, extent: tuple[float, float, float, float],
        *, lift: float = 0.0, params: tuple[float, ...] = (), items: FloatArray | None = None,
    ) -> Layer:  # fmt: skip
        return ShadedLayer(
            name, kind, basis, z, (x, drop - lift), extent, params=params, atlas=text,
            items=_items([]) if items is None else items,
        )  # fmt: skip

    bottle = (-0.040, -0.301, 0.040, 0.006)
    layers: tuple[Layer | Lamps, ...] = (
        ShadedLayer("wall", kinds.WALL, basis, 4.5),
        upright("table lamp", kinds.SHADE, 4.2, 0.80, (-0.26, -0.14, 0.26, 0.64), lift=0.50),
        _lamps(),
        ShadedLayer(
            "table", kinds.TABLE, basis, drop, extent_m=(-math.inf, 0.0, math.inf, TABLE_END_M),
            flat=True, params=(TABLE_END_M,), items=shadows,
        ),
        upright("green bottle", kinds.BOTTLE, 1.95, -0.72, bottle, params=(0.05, 0.20, 0.09, 1.0)),
        upright("amber bottle", kinds.BOTTLE, 1.80, -0.56, bottle, params=(0.36, 0.13, 0.02, 0.0)),
        upright(
            "plant", kinds.LEAVES, 1.73, 0.62, (-0.42, -0.45, 0.42, 0.10), lift=0.125,
            items=_foliage(11, 34, 1.25, 0.26, 0.17),
        ),
        upright("pot", kinds.POT, 1.72, 0.62, (-0.082, -0.136, 0.082, 0.008)),
        upright("second books", kinds.BOOKS, 1.55, -1.02, (-0.13, -0.13, 0.13, 0.002), items=books),
        upright("blue bottle", kinds.BOTTLE, 1.40, 1.10, bottle, params=(0.05, 0.12, 0.30, 1.0)),
        upright("books", kinds.BOOKS, 1.35, -0.33, (-0.13, -0.13, 0.13, 0.002), items=books),
        upright(
            "test card", kinds.CARD, FOCUS_M, 0.135, (-0.151, -0.106, 0.151, 0.106), lift=0.1045,
            items=card,
        ),
        upright("mug", kinds.MUG, 0.80, -0.165, (-0.045, -0.100, 0.076, 0.012)),
        upright(
            "orange", kinds.FRUIT, 0.795, 0.215, (-0.042, -0.040, 0.042, 0.040), lift=0.034,
            params=(0.0395, 0.0375, 0.78, 0.27, 0.020, 0.0, 0.0, 1.0),
        ),
        upright(
            "second orange", kinds.FRUIT, 0.735, 0.130, (-0.042, -0.040, 0.042, 0.040), lift=0.033,
            params=(0.0380, 0.0365, 0.74, 0.235, 0.016, 0.0, 0.35, 0.0),
        ),
        upright(
            "lemon", kinds.FRUIT, 0.660, 0.055, (-0.045, -0.040, 0.045, 0.040), lift=0.024,
            params=(0.0255, 0.0350, 0.84, 0.64, 0.045, 0.30, 1.25, 0.0),
        ),
        ShadedLayer(
            "sprig", kinds.LEAVES, basis, 0.42, (0.0, 0.0), (-0.26, -0.24, 0.0, 0.06),
            items=_sprig(),
        ),
    )  # fmt: skip
    return Scene(
        "studio",
        "A still life on a table",
        layers,
        {
            "light": "daylight of 5000 K, a perfect white has 120 cd/m2; bulbs 3e4 to 3e5 cd/m2",
            "focus": "the test card stands 1.00 m from the sensor plane",
            "source": "procedural, laid out in metres; ours",
        },
    )


def toy_train() -> Scene:
    """The still life with a toy train that goes to and fro between the mug and the test card."""
    still = studio()
    card = next(i for i, layer in enumerate(still.layers) if layer.name == "test card")
    train = ShadedLayer(
        "toy train", kinds.TRAIN, primaries() * white_radiance(daylight(5000.0), WHITE_CD_M2),
        TRAIN_M, (0.0, TABLE_DROP_M), (-0.155, -0.080, 0.155, 0.001),
    )  # fmt: skip
    going = Moving(train, (TRAIN_M_S, 0.0, 0.0), TRAIN_S)
    reach = TRAIN_M_S * TRAIN_S / (2 * math.pi)
    return replace(
        still,
        name="toy-train",
        title="A toy train before a still life",
        layers=(*still.layers[: card + 1], going, *still.layers[card + 1 :]),
        metadata={
            **still.metadata,
            "motion": f"a train {TRAIN_M:.2f} m from the sensor plane goes {reach:.2f} m to both "
            f"sides and back in {TRAIN_S:g} s, to the right through the middle with {TRAIN_M_S:g} "
            "m/s at 0 s",
        },
    )
