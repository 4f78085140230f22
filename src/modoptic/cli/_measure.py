"""``modoptic measure``: what a camera's frames say, as text, JSON or a page."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from modoptic.cli._arguments import Commands

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from modoptic.calibration import Calibration
    from modoptic.frame import FrameMeta
    from modoptic.measure import ColorPlanes, ExposureStep, Report

    _T = TypeVar("_T", bound=np.generic)
    Codes = npt.NDArray[np.generic]
    Phase = Callable[[str, float], None]

_EPILOG = """\
examples:
  modoptic measure sfr edge.dng --box 640,300,120,180 --pitch 3.76
  modoptic measure color chart.jpg --report chart.html
  modoptic measure noise --dark d1.dng d2.dng a1.dng a2.dng b1.dng b2.dng c1.dng c2.dng
  modoptic measure shading flat.dng
  modoptic measure distortion grid.dng
  modoptic measure lateral-color points.dng --pitch 3.76
  modoptic measure emva steps.csv --json

'modoptic measure KIND --help' says what to photograph and shows more.
Frames are raws of any kind that 'modoptic develop' reads, or pictures (TIFF, PNG, JPEG, BMP, WebP).
Pictures are taken for sRGB and made linear in light; say --linear where they are that already.
"""
_MAX_PIXELS = 400_000_000
_PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class _Input:
    """A frame as it was read."""

    path: Path
    codes: Codes
    """(height, width) or (height, width, 3), as stored."""
    cfa: tuple[str, ...] | None
    black: tuple[float, ...]
    white: float
    """Code of saturation."""
    finished: bool
    """A developed picture: 0 to ``white`` are sRGB codes."""
    meta: FrameMeta | None = None
    calibration: Calibration | None = None

    @property
    def size(self) -> tuple[int, int]:
        return self.codes.shape[1], self.codes.shape[0]


def add(commands: Commands) -> None:
    parser = commands.add_parser(
        "measure",
        help="measure a camera by its frames: sharpness, colour, noise, lens",
        description=textwrap.fill(
            "Measure a camera by its frames. Each kind wants a photo of something of its own; what "
            "the frames do not tell is said to be not measurable.",
            78,
        ),
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kinds = parser.add_subparsers(metavar="KIND", dest="kind")

    def teach(_args: argparse.Namespace) -> int:
        parser.print_help()
        return 2

    parser.set_defaults(run=teach)
    _add_sfr(kinds)
    _add_texture(kinds)
    _add_color(kinds)
    _add_noise(kinds)
    _add_shading(kinds)
    _add_distortion(kinds)
    _add_lateral_color(kinds)
    _add_glare(kinds)
    _add_emva(kinds)


def _kind(
    kinds: Commands, name: str, words: str, description: str, examples: str, *, files: str = "FILE"
) -> argparse.ArgumentParser:
    parser = kinds.add_parser(
        name,
        help=words,
        description=textwrap.fill(description, 78),
        epilog="examples:\n" + examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", nargs="+", metavar=files)
    parser.add_argument("--json", action="store_true", help="one JSON object a report")
    parser.add_argument(
        "--report", metavar="HTML", help="write one page with plots, and its numbers as JSON beside"
    )
    parser.add_argument(
        "--linear", action="store_true", help="pictures are linear in light, not sRGB"
    )
    raw = parser.add_argument_group("raws without a header, and mosaics in TIFF or PNG")
    raw.add_argument("--width", type=int)
    raw.add_argument("--height", type=int)
    raw.add_argument("--cfa", metavar="RGGB", help="RGGB, GRBG, GBRG or BGGR")
    raw.add_argument("--bits", type=int)
    raw.add_argument("--black", type=float, help="black level in DN; also of linear pictures")
    raw.add_argument("--white-level", type=int, dest="white_level", help="saturation in DN")
    parser.set_defaults(run=run)
    return parser


def _numbers(count: int, words: str) -> Callable[[str], tuple[float, ...]]:
    def parse(text: str) -> tuple[float, ...]:
        try:
            values = tuple(float(part) for part in text.split(","))
        except ValueError:
            values = ()
        if len(values) != count:
            raise argparse.ArgumentTypeError(f"{text!r} is not {words}")
        return values

    return parse


_POINT = _numbers(2, "a place such as 210,190")
_BOX = _numbers(4, "x,y,width,height such as 640,300,120,180")


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} must be a number above zero")
    return value


def _grid(text: str) -> tuple[int, int]:
    rows, _, columns = text.lower().partition("x")
    if not (rows.isdigit() and columns.isdigit() and 1 <= int(rows) * int(columns) <= 10_000):
        raise argparse.ArgumentTypeError(f"{text!r} is not ROWSxCOLUMNS such as 1x21")
    return int(rows), int(columns)


def _add_pitch(parser: argparse.ArgumentParser, *, diagonal: bool = False) -> None:
    parser.add_argument("--pitch", type=_positive, metavar="UM", help="pixel pitch of the sensor")
    if diagonal:
        parser.add_argument(
            "--diagonal", type=_positive, metavar="MM",
            help="of the sensor (default: of the frame by its pitch)",
        )  # fmt: skip


def _add_sfr(kinds: Commands) -> None:
    parser = _kind(
        kinds, "sfr", "sharpness from a slanted edge (ISO 12233)",
        "Edge spatial frequency response. Photograph a straight edge between two greys, tilted by "
        "2 to 20 degrees from the columns or rows, and give a box that holds this edge alone.",
        "  modoptic measure sfr edge.tif\n"
        "  modoptic measure sfr chart.dng --box 640,300,120,180 --pitch 3.76 --report edge.html\n"
        "  modoptic measure sfr chart.jpg --box 640,300,120,180 --json",
    )  # fmt: skip
    parser.add_argument("--box", type=_BOX, metavar="X,Y,W,H", help="of the edge (default: all)")
    _add_pitch(parser)
    parser.set_defaults(reports=_sfr)


def _add_texture(kinds: Commands) -> None:
    parser = _kind(
        kinds, "texture", "texture left of dead leaves",
        "How much of a known texture survives lens and processing. Needs the chart as it would "
        "look at the same pixels without any loss.",
        "  modoptic measure texture photo.png --chart ideal.png",
    )  # fmt: skip
    parser.add_argument("--chart", required=True, metavar="PICTURE", help="the ideal picture")
    parser.add_argument("--box", type=_BOX, metavar="X,Y,W,H", help="of the texture in both")
    parser.set_defaults(reports=_texture)


def _add_color(kinds: Commands) -> None:
    parser = _kind(
        kinds, "color", "colour accuracy from a ColorChecker of 24 patches",
        "Photograph a ColorChecker Classic in even light. It is looked for; where it is not found, "
        "give the middles of its four corner patches, begun anywhere: dark skin, bluish green, "
        "black, white. A finished picture is compared as it is; a raw by the file's matrix, "
        "balanced on the chart's own greys, and by the best matrix there is.",
        "  modoptic measure color chart.jpg --report chart.html\n"
        "  modoptic measure color chart.dng --corners 714,624 1250,614 1258,922 702,930 \\\n"
        "      --reference before-2014 --report chart.html",
    )  # fmt: skip
    parser.add_argument(
        "--corners", type=_POINT, nargs=4, metavar="X,Y",
        help="middles of the four corner patches (default: the chart is looked for)",
    )  # fmt: skip
    parser.add_argument(
        "--reference",
        choices=("after-2014", "before-2014", "iso17321"),
        default="after-2014",
        help="the maker's colours by edition of the chart, or the reflectances of ISO 17321-1 "
        "(default: after-2014)",
    )
    parser.add_argument(
        "--matrix", type=_numbers(9, "nine numbers, row by row"), metavar="M11,...,M33",
        help="balanced camera RGB to XYZ D50, in place of the file's",
    )  # fmt: skip
    parser.add_argument("--fill", type=_positive, default=0.5, help="of the patch pitch (0.5)")
    parser.set_defaults(reports=_color)


def _add_noise(kinds: Commands) -> None:
    parser = _kind(
        kinds, "noise", "noise, signal to noise ratio, dynamic range",
        "From pairs of flat frames of one light each, two by two as given, better with a dark "
        "pair; or from one frame of a step wedge or any chart of even patches, by its corners.",
        "  modoptic measure noise --dark d1.dng d2.dng a1.dng a2.dng b1.dng b2.dng c1.dng c2.dng\n"
        "  modoptic measure noise wedge.dng --steps 3x7 --corners 90,80 910,82 908,470 92,468 "
        "--pitch 3.76",
    )  # fmt: skip
    parser.add_argument("--dark", nargs=2, metavar="FILE", help="two frames without light")
    parser.add_argument("--steps", type=_grid, metavar="ROWSxCOLUMNS", help="of even patches")
    parser.add_argument(
        "--corners", type=_POINT, nargs=4, metavar="X,Y",
        help="middles of the corner patches, clockwise from the first; of a single row or column, "
        "corners of what shall be measured",
    )  # fmt: skip
    parser.add_argument("--fill", type=_positive, default=0.5, help="of the patch pitch (0.5)")
    _add_pitch(parser, diagonal=True)
    parser.set_defaults(reports=_noise)


def _add_shading(kinds: Commands) -> None:
    parser = _kind(
        kinds, "shading", "fall-off of light and colour from a flat frame",
        "Photograph an even field (an integrating sphere, or a white card through opal glass on "
        "the lens), exposed so that nothing clips.",
        "  modoptic measure shading flat.dng --report shading.html\n"
        "  modoptic measure shading f1.4.dng f4.dng f8.dng",
    )  # fmt: skip
    parser.add_argument("--blocks", type=int, default=32, help="along the width (32)")
    parser.set_defaults(reports=_shading)


def _add_chart_kind(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--chart", choices=("auto", "points", "lines"), default="auto", help="(default: auto)"
    )


def _add_distortion(kinds: Commands) -> None:
    parser = _kind(
        kinds, "distortion", "distortion from points or lines (ISO 17850)",
        "Photograph a regular grid of points or lines that fills the frame. It may be turned and "
        "tilted a little: its perspective is found, too.",
        "  modoptic measure distortion grid.dng --report distortion.html\n"
        "  modoptic measure distortion points.png --chart points --terms 2",
    )  # fmt: skip
    _add_chart_kind(parser)
    parser.add_argument("--terms", type=int, default=3, help="of the polynomial, 1 to 4 (3)")
    parser.set_defaults(reports=_distortion)


def _add_lateral_color(kinds: Commands) -> None:
    parser = _kind(
        kinds, "lateral-color", "shift of red and blue against green (ISO 19084)",
        "Photograph a regular grid of points or lines that fills the frame, in white light. A raw "
        "shows the lens; a finished picture what processing left of it.",
        "  modoptic measure lateral-color points.dng --pitch 3.76",
    )  # fmt: skip
    _add_chart_kind(parser)
    _add_pitch(parser)
    parser.set_defaults(reports=_lateral_color)


def _add_glare(kinds: Commands) -> None:
    parser = _kind(
        kinds, "glare", "veiling glare from black in a bright field (ISO 9358)",
        "Photograph a black patch, a light trap at best, in an even bright field that fills the "
        "view and more; the field must not clip. Needs raws, or --linear pictures with --black.",
        "  modoptic measure glare trap.dng\n"
        "  modoptic measure glare trap.dng --box 800,500,300,300 --black-deviation 0.5",
    )  # fmt: skip
    parser.add_argument("--box", type=_BOX, metavar="X,Y,W,H", help="around the black patch")
    parser.add_argument(
        "--black-deviation", type=float, default=0.0, metavar="DN",
        help="how well the black level is known (0)",
    )  # fmt: skip
    parser.set_defaults(reports=_glare)


def _add_emva(kinds: Commands) -> None:
    parser = _kind(
        kinds, "emva", "a data sheet after EMVA 1288",
        "A CSV names the frames, a line a step of rising exposure up to beyond saturation, with "
        "the heading exposure,first,second,dark_first,dark_second. Paths count from the CSV's "
        "folder. Values are taken as they are in the files; of a mosaic one colour is measured.",
        "  modoptic measure emva steps.csv --unit photons --report sheet.html\n"
        "  modoptic measure emva steps.csv --dark-stack dark*.tif --grey-stack grey*.tif\n"
        "  modoptic measure emva steps.csv --dark-exposures dark.csv --json",
        files="CSV",
    )  # fmt: skip
    parser.add_argument("--dark-stack", nargs="+", metavar="FILE", help="many frames in the dark")
    parser.add_argument("--grey-stack", nargs="+", metavar="FILE", help="many at half saturation")
    parser.add_argument(
        "--dark-exposures", metavar="CSV", help="dark pairs, heading seconds,first,second"
    )
    parser.add_argument("--channel", choices=("red", "green", "blue"), default="green")
    parser.add_argument(
        "--unit", default="", help="of exposure; 'photons' a pixel gives quantum efficiency"
    )
    parser.set_defaults(reports=_emva)


def run(args: argparse.Namespace) -> int:
    import json
    import sys

    from modoptic.cli._progress import progress
    from modoptic.errors import FileError, ModopticError, SettingError
    from modoptic.files import atomic_write

    together = args.kind == "emva" or (args.kind == "noise" and args.steps is None)
    if together and args.kind == "emva" and len(args.files) > 1:
        raise SettingError("files", len(args.files), "one CSV", "measure emva")
    jobs: list[list[str]] = [args.files] if together else [[name] for name in args.files]
    page = None if args.report is None else Path(args.report)
    if page is not None and (len(jobs) > 1 or page.suffix.lower() not in (".html", ".htm")):
        raise SettingError("--report", args.report, "a file.html, and one measurement at a time")
    failed = 0
    for number, names in enumerate(jobs):
        try:
            with progress(Path(names[0]).name, quiet=args.json) as phase:
                report: Report = args.reports(args, names, phase)
            if page is not None:
                phase("writing", 1.0)
                numbers = json.dumps(report.data(), allow_nan=False, indent=1)
                atomic_write(page, report.html().encode())
                atomic_write(page.with_suffix(".json"), numbers.encode())
        except ModopticError as error:
            # one bad file does not stop the others
            named = isinstance(error, FileError)
            print(f"modoptic: {error if named else f'{names[0]}: {error}'}", file=sys.stderr)
            failed += 1
            continue
        if args.json:
            print(json.dumps(report.data(), allow_nan=False), flush=True)
            continue
        print(("\n" if number else "") + report.text(), flush=True)
        if page is not None:
            print(f"\n  -> {page} and {page.with_suffix('.json').name}", flush=True)
    if failed and len(jobs) > 1:
        print(f"modoptic: {failed} of {len(jobs)} files were not measured", file=sys.stderr)
    return 1 if failed else 0


def _read(name: str, args: argparse.Namespace) -> _Input:
    from modoptic.rawfile import read_raw

    path = Path(name)
    if path.suffix.lower() in _PICTURES and args.width is None and args.bits is None:
        return _read_picture(path, args)
    raw = read_raw(
        path,
        width=args.width,
        height=args.height,
        cfa=args.cfa,
        bits=args.bits,
        black=args.black,
        white=args.white_level,
    )
    meta = raw.frame.meta
    return _Input(
        path, raw.frame.mosaic(), meta.cfa, meta.black_level, float(meta.white_level), False,
        meta, raw.calibration,
    )  # fmt: skip


def _read_picture(path: Path, args: argparse.Namespace) -> _Input:
    """Codes as stored: 8 or 16 bit, grey or RGB; an alpha channel is left out."""

    from modoptic.errors import SettingError

    codes = _codes(path)
    top = float({1: 255, 2: 65535}[codes.itemsize]) if codes.dtype.kind == "u" else 1.0
    cfa: tuple[str, ...] | None = None
    if args.cfa is not None:
        letters = args.cfa.upper()
        if letters not in ("RGGB", "GRBG", "GBRG", "BGGR") or codes.ndim != 2:
            raise SettingError("--cfa", args.cfa, "RGGB, GRBG, GBRG or BGGR, and a grey picture")
        cfa = (letters[:2], letters[2:])
    if args.white_level is not None:
        top = float(args.white_level)
    finished = cfa is None and not args.linear
    return _Input(path, codes, cfa, (args.black or 0.0,), top, finished)


def _codes(path: Path) -> Codes:
    import warnings

    import numpy as np
    from PIL import Image, UnidentifiedImageError

    from modoptic.errors import PictureError

    try:
        if path.suffix.lower() in (".tif", ".tiff"):
            codes = _tiff(path)
        else:
            with warnings.catch_warnings():
                # 100 MP are no bomb; Pillow still refuses twice its own limit
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)
                with Image.open(path) as picture:
                    plain = picture.mode in ("L", "RGB", "I;16", "I")
                    codes = np.asarray(picture if plain else picture.convert("RGB"))
    except FileNotFoundError as error:
        raise PictureError(path, "there is no such file; give a raw or a picture") from error
    except UnidentifiedImageError as error:
        raise PictureError(path, "not a picture that can be read") from error
    except Image.DecompressionBombError as error:
        raise PictureError(path, "far too many pixels; cut out what is to be measured") from error
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise PictureError(path, f"damaged or cut off ({error}); save it again") from error
    if codes.ndim == 3 and codes.shape[2] in (2, 4):
        codes = codes[..., : codes.shape[2] - 1]  # without alpha
    if codes.ndim == 3 and codes.shape[2] == 1:
        codes = codes[..., 0]
    if codes.dtype == np.int32:  # as Pillow reads grey of 16 bits
        codes = codes.astype(np.uint16)
    if codes.ndim not in (2, 3) or (codes.ndim == 3 and codes.shape[2] != 3):
        raise PictureError(path, f"of shape {codes.shape}; expected a grey or RGB picture")
    if codes.dtype.kind not in "uf" or (codes.dtype.kind == "u" and codes.itemsize > 2):
        raise PictureError(path, f"of {codes.dtype} samples; expected 8 or 16 bits, or floats")
    return codes


def _tiff(path: Path) -> Codes:
    import logging
    import struct

    import numpy as np
    import tifffile

    # what is wrong is said once, by us
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    try:
        with tifffile.TiffFile(path) as file:
            page = file.pages[0]
            count = int(np.prod(page.shape, dtype=np.int64))
            if count > 3 * _MAX_PIXELS:
                raise ValueError(f"it claims {count} samples")
            return np.asarray(page.asarray())
    except (tifffile.TiffFileError, struct.error, LookupError, RuntimeError, TypeError) as error:
        raise ValueError(error) from error


def _light(frame: _Input) -> npt.NDArray[np.floating[Any]]:
    """Codes of a picture as light, 0 to 1, made linear if it is a finished one."""
    import numpy as np

    from modoptic.measure import srgb_to_linear

    if frame.finished and frame.codes.dtype.kind == "u":
        table = srgb_to_linear(np.arange(int(frame.white) + 1) / frame.white)
        return table.astype(np.float32)[np.minimum(frame.codes, int(frame.white))]
    share = (frame.codes.astype(np.float32) - frame.black[0]) / (frame.white - frame.black[0])
    return srgb_to_linear(share) if frame.finished else share


def _planes(frame: _Input, *, pool: bool = True) -> ColorPlanes:
    from modoptic.measure import color_planes

    if frame.cfa is not None:
        return color_planes(
            frame.codes, frame.cfa, black_level=frame.black, white_level=frame.white, pool=pool
        )
    return color_planes(_light(frame), white_level=1.0)


def _about(frame: _Input, also: str = "") -> str:
    width, height = frame.size
    if frame.cfa is not None:
        how = f"mosaic {'/'.join(frame.cfa)}, black {_shown(frame.black)}, white {frame.white:g} DN"
    elif frame.finished:
        how = "picture, sRGB made linear in light"
    else:
        how = "picture, linear in light as it is"
    return f"{frame.path.name}, {width} x {height}, {how}" + (f", {also}" if also else "")


def _shown(levels: Sequence[float]) -> str:
    return "/".join(f"{level:g}" for level in dict.fromkeys(levels))


def _cut(array: npt.NDArray[_T], box: tuple[float, ...] | None, step: int = 1) -> npt.NDArray[_T]:
    """The part of a frame in a box, begun at a whole pattern."""
    from modoptic.errors import SettingError

    if box is None:
        return array
    x, y, w, h = (int(v) for v in box)
    height, width = array.shape[:2]
    if x < 0 or y < 0 or w < 1 or h < 1 or x + w > width or y + h > height:
        raise SettingError("--box", f"{x},{y},{w},{h}", f"within {width} x {height}")
    return array[y - y % step : y + h, x - x % step : x + w]


def _sfr(args: argparse.Namespace, names: list[str], phase: Phase) -> Report:
    import numpy as np

    from modoptic.measure import sfr_report

    phase("reading", 0.0)
    frame = _read(names[0], args)
    phase("measuring", 0.3)
    pictures: dict[str, Codes] = {}
    step = 1
    if frame.cfa is not None:
        step = len(frame.cfa)
        part = _cut(frame.codes, args.box, step)
        sites = "".join(frame.cfa)
        for name in ("green", "red", "blue"):
            i, j = divmod(sites.index(name[0].upper()), step)
            pictures[name] = part[i::step, j::step]
    else:
        part = _cut(_light(frame), args.box)
        if part.ndim == 2:
            pictures["luminance"] = part
        else:
            # Rec. 709's weights, rounded as sfrmat5 has them
            pictures["luminance"] = part @ np.array([0.213, 0.715, 0.072])
            pictures.update(zip(("red", "green", "blue"), part.transpose(2, 0, 1), strict=True))
    where = "" if args.box is None else "box " + ",".join(f"{v:g}" for v in args.box)
    return sfr_report(
        pictures,
        about=_about(frame, where),
        step=step,
        pitch_um=args.pitch,
        picture_height=None if args.box is None else frame.size[1],
    )


def _texture(args: argparse.Namespace, names: list[str], phase: Phase) -> Report:
    from modoptic.measure import texture_report

    phase("reading", 0.0)
    frame, chart = _read(names[0], args), _read(args.chart, args)
    phase("measuring", 0.4)
    both = [_cut(_one(f), args.box, 1 if f.cfa is None else len(f.cfa)) for f in (frame, chart)]
    return texture_report(both[0], both[1], about=_about(frame, f"chart {chart.path.name}"))


def _one(frame: _Input) -> Codes:
    """One picture of brightness, linear."""
    import numpy as np

    from modoptic.errors import SettingError

    if frame.cfa is not None:
        raise SettingError("texture", "a mosaic", "developed or grey pictures", "measure")
    light = _light(frame)
    return light if light.ndim == 2 else light @ np.array([0.2126, 0.7152, 0.0722])


def _color(args: argparse.Namespace, names: list[str], phase: Phase) -> Report:
    import numpy as np

    from modoptic.measure import (
        color_report,
        find_colorchecker,
        measure_colorchecker,
        srgb_to_xyz_d50,
    )

    phase("reading", 0.0)
    frame = _read(names[0], args)
    planes = _planes(frame)
    phase("measuring", 0.4)
    corners = find_colorchecker(planes) if args.corners is None else args.corners
    patches, quads = measure_colorchecker(planes, corners, fill=args.fill)
    middles = quads.mean(axis=1)[[0, 5, 23, 18]]
    where = "corner patches at " + " ".join(f"{x:.0f},{y:.0f}" for x, y in middles)
    lab, source = _reference(args.reference)
    to_xyz = srgb_to_xyz_d50(np.eye(3)).T
    if frame.finished:
        return color_report(
            patches, lab, renderings={"as it is": to_xyz}, reference=source,
            about=_about(frame, where), neutral=(1.0, 1.0, 1.0), exposures=(False, True),
        )  # fmt: skip
    grey = patches.mean[19:23].sum(axis=0)
    balance = np.diag(grey[1] / grey) / (planes.saturation or 1.0)
    renderings: dict[str, Any] = {}
    colors = frame.calibration if frame.calibration and frame.calibration.colors else None
    if colors is None and frame.meta is not None and frame.meta.color_matrix is not None:
        colors = frame.meta
    if args.matrix is not None:
        renderings["given matrix"] = np.array(args.matrix).reshape(3, 3) @ balance
    elif colors is not None:
        from modoptic.isp import camera_to_srgb

        matrix = camera_to_srgb(colors, [float(v) for v in grey / grey[1]])
        renderings["file's matrix"] = to_xyz @ matrix @ balance
    return color_report(
        patches, lab, renderings=renderings, reference=source, about=_about(frame, where),
        neutral=None if frame.meta is None else frame.meta.as_shot_neutral, fitted=True,
    )  # fmt: skip


def _reference(name: str) -> tuple[npt.NDArray[np.float64], str]:
    from modoptic.measure import colorchecker_lab, reflectance_lab

    if name == "iso17321":
        import numpy as np

        from modoptic.scenes import colorchecker_reflectances, illuminant, observer

        spectra = np.stack(list(colorchecker_reflectances().values()))
        lab = reflectance_lab(spectra, illuminant("D50"), observer())
        return lab, "reflectances of Ohta 1997 (ISO 17321-1:2012) under D50"
    if name == "before-2014":
        return colorchecker_lab("before-2014"), "X-Rite, charts before November 2014, D50"
    return colorchecker_lab("after-2014"), "X-Rite, charts from November 2014 on, D50"


def _noise(args: argparse.Namespace, names: list[str], phase: Phase) -> Report:
    from modoptic.errors import SettingError

    if (args.steps is None) != (args.corners is None):
        raise SettingError("step wedge", "only one of them", "--steps together with --corners")
    return _wedge(args, names[0], phase) if args.steps else _pairs(args, names, phase)


def _diagonal(args: argparse.Namespace, size: tuple[int, int]) -> float | None:
    import math

    if args.diagonal is not None:
        return args.diagonal
    return None if args.pitch is None else 1e-3 * args.pitch * math.hypot(*size)


def _wedge(args: argparse.Namespace, name: str, phase: Phase) -> Report:
    from modoptic.measure import patch_quads, wedge_report

    phase("reading", 0.0)
    frame = _read(name, args)
    phase("measuring", 0.4)
    rows, columns = args.steps
    return wedge_report(
        _planes(frame, pool=False),
        patch_quads(args.corners, rows, columns, fill=args.fill),
        about=_about(frame),
        pitch_um=args.pitch,
        diagonal_mm=_diagonal(args, frame.size),
        finished=frame.finished,
    )


def _pairs(args: argparse.Namespace, names: list[str], phase: Phase) -> Report:
    import numpy as np

    from modoptic.errors import SettingError
    from modoptic.measure import pairs_report

    if len(names) % 2:
        raise SettingError("flat frames", len(names), "two of each light, one after the other")

    def planes(name: str) -> tuple[_Input, npt.NDArray[np.float64]]:
        frame = _read(name, args)
        if frame.cfa is None:
            codes = frame.codes if frame.codes.ndim == 2 else frame.codes.transpose(2, 0, 1)
            return frame, np.atleast_3d(codes).astype(np.float64).reshape(-1, *codes.shape[-2:])
        step, sites = len(frame.cfa), "".join(frame.cfa)
        rows, columns = frame.size[1] // step * step, frame.size[0] // step * step
        places = [divmod(sites.index(color), step) for color in "RGB"]
        parts = [frame.codes[i:rows:step, j:columns:step] for i, j in places]
        return frame, np.stack(parts).astype(np.float64)

    first, shown = planes(names[0])
    colors = ("red", "green", "blue") if len(shown) == 3 else ("luminance",)
    dark = None if args.dark is None else (planes(args.dark[0])[1], planes(args.dark[1])[1])

    def each() -> Iterator[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]:
        for k in range(0, len(names), 2):
            phase(f"pair {k // 2 + 1} of {len(names) // 2}", k / len(names))
            yield planes(names[k])[1], planes(names[k + 1])[1]

    return pairs_report(
        each(),
        dark,
        about=f"{_about(first)}; {len(names) // 2} pairs",
        names=colors,
        black_level=float(np.mean(first.black)),
        white_level=first.white,
        size=first.size,
        pitch_um=args.pitch,
        diagonal_mm=_diagonal(args, first.size),
    )


def _shading(args: argparse.Namespace, names: list[str], phase: Phase) -> Report:
    from modoptic.measure import shading_report

    frame, planes = _frame_and_planes(names[0], args, phase)
    return shading_report(planes, about=_about(frame), blocks=args.blocks)


def _distortion(args: argparse.Namespace, names: list[str], phase: Phase) -> Report:
    from modoptic.measure import distortion_report

    frame, planes = _frame_and_planes(names[0], args, phase)
    return distortion_report(planes, about=_about(frame), kind=args.chart, terms=args.terms)


def _lateral_color(args: argparse.Namespace, names: list[str], phase: Phase) -> Report:
    from modoptic.measure import lateral_color_report

    frame, planes = _frame_and_planes(names[0], args, phase)
    return lateral_color_report(
        planes, about=_about(frame), kind=args.chart, pitch_um=args.pitch, finished=frame.finished
    )


def _glare(args: argparse.Namespace, names: list[str], phase: Phase) -> Report:
    from modoptic.measure import glare_report

    frame, planes = _frame_and_planes(names[0], args, phase)
    deviation = args.black_deviation if frame.cfa else args.black_deviation / frame.white
    return glare_report(planes, about=_about(frame), box=args.box, black_level_deviation=deviation)


def _frame_and_planes(
    name: str, args: argparse.Namespace, phase: Phase
) -> tuple[_Input, ColorPlanes]:
    phase("reading", 0.0)
    frame = _read(name, args)
    phase("measuring", 0.4)
    return frame, _planes(frame)


def _table(path: Path, head: Sequence[str]) -> list[dict[str, str]]:
    """Rows of a CSV with a heading, as text; frames by their whole path."""
    import csv

    from modoptic.errors import FileError

    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file, skipinitialspace=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FileError(path, f"is no CSV that can be read ({error})") from error
    wanted = ",".join(head)
    if not rows or any(row.get(name) in (None, "") for row in rows for name in head):
        raise FileError(path, f"expected lines below the heading {wanted}, none of them empty")
    for row in rows:
        try:
            float(row[head[0]])
        except ValueError:
            problem = f"{row[head[0]]!r} is no number; expected {wanted}"
            raise FileError(path, problem) from None
        row.update({name: str(path.parent / row[name]) for name in head[1:]})
    return rows


def _emva(args: argparse.Namespace, names: list[str], phase: Phase) -> Report:
    from modoptic.measure import ExposureStep, dark_current, emva1288, emva_report

    path = Path(names[0])
    rows = _table(path, ("exposure", "first", "second", "dark_first", "dark_second"))

    def plane(name: str) -> Codes:
        frame = _read(name, args)
        if frame.cfa is None:
            k = ("red", "green", "blue").index(args.channel)
            return frame.codes if frame.codes.ndim == 2 else frame.codes[..., k]
        step = len(frame.cfa)
        i, j = divmod("".join(frame.cfa).index(args.channel[0].upper()), step)
        return frame.codes[i::step, j::step]

    def steps() -> Iterator[ExposureStep]:
        for k, row in enumerate(rows):
            phase(f"step {k + 1} of {len(rows)}", k / len(rows))
            yield ExposureStep(
                float(row["exposure"]), plane(row["first"]), plane(row["second"]),
                plane(row["dark_first"]), plane(row["dark_second"]),
            )  # fmt: skip

    def stack(files: list[str] | None) -> Iterator[Codes] | None:
        return None if files is None else (plane(name) for name in files)

    current = None
    if args.dark_exposures is not None:
        dark = _table(Path(args.dark_exposures), ("seconds", "first", "second"))
        gain = emva1288(steps()).gain
        current = dark_current(
            [float(row["seconds"]) for row in dark],
            [(plane(row["first"]), plane(row["second"])) for row in dark],
            gain,
        )
    return emva_report(
        steps(),
        about=f"{path.name}, {len(rows)} steps, {args.channel} of mosaics",
        dark_stack=stack(args.dark_stack),
        grey_stack=stack(args.grey_stack),
        dark_current=current,
        exposure_unit=args.unit,
    )
