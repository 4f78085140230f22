"""Every figure that this project claims, measured by one command, with its bar and its peer.

A bench is a function that returns a `Result`. Input is never zeros, there is a warm-up, and
where a figure is a latency it comes with its p50, p95 and p99.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module, metadata
from typing import Any

__all__ = ["BENCHES", "Entry", "Result", "run"]

INSTALL_PEERS = "run 'make bench' in a checkout, else pip install 'modoptic[bench]'"

Result = dict[str, Any]
"""name, value, unit, bar; peer, peer_value, ratio where there is one; p50, p95, p99 for latencies;
``note`` for what a reader must know. ``missing`` instead of a value says what to install."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a bench lives, and what it is measured against on a 2-core machine."""

    where: str
    """``module:function`` below ``modoptic.bench``."""
    what: str
    bar: str
    timed: bool = False
    """Takes ``seconds=``."""


BENCHES: dict[str, Entry] = {
    "demo-first": Entry(
        "start:demo_first", "fresh clone to the address, without the download", "<= 90 s"
    ),
    "demo-next": Entry("start:demo_next", "next start of the demo, no network", "<= 3 s"),
    "attach-new": Entry("attach:attach_new", "seat to first picture, unknown module", "<= 500 ms"),
    "attach-known": Entry("attach:attach_known", "the same, known module", "<= 150 ms"),
    "finder-host": Entry(
        "finder:finder_host", "end of readout to JPEG ready", "p50 <= 16 ms, p95 <= 25 ms"
    ),
    "finder-rate": Entry(
        "finder:finder_rate", "finder frame rate", ">= 60 frames/s, <= 1 % skipped", timed=True
    ),
    "finder-live": Entry(
        "finder:finder_live", "the twin with fresh noise", ">= 30 frames/s", timed=True
    ),
    "finder-page": Entry(
        "page:finder_page", "end of readout to drawn in Chromium", "p50 <= 40 ms, <= 2 % skipped"
    ),
    "ring-page": Entry("page:ring_page", "ring turned to drawn in Chromium", "p50 <= 110 ms"),
    "link-memory": Entry(
        "link:link_memory", "100 MP frames between two processes", ">= 10 Gbit/s, every fault found"
    ),
    "shot-100mp": Entry(
        "shots:shot_100mp", "release to JPEG in the gallery, cold and next", "<= 30 s; <= 4 s"
    ),
    "develop-100mp": Entry(
        "develop:develop_100mp", "100 MP raw to JPEG closed", "<= 1.5 s, 3.5 x LibRaw AHD"
    ),
    "demosaic-kodak": Entry(
        "develop:demosaic_kodak", "demosaic of the Kodak set, CPSNR", ">= 40 dB"
    ),
    "remosaic-100mp": Entry(
        "develop:remosaic_100mp", "100 MP quad-Bayer mosaic to Bayer", "<= 0.6 s"
    ),
    "dng-100mp": Entry("files:dng_100mp", "100 MP raw to DNG", "<= 2.5 s lossless JPEG; <= 1 s XL"),
    "twin-finder": Entry(
        "twin_finder:twin_finder", "finder frames of the sensor, all noise", ">= 100 frames/s"
    ),
    "twin-ring": Entry("twin:twin_ring", "ring and iris moving", "<= 33 ms, >= 36 dB"),
    "twin-settle": Entry("twin:twin_settle", "finder's light at rest", "<= 500 ms, >= 46 dB"),
    "twin-magnifier": Entry("twin:twin_magnifier", "1:1 region, ring moving", "<= 33 ms"),
    "twin-100mp": Entry("twin:twin_100mp", "100 MP raw; the next", "<= 20 s, 3 GB; <= 0.5 s"),
    "twin-growth": Entry("twin:twin_growth", "1 to 100 MP", "linear, bounded memory"),
    "twin-spectral": Entry(
        "spectral:twin_spectral", "spectral cube to raw", ">= 11.3 MPix/s, 100 times the port"
    ),
    "twin-edges": Entry(
        "twin_edges:twin_edges",
        "depth edges against rays through a thin lens",
        ">= 34 dB at edges, >= 40 dB in all, halo <= 2 %",
    ),
    "shot-memory": Entry("shots:shot_memory", "memory of a 100 MP shot", "<= 1.2 GB"),
}


def run(
    names: Sequence[str] = (),
    *,
    as_json: bool = False,
    strict: bool = False,
    seconds: float | None = None,
) -> int:
    """Run benches by name, all by default, and print each as it is done; returns an exit code."""
    from modoptic.errors import ModopticError, SettingError

    unknown = [name for name in names if name not in BENCHES]
    if unknown:
        raise SettingError("bench", unknown[0], ", ".join(BENCHES))
    if not as_json:
        print(_machine(), flush=True)
    missed = 0
    for name in names or BENCHES:
        entry = BENCHES[name]
        start = time.perf_counter()
        module, _, function = entry.where.partition(":")
        options = {"seconds": seconds} if entry.timed and seconds else {}
        try:
            measure = getattr(import_module(f"modoptic.bench.{module}"), function)
            result: Result = {"name": name, **measure(**options)}
        except ImportError as error:
            result = {"name": name, "missing": f"{error.name} is missing; {INSTALL_PEERS}"}
        except ModopticError as error:
            result = {"name": name, "missing": str(error)}
        except Exception as error:  # the others are measured all the same
            traceback.print_exc()
            result = {"name": name, "missing": f"it failed: {type(error).__name__}: {error}"}
        result.setdefault("bar_text", entry.bar)
        result["took_s"] = round(time.perf_counter() - start, 1)
        missed += not result.get("met", False)
        if as_json:
            print(json.dumps({**result, "machine": _machine()}), flush=True)
        else:
            print(_line(result), flush=True)
    return 1 if strict and missed else 0


def _line(result: Result) -> str:
    name = f"{result['name']:15}"
    if "missing" in result:
        return f"{name} not run: {result['missing']}"
    mark = "ok  " if result.get("met") else "MISS"
    text = f"{name} {mark} {result['value']:.4g} {result['unit']}  (bar {result['bar_text']})"
    if "p95" in result:
        text += f"  p50 {result['p50']:.4g} p95 {result['p95']:.4g} p99 {result['p99']:.4g}"
    if "peer" in result:
        text += f"  {result['peer']} {result['peer_value']:.4g}, ratio {result['ratio']:.3g}"
    if "note" in result:
        text += f"\n{'':16}{result['note']}"
    return text


def _machine() -> str:
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:  # noqa: PTH123
            model = next(line.split(":", 1)[1].strip() for line in file if "model name" in line)
    except (OSError, StopIteration):
        model = platform.processor() or platform.machine()
    versions = ", ".join(
        f"{name} {metadata.version(name)}" for name in ("modoptic", "numpy", "numba", "imagecodecs")
    )
    return (
        f"{model}, {len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.2f}; "
        f"Python {sys.version.split()[0]}, {versions}"
    )
