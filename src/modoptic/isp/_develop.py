"""Raw to picture: a frame, whole or still arriving, to 8 bit sRGB."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import Any, Literal, Self, TypeAlias, cast, get_args

import msgspec
import numpy as np
import numpy.typing as npt

from modoptic import bands
from modoptic.calibration import Calibration
from modoptic.errors import SettingError
from modoptic.frame import Frame, FrameMeta
from modoptic.isp import _denoise, _kernel, _quads
from modoptic.isp._color import (
    auto_white,
    camera_to_srgb,
    even_colors,
    neutral_from_kelvin,
)
from modoptic.isp._tone import Tone, saturation_matrix, tone_curve
from modoptic.quad import BAYER, MARGIN, check_size, is_quad, mend, remosaic_rows, rows_needed

__all__ = ["BAND_ROWS", "Develop", "demosaic", "develop", "develop_to", "white_balance"]

Picture: TypeAlias = npt.NDArray[np.uint8]
Sink: TypeAlias = Callable[[int, Picture], None]
Method: TypeAlias = Literal["gradient", "linear"]

BAND_ROWS = 256
"""Rows that one thread develops at a time, and that a sink is given (the last band has fewer)."""

_METHODS: dict[Method, int] = {"gradient": _kernel.GRADIENT, "linear": _kernel.LINEAR}
NO_SHADE = np.zeros((3, 3), np.float32)
NO_COLOURS = np.zeros((1, 1, 3), np.float32)
_NO_MOSAIC = np.zeros((1, 1), np.uint16)
_DENOISE_ROWS = 128
"""Rows denoised at a time, so that a few tens of MB suffice."""
_SMALLEST = 32
_LARGEST_FACTOR = 1e6
"""Of a colour matrix; real ones stay below 10."""
_SCALES = ("full", "half")


class Develop(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a raw becomes a picture. The defaults make a pleasant photograph."""

    exposure_ev: float = 0.0
    """Brightening in stops, -5 to 5."""
    white_balance: Literal["as shot", "auto"] | float | tuple[float, float, float] = "as shot"
    """As the camera found it; found in this frame by `auto_white`; a colour temperature in kelvin;
    or the neutral: camera RGB of something grey."""
    tint: float = 0.0
    """With a colour temperature: -150 green to 150 magenta."""
    tone: Tone = "film"
    """``film``: toe and shoulder; ``linear``: only the sRGB encoding, for measuring."""
    saturation: float = 1.08
    """1 leaves colours as measured; 0 to 2."""
    sharpening: float = 0.8
    """Amount of fine luma detail added; 0 to 3."""
    denoise: float = 0.0
    """Strength of noise reduction, 0 (none) to 2; 1 is right for high ISO. Needs the frame's
    noise model, and about six times the time."""
    demosaic: Method = "gradient"
    """``gradient``: sharp, follows edges; ``linear``: Malvar's 5 x 5 filters."""
    shading: bool = True
    """Even out the lens's fall-off where the calibration knows it."""
    scale: Literal["full", "half"] = "full"
    """``half``: one pixel for each 2 x 2 photosites, no demosaic."""

    @classmethod
    def of(cls, **params: Any) -> Self:
        """As the constructor, but for parameters that come from people.

        Raises
        ------
        SettingError : a name that is no parameter, or a value that it cannot have
        """
        unknown = sorted(params.keys() - set(cls.__struct_fields__))
        if unknown:
            raise SettingError("parameter", unknown[0], _listed(cls.__struct_fields__), "develop")
        made = cls(**params)
        made.check()
        return made

    def check(self) -> None:
        """Raise `SettingError` for a value out of range."""
        for name, low, high in (
            ("exposure_ev", -5.0, 5.0),
            ("tint", -150.0, 150.0),
            ("saturation", 0.0, 2.0),
            ("sharpening", 0.0, 3.0),
            ("denoise", 0.0, 2.0),
        ):
            value = getattr(self, name)
            if not (_is_number(value) and low <= value <= high):
                raise SettingError(name, value, f"{low:g} to {high:g}", "develop")
        for name, names in (
            ("tone", get_args(Tone)),
            ("demosaic", tuple(_METHODS)),
            ("scale", _SCALES),
            ("shading", (True, False)),
        ):
            value = getattr(self, name)
            if value not in names:
                raise SettingError(name, value, _listed(names), "develop")
        white = cast(object, self.white_balance)
        if isinstance(white, str):
            known = white in ("as shot", "auto")
        elif isinstance(white, tuple | list):
            parts = cast(tuple[object, ...], white)
            known = len(parts) == 3 and all(map(_is_number, parts))
        else:
            known = _is_number(white)
        if not known:
            raise SettingError(
                "white_balance",
                white,
                "'as shot', 'auto', kelvin, or a neutral of three numbers",
                "develop",
            )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and bool(abs(value) < 1e300)


def _listed(names: tuple[object, ...]) -> str:
    return f"one of {', '.join(map(str, names))}"


def red_position(cfa: tuple[str, ...]) -> tuple[int, int]:
    """(row, column) of red in a 2 x 2 Bayer pattern, or in the one a quad-Bayer mosaic becomes.

    Raises `SettingError` for other patterns.
    """
    if is_quad(cfa):
        cfa = BAYER
    text = "".join(cfa)
    if (
        len(cfa) != 2
        or sorted(text) != ["B", "G", "G", "R"]
        or ((text.index("R") + text.index("B")) != 3)
    ):
        raise SettingError(
            "CFA", cfa, "a 2 x 2 Bayer pattern of R, G, G, B, or RRGG/RRGG/GGBB/GGBB", "develop"
        )
    return divmod(text.index("R"), 2)


@dataclass(frozen=True)
class Levels:
    """Black and gain by parity in the pattern (red at 0, 0), both float32 (2, 2)."""

    phase: tuple[int, int]
    black: npt.NDArray[np.float32]
    gain: npt.NDArray[np.float32]


def levels(meta: FrameMeta, neutral: tuple[float, float, float] | None) -> Levels:
    """What turns DN into balanced samples, white of the scene's light reaching 1 in all colours.

    The gains are such that the colour that clips last reaches 1 at white level; the others are
    clipped there, so that blown highlights are white and not pink.
    """
    phase = red_position(meta.cfa)
    given = meta.black_level
    if len(given) not in (1, 4):
        raise SettingError("black level", given, "one value or four", "develop")
    blacks = given * 4 if len(given) == 1 else given
    white = float(meta.white_level)
    if white <= max(blacks):
        raise SettingError("white level", white, f"more than black level {max(blacks):g}")
    balance = (1.0, 1.0, 1.0) if neutral is None else neutral
    top = max(balance)
    black = np.zeros((2, 2), np.float32)
    gain = np.zeros((2, 2), np.float32)
    for y in range(2):
        for x in range(2):
            at = (y + phase[0]) & 1, (x + phase[1]) & 1
            colour = at[0] + at[1]
            level = blacks[2 * y + x]
            black[at] = level
            gain[at] = top / balance[colour] / (white - level)
    return Levels(phase, black, gain)


def zone_means(frame: Frame, rows: int = 24, columns: int = 32) -> npt.NDArray[np.float32]:
    """Mean camera RGB, 0..1 between black and white, of a grid of zones of a complete frame."""
    plain = levels(frame.meta, None)
    grid = np.zeros((rows, columns, 3), np.float32)
    for i in range(rows):
        middle = (2 * i + 1) * frame.height // (2 * rows)
        first = min(max(middle - 8, 0) // 2 * 2, frame.height - 2)
        part = rows_of(frame, first, min(first + 16, frame.height) // 2 * 2).astype(np.float32)
        colours: list[list[npt.NDArray[np.float32]]] = [[], [], []]
        for y in range(2):
            for x in range(2):
                at = (y + plain.phase[0]) & 1, (x + plain.phase[1]) & 1
                plane = (part[y::2, x::2] - plain.black[at]) * plain.gain[at]
                columns_of = np.array_split(plane, columns, axis=1)
                colours[at[0] + at[1]].append(np.array([c.mean() for c in columns_of], np.float32))
        for c in range(3):
            grid[i, :, c] = np.mean(colours[c], axis=0)
    return grid


def white_balance(
    frame: Frame, params: Develop, calibration: Calibration | None = None
) -> tuple[float, float, float]:
    """The neutral (camera RGB of grey, green 1) that ``params`` asks for.

    "auto", and "as shot" where nobody noted it, look at the whole frame and wait for its rows.
    """
    meta = frame.meta
    colors = calibration if calibration is not None and calibration.colors else meta
    wish = params.white_balance
    if wish == "as shot" and meta.as_shot_neutral is not None:
        wish = meta.as_shot_neutral
    if isinstance(wish, str):
        frame.wait_rows(frame.height)
        zones = zone_means(frame)
        if calibration is not None and meta.settings.region is None:
            zones = even_colors(zones, calibration, meta.settings)
        return auto_white(zones, colors)
    if isinstance(wish, (int, float, np.integer, np.floating)):
        return neutral_from_kelvin(colors, float(wish), params.tint)
    red, green, blue = wish
    if not (min(wish) > 0 and max(wish) / min(wish) < 100 and math.isfinite(sum(wish))):
        raise SettingError("white balance", wish, "three positive numbers", "develop")
    return red / green, 1.0, blue / green


def _shade(meta: FrameMeta, calibration: Calibration | None) -> npt.NDArray[np.float32]:
    """Fall-off of each colour, measured nearest to the iris and focus; zeros where unknown."""
    if calibration is None or meta.settings.region is not None:
        return NO_SHADE
    settings = meta.settings
    found = calibration.shading_at(settings.f_number, settings.focus_distance_m)
    return NO_SHADE if found is None else np.array(found.colors, np.float32)


@dataclass(frozen=True)
class _Plan:
    """Everything the kernel needs besides pixels."""

    levels: Levels
    shade: npt.NDArray[np.float32]
    matrix: npt.NDArray[np.float32]
    curve: npt.NDArray[np.uint16]
    sharpen: np.float32
    core: np.float32
    method: int
    denoise: float
    noise: tuple[np.float32, np.float32]
    """Variance = scale * value + offset, the mean of the balanced channels."""
    defects: npt.NDArray[np.int64]
    """(row, column) of each photosite to be replaced, sorted by row."""


def _plan(frame: Frame, params: Develop, calibration: Calibration | None) -> _Plan:
    meta = frame.meta
    params.check()
    if min(meta.width, meta.height) < _SMALLEST:
        raise SettingError(
            "frame size", (meta.width, meta.height), f"at least {_SMALLEST} pixels a side"
        )
    neutral = white_balance(frame, params, calibration)
    colors = calibration if calibration is not None and calibration.colors else meta
    matrix = saturation_matrix(params.saturation) @ camera_to_srgb(colors, neutral)
    # the kernel takes what comes out of it for a place in a table; written so that NaN fails
    if not np.abs(matrix).max() <= _LARGEST_FACTOR:
        raise SettingError(
            "colour matrix",
            matrix.round(3).tolist(),
            f"numbers up to {_LARGEST_FACTOR:g}",
            "develop",
        )
    curve = tone_curve(params.tone, params.exposure_ev, _kernel.CURVE_SIZE, 255 * _kernel.CODE)
    # the camera that remosaiced a mosaic has mended it before
    whole = calibration is not None and meta.settings.readout in ("full", "native")
    whole = whole and not meta.remosaiced
    whole = whole and meta.settings.region is None
    defects = np.array(
        sorted((y, x) for x, y in calibration.defects if x < meta.width and y < meta.height)
        if calibration is not None and whole
        else [],
        np.int64,
    ).reshape(-1, 2)
    return _Plan(
        levels(meta, neutral),
        _shade(meta, calibration) if params.shading else NO_SHADE,
        matrix.astype(np.float32),
        curve,
        np.float32(params.sharpening),
        np.float32(_noise_codes(meta, curve)),
        _METHODS[params.demosaic],
        params.denoise if meta.noise.scale > 0 else 0.0,
        _balanced_noise(meta, neutral),
        defects,
    )


def _balanced_noise(
    meta: FrameMeta, neutral: tuple[float, float, float]
) -> tuple[np.float32, np.float32]:
    gain = max(neutral) / np.array(neutral)
    scale, offset = gain * meta.noise.scale, gain**2 * meta.noise.offset
    return np.float32(scale.mean()), np.float32(offset.mean())


def _noise_codes(meta: FrameMeta, curve: npt.NDArray[np.uint16]) -> float:
    """Standard deviation of luma noise in mid grey, in codes; at least a third of a level."""
    grey = 0.13
    sigma = math.sqrt(max(meta.noise.scale * grey + meta.noise.offset, 0.0))
    at = int(grey * _kernel.CURVE_SIZE)
    slope = (float(curve[at + 64]) - float(curve[at - 64])) / (128 / _kernel.CURVE_SIZE)
    # luma of three demosaiced channels is about half as noisy as one sample
    return max(0.5 * sigma * slope, _kernel.CODE / 3)


def _mend(mosaic: npt.NDArray[np.uint16], row0: int, plan: _Plan) -> npt.NDArray[np.uint16]:
    """Defective photosites replaced by the median of their colour's nearest; a copy if any."""
    rows = plan.defects[:, 0]
    low, high = np.searchsorted(rows, (row0, row0 + mosaic.shape[0]))
    if low == high:
        return mosaic
    out = mosaic.copy()
    for y, x in plan.defects[low:high]:
        y -= row0
        near = mosaic[max(y % 2, y - 2) : y + 3 : 2, max(x % 2, x - 2) : x + 3 : 2].reshape(-1)
        out[y, x] = np.uint16(np.median(near))
    return out


def rows_of(
    frame: Frame, first: int, end: int, defects: npt.NDArray[np.int64] | None = None
) -> npt.NDArray[np.uint16]:
    """Rows of a frame as the kernels are compiled for: Bayer, writable, one row after the other.

    ``defects`` are mended in a quad-Bayer mosaic, before it becomes a Bayer one.
    """
    if not is_quad(frame.meta.cfa):
        return _writable(frame.mosaic(first, end))
    height, (begin, stop) = frame.height, (first // 4 * 4, -(-end // 4) * 4)
    check_size(height, frame.width)
    low, high = rows_needed(begin, stop, height)
    out = np.empty((stop - begin, frame.width), np.uint16)
    part = frame.mosaic(low, high)
    if defects is not None and defects.size:
        part = part.copy()
        mend(part, low, defects)
    part = _writable(part)
    remosaic_rows(part, low, height, begin, frame.meta.white_level, out)
    return out[first - begin : end - begin]


def _writable(mosaic: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
    return mosaic if mosaic.flags.writeable else mosaic.copy()


def _mended(frame: Frame, plan: _Plan, first: int, end: int) -> npt.NDArray[np.uint16]:
    if is_quad(frame.meta.cfa):
        return rows_of(frame, first, end, plan.defects)
    return _mend(rows_of(frame, first, end), first, plan)


def rows_beyond(meta: FrameMeta) -> int:
    """Rows after the last one that `rows_of` needs."""
    return MARGIN + 3 if is_quad(meta.cfa) else 0


def _develop_band(frame: Frame, plan: _Plan, first: int, out: Picture) -> None:
    row0 = max(first - _kernel.BORDER, 0)
    end = min(first + out.shape[0] + _kernel.BORDER, frame.height)
    mosaic = _mended(frame, plan, row0, end)
    _kernel.develop_rows(
        mosaic, row0, (frame.height, frame.width), plan.levels.phase, plan.levels.black,
        plan.levels.gain, plan.shade, plan.matrix, plan.curve, plan.sharpen, plan.core,
        plan.method, first, NO_COLOURS, out,
    )  # fmt: skip


def _denoised_band(frame: Frame, plan: _Plan, first: int, out: Picture) -> None:
    size = frame.height, frame.width
    for top, end in bands.bands(out.shape[0], _DENOISE_ROWS):
        low = max(first + top - _denoise.REACH - 1, 0)
        high = min(first + end + _denoise.REACH + 1, frame.height)
        row0 = max(low - _kernel.BORDER, 0)
        mosaic = _mended(frame, plan, row0, min(high + _kernel.BORDER, frame.height))
        colours = np.empty((high - low, frame.width, 3), np.float32)
        _kernel.demosaic_rows(
            mosaic, row0, size, plan.levels.phase, plan.levels.black, plan.levels.gain,
            plan.shade, plan.method, low, colours,
        )  # fmt: skip
        _denoise.denoise_rows(
            colours, *plan.noise, np.float32(plan.denoise), np.float32(min(plan.denoise, 1) * 0.85)
        )
        _kernel.develop_rows(
            _NO_MOSAIC, low, size, plan.levels.phase, plan.levels.black, plan.levels.gain,
            plan.shade, plan.matrix, plan.curve, plan.sharpen, plan.core, _kernel.DONE,
            first + top, colours, out[top:end],
        )  # fmt: skip


def _half_band(frame: Frame, plan: _Plan, first: int, out: Picture) -> None:
    height = frame.height // 2
    low, high = max(first - _quads.BORDER, 0), min(first + out.shape[0] + _quads.BORDER, height)
    mosaic = rows_of(frame, 2 * low, 2 * high, plan.defects)
    y, x = plan.levels.phase
    order = np.ix_([y, 1 - y], [x, 1 - x])
    _quads.quad_rows(
        mosaic, low, height, plan.levels.phase,
        np.ascontiguousarray(plan.levels.black[order]),
        np.ascontiguousarray(plan.levels.gain[order]),
        np.ones(3, np.float32), plan.matrix, _bytes(plan.curve),
        np.float32(frame.meta.centroid_shift), first, out, False,
        np.zeros((1, 1, 6)), np.zeros(1, np.int64),
    )  # fmt: skip


def _bytes(curve: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint8]:
    return ((curve[::2].astype(np.uint32) + _kernel.CODE // 2) // _kernel.CODE).astype(np.uint8)


def _each_band(
    frame: Frame,
    height: int,
    need: Callable[[int], int],
    work: Callable[[int, int], None],
    progress: Callable[[float], None] | None,
) -> None:
    """``work(first, end)`` on the pool for each band of output rows as soon as its input is there.

    The calling thread waits for rows, so that no thread of the pool does; a few bands are under
    way at once.
    """
    ahead: deque[tuple[int, Future[None]]] = deque()
    pool = bands.pool()

    def finish_one() -> None:
        end, future = ahead.popleft()
        future.result()
        if progress is not None:
            progress(end / height)

    try:
        for first, end in bands.bands(height, BAND_ROWS):
            frame.wait_rows(need(end))
            ahead.append((end, pool.submit(work, first, end)))
            while ahead and (ahead[0][1].done() or len(ahead) > bands.worker_count() + 1):
                finish_one()
        while ahead:
            finish_one()
    except BaseException:
        for _, future in ahead:
            future.cancel()
        wait([future for _, future in ahead if not future.cancelled()])
        raise


def _run(
    frame: Frame,
    params: Develop,
    calibration: Calibration | None,
    progress: Callable[[float], None] | None,
    place: Callable[[int, int], Picture],
    sink: Sink | None,
) -> None:
    plan = _plan(frame, params, calibration)

    def work(first: int, end: int) -> None:
        rgb = place(first, end)
        if params.scale == "half":
            _half_band(frame, plan, first, rgb)
        elif plan.denoise > 0:
            _denoised_band(frame, plan, first, rgb)
        else:
            _develop_band(frame, plan, first, rgb)
        if sink is not None:
            sink(first, rgb)

    factor = 2 if params.scale == "half" else 1
    border = (
        rows_beyond(frame.meta) + _kernel.BORDER + (_denoise.REACH + 1 if params.denoise else 0)
    )
    _each_band(frame, frame.height // factor, lambda end: factor * end + border, work, progress)


def picture_size(meta: FrameMeta, params: Develop) -> tuple[int, int]:
    """(height, width) of the picture that `develop` makes."""
    factor = 2 if params.scale == "half" else 1
    return meta.height // factor, meta.width // factor


def develop(
    frame: Frame,
    params: Develop | None = None,
    *,
    calibration: Calibration | None = None,
    progress: Callable[[float], None] | None = None,
    out: Picture | None = None,
    sink: Sink | None = None,
) -> Picture:
    """A frame as a picture, uint8 ``(height, width, 3)``, sRGB, as the sensor saw it (not turned).

    Begins while rows still arrive and works in bands of `BAND_ROWS` rows on all cores; besides
    the picture a few MB a core are used.

    Parameters
    ----------
    frame : Bayer, any phase, or quad-Bayer; at least 32 pixels a side
    params : how; by default a pleasant photograph
    calibration : of the unit that took it; else the colour matrix of the metadata is used
    progress : called in the calling thread with the finished part, 0..1; what it raises cancels
    out : where to put the picture
    sink : called from worker threads with (first row, rows of the picture) as bands get ready

    Raises
    ------
    SettingError : parameters out of range, a CFA that is neither, impossible levels
    DetachedError : no more rows will come
    """
    params = params or Develop()
    shape = (*picture_size(frame.meta, params), 3)
    if out is None:
        out = np.empty(shape, np.uint8)
    elif out.shape != shape or out.dtype != np.uint8 or not out.flags.c_contiguous:
        raise SettingError("picture buffer", out.shape, f"contiguous uint8 {shape}", "develop")
    picture = out
    _run(frame, params, calibration, progress, lambda a, b: picture[a:b], sink)
    return picture


def develop_to(
    sink: Sink,
    frame: Frame,
    params: Develop | None = None,
    *,
    calibration: Calibration | None = None,
    progress: Callable[[float], None] | None = None,
) -> None:
    """As `develop`, but the picture is only given band by band to ``sink`` and never whole.

    ``sink(first_row, rgb)`` is called from worker threads, in any order.
    """
    params = params or Develop()
    width = picture_size(frame.meta, params)[1]
    _run(
        frame, params, calibration, progress,
        lambda a, b: np.empty((b - a, width, 3), np.uint8), sink,
    )  # fmt: skip


def demosaic(
    mosaic: npt.NDArray[np.uint16],
    cfa: tuple[str, ...] = ("RG", "GB"),
    *,
    white_level: float = 4095.0,
    method: Method = "gradient",
) -> npt.NDArray[np.float32]:
    """Colours of a mosaic, float32 ``(height, width, 3)``, 1 at ``white_level`` (clipped there)."""
    height, width = mosaic.shape
    if min(height, width) < _SMALLEST:
        raise SettingError("mosaic size", mosaic.shape, f"at least {_SMALLEST} pixels a side")
    if method not in tuple(_METHODS):
        raise SettingError("method", method, _listed(tuple(_METHODS)), "demosaic")
    phase = red_position(cfa)
    data = np.require(mosaic, np.uint16, ["C", "W"])
    black = np.zeros((2, 2), np.float32)
    gain = np.full((2, 2), 1 / white_level, np.float32)
    out = np.empty((height, width, 3), np.float32)

    def work(first: int, end: int) -> None:
        _kernel.demosaic_rows(
            data,
            0,
            (height, width),
            phase,
            black,
            gain,
            NO_SHADE,
            _METHODS[method],
            first,
            out[first:end],
        )

    bands.run_bands(work, height, BAND_ROWS)
    return out
