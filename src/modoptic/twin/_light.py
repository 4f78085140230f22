"""The light on a twin's sensor: which samples a readout takes, and maps kept for the next shot."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import CancelledError
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from modoptic.bands import urgently
from modoptic.errors import DetachedError
from modoptic.frame import Readout
from modoptic.optics import LensState, LightRenderer, SampleGrid, Shown
from modoptic.sensor import BINNING, CompactLight, Light, SensorSpec, compact

_MAPS_KEPT = 2  # 203 MB each at 100 MP
_REGIONS_KEPT = 4
_AGAIN_TO = 2_500_000
"""Pixels of a region so small that somebody may watch it while the ring turns."""
_STOPS_WITHIN_S = 5.0
_SETTLE_AFTER_S = 0.6
"""A lens that has not moved for so long rests."""


class Window(NamedTuple):
    """What is read: pixels of a readout, in the readout's own pixels."""

    readout: Readout
    x: int
    y: int
    width: int
    height: int


def is_small(window: Window) -> bool:
    """Whether somebody may watch what is read there while the ring turns."""
    return window.width * window.height <= _AGAIN_TO


class _Key(NamedTuple):
    lens: LensState
    window: Window


def sample_grid(spec: SensorSpec, window: Window) -> SampleGrid:
    """Where the pixels of a window lie.

    A pixel of a binned readout of a Bayer sensor is the average of photosites of one colour that
    lie two apart; it sits at their middle, a quarter of a pixel beside an even lattice, and gathers
    the light of all of them. Those of ``bin4`` are weighted so that they lie evenly.

    ``bin2`` of a quad-Bayer sensor adds four neighbours: squares of twice the pitch, which lie
    evenly. ``bin4`` averages four of these that lie two apart, as a Bayer sensor's ``bin2`` does.
    """
    side, together = BINNING[window.readout], spec.charge_side(window.readout)
    shift = spec.centroid_shift(window.readout)

    def places(first: int, count: int, photosites: int) -> npt.NDArray[np.float64]:
        i = np.arange(first, first + count)
        photosite = side * (i + shift * (1 - 2 * (i % 2))) + (side - 1) / 2
        return np.asarray((photosite - (photosites - 1) / 2) * spec.pitch_um, np.float64)

    return SampleGrid(
        x_um=places(window.x, window.width, spec.width),
        y_um=places(window.y, window.height, spec.height),
        pitch_um=together * spec.pitch_um,
        area_um2=side * side * spec.pitch_um**2,
        cfa=spec.mosaic if side == 1 else spec.bayer,
        binning=side // together,
        # such an average of squares lets detail pass that two points would take for another
        together=together,
        points=(3 if together == 2 else 2) if side == 4 else 0,
    )


class Turns:
    """Renderings of one scene, one after the other: two at once would take twice as long each, and
    twice the memory. What is small may be watched, and does not wait for a still.
    """

    def __init__(self) -> None:
        self._large = threading.Lock()
        self._small = threading.Lock()

    @contextlib.contextmanager
    def take(self, window: Window) -> Generator[None]:
        if is_small(window):
            with self._small, urgently():
                yield
        else:
            with self._large:
                yield

    def taken(self) -> bool:
        return self._large.locked() or self._small.locked()


class LightMaps:
    """Light of one scene on one sensor; safe to use from several threads.

    Still maps are kept as square roots in 16 bit (203 MB at 100 MP, the last two), regions likewise
    (the last four), and the finder's light too: a quick preview of it while the lens moves, and the
    full model's once it has rested, if ``settles``. The preview is of the layers ``shown``, by
    default of all.
    """

    def __init__(
        self, renderer: LightRenderer, spec: SensorSpec, *, settles: bool = False,
        shown: Sequence[Shown] | None = None,
    ) -> None:  # fmt: skip
        self._renderer = renderer
        self._spec = spec
        self._maps: OrderedDict[_Key, CompactLight] = OrderedDict()
        self._regions: OrderedDict[_Key, CompactLight] = OrderedDict()
        self._preview: tuple[LensState, Light] | None = None
        self._coarse = False
        self._settles = settles
        self._layers = shown
        self._settled: tuple[LensState, CompactLight] | None = None
        self._resting: tuple[LensState, float] | None = None
        self._settler: threading.Thread | None = None
        self._stills = 0
        """Under way."""
        self._last_still = 0.0
        """When the last one ended."""
        self._lock = threading.Lock()
        self._turns = Turns()

    @contextlib.contextmanager
    def still(self) -> Generator[None]:
        """While a still is made, and for the time of a rest after it, nothing settles."""
        with self._lock:
            self._stills += 1
        try:
            yield
        finally:
            with self._lock:
                self._stills -= 1
                self._last_still = time.monotonic()

    def preview(self, lens: LensState) -> Light:
        """Light for a whole ``bin4`` frame.

        While the lens moves, (3, height / n, width / n) in e-/s a pixel; n is 2, 4 where it has
        just moved. Once it has rested, the full model's.
        """
        settled = self._settled
        if settled is not None and settled[0] == lens:
            return settled[1]
        # what is settling for where the lens was stops
        self._settle(lens)
        kept = self._preview
        if kept is not None and kept[0] == lens:
            if self._coarse:
                self._coarse = False
                self._preview = kept = (lens, self._shown(lens, 1))
            return kept[1]
        # the first frame after the lens has moved is lit at half the scale, in a third of the time,
        # so that the picture keeps up with the ring; the next one is fine again
        self._coarse = kept is not None
        light = self._shown(lens, 2 if self._coarse else 1)
        self._preview = (lens, light)
        return light

    def _shown(self, lens: LensState, coarseness: int) -> npt.NDArray[np.float32]:
        spec, side = self._spec, BINNING["bin4"]
        return self._renderer.preview(
            lens, *self._view(coarseness), area_um2=side * side * spec.pitch_um**2,
            together=spec.charge_side("bin4"), shown=self._layers,
        )  # fmt: skip

    def _view(self, coarseness: int) -> tuple[int, int, tuple[float, float]]:
        """Width, height and extent of the finder's preview."""
        spec, side = self._spec, BINNING["bin4"]
        width, height = spec.width // side // 2, spec.height // side // 2
        if width % coarseness or height % coarseness:
            coarseness = 1
        extent = (spec.width * spec.pitch_um, spec.height * spec.pitch_um)
        return width // coarseness, height // coarseness, extent

    def rest(self) -> None:
        """Nobody looks any more: stop computing what the finder would show."""
        with self._lock:
            self._resting = None

    def close(self) -> None:
        """Nobody will look again; waits for what is being computed, which stops at once."""
        with self._lock:
            self._settles = False
            self._resting = None
            settler = self._settler
        if settler is not None:
            settler.join(_STOPS_WITHIN_S)

    def _settle(self, lens: LensState) -> None:
        """Have the full model's light computed if the lens stays where it is."""
        with self._lock:
            if not self._settles:
                return
            if self._resting is None or self._resting[0] != lens:
                self._resting = (lens, time.monotonic())
            if self._settler is None:
                self._settler = threading.Thread(target=self._work, name="twin-settle", daemon=True)
                self._settler.start()

    def _work(self) -> None:
        side = BINNING["bin4"]
        window = Window("bin4", 0, 0, self._spec.width // side, self._spec.height // side)
        while True:
            with self._lock:
                resting = self._resting
                if resting is None or (self._settled or (None,))[0] == resting[0]:
                    self._settler = None
                    return
            lens, since = resting
            left = max(since, self._last_still) + _SETTLE_AFTER_S - time.monotonic()
            if left > 0.0 or self._others_first():
                time.sleep(max(left, 0.02))
                continue

            def moved(resting: tuple[LensState, float] = resting) -> bool:
                return self._resting is not resting or self._others_first()

            try:
                light = self._renderer.light(
                    lens, sample_grid(self._spec, window), seen=self._view(1), cancel=moved
                )
            except CancelledError:
                continue
            with self._lock:
                self._settled = (lens, compact(light))

    def _others_first(self) -> bool:
        return self._stills > 0 or self._turns.taken()

    def look(self, lens: LensState) -> None:
        """Evaluate the scene for both scales of the preview, before anyone asks for a picture."""
        self._shown(lens, 2)
        self.preview(lens)

    def window(
        self,
        lens: LensState,
        window: Window,
        *,
        progress: Callable[[float], None] | None = None,
        cancelled: Callable[[], bool],
    ) -> CompactLight:
        """Light for the pixels of a window; quick when it was asked for before.

        Raises
        ------
        DetachedError : ``cancelled`` said so
        """
        key = _Key(lens, window)
        if (kept := self._kept(key)) is not None:
            return kept
        with self._turns.take(window):
            if (kept := self._kept(key)) is not None:
                return kept
            try:
                light = self._renderer.light(
                    lens, sample_grid(self._spec, window),
                    again=is_small(window),
                    progress=progress, cancel=cancelled,
                )  # fmt: skip
            except CancelledError as error:
                raise DetachedError("power went away while the light was computed") from error
            made = compact(light)
        whole = self._whole(window)
        store, limit = (self._maps, _MAPS_KEPT) if whole else (self._regions, _REGIONS_KEPT)
        with self._lock:
            store[key] = made
            while len(store) > limit:
                store.popitem(last=False)
        return made

    def _whole(self, window: Window) -> bool:
        side = BINNING[window.readout]
        return window.width * side == self._spec.width and window.height * side == self._spec.height

    def _kept(self, key: _Key) -> CompactLight | None:
        window, side = key.window, BINNING[key.window.readout]
        with self._lock:
            for store in (self._maps, self._regions):
                if key in store:
                    store.move_to_end(key)
                    return store[key]
            size = self._spec.width // side, self._spec.height // side
            whole = self._maps.get(key._replace(window=Window(window.readout, 0, 0, *size)))
        if whole is None:
            return None
        _, x, y, width, height = window
        return CompactLight(
            np.ascontiguousarray(whole.codes[y : y + height, x : x + width]), whole.per_code
        )
