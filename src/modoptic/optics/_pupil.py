"""The pupil of a lens as a point of the picture sees it: its shape, and the wave in it.

Coordinates in the pupil are direction cosines of the rays that arrive, over ``sine``: y outward
from the axis, x across. All follows from two sums over it (Goodman, "Introduction to Fourier
Optics", chapters 5 and 6): the light that a point gets is the area of the pupil in direction
cosines, and the transfer function is the autocorrelation of the wave, shifted by wavelength times
frequency.
"""

from __future__ import annotations

import functools
import math
import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, cast

import numpy as np
import numpy.typing as npt
from scipy import fft

from modoptic.errors import SettingError
from modoptic.optics import _pupil_kernels
from modoptic.optics._lens import LensState, ThinLens, solve

DoubleArray = npt.NDArray[np.float64]
FloatArray = npt.NDArray[np.float32]
ComplexArray = npt.NDArray[np.complex64]

NO_OUTLINE: DoubleArray = np.full(8, 1e3)
_AREA_LINES = 256
_GRIDS_KEPT = 256
_RAYS = (20, 28, 40, 56, 80, 112, 160, 226)
"""Numbers of rays along half of the pupil."""
_WARPED_TO = 0.5
"""Squared tangent to which the polynomial of the distortion is used."""
_RIM_CELLS = 4.0
"""Shifts of the pupil up to which it matters that its rim is known to a cell only."""
_FINE, _FINEST = 0.032, 0.01
"""The pupil is sampled at least so finely, of its radius, for kernels and for `Pupil.mtf`."""
NODES_NM: DoubleArray = np.array([435.83, 486.13, 546.07, 587.5618, 632.8, 680.0])
"""Wavelengths at which an ideal lens is looked at: spectral lines of the optical shop."""


@dataclass(frozen=True, eq=False)
class PupilShape:
    """The pupil from one distance from the axis of the picture."""

    box: DoubleArray
    """(4,): x0, x1, y0, y1 of what is open."""
    opd_um: DoubleArray
    """(wavelengths, i, j): path difference, sum of table[i, j] x^2i y^j; positive where longer."""
    iris: DoubleArray
    """(2, i, j): where a ray meets the iris, x times a sum, and a sum, as above."""
    radius: float
    """Of the iris in those units."""
    outline: DoubleArray
    """(n,): what the rims of the elements leave; radii about `middle`, azimuths from x on."""
    middle: DoubleArray
    """(2,)"""
    bend: tuple[float, float, float]
    """(qx, qy, tilt): how path grows with defocus. Paraxial factors of x^2 / 2 and y^2 / 2, or 0, 0
    and the sine of the chief ray."""

    blades: int = 0
    """Of the iris; 0 is round."""

    @property
    def opening(self) -> _pupil_kernels.Opening:
        """What says where it is open, as the kernels want it."""
        return self.iris, self.radius, float(self.blades), self.outline, self.middle

    @functools.cached_property
    def area(self) -> float:
        """Of what is open, in units of ``sine`` squared."""
        return _pupil_kernels.open_area(self.box, _AREA_LINES, self.opening)

    @functools.cached_property
    def ellipse(self) -> DoubleArray:
        """(2,): half axes, across and outward, of an ellipse like what is open.

        Shifted over itself it loses light at first as the pupil does: by how wide that is across
        the shift, over its area.
        """
        wide, high = self.box[1::2] - self.box[0::2]
        return 2.0 * self.area / (math.pi * np.array([high, wide]))


class _Grid(NamedTuple):
    """The half of a pupil at x >= 0; the other one is its mirror image."""

    opened: FloatArray
    """(w, h): 0..1."""
    area: float
    rim: float
    """Share of the area that squares of cells which are open in part lack."""
    paths_um: FloatArray
    """(wavelengths + 1, w, h): path differences, last what 1 um of defocus adds."""


class _Rays(NamedTuple):
    parts: FloatArray
    """(n,): share of each ray."""
    landing_um: FloatArray
    """(wavelengths looked at + 1, 2, n): in focus, last what 1 um of defocus adds."""


@dataclass(frozen=True, eq=False)
class Pupil(ABC):
    """A lens as it is set now."""

    state: LensState
    thin: ThinLens = field(init=False)
    blades: int = 0
    """Of the iris; 0 is round."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "thin", solve(self.state))
        object.__setattr__(self, "_shapes", {})
        object.__setattr__(self, "_reaches", {})
        object.__setattr__(self, "_grids", OrderedDict())
        object.__setattr__(self, "_rays", {})
        object.__setattr__(self, "_lock", threading.Lock())

    @functools.cached_property
    def warp(self) -> DoubleArray:
        """(4,): a scale, by which places are multiplied first, then k1 to k3 of the radial
        distortion, see `modoptic.scenes.Layer.sample`: where the middle of the light of a point in
        focus lies."""
        return self.warp_of(self.thin.inverse_focus)

    @property
    @abstractmethod
    def sine(self) -> float:
        """Direction cosine at 1 in the pupil's coordinates."""

    @property
    def wavelengths_nm(self) -> DoubleArray:
        return NODES_NM

    def seen(self, tangent: DoubleArray, inverse_depth: float | None = None) -> DoubleArray:
        """Where on the sensor, in units of its distance, directions (..., 2) are seen.

        Of points in focus, or at ``inverse_depth``. Far beyond any picture the distortion is not
        known; it is taken as at its limit.
        """
        scale, *bends = self.warp if inverse_depth is None else self.warp_of(inverse_depth)
        return unbent(np.array(bends), tangent) / scale

    def warp_of(self, inverse_depth: float) -> DoubleArray:
        """`warp` of points at a depth."""
        return np.array([1.0, 0.0, 0.0, 0.0])

    def aside_um(self, radius_um: float, inverse_depth: float) -> float:
        """By how much `warp_of` has the middle of a point's light outward of its chief ray, um.

        At ``radius_um`` from the axis, where the light's middle is.
        """
        return 0.0

    @abstractmethod
    def _shape(self, radius_um: float) -> PupilShape: ...

    def shape(self, radius_um: float) -> PupilShape:
        """Seen from ``radius_um`` from the axis; kept."""
        shapes: dict[float, PupilShape] = self.__dict__["_shapes"]
        if radius_um not in shapes:
            shapes[radius_um] = self._shape(radius_um)
        return shapes[radius_um]

    @abstractmethod
    def chief(self, radius_um: float) -> float:
        """Direction cosine, outward, of light from the pupil's origin."""

    def irradiance_factor(self, radius_um: DoubleArray) -> DoubleArray:
        """Irradiance over scene radiance in sr at distances from the axis: tau times the area."""
        tau = self.state.transmittance * self.sine**2
        return np.array([tau * self.shape(float(r)).area for r in radius_um])

    def quick_irradiance_factor(self, radius_um: DoubleArray) -> DoubleArray:
        """As `irradiance_factor`, where that takes long an approximation of it."""
        return self.irradiance_factor(radius_um)

    def defocus_um(self, inverse_depth: float) -> float:
        """By how much a point's image lies behind the sensor, um."""
        away = inverse_depth - self.thin.inverse_focus
        return 1e6 * self.thin.image_distance_m**2 * away

    def blur_um(self, inverse_depth: float) -> float:
        """Diameter of the blur disc of a thin lens, um."""
        thin = self.thin
        return 1e6 * thin.image_distance_m * thin.blur_tangent(inverse_depth)

    def waves(self, inverse_depth: float) -> float:
        """Path difference from middle to rim by defocus, in waves of 550 nm."""
        return abs(self.blur_um(inverse_depth)) / (8.0 * self.thin.working_f_number * 0.55)

    def _bend(self, shape: PupilShape) -> DoubleArray:
        return np.array([*shape.bend, self.sine])

    def blur_rim(self, radius_um: float) -> FloatArray:
        """Outline of the blur disc of a point nearer than the focus, float32 (64, 2).

        Across and outward from the axis, in radii of the thin lens' disc; of a point that is
        farther, it is turned about.
        """
        shape = self.shape(radius_um)
        rim = np.empty((64, 2), np.float32)
        _pupil_kernels.blur_rim(shape.box, self._bend(shape), shape.opening, rim)
        rim *= np.float32(2.0 * self.thin.working_f_number)
        return rim

    def otf(
        self,
        radius_um: float,
        inverse_depth: float,
        per_um: float,
        count: int,
        nodes: tuple[int, ...] | None = None,
        finest: float = _FINE,
    ) -> ComplexArray:
        """Transfer function of the lens alone, complex64 (wavelengths, count, count).

        [k, i, j] is at the frequency (j, i) ``per_um``, cycles/um, across and outward. It is even
        across; at (j, -i) it is the conjugate. ``nodes`` are the indices of the wavelengths
        wanted, or all.
        """
        nodes = tuple(range(self.wavelengths_nm.size)) if nodes is None else nodes
        out = np.empty((len(nodes), count, count), np.complex64)
        # points so close that the picture of the pupil has room for all that it spreads
        longest = float(self.wavelengths_nm.max()) * 1e-3
        room = 2.0 * self.reach_um(radius_um, inverse_depth) + 12.0 * longest / self.sine
        wanted = float(self.wavelengths_nm.min()) * 1e-3 / (self.sine * room)
        # in steps, so that layers share what does not depend on defocus
        _, x1, y0, y1 = self.shape(radius_um).box
        finest *= min(2.0 ** math.ceil(math.log2(max(x1, 0.5 * (y1 - y0)))), 1.0)
        spacing = finest * 2.0 ** (-0.5 * max(math.ceil(2.0 * math.log2(finest / wanted)), 0))
        grid = self._grid(radius_um, spacing, nodes)
        wide, high = grid.opened.shape
        lag = math.ceil(longest * per_um * (count - 1) / (self.sine * spacing)) + 1
        # transforms of real even numbers take two lengths less than those around
        across = quick_size(math.ceil((2 * wide + min(lag, 2 * wide)) / 2))
        wave = np.empty((wide, quick_size(high + min(lag, high))), np.complex64)
        amount = self.defocus_um(inverse_depth)
        for n, k in enumerate(nodes):
            wavelength = float(self.wavelengths_nm[k]) * 1e-3
            _pupil_kernels.wave(
                grid.opened, grid.paths_um[n], grid.paths_um[-1], amount, 1.0 / wavelength, wave
            )
            picture = cast(ComplexArray, fft.fft(wave, axis=1))
            picture = cast(ComplexArray, fft.dct(picture, 1, across + 1, axis=0))
            shift = per_um * wavelength / (self.sine * spacing)
            points = 2 * across * wave.shape[1]
            _pupil_kernels.autocorrelation(picture, shift, 1.0 / (grid.area * points), out[n])
            # beyond its own width the pupil does not overlap itself
            out[n, min(math.floor(high / shift) + 1, count) :] = 0.0
            out[n, :, min(math.floor(2 * wide / shift) + 1, count) :] = 0.0
            _rim_mended(out[n], shift, grid.rim)
        return out

    def _grid(self, radius_um: float, spacing: float, nodes: tuple[int, ...]) -> _Grid:
        """The pupil in points, with the paths of these wavelengths; the last ones are kept."""
        key = (radius_um, spacing, *nodes)
        grids: OrderedDict[tuple[float, ...], _Grid] = self.__dict__["_grids"]
        with self.__dict__["_lock"]:
            made = grids.get(key)
        if made is None:
            shape = self.shape(radius_um)
            _, x1, y0, y1 = shape.box
            size = math.ceil(x1 / spacing) + 1, math.ceil((y1 - y0) / spacing) + 1
            opened = np.empty(size, np.float32)
            area = _pupil_kernels.amplitude(y0, spacing, shape.opening, opened)
            paths = np.empty((len(nodes) + 1, *size), np.float32)
            opd_um = np.ascontiguousarray(shape.opd_um[list(nodes)])
            _pupil_kernels.paths(y0, spacing, opd_um, self._bend(shape), paths)
            squares = np.einsum("ij,ij->i", opened, opened, dtype=np.float64)
            rim = 1.0 - float(2.0 * squares.sum() - squares[0]) / area
            made = _Grid(opened, area, rim, paths)
            with self.__dict__["_lock"]:
                grids[key] = made
                while len(grids) > _GRIDS_KEPT:
                    grids.popitem(last=False)
        return made

    def geometric(
        self,
        radius_um: float,
        inverse_depth: float,
        per_um: float,
        count: int,
        nodes: tuple[int, ...],
        gains: FloatArray,
    ) -> ComplexArray:
        """As `otf` by where rays land, without diffraction; weighted by that, see `land`."""
        out = np.empty((len(nodes), count, count), np.complex64)
        period, landed = self._landed(radius_um, inverse_depth, per_um, count, nodes, gains)
        for found, target in zip(landed, out, strict=True):
            _pupil_kernels.unshare(found, float(period), target)
        return out

    def _landed(
        self, radius_um: float, inverse_depth: float, per_um: float, count: int,
        nodes: tuple[int, ...], gains: FloatArray,
    ) -> tuple[int, list[ComplexArray]]:  # fmt: skip
        """Transforms [across, outward] of where rays land, and the points of their period."""
        period = 2 * quick_size(count)
        step_um = 1.0 / (per_um * period)
        dense = 1.5 * abs(self.blur_um(inverse_depth)) / step_um
        rays = self._flown(radius_um, next((n for n in _RAYS if n >= dense), _RAYS[-1]), nodes)
        landed = np.empty((period // 2 + 1, period), np.float32)
        amount = self.defocus_um(inverse_depth)
        out: list[ComplexArray] = []
        *places, more = rays.landing_um
        for at in places:
            _pupil_kernels.land(rays.parts, at, more, amount, step_um, gains, landed)
            found = cast(ComplexArray, fft.rfft(landed, axis=1))[:, :count]
            out.append(cast(ComplexArray, fft.dct(found, 1, axis=0)))
        return period, out

    def _flown(self, radius_um: float, count: int, nodes: tuple[int, ...]) -> _Rays:
        """2 count^2 rays of each of these wavelengths through half of the pupil; kept."""
        key = radius_um, count, nodes
        kept: dict[tuple[float, int, tuple[int, ...]], _Rays] = self.__dict__["_rays"]
        with self.__dict__["_lock"]:
            made = kept.get(key)
        if made is None:
            shape = self.shape(radius_um)
            parts = np.empty(2 * count * count, np.float32)
            landing = np.empty((len(nodes) + 1, 2, parts.size), np.float32)
            opd_um = shape.opd_um[list(nodes)]
            passed = _pupil_kernels.fly(
                shape.box, opd_um, self._bend(shape), shape.opening, parts, landing
            )
            made = _Rays(parts[:passed].copy(), landing[:, :, :passed].copy())
            with self.__dict__["_lock"]:
                kept[key] = made
        return made

    def reach_um(self, radius_um: float, inverse_depth: float) -> float:
        """About how far from its place the light of a point lands, diffraction aside, um."""
        reaches: dict[float, float] = self.__dict__["_reaches"]
        if radius_um not in reaches:
            shape = self.shape(radius_um)
            reaches[radius_um] = max(
                _pupil_kernels.landing(shape.box, opd, self._bend(shape), shape.opening)
                for opd in (shape.opd_um[0], shape.opd_um[-1])
            )
        return reaches[radius_um] + 0.55 * abs(self.blur_um(inverse_depth))

    def mtf(
        self,
        cycles_per_mm: npt.ArrayLike,
        radius_um: float = 0.0,
        inverse_depth: float | None = None,
    ) -> tuple[DoubleArray, DoubleArray]:
        """MTF of the lens alone, each (wavelengths, n): for lines across the radius, and along it.

        The first is called tangential (T), the second sagittal (S).
        """
        if inverse_depth is None:
            inverse_depth = self.thin.inverse_focus
        frequency = np.atleast_1d(np.asarray(cycles_per_mm, np.float64)) * 1e-3
        n = self.wavelengths_nm.size
        across, along = np.empty((n, frequency.size)), np.empty((n, frequency.size))
        for i, f in enumerate(frequency):
            both = np.abs(self.otf(radius_um, inverse_depth, max(f, 1e-9), 2, finest=_FINEST))
            across[:, i], along[:, i] = both[:, 1, 0], both[:, 0, 1]
        return across, along


def _rim_mended(transfer: ComplexArray, shift: float, rim: float) -> None:
    """Give a transfer function (n, n) what cells open in part take from its lowest frequencies.

    Openness is a mean over the width of a cell across the rim, so that the autocorrelation, which
    falls in proportion to the shift, has its tip smoothed. Where the rim is shifted by u cells
    across itself it lacks (1 - u)^3 of what it lacks at 0, which is the share ``rim`` in all; for a
    round rim shifted by s that is the mean over azimuths, with u = s cos. ``shift`` is one step of
    frequency in cells.
    """
    near = min(math.ceil(_RIM_CELLS / shift), len(transfer))
    at = shift * np.arange(near)
    s = np.hypot(at[:, None], at)
    c = 1.0 / np.maximum(s, 1.0)
    turn, sine = 0.5 * math.pi - np.arccos(c), np.sqrt(1.0 - c * c)
    lacks = turn - 3.0 * s * (1.0 - sine) + 1.5 * s**2 * (turn - c * sine)
    lacks -= s**3 * (2.0 / 3.0 - sine + sine**3 / 3.0)
    transfer[:near, :near] += (2.0 / math.pi * rim * lacks).astype(np.float32)
    transfer[0, 0] = 1.0


def bent(bends: DoubleArray, squared: DoubleArray) -> DoubleArray:
    """Factor of the radial distortion k1 to k3 at squared tangents."""
    k1, k2, k3 = bends
    return 1.0 + squared * (k1 + squared * (k2 + squared * k3))


def unbent(bends: DoubleArray, tangent: DoubleArray) -> DoubleArray:
    """Places (..., 2) at which directions are seen with that distortion."""
    place = tangent
    for _ in range(6):
        q = np.minimum((place * place).sum(axis=-1, keepdims=True), _WARPED_TO)
        place = tangent / bent(bends, q)
    return place


def quick_size(count: int) -> int:
    """A number of points at least so large whose transform is quick."""
    return cast(int, fft.next_fast_len(count))


class Lens(ABC):
    """A lens design."""

    @abstractmethod
    def pupil(self, state: LensState) -> Pupil:
        """The lens set so.

        Raises
        ------
        SettingError : it cannot be set so
        """


@dataclass(frozen=True, eq=False)
class IdealPupil(Pupil):
    """A thin lens without aberrations: a round disc of light, cos^4, and the Airy pattern."""

    convention: Literal["thin", "isetcam"] = "thin"

    @property
    def sine(self) -> float:
        return 0.5 / self.thin.working_f_number

    def chief(self, radius_um: float) -> float:
        tangent = radius_um * 1e-6 / self.thin.image_distance_m
        return tangent / math.sqrt(1.0 + tangent * tangent)

    def _shape(self, radius_um: float) -> PupilShape:
        tangent = radius_um * 1e-6 / self.thin.image_distance_m
        c = 1.0 / math.sqrt(1.0 + tangent * tangent)
        iris = np.zeros((2, 1, 2))
        iris[0, 0, 0], iris[1, 0, 1] = 1.0 / c, 1.0 / c**3
        box = np.array([-c, c, -(c**3), c**3])
        opd = np.zeros((NODES_NM.size, 1, 1))
        middle = np.zeros(2)
        bend = (1.0 / c, 1.0 / c**3, 0.0)
        return PupilShape(box, opd, iris, 1.0, NO_OUTLINE, middle, bend, self.blades)

    def irradiance_factor(self, radius_um: DoubleArray) -> DoubleArray:
        """pi tau / (4 N_w^2) cos^4; of ISETCam's convention pi tau / (1 + 4 N_w^2) cos^4."""
        squared = (np.asarray(radius_um) * 1e-6 / self.thin.image_distance_m) ** 2
        fourth = 1.0 / (1.0 + squared) ** 2
        if self.convention == "isetcam":
            working = self.thin.working_f_number
            return math.pi * self.state.transmittance / (1.0 + 4.0 * working**2) * fourth
        return self.thin.irradiance_factor * fourth


@dataclass(frozen=True)
class IdealLens(Lens):
    """A thin lens without aberrations (see `IdealPupil`).

    ``convention`` is how light follows from the f-number: "thin" for pi tau / (4 N_w^2), "isetcam"
    for pi tau / (1 + 4 N_w^2), 0.17 EV less at f/1.4.
    """

    convention: Literal["thin", "isetcam"] = "thin"
    blades: int = 0

    def __post_init__(self) -> None:
        if self.convention not in ("thin", "isetcam"):
            raise SettingError("convention", self.convention, '"thin" or "isetcam"')

    def pupil(self, state: LensState) -> IdealPupil:
        return IdealPupil(state, self.blades, self.convention)


@functools.cache
def airy_radius_um(wavelength_nm: float, working_f_number: float) -> float:
    """First dark ring of a round pupil: 1.2196699 lambda N_w (Goodman, 4.4.2)."""
    return 1.2196698912665045 * wavelength_nm * 1e-3 * working_f_number


def warm_pupil() -> Iterator[str]:
    """Compile the kernels of the pupil; one line each."""
    pupil = IdealLens().pupil(LensState(17.5, 2.0, 1.0))
    found = pupil.otf(0.0, 1.0, 0.01, 4)
    yield "optics: wavefront"
    part = np.zeros((8, 8, 8), np.float32)
    _pupil_kernels.weigh(found, np.ones((3, NODES_NM.size), np.float32), 1.0, part)
    pupil.geometric(0.0, 1.0, 0.01, 4, (0,), part[0, 0])
    _pupil_kernels.turned(
        part, part, 0.5, 1.0, 0.0, 1.0, np.ones(2), np.empty((3, 4, 3), np.complex64)
    )
    flat, line = np.ones((2, 2), np.complex64), np.ones(2, np.complex64)
    _pupil_kernels.gathered(flat, np.ones((2, 2), np.float32), line, line, flat.copy())
    pupil.reach_um(0.0, 1.0)
    pupil.blur_rim(0.0)
    shape = pupil.shape(0.0)
    bend = np.array([*shape.bend, pupil.sine])
    _pupil_kernels.landing_middle(shape.box, shape.opd_um[0], bend, shape.opening)
    _ = shape.area
    _pupil_kernels.open_box(shape.box, 8, shape.opening, np.empty(4))
    _pupil_kernels.openness(shape.box, shape.opening, np.empty((4, 4)))
    yield "optics: rays"
