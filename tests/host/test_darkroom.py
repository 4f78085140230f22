"""The developer process: fed through a socket, begun again when it dies, gone when the phone is."""

from __future__ import annotations

import os
import queue
import sys
from pathlib import Path

import pytest

from modoptic.frame import FrameMeta, encode_meta
from modoptic.host._darkroom import Darkroom
from modoptic.host._pipe import DevelopJob, Failed, Kept, Progress, Saved

FAKE = str(Path(__file__).parent / "fake_developer.py")


def job(number, folder):
    return DevelopJob(
        job=number,
        name=f"MO_{number:04}",
        meta=encode_meta(FrameMeta(width=4, height=2)),
        calibration=None,
        folder=str(folder),
        save_dng=False,
        dng_compression="jpeg",
    )


class Room:
    def __init__(self, tmp_path, how):
        self.folder = tmp_path
        self.heard = queue.SimpleQueue()
        self.room = Darkroom(self.heard.put, (sys.executable, FAKE, how, str(tmp_path / "mark")))
        self.raw = os.memfd_create("raw")
        os.write(self.raw, b"\x01\x02\x03\x04")

    def end(self):
        """The last message of a job."""
        while isinstance(message := self.heard.get(timeout=30), Progress):
            pass
        return message


@pytest.fixture
def room(tmp_path, request):
    room = Room(tmp_path, request.param)
    yield room
    room.room.close()
    os.close(room.raw)


def develop(room, number=1):
    room.room.develop(job(number, room.folder), room.raw)
    room.room.rows(number, 2)
    room.room.whole(number, encode_meta(FrameMeta(width=4, height=2)))


@pytest.mark.parametrize("room", ["well"], indirect=True)
def test_the_raw_is_read_through_its_descriptor(room):
    develop(room)
    saved = room.end()
    assert isinstance(saved, Saved)
    assert Path(saved.jpeg).read_bytes() == b"\x01\x02\x03\x04"


@pytest.mark.parametrize("room", ["crash-once"], indirect=True)
def test_a_job_survives_one_death_of_the_process(room):
    develop(room)
    develop(room, 2)
    assert {room.end().job, room.end().job} == {1, 2}


@pytest.mark.parametrize("room", ["crash"], indirect=True)
def test_a_second_death_is_reported_and_the_room_goes_on(room):
    develop(room)
    first = room.end()
    assert isinstance(first, Failed) and "twice" in first.text
    develop(room, 2)
    assert room.end().job == 2


@pytest.mark.parametrize("room", ["well"], indirect=True)
def test_an_abandoned_job_says_what_was_kept(room):
    room.room.develop(job(1, room.folder), room.raw)
    room.room.abandon(1, "taken off")
    assert room.end() == Kept(job=1, partial=None)


@pytest.mark.parametrize("room", ["well"], indirect=True)
def test_it_leaves_no_process_and_no_descriptor(room):
    develop(room)
    room.end()
    pid = room.room.pid
    develop(room, 2)
    room.room.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    held = [str(fd.readlink()) for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink()]
    assert sum("memfd:raw" in name for name in held) == 1
