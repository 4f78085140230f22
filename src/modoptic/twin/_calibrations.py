"""Where the calibration of a unit comes from: shipped, kept from before, or measured now."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import msgspec

from modoptic.calibration import Calibration
from modoptic.errors import StorageError
from modoptic.files import atomic_write
from modoptic.source import CameraInfo
from modoptic.twin._definition import Definition


class KeptCalibration(msgspec.Struct, frozen=True, kw_only=True):
    """A measured calibration and what it was measured on."""

    definition: str
    """Digest of the definition; another one must be measured again."""
    seed: int
    calibration: Calibration


def definition_digest(definition: Definition) -> str:
    """Of all that decides what a measurement gives."""
    decides = msgspec.to_builtins(definition)
    del decides["stabilisation"]  # charts are measured on a tripod
    return hashlib.sha256(msgspec.json.encode(decides)).hexdigest()[:32]


def calibration_of(
    definition: Definition,
    info: CameraInfo,
    seed: int,
    cache_dir: Path | None,
    progress: Callable[[str, float], None] = lambda what, done: None,
) -> Calibration:
    """The measured calibration of a unit, with its id in it.

    ``progress`` is called where it is measured now, as `measure_calibration` says.
    """
    digest = definition_digest(definition)
    name = f"{definition.name}-{seed}.json"
    shipped = resources.files("modoptic.twin").joinpath("calibrations", name)
    places = [shipped] if cache_dir is None else [shipped, Path(cache_dir) / name]
    for place in places:
        if not place.is_file():
            continue
        try:
            kept = msgspec.json.decode(place.read_bytes(), type=KeptCalibration)
        except (OSError, msgspec.MsgspecError):
            continue  # damaged: measured again below
        if kept.definition == digest and kept.seed == seed:
            return msgspec.structs.replace(kept.calibration, unit=info.id)
    from modoptic.twin._calibrate import measure_calibration

    calibration = measure_calibration(definition, seed=seed, progress=progress)
    if cache_dir is not None:
        kept = KeptCalibration(definition=digest, seed=seed, calibration=calibration)
        with contextlib.suppress(StorageError):  # it is measured again the next time
            atomic_write(
                Path(cache_dir) / name, msgspec.json.format(msgspec.json.encode(kept), indent=1)
            )
    return msgspec.structs.replace(calibration, unit=info.id)
