"""Quantities that cannot be are refused before anything is started."""

import subprocess
import sys
from pathlib import Path

import pytest

from modoptic.cli import main
from modoptic.scenes import ILLUMINANTS, scene_names


@pytest.mark.parametrize(
    "arguments",
    [
        ("demo", "--port", "99999"),
        ("demo", "--port", "-1"),
        ("demo", "--line", "-5M"),
        ("demo", "--line", "inf"),
        ("demo", "--line", "nanG"),
        ("shoot", "--seed", "-1"),
        ("shoot", "--exposure", "nan"),
        ("shoot", "--focus", "nan"),
        ("module", "serve", "memory:/x", "--seed", "one"),
    ],
)
def test_refused_by_name(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    option = next(word for word in arguments if word.startswith("--"))
    assert f"argument {option}" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("command", [("shoot",), ("demo",), ("module", "serve")])
def test_help_lists_scenes_and_lights(
    command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main((*command, "--help"))
    said = "".join(capsys.readouterr().out.split())  # lines break at hyphens too
    for name in (*scene_names(), *ILLUMINANTS):
        assert name in said


def test_info_goes_on_after_a_bad_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.dng", "b.dng"):
        (tmp_path / name).write_bytes(b"no raw")
    assert main(("info", str(tmp_path / "a.dng"), str(tmp_path / "b.dng"))) == 1
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 2
    assert "b.dng" in errors[1]


def test_closed_streams_do_no_harm(tmp_path: Path) -> None:
    command = f"{sys.executable} -m modoptic info {tmp_path}/none.dng <&- >&- 2>&-"
    assert subprocess.run(["sh", "-c", command], check=False).returncode == 1
    command = f"{sys.executable} -m modoptic shoot --size finder --scene colorchecker -o a.dng"
    shell = ["sh", "-c", f"{command} <&- >&- 2>&-"]
    assert subprocess.run(shell, check=False, cwd=tmp_path).returncode == 0
    assert (tmp_path / "a.dng").is_file()
