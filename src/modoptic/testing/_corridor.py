"""Processes in tests: started, watched, and certainly ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

READY_WITHIN_S = 15.0


class Corridor:
    """A running ``modoptic`` command with its output; see `corridor`."""

    def __init__(self, arguments: Sequence[str], home: Path, ready: str, within_s: float) -> None:
        self._ready = ready
        self._lines: list[str] = []
        self._errors: list[str] = []
        self._seen = threading.Event()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "modoptic", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "MODOPTIC_HOME": str(home)},
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self._readers = [
            threading.Thread(target=self._read, args=(self.process.stdout, self._lines)),
            threading.Thread(target=self._read, args=(self.process.stderr, self._errors)),
        ]
        for reader in self._readers:
            reader.start()
        if not self._seen.wait(within_s) or not self.ready_line:
            self.close()
            raise AssertionError(
                f"no line beginning with {ready!r} within {within_s:g} s\n{self.output}"
            )

    def _read(self, stream: Iterable[str], into: list[str]) -> None:
        for line in stream:
            into.append(line.rstrip("\n"))
            if line.startswith(self._ready):
                self._seen.set()
        self._seen.set()

    @property
    def ready_line(self) -> str:
        """The line that said it was ready."""
        return next((line for line in self._lines if line.startswith(self._ready)), "")

    @property
    def url(self) -> str:
        """The address in the ready line."""
        return self.ready_line.split()[1]

    @property
    def output(self) -> str:
        """What it said so far, standard error last."""
        return "\n".join([*self._lines, "--- standard error ---", *self._errors])

    def interrupt(self, within_s: float = 10.0) -> int:
        """Ctrl-C; returns the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(within_s)

    def close(self) -> None:
        """End the process and everything in its group."""
        for number, patience_s in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
            if self.process.poll() is not None:
                break
            try:
                os.killpg(self.process.pid, number)
                self.process.wait(patience_s)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue
        for reader in self._readers:
            reader.join(5)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
        if kind is not None:
            print(self.output, file=sys.stderr)


def corridor(
    *arguments: str,
    home: Path | None = None,
    ready: str = "Ready:",
    within_s: float = READY_WITHIN_S,
) -> Corridor:
    """Run ``modoptic ARGUMENTS`` as a person would, ready when a line begins with ``ready``.

    Use it as a context manager; its processes are ended at the end of the block, and what they
    said is shown if the block failed.

    >>> with corridor("demo", "--no-browser", "--port", "0") as demo:  # doctest: +SKIP
    ...     print(demo.url)
    """
    place = home or Path(tempfile.mkdtemp(prefix="modoptic-test-"))
    return Corridor(arguments, place, ready, within_s)


def wait_until(true: Callable[[], object], within_s: float = 10.0, what: str = "") -> None:
    """Wait until the function ``true`` returns something true; for tests of other processes.

    Raises AssertionError naming ``what`` when it did not within ``within_s``.
    """
    deadline = time.monotonic() + within_s
    pause = threading.Event()
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s:g} s: {what or true}")
        pause.wait(0.02)
