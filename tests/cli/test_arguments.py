"""Quantities that cannot be are refused before anything is started."""

import pytest

from modoptic.cli import main


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
