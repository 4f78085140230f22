"""What travels through the corridor: a frame and what is known about it."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Any, Literal, cast

import msgspec
import numpy as np
import numpy.typing as npt

from modoptic import pixels
from modoptic.calibration import check_matrix
from modoptic.errors import DetachedError, ProtocolError, SettingError

Readout = Literal["full", "bin2", "bin4", "native"]
"""``full``: every photosite, as a Bayer mosaic. ``bin2``, ``bin4``: 2x2 or 4x4 photosites of one
colour become one. ``native``: every photosite under its own filter, where those are no Bayer
mosaic."""

UInt16Image = npt.NDArray[np.uint16]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What makes one exposure. What is in force may differ from what was asked."""

    exposure_s: float = 1 / 60
    gain: float = 1.0
    """Analogue gain, linear; ISO = base ISO of the camera * gain."""
    f_number: float = 2.8
    focus_distance_m: float = math.inf
    """From the sensor plane, as engraved on lenses; ``inf`` is infinity."""
    readout: Readout = "bin4"
    region: tuple[int, int, int, int] | None = None
    """(x, y, width, height) in photosites of the full array, even numbers; None = all of it.
    Width a multiple of 4 times the binning."""
    bits: Literal[12, 14] = 12


class NoiseModel(msgspec.Struct, frozen=True, kw_only=True):
    """Variance = scale * signal + offset, signal 0..1 from black to white (DNG NoiseProfile)."""

    scale: float = 0.0
    offset: float = 0.0


class FrameMeta(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known about a frame. Travels as a MessagePack map; see `encode_meta`.

    Fields that this version does not know are kept in ``extra`` and put back when it is encoded.
    """

    version: int = 1
    module_id: str = ""
    """The unit that took it: model and serial number."""
    boot_id: str = ""
    """New each time the module powers up."""
    session: int = 0
    frame_id: int = 0
    """Rises by one for each exposure since boot."""
    request_id: int = 0
    """The request this frame answers."""
    make: str = ""
    model: str = ""
    serial: str = ""
    lens_model: str = ""
    sensor_time_ns: int = 0
    """Start of the exposure of row 0, in the module's clock."""
    readout_end_ns: int = 0
    """When the last row had been read, in the module's clock."""
    row_time_ns: int = 0
    settings: Settings = Settings()
    """In force during the exposure."""
    iso: float = 100.0
    focal_length_mm: float = 0.0
    focal_length_35mm: float = 0.0
    width: int = 0
    """Of this frame, in its own pixels."""
    height: int = 0
    pixel_format: str = "BayerRG12p"
    """PFNC name; ``BayerRG12p`` and so on. Tells how the data lies, and the bit depth."""
    cfa: tuple[str, ...] = ("RG", "GB")
    """The repeating colour pattern, row by row: 2 x 2 or 4 x 4."""
    remosaiced: bool = False
    """The camera made a Bayer mosaic of one of another pattern: most values are interpolated."""
    centroid_shift: float = 0.0
    """How far pixels of even rows and columns lie below and right of an even lattice, and odd ones
    above and left, in pixels: 0.25 where pairs of one colour, two apart, are averaged."""
    black_level: tuple[float, ...] = (0.0,)
    """One value, or one for each position of ``cfa`` in reading order, in DN."""
    white_level: int = 4095
    """DN at which a photosite is saturated."""
    noise: NoiseModel = NoiseModel()
    orientation: int = 1
    """EXIF code: 1 upright, 6 turned clockwise by 90 degrees, 3, 8."""
    temperature_c: float = 25.0
    calibration: str = ""
    """Digest of the calibration that belongs to this frame."""
    as_shot_neutral: tuple[float, float, float] | None = None
    """Camera RGB of what shall look neutral, green 1 (DNG AsShotNeutral); set by the phone."""
    color_matrix: tuple[tuple[float, ...], ...] | None = None
    """XYZ to camera RGB, where a file brought one and no calibration is known."""
    software: str = ""
    taken: str = ""
    """Local date and time with offset, ISO 8601; set by the phone."""
    extra: dict[str, Any] = {}
    """Fields unknown to this version, as they came; those within ``settings`` and ``noise`` lie in
    maps of these names."""


_PARTS: dict[str, frozenset[str]] = {
    "settings": frozenset(Settings.__struct_fields__),
    "noise": frozenset(NoiseModel.__struct_fields__),
}
"""Fields that are maps themselves, and what is known in them."""
_KNOWN = frozenset(FrameMeta.__struct_fields__) - {"extra", *_PARTS}
_MAX_META = 64 * 1024


def encode_meta(meta: FrameMeta) -> bytes:
    """``meta`` as a MessagePack map, with the fields of ``extra`` back in their places."""
    fields = dict(meta.extra)
    known = msgspec.to_builtins(msgspec.structs.replace(meta, extra={}), builtin_types=(bytes,))
    for name, value in known.items():
        kept = meta.extra.get(name)
        fields[name] = {**kept, **value} if name in _PARTS and isinstance(kept, dict) else value
    return msgspec.msgpack.encode(fields)


def decode_meta(data: bytes | memoryview) -> FrameMeta:
    """The `FrameMeta` in ``data``. That its values make sense is for `check_meta` to say.

    Raises
    ------
    ProtocolError : not a map, too large, a known field of another type, or an unknown one that
        holds more than nil, booleans, numbers, text, bytes, arrays and maps of these
    """
    if len(data) > _MAX_META:
        raise ProtocolError(f"frame metadata of {len(data)} bytes; at most {_MAX_META} are read")
    try:
        fields = msgspec.msgpack.decode(data, type=dict[str, Any])
        known = {name: fields.pop(name) for name in fields.keys() & _KNOWN}
        for name in fields.keys() & _PARTS.keys():
            part = msgspec.convert(fields.pop(name), dict[str, Any])
            known[name] = {key: part.pop(key) for key in part.keys() & _PARTS[name]}
            if part:
                fields[name] = part
        _check_plain(fields)
        return msgspec.convert({**known, "extra": fields}, FrameMeta)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"frame metadata cannot be read: {error}") from error


def _check_plain(value: object) -> None:
    """Raise `ProtocolError` for what cannot be put back, such as MessagePack's extension types."""
    if isinstance(value, dict):
        for key, item in cast(dict[object, object], value).items():
            _check_plain(key)
            _check_plain(item)
    elif isinstance(value, list | tuple):
        for item in cast(list[object], value):
            _check_plain(item)
    elif not isinstance(value, str | bytes | int | float | None):
        raise ProtocolError(
            f"frame metadata holds a {type(value).__name__} in a field that this version does not "
            "know; expected nil, booleans, numbers, text, bytes, arrays and maps"
        )


def check_meta(meta: FrameMeta) -> None:
    """Raise `SettingError` for a value that no frame has; 0 stands for what is not known.

    Metadata arrive over the link and in files of strangers; behind this check their numbers are
    used in kernels and as divisors without another look.
    """
    settings = meta.settings
    for feature, value, low, high in (
        ("frame width", meta.width, 0, 65535),
        ("frame height", meta.height, 0, 65535),
        ("exposure", settings.exposure_s, 0, 1e6),
        ("gain", settings.gain, 0, 1e6),
        ("f-number", settings.f_number, 0, 1e4),
        ("ISO", meta.iso, 0, 1e9),
        ("focal length", meta.focal_length_mm, 0, 1e6),
        ("focal length at 35 mm", meta.focal_length_35mm, 0, 1e6),
        ("white level", meta.white_level, 1, 65535),
        ("noise scale", meta.noise.scale, 0, 1e3),
        ("noise offset", meta.noise.offset, 0, 1e3),
        ("orientation", meta.orientation, 1, 8),
        ("temperature", meta.temperature_c, -300, 1e4),
        ("centroid shift", meta.centroid_shift, -0.5, 0.5),
        *(("black level", level, 0, meta.white_level - 1e-6) for level in meta.black_level),
        *(("neutral", part, 1e-6, 1e6) for part in meta.as_shot_neutral or ()),
    ):
        if not low <= value <= high:  # written so that NaN fails
            raise SettingError(feature, value, f"{low:g} to {high:g}", "frame metadata")
    if settings.focus_distance_m != math.inf and not 0 <= settings.focus_distance_m <= 1e9:
        raise SettingError(
            "focus distance", settings.focus_distance_m, "0 to 1e+09, or inf", "frame metadata"
        )
    if settings.region is not None and not all(0 <= v <= 65535 for v in settings.region):
        raise SettingError("region", settings.region, "numbers from 0 to 65535", "frame metadata")
    sides = {len(row) for row in meta.cfa}
    if not 1 <= len(meta.cfa) <= 8 or len(sides) != 1 or not 1 <= min(sides) <= 8:
        raise SettingError("CFA", meta.cfa, "rows of one length, such as RG, GB", "frame metadata")
    if len(meta.black_level) not in (1, len(meta.cfa) * min(sides)):
        raise SettingError(
            "black level", meta.black_level, "one value, or one for each of CFA", "frame metadata"
        )
    if meta.color_matrix is not None:
        check_matrix("colour matrix", meta.color_matrix, "frame metadata")


class Frame:
    """Pixels as they came and what is known about them.

    Rows become valid from the top, as they arrive and are checked. A frame that stopped half way is
    the same type with fewer rows.

    Parameters
    ----------
    meta : size and format are taken from here
    data : packed bytes of ``meta.pixel_format``, rows without padding; the frame keeps a view and
        does not copy. Whoever made the frame owns the memory and says how long it may be read.
    rows_valid : rows that may be read already
    release : called by `release` when the reader gives the memory back
    """

    def __init__(
        self,
        meta: FrameMeta,
        data: memoryview | bytes | npt.NDArray[np.generic],
        *,
        rows_valid: int | None = None,
        release: Callable[[], None] | None = None,
    ) -> None:
        self.meta = meta
        self.format = pixels.pixel_format(meta.pixel_format)
        self.row_bytes = self.format.row_bytes(meta.width)
        view = memoryview(cast(memoryview, data)).cast("B")
        raw = np.frombuffer(view, dtype=np.uint8)
        if raw.size < self.row_bytes * meta.height:
            raise SettingError(
                "frame data", f"{raw.size} bytes", f"{self.row_bytes * meta.height} bytes"
            )
        self.data = raw[: self.row_bytes * meta.height]
        self._rows = meta.height if rows_valid is None else rows_valid
        self._failed: str | None = None
        self._changed = threading.Condition()
        self._release = release

    @property
    def height(self) -> int:
        return self.meta.height

    @property
    def width(self) -> int:
        return self.meta.width

    @property
    def rows_valid(self) -> int:
        """Count of leading rows that have arrived and were checked. Only rises."""
        return self._rows

    @property
    def complete(self) -> bool:
        return self._rows >= self.meta.height

    @property
    def failed(self) -> str | None:
        """Why no more rows will come, or None."""
        return self._failed

    def rows_arrived(self, rows: int) -> None:
        """Say that the first ``rows`` rows are valid. For the owner of the memory."""
        with self._changed:
            self._rows = max(self._rows, min(rows, self.meta.height))
            self._changed.notify_all()

    def fail(self, reason: str) -> None:
        """Say that no more rows will come. For the owner of the memory."""
        with self._changed:
            self._failed = reason
            self._changed.notify_all()

    def wait_rows(self, rows: int, timeout_s: float = 60.0) -> int:
        """Wait until ``rows`` rows are valid and return how many are.

        Raises
        ------
        DetachedError : no more rows will come, or none came within ``timeout_s``
        """
        rows = min(rows, self.meta.height)
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while self._rows < rows:
                if self._failed is not None:
                    raise DetachedError(self._failed)
                left = deadline - time.monotonic()
                if left <= 0:
                    raise DetachedError(
                        f"frame {self.meta.frame_id}: {self._rows} of {self.meta.height} rows "
                        f"arrived, then none for {timeout_s:g} s"
                    )
                self._changed.wait(left)
            return self._rows

    def mosaic(self, first: int = 0, end: int | None = None) -> UInt16Image:
        """Rows ``first <= row < end`` as uint16, shape ``(rows, width)``, values in DN.

        A view where the format is 16 bit, else a new array. Rows must be valid (see `wait_rows`).
        """
        end = self._rows if end is None else end
        if not 0 <= first <= end <= self._rows:
            raise SettingError("rows", (first, end), f"within the {self._rows} valid rows")
        span = self.data[first * self.row_bytes : end * self.row_bytes]
        return pixels.unpack(span, self.format, end - first, self.meta.width)

    def release(self) -> None:
        """Give the memory back to its owner; the frame must not be read after that."""
        if self._release is not None:
            give_back, self._release = self._release, None
            give_back()
