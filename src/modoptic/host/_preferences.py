"""Settings of the phone that outlive it, kept whole in one small file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from modoptic.files import atomic_write


class Preferences(msgspec.Struct, frozen=True, kw_only=True):
    """What the photographer chose once."""

    auto_switch: bool = True
    full_size: bool = False
    """Stills of every photosite instead of the camera's default size."""
    save_dng: bool = True
    dng_compression: Literal["jpeg", "jpegxl"] = "jpeg"


_FILE = "phone.json"


def load(home: Path) -> Preferences:
    """What was saved in ``home``; the defaults where nothing was, or nothing that can be read."""
    try:
        return msgspec.json.decode((home / _FILE).read_bytes(), type=Preferences)
    except (OSError, msgspec.MsgspecError):
        return Preferences()


def save(home: Path, preferences: Preferences) -> None:
    """Keep ``preferences`` in ``home``; raises `StorageError`."""
    atomic_write(home / _FILE, msgspec.json.format(msgspec.json.encode(preferences)))
