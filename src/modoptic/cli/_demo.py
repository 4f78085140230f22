"""``modoptic demo``: a module, a phone and its viewfinder, all on this machine."""

from __future__ import annotations

import argparse

from modoptic.cli._arguments import Commands, add_scene, add_storage, hand, quantity
from modoptic.cli._host import add_server


def add(commands: Commands) -> None:
    parser = commands.add_parser(
        "demo",
        help="a camera module, a phone and its viewfinder in your browser",
        description="Start a simulated camera module, a phone with its built-in camera, and the "
        "viewfinder page. Snap the module on in the dock sheet, turn the rings, shoot. "
        "Ctrl-C ends everything.",
    )
    add_storage(parser)
    add_server(parser)
    parser.add_argument(
        "--line", type=quantity, metavar="BIT/S", help="limit the light link, e.g. 200M"
    )
    parser.add_argument("--seated", action="store_true", help="start with the module on the phone")
    parser.add_argument(
        "--once",
        action="store_true",
        help="attach, focus, shoot at f/1.4 and f/8 (or what the camera has), pull off, print "
        "figures and end",
    )
    parser.add_argument(
        "--size", choices=("default", "full"), default="default", help="of the photos of --once"
    )
    add_scene(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from concurrent.futures import ThreadPoolExecutor

    print("modoptic demo: starting a camera module and a phone ...", flush=True)
    from modoptic.devices import start_device

    with ThreadPoolExecutor(2) as starter:
        module = starter.submit(
            start_device,
            args.camera,
            scene=args.scene,
            depth=args.depth,
            seed=args.seed,
            replay=tuple(args.replay),
            # raw files have no hands that could seat them; --once seats the twin itself
            seated=bool(args.replay) or (args.seated and not args.once),
            line_bit_s=args.line,
            shake=hand(args),
        )
        built_in = starter.submit(
            start_device, "phone-1inch", scene=args.scene, depth=args.depth, shake=hand(args)
        )
        # the phone's own code loads while the two devices start
        from modoptic.cli import _phone

        devices = []
        try:
            for starting in (module, built_in):
                devices.append(starting.result())
        except BaseException:
            for starting in (module, built_in):
                if starting.exception() is None:
                    starting.result().close()
            raise
    try:
        if args.once:
            return _phone.run_once(args, module=devices[0], built_in=devices[1])
        return _phone.run_phone(
            args,
            modules=[devices[0].address],
            built_in=devices[1].address,
            hands=devices[0].hands,
        )
    finally:
        for device in devices:
            device.close()
