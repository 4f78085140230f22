"""A file is there whole or not at all, and the message says what to do."""

import subprocess
import sys
from pathlib import Path

import pytest

from modoptic.errors import StorageError
from modoptic.files import atomic_path, atomic_write


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    target = tmp_path / "photo.jpg"
    atomic_write(target, b"old")
    with pytest.raises(RuntimeError), atomic_path(target) as temporary:
        temporary.write_bytes(b"half")
        raise RuntimeError
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_below_a_regular_file_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="choose another folder"):
        atomic_write(tmp_path / "file" / "photo.jpg", b"data")


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    # a file size limit stands in for a full disk; it needs a process of its own
    script = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "from modoptic.files import atomic_write\n"
        "from modoptic.errors import StorageError\n"
        "try:\n    atomic_write(sys.argv[1], b'x' * 5000)\n"
        "except StorageError as error:\n    print(error)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "photo.jpg")],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert "the disk is full" in run.stdout
    assert list(tmp_path.iterdir()) == []
