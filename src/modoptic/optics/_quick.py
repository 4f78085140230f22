"""The view while the ring turns: layers kept as rasters, blurred by discs, as quick as it goes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt

from modoptic.optics import _kernels
from modoptic.optics._lamps import LampImages, Rims
from modoptic.optics._lens import line_spread
from modoptic.optics._pupil import Pupil
from modoptic.optics._sources import Cached, moved_out

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]
_Places = tuple[int, int, npt.NDArray[np.int64], FloatArray]

_OPAQUE = 1e-3
"""A share of light below this, left behind what is in front, is not traced further."""
_DETAIL = 4.0
"""A layer is taken at the coarsest points of which so many fit into its blur disc."""
_BLOCK = 128
"""Points of the preview across which the blur disc has one shape."""
_SPAN_ROWS = 41
_AIRY_FROM = 0.6
"""Diffraction counts from so much of the distance of those points on."""


class _Placed(NamedTuple):
    """A layer, its inverse depth a + b y, and its bounds with room for distortion."""

    cached: Cached
    a: float
    b: float
    bounds: tuple[float, float, float, float]


def quick_room(blur: float, step: float) -> float:
    """Tangents beside a layer, more than a blur disc of that diameter and diffraction ever take."""
    return 2.5 * blur + 16.0 * step


class QuickView:
    """One lens setting and one preview size: renders strips of it, from several threads."""

    def __init__(
        self, pupil: Pupil, rims: Rims, sources: Sequence[Cached | Callable[[], LampImages]],
        tx: DoubleArray, ty: DoubleArray,
    ) -> None:  # fmt: skip
        self.thin, self.tx, self.ty = pupil.thin, tx, ty
        lens_m = pupil.thin.image_distance_m
        self.sources = [
            _Placed(
                source, *source.layer.inverse_depth(lens_m),
                moved_out(source.layer.bounds(lens_m)),
            ) if isinstance(source, Cached) else source
            for source in sources
        ]  # fmt: skip
        self.step = float(tx[1] - tx[0])
        self._spans = [
            self._span(source) if isinstance(source, _Placed) else (-math.inf, math.inf)
            for source in self.sources
        ]
        self._rims = rims
        self._taps: dict[float, FloatArray] = {}

    def _span(self, placed: _Placed) -> tuple[float, float]:
        """Between which directions y a layer may be seen; none, if its columns are elsewhere."""
        _, a, b, (left, top, right, bottom) = placed
        ends = (float(self.ty[k]) for k in (0, -1))
        most = max(abs(self.thin.iris_m * (a + b * t - self.thin.inverse_focus)) for t in ends)
        room = quick_room(most, self.step)
        if left > self.tx[-1] + room or right < self.tx[0] - room:
            return math.inf, -math.inf
        return top - room, bottom + room

    def _line_spread(self, step: float) -> FloatArray | None:
        """Diffraction at this sampling, or None where it is too fine to matter."""
        if step not in self._taps:
            step_um = step * self.thin.image_distance_m * 1e6
            if 0.55 * self.thin.f_number < _AIRY_FROM * step_um:
                self._taps[step] = np.ones(1, np.float32)
            else:
                self._taps[step] = line_spread(self.thin.f_number, step_um)
        taps = self._taps[step]
        return None if taps.size == 1 else taps

    def strip(self, first: int, end: int) -> FloatArray:
        """Rows of light before shading, (end - first, w, 4), laid from near to far.

        Beside its three channels there is the share of light that passes all layers.
        """
        tx, ty = self.tx, self.ty[first:end]
        light = np.empty((len(ty), len(tx), 4), np.float32)
        _kernels.unlit(light)
        rows, above, below = (0, len(ty)), float(ty[0]), float(ty[-1])
        for behind in range(len(self.sources) - 1, -1, -1):
            source, span = self.sources[behind], self._spans[behind]
            if span[0] > below or span[1] < above:
                # most layers are elsewhere
                continue
            if not isinstance(source, _Placed):
                lamps = source()
                _kernels.add_lamps(
                    lamps.x, lamps.y, lamps.reach, lamps.profile, lamps.channels, lamps.rims,
                    tx.astype(np.float32), ty.astype(np.float32), light, self.step,
                )  # fmt: skip
            elif self._under(source, ty[slice(*rows)], light[slice(*rows)]) and behind:
                rows = cast(tuple[int, int], _kernels.open_rows(light, *rows, _OPAQUE))
                if rows[0] == rows[1]:
                    break
        return light

    def _under(self, placed: _Placed, ty: DoubleArray, light: FloatArray) -> bool:
        """Lay one layer under rows of a strip; True if it may hide all behind it in some."""
        thin, tx = self.thin, self.tx
        source, a, b, (left, top, right, bottom) = placed
        right_by, down_by = source.shift
        first, last = float(ty[0]), float(ty[-1])
        ends = [thin.iris_m * (a + b * t - thin.inverse_focus) for t in (first, last)]
        most = max(abs(e) for e in ends)
        least = 0.0 if ends[0] * ends[1] < 0 else min(abs(e) for e in ends)
        level = max(0, int(math.log2(max(least / (self.step * _DETAIL), 1.0))))
        level = min(level, source.max_level)
        scale = source.scale
        x0, y0, step = source.lattice.origin(level)
        taps = self._line_spread(step * scale)
        spread = 0 if taps is None else taps.size // 2

        edge = 0.5 * most + (spread + 2.0) * step * scale
        j0, j1 = np.searchsorted(tx, (left - edge, right + edge))
        i0, i1 = np.searchsorted(ty, (top - edge, bottom + edge))
        if j0 >= j1 or i0 >= i1:
            return False
        # which points of the layer's lattice are needed
        own = step * scale
        column, width, jx, x_part = cast(_Places, _kernels.lattice_of(
            tx[j0:j1], x0 * scale + right_by, own
        ))  # fmt: skip
        row, height, iy, y_part = cast(_Places, _kernels.lattice_of(
            ty[i0:i1], y0 * scale + down_by, own
        ))  # fmt: skip
        row_t = (y0 + (row + np.arange(height)) * step) * scale + down_by
        radii = 0.5 * thin.iris_m * (a + b * row_t - thin.inverse_focus) / own
        largest = float(np.abs(radii).max())
        disc = math.ceil(1.1 * largest) + 2 if largest > 0.3 else 0

        margin = disc + spread
        span = row - margin, column - margin, height + 2 * margin, width + 2 * margin
        if source.empty(level, *span):
            return False
        image = np.empty((height + 2 * spread, width + 2 * spread, 4), np.float32)
        # from the raster itself: to copy what is needed of it first would take a third as long
        raster = source.whole(level, *span[:2])
        if not disc:
            _kernels.sharp(*raster, image)
        else:
            if spread:
                radii = np.pad(radii, spread, mode="edge")
            parts = max(round(image.shape[1] * step / (_BLOCK * self.step)), 1)
            apart = float(tx[j1 - 1] - tx[j0]) / parts
            spans = np.empty((parts, _SPAN_ROWS, 2), np.float32)
            _kernels.spans_of(
                self._rims.table, self._rims.reach, float(tx[j0]) + 0.5 * apart,
                0.5 * float(ty[i0] + ty[i1 - 1]), apart, spans,
            )  # fmt: skip
            _kernels.blur_iris(*raster, radii.astype(np.float32), spans, disc, image)
        if taps is not None:
            out = np.empty((height, width, 4), np.float32)
            _kernels.blur_line(image, taps, out)
            image = out

        _kernels.under_color(image, iy, y_part, jx, x_part, int(i0), int(j0), light)
        return bool(j1 - j0 == len(tx))
