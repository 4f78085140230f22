"""A clock that a test moves."""

from __future__ import annotations


class FakeClock:
    """Seconds that pass only when a test says so; for machines that are given the time.

    >>> clock = FakeClock()
    >>> clock.advance(0.5)
    100.5
    >>> clock.now
    100.5
    """

    def __init__(self, now: float = 100.0) -> None:
        self.now = now
        """As `time.monotonic` would give it."""

    def advance(self, seconds: float) -> float:
        """Let ``seconds`` pass; returns the time then.

        Raises
        ------
        ValueError : a clock does not run backwards
        """
        if not seconds >= 0:
            raise ValueError(f"a clock cannot advance by {seconds!r} s; expected 0 or more")
        self.now += seconds
        return self.now

    def until(self, when: float) -> float:
        """Let time pass until ``when``, if that is still to come; returns the time then."""
        return self.advance(max(0.0, when - self.now))
