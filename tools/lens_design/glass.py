"""Glasses: catalogue glasses that match a listing's nd and vd, and Abbe's model for the others."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optiland
from optiland.materials.material_file import MaterialFile

D_UM, F_UM, C_UM = 0.5875618, 0.4861327, 0.6562725
ND_WITHIN, VD_WITHIN = 1e-4, 0.1

_DATABASE = Path(optiland.__file__).parent / "database"


@dataclass(frozen=True)
class Glass:
    """A glass of a listing and what stands for it."""

    nd: float
    vd: float
    name: str
    index: Callable[[float], float]
    """Refractive index in air at a wavelength in um."""


class Catalogue:
    """Glasses of the makers' catalogues as refractiveindex.info has them, shipped with optiland."""

    def __init__(self) -> None:
        self._known: list[tuple[float, float, str, MaterialFile]] = []
        with (_DATABASE / "catalog_nk.csv").open(encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if row["group"] != "glass":
                    continue
                if not float(row["min_wavelength"]) < 0.436 < 0.69 < float(row["max_wavelength"]):
                    continue
                material = MaterialFile(str(_DATABASE / "data-nk" / row["filename"]))
                try:
                    d, f, c = (_index(material, w) for w in (D_UM, F_UM, C_UM))
                except ValueError:  # a table of measurements that is not in order
                    continue
                if f > c:
                    self._known.append((d, (d - 1.0) / (f - c), row["name"], material))

    def match(self, nd: float, vd: float) -> Glass:
        """The nearest catalogue glass within 1e-4 in nd and 0.1 in vd; else Abbe's model."""
        near = [
            (abs(n - nd) / ND_WITHIN + abs(v - vd) / VD_WITHIN, name, material, n, v)
            for n, v, name, material in self._known
            if abs(n - nd) <= ND_WITHIN and abs(v - vd) <= VD_WITHIN
        ]
        if near:
            _, name, material, n, v = min(near, key=lambda found: found[0])
            print(f"nd {nd:.5f} vd {vd:.2f}: {name}, nd {n:.5f} vd {v:.2f}")
            # a listing's nd is what the design was made with
            return Glass(nd, vd, name, lambda um: _index(material, um) + (nd - n))
        print(f"nd {nd:.5f} vd {vd:.2f}: no catalogue glass, Abbe's model")
        return Glass(nd, vd, f"{nd:.5f}/{vd:.2f} (model)", lambda um: abbe(nd, vd, um))


def _index(material: MaterialFile, um: float) -> float:
    return float(np.asarray(material.n(um)).ravel()[0])


def abbe(nd: float, vd: float, um: float) -> float:
    """Index by Cauchy's n = A + B / um^2 through nd and vd."""
    b = (nd - 1.0) / vd / (F_UM**-2 - C_UM**-2)
    return nd + b * (um**-2 - D_UM**-2)
