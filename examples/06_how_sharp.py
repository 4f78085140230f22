"""How sharp is the lens? The edge response of the chart's square at four apertures, in raw.

A twin is used here without link and phone: a region of the sensor, at settings of our own.
"""

import modoptic
from modoptic.measure import slanted_edge
from modoptic.pixels import pixel_format
from modoptic.twin import Twin

EDGE = (9000, 1760, 320, 320)
"""The left side of the square at the upper right: x, y, width, height in photosites."""


def main() -> None:
    twin = Twin("xiaomi-mos-35", "chart", real_time=False)
    twin.start()
    # one green in four photosites: its pixels are two photosites apart
    per_mm = 1000 / (2 * twin.info.pitch_um)
    for aperture in (2.8, 4.0, 8.0, 11.0):
        settings = modoptic.Settings(
            readout="full", region=EDGE, f_number=aperture, focus_distance_m=1.0, exposure_s=0.1
        )
        meta = twin.describe(settings)
        raw = bytearray(pixel_format(meta.pixel_format).row_bytes(meta.width) * meta.height)
        frame = modoptic.Frame(twin.capture(settings, memoryview(raw), lambda _rows: None), raw)
        sfr = slanted_edge(frame.mosaic()[::2, 1::2], method="corrected")
        spread = (sfr.sfr50_deviation or 0.0) * per_mm
        print(f"f/{aperture:<4g} {sfr.sfr50 * per_mm:6.1f} +- {spread:.1f} line pairs a mm")
    twin.close()


if __name__ == "__main__":
    main()
