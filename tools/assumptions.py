"""Write the tables of docs/explanation/assumptions.md from the comments of the definitions.

python tools/assumptions.py
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "explanation" / "assumptions.md"
DEFINITIONS = ROOT / "src" / "modoptic" / "twin" / "definitions"
NAMES = {
    "xiaomi-mos-35": "The module",
    "phone-1inch": "The phone's own camera",
    "realme-73": "The 73 mm lens' sensor",
    "realme-234": "The 234 mm lens' sensor",
}


def figures(text: str) -> list[tuple[str, str, str]]:
    """(key, value, comment) of a definition's entries below ``[sensor]``, and of its glare."""
    section, found = "", []
    for line in text.splitlines():
        if header := re.match(r"\[(.+?)\]", line):
            section = header[1]
        elif not section.startswith("sensor") and not line.startswith("veiling_glare"):
            continue
        elif entry := re.match(r"(\w+) = (.+?)(?:\s+# *(.*))?$", line):
            key = f"{section}.{entry[1]}".removeprefix("sensor.")
            found.append((key, entry[2], (entry[3] or "").strip()))
    return found


def tables() -> str:
    """The part of the page that follows from the definitions."""
    parts = []
    for name, title in NAMES.items():
        rows = figures((DEFINITIONS / f"{name}.toml").read_text("utf-8"))
        lines = [f"| `{key}` | {value} | {comment} |" for key, value, comment in rows]
        head = [f"### {title}, `{name}.toml`", "", "| key | value | from |", "|---|---|---|"]
        parts.append("\n".join([*head, *lines]))
    return "\n\n".join(parts) + "\n"


def page(text: str) -> str:
    """``text`` of the page with its tables as the definitions have them."""
    begin, end = "<!-- tables -->\n", "<!-- end of tables -->\n"
    before, rest = text.split(begin)
    return before + begin + "\n" + tables() + "\n" + end + rest.split(end)[1]


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text("utf-8")), "utf-8")
