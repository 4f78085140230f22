"""What a data sheet says of a sensor, from frames alone: EMVA standard 1288, with intervals."""

from collections.abc import Iterator

import numpy as np

from modoptic.measure import ExposureStep, emva1288
from modoptic.pixels import pixel_format, unpack
from modoptic.sensor import Sensor, Shot
from modoptic.twin import load_definition

SIDE = 1024


class Green:
    """The green photosites of a module's sensor under even light."""

    def __init__(self) -> None:
        self.sensor, self.frames = Sensor(load_definition("xiaomi-mos-35").sensor), 0

    def take(self, electrons: float) -> np.ndarray:
        self.frames += 1
        light = np.full((SIDE, SIDE), electrons / 0.01, np.float32)
        packed = self.sensor.expose_all(light, Shot(exposure_s=0.01, key=self.frames))
        mosaic = unpack(packed.reshape(-1), pixel_format("BayerRG12p"), SIDE, SIDE)
        return mosaic[::2, 1::2]

    def steps(self) -> Iterator[ExposureStep]:
        for n in range(30):
            light = 300.0 * n
            yield ExposureStep(
                light, self.take(light), self.take(light), self.take(0), self.take(0)
            )


def main() -> None:
    green = Green()
    found = emva1288(
        green.steps(),
        dark_stack=(green.take(0) for _ in range(40)),
        grey_stack=(green.take(4000) for _ in range(40)),
    )
    print(f"gain             {found.gain} DN/e-")
    print(f"dark noise       {found.dark_noise_e} e-")
    print(f"saturation       {found.saturation_e} e-")
    print(f"dynamic range    {found.dynamic_range}")
    print(f"DSNU             {found.dsnu_e} e-")
    print(f"PRNU             {found.prnu}")
    print(f"linearity error  {found.linearity_error:.3f} %")


if __name__ == "__main__":
    main()
