"""The page, the phone and the module as people start them, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modoptic.rawfile import read_raw
from modoptic.testing import corridor, wait_until

pytestmark = pytest.mark.browser

SLOW_LINE = "150M"


def shown(page: Any, camera: str) -> Callable[[], bool]:
    chip = page.get_by_role("button", name="Camera and settings")
    return lambda: camera in chip.inner_text()


def test_pulled_off_in_the_middle_of_a_slow_100_mp_transfer(tmp_path: Path, chrome: Any) -> None:
    photos = tmp_path / "photos"
    arguments = ("--no-browser", "--port", "0", "--gallery", str(photos), "--scene", "colorchecker")
    with corridor("demo", *arguments, "--line", SLOW_LINE, "--seated", home=tmp_path) as demo:
        context = chrome.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
        try:
            page = context.new_page()
            page.set_default_timeout(8000)
            page.goto(demo.url)
            wait_until(shown(page, "35 mm"), 20, "the module's picture")
            size = page.get_by_role("button", name="Photo size")
            size.click()
            wait_until(lambda: "100" in size.inner_text(), what="100 MP chosen")
            page.get_by_role("button", name="Shutter release").click()
            gallery = page.get_by_role("button", name="Gallery")
            crossing = re.compile(r"crossing [1-9]\d* %")
            # the light of 100 MP comes first; how long that may take is for benches to say
            wait_until(lambda: crossing.search(gallery.inner_text()), 90, "crossing")

            page.get_by_role("button", name="Dock", exact=True).click()
            page.get_by_role("button", name="Pull off").click()
            wait_until(shown(page, "23 mm"), 2, "the phone's own camera")
            notices = page.get_by_role("log", name="Notices")
            wait_until(
                lambda: re.search(r"MO_0001 was lost: .*kept as", notices.inner_text()),
                what="a notice that names the lost photo",
            )
            (partial,) = (photos / "lost").glob("*.dng")
            assert 0 < read_raw(partial).frame.height < 8736
            assert not list(photos.glob("*.jpg"))

            page.get_by_role("button", name="Snap on", exact=True).click()
            wait_until(shown(page, "35 mm"), 5, "the module again")
        finally:
            context.close()
