"""A served fake phone, and a browser to look at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from served import Served, until

CHROMIUM_ARGS = [
    "--no-sandbox",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-gpu",  # software drawing without a software GPU below it: several times as fast
]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    served = Served(tmp_path)
    yield served
    served.close()


@pytest.fixture(scope="session")
def chrome(chromium: str) -> Iterator[Any]:
    """A running Chromium."""
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGS)
        yield browser
        browser.close()


@pytest.fixture
def look(chrome: Any, served: Served) -> Iterator[Callable[..., Any]]:
    """Opens the page on a phone held upright (or ``viewport``), waits for the first picture."""
    contexts: list[Any] = []
    problems: list[str] = []

    def open_page(viewport: tuple[int, int] = (390, 844), touch: bool = True) -> Any:
        context = chrome.new_context(
            viewport={"width": viewport[0], "height": viewport[1]},
            has_touch=touch,
            is_mobile=touch,
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(8000)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(served.url)
        page.get_by_role("button", name="Iris", exact=True).wait_for()
        picture = page.get_by_role("img", name="Live view")
        until(lambda: picture.get_attribute("data-frames"))
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not problems
