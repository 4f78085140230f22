"""Spectral cubes: the photons of a known scene, and that a lens sees what the cube holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st

from modoptic.errors import PictureError, SettingError
from modoptic.optics import LensState, LightRenderer, SpectralResponse
from modoptic.scenes import (
    WAVELENGTHS_NM,
    Lamps,
    PlanesLayer,
    SpectralCube,
    load_cube,
    load_scene,
    photons,
    resample,
)

NM = np.arange(400.0, 701.0, 10.0)
RESPONSE = SpectralResponse(
    WAVELENGTHS_NM,
    0.6 * np.stack([np.exp(-(((WAVELENGTHS_NM - c) / 40) ** 2)) for c in (600.0, 540.0, 460.0)]),
)


def isetcam_table(path: Path) -> np.ndarray:
    """Columns of one of ISETCam's tables at 400:10:700 nm; shape (31, n)."""
    found = scipy.io.loadmat(path)
    nm = found["wavelength"].ravel()
    return np.stack([np.interp(NM, nm, column) for column in found["data"].T], axis=1)


@pytest.mark.data
@pytest.mark.parametrize(("light", "expected"), [("D65", 7.1660e20), ("D50", 7.3033e20)])
def test_macbeth_has_the_photons_of_isetcam(data_dir: Path, light: str, expected: float) -> None:
    # ISETCam, v_icam_sceneMacbeth.m: 24 patches of 16 x 16, 100 cd/m2 on average, all photons
    folder = data_dir / "isetcam"
    reflectance = isetcam_table(folder / "surfaces/reflectances/macbethChart.mat")
    spectrum = isetcam_table(folder / "lights" / f"{light}.mat")[:, 0]
    # the table goes down its columns of four
    chart = (reflectance * spectrum[:, None]).T.reshape(6, 4, 31).transpose(1, 0, 2)
    cube = SpectralCube(NM, chart.repeat(16, axis=0).repeat(16, axis=1)).scaled(100.0)
    assert cube.radiance.shape == (64, 96, 31)
    assert float(cube.luminance().mean()) == pytest.approx(100.0)
    assert float(cube.photons().sum()) == pytest.approx(expected, rel=1e-4)


def patches() -> SpectralCube:
    """2 x 3 patches of 40 x 40 whose spectra are sharp bands on a slope."""
    rng = np.random.default_rng(5)
    spectra = np.stack([
        rng.uniform(0.001, 0.003) + 0.004 * np.exp(-(((NM - c) / 18.0) ** 2)) + 2e-6 * (NM - 400)
        for c in (420, 470, 520, 570, 620, 670)
    ])  # fmt: skip
    return SpectralCube(NM, spectra.reshape(2, 3, 31).repeat(40, axis=0).repeat(40, axis=1))


def test_every_spectrum_of_a_cube_reaches_the_sensor() -> None:
    cube = patches()
    scene = cube.scene(depth_m=2.0)
    (layer,) = scene.layers
    assert isinstance(layer, PlanesLayer)
    matrix = RESPONSE.electrons(WAVELENGTHS_NM, layer.basis).T.astype(np.float32)
    step = 1 / layer.pixels_per_tangent
    out = np.empty((4, 80, 120), np.float32)
    layer.sample(matrix, 0.0175, -59.5 * step, -39.5 * step, step, out)
    wanted = RESPONSE.electrons(WAVELENGTHS_NM, resample(NM, cube.radiance))
    assert np.allclose(out[:3], wanted.transpose(2, 0, 1), rtol=2e-3)
    assert np.allclose(out[3], 1.0)
    # and so through the renderer: the ratio of two patches' middles, which lie alike to the axis
    lens = LensState(focal_length_mm=17.5, f_number=8.0, focus_distance_m=2.0)
    image = LightRenderer(scene, RESPONSE).preview(lens, 120, 80, (17300.0, 17300.0 * 80 / 120))
    left, right = image[:, 24, 16], image[:, 24, 103]
    seen = wanted[15, 10] / wanted[15, 109]
    assert np.allclose(left / right, seen, rtol=5e-3)


def test_photons_carry_their_energy() -> None:
    # a watt of green light at 555 nm: 2.794e18 photons a second
    assert float(photons([1.0, 1.0], [555.0, 1110.0])[0]) == pytest.approx(2.7940e18, rel=1e-4)
    assert float(photons([1.0, 1.0], [555.0, 1110.0])[1]) == pytest.approx(5.5880e18, rel=1e-4)
    cube = patches()
    again = SpectralCube.from_photons(NM, cube.photons())
    assert np.allclose(again.radiance, cube.radiance, rtol=1e-12)


def test_depth_cuts_a_cube_into_layers_that_together_are_it(tmp_path: Path) -> None:
    cube = patches()
    depth = np.full((80, 120), 4.0)
    depth[20:60, 30:80] = 1.0
    np.savez(tmp_path / "cube.npz", wavelengths_nm=NM, photons=cube.photons(), depth_m=depth)
    scene = load_scene(tmp_path / "cube.npz")
    found, map_m = load_cube(tmp_path / "cube.npz")
    assert map_m is not None
    assert np.array_equal(map_m, depth)
    assert np.allclose(found.radiance, cube.radiance)
    assert scene.metadata["depth"] == "1.00 to 4.00 m"
    whole = np.zeros((3, 80, 120), np.float32)
    distances: list[float] = []
    for layer in scene.layers:
        assert isinstance(layer, PlanesLayer)
        distances.append(layer.depth_m)
        matrix = RESPONSE.electrons(WAVELENGTHS_NM, layer.basis).T.astype(np.float32)
        step = 1 / layer.pixels_per_tangent
        out = np.empty((4, 80, 120), np.float32)
        layer.sample(matrix, 0.0175, -59.5 * step, -39.5 * step, step, out)
        whole = out[:3] + whole * (1 - out[3])
    wanted = RESPONSE.electrons(WAVELENGTHS_NM, resample(NM, cube.radiance)).transpose(2, 0, 1)
    assert np.allclose(whole, wanted, rtol=3e-3)
    assert distances == pytest.approx([4.0, 1.0])
    # behind the near part the far layer is whole
    far = scene.layers[0]
    assert isinstance(far, PlanesLayer)
    assert far.planes[..., -1].min() == 1.0


def test_a_cube_at_its_true_scale_says_what_lies_beyond() -> None:
    scene = patches().scene(view_degrees=30.0)
    assert "true: 30.0" in scene.metadata["scale"]
    assert "mirror image" in scene.metadata["scale"]
    assert "widened" in patches().scene().metadata["scale"]
    layer = scene.layers[0]
    assert not isinstance(layer, Lamps)
    assert layer.bounds(0.0) == (-np.inf, -np.inf, np.inf, np.inf)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0.0, 10.0), min_size=3, max_size=3), st.integers(5, 25))
def test_resampling_keeps_straight_lines_and_lines(levels: list[float], step: int) -> None:
    # a spectrum that is linear between its samples stays so
    nm = 380.0 + 5.0 * step * np.arange(3)
    inside = (nm[0] <= WAVELENGTHS_NM) & (nm[-1] >= WAVELENGTHS_NM)
    wanted = np.where(inside, np.interp(WAVELENGTHS_NM, nm, levels), 0.0)
    assert np.allclose(resample(nm, levels), wanted)


def bad(values: np.ndarray, at: tuple[int, ...], value: float) -> np.ndarray:
    values = values.copy()
    values[at] = value
    return values


@pytest.mark.parametrize(
    ("nm", "radiance", "said"),
    [
        (NM, np.ones((4, 5, 30)), r"radiance cannot be 'shape \(4, 5, 30\)'; expected \(height, w"),
        (NM, np.ones((4, 31)), "as there are 31 wavelengths"),
        (NM, bad(np.ones((4, 5, 31)), (1, 2, 3), -1.0), r"-1\.0; .* first other one is at \(1, 2"),
        (NM, bad(np.ones((4, 5, 31)), (3, 4, 30), np.nan), r"nan; .* is at \(3, 4, 30\)"),
        (NM, np.full((1, 1, 31), np.inf), "cannot be inf"),
        (NM[::-1], np.ones((4, 5, 31)), "at least 2 rising values"),
        (NM / 1000, np.ones((4, 5, 31)), "nanometres from 200 to 2500"),
        (bad(NM, (3,), np.nan), np.ones((4, 5, 31)), "wavelengths cannot be nan"),
        (NM, np.ones((0, 5, 31)), "empty"),
        (NM, "radiance", "cannot be 'str'; expected numbers"),
    ],
)
def test_impossible_cubes_are_refused(nm: np.ndarray, radiance: np.ndarray, said: str) -> None:
    with pytest.raises(SettingError, match=said) as refused:
        SpectralCube(nm, radiance)
    assert "spectral cube: " in str(refused.value)


@pytest.mark.parametrize(
    ("depth", "said"),
    [
        (0.0, "depth cannot be 0.0; expected 0.1 to 10000 m"),
        (np.nan, "depth cannot be nan"),
        (np.full((2, 2), 1.0), r"shape \(2, 2\)"),
        (bad(np.ones((80, 120)), (7, 9), -3.0), r"-3\.0; .* first other one is at \(7, 9\)"),
        (bad(np.ones((80, 120)), (7, 9), np.nan), r"nan; .* is at \(7, 9\)"),
    ],
)
def test_impossible_depths_are_refused(depth: float, said: str) -> None:
    with pytest.raises(SettingError, match=said):
        patches().scene(depth_m=depth)


def test_files_that_are_no_cubes_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(PictureError, match="no such file"):
        load_cube(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("not a cube")
    with pytest.raises(PictureError, match="not a spectral cube"):
        load_scene(tmp_path / "text.npz")
    np.savez(tmp_path / "other.npz", picture=np.ones((2, 2)))
    with pytest.raises(PictureError, match="has picture; expected wavelengths_nm and one of radi"):
        load_cube(tmp_path / "other.npz")
    cube = patches()
    np.savez(tmp_path / "a.npz", wavelengths_nm=NM, radiance=-cube.radiance)
    with pytest.raises(PictureError, match=r"a\.npz: radiance: .*radiance cannot be -"):
        load_cube(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", wavelengths_nm=NM, radiance=cube.radiance, depth_m=0.0)
    with pytest.raises(PictureError, match=r"b\.npz: depth_m: .*depth cannot be 0\.0"):
        load_cube(tmp_path / "b.npz")
    data = (tmp_path / "b.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(data[: len(data) // 2])
    with pytest.raises(PictureError, match=r"cut\.npz"):
        load_cube(tmp_path / "cut.npz")
    monkeypatch.setattr("modoptic.scenes._cube.MAX_PIXELS", 10_000)
    with pytest.raises(PictureError, match="2 MB are too many"):
        load_cube(tmp_path / "b.npz")


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"wavelengths_nm": NM / 1000}, "wavelengths_nm: .* nanometres from 200 to 2500"),
        ({"wavelengths_nm": NM + 2200}, "wavelengths_nm: .* nanometres from 200 to 2500"),
        ({"wavelengths_nm": NM[::-1]}, "wavelengths_nm: .* at least 2 rising values"),
        ({"wavelengths_nm": bad(NM, (4,), np.nan)}, "wavelengths_nm: .* cannot be nan"),
        ({"wavelengths_nm": NM[:30]}, r"radiance: .*\(80, 120, 31\)'; .* there are 30 wavelengths"),
        ({"radiance": bad(patches().radiance, (1, 2, 3), -1.0)}, r"radiance: .*-1\.0.*\(1, 2, 3\)"),
        ({"radiance": bad(patches().radiance, (1, 2, 3), np.nan)}, r"radiance: .*nan.*\(1, 2, 3\)"),
        ({"radiance": patches().radiance.astype(complex)}, "radiance: .*expected numbers"),
        ({"radiance": patches().radiance[0]}, r"radiance: .*\(height, width, 31\)"),
        ({"depth_m": np.nan}, "depth_m: .* cannot be nan; expected 0.1 to 10000 m"),
        ({"depth_m": -1.0}, r"depth_m: .* cannot be -1\.0"),
        ({"depth_m": bad(np.ones((80, 120)), (7, 9), 0.0)}, r"depth_m: .* 0\.0; .* at \(7, 9\)"),
        ({"depth_m": bad(np.ones((80, 120)), (7, 9), np.inf)}, r"depth_m: .*inf; .* at \(7, 9\)"),
        ({"depth_m": np.ones((80, 119))}, r"depth_m: .* \(80, 120\) as the picture"),
    ],
)  # fmt: skip
def test_a_file_says_which_of_its_arrays_is_wrong(
    tmp_path: Path, arrays: dict[str, np.ndarray], said: str
) -> None:
    whole = {"wavelengths_nm": NM, "radiance": patches().radiance, "depth_m": 2.0}
    np.savez(tmp_path / "a.npz", **{**whole, **arrays})
    with pytest.raises(PictureError, match=rf"a\.npz: {said}"):
        load_scene(tmp_path / "a.npz")


def test_light_that_no_scene_is_made_of_is_refused() -> None:
    with pytest.raises(SettingError, match=r"\(800\.0, 900\.0\); expected some of 380 to 780"):
        SpectralCube([800.0, 900.0], np.ones((4, 4, 2))).scene()


def test_impossible_levels_are_refused() -> None:
    cube = patches()
    with pytest.raises(SettingError, match=r"luminance cannot be -1\.0"):
        cube.scaled(-1.0)
    with pytest.raises(SettingError, match="dark"):
        SpectralCube(NM, np.zeros((2, 2, 31))).scaled(100.0)
