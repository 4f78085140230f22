"""Figures that several benches make in the same way."""

from __future__ import annotations

from collections.abc import Sequence


def quantiles(values: Sequence[float]) -> tuple[float, float, float]:
    """p50, p95 and p99 of ``values`` (at least one)."""
    ordered = sorted(values)
    last = len(ordered) - 1
    return (
        ordered[round(0.50 * last)],
        ordered[round(0.95 * last)],
        ordered[round(0.99 * last)],
    )
