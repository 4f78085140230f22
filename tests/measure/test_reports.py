"""Reports: complete, readable by programs, and pages that need nothing else."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from modoptic.measure import (
    Figure,
    MapPlot,
    Plot,
    Report,
    Series,
    Swatches,
    Table,
    Value,
    color_planes,
    sfr_report,
    shading_report,
)
from modoptic.measure._svg import log_ticks, number, ticks

LINE = Series("a <line>", np.array([0.0, 1.0, np.nan, 3.0]), np.array([1.0, 2.0, 3.0, 4.0]))


def a_report() -> Report:
    return Report(
        "sfr",
        "Title & more",
        "about <a file>",
        [
            Value("plain", 0.25, "cycles/pixel", "a note"),
            Value("interval", Figure.of(2.0, 0.1), "%"),
            Value("nothing", Figure(None, None, 0.5, "too dark"), "e-"),
        ],
        [Table("Rows", ("name", "value"), [("one", 1.5), ("two", float("nan"))])],
        [
            Plot("Lines", "x", "y", [LINE], marks=((2.0, "here"),)),
            Plot("Log", "x", "y", [LINE], x_log=True, y_log=True, arrows=((1, 1, 2, 2),)),
            MapPlot("Map", np.arange(12.0).reshape(3, 4), (400, 300), "%"),
            MapPlot("Even", np.ones((3, 4)), (400, 300), "%"),
            Swatches("Colours", ["#112233"], ["#445566"], ["1.0"], 6),
        ],
        ["a note"],
    )


def test_text_says_what_is_and_what_is_not() -> None:
    text = a_report().text()
    assert re.search(r"plain +0\.25 cycles/pixel +a note", text)
    assert re.search(r"interval +2 % +95 %: 1\.804 to 2\.196", text)
    assert re.search(r"nothing +not measurable; below 0\.5 e- +too dark", text)
    assert "one" in text and "a note" in text


def test_data_are_plain_and_hold_the_curves() -> None:
    data = json.loads(json.dumps(a_report().data(), allow_nan=False))
    assert data["kind"] == "sfr"
    assert data["values"][2] == {
        "name": "nothing", "value": None, "unit": "e-", "low": None, "high": 0.5,
        "why": "too dark", "note": "",
    }  # fmt: skip
    assert data["tables"][0]["rows"][1] == ["two", None]
    assert data["curves"][0]["series"][0]["x"] == [0.0, 1.0, None, 3.0]


def test_a_page_stands_alone_and_is_well_formed() -> None:
    page = a_report().html()
    drawings = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(drawings) == 5
    for drawing in drawings:
        ElementTree.fromstring(drawing)
    assert "Title &amp; more" in page and "about &lt;a file&gt;" in page
    # nothing is asked of another place
    assert not re.search(r"(src|href)=|url\((?!#)|@import", page)
    assert re.findall(r"https?://[^'\"\s]+", page) == ["http://www.w3.org/2000/svg"] * 5
    assert "nan" not in page.lower().replace("not measurable", "")
    # the same measurement gives the same page
    assert page == a_report().html()


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 1.0), (-3.0, 17.0), (0.00012, 0.00034), (1e6, 4e6), (5.0, 5.0)]
)
def test_ticks_are_round_and_within(low: float, high: float) -> None:
    found = ticks(low, high)
    assert all(low - 1e-9 <= t <= high + 1e-9 for t in found)
    assert 1 <= len(found) <= 8
    if high > low:
        step = found[1] - found[0]
        lead = step / 10 ** np.floor(np.log10(step) + 1e-9)
        assert min(abs(lead - m) for m in (1, 2, 5)) < 1e-6


def test_numbers_are_short() -> None:
    assert [number(v) for v in (0.0, 0.5, -2.0, 1000.0)] == ["0", "0.5", "−2", "1000"]
    assert "10" in number(1e7) and "7" in number(1e7)
    assert log_ticks(0.9, 1100.0) == [1.0, 10.0, 100.0, 1000.0]
    assert log_ticks(10.0, 60.0) == [10.0, 20.0, 50.0]


def test_places_on_paper_are_those_of_the_values() -> None:
    plot = Plot(
        "p", "x", "y", [Series("", np.array([0.0, 10.0]), np.array([0.0, 4.0]))],
        x_range=(0.0, 10.0), y_range=(0.0, 4.0),
    )  # fmt: skip
    root = ElementTree.fromstring(plot.svg())
    ns = {"s": "http://www.w3.org/2000/svg"}
    frame = root.find("s:rect[@class='frame']", ns)
    path = root.find("s:g/s:path", ns)
    assert frame is not None and path is not None
    x, y, w, h = (float(frame.attrib[k]) for k in ("x", "y", "width", "height"))
    numbers = [float(v) for v in re.findall(r"[\d.]+", path.attrib["d"])]
    assert numbers == pytest.approx([x, y + h, x + w, y], abs=0.11)


def test_an_edge_without_blur_within_reach_is_not_measurable() -> None:
    y, x = np.mgrid[:80, :60]
    edge = np.clip((x - 30) - 0.1 * (y - 40) + 0.5, 0, 1)
    report = sfr_report({"luminance": edge}, pitch_um=2.0, picture_height=1000)
    values = {v.name: v for v in report.values}
    # a square pixel alone: sinc has its half at 0.603 cycles a pixel
    assert values["SFR 50 %"].measured.value == pytest.approx(0.603, abs=0.02)
    assert values["SFR 50 %, on the sensor"].measured.value == pytest.approx(301.5, abs=10)
    assert values["SFR 50 %, of the picture"].measured.value == pytest.approx(1206, abs=40)
    assert values["edge"].measured.value == pytest.approx(np.degrees(np.arctan(0.1)), abs=0.1)


def test_a_grey_picture_has_no_colour_shading() -> None:
    report = shading_report(color_planes(np.full((300, 400), 5.0)))
    values = {v.name: v for v in report.values}
    assert values["relative illumination, corners"].measured.value == pytest.approx(100.0)
    assert values["colour shading"].measured.value is None
    assert "not measurable" in report.text()
