"""The real developer process: raws that arrive row by row become files, or say why not."""

from __future__ import annotations

import os
import queue

import msgspec
import numpy as np
import pytest
from fakes import COLORS, StillFrame
from PIL import Image

from modoptic.calibration import Calibration
from modoptic.frame import FrameMeta, encode_meta
from modoptic.host._darkroom import Darkroom
from modoptic.host._pipe import DevelopJob, Failed, Kept, Progress, Saved
from modoptic.rawfile import read_raw

META = FrameMeta(
    width=416, height=312, black_level=(64.0,), as_shot_neutral=(0.5, 1.0, 0.6), model="MOS 35"
)


def job(number, folder):
    return DevelopJob(
        job=number,
        name=f"MO_{number:04}",
        meta=encode_meta(META),
        calibration=Calibration(colors=COLORS),
        folder=str(folder),
        save_dng=True,
        dng_compression="jpeg",
    )


class Room:
    def __init__(self):
        self.heard = queue.SimpleQueue()
        self.room = Darkroom(self.heard.put)
        self.progress = []

    def begin(self, number, folder):
        still = StillFrame(META)
        self.room.develop(job(number, folder), still.fd)
        return still

    def finish(self, number, meta=META):
        for rows in range(64, 312, 64):
            self.room.rows(number, rows)
        self.room.whole(number, encode_meta(meta))

    def end(self):
        while isinstance(message := self.heard.get(timeout=50), Progress):
            self.progress.append(message)
        return message


@pytest.fixture(scope="module")
def room():
    room = Room()
    yield room
    room.room.close()


def test_a_still_becomes_jpeg_and_dng(room, tmp_path):
    still = room.begin(1, tmp_path)
    room.finish(1, msgspec.structs.replace(META, temperature_c=31.5))
    saved = room.end()
    assert isinstance(saved, Saved)
    assert (saved.jpeg, saved.dng) == (f"{tmp_path}/MO_0001.jpg", f"{tmp_path}/MO_0001.dng")
    with Image.open(saved.jpeg) as picture:
        assert picture.size == (416, 312)
    raw = read_raw(saved.dng)
    frame = getattr(raw, "frame", raw)
    assert np.all(frame.mosaic() == 1000)
    assert frame.meta.temperature_c == 31.5  # what was known at the end, not at the beginning
    assert {message.phase for message in room.progress} == {"developing", "saving"}
    still.release()


def test_what_arrived_of_a_still_is_kept(room, tmp_path):
    still = room.begin(2, tmp_path)
    room.room.rows(2, 200)
    room.room.abandon(2, "it was taken off")
    kept = room.end()
    assert isinstance(kept, Kept) and kept.partial is not None
    raw = read_raw(kept.partial)
    assert getattr(raw, "frame", raw).mosaic().shape == (200, 416)
    assert not list(tmp_path.glob("MO_*"))
    still.release()


def test_nothing_that_arrived_is_nothing_kept(room, tmp_path):
    still = room.begin(3, tmp_path)
    room.room.abandon(3, "it was taken off")
    assert room.end() == Kept(job=3, partial=None)
    still.release()


def test_a_folder_that_cannot_be_written_is_the_disks_fault(room, tmp_path):
    (tmp_path / "file").touch()
    still = room.begin(4, tmp_path / "file" / "below")
    room.finish(4)
    failed = room.end()
    assert isinstance(failed, Failed)
    assert failed.disk and "choose another folder" in failed.text
    still.release()


def test_a_raw_that_cannot_be_mapped_costs_that_photo_only(room, tmp_path):
    read, write = os.pipe()
    room.room.develop(job(5, tmp_path), read)
    room.finish(5)
    failed = room.end()
    assert isinstance(failed, Failed) and failed.job == 5
    assert "cannot be read" in failed.text
    os.close(read)
    os.close(write)
    still = room.begin(6, tmp_path)
    room.finish(6)
    assert isinstance(room.end(), Saved)
    still.release()


def test_nonsense_ends_the_process_and_jobs_are_done_by_the_next(room, tmp_path):
    pid = room.room.pid
    still = room.begin(7, tmp_path)
    room.room._pipe.send(Progress(job=7, phase="saving", fraction=0.5))  # not for its ears
    room.finish(7)
    assert isinstance(room.end(), Saved)
    assert room.room.pid != pid
    still.release()


def test_it_works_at_low_priority_and_ends_with_the_phone(room, tmp_path):
    other = Room()
    still = other.begin(1, tmp_path)
    other.finish(1)
    other.end()
    pid = other.room.pid
    assert os.getpriority(os.PRIO_PROCESS, pid) > os.getpriority(os.PRIO_PROCESS, 0)
    other.begin(2, tmp_path).release()
    other.room.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert not list(tmp_path.glob(".*.part"))
    still.release()
