"""The examples and the Python of the README run as they stand."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"


def _run(*arguments: str, cwd: Path) -> str:
    run = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=58,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.mark.parametrize(
    "name",
    [
        "01_shoot_and_develop",
        "02_iris_and_depth",
        "03_raw_numbers",
        "06_how_sharp",
        "07_characterise_a_sensor",
    ],
)
def test_example(name: str, tmp_path: Path) -> None:
    assert _run(str(EXAMPLES / f"{name}.py"), cwd=tmp_path)


def test_examples_with_a_real_raw(data_dir: Path, tmp_path: Path) -> None:
    raw = data_dir / "raw" / "tinydng_colorchart.dng"
    assert "1734" in _run(str(EXAMPLES / "04_develop_your_raws.py"), str(raw), cwd=tmp_path)
    _run(str(EXAMPLES / "05_replay_through_the_link.py"), str(raw), cwd=tmp_path)
    assert (tmp_path / "replayed.jpg").stat().st_size > 10_000


def test_the_readme_python_runs(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    script = tmp_path / "readme.py"
    script.write_text(block, encoding="utf-8")
    before = Path.cwd()
    os.chdir(tmp_path)
    try:
        names = runpy.run_path(str(script))
    finally:
        os.chdir(before)
    assert names["picture"].shape[2] == 3
