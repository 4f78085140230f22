"""A lens from its prescription: wavefront, clipped pupil and distortion, traced at design time.

``tools/lens_design`` makes the tables and says what each array holds. Between image heights and
between distances of focus everything is interpolated; a point nearer or farther than the plane in
focus adds defocus to that plane's wavefront.
"""

from __future__ import annotations

import functools
import math
import zipfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.interpolate import CubicSpline

from modoptic.errors import FileError, SettingError
from modoptic.optics import _pupil_kernels
from modoptic.optics._lens import LensState
from modoptic.optics._pupil import Lens, Pupil, PupilShape, bent, unbent

DoubleArray = npt.NDArray[np.float64]

_ASIDES = 8
"""Of about so many distances from the axis it is known where the middle of the light lies."""

_FOLDER = resources.files("modoptic.optics").joinpath("data")


@dataclass(frozen=True, eq=False)
class Tables:
    """As `tools/lens_design/README.md` describes them; z counts focus, f fields, w wavelengths."""

    source: str
    name: str
    glasses: tuple[str, ...]
    focal_length_mm: float
    sine: float
    wavelengths_nm: DoubleArray
    heights_mm: DoubleArray
    focus_m: DoubleArray
    shift_mm: DoubleArray
    opd_um: DoubleArray
    """(z, f, w, i, j)"""
    iris: DoubleArray
    """(z, f, 2, i, j)"""
    outline: DoubleArray
    """(z, f, n)"""
    middle: DoubleArray
    """(z, f, 2)"""
    chief: DoubleArray
    """(z, f)"""
    tangent: DoubleArray
    """(z, f)"""
    f_numbers: DoubleArray
    iris_radii: DoubleArray
    areas: DoubleArray
    """(z, numbers, f)"""


def lens_tables() -> list[str]:
    """Names of the lenses that are shipped."""
    return sorted(f.name[:-4] for f in _FOLDER.iterdir() if f.name.endswith(".npz"))


@functools.lru_cache(maxsize=8)
def load_tables(name_or_path: str) -> Tables:
    """Tables by name, or from an .npz file.

    Raises
    ------
    SettingError : no shipped lens has that name
    FileError : the file cannot be read, or an array is missing, misshapen or not finite
    """
    if name_or_path.endswith(".npz"):
        where = name_or_path
        path = Path(name_or_path)
    elif name_or_path in lens_tables():
        where = f"{name_or_path}.npz"
        path = Path(str(_FOLDER.joinpath(where)))
    else:
        raise SettingError("lens", name_or_path, ", ".join(lens_tables()) + ", or an .npz file")
    try:
        with np.load(path, allow_pickle=False) as file:
            read = {key: file[key] for key in file.files}
        source, name = str(read["source"]), str(read["name"])
        glasses = tuple(str(g) for g in read["glasses"])
        arrays = {
            key: np.asarray(read[key], np.float64, order="C")
            for key in Tables.__dataclass_fields__
            if key not in ("source", "name", "glasses")
        }
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise FileError(where, f"no tables of a lens can be read: {error}") from error
    _check(arrays, where)
    focal, sine = float(arrays.pop("focal_length_mm")), float(arrays.pop("sine"))
    return Tables(source, name, glasses, focal, sine, **arrays)


def _check(arrays: dict[str, DoubleArray], where: str) -> None:
    z, f, w = (arrays[key].size for key in ("focus_m", "heights_mm", "wavelengths_nm"))
    shapes = {
        "focal_length_mm": (), "sine": (), "wavelengths_nm": (w,), "heights_mm": (f,),
        "focus_m": (z,), "shift_mm": (z,), "opd_um": (z, f, w, None, None),
        "iris": (z, f, 2, None, None), "outline": (z, f, None), "middle": (z, f, 2),
        "chief": (z, f), "tangent": (z, f), "f_numbers": (None,),
        "iris_radii": (arrays["f_numbers"].size,), "areas": (z, arrays["f_numbers"].size, f),
    }  # fmt: skip
    for key, shape in shapes.items():
        array = arrays[key]
        fits = array.ndim == len(shape) and all(
            wanted in (None, have) for wanted, have in zip(shape, array.shape, strict=True)
        )
        if not fits:
            raise FileError(where, f"{key} has shape {array.shape}; expected {shape}")
        if not np.isfinite(array).all() and key != "focus_m":
            raise FileError(where, f"{key} has a value that is no number")
    rising = ("wavelengths_nm", "heights_mm", "f_numbers")
    for key in rising:
        if arrays[key].size < 2 or not (np.diff(arrays[key]) > 0).all():
            raise FileError(where, f"{key} must rise")
    nearness = 1.0 / arrays["focus_m"]
    if not (np.diff(nearness) > 0).all() or nearness[0] < 0 or np.isnan(nearness).any():
        raise FileError(where, "focus_m must begin far, at best at infinity, and come nearer")
    if arrays["iris"].shape[4] < 2:
        raise FileError(where, "iris must have terms of y, which its second table begins with")


@dataclass(frozen=True, eq=False)
class TracedLens(Lens):
    """A lens from its tables.

    ``wavefront`` multiplies its errors: 0 leaves diffraction alone, 2 doubles them. A lens of
    another ``focal_length_mm`` is the same one scaled. ``field_mm``, if given, is the distance from
    the axis at which the corner of the tables is seen, for a sensor that sees more or less than the
    design; the picture then has no distortion.
    """

    tables: Tables
    wavefront: float = 1.0
    focal_length_mm: float | None = None
    field_mm: float | None = None
    blades: int = 0

    @classmethod
    def load(
        cls, name_or_path: str | Path, *, wavefront: float = 1.0,
        focal_length_mm: float | None = None, field_mm: float | None = None, blades: int = 0,
    ) -> TracedLens:  # fmt: skip
        """The lens of that name, or from an .npz file.

        Raises
        ------
        SettingError, FileError : as `load_tables`, or a value that cannot be
        """
        if not 0.0 <= wavefront <= 100.0:
            raise SettingError("wavefront", wavefront, "a factor of 0 to 100")
        for what, value in (("focal length", focal_length_mm), ("field", field_mm)):
            if value is not None and not 0.0 < value < 1e4:
                raise SettingError(what, value, "more than 0 mm")
        if blades and not 3 <= blades <= 31:
            raise SettingError("blades", blades, "0 for a round iris, or 3 to 31")
        tables = load_tables(str(name_or_path))
        return cls(tables, wavefront, focal_length_mm, field_mm, blades)

    @property
    def scale(self) -> float:
        """Size over that of the tables."""
        own = self.tables.focal_length_mm
        return 1.0 if self.focal_length_mm is None else self.focal_length_mm / own

    @property
    def f_number_min(self) -> float:
        return float(self.tables.f_numbers[0])

    def pupil(self, state: LensState) -> TracedPupil:
        """See `Lens.pupil`.

        Raises
        ------
        SettingError : as `solve`, or an iris wider than the lens opens
        """
        if state.f_number < self.f_number_min:
            raise SettingError(
                "f-number", state.f_number, f"{self.f_number_min:g} or more, as this lens opens"
            )
        return TracedPupil(state, self.blades, self)


@dataclass(frozen=True, eq=False)
class TracedPupil(Pupil):
    """A traced lens as it is set now."""

    lens: TracedLens | None = None

    @property
    def _lens(self) -> TracedLens:
        assert self.lens is not None
        return self.lens

    @property
    def sine(self) -> float:
        return self._lens.tables.sine

    @property
    def wavelengths_nm(self) -> DoubleArray:
        return self._lens.tables.wavelengths_nm

    @property
    def radius(self) -> float:
        """Of the iris, 1 where the tables' iris is fully open."""
        tables = self._lens.tables
        # the radius falls as 1 / N
        product = tables.iris_radii * tables.f_numbers
        return float(np.interp(self.state.f_number, tables.f_numbers, product)) / (
            self.state.f_number
        )

    @property
    def _nearness(self) -> float:
        """Where among the tables' distances the focus lies."""
        tables = self._lens.tables
        # the design scaled focuses at scaled distances
        wanted = self._lens.scale / self.state.focus_distance_m
        return float(np.interp(wanted, 1.0 / tables.focus_m, np.arange(tables.focus_m.size)))

    def _height_mm(self, radius_um: float) -> float:
        lens = self._lens
        if lens.field_mm is not None:
            return radius_um * 1e-3 / lens.field_mm * float(lens.tables.heights_mm[-1])
        return radius_um * 1e-3 / lens.scale

    @functools.cached_property
    def _chiefs(self) -> DoubleArray:
        """k1 to k3 of the distortion of chief rays."""
        lens, tables = self._lens, self._lens.tables
        if lens.field_mm is not None:
            return np.zeros(3)
        place = tables.heights_mm[1:] * 1e-3 * lens.scale / self.thin.image_distance_m
        return _fitted(place, _between(tables.tangent, self._nearness)[1:])[1]

    @functools.cached_property
    def _landings_um(self) -> tuple[DoubleArray, DoubleArray, DoubleArray]:
        """Distances from the axis, and how far outward of chief rays the middle of light at 550 nm
        lies there: in focus, and what 1 um of defocus adds."""
        lens, heights = self._lens, self._lens.tables.heights_mm
        end_um = heights[-1] * lens.scale if lens.field_mm is None else lens.field_mm
        um = heights[1 :: max(heights.size // _ASIDES, 1)] / heights[-1] * end_um * 1e3
        green = int(np.abs(self.wavelengths_nm - 550.0).argmin())
        found: list[tuple[float, float]] = []
        for r in um:
            shape = self.shape(float(r))
            opd = shape.opd_um[green]
            found.append(
                _pupil_kernels.landing_middle(shape.box, opd, self._bend(shape), shape.opening)
            )
        sharp, more = np.array(found).T
        return um, sharp, more

    def warp_of(self, inverse_depth: float) -> DoubleArray:
        um, sharp, more = self._landings_um
        per_um = 1e-6 / self.thin.image_distance_m
        middle = um + sharp + self.defocus_um(inverse_depth) * more
        place = um * per_um
        scale, bends = _fitted(middle * per_um, place * bent(self._chiefs, place * place))
        return np.array([scale, *bends])

    def aside_um(self, radius_um: float, inverse_depth: float) -> float:
        scale, *bends = self.warp_of(inverse_depth)
        per_um = 1e-6 / self.thin.image_distance_m
        seen = np.array([scale * radius_um * per_um, 0.0])
        chief = unbent(self._chiefs, seen * bent(np.array(bends), (seen * seen).sum()))
        return radius_um - float(chief[0]) / per_um

    def chief(self, radius_um: float) -> float:
        return self.shape(radius_um).bend[2]

    @functools.cached_property
    def _tables(self) -> list[DoubleArray]:
        """What makes a shape, over the heights, where the focus lies."""
        tables = self._lens.tables
        every = tables.iris, tables.outline, tables.middle, tables.chief, tables.opd_um
        return [_between(table, self._nearness) for table in every]

    def _shape(self, radius_um: float) -> PupilShape:
        lens, tables = self._lens, self._lens.tables
        height = self._height_mm(radius_um)
        at = float(np.interp(height, tables.heights_mm, np.arange(tables.heights_mm.size)))
        iris, outline, middle, chief, opd = (_between(table, at) for table in self._tables)
        opd = opd * (lens.wavefront * lens.scale)
        bend = (0.0, 0.0, float(chief))
        box = _box(iris, self.radius, float(self.blades), outline, middle)
        return PupilShape(box, opd, iris, self.radius, outline, middle, bend, self.blades)

    def quick_irradiance_factor(self, radius_um: DoubleArray) -> DoubleArray:
        """Near `irradiance_factor`: the lens' shading at infinity, scaled to the axis."""
        tables = self._lens.tables
        areas = _between(tables.areas, self._nearness)
        logs, number = np.log(tables.f_numbers), math.log(self.state.f_number)
        # an area falls as 1 / N^2 but for what the rims of the elements cut off
        areas = areas * tables.f_numbers[:, None] ** 2
        now = np.array([np.interp(number, logs, column) for column in areas.T])
        now /= self.state.f_number**2
        heights = np.array([self._height_mm(float(r)) for r in radius_um])
        area = CubicSpline(tables.heights_mm**2, now)(heights**2)
        return self.state.transmittance * self.sine**2 * area


def _between(table: DoubleArray, at: float) -> DoubleArray:
    """The table's entry at a place along its first axis."""
    k = min(int(at), len(table) - 2) if len(table) > 1 else 0
    t = at - k
    return np.asarray(table[k] * (1.0 - t) + table[k + 1] * t if t else table[k], order="C")


def _fitted(place: DoubleArray, tangent: DoubleArray) -> tuple[float, DoubleArray]:
    """(scale, k1 to k3) of the distortion by which directions are seen at places, see `Pupil`."""
    powers = np.stack([place ** (2 * k) for k in range(4)], axis=1)
    scale, *bends = np.linalg.lstsq(powers, tangent / place, rcond=None)[0]
    return float(scale), np.array([b / scale ** (2 * k + 3) for k, b in enumerate(bends)])


def _box(
    iris: DoubleArray, radius: float, blades: float, outline: DoubleArray, middle: DoubleArray
) -> DoubleArray:
    """(4,): x0, x1, y0, y1 of what is open."""
    reach = min(float(outline.max()), 1.5)
    box = np.array([-reach, reach, middle[1] - reach, middle[1] + reach])
    found = np.empty(4)
    _pupil_kernels.open_box(box, 64, (iris, radius, blades, outline, middle), found)
    if not found[0] < found[1]:
        raise SettingError("iris", radius, "a pupil through which light passes")
    return found
