"""Which reader a raw file needs."""

from __future__ import annotations

from pathlib import Path

from modoptic.errors import RawFileError
from modoptic.rawfile import _headerless, _other
from modoptic.rawfile._file import RawFile
from modoptic.rawfile._read import is_dng, read_dng


def read_raw(
    path: Path | str,
    *,
    width: int | None = None,
    height: int | None = None,
    cfa: str | tuple[str, ...] | None = None,
    bits: int | None = None,
    black: float | tuple[float, ...] | None = None,
    white: int | None = None,
    packing: str | None = None,
) -> RawFile:
    """Read a raw file of any kind that modoptic knows.

    - DNG with a Bayer mosaic: uncompressed 8 to 16 bit, lossless JPEG, JPEG XL. Own files come back
      whole, with their `FrameMeta`; of others the default crop is read.
    - bare samples of any name, ``.pgm`` and grey ``.png``: described by the options, or by
      ``<name>.toml`` beside them (see `Description`).
    - other makers' raws through LibRaw (extra ``raw``).

    Parameters
    ----------
    width, height, cfa, bits, black, white, packing : for files without a header; ``cfa`` such as
        ``"RGGB"``, levels in DN, packing as in `Description`

    Raises
    ------
    RawFileError : missing, damaged, hostile, or of a kind that cannot be read
    MissingExtraError : LibRaw is needed and not installed
    """
    path = Path(path)
    if path.is_fifo():
        raise RawFileError(path, "is a pipe; save what comes out of it as a file first")
    try:
        with path.open("rb") as file:
            head = file.read(4)
    except OSError as error:
        raise RawFileError(path, f"cannot be opened ({error.strerror})") from error
    suffix = path.suffix.lower()
    options = {
        "width": width,
        "height": height,
        "cfa": cfa,
        "bits": bits,
        "black": black,
        "white": white,
        "packing": packing,
    }
    sidecar = suffix != ".toml" and path.with_suffix(".toml").is_file()
    described = any(v is not None for v in options.values()) or sidecar
    if suffix in _headerless.SUFFIXES and (described or suffix != ".raw" or head[:2] != b"II"):
        return _headerless.read_headerless(path, options)
    if head in (b"II*\0", b"MM\0*") and (suffix == ".dng" or is_dng(path)):
        return read_dng(path)
    if described:
        return _headerless.read_headerless(path, options)
    if suffix == ".dng" or suffix not in _other.SUFFIXES:
        raise RawFileError(
            path,
            "is no DNG, and no other raw file that modoptic knows; if it has no header, say its "
            f"width, height, cfa and bits as options, or in {path.stem}.toml beside it",
        )
    return _other.read_other(path)
