"""A finder or magnifier frame to a JPEG, and what it says about light and sharpness."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modoptic.frame import Frame, FrameMeta
from modoptic.isp import FinderKernel, FinderLook, FinderStats, halved, loupe
from modoptic.photo import StripEncoder

FINDER_QUALITY = 80
MAGNIFIER_QUALITY = 85
_HIGHLIGHT_SHARE = 0.995


@dataclass(frozen=True, slots=True)
class FrameStats:
    """What the phone reads from the statistics of a frame; see `modoptic.isp.FinderStats`."""

    level: float
    """Mean green, 0..1."""
    highlight: float
    """Luma after white balance that 99.5 % do not exceed, 0..1."""
    clipped: float
    zones: npt.NDArray[np.float32]
    focus: npt.NDArray[np.float32]
    histogram: tuple[int, ...]
    """Counts scaled to 0..255."""

    @classmethod
    def of(cls, stats: FinderStats) -> FrameStats:
        counts = stats.histogram
        total = max(int(counts.sum()), 1)
        top = int(np.searchsorted(np.cumsum(counts), _HIGHLIGHT_SHARE * total))
        bins = len(counts)
        # a bin's upper end, but what is in the last bin may be anywhere in it
        highlight = min((top + 1) / bins, 1.0) ** 2
        scaled = counts * 255 // max(int(counts.max()), 1)
        return cls(
            level=stats.mean,
            highlight=highlight,
            clipped=stats.clipped,
            zones=stats.zones,
            focus=stats.focus,
            histogram=tuple(int(count) for count in scaled),
        )

    def contrast_at(self, at: tuple[float, float]) -> float:
        """Fine contrast around a point (0..1 of the picture)."""
        rows, columns = self.focus.shape
        x, y = int(at[0] * (columns - 1)), int(at[1] * (rows - 1))
        part = self.focus[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
        return float(part.mean())


class Renderer:
    """Keeps a kernel as long as frames stay alike. For one thread."""

    def __init__(self) -> None:
        self._kernel: FinderKernel | None = None

    def load(self) -> None:
        """Load compiled kernels and the encoder, so that the first frame need not wait."""
        meta = FrameMeta(width=256, height=192)
        frame = Frame(meta, bytes(256 * 192 * 3 // 2))
        self.finder(frame, FinderLook())
        self.magnifier(frame, FinderLook())
        self._kernel = None

    def finder(
        self, frame: Frame, look: FinderLook, shown_width: int | None = None
    ) -> tuple[bytes, int, int, FrameStats]:
        """(JPEG, width, height, statistics) of a frame that may still be arriving.

        ``shown_width`` is the width in pixels at which it will be looked at, if that is known:
        where half the size is enough for that, the picture is halved.

        Raises
        ------
        DetachedError : the rest of the frame will not come
        SettingError : a frame that no finder can show
        """
        kernel = self._kernel
        if kernel is None or not kernel.fits(frame.meta):
            kernel = self._kernel = FinderKernel(frame.meta)
        width, height = kernel.width, kernel.height
        half = shown_width is not None and shown_width <= width // 2
        if half:
            width, height = width // 2, height // 2
        encoder = StripEncoder(width, height, FINDER_QUALITY)

        def add(first: int, rgb: npt.NDArray[np.uint8]) -> None:
            if half:
                encoder.add(first // 2, halved(rgb))
            else:
                encoder.add(first, rgb)

        result = kernel.process(frame, look, add)
        return encoder.finish(), width, height, FrameStats.of(result.stats)

    def magnifier(self, frame: Frame, look: FinderLook) -> tuple[bytes, int, int]:
        """(JPEG, width, height) of a part of the sensor at one pixel a photosite."""
        frame.wait_rows(frame.height)
        rgb = loupe(frame, look)
        height, width = rgb.shape[:2]
        encoder = StripEncoder(width, height, MAGNIFIER_QUALITY)
        encoder.add(0, rgb)
        return encoder.finish(), width, height
