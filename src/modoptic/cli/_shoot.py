"""``modoptic shoot``: one photo with the simulated module, from the command line."""

from __future__ import annotations

import argparse

from modoptic.cli._arguments import Commands, add_scene, distance, seconds


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
    parser.add_argument("--aperture", type=float, default=2.8, metavar="N", help="f-number (2.8)")
    parser.add_argument("--focus", type=distance, default=1.0, metavar="M", help="metres (1.0)")
    parser.add_argument("--exposure", type=seconds, metavar="S", help="shutter, e.g. 1/125")
    parser.add_argument("--iso", type=float, help="sensitivity, e.g. 200")
    parser.add_argument(
        "--size",
        choices=("default", "full", "finder"),
        default="default",
        help="default: 2x2 binned, 25 MP; full: every photosite, 100 MP; finder: 4x4 binned",
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
        ) as cam,
    ):
        cam.set(aperture=args.aperture, focus_distance_m=args.focus, size=args.size)
        cam.set(exposure_s=args.exposure, iso=args.iso)
        shot = cam.capture(progress=report).result()
        for path in outputs:
            shot.save(path)
    meta = shot.meta
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
                    "focus_distance_m": meta.settings.focus_distance_m,
                    "seconds": round(time.perf_counter() - start, 3),
                }
            )
        )
    else:
        print(
            f"{meta.width} x {meta.height}, {exposure_text(meta.settings.exposure_s)} s, "
            f"f/{meta.settings.f_number:.3g}, ISO {meta.iso:.0f}, "
            f"focus {meta.settings.focus_distance_m:.3g} m: "
            f"{', '.join(map(str, outputs))} ({time.perf_counter() - start:.1f} s)"
        )
    return 0
