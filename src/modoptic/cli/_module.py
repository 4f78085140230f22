"""``modoptic module serve``: a camera module as a process of its own."""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import shutil
import signal
import sys
import threading
from typing import TYPE_CHECKING

from modoptic.cli._arguments import CAMERA_HELP, SCENE_HELP, Commands, add_shake, quantity, seed

if TYPE_CHECKING:
    from modoptic.source import Source
    from modoptic.twin import Twin


def add(commands: Commands) -> None:
    module = commands.add_parser(
        "module", help="run a camera module that phones can connect to", description=__doc__
    )
    actions = module.add_subparsers(metavar="ACTION", required=True)
    serve = actions.add_parser(
        "serve",
        help="serve a module at an address",
        description="Serve a simulated module, or raw files played as one, at an address such as "
        "memory:/tmp/module.sock or tcp://127.0.0.1:8036. Ctrl-C ends it.",
    )
    serve.add_argument("address", help="memory:/PATH.sock or tcp://127.0.0.1:PORT")
    serve.add_argument(
        "--definition", default="xiaomi-mos-35", metavar="NAME|TOML", help=CAMERA_HELP
    )
    serve.add_argument("--scene", default="studio", metavar="NAME|PICTURE", help=SCENE_HELP)
    serve.add_argument("--depth", metavar="PICTURE")
    serve.add_argument("--replay", nargs="+", default=(), metavar="RAW")
    serve.add_argument("--seed", type=seed, default=1)
    add_shake(serve)
    serve.add_argument("--shake-m-s", type=float, help=argparse.SUPPRESS)
    serve.add_argument("--line", type=quantity, metavar="BIT/S", help="limit the link, e.g. 200M")
    serve.add_argument("--unseated", action="store_true", help="start off the phone")
    serve.add_argument("--hands", metavar="PATH", help="socket for the hands that move the twin")
    serve.add_argument("--no-real-time", action="store_true", help="exposure takes no time")
    serve.add_argument("--die-with-parent", action="store_true", help=argparse.SUPPRESS)
    serve.add_argument("--runtime-dir", help=argparse.SUPPRESS)
    serve.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    # beside one busy thread a hand-over takes 17 ms at Python's default interval, 0.13 ms so
    sys.setswitchinterval(0.0005)
    from modoptic.errors import ModopticError

    try:
        return _serve(args)
    except ModopticError as error:
        if not args.die_with_parent:
            raise
        print(json.dumps({"error": str(error)}), flush=True)
        return 1


def _twin(args: argparse.Namespace) -> Twin:
    from modoptic.cli._folders import home_folder
    from modoptic.scenes import HandShake, load_scene
    from modoptic.twin import Twin

    def measuring(what: str, done: float) -> None:
        print(f"measuring this unit, once: {what} ({done:.0%})", file=sys.stderr, flush=True)

    return Twin(
        args.definition,
        load_scene(args.scene, depth=args.depth) if args.depth else args.scene,
        seed=args.seed,
        real_time=not args.no_real_time,
        cache_dir=home_folder() / "calibrations",
        progress=measuring,
        shake=HandShake(args.shake_seed, args.shake, args.shake_m_s) if args.shake else None,
    )


def _serve(args: argparse.Namespace) -> int:
    from modoptic.module import Device
    from modoptic.rawfile import ReplaySource

    stop = threading.Event()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if args.die_with_parent:
        threading.Thread(target=_until_orphaned, args=(stop,), daemon=True).start()
    # whatever ends this, also a parent that dies while a scene is loaded, nothing is left behind
    with contextlib.ExitStack() as closing:
        if args.runtime_dir:
            _make(args.runtime_dir)
            closing.callback(shutil.rmtree, args.runtime_dir, ignore_errors=True)
        twin = None if args.replay else _twin(args)
        source: Source = ReplaySource(args.replay) if twin is None else twin
        closing.callback(source.close)
        device = Device(source, args.address, line_bit_s=args.line, seated=not args.unseated)
        closing.callback(device.close)
        if args.hands and twin is not None:
            from modoptic.twin.hands import HandsServer

            closing.callback(HandsServer(args.hands, twin, device.dock).close)

        def on_signal(number: int, frame: object) -> None:
            stop.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, on_signal)

        def serve() -> None:
            try:
                device.serve_forever()
            finally:
                stop.set()  # a module that cannot serve any more must not look alive

        threading.Thread(target=serve, name="device", daemon=True).start()
        if twin is not None and not stop.is_set():
            twin.look()  # a module lies in the light before anyone seats it
        # what is loaded by now stays: looking through it again would stop all threads for 30 ms
        gc.collect()
        gc.freeze()
        ready = {"address": device.address, "hands": args.hands, "title": source.info.title}
        if not stop.is_set():
            print(json.dumps(ready), flush=True)
        stop.wait()
    return 0


def _make(folder: str) -> None:
    from modoptic.errors import StorageError

    try:
        os.mkdir(folder, 0o700)  # noqa: PTH102
    except OSError as error:
        problem = f"this folder for sockets cannot be made: {error.strerror}"
        raise StorageError(folder, problem) from error


def _until_orphaned(stop: threading.Event) -> None:
    while os.read(0, 4096):
        pass
    stop.set()
