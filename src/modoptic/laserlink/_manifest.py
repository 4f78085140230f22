"""What a module says of itself, and the phone's memory of modules it has met."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Final

import msgspec

from modoptic.calibration import Calibration
from modoptic.errors import ProtocolError, StorageError
from modoptic.files import atomic_write
from modoptic.source import CameraInfo

MAX_MANIFEST: Final = 4 * 1024 * 1024
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a module is, can do and was measured to be. Never changes while it is on."""

    version: int = 1
    info: CameraInfo
    calibration: Calibration
    features: tuple[str, ...] = ()
    """SFNC names of the features it has; see `FEATURES`."""


_decoder = msgspec.msgpack.Decoder(Manifest)


def encode_manifest(manifest: Manifest) -> bytes:
    return msgspec.msgpack.encode(manifest)


def decode_manifest(data: bytes) -> Manifest:
    """The manifest in ``data``.

    Raises
    ------
    ProtocolError : larger than 4 MiB, or no manifest
    """
    if len(data) > MAX_MANIFEST:
        raise ProtocolError(f"a manifest of {len(data)} bytes; at most {MAX_MANIFEST} are accepted")
    try:
        manifest = _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"the module's manifest cannot be read: {error}") from error
    info = manifest.info
    if info.sensor_width <= 0 or info.sensor_height <= 0 or not info.readouts:
        raise ProtocolError("the module's manifest has no sensor; expected a size and a readout")
    return manifest


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
