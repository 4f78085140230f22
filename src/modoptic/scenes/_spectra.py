"""Light as spectra: illuminants by formula, reflectances from tables, luminance.

All spectra are sampled from 380 to 780 nm every 5 nm (81 values, `WAVELENGTHS_NM`).
"""

from __future__ import annotations

import functools
from importlib import resources
from typing import cast

import numpy as np
import numpy.typing as npt
from scipy.optimize import lsq_linear

from modoptic.errors import SettingError

Spectrum = npt.NDArray[np.float64]

WAVELENGTHS_NM: Spectrum = np.arange(380.0, 781.0, 5.0)
"""Centres of the 5 nm bands of every spectrum of this room, shape (81,)."""

LUMINOUS_EFFICACY = 683.002
"""lm/W at 555 nm (SI Brochure, 9th edition, with V(lambda) in air)."""

HC_J_NM = 1.98644586e-16
"""Planck's constant times the speed of light, in J nm (CODATA 2018)."""

LAMPS = ("F2", "F7", "F11", "LED-B1", "LED-B3")
"""Cool white, daylight and three-band fluorescent lamps; warm and cool white LEDs."""
ILLUMINANTS = ("A", "D50", "D55", "D65", "E", *LAMPS)


@functools.cache
def _table(name: str) -> tuple[tuple[str, ...], Spectrum]:
    text = resources.files("modoptic.scenes").joinpath("data", name).read_text("utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    values = np.array([[float(v) for v in line.split(",")] for line in lines[1:]])
    return tuple(lines[0].split(",")[1:]), values[:, 1:]


def observer() -> Spectrum:
    """CIE 1931 2 degree colour matching functions x, y, z; shape (81, 3)."""
    return _table("spectra.csv")[1][:, 0:3]


def primaries() -> Spectrum:
    """Reflectances of linear sRGB red, green and blue; shape (3, 81), their sum is 1.

    A reflectance with linear sRGB values r, g, b is ``r * red + g * green + b * blue``: smooth,
    between 0 and 1, of that colour under D65. Mallett and Yuksel, "Spectral Primary Decomposition
    for Rendering with sRGB Reflectance", EGSR 2019.
    """
    return np.ascontiguousarray(_table("spectra.csv")[1][:, 6:9].T)


def colorchecker_reflectances() -> dict[str, Spectrum]:
    """The 24 patches by name, in reading order (Ohta 1997, ISO 17321-1:2012)."""
    names, values = _table("colorchecker.csv")
    return {name: np.ascontiguousarray(values[:, i]) for i, name in enumerate(names)}


def colorchecker_sg_reflectances() -> dict[str, Spectrum]:
    """The 140 patches A1 to N10 of one ColorChecker Digital SG, row by row.

    Measured from 380 to 730 nm every 10 nm (F. Imai and A. Lin, 2010, by way of ISETCam); above
    that they are held. Columns are A to N, rows 1 to 10.
    """
    names, values = _table("colorchecker-sg.csv")
    nm = np.arange(380.0, 731.0, 10.0)
    return {
        f"{column}{row}": np.interp(WAVELENGTHS_NM, nm, values[:, names.index(f"{column}{row}")])
        for row in range(1, 11)
        for column in "ABCDEFGHIJKLMN"
    }


def black_body(kelvin: float) -> Spectrum:
    """Relative spectrum of a black body (Planck), 1 at 560 nm.

    Raises
    ------
    SettingError : not between 1000 and 25 000 K
    """
    if not 1000 <= kelvin <= 25000:
        raise SettingError("colour temperature", kelvin, "1000 to 25000 K")
    return _planck(WAVELENGTHS_NM, kelvin, 1.4388e7)


def _planck(nm: Spectrum, kelvin: float, c2_nm_k: float) -> Spectrum:
    """Planck's law relative to 560 nm; c2 = h c / k in nm K."""
    return (
        (560.0 / nm) ** 5 * np.expm1(c2_nm_k / (kelvin * 560.0)) / np.expm1(c2_nm_k / (kelvin * nm))
    )


def daylight(kelvin: float) -> Spectrum:
    """Relative spectrum of CIE daylight, about 1 at 560 nm (CIE 15:2004, equations 3.3 to 3.5).

    Raises
    ------
    SettingError : not between 4000 and 25 000 K
    """
    if not 4000 <= kelvin <= 25000:
        raise SettingError("daylight temperature", kelvin, "4000 to 25000 K")
    t = 1e3 / kelvin
    if kelvin <= 7000:
        x = -4.6070 * t**3 + 2.9678 * t**2 + 0.09911 * t + 0.244063
    else:
        x = -2.0064 * t**3 + 1.9018 * t**2 + 0.24748 * t + 0.237040
    y = -3.000 * x * x + 2.870 * x - 0.275
    m = 0.0241 + 0.2562 * x - 0.7341 * y
    m1 = round((-1.3515 - 1.7703 * x + 5.9114 * y) / m, 3)
    m2 = round((0.0300 - 31.4424 * x + 30.0717 * y) / m, 3)
    return _table("spectra.csv")[1][:, 3:6] @ np.array([1.0, m1, m2]) / 100.0


def illuminant(name: str | float) -> Spectrum:
    """Relative spectrum of one of `ILLUMINANTS`, or of a black body in kelvin (``3200K``).

    Standard illuminant A is Planck's law at 2848 K with c2 = 1.435e7 nm K (CIE 15). D50, D55 and
    D65 are CIE daylight at the nominal temperature times 1.4388 / 1.4380. F2, F7, F11, LED-B1 and
    LED-B3 are lamps as tabulated in CIE 15:2018; see `illuminant_1nm` for their lines.

    Raises
    ------
    SettingError : another name
    """
    if not isinstance(name, str):
        return black_body(float(name))
    if name == "A":
        return _planck(WAVELENGTHS_NM, 2848.0, 1.435e7)
    if name == "E":
        return np.ones_like(WAVELENGTHS_NM)
    if name in LAMPS:
        lamps, values = _table("lamps.csv")
        return np.ascontiguousarray(values[:, lamps.index(name)])
    if name in ILLUMINANTS:
        return daylight(float(name[1:]) * 100.0 * 1.4388 / 1.4380)
    try:
        return black_body(float(name.removesuffix("K")))
    except ValueError:
        expected = ", ".join(ILLUMINANTS) + " or a temperature such as 3200K"
        raise SettingError("illuminant", name, expected) from None


MERCURY_NM = (404.656, 407.783, 435.833, 546.074, 576.960, 579.066)
"""Lines of mercury in every fluorescent lamp (NIST Atomic Spectra Database, in air)."""
PHOSPHOR_NM = (487.7, 542.4, 584.0, 587.6, 593.4, 599.7, 611.6, 621.0, 625.7, 631.1, 650.8, 687.7,
               693.7, 709.0, 712.3)  # fmt: skip
"""Peaks of terbium and europium in a three-band lamp. An assumption: as they are seen in compact
fluorescent lamps; those that the table of F11 has no room for come out as 0."""


@functools.cache
def illuminant_1nm(name: str) -> tuple[Spectrum, Spectrum]:
    """Wavelengths from 375 to 785 nm every 1 nm, and an illuminant's relative spectrum there.

    For cubes and sums at 1 nm. Of F2, F7 and F11 it is a reconstruction, not a measurement: narrow
    lines where mercury has them (of F11 also terbium and europium, `PHOSPHOR_NM`), on the smoothest
    continuum that is nowhere negative, such that `resample` gives the table of CIE 15 back.
    The CIE publishes a table at 1 nm as well (DOI 10.25039/CIE.DS.54hy6srn, CC BY-SA 4.0), which is
    not part of this package: give its columns to `resample`. All others are joined by straight
    lines; beyond their ends the first and last value are held.

    Raises
    ------
    SettingError : as of `illuminant`
    """
    table = illuminant(name)
    fine = np.arange(375.0, 786.0)
    if name not in ("F2", "F7", "F11"):
        return fine, np.interp(fine, WAVELENGTHS_NM, table)
    at = MERCURY_NM + (PHOSPHOR_NM if name == "F11" else ())
    lines = np.clip(1.0 - np.abs(fine[:, None] - np.array(at)), 0.0, None)
    means = resampling(fine).T
    smooth = np.diff(np.eye(fine.size), 2, axis=0)
    heavy = 1e3  # the table comes before smoothness
    asked = np.block([
        [smooth, np.zeros((fine.size - 2, len(at)))],
        [heavy * means, heavy * means @ lines],
    ])  # fmt: skip
    wanted = np.concatenate([np.zeros(fine.size - 2), heavy * table])
    found = lsq_linear(asked, wanted, (0.0, np.inf), tol=1e-12).x
    spectrum = found[: fine.size] + lines @ found[fine.size :]
    spectrum.flags.writeable = False  # it is kept
    return fine, spectrum


def checked(
    what: str, values: npt.ArrayLike, shape: tuple[int, ...] | None = None, where: str = ""
) -> Spectrum:
    """``values`` as float64 where they are finite, not negative and, if given, of that shape.

    Raises
    ------
    SettingError : says which value is wrong and where it stands
    """
    try:
        if np.iscomplexobj(values):
            raise TypeError
        found = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        raise SettingError(what, type(values).__name__, "numbers", where) from None
    if shape is not None and found.shape != shape:
        raise SettingError(what, f"shape {found.shape}", f"shape {shape}", where)
    if found.size == 0:
        raise SettingError(what, "empty", "at least one value", where)
    good = np.isfinite(found) & (found >= 0)
    if not good.all():
        at = tuple(map(int, np.argwhere(~good)[0]))
        expected = f"finite values of 0 or more; the first other one is at {at}"
        raise SettingError(what, float(found[at]), expected, where)
    return found


def checked_wavelengths(wavelengths_nm: npt.ArrayLike, where: str = "") -> Spectrum:
    """Wavelengths (n,) in nm, rising, n >= 2, between 200 and 2500.

    Raises
    ------
    SettingError : they are not
    """
    nm = checked("wavelengths", wavelengths_nm, where=where)
    if nm.ndim != 1 or nm.size < 2 or not (np.diff(nm) > 0).all():
        raise SettingError("wavelengths", f"shape {nm.shape}", "at least 2 rising values", where)
    if nm[0] < 200 or nm[-1] > 2500:
        expected = "nanometres from 200 to 2500"
        raise SettingError("wavelengths", (float(nm[0]), float(nm[-1])), expected, where)
    return nm


def resample(wavelengths_nm: npt.ArrayLike, values: npt.ArrayLike) -> Spectrum:
    """Spectra (..., n) at wavelengths of their own, at `WAVELENGTHS_NM`: (..., 81).

    Samples 5 nm apart or more are joined by straight lines. Of finer ones each of our bands takes
    the mean under a triangle of 5 nm half width, so that narrow lines keep their energy (that is
    how the CIE's 5 nm tables are made). Outside of the samples nothing is.

    Raises
    ------
    SettingError : wavelengths that do not rise, another count of values, negative or not finite
    """
    nm = checked_wavelengths(wavelengths_nm)
    found = checked("spectrum", values)
    if found.shape[-1] != nm.size:
        raise SettingError("spectrum", f"{found.shape[-1]} values", f"{nm.size} values")
    return found @ resampling(nm)


def resampling(nm: Spectrum) -> Spectrum:
    """(n, 81): triangle means of a piecewise linear spectrum, computed at 1 nm or finer."""
    if float(np.diff(nm).max()) >= 5.0:
        fine, spread = WAVELENGTHS_NM, np.eye(WAVELENGTHS_NM.size)
    else:
        fine = np.arange(WAVELENGTHS_NM[0] - 5, WAVELENGTHS_NM[-1] + 5.01, 0.25)
        spread = np.clip(1.0 - np.abs(fine[:, None] - WAVELENGTHS_NM) / 5.0, 0.0, None)
        spread *= ((fine >= nm[0]) & (fine <= nm[-1]))[:, None]
        spread /= np.maximum(spread.sum(axis=0), 1e-12)
    at = np.clip(np.searchsorted(nm, fine, "right") - 1, 0, nm.size - 2)
    part = (fine - nm[at]) / (nm[at + 1] - nm[at])
    inside = (fine >= nm[0]) & (fine <= nm[-1])
    rows = np.zeros((nm.size, fine.size))
    column = np.arange(fine.size)
    rows[at, column] = np.where(inside, 1.0 - part, 0.0)
    rows[at + 1, column] += np.where(inside, part, 0.0)
    return cast(Spectrum, rows @ spread)


def photons(radiance: npt.ArrayLike, wavelengths_nm: npt.ArrayLike = WAVELENGTHS_NM) -> Spectrum:
    """Photons s^-1 sr^-1 m^-2 nm^-1 of spectral radiances (..., n) in W sr^-1 m^-2 nm^-1.

    A photon has the energy h c / wavelength.

    Raises
    ------
    SettingError : negative or not finite, or another count of values than of wavelengths
    """
    nm = checked_wavelengths(wavelengths_nm)
    found = checked("radiance", radiance)
    if found.shape[-1:] != nm.shape:
        raise SettingError("radiance", f"shape {found.shape}", f"{nm.size} values a spectrum")
    return found * (nm / HC_J_NM)


def luminance(radiance: Spectrum) -> float:
    """cd/m2 of a spectral radiance in W sr^-1 m^-2 nm^-1, shape (81,).

    Raises
    ------
    SettingError : another shape, negative or not finite
    """
    found = checked("radiance", radiance, WAVELENGTHS_NM.shape)
    return float(LUMINOUS_EFFICACY * 5.0 * (found @ observer()[:, 1]))


def white_radiance(light: Spectrum, luminance_cd_m2: float) -> Spectrum:
    """``light`` (81,) scaled to the radiance of a perfect white of that luminance.

    Raises
    ------
    SettingError : a light of another shape, negative, not finite or dark, or no positive luminance
    """
    if not 0 < luminance_cd_m2 <= 1e9:
        raise SettingError("luminance", luminance_cd_m2, "more than 0, at most 1e9 cd/m2")
    level = luminance(light)
    if level <= 0:
        raise SettingError("light", "dark", "a spectrum with light between 380 and 780 nm")
    return light * (luminance_cd_m2 / level)
