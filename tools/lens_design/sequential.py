"""A sequential ray tracer for round surfaces and even aspheres, backwards from the image.

Rays begin at a point of the image and leave the front of the lens, so that a grid of direction
cosines at the image is exactly the grid that is traced: no ray has to be aimed, and what the rims
of the elements cut off is seen from where it is missed. z runs from object to image, lengths are
mm.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from glass import D_UM, Catalogue, Glass

Array = npt.NDArray[np.float64]

AIR = 1.0
COVER_GAP_MM = 0.5


@dataclass(frozen=True)
class Surface:
    """Refracting surface; ``glass`` is what follows it (None is air)."""

    z: float
    curvature: float
    semi_diameter: float
    glass: Glass | None
    aspheric: tuple[float, ...] = ()
    """Coefficients of r^4, r^6, ..."""
    stop: bool = False
    fixed: bool = False
    """Does not move with the lens: the cover of the sensor."""


@dataclass(frozen=True)
class Design:
    name: str
    source: str
    surfaces: tuple[Surface, ...]
    image_z: float
    """Of the sensor with the lens at infinity."""

    def moved(self, forward_mm: float) -> Design:
        """The lens moved towards the object, the cover and the sensor left where they are."""
        return replace(
            self,
            surfaces=tuple(s if s.fixed else replace(s, z=s.z - forward_mm) for s in self.surfaces),
        )

    def refocused(self, by_mm: float) -> Design:
        """The sensor and its cover moved away from the lens."""
        return replace(
            self,
            image_z=self.image_z + by_mm,
            surfaces=tuple(replace(s, z=s.z + by_mm) if s.fixed else s for s in self.surfaces),
        )

    def covered(self, thickness_mm: float, glass: Glass) -> Design:
        """With a plane plate `COVER_GAP_MM` before the sensor, which stays with it."""
        front = self.image_z - COVER_GAP_MM - thickness_mm
        rim = max(s.semi_diameter for s in self.surfaces)
        plate = (
            Surface(front, 0.0, rim, glass, fixed=True),
            Surface(front + thickness_mm, 0.0, rim, None, fixed=True),
        )
        return replace(self, surfaces=self.surfaces + plate)

    @property
    def front_z(self) -> float:
        return self.surfaces[0].z


def load(path: Path, scale: float, catalogue: Catalogue, cover_mm: float = 0.0) -> Design:
    """A listing in JSON, scaled, with the sensor's cover.

    The cover is the listing's last two surfaces, or a plate of N-BK7 of ``cover_mm`` if that is
    given. Rims that the listing leaves out are found by `rims`.
    """
    listing = json.loads(path.read_text("utf-8"))
    rows = listing["surfaces"]
    surfaces: list[Surface] = []
    covers = 0 if cover_mm else 2
    z = 0.0
    for n, row in enumerate(rows):
        radius = row["radius"]
        glass = catalogue.match(row["nd"], row["vd"]) if row["nd"] > 1.0 else None
        powers = row.get("even_asphere_A4_A6_...", [])
        surfaces.append(
            Surface(
                z=z,
                curvature=0.0 if radius is None else 1.0 / (radius * scale),
                semi_diameter=row.get("semi_diameter", 0.0) * scale,
                glass=glass,
                aspheric=tuple(a / scale ** (3 + 2 * k) for k, a in enumerate(powers)),
                stop=bool(row.get("stop")),
                fixed=n >= len(rows) - covers,
            )
        )
        z += row["thickness"] * scale
    design = Design(listing["name"], listing["source"], tuple(surfaces), z)
    if not all(s.semi_diameter for s in surfaces):
        design = rims(design, listing["f_number_listed"], listing["image_height_mm"] * scale)
    return design.covered(cover_mm, catalogue.match(1.5168, 64.17)) if cover_mm else design


def rims(design: Design, f_number: float, height: float) -> Design:
    """Elements just large enough for the axis' whole bundle and the chief ray of the corner.

    Where a listing says nothing of them this is the usual choice; about half of the corner's light
    is cut off.
    """
    um = D_UM
    wide = replace(design, surfaces=tuple(replace(s, semi_diameter=1e3) for s in design.surfaces))
    axial = trace(wide, 0.0, np.array([[0.0, 0.5 / f_number]]), um)
    corner = trace(wide, height, np.array([[0.0, chief(wide, height, um)]]), um)
    radii = np.maximum(axial.radii[0], corner.radii[0])
    return replace(
        design,
        surfaces=tuple(
            replace(s, semi_diameter=float(r)) for s, r in zip(design.surfaces, radii, strict=True)
        ),
    )


@dataclass
class Rays:
    """What came out at the front, for each ray."""

    position: Array
    """(n, 3) on the first surface."""
    direction: Array
    """(n, 3), the direction of light: towards the image."""
    path: Array
    """(n,) optical path from there to the image."""
    iris: Array
    """(n, 2) where the ray meets the stop, mm."""
    room: Array
    """(n,) least of (semi-diameter - height) / semi-diameter over all rims; not the stop's."""
    radii: Array
    """(n, surfaces) where it meets each surface, mm from the axis."""
    alive: npt.NDArray[np.bool_]


def trace(design: Design, height: float, cosines: Array, um: float) -> Rays:
    """Trace back from (0, height) of the image; ``cosines`` (n, 2) are of light that arrives."""
    n = len(cosines)
    squared = (cosines**2).sum(axis=1)
    alive = squared < 1.0
    forward = np.sqrt(np.where(alive, 1.0 - squared, 1.0))
    # backwards along light
    d = -np.column_stack([cosines, forward])
    p = np.tile([0.0, height, design.image_z], (n, 1))
    path, room, iris = np.zeros(n), np.full(n, np.inf), np.zeros((n, 2))
    radii = np.empty((n, len(design.surfaces)))
    index = AIR
    for at in range(len(design.surfaces) - 1, -1, -1):
        s = design.surfaces[at]
        before = design.surfaces[at - 1].glass if at else None
        t, normal, hit = _meet(s, p, d)
        alive &= hit
        p = p + t[:, None] * d
        path += index * t
        radii[:, at] = radius = np.hypot(p[:, 0], p[:, 1])
        if s.stop:
            iris = p[:, :2].copy()
        else:
            room = np.minimum(room, (s.semi_diameter - radius) / s.semi_diameter)
        index_next = AIR if before is None else before.index(um)
        if index_next != index:
            d, passed = _refract(d, normal, index / index_next)
            alive &= passed
        index = index_next
    return Rays(p, -d, path, iris, room, radii, alive)


def _meet(s: Surface, p: Array, d: Array) -> tuple[Array, Array, npt.NDArray[np.bool_]]:
    """Distance along rays to the surface, its normal there, and whether they meet."""
    t = (s.z - p[:, 2]) / d[:, 2]
    c, hit = s.curvature, np.ones(len(p), bool)
    for _ in range(12):
        q = p + t[:, None] * d
        r2 = q[:, 0] ** 2 + q[:, 1] ** 2
        inside = 1.0 - c * c * r2
        hit = inside > 1e-6
        root = np.sqrt(np.where(hit, inside, 1.0))
        sag, slope = c * r2 / (1.0 + root), c / root
        power = r2.copy()
        for k, a in enumerate(s.aspheric):
            slope = slope + a * (4 + 2 * k) * power
            power = power * r2
            sag = sag + a * power
        normal = np.column_stack([-q[:, 0] * slope, -q[:, 1] * slope, np.ones(len(p))])
        off = q[:, 2] - s.z - sag
        t = t - np.where(hit, off / (normal * d).sum(axis=1), 0.0)
        if np.abs(off[hit]).max(initial=0.0) < 1e-13:
            break
    return t, normal / np.linalg.norm(normal, axis=1, keepdims=True), hit & np.isfinite(t)


def _refract(d: Array, normal: Array, ratio: float) -> tuple[Array, npt.NDArray[np.bool_]]:
    cosine = (d * normal).sum(axis=1)
    normal = np.where(cosine[:, None] < 0.0, -normal, normal)
    cosine = np.abs(cosine)
    square = 1.0 - ratio**2 * (1.0 - cosine**2)
    passed = square > 0.0
    root = np.sqrt(np.where(passed, square, 0.0))
    return ratio * d + (root - ratio * cosine)[:, None] * normal, passed


def chief(design: Design, height: float, um: float) -> float:
    """Direction cosine, outward, of the ray through the middle of the stop."""
    low, high = (0.0, 0.9) if height > 0 else (-0.05, 0.05)

    def off(m: float) -> float:
        rays = trace(design, height, np.array([[0.0, m]]), um)
        return float(rays.iris[0, 1])

    # rays from far up the image that miss the lens count as too steep
    grid = np.linspace(low, high, 181)
    rays = trace(design, height, np.column_stack([np.zeros(181), grid]), um)
    good = rays.alive
    values = np.where(good, rays.iris[:, 1], np.nan)
    sign = np.sign(values)
    change = np.flatnonzero((sign[:-1] * sign[1:] <= 0) & np.isfinite(sign[:-1] * sign[1:]))
    if not change.size:
        raise ValueError(f"no chief ray at {height} mm")
    a, b = float(grid[change[0]]), float(grid[change[0] + 1])
    fa = off(a)
    for _ in range(60):
        m = 0.5 * (a + b)
        fm = off(m)
        if fa * fm <= 0:
            b = m
        else:
            a, fa = m, fm
    return 0.5 * (a + b)


def paraxial(design: Design, um: float) -> tuple[float, float]:
    """Focal length, and by how much the paraxial image of infinity lies behind the sensor."""
    y, nu = 1.0, 0.0
    surfaces: Sequence[Surface] = design.surfaces
    index = AIR
    for at, s in enumerate(surfaces):
        after = AIR if s.glass is None else s.glass.index(um)
        nu -= y * s.curvature * (after - index)
        gap = (surfaces[at + 1].z if at + 1 < len(surfaces) else design.image_z) - s.z
        y += nu / after * gap
        index = after
    return -1.0 / nu, -y / nu
