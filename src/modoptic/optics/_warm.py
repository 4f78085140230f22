"""Compile this room's kernels."""

from __future__ import annotations

from collections.abc import Iterator

from modoptic.optics._render import warm_layers
from modoptic.optics._spectral import warm_spectral


def warm() -> Iterator[str]:
    """Compile every kernel for the types in use; one line each."""
    yield from warm_layers()
    yield from warm_spectral()
