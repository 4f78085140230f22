"""Arguments that several commands share, and how people write quantities."""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # argparse gives this type no public name
    from modoptic.scenes import HandShake

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
else:
    Commands = object


def quantity(text: str) -> float:
    """``200M``, ``10G``, ``1.5k`` or a plain number, to a float."""
    scale = {"k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9}
    factor = scale.get(text[-1:], 1.0)
    try:
        value = factor * float(text[:-1] if text[-1:] in scale else text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no quantity such as 200M or 10G") from None
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} must be above zero")
    return value


def seconds(text: str) -> float:
    """``1/60`` or ``0.5``, to seconds."""
    try:
        above, _, below = text.partition("/")
        value = float(above) / float(below) if below else float(above)
    except (ValueError, ZeroDivisionError):
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 1/60 or 0.5") from None
    if not (0 < value < math.inf):
        raise argparse.ArgumentTypeError(f"{text!r} must be above zero")
    return value


def distance(text: str) -> float:
    """Metres, or ``inf``."""
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no distance in metres such as 1.2 or inf"
        ) from None
    if math.isnan(value) or value <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} must be above zero")
    return value


def turning(text: str) -> float:
    """rad/s, 0 to 1."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no turning from 0 to 1 rad/s such as 0.03")
    return value


def port(text: str) -> int:
    """A TCP port; 0 is any that is free."""
    return _whole(text, 0xFFFF)


def seed(text: str) -> int:
    """What repeats a unit and its noise."""
    return _whole(text, (1 << 63) - 1)


def _whole(text: str, largest: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = -1
    if not 0 <= value <= largest:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 to {largest}")
    return value


SCENE_HELP = (
    "studio, toy-train (the studio with a train that goes to and fro), motorcycle, a chart, or a "
    "picture of yours (default: studio): JPEG, PNG, TIFF, WebP, an OpenEXR or .hdr panorama, or a "
    "spectral cube (.npz). Charts: colorchecker, chart, flat, "
    "colorchecker-sg, slanted-edges, siemens-star, dead-leaves, zone-plate, step-wedge, "
    "noise-patches, point-grid, distortion-grid. A chart takes a light, as in colorchecker@F11: A, "
    "D50, D55, D65, E, F2, F7, F11, LED-B1, LED-B3, or a temperature such as 3200K (default: D65)"
)


CAMERA_HELP = (
    "camera definition: xiaomi-mos-35, phone-1inch, realme-73, realme-234, or your own file; "
    "figures of it can be changed, as in phone-1inch@lens.wavefront=2 (default: xiaomi-mos-35)"
)


def add_scene(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what stands before the lens")
    group.add_argument(
        "--scene",
        default="studio",
        metavar="NAME|PICTURE",
        help=SCENE_HELP,
    )
    group.add_argument("--depth", metavar="PICTURE", help="depth map for a picture of yours")
    group.add_argument(
        "--camera",
        default="xiaomi-mos-35",
        metavar="NAME|TOML",
        help=CAMERA_HELP,
    )
    group.add_argument(
        "--seed", type=seed, default=1, help="unit and noise; the same seed repeats (default: 1)"
    )
    add_shake(group)
    group.add_argument(
        "--replay", nargs="+", default=(), metavar="RAW", help="play raw files instead of a twin"
    )


def add_shake(group: argparse._ActionsContainer) -> None:  # pyright: ignore[reportPrivateUsage]
    group.add_argument(
        "--shake",
        type=turning,
        default=0.0,
        metavar="RAD/S",
        help="the hand's turning, rms an axis: 0.01 steady, 0.03 usual, 0.06 unsteady "
        "(default: 0, a tripod)",
    )
    group.add_argument(
        "--shake-seed",
        type=seed,
        default=1,
        metavar="SEED",
        help="which hand; the same for cameras that are compared (default: 1)",
    )


def hand(args: argparse.Namespace) -> HandShake | float:
    """Who holds the camera, of the arguments that `add_shake` added."""
    if not args.shake:
        return 0.0
    from modoptic.scenes import HandShake

    return HandShake(args.shake_seed, args.shake)


def add_storage(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--gallery", metavar="DIR", help="where photos go (default: modoptic in your pictures)"
    )
