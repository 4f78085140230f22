"""From rays to the tables that a renderer reads: wavefront, pupil, distortion over the field.

Coordinates of the pupil are direction cosines of light at the image, from the chief ray of
587.56 nm, over ``sine``: y outward from the axis, x across. See README.md for every array.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sequential import Array, Design, chief, trace

WAVELENGTHS_NM = np.array([435.8328, 486.1327, 546.0740, 587.5618, 632.8, 680.0])
PHOTOPIC = np.array([0.018, 0.170, 0.979, 0.769, 0.247, 0.017])
"""CIE 1924 V of those, weights of the polychromatic figures."""
MAIN = 3
OPD_DEGREE = 10
IRIS_DEGREE = 5
AZIMUTHS = 128
BEYOND = 0.04
"""Fits reach so far, of a rim's radius, into what is cut off, so that they can be interpolated."""


@dataclass(frozen=True)
class Focus:
    """The design set to a distance, and what its chief rays do."""

    design: Design
    distance_m: float
    """From the sensor to the plane in focus; inf."""


def object_point(focus: Focus, height: float) -> tuple[float, Array, Array]:
    """Chief cosine at the image, and the point in object space that it comes from.

    The latter as a point (3,) and, at infinity, the direction (3,) of light, else zeros.
    """
    m = chief(focus.design, height, WAVELENGTHS_NM[MAIN] * 1e-3)
    rays = trace(focus.design, height, np.array([[0.0, m]]), WAVELENGTHS_NM[MAIN] * 1e-3)
    p, d = rays.position[0], rays.direction[0]
    if np.isinf(focus.distance_m):
        return m, np.zeros(3), d
    z = focus.design.image_z - focus.distance_m * 1e3
    return m, p + (z - p[2]) / d[2] * d, np.zeros(3)


def paths(focus: Focus, height: float, chief_cosine: float, point: Array, direction: Array,
          rho: Array, sine: float, um: float) -> tuple[Array, Any]:  # fmt: skip
    """Optical path in um from the object to the image through rho (n, 2), and the rays."""
    cosines = sine * rho + np.array([0.0, chief_cosine])
    rays = trace(focus.design, height, cosines, um)
    if direction.any():
        front = rays.position @ direction
    else:
        front = np.linalg.norm(rays.position - point, axis=1)
    return (rays.path + front) * 1e3, rays


def monomials(degree: int) -> list[tuple[int, int]]:
    return [(i, j) for i in range(degree // 2 + 1) for j in range(degree + 1 - 2 * i)]


def design_matrix(rho: Array, terms: list[tuple[int, int]]) -> Array:
    u, y = rho[:, 0] ** 2, rho[:, 1]
    return np.column_stack([u**i * y**j for i, j in terms])


def fit(rho: Array, values: Array, degree: int) -> Array:
    """Coefficients [i, j] of sum c x^2i y^j."""
    terms = monomials(degree)
    solved = np.linalg.lstsq(design_matrix(rho, terms), values, rcond=1e-9)[0]
    table = np.zeros((degree // 2 + 1, degree + 1))
    for (i, j), c in zip(terms, solved, strict=True):
        table[i, j] = c
    return table


def evaluate(table: Array, rho: Array) -> Array:
    u, y = rho[:, 0] ** 2, rho[:, 1]
    return np.polynomial.polynomial.polyval2d(u, y, table)


def grid(reach: float, count: int) -> Array:
    """Points of the half x >= 0 of a square; the lens is the same on the other side."""
    at = np.linspace(-reach, reach, count)
    x, y = np.meshgrid(at[at >= -1e-12], at)
    return np.column_stack([x.ravel(), y.ravel()])


def outline(
    focus: Focus, height: float, m: float, sine: float, middle: Array, full_mm: float
) -> Array:
    """(AZIMUTHS,) radii about ``middle`` within which no rim cuts rays off.

    Nor do they leave what the fits know: the iris fully open, and `BEYOND` more.
    """
    turn = 2.0 * np.pi * np.arange(AZIMUTHS) / AZIMUTHS
    way = np.column_stack([np.cos(turn), np.sin(turn)])

    def inside(at: Array) -> np.ndarray:
        cosines = sine * (middle + at[:, None] * way) + [0.0, m]
        rays = trace(focus.design, height, cosines, WAVELENGTHS_NM[MAIN] * 1e-3)
        opened = np.hypot(*rays.iris.T) <= (1.0 + BEYOND) * full_mm
        return rays.alive & (rays.room >= 0.0) & opened

    # the first step that leaves it: what lies farther may be seen again past another rim
    low, left = np.zeros(AZIMUTHS), np.zeros(AZIMUTHS, bool)
    step = 0.02
    for k in range(1, 90):
        left |= ~inside(np.full(AZIMUTHS, k * step))
        low[~left] = k * step
    high = low + step
    for _ in range(30):
        at = 0.5 * (low + high)
        good = inside(at)
        low, high = np.where(good, at, low), np.where(good, high, at)
    return low


def one_field(focus: Focus, height: float, sine: float, full_mm: float) -> dict[str, Any]:
    """Everything of one image height; ``full_mm`` is the iris at which rho is 1 on the axis."""
    main = WAVELENGTHS_NM[MAIN] * 1e-3
    m, point, direction = object_point(focus, height)
    rho = grid(1.15, 71)
    _, rays = paths(focus, height, m, point, direction, rho, sine, main)
    iris = rays.iris / full_mm
    seen = rays.alive & (rays.room >= 0.0) & (np.hypot(*iris.T) <= 1.0)
    near = rays.alive & (rays.room >= -BEYOND) & (np.hypot(*iris.T) <= 1.05)
    middle = np.array([0.0, rho[seen, 1].mean()])
    opd, rest = [], []
    zero = 0.0
    for n in (MAIN, *(k for k in range(WAVELENGTHS_NM.size) if k != MAIN)):
        path, other = paths(focus, height, m, point, direction, rho, sine, WAVELENGTHS_NM[n] * 1e-3)
        if n == MAIN:
            zero = float(
                paths(focus, height, m, point, direction, np.zeros((1, 2)), sine, main)[0][0]
            )
        good = near & other.alive
        # a constant of each wavelength has no meaning
        at_chief = zero if n == MAIN else float(
            paths(focus, height, m, point, direction, np.zeros((1, 2)), sine,
                  WAVELENGTHS_NM[n] * 1e-3)[0][0]
        )  # fmt: skip
        table = fit(rho[good], path[good] - at_chief, OPD_DEGREE)
        left = (evaluate(table, rho) - (path - at_chief))[seen & other.alive]
        opd.append((n, table))
        rest.append(float(np.sqrt((left**2).mean()) / (WAVELENGTHS_NM[n] * 1e-3)))
    # the picture is upright: where a ray meets the iris is turned like the picture
    sign = np.sign(np.sum(iris[near, 1] * rho[near, 1]))
    across = fit(rho[near & (rho[:, 0] > 1e-6)],
                 (sign * iris[:, 0] / np.where(rho[:, 0] > 1e-6, rho[:, 0], 1.0))[
                     near & (rho[:, 0] > 1e-6)], IRIS_DEGREE)  # fmt: skip
    along = fit(rho[near], sign * iris[near, 1], IRIS_DEGREE)
    off = np.hypot(evaluate(across, rho) * rho[:, 0] - sign * iris[:, 0],
                   evaluate(along, rho) - sign * iris[:, 1])[seen]  # fmt: skip
    if direction.any():
        tangent = abs(direction[1] / direction[2])
    else:
        # from where the sensor's thin lens stands: see README.md
        tangent = abs(point[1]) / (focus.design.image_z - point[2])
    return {
        "opd": np.stack([table for _, table in sorted(opd, key=lambda found: found[0])]),
        "residual": max(rest),
        "iris": np.stack([across, along]),
        "iris_off": float(off.max()),
        "outline": outline(focus, height, m, sine, middle, full_mm),
        "middle": middle,
        "chief": m,
        "tangent": tangent,
    }


# --- figures of a whole focus


def open_points(field: dict[str, Any], radius: float, rho: Array) -> np.ndarray:
    """Which points of the pupil are open with the iris at ``radius``."""
    iris = np.hypot(evaluate(field["iris"][0], rho) * rho[:, 0], evaluate(field["iris"][1], rho))
    d = rho - field["middle"]
    turn = np.arctan2(d[:, 1], d[:, 0]) / (2.0 * np.pi) % 1.0 * AZIMUTHS
    edge = np.interp(turn, np.arange(AZIMUTHS + 1), np.r_[field["outline"], field["outline"][0]])
    return (iris <= radius) & (np.hypot(*d.T) <= edge)


def open_area(field: dict[str, Any], radius: float, count: int = 301) -> float:
    """Area of the pupil, in units of ``sine`` squared: means of rows between their ends."""
    reach = min(float(field["outline"].max()) + 0.05, 1.3)
    at = np.linspace(-reach, reach, count)
    x, y = np.meshgrid(at, field["middle"][1] + at)
    rho = np.column_stack([x.ravel(), y.ravel()])
    iris = np.hypot(evaluate(field["iris"][0], rho) * rho[:, 0], evaluate(field["iris"][1], rho))
    d = rho - field["middle"]
    turn = np.arctan2(d[:, 1], d[:, 0]) / (2.0 * np.pi) % 1.0 * AZIMUTHS
    edge = np.interp(turn, np.arange(AZIMUTHS + 1), np.r_[field["outline"], field["outline"][0]])
    step = at[1] - at[0]
    room = np.minimum((radius - iris) / field["iris"][1][0, 1], edge - np.hypot(*d.T))
    return float(np.clip(room / step + 0.5, 0.0, 1.0).sum() * step * step)


def moved_path(rho: Array, sine: float, chief_cosine: float) -> Array:
    """By how much a path grows as the sensor moves away by 1, but for a constant and a tilt."""
    squared = (sine * rho[:, 0]) ** 2 + (chief_cosine + sine * rho[:, 1]) ** 2
    tilt = chief_cosine / np.sqrt(1.0 - chief_cosine**2)
    return np.sqrt(1.0 - squared) + tilt * sine * rho[:, 1]


def mean_mtf(fields: list[dict[str, Any]], heights: Array, sine: float, radius: float,
             per_mm: float, moved_um: Array) -> Array:  # fmt: skip
    """Area-weighted mean of T and S polychromatic MTF for the sensor moved away by ``moved_um``."""
    count = 81
    at = np.linspace(-1.0, 1.0, count)
    x, y = np.meshgrid(at, at)
    total, weights = np.zeros(moved_um.size), 0.0
    for field, height in zip(fields, heights, strict=True):
        weight = max(height, 0.1)
        m = field["chief"]
        for axis in (0, 1):
            sums = np.zeros(moved_um.size, complex)
            for n, share in enumerate(PHOTOPIC):
                lag = WAVELENGTHS_NM[n] * 1e-6 * per_mm / sine
                step = np.array([lag, 0.0]) if axis == 0 else np.array([0.0, lag])
                a = np.column_stack([x.ravel(), y.ravel()]) + 0.5 * step
                b = a - step
                both = open_points(field, radius, a) & open_points(field, radius, b)
                area = open_points(field, radius, np.column_stack([x.ravel(), y.ravel()])).sum()
                a, b = a[both], b[both]
                table = field["opd"][n]
                path = evaluate(table, a) - evaluate(table, b)
                bend = moved_path(a, sine, m) - moved_path(b, sine, m)
                phase = 2e3 * np.pi / WAVELENGTHS_NM[n]
                # path grows as the sensor moves away
                waves = np.exp(1j * phase * (path[None] + moved_um[:, None] * bend[None]))
                # lateral colour is left in: its phase turns the sum
                sums += share * waves.sum(axis=1) / area
            total += weight * np.abs(sums) / PHOTOPIC.sum()
            weights += weight
    return total / weights
