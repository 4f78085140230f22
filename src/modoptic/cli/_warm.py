"""``modoptic warm``: compile every kernel once, so that nothing compiles while you shoot."""

from __future__ import annotations

import argparse

from modoptic.cli._arguments import Commands

# finder first: it is what people wait for
ROOMS = ("pixels", "quad", "isp", "sensor", "optics", "scenes", "twin", "rawfile")


def add(commands: Commands) -> None:
    parser = commands.add_parser(
        "warm",
        help="compile every kernel once (setting up ends with this)",
        description="Compile every kernel once for the types used, finder kernels first. Takes a "
        "minute or two the first time and a second after that.",
    )
    parser.add_argument("--quiet", action="store_true", help="say nothing")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    import time
    from importlib import import_module

    start = time.perf_counter()
    for room in ROOMS:
        for kernel in import_module(f"modoptic.{room}").warm():
            if not args.quiet:
                print(f"  {time.perf_counter() - start:6.1f} s  {room}: {kernel}", flush=True)
    if not args.quiet:
        print(f"Kernels are ready ({time.perf_counter() - start:.1f} s)", flush=True)
    return 0
