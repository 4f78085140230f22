"""Measure the calibration of the default unit of every shipped definition; writes them where they
are shipped from.

    python tools/measure_calibration.py
"""

from __future__ import annotations

from pathlib import Path

import msgspec

import modoptic.twin
from modoptic.twin import definitions, load_definition, measure_calibration
from modoptic.twin._calibrations import KeptCalibration, definition_digest

SEED = 1


def main() -> None:
    folder = Path(modoptic.twin.__file__).parent / "calibrations"
    folder.mkdir(exist_ok=True)
    for name in definitions():
        definition = load_definition(name)
        kept = KeptCalibration(
            definition=definition_digest(definition),
            seed=SEED,
            calibration=measure_calibration(
                definition, seed=SEED, progress=lambda what, _, name=name: print(f"{name}: {what}")
            ),
        )
        path = folder / f"{name}-{SEED}.json"
        path.write_bytes(msgspec.json.format(msgspec.json.encode(kept), indent=1) + b"\n")
        print(f"{name}: {path}")


if __name__ == "__main__":
    main()
