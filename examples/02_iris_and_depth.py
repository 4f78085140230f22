"""The same scene at three f-numbers: what the iris does to depth."""

import sys
from pathlib import Path

import modoptic


def main(folder: Path = Path()) -> None:
    with modoptic.open("xiaomi-mos-35", scene="studio") as cam:
        cam.set(focus_distance_m=1.0, size="finder")
        for f_number in (1.4, 4.0, 11.0):
            cam.set(aperture=f_number)
            shot = cam.capture().result()
            print(f"f/{f_number:g}: {shot.save(folder / f'iris-{f_number:g}.jpg')}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path())
