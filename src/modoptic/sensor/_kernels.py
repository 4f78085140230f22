"""Light to digital numbers to packed bytes, one band of rows at a time.

Random numbers are counter based: each photosite's is a hash of the frame's key, its row and its
column. So a band may be computed in any order, in any thread, and alone. Arithmetic goes by whole
segments of `SEGMENT` photosites that begin at a multiple of it, so that rounding, too, is the same
for any window.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit  # pyright: ignore[reportUnknownVariableType]

FloatArray = npt.NDArray[np.float32]
UInt8Array = npt.NDArray[np.uint8]
Int32Array = npt.NDArray[np.int32]
UInt16Array = npt.NDArray[np.uint16]

SEGMENT = 128
TABLE = 1 << 16
"""Deviates in a table; `SEGMENT` more repeat its beginning, so that no segment wraps."""
EXACT_BELOW_E = 64.0
"""Mean charges below this become whole Poisson numbers."""
ROWS_OF_WORK = 4

NO_NOISE, ALL_NOISE, SHOT_NOISE = 0, 1, 2


class Model(NamedTuple):
    """Figures of one frame. Electrons are those of the sum of a block of photosites."""

    noise: int
    """`NO_NOISE`, `ALL_NOISE`, or `SHOT_NOISE`: whole electrons and nothing else."""
    read_variance: np.float32
    """Temporal noise of the dark but for the rows', e-^2."""
    prnu: np.float32
    dsnu_dn: np.float32
    row_dn: np.float32
    """Standard deviation of what a whole row shares in one frame."""
    column_dn: np.float32
    """Of an offset of 1 in `Fixed.columns`."""
    well_e: np.float32
    bend: np.float32
    """A charge n is converted as n - bend n^2, per e-."""
    dn_per_electron: np.float32
    black_dn: np.float32
    """Half a DN included, for rounding."""
    white_dn: np.float32
    dark_e: np.float32
    seconds: np.float32


class Fixed(NamedTuple):
    """What stays from frame to frame: tables, the columns' offsets, and the hot photosites."""

    normal: FloatArray
    """`TABLE` + `SEGMENT` normal deviates, which PRNU and DSNU are taken from."""
    key: np.uint64
    """Of where in the table a segment's PRNU and DSNU begin."""
    columns: FloatArray
    """Offset of each column of the readout, a whole number of segments."""
    hot_x: npt.NDArray[np.int64]
    hot_y: npt.NDArray[np.int64]
    """Rising."""
    hot_rate: FloatArray
    """e-/s."""


class Place(NamedTuple):
    """Which rows of a frame are read, and where the frame lies on the sensor, in its own pixels."""

    first: int
    end: int
    x: int
    y: int
    key: np.uint64
    """Of the frame's noise."""
    bits: int
    """Of a packed value; 16: none is packed."""


def _jit(function: Callable[..., Any]) -> Callable[..., Any]:
    # Python's error model tests every division for zero, which keeps a loop from being vectorised
    options = {"nogil": True, "cache": True, "fastmath": True, "error_model": "numpy"}
    return njit(**options)(function)  # pyright: ignore


@_jit
def _mix(key: np.uint64, row: int, stream: int) -> np.uint64:
    """A key for a row, or a segment of it: SplitMix64 (Steele, Lea and Flood, OOPSLA 2014)."""
    z = key + np.uint64(row) * np.uint64(0x9E3779B97F4A7C15)
    z += np.uint64(stream) * np.uint64(0xD1B54A32D192ED03)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


_COUNT = 0x9E3779B1
_COUNTS = (np.arange(SEGMENT, dtype=np.uint64) * np.uint64(_COUNT)).astype(np.uint32)
"""What `_counted` grows by along a segment: loaded, as a product takes as long as half a hash."""


@_jit
def _counted(x: int, low: np.uint32) -> np.uint32:
    """The place x and half of a key, for `_hash`."""
    return np.uint32(np.uint32(np.uint32(x) * np.uint32(_COUNT)) + low)


@_jit
def _hash(counted: np.uint32, high: np.uint32) -> np.uint32:
    """32 random bits of what `_counted` gives and the other half of a key of 64 bit.

    The multipliers and shifts are Wellons' ``lowbias32`` (2018); half of the key enters before and
    half within, so that no two keys give shifted copies of one sequence.
    """
    h = np.uint32(np.uint32(counted ^ (counted >> np.uint32(16))) * np.uint32(0x7FEB352D))
    h = np.uint32(np.uint32(h ^ (h >> np.uint32(15))) + high)
    h = np.uint32(h * np.uint32(0x846CA68B))
    return np.uint32(h ^ (h >> np.uint32(16)))


@_jit
def _normals(key: np.uint64, x: int, work: FloatArray, bits: Int32Array, z: FloatArray) -> None:
    """Normal deviates of the photosites x .. x + SEGMENT of a row, up to 5.7 sigma.

    ``work``: scratch; ``bits``: its first row as whole numbers.

    Box and Muller, Ann. Math. Stat. 29 (1958) 610: two uniform numbers make two deviates; they go
    to photosites half a segment apart. The logarithm (to 3e-7 of a binary digit), sine and cosine
    (to 6e-7) are polynomials, which a compiler can work on in parallel.
    """
    low, high = np.uint32(key & np.uint64(0xFFFFFFFF)), np.uint32(key >> np.uint64(32))
    half = SEGMENT // 2
    first, second = _counted(x, low), _counted(x + half, low)
    radius, turn, exponent, side = work[0], work[1], work[2], work[3]
    for i in range(half):
        a = _hash(np.uint32(first + _COUNTS[i]), high)
        b = _hash(np.uint32(second + _COUNTS[i]), high)
        radius[i] = np.float32(np.int32(a >> np.uint32(8))) + np.float32(1)  # 1 .. 2^24
        # an angle within half a turn, and which half
        turn[i] = np.float32(np.int32(b)) * np.float32(2.0**-31)
        side[i] = np.float32(1) - np.float32(2) * np.float32(np.int32(a & np.uint32(1)))
    for i in range(half):
        exponent[i] = np.float32((bits[i] >> np.int32(23)) - np.int32(127 + 24))
        bits[i] = (bits[i] & np.int32(0x7FFFFF)) | np.int32(0x3F800000)
    for i in range(half):
        m = radius[i] - np.float32(1)
        log2 = np.float32(-0.07684872596679737) + m * np.float32(0.014778720765915002)
        log2 = np.float32(0.19042083139219323) + m * log2
        log2 = np.float32(-0.3231159351303951) + m * log2
        log2 = np.float32(0.47249952519073063) + m * log2
        log2 = np.float32(-0.7203866119437706) + m * log2
        log2 = np.float32(1.4426521110421744) + m * log2
        log2 = exponent[i] + np.float32(3.2e-7) + m * log2
        r = np.sqrt(max(log2 * np.float32(-2.0 * math.log(2.0)), np.float32(1e-12)))
        t = turn[i]
        q = t * t
        sine = np.float32(0.07943397083919872) + q * np.float32(-0.004332881653896265)
        sine = np.float32(-0.6458926627270264) + q * sine
        sine = np.float32(1.5707909877369937) + q * sine
        cosine = np.float32(-0.02081057137625999) + q * np.float32(0.0008581625433478208)
        cosine = np.float32(0.253650709553911) + q * cosine
        cosine = np.float32(-1.2336982077) + q * cosine
        cosine = np.float32(1) + q * cosine
        z[i] = r * sine * t
        z[half + i] = r * side[i] * cosine


@_jit
def _poisson(key: np.uint64, x: int, mean: FloatArray, work: FloatArray, count: FloatArray) -> None:
    """Poisson numbers of ``mean`` below `EXACT_BELOW_E`, 0 where it is more, by inversion.

    The number is how many of the sums of e^-m m^k / k! a uniform number reaches (Devroye,
    Non-Uniform Random Variate Generation, 1986, X.3.3). All of a segment at once in single
    precision; the few in the last 2^-14 of the distribution, where its sums round, again one by one
    in double.
    """
    low, high = np.uint32(key & np.uint64(0xFFFFFFFF)), np.uint32(key >> np.uint64(32))
    first = _counted(x, low)
    zero, one, exact = np.float32(0), np.float32(1), np.float32(EXACT_BELOW_E)
    uniform, term, total, dark = work[0], work[1], work[2], work[3]
    last = np.float32(1.0 - 2.0**-14)
    largest, late = np.int32(0), np.int32(0)
    for i in range(SEGMENT):
        h = _hash(np.uint32(first + _COUNTS[i]), high)
        u = np.float32(np.int32(h >> np.uint32(8))) * np.float32(2.0**-24)
        m = mean[i] if mean[i] < exact else zero
        uniform[i], dark[i] = u, m
        whole = np.int32(m)
        largest = whole if whole > largest else largest
        late += np.int32(u >= last)
        # e^-m: the series about the middle of 0 .. 1 for a 64th of the exponent, squared six times
        t = np.float32(1 / 2) - np.float32(1 / 64) * m
        e = np.float32(1 / 720) + t * np.float32(1 / 5040)
        e = np.float32(1 / 120) + t * e
        e = np.float32(1 / 24) + t * e
        e = np.float32(1 / 6) + t * e
        e = np.float32(1 / 2) + t * e
        e = one + t * (one + t * e)
        e *= np.float32(math.exp(-0.5))
        for _ in range(6):
            e = e * e
        term[i], total[i], count[i] = e, e, zero
    # beyond 4.2 sigma and 5 more lies less than 2^-14
    bound = np.float32(largest + 1)
    steps = int(bound + np.float32(4.2) * np.sqrt(bound) + np.float32(5))
    for k in range(1, steps, 4):
        f0, f1 = one / np.float32(k), one / np.float32(k + 1)
        f2, f3 = one / np.float32(k + 2), one / np.float32(k + 3)
        for i in range(SEGMENT):
            u, m, p, below = uniform[i], dark[i], term[i], total[i]
            n = one if u >= below else zero
            p *= m * f0
            below += p
            n += one if u >= below else zero
            p *= m * f1
            below += p
            n += one if u >= below else zero
            p *= m * f2
            below += p
            n += one if u >= below else zero
            p *= m * f3
            below += p
            count[i] += n
            term[i], total[i] = p, below
    if late > 0:
        for i in range(SEGMENT):
            if uniform[i] >= last and dark[i] > zero:
                h = _hash(np.uint32(first + _COUNTS[i]), high)
                u = (np.float64(h) + 0.5) * 2.0**-32
                p = math.exp(-np.float64(dark[i]))
                below, n = p, 0
                while u >= below and n < 256:
                    n += 1
                    p *= np.float64(dark[i]) / n
                    below += p
                count[i] = np.float32(n)


@_jit
def _digitise(
    charge: FloatArray,
    x: int,
    row: int,
    key: np.uint64,
    model: Model,
    fixed: Fixed,
    work: FloatArray,
    bits: Int32Array,
    values: UInt16Array,
) -> None:
    """Mean charges in e- to DN for a row of whole segments, the first of which begins at x.

    From `EXACT_BELOW_E` on, the charge and its read noise are drawn as one: a Poisson number of
    mean m plus a normal one of variance r^2 has cumulants m, V = m + r^2, m, m. From a normal z it
    is m + sqrt(V) w, w = z + g (z^2 - 1) / 6 + k (z^3 - 3 z) / 24 - g^2 (2 z^3 - 5 z) / 36 with
    skew g = m / V^1.5 and excess k = m / V^2 (Cornish and Fisher 1938). Read noise of half an
    electron or more hides that real charges are whole.
    """
    zero, one = np.float32(0), np.float32(1)
    exact = np.float32(EXACT_BELOW_E)
    mean, electrons = np.empty(SEGMENT, np.float32), np.empty(SEGMENT, np.float32)
    z, counts = np.empty(SEGMENT, np.float32), np.empty(SEGMENT, np.float32)
    # whole electrons are a rounded number, and rounding adds 1/12
    variance = np.float32(1.0 / 12.0) if model.noise == SHOT_NOISE else model.read_variance
    read = np.sqrt(model.read_variance)
    shared = model.black_dn
    if model.noise == ALL_NOISE and model.row_dn > zero:
        _normals(_mix(key, row, 3), 0, work, bits, z)
        shared += model.row_dn * z[0]
    noise, poisson = _mix(key, row, 1), _mix(key, row, 2)
    for segment in range(charge.size // SEGMENT):
        here = segment * SEGMENT
        at = (x + here) // SEGMENT
        # slices, not sums of indices: the whole kernel is three times as fast so
        pattern = _mix(fixed.key, row, at)
        gains = fixed.normal[np.int64(pattern & np.uint64(TABLE - 1)) :]
        offsets = fixed.normal[np.int64((pattern >> np.uint64(32)) & np.uint64(TABLE - 1)) :]
        columns = fixed.columns[x + here :]
        light, dns = charge[here:], values[here:]
        dark = np.int32(0)  # sums of whole numbers are vectorised, least values are not
        for i in range(SEGMENT):
            m = light[i] * (one + model.prnu * gains[i]) + model.dark_e
            mean[i] = m
            dark += np.int32(m < exact)
        if model.noise == NO_NOISE:
            for i in range(SEGMENT):
                electrons[i] = mean[i]
        else:
            _normals(noise, x + here, work, bits, z)
            for i in range(SEGMENT):
                m, n = max(mean[i], one), z[i]
                v = m + variance
                r = one / np.sqrt(v)
                g = m * r * r
                square = n * n
                skew = g * (square - one) * np.float32(1 / 6)
                excess = square * (np.float32(1 / 24) - g * np.float32(1 / 18))
                excess = g * r * n * (excess - np.float32(1 / 8) + g * np.float32(5 / 36))
                electrons[i] = mean[i] + v * r * n + skew + excess
            if model.noise == SHOT_NOISE:
                for i in range(SEGMENT):
                    electrons[i] = np.floor(electrons[i] + np.float32(0.5))
            if dark > 0:
                _poisson(poisson, x + here, mean, work, counts)
                for i in range(SEGMENT):
                    few = counts[i] + read * z[i]
                    electrons[i] = few if mean[i] < exact else electrons[i]
        for i in range(SEGMENT):
            e = min(electrons[i], model.well_e)
            dn = (e - model.bend * e * e) * model.dn_per_electron + shared
            dn += model.dsnu_dn * offsets[i] + model.column_dn * columns[i]
            dns[i] = np.uint16(np.int32(max(zero, min(dn, model.white_dn))))


@_jit
def _add_hot(
    charge: FloatArray, skip: int, width: int, row: int, place: Place, model: Model, fixed: Fixed
) -> None:
    """Charge of the hot photosites of an absolute row."""
    k = np.searchsorted(fixed.hot_y, row)
    while k < fixed.hot_y.size and fixed.hot_y[k] == row:
        i = fixed.hot_x[k] - place.x
        if 0 <= i < width:
            charge[skip + i] += fixed.hot_rate[k] * model.seconds
        k += 1


@_jit
def _pack(values: UInt16Array, bits: int, out: UInt8Array) -> None:
    """A row to PFNC ``12p`` or ``14p``: the loops of `modoptic.pixels`, which has the tests.

    With 16 ``bits`` as it is.
    """
    if bits == 16:
        out.view(np.uint16)[:] = values
    elif bits == 12:
        low, nibble, four, eight = np.uint16(0xFF), np.uint16(0x0F), np.uint16(4), np.uint16(8)
        for i in range(values.size // 2):
            a, b = values[2 * i], values[2 * i + 1]
            out[3 * i] = np.uint8(a & low)
            out[3 * i + 1] = np.uint8(
                np.uint16((a >> eight) & nibble) | np.uint16((b & nibble) << four)
            )
            out[3 * i + 2] = np.uint8((b >> four) & low)
    else:
        for i in range(values.size // 4):
            p = np.uint32(values[4 * i])
            q = np.uint32(values[4 * i + 1])
            r = np.uint32(values[4 * i + 2])
            s = np.uint32(values[4 * i + 3])
            out[7 * i] = np.uint8(p & 0xFF)
            out[7 * i + 1] = np.uint8((p >> 8) | ((q & 0x03) << 6))
            out[7 * i + 2] = np.uint8((q >> 2) & 0xFF)
            out[7 * i + 3] = np.uint8((q >> 10) | ((r & 0x0F) << 4))
            out[7 * i + 4] = np.uint8((r >> 4) & 0xFF)
            out[7 * i + 5] = np.uint8((r >> 12) | ((s & 0x3F) << 2))
            out[7 * i + 6] = np.uint8(s >> 6)


@_jit
def _between(
    above: FloatArray, below: FloatArray, part: float, factor: float, line: FloatArray
) -> None:
    """A row between two rows, times ``factor``; one value more at each end."""
    a, b = np.float32((1.0 - part) * factor), np.float32(part * factor)
    middle = line[1:]
    for i in range(above.size):
        middle[i] = a * above[i] + b * below[i]
    line[0], line[above.size + 1] = line[1], line[above.size]


@_jit
def _finish(
    charge: FloatArray,
    skip: int,
    width: int,
    y: int,
    place: Place,
    model: Model,
    fixed: Fixed,
    work: FloatArray,
    bits: Int32Array,
    values: UInt16Array,
    out: UInt8Array,
) -> None:
    """Mean charges of row y of a frame, from place ``skip`` of ``charge`` on, to packed bytes."""
    row = place.y + y
    _add_hot(charge, skip, width, row, place, model, fixed)
    _digitise(charge, place.x - skip, row, place.key, model, fixed, work, bits, values)
    _pack(values[skip : skip + width], place.bits, out[y])


@_jit
def _scratch(width: int, x: int) -> tuple[int, FloatArray, UInt16Array, FloatArray, Int32Array]:
    """Places before the first pixel of a row, and rows of whole segments to work in."""
    skip = x % SEGMENT
    padded = (skip + width + SEGMENT - 1) // SEGMENT * SEGMENT
    work = np.empty((ROWS_OF_WORK, SEGMENT), np.float32)
    return (
        skip,
        np.zeros(padded, np.float32),
        np.empty(padded, np.uint16),
        work,
        work[0].view(np.int32),  # a view within a loop over segments would take as long as they do
    )


@_jit
def read_preview(
    light: FloatArray,
    planes: npt.NDArray[np.int64],
    factors: FloatArray,
    side: int,
    shift: float,
    place: Place,
    model: Model,
    fixed: Fixed,
    out: UInt8Array,
) -> None:
    """Rows of a mosaic from ``light`` (3, h, w), whose samples lie in the middle of cells.

    A cell is ``side`` x ``side`` pixels, 2 or 4; each pixel sees the light of its own place,
    between four samples: one of the whole cell would shift red against blue. Even pixels lie
    ``shift`` pixels right of and below an even lattice, odd ones left and above. ``planes`` (2, 2)
    and ``factors`` (2, 2): channel and electrons per unit of light by position; ``out`` (rows, row
    bytes).
    """
    cells = light.shape[2]
    width = side * cells
    skip, row, values, work, bits = _scratch(width, place.x)
    charge = row[skip:]
    left, right = np.empty(cells + 2, np.float32), np.empty(cells + 2, np.float32)
    inner, outer = np.float32(0.125 + shift / 4), np.float32(0.375 - shift / 4)
    quarter = np.float32(0.25 - shift / 2)
    for y in range(place.first, place.end):
        at = (y + 0.5 + (shift if y & 1 == 0 else -shift)) / side - 0.5
        above = math.floor(at)
        part = at - above
        below = min(above + 1, light.shape[1] - 1)
        above = max(above, 0)
        for k, line in enumerate((left, right)):
            plane = light[planes[y & 1, k]]
            _between(plane[above], plane[below], part, factors[y & 1, k], line)
        before, here, after = left, left[1:], right[2:]
        there = right[1:]
        if side == 4:
            behind, ahead = right, left[2:]
            for i in range(cells):
                charge[4 * i] = here[i] + outer * (before[i] - here[i])
                charge[4 * i + 1] = there[i] + inner * (behind[i] - there[i])
                charge[4 * i + 2] = here[i] + inner * (ahead[i] - here[i])
                charge[4 * i + 3] = there[i] + outer * (after[i] - there[i])
        else:
            for i in range(cells):
                charge[2 * i] = here[i] + quarter * (before[i] - here[i])
                charge[2 * i + 1] = there[i] + quarter * (after[i] - there[i])
        _finish(row, skip, width, y, place, model, fixed, work, bits, values, out)


@_jit
def _along(factors: FloatArray, width: int) -> FloatArray:
    """Rows of factors that repeat, (n, width)."""
    count = factors.shape[0]
    out = np.empty((count, width), np.float32)
    for y in range(count):
        for i in range(width):
            out[y, i] = factors[y, i % count]
    return out


@_jit
def read_map(
    light: FloatArray,
    factors: FloatArray,
    place: Place,
    model: Model,
    fixed: Fixed,
    out: UInt8Array,
) -> None:
    """Rows of a mosaic from ``light`` (h, w) in electrons a second, one value a photosite.

    ``factors`` (n, n) repeat over the mosaic.
    """
    width = light.shape[1]
    skip, row, values, work, bits = _scratch(width, place.x)
    charge = row[skip:]
    along = _along(factors, width)
    for y in range(place.first, place.end):
        line, factor = light[y], along[y % factors.shape[0]]
        for i in range(width):
            charge[i] = line[i] * factor[i]
        _finish(row, skip, width, y, place, model, fixed, work, bits, values, out)


@_jit
def read_compact(
    light: UInt16Array,
    factors: FloatArray,
    place: Place,
    model: Model,
    fixed: Fixed,
    out: UInt8Array,
) -> None:
    """The same from ``light`` (h, w) as square roots, see `compact`."""
    width = light.shape[1]
    skip, row, values, work, bits = _scratch(width, place.x)
    charge = row[skip:]
    along = _along(factors, width)
    for y in range(place.first, place.end):
        line, factor = light[y], along[y % factors.shape[0]]
        for i in range(width):
            root = np.float32(line[i])
            charge[i] = root * root * factor[i]
        _finish(row, skip, width, y, place, model, fixed, work, bits, values, out)


@_jit
def compact(light: FloatArray, per_code: np.float32, out: UInt16Array) -> None:
    """``out = round(sqrt(light) / per_code)``, at most 65535, over a band of rows."""
    scale, top, half = np.float32(1) / per_code, np.float32(65535), np.float32(0.5)
    for y in range(light.shape[0]):
        for x in range(light.shape[1]):
            root = np.sqrt(max(light[y, x], np.float32(0))) * scale + half
            out[y, x] = np.uint16(np.int32(min(root, top)))
