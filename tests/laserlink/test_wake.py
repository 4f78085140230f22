"""A thread may wake the link's thread while another closes it."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from modoptic.laserlink._carrier import Wake


def test_set_while_another_thread_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    wake = Wake()
    writing = threading.Event()
    write = os.eventfd_write

    def slow(fd: int, value: int) -> None:
        writing.set()
        time.sleep(0.05)
        write(fd, value)

    monkeypatch.setattr(os, "eventfd_write", slow)
    with ThreadPoolExecutor(1) as pool:
        setting = pool.submit(wake.set)
        assert writing.wait(5)
        wake.close()
        setting.result(5)
    wake.set()
    wake.close()
