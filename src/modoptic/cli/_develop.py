"""``modoptic develop``: raws to finished pictures."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from modoptic.cli._arguments import Commands


def add(commands: Commands) -> None:
    parser = commands.add_parser(
        "develop",
        help="develop raws to JPEG",
        description="Develop Bayer DNGs (uncompressed, packed, lossless JPEG, JPEG XL), headerless "
        "raws with a sidecar TOML or the options below, and other makers' raws with the 'raw' "
        "extra. Each becomes a JPEG beside it, or where -o says; where a file of that name is "
        "already, NAME-1.jpg, NAME-2.jpg and so on, unless --overwrite is given.",
        epilog="examples:\n  modoptic develop *.dng -o finished/\n"
        "  modoptic develop frame.raw --width 768 --height 512 --cfa RGGB --bits 14 --black 600 "
        "--white-level 15520",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("-o", "--output", metavar="FILE|DIR", help="a JPEG, or a folder")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace JPEGs that are already there"
    )
    parser.add_argument("--ev", type=float, default=0.0, help="exposure in stops (0)")
    parser.add_argument(
        "--white",
        default="as shot",
        metavar="KELVIN|auto",
        help="white balance: as shot (default), auto, or a temperature such as 5600",
    )
    parser.add_argument("--quality", type=int, default=92, help="JPEG quality 1-100 (92)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    raw = parser.add_argument_group("headerless raws")
    raw.add_argument("--width", type=int)
    raw.add_argument("--height", type=int)
    raw.add_argument("--cfa", metavar="RGGB", help="RGGB, GRBG, GBRG or BGGR")
    raw.add_argument("--bits", type=int)
    raw.add_argument("--black", type=float)
    raw.add_argument("--white-level", type=int, dest="white_level")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    import json
    import sys
    import time

    import modoptic
    from modoptic.cli._progress import progress
    from modoptic.errors import FileError, ModopticError, SettingError
    from modoptic.isp import Develop
    from modoptic.photo import write_jpeg
    from modoptic.rawfile import read_raw

    if not 1 <= args.quality <= 100:
        raise SettingError("--quality", args.quality, "1 to 100")
    white: str | float = args.white
    if args.white not in ("as shot", "auto"):
        try:
            white = float(args.white)
        except ValueError:
            raise SettingError("--white", args.white, "'as shot', 'auto' or kelvin") from None
    Develop.of(exposure_ev=args.ev, white_balance=white)
    target = Path(args.output) if args.output else None
    to_folder = target is not None and (target.suffix.lower() not in (".jpg", ".jpeg"))
    if target is not None and not to_folder and len(args.files) > 1:
        raise SettingError("-o", args.output, "a folder, as there are several files")
    # neither what is read nor what was just written is ever replaced
    kept = {_place(Path(name)) for name in args.files}
    failed = 0
    for name in args.files:
        source = Path(name)
        start = time.perf_counter()
        try:
            raw = read_raw(
                source,
                width=args.width,
                height=args.height,
                cfa=args.cfa,
                bits=args.bits,
                black=args.black,
                white=args.white_level,
            )
            with progress(source.name, quiet=args.json) as report:
                rgb = modoptic.develop(
                    raw,
                    exposure_ev=args.ev,
                    white_balance=white,
                    progress=lambda fraction: report("developing", fraction),
                )
            wanted = source.with_suffix(".jpg")
            if target is not None:
                wanted = target / wanted.name if to_folder else target
            jpeg = _free(wanted, kept, overwrite=args.overwrite)
            write_jpeg(jpeg, rgb, raw.frame.meta, quality=args.quality)
        except ModopticError as error:
            # one bad file does not stop the others
            named = isinstance(error, FileError)
            print(f"modoptic: {error if named else f'{source}: {error}'}", file=sys.stderr)
            failed += 1
            continue
        kept.add(_place(jpeg))
        height, width = rgb.shape[:2]
        took = time.perf_counter() - start
        if args.json:
            print(
                json.dumps(
                    {
                        "file": name,
                        "jpeg": str(jpeg),
                        "width": width,
                        "height": height,
                        "seconds": round(took, 3),
                    }
                ),
                flush=True,
            )
        else:
            aside = "" if jpeg == wanted else f"; {wanted.name} was there already and is left"
            print(f"{source} -> {jpeg} ({width} x {height}, {took:.2f} s){aside}", flush=True)
    if failed and len(args.files) > 1:
        print(f"modoptic: {failed} of {len(args.files)} files were not developed", file=sys.stderr)
    return 1 if failed else 0


def _free(wanted: Path, kept: set[str], *, overwrite: bool) -> Path:
    """``wanted``, or the first of ``NAME-1``, ``NAME-2`` ... that is not there."""
    jpeg, number = wanted, 0
    while _place(jpeg) in kept or (not overwrite and os.path.lexists(jpeg)):
        number += 1
        jpeg = wanted.with_stem(f"{wanted.stem}-{number}")
    return jpeg


def _place(path: Path) -> str:
    """The same for each way to write a path."""
    return os.path.realpath(path)
