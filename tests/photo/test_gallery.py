"""The gallery: files are the truth, nothing is half, nothing saved is lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_jpeg import META, picture

from modoptic import pixels
from modoptic.errors import PictureError, StorageError
from modoptic.frame import Frame, FrameMeta
from modoptic.photo import Gallery, write_jpeg
from modoptic.photo._gallery import INDEX
from modoptic.rawfile import read_raw, write_dng

UPRIGHT = FrameMeta(
    make="Modoptic", model="MOS 35", taken="2026-11-22T20:00:00+01:00", extra={"later": 7}
)


@pytest.fixture
def gallery(tmp_path: Path):
    found = Gallery(tmp_path / "photos")
    yield found
    found.close()


def raw(height: int = 96, width: int = 128) -> Frame:
    values = np.random.default_rng(1).integers(64, 4000, (height, width), dtype=np.uint16)
    meta = FrameMeta(width=width, height=height, extra={"later": 7}, frame_id=5)
    return Frame(meta, pixels.pack(values, pixels.pixel_format(meta.pixel_format)))


def put(gallery: Gallery, meta: FrameMeta = UPRIGHT, *, dng: bool = False) -> str:
    name = gallery.reserve()
    write_jpeg(gallery.folder / f"{name}.jpg", picture(1200, 1600), meta, durable=False)
    if dng:
        write_dng(gallery.folder / f"{name}.dng", raw(), durable=False)
    gallery.add(
        name,
        jpeg=gallery.folder / f"{name}.jpg",
        dng=gallery.folder / f"{name}.dng" if dng else None,
        meta=meta,
    )
    return name


def test_a_photo_goes_in_and_is_found(gallery: Gallery) -> None:
    assert gallery.list() == []
    assert gallery.next_name() == "MO_0001"
    name = put(gallery, dng=True)
    assert name == "MO_0001" and gallery.next_name() == "MO_0002"
    (row,) = gallery.list()
    assert (row["name"], row["width"], row["height"]) == (name, 1600, 1200)
    assert row["jpg"] and row["dng"] and row["megapixels"] == 1.9
    info = gallery.info(name)
    json.dumps(info, allow_nan=False)
    assert info["camera"] == "Modoptic MOS 35"
    assert info["meta"]["later"] == 7
    assert {entry["kind"] for entry in info["files"]} == {"jpg", "dng"}
    assert gallery.path(name, "dng").is_file()
    assert [path.name for path in gallery.folder.glob(".*reserved")] == []


def test_files_from_elsewhere_are_copied(gallery: Gallery, tmp_path: Path) -> None:
    write_jpeg(tmp_path / "other.jpg", picture(), META)
    gallery.add("MO_0007", jpeg=tmp_path / "other.jpg")
    assert gallery.path("MO_0007", "jpg").parent == gallery.folder
    assert gallery.meta("MO_0007") == META
    assert gallery.next_name() == "MO_0008"


def test_newest_comes_first(gallery: Gallery) -> None:
    for number, taken in enumerate(
        ("2026-01-01T12:00:00+00:00", "2026-01-01T14:30:00+05:00", "2026-01-01T11:00:00+00:00")
    ):
        meta = FrameMeta(taken=taken)
        gallery.folder.joinpath(f"p{number}.jpg").write_bytes(b"")
        write_jpeg(gallery.folder / f"p{number}.jpg", picture(48, 64), meta)
    # 12:00, 11:00 and 9:30 of the same day, by the clock in Greenwich
    assert [row["name"] for row in gallery.list()] == ["p0", "p2", "p1"]


def test_what_others_put_there_and_take_away_is_noticed(gallery: Gallery) -> None:
    name = put(gallery)
    write_jpeg(gallery.folder / "holiday.jpeg", picture(), META)
    (gallery.folder / "notes.txt").write_text("no photo")
    (gallery.folder / "folder.jpg").mkdir()
    assert {row["name"] for row in gallery.list()} == {name, "holiday"}
    # orientation 6: stored 640 x 480, shown 480 x 640
    assert gallery.info("holiday")["width"] == 480
    (gallery.folder / f"{name}.jpg").unlink()
    assert {row["name"] for row in gallery.list()} == {"holiday"}
    with pytest.raises(PictureError, match="no such photo"):
        gallery.info(name)


def test_the_index_can_be_rebuilt_from_the_files(tmp_path: Path) -> None:
    first = Gallery(tmp_path)
    names = [put(first, dng=number == 0) for number in range(3)]
    write_dng(tmp_path / "alone.dng", raw())
    before = first.list()
    details = {name: first.info(name) for name in [*names, "alone"]}
    first.rebuild()
    assert first.list() == before
    first.close()
    for index in tmp_path.glob(f"{INDEX}*"):
        index.unlink()
    second = Gallery(tmp_path)
    assert second.list() == before and second.notes == []
    assert {name: second.info(name) for name in details} == details
    assert second.meta("alone").frame_id == 5
    second.close()


@pytest.mark.parametrize(
    "damage", [b"no database at all, " * 300, b"SQLite format 3\0" + b"x" * 5000]
)
def test_a_damaged_index_is_rebuilt_with_a_note(tmp_path: Path, damage: bytes) -> None:
    first = Gallery(tmp_path)
    name = put(first)
    before = first.list()
    first.close()
    for index in tmp_path.glob(f"{INDEX}*"):
        index.unlink()
    (tmp_path / INDEX).write_bytes(damage)
    second = Gallery(tmp_path)
    assert second.list() == before and before[0]["name"] == name
    assert "rebuilt" in second.notes[0]
    second.close()


def test_deleting_can_be_undone(gallery: Gallery) -> None:
    name = put(gallery, dng=True)
    before = gallery.list()
    gallery.delete(name)
    assert gallery.list() == [] and gallery.trash() == [name]
    with pytest.raises(PictureError, match="no such photo"):
        gallery.thumbnail(name)
    # a name in the trash is not given again
    assert gallery.next_name() == "MO_0002"
    gallery.restore(name)
    assert gallery.list() == before and gallery.trash() == []
    gallery.delete(name)
    gallery.empty_trash()
    with pytest.raises(PictureError, match="trash"):
        gallery.restore(name)


@pytest.mark.parametrize("name", ["../etc/passwd", "", ".hidden", "a/b", "a" * 200, "MO_0001\0"])
def test_names_cannot_leave_the_folder(gallery: Gallery, name: str) -> None:
    for ask in (gallery.info, gallery.thumbnail, gallery.delete, gallery.restore):
        with pytest.raises(PictureError, match="no such"):
            ask(name)
    with pytest.raises(PictureError, match="no such"):
        gallery.path(name, "jpg")
    with pytest.raises(PictureError, match="no such"):
        gallery.tile(name, 0, 0, 0)


def seen(jpeg: bytes) -> np.ndarray:
    with Image.open(BytesIO(jpeg)) as image:
        return np.asarray(image).astype(int)


def test_tiles_show_every_pixel(gallery: Gallery) -> None:
    name = put(gallery)
    info = gallery.info(name)
    assert (info["tile_size"], info["levels"]) == (512, 3)
    with Image.open(gallery.path(name, "jpg")) as image:
        whole = np.asarray(image).astype(int)
    for x, y in ((0, 0), (1, 1), (3, 2)):
        part = whole[512 * y : 512 * y + 512, 512 * x : 512 * x + 512]
        tile = seen(gallery.tile(name, 0, x, y))
        assert tile.shape == part.shape
        assert np.abs(tile - part).mean() < 3
    for level in (1, 2):
        tile = seen(gallery.tile(name, level, 0, 0))
        small = whole[: tile.shape[0] << level, : tile.shape[1] << level]
        cells = small.reshape(tile.shape[0], 1 << level, tile.shape[1], 1 << level, 3)
        assert np.abs(tile - cells.mean(axis=(1, 3)))[..., :2].mean() < 3
    for level, x, y in ((0, 4, 0), (0, 0, 3), (2, 1, 0), (-1, 0, 0), (99, 0, 0), (0, -1, 0)):
        with pytest.raises(PictureError, match="no such tile"):
            gallery.tile(name, level, x, y)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_shown_upright(gallery: Gallery, orientation: int) -> None:
    rgb = np.zeros((300, 400, 3), np.uint8)
    rgb[:150, :200, 0] = 250  # red at the top left as it is stored
    rgb[150:, 200:, 2] = 250
    path = gallery.folder / "turned.jpg"
    write_jpeg(path, rgb, FrameMeta(orientation=orientation))
    with Image.open(path) as image:
        from PIL import ImageOps

        expected = np.asarray(ImageOps.exif_transpose(image)).astype(int)
    info = gallery.info("turned")
    assert (info["height"], info["width"]) == expected.shape[:2]
    tile = seen(gallery.tile("turned", 0, 0, 0))
    assert tile.shape == expected.shape and np.abs(tile - expected).mean() < 3
    small = seen(gallery.thumbnail("turned", 100))
    factor = expected.shape[0] // small.shape[0]
    assert np.abs(small - expected[::factor, ::factor][: small.shape[0]]).mean() < 12
    assert max(small.shape) == 100


def test_a_dng_alone_is_shown_by_its_preview(gallery: Gallery) -> None:
    preview = np.full((300, 400, 3), (10, 200, 30), np.uint8)
    write_dng(gallery.folder / "alone.dng", raw(), preview=preview)
    small = seen(gallery.thumbnail("alone", 128))
    assert np.abs(small[40, 60] - [10, 200, 30]).max() < 6
    info = gallery.info("alone")
    assert (info["picture_width"], info["picture_height"]) == (400, 300)
    assert info["width"] == 128 and info["levels"] == 1


def test_damaged_pictures_are_named_and_harm_nothing(gallery: Gallery) -> None:
    good = put(gallery)
    whole = gallery.path(good, "jpg").read_bytes()
    (gallery.folder / "cut.jpg").write_bytes(whole[:400])
    (gallery.folder / "none.jpg").write_bytes(b"no picture")
    (gallery.folder / "none.dng").write_bytes(b"no raw")
    (gallery.folder / "empty.dng").write_bytes(b"")
    assert {row["name"] for row in gallery.list()} == {good, "cut", "none", "empty"}
    for name in ("cut", "none", "empty"):
        gallery.info(name)
        with pytest.raises(PictureError, match=name):
            gallery.thumbnail(name)
        with pytest.raises(PictureError, match=name):
            gallery.tile(name, 0, 0, 0)
    assert gallery.thumbnail(good)


def test_half_files_are_never_shown_and_old_ones_are_cleaned(tmp_path: Path) -> None:
    fresh, old = tmp_path / ".MO_0001.jpg.aa.part", tmp_path / ".MO_0002.jpg.bb.part"
    for path in (fresh, old):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 3600, time.time() - 3600))
    gallery = Gallery(tmp_path)
    assert gallery.list() == []
    # somebody may be writing the fresh one
    assert fresh.exists() and not old.exists()
    gallery.close()


_CRASH = """
import os, sys
from pathlib import Path
from modoptic import files
from modoptic.photo import Gallery
gallery = Gallery(sys.argv[1])
name = gallery.reserve()
with files.atomic_path(gallery.folder / f"{name}.jpg") as temporary:
    temporary.write_bytes(b"half a picture")
    print(name, flush=True)
    sys.stdin.read()
"""


def test_a_kill_in_the_middle_leaves_nothing_half(tmp_path: Path) -> None:
    before = Gallery(tmp_path)
    kept = put(before)
    with subprocess.Popen(
        [sys.executable, "-c", _CRASH, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        name = child.stdout.readline().strip()
        child.send_signal(signal.SIGKILL)
    assert name == "MO_0002"
    assert [row["name"] for row in before.list()] == [kept]
    before.close()
    after = Gallery(tmp_path)
    assert [row["name"] for row in after.list()] == [kept]
    # the mark of the dead process is gone, and its name can be used
    assert not (tmp_path / f".{name}.reserved").exists()
    after.close()


_RESERVE = """
import sys
from modoptic.photo import Gallery
gallery = Gallery(sys.argv[1])
sys.stdin.readline()
for _ in range(25):
    name = gallery.reserve()
    (gallery.folder / f"{name}.jpg").write_bytes(b"")
    gallery.add(name, jpeg=gallery.folder / f"{name}.jpg")
    print(name)
"""


def test_names_are_unique_between_processes_and_threads(tmp_path: Path) -> None:
    children = [
        subprocess.Popen(
            [sys.executable, "-c", _RESERVE, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = []
    for child in children:  # both are let go when both are up
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    for child in children:
        out, _ = child.communicate(timeout=50)
        assert child.returncode == 0
        said += out.split()
    gallery = Gallery(tmp_path)
    with ThreadPoolExecutor(4) as threads:
        said += list(threads.map(lambda _: gallery.reserve(), range(20)))
    assert len(said) == 70 and len(set(said)) == 70
    assert len(gallery.list()) == 50
    gallery.give_back(max(said))
    assert gallery.reserve() == max(said)
    gallery.close()


def test_an_index_that_another_process_is_just_making_is_waited_for(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / INDEX, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")  # before it has switched to the write-ahead log
    made = threading.Timer(0.3, other.execute, ["COMMIT"])
    made.start()
    gallery = Gallery(tmp_path)
    assert gallery.list() == [] and gallery.notes == []
    gallery.close()
    made.join()
    other.close()


_FULL = """
import resource, signal, sys
import numpy as np
from modoptic.errors import StorageError
from modoptic.frame import FrameMeta
from modoptic.photo import Gallery, write_jpeg
gallery = Gallery(sys.argv[1])
name = gallery.reserve()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
rgb = np.random.default_rng(0).integers(0, 255, (400, 400, 3), dtype=np.uint8)
try:
    write_jpeg(gallery.folder / f"{name}.jpg", rgb, FrameMeta())
except StorageError as error:
    print(error)
"""


def test_a_full_disk_loses_nothing_that_was_saved(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    kept = put(gallery)
    run = [sys.executable, "-c", _FULL, str(tmp_path)]
    done = subprocess.run(run, capture_output=True, text=True, timeout=50, check=True)
    assert "disk is full" in done.stdout and "free some space" in done.stdout, done
    assert [row["name"] for row in gallery.list()] == [kept]
    assert list(tmp_path.glob(".*.part")) == []
    assert gallery.thumbnail(kept)
    gallery.close()


def test_a_folder_that_cannot_be_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="another folder"):
        Gallery(tmp_path / "file" / "photos")


def test_an_incomplete_raw_is_kept_apart_and_says_so(gallery: Gallery) -> None:
    whole = raw()
    partial = Frame(whole.meta, whole.data, rows_valid=41)
    partial.fail("pulled off")
    path = gallery.save_partial("MO_0003", partial, "The module was pulled off.")
    assert path is not None and path.parent.name == "lost"
    back = read_raw(path).frame
    assert np.array_equal(back.mosaic(), whole.mosaic()[:40])
    assert back.meta.extra == {"later": 7, "rows_missing": 56}
    assert b"Incomplete: 40 of 96 rows" in path.read_bytes()
    assert gallery.list() == [] and gallery.next_name() == "MO_0004"
    assert gallery.save_partial("MO_0004", Frame(whole.meta, whole.data, rows_valid=3)) is None


@pytest.mark.large
def test_a_100_megapixel_photo_is_looked_at(tmp_path: Path) -> None:
    block = picture(1092, 1456)
    write_jpeg(tmp_path / "big.jpg", np.tile(block, (8, 8, 1)), UPRIGHT, durable=False)
    gallery = Gallery(tmp_path)
    info = gallery.info("big")
    assert (info["width"], info["height"], info["levels"]) == (11648, 8736, 6)
    assert seen(gallery.tile("big", 0, 22, 17)).shape == (8736 - 17 * 512, 11648 - 22 * 512, 3)
    assert seen(gallery.tile("big", 5, 0, 0)).shape == (273, 364, 3)
    gallery.close()


def test_a_folder_that_was_deleted_is_made_again(gallery: Gallery) -> None:
    shutil.rmtree(gallery.folder)
    name = gallery.reserve()
    assert gallery.folder.is_dir()
    gallery.give_back(name)
