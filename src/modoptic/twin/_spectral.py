"""A camera for people who bring spectral cubes: radiance at every photosite and band, to raw."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from modoptic import pixels
from modoptic.bands import run_bands
from modoptic.errors import SettingError
from modoptic.optics import CubeRenderer, LensState
from modoptic.scenes import checked_wavelengths
from modoptic.sensor import IdealSensor, Sensor, Shot
from modoptic.twin._definition import Definition, lens_of, load_definition, spectral_response
from modoptic.twin._light import Window, sample_grid

_BAND_ROWS = 128
_WHERE = "spectral cube"


class SpectralCamera:
    """The lens and sensor of a definition before spectral cubes, one spectrum to a photosite.

    >>> camera = SpectralCamera("xiaomi-mos-35", [450.0, 550.0, 650.0])
    >>> camera.raw(np.full((64, 96, 3), 0.01), exposure_s=0.02, f_number=4.0).shape
    (64, 96)

    The cube is what the middle of the sensor sees, as large as it lies there. Light is blurred
    wavelength by wavelength (see `modoptic.optics.CubeRenderer`), then loses what the lens takes
    away, and the sensor does the rest. For cubes of another size, with a depth map, or seen with
    distortion, make a scene of it (`modoptic.scenes.SpectralCube.scene`) and use a `Twin`.

    The mosaic is Bayer's, also of a sensor whose own is quad-Bayer: nothing is remosaiced.

    Parameters
    ----------
    definition : name of a shipped definition or path of a TOML file, see `load_definition`
    wavelengths_nm : (n,), rising, 200 to 2500; centres of the bands. A band stands for half of the
        way to its neighbours; outside of them there is no light.
    seed : decides how this unit's sensor differs from the nominal, and its noise
    noise : False for the nominal sensor's mean numbers, without any noise

    Raises
    ------
    SettingError, FileError : no such definition, or wavelengths that the sensor cannot see
    """

    def __init__(
        self, definition: str | Path | Definition, wavelengths_nm: npt.ArrayLike, *, seed: int = 1,
        noise: bool = True,
    ) -> None:  # fmt: skip
        if not isinstance(definition, Definition):
            definition = load_definition(definition)
        replace = msgspec.structs.replace
        bayer = replace(definition.sensor, cfa=definition.sensor.bayer)
        self.definition = replace(definition, sensor=bayer)
        self.wavelengths_nm = checked_wavelengths(wavelengths_nm, _WHERE)
        spec = self.definition.sensor
        self._sensor = Sensor(spec, seed) if noise else IdealSensor(spec, seed, shot_noise=False)
        self._renderer = CubeRenderer(
            self.wavelengths_nm, spectral_response(self.definition), lens_of(self.definition),
            diffusion_um=spec.diffusion_um, angular=spec.angular_response,
        )  # fmt: skip

    def light(
        self, radiance: npt.ArrayLike, *, f_number: float | None = None,
        focus_distance_m: float = 2.0, distance_m: float | None = None, exact: bool = False,
    ) -> npt.NDArray[np.float32]:  # fmt: skip
        """Mean photo-electrons a second of each photosite in its own colour, float32 (h, w).

        Parameters
        ----------
        radiance : (h, w, n) in W sr^-1 m^-2 nm^-1; h even, w a multiple of 4, at most the sensor's.
            Arrays of float32 are used as they are, which is quickest.
        f_number : by default that of the open iris
        focus_distance_m : from the sensor plane; ``inf`` is infinity
        distance_m : of all that is seen; by default in focus
        exact : every band on its own and in float64, to check the quick way against

        Raises
        ------
        SettingError : another shape, a value that is negative or not finite, or a lens that cannot
            be set so
        """
        cube = self._checked(radiance)
        window = Window("full", *self._origin(cube.shape), cube.shape[1], cube.shape[0])
        grid = sample_grid(self.definition.sensor, window)
        if distance_m is not None and not 0.1 <= distance_m <= 1e4:
            raise SettingError("distance_m", distance_m, "0.1 to 10000 m", _WHERE)
        lens = LensState(
            self.definition.focal_length_mm,
            self.definition.f_number_min if f_number is None else f_number,
            focus_distance_m,
            self.definition.transmittance,
        )
        return self._renderer.light(cube, lens, grid, distance_m=distance_m, exact=exact)

    def raw(
        self, radiance: npt.ArrayLike, *, exposure_s: float, gain: float = 1.0,
        f_number: float | None = None, focus_distance_m: float = 2.0,
        distance_m: float | None = None, bits: Literal[12, 14] = 12, key: int = 0,
        exact: bool = False,
    ) -> npt.NDArray[np.uint16]:  # fmt: skip
        """The raw mosaic of a cube: DN, uint16 (h, w), its upper left photosite ``cfa[0][0]``.

        Parameters
        ----------
        exposure_s, gain : of this shot; gain 1 is base ISO
        bits : of the converter
        key : names the frame: the same key gives the same noise
        others : as of `light`

        Raises
        ------
        SettingError : as of `light`; an exposure, a gain or bits that the sensor does not have
        """
        spec = self.definition.sensor
        for name, value, low, high in (
            ("exposure_s", exposure_s, spec.exposure_min_s, spec.exposure_max_s),
            ("gain", gain, 1.0, spec.gain_max),
        ):
            if not low <= value <= high:
                raise SettingError(name, value, f"{low:g} to {high:g}", self.definition.name)
        light = self.light(
            radiance, f_number=f_number, focus_distance_m=focus_distance_m, distance_m=distance_m,
            exact=exact,
        )  # fmt: skip
        height, width = light.shape
        shot = Shot(
            exposure_s=exposure_s, gain=gain, bits=bits, origin=self._origin(light.shape),
            temperature_c=self.definition.temperature_c, key=key,
        )  # fmt: skip
        form = pixels.bayer_format(spec.bayer, bits, packed=True)
        packed = np.empty((height, form.row_bytes(width)), np.uint8)
        out = np.empty((height, width), np.uint16)

        def work(first: int, end: int) -> None:
            self._sensor.expose(light, shot, packed, (first, end))
            rows = packed[first:end].reshape(-1)
            pixels.unpack(rows, form, end - first, width, out[first:end])

        run_bands(work, height, _BAND_ROWS)
        return out

    def planes(self, height: int, width: int, *, f_number: float, focus_distance_m: float) -> int:
        """How many planes each colour takes for a cube of that size."""
        window = Window("full", *self._origin((height, width)), width, height)
        lens = LensState(
            self.definition.focal_length_mm, f_number, focus_distance_m,
            self.definition.transmittance,
        )  # fmt: skip
        return self._renderer.planes(lens, sample_grid(self.definition.sensor, window))

    def _checked(self, radiance: npt.ArrayLike) -> npt.NDArray[np.floating]:
        try:
            found = np.asarray(radiance)
        except ValueError:
            raise SettingError("radiance", type(radiance).__name__, "numbers", _WHERE) from None
        if found.dtype.kind not in "fiu":
            raise SettingError("radiance", str(found.dtype), "real numbers", _WHERE)
        spec, bands = self.definition.sensor, self.wavelengths_nm.size
        if found.ndim != 3 or found.shape[2] != bands:
            expected = f"(height, width, {bands}), as there are {bands} wavelengths"
            raise SettingError("radiance", f"shape {found.shape}", expected, _WHERE)
        height, width = found.shape[:2]
        fits = 2 <= height <= spec.height and 4 <= width <= spec.width
        if not fits or height % 2 or width % 4:
            expected = (
                f"an even height of at most {spec.height} and a width that is a multiple of 4, at "
                f"most {spec.width}: one spectrum for each photosite; crop the cube, or make a "
                "scene of it"
            )
            raise SettingError("radiance", f"shape {found.shape}", expected, _WHERE)
        kind = np.float32 if found.dtype == np.dtype(np.float32) else np.float64
        # kernels are compiled for arrays that may be written
        return np.require(found, kind, ["C", "W"])

    def _origin(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """First photosite (x, y) of what lies in the middle of the sensor."""
        spec = self.definition.sensor
        return (spec.width - shape[1]) // 4 * 2, (spec.height - shape[0]) // 4 * 2
