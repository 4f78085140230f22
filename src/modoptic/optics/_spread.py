"""How the light of a point spreads over the samples of a readout: kernels from the pupil."""

from __future__ import annotations

import functools
import math
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar, cast

import numpy as np
import numpy.typing as npt
from scipy import fft
from scipy.special import j1

from modoptic.optics import _kernels, _pupil_kernels
from modoptic.optics._pupil import Pupil
from modoptic.optics._sources import SpectralResponse
from modoptic.optics._tails import Split, split

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex64]
_Made = TypeVar("_Made")

_NODE_UM = 1520.0
"""Transfer functions are computed at radii so far apart, and interpolated between them."""
_NODES = 8
"""As many as a picture may need: to 10.83 mm from the axis."""
_CLOSER = 2.0
"""Their frequencies lie so much closer than a window asks for, so that they can be turned."""
_CLOSER_RAYS = 2.5
"""The same of what rays make, whose fading by interpolation is undone."""
_KERNELS_KEPT = 192
_LIKE = 1.08
"""Blur discs whose diameters differ by less have one shape, where rays make it."""
_LIKE_FROM = 8.0
"""Waves of defocus from which on that holds where waves make it."""
_COUNTS = tuple(round(8.0 * 2.0 ** (k / 2)) for k in range(20))
"""Of the frequencies to which such shapes are computed."""
_WAVES, _BEYOND = (7.0, 9.0), 1.75
"""Defocus between which the spread changes from waves to rays: so many waves beyond so many times
the one that throws rays as far as aberrations do."""
_WAVES_COARSE, _COARSE_TO = (1.0, 1.5), 0.14
"""The same, anywhere, for samples so coarse that they tell no more than this share of the
frequencies that diffraction lets pass: there the two agree sooner."""
_KEPT = 0.995
"""Share of the light within the part of a kernel that is kept; what is left is given to it."""
_FAINT = 0.002
"""Share of the light in the taps about a layer's kernel that are left out."""
_BLURRED = 20.0
"""And all beyond the farthest ray of what is blurred over more taps than that."""
_COARSE = 0.1
"""Blur below so much of the step of a lattice does not count."""


@dataclass(frozen=True)
class Binning:
    """What a sample gathers: ``side`` x ``side`` photosites of one colour, two apart."""

    pitch_um: float
    side: int = 1

    def transfer(self, per_um: DoubleArray) -> DoubleArray:
        """Along one axis at these frequencies, cycles/um."""
        at = np.arange(self.side) - (self.side - 1) / 2
        pattern = np.cos(2.0 * np.pi * np.multiply.outer(per_um, at * 2.0 * self.pitch_um))
        return np.sinc(per_um * self.pitch_um) * pattern.mean(axis=-1)


@dataclass(frozen=True)
class Kind:
    """Samples that share kernels: their channel, and where they lie off the lattice, um."""

    channel: int
    x_um: float = 0.0
    y_um: float = 0.0


class Cell(NamedTuple):
    """A square of the sensor that shares its kernels; they are mirrored about the axis."""

    x: int
    y: int
    side_um: float

    @property
    def middle_um(self) -> tuple[float, float]:
        return (self.x + 0.5) * self.side_um, (self.y + 0.5) * self.side_um


class _Once(Generic[_Made]):
    """What is made by the first thread that asks for it; others wait."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: _Made | None = None

    def made(self, make: Callable[[], _Made]) -> _Made:
        with self._lock:
            if self._made is None:
                self._made = make()
            return self._made


class Spread:
    """Kernels of one pupil for one response; they are kept. May be used from several threads.

    The lens is even about its axis, so that what is computed along the radius holds all round.
    """

    def __init__(self, pupil: Pupil, response: SpectralResponse, diffusion_um: float) -> None:
        self.pupil = pupil
        self._diffusion_um = diffusion_um
        self._nodes = tuple(range(pupil.wavelengths_nm.size))
        self._weights = response.shares(pupil.wavelengths_nm).astype(np.float32)
        self._lock = threading.Lock()
        self._along: dict[tuple[float | str, ...], _Once[FloatArray]] = {}
        self._per_um: dict[int, float] = {}
        self._kernels: OrderedDict[tuple[object, ...], _Once[Split]] = OrderedDict()

    @property
    def about(self) -> Pupil:
        """The lens as it is, or nearly so: for what hardly changes with focus."""
        return self.pupil

    def reach_um(self, radius_um: float, inverse_depth: float) -> float:
        """See `Pupil.reach_um`."""
        beside = self.about.reach_um(radius_um, self.about.thin.inverse_focus)
        return beside + 0.55 * self.pupil.blur_um(inverse_depth)

    def window(self, cell: Cell, inverse_depth: float, step_um: float) -> int:
        """Even number of points ``step_um`` apart in which the spread fits."""
        wide = self._wide(cell.middle_um, inverse_depth)
        wanted = 2.0 * (math.ceil(wide / step_um) + 5)
        # few sizes, so that neighbours share what is computed
        octave = 2.0 ** math.floor(math.log2(wanted / 16.0)) if wanted > 16.0 else 1.0
        return next(int(s * octave) for s in (16, 20, 24, 32) if s * octave >= wanted)

    def least_um(self) -> float:
        """How far the spread of a point in focus reaches on the axis."""
        return self._wide((0.0, 0.0), self.pupil.thin.inverse_focus)

    def _wide(self, place_um: tuple[float, float], inverse_depth: float) -> float:
        """How far the spread of a point reaches, um."""
        at = math.hypot(*place_um) / _NODE_UM
        # of both radii between which it is interpolated, which share it with their neighbours
        reach = max(
            self.reach_um(_NODE_UM * node, inverse_depth)
            for node in (math.floor(at), math.ceil(at))
        )
        # 4 lambda N holds all but 5 % of an Airy pattern, and what is beyond wraps round
        return reach + 2.2 * self.pupil.thin.working_f_number

    def spectrum(
        self, place_um: tuple[float, float], inverse_depth: float, step_um: float, size: int,
        sample_um: float, slanted: bool = False,
    ) -> ComplexArray:  # fmt: skip
        """Transfer function of the lens in each channel, (3, size, size // 2 + 1), at a place.

        By waves, and by rays for samples ``sample_um`` apart that cannot tell them from waves. As
        seen from where the pupil's `warp_of` that depth has it, or ``slanted`` its `warp`.
        """
        waves = self.pupil.waves(inverse_depth)
        first, last = self.fade(place_um, sample_um)
        rays = min(max((waves - first) / (last - first), 0.0), 1.0)
        where = place_um, inverse_depth, step_um, size, slanted
        if rays == 0.0:
            return self.by_waves(*where)
        thrown = self.by_rays(*where)
        if rays < 1.0:
            found = self.by_waves(*where)
            thrown += np.float32(1.0 - rays) * (found - thrown)
        return thrown

    def fade(self, place_um: tuple[float, float], sample_um: float) -> tuple[float, float]:
        """Waves of defocus between which the spread at a place changes from waves to rays.

        For samples ``sample_um`` apart.
        """
        working = self.pupil.thin.working_f_number
        if 0.5 / sample_um * 0.55 * working <= _COARSE_TO:
            return _WAVES_COARSE
        nodes, part = self._between(place_um)
        near, far = (self.pupil.reach_um(r, self.pupil.thin.inverse_focus) for r in nodes)
        # a wave of defocus throws rays 4 lambda N far
        beyond = _BEYOND * (near + part * (far - near)) / (4.0 * 0.55 * working)
        return _WAVES[0] + beyond, _WAVES[1] + beyond

    def by_waves(
        self, place_um: tuple[float, float], inverse_depth: float, step_um: float, size: int,
        slanted: bool = False,
    ) -> ComplexArray:  # fmt: skip
        """`spectrum` by waves in the pupil."""
        none = np.zeros(2)
        if self.pupil.waves(inverse_depth) > _LIKE_FROM:
            how, ratio = self._shaped(inverse_depth, size * step_um, size, slanted)
            return self._turn(place_um, self._bent, how, ratio, (none, none), size)
        how = inverse_depth, step_um, size, slanted
        return self._turn(place_um, self._waves, how, _CLOSER, (none, none), size)

    def by_rays(
        self, place_um: tuple[float, float], inverse_depth: float, step_um: float, size: int,
        slanted: bool = False,
    ) -> ComplexArray:  # fmt: skip
        """`spectrum` by where rays land, with the diffraction of an ellipse like the pupil."""
        how, ratio = self._shaped(inverse_depth, size * step_um, size, slanted)
        per_width = 2.0 * self.pupil.sine * size * step_um / 0.55
        near, far = (per_width * self.pupil.shape(r).ellipse for r in self._between(place_um)[0])
        return self._turn(place_um, self._thrown, how, ratio, (near, far), size)

    def _shaped(
        self, inverse_depth: float, wide_um: float, size: int, slanted: bool
    ) -> tuple[tuple[int, float, int, bool], float]:
        """What has the shape of a blur disc in a window: its steps of `_LIKE`, 1 over um of its
        frequencies, their count; and how many of them fit into one of the window.

        A disc of another size is the same at frequencies that are lower by as much.
        """
        blur = self.pupil.blur_um(inverse_depth)
        steps = round(math.log(blur, _LIKE))
        steps = steps if inverse_depth > self.pupil.thin.inverse_focus else -steps
        if steps not in self._per_um:
            self._per_um[steps] = 1.0 / (2.0 * _CLOSER_RAYS * self._widest(steps))
        per_um = self._per_um[steps]
        ratio = blur / (_LIKE ** abs(steps) * wide_um * per_um)
        wanted = math.ceil(math.sqrt(0.5) * size * ratio) + 3
        return (steps, per_um, next(n for n in _COUNTS if n >= wanted), slanted), ratio

    def _between(self, place_um: tuple[float, float]) -> tuple[tuple[float, float], float]:
        """Radii of the nodes around a place, and how far it is from the first towards the other."""
        at = math.hypot(*place_um) / _NODE_UM
        node = int(at)
        return (_NODE_UM * node, _NODE_UM * (node + 1)), at - node

    def _turn(
        self, place_um: tuple[float, float], of: Callable[..., FloatArray],
        how: tuple[float, float, int, bool], ratio: float, cutoffs: tuple[DoubleArray, DoubleArray],
        size: int,
    ) -> ComplexArray:  # fmt: skip
        """What is computed along the radius, ``of(radius_um, *how)``, turned to a place."""
        radius = math.hypot(*place_um)
        x, y = (v / radius for v in place_um) if radius else (0.0, 1.0)
        nodes, part = self._between(place_um)
        made: list[FloatArray] = []
        for r in nodes:
            with self._lock:
                once = self._along.setdefault((of.__name__, r, *how), _Once())
            made.append(once.made(lambda r=r: of(r, *how)))
        cutoff = cutoffs[0] + part * (cutoffs[1] - cutoffs[0])
        out = np.empty((3, size, size // 2 + 1), np.complex64)
        _pupil_kernels.turned(*made, part, ratio, x, y, cutoff, out)
        return out

    def _waves(
        self, radius_um: float, inverse_depth: float, step_um: float, size: int, slanted: bool
    ) -> FloatArray:
        """Transfer function in each channel along the radius, as `turned` takes it, by waves."""
        # to the corner of the window's frequencies, and what cubic interpolation asks for beyond
        count = math.ceil(_CLOSER * math.sqrt(0.5) * size) + 3
        per_um = 1.0 / (_CLOSER * size * step_um)
        of = self.pupil.otf(radius_um, inverse_depth, per_um, count, self._nodes)
        aside = self._aside_um(radius_um, inverse_depth, slanted)
        return _weighed(of, self._weights, per_um * aside)

    def _like(self, steps: int) -> float:
        """Inverse depth whose blur disc is ``_LIKE`` to the power of so much, um; of its sign."""
        thin = self.pupil.thin
        blur = math.copysign(_LIKE ** abs(steps), steps) * 1e-6
        return thin.inverse_focus + blur / (thin.image_distance_m * thin.iris_m)

    def _widest(self, steps: int) -> float:
        """`_wide` for a depth of `_like`, anywhere on the sensor."""
        inverse_depth = self._like(steps)
        return max(self._wide((_NODE_UM * n, 0.0), inverse_depth) for n in range(_NODES))

    def _thrown(
        self, radius_um: float, steps: int, per_um: float, count: int, slanted: bool
    ) -> FloatArray:
        """The same by rays, for a depth of `_like`."""
        args = radius_um, self._like(steps), per_um, count, self._nodes, _undone()
        aside = self._aside_um(radius_um, args[1], slanted)
        return _weighed(self.pupil.geometric(*args), self._weights, per_um * aside)

    def _bent(
        self, radius_um: float, steps: int, per_um: float, count: int, slanted: bool
    ) -> FloatArray:
        """The same by waves."""
        args = radius_um, self._like(steps), per_um, count, self._nodes
        aside = self._aside_um(radius_um, args[1], slanted)
        return _weighed(self.pupil.otf(*args), self._weights, per_um * aside)

    def _aside_um(self, radius_um: float, inverse_depth: float, slanted: bool) -> float:
        """How far light lies aside of its chief ray by how layers bend, not by kernels."""
        at = self.pupil.thin.inverse_focus if slanted else inverse_depth
        return self.pupil.aside_um(radius_um, at)

    def kernels(
        self, cell: Cell, inverse_depth: float, step_um: float, binning: Binning,
        kinds: tuple[Kind, ...], slanted: bool = False,
    ) -> FloatArray:  # fmt: skip
        """As `kernels_at`, of a whole cell; kept, with those of its mirror images."""
        return self.parted(cell, inverse_depth, step_um, binning, kinds, 0.0, slanted).core

    def parted(
        self, cell: Cell, inverse_depth: float, step_um: float, binning: Binning,
        kinds: tuple[Kind, ...], allowed: float, slanted: bool = False,
    ) -> Split:  # fmt: skip
        """As `kernels`, split with an error ``allowed``; where that is 0 all is core."""
        x, y = cell.middle_um
        sx, sy = (1.0 if v >= 0.0 else -1.0 for v in (x, y))
        wanted, order = _mirrored(kinds, sx, sy)
        key = (abs(x), abs(y), inverse_depth, step_um, binning, wanted, allowed, slanted)
        with self._lock:
            once = self._kernels.setdefault(key, _Once())
            while len(self._kernels) > _KERNELS_KEPT:
                self._kernels.popitem(last=False)

        def make() -> Split:
            size = self.window(cell, inverse_depth, step_um)
            place = abs(x), abs(y)
            found = self.kernels_at(
                place, inverse_depth, step_um, binning, wanted, size, slanted=slanted
            )
            if self.pupil.blur_um(inverse_depth) > _BLURRED * step_um:
                reach = math.ceil(self.reach_um(math.hypot(*place), inverse_depth) / step_um)
                beyond = max(found.shape[1] // 2 - reach, 0)
                inside = slice(beyond, found.shape[1] - beyond)
                found = np.ascontiguousarray(found[:, inside, inside])
            _kernels.trim(found, _FAINT)
            return split(found, allowed)

        made = once.made(make)
        return Split(*(part[order, :: int(sy), :: int(sx)] for part in made))

    def kernels_at(
        self, place_um: tuple[float, float], inverse_depth: float, step_um: float,
        binning: Binning, kinds: tuple[Kind, ...], size: int, *, disc_um: float = 0.0,
        kept: float = _KEPT, slanted: bool = False,
    ) -> FloatArray:  # fmt: skip
        """Taps by which samples of a lattice become the samples of each kind, (kinds, n, n), n odd.

        The lattice holds means over squares of its step. Tap [k, i, j] belongs to lattice point
        (i - n // 2, j - n // 2) as seen from the sample; each kernel adds up to 1.

        Parameters
        ----------
        place_um : on the sensor, from the axis
        size : points of the `window` in which the spread fits
        disc_um : radius of a disc that is spread, instead of a square of the lattice
        kept : share of the light within the taps; what is left is given to them
        slanted : of a layer that bends as the pupil's `warp` does, not as at its own depth
        """
        working = self.pupil.thin.working_f_number
        if self.pupil.blur_um(inverse_depth) + 10.0 * working < _COARSE * step_um:
            return np.ones((len(kinds), 1, 1), np.float32)
        # neither do points far apart, however close samples lie between them, tell rays from waves
        sample_um = max(binning.side * binning.pitch_um, step_um)
        lens = self.spectrum(place_um, inverse_depth, step_um, size, sample_um, slanted)
        common = _gathered(size, step_um, binning, self._diffusion_um, disc_um)
        spectra = np.empty((len(kinds), size, size // 2 + 1), np.complex64)
        for spectrum, kind in zip(spectra, kinds, strict=True):
            # seen from the sample the kernel is turned about: the spectrum's conjugate
            _pupil_kernels.gathered(
                lens[kind.channel], common, _shift(size, step_um, -kind.y_um),
                _shift(size, step_um, -kind.x_um), spectrum,
            )  # fmt: skip
        out = cast(FloatArray, fft.irfft2(spectra, (size, size), axes=(1, 2)))
        return cast(FloatArray, _kernels.cut(out, kept))


@functools.lru_cache(maxsize=256)
def _mirrored(kinds: tuple[Kind, ...], sx: float, sy: float) -> tuple[tuple[Kind, ...], list[int]]:
    """Kinds in a mirror image, each once and in order; and which of them each of ``kinds`` is."""
    mirrored = [Kind(k.channel, sx * k.x_um + 0.0, sy * k.y_um + 0.0) for k in kinds]
    wanted = tuple(sorted(set(mirrored), key=lambda k: (k.channel, k.x_um, k.y_um)))
    return wanted, [wanted.index(k) for k in mirrored]


def _weighed(waves: ComplexArray, weights: FloatArray, aside: float) -> FloatArray:
    """Transfer functions (n, m, m) of wavelengths in each channel, as `turned` takes them.

    Moved inward by ``aside``, in periods of their first frequency.
    """
    count = waves.shape[1]
    if aside:
        waves *= np.exp(2j * np.pi * aside * np.arange(count)).astype(np.complex64)[:, None]
    out = np.zeros((count + 1, count + 1, 8), np.float32)
    _pupil_kernels.weigh(waves, weights, 1.0, out)
    # even across; outward the conjugate
    out[:, 0] = out[:, 2]
    out[0] = out[2]
    out[0, :, 1::2] *= -1.0
    return out


@functools.cache
def _undone() -> FloatArray:
    """By how much light from 0 to half a period fades where `turned` interpolates, its inverse.

    What is interpolated between frequencies is multiplied, where it lands, by the transform of the
    interpolating function (Keys, IEEE Trans. ASSP 29, 1153, 1981).
    """
    t = (np.arange(2000) + 0.5) / 1000.0
    cubic = np.where(t < 1.0, 1.0 + t * t * (1.5 * t - 2.5), 2.0 + t * (-4.0 + t * (2.5 - 0.5 * t)))
    phase = np.pi * np.linspace(0.0, 1.0, 257)
    return (1.0 / (2e-3 * np.cos(np.outer(phase, t)) * cubic).sum(axis=1)).astype(np.float32)


@functools.lru_cache(maxsize=256)
def _gathered(
    size: int, step_um: float, binning: Binning, diffusion_um: float, disc_um: float
) -> FloatArray:
    """Transfer function of a sample that gathers light, over that of the lattice's own squares.

    Of a disc instead, where ``disc_um`` is not 0: its radius.
    """
    fy = np.asarray(fft.fftfreq(size, step_um), np.float64)
    fx = np.asarray(fft.rfftfreq(size, step_um), np.float64)
    squared = fy[:, None] ** 2 + fx[None, :] ** 2
    out = np.exp(-2.0 * (np.pi * diffusion_um) ** 2 * squared)
    out *= np.multiply.outer(binning.transfer(fy), binning.transfer(fx))
    if disc_um:
        at = 2.0 * np.pi * disc_um * np.sqrt(squared)
        out *= np.where(at > 1e-6, 2.0 * j1(at) / np.maximum(at, 1e-6), 1.0)
    else:
        out /= np.multiply.outer(np.sinc(fy * step_um), np.sinc(fx * step_um))
    return out.astype(np.float32)


@functools.lru_cache(maxsize=256)
def _shift(size: int, step_um: float, by_um: float) -> ComplexArray:
    """Phase that shifts by so much from the middle of ``size`` points.

    The highest frequency, which has no sign, keeps its cosine.
    """
    phase = np.exp(2j * np.pi * by_um * fft.fftfreq(size, step_um))
    phase[size // 2] = phase[size // 2].real
    phase[1::2] *= -1.0
    return phase.astype(np.complex64)
