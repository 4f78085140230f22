"""Open the camera module, take a picture, save the raw and the finished photo."""

import sys
from pathlib import Path

import modoptic


def main(folder: Path = Path()) -> None:
    with modoptic.open("xiaomi-mos-35", scene="studio") as cam:
        cam.set(aperture=2.0, focus_distance_m=1.0, size="finder")
        shot = cam.capture().result()
        shot.save(folder / "studio.dng")
        shot.save(folder / "studio.jpg")
        print(f"{shot.meta.width} x {shot.meta.height}, {shot.meta.settings.exposure_s:.4f} s")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path())
