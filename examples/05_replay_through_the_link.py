"""Play a raw file through the module and the link as if it came off a sensor."""

import sys
from pathlib import Path

import modoptic


def main(raw: Path, folder: Path = Path()) -> None:
    with modoptic.open(replay=(str(raw),)) as cam:
        print(f"{cam.info.title}: {cam.info.sensor_width} x {cam.info.sensor_height}")
        cam.set(size="full")
        shot = cam.capture().result()
        print(shot.save(folder / "replayed.jpg"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
