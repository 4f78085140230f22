"""From a scene to the light on a sensor: layers blurred by depth and laid over each other."""

from __future__ import annotations

import functools
import itertools
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import replace
from typing import TypeVar, cast

import numpy as np
import numpy.typing as npt
from scipy.interpolate import CubicSpline

from modoptic.bands import give_way, run_bands
from modoptic.errors import SettingError
from modoptic.optics import _kernels, _layer_kernels, _tail_kernels
from modoptic.optics._angles import BetweenFocus, Cones
from modoptic.optics._exact import ExactView, Seen, Tile, sample_lattice, tiles
from modoptic.optics._glare import NO_VEIL, Glare, Veil, VeilingGlare, warm_glare
from modoptic.optics._iris import STILL
from modoptic.optics._lamps import LampImages, Rims, image_lamps
from modoptic.optics._lens import LensState
from modoptic.optics._motion import warm_motion
from modoptic.optics._pupil import IdealLens, Lens, Pupil, warm_pupil
from modoptic.optics._quick import QuickView, quick_room
from modoptic.optics._reference import warm_reference
from modoptic.optics._sources import (
    AngularLike,
    Bulbs,
    Cached,
    LampsLike,
    Lattice,
    LayerLike,
    SampleGrid,
    SceneLike,
    Shown,
    SpectralResponse,
    Surface,
    Texture,
    moved_out,
    rasterize,
    reach_um,
)
from modoptic.optics._spread import Spread
from modoptic.optics._turning import Turning

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]
_Made = TypeVar("_Made")

_PREVIEW_STRIPS = 8
_MIDDLE_M = 1.0
"""Distance of focus for which layers are kept as rasters."""
_RIM_STEPS, _RIMS_KEPT = 8.0, 64
"""The blur disc's shape is taken anew so often a dioptre of focus."""
_SHADES, _SHADES_TRACED = 512, 41
_EXPOSED_ROWS = 256
_TOGETHER_TO = 32_000_000
"""Samples up to which three colours are computed together: 12 bytes a sample."""
_LAMPS_TAKE = 0.15
"""About the share of the time of a whole picture that goes into its lamps."""


@functools.cache
def _shades_between() -> DoubleArray:
    """What each of `_SHADES_TRACED` even places counts at `_SHADES` even places among them."""
    known = np.linspace(0.0, 1.0, _SHADES_TRACED)
    spline = CubicSpline(known, np.eye(_SHADES_TRACED), axis=0)
    return np.ascontiguousarray(spline(np.linspace(0.0, 1.0, _SHADES)).T)


class Shading:
    """How much light each place of the sensor gets, by its distance from the axis."""

    def __init__(
        self, pupil: Pupil, reach_um: float, cones: Cones | None, *, quick: bool = False,
        turning: BetweenFocus | None = None, together: int = 1,
    ) -> None:  # fmt: skip
        known = np.linspace(0.0, reach_um**2, _SHADES_TRACED)
        at = np.sqrt(known)
        factor = np.zeros((2, 3, known.size))
        if turning is not None:
            factor[0] = turning(pupil, at)
        else:
            factor[0] = (pupil.quick_irradiance_factor if quick else pupil.irradiance_factor)(at)
        if cones is not None:
            means = cones.quick(pupil, at) if quick or turning else cones.exact(pupil, at)
            factor = means * factor[0]
        # of a block's neighbours, side by side, so many are within it
        stays = (together - 1) / together
        factor[0] += stays * factor[1]
        factor[1] *= 1.0 - stays
        # of a spline, which is linear in what it goes through
        table = np.einsum("acn,nk->ack", factor, _shades_between(), optimize=False)
        self.table: FloatArray = np.ascontiguousarray(table, np.float32)
        """(2, 3, n): what a sample keeps of its light, and what it gives to its neighbours."""
        self.per_um2 = (_SHADES - 1) / reach_um**2


class LightRenderer:
    """Renders one scene for one spectral response; keeps what does not change.

    May be called from several threads.

    Parameters
    ----------
    scene, response : what is looked at, and what the sensor makes of its light
    lens : the design; by default without aberrations
    diffusion_um : standard deviation of the charge's spread in the sensor, a Gaussian
    angular : what photosites make of a light's direction; by default all directions are alike
    glare : what the lens scatters over the picture; by default nothing
    """

    def __init__(
        self,
        scene: SceneLike,
        response: SpectralResponse,
        lens: Lens | None = None,
        *,
        diffusion_um: float = 0.0,
        angular: AngularLike | None = None,
        glare: VeilingGlare | None = None,
    ) -> None:
        self.scene = scene
        self.lens = lens or IdealLens()
        self._cones = None if angular is None else Cones(self.lens, angular)
        self._turning = Turning(self.lens, response, diffusion_um)
        self._irradiance = BetweenFocus(self.lens, lambda pupil, at: pupil.irradiance_factor(at))
        self._response = response
        self._diffusion_um = diffusion_um
        self._parts: list[Surface | Bulbs] = []
        for layer in scene.layers:
            if hasattr(layer, "radiance"):
                lamps = cast(LampsLike, layer)
                channels = response.electrons(scene.wavelengths_nm, lamps.radiance)
                self._parts.append(Bulbs(lamps, channels))
            else:
                surface = cast(LayerLike, layer)
                matrix = response.electrons(scene.wavelengths_nm, surface.basis).T
                self._parts.append(Surface(surface, np.ascontiguousarray(matrix, np.float32)))
        self._glare = Glare(glare, self._parts) if glare is not None and glare.share else None
        self._lock = threading.Lock()
        self._rims: dict[tuple[float, int], Rims] = {}
        self._previews: dict[tuple[int, int, float, float, float], list[Cached | Bulbs]] = {}
        self._textures: tuple[tuple[float, ...], LensState, list[Texture | None]] | None = None
        self._took: dict[tuple[int, int], float] = {}
        """Seconds that tiles of `_textures` took the last time, by their first row and column."""
        self._slanted: tuple[tuple[int, int, float, float, float], list[Cached | Bulbs]] | None = (
            None
        )

    def light(
        self,
        lens: LensState,
        grid: SampleGrid,
        *,
        seen: tuple[int, int, tuple[float, float]] | None = None,
        again: bool = False,
        progress: Callable[[float], None] | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> FloatArray:
        """Mean photo-electrons a second of each sample in its own colour, float32 (h, w).

        The same call gives the same numbers, however many threads there are, but for ``again``.
        Memory: the result and a few tiles.

        Parameters
        ----------
        seen : width, height and extent of a `preview`, whose layers are then taken where blur hides
            how far apart its points lie; quicker where the preview was asked for before
        again : the same grid, of at most a few megapixels, will be asked for with other settings
            of the lens; from the second on the scene's texture is kept, 16 bytes a sample and
            layer, and kernels for places of the ring, between which others lie
        progress : called in the caller's thread with 0..1
        cancel : asked before each tile; once it is true no further tile is begun

        Raises
        ------
        concurrent.futures.CancelledError : ``cancel`` said so
        SettingError : a lens state that cannot be
        """
        pupil = self.lens.pupil(lens)
        rasters = self._settling(pupil, *seen) if seen else None
        textures = self._textures_of(pupil, grid) if again else None
        turning = textures is not None
        spread = (
            self._turning.spread(pupil)
            if turning
            else Spread(pupil, self._response, self._diffusion_um)
        )
        reach = reach_um(grid.x_um, grid.y_um)
        between = self._irradiance if turning else None
        shading = _once(
            lambda: Shading(pupil, reach, self._cones, turning=between, together=grid.together)
        )
        (out,) = self._arriving(
            spread, [grid], rasters, progress, cancel, textures=textures, at_last=shading
        )
        expose(out, grid, shading())
        return out

    def _textures_of(self, pupil: Pupil, grid: SampleGrid) -> list[Texture | None] | None:
        """The scene at the samples of a grid; None when it is asked for the first time."""
        ends = (float(axis[k]) for axis in (grid.x_um, grid.y_um) for k in (0, -1))
        key = (*ends, grid.x_um.size, grid.y_um.size)
        with self._lock:
            if self._textures is None or self._textures[0] != key:
                lens_m = pupil.thin.image_distance_m
                lattice, size = sample_lattice(grid, lens_m), (grid.y_um.size, grid.x_um.size)
                made = [
                    None
                    if isinstance(part, Bulbs)
                    else Texture(part, lattice, size, lens_m, pupil.warp)
                    for part in self._parts
                ]
                self._textures = key, pupil.state, made
                self._took = {}
                return None
            _, first, made = self._textures
            return None if first == pupil.state else made

    def arriving(
        self,
        lens: LensState,
        grid: SampleGrid,
        *,
        passing: FloatArray | None = None,
        progress: Callable[[float], None] | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> Iterator[FloatArray]:
        """As `light`, before `expose`: in red, green and blue.

        Together, which is quicker, or one after the other where three take too much memory.

        Parameters
        ----------
        passing : (3, h, w), filled with the share of light from behind the scene that passes it
        """
        spread = Spread(self.lens.pupil(lens), self._response, self._diffusion_um)
        planes = [replace(grid, cfa=(2 * color, 2 * color)) for color in "RGB"]
        together = 3 if grid.x_um.size * grid.y_um.size <= _TOGETHER_TO else 1
        for n in range(0, 3, together):

            def told(share: float, n: int = n) -> None:
                if progress is not None:
                    progress((n + together * share) / 3.0)

            through = None if passing is None else passing[n : n + together]
            yield from self._arriving(spread, planes[n : n + together], None, told, cancel, through)

    def expose(self, light: FloatArray, lens: LensState, grid: SampleGrid) -> None:
        """What samples make of light that arrives, in place: shading and crosstalk."""
        pupil = self.lens.pupil(lens)
        reach = reach_um(grid.x_um, grid.y_um)
        expose(light, grid, Shading(pupil, reach, self._cones, together=grid.together))

    def _arriving(
        self,
        spread: Spread,
        grids: list[SampleGrid],
        rasters: list[Cached | Bulbs] | None,
        progress: Callable[[float], None] | None,
        cancel: Callable[[], bool] | None,
        passing: FloatArray | None = None,
        textures: list[Texture | None] | None = None,
        at_last: Callable[[], object] = lambda: None,
    ) -> list[FloatArray]:
        """Light of grids that differ in their colours alone.

        ``at_last`` is called by the thread that has made the last tile, beside others.
        """

        def told(share: float) -> None:
            if progress is not None:
                progress(share)

        ahead = _LAMPS_TAKE if any(isinstance(part, Bulbs) for part in self._parts) else 0.0
        count, grid = len(grids), grids[0]
        views = [
            ExactView(
                spread, self._parts, each, rasters, textures,
                lambda lamps, n=n: told(ahead * (n + lamps) / count),
            )
            for n, each in enumerate(grids)
        ]  # fmt: skip
        found = [np.empty((grid.y_um.size, grid.x_um.size), np.float32) for _ in grids]
        every = tiles(grid, views[0].side_um)
        took = self._took
        if textures is not None:
            # few tiles: those first that took longest the last time, so that threads end together
            def cost(tile: Tile) -> tuple[float, int]:
                return took.get((tile.rows[0], tile.columns[0]), 0.0), tile.samples

            each = sorted(itertools.chain(*every), key=cost, reverse=True)
            every = [[tile] for tile in each]
        area = np.float32(grid.area_um2 * 1e-12)
        veil = self._glare.veil(spread.about) if self._glare is not None else None
        overs = [veil.of(each, area) if veil is not None else None for each in grids]

        def work(first: int, end: int) -> None:
            for tile in itertools.chain(*every[first:end]):
                if cancel is not None and cancel():
                    raise CancelledError("the light was not needed any more")
                give_way()
                begun = time.perf_counter()
                at = slice(*tile.rows), slice(*tile.columns)
                seen: Seen | None = {} if count > 1 else None
                for n, (view, over, out) in enumerate(zip(views, overs, found, strict=True)):
                    part = view.tile(tile, None if passing is None else passing[n][at], seen)
                    if over is not None:
                        over(part, tile.rows, tile.columns, out)
                    else:
                        np.multiply(part, area, out=out[at])
                if textures is not None:
                    took[tile.rows[0], tile.columns[0]] = time.perf_counter() - begun
            if end == len(every):
                at_last()

        def done(tiled: int) -> None:
            told(ahead + (1.0 - ahead) * tiled / len(every))

        run_bands(work, len(every), 1, done=done)
        return found

    def preview(
        self, lens: LensState, width: int, height: int, extent_um: tuple[float, float],
        *, area_um2: float = 1.0, together: int = 1, shown: Sequence[Shown] | None = None,
        rows: tuple[int, int] | None = None,
    ) -> FloatArray:  # fmt: skip
        """Electrons/s of samples in every channel, float32 (3, height, width), as quick as it goes.

        ``extent_um`` is the width and height of the part of the sensor plane shown, centred on the
        axis. The first call for a size and focal length evaluates the scene and takes longer.
        ``together`` as of `SampleGrid`.

        Parameters
        ----------
        area_um2 : of a sample
        shown : the layers to draw, from the farthest to the nearest; by default all of the scene
        rows : first and end of those to draw, which are all that is given back; by default all

        Raises
        ------
        SettingError : a lens state that cannot be, or a size that is not positive
        """
        if width < 2 or height < 2:
            raise SettingError("preview size", (width, height), "at least 2 x 2")
        pupil = self.lens.pupil(lens)
        x_um: DoubleArray = np.arange(width, dtype=np.float64) - (width - 1) / 2
        y_um: DoubleArray = np.arange(height, dtype=np.float64) - (height - 1) / 2
        x_um *= extent_um[0] / width
        y_um *= extent_um[1] / height
        lens_m = pupil.thin.image_distance_m
        rims = self._rims_of(pupil, reach_um(x_um, y_um) * 1e-6 / lens_m)
        cached = self._cached(pupil, width, height, extent_um)
        sources: list[Cached | Callable[[], LampImages]] = []
        for number, layer, gone_m in shown or [Shown(n) for n in range(len(cached))]:
            part = cached[number]
            if isinstance(part, Bulbs):
                sources.append(_once(functools.partial(image_lamps, part, pupil, rims)))
            elif layer is None:
                sources.append(part.at(lens_m))
            else:
                sources.append(part.elsewhere(pupil, layer, gone_m))
        per_um = 1e-6 / lens_m
        view = QuickView(pupil, rims, sources, x_um * per_um, y_um * per_um)
        reach = reach_um(x_um, y_um)
        x32, y32 = x_um.astype(np.float32), y_um.astype(np.float32)
        top, bottom = rows or (0, height)
        out = np.empty((3, bottom - top, width), np.float32)

        def last() -> tuple[FloatArray, float, Veil]:
            shading = Shading(pupil, reach, self._cones, quick=True, together=together)
            veil = self._glare.shown(pupil) if self._glare else NO_VEIL.seen_from(lens_m)
            return shading.table * np.float32(area_um2 * 1e-12), shading.per_um2, veil

        lit = _once(last)

        def work(first: int, end: int) -> None:
            first, end = first + top, end + top
            strip = view.strip(first, end)
            table, per_um2, veil = lit()
            _kernels.expose_color(
                strip, x32, y32[first:end], table, per_um2, veil.values, veil.points(x_um),
                veil.points(y_um[first:end]), veil.kept, first - top, out,
            )  # fmt: skip

        # strips: what a tile costs besides its pixels is Python's, which threads cannot share;
        # urgent, so that beside a still of 100 MP the finder stays live
        run_bands(work, bottom - top, math.ceil((bottom - top) / _PREVIEW_STRIPS), urgent=True)
        return out

    def preview_rows(
        self, lens: LensState, layer: LayerLike, height: int, extent_um: float
    ) -> tuple[int, int]:
        """First and end of the rows of a `preview` that an upright layer and its blur may reach.

        ``extent_um`` is the height of the part of the sensor plane shown.
        """
        thin = self.lens.pupil(lens).thin
        lens_m = thin.image_distance_m
        step = extent_um * 1e-6 / height / lens_m
        blur = thin.iris_m * abs(layer.inverse_depth(lens_m)[0] - thin.inverse_focus)
        _, top, _, bottom = moved_out(layer.bounds(lens_m))
        room = quick_room(blur, step)
        edges = (np.clip(y / step + height / 2, 0, height) for y in (top - room, bottom + room))
        first, end = (float(y) for y in edges)
        return math.floor(first), math.ceil(end)

    def _rims_of(self, pupil: Pupil, reach: float) -> Rims:
        """Outlines of the blur disc; kept for a little turn of the ring."""
        key = (pupil.state.f_number, round(_RIM_STEPS / pupil.state.focus_distance_m))
        with self._lock:
            made = self._rims.get(key)
            if made is None:
                made = self._rims[key] = Rims.of(pupil, 1.05 * reach)
                while len(self._rims) > _RIMS_KEPT:
                    del self._rims[next(iter(self._rims))]
            return made

    def _settling(
        self, pupil: Pupil, width: int, height: int, extent_um: tuple[float, float]
    ) -> list[Cached | Bulbs]:
        """As `_cached`; slanted layers, which are sharp somewhere, twice as fine."""
        rasters = self._cached(pupil, width, height, extent_um)
        key = (width, height, *extent_um, pupil.state.focal_length_mm)
        with self._lock:
            if self._slanted is None or self._slanted[0] != key:
                lens_m = pupil.state.focal_length_mm * 1e-3
                size = 2 * width, 2 * height
                lattice = _centered(size, extent_um, lens_m)
                fine = [
                    raster
                    if isinstance(part, Bulbs) or not part.layer.inverse_depth(lens_m)[1]
                    else rasterize(part, lattice, *size, lens_m, pupil.warp, room=128)
                    for part, raster in zip(self._parts, rasters, strict=True)
                ]
                self._slanted = key, fine
            return self._slanted[1]

    def _cached(
        self, pupil: Pupil, width: int, height: int, extent_um: tuple[float, float]
    ) -> list[Cached | Bulbs]:
        key = (width, height, *extent_um, pupil.state.focal_length_mm)
        with self._lock:
            if key not in self._previews:
                lens_m = pupil.state.focal_length_mm * 1e-3
                lattice = _centered((width, height), extent_um, lens_m)
                # not as the lens is set now: rasters stay, whatever comes
                middle = self.lens.pupil(replace(pupil.state, focus_distance_m=_MIDDLE_M))
                rasters: list[Cached | Bulbs] = []
                for part in self._parts:
                    if isinstance(part, Bulbs):
                        rasters.append(part)
                        continue
                    depth, slope = part.layer.inverse_depth(lens_m)
                    warp = middle.warp if slope else middle.warp_of(depth)
                    rasters.append(rasterize(part, lattice, width, height, lens_m, warp))
                # two sizes, as a coarse and a fine preview take turns
                self._previews = {**dict([*self._previews.items()][-1:]), key: rasters}
            return self._previews[key]


def _once(make: Callable[[], _Made]) -> Callable[[], _Made]:
    """What gives the same to every thread; the first that asks makes it, while others go on."""
    lock = threading.Lock()
    made: list[_Made] = []

    def get() -> _Made:
        with lock:
            if not made:
                made.append(make())
        return made[0]

    return get


def _centered(size: tuple[int, int], extent_um: tuple[float, float], lens_m: float) -> Lattice:
    step = extent_um[0] / size[0] * 1e-6 / lens_m
    return Lattice(-(size[0] - 1) / 2 * step, -(size[1] - 1) / 2 * step, step)


def expose(light: FloatArray, grid: SampleGrid, shading: Shading) -> None:
    """What samples make of their light, in place; see `_kernels.expose_mosaic`."""
    height = grid.y_um.size
    rows = np.abs(np.arange(-1, height + 1))
    rows[-1] = height - 2  # beyond its edges the mosaic goes on as in a mirror
    x_um, y_um = grid.x_um.astype(np.float32), grid.y_um[rows].astype(np.float32)
    pattern = np.array([["RGB".index(color) for color in row] for row in grid.cfa], np.int64)
    # bands change their rows while others still need them
    firsts = np.arange(0, height, _EXPOSED_ROWS)
    above = light[rows[firsts]]
    below = light[rows[np.minimum(firsts + _EXPOSED_ROWS, height) + 1]]

    def work(first: int, end: int) -> None:
        k = first // _EXPOSED_ROWS
        _kernels.expose_mosaic(
            light[first:end], above[k], below[k], x_um, y_um[first : end + 2], shading.table,
            shading.per_um2, pattern, first,
        )  # fmt: skip

    run_bands(work, height, _EXPOSED_ROWS)


def warm_layers() -> Iterator[str]:
    """Compile the kernels of layers and lamps for the types in use; one line each."""
    yield from warm_pupil()
    yield from warm_reference()
    yield from warm_glare()
    four = np.ones((4, 9, 9), np.float32)
    image, points = np.ones((4, 3, 3), np.float32), np.ones((9, 9, 4), np.float32)
    spans = np.zeros((1, 5, 2), np.float32)
    pairs = np.ones((2, 2), np.float32)
    _kernels.spans_of(np.ones((2, 4, 2), np.float32), 1.0, 0.0, 0.0, 1.0, spans)
    _kernels.lattice_of(np.arange(2.0), 0.0, 1.0)
    _kernels.reaches_of(
        np.ones((2, 4, 2), np.float32), pairs[:1], pairs[0, :1], np.ones(1), np.ones((1, 3))
    )
    _kernels.blur_iris(four, 0, 0, np.ones(3, np.float32), spans, 3, points[:3, :3].copy())
    _kernels.sharp(four, 0, 0, points[:3, :3].copy())
    yield "optics: defocus"
    _kernels.blur_line(points, np.ones(7, np.float32), points[:3, :3].copy())
    yield "optics: diffraction"
    at, part, at64 = np.zeros(2, np.int64), np.zeros(2, np.float32), np.zeros(2)
    pattern, spans = np.zeros((2, 2), np.int64), np.zeros((1, 1, 3, 2), np.int64)
    light, passing = np.zeros((3, 2, 2), np.float32), np.ones((2, 2), np.float32)
    split, taps = np.zeros((2, 4, 9, 5), np.float32), np.ones((1, 4, 3, 3), np.float32)
    _layer_kernels.split_columns(four, split)
    _layer_kernels.tap_spans(taps[None], spans)
    shares = np.ones((1, 1, 4), np.float32)
    _layer_kernels.mask_shares(taps, 0, taps[0, :1], shares)
    _layer_kernels.cut_kernels(
        taps, 0, taps[0, :1], shares, np.ones(1, np.bool_), taps[None].copy(), spans
    )
    _layer_kernels.convolve_under_mosaic(
        split, 1, at, taps[None], spans, False, pattern, 0, 0, 2, light[0], passing[..., None],
        passing, STILL.inverse, STILL.beside, STILL.sway,
    )  # fmt: skip
    _kernels.share_outside(taps[0])
    _kernels.cut(taps[0], 0.9)
    _kernels.trim(taps[0].copy(), 0.1)
    _kernels.slide_sharp(four, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.5, np.zeros(3), four[:, :2].copy())
    _kernels.slide(four, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.5, np.zeros(3), four[:, :2].copy())
    whole, reach = np.zeros((13, 4, 4, 5), np.float32)[:-1], np.ones(1, np.int64)
    _tail_kernels.split_image(four, whole[:9])
    bend = np.zeros(3)
    _tail_kernels.slide_split(four, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.5, bend, whole)
    blocks = np.zeros((4, 4, 5), np.float32)[:-1]
    _tail_kernels.block_means(whole, blocks)
    _tail_kernels.convolve_pairs(
        whole, blocks, (0, 0), at, taps, reach, taps, reach - 1, np.zeros((4, 2), np.int64),
        np.zeros((4, 2), np.int64), np.ones((4, 2, 2), np.int64), (4, 8, 2), (4, 8), light[0],
        passing,
    )  # fmt: skip
    yield "optics: spread"
    six, rows = np.zeros((4, 6, 4, 1), np.float32), np.zeros(4, np.int64)
    wanted = np.empty((4, 2), np.int64)
    _layer_kernels.wanted_points(at, at, 0, 0, passing, wanted)
    _layer_kernels.convolve_planes(
        four, 0, 1, rows, taps[None, :, :3].copy(), spans, wanted, False, six
    )
    yield "optics: defocus of the full model"
    _layer_kernels.under_mosaic(
        six, at, part, at, part, 0, 0, pattern, light[0], passing[..., None], passing, *STILL
    )
    parts, weights = np.zeros((2, 2, 8), np.float32), np.ones(8, np.float32)
    _layer_kernels.part_light(np.ones((2, 2), np.bool_), 0, 0, weights, passing, parts, light[1])
    _layer_kernels.pass_parts(light[0], light[0], light[2], parts, light[1], 0, 2, 0, 2)
    _layer_kernels.gather_parts(parts, weights, passing, light[1], 0, 2, 0, 2, 1e-5)
    _layer_kernels.any_above(passing, 0, 2, 0, 2, 1e-4)
    _kernels.under_color(points, at, part, at, part, 0, 0, points.copy())
    _kernels.open_rows(points, 0, 2, 0.5)
    _kernels.unlit(points)
    yield "optics: occlusion"
    lamp = part, part, part + 1, image[0], image[0], image[0]
    d = np.ones((2, 2))
    _kernels.add_overlap(d, 0.0, 0.0, at64, at64, 1.0, d.copy())
    _kernels.add_lamps(*lamp, part, part, points, 1.0)
    _kernels.stamp_mosaic(taps[0], 0, 0, 0, 0, 2, light[0], passing)
    table = np.ones((2, 3, 4), np.float32)
    _kernels.expose_mosaic(
        light[0], part, part, part, np.zeros(4, np.float32), table, 1.0, pattern, 0
    )
    few = points[:2, :2].copy()
    _kernels.expose_color(few, part, part, table, 1.0, light, at64, at64, 1.0, 0, light)
    yield "optics: lamps"
    warm_motion()
    yield "optics: motion"
