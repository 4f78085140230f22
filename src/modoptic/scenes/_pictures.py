"""Photographs as scenes: the Middlebury motorcycle and any picture of the user's, with depth."""

from __future__ import annotations

import importlib.util
import math
import struct
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from modoptic.errors import PictureError, SettingError
from modoptic.scenes._raster import (
    DECODE,
    ENCODE,
    TILE,
    Codes,
    RasterLayer,
    covered,
    cut,
    gather,
)
from modoptic.scenes._scene import FloatArray, Scene
from modoptic.scenes._spectra import daylight, primaries, white_radiance

MAX_PIXELS = 120_000_000
"""A picture with more is refused before it is decoded."""
FLAT_PIXELS = 48_000_000
DEEP_PIXELS = 8_000_000
"""A picture with more is scaled down to so many; with depth, each layer holds its share of them."""
QUANTILES_OF = 1_000_000
FRAME_TANGENTS = 2 * 0.4942, 2 * 0.3707
"""The view of 17.5 mm on 17.30 x 12.97 mm, which a picture is widened to cover."""
SLICES = 12
REACH = 1 / 16
"""How far layers go on behind nearer ones, of the picture's width: 0.06 in tangents, the blur of
f/1.4 focused at 0.3 m, twice."""


def _open(path: Path) -> Image.Image:
    """A decoded picture, upright, size checked first."""
    try:
        with warnings.catch_warnings():
            # our own limit stands in for Pillow's
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                count = picture.width * picture.height
                if count > MAX_PIXELS:
                    raise PictureError(
                        path,
                        f"{picture.width} x {picture.height} pixels are too many; "
                        f"scale it down to at most {MAX_PIXELS // 1_000_000} million",
                    )
                if min(picture.size) < 2:
                    raise PictureError(path, "smaller than 2 x 2 pixels; give a real picture")
                picture.load()
                return ImageOps.exif_transpose(picture)
    except FileNotFoundError as error:
        raise PictureError(path, "there is no such file; give a scene's name or a path") from error
    except UnidentifiedImageError as error:
        raise PictureError(
            path, "not a picture that can be read; give a JPEG, PNG, TIFF or WebP"
        ) from error
    except Image.DecompressionBombError as error:
        raise PictureError(path, "far too many pixels; scale it down") from error
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError, struct.error) as error:
        raise PictureError(path, f"damaged or cut off ({error}); save it again") from error


def _codes(picture: Image.Image, pixels_max: int) -> Codes:
    """sRGB codes (h, w, 3) of a picture, scaled down to at most so many pixels."""
    scale = math.sqrt(min(1.0, pixels_max / (picture.width * picture.height)))
    picture = picture.convert("RGB")
    if scale < 1.0:
        size = max(int(picture.width * scale), 2), max(int(picture.height * scale), 2)
        picture = picture.resize(size, Image.Resampling.BOX)
    return np.array(picture, np.uint8)


def _depth_map(
    path: Path, size: tuple[int, int], kept: tuple[int, int], near_m: float, far_m: float
) -> FloatArray:
    """Metres (h, w): a .npy in metres, or a picture whose brightest is near and black is far.

    The map must have the picture's ``size`` (h, w); of it, ``kept`` (h, w) points are taken. A mean
    across an edge would be a distance at which nothing is.
    """
    metres = path.suffix.lower() == ".npy"
    if metres:
        try:
            found = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise PictureError(path, f"not a depth map: {error}") from error
        if found.ndim != 2 or found.dtype.kind not in "fiu":
            raise PictureError(path, "not a depth map; expected finite metres of shape (h, w)")
        top = 1.0
    else:
        picture = _open(path)
        found = np.asarray(picture.convert("F" if picture.mode.startswith(("I", "F")) else "L"))
        top = 65535.0 if picture.mode.startswith("I") else 255.0
    if found.shape != size:
        raise PictureError(
            path,
            f"the depth map has {found.shape[1]} x {found.shape[0]} points, the picture "
            f"{size[1]} x {size[0]}; make them the same size",
        )
    row, column = (
        np.minimum(((np.arange(k) + 0.5) * n / k).astype(np.intp), n - 1)
        for k, n in zip(kept, size, strict=True)
    )
    values = found[row[:, None], column].astype(np.float32)
    if metres:
        bad = ~((values >= 0.1) & (values <= 1e4))
        if bad.any():
            i, j = np.argwhere(bad)[0]
            raise PictureError(
                path,
                f"depth of {values[i, j]:g} m at row {row[i]}, column {column[j]}; "
                "expected 0.1 to 10000 m everywhere",
            )
        return values
    part = np.clip(values / np.float32(top), 0.0, 1.0)
    return np.asarray(1.0 / (1.0 / far_m + part * (1.0 / near_m - 1.0 / far_m)), np.float32)


def _fill_farther(disparity: FloatArray) -> FloatArray:
    """Holes (not finite) take the smaller disparity of their neighbours along the row."""
    height, width = disparity.shape
    known = np.isfinite(disparity)
    at = np.broadcast_to(np.arange(width), (height, width))
    before = np.maximum.accumulate(np.where(known, at, -1), axis=1)
    after = np.minimum.accumulate(np.where(known, at, width)[:, ::-1], axis=1)[:, ::-1]
    row = np.arange(height)[:, None]
    left = np.where(before >= 0, disparity[row, np.clip(before, 0, None)], np.inf)
    right = np.where(after < width, disparity[row, np.clip(after, None, width - 1)], np.inf)
    filled = np.minimum(left, right)
    rest = disparity[known].min()
    return np.asarray(np.where(np.isfinite(filled), filled, rest), np.float32)


def spread(color: FloatArray, weight: FloatArray) -> FloatArray:
    """Colour of the weighted pixels carried into the rest, from ever coarser means (pull-push)."""
    if min(weight.shape) < 2 or float(weight.min()) > 0.999:
        return np.asarray(color / np.maximum(weight, 1e-6), np.float32)
    height, width = weight.shape
    pad = ((0, height & 1), (0, width & 1))
    w = np.pad(weight, pad)
    c = np.pad(color, ((0, 0), *pad))
    w4 = w[::2, ::2] + w[1::2, ::2] + w[::2, 1::2] + w[1::2, 1::2]
    c4 = c[:, ::2, ::2] + c[:, 1::2, ::2] + c[:, ::2, 1::2] + c[:, 1::2, 1::2]
    scale = 1.0 / np.maximum(w4, 1.0)
    coarse = spread((c4 * scale).astype(np.float32), (w4 * scale).astype(np.float32))
    up = coarse.repeat(2, axis=1).repeat(2, axis=2)[:, :height, :width]
    return (color + (1.0 - weight) * up).astype(np.float32)


def _near(mask: npt.NDArray[np.bool_], reach: int) -> npt.NDArray[np.bool_]:
    """Points that have one of ``mask`` within ``reach`` rows and columns."""
    height, width = mask.shape
    sums = np.zeros((height + 2 * reach + 1, width + 2 * reach + 1), np.int32)
    sums[1:, 1:] = np.pad(mask, reach).cumsum(axis=0).cumsum(axis=1)
    size = 2 * reach + 1
    return sums[size:, size:] + sums[:-size, :-size] > sums[size:, :-size] + sums[:-size, size:]


def bins(nearness: npt.NDArray[np.floating]) -> Codes:
    """Which of at most `SLICES` ranges of 1/depth each point (h, w) is in, the farthest first."""
    thin = max(math.isqrt(nearness.size // QUANTILES_OF), 1)
    edges = np.quantile(nearness[::thin, ::thin], np.linspace(0, 1, SLICES + 1))
    steps = np.linspace(nearness.min(), nearness.max(), SLICES + 1)
    # half by content, half by blur: equal steps of 1/depth are equal steps of blur
    edges = np.unique(0.5 * (edges + steps))
    of = np.empty(nearness.shape, np.uint8)
    for row in range(len(of)):
        of[row] = np.searchsorted(edges[1:-1], nearness[row], "right")
    return of


def slices(rgb: Codes, depth: FloatArray, per_tangent: float) -> list[RasterLayer]:
    """Whole layers at rising nearness from a picture's sRGB codes (h, w, 3) and its depth (h, w).

    Each layer has the pixels of its own range of 1/depth, and behind what is nearer, as far as any
    blur reaches, the colours of its surroundings, so that a blurred edge shows no hole. Those are
    made of squares of a sixteenth of the reach: no blur that uncovers them shows more.
    """
    basis = primaries() * white_radiance(daylight(6500.0 * 1.4388 / 1.4380), 250.0)
    nearness = 1.0 / depth
    of = bins(nearness)
    reach = math.ceil(REACH * depth.shape[1])
    side = max(reach // 16, 1)
    height, width = depth.shape
    squares = np.empty((4, -(-height // side), -(-width // side)), np.float32)
    layers: list[RasterLayer] = []
    for k in range(int(of.max()) + 1):
        gather(rgb, of, k, side, DECODE, squares)
        if not squares[3].any():
            continue
        near = _near(squares[3] > 0, -(-reach // side)) if layers else np.ones_like(squares[3] > 0)
        table = np.empty((-(-height // TILE), -(-width // TILE)), np.int32)
        tiles = np.zeros((covered(of, k, side, near, table), TILE, TILE, 4), np.uint8)
        cut(rgb, of, k, side, spread(squares[:3], squares[3]), near, ENCODE, table, tiles)
        middle = float(1.0 / np.median(nearness[of == k]))
        layers.append(
            RasterLayer(f"slice {k}", basis, tiles, table, middle, per_tangent, (height, width))
        )
    return layers


def covering(width: int, height: int, view_degrees: float | None = None) -> float:
    """Pixels to a unit of tangent: of a picture seen under that angle across its width, or, if
    that is None, widened or narrowed so that it just covers the frame.

    Raises
    ------
    SettingError : an angle that is not between 1 and 160 degrees
    """
    if view_degrees is None:
        return min(width / FRAME_TANGENTS[0], height / FRAME_TANGENTS[1])
    if not 1 <= view_degrees <= 160:
        raise SettingError("view", view_degrees, "1 to 160 degrees across the picture's width")
    return width / 2 / math.tan(math.radians(view_degrees) / 2)


def scale_note(width: int, height: int, view_degrees: float | None = None) -> str:
    """What a picture's metadata says of the scale at which it is shown."""
    per_tangent = covering(width, height, view_degrees)
    across, down = (
        2 * math.degrees(math.atan(n / 2 / per_tangent)) for n in (width, height)
    )  # fmt: skip
    if view_degrees is None:
        return (
            f"widened to {across:.1f} x {down:.1f} degrees, so that it covers the frame of "
            "52.6 x 40.7 degrees"
        )
    shown = min(1.0, width / per_tangent / FRAME_TANGENTS[0])
    shown *= min(1.0, height / per_tangent / FRAME_TANGENTS[1])
    note = f"true: {across:.1f} x {down:.1f} degrees, as it was seen"
    if shown < 0.9995:
        note += (
            f"; of the frame of 52.6 x 40.7 degrees it fills {100 * shown:.0f} %, beyond its "
            "edges stands its mirror image"
        )
    return note


def picture(
    path: str | Path, *, depth: str | Path | None = None, distance_m: float = 2.0,
    near_m: float = 0.7, far_m: float = 6.0, view_degrees: float | None = None,
) -> Scene:  # fmt: skip
    """Any picture that Pillow reads, seen as if it filled the frame of the 35 mm-class lens.

    With ``view_degrees`` it stands there at its true scale instead. The metadata says which, and
    how much of the frame is not the picture but its mirror image beyond the edges.

    Parameters
    ----------
    depth : map of the same size: ``.npy`` in metres, or a picture in which white is ``near_m``,
        black ``far_m`` and 1/distance is linear between
    distance_m : where the picture hangs if there is no map
    view_degrees : angle across its width under which the picture was taken

    Raises
    ------
    PictureError : not a picture, damaged, too large, or the map has another size
    SettingError : distances that are not positive or not rising, or an impossible view
    """
    if not 0.1 <= distance_m <= 1e4:
        raise SettingError("distance", distance_m, "0.1 to 10000 m")
    if not 0.1 <= near_m < far_m <= 1e4:
        raise SettingError("near and far", (near_m, far_m), "0.1 m <= near < far <= 10000 m")
    covering(2, 2, view_degrees)
    path = Path(path)
    opened = _open(path)
    size = opened.height, opened.width
    rgb = _codes(opened, FLAT_PIXELS if depth is None else DEEP_PIXELS)
    del opened
    height, width, _ = rgb.shape
    source = f"{path.name}, {size[1]} x {size[0]}"
    if (height, width) != size:
        source += f", scaled down to {width} x {height}"
    if depth is None:
        metres = np.full((height, width), distance_m, np.float32)
        depth_note = f"the picture hangs at {distance_m:g} m"
    else:
        metres = _depth_map(Path(depth), size, (height, width), near_m, far_m)
        depth_note = f"depth from {Path(depth).name}, {metres.min():.2f} to {metres.max():.2f} m"
    layers = slices(rgb, metres, covering(width, height, view_degrees))
    return Scene(
        path.stem,
        path.name,
        tuple(layers),
        {
            "light": "white of the picture is 250 cd/m2 of D65",
            "depth": depth_note,
            "source": source,
            "scale": scale_note(width, height, view_degrees),
            "spectra": "sRGB lifted after Mallett and Yuksel 2019",
        },
    )


def _bundled(name: str) -> Path:
    spec = importlib.util.find_spec("skimage")
    if spec is None or spec.origin is None:
        raise PictureError(name, "scikit-image is not installed; it brings this picture")
    return Path(spec.origin).parent / "data" / name


def motorcycle(*, view_degrees: float | None = None) -> Scene:
    """Middlebury 2014 "motorcycle" (left view) with its measured depth, 2.1 to 5.0 m.

    741 x 500 pixels that were seen over 40.8 degrees are widened to cover a frame of 52.6 degrees,
    unless ``view_degrees=40.8`` asks for the true scale; sharpness figures of such a scene mean
    nothing at 100 MP. Scharstein et al., "High-resolution stereo datasets with subpixel-accurate
    ground truth", GCPR 2014; files of scikit-image.
    """
    rgb = _codes(_open(_bundled("motorcycle_left.png")), DEEP_PIXELS)
    path = _bundled("motorcycle_disp.npz")
    try:
        with np.load(path) as archive:
            stored: npt.NDArray[np.float32] = archive[archive.files[0]]
    except (OSError, ValueError, EOFError, KeyError) as error:
        raise PictureError(path, f"damaged ({error}); install scikit-image again") from error
    disparity = _fill_farther(np.where(np.isfinite(stored) & (stored > 0), stored, np.inf))
    # focal length 994.978 px, baseline 193.001 mm, offset of the principal points 31.086 px
    depth = (994.978 * 0.193001 / (disparity + 31.086)).astype(np.float32)
    height, width = depth.shape
    return Scene(
        "motorcycle",
        "Motorcycle in a workshop",
        tuple(slices(rgb, depth, covering(width, height, view_degrees))),
        {
            "light": "white of the picture is 250 cd/m2 of D65",
            "depth": f"measured, {depth.min():.2f} to {depth.max():.2f} m from the sensor plane",
            "source": "Middlebury Stereo 2014 (Scharstein et al.), left view, in scikit-image",
            "scale": f"{width} x {height} px, seen over 40.8 degrees; "
            f"{scale_note(width, height, view_degrees)}; not for 100 MP figures",
            "spectra": "sRGB lifted after Mallett and Yuksel 2019",
        },
    )
