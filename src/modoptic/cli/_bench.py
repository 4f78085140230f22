"""``modoptic bench``: every speed and quality figure, with its bar and its peer in the same run."""

from __future__ import annotations

import argparse

from modoptic.cli._arguments import Commands


def add(commands: Commands) -> None:
    parser = commands.add_parser(
        "bench",
        help="measure speed and quality, with bars and peers",
        description="Run benches by name (all by default). Each prints a readable line; with "
        "--json one object a line. Peers run in the same run; 'make bench' installs them.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="see --list")
    parser.add_argument("--list", action="store_true", help="list the benches and their bars")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--strict", action="store_true", help="exit 1 if a bar is missed")
    parser.add_argument("--seconds", type=float, help="length of the benches that run for a time")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from modoptic import bench

    if args.list:
        for name, entry in bench.BENCHES.items():
            print(f"{name:16} {entry.what}; bar {entry.bar}")
        return 0
    return bench.run(args.names, as_json=args.json, strict=args.strict, seconds=args.seconds)
