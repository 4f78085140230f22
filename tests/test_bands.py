"""Bands cover every row once, in order of report, and errors come out."""

import contextlib
import threading
import time
from collections.abc import Generator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modoptic.bands import bands, give_way, run_bands, urgently


@given(st.integers(0, 500), st.integers(1, 100))
def test_bands_cover_each_row_once(height: int, rows: int) -> None:
    covered = [row for first, end in bands(height, rows) for row in range(first, end)]
    assert covered == list(range(height))


def test_every_band_is_worked_and_progress_only_rises() -> None:
    seen: set[int] = set()
    lock = threading.Lock()
    reports: list[int] = []

    def work(first: int, end: int) -> None:
        with lock:
            seen.update(range(first, end))

    run_bands(work, 101, 10, done=reports.append)
    assert seen == set(range(101))
    assert reports == sorted(reports) and reports[-1] == 101


def test_the_first_error_comes_out_and_nothing_runs_after_it() -> None:
    running = threading.Semaphore(0)

    def work(first: int, _end: int) -> None:
        running.release()
        if first == 0:
            raise ValueError("band 0")

    with pytest.raises(ValueError, match="band 0"):
        run_bands(work, 1000, 10)


def test_a_short_job_does_not_wait_for_all_of_a_long_one() -> None:
    left = threading.Semaphore(0)
    done_after: list[int] = []
    finished = 0

    def slow(_first: int, _end: int) -> None:
        nonlocal finished
        left.acquire(timeout=0.01)
        finished += 1

    long = threading.Thread(target=run_bands, args=(slow, 400, 1))
    long.start()
    run_bands(lambda first, end: None, 8, 1)
    done_after.append(finished)
    for _ in range(400):
        left.release()
    long.join()
    assert done_after[0] < 200


@contextlib.contextmanager
def every_thread_held() -> Generator[threading.Thread]:
    """A long job has all threads of the pool; the thread that runs it."""
    let_go, begun = threading.Event(), threading.Semaphore(0)

    def slow(_first: int, _end: int) -> None:
        begun.release()
        let_go.wait(20)

    long = threading.Thread(target=run_bands, args=(slow, 40, 1))
    long.start()
    try:
        assert begun.acquire(timeout=20)
        yield long
    finally:
        let_go.set()
        long.join()


def test_an_urgent_job_passes_one_that_holds_every_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODOPTIC_THREADS", "2")
    with every_thread_held() as long:
        seen: list[int] = []
        run_bands(lambda first, end: seen.append(first), 8, 1, urgent=True)
        assert sorted(seen) == list(range(8))
        assert long.is_alive()


def test_bands_of_others_wait_while_an_urgent_job_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODOPTIC_THREADS", "2")
    order: list[str] = []
    others: list[threading.Thread] = []

    def urgent(first: int, _end: int) -> None:
        if first == 0:
            work = lambda first, end: order.append("other")  # noqa: E731
            others.append(threading.Thread(target=run_bands, args=(work, 4, 1)))
            others[0].start()
            others[0].join(0.05)
        order.append("urgent")

    run_bands(urgent, 4, 1, urgent=True)
    others[0].join()
    assert order == ["urgent"] * 4 + ["other"] * 4


@pytest.mark.timeout(30)
def test_an_urgent_job_within_an_urgent_one_does_not_wait_for_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MODOPTIC_THREADS", "2")
    seen: list[tuple[int, int]] = []

    def work(outer: int, _end: int) -> None:
        def one(inner: int, _end: int) -> None:
            seen.append((outer, inner))

        run_bands(one, 4, 1, urgent=True)

    run_bands(work, 8, 1, urgent=True)
    assert sorted(seen) == [(outer, inner) for outer in range(8) for inner in range(4)]


def test_all_that_is_done_urgently_passes_and_gives_way_to_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MODOPTIC_THREADS", "2")
    with every_thread_held() as long:
        seen: list[int] = []

        def work(first: int, _end: int) -> None:
            give_way()
            seen.append(first)

        started = time.monotonic()
        with urgently():
            run_bands(work, 64, 1)
        # each of 64 that gave way would have waited for 0.2 s
        assert time.monotonic() - started < 3.0
        assert sorted(seen) == list(range(64))
        assert long.is_alive()
