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
from modoptic.scenes._scene import FloatArray, Layer, RasterLayer, Scene
from modoptic.scenes._spectra import daylight, primaries, white_radiance

MAX_PIXELS = 120_000_000
"""A picture with more is refused before it is decoded."""
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


def _linear(picture: Image.Image) -> FloatArray:
    """Linear sRGB (3, h, w) in 0..1 (IEC 61966-2-1 decoding)."""
    code = np.arange(256) / 255.0
    curve = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
    values = np.asarray(picture.convert("RGB"), np.uint8)
    return np.ascontiguousarray(curve.astype(np.float32)[values].transpose(2, 0, 1))


def _depth_map(path: Path, size: tuple[int, int], near_m: float, far_m: float) -> FloatArray:
    """Metres (h, w): a .npy in metres, or a picture whose brightest is near and black is far."""
    width, height = size
    if path.suffix.lower() == ".npy":
        try:
            depth = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise PictureError(path, f"not a depth map: {error}") from error
        if depth.ndim == 2 and depth.dtype.kind in "fiu" and np.isfinite(depth).all():
            depth = np.asarray(depth, np.float32)
        else:
            raise PictureError(path, "not a depth map; expected finite metres of shape (h, w)")
        if depth.size and depth.min() < 0.1:
            raise PictureError(path, f"depth of {depth.min():g} m; expected 0.1 m or more")
    else:
        picture = _open(path)
        gray = np.asarray(picture.convert("F" if picture.mode.startswith(("I", "F")) else "L"))
        top = 65535.0 if picture.mode.startswith("I") else 255.0
        part = np.clip(gray.astype(np.float32) / top, 0.0, 1.0)
        depth = np.asarray(1.0 / (1.0 / far_m + part * (1.0 / near_m - 1.0 / far_m)), np.float32)
    if depth.shape != (height, width):
        raise PictureError(
            path,
            f"the depth map has {depth.shape[1]} x {depth.shape[0]} points, the picture "
            f"{width} x {height}; make them the same size",
        )
    return np.ascontiguousarray(depth, np.float32)


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


def _spread(color: FloatArray, weight: FloatArray) -> FloatArray:
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
    coarse = _spread((c4 * scale).astype(np.float32), (w4 * scale).astype(np.float32))
    up = coarse.repeat(2, axis=1).repeat(2, axis=2)[:, :height, :width]
    return (color + (1.0 - weight) * up).astype(np.float32)


def _near(mask: npt.NDArray[np.bool_], reach: int) -> npt.NDArray[np.bool_]:
    """Points that have one of ``mask`` within ``reach`` rows and columns."""
    height, width = mask.shape
    sums = np.zeros((height + 2 * reach + 1, width + 2 * reach + 1), np.int32)
    sums[1:, 1:] = np.pad(mask, reach).cumsum(axis=0).cumsum(axis=1)
    size = 2 * reach + 1
    return sums[size:, size:] + sums[:-size, :-size] > sums[size:, :-size] + sums[:-size, size:]


def _slices(rgb: FloatArray, depth: FloatArray, per_tangent: float) -> list[Layer]:
    """Whole layers at rising nearness from a picture and its depth.

    Each layer has the pixels of its own range of 1/depth, and behind what is nearer, as far as any
    blur reaches, the colours of its surroundings, so that a blurred edge shows no hole.
    """
    basis = primaries() * white_radiance(daylight(6500.0 * 1.4388 / 1.4380), 250.0)
    nearness = 1.0 / depth
    edges = np.quantile(nearness, np.linspace(0, 1, SLICES + 1))
    steps = np.linspace(nearness.min(), nearness.max(), SLICES + 1)
    # half by content, half by blur: equal steps of 1/depth are equal steps of blur
    edges = np.unique(0.5 * (edges + steps))
    reach = math.ceil(REACH * depth.shape[1])
    layers: list[Layer] = []
    for k in range(max(len(edges) - 1, 1)):
        low = edges[k]
        high = edges[k + 1] if len(edges) > 1 else np.inf
        own = (nearness >= low) & ((nearness < high) | (k >= len(edges) - 2))
        if not own.any():
            continue
        cover = ((nearness >= low) & _near(own, reach)).astype(np.float32)
        if not layers:
            cover[:] = 1.0
        weight = own.astype(np.float32)
        color = _spread(rgb * weight, weight)
        color = np.where(own, rgb, color) * cover
        pixels = np.concatenate([color, cover[None]]).astype(np.float32)
        middle = float(1.0 / np.median(nearness[own]))
        layers.append(
            RasterLayer(f"slice {k}", basis, np.ascontiguousarray(pixels), middle, per_tangent)
        )
    return layers


def _covering(width: int, height: int) -> float:
    """Pixels to a unit of tangent so that a picture covers the frame."""
    return min(width / FRAME_TANGENTS[0], height / FRAME_TANGENTS[1])


def picture(
    path: str | Path, *, depth: str | Path | None = None, distance_m: float = 2.0,
    near_m: float = 0.7, far_m: float = 6.0,
) -> Scene:  # fmt: skip
    """Any picture that Pillow reads, seen as if it filled the frame of the 35 mm-class lens.

    Parameters
    ----------
    depth : map of the same size: ``.npy`` in metres, or a picture in which white is ``near_m``,
        black ``far_m`` and 1/distance is linear between
    distance_m : where the picture hangs if there is no map

    Raises
    ------
    PictureError : not a picture, damaged, too large, or the map has another size
    SettingError : distances that are not positive or not rising
    """
    if not 0.1 <= distance_m <= 1e4:
        raise SettingError("distance", distance_m, "0.1 to 10000 m")
    if not 0.1 <= near_m < far_m <= 1e4:
        raise SettingError("near and far", (near_m, far_m), "0.1 m <= near < far <= 10000 m")
    path = Path(path)
    opened = _open(path)
    rgb = _linear(opened)
    _, height, width = rgb.shape
    if depth is None:
        metres = np.full((height, width), distance_m, np.float32)
        depth_note = f"the picture hangs at {distance_m:g} m"
    else:
        metres = _depth_map(Path(depth), (width, height), near_m, far_m)
        depth_note = f"depth from {Path(depth).name}, {metres.min():.2f} to {metres.max():.2f} m"
    layers = _slices(rgb, metres, _covering(width, height))
    return Scene(
        path.stem,
        path.name,
        tuple(layers),
        {
            "light": "white of the picture is 250 cd/m2 of D65",
            "depth": depth_note,
            "source": f"{path.name}, {width} x {height}, widened to cover the frame",
            "spectra": "sRGB lifted after Mallett and Yuksel 2019",
        },
    )


def _bundled(name: str) -> Path:
    spec = importlib.util.find_spec("skimage")
    if spec is None or spec.origin is None:
        raise PictureError(name, "scikit-image is not installed; it brings this picture")
    return Path(spec.origin).parent / "data" / name


def motorcycle() -> Scene:
    """Middlebury 2014 "motorcycle" (left view) with its measured depth, 2.1 to 5.0 m.

    741 x 500 pixels that were seen over 40.8 degrees are widened to cover a frame of 52.6 degrees;
    sharpness figures of such a scene mean nothing at 100 MP. Scharstein et al., "High-resolution
    stereo datasets with subpixel-accurate ground truth", GCPR 2014; files of scikit-image.
    """
    rgb = _linear(_open(_bundled("motorcycle_left.png")))
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
    wide = 2 * math.degrees(math.atan(width / 2 / _covering(width, height)))
    return Scene(
        "motorcycle",
        "Motorcycle in a workshop",
        tuple(_slices(rgb, depth, _covering(width, height))),
        {
            "light": "white of the picture is 250 cd/m2 of D65",
            "depth": f"measured, {depth.min():.2f} to {depth.max():.2f} m from the sensor plane",
            "source": "Middlebury Stereo 2014 (Scharstein et al.), left view, in scikit-image",
            "scale": f"{width} x {height} px seen over 40.8 degrees, widened to {wide:.1f} degrees "
            "to cover the frame: not for 100 MP figures",
            "spectra": "sRGB lifted after Mallett and Yuksel 2019",
        },
    )
