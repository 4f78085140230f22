"""Spectral pictures: radiance at every point and wavelength, as measured or computed elsewhere."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from modoptic.errors import PictureError, SettingError
from modoptic.scenes._pictures import MAX_PIXELS, bins, covering, scale_note, spread
from modoptic.scenes._planes import PlanesLayer
from modoptic.scenes._scene import FloatArray, Scene
from modoptic.scenes._spectra import (
    HC_J_NM,
    LUMINOUS_EFFICACY,
    WAVELENGTHS_NM,
    Spectrum,
    checked,
    checked_wavelengths,
    observer,
    photons,
    resampling,
)

REDUCED_TO = 1e-4
"""A cube is reduced to so few spectra that what is left out is at most this, rms over rms."""


@dataclass(frozen=True, eq=False)
class SpectralCube:
    """Spectral radiance of a picture.

    >>> cube = SpectralCube([500.0, 600.0], np.full((2, 3, 2), 0.01))
    >>> cube.photons().shape
    (2, 3, 2)

    Parameters
    ----------
    wavelengths_nm : (n,), rising, 200 to 2500
    radiance : (h, w, n) in W sr^-1 m^-2 nm^-1, from the upper left

    Raises
    ------
    SettingError : wavelengths that do not rise, another shape, negative or not finite values
    """

    wavelengths_nm: Spectrum
    radiance: Spectrum

    def __post_init__(self) -> None:
        nm = checked_wavelengths(self.wavelengths_nm, "spectral cube")
        values = checked("radiance", self.radiance, where="spectral cube")
        if values.ndim != 3 or values.shape[2] != nm.size:
            expected = f"(height, width, {nm.size}), as there are {nm.size} wavelengths"
            raise SettingError("radiance", f"shape {values.shape}", expected, "spectral cube")
        object.__setattr__(self, "wavelengths_nm", nm)
        object.__setattr__(self, "radiance", values)

    @classmethod
    def from_photons(cls, wavelengths_nm: npt.ArrayLike, values: npt.ArrayLike) -> SpectralCube:
        """A cube of photons s^-1 sr^-1 m^-2 nm^-1, (h, w, n). Raises as the class does."""
        nm = checked_wavelengths(wavelengths_nm, "spectral cube")
        found = checked("photons", values, where="spectral cube")
        if found.ndim != 3 or found.shape[2] != nm.size:
            expected = f"(height, width, {nm.size}), as there are {nm.size} wavelengths"
            raise SettingError("photons", f"shape {found.shape}", expected, "spectral cube")
        return cls(nm, found * (HC_J_NM / nm))

    def photons(self) -> Spectrum:
        """Photons s^-1 sr^-1 m^-2 nm^-1, (h, w, n)."""
        return photons(self.radiance, self.wavelengths_nm)

    def luminance(self) -> npt.NDArray[np.float64]:
        """cd/m2 of every point, (h, w), summed at the cube's own wavelengths."""
        nm = self.wavelengths_nm
        seen = np.interp(nm, WAVELENGTHS_NM, observer()[:, 1], left=0.0, right=0.0)
        return self.radiance @ (LUMINOUS_EFFICACY * np.gradient(nm) * seen)

    def scaled(self, mean_cd_m2: float) -> SpectralCube:
        """The same picture with that mean luminance.

        Raises
        ------
        SettingError : no positive luminance, or a cube without visible light
        """
        if not 0 < mean_cd_m2 <= 1e9:
            raise SettingError("luminance", mean_cd_m2, "more than 0, at most 1e9 cd/m2")
        now = float(self.luminance().mean())
        if now <= 0:
            raise SettingError("radiance", "dark", "visible light somewhere", "spectral cube")
        return replace(self, radiance=self.radiance * (mean_cd_m2 / now))

    def scene(
        self, *, name: str = "cube", depth_m: float | npt.ArrayLike = 2.0,
        view_degrees: float | None = None, source: str = "a spectral cube",
    ) -> Scene:  # fmt: skip
        """The cube before a lens.

        Spectra are reduced to the fewest that keep 1 - 1e-8 of their energy (principal components
        without subtracting a mean, as ISETCam keeps its multispectral scenes), then taken to
        `WAVELENGTHS_NM` as `resample` does.

        Parameters
        ----------
        depth_m : metres from the sensor plane, 0.1 to 10 000: one number, or a map (h, w)
        view_degrees : what the picture's width was seen under, at which it is shown; None widens
            it to cover the frame of the 35 mm-class lens

        Raises
        ------
        SettingError : a depth that is not a number in range, or of another shape; a cube of which
            nothing lies within `WAVELENGTHS_NM`
        """
        height, width = self.radiance.shape[:2]
        depth = _depths(depth_m, (height, width))
        to_bands = resampling(self.wavelengths_nm)
        if not to_bands.any():
            found = (float(self.wavelengths_nm[0]), float(self.wavelengths_nm[-1]))
            expected = "some of 380 to 780 nm, of which scenes are made"
            raise SettingError("wavelengths", found, expected, "spectral cube")
        basis, planes = reduced(self.radiance)
        basis = basis @ to_bands
        per_tangent = covering(width, height, view_degrees)
        level = self.luminance()
        nm = self.wavelengths_nm
        return Scene(
            name,
            name,
            tuple(_slices(basis, planes, depth, per_tangent)),
            {
                "light": f"{level.mean():.4g} cd/m2 on average, {level.max():.4g} at most",
                "depth": f"{depth.min():.2f} to {depth.max():.2f} m",
                "source": f"{source}, {width} x {height}",
                "scale": scale_note(width, height, view_degrees),
                "spectra": f"{nm.size} samples from {nm[0]:g} to {nm[-1]:g} nm, "
                f"reduced to {len(basis)} spectra; nothing is outside of them",
            },
        )


def load_cube(path: str | Path) -> tuple[SpectralCube, npt.NDArray[np.float64] | None]:
    """A spectral cube and its depth map (h, w) in metres, or None, of a ``.npz`` file.

    The file holds ``wavelengths_nm`` (n,), ``radiance`` (h, w, n) in W sr^-1 m^-2 nm^-1 or
    ``photons`` (h, w, n) in s^-1 sr^-1 m^-2 nm^-1, and, if it likes, ``depth_m`` (h, w).

    Raises
    ------
    PictureError : no such file, damaged, too large, or an array that is missing or wrong; it names
        the file, the array and what was expected
    """
    path = Path(path)
    try:
        with path.open("rb") as stream:
            size = sum(entry.file_size for entry in zipfile.ZipFile(stream).infolist())
            if size > 9 * MAX_PIXELS:
                limit = 9 * MAX_PIXELS // 1_000_000
                problem = f"{size // 1_000_000} MB are too many; scale it down to {limit} MB"
                raise PictureError(path, problem)
            archive = np.load(stream, allow_pickle=False)
            names = set(archive.files)
            radiant = {"radiance", "photons"} & names
            if "wavelengths_nm" not in names or len(radiant) != 1:
                raise PictureError(
                    path,
                    f"has {', '.join(sorted(names)) or 'nothing'}; expected wavelengths_nm and one "
                    "of radiance or photons, of shape (height, width, wavelengths)",
                )
            kind = radiant.pop()
            values, nm = archive[kind], archive["wavelengths_nm"]
            depth = archive["depth_m"] if "depth_m" in names else None
    except FileNotFoundError as error:
        raise PictureError(path, "there is no such file; give a .npz file") from error
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, MemoryError) as error:
        raise PictureError(path, f"not a spectral cube that can be read ({error})") from error
    key = "wavelengths_nm"
    try:
        checked_wavelengths(nm, "spectral cube")
        key = kind
        make = SpectralCube if kind == "radiance" else SpectralCube.from_photons
        cube = make(nm, values)
        key = "depth_m"
        return cube, None if depth is None else _depths(depth, cube.radiance.shape[:2])
    except SettingError as error:
        raise PictureError(path, f"{key}: {error}") from error


def cube_scene(
    path: str | Path, *, distance_m: float = 2.0, view_degrees: float | None = None,
    luminance_cd_m2: float | None = None,
) -> Scene:  # fmt: skip
    """The scene of a ``.npz`` file (see `load_cube`), at ``distance_m`` if it has no depth."""
    cube, depth = load_cube(path)
    if luminance_cd_m2 is not None:
        cube = cube.scaled(luminance_cd_m2)
    return cube.scene(
        name=Path(path).stem,
        depth_m=distance_m if depth is None else depth,
        view_degrees=view_degrees,
        source=Path(path).name,
    )


def _depths(depth_m: float | npt.ArrayLike, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    found = np.asarray(depth_m, np.float64)
    if found.shape not in ((), shape):
        expected = f"one number, or {shape} as the picture"
        raise SettingError("depth", f"shape {found.shape}", expected, "spectral cube")
    bad = ~((found >= 0.1) & (found <= 1e4))
    if bad.any():
        at = tuple(map(int, np.argwhere(bad)[0]))
        expected = "0.1 to 10000 m" + (f" everywhere; the first other one is at {at}" if at else "")
        raise SettingError("depth", float(found[at]), expected, "spectral cube")
    return np.broadcast_to(found, shape)


def reduced(spectra: Spectrum) -> tuple[Spectrum, FloatArray]:
    """Basis (k, n) and coefficients (h, w, k) of spectra (h, w, n), k as `REDUCED_TO` asks for."""
    height, width, count = spectra.shape
    flat = spectra.reshape(-1, count)
    energy, vectors = np.linalg.eigh(flat.T @ flat)
    order = np.argsort(energy)[::-1]
    energy, vectors = np.clip(energy[order], 0.0, None), vectors[:, order]
    rest = energy.sum() - np.cumsum(energy)
    k = int(np.argmax(rest <= REDUCED_TO**2 * energy.sum())) + 1
    basis = np.ascontiguousarray(vectors[:, :k].T)
    return basis, (flat @ basis.T).astype(np.float32).reshape(height, width, k)


def _slices(
    basis: Spectrum, planes: FloatArray, depth: npt.NDArray[np.float64], per_tangent: float
) -> list[PlanesLayer]:
    """Whole layers at rising nearness; behind what is nearer, the colours of the surroundings."""
    if depth.min() == depth.max():
        whole = np.concatenate([planes, np.ones_like(planes[..., :1])], axis=2)
        return [PlanesLayer("picture", basis, whole, float(depth.flat[0]), per_tangent)]
    of = bins(1.0 / depth)
    layers: list[PlanesLayer] = []
    for k in range(int(of.max()) + 1):
        own = of == k
        if not own.any():
            continue
        cover = own.astype(np.float32)
        filled = spread((planes * cover[..., None]).transpose(2, 0, 1), cover).transpose(1, 2, 0)
        # whatever is nearer hides it, so it may go on there; it must not before what is farther
        there = (of >= k).astype(np.float32)[..., None]
        values = np.concatenate([np.where(own[..., None], planes, filled) * there, there], axis=2)
        middle = float(1.0 / np.median(1.0 / depth[own]))
        layers.append(
            PlanesLayer(f"slice {k}", basis, np.ascontiguousarray(values), middle, per_tangent)
        )
    return layers
