"""Write the tables of `modoptic.scenes` from published data.

Run ``python tools/spectral_table.py DATA``.

DATA is a folder with ISETCam's and rawtoaces' data (see the headers written below). The three
reflectances of red, green and blue are recomputed by the method of Mallett and Yuksel, "Spectral
Primary Decomposition for Rendering with sRGB Reflectance" (EGSR 2019): the smoothest spectra that
lie in 0..1, sum to 1 and have the colours of the sRGB primaries under D65.
"""

import json
import sys
from pathlib import Path

import numpy as np
import scipy.io
from scipy.optimize import lsq_linear

OUT = Path(__file__).resolve().parents[1] / "src" / "modoptic" / "scenes" / "data"
NM = np.arange(380, 781, 5)
# IEC 61966-2-1: linear sRGB to XYZ
SRGB_TO_XYZ = np.array(
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
)


def primaries(observer: np.ndarray, d65: np.ndarray) -> np.ndarray:
    """(81, 3) reflectances; bounded least squares with the equalities weighted heavily."""
    count = len(NM)
    weights = observer * (d65 / (observer[:, 1] @ d65))[:, None]
    colors = SRGB_TO_XYZ * (weights.sum(axis=0) / SRGB_TO_XYZ.sum(axis=1))[:, None]
    slope = np.diff(np.eye(count), axis=0)
    rows = [np.kron(np.eye(3), slope)]
    goal = [np.zeros(3 * (count - 1))]
    rows.append(1e3 * np.kron(np.ones((1, 3)), np.eye(count)))
    goal.append(np.full(count, 1e3))
    rows.append(1e3 * np.kron(np.eye(3), weights.T))
    goal.append(1e3 * colors.T.reshape(-1))
    found = lsq_linear(np.vstack(rows), np.concatenate(goal), bounds=(0, 1), tol=1e-14)
    return found.x.reshape(3, count).T


def main() -> None:
    data = Path(sys.argv[1])
    observer_file = data / "camera-sensitivities/data/cmf/cmf_1931.json"
    by_nm = json.loads(observer_file.read_text())["spectral_data"]["data"]["main"]
    observer = np.array([by_nm[str(nm)] for nm in NM])
    daylight = scipy.io.loadmat(data / "isetcam/lights/cieDaylightBasis.mat")
    keep = np.isin(daylight["wavelength"].ravel(), NM)
    components = daylight["data"][keep]
    # CIE 15: M1, M2 of D65 (x = 0.31272, y = 0.32903)
    x, y = 0.31272, 0.32903
    m = 0.0241 + 0.2562 * x - 0.7341 * y
    m1, m2 = (-1.3515 - 1.7703 * x + 5.9114 * y) / m, (0.0300 - 31.4424 * x + 30.0717 * y) / m
    d65 = components @ [1.0, round(m1, 3), round(m2, 3)]
    basis = primaries(observer, d65)
    header = [
        "# x, y, z: CIE 1931 2 degree observer; CIE 2019, DOI 10.25039/CIE.DS.xvudnb9b, CC BY 4.0",
        "# s0, s1, s2: components of daylight, CIE 15 (5 nm, by way of ISETCam, MIT)",
        "# red, green, blue: sRGB primary reflectances; method of Mallett and Yuksel 2019,",
        "# computed by tools/spectral_table.py",
        "nm,x,y,z,s0,s1,s2,red,green,blue",
    ]
    lines = [
        ",".join(
            [
                str(nm),
                *(f"{v:.7g}" for v in (*observer[i], *components[i])),
                *(f"{abs(v):.5f}" for v in basis[i]),
            ]
        )
        for i, nm in enumerate(NM)
    ]
    (OUT / "spectra.csv").write_text("\n".join([*header, *lines]) + "\n")
    checker = (data / "colour/colorchecker_n_ohta_iso17321.csv").read_text().splitlines()
    header = [
        "# reflectances of the ColorChecker: Ohta 1997, ISO 17321-1:2012; transcribed from",
        "# colour-science 0.4.7, copyright 2013 Colour Developers, BSD-3-Clause",
    ]
    (OUT / "colorchecker.csv").write_text("\n".join([*header, *filter(None, checker)]) + "\n")
    card = scipy.io.loadmat(data / "isetcam/surfaces/reflectances/gretagDigitalColorSG.mat")
    names = [f"{column}{row}" for column in "ABCDEFGHIJKLMN" for row in range(1, 11)]
    header = [
        "# reflectances of a ColorChecker Digital SG, measured by F. Imai and A. Lin, July 2010;",
        "# from ISETCam, copyright 2020 Stanford Center for Image Systems Engineering, MIT",
        ",".join(["nm", *names]),
    ]
    lines = [
        ",".join([str(int(nm)), *(f"{v:.4f}" for v in row)])
        for nm, row in zip(card["wavelength"].ravel(), card["data"], strict=True)
    ]
    (OUT / "colorchecker-sg.csv").write_text("\n".join([*header, *lines]) + "\n")


if __name__ == "__main__":
    main()
