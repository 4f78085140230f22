"""The finder: a binned frame to a half-size picture and statistics, in a few milliseconds."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import wait
from typing import TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from modoptic import bands
from modoptic.calibration import Calibration
from modoptic.errors import SettingError
from modoptic.frame import Frame, FrameMeta
from modoptic.isp import _kernel, _quads
from modoptic.isp._color import camera_to_srgb
from modoptic.isp._develop import NO_COLOURS, NO_SHADE, levels, red_position, rows_beyond, rows_of
from modoptic.isp._tone import Tone, saturation_matrix, tone_curve

__all__ = [
    "STRIP_ROWS",
    "FinderKernel",
    "FinderLook",
    "FinderResult",
    "FinderStats",
    "halved",
    "loupe",
    "statistics",
]

Matrix3: TypeAlias = tuple[
    tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]
]

STRIP_ROWS = 128
"""Rows of the finder picture that a sink is given at a time: whole 4:2:0 blocks of a JPEG, also
where it is halved."""
_CURVE = 4096


class FinderLook(msgspec.Struct, frozen=True, kw_only=True):
    """How the finder shows colours; `FinderLook.of` gives the look of the still."""

    neutral: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Camera RGB of grey, green 1."""
    matrix: Matrix3 = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    """Balanced camera RGB to linear sRGB."""
    exposure_ev: float = 0.0
    tone: Tone = "film"

    @classmethod
    def of(
        cls,
        colors: Calibration | FrameMeta | None,
        neutral: tuple[float, float, float],
        *,
        exposure_ev: float = 0.0,
        tone: Tone = "film",
        saturation: float = 1.08,
    ) -> FinderLook:
        """The look that `modoptic.isp.develop` gives with the same choices."""
        matrix = saturation_matrix(saturation) @ camera_to_srgb(colors, neutral)
        rows = [tuple(float(v) for v in row) for row in matrix]
        return cls(
            neutral=neutral,
            matrix=msgspec.convert(rows, Matrix3),
            exposure_ev=exposure_ev,
            tone=tone,
        )


class FinderStats:
    """What one finder frame says about light, colour and sharpness.

    Attributes
    ----------
    zones : float32 (24, 32, 3), mean camera RGB, 0..1 between black and white, not balanced
    focus : float32 (24, 32), mean squared step between neighbouring greens, less what noise
        gives, over the squared mean: 0 for blank zones, rises with sharpness, not with light
    histogram : int64 (64,), quads by luma after white balance; bin i begins at (i / 64) squared
    clipped : part of the quads with a photosite at the end of its scale, 0..1
    """

    def __init__(
        self,
        zones: npt.NDArray[np.float32],
        focus: npt.NDArray[np.float32],
        histogram: npt.NDArray[np.int64],
        clipped: float,
    ) -> None:
        self.zones = zones
        self.focus = focus
        self.histogram = histogram
        self.clipped = clipped

    @property
    def mean(self) -> float:
        """Mean green, 0..1."""
        return float(self.zones[..., 1].mean())


class FinderResult:
    """A finder picture, uint8 ``(height, width, 3)`` sRGB, and its statistics.

    ``rgb`` belongs to the kernel and is overwritten two frames later.
    """

    def __init__(self, rgb: npt.NDArray[np.uint8], stats: FinderStats) -> None:
        self.rgb = rgb
        self.stats = stats


class FinderKernel:
    """Makes finder pictures of frames of one size and format.

    Parameters
    ----------
    meta : of any frame of the stream; size, format, CFA and levels are taken from it

    Raises
    ------
    SettingError : a CFA that is not Bayer, impossible levels
    """

    def __init__(self, meta: FrameMeta) -> None:
        self.meta = meta
        self.width = meta.width // 2
        self.height = meta.height // 2
        if self.width < _quads.ZONE_COLUMNS or self.height < _quads.ZONE_ROWS:
            raise SettingError("finder frame", (meta.width, meta.height), "at least 64 x 48")
        self._red = red_position(meta.cfa)
        self._shift = np.float32(meta.centroid_shift)
        self._black, self._gain = quad_levels(meta)
        self._pictures = [np.empty((self.height, self.width, 3), np.uint8) for _ in range(2)]
        self._turn = 0

    def fits(self, meta: FrameMeta) -> bool:
        """Whether frames with ``meta`` can be given to this kernel."""
        mine = self.meta
        return (
            (meta.width, meta.height, meta.pixel_format, meta.cfa, meta.centroid_shift)
            == (mine.width, mine.height, mine.pixel_format, mine.cfa, mine.centroid_shift)
        ) and (meta.black_level, meta.white_level) == (mine.black_level, mine.white_level)

    def process(
        self,
        frame: Frame,
        look: FinderLook,
        sink: Callable[[int, npt.NDArray[np.uint8]], None] | None = None,
    ) -> FinderResult:
        """The picture and statistics of ``frame``, which may still be arriving.

        ``sink(first_row, rgb)`` is called from worker threads with strips of `STRIP_ROWS` rows,
        so that they are encoded side by side.

        Raises
        ------
        SettingError : a frame of another size or format
        DetachedError : no more rows will come
        """
        if not self.fits(frame.meta):
            raise SettingError("finder frame", frame.meta.pixel_format, "the kernel's own format")
        rgb = self._pictures[self._turn]
        self._turn = 1 - self._turn
        balance, matrix, curve = look_tables(look)
        sums = np.zeros((_quads.ZONE_ROWS, _quads.ZONE_COLUMNS, 6), np.float64)
        histogram = np.zeros(_quads.BINS + 1, np.int64)

        def strip(first: int, end: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
            part_sums, part_histogram = np.zeros_like(sums), np.zeros_like(histogram)
            low, mosaic = quad_mosaic(frame, first, end, self.height)
            _quads.quad_rows(
                mosaic, low, self.height, self._red, self._black, self._gain, balance, matrix,
                curve, self._shift, first, rgb[first:end], True, part_sums, part_histogram,
            )  # fmt: skip
            if sink is not None:
                sink(first, rgb[first:end])
            return part_sums, part_histogram

        pool = bands.pool()
        parts = []
        try:
            for first, end in bands.bands(self.height, STRIP_ROWS):
                frame.wait_rows(2 * (end + _quads.BORDER) + rows_beyond(frame.meta), 5.0)
                parts.append(pool.submit(strip, first, end))
            for part in parts:
                part_sums, part_histogram = part.result()
                sums += part_sums
                histogram += part_histogram
        except BaseException:
            for part in parts:
                part.cancel()
            wait([part for part in parts if not part.cancelled()])
            raise
        return FinderResult(rgb, self._stats(sums, histogram, frame.meta))

    def _stats(
        self, sums: npt.NDArray[np.float64], histogram: npt.NDArray[np.int64], meta: FrameMeta
    ) -> FinderStats:
        count = np.maximum(sums[..., 4], 1.0)
        zones = sums[..., :3] / count[..., None]
        # green is the mean of two photosites; a step is the difference of two greens
        noise = np.maximum(meta.noise.scale * zones[..., 1] + meta.noise.offset, 0.0)
        steps = np.maximum(sums[..., 3] / count - noise, 0.0)
        focus = steps / np.maximum(zones[..., 1], 0.004) ** 2
        quads = max(int(histogram[:-1].sum()), 1)
        return FinderStats(
            zones.astype(np.float32),
            focus.astype(np.float32),
            histogram[:-1].copy(),
            int(histogram[-1]) / quads,
        )


def halved(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """A strip of a picture, uint8 ``(rows, width, 3)``, at half its size without an odd end."""
    out = np.empty((rgb.shape[0] // 2, rgb.shape[1] // 2, 3), np.uint8)
    _quads.halve(rgb, out)
    return out


def statistics(frame: Frame) -> FinderStats:
    """What a frame says about light, colour and sharpness; its picture is not kept."""
    return FinderKernel(frame.meta).process(frame, FinderLook()).stats


def quad_levels(meta: FrameMeta) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Black and gain by place in the quad (not in the pattern), float32 (2, 2)."""
    plain = levels(meta, None)
    y, x = plain.phase
    order = np.ix_([y, 1 - y], [x, 1 - x])
    return np.ascontiguousarray(plain.black[order]), np.ascontiguousarray(plain.gain[order])


def look_tables(
    look: FinderLook,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
    """Balance (3,), matrix (3, 3) and 8 bit curve of a look."""
    balance = max(look.neutral) / np.array(look.neutral)
    curve = tone_curve(look.tone, look.exposure_ev, _CURVE, 255).astype(np.uint8)
    return balance.astype(np.float32), np.array(look.matrix, np.float32), curve


def quad_mosaic(
    frame: Frame, first: int, end: int, height: int
) -> tuple[int, npt.NDArray[np.uint16]]:
    """Rows of photosites that quad rows ``first .. end`` need, and the first of them in quads."""
    low, high = max(first - _quads.BORDER, 0), min(end + _quads.BORDER, height)
    return low, rows_of(frame, 2 * low, 2 * high)


def loupe(
    frame: Frame, look: FinderLook, region: tuple[int, int, int, int] | None = None
) -> npt.NDArray[np.uint8]:
    """A part of a frame at one pixel a photosite, demosaiced as a still, uint8 ``(h, w, 3)``.

    ``region`` is (x, y, width, height) in the frame's own pixels, all of it by default; its
    rows must be there. It is widened to even numbers and cut to the frame.
    """
    x, y, width, height = region or (0, 0, frame.width, frame.height)
    left, top = max(x, 0) // 2 * 2, max(y, 0) // 2 * 2
    right, bottom = min(x + width + 1, frame.width), min(y + height + 1, frame.height)
    right, bottom = right // 2 * 2, bottom // 2 * 2
    if right - left < 16 or bottom - top < 16:
        raise SettingError("loupe region", region, f"inside {frame.width} x {frame.height}")
    border = 16
    x0, x1 = max(left - border, 0), min(right + border, frame.width)
    y0, y1 = max(top - border, 0), min(bottom + border, frame.height)
    part = np.require(rows_of(frame, y0, y1)[:, x0:x1], requirements=["C", "W"])
    plan = levels(frame.meta, look.neutral)
    curve = tone_curve(look.tone, look.exposure_ev, _kernel.CURVE_SIZE, 255 * _kernel.CODE)
    matrix = np.array(look.matrix, np.float32)
    out = np.empty((*part.shape, 3), np.uint8)

    def work(first: int, end: int) -> None:
        _kernel.develop_rows(
            part, 0, part.shape, plan.phase, plan.black, plan.gain, NO_SHADE,
            matrix, curve, np.float32(0.8), np.float32(_kernel.CODE), _kernel.GRADIENT, first,
            NO_COLOURS, out[first:end],
        )  # fmt: skip

    bands.run_bands(work, part.shape[0], -(-part.shape[0] // (2 * bands.worker_count())))
    return out[top - y0 : bottom - y0, left - x0 : right - x0]
