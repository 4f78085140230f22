"""Plots as SVG text, for pages that ask no other file for anything."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

PALETTE = {
    "red": "#cc3d3d",
    "green": "#2f8f4e",
    "blue": "#2f6fd0",
    "luminance": "#5a5f6a",
    "first": "#2f6fd0",
    "second": "#d9822b",
    "third": "#2f8f4e",
    "quiet": "#9aa0ab",
}
_WIDTH, _HEIGHT = 580.0, 360.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 66.0, 18.0, 58.0, 50.0
_RAMP = np.array(
    [
        (68, 1, 84), (71, 44, 122), (59, 81, 139), (44, 113, 142), (33, 144, 141),
        (39, 173, 129), (92, 200, 99), (170, 220, 50), (253, 231, 37),
    ],
    np.float64,
)  # fmt: skip
"""Nine stations of viridis (S. van der Walt and N. Smith, 2015, CC0): even in lightness."""


@dataclass(frozen=True, eq=False)
class Series:
    """One line or set of points."""

    name: str
    x: FloatArray
    y: FloatArray
    color: str = "first"
    """A name of `PALETTE`."""
    style: str = "line"
    """``line``, ``dashed``, ``points`` or ``band``, which fills between ``y`` and ``to``."""
    to: FloatArray | None = None


@dataclass(frozen=True, eq=False)
class Plot:
    """Lines and points in axes with units."""

    title: str
    x_label: str
    y_label: str
    series: Sequence[Series]
    x_range: tuple[float, float] | None = None
    y_range: tuple[float, float] | None = None
    x_log: bool = False
    y_log: bool = False
    marks: Sequence[tuple[float, str]] = field(default_factory=tuple[tuple[float, str], ...])
    """Upright dashed lines at x, with words."""
    arrows: Sequence[tuple[float, float, float, float]] = field(
        default_factory=tuple[tuple[float, float, float, float], ...]
    )
    """(x0, y0, x1, y1)"""
    equal: bool = False
    """One unit is as long in x as in y."""
    y_down: bool = False
    """As in pictures."""

    def svg(self) -> str:
        return _plot(self)


@dataclass(frozen=True, eq=False)
class MapPlot:
    """Values over a frame, as colours with their scale."""

    title: str
    values: FloatArray
    """(rows, columns)"""
    size: tuple[int, int]
    """(width, height) of the frame."""
    unit: str
    digits: int = 1

    def svg(self) -> str:
        return _map(self)


@dataclass(frozen=True, eq=False)
class Swatches:
    """Colours side by side: measured, with what was published in the middle of each."""

    title: str
    measured: Sequence[str]
    published: Sequence[str]
    """``#rrggbb``"""
    words: Sequence[str]
    columns: int

    def svg(self) -> str:
        return _swatches(self)


Drawing = Plot | MapPlot | Swatches


def ticks(low: float, high: float, count: int = 6) -> list[float]:
    """Round numbers from ``low`` to ``high``: 1, 2 or 5 times a power of ten apart."""
    span = high - low
    if not span > 0:
        return [low]
    raw = span / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1.0, 2.0, 5.0, 10.0) if m * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(k * step, 12) for k in range(first, math.floor(high / step + 1e-9) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten, with 2 and 5 of each where there are few."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    steps = (1.0, 2.0, 5.0) if last - first <= 3 else (1.0,)
    every = max(1, (last - first) // 8)
    found = [m * 10.0**k for k in range(first, last + 1, every) for m in steps]
    return [t for t in found if low * 0.999 <= t <= high * 1.001]


def number(value: float) -> str:
    """As short as it is exact to six digits, with a true minus."""
    if value != 0 and (abs(value) >= 1e6 or abs(value) < 1e-4):
        exponent = math.floor(math.log10(abs(value)))
        lead = value / 10.0**exponent
        head = "" if abs(lead - 1) < 1e-9 else f"{lead:.3g}·"
        return f"{head}10<tspan dy='-5' font-size='9'>{exponent}</tspan>".replace("-", "−")
    return f"{value:.6g}".replace("-", "−")


def _range(plot: Plot, axis: str) -> tuple[float, float]:
    given = plot.x_range if axis == "x" else plot.y_range
    if given is not None:
        return given
    log = plot.x_log if axis == "x" else plot.y_log
    parts = [s.x if axis == "x" else s.y for s in plot.series]
    if axis == "y":
        parts += [s.to for s in plot.series if s.to is not None]
    if axis == "x":
        parts.append(np.array([at for at, _ in plot.marks], np.float64))
    for x0, y0, x1, y1 in plot.arrows:
        parts.append(np.array([x0, x1] if axis == "x" else [y0, y1]))
    values = np.concatenate([np.asarray(part, np.float64).ravel() for part in parts])
    values = values[np.isfinite(values) & ((values > 0) | (not log))]
    if not values.size:
        return (1.0, 10.0) if log else (0.0, 1.0)
    low, high = float(values.min()), float(values.max())
    if log:
        return low / 1.15, high * 1.15
    margin = 0.05 * (high - low) or 0.1 * abs(high) or 1.0
    if axis == "y" and low >= 0 and low < 0.4 * high:
        return 0.0, high + margin
    return low - margin, high + margin


class _Axis:
    """From values to places on paper."""

    def __init__(self, low: float, high: float, start: float, end: float, *, log: bool) -> None:
        self.low, self.high, self.log = low, high, log
        self.start, self.end = start, end

    def __call__(self, value: npt.ArrayLike) -> FloatArray:
        v = np.asarray(value, np.float64)
        a, b = self.low, self.high
        if self.log:
            v = np.log(np.maximum(v, 1e-300))
            a, b = math.log(a), math.log(b)
        return self.start + (v - a) / (b - a) * (self.end - self.start)

    def ticks(self) -> list[float]:
        low, high = sorted((self.low, self.high))
        return log_ticks(low, high) if self.log else ticks(low, high)


def _plot(plot: Plot) -> str:
    (x_low, x_high), (y_low, y_high) = _range(plot, "x"), _range(plot, "y")
    height = _HEIGHT
    right, bottom = _WIDTH - _RIGHT, height - _BOTTOM
    if plot.equal:
        height = _TOP + _BOTTOM + (right - _LEFT) * (y_high - y_low) / (x_high - x_low)
        bottom = height - _BOTTOM
    x = _Axis(x_low, x_high, _LEFT, right, log=plot.x_log)
    ends = (_TOP, bottom) if plot.y_down else (bottom, _TOP)
    y = _Axis(y_low, y_high, *ends, log=plot.y_log)
    out = [_head(plot.title, height)]
    for t in x.ticks():
        at = float(x(t))
        out.append(
            f"<line class='grid' x1='{at:.1f}' y1='{_TOP}' x2='{at:.1f}' y2='{bottom:.1f}'/>"
        )
        out.append(f"<text class='tick' x='{at:.1f}' y='{bottom + 18:.1f}'>{number(t)}</text>")
    for t in y.ticks():
        at = float(y(t))
        out.append(f"<line class='grid' x1='{_LEFT}' y1='{at:.1f}' x2='{right}' y2='{at:.1f}'/>")
        out.append(f"<text class='tick end' x='{_LEFT - 8}' y='{at + 4:.1f}'>{number(t)}</text>")
    out.append(
        f"<rect class='frame' x='{_LEFT}' y='{_TOP}' width='{right - _LEFT:.1f}' "
        f"height='{bottom - _TOP:.1f}'/>"
    )
    middle = 0.5 * (_TOP + bottom)
    out.append(
        f"<text class='label' x='{0.5 * (_LEFT + right):.1f}' y='{height - 10:.1f}'>"
        f"{escape(plot.x_label)}</text>"
        f"<text class='label' transform='translate(16 {middle:.1f}) rotate(-90)'>"
        f"{escape(plot.y_label)}</text>"
    )
    name = f"c{zlib.crc32(f'{plot.title}{plot.x_label}{plot.y_label}'.encode()):x}"
    out.append(
        f"<clipPath id='{name}'><rect x='{_LEFT}' y='{_TOP}' width='{right - _LEFT:.1f}' "
        f"height='{bottom - _TOP:.1f}'/></clipPath><g clip-path='url(#{name})'>"
    )
    out += [_series(s, x, y) for s in plot.series]
    out += [
        _arrow(float(x(a)), float(y(b)), float(x(c)), float(y(d))) for a, b, c, d in plot.arrows
    ]
    for at, words in plot.marks:
        place = float(x(at))
        left = place > 0.72 * right
        out.append(
            f"<line class='mark' x1='{place:.1f}' y1='{_TOP}' x2='{place:.1f}' y2='{bottom:.1f}'/>"
            f"<text class='tick {'end' if left else 'begin'}' "
            f"x='{place + (-5 if left else 5):.1f}' y='{_TOP + 15:.1f}'>{escape(words)}</text>"
        )
    out.append("</g>")
    out.append(_legend([s for s in plot.series if s.name]))
    return "".join(out) + "</svg>"


def _head(title: str, height: float) -> str:
    return (
        f"<svg viewBox='0 0 {_WIDTH:g} {height:.0f}' role='img' "
        f"aria-label='{escape(title, quote=True)}' xmlns='http://www.w3.org/2000/svg'>"
        f"<text class='title' x='{_LEFT:g}' y='22'>{escape(title)}</text>"
    )


def _series(series: Series, x: _Axis, y: _Axis) -> str:
    color = PALETTE[series.color]
    good = np.isfinite(series.x) & np.isfinite(series.y)
    if x.log:
        good &= series.x > 0
    if y.log:
        good &= series.y > 0
    px, py = x(series.x[good]), y(series.y[good])
    if series.style == "points":
        radius = 3.0 if px.size < 80 else 2.0 if px.size < 600 else 1.3
        return "".join(
            f"<circle cx='{a:.1f}' cy='{b:.1f}' r='{radius}' fill='{color}' fill-opacity='.75'/>"
            for a, b in zip(px, py, strict=True)
        )
    if series.style == "band" and series.to is not None:
        back = y(series.to[good])
        path = _path(px, py) + "L" + _path(px[::-1], back[::-1])[1:] + "Z"
        return f"<path d='{path}' fill='{color}' fill-opacity='.18'/>"
    dash = " stroke-dasharray='6 4'" if series.style == "dashed" else ""
    return (
        f"<path d='{_path(px, py)}' fill='none' stroke='{color}' stroke-width='2' "
        f"stroke-linejoin='round'{dash}/>"
    )


def _path(x: FloatArray, y: FloatArray) -> str:
    return "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(x, y, strict=True))


def _arrow(x0: float, y0: float, x1: float, y1: float) -> str:
    length = math.hypot(x1 - x0, y1 - y0)
    if length < 0.5:
        return f"<circle cx='{x0:.1f}' cy='{y0:.1f}' r='1.2' fill='{PALETTE['first']}'/>"
    u, v = (x1 - x0) / length, (y1 - y0) / length
    tip = min(5.0, 0.5 * length)
    head = [
        f"{x1 - tip * (u + s * 0.5 * v):.1f} {y1 - tip * (v - s * 0.5 * u):.1f}" for s in (-1, 1)
    ]
    return (
        f"<path d='M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}M{head[0]}L{x1:.1f} {y1:.1f}L{head[1]}' "
        f"fill='none' stroke='{PALETTE['first']}' stroke-width='1.2'/>"
    )


def _legend(series: Sequence[Series]) -> str:
    if len(series) < 2:
        return ""
    out, at = [], _LEFT
    for one in series:
        color = PALETTE[one.color]
        if one.style == "points":
            out.append(f"<circle cx='{at + 9:.0f}' cy='43' r='3.5' fill='{color}'/>")
        elif one.style == "band":
            out.append(
                f"<rect x='{at:.0f}' y='38' width='18' height='10' fill='{color}' "
                "fill-opacity='.25'/>"
            )
        else:
            dash = " stroke-dasharray='5 3'" if one.style == "dashed" else ""
            out.append(
                f"<line x1='{at:.0f}' y1='43' x2='{at + 18:.0f}' y2='43' stroke='{color}' "
                f"stroke-width='2.5'{dash}/>"
            )
        out.append(f"<text class='tick begin' x='{at + 24:.0f}' y='47'>{escape(one.name)}</text>")
        at += 40 + 6.6 * len(one.name)
    return "".join(out)


def ramp(share: npt.ArrayLike) -> list[str]:
    """Colours of a scale from dark to bright for shares 0..1, as ``#rrggbb``."""
    s = np.clip(np.nan_to_num(np.asarray(share, np.float64)).ravel(), 0.0, 1.0) * (len(_RAMP) - 1)
    stations = np.arange(len(_RAMP))
    rgb = np.stack([np.interp(s, stations, _RAMP[:, c]) for c in range(3)], 1).round().astype(int)
    return [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in rgb.tolist()]


def _map(plot: MapPlot) -> str:
    rows, columns = plot.values.shape
    width = 430.0
    high = width * plot.size[1] / plot.size[0]
    left, top = 20.0, 40.0
    low, most = float(plot.values.min()), float(plot.values.max())
    if most - low < 1e-9 * max(abs(most), 1.0):
        low, most = low - 0.5, most + 0.5
    share = (plot.values - low) / (most - low)
    out = [_head(plot.title, top + high + 20.0).replace(f"x='{_LEFT:g}' y='22'", "x='20' y='22'")]
    w, h = width / columns, high / rows
    for k, color in enumerate(ramp(share)):
        i, j = divmod(k, columns)
        out.append(
            f"<rect x='{left + j * w:.2f}' y='{top + i * h:.2f}' width='{w + 0.3:.2f}' "
            f"height='{h + 0.3:.2f}' fill='{color}' shape-rendering='crispEdges'/>"
        )
    points = (
        (0, 0), (0, columns - 1), (rows - 1, 0), (rows - 1, columns - 1), (rows // 2, columns // 2),
    )  # fmt: skip
    for i, j in points:
        x = min(max(left + (j + 0.5) * w, left + 26), left + width - 26)
        y = min(max(top + (i + 0.5) * h, top + 14), top + high - 8)
        ink = "#111" if share[i, j] > 0.6 else "#fff"
        out.append(
            f"<text class='on' x='{x:.1f}' y='{y + 4:.1f}' style='fill:{ink}'>"
            f"{number(round(float(plot.values[i, j]), plot.digits) + 0.0)}</text>"
        )
    bar = left + width + 22
    for k, color in enumerate(ramp(np.linspace(1, 0, 64))):
        out.append(
            f"<rect x='{bar:.1f}' y='{top + k * high / 64:.2f}' width='16' "
            f"height='{high / 64 + 0.3:.2f}' fill='{color}'/>"
        )
    for t in ticks(low, most, 5):
        at = top + (most - t) / (most - low) * high
        out.append(
            f"<line class='frame' x1='{bar + 16:.1f}' y1='{at:.1f}' x2='{bar + 21:.1f}' "
            f"y2='{at:.1f}'/><text class='tick begin' x='{bar + 25:.1f}' y='{at + 4:.1f}'>"
            f"{number(t)}</text>"
        )
    out.append(
        f"<text class='tick begin' x='{bar - 4:.1f}' y='{top - 10:.1f}'>{escape(plot.unit)}</text>"
    )
    return "".join(out) + "</svg>"


def _swatches(plot: Swatches) -> str:
    side = (_WIDTH - 40.0) / plot.columns
    rows = -(-len(plot.measured) // plot.columns)
    height = 40.0 + rows * (side + 18.0) + 8.0
    out = [_head(plot.title, height).replace(f"x='{_LEFT:g}' y='22'", "x='20' y='22'")]
    for k, (seen, wanted, words) in enumerate(
        zip(plot.measured, plot.published, plot.words, strict=True)
    ):
        i, j = divmod(k, plot.columns)
        x, y = 20.0 + j * side, 36.0 + i * (side + 18.0)
        out.append(
            f"<rect x='{x:.1f}' y='{y:.1f}' width='{side - 6:.1f}' height='{side - 6:.1f}' rx='4' "
            f"fill='{seen}'/><rect x='{x + 0.28 * side:.1f}' y='{y + 0.28 * side:.1f}' "
            f"width='{0.44 * side - 6:.1f}' height='{0.44 * side - 6:.1f}' fill='{wanted}'/>"
            f"<text class='tick' x='{x + 0.5 * side - 3:.1f}' y='{y + side + 8:.1f}'>"
            f"{escape(words)}</text>"
        )
    return "".join(out) + "</svg>"
