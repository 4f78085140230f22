"""Kernels of the lens, split in a core, for every sample, and a tail, for points four apart.

What aberrations throw far aside is wide and smooth: most taps of a kernel, and a tenth of its
light. It is convolved with means over 4 x 4 samples and interpolated between these; the core makes
good what that lacks near the middle. The tail is fitted by least squares to the kernel times a
window that is 0 in the middle. A core is as small as leaves an error below a bound.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt
from scipy import fft

from modoptic.optics._pupil import quick_size

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex64]

SIDE = 4
"""Of a block, in samples."""
_CORES = (5, 8, 10, 12, 14)
"""How far cores may reach, in samples."""
_INNER = 0.5
"""Within this share of the core's reach the tail is taken from nothing."""
_CORRELATED = 4.0
"""Pictures are taken to fall off in correlation by e over so many samples."""
_CONTRAST = 0.25
"""And to vary by so much, of white, root mean square."""


class Split(NamedTuple):
    """A core (kinds, n, n) and a tail (kinds, m, m), n and m odd; m is 0 where there is none."""

    core: FloatArray
    tail: FloatArray


def split(kernels: FloatArray, allowed: float) -> Split:
    """The kernels (kinds, n, n) in two, with an error of at most ``allowed`` of white in pictures.

    What samples see of it is more by two or three times, as a tail lies differently to the blocks
    from sample to sample. Where no core that is much smaller would do, it is the whole kernel.
    """
    reach = kernels.shape[1] // 2
    for inner in _CORES if allowed > 0.0 else ():
        if inner + SIDE > reach:
            break
        found, rest = _parted(kernels, inner)
        if _seen(rest) <= allowed:
            return found
    return Split(kernels, np.zeros((len(kernels), 0, 0), np.float32))


def _parted(kernels: FloatArray, inner: int) -> tuple[Split, FloatArray]:
    """With a core that reaches so far, and what is then not in either (kinds, k, k)."""
    reach = kernels.shape[1] // 2
    room = 2 * SIDE
    padded = np.pad(kernels, ((0, 0), (room, room), (room, room)))
    spread, fitted = _spreading(reach, room)
    tail = _both(padded * _window(reach + room, inner), fitted)
    rest = padded - _both(tail, spread)
    middle = slice(reach + room - inner, reach + room + inner + 1)
    core = np.ascontiguousarray(rest[:, middle, middle])
    rest[:, middle, middle] = 0.0
    # light that is in neither is given to the core
    more = core * (rest.sum(axis=(1, 2)) / core.sum(axis=(1, 2)))[:, None, None]
    rest[:, middle, middle] = -more
    return Split(core + more, np.ascontiguousarray(tail)), rest


def _both(images: FloatArray, along: FloatArray) -> FloatArray:
    """A matrix (m, n) applied along both axes of (kinds, n, n); a library's would use threads."""
    half = np.einsum("kij,mi->kmj", images, along)
    return np.einsum("kmj,nj->kmn", half, along)


@functools.cache
def _spreading(reach: int, room: int) -> tuple[FloatArray, FloatArray]:
    """What a tail's taps are along one axis among samples, on average, and its inverse."""
    taps, size = math.ceil((reach - 3) / SIDE), reach + room
    tent = 1.0 - np.abs(np.arange(0.5 - SIDE, SIDE)) / SIDE
    shape = np.convolve(np.full(SIDE, 1.0 / SIDE), tent) / SIDE
    half = shape.size // 2
    out = np.zeros((2 * size + 1, 2 * taps + 1))
    for k in range(2 * taps + 1):
        at = size + SIDE * (k - taps)
        out[at - half : at + half + 1, k] = shape
    return out.astype(np.float32), np.linalg.pinv(out).astype(np.float32)


@functools.cache
def _window(size: int, inner: int) -> FloatArray:
    at = np.arange(-size, size + 1)
    t = (np.hypot(at[:, None], at) - _INNER * inner) / ((1.0 - _INNER) * inner + 0.5)
    t = np.clip(t, 0.0, 1.0)
    return (t * t * (3.0 - 2.0 * t)).astype(np.float32)


def _seen(rest: FloatArray) -> float:
    """Root mean square, of white, that kernels (kinds, n, n) make of a picture; the largest."""
    size, weights = _pictures(rest.shape[1])
    found = cast(ComplexArray, fft.rfft2(rest, (size, size), axes=(1, 2)))
    power = (found.real**2 + found.imag**2) * weights
    return _CONTRAST * math.sqrt(float(power.sum(axis=(1, 2)).max()))


@functools.cache
def _pictures(points: int) -> tuple[int, FloatArray]:
    """Size of a transform, and how a picture's power is spread over its frequencies, in all 1."""
    size = 2 * quick_size((points + 1) // 2)
    along, across = fft.fftfreq(size)[:, None], fft.rfftfreq(size)
    far = (2.0 * math.pi * _CORRELATED) ** 2 * (along**2 + across**2)
    power = (1.0 + far) ** -1.5
    power[:, 1:-1] *= 2.0
    return size, (power / power.sum()).astype(np.float32)
