"""Trace a lens listing and store its tables for the renderer.

    python tools/lens_design/build.py LISTING.json --scale 0.49314 --out us20250271647

needs ``pip install modoptic[lens-design]``; takes about five minutes. README.md has the lines that
made the shipped tables.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from glass import Catalogue
from sequential import Design, load, paraxial, trace
from tables import (
    MAIN,
    WAVELENGTHS_NM,
    Focus,
    mean_mtf,
    one_field,
    open_area,
)

DATA = Path(__file__).parents[2] / "src" / "modoptic" / "optics" / "data"
FEW = 8


def axial_iris(design: Design, sine: float) -> float:
    """Radius in mm at which a ray of this sine meets the stop on the axis."""
    rays = trace(design, 0.0, np.array([[0.0, sine]]), WAVELENGTHS_NM[MAIN] * 1e-3)
    return float(abs(rays.iris[0, 1]))


def shift_for(design: Design, distance_m: float) -> float:
    """Paraxial extension in mm that focuses the sensor at this distance from itself."""
    if np.isinf(distance_m):
        return 0.0
    um, target = WAVELENGTHS_NM[MAIN] * 1e-3, design.image_z - distance_m * 1e3

    def crossing(shift: float) -> float:
        rays = trace(design.moved(shift), 0.0, np.array([[0.0, 0.002]]), um)
        p, d = rays.position[0], rays.direction[0]
        return float(p[2] - p[1] / d[1] * d[2] - target)

    # no lens of a focal length f is out by more than a quarter of it at 6 f
    low, high = 1e-3, 0.25 * paraxial(design, um)[0]
    for _ in range(60):
        middle = 0.5 * (low + high)
        # farther out, the point in focus comes nearer: larger z
        low, high = (middle, high) if crossing(middle) < 0 else (low, middle)
    return 0.5 * (low + high)


def best(focus_design: Design, distance: float, sine: float, full: float, radius: float,
         heights: np.ndarray) -> tuple[float, float]:  # fmt: skip
    """By how many um the sensor's best plane lies behind it, and the mean MTF there."""
    fields = [one_field(Focus(focus_design, distance), h, sine, full) for h in heights]
    moved = np.linspace(-200.0, 200.0, 101)
    for _ in range(2):
        mtf = mean_mtf(fields, heights, sine, radius, 100.0, moved)
        top = int(mtf.argmax())
        found, value = float(moved[top]), float(mtf[top])
        step = moved[1] - moved[0]
        moved = np.linspace(found - 2 * step, found + 2 * step, 41)
    return found, value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("listing", type=Path)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--out", required=True, help="name of the tables")
    parser.add_argument("--cover", type=float, default=0.0, help="plate to add, mm")
    parser.add_argument("--opens", type=float, default=1.24, help="smallest f-number")
    parser.add_argument("--f-number", type=float, default=1.4, help="at which focus is judged")
    parser.add_argument("--field", type=float, default=10.83, help="largest image height, mm")
    parser.add_argument("--nearest", type=float, default=0.30, help="nearest focus, m")
    args = parser.parse_args()
    began = time.monotonic()
    design = load(args.listing, args.scale, Catalogue(), args.cover)
    focal, off = paraxial(design, WAVELENGTHS_NM[MAIN] * 1e-3)
    print(f"focal length {focal:.5f} mm, {design.image_z - design.front_z:.2f} mm long")
    design = design.refocused(off)
    sine = 0.5 / args.opens
    full = axial_iris(design, sine)
    radius = axial_iris(design, 0.5 / args.f_number) / full
    judged = np.linspace(0.0, args.field, FEW)
    plane, value = best(design, np.inf, sine, full, radius, judged)
    print(f"best plane {plane:+.2f} um from paraxial, mean MTF {value:.3f} at 100/mm")
    design = design.refocused(plane * 1e-3)

    heights = args.field * 1.01 * np.sqrt(np.linspace(0.0, 1.0, 25))
    distances = [np.inf, *(round(args.nearest / part, 2) for part in (0.1, 0.3, 0.5, 5 / 7, 1.0))]
    rows: list[list[dict[str, Any]]] = []
    shifts: list[float] = []
    for distance in distances:
        shift = 0.0
        if np.isfinite(distance):
            shift = shift_for(design, distance)
            for _ in range(2):
                extra, value = best(design.moved(shift), distance, sine, full, radius, judged)
                # moving the lens out is moving the sensor away
                shift += extra * 1e-3
                if abs(extra) < 1.0:
                    break
        moved = design.moved(shift)
        rows.append([one_field(Focus(moved, distance), h, sine, full) for h in heights])
        shifts.append(shift)
        worst = max(f["residual"] for f in rows[-1])
        print(
            f"focus {distance:g} m: lens out {shift:.4f} mm, mean MTF {value:.3f}, fits within "
            f"{worst:.4f} waves, iris within {max(f['iris_off'] for f in rows[-1]):.4f}; "
            f"{time.monotonic() - began:.0f} s",
            flush=True,
        )
    # close together where rims of the elements cut off more or less
    numbers = np.r_[np.geomspace(args.opens, 4.0, 17), 5.6, 8.0, 11.0, 16.0, 22.0]
    radii = np.array([axial_iris(design, 0.5 / n) for n in numbers]) / full
    print(f"areas of the pupil; {time.monotonic() - began:.0f} s", flush=True)
    areas = np.array([[[open_area(f, r) for f in row] for r in radii] for row in rows])
    DATA.mkdir(exist_ok=True)

    def stack(name: str) -> np.ndarray:
        return np.array([[field[name] for field in row] for row in rows])

    np.savez_compressed(
        DATA / f"{args.out}.npz",
        source=design.source,
        name=design.name,
        scale=args.scale,
        focal_length_mm=focal,
        sine=sine,
        cover_mm=args.cover,
        plane_um=plane,
        length_mm=design.image_z - design.front_z,
        wavelengths_nm=WAVELENGTHS_NM,
        heights_mm=heights,
        focus_m=np.array(distances),
        shift_mm=np.array(shifts),
        opd_um=stack("opd").astype(np.float32),
        iris=stack("iris").astype(np.float32),
        outline=stack("outline").astype(np.float32),
        middle=stack("middle").astype(np.float32),
        chief=stack("chief"),
        tangent=stack("tangent"),
        f_numbers=numbers,
        iris_radii=radii,
        areas=areas,
        glasses=np.array(["" if s.glass is None else s.glass.name for s in design.surfaces]),
    )
    print(f"stored {args.out}.npz, {(DATA / f'{args.out}.npz').stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    np.seterr(divide="ignore", invalid="ignore")
    main()
