"""How good a definition's lens is can be chosen where the camera is named."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from modoptic.optics import LensState, TracedLens, diffraction_mtf
from modoptic.twin import load_definition
from modoptic.twin._definition import lens_of

NOMINAL = load_definition("phone-1inch")
CORNER_UM = 0.5 * NOMINAL.sensor.pitch_um * math.hypot(NOMINAL.sensor.width, NOMINAL.sensor.height)
WAVELENGTH = 3  # 587.56 nm


def mtf(wavefront: float, per_mm: float, height_um: float) -> npt.NDArray[np.float64]:
    """Across and along."""
    lens = lens_of(load_definition(f"phone-1inch@lens.wavefront={wavefront}"))
    pupil = lens.pupil(LensState(NOMINAL.focal_length_mm, NOMINAL.f_number_min, math.inf))
    return np.array([way[WAVELENGTH, 0] for way in pupil.mtf(per_mm, height_um)])


@pytest.mark.parametrize("per_mm", [50.0, 100.0, 150.0])
@pytest.mark.parametrize("field", [0.0, 0.4, 0.7])
def test_diffraction_alone_is_sharpest_and_twice_the_error_softest(
    per_mm: float, field: float
) -> None:
    perfect, usual, doubled = (mtf(w, per_mm, field * CORNER_UM) for w in (0, 1, 2))
    assert (perfect > usual).all() and (usual > doubled).all()


@pytest.mark.parametrize("per_mm", [50.0, 100.0, 200.0, 300.0])
def test_without_error_it_is_the_closed_form_of_diffraction(per_mm: float) -> None:
    wanted = diffraction_mtf(np.array([per_mm]), NOMINAL.f_number_min, 587.5618)
    np.testing.assert_allclose(mtf(0, per_mm, 0.0), np.repeat(wanted, 2), atol=0.01)


def test_the_errors_are_the_modules_at_the_same_part_of_the_field_scaled() -> None:
    """Of the traced field, which ends 1 % past the module's corner."""
    ours = lens_of(NOMINAL).pupil(LensState(8.7, 1.63, math.inf))
    module = lens_of(load_definition("xiaomi-mos-35"))
    assert isinstance(module, TracedLens)
    theirs = module.pupil(LensState(17.5, 1.63, math.inf))
    end_um = module.tables.heights_mm[-1] * 1e3
    for field in (0.0, 0.5, 0.9):
        path = theirs.shape(field * end_um).opd_um
        np.testing.assert_allclose(
            ours.shape(field * CORNER_UM).opd_um, path * 8.7 / 17.5, rtol=1e-6
        )
