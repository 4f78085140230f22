"""Where photos and settings lie on this machine."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def gallery_folder(asked: str | None) -> Path:
    """Where photos go: as asked, else ``modoptic`` in the pictures folder."""
    return Path(asked) if asked else Path(platformdirs.user_pictures_dir()) / "modoptic"


def home_folder() -> Path:
    """Where settings, known modules and calibrations lie: ``MODOPTIC_HOME``, else the platform's
    folder."""
    asked = os.environ.get("MODOPTIC_HOME")
    return Path(asked) if asked else Path(platformdirs.user_data_dir("modoptic", appauthor=False))
