"""How the light of a point spreads over the samples of a readout: kernels from the pupil."""

from __future__ import annotations

import functools
import math
import threading
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import fft
from scipy.special import j1

from modoptic.optics import _kernels
from modoptic.optics._pupil import Pupil
from modoptic.optics._sources import SpectralResponse

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex64]

_NODE_UM = 1520.0
"""Transfer functions are computed at places so far apart, and interpolated between them."""
_WAVES = (7.0, 9.0)
"""Defocus between which the spread changes from waves to rays."""
_KEPT = 0.995
"""Share of the light within the part of a kernel that is kept; what is left is given to it."""
_COARSE = 0.1
"""Blur below so much of the step of a lattice does not count."""
_FEW_FROM_WAVES = 1.5
"""From this defocus on half the wavelengths do."""


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


class Spread:
    """Kernels of one pupil for one response; they are kept. May be used from several threads."""

    def __init__(self, pupil: Pupil, response: SpectralResponse, diffusion_um: float) -> None:
        self.pupil = pupil
        self._diffusion_um = diffusion_um
        count = pupil.wavelengths_nm.size
        some = tuple(range(1, count, 2)) if count > 3 else tuple(range(count))
        self._nodes = (tuple(range(count)), some)
        self._weights = [
            response.shares(pupil.wavelengths_nm[list(nodes)]).astype(np.float32)
            for nodes in self._nodes
        ]
        self._lock = threading.Lock()
        self._spectra: dict[tuple[float, ...], ComplexArray] = {}

    def window(self, cell: Cell, inverse_depth: float, step_um: float) -> int:
        """Even number of points ``step_um`` apart in which the spread fits."""
        pupil = self.pupil
        radius = math.hypot(*cell.middle_um)
        # 4 lambda N holds all but 5 % of an Airy pattern, and what is beyond wraps round
        wide = pupil.reach_um(radius, inverse_depth) + 2.2 * pupil.thin.working_f_number
        wanted = 2.0 * (math.ceil(wide / step_um) + 5)
        # few sizes, so that neighbours share what is computed
        octave = 2.0 ** math.floor(math.log2(wanted / 16.0)) if wanted > 16.0 else 1.0
        return next(int(s * octave) for s in (16, 20, 24, 32) if s * octave >= wanted)

    def spectrum(self, cell: Cell, inverse_depth: float, step_um: float, size: int) -> ComplexArray:
        """Transfer function of the lens in each channel, (3, size, size // 2 + 1)."""
        # mirrored about the axis, between the four nodes around
        x, y = (abs(at) / _NODE_UM for at in cell.middle_um)
        i, j = int(x), int(y)
        made = np.zeros((3, size, size // 2 + 1), np.complex64)
        for node, share in (
            ((i, j), (1 - x + i) * (1 - y + j)), ((i + 1, j), (x - i) * (1 - y + j)),
            ((i, j + 1), (1 - x + i) * (y - j)), ((i + 1, j + 1), (x - i) * (y - j)),
        ):  # fmt: skip
            if share > 0.0:
                made += np.float32(share) * self._node(node, inverse_depth, step_um, size)
        if cell.y < 0:
            made = made[:, np.r_[0, size - 1 : 0 : -1]]
        if cell.x < 0:
            made = made[:, np.r_[0, size - 1 : 0 : -1]].conj()
        return made

    def _node(
        self, node: tuple[int, int], inverse_depth: float, step_um: float, size: int
    ) -> ComplexArray:
        key = (*node, inverse_depth, step_um, size)
        with self._lock:
            made = self._spectra.get(key)
        if made is None:
            place = (_NODE_UM * node[0], _NODE_UM * node[1])
            made = self._at(place, inverse_depth, step_um, size)
            with self._lock:
                self._spectra[key] = made
        return made

    def _at(
        self, place_um: tuple[float, float], inverse_depth: float, step_um: float, size: int
    ) -> ComplexArray:
        """Transfer function in each channel at a place of the sensor."""
        pupil = self.pupil
        radius = math.hypot(*place_um)
        turn = np.array(place_um) / radius if radius else np.array([0.0, 1.0])
        waves = pupil.waves(inverse_depth)
        few = int(waves > _FEW_FROM_WAVES)
        nodes, weights = self._nodes[few], self._weights[few]
        rays = min(max((waves - _WAVES[0]) / (_WAVES[1] - _WAVES[0]), 0.0), 1.0)
        args = radius, inverse_depth, step_um, size, turn, nodes
        out = np.zeros((3, size, size // 2 + 1), np.complex64)
        if rays < 1.0:
            out += np.float32(1.0 - rays) * np.tensordot(weights, pupil.otf(*args), 1)
        if rays > 0.0:
            out += np.float32(rays) * np.tensordot(weights, pupil.thrown(*args), 1)
        return out

    def kernels(
        self, cell: Cell, inverse_depth: float, step_um: float, binning: Binning,
        kinds: tuple[Kind, ...], *, disc_um: float = 0.0, size: int = 0,
        place_um: tuple[float, float] | None = None, kept: float = _KEPT,
    ) -> FloatArray:  # fmt: skip
        """Taps by which samples of a lattice become the samples of each kind, (kinds, n, n), n odd.

        The lattice holds means over squares of its step. Tap [k, i, j] belongs to lattice point
        (i - n // 2, j - n // 2) as seen from the sample; each kernel adds up to 1. ``disc_um`` is
        the radius of a disc that the point is, ``place_um`` where it is seen, if not anywhere in
        the cell.
        """
        size = size or self.window(cell, inverse_depth, step_um)
        if self.pupil.blur_um(inverse_depth) + 10.0 * self.pupil.thin.working_f_number < (
            _COARSE * step_um
        ):
            return np.ones((len(kinds), 1, 1), np.float32)
        if place_um is None:
            lens = self.spectrum(cell, inverse_depth, step_um, size)
        else:
            lens = self._at(place_um, inverse_depth, step_um, size)
        common = _gathered(size, step_um, binning, self._diffusion_um, disc_um)
        spectra = np.empty((len(kinds), size, size // 2 + 1), np.complex64)
        for spectrum, kind in zip(spectra, kinds, strict=True):
            # seen from the sample the kernel is turned about: the spectrum's conjugate
            np.multiply(lens[kind.channel].conj(), common, out=spectrum)
            if kind.x_um or kind.y_um:
                spectrum *= _shift(size, step_um, -kind.y_um)[:, None]
                spectrum *= _shift(size, step_um, -kind.x_um)[None, : size // 2 + 1]
        out = fft.irfft2(spectra, (size, size), axes=(1, 2))
        return _cut(fft.fftshift(out, axes=(1, 2)), kept)


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
    """Phase that shifts by so much; the highest frequency, which has no sign, keeps its cosine."""
    phase = np.exp(2j * np.pi * by_um * fft.fftfreq(size, step_um))
    phase[size // 2] = phase[size // 2].real
    return phase.astype(np.complex64)


def _cut(kernels: FloatArray, kept: float) -> FloatArray:
    """The smallest square about the middle that holds ``kept`` of all that is in the kernels."""
    middle = kernels.shape[1] // 2
    rest = _kernels.share_outside(kernels)
    reach = int(np.argmax(rest <= 1.0 - kept)) if rest[middle - 1] <= 1.0 - kept else middle - 1
    part = kernels[:, middle - reach : middle + reach + 1, middle - reach : middle + reach + 1]
    return np.ascontiguousarray(part / part.sum(axis=(1, 2), keepdims=True))
