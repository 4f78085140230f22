"""``modoptic measure`` from files to figures, on frames with known faults."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import erf
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from modoptic import cli

SIZE = 480, 640
DARK, GAIN, READ, FULL = 100.0, 0.25, 6.0, 15000


def measure(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    """The figures of one JSON report by name."""
    code = cli.main(["measure", *map(str, arguments), "--json"])
    said = capsys.readouterr()
    assert code == 0, said.err
    data = json.loads(said.out)
    return {value["name"]: value for value in data["values"]}


def raw(path: Path, electrons: np.ndarray, seed: int) -> Path:
    """A 12 bit RGGB mosaic in a TIFF; red and blue see 0.5 and 0.7 of the light."""
    rng = np.random.default_rng(seed)
    light = electrons * np.ones(SIZE)
    light[0::2, 0::2] *= 0.5
    light[1::2, 1::2] *= 0.7
    signal = np.minimum(rng.poisson(light) + READ * rng.standard_normal(SIZE), FULL)
    dn = np.rint(DARK + GAIN * signal).clip(0, 4095).astype(np.uint16)
    tifffile.imwrite(path, dn)
    return path


CFA = ("--cfa", "RGGB", "--black", DARK, "--white-level", int(DARK + GAIN * FULL))


def points() -> np.ndarray:
    y, x = np.mgrid[: SIZE[0], : SIZE[1]].astype(float)
    half = np.hypot(320, 240)
    picture = np.zeros(SIZE)
    for i in range(-7, 8):
        for j in range(-5, 6):
            q = np.array([40.0 * i, 40.0 * j]) / half
            bent = half * (1 - 0.04 * float(q @ q))
            distance = np.hypot(x - 319.5 - bent * q[0], y - 239.5 - bent * q[1])
            picture += 0.5 - 0.5 * np.tanh(distance - 5)
    return picture


def test_sfr_of_a_picture_and_its_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    y, x = np.mgrid[:200, :160].astype(float)
    distance = ((x - 80) - np.tan(np.radians(6)) * (y - 100)) * np.cos(np.radians(6))
    edge = 0.5 + 0.3 * np.vectorize(erf)(distance / 1.2 / 2**0.5)
    path = tmp_path / "edge.tif"
    tifffile.imwrite(path, np.rint(edge * 60000).astype(np.uint16))
    page = tmp_path / "edge.html"
    found = measure(capsys, "sfr", path, "--linear", "--pitch", 3.0, "--report", page)
    # a Gaussian of sigma 1.2: exp(-2 (pi sigma f)^2) = 0.5
    half = np.sqrt(np.log(2) / 2) / np.pi / 1.2
    assert found["SFR 50 %"]["value"] == pytest.approx(half, rel=0.01)
    assert found["SFR 50 %, on the sensor"]["value"] == pytest.approx(1000 * half / 3, rel=0.01)
    # 10 to 90 % of a Gaussian edge
    assert found["rise from 10 to 90 %"]["value"] == pytest.approx(2.563 * 1.2, rel=0.02)
    assert "<svg" in page.read_text("utf-8")
    assert json.loads(page.with_suffix(".json").read_text())["kind"] == "sfr"
    boxed = measure(capsys, "sfr", path, "--linear", "--box", "20,20,120,160")
    assert boxed["SFR 50 %, of the picture"]["value"] == pytest.approx(2 * half * 200, rel=0.01)


def test_sfr_of_a_mosaic_counts_in_its_pixels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    y, x = np.mgrid[: SIZE[0], : SIZE[1]].astype(float)
    distance = ((x - 320) - np.tan(np.radians(6)) * (y - 240)) * np.cos(np.radians(6))
    edge = 6000 + 4000 * np.vectorize(erf)(distance / 4 / 2**0.5)
    path = raw(tmp_path / "edge.tif", edge, 1)
    found = measure(capsys, "sfr", path, *CFA, "--box", "241,101,160,280")
    half = np.sqrt(np.log(2) / 2) / np.pi / 4
    for name in ("SFR 50 %, green", "SFR 50 %, red", "SFR 50 %, blue"):
        assert found[name]["value"] == pytest.approx(half, rel=0.03)
        assert found[name]["low"] < half * 1.01 and found[name]["high"] > half * 0.99


def test_texture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(2)
    chart = rng.uniform(0.2, 0.8, (200, 200))
    blurred = (chart + np.roll(chart, 1, 0) + np.roll(chart, 1, 1) + np.roll(chart, 1, (0, 1))) / 4
    for name, picture in (("chart", chart), ("photo", blurred)):
        tifffile.imwrite(tmp_path / f"{name}.tif", np.rint(picture * 65535).astype(np.uint16))
    found = measure(
        capsys, "texture", tmp_path / "photo.tif", "--chart", tmp_path / "chart.tif", "--linear"
    )
    assert 0.1 < found["MTF 50 % of texture"]["value"] < 0.35
    same = measure(
        capsys, "texture", tmp_path / "chart.tif", "--chart", tmp_path / "chart.tif", "--linear"
    )
    assert same["MTF 50 % of texture"]["value"] is None
    assert "never falls" in same["MTF 50 % of texture"]["why"]


def test_noise_of_pairs_finds_the_sensor(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    levels = (400, 1500, 4000, 8000, 11000, 14000, 18000, 30000)
    files = [
        raw(tmp_path / f"{k}{i}.tif", np.full(SIZE, float(e)), 10 * k + i)
        for k, e in enumerate(levels)
        for i in range(2)
    ]
    dark = [raw(tmp_path / f"dark{i}.tif", np.zeros(SIZE), 90 + i) for i in range(2)]
    found = measure(
        capsys, "noise", *files, "--dark", *dark, *CFA, "--pitch", 3.0, "--diagonal", 21.6
    )
    assert found["gain, green"]["value"] == pytest.approx(GAIN, rel=0.02)
    assert found["read noise, green"]["value"] == pytest.approx(READ, rel=0.05)
    assert found["full well, green"]["value"] == pytest.approx(14000, rel=0.1)
    assert found["dynamic range, green"]["value"] == pytest.approx(np.log2(14000 / READ), abs=0.15)
    assert found["SNR at 18 % of saturation, green"]["value"] == pytest.approx(
        20 * np.log10(0.18 * FULL / np.sqrt(0.18 * FULL + READ**2)), abs=0.5
    )
    without = measure(capsys, "noise", *files[:2], *CFA)
    assert without["read noise, green"]["value"] is None
    assert "dark" in without["read noise, green"]["why"]


def test_noise_of_a_step_wedge(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wedge = np.zeros(SIZE)
    levels = 12000 * 2.0 ** -np.arange(8)
    for k, electrons in enumerate(levels):
        wedge[:, 80 * k : 80 * k + 80] = electrons
    path = raw(tmp_path / "wedge.tif", wedge, 3)
    corners = ("40,60", "600,60", "600,420", "40,420")
    found = measure(
        capsys, "noise", path, *CFA, "--steps", "1x8", "--corners", *corners, "--pitch", 3.0
    )
    expected = np.log2(FULL / (0.5 * (100 + np.sqrt(100**2 + 4 * 100 * READ**2))))
    assert found["dynamic range, SNR 10, green"]["value"] == pytest.approx(expected, abs=0.15)
    assert found["dynamic range, SNR 1, green"]["value"] is None
    assert found["dynamic range, SNR 1, green"]["low"] == pytest.approx(
        np.log2(FULL / levels[-1]), abs=0.1
    )


def test_shading_distortion_lateral_colour_and_glare(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    y, x = np.mgrid[: SIZE[0], : SIZE[1]].astype(float)
    r2 = ((x - 319.5) ** 2 + (y - 239.5) ** 2) / (320**2 + 240**2)
    flat = raw(tmp_path / "flat.tif", 10000 * (1 - 0.5 * r2), 4)
    shading = measure(capsys, "shading", flat, *CFA, "--blocks", 20)
    # a block of 32 pixels ends in the corner
    corner = 100 * (1 - 0.5 * (304**2 + 224**2) / (320**2 + 240**2))
    assert shading["relative illumination, corners"]["value"] == pytest.approx(corner, abs=0.5)
    assert shading["colour shading, red over green"]["value"] < 2.0

    grid = raw(tmp_path / "grid.tif", 200 + 10000 * points(), 5)
    distortion = measure(capsys, "distortion", grid, *CFA, "--terms", 1)
    assert distortion["k1"]["value"] == pytest.approx(-0.04, abs=0.002)
    lateral = measure(capsys, "lateral-color", grid, *CFA, "--pitch", 3.0)
    assert abs(lateral["red against green, largest"]["value"]) < 0.3

    trap = 10000 * (0.02 + 0.98 / (1 + np.exp((60 - np.hypot(x - 330, y - 230)) / 2)))
    glare = measure(capsys, "glare", raw(tmp_path / "trap.tif", trap, 6), *CFA)
    assert glare["veiling glare index, green"]["value"] == pytest.approx(2.0, abs=0.1)


@pytest.mark.data
def test_colours_of_a_real_raw(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A Canon 550D's own matrix, from its maker's converter by way of the DNG, and a real chart."""
    path = data_dir / "raw" / "tinydng_colorchart.dng"
    corners = ("714,624", "1250,614", "1258,922", "702,930")
    page = tmp_path / "chart.html"
    found = measure(
        capsys, "color", path, "--corners", *corners, "--reference", "before-2014", "--report", page
    )
    by_itself = measure(capsys, "color", path, "--reference", "before-2014")
    for name in ("CIEDE2000, mean (file's matrix)", "CIEDE2000, mean (best matrix)"):
        assert by_itself[name]["value"] == pytest.approx(found[name]["value"], abs=0.1)
    assert found["CIEDE2000, mean (file's matrix)"]["value"] < 7
    best = found["CIEDE2000, mean (best matrix)"]["value"]
    assert best < 4 and best < found["CIEDE2000, mean (file's matrix)"]["value"]
    # it was shot with a white balance for other light
    assert found["white balance, red against green"]["value"] > 50
    assert "bluish green" in page.read_text("utf-8")


@pytest.mark.data
def test_sharpness_of_the_reference_picture(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = measure(capsys, "sfr", data_dir / "sfr" / "Test_edge1_mono.tif", "--linear")
    assert found["SFR 50 %, sfrmat5"]["value"] == pytest.approx(0.275311, rel=1e-3)


def test_colours_of_a_finished_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """sRGB codes of the published colours: nothing is off but rounding and what sRGB lacks."""
    from modoptic.measure import D50_WHITE, D65_WHITE, chromatic_adaptation, lab_to_xyz
    from modoptic.measure import colorchecker_lab as published

    xyz = lab_to_xyz(published()) @ chromatic_adaptation(D50_WHITE, D65_WHITE).T
    matrix = np.array([
        [3.2404542, -1.5371385, -0.4985314], [-0.9692660, 1.8760108, 0.0415560],
        [0.0556434, -0.2040259, 1.0572252],
    ])  # fmt: skip
    light = np.clip(xyz @ matrix.T, 0, 1)
    codes = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    cells = np.rint(255 * codes).astype(np.uint8).reshape(4, 6, 3)
    Image.fromarray(np.kron(cells, np.ones((40, 40, 1), np.uint8))).save(tmp_path / "chart.png")
    found = measure(
        capsys, "color", tmp_path / "chart.png", "--corners", "20,20", "220,20", "220,140", "20,140"
    )
    # a chart that fills the frame is found, too
    by_itself = measure(capsys, "color", tmp_path / "chart.png")
    assert by_itself["CIEDE2000, mean (as it is)"] == found["CIEDE2000, mean (as it is)"]
    # cyan lies outside sRGB
    assert found["CIEDE2000, mean (as it is)"]["value"] < 0.5
    assert found["CIEDE2000, largest (as it is)"]["note"] == "cyan"
    assert found["greys off grey, Delta C*ab (as it is)"]["value"] < 0.6
    # the published greys are not quite grey
    assert abs(found["white balance, red against green"]["value"]) < 2.0


def test_emva_from_a_table_of_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(7)

    def frame(name: str, electrons: float) -> str:
        signal = np.minimum(
            rng.poisson(electrons, (96, 96)) + READ * rng.normal(size=(96, 96)), FULL
        )
        tifffile.imwrite(tmp_path / name, np.rint(DARK + GAIN * signal).clip(0).astype(np.uint16))
        return name

    lines = ["exposure,first,second,dark_first,dark_second"]
    for k in range(14):
        e = 1250.0 * k
        names = [frame(f"{k}{part}.tif", e if part in "ab" else 0.0) for part in "abcd"]
        lines.append(",".join([str(2 * e), *names]))
    (tmp_path / "steps.csv").write_text("\n".join(lines))
    found = measure(capsys, "emva", tmp_path / "steps.csv", "--unit", "photons")
    assert found["gain K"]["value"] == pytest.approx(GAIN, rel=0.03)
    assert found["temporal dark noise"]["value"] == pytest.approx(READ, rel=0.05)
    assert found["quantum efficiency"]["value"] == pytest.approx(0.5, rel=0.03)
    assert found["DSNU 1288"]["value"] is None and "no stacks" in found["DSNU 1288"]["why"]
    (tmp_path / "bad.csv").write_text("exposure,first\n1,a.tif\n")
    assert cli.main(["measure", "emva", str(tmp_path / "bad.csv")]) == 1
    assert "exposure,first,second,dark_first,dark_second" in capsys.readouterr().err


def test_text_for_people_and_faults_with_a_reason(
    tmp_path: Path, command: Callable[..., Any]
) -> None:
    Image.fromarray(np.full((300, 400), 128, np.uint8)).save(tmp_path / "flat.png")
    run = command("measure", "shading", "flat.png", "missing.png")
    assert run.returncode == 1
    assert "relative illumination, corners" in run.stdout
    assert "colour shading" in run.stdout and "not measurable" in run.stdout
    assert "missing.png" in run.stderr and "1 of 2 files" in run.stderr
    assert "Traceback" not in run.stderr


KINDS = (
    "sfr", "texture", "color", "noise", "shading", "distortion", "lateral-color", "glare", "emva",
)  # fmt: skip


def test_every_kind_teaches_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["measure"]) == 2
    shown = capsys.readouterr().out
    for kind in KINDS:
        assert f"    {kind}" in shown
        with pytest.raises(SystemExit) as stop:
            cli.main(["measure", kind, "--help"])
        assert stop.value.code == 0
        text = capsys.readouterr().out
        (examples,) = text.split("examples:\n")[1:]
        commands = examples.replace("\\\n", " ").strip().splitlines()
        for command in commands:
            cli._parser().parse_args(command.split()[1:])  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("color", "flat.png", "--corners", "1,2", "3,4", "5,6", "seven"), "a place such as"),
        (("noise", "flat.png", "--steps", "many"), "ROWSxCOLUMNS"),
        (("sfr", "flat.png", "--pitch", "0"), "above zero"),
    ],
)
def test_bad_arguments_say_what_was_expected(
    arguments: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        cli.main(["measure", *arguments])
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("sfr", "flat.png"), "two sides of unlike brightness"),
        (("sfr", "flat.png", "--box", "0,0,999,10"), "within 400 x 300"),
        (("noise", "flat.png"), "two of each light"),
        (("noise", "flat.png", "--steps", "1x8"), "--corners"),
        (("glare", "flat.png"), "a black patch"),
        (("distortion", "flat.png"), "stand out"),
        (("sfr", "flat.png", "--report", "flat.txt"), "a file.html"),
        (("texture", "flat.png", "--chart", "flat.png"), "all scales"),
        (("sfr", "broken.tif"), "damaged or cut off"),
        (("sfr", "words.tif"), "damaged or cut off"),
        (("sfr", "words.png"), "not a picture"),
        (("shading", "flat.png", "--cfa", "RRGG"), "RGGB, GRBG"),
    ],
)
def test_frames_that_do_not_do_say_why(
    arguments: tuple[str, ...],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.full((300, 400), 128, np.uint8)).save("flat.png")
    Path("broken.tif").write_bytes(b"II*\0 and nothing more")
    Path("words.tif").write_text("these are words")
    Path("words.png").write_text("these are words")
    assert cli.main(["measure", *arguments]) == 1
    assert says in capsys.readouterr().err
