"""How long the demo takes to start."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from modoptic.errors import ModopticError

REPEATS = 5
NEXT_WITHIN_S = 60.0
FIRST_WITHIN_S = 600.0
FETCH_WITHIN_S = 600.0


def demo_next() -> dict[str, Any]:
    """Start the demo again and again; seconds from the command to its ready line."""
    times = [_start_once() for _ in range(REPEATS + 1)][1:]
    times.sort()
    value = times[len(times) // 2]
    return {"value": value, "unit": "s", "bar": 3.0, "met": value <= 3.0, "worst": times[-1]}


def demo_first() -> dict[str, Any]:
    """Fresh clone to the address: environment, install, kernels, start; without the download.

    What would be downloaded is fetched beforehand, so that the network is not what is measured.
    """
    root = Path(__file__).resolve().parents[3]
    if not (root / ".git").exists():
        raise ModopticError(
            "demo-first needs a git checkout of the project, not an installed wheel"
        )
    with tempfile.TemporaryDirectory(prefix="modoptic-bench-") as folder:
        wheels, clone = Path(folder) / "wheels", Path(folder) / "modoptic"
        fetch = [sys.executable, "-m", "pip", "download", "-q", "-d", str(wheels)]
        fetch += ["-c", str(root / "constraints.txt"), str(root), "hatchling", "editables"]
        fetched = subprocess.run(
            fetch, check=False, capture_output=True, text=True, timeout=FETCH_WITHIN_S
        )
        if fetched.returncode:
            last = (fetched.stderr.strip().splitlines() or ["no message"])[-1]
            raise ModopticError(f"what a first start downloads could not be fetched: {last}")
        subprocess.run(["git", "clone", "-q", str(root), str(clone)], check=True, timeout=60)
        alone = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "MODOPTIC_HOME": folder}
        options = f"ARGS=--no-browser --port 0 --gallery {folder}/photos"
        value = _until_ready(["make", "-C", str(clone), "demo", options], alone, FIRST_WITHIN_S)
    return {"value": value, "unit": "s", "bar": 90.0, "met": value <= 90.0}


def _until_ready(command: list[str], environment: dict[str, str], within_s: float) -> float:
    """Seconds from the start of a command to the line that begins with Ready; it is ended then."""
    start = time.perf_counter()
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, **environment},
    )
    assert process.stdout is not None
    late = threading.Timer(within_s, os.killpg, [process.pid, signal.SIGKILL])
    late.start()
    said = ""
    try:
        for line in process.stdout:
            if line.startswith("Ready:"):
                return time.perf_counter() - start
            said = line.strip() or said
        took_s = time.perf_counter() - start
        raise ModopticError(
            f"{' '.join(command)} ended after {took_s:.0f} s without being ready; it said: {said}"
        )
    finally:
        late.cancel()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)
        process.stdout.close()


def _start_once() -> float:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "modoptic", "demo", "--no-browser", "--port", "0"]
        return _until_ready(
            [*command, "--gallery", folder], {"MODOPTIC_HOME": folder}, NEXT_WITHIN_S
        )
