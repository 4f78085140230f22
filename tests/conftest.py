"""Shared fixtures: where real data lies, and what CI may not skip."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

REQUIRED = set(filter(None, os.environ.get("MODOPTIC_REQUIRE", "").split(",")))


def _absent(kind: str, reason: str) -> None:
    if kind in REQUIRED:
        pytest.fail(f"{reason} (MODOPTIC_REQUIRE names {kind!r})")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real raws, spectra and pictures; skips where it is absent."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("MODOPTIC_DATA", default))
    if not folder.is_dir():
        _absent("data", f"no real data at {folder}; set MODOPTIC_DATA to the folder that has it")
    return folder


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium; skips where there is none."""
    path = os.environ.get("MODOPTIC_CHROMIUM") or shutil.which("chromium")
    if not path:
        _absent("browser", "no Chromium on PATH; install it or set MODOPTIC_CHROMIUM")
    assert path is not None
    return path


Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Run ``modoptic ARGUMENTS`` in the test's own folder, with a home of its own."""

    def run(*arguments: str, timeout: float = 58) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "modoptic", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            env={**os.environ, "MODOPTIC_HOME": str(tmp_path / ".home")},
        )

    return run
