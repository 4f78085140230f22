"""``modoptic host``: the phone side alone, for modules that run elsewhere."""

from __future__ import annotations

import argparse

from modoptic.cli._arguments import Commands, add_storage, port


def add(commands: Commands) -> None:
    parser = commands.add_parser(
        "host",
        help="run the phone side and connect it to modules",
        description="Run the phone side - viewfinder, gallery - and connect it to modules that "
        "were started with 'modoptic module serve'.",
        epilog="example:\n  modoptic module serve tcp://127.0.0.1:8036 &\n"
        "  modoptic host --connect tcp://127.0.0.1:8036",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--connect", action="append", required=True, metavar="ADDRESS", help="may be given twice"
    )
    add_storage(parser)
    add_server(parser)
    parser.set_defaults(run=run)


def add_server(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=port, help="of the page (8035, or the next free one)")
    parser.add_argument(
        "--listen", default="127.0.0.1", metavar="ADDRESS", help="loopback unless asked"
    )
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")


def run(args: argparse.Namespace) -> int:
    print("modoptic host: connecting to " + ", ".join(args.connect), flush=True)
    from modoptic.cli._phone import run_phone

    return run_phone(args, modules=args.connect, built_in=None, hands=None)
