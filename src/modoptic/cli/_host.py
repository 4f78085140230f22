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
        epilog="example:\n  modoptic module serve tcp://127.0.0.1:8036 --hands /tmp/hands.sock &\n"
        "  modoptic host --connect tcp://127.0.0.1:8036 --hands /tmp/hands.sock",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--connect", action="append", required=True, metavar="ADDRESS", help="may be given twice"
    )
    parser.add_argument(
        "--hands",
        metavar="PATH",
        help="socket that the module was started with; the page then moves the module",
    )
    parser.add_argument(
        "--built-in", action="store_true", help="give the phone its own camera, as demo does"
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
    from contextlib import ExitStack

    print("modoptic host: connecting to " + ", ".join(args.connect), flush=True)
    from modoptic.cli._phone import run_phone
    from modoptic.devices import start_device
    from modoptic.twin.hands import Hands

    if args.hands:
        Hands(args.hands).state()  # says so where nobody is there
    with ExitStack() as closing:
        built_in = None
        if args.built_in:
            built_in = closing.enter_context(start_device("phone-1inch")).address
        return run_phone(args, modules=args.connect, built_in=built_in, hands=args.hands)
