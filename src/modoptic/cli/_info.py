"""``modoptic info``: what a raw or a photo says of itself."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from modoptic.cli._arguments import Commands

if TYPE_CHECKING:
    from modoptic.frame import FrameMeta


def add(commands: Commands) -> None:
    parser = commands.add_parser(
        "info",
        help="show what a raw or a photo says of itself",
        description="Show size, levels, colour and exposure of raws, and of photos that "
        "modoptic made.",
    )
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    import json
    import sys

    from modoptic.errors import FileError, ModopticError

    failed = 0
    for path in args.files:
        try:
            meta = _meta_of(path)
        except ModopticError as error:
            # one bad file does not stop the others
            named = isinstance(error, FileError)
            print(f"modoptic: {error if named else f'{path}: {error}'}", file=sys.stderr)
            failed += 1
            continue
        if args.json:
            print(json.dumps({"file": path, **_fields(meta)}, allow_nan=False))
            continue
        print(path)
        settings = meta.settings
        rows = {
            "camera": f"{meta.make} {meta.model}".strip(),
            "lens": meta.lens_model,
            "taken": meta.taken,
            "size": f"{meta.width} x {meta.height} ({meta.width * meta.height / 1e6:.1f} MP)",
            "pattern": " / ".join(meta.cfa) + (" (remosaiced)" if meta.remosaiced else ""),
            "levels": f"black {', '.join(f'{b:g}' for b in meta.black_level)}, "
            f"white {meta.white_level}",
            "exposure": f"{exposure_text(settings.exposure_s)} s, f/{settings.f_number:g}, "
            f"ISO {meta.iso:g}",
            "focus": f"{settings.focus_distance_m:g} m",
            "neutral": ", ".join(f"{v:.4f}" for v in meta.as_shot_neutral or ()),
        }
        for name, value in rows.items():
            if value:
                print(f"  {name:9} {value}")
    return 1 if failed else 0


def _fields(meta: FrameMeta) -> dict[str, Any]:
    """All fields, also those at their default."""
    import msgspec

    return {name: _json_ready(value) for name, value in msgspec.structs.asdict(meta).items()}


def _json_ready(value: object) -> Any:
    """What is not finite as None and bytes as hex, which JSON lacks."""
    import msgspec

    if isinstance(value, msgspec.Struct):
        value = msgspec.structs.asdict(value)
    if isinstance(value, dict):
        return {
            str(key): _json_ready(item) for key, item in cast(dict[object, object], value).items()
        }
    if isinstance(value, list | tuple):
        return [_json_ready(item) for item in cast(list[object], value)]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value.hex() if isinstance(value, bytes) else value


def _meta_of(path: str) -> FrameMeta:
    """Of a raw, or of a photo that modoptic made.

    Raises
    ------
    FileError : neither
    """
    from modoptic.errors import PictureError
    from modoptic.photo import meta_of
    from modoptic.rawfile import read_raw

    if Path(path).suffix.lower() not in (".jpg", ".jpeg"):
        return read_raw(path).frame.meta
    meta = meta_of(Path(path))
    if meta is None:
        raise PictureError(path, "is a JPEG that modoptic did not make; exiftool shows its EXIF")
    return meta


def exposure_text(value_s: float) -> str:
    """``1/60`` or ``2.5``, as photographers write it."""
    return f"1/{1 / value_s:.0f}" if 0 < value_s < 0.3 else f"{value_s:g}"
