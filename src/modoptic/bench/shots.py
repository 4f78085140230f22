"""Photos of 100 megapixels from release to gallery: time and memory."""

from __future__ import annotations

import itertools
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from modoptic.devices import start_device
from modoptic.host import Phone
from modoptic.host.state import Choose, PhoneState, SetControls

WITHIN_S = 120.0
SAMPLE_S = 0.02


def shot_100mp() -> dict[str, Any]:
    """Release to JPEG in the gallery: ``studio`` at f/1.4, nothing prepared, then again.

    "Next" is the median of three.
    """
    with (
        start_device() as module,
        tempfile.TemporaryDirectory(prefix="modoptic-bench-") as folder,
        Phone(Path(folder) / "gallery", home=Path(folder), modules=[module.address]) as phone,
    ):
        _ready(phone, dng=False)
        told: list[float] = []
        end = phone.subscribe(
            lambda state: told.append(time.perf_counter()) if _told(state) else None
        )
        start = time.perf_counter()
        cold = _shoot(phone)
        end()
        following = [_shoot(phone) for _ in range(3)]
        develop_s = phone.state().figures.develop_s or 0.0
    first = told[0] - start if told else cold
    pause = max((b - a for a, b in itertools.pairwise([start, *told])), default=cold)
    after = statistics.median(following)
    return {
        "value": cold,
        "unit": "s",
        "bar": 30.0,
        "next": after,
        "progress_s": first,
        "met": cold <= 30 and after <= 4 and first <= 1,
        "note": f"progress from {first:.2f} s on, at most {pause:.1f} s apart; "
        f"next {', '.join(f'{took:.2f}' for took in following)} s (bar 4); "
        f"last row to JPEG {develop_s:.2f} s",
    }


def shot_memory() -> dict[str, Any]:
    """Memory of a 100 MP shot to JPEG and DNG with the finder running, over that of the idle
    finder.

    The sum of the proportional set sizes of the phone process and its developer, sampled.
    """
    import psutil

    with (
        start_device() as module,
        tempfile.TemporaryDirectory(prefix="modoptic-bench-") as folder,
        Phone(Path(folder) / "gallery", home=Path(folder), modules=[module.address]) as phone,
    ):
        _ready(phone, dng=True)
        me = psutil.Process()

        def memory() -> int:
            total = me.memory_full_info().pss
            for child in me.children(recursive=True):
                if child.pid != module.pid:
                    total += child.memory_full_info().pss
            return total

        time.sleep(1.0)
        idle = memory()
        samples: list[int] = []
        over = threading.Event()

        def sample() -> None:
            while not over.wait(SAMPLE_S):
                samples.append(memory())

        sampler = threading.Thread(target=sample)
        sampler.start()
        took = _shoot(phone)
        over.set()
        sampler.join()
    extra = (max(samples) - idle) / 1e9
    return {
        "value": extra,
        "unit": "GB",
        "bar": 1.2,
        "met": extra <= 1.2,
        "note": f"{len(samples)} samples in {took:.1f} s; idle {idle / 1e9:.2f} GB",
    }


def _ready(phone: Phone, *, dng: bool) -> None:
    phone.wait_for(_has_picture, WITHIN_S)
    phone.act(Choose(still_size=max(phone.state().still_megapixels), save_dng=dng))
    phone.act(SetControls(f_number=1.4, focus_distance_m=1.0))


def _has_picture(state: PhoneState) -> bool:
    return state.active is not None and state.figures.frame_rate > 0


def _told(state: PhoneState) -> bool:
    """Whether the photo under way shows how far it is."""
    return any(shot.fraction > 0 for shot in state.shots)


def _shoot(phone: Phone) -> float:
    start = time.perf_counter()
    phone.shoot().result(WITHIN_S)
    return time.perf_counter() - start
