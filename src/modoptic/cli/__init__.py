"""The command line: the one place where the parts are put together.

Importing this stays cheap: each command's module brings only its arguments, and imports what it
needs when it runs, so that ``modoptic --help`` answers at once.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from modoptic.cli import _bench, _demo, _develop, _host, _info, _measure, _module, _shoot, _warm

__all__ = ["main"]

_EPILOG = """\
start here:
  modoptic demo                      a camera module, a phone and its viewfinder in your browser
  modoptic shoot -o photo.dng        one photo with the simulated module
  modoptic develop photo.dng         a raw to a finished picture

Photos go to your pictures folder unless --gallery says otherwise; settings live in the
platform's folder or in MODOPTIC_HOME.
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="modoptic",
        description="An open modular optical system: a simulated camera module, a light link, "
        "and the real camera stack of a phone.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    commands = parser.add_subparsers(metavar="COMMAND", dest="command")
    for command in (_demo, _shoot, _develop, _info, _measure, _module, _host, _warm, _bench):
        command.add(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code.

    0 done, 1 a fault with a message, 2 bad arguments, 130 interrupted.
    """
    _open_streams()
    parser = _parser()
    args = parser.parse_args(argv)
    if args.version:
        import modoptic

        print(f"modoptic {modoptic.__version__}")
        return 0
    if args.command is None:
        parser.print_help()
        return 2
    from modoptic.errors import ModopticError

    try:
        return args.run(args)
    except ModopticError as error:
        print(f"modoptic: {error}", file=sys.stderr)
        return 1
    except MemoryError:
        print(
            "modoptic: there is not enough memory for this; close other programs", file=sys.stderr
        )
        return 1
    except KeyboardInterrupt:
        print("modoptic: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # the reader of our output went away, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _open_streams() -> None:
    """Where a standard stream is closed, files and sockets of ours would take its number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", closefd=False))
