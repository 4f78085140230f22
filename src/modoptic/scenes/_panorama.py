"""Pictures of high dynamic range: panoramas round the camera, and flat ones; OpenEXR and Radiance.

Kernels and all that they call lie in this file.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from numba import njit  # pyright: ignore[reportUnknownVariableType]

from modoptic.errors import PictureError, SettingError
from modoptic.scenes._pictures import covering, scale_note
from modoptic.scenes._planes import PlanesLayer
from modoptic.scenes._scene import STRAIGHT, Box, FloatArray, Scene
from modoptic.scenes._spectra import Spectrum, daylight, primaries, white_radiance

MAX_PIXELS = 36_000_000
"""8192 x 4096 and a little; a panorama is kept as floats."""
MEDIAN_CD_M2 = 100.0
"""Where a file does not say what its values mean, the median over all directions has this
luminance: a room by day (our assumption)."""
SRGB = (0.640, 0.330, 0.300, 0.600, 0.150, 0.060, 0.3127, 0.3290)
"""x, y of red, green, blue and white (ITU-R BT.709), which OpenEXR takes for granted too."""


def _jit(function: Callable[..., Any]) -> Callable[..., Any]:
    return njit(nogil=True, cache=True, error_model="numpy", fastmath=True)(function)  # pyright: ignore


@_jit
def _spline(t: float, weights: FloatArray) -> None:
    """Weights of the cubic B-spline at t = 0..1 between the second and third of four points."""
    s = 1.0 - t
    weights[0] = s * s * s / 6.0
    weights[1] = (4.0 - 6.0 * t * t + 3.0 * t * t * t) / 6.0
    weights[2] = (4.0 - 6.0 * s * s + 3.0 * s * s * s) / 6.0
    weights[3] = t * t * t / 6.0


@_jit
def _sample_sphere(
    pixels: FloatArray,
    turn: npt.NDArray[np.float64],
    matrix: FloatArray,
    x0: float,
    y0: float,
    step: float,
    warp: npt.NDArray[np.float64],
    out: FloatArray,
) -> None:
    """As `Layer.sample`; ``pixels`` (h, w, 3) equirectangular, ``turn`` (3, 3) view to world."""
    h, w = pixels.shape[0], pixels.shape[1]
    wx, wy = np.empty(4, np.float32), np.empty(4, np.float32)
    value = np.empty(3, np.float32)
    k1, k2, k3 = warp[0], warp[1], warp[2]
    for i in range(out.shape[1]):
        sy = y0 + i * step
        for j in range(out.shape[2]):
            sx = x0 + j * step
            q = sx * sx + sy * sy
            bent = 1.0 + q * (k1 + q * (k2 + q * k3))
            tx, ty = sx * bent, sy * bent
            dx = turn[0, 0] * tx + turn[0, 1] * ty + turn[0, 2]
            dy = turn[1, 0] * tx + turn[1, 1] * ty + turn[1, 2]
            dz = turn[2, 0] * tx + turn[2, 1] * ty + turn[2, 2]
            u = (math.atan2(dx, dz) / (2.0 * math.pi) + 0.5) * w - 0.5
            v = (math.atan2(dy, math.sqrt(dx * dx + dz * dz)) / math.pi + 0.5) * h - 0.5
            fu, fv = math.floor(u), math.floor(v)
            _spline(u - fu, wx)
            _spline(v - fv, wy)
            value[:] = 0.0
            for a in range(4):
                py = min(max(int(fv) + a - 1, 0), h - 1)
                for b in range(4):
                    px = (int(fu) + b - 1) % w
                    share = wy[a] * wx[b]
                    for c in range(3):
                        value[c] += share * pixels[py, px, c]
            for c in range(3):
                out[c, i, j] = (
                    matrix[c, 0] * value[0] + matrix[c, 1] * value[1] + matrix[c, 2] * value[2]
                )
            out[3, i, j] = 1.0


@dataclass(frozen=True, eq=False)
class PanoramaLayer:
    """An equirectangular picture all round the camera, its middle straight ahead."""

    name: str
    basis: Spectrum
    """(3, 81)"""
    pixels: FloatArray
    """(h, w, 3): linear, 0 or more; rows from the zenith to the nadir."""
    distance_m: float
    """From the sensor plane, everywhere."""
    yaw_rad: float = 0.0
    """To the right."""
    pitch_rad: float = 0.0
    """Upward."""

    def inverse_depth(self, lens_m: float) -> tuple[float, float]:
        return 1.0 / (self.distance_m - lens_m), 0.0

    def bounds(self, lens_m: float) -> Box:
        return -math.inf, -math.inf, math.inf, math.inf

    @functools.cached_property
    def _turn(self) -> npt.NDArray[np.float64]:
        cy, sy = math.cos(self.yaw_rad), math.sin(self.yaw_rad)
        cp, sp = math.cos(self.pitch_rad), math.sin(self.pitch_rad)
        yaw = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        return yaw @ np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])

    @functools.cached_property
    def _mips(self) -> list[FloatArray]:
        mips = [self.pixels]
        while mips[-1].shape[0] % 2 == 0 and mips[-1].shape[1] % 2 == 0 and len(mips[-1]) >= 16:
            a = mips[-1]
            mips.append((a[::2, ::2] + a[1::2, ::2] + a[::2, 1::2] + a[1::2, 1::2]) / np.float32(4))
        return mips

    def sample(
        self,
        matrix: FloatArray,
        lens_m: float,
        x0: float,
        y0: float,
        step: float,
        out: FloatArray,
        warp: npt.NDArray[np.float64] = STRAIGHT,
    ) -> None:
        per_tangent = self.pixels.shape[1] / (2 * math.pi)
        wanted = math.log2(max(step * per_tangent, 1.0))
        level = min(int(wanted + 0.5), len(self._mips) - 1)
        _sample_sphere(self._mips[level], self._turn, matrix, x0, y0, step, warp, out)


def _check_size(path: Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        limit = MAX_PIXELS // 1_000_000
        problem = f"{width} x {height} pixels are too many; scale it down to {limit} million"
        raise PictureError(path, problem)
    if min(width, height) < 2:
        raise PictureError(path, "smaller than 2 x 2 pixels; give a real picture")


def _to_xyz(chromaticities: tuple[float, ...]) -> npt.NDArray[np.float64]:
    """Linear RGB of these primaries to XYZ (SMPTE RP 177); white has Y = 1."""
    x, y = np.array(chromaticities[0::2]), np.array(chromaticities[1::2])
    xyz = np.stack([x / y, np.ones(4), (1 - x - y) / y])
    return xyz[:, :3] * np.linalg.solve(xyz[:, :3], xyz[:, 3])


def _read_exr(path: Path) -> tuple[FloatArray, float | None]:
    import OpenEXR  # pyright: ignore[reportMissingImports, reportMissingTypeStubs]

    try:
        with OpenEXR.File(str(path), header_only=True) as file:
            left, top = (int(v) for v in file.header()["dataWindow"][0])
            right, bottom = (int(v) for v in file.header()["dataWindow"][1])
        _check_size(path, right - left + 1, bottom - top + 1)
        with OpenEXR.File(str(path)) as file:
            header = dict(cast("dict[str, Any]", file.header()))  # closing empties it
            channels = cast("dict[str, Any]", file.channels())
            kind = next((k for k in ("RGB", "RGBA", "Y") if k in channels), None)
            if kind is None or (kind == "Y" and "RY" in channels):
                found = ", ".join(channels) or "no channels"
                raise PictureError(path, f"has {found}; expected R, G and B, or Y")
            pixels = np.array(channels[kind].pixels, np.float32)
    except (RuntimeError, ValueError, TypeError, KeyError, OSError, MemoryError) as error:
        raise PictureError(path, f"not an OpenEXR picture that can be read ({error})") from error
    rgb = pixels[..., :3] if pixels.ndim == 3 else pixels[..., None].repeat(3, axis=2)
    said = header.get("chromaticities")
    if said is not None:
        points = tuple(float(v) for v in np.ravel(said))
        if not np.allclose(points, SRGB, atol=2e-3):
            rgb = rgb @ (np.linalg.solve(_to_xyz(SRGB), _to_xyz(points))).T.astype(np.float32)
    white = header.get("whiteLuminance")
    return rgb, float(white) if white else None


def _read_rgbe(path: Path) -> tuple[FloatArray, float | None]:
    import imagecodecs

    try:
        data = path.read_bytes()
        size = re.search(rb"\n[-+]Y (\d+) [-+]X (\d+)\n", data[:65536])
        if not data.startswith(b"#?") or size is None:
            raise PictureError(path, "not a Radiance picture; expected #?RADIANCE and its size")
        _check_size(path, int(size[2]), int(size[1]))
        rgb = np.asarray(imagecodecs.rgbe_decode(data), np.float32)
    except (OSError, RuntimeError, ValueError, MemoryError) as error:
        raise PictureError(path, f"not a Radiance picture that can be read ({error})") from error
    return rgb, None


def read_hdr(path: str | Path) -> tuple[FloatArray, float | None, float]:
    """Linear sRGB (h, w, 3) of 0 or more, cd/m2 of (1, 1, 1) if the file says, share set to 0.

    Lossy compression and colours outside of sRGB leave negative values, which become 0.

    Raises
    ------
    PictureError : no such file, not OpenEXR or Radiance, damaged, too large, without R, G and B,
        values that are not finite, or all dark
    """
    path = Path(path)
    if not path.is_file():
        raise PictureError(path, "there is no such file; give a scene's name or a path")
    rgb, white = _read_exr(path) if path.suffix.lower() == ".exr" else _read_rgbe(path)
    if not np.isfinite(rgb).all():
        row, column, _ = np.argwhere(~np.isfinite(rgb))[0]
        raise PictureError(path, f"not finite at row {row}, column {column}; save it again")
    negative = float((rgb < 0).any(axis=2).mean())
    rgb = np.maximum(rgb, np.float32(0.0))
    if not rgb.any():
        raise PictureError(path, "dark everywhere; give a picture with light")
    return np.ascontiguousarray(rgb), white, negative


def hdr_scene(
    path: str | Path, *, luminance_cd_m2: float | None = None, white_cd_m2: float | None = None,
    yaw_degrees: float = 0.0, pitch_degrees: float = 0.0, distance_m: float | None = None,
    view_degrees: float | None = None,
) -> Scene:  # fmt: skip
    """A picture of high dynamic range as a scene: twice as wide as high, it is all round.

    Linear RGB becomes spectra after Mallett and Yuksel, "Spectral Primary Decomposition for
    Rendering with sRGB Reflectance", EGSR 2019: r, g, b times three reflectances under D65. Levels
    are absolute by the file's own ``whiteLuminance``, by either luminance below, or, without any,
    by a median of `MEDIAN_CD_M2`.

    Parameters
    ----------
    luminance_cd_m2 : median over all directions, each by its solid angle (of a flat picture: over
        its pixels)
    white_cd_m2 : luminance of the value (1, 1, 1)
    yaw_degrees, pitch_degrees : where the camera looks in a panorama, to the right and upward
    distance_m : where it stands; 1000 m unless given, a flat picture 2 m
    view_degrees : as for `picture`; of a flat picture alone

    Raises
    ------
    PictureError : see `read_hdr`
    SettingError : a value out of its range, both luminances, or an option of the other kind
    """
    for feature, value in (("luminance", luminance_cd_m2), ("white luminance", white_cd_m2)):
        if value is not None and not 0 < value <= 1e9:
            raise SettingError(feature, value, "more than 0, at most 1e9 cd/m2", str(path))
    if luminance_cd_m2 is not None and white_cd_m2 is not None:
        raise SettingError("luminance", luminance_cd_m2, "one of median and white", str(path))
    if not (-360 <= yaw_degrees <= 360 and -90 <= pitch_degrees <= 90):
        asked = yaw_degrees, pitch_degrees
        raise SettingError("direction", asked, "yaw -360 to 360, pitch -90 to 90", str(path))
    if distance_m is not None and not 0.1 <= distance_m <= 1e4:
        raise SettingError("distance", distance_m, "0.1 to 10000 m", str(path))
    covering(2, 2, view_degrees)
    path = Path(path)
    rgb, said, negative = read_hdr(path)
    height, width, _ = rgb.shape
    round_about = width == 2 * height
    if round_about and view_degrees is not None:
        raise SettingError("view", view_degrees, "none; a panorama is all round", str(path))
    if not round_about and (yaw_degrees or pitch_degrees):
        expected = "0 of a flat picture; a panorama is twice as wide as high"
        raise SettingError("direction", (yaw_degrees, pitch_degrees), expected, str(path))

    median = _median(rgb, round_about)
    if white_cd_m2 is not None:
        white, why = white_cd_m2, "as asked"
    elif luminance_cd_m2 is not None:
        white, why = luminance_cd_m2 / median, f"so that the median is {luminance_cd_m2:g} cd/m2"
    elif said is not None and 0 < said < 1e9:
        white, why = said, "as the file says"
    else:
        white = MEDIAN_CD_M2 / median
        why = f"assumed, so that the median is {MEDIAN_CD_M2:g} cd/m2"
    basis = primaries() * white_radiance(daylight(6500.0 * 1.4388 / 1.4380), white)
    if round_about:
        away = 1000.0 if distance_m is None else distance_m
        layer = PanoramaLayer(
            "panorama", basis, rgb, away, math.radians(yaw_degrees), math.radians(pitch_degrees)
        )
        scale = f"true: all round, {360 / width:.2f} degrees a pixel, smooth between"
        if width < 8192:
            scale += "; for light and colour, not for sharpness"
    else:
        away = 2.0 if distance_m is None else distance_m
        whole = np.concatenate([rgb, np.ones_like(rgb[..., :1])], axis=2)
        layer = PlanesLayer("picture", basis, whole, away, covering(width, height, view_degrees))
        scale = scale_note(width, height, view_degrees)
    source = f"{path.name}, {width} x {height}"
    if negative:
        source += f"; {100 * negative:.2g} % of its pixels had negative values, now 0"
    return Scene(
        path.stem,
        path.name,
        (layer,),
        {
            "light": f"the value 1 is {white:.4g} cd/m2, {why}",
            "depth": f"everything stands {away:g} m away",
            "source": source,
            "scale": scale,
            "spectra": "linear sRGB lifted after Mallett and Yuksel 2019, under D65",
        },
    )


def _median(rgb: FloatArray, round_about: bool) -> float:
    """Median of the relative luminance, by solid angle in a panorama; the mean where that is 0."""
    level = rgb @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    rows = np.sin((np.arange(len(level)) + 0.5) * math.pi / len(level))
    weight = np.broadcast_to(rows[:, None] if round_about else 1.0, level.shape).ravel()
    order = np.argsort(level, axis=None)
    share = np.cumsum(weight[order])
    median = float(level.ravel()[order[np.searchsorted(share, 0.5 * share[-1])]])
    return median or float(np.average(level.ravel(), weights=weight))
