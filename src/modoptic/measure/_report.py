"""What was measured, for people and for programs: text, JSON and one HTML page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from modoptic.measure._emva import Figure
from modoptic.measure._svg import Drawing

_STYLE = """
:root{color-scheme:light dark;--ink:#1d2129;--soft:#5b6270;--line:#d9dce2;--paper:#fff;
--card:#f6f7f9}
@media(prefers-color-scheme:dark){:root{--ink:#e8eaee;--soft:#a0a7b4;--line:#3a3f49;--paper:#16181d;
--card:#1e2127}}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1240px;margin:0 auto;padding:32px 24px 56px}
h1{font-size:26px;font-weight:650;margin:0 0 4px}
h2{font-size:17px;font-weight:650;margin:36px 0 10px}
.about{color:var(--soft);margin:0 0 24px}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:7px 14px 7px 0;border-bottom:1px solid var(--line);vertical-align:top}
th{font-weight:600;color:var(--soft);font-size:13px;white-space:nowrap}td.n,th.n{text-align:right}
td.v{font-weight:600;white-space:nowrap}td.q,.note{color:var(--soft)}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(480px,100%),1fr));gap:18px;
align-items:start}
figure{margin:0;max-width:680px;background:var(--card);border-radius:10px;padding:12px}svg{display:block;width:100%}
ul{padding-left:20px}
text{font:12px system-ui,sans-serif;fill:var(--ink)}.title{font-size:14px;font-weight:600}
.tick{fill:var(--soft);text-anchor:middle}.tick.end{text-anchor:end}.tick.begin{text-anchor:start}
.label{text-anchor:middle;font-size:12.5px}.on{text-anchor:middle;font-size:12px}
.grid{stroke:var(--line);stroke-width:1}.frame{fill:none;stroke:var(--soft);stroke-width:1}
.mark{stroke:var(--soft);stroke-width:1.2;stroke-dasharray:3 3}
@media print{body{background:#fff}figure{break-inside:avoid}}
"""


@dataclass(frozen=True, slots=True)
class Value:
    """One line of a report."""

    name: str
    figure: Figure | float
    unit: str = ""
    note: str = ""

    @property
    def measured(self) -> Figure:
        return self.figure if isinstance(self.figure, Figure) else Figure(float(self.figure))

    def shown(self) -> str:
        """The value with its unit, or that it is not measurable."""
        found = self.measured
        if found.value is None:
            limits = [
                f"{word} {_short(limit)} {self.unit}".rstrip()
                for word, limit in (("above", found.low), ("below", found.high))
                if limit is not None
            ]
            return "not measurable" + (f"; {', '.join(limits)}" if limits else "")
        return f"{_short(found.value)} {self.unit}".rstrip()

    def interval(self) -> str:
        found = self.measured
        if found.value is None or found.low is None or found.high is None:
            return ""
        return f"{_short(found.low)} to {_short(found.high)}"

    def remark(self) -> str:
        """Why it is not measurable, and what else is to be known."""
        return "; ".join(part for part in (self.measured.why, self.note) if part)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text and numbers."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str | float]]


@dataclass(frozen=True, slots=True)
class Report:
    """A measurement, told."""

    kind: str
    """``sfr``, ``color`` ...: as the command calls it."""
    title: str
    about: str
    """What was measured: file, size, how it was read."""
    values: Sequence[Value]
    tables: Sequence[Table] = ()
    plots: Sequence[Drawing] = ()
    notes: Sequence[str] = field(default_factory=tuple[str, ...])

    def text(self) -> str:
        """For a terminal: a line a value."""
        lines = [self.title, f"  {self.about}"]
        wide = max((len(v.name) for v in self.values), default=0)
        shown = max(
            (len(v.shown()) for v in self.values if v.measured.value is not None), default=0
        )
        for value in self.values:
            interval = f"95 %: {value.interval()}" if value.interval() else ""
            parts = [value.name.ljust(wide), value.shown().ljust(shown), interval, value.remark()]
            lines.append("  " + "  ".join(part for part in parts if part).rstrip())
        for table in self.tables:
            lines += ["", f"  {table.title}"]
            rows = [[_cell(c) for c in row] for row in table.rows]
            width = [
                max(len(r[k]) for r in [list(table.head), *rows]) for k in range(len(table.head))
            ]
            for row in [list(table.head), *rows]:
                cells = [
                    c.ljust(w) if k == 0 else c.rjust(w)
                    for k, (c, w) in enumerate(zip(row, width, strict=True))
                ]
                lines.append("  " + "  ".join(cells).rstrip())
        if self.notes:
            lines += ["", *(f"  {note}" for note in self.notes)]
        return "\n".join(lines)

    def data(self) -> dict[str, Any]:
        """For programs: plain types only; what is not measurable has the value None and a reason.

        Plots of lines and points come with their numbers.
        """
        from modoptic.measure._svg import Plot

        return {
            "kind": self.kind,
            "title": self.title,
            "about": self.about,
            "values": [
                {
                    "name": v.name,
                    "value": _plain(v.measured.value),
                    "unit": v.unit,
                    "low": _plain(v.measured.low),
                    "high": _plain(v.measured.high),
                    "why": v.measured.why,
                    "note": v.note,
                }
                for v in self.values
            ],
            "tables": [
                {
                    "title": t.title,
                    "head": list(t.head),
                    "rows": [[c if isinstance(c, str) else _plain(c) for c in r] for r in t.rows],
                }
                for t in self.tables
            ],
            "curves": [
                {
                    "title": plot.title,
                    "x": plot.x_label,
                    "y": plot.y_label,
                    "series": [
                        {
                            "name": s.name,
                            "x": [_plain(float(a)) for a in s.x],
                            "y": [_plain(float(b)) for b in s.y],
                        }
                        for s in plot.series
                    ],
                }
                for plot in self.plots
                if isinstance(plot, Plot)
            ],
            "notes": list(self.notes),
        }

    def html(self) -> str:
        """One page that needs nothing else; bright or dark as the reader's screen is."""
        rows = "".join(
            f"<tr><td>{escape(v.name)}</td><td class='v'>{escape(v.shown())}</td>"
            f"<td class='q'>{escape(v.interval())}</td><td class='q'>{escape(v.remark())}</td></tr>"
            for v in self.values
        )
        tables = "".join(
            f"<h2>{escape(t.title)}</h2><table><tr>"
            + "".join(f"<th{_right(k)}>{escape(h)}</th>" for k, h in enumerate(t.head))
            + "</tr>"
            + "".join(
                "<tr>"
                + "".join(f"<td{_right(k)}>{escape(_cell(c))}</td>" for k, c in enumerate(r))
                + "</tr>"
                for r in t.rows
            )
            + "</table>"
            for t in self.tables
        )
        plots = "".join(f"<figure>{plot.svg()}</figure>" for plot in self.plots)
        notes = "".join(f"<li>{escape(note)}</li>" for note in self.notes)
        return (
            "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
            "<meta name='viewport' content='width=device-width,initial-scale=1'>"
            f"<title>{escape(self.title)}</title><style>{_STYLE}</style></head><body><main>"
            f"<h1>{escape(self.title)}</h1><p class='about'>{escape(self.about)}</p>"
            "<table><tr><th>figure</th><th>value</th><th>95 % interval</th><th></th></tr>"
            f"{rows}</table><h2>Plots</h2><div class='plots'>{plots}</div>{tables}"
            + (f"<h2>Notes</h2><ul class='note'>{notes}</ul>" if notes else "")
            + "</main></body></html>\n"
        )


def _right(column: int) -> str:
    return " class='n'" if column else ""


def _cell(cell: str | float) -> str:
    return cell if isinstance(cell, str) else _short(cell)


def _short(value: float) -> str:
    if not math.isfinite(value):
        return "-"
    text = f"{value:.4g}"
    return f"{value:.0f}" if "e+" in text and abs(value) < 1e9 else text


def _plain(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)
