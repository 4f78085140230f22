"""What a module says of itself, and the phone's memory of modules it has met."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Final

import msgspec

from modoptic.calibration import Calibration, check_calibration
from modoptic.errors import ProtocolError, SettingError, StorageError
from modoptic.files import atomic_write
from modoptic.laserlink._features import Feature
from modoptic.source import CameraInfo, StartUp

MAX_MANIFEST: Final = 4 * 1024 * 1024
_SIDE: Final = 65535
_START_UP: Final = StartUp.__struct_fields__
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a module is, can do and was measured to be. Never changes while it is on."""

    version: int = 1
    info: CameraInfo
    calibration: Calibration
    feature_table: tuple[Feature, ...] = ()
    """The features it has, with their ranges; empty where an older module names them only."""


_decoder = msgspec.msgpack.Decoder(Manifest)


def encode_manifest(manifest: Manifest) -> bytes:
    return msgspec.msgpack.encode(manifest)


def decode_manifest(data: bytes) -> Manifest:
    """The manifest in ``data``.

    Raises
    ------
    ProtocolError : larger than 4 MiB, no manifest, or one with numbers that no camera has
    """
    if len(data) > MAX_MANIFEST:
        raise ProtocolError(f"a manifest of {len(data)} bytes; at most {MAX_MANIFEST} are accepted")
    try:
        manifest = _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"the module's manifest cannot be read: {error}") from error
    try:
        _check_info(manifest.info)
        check_calibration(manifest.calibration)
    except SettingError as error:
        raise ProtocolError(f"the module's manifest is of no camera: {error}") from error
    return manifest


def _check_info(info: CameraInfo) -> None:
    """Raise `SettingError` for a camera that cannot be; the phone divides by these numbers."""
    if not info.readouts:
        raise SettingError("readouts", info.readouts, "one at least", "manifest")
    for name, value, low, high in (
        ("sensor width", info.sensor_width, 1, _SIDE),
        ("sensor height", info.sensor_height, 1, _SIDE),
        ("pixel pitch", info.pitch_um, 1e-6, 1e6),
        ("focal length", info.focal_length_mm, 1e-6, 1e6),
        ("focal length at 35 mm", info.focal_length_35mm, 1e-6, 1e6),
        ("smallest f-number", info.f_number_min, 1e-3, 1e4),
        ("largest f-number", info.f_number_max, info.f_number_min, 1e4),
        ("shortest focus distance", info.focus_min_m, 1e-6, 1e9),
        ("base ISO", info.base_iso, 1e-3, 1e9),
        ("gain", info.gain_max, 1.0, 1e6),
        ("shortest exposure", info.exposure_min_s, 1e-9, 1e6),
        ("longest exposure", info.exposure_max_s, info.exposure_min_s, 1e6),
        ("still buffers", info.still_buffers, 1, 1000),
        *((f"power {state}", power, 0, 1e9) for state, power in info.power_mw.items()),
        *((f"start-up {n}", getattr(info.start_up, n), 0, 1e4) for n in _START_UP),
        *(
            part
            for mode in info.readouts
            for part in (
                (f"width of {mode.name}", mode.width, 1, info.sensor_width),
                (f"height of {mode.name}", mode.height, 1, info.sensor_height),
                (f"readout time of {mode.name}", mode.readout_s, 0, 1e4),
                (f"frame rate of {mode.name}", mode.frame_rate_max, 1e-3, 1e6),
            )
        ),
    ):
        if not low <= value <= high:  # written so that NaN fails
            raise SettingError(name, value, f"{low:g} to {high:g}", "manifest")


def manifest_digest(data: bytes) -> str:
    """The name of a manifest: SHA-256 of its bytes, hex."""
    return hashlib.sha256(data).hexdigest()


class ManifestStore:
    """Manifests of modules met before, by digest: in memory, and in ``folder`` if one is given.

    A file that is damaged or cannot be read counts as unknown; a folder that cannot be written
    only costs the next attach some milliseconds, so that is no error here.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._met: dict[str, bytes] = {}

    def get(self, digest: str) -> bytes | None:
        if not _DIGEST.fullmatch(digest):
            return None
        data = self._met.get(digest)
        if data is None and self._folder is not None:
            try:
                data = (self._folder / f"{digest}.manifest").read_bytes()
            except OSError:
                return None
            if manifest_digest(data) != digest:
                return None
            self._met[digest] = data
        return data

    def put(self, digest: str, data: bytes) -> None:
        self._met[digest] = data
        if self._folder is None:
            return
        try:
            atomic_write(self._folder / f"{digest}.manifest", data, durable=False)
        except StorageError:
            return
