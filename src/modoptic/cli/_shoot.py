"""``modoptic shoot``: one photo with the simulated module, from the command line."""

from __future__ import annotations

import argparse
import math

from modoptic.cli._arguments import Commands, add_scene, distance, hand, seconds


def add(commands: Commands) -> None:
    parser = commands.add_parser(
        "shoot",
        help="take one photo and save it as DNG or JPEG",
        description="Take one photo with the simulated module. "
        "Exposure is metered unless it is given.",
        epilog="example:\n"
        "  modoptic shoot --aperture 2 --focus 2.4 --scene motorcycle -o photo.dng",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "-o",
        "--output",
        action="append",
        metavar="FILE",
        help="photo.dng or photo.jpg; may be given twice (default: photo.dng)",
    )
    parser.add_argument(
        "--aperture",
        type=float,
        metavar="N",
        help="f-number (default: 2.8, or the nearest that the camera has)",
    )
    parser.add_argument(
        "--focus",
        type=distance,
        metavar="M",
        help="metres, or inf (default: 1, or the nearest that the camera has)",
    )
    parser.add_argument("--exposure", type=seconds, metavar="S", help="shutter, e.g. 1/125")
    parser.add_argument("--iso", type=float, help="sensitivity, e.g. 200")
    parser.add_argument(
        "--size",
        choices=("default", "full", "finder", "native"),
        default="default",
        help="default: 2x2 binned, 25 MP; full: every photosite, 100 MP; finder: 4x4 binned; "
        "native: every photosite as it lies",
    )
    parser.add_argument(
        "--bits", type=int, choices=(12, 14), help="depth of the raw, where the camera has it"
    )
    parser.add_argument(
        "--compression",
        choices=("jpeg", "jpegxl", "none"),
        default="jpeg",
        help="of a DNG: lossless JPEG (default), lossless JPEG XL, or none",
    )
    add_scene(parser)
    parser.add_argument("--json", action="store_true", help="print what was taken as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    import json
    import time
    from pathlib import Path

    import modoptic
    from modoptic.cli._info import exposure_text
    from modoptic.cli._progress import progress

    outputs = [Path(name) for name in args.output or ["photo.dng"]]
    for path in outputs:
        modoptic.Shot.check_target(path)
    start = time.perf_counter()
    with (
        progress("Taking the photo", quiet=args.json) as report,
        modoptic.open(
            args.camera,
            scene=args.scene,
            depth=args.depth,
            seed=args.seed,
            replay=tuple(args.replay),
            real_time=False,
            shake=hand(args),
        ) as cam,
    ):
        cam.set(
            aperture=args.aperture,
            focus_distance_m=args.focus,
            exposure_s=args.exposure,
            iso=args.iso,
            size=args.size,
            bits=args.bits,
        )
        shot = cam.capture(progress=report).result()
        for path in outputs:
            if path.suffix.lower() == ".dng":
                shot.save(path, compression=args.compression)
            else:
                shot.save(path)
    meta = shot.meta
    focus_m = meta.settings.focus_distance_m
    if args.json:
        print(
            json.dumps(
                {
                    "files": [str(path) for path in outputs],
                    "width": meta.width,
                    "height": meta.height,
                    "exposure_s": meta.settings.exposure_s,
                    "iso": meta.iso,
                    "f_number": meta.settings.f_number,
                    # JSON has no infinity
                    "focus_distance_m": focus_m if math.isfinite(focus_m) else None,
                    "bits": meta.settings.bits,
                    "seconds": round(time.perf_counter() - start, 3),
                }
            )
        )
    else:
        print(
            f"{meta.width} x {meta.height}, {exposure_text(meta.settings.exposure_s)} s, "
            f"f/{meta.settings.f_number:.3g}, ISO {meta.iso:.0f}, "
            f"focus {focus_m:.3g} m: "
            f"{', '.join(map(str, outputs))} ({time.perf_counter() - start:.1f} s)"
        )
    return 0
