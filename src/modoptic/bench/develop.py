"""Raw to picture: how fast, beside LibRaw's AHD in the same run, and how well, on the Kodak set."""

from __future__ import annotations

import importlib
import io
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image

from modoptic import isp, pixels
from modoptic.bench import INSTALL_PEERS
from modoptic.frame import Frame, FrameMeta, NoiseModel, Settings
from modoptic.photo._jpegstrips import StripEncoder
from modoptic.quad import QUAD, remosaic

QUALITY = 92
BLACK, WHITE = 256, 4095
NEUTRAL = (0.5, 1.0, 0.6)
# XYZ to camera of a Canon 550D, as Adobe publishes it in that camera's DNGs
MATRIX = ((0.6461, -0.1164, -0.0857), (-0.3825, 1.1597, 0.2534), (-0.0416, 0.154, 0.6039))
NOISE = NoiseModel(scale=2e-4, offset=1e-6)


def scene(height: int, width: int) -> npt.NDArray[np.uint16]:
    """A noisy RGGB mosaic, 12 bit: texture of all scales, coloured patches and hard edges."""
    rng = np.random.default_rng(1)
    size = 1456
    y, x = np.mgrid[:size, :size].astype(np.float32)
    light = np.full((size, size), 0.22, np.float32)
    for octave in range(1, 9):
        side = 2**octave + 1
        coarse = Image.fromarray(rng.standard_normal((side, side), np.float32), mode="F")
        light += np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC)) * 0.1 / octave
    light += 0.15 * (np.sin(x * y / 900) > 0) * (x > size / 2)
    colour = np.ones((3, size, size), np.float32)
    for c in (0, 2):
        coarse = Image.fromarray(rng.uniform(0.5, 1.5, (14, 14)).astype(np.float32), mode="F")
        colour[c] = np.asarray(coarse.resize((size, size), Image.Resampling.NEAREST))
    plane = np.array([[0, 1], [1, 2]])
    linear = np.empty((size, size), np.float32)
    for row in range(2):
        for column in range(2):
            c = plane[row, column]
            linear[row::2, column::2] = (light * colour[c] * NEUTRAL[c])[row::2, column::2]
    linear = np.clip(linear, 0.002, 1.0)
    out = np.empty((height, width), np.uint16)
    for top in range(0, height, size):
        for left in range(0, width, size):
            part = linear[: height - top, : width - left]
            noise = rng.standard_normal(part.shape, np.float32)
            noisy = part + noise * np.sqrt(NOISE.scale * part + NOISE.offset)
            values = np.rint(BLACK + noisy * (WHITE - BLACK))
            out[top : top + size, left : left + size] = np.clip(values, 0, WHITE)
    return out


def develop_100mp(height: int = 8736, width: int = 11648, repeats: int = 5) -> dict[str, Any]:
    """Packed 12 bit raw in memory to a JPEG file closed, quality 92, 4:2:0, no denoising.

    The value is the median of five; the peer is LibRaw's AHD (all cores) from an uncompressed DNG
    in memory, best of two, encoded by libjpeg-turbo at the same quality.
    """
    meta = FrameMeta(
        width=width,
        height=height,
        pixel_format="BayerRG12p",
        black_level=(float(BLACK),),
        white_level=WHITE,
        noise=NOISE,
        as_shot_neutral=NEUTRAL,
        color_matrix=MATRIX,
        settings=Settings(readout="full"),
    )
    mosaic = scene(height, width)
    frame = Frame(meta, pixels.pack(mosaic, pixels.pixel_format(meta.pixel_format)))
    dng = _dng(mosaic)
    del mosaic
    for _ in isp.warm():
        pass
    rawpy = _rawpy()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ours.jpg"

        def ours() -> None:
            encoder = StripEncoder(width, height, QUALITY, "420")
            isp.develop_to(encoder.add, frame)
            path.write_bytes(encoder.finish())

        def theirs() -> None:
            with rawpy.imread(io.BytesIO(dng)) as raw:
                rgb = raw.postprocess(
                    demosaic_algorithm=rawpy.DemosaicAlgorithm.AHD,
                    use_camera_wb=True,
                    no_auto_bright=True,
                )
            data = imagecodecs.jpeg8_encode(rgb, level=QUALITY, subsampling="420")
            (Path(folder) / "theirs.jpg").write_bytes(data)

        ours()
        times = _times(ours, repeats)
        size = path.stat().st_size
        peer = None if rawpy is None else min(_times(theirs, 2))
    value = float(np.median(times))
    result = {
        "value": value,
        "unit": "s",
        "bar": 1.5,
        "met": value <= 1.5 and peer is not None and peer / value >= 3.5,
        "note": f"{width} x {height}, best {min(times):.2f} s; JPEG of {size / 1e6:.1f} MB",
    }
    return _beside(result, peer)


def demosaic_kodak() -> dict[str, Any]:
    """CPSNR on the Kodak set: RGGB mosaic of the 8 bit values, 8 pixels cut all round, rounded."""
    default = Path(__file__).resolve().parents[4] / "shared" / "data"
    folder = Path(os.environ.get("MODOPTIC_DATA", default)) / "kodak"
    paths = sorted(folder.glob("kodim*.png"))
    if not paths:
        return {"missing": f"no Kodak pictures in {folder}; set MODOPTIC_DATA"}
    rawpy = _rawpy()
    ours: list[float] = []
    theirs: list[float] = []
    for path in paths:
        picture = np.asarray(Image.open(path).convert("RGB"))
        mosaic = rggb(picture)
        ours.append(cpsnr(picture, isp.demosaic(mosaic, white_level=255.0) * 255))
        if rawpy is not None:
            theirs.append(cpsnr(picture, _ahd(rawpy, mosaic)))
    value = float(np.mean(ours))
    result = {
        "value": value,
        "unit": "dB",
        "bar": 40.0,
        "met": value >= 40.0,
        "note": f"{len(paths)} pictures",
    }
    return _beside(result, float(np.mean(theirs)) if theirs else None)


def remosaic_100mp() -> dict[str, Any]:
    """A quad-Bayer mosaic of 100 MP in memory to a Bayer one; and how near the Kodak set comes.

    No peer: no library for Python that is published remosaics.
    """
    mosaic = np.random.default_rng(1).integers(0, 4096, (8736, 11648)).astype(np.uint16)
    remosaic(mosaic)
    times = _times(lambda: remosaic(mosaic), 5)
    value = float(np.median(times))
    default = Path(__file__).resolve().parents[4] / "shared" / "data"
    folder = Path(os.environ.get("MODOPTIC_DATA", default)) / "kodak"
    found = [_remosaiced_psnr(path) for path in sorted(folder.glob("kodim*.png"))]
    near = f"; Kodak set {np.mean(found):.2f} dB" if found else ""
    return {
        "value": value,
        "unit": "s",
        "bar": 0.6,
        "met": value <= 0.6,
        "note": f"best {min(times):.2f} s{near}",
    }


def _remosaiced_psnr(path: Path) -> float:
    """Of the remosaiced values of a picture against its Bayer mosaic, 8 pixels cut all round."""
    picture = np.asarray(Image.open(path).convert("RGB"))
    picture = picture[: picture.shape[0] // 4 * 4, : picture.shape[1] // 4 * 4]
    mosaic = np.empty(picture.shape[:2], np.uint16)
    for y in range(4):
        for x in range(4):
            mosaic[y::4, x::4] = picture[y::4, x::4, "RGB".index(QUAD[y][x])]
    # 16 steps a level, as rounding would count
    error = remosaic(mosaic * np.uint16(16), white_level=4080) / 16.0 - rggb(picture)
    return float(10 * np.log10(255**2 / np.mean(error[8:-8, 8:-8] ** 2)))


def _rawpy() -> Any:
    """LibRaw, or None where it is not installed: ours is measured all the same."""
    try:
        return importlib.import_module("rawpy")
    except ImportError:
        return None


def _beside(result: dict[str, Any], peer: float | None) -> dict[str, Any]:
    """``result`` with LibRaw's figure, or how to get it."""
    if peer is None:
        return {**result, "note": f"{result['note']}; LibRaw not run: {INSTALL_PEERS}"}
    value = result["value"]
    ratio = peer / value if result["unit"] == "s" else value / peer
    return {**result, "peer": "LibRaw AHD", "peer_value": peer, "ratio": ratio}


def rggb(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint16]:
    """The RGGB mosaic of a picture."""
    mosaic = picture[..., 1].astype(np.uint16)
    mosaic[::2, ::2] = picture[::2, ::2, 0]
    mosaic[1::2, 1::2] = picture[1::2, 1::2, 2]
    return mosaic


def cpsnr(picture: npt.NDArray[np.uint8], found: npt.NDArray[np.floating[Any]]) -> float:
    """Peak signal to noise ratio of all channels together, in dB."""
    error = np.clip(np.rint(found), 0, 255) - picture
    return float(10 * np.log10(255**2 / np.mean(error[8:-8, 8:-8] ** 2)))


def _ahd(rawpy: Any, mosaic: npt.NDArray[np.uint16]) -> npt.NDArray[np.float64]:
    """LibRaw's AHD alone: no white balance, no matrix, no curve; 8 bit values in and out."""
    dng = _dng(mosaic * np.uint16(257), black=0, white=65535, neutral=(1.0, 1.0, 1.0))
    with rawpy.imread(io.BytesIO(dng)) as raw:
        rgb = raw.postprocess(
            demosaic_algorithm=rawpy.DemosaicAlgorithm.AHD,
            output_color=rawpy.ColorSpace.raw,
            user_wb=[1.0, 1.0, 1.0, 1.0],
            no_auto_bright=True,
            no_auto_scale=True,
            gamma=(1, 1),
            output_bps=16,
        )
    return rgb / 257.0


def _dng(
    mosaic: npt.NDArray[np.uint16],
    black: int = BLACK,
    white: int = WHITE,
    neutral: tuple[float, float, float] = NEUTRAL,
) -> bytes:
    """The mosaic as the plainest DNG that LibRaw reads."""
    file = io.BytesIO()
    matrix = [int(v) for row in MATRIX for m in row for v in (round(m * 10000), 10000)]
    white_point = [int(v) for n in neutral for v in (round(n * 10000), 10000)]
    tifffile.imwrite(
        file,
        mosaic,
        photometric="cfa",
        subfiletype=0,
        metadata=None,
        software=False,
        extratags=[
            (33421, "H", 2, (2, 2), True),  # CFARepeatPatternDim
            (33422, "B", 4, bytes((0, 1, 1, 2)), True),  # CFAPattern
            (50706, "B", 4, bytes((1, 4, 0, 0)), True),  # DNGVersion
            (50708, "s", 0, "modoptic bench", True),  # UniqueCameraModel
            (50714, "H", 1, black, True),  # BlackLevel
            (50717, "H", 1, white, True),  # WhiteLevel
            (50721, "2i", 9, matrix, True),  # ColorMatrix1
            (50728, "2I", 3, white_point, True),  # AsShotNeutral
            (50778, "H", 1, 21, True),  # CalibrationIlluminant1
        ],
    )
    return file.getvalue()


def _times(work: Callable[[], object], repeats: int) -> list[float]:
    times: list[float] = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return times
