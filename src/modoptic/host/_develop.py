"""One job of the developer: a raw that is still arriving becomes a JPEG and, if asked, a DNG.

The picture is developed and coded in strips as rows come, so that neither waits for the other and
the whole of it, 300 MB at 100 MP, never lies in memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import msgspec

from modoptic.errors import DetachedError, StorageError
from modoptic.frame import Frame, FrameMeta
from modoptic.host._pipe import DevelopJob, Progress, Saved
from modoptic.isp import Develop, develop_to
from modoptic.photo import StripEncoder, finish_jpeg
from modoptic.rawfile import write_dng

QUALITY = 92
_WHOLE_WITHIN_S = 60.0
_LEAST_ROWS = 64


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

    def progress(phase: str, fraction: float) -> None:
        report(
            Progress(
                job=job.job,
                phase="saving" if phase == "saving" else "developing",
                fraction=fraction,
            )
        )

    develop_to(
        encoder.add,
        frame,
        Develop(),
        calibration=job.calibration,
        progress=lambda fraction: progress("developing", fraction),
    )
    frame.meta = raw.wait_whole()
    whole_s = time.monotonic()
    progress("saving", 0.0)
    jpeg = folder / f"{job.name}.jpg"
    finish_jpeg(jpeg, encoder, frame.meta)
    develop_s = time.monotonic() - whole_s
    dng, problem = None, ""
    if job.save_dng:
        progress("saving", 0.3)
        wanted = folder / f"{job.name}.dng"
        try:
            write_dng(wanted, frame, job.calibration, compression=job.dng_compression)
            dng = str(wanted)
        except StorageError as error:
            problem = str(error)  # the JPEG is safe
    progress("saving", 1.0)
    return Saved(job=job.job, jpeg=str(jpeg), dng=dng, develop_s=develop_s, problem=problem)


def keep_partial(job: DevelopJob, frame: Frame) -> Path | None:
    """Save the rows of a raw that was cut off, as a DNG of that height; None where there are none.

    Raises
    ------
    StorageError : the folder cannot be written, or the disk is full
    """
    rows = frame.rows_valid // 2 * 2
    if rows < _LEAST_ROWS:
        return None
    path = Path(job.folder) / f"{job.name}.partial.dng"
    meta = msgspec.structs.replace(frame.meta, height=rows)
    part = Frame(meta, frame.data, rows_valid=rows)
    write_dng(path, part, job.calibration, description="cut off: the module was taken away")
    return path
