"""The phone's side of the developer process: jobs go in, files come out.

The process is started at once, so that the first photo need not wait for it, and again when it
dies. The job it had then is tried once more; a second death is reported as that photo's failure.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from modoptic.host._pipe import (
    Abandon,
    DevelopJob,
    Failed,
    Kept,
    Pipe,
    Rows,
    Saved,
    ToDeveloper,
    ToPhone,
    Whole,
)

_ATTEMPTS = 2


@dataclass(slots=True)
class _Job:
    start: DevelopJob
    descriptor: int
    """Our own; closed when the job has ended."""
    later: list[ToDeveloper] = field(default_factory=list[ToDeveloper])
    """What was said after the start, newest rows only; said again after a restart."""
    attempts: int = 1


class Darkroom:
    """Develops stills in a process of low priority.

    Parameters
    ----------
    report : called with each `ToPhone`, from a thread of the darkroom; must return at once
    command : what to run, the descriptor of the socket is added; for tests
    """

    def __init__(
        self, report: Callable[[ToPhone], None], command: tuple[str, ...] | None = None
    ) -> None:
        self._report = report
        self._command = command or (sys.executable, "-m", "modoptic.host._developer")
        self._lock = threading.Lock()
        self._jobs: dict[int, _Job] = {}
        self._closing = False
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Pipe | None = None
        self._reader: threading.Thread | None = None
        with self._lock:
            self._start()

    @property
    def pid(self) -> int | None:
        """Of the process that runs now."""
        process = self._process
        return None if process is None else process.pid

    def develop(self, job: DevelopJob, descriptor: int) -> None:
        """Begin a job; ``descriptor`` of its raw is duplicated and may be closed by the caller."""
        mine = os.dup(descriptor)
        with self._lock:
            self._jobs[job.job] = _Job(job, mine)
            if self._pipe is None:
                self._start()  # it died while it had nothing to do
            else:
                self._send(job, mine)

    def rows(self, job: int, rows: int) -> None:
        """Say that the first rows of a job's raw are valid."""
        self._say(Rows(job=job, rows=rows))

    def whole(self, job: int, meta: bytes) -> None:
        """Say that a job's raw is whole, with its final metadata."""
        self._say(Whole(job=job, meta=meta))

    def abandon(self, job: int, reason: str) -> None:
        """Say that the rest of a job's raw will not come."""
        self._say(Abandon(job=job, reason=reason))

    def close(self) -> None:
        """End the process and wait for it; jobs under way are dropped."""
        with self._lock:
            self._closing = True
            reader = self._reader
            if self._pipe is not None:
                self._pipe.hang_up()
        if reader is not None:
            reader.join(10)
        with self._lock:
            for job in self._jobs.values():
                os.close(job.descriptor)
            self._jobs.clear()

    def _start(self) -> None:
        """Begin a process and tell it all the jobs there are. Under the lock."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            self._process = subprocess.Popen(
                [*self._command, str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C goes to the phone, which ends it in order
            )
        self._pipe = Pipe(ours)
        self._reader = threading.Thread(
            target=self._read, args=(self._process, self._pipe), name="darkroom", daemon=True
        )
        self._reader.start()
        for job in self._jobs.values():
            self._send(job.start, job.descriptor)
            for message in job.later:
                self._send(message)

    def _say(self, message: Rows | Whole | Abandon) -> None:
        with self._lock:
            job = self._jobs.get(message.job)
            if job is None:
                return
            if isinstance(message, Rows):
                job.later = [said for said in job.later if not isinstance(said, Rows)]
            job.later.append(message)
            self._send(message)

    def _send(self, message: ToDeveloper, descriptor: int | None = None) -> None:
        # where the process is gone the reader notices, and all is said again to the next one
        if self._pipe is not None:
            with contextlib.suppress(OSError):
                self._pipe.send(message, descriptor)

    def _read(self, process: subprocess.Popen[bytes], pipe: Pipe) -> None:
        while (received := pipe.receive()) is not None:
            message = msgspec.msgpack.decode(received[0], type=ToPhone)
            if isinstance(message, Saved | Kept | Failed):
                with self._lock:
                    self._forget(message.job)
            self._report(message)
        pipe.close()
        try:
            process.wait(3)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(3)
        self._died()

    def _forget(self, number: int) -> None:
        job = self._jobs.pop(number, None)
        if job is not None:
            os.close(job.descriptor)

    def _died(self) -> None:
        """Begin again if there is work; the job under way has one more attempt."""
        given_up: int | None = None
        with self._lock:
            self._process = self._pipe = self._reader = None
            if self._closing:
                return
            # jobs are worked on in order, so the oldest was on the table
            oldest = next(iter(self._jobs.values()), None)
            if oldest is not None:
                oldest.attempts += 1
                if oldest.attempts > _ATTEMPTS:
                    given_up = oldest.start.job
                    self._forget(given_up)
            if self._jobs:
                self._start()
        if given_up is not None:
            text = "developing it failed twice; the picture may need more memory than is free"
            self._report(Failed(job=given_up, text=text, disk=False))
