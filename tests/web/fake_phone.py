"""A phone without cameras: it answers like the real one and draws a still life by itself."""

from __future__ import annotations

import io
import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from modoptic.errors import FileError, SettingError
from modoptic.host.state import (
    Action,
    AutoFocus,
    CameraState,
    Choose,
    Control,
    DockState,
    Figures,
    FinderFrame,
    FinderHeader,
    LensState,
    Magnify,
    Notice,
    PhoneState,
    SetControls,
    Shoot,
    ShotState,
    SwitchCamera,
)

MODULE = CameraState(
    id="mos-35-0001",
    title="35 mm f/1.4",
    sensor_format="4/3",
    focal_length_mm=17.5,
    focal_length_35mm=35.0,
    sensor_width=11648,
    sensor_height=8736,
    built_in=False,
)
BUILT_IN = CameraState(
    id="phone-0001",
    title="24 mm f/1.6",
    sensor_format="1 inch",
    focal_length_mm=8.7,
    focal_length_35mm=24.0,
    sensor_width=8192,
    sensor_height=6144,
    built_in=True,
)


def jpeg(image: Image.Image, quality: int = 82) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()


class StillLife:
    """Layers at distances, blurred by focus and iris; enough to see that the controls matter."""

    def __init__(self, width: int, height: int) -> None:
        self.size = (width, height)
        self._layers = self._paint()
        self._last: tuple[tuple[float, float, float], Image.Image] | None = None

    def picture(
        self, focus_m: float | None, f_number: float, focal_mm: float, t: float
    ) -> Image.Image:
        key = (round(1 / focus_m if focus_m else 0.0, 2), round(f_number, 1), focal_mm)
        if self._last is None or self._last[0] != key:
            self._last = (key, self._compose(*key))
        image = self._last[1].copy()
        w, h = self.size
        swing = 0.32 * math.sin(t * 2.4)
        x, y = w * (0.735 + 0.10 * math.sin(swing)), h * (0.16 + 0.30 * math.cos(swing))
        draw = ImageDraw.Draw(image)
        draw.line((w * 0.735, 0, x, y), fill=(32, 26, 22), width=max(1, w // 400))
        r = w * 0.021
        draw.ellipse((x - r, y - r, x + r, y + r), fill=(196, 148, 62))
        draw.ellipse((x - r * 0.5, y - r * 0.6, x, y - r * 0.1), fill=(246, 222, 164))
        return image

    def _compose(self, diopter: float, f_number: float, focal_mm: float) -> Image.Image:
        base = Image.new("RGB", self.size)
        for distance, layer in self._layers:
            blur = abs(1 / distance - diopter) * focal_mm**2 / f_number * self.size[0] / 17.3 / 2000
            soft = layer.filter(ImageFilter.BoxBlur(blur)) if blur > 0.4 else layer
            base.paste(soft, (0, 0), soft)
        return base

    def _paint(self) -> list[tuple[float, Image.Image]]:
        w, h = self.size
        rng = np.random.default_rng(4)
        y, x = np.mgrid[0:h, 0:w] / np.array([h, w]).reshape(2, 1, 1)
        glow = np.exp(-((x - 0.3) ** 2 * 5 + (y - 0.25) ** 2 * 7))
        wall = np.stack([46 + 66 * glow, 52 + 42 * glow, 58 + 22 * glow, 255 + 0 * glow], -1)
        back = Image.fromarray(wall.astype(np.uint8), "RGBA")
        lamps, table, mug, book, leaf = (Image.new("RGBA", (w, h)) for _ in range(5))
        draw = ImageDraw.Draw(lamps)
        colours = [(255, 214, 150), (255, 184, 184), (160, 212, 255), (255, 240, 200)]
        for n in range(13):
            cx, cy, r = (
                rng.uniform(0, w),
                rng.uniform(0.03, 0.42) * h,
                w * rng.uniform(0.010, 0.022),
            )
            draw.ellipse((cx - r, cy - r, cx + r, cy + r), fill=(*colours[n % 4], 235))
        draw = ImageDraw.Draw(table)
        draw.rectangle((0, h * 0.68, w, h), fill=(92, 62, 40, 255))
        for n in range(60):
            ty = h * (0.68 + 0.32 * (n / 60) ** 1.6)
            tone = int(rng.integers(-12, 12))
            draw.line(
                (0, ty, w, ty + rng.uniform(-3, 3)),
                fill=(92 + tone, 62 + tone, 40 + tone, 255),
                width=2,
            )
        draw = ImageDraw.Draw(mug)
        draw.arc(
            (w * 0.50, h * 0.45, w * 0.62, h * 0.66),
            -80,
            95,
            fill=(166, 184, 180, 255),
            width=w // 60,
        )
        draw.polygon(
            [
                (w * 0.33, h * 0.40),
                (w * 0.55, h * 0.40),
                (w * 0.53, h * 0.76),
                (w * 0.35, h * 0.76),
            ],
            fill=(181, 197, 192, 255),
        )
        draw.ellipse((w * 0.35, h * 0.72, w * 0.53, h * 0.79), fill=(181, 197, 192, 255))
        for n in range(40):
            px = w * (0.345 + 0.19 * n / 40)
            draw.line((px, h * 0.47, px, h * 0.70), fill=(120 + n, 146, 150, 255), width=1)
        draw.ellipse((w * 0.33, h * 0.365, w * 0.55, h * 0.435), fill=(150, 166, 162, 255))
        draw.ellipse((w * 0.345, h * 0.375, w * 0.535, h * 0.428), fill=(48, 28, 18, 255))
        draw = ImageDraw.Draw(book)
        draw.polygon(
            [
                (w * 0.66, h * 0.52),
                (w * 0.92, h * 0.49),
                (w * 0.94, h * 0.74),
                (w * 0.68, h * 0.76),
            ],
            fill=(122, 48, 40, 255),
        )
        for n in range(9):
            draw.line(
                (w * 0.70, h * (0.56 + n * 0.018), w * 0.89, h * (0.54 + n * 0.018)),
                fill=(224, 196, 150, 255),
            )
        draw = ImageDraw.Draw(leaf)
        for n in range(5):
            lx, ly = w * (0.02 + 0.05 * n), h * (0.98 - 0.08 * (n % 3))
            draw.ellipse((lx, ly - h * 0.22, lx + w * 0.055, ly), fill=(66, 106 + 8 * n, 62, 255))
            draw.line(
                (lx + w * 0.027, ly, lx + w * 0.03, ly - h * 0.2),
                fill=(120, 160, 100, 255),
                width=2,
            )
        return [(12.0, back), (6.0, lamps), (1.6, table), (2.2, book), (1.2, mug), (0.5, leaf)]


class FakeGallery:
    """Photos that are files, with tiles of 512 px; level 0 is 100 %, each next one half of it."""

    tile_size = 512

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.deleted: set[str] = set()
        self._images: dict[str, Image.Image] = {}

    def add(self, name: str, image: Image.Image, meta: dict[str, Any]) -> None:
        (self.folder / f"{name}.dng").write_bytes(b"II*\0" + bytes(1000))
        (self.folder / f"{name}.json").write_bytes(msgspec.json.encode(meta))
        part = self.folder / f"{name}.part"
        image.save(part, "JPEG", quality=90)
        part.rename(self.folder / f"{name}.jpg")

    def list(self) -> list[dict[str, Any]]:
        names = sorted((path.stem for path in self.folder.glob("*.jpg")), reverse=True)
        return [self.info(name) for name in names if name not in self.deleted]

    def info(self, name: str) -> dict[str, Any]:
        self._check(name)
        image = self._image(name)
        meta = msgspec.json.decode((self.folder / f"{name}.json").read_bytes())
        w, h = image.size
        levels = max(0, math.ceil(math.log2(max(w, h) / self.tile_size))) + 1
        files = [(kind, self.folder / f"{name}.{kind}") for kind in ("jpg", "dng")]
        return {
            "name": name, "width": w, "height": h, "picture_width": w, "picture_height": h,
            "tile_size": self.tile_size, "levels": levels,
            "version": str(files[0][1].stat().st_mtime_ns),
            "files": [{"kind": k, "name": p.name, "bytes": p.stat().st_size} for k, p in files],
            **meta,
        }  # fmt: skip

    def thumbnail(self, name: str, size: int) -> bytes:
        self._check(name)
        image = self._image(name).copy()
        image.thumbnail((size, size))
        return jpeg(image)

    def tile(self, name: str, level: int, x: int, y: int) -> bytes:
        self._check(name)
        image = self._image(name)
        side = self.tile_size << level
        if (
            not 0 <= level < 16
            or x * side >= image.width
            or y * side >= image.height
            or min(x, y) < 0
        ):
            raise FileError(name, f"no such tile: level {level}, {x}, {y}")
        box = (
            x * side,
            y * side,
            min((x + 1) * side, image.width),
            min((y + 1) * side, image.height),
        )
        part = image.crop(box)
        return jpeg(
            part.resize((math.ceil(part.width / 2**level), math.ceil(part.height / 2**level)))
        )

    def path(self, name: str, kind: str) -> Path:
        self._check(name)
        return self.folder / f"{name}.{kind}"

    def delete(self, name: str) -> None:
        self._check(name)
        self.deleted.add(name)

    def restore(self, name: str) -> None:
        self.deleted.discard(name)

    def _check(self, name: str) -> None:
        if name in self.deleted or not (self.folder / f"{name}.jpg").exists():
            raise FileError(name, "no such photo")

    def _image(self, name: str) -> Image.Image:
        if name not in self._images:
            self._images[name] = Image.open(self.folder / f"{name}.jpg").convert("RGB")
        return self._images[name]


class FakePhone:
    """Answers like `modoptic.host.Phone`; ``actions`` keeps what was asked."""

    def __init__(
        self, folder: Path, *, rate: float = 30.0, size: tuple[int, int] = (960, 720)
    ) -> None:
        self.gallery = FakeGallery(folder)
        self.actions: list[Action] = []
        self.still_life = StillLife(*size)
        self.shot_s = 0.3
        self.shown_width: int | None = None
        self._rate = rate
        self._lock = threading.RLock()
        self._state_callbacks: list[Callable[[PhoneState], None]] = []
        self._finder_callbacks: list[Callable[[FinderFrame], None]] = []
        self._closing = threading.Event()
        self._sequence = 0
        self._state = PhoneState(
            sequence=0, active=BUILT_IN.id, cameras=(BUILT_IN,), dock=DockState(), lens=None,
            exposure_s=Control(value=1 / 60, auto=True, minimum=1 / 8000, maximum=1.0),
            iso=Control(value=200, auto=True, minimum=100, maximum=12800), ev=0.0,
            white_balance="auto", white_kelvin=4300.0, auto_switch=True, magnifier=None,
            still_megapixels=(12.5, 50.0), still_size=12.5, save_dng=True, dng_compression="jpeg",
            shots=(), notices=(), figures=Figures(frame_age_ms=11.0, frame_rate=rate),
            histogram=self._bins(),
            gallery_dir=str(folder),
        )  # fmt: skip
        self._use(BUILT_IN)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._thread.join(5)

    def state(self) -> PhoneState:
        return self._state

    def subscribe(self, callback: Callable[[PhoneState], None]) -> Callable[[], None]:
        self._state_callbacks.append(callback)
        return lambda: self._state_callbacks.remove(callback)

    def on_finder(self, callback: Callable[[FinderFrame], None]) -> Callable[[], None]:
        self._finder_callbacks.append(callback)
        return lambda: self._finder_callbacks.remove(callback)

    def shows(self, width: int | None) -> None:
        self.shown_width = width

    def change(self, **fields: Any) -> None:
        with self._lock:
            fields.setdefault("sequence", self._state.sequence + 1)
            self._state = msgspec.structs.replace(self._state, **fields)
        for callback in list(self._state_callbacks):
            callback(self._state)

    def notify(self, level: str, text: str, shot: str = "") -> None:
        notices = self._state.notices
        notice = Notice(id=len(notices) + 1, level=level, text=text, shot=shot)  # type: ignore[arg-type]
        self.change(notices=(*notices, notice))

    def act(self, action: Action) -> None:
        with self._lock:
            self.actions.append(action)
        state = self._state
        match action:
            case SetControls():
                self._set(action)
            case Choose():
                self.change(
                    **{k: v for k, v in msgspec.structs.asdict(action).items() if v is not None}
                )
            case SwitchCamera(camera=camera):
                self._use(next(c for c in state.cameras if c.id == camera))
            case Magnify(at=at):
                self.change(magnifier=at)
            case AutoFocus(at=at):
                self._focus(1.2 if at[0] < 0.6 else 2.2)
            case Shoot():
                threading.Thread(target=self._shoot, daemon=True).start()

    # what hands do

    def seat(self) -> None:
        for step in ("SEATING", "ATTACHED", "ACTIVATED", "ENUMERATED"):
            self.change(dock=DockState(state=step))
            if self._closing.wait(0.03):
                return
        dock = DockState(state="READY", known=True, ready_ms=132.0, power_mw=1200, link_gbit_s=9.9)
        self.change(dock=dock, cameras=(BUILT_IN, MODULE))
        self._use(MODULE)

    def pull(self) -> None:
        self.change(dock=DockState(), cameras=(BUILT_IN,))
        self._use(BUILT_IN)

    def turn_ring(self, distance_m: float) -> None:
        self._focus(None if math.isinf(distance_m) else distance_m)

    # inside

    def _use(self, camera: CameraState) -> None:
        n, low, high = (1.63, 1.63, 1.63) if camera.built_in else (2.0, 1.4, 11.0)
        sizes = (12.5, 50.0) if camera.built_in else (25.0, 100.0)
        iris = Control(value=n, auto=not camera.built_in, minimum=low, maximum=high)
        self.change(active=camera.id, lens=self._lens(camera, 1.2, iris), still_megapixels=sizes,
                    still_size=sizes[0])  # fmt: skip

    def _lens(self, camera: CameraState, focus: float | None, iris: Control) -> LensState:
        f = camera.focal_length_mm / 1000
        coc = (
            f
            * (43.27 / camera.focal_length_35mm)
            / 1500
            * (camera.focal_length_35mm / 43.27)
            * 1.24
        )
        hyper = f + f * f / (iris.value * coc)
        if focus is None:
            near, far = hyper, None
        else:
            near = focus * (hyper - f) / (hyper + focus - 2 * f)
            far = focus * (hyper - f) / (hyper - focus) if focus < hyper else None
        return LensState(focus_distance_m=focus, focus_min_m=0.3 if not camera.built_in else 0.1,
                         near_m=near, far_m=far, hyperfocal_m=hyper, f_number=iris)  # fmt: skip

    def _camera(self) -> CameraState:
        return next(c for c in self._state.cameras if c.id == self._state.active)

    def _focus(self, distance: float | None) -> None:
        assert self._state.lens is not None
        self.change(lens=self._lens(self._camera(), distance, self._state.lens.f_number))

    def _set(self, controls: SetControls) -> None:
        state, fields = self._state, {}
        assert state.lens and state.exposure_s and state.iso
        iris, focus = state.lens.f_number, state.lens.focus_distance_m
        replace = msgspec.structs.replace
        if controls.f_number is not None:
            if not iris.minimum <= controls.f_number <= iris.maximum:
                raise SettingError(
                    "aperture", controls.f_number, f"f/{iris.minimum} to f/{iris.maximum}"
                )
            iris = replace(iris, value=controls.f_number, auto=False)
        if "f_number" in controls.auto:
            iris = replace(iris, auto=True)
        if controls.focus_distance_m is not None:
            focus = controls.focus_distance_m or None
        for name in ("exposure_s", "iso"):
            value = getattr(controls, name)
            if value is not None:
                fields[name] = replace(getattr(state, name), value=value, auto=False)
            if name in controls.auto:
                fields[name] = replace(getattr(state, name), auto=True)
        if controls.ev is not None:
            fields["ev"] = controls.ev
        if controls.white_kelvin is not None:
            fields.update(white_kelvin=controls.white_kelvin, white_balance="manual")
        if "white_balance" in controls.auto:
            fields["white_balance"] = "auto"
        self.change(lens=self._lens(self._camera(), focus, iris), **fields)

    def _shoot(self) -> None:
        name = f"MOD_{len(list(self.gallery.folder.glob('*.jpg'))) + 1:04d}"
        for phase in ("exposing", "crossing", "developing", "saving"):
            for part in range(4):
                shot = ShotState(name=name, phase=phase, fraction=part / 4, megapixels=25)  # type: ignore[arg-type]
                self.change(shots=(shot,))
                if self._closing.wait(self.shot_s / 16):
                    return
        lens = self._state.lens
        assert lens
        focal = self._camera().focal_length_mm
        image = self.still_life.picture(
            lens.focus_distance_m, lens.f_number.value, focal, time.monotonic()
        )
        self.gallery.add(name, image.resize((2880, 2160)), self._meta())
        self.change(shots=(ShotState(name=name, phase="done", fraction=1.0, megapixels=25),))

    def _meta(self) -> dict[str, Any]:
        state, camera = self._state, self._camera()
        assert state.lens and state.exposure_s and state.iso
        return {
            "taken": "2026-11-22T20:50:00+00:00", "camera": camera.title,
            "exposure_s": state.exposure_s.value,
            "iso": state.iso.value, "f_number": state.lens.f_number.value,
            "focus_distance_m": state.lens.focus_distance_m,
            "focal_length_mm": camera.focal_length_mm,
            "focal_length_35mm": camera.focal_length_35mm,
        }  # fmt: skip

    def _bins(self) -> tuple[int, ...]:
        x = np.linspace(0, 1, 64)
        curve = np.exp(-((x - 0.25) ** 2) * 50) + 0.7 * np.exp(-((x - 0.55) ** 2) * 80) + 0.03
        return tuple(int(v) for v in 255 * curve / curve.max())

    def _run(self) -> None:
        due = time.monotonic()
        while not self._closing.wait(max(0.0, due - time.monotonic())):
            due += 1 / self._rate
            self._frame("finder")
            if self._state.magnifier:
                self._frame("magnifier")
            if self._sequence % 6 == 0:
                self.change()

    def _frame(self, kind: str) -> None:
        state, camera = self._state, self._camera()
        assert state.lens and state.exposure_s and state.iso
        lens = state.lens
        end = time.monotonic_ns()
        exposure = int(state.exposure_s.value * 1e9)
        image = self.still_life.picture(
            lens.focus_distance_m, lens.f_number.value, camera.focal_length_mm, end / 1e9
        )
        if kind == "magnifier" and state.magnifier:
            w, h = image.size
            x, y = (int(p * s) for p, s in zip(state.magnifier, (w, h), strict=True))
            image = image.crop((x - w // 12, y - h // 12, x + w // 12, y + h // 12)).resize(
                (480, 360), 0
            )
        self._sequence += 1
        header = FinderHeader(
            sequence=self._sequence, camera=camera.id, frame_id=self._sequence, width=image.width,
            height=image.height, kind=kind, exposure_s=state.exposure_s.value, iso=state.iso.value,  # type: ignore[arg-type]
            f_number=lens.f_number.value, focus_distance_m=lens.focus_distance_m,
            mid_exposure_ns=end - exposure // 2, start_ns=end - exposure, readout_end_ns=end,
            ready_ns=time.monotonic_ns(),
        )  # fmt: skip
        frame = FinderFrame(header=header, jpeg=jpeg(image))
        for callback in list(self._finder_callbacks):
            callback(frame)


class FakeHands:
    """Hands on the fake phone's module; ``done`` keeps what they did."""

    def __init__(self, phone: FakePhone) -> None:
        self._phone = phone
        self.done: list[tuple[Any, ...]] = []
        self.scene, self.seated, self.line = "studio", False, None

    def seat(self) -> None:
        self.done.append(("seat",))
        self.seated = True
        self._phone.seat()

    def pull(self) -> None:
        self.done.append(("pull",))
        self.seated = False
        self._phone.pull()

    def tilt(self, degrees: float) -> None:
        self.done.append(("tilt", degrees))

    def turn_ring(self, focus_distance_m: float) -> None:
        self.done.append(("turn_ring", focus_distance_m))
        self._phone.turn_ring(focus_distance_m)

    def set_scene(self, name: str) -> None:
        self.done.append(("set_scene", name))
        self.scene = name

    def set_line(self, bits_per_s: float | None) -> None:
        self.done.append(("set_line", bits_per_s))
        self.line = bits_per_s

    def state(self) -> dict[str, Any]:
        return {
            "definition": "xiaomi-mos-35", "title": "35 mm f/1.4", "scene": self.scene,
            "scenes": ["studio", "motorcycle", "colorchecker", "chart"], "seated": self.seated,
            "line": self.line,
        }  # fmt: skip
