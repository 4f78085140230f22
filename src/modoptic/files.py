"""Writing files so that a crash, a full disk or a kill never leaves half a file visible."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Generator
from pathlib import Path

from modoptic.errors import StorageError

PARTIAL_SUFFIX = ".part"


@contextlib.contextmanager
def atomic_path(path: Path | str, *, durable: bool = True) -> Generator[Path]:
    """A temporary path beside ``path`` that takes its place when the block ends well.

    The temporary name starts with a dot and ends in ``.part``. With ``durable`` the file and its
    folder are synced before the rename is relied on. If the block raises, the temporary is removed
    and ``path`` stays as it was.

    Raises
    ------
    StorageError : the folder cannot be written, or the disk is full
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}{PARTIAL_SUFFIX}")
    try:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            if durable:
                _sync(temporary)
            temporary.replace(target)
            if durable:
                _sync(target.parent)
        except OSError as error:
            raise storage_error(target, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def atomic_write(path: Path | str, data: bytes | memoryview, *, durable: bool = True) -> None:
    """Write ``data`` to ``path`` whole or not at all. See `atomic_path`."""
    with atomic_path(path, durable=durable) as temporary, temporary.open("wb") as file:
        file.write(data)


def storage_error(path: Path | str, error: OSError) -> StorageError:
    """The `StorageError` that tells a person what ``error`` means for ``path``."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        problem = "the disk is full; free some space and try again (what was saved before is safe)"
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
        problem = "cannot be written; choose another folder or change its permissions"
    else:
        problem = f"cannot be written ({error.strerror or error}); choose another folder"
    return StorageError(path, problem)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
