"""Pictures of high dynamic range: directions, levels, colours, and clear refusals."""

from __future__ import annotations

import math
from pathlib import Path

import imagecodecs
import numpy as np
import OpenEXR
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modoptic.errors import PictureError, SettingError
from modoptic.scenes import Lamps, PanoramaLayer, PlanesLayer, Scene, load_scene, observer

XYZ = (683.002 * 5.0 * observer()).T


def write(path: Path, rgb: np.ndarray, **header: object) -> Path:
    if path.suffix == ".hdr":
        path.write_bytes(imagecodecs.rgbe_encode(rgb.astype(np.float32), header=True))
    else:
        OpenEXR.File(header, {"RGB": rgb.astype(np.float32)}).write(str(path))
    return path


def seen(scene: Scene, tx: float, ty: float, step: float = 1e-3) -> np.ndarray:
    """X, Y (cd/m2) and Z in one direction."""
    layer = scene.layers[0]
    assert not isinstance(layer, Lamps)
    out = np.empty((4, 1, 1), np.float32)
    layer.sample((XYZ @ layer.basis.T).astype(np.float32), 0.0175, tx, ty, step, out)
    assert out[3, 0, 0] == 1.0
    return out[:3, 0, 0]


def spot(row: int, column: int) -> np.ndarray:
    """64 x 128, dim but for a blob about one place."""
    y, x = np.mgrid[:64, :128]
    away = ((x - column + 64) % 128 - 64) ** 2 + (y - row) ** 2
    return (0.01 + np.exp(-away / 18.0))[..., None].repeat(3, axis=2)


@pytest.mark.parametrize(
    ("row", "column", "yaw", "pitch", "tangents"),
    [
        (31.5, 63.5, 0, 0, (0, 0)),  # the middle is straight ahead
        (31.5, 71.5, 0, 0, (math.tan(math.radians(22.5)), 0)),  # columns go to the right
        (25.5, 63.5, 0, 0, (0, -math.tan(math.radians(16.875)))),  # rows go down
        (31.5, 95.5, 90, 0, (0, 0)),  # a camera that looks to the right sees what is there
        (15.5, 63.5, 0, 45, (0, 0)),  # and one that looks up
        (31.5, 127.5, 180, 0, (0, 0)),  # no seam behind
    ],
)
def test_directions_are_those_of_the_world(
    tmp_path: Path, row: float, column: float, yaw: float, pitch: float,
    tangents: tuple[float, float],
) -> None:  # fmt: skip
    path = write(tmp_path / "a.exr", spot(row, column))
    scene = load_scene(path, yaw_degrees=yaw, pitch_degrees=pitch, white_cd_m2=100.0)
    at = seen(scene, *tangents)[1]
    assert at > 85.0
    for dx, dy in ((0.1, 0), (-0.1, 0), (0, 0.1), (0, -0.1)):
        assert seen(scene, tangents[0] + dx, tangents[1] + dy)[1] < 0.97 * at


@pytest.mark.parametrize("suffix", ["exr", "hdr"])
def test_levels_are_candelas(tmp_path: Path, suffix: str) -> None:
    rgb = np.full((32, 64, 3), 0.5)
    rgb[:8] = 40.0  # the sky: 15 % of all directions
    path = write(tmp_path / f"a.{suffix}", rgb)
    # rows 8 to 24 straight ahead; far above, the sky
    for options, ahead in (
        ({"white_cd_m2": 300.0}, 150.0),
        ({"luminance_cd_m2": 70.0}, 70.0),
        ({}, 100.0),
    ):
        scene = load_scene(path, **options)
        assert seen(scene, 0.0, 0.0)[1] == pytest.approx(ahead, rel=5e-3)
        assert f"{ahead / 0.5:.4g} cd/m2" in scene.metadata["light"]
        up = load_scene(path, pitch_degrees=80.0, **options)
        assert seen(up, 0.0, 0.0)[1] == pytest.approx(80 * ahead, rel=5e-3)


def test_what_a_file_says_of_its_white_holds(tmp_path: Path) -> None:
    path = write(tmp_path / "a.exr", np.full((32, 64, 3), 0.5), whiteLuminance=240.0)
    scene = load_scene(path)
    assert seen(scene, 0.0, 0.0)[1] == pytest.approx(120.0, rel=1e-3)
    assert "as the file says" in scene.metadata["light"]


def test_colours_are_those_of_the_primaries(tmp_path: Path) -> None:
    # IEC 61966-2-1: linear sRGB to XYZ; values above 1 as well
    rgb = np.array([3.0, 0.5, 0.1])
    matrix = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    flat = np.tile(rgb, (32, 64, 1))
    scene = load_scene(write(tmp_path / "a.exr", flat), white_cd_m2=100.0)
    assert np.allclose(seen(scene, 0.1, 0.1), 100 * np.array(matrix) @ rgb, rtol=5e-3, atol=0.5)
    # the same colour in ITU-R BT.2020
    to_2020 = [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]]
    wide = (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, 0.3127, 0.3290)
    other = load_scene(
        write(tmp_path / "b.exr", flat @ np.array(to_2020).T, chromaticities=wide),
        white_cd_m2=100.0,
    )
    assert np.allclose(seen(other, 0.1, 0.1), seen(scene, 0.1, 0.1), rtol=3e-3, atol=0.1)


def test_a_flat_picture_hangs_at_its_distance(tmp_path: Path) -> None:
    rgb = np.full((30, 40, 3), 0.2)
    rgb[:, :10] = 30.0
    scene = load_scene(write(tmp_path / "a.hdr", rgb), white_cd_m2=100.0, distance_m=3.0)
    layer = scene.layers[0]
    assert isinstance(layer, PlanesLayer)
    assert layer.depth_m == 3.0
    assert seen(scene, -0.4, 0.0)[1] == pytest.approx(3000.0, rel=5e-3)
    assert seen(scene, 0.4, 0.0)[1] == pytest.approx(20.0, rel=5e-3)
    with pytest.raises(SettingError, match="direction"):
        load_scene(tmp_path / "a.hdr", yaw_degrees=10.0)


def test_a_coarse_sample_sees_the_mean(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    scene = load_scene(
        write(tmp_path / "a.exr", rng.uniform(0, 2, (128, 256, 3))), white_cd_m2=100.0
    )
    fine = np.mean([seen(scene, x, y, 0.02)[1] for x in np.linspace(-0.2, 0.2, 21)
                    for y in np.linspace(-0.2, 0.2, 21)])  # fmt: skip
    assert seen(scene, 0.0, 0.0, 0.4)[1] == pytest.approx(fine, rel=0.08)


@pytest.mark.data
@pytest.mark.parametrize("name", ["studio", "venice", "lab"])
def test_real_panoramas_are_read(data_dir: Path, name: str) -> None:
    scene = load_scene(data_dir / "hdri_cc0" / f"{name}.exr")
    layer = scene.layers[0]
    assert isinstance(layer, PanoramaLayer)
    assert layer.pixels.shape == (256, 512, 3)
    # lossy compression left negative values in them
    assert layer.pixels.min() == 0.0
    assert "negative values, now 0" in scene.metadata["source"]
    assert "0.70 degrees a pixel" in scene.metadata["scale"]
    assert "Mallett and Yuksel 2019" in scene.metadata["spectra"]
    level = layer.pixels @ np.array([0.2126, 0.7152, 0.0722])
    rows = np.sin((np.arange(256) + 0.5) * np.pi / 256)[:, None] * np.ones(512)
    white = float(scene.metadata["light"].split("is ")[1].split(" cd")[0])
    below = float(rows[level * white < 100.0].sum() / rows.sum())
    assert below == pytest.approx(0.5, abs=0.01)


def test_what_is_no_picture_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for suffix in ("exr", "hdr"):
        with pytest.raises(PictureError, match="no such file"):
            load_scene(tmp_path / f"none.{suffix}")
        text = tmp_path / f"text.{suffix}"
        text.write_text("not a picture at all, and longer than a header")
        with pytest.raises(PictureError, match="not a"):
            load_scene(text)
        good = write(tmp_path / f"good.{suffix}", np.random.default_rng(1).random((64, 128, 3)))
        cut = tmp_path / f"cut.{suffix}"
        cut.write_bytes(good.read_bytes()[: good.stat().st_size // 3])
        with pytest.raises(PictureError, match=f"cut.{suffix}"):
            load_scene(cut)
        with pytest.raises(PictureError, match="dark everywhere"):
            load_scene(write(tmp_path / f"dark.{suffix}", np.zeros((8, 16, 3))))
        with pytest.raises(SettingError, match="has its own depth"):
            load_scene(good, depth=tmp_path / "depth.png")
        with monkeypatch.context() as patch:
            patch.setattr("modoptic.scenes._panorama.MAX_PIXELS", 100)
            with pytest.raises(PictureError, match="128 x 64 pixels are too many"):
                load_scene(good)
    for value in (math.nan, math.inf):
        rgb = np.ones((8, 16, 3))
        rgb[3, 5] = value
        with pytest.raises(PictureError, match="not finite at row 3, column 5"):
            load_scene(write(tmp_path / "bad.exr", rgb))
    OpenEXR.File({}, {"Z": np.ones((8, 16), np.float32)}).write(str(tmp_path / "z.exr"))
    with pytest.raises(PictureError, match="has Z; expected R, G and B"):
        load_scene(tmp_path / "z.exr")


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    suffix=st.sampled_from(["exr", "hdr"]),
    at=st.floats(0, 1),
    junk=st.binary(min_size=1, max_size=40),
)
def test_a_damaged_picture_loads_or_is_refused(
    tmp_path: Path, suffix: str, at: float, junk: bytes
) -> None:
    path = write(tmp_path / f"a.{suffix}", spot(30, 40))
    data = bytearray(path.read_bytes())
    # the header, where most can go wrong, as often as the rest
    first = int(at**3 * (len(data) - 1))
    data[first : first + len(junk)] = junk
    path.write_bytes(bytes(data))
    try:
        load_scene(path)
    except PictureError as error:
        assert str(path) in str(error)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"luminance_cd_m2": -5.0}, r"luminance cannot be -5\.0"),
        ({"white_cd_m2": math.nan}, "white luminance cannot be nan"),
        ({"white_cd_m2": 1.0, "luminance_cd_m2": 1.0}, "one of median and white"),
        ({"pitch_degrees": 91.0}, "direction"),
        ({"yaw_degrees": math.nan}, "direction"),
        ({"distance_m": 0.0}, "distance"),
        ({"view_degrees": 40.0}, "a panorama is all round"),
        ({"near_m": 1.0}, "option cannot be 'near_m'; expected one of luminance_cd_m2"),
    ],
)
def test_wrong_options_are_refused(tmp_path: Path, options: dict[str, float], said: str) -> None:
    path = write(tmp_path / "a.exr", np.ones((8, 16, 3)))
    with pytest.raises(SettingError, match=said) as refused:
        load_scene(path, **options)
    assert str(path) in str(refused.value)
