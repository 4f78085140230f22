"""The written specification says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from modoptic.laserlink import FEATURES, Feature, checksum, parse_header
from modoptic.laserlink import _messages as m

SPEC = (Path(__file__).parents[2] / "docs/spec/laserlink.md").read_text()
KINDS = [
    kind for kind in vars(m).values() if isinstance(kind, type) and issubclass(kind, m._Message)
]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind is not m._Message])
def test_every_message_and_field_is_described(kind: type[msgspec.Struct]) -> None:
    tag = kind.__struct_config__.tag
    rows = [row for row in SPEC.splitlines() if row.startswith("|") and f"`{tag}`" in row]
    assert rows, tag
    for field in kind.__struct_fields__:
        assert re.search(rf"\b{field}\b", rows[0]), field


@pytest.mark.parametrize("feature", FEATURES.values(), ids=lambda feature: feature.name)
def test_every_feature_is_described(feature: Feature) -> None:
    (row,) = [row for row in SPEC.splitlines() if row.startswith(f"| `{feature.name}` |")]
    _, kind, unit, _, access, locked, delay = [cell.strip() for cell in row.split("|")[1:-1]]
    assert (kind, unit, access) == (feature.kind, feature.unit, feature.access)
    assert (locked, delay) == ("yes" if feature.locked else "no", str(feature.delay_frames))


def test_the_fields_of_a_feature_are_described() -> None:
    chapter = SPEC.partition("## Features")[2].partition("## Frames")[0]
    for field in Feature.__struct_fields__:
        assert re.search(rf"\b{field}\b", chapter), field


def test_the_example_packets_are_true() -> None:
    examples = re.findall(r"^    (4d6f4c4c[0-9a-f ]+?)  ", SPEC, re.MULTILINE)
    assert len(examples) == 2
    for text in examples:
        fields = bytes.fromhex(text)
        assert parse_header(fields + checksum(fields).to_bytes(4, "little")) is not None
