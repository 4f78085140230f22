"""The developer process: raws in shared memory become files. Run by `modoptic.host._darkroom`.

It runs at low priority, works on one job at a time, in order, and ends when the phone does: its
socket then closes. It knows nothing of links and cameras; a job says all that matters.
"""

from __future__ import annotations

import _thread
import contextlib
import logging
import os
import queue
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable

import msgspec

from modoptic.errors import DetachedError, ModopticError, StorageError
from modoptic.frame import decode_meta
from modoptic.host._develop import Raw, develop_to_files, keep_partial, load
from modoptic.host._pipe import (
    Abandon,
    DevelopJob,
    Failed,
    Kept,
    Pipe,
    Progress,
    Rows,
    Saved,
    ToDeveloper,
    Whole,
)
from modoptic.laserlink import map_still

_log = logging.getLogger("modoptic.host")
_NICE = 10
_END_WITHIN_S = 2.0
_REPORT_EVERY_S = 0.05


class _Developer:
    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._jobs: queue.SimpleQueue[tuple[DevelopJob, Raw]] = queue.SimpleQueue()
        self._raws: dict[int, Raw] = {}

    def listen(self) -> None:
        """Take messages until the phone hangs up, or one cannot be dealt with; end the process.

        The phone then starts another one, which is told of all jobs again.
        """
        try:
            self._take_messages()
        except Exception:
            _log.exception("a message of the phone could not be dealt with; begun again")
        # let the main thread remove its temporary files, but not for ever
        end = threading.Timer(_END_WITHIN_S, os._exit, (0,))
        end.daemon = True
        end.start()
        _thread.interrupt_main(signal.SIGINT)

    def _take_messages(self) -> None:
        while (received := self._pipe.receive()) is not None:
            body, descriptor = received
            message = msgspec.msgpack.decode(body, type=ToDeveloper)
            if isinstance(message, DevelopJob):
                self._begin(message, descriptor)
            elif (raw := self._raws.get(message.job)) is not None:
                if isinstance(message, Rows):
                    raw.frame.rows_arrived(message.rows)
                elif isinstance(message, Whole):
                    raw.whole(decode_meta(message.meta))
                else:
                    assert isinstance(message, Abandon)
                    raw.abandon(message.reason)

    def _begin(self, job: DevelopJob, descriptor: int | None) -> None:
        """Put a job in the queue; one whose raw cannot be mapped is reported at once."""
        assert descriptor is not None
        try:
            frame = map_still(descriptor, decode_meta(job.meta), rows_valid=0)
        except (ModopticError, OSError, ValueError, MemoryError) as error:
            text = f"its raw cannot be read where it is developed: {error}"
            with contextlib.suppress(OSError):
                self._pipe.send(Failed(job=job.job, text=text, disk=False))
            return
        finally:
            os.close(descriptor)
        raw = self._raws[job.job] = Raw(frame)
        self._jobs.put((job, raw))

    def work(self) -> None:
        """Do jobs for ever."""
        load()
        while True:
            job, raw = self._jobs.get()
            self._pipe.send(self._do(job, raw))
            del self._raws[job.job], raw

    def _do(self, job: DevelopJob, raw: Raw) -> Saved | Kept | Failed:
        try:
            try:
                return develop_to_files(job, raw, self._reporter(job.job))
            except DetachedError as error:
                partial = keep_partial(job, raw.frame, str(error))
                return Kept(job=job.job, partial=str(partial) if partial else None)
        except StorageError as error:
            return Failed(job=job.job, text=str(error), disk=True)
        except ModopticError as error:
            return Failed(job=job.job, text=str(error), disk=False)
        except MemoryError:
            return Failed(job=job.job, text="there is not enough memory to develop it", disk=False)

    def _reporter(self, job: int) -> Callable[[Progress], None]:
        last = 0.0

        def report(progress: Progress) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last >= _REPORT_EVERY_S or progress.fraction in (0.0, 1.0):
                last = now
                self._pipe.send(progress)

        return report


def main(descriptor: int) -> None:
    """Serve the phone at the other end of a socket."""
    os.nice(_NICE)
    sys.setswitchinterval(0.0005)
    pipe = Pipe(socket.socket(fileno=descriptor))
    developer = _Developer(pipe)
    # the listener interrupts this thread when the phone hangs up, which may be at once
    with contextlib.suppress(KeyboardInterrupt, OSError):
        threading.Thread(target=developer.listen, name="listen", daemon=True).start()
        developer.work()
    sys.stdout.flush()
    # worker threads may be inside a kernel; nothing of theirs is needed any more
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
