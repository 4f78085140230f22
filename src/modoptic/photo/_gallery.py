"""The photos in a folder. The files are the truth; the index can always be made again from them."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sqlite3
import threading
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from modoptic import files
from modoptic.calibration import Calibration
from modoptic.errors import ModopticError, PictureError, StorageError
from modoptic.frame import Frame, FrameMeta, decode_meta, encode_meta
from modoptic.photo._jpeg import open_jpeg, read_meta
from modoptic.photo._view import TILE, Shown, TileMaker, levels, thumbnail
from modoptic.rawfile import read_header, write_dng

Kind = Literal["jpg", "dng"]

INDEX = ".modoptic-index.sqlite"
_TRASH = ".trash"
_LOST = "lost"
_RESERVED = ".reserved"
_STEM = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}")
_NUMBERED = re.compile(r"MO_(\d{4,})")
_KINDS: dict[str, Kind] = {".jpg": "jpg", ".jpeg": "jpg", ".dng": "dng"}
_HALF_FILE_AGE_S = 600
"""Half a file that nobody has written to for so long belongs to nobody."""
_INDEX_BUSY_S = 10.0
"""How long another process may keep the index to itself."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS photos (
    name TEXT PRIMARY KEY, signature TEXT NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL,
    taken TEXT NOT NULL, meta BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS thumbnails (
    name TEXT NOT NULL, side INTEGER NOT NULL, signature TEXT NOT NULL, jpeg BLOB NOT NULL,
    PRIMARY KEY (name, side)
);
PRAGMA user_version = 1;
"""


@dataclass(slots=True)
class _Found:
    """Files of one photo, as they lie in the folder."""

    jpg: os.DirEntry[str] | None = None
    dng: os.DirEntry[str] | None = None

    @property
    def signature(self) -> str:
        """Changes when a file does."""
        stats = [entry.stat() if entry else None for entry in (self.jpg, self.dng)]
        return " ".join(f"{s.st_size}.{s.st_mtime_ns}" if s else "-" for s in stats)

    @property
    def shown(self) -> Path:
        entry = self.jpg or self.dng
        assert entry is not None
        return Path(entry.path)


class Gallery:
    """Photos in a folder: ``MO_0001.jpg`` and ``MO_0001.dng`` are one photo.

    Safe from several threads, and from several processes on the same folder. Pictures that others
    put there or take away are noticed at the next `list`.

    Parameters
    ----------
    folder : made if it is not there

    Attributes
    ----------
    notes : what people should know of the last start, such as that the index was rebuilt

    Raises
    ------
    StorageError : the folder cannot be written, or the disk is full; also from every other method
    PictureError : from methods that take a name: no such photo, or one that cannot be decoded
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder).absolute()
        self.notes: list[str] = []
        self._lock = threading.RLock()
        self._tiles = TileMaker()
        with self._storage():
            self.folder.mkdir(parents=True, exist_ok=True)
            self._clean()
        self._index = self._open_index()
        try:
            self._sync()
        except BaseException:
            self._index.close()
            raise

    def close(self) -> None:
        self._tiles.forget()
        with self._lock:
            self._index.close()

    # names

    def next_name(self) -> str:
        """The name that `reserve` would give now."""
        return f"MO_{self._last_number() + 1:04d}"

    def reserve(self) -> str:
        """A name that nobody else gets, here or in another process, until `add` or `give_back`."""
        with self._storage():
            self.folder.mkdir(parents=True, exist_ok=True)  # somebody may have deleted it
            number = self._last_number()
            while True:
                number += 1
                name = f"MO_{number:04d}"
                marker = self._marker(name)
                try:
                    descriptor = os.open(marker, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
                except FileExistsError:
                    continue
                with os.fdopen(descriptor, "w") as file:
                    file.write(str(os.getpid()))
                if not self._in_use(name):
                    return name
                # somebody reserved it, saved the photo and took the mark away in between
                marker.unlink(missing_ok=True)

    def give_back(self, name: str) -> None:
        """A reserved name is not needed: the photo was lost."""
        with self._storage():
            self._marker(name).unlink(missing_ok=True)

    # photos

    def add(
        self,
        name: str,
        *,
        jpeg: Path | str | None = None,
        dng: Path | str | None = None,
        meta: FrameMeta | None = None,
    ) -> None:
        """Take finished files in under ``name``; files from elsewhere are copied into the folder.

        ``meta`` saves reading it from the files.
        """
        if jpeg is None and dng is None:
            raise PictureError(name, "was added without a file; give a JPEG, a DNG or both")
        with self._storage():
            for path, suffix in ((jpeg, ".jpg"), (dng, ".dng")):
                target = self.folder / f"{name}{suffix}"
                if path is not None and Path(path).absolute() != target:
                    with files.atomic_path(target) as temporary:
                        shutil.copyfile(path, temporary)
            found = self._found().get(name)
            if found is None:
                raise PictureError(name, "was added, but its files are not in the folder")
            self._record(name, found, meta)
            self._marker(name).unlink(missing_ok=True)

    def list(self) -> list[dict[str, Any]]:
        """All photos, newest first: name, size, time, files; fit for JSON."""
        with self._storage():
            self._sync()
            rows = self._index.execute(
                "SELECT name, signature, width, height, taken, meta FROM photos"
            ).fetchall()
        found = sorted(rows, key=lambda row: (_instant(row[4]), row[0]), reverse=True)
        return [self._summary(*row) for row in found]

    def info(self, name: str) -> dict[str, Any]:
        """Everything there is to show of a photo, fit for JSON.

        Besides what `list` gives: camera, lens, exposure, files with their sizes, ``tile_size`` and
        ``levels`` for `tile`, the size of the picture that `tile` cuts (of a DNG alone its preview)
        and ``meta``, the whole `FrameMeta`.
        """
        row = self._row(name)
        meta = decode_meta(row[5])
        settings = meta.settings
        held = self._held(name)
        shown = self._shown_size(held, (row[2], row[3]))
        return {
            **self._summary(*row),
            "camera": f"{meta.make} {meta.model}".strip(),
            "lens": meta.lens_model,
            "exposure_s": settings.exposure_s,
            "f_number": settings.f_number,
            "iso": meta.iso,
            "focus_distance_m": _finite(settings.focus_distance_m),
            "focal_length_mm": meta.focal_length_mm,
            "focal_length_35mm": meta.focal_length_35mm,
            "temperature_c": meta.temperature_c,
            "software": meta.software,
            "files": [
                {"kind": kind, "name": entry.name, "bytes": entry.stat().st_size}
                for kind, entry in (("jpg", held.jpg), ("dng", held.dng))
                if entry is not None
            ],
            "tile_size": TILE,
            "levels": levels(*shown),
            "picture_width": shown[0],
            "picture_height": shown[1],
            "meta": _json_ready(msgspec.msgpack.decode(encode_meta(meta))),
        }

    def path(self, name: str, kind: Kind) -> Path:
        """The file of a photo; raises `PictureError` where there is none."""
        held = self._held(name)
        entry = held.jpg if kind == "jpg" else held.dng
        if entry is None:
            raise PictureError(name, f"no such photo as {kind} in the gallery")
        return Path(entry.path)

    def meta(self, name: str) -> FrameMeta:
        """What is known of a photo."""
        return decode_meta(self._row(name)[5])

    def thumbnail(self, name: str, size: int = 512) -> bytes:
        """An upright JPEG of at most ``size`` pixels; kept in the index."""
        held = self._held(name)
        side = max(16, min(size, 2048))
        signature = held.signature
        with self._storage():
            kept = self._index.execute(
                "SELECT jpeg FROM thumbnails WHERE name = ? AND side = ? AND signature = ?",
                (name, side, signature),
            ).fetchone()
        if kept is not None:
            return kept[0]
        jpeg = thumbnail(held.shown, side)
        # a disk that is full or cannot be written is no reason not to show a picture
        with contextlib.suppress(StorageError), self._storage(), self._index:
            self._index.execute(
                "INSERT OR REPLACE INTO thumbnails VALUES (?, ?, ?, ?)",
                (name, side, signature, jpeg),
            )
        return jpeg

    def tile(self, name: str, level: int, x: int, y: int, size: int = TILE) -> bytes:
        """A JPEG of ``size`` x ``size`` pixels (less at the edges) for looking at every pixel.

        Level 0 is 100 %, level n is 1/2^n; x and y count tiles from the top left of the upright
        picture.
        """
        shown = self._held(name).shown
        return self._tiles.tile(shown, shown.stat().st_mtime_ns, level, x, y, size)

    def delete(self, name: str) -> None:
        """Move a photo to the trash inside of the folder; `restore` brings it back."""
        held = self._held(name)
        with self._storage():
            trash = self.folder / _TRASH
            trash.mkdir(exist_ok=True)
            for entry in (held.jpg, held.dng):
                if entry is not None:
                    Path(entry.path).replace(trash / entry.name)
            self._sync()

    def restore(self, name: str) -> None:
        """Bring a photo back from the trash."""
        _check(name)
        with self._storage():
            kept = [path for path in self._trashed() if path.stem == name]
            if not kept:
                raise PictureError(name, "no such photo in the trash")
            if any((self.folder / path.name).exists() for path in kept):
                raise PictureError(name, "is in the gallery and in the trash; rename one of them")
            for path in kept:
                path.replace(self.folder / path.name)
            self._sync()

    def trash(self) -> list[str]:
        """Names of the photos that `restore` can bring back."""
        return sorted({path.stem for path in self._trashed()})

    def empty_trash(self) -> None:
        """Remove what was deleted for good."""
        with self._storage():
            for path in self._trashed():
                path.unlink()

    def rebuild(self) -> None:
        """Make the index again from the files."""
        with self._storage():
            with self._index:
                self._index.execute("DELETE FROM photos")
                self._index.execute("DELETE FROM thumbnails")
            self._sync()

    def save_partial(
        self, name: str, frame: Frame, why: str = "", calibration: Calibration | None = None
    ) -> Path | None:
        """Keep the rows of a raw that did not arrive whole, in the folder ``lost``.

        The DNG holds the leading rows alone. Its description and ``extra["rows_missing"]`` say how
        many are missing. None where too few came to be of use.
        """
        rows = min(frame.rows_valid, frame.height) // 2 * 2
        if rows < 16:
            return None
        meta = frame.meta
        missing = meta.height - rows
        kept = msgspec.structs.replace(
            meta, height=rows, extra={**meta.extra, "rows_missing": missing}
        )
        path = self.folder / _LOST / f"{name}.dng"
        write_dng(
            path,
            Frame(kept, frame.data[: rows * frame.row_bytes]),
            calibration,
            description=f"Incomplete: {rows} of {meta.height} rows arrived. {why}".strip(),
        )
        return path

    # inside

    @contextlib.contextmanager
    def _storage(self) -> Generator[None]:
        """One at a time; failures of disk and index become `StorageError`."""
        with self._lock:
            try:
                yield
            except OSError as error:
                raise files.storage_error(self.folder, error) from error
            except sqlite3.Error as error:
                raise StorageError(
                    self.folder / INDEX,
                    f"the gallery's index cannot be used ({error}); the photos are safe. Free some "
                    "space or make the folder writable, and delete the index if that does not help",
                ) from error

    def _open_index(self) -> sqlite3.Connection:
        path = self.folder / INDEX
        with self._storage():
            try:
                return _connect(path)
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError:
                for leftover in self.folder.glob(f"{INDEX}*"):
                    leftover.unlink()
                self.notes.append("The gallery's index was damaged; it was rebuilt from the files.")
                return _connect(path)

    def _sync(self) -> None:
        """Make the index say what lies in the folder."""
        with self._storage():
            found = self._found()
            known = dict(self._index.execute("SELECT name, signature FROM photos").fetchall())
            gone = [(name,) for name in known.keys() - found.keys()]
            with self._index:
                self._index.executemany("DELETE FROM photos WHERE name = ?", gone)
                self._index.executemany("DELETE FROM thumbnails WHERE name = ?", gone)
            for name, held in found.items():
                if known.get(name) != held.signature:
                    self._record(name, held, None)

    def _record(self, name: str, found: _Found, meta: FrameMeta | None) -> None:
        width, height, read = _described(found)
        meta = meta or read
        signature = found.signature
        taken = meta.taken or time.strftime(
            "%Y-%m-%dT%H:%M:%S%z", time.localtime(found.shown.stat().st_mtime)
        )
        with self._index:
            self._index.execute(
                "INSERT OR REPLACE INTO photos VALUES (?, ?, ?, ?, ?, ?)",
                (name, signature, width, height, taken, encode_meta(meta)),
            )

    def _row(self, name: str) -> tuple[Any, ...]:
        held = self._held(name)
        with self._storage():
            query = "SELECT name, signature, width, height, taken, meta FROM photos WHERE name = ?"
            row = self._index.execute(query, (name,)).fetchone()
            if row is None or row[1] != held.signature:
                self._record(name, held, None)
                row = self._index.execute(query, (name,)).fetchone()
        return row

    def _summary(
        self, name: str, signature: str, width: int, height: int, taken: str, meta: bytes
    ) -> dict[str, Any]:
        jpg, dng = (int(part.partition(".")[0]) if part != "-" else 0 for part in signature.split())
        return {
            "name": name,
            "width": width,
            "height": height,
            "megapixels": round(width * height / 1e6, 1),
            "taken": taken,
            "jpg": jpg > 0,
            "dng": dng > 0,
            "bytes": jpg + dng,
            "version": signature,
        }

    def _shown_size(self, held: _Found, size: tuple[int, int]) -> tuple[int, int]:
        if held.jpg is not None:
            return size
        try:
            shown = Shown.of(held.shown)
        except PictureError:
            return size
        return shown.width, shown.height

    def _found(self) -> dict[str, _Found]:
        """Photos in the folder. Hidden files, which half files are, and folders are no photos."""
        found: dict[str, _Found] = {}
        with os.scandir(self.folder) as entries:
            for entry in entries:
                stem, suffix = os.path.splitext(entry.name)  # noqa: PTH122, 10 000 names
                kind = _KINDS.get(suffix.lower())
                if kind is None or not _STEM.fullmatch(stem) or not entry.is_file():
                    continue
                setattr(found.setdefault(stem, _Found()), kind, entry)
        return found

    def _held(self, name: str) -> _Found:
        _check(name)
        with self._storage():
            held = self._found().get(name)
        if held is None:
            raise PictureError(name, "no such photo in the gallery")
        return held

    def _trashed(self) -> list[Path]:
        trash = self.folder / _TRASH
        return [path for path in trash.iterdir() if path.is_file()] if trash.is_dir() else []

    def _marker(self, name: str) -> Path:
        _check(name)
        return self.folder / f".{name}{_RESERVED}"

    def _in_use(self, name: str) -> bool:
        places = (self.folder, self.folder / _TRASH, self.folder / _LOST)
        return any((place / f"{name}{suffix}").exists() for place in places for suffix in _KINDS)

    def _last_number(self) -> int:
        """Highest number of a photo here, in the trash, among the lost or reserved."""
        with self._storage():
            names: list[str] = []
            for place in (self.folder, self.folder / _TRASH, self.folder / _LOST):
                if place.is_dir():
                    names += [name.lstrip(".") for name in os.listdir(place)]  # noqa: PTH208
        numbers = [int(found[1]) for name in names if (found := _NUMBERED.match(name))]
        return max(numbers, default=0)

    def _clean(self) -> None:
        """Remove what a crash left: half files that nobody writes, marks of processes that died."""
        for path in (*self.folder.glob(f".*{files.PARTIAL_SUFFIX}"), *self._lost_halves()):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > _HALF_FILE_AGE_S:
                    path.unlink()
        for marker in self.folder.glob(f".*{_RESERVED}"):
            with contextlib.suppress(OSError, ValueError):
                if not _lives(int(marker.read_text() or "0")):
                    marker.unlink()

    def _lost_halves(self) -> Iterator[Path]:
        return (self.folder / _LOST).glob(f".*{files.PARTIAL_SUFFIX}")


def _check(name: str) -> None:
    if not _STEM.fullmatch(name):
        raise PictureError(name, "no such photo in the gallery")


def _connect(path: Path) -> sqlite3.Connection:
    index = sqlite3.connect(path, timeout=_INDEX_BUSY_S, check_same_thread=False)
    try:
        _use_wal(index)
        index.execute("PRAGMA synchronous = NORMAL")
        (version,) = index.execute("PRAGMA user_version").fetchone()
        if version > 1:
            raise sqlite3.DatabaseError(f"made by a later version ({version})")
        (state,) = index.execute("PRAGMA quick_check(1)").fetchone()
        if state != "ok":
            raise sqlite3.DatabaseError(state)
        index.executescript(_SCHEMA)
        index.execute("SELECT name, signature, width, height, taken, meta FROM photos LIMIT 1")
        index.execute("SELECT name, side, signature, jpeg FROM thumbnails LIMIT 1")
    except sqlite3.OperationalError as error:
        index.close()
        if "no such column" in str(error) or "has no column" in str(error):
            raise sqlite3.DatabaseError(str(error)) from error
        raise
    except BaseException:
        index.close()
        raise
    return index


def _use_wal(index: sqlite3.Connection) -> None:
    """Switch to the write-ahead log; of two processes that make an index, one waits here.

    SQLite's own timeout does not cover this switch: beside another writer it fails at once.
    """
    deadline = time.monotonic() + _INDEX_BUSY_S
    while True:
        try:
            index.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not busy or time.monotonic() > deadline:
                raise
        time.sleep(0.01)


def _described(found: _Found) -> tuple[int, int, FrameMeta]:
    """Size as shown (upright) and metadata, from the files; of damaged ones what can be known."""
    width = height = 0
    meta: FrameMeta | None = None
    if found.jpg is not None:
        try:
            with open_jpeg(Path(found.jpg.path)) as picture:
                width, height = picture.size
                if int(picture.getexif().get(274, 1) or 1) in (5, 6, 7, 8):
                    width, height = height, width
                meta = read_meta(picture)
        except (PictureError, OSError, SyntaxError, ValueError, TypeError):
            pass  # shown by its name; opening it says what is wrong
    if found.dng is not None and (meta is None or not width):
        with contextlib.suppress(ModopticError):
            read = read_header(found.dng.path)
            meta = meta or read
            if not width:
                width, height = read.width, read.height
                if read.orientation in (5, 6, 7, 8):
                    width, height = height, width
    return width, height, meta or FrameMeta(width=width, height=height)


def _lives(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _instant(taken: str) -> float:
    """Seconds since 1970, for sorting; photos without a zone count as local."""
    from datetime import datetime

    try:
        return datetime.fromisoformat(taken).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def _finite(value: float) -> float | None:
    return value if value < float("inf") else None


def _json_ready(value: Any) -> Any:
    """Infinity as None and bytes as hex, which JSON lacks."""
    if isinstance(value, dict):
        return {str(key): _json_ready(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json_ready(item) for item in value]
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    return value.hex() if isinstance(value, bytes) else value
