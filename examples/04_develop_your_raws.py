"""Develop raws from anywhere, a little brighter, with a chosen white."""

import sys
from pathlib import Path

import modoptic
from modoptic.photo import write_jpeg
from modoptic.rawfile import read_raw


def main(files: list[Path], folder: Path = Path()) -> None:
    for path in files:
        raw = read_raw(path)
        rgb = modoptic.develop(raw, exposure_ev=0.3, white_balance=5200.0)
        write_jpeg(folder / path.with_suffix(".jpg").name, rgb, raw.frame.meta)
        print(f"{path.name}: {rgb.shape[1]} x {rgb.shape[0]}")


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
