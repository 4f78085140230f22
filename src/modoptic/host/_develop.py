"""One job of the developer: a raw that is still arriving becomes a JPEG and, if asked, a DNG.

The picture is developed and coded in strips as rows come, so that neither waits for the other and
the whole of it, 300 MB at 100 MP, never lies in memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import numpy.typing as npt

from modoptic.errors import DetachedError, StorageError
from modoptic.files import atomic_write
from modoptic.frame import Frame, FrameMeta
from modoptic.host._pipe import DevelopJob, Progress, Saved
from modoptic.isp import Develop, develop_to
from modoptic.photo import Gallery, StripEncoder, exif_block, srgb_icc
from modoptic.rawfile import write_dng

QUALITY = 92
_WHOLE_WITHIN_S = 60.0
_PREVIEW_SIDE = 1024
_THUMBNAIL_SIDE = 160


class Raw:
    """A still as it arrives in this process."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self._final: Future[FrameMeta] = Future()

    def whole(self, meta: FrameMeta) -> None:
        """It is complete, and this is what is known of it."""
        self.frame.rows_arrived(self.frame.height)
        self._final.set_result(meta)

    def abandon(self, reason: str) -> None:
        """No more of it will come."""
        self.frame.fail(reason)
        if not self._final.done():
            self._final.set_exception(DetachedError(reason))

    def wait_whole(self) -> FrameMeta:
        """Wait for its final metadata; raises `DetachedError` where it never comes."""
        try:
            return self._final.result(_WHOLE_WITHIN_S)
        except TimeoutError:
            raise DetachedError("the end of the picture did not arrive") from None


def load() -> None:
    """Load compiled kernels and codecs, so that the first photo need not wait for them."""
    meta = FrameMeta(width=64, height=64)
    encoder = StripEncoder(64, 64, QUALITY)
    develop_to(encoder.add, Frame(meta, bytes(64 * 64 * 3 // 2)), Develop(white_balance=5500.0))
    encoder.finish()


def develop_to_files(job: DevelopJob, raw: Raw, report: Callable[[Progress], None]) -> Saved:
    """Develop, and save what the job asks for, synced.

    Raises
    ------
    DetachedError : the rest of the raw will not come
    StorageError : the JPEG cannot be saved: the folder cannot be written, or the disk is full
    """
    frame = raw.frame
    folder = Path(job.folder)
    encoder = StripEncoder(frame.width, frame.height, QUALITY)
    preview = _Preview(frame.width, frame.height)

    def strip(first: int, rgb: npt.NDArray[np.uint8]) -> None:
        encoder.add(first, rgb)
        preview.add(first, rgb)

    def progress(phase: str, fraction: float) -> None:
        report(
            Progress(
                job=job.job,
                phase="saving" if phase == "saving" else "developing",
                fraction=fraction,
            )
        )

    develop_to(
        strip,
        frame,
        Develop(),
        calibration=job.calibration,
        progress=lambda fraction: progress("developing", fraction),
    )
    frame.meta = raw.wait_whole()
    whole_s = time.monotonic()
    progress("saving", 0.0)
    jpeg = folder / f"{job.name}.jpg"
    exif = exif_block(frame.meta, thumbnail=preview.thumbnail())
    atomic_write(jpeg, encoder.finish(exif, srgb_icc()))
    develop_s = time.monotonic() - whole_s
    dng, problem = None, ""
    if job.save_dng:
        progress("saving", 0.3)
        wanted = folder / f"{job.name}.dng"
        try:
            write_dng(
                wanted,
                frame,
                job.calibration,
                compression=job.dng_compression,
                preview=preview.rgb,
            )
            dng = str(wanted)
        except StorageError as error:
            problem = str(error)  # the JPEG is safe
    progress("saving", 1.0)
    return Saved(job=job.job, jpeg=str(jpeg), dng=dng, develop_s=develop_s, problem=problem)


def keep_partial(job: DevelopJob, frame: Frame, why: str) -> Path | None:
    """Save the rows of a raw that was cut off beside the gallery; None where they are too few.

    Raises
    ------
    StorageError : the folder cannot be written, or the disk is full
    """
    gallery = Gallery(job.folder)
    try:
        return gallery.save_partial(job.name, frame, why, job.calibration)
    finally:
        gallery.close()


class _Preview:
    """A small picture that is gathered from the strips of the large one."""

    def __init__(self, width: int, height: int) -> None:
        self._step = max(2, max(width, height) // _PREVIEW_SIDE // 2 * 2)
        self.rgb = np.zeros((height // self._step, width // self._step, 3), np.uint8)

    def add(self, first: int, strip: npt.NDArray[np.uint8]) -> None:
        """Take four of the pixels that fall on one of the preview's."""
        step, rows = self._step, self.rgb.shape[0]
        at = -(-first // step)
        end = min((first + strip.shape[0]) // step, rows)
        begin = at * step - first
        part = strip[begin : begin + (end - at) * step : step // 2, :: step // 2]
        part = part[:, : 2 * self.rgb.shape[1]].astype(np.uint16)
        pairs = part[0::2] + part[1::2]
        self.rgb[at:end] = (pairs[:, 0::2] + pairs[:, 1::2] + 2) // 4

    def thumbnail(self) -> bytes:
        """A JPEG of at most 160 pixels or a little more, as EXIF has it."""
        step = max(1, max(self.rgb.shape) // _THUMBNAIL_SIDE)
        small = np.ascontiguousarray(self.rgb[::step, ::step])
        encoder = StripEncoder(small.shape[1], small.shape[0], 80)
        encoder.add(0, small)
        return encoder.finish()
