"""A twin's light when the hand shakes or things move: still light, displaced row by row."""

from __future__ import annotations

import functools
import math
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import numpy.typing as npt

from modoptic.bands import run_bands
from modoptic.errors import DetachedError
from modoptic.optics import (
    Going,
    LensState,
    LightRenderer,
    Planes,
    Poses,
    SampleGrid,
    Samples,
    Shown,
    Timing,
    Track,
    moved,
    moved_color,
    track,
)
from modoptic.scenes import Lamps, Layer, Movable, Moving, Scene, layers_at
from modoptic.sensor import BINNING, CompactLight, SensorSpec, compact
from modoptic.twin._light import LightMaps, Turns, Window, sample_grid

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]

_BAND_ROWS = 128
_LAYERED_MOST = 64
"""Instants of a picture with things that move, each of which is put together by itself."""
_ROOM = 0.01
"""Of the focal length: about four times as far as a hand of 0.03 rad/s moves the picture."""
_KEPT_BYTES = 800 << 20
"""Light of a whole 100 MP frame takes 650 MB."""
_BLOCKS = 32
FINE_TO = 8_000_000
"""Samples up to which light is computed at two places a sample along each axis: what is sharper
than photosites can show would else be blurred a little where it comes to lie between them."""


@dataclass(frozen=True, eq=False)
class _Part:
    """Layers that move alike, as they stand in the middle of a frame."""

    renderer: LightRenderer
    going: Going | None
    """None: at rest."""
    name: tuple[int, ...] | None
    """By which the light is kept; None for what is elsewhere in the next frame."""


@dataclass(frozen=True, eq=False)
class _Moved:
    planes: Planes
    passing: Planes | None
    track: Track
    at_rest: bool


class MovingLight:
    """Light of one scene on one sensor held by a hand; safe to use from several threads.

    Layers at rest keep their light, so that pictures of a burst cost little more than the first.
    """

    def __init__(
        self,
        scene: Scene,
        renderer: LightRenderer,
        renderer_of: Callable[[Scene], LightRenderer],
        spec: SensorSpec,
        hand: Poses | None,
    ) -> None:
        self._scene, self._renderer_of, self._spec, self._hand = scene, renderer_of, spec, hand
        self._renderers: dict[tuple[int, ...], LightRenderer] = {}
        if not self.has_movers:
            self._renderers[tuple(map(id, scene.layers))] = renderer
        self._finder, self._middles = renderer, [(0.0, 0.0)] * len(scene.layers)
        if self.has_movers:
            self._finder, self._middles = self._gathered()
        self._kept: OrderedDict[tuple[object, ...], tuple[Planes, Planes | None]] = OrderedDict()
        self._lock = threading.Lock()
        self._turns = Turns()

    @property
    def has_movers(self) -> bool:
        return any(isinstance(layer, Moving) for layer in self._scene.layers)

    def _gathered(self) -> tuple[LightRenderer, list[tuple[float, float]]]:
        """The scene with all that moves in the middle of the picture, and by how much it is off.

        So the finder, which keeps layers as rasters of what may be seen, has all of them.
        """
        layers: list[Layer | Lamps] = []
        middles: list[tuple[float, float]] = []
        for layer in self._scene.layers:
            middle = (0.0, 0.0)
            if isinstance(layer, Moving):
                left, top, right, bottom = layer.bounds(0.0)
                if np.isfinite((left, top, right, bottom)).all():
                    away = 0.5 / layer.inverse_depth(0.0)[0]
                    middle = (left + right) * away, (top + bottom) * away
                layer = cast(Movable, layer.layer).moved(-middle[0], -middle[1], 0.0)
            layers.append(layer)
            middles.append(middle)
        return self._renderer_of(replace(self._scene, layers=tuple(layers))), middles

    def finder(self) -> LightMaps:
        """Light of the finder, of what is at rest, on which `preview` goes on."""
        at_rest = [
            Shown(n) for n, layer in enumerate(self._scene.layers) if not isinstance(layer, Moving)
        ]
        return LightMaps(self._finder, self._spec, shown=at_rest)

    def preview(self, lens: LensState, light: FloatArray, timing: Timing) -> FloatArray:
        """The finder's quick picture (3, h, w): what moves over `finder`, as the hand moves all.

        Things that move are sharp; they are where they have got to in the middle of the frame.
        """
        if self.has_movers:
            light = self._with_movers(lens, light, timing)
        return light if self._hand is None else self._held(lens, light, timing)

    def _with_movers(self, lens: LensState, light: FloatArray, timing: Timing) -> FloatArray:
        """Rows about what moves are drawn anew."""
        spec, side = self._spec, BINNING["bin4"]
        height, width = light.shape[1:]
        extent = spec.width * spec.pitch_um, spec.height * spec.pitch_um
        rows = spec.height / side
        at_s = timing.start_s + 0.5 * (timing.exposure_s + timing.row_s * rows)
        numbers = {id(layer): n for n, layer in enumerate(self._scene.layers)}
        shown: list[Shown] = []
        first, end = height, 0
        for layer, now in layers_at(self._scene, at_s):
            number = numbers[id(layer)]
            if isinstance(layer, Moving) and not isinstance(now, Lamps):
                right, down, _ = layer.gone(0.0, at_s)
                middle = self._middles[number]
                shown.append(Shown(number, now, (middle[0] + right, middle[1] + down)))
                reached = self._finder.preview_rows(lens, now, height, extent[1])
                first, end = min(first, reached[0]), max(end, reached[1])
            else:
                shown.append(Shown(number))
        if first >= end:
            return light
        made = light.copy()
        made[:, first:end] = self._finder.preview(
            lens, width, height, extent, area_um2=side * side * spec.pitch_um**2,
            together=spec.charge_side("bin4"), shown=shown, rows=(first, end),
        )  # fmt: skip
        return made

    def _held(self, lens: LensState, light: FloatArray, timing: Timing) -> FloatArray:
        spec = self._spec
        height, width = light.shape[1:]
        step = spec.width * spec.pitch_um / width
        samples = Samples(-(width - 1) / 2 * step, -(height - 1) / 2 * step, step, width, height)
        pupil = self._finder.lens.pupil(lens)
        rows = spec.height / BINNING["bin4"] / height
        timing = timing._replace(row_s=timing.row_s * rows)
        return moved_color(
            light, track(pupil, samples, timing, self._hand, Going(pupil.thin.inverse_focus))
        )

    def window(
        self,
        lens: LensState,
        window: Window,
        timing: Timing,
        *,
        progress: Callable[[float], None] = lambda done: None,
        cancelled: Callable[[], bool],
    ) -> CompactLight:
        """Mean light for the pixels of a window over their rows' exposures.

        Raises
        ------
        DetachedError : ``cancelled`` said so
        SettingError : see `Moving.at`
        """
        with self._turns.take(window):
            middle = timing.start_s + 0.5 * (timing.exposure_s + timing.row_s * window.height)
            parts = self._parts(middle)
            grid = sample_grid(self._spec, window)
            samples, offsets = _lattice(self._spec, window, grid)
            found: list[_Moved] = []
            try:
                for n, part in enumerate(parts):

                    def told(share: float, n: int = n) -> None:
                        progress((n + share) / len(parts))

                    found.append(
                        self._moved(part, n > 0, lens, window, samples, timing, told, cancelled)
                    )
            except CancelledError as error:
                raise DetachedError("power went away while the light was computed") from error
            out = _mixed(found, offsets, grid, cancelled)
            parts[0].renderer.expose(out, lens, grid)
            return compact(out)

    def _parts(self, at_s: float) -> list[_Part]:
        """From the farthest to the nearest; layers at rest that follow each other are one."""
        runs: list[tuple[Moving | None, list[Layer | Lamps]]] = []
        for layer, now in layers_at(self._scene, at_s):
            mover = layer if isinstance(layer, Moving) and any(layer.velocity_m_s) else None
            if mover is None and runs and runs[-1][0] is None:
                runs[-1][1].append(layer)
            else:
                runs.append((mover, [layer if mover is None else now]))
        found: list[_Part] = []
        for mover, layers in runs:
            scene = replace(self._scene, layers=tuple(layers))
            if mover is None:
                name = tuple(map(id, layers))
                if name not in self._renderers:
                    self._renderers[name] = self._renderer_of(scene)
                found.append(_Part(self._renderers[name], None, name))
            else:
                going = Going(_inverse_depth(layers[0]), functools.partial(mover.gone, at_s))
                found.append(_Part(self._renderer_of(scene), going, None))
        return found

    def _moved(
        self, part: _Part, front: bool, lens: LensState, window: Window, samples: Samples,
        timing: Timing, progress: Callable[[float], None], cancelled: Callable[[], bool],
    ) -> _Moved:  # fmt: skip
        pupil = part.renderer.lens.pupil(lens)
        if part.going is None:
            going = Going(pupil.thin.inverse_focus)
        else:
            # known from the sensor plane; the track counts from the lens
            from_lens = 1.0 / part.going.inverse_depth - pupil.thin.image_distance_m
            going = part.going._replace(inverse_depth=1.0 / from_lens)
        fine = 2 if samples.width * samples.height <= FINE_TO else 1
        path = track(pupil, samples, timing, self._hand, going, fine)
        if self._hand is None and part.going is None:
            path = replace(path, shifts=np.zeros_like(path.shifts))  # but for rounding
        needed = int(path.farthest) + 8
        key = None if part.name is None else (part.name, front, lens, window)
        with self._lock:
            kept = None if key is None else self._kept.get(key)
        if kept is not None and kept[0].guard >= needed:
            return _Moved(*kept, path, part.going is None)
        usual = int(_ROOM * lens.focal_length_mm * 1e3 / samples.step_um * fine)
        guard = needed if self._hand is None or key is None else max(needed, usual)
        room = guard, fine
        made = self._rendered(part, front, lens, window, samples, room, progress, cancelled)
        if key is not None:
            with self._lock:
                self._kept[key] = made
                while len(self._kept) > 1 and sum(map(_bytes, self._kept.values())) > _KEPT_BYTES:
                    self._kept.popitem(last=False)
        return _Moved(*made, path, part.going is None)

    def _rendered(
        self, part: _Part, front: bool, lens: LensState, window: Window, samples: Samples,
        room: tuple[int, int], progress: Callable[[float], None], cancelled: Callable[[], bool],
    ) -> tuple[Planes, Planes | None]:  # fmt: skip
        guard, fine = room
        shape = fine * samples.height + 2 * guard, fine * samples.width + 2 * guard
        y_um, x_um = (
            first + samples.step_um / fine * (np.arange(count) - guard)
            for first, count in zip((samples.y_um, samples.x_um), shape, strict=True)
        )
        grid = replace(sample_grid(self._spec, window), x_um=x_um, y_um=y_um)
        passing = np.ones((3, *shape), np.float32) if front else None
        codes, per_code = np.empty((3, *shape), np.uint16), np.empty(3, np.float32)
        planes = part.renderer.arriving(
            lens, grid, passing=passing, progress=progress, cancel=cancelled
        )
        for n, light in enumerate(planes):
            made = compact(light)
            codes[n], per_code[n] = made.codes, made.per_code
        through = None
        if passing is not None:
            whole = [compact(plane) for plane in passing]
            scales = np.array([each.per_code for each in whole], np.float32)
            through = Planes(np.stack([each.codes for each in whole]), scales, guard, fine)
        return Planes(codes, per_code, guard, fine), through


def _inverse_depth(layer: Layer | Lamps) -> float:
    """Per metre from the sensor plane."""
    if isinstance(layer, Lamps):
        return float(1.0 / layer.position_m[:, 2].mean())
    return layer.inverse_depth(0.0)[0]


def _bytes(kept: tuple[Planes, Planes | None]) -> int:
    return sum(part.codes.nbytes for part in kept if part is not None)


def _lattice(spec: SensorSpec, window: Window, grid: SampleGrid) -> tuple[Samples, DoubleArray]:
    """An even lattice near the samples of a window, and how far samples lie off it, in its steps.

    The offsets (2, 2) are those of even and odd columns, and of even and odd rows.
    """
    side = BINNING[window.readout]
    step_um = side * spec.pitch_um
    first_um = [0.0, 0.0]
    offsets = np.zeros((2, 2))
    for axis, (first, photosites, places) in enumerate((
        (window.x, spec.width, grid.x_um), (window.y, spec.height, grid.y_um)
    )):  # fmt: skip
        at = (side * first + (side - 1) / 2 - (photosites - 1) / 2) * spec.pitch_um
        first_um[axis] = at
        offsets[axis] = np.round((places[:2] - at) / step_um - np.arange(2), 9)
    return Samples(first_um[0], first_um[1], step_um, window.width, window.height), offsets


def _mixed(
    parts: list[_Moved], offsets: DoubleArray, grid: SampleGrid, cancelled: Callable[[], bool]
) -> FloatArray:
    """Mean light (h, w) of what is at rest, which moves as one, and of what moves before it."""
    height, width = grid.y_um.size, grid.x_um.size
    out = np.empty((height, width), np.float32)
    ground = _together([part for part in parts if part.at_rest])
    when = ground.track.when(ground.track.instants)
    offsets = offsets * ground.track.fine
    going = [part for part in parts if not part.at_rest]
    boxes = np.array([box for part in going if (box := _box(part, height, width)) is not None])
    # one for all, so that any bands give the same
    top, left = boxes[:, (0, 2)].min(axis=0).tolist() if boxes.size else (0, 0)
    bottom, right = boxes[:, (1, 3)].max(axis=0).tolist() if boxes.size else (0, 0)

    def work(first: int, end: int) -> None:
        if cancelled():
            raise DetachedError("power went away while the light was computed")
        # far from what moves there is but its glare, so smooth that one instant stands for all
        glare = np.zeros((end - first, width), np.float32)
        for part in going:
            middle = part.track.when(1)
            moved(part.planes, part.track, offsets, grid.cfa, out, middle, (first, end), (0, width))
            glare += out[first:end]
        moved(ground.planes, ground.track, offsets, grid.cfa, out, when, (first, end), (0, width))
        out[first:end] += glare
        rows = max(first, top), min(end, bottom)
        if rows[0] < rows[1]:
            out[slice(*rows), left:right] = _layered(parts, offsets, grid, rows, (left, right))

    run_bands(work, height, _BAND_ROWS)
    return out


def _together(parts: list[_Moved]) -> _Moved:
    """Parts that move alike, from the farthest to the nearest, as one that hides all behind it."""
    back, *front = parts
    if not front:
        return back
    guard = min(part.planes.guard for part in parts)
    codes = np.empty_like(_cut(back.planes, guard))
    per_code = np.empty(3, np.float32)
    for n in range(3):
        light = _values(back.planes, n, guard)
        for part in front:
            light *= np.minimum(_values(cast(Planes, part.passing), n, guard), np.float32(1))
            light += _values(part.planes, n, guard)
        made = compact(light)
        codes[n], per_code[n] = made.codes, made.per_code
    return replace(back, planes=Planes(codes, per_code, guard, back.planes.fine))


def _cut(planes: Planes, guard: int) -> npt.NDArray[np.uint16]:
    """Codes of planes that go less far beyond the samples."""
    less = planes.guard - guard
    return planes.codes[:, less : planes.codes.shape[1] - less, less : planes.codes.shape[2] - less]


def _values(planes: Planes, n: int, guard: int) -> FloatArray:
    """Light of one colour."""
    light = _cut(planes, guard)[n].astype(np.float32)
    light *= planes.per_code[n]
    light *= light
    return light


def _box(part: _Moved, height: int, width: int) -> tuple[int, int, int, int] | None:
    """Rows and columns of the picture that a part may hide, in whole blocks; None if none."""
    assert part.passing is not None
    through, fine = part.passing, part.passing.fine
    least = math.sqrt(1.0 - 1e-4) / through.per_code[:, None, None]
    seen = (through.codes < least).any(axis=0)
    found: list[int] = []
    for along, size in ((1, height), (0, width)):
        at = np.flatnonzero((seen if along else seen.T).any(axis=-1)) - part.planes.guard
        if at.size == 0:
            return None
        shifts = part.track.shifts[..., along]
        low = math.floor((at[0] - shifts.max()) / fine) - 4
        high = math.ceil((at[-1] - shifts.min()) / fine) + 5
        found += [max(low, 0) // _BLOCKS * _BLOCKS, min(-(-high // _BLOCKS) * _BLOCKS, size)]
    inside = found[0] < found[1] and found[2] < found[3]
    return (found[0], found[1], found[2], found[3]) if inside else None


def _layered(
    parts: list[_Moved], offsets: DoubleArray, grid: SampleGrid, rows: tuple[int, int],
    columns: tuple[int, int],
) -> FloatArray:  # fmt: skip
    """Mean of the parts laid over each other at each instant."""
    # kernels write in place of the whole picture: the part of it in hand
    whole = np.zeros((rows[1], columns[1]), np.float32)
    here = slice(*rows), slice(*columns)

    def of(planes: Planes, path: Track, count: int, k: int | None) -> FloatArray:
        moved(planes, path, offsets, grid.cfa, whole, path.when(count, k), rows, columns)
        return whole[here].copy()

    def at(count: int, k: int | None, part: _Moved) -> tuple[FloatArray, FloatArray | None]:
        through = None
        if part.passing is not None:
            through = np.minimum(of(part.passing, part.track, count, k), np.float32(1))
        return of(part.planes, part.track, count, k), through

    def laid(found: list[tuple[FloatArray, FloatArray | None]]) -> FloatArray:
        light = found[0][0].copy()
        for over, through in found[1:]:
            light *= cast(FloatArray, through)
            light += over
        return light

    going = [part.track for part in parts if part.track.farthest > 0.0]
    if len(going) <= 1:
        # all the rest is the same at each instant, so the mean may be taken first
        count = going[0].instants if going else 1
        return laid([at(count, None, part) for part in parts])
    count = min(max(path.instants for path in going), _LAYERED_MOST)
    fixed = {n: at(1, 0, part) for n, part in enumerate(parts) if part.track.farthest == 0.0}
    total = np.zeros_like(whole[here])
    for k in range(count):
        total += laid([fixed.get(n) or at(count, k, part) for n, part in enumerate(parts)])
    return total / np.float32(count)
