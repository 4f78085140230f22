"""MTF of a traced lens by optiland's Huygens PSF, and its light, stored for the tests.

    python tools/lens_design/reference.py LISTING.json --scale 0.49314 --out us20250271647

Another program, another way: rays aimed forward through the stop, and every point of the image
summed over the exit pupil. Takes some minutes.
"""

from __future__ import annotations

import argparse
import json
from importlib import metadata
from pathlib import Path

import numpy as np
from build import DATA, axial_iris
from glass import Catalogue
from optiland.materials import IdealMaterial
from optiland.optic import Optic
from optiland.psf import ScalarHuygensPSF
from sequential import Design, load, paraxial
from tables import MAIN, WAVELENGTHS_NM, Focus, object_point

PIXEL_UM, RAYS = 0.4, 160
AZIMUTHS, HALVINGS = 180, 16
FIELDS = (0.0, 0.5, 0.7, 0.9, 1.0)
"""Of the corner, at which illumination is stored."""
CASES = (
    ("widest", 192, (50, 100, 200)),
    (2.8, 192, (50, 100, 200)),
    # 192 pixels hold 97.5 % of an Airy pattern of f/8, so that its MTF came out above the limit
    (8.0, 512, (40, 80, 120)),
)


def optic(design: Design, iris_mm: float, angle_deg: float) -> Optic:
    um = WAVELENGTHS_NM[MAIN] * 1e-3
    lens = Optic()
    lens.surfaces.add(index=0, thickness=np.inf)
    ends = [s.z for s in design.surfaces[1:]] + [design.image_z]
    for n, (s, end) in enumerate(zip(design.surfaces, ends, strict=True)):
        material = "air" if s.glass is None else IdealMaterial(n=s.glass.index(um))
        shape = {"radius": np.inf if s.curvature == 0.0 else 1.0 / s.curvature}
        if s.aspheric:
            shape |= {"surface_type": "even_asphere", "coefficients": [0.0, *s.aspheric]}
        rim = 2.0 * (iris_mm if s.stop else s.semi_diameter)
        lens.surfaces.add(
            index=n + 1,
            thickness=end - s.z,
            material=material,
            is_stop=s.stop,
            aperture=rim,
            **shape,
        )
    lens.surfaces.add(index=len(design.surfaces) + 1)
    lens.set_aperture("float_by_stop_size", 2.0 * iris_mm)
    lens.fields.set_type("angle")
    lens.fields.add(y=angle_deg)
    lens.wavelengths.add(value=um, is_primary=True)
    lens.ray_tracer.set_aiming("robust")
    return lens


def mtf(psf: np.ndarray, per_mm: float, axis: int) -> float:
    """Of a picture of the PSF with pixels of `PIXEL_UM`, along one axis."""
    line = psf.sum(axis=1 - axis)
    at = (np.arange(line.size) - line.size / 2) * PIXEL_UM * 1e-3
    return float(np.abs((line * np.exp(-2j * np.pi * per_mm * at)).sum()) / line.sum())


def cone(lens: Optic) -> float:
    """Area, in direction cosines at the image, of the light of the last field that no rim stops.

    What an even scene sends there is in proportion to it. Rays are halved towards the edge of the
    pupil at even azimuths.
    """
    turn = 2.0 * np.pi * np.arange(AZIMUTHS) / AZIMUTHS
    low, high = np.zeros(AZIMUTHS), np.full(AZIMUTHS, 1.0 - 1e-6)
    um = WAVELENGTHS_NM[MAIN] * 1e-3

    def traced(radius: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        x, y = radius * np.cos(turn), radius * np.sin(turn)
        rays = lens.trace_generic(np.zeros(AZIMUTHS), np.full(AZIMUTHS, 1.0), x, y, um)
        passed = np.asarray(rays.i) > 0.0
        return np.asarray(rays.L), np.asarray(rays.M), passed & np.isfinite(np.asarray(rays.L))

    whole = traced(high)[2]
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        passed = traced(middle)[2]
        low, high = np.where(passed, middle, low), np.where(passed, high, middle)
    x, y, _ = traced(np.where(whole, 1.0 - 1e-6, low))
    return 0.5 * abs(float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("listing", type=Path)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--cover", type=float, default=0.0)
    parser.add_argument("--widest", type=float, default=1.4, help="smallest f-number")
    parser.add_argument("--pixels", type=int, default=192, help="of the picture of a PSF")
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    np.seterr(divide="ignore", invalid="ignore")
    tables = np.load(DATA / f"{args.out}.npz")
    design = load(args.listing, args.scale, Catalogue(), args.cover)
    design = design.refocused(paraxial(design, WAVELENGTHS_NM[MAIN] * 1e-3)[1])
    design = design.refocused(float(tables["plane_um"]) * 1e-3)
    found: list[dict[str, float]] = []
    # the tables reach 1 % past the corner
    corner = float(tables["heights_mm"][-1]) / 1.01
    for number, pixels, frequencies in CASES:
        number = args.widest if number == "widest" else number
        pixels = max(pixels, args.pixels)
        iris = axial_iris(design, 0.5 / number)
        for height in (0.0, 0.7 * corner):
            direction = object_point(Focus(design, np.inf), height)[2]
            angle = float(np.degrees(np.arctan2(abs(direction[1]), direction[2])))
            lens = optic(design, iris, angle)
            psf = ScalarHuygensPSF(
                lens, field=(0, 1 if height else 0), wavelength=WAVELENGTHS_NM[MAIN] * 1e-3,
                num_rays=RAYS, image_size=pixels, pixel_pitch=PIXEL_UM * 1e-3,
            ).psf  # fmt: skip
            image = np.asarray(psf, float)
            for frequency in frequencies:
                # rows of the picture are its y, the meridional direction
                case = {
                    "f_number": number, "height_mm": height, "cycles_per_mm": frequency,
                    "across": mtf(image, frequency, 0), "along": mtf(image, frequency, 1),
                }  # fmt: skip
                print(json.dumps(case), flush=True)
                found.append(case)
    iris = axial_iris(design, 0.5 / args.widest)
    areas: list[dict[str, float]] = []
    for height in (part * corner for part in FIELDS):
        direction = object_point(Focus(design, np.inf), height)[2]
        angle = float(np.degrees(np.arctan2(abs(direction[1]), direction[2])))
        areas.append({"height_mm": height, "area": cone(optic(design, iris, angle))})
    print(json.dumps(areas), flush=True)
    text = {
        "made_with": f"optiland {metadata.version('optiland')}, ScalarHuygensPSF, {RAYS} rays, "
        f"pixels of {PIXEL_UM} um, {args.pixels} x {args.pixels} and at f/8 512 x 512, "
        "robust ray aiming, 587.5618 nm",
        "cases": found,
        "widest": args.widest,
        "illumination": areas,
    }
    (DATA / f"{args.out}-reference.json").write_text(json.dumps(text, indent=1) + "\n")


if __name__ == "__main__":
    main()
