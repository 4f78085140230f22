"""What a raw says in numbers: levels, noise, and the noise model that came with it."""

import numpy as np

import modoptic


def main() -> None:
    with modoptic.open("xiaomi-mos-35", scene="flat") as cam:
        cam.set(aperture=4.0, size="finder")
        one, two = (cam.capture().result() for _ in range(2))
    meta = one.meta
    black = np.mean(meta.black_level)
    span = meta.white_level - black
    # the difference of two frames leaves the temporal noise alone
    patch = np.s_[1000:1200:2, 1400:1600:2]
    first, second = one.mosaic()[patch].astype(float), two.mosaic()[patch].astype(float)
    signal = (first.mean() - black) / span
    measured = np.var(first - second) / 2 / span**2
    expected = meta.noise.scale * signal + meta.noise.offset
    print(f"signal {signal:.3f}, noise {measured**0.5:.5f}, model {expected**0.5:.5f}")


if __name__ == "__main__":
    main()
