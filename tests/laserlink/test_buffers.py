"""Memory into which pixels arrive."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from modoptic.errors import DetachedError
from modoptic.frame import Frame, FrameMeta
from modoptic.laserlink import fill_pages, map_still, plain_memory
from modoptic.laserlink._buffers import FinderPool, StillPool

META = FrameMeta(width=16, height=64)


@pytest.fixture
def still() -> Iterator[Frame]:
    fd = os.memfd_create("still")
    os.ftruncate(fd, 16 * 64 * 3 // 2)
    yield map_still(fd, META, rows_valid=0)
    os.close(fd)


def test_a_still_is_waited_for_while_some_of_it_comes(still: Frame) -> None:
    def come() -> None:
        for rows in range(1, 11):
            assert not pause.wait(0.1)
            still.rows_arrived(rows)
        still.rows_arrived(64)

    pause = threading.Event()
    thread = threading.Thread(target=come)
    thread.start()
    assert still.wait_rows(64, 0.3) == 64
    thread.join()


def test_a_still_of_which_nothing_comes_is_not(still: Frame) -> None:
    still.rows_arrived(3)
    with pytest.raises(DetachedError, match="3 of 64 rows"):
        still.wait_rows(64, 0.1)
    still.fail("pulled off")
    with pytest.raises(DetachedError, match="pulled off"):
        still.wait_rows(64, 10)


def test_pages_come_under_what_is_written_already() -> None:
    memories = [plain_memory(1 << 20) for _ in range(4)]
    fill_pages(memories)
    for value, memory in enumerate(memories, 1):
        memory[:] = value
    for thread in threading.enumerate():
        if thread.name == "pages":
            thread.join(10)
    assert [set(np.unique(memory)) for memory in memories] == [{1}, {2}, {3}, {4}]


def test_nothing_of_a_session_that_is_over_is_used_again() -> None:
    pool = FinderPool(3)
    pool.expect(4096)
    memory = pool.take(4096)
    place = memory.ctypes.data
    pool.give_back(memory)
    assert pool.take(4096).ctypes.data == place
    pool.close()
    pool.give_back(memory)
    assert pool.take(4096).ctypes.data != place


def test_the_memory_of_a_still_serves_the_next_of_its_session_only() -> None:
    pool = StillPool()
    first = pool.take(META, 1536)
    fd = first.fd
    first.release()
    second, third = pool.take(META, 1536), pool.take(META, 1536)
    assert second.fd == fd
    second.release()
    pool.forget()
    third.data[:] = 7
    third.release()  # it was read until now
    fourth = pool.take(META, 1536)
    assert not fourth.data.any()
    fourth.release()
    pool.close()
