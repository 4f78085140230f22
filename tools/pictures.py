"""Make every picture of the documentation from the running product.

    python tools/pictures.py [viewfinder] [iris] [glare] [raws] [measure] [edges] [motion]
                             [apertures] [ring] [validation] [comparison]

Without a name all are made, into docs/pictures. ``viewfinder`` and ``measure`` need Chromium and
playwright, ``raws`` rawpy, ``raws`` and ``measure`` the folder of real raws (``MODOPTIC_DATA``, or
../shared/data).
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import comparison as fair
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from validation_plots import taken, validation

import modoptic
from modoptic.devices import start_device
from modoptic.frame import Frame, Readout, Settings
from modoptic.host import Phone
from modoptic.host.state import Choose, PhoneState, SetControls
from modoptic.isp import Develop, develop
from modoptic.optics import LensState, LightRenderer, SpectralResponse, VeilingGlare
from modoptic.photo import Gallery
from modoptic.rawfile import read_raw, write_dng
from modoptic.scenes import WAVELENGTHS_NM, HandShake, load_scene, observer
from modoptic.twin import Twin, load_definition
from modoptic.twin._definition import glare_of, lens_of
from modoptic.twin.hands import Hands
from modoptic.web import serve

OUT = Path(__file__).resolve().parents[1] / "docs" / "pictures"
DATA = Path(os.environ.get("MODOPTIC_DATA", OUT.parents[2] / "shared" / "data"))
LARGEST = 400_000
Picture = npt.NDArray[np.uint8]


def keep_jpeg(picture: Image.Image, name: str) -> None:
    """As a JPEG below the largest size that a picture of the docs may have."""
    for quality in range(92, 50, -6):
        picture.save(OUT / name, quality=quality, optimize=True, progressive=True)
        if (OUT / name).stat().st_size <= LARGEST:
            break
    print(OUT / name, (OUT / name).stat().st_size // 1000, "kB")


def keep_png(path: Path, name: str) -> None:
    """As a PNG below the largest size; fine noise, which PNG codes badly, is rounded if need be."""
    pixels = np.asarray(Image.open(path).convert("RGB"))
    for step in (1, 2, 4, 8):
        rounded = pixels // step * step + (step // 2)
        Image.fromarray(rounded.astype(np.uint8)).save(OUT / name, optimize=True)
        if (OUT / name).stat().st_size <= LARGEST:
            break
    print(OUT / name, (OUT / name).stat().st_size // 1000, "kB")


def side_by_side(parts: list[tuple[str, Image.Image]]) -> Image.Image:
    """Pictures of one size in a row, each with its label in a dark strip below."""
    gap, strip = 6, 34
    width, height = parts[0][1].size
    sheet = Image.new("RGB", (len(parts) * (width + gap) - gap, height + strip), (24, 24, 26))
    draw = ImageDraw.Draw(sheet)
    for i, (label, picture) in enumerate(parts):
        x = i * (width + gap)
        sheet.paste(picture, (x, 0))
        draw.text(
            (x + 10, height + 8), label, fill=(225, 225, 225), font=ImageFont.load_default(16)
        )
    return sheet


def edges() -> None:
    """The studio through a thin lens at three distances: rays, the twin, and how they differ."""
    from modoptic.bench import twin_edges as bench
    from modoptic.optics import reference_light
    from modoptic.scenes import load_scene
    from modoptic.twin._definition import spectral_response

    scene, response = bench.without_lamps(load_scene("studio")), spectral_response(bench.DEFINITION)
    rows: list[Image.Image] = []
    for name, focus in bench.FOCUSES.items():
        lens, grid = bench.lens_at(focus), bench.grid_of()
        wanted = reference_light(scene, response, lens, grid)
        found = bench.twin_light(scene, response, lens, grid)
        white = float(np.percentile(wanted, 99.0))
        shown = [
            np.uint8(255.0 * np.clip(light / white, 0.0, 1.0) ** (1.0 / 2.2) + 0.5)
            for light in (wanted, found)
        ]
        # grey is equal, black and white 5 % darker and brighter
        off = np.clip(np.log(found / wanted) / 0.05, -1.0, 1.0)
        shown.append(np.uint8(127.5 + 127.5 * off))
        labels = (f"rays, focus {name}", "twin", "difference, -5 to +5 %")
        pictures = [Image.fromarray(plane).convert("RGB").resize((546, 409)) for plane in shown]
        rows.append(side_by_side(list(zip(labels, pictures, strict=True))))
    sheet = Image.new("RGB", (rows[0].width, sum(row.height for row in rows)))
    for k, row in enumerate(rows):
        sheet.paste(row, (0, k * row.height))
    keep_jpeg(sheet, "depth-edges.jpg")


def viewfinder() -> None:
    """The page on a phone and on a desktop, the dock sheet and the gallery."""
    from playwright.sync_api import sync_playwright

    chromium = os.environ.get("MODOPTIC_CHROMIUM") or shutil.which("chromium")
    with tempfile.TemporaryDirectory() as folder:
        shots = Path(folder)
        with (
            start_device("xiaomi-mos-35", seated=False) as module,
            start_device("phone-1inch") as built_in,
            Phone(
                Gallery(shots / "photos"),
                home=shots / "home",
                modules=[module.address],
                built_in=built_in.address,
            ) as phone,
            serve(phone, hands=Hands(module.hands or ""), port=0) as server,
            sync_playwright() as playwright,
        ):
            browser = playwright.chromium.launch(
                executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
            )
            _tour(browser, phone, Hands(module.hands or ""), server.url, shots)
            browser.close()
        for path in sorted(shots.glob("*.png")):
            keep_png(path, path.name)


def _tour(browser: Any, phone: Phone, hands: Hands, url: str, shots: Path) -> None:
    def opened(width: int, height: int, scale: float) -> Any:
        page = browser.new_page(
            viewport={"width": width, "height": height}, device_scale_factor=scale
        )
        page.goto(url)
        picture = page.get_by_role("img", name="Live view")
        while int(picture.get_attribute("data-frames") or 0) < 20:
            page.wait_for_timeout(100)
        return page

    hands.seat()
    phone.wait_for(lambda now: _of_module(now) and now.dock.ready_ms is not None, 30)
    hands.turn_ring(1.0)
    phone.act(SetControls(f_number=1.4))
    phone.act(Choose(still_size=min(phone.state().still_megapixels), save_dng=False))
    page = opened(390, 844, 1.5)
    page.wait_for_timeout(4000)  # exposure settles, notices leave
    page.screenshot(path=shots / "viewfinder.png")
    for scene, f_number, distance in (
        ("studio", 8.0, 1.0),
        ("motorcycle", 2.0, 3.0),
        ("colorchecker", 2.8, 1.0),
        ("studio", 1.4, 1.0),
    ):
        hands.set_scene(scene)
        hands.turn_ring(distance)
        phone.act(SetControls(f_number=f_number))
        page.wait_for_timeout(3000)
        phone.shoot().result(120)
    page.wait_for_timeout(4000)
    page.get_by_role("button", name="Gallery", exact=True).click()
    page.wait_for_timeout(1500)
    page.screenshot(path=shots / "gallery.png")
    page.keyboard.press("Escape")
    page.keyboard.press("d")
    page.wait_for_timeout(1500)
    page.screenshot(path=shots / "dock.png")
    page.close()
    opened(1280, 800, 1.0).screenshot(path=shots / "viewfinder-desktop.png")


def _of_module(state: PhoneState) -> bool:
    return any(c.id == state.active and not c.built_in for c in state.cameras)


def iris() -> None:
    """The studio at f/1.4 and f/8, and photosites of the 100 MP frame at 100 %."""
    with modoptic.open("xiaomi-mos-35", scene="studio") as cam:
        cam.set(focus_distance_m=1.0, size="finder")
        for f_number in (1.4, 8.0):
            cam.set(aperture=f_number)
            rgb = cam.capture().result().develop()
            picture = Image.fromarray(rgb).resize((1000, 750), Image.Resampling.LANCZOS)
            keep_jpeg(picture, f"studio-f{f_number:g}.jpg")
        cam.set(aperture=4.0, iso=100, size="full")
        full = Image.fromarray(cam.capture().result().develop())
    width, height = full.size
    x, y = int(CHART_AT[0] * width), int(CHART_AT[1] * height)
    whole = full.resize((900, 675), Image.Resampling.LANCZOS)
    frame = [v * 900 / width for v in (x - 450, y - 337, x + 450, y + 338)]
    ImageDraw.Draw(whole).rectangle(frame, outline=(255, 190, 70), width=2)
    crop = full.crop((x - 450, y - 337, x + 450, y + 338))
    sheet = side_by_side(
        [("100 MP, f/4: the whole frame", whole), ("the marked part at 100 %", crop)]
    )
    keep_jpeg(sheet, "studio-100mp.jpg")


def glare() -> None:
    """The studio's shadows without glare and with ten times the module's, and what glare adds.

    The light that falls on the sensor, in colours as an eye would see them.
    """
    definition = load_definition("xiaomi-mos-35")
    eye = SpectralResponse(WAVELENGTHS_NM, (observer() / WAVELENGTHS_NM[:, None]).T)
    share, radius_um = 0.05, glare_of(definition).image_radius_um
    lens = LensState(17.5, 8.0, 1.0)
    extent_um = tuple(2.0 * radius_um * side for side in (0.8, 0.6))
    without, with_it = (
        LightRenderer(load_scene("studio"), eye, lens_of(definition), glare=glare).preview(
            lens, 1060, 795, (extent_um[0], extent_um[1])
        )
        for glare in (None, VeilingGlare(share, radius_um))
    )
    plain, fogged, added = (
        _srgb_light(xyz) for xyz in (without, with_it, with_it - (1.0 - share) * without)
    )
    # the test card, lit by warm lamps, is white
    grey = np.quantile(plain, 0.9, axis=(0, 1))
    shadows, much = 0.3 * grey, grey / grey[1] * np.quantile(added[..., 1], 0.995)
    sheet = side_by_side([
        ("shadows, no glare", _encoded(plain / shadows)),
        ("the same with 5 % of glare", _encoded(fogged / shadows)),
        ("what glare adds", _encoded(added / much)),
    ])  # fmt: skip
    keep_jpeg(sheet, "glare.jpg")


def _srgb_light(xyz: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Linear sRGB (h, w, 3) of colours (3, 2 h, 2 w), at half the size (IEC 61966-2-1)."""
    matrix = np.array(
        [[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]]
    )
    _, height, width = xyz.shape
    half = xyz[:, : height // 2 * 2].reshape(3, height // 2, 2, width // 2, 2).mean(axis=(2, 4))
    return np.einsum("ck,khw->hwc", matrix, half)


def _encoded(rgb: npt.NDArray[np.float64]) -> Image.Image:
    rgb = np.clip(rgb, 0.0, 1.0)
    codes = np.where(rgb <= 0.0031308, 12.92 * rgb, 1.055 * rgb ** (1 / 2.4) - 0.055)
    return Image.fromarray(np.rint(255.0 * codes).astype(np.uint8))


CHART_AT = (0.742, 0.572)
"""Fine print of the test card in the frame."""


def raws() -> None:
    """Two real raws, developed by LibRaw (rawpy's defaults: AHD) and here."""
    canon = DATA / "raw" / "tinydng_colorchart.dng"
    nikon = DATA / "raw" / "mushfiqulalam_DSC_1339_768x512_14bit_rggb.raw"
    with tempfile.TemporaryDirectory() as folder:
        described = Path(folder) / "rose.raw"
        shutil.copyfile(nikon, described)
        described.with_suffix(".toml").write_text(ROSE)
        rose = read_raw(described)
        dng = Path(folder) / "rose.dng"  # so that LibRaw is told the same
        write_dng(dng, rose.frame, rose.calibration)
        by_libraw = _libraw(dng)
        ours = modoptic.develop(rose)
        height = min(ours.shape[0], by_libraw.shape[0])
        pair = [("LibRaw (AHD)", by_libraw[:height]), ("modoptic", ours[:height])]
        _pair("raw-rose", pair, (250, 150))
    grey = GREY
    gains = [1 / grey[0], 1.0, 1 / grey[2], 1.0]
    by_libraw = _libraw(canon, gains)
    ours = modoptic.develop(canon, white_balance=grey, exposure_ev=0.7)
    _pair("raw-chart", [("LibRaw (AHD)", by_libraw), ("modoptic, +0.7 EV", ours)], (1060, 620))


ROSE = """
width = 768
height = 512
cfa = "RGGB"
bits = 14
black = 600
white = 15520
wb = [1.94921875, 1.0, 1.34375]
color_matrix = [[0.9020, -0.2890, -0.0715], [-0.4535, 1.2436, 0.2348], [-0.0934, 0.1919, 0.7086]]
make = "Nikon"
"""
GREY = (0.673, 1.0, 0.446)
"""Camera RGB of the third grey patch of the chart photo, black level taken off."""


def _libraw(path: Path, gains: list[float] | None = None) -> Picture:
    """White balance as shot, or by gains of R, G, B, G."""
    import rawpy

    with rawpy.imread(str(path)) as raw:
        return raw.postprocess(use_camera_wb=gains is None, user_wb=gains)


def _pair(name: str, pair: list[tuple[str, Picture]], at: tuple[int, int]) -> None:
    """The whole pictures, and 360 x 270 pixels of them doubled."""
    pictures = [(label, Image.fromarray(picture)) for label, picture in pair]
    width, height = pictures[0][1].size
    small = (720, round(720 * height / width))
    whole = [(label, p.resize(small, Image.Resampling.LANCZOS)) for label, p in pictures]
    keep_jpeg(side_by_side(whole), f"{name}.jpg")
    box = (*at, at[0] + 360, at[1] + 270)
    part = [
        (f"{label}, 200 %", p.crop(box).resize((720, 540), Image.Resampling.NEAREST))
        for label, p in pictures
    ]
    keep_jpeg(side_by_side(part), f"{name}-detail.jpg")


def measure() -> None:
    """Pages of ``modoptic measure``: colours of a real camera, distortion of the twin's lens."""
    from playwright.sync_api import sync_playwright

    from modoptic import cli

    chromium = os.environ.get("MODOPTIC_CHROMIUM") or shutil.which("chromium")
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        chart, grid = DATA / "raw" / "tinydng_colorchart.dng", folder / "distortion-grid.dng"
        shot = ("--scene", "distortion-grid", "--aperture", "5.6", "--size", "finder")
        kinds = {
            "color": [str(chart), "--reference", "before-2014"],
            "distortion": [str(grid)],
        }
        assert cli.main(["shoot", *shot, "-o", str(grid)]) == 0
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        for kind, arguments in kinds.items():
            html, picture = folder / f"{kind}.html", folder / f"measure-{kind}.png"
            assert cli.main(["measure", kind, *arguments, "--report", str(html)]) == 0
            page = browser.new_page(viewport={"width": 1120, "height": 1470})
            page.goto(html.as_uri())
            page.screenshot(path=picture)
            keep_png(picture, picture.name)
        browser.close()


class _Swing:
    """A hand that turns the camera to the right, evenly and fast."""

    def poses(self, t_s: Any) -> npt.NDArray[np.float64]:
        return np.multiply.outer(np.asarray(t_s, np.float64), [0.0, 3.0, 0.0, 0.0, 0.0, 0.0])


def motion() -> None:
    """A chart held for 1/250 s and 1/4 s, and while the camera swings by 3 rad/s."""
    parts = []
    for label, hand, exposure_s in (
        ("held, 1/250 s", HandShake(7), 1 / 250),
        ("held, 1/4 s", HandShake(7), 1 / 4),
        ("swung at 170 deg/s, 1/8000 s: rolling shutter", _Swing(), 1 / 8000),
    ):
        scene = load_scene("distortion-grid", luminance_cd_m2=4.0 / exposure_s)
        twin = Twin("xiaomi-mos-35", scene, real_time=False, shake=cast(HandShake, hand))
        twin.start()
        settings = Settings(
            readout="bin2", region=(4800, 3200, 1920, 1920), exposure_s=exposure_s,
            f_number=4.0, focus_distance_m=1.0,
        )  # fmt: skip
        meta = twin.describe(settings)
        out = bytearray(meta.width * meta.height * 3 // 2)
        twin.prepare(settings, lambda done: None)
        meta = twin.capture(settings, memoryview(out), lambda rows: None)
        rgb = modoptic.develop(Frame(meta, memoryview(out)))
        twin.close()
        picture = Image.fromarray(rgb)
        parts.append((label, picture.resize((480, 480), Image.Resampling.LANCZOS)))
    keep_jpeg(side_by_side(parts), "motion.jpg")


def _grid(rows: list[list[tuple[str, Image.Image]]]) -> Image.Image:
    """Rows of labelled pictures, below each other."""
    sheets = [side_by_side(row) for row in rows]
    sheet = Image.new("RGB", (sheets[0].width, sum(s.height for s in sheets)))
    y = 0
    for one in sheets:
        sheet.paste(one, (0, y))
        y += one.height
    return sheet


def _studio(twin: Twin, f_number: float, focus_m: float, readout: Readout) -> Image.Image:
    """Of the still life at one brightness: ISO 64 and N^2 / 60 s, white by the test card."""
    settings = Settings(
        readout=readout, f_number=f_number, focus_distance_m=focus_m, exposure_s=f_number**2 / 60
    )
    frame = taken(twin, settings)
    rgb = develop(frame, Develop(white_balance=5000.0), calibration=twin.calibration)
    return Image.fromarray(rgb)


def apertures() -> None:
    """The same scene at f/1.4, f/2.8 and f/11: whole, and 25 MP at 100 % where depths meet."""
    twin = Twin("xiaomi-mos-35", real_time=False)
    twin.start()
    whole, depth, corner = [], [], []
    width, height = 420, 315
    for f_number in (1.4, 2.8, 11.0):
        picture = _studio(twin, f_number, 1.0, "bin2")
        small = picture.resize((width, height), Image.Resampling.LANCZOS)
        x, y = int(0.776 * picture.width) - width // 2, int(0.745 * picture.height) - height // 2
        whole.append((f"f/{f_number:g}", small))
        depth.append(("100 %: orange before the card", picture.crop((x, y, x + width, y + height))))
        right = picture.crop((picture.width - width, 0, picture.width, height))
        corner.append(("100 %: the corner", right))
    twin.close()
    keep_jpeg(_grid([whole, depth, corner]), "twin-apertures.jpg")


def ring() -> None:
    """The focus ring sweeping at f/1.4: six places of it, and the finder as an animation."""
    twin = Twin("xiaomi-mos-35", real_time=False)
    twin.start()
    size = 420, 315
    stills = [
        (
            f"{focus:g} m: {what}",
            _studio(twin, 1.4, focus, "bin2").resize(size, Image.Resampling.LANCZOS),
        )
        for focus, what in (
            (0.42, "sprig"), (0.66, "lemon"), (0.8, "mug"), (1.0, "test card"),
            (1.73, "plant"), (4.2, "lamps"),
        )
    ]  # fmt: skip
    keep_jpeg(_grid([stills[:3], stills[3:]]), "twin-ring.jpg")
    # evenly in dioptres, as a ring turns, there and back
    there = [_studio(twin, 1.4, float(1 / d), "bin4") for d in np.linspace(1 / 0.4, 1 / 5.0, 16)]
    twin.close()
    frames = [p.resize((400, 300), Image.Resampling.LANCZOS) for p in [*there, *there[-2:0:-1]]]
    for quality in range(75, 20, -10):
        frames[0].save(
            OUT / "twin-ring.webp", save_all=True, append_images=frames[1:], duration=110, loop=0,
            quality=quality, method=6,
        )  # fmt: skip
        if (OUT / "twin-ring.webp").stat().st_size <= LARGEST:
            break
    print(OUT / "twin-ring.webp", (OUT / "twin-ring.webp").stat().st_size // 1000, "kB")


def comparison() -> None:
    """Module against phone: pictures, and the figures of their page."""
    fair.main(lambda parts, name: keep_jpeg(side_by_side(parts), name))


PARTS: dict[str, Callable[[], None]] = {
    "viewfinder": viewfinder,
    "iris": iris,
    "glare": glare,
    "raws": raws,
    "measure": measure,
    "edges": edges,
    "motion": motion,
    "apertures": apertures,
    "ring": ring,
    "validation": validation,
    "comparison": comparison,
}

if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    for part in sys.argv[1:] or PARTS:
        PARTS[part]()
