"""Draw the scenes for the docs: ``python tools/scene_pictures.py``.

What the lens of 17.5 mm throws on the sensor at f/8, in colours as an eye would see them; no sensor
and no picture processing have part in it.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from modoptic.optics import LensState, LightRenderer, SpectralResponse
from modoptic.scenes import WAVELENGTHS_NM, load_scene, observer

OUT = Path(__file__).resolve().parents[1] / "docs" / "pictures"
SHOWN = {
    "colorchecker": {}, "colorchecker-sg": {"distance_m": 0.4}, "chart": {},
    "slanted-edges": {}, "siemens-star": {}, "zone-plate": {"edge_cycles_m": 60.0},
    "dead-leaves": {}, "noise-patches": {}, "step-wedge": {},
    "distortion-grid": {}, "point-grid": {"radius_m": 0.002}, "motorcycle": {"view_degrees": 40.8},
}  # fmt: skip
"""Finer details of two are drawn larger, for a picture of this size."""
WIDTH, HEIGHT, COLUMNS, GAP = 400, 300, 3, 6
# IEC 61966-2-1
XYZ_TO_SRGB = np.array(
    [[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]]
)


def drawn(name: str, options: dict[str, float]) -> np.ndarray:
    """sRGB codes (h, w, 3); the brightest 0.3 % are white."""
    eye = SpectralResponse(WAVELENGTHS_NM, (observer() / WAVELENGTHS_NM[:, None]).T)
    focus = options.get("distance_m", 0.6 if name == "colorchecker" else 1.0)
    focus = 3.0 if name == "motorcycle" else focus
    lens = LensState(focal_length_mm=17.5, f_number=8.0, focus_distance_m=focus)
    seen = LightRenderer(load_scene(name, **options), eye).preview(
        lens, 2 * WIDTH, 2 * HEIGHT, (17300.0, 12970.0)
    )
    # halved in light
    seen = seen.reshape(3, HEIGHT, 2, WIDTH, 2).mean(axis=(2, 4))
    rgb = np.einsum("ck,khw->hwc", XYZ_TO_SRGB, seen)
    rgb = np.clip(rgb / np.quantile(rgb, 0.997), 0, 1)
    codes = np.where(rgb <= 0.0031308, 12.92 * rgb, 1.055 * rgb ** (1 / 2.4) - 0.055)
    return np.rint(255 * codes).astype(np.uint8)


def main() -> None:
    rows = -(-len(SHOWN) // COLUMNS)
    size = COLUMNS * (WIDTH + GAP) - GAP, rows * (HEIGHT + GAP) - GAP
    sheet = Image.new("RGB", size, "white")
    for i, (name, options) in enumerate(SHOWN.items()):
        place = i % COLUMNS * (WIDTH + GAP), i // COLUMNS * (HEIGHT + GAP)
        sheet.paste(Image.fromarray(drawn(name, options)), place)
    sheet.save(OUT / "scene-charts.jpg", quality=85)


if __name__ == "__main__":
    main()
