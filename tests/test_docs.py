"""What README and docs say is so: commands parse, links lead somewhere, tables are complete."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from modoptic import cli
from modoptic.bench import BENCHES

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    ROOT / "README.md",
    *sorted(p for p in (ROOT / "docs").rglob("*.md") if "_build" not in p.parts),
]
_BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def commands() -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        for block in _BLOCK.findall(page.read_text("utf-8")):
            lines = block.replace("\\\n", " ").splitlines()
            found += [
                (page.name, line[len("$ ./modoptic ") :])
                for line in lines
                if line.startswith("$ ./modoptic ")
            ]
    return found


@pytest.mark.parametrize(("page", "command"), commands())
def test_commands_are_understood(
    page: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = shlex.split(command, comments=True)
    try:
        cli._parser().parse_args(arguments)  # pyright: ignore[reportPrivateUsage]
    except SystemExit as stop:
        said = capsys.readouterr()
        assert stop.code == 0, f"{page}: ./modoptic {command}\n{said.err}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    targets = [t for t in _LINK.findall(page.read_text("utf-8")) if "://" not in t]
    missing = [t for t in targets if not (page.parent / t.partition("#")[0]).exists()]
    assert missing == []


def test_pictures_of_the_docs_are_small() -> None:
    heavy = [p.name for p in (ROOT / "docs" / "pictures").iterdir() if p.stat().st_size > 400_000]
    assert heavy == []


def test_every_bench_is_in_the_table_with_its_name() -> None:
    table = (ROOT / "docs" / "reference" / "benches.md").read_text("utf-8")
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert [name for row in rows for name in re.findall(r"`([^`]+)`", row)] == list(BENCHES)


def test_every_key_of_a_definition_is_explained() -> None:
    page = (ROOT / "docs" / "reference" / "definitions.md").read_text("utf-8")
    explained = set(re.findall(r"[a-z0-9_]+", page))
    for definition in (ROOT / "src" / "modoptic" / "twin" / "definitions").glob("*.toml"):
        keys = set(
            re.findall(r"^\[?([a-z0-9_.]+)\]?(?: =|$)", definition.read_text(), re.MULTILINE)
        )
        assert {part for key in keys for part in key.split(".")} <= explained
