"""A progress bar on standard error, only where a person looks at it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Generator


@contextlib.contextmanager
def progress(title: str, *, quiet: bool = False) -> Generator[Callable[[str, float], None]]:
    """A function ``report(phase, fraction)`` that draws a bar while the block runs."""
    if quiet or not sys.stderr.isatty():
        yield lambda phase, fraction: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=1.0)
        yield lambda phase, fraction: bar.update(
            task, description=f"{title}: {phase}", completed=fraction
        )
