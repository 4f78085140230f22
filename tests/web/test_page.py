"""The page in a real browser, used by its roles and names alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from fake_phone import MODULE
from served import Served, until

from modoptic.host.state import AutoFocus, Magnify, SetControls, Shoot

pytestmark = pytest.mark.browser
Look = Callable[..., Any]


def frames(page: Any) -> int:
    return int(page.get_by_role("img", name="Live view").get_attribute("data-frames"))


def camera(page: Any) -> str:
    return page.get_by_role("img", name="Live view").get_attribute("data-camera")


def middle(locator: Any) -> tuple[float, float]:
    box = locator.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def touch_drag(page: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    """One finger from ``start`` to ``end``."""
    session = page.context.new_cdp_session(page)

    def touch(kind: str, points: list[tuple[float, float]]) -> None:
        touches = [{"x": x, "y": y} for x, y in points]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})

    touch("touchStart", [start])
    for n in range(1, 9):
        touch("touchMove", [tuple(a + (b - a) * n / 8 for a, b in zip(start, end, strict=True))])  # type: ignore[misc]
    touch("touchEnd", [])


def attach(served: Served) -> None:
    served.hands.seat()


def sets(served: Served, field: str) -> list[Any]:
    actions = [a for a in served.phone.actions if isinstance(a, SetControls)]
    return [value for a in actions if (value := getattr(a, field)) not in (None, ())]


def test_the_picture_is_live_and_its_draws_are_measured(served: Served, look: Look) -> None:
    page = look()
    first = frames(page)
    until(lambda: frames(page) > first + 5)
    figures = until(lambda: (f := served.server.figures()).drawn > 5 and f)
    assert 0 < figures.p50_ms < 1000
    page.get_by_role("button", name="Measured figures").click()
    panel = page.get_by_role("group", name="Figures")
    assert "Readout to drawn" in panel.inner_text()


def test_every_control_has_a_name_and_room_for_a_finger(served: Served, look: Look) -> None:
    attach(served)
    page = look()
    page.get_by_role("button", name="Viewfinder aids").click()
    small = page.evaluate(
        """() => [...document.querySelectorAll('button, a, [role=slider], [role=switch]')]
        .filter((e) => e.checkVisibility())
        .filter((e) => {
            const box = e.getBoundingClientRect();
            const name = e.getAttribute('aria-label') || e.textContent.trim();
            return box.width < 44 || box.height < 43.5 || !name;
        })
        .map((e) => e.outerHTML.slice(0, 80))"""
    )
    assert small == []


def test_the_module_snaps_on_by_dragging_and_is_pulled_off(served: Served, look: Look) -> None:
    page = look()
    page.get_by_role("button", name="Dock", exact=True).click()
    sheet = page.get_by_role("dialog", name="Dock sheet")
    module = sheet.get_by_role("button", name="Module 35 mm f/1.4")
    start = middle(module)
    ring = sheet.get_by_role("group", name="Back of the phone").bounding_box()
    seat = (ring["x"] + ring["width"] / 2, ring["y"] + ring["height"] * 0.49)
    touch_drag(page, start, seat)
    until(lambda: ("seat",) in served.hands.done)
    sheet.get_by_text("Ready in 132 ms").wait_for()
    assert module.get_attribute("aria-pressed") == "true"
    until(lambda: camera(page) == MODULE.id)
    page.wait_for_timeout(250)  # the spring
    touch_drag(page, middle(module), start)
    until(lambda: ("pull",) in served.hands.done)
    sheet.get_by_text("Nothing attached").wait_for()
    page.get_by_role("button", name="Close dock").click()
    page.get_by_role("button", name="Snap on a module").wait_for()


def test_slow_light_and_scenes_are_for_the_hands(served: Served, look: Look) -> None:
    page = look()
    page.keyboard.press("d")
    page.get_by_role("switch", name="Slow light").click()
    until(lambda: ("set_line", 200e6) in served.hands.done)
    page.get_by_role("radio", name="Scene chart").click()
    until(lambda: ("set_scene", "chart") in served.hands.done)
    page.keyboard.press("Escape")
    assert page.get_by_role("dialog", name="Dock sheet").is_hidden()


def test_a_finger_on_the_focus_ring_turns_the_modules_ring(served: Served, look: Look) -> None:
    attach(served)
    page = look()
    ring = page.get_by_role("slider", name="Focus ring")
    assert ring.get_attribute("aria-valuetext") == "1.20 m"
    x, y = middle(ring)
    touch_drag(page, (x, y), (x - 60, y))
    turned = until(lambda: [d[1] for d in served.hands.done if d[0] == "turn_ring"])
    assert turned[-1] > 1.3
    until(lambda: any(isinstance(a, Magnify) and a.at for a in served.phone.actions))
    page.get_by_role("img", name="Magnifier").wait_for()
    page.get_by_role("img", name="Magnifier").wait_for(state="hidden")  # it leaves by itself
    until(lambda: Magnify(at=None) in served.phone.actions)
    for _ in range(4):
        touch_drag(page, (x + 150, y), (x - 180, y))
    until(lambda: ("turn_ring", math.inf) in served.hands.done)  # the hard end stop is infinity
    assert ring.get_attribute("aria-valuetext") == "∞"


def test_the_built_in_lens_has_no_ring_to_turn_so_it_is_driven(served: Served, look: Look) -> None:
    page = look(touch=False)
    page.get_by_role("slider", name="Focus ring").press("ArrowRight")
    until(lambda: sets(served, "focus_distance_m"))
    assert not [d for d in served.hands.done if d[0] == "turn_ring"]


def test_the_iris_ring_stops_at_thirds(served: Served, look: Look) -> None:
    attach(served)
    page = look()
    x, y = middle(page.get_by_role("slider", name="Iris ring"))
    touch_drag(page, (x, y), (x - 150, y))
    until(lambda: sets(served, "f_number"))
    assert set(sets(served, "f_number")) <= {
        2.2,
        2.5,
        2.8,
        3.2,
        3.5,
        4.0,
        4.5,
        5.0,
        5.6,
        6.3,
        7.1,
        8.0,
    }


def test_a_grey_value_is_taken_over_and_given_back(served: Served, look: Look) -> None:
    page = look()
    button = page.get_by_role("button", name="Shutter speed")
    assert "automatic" in button.get_attribute("aria-description")
    button.click()
    until(lambda: sets(served, "exposure_s"))
    dial = page.get_by_role("slider", name="Shutter speed dial")
    dial.press("ArrowRight")
    until(lambda: sets(served, "exposure_s")[-1] == pytest.approx(1 / 80, rel=0.02))
    page.wait_for_timeout(400)  # two taps, not a double tap
    button.dblclick()
    until(lambda: sets(served, "auto")[-1:] == [("exposure_s",)])
    page.get_by_role("slider", name="Iris ring").wait_for()


def test_tap_to_focus(served: Served, look: Look) -> None:
    page = look()
    box = page.get_by_role("img", name="Live view").bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.5)
    action = until(
        lambda: next((a for a in served.phone.actions if isinstance(a, AutoFocus)), None)
    )
    assert action.at == pytest.approx((0.25, 0.5), abs=0.01)


def test_shoot_then_find_it_in_the_gallery_at_100_percent(served: Served, look: Look) -> None:
    page = look()
    page.get_by_role("button", name="Shutter release").click()
    until(lambda: Shoot() in served.phone.actions)
    until(served.phone.gallery.list)
    page.get_by_role("button", name="Gallery", exact=True).click()
    page.get_by_role("list", name="Photos").get_by_role("button", name="Photo MOD_0001").click()
    photo = page.get_by_role("dialog", name="Photo", exact=True)
    photo.get_by_role("button", name="100 %").click()
    assert photo.get_by_label("Zoom").inner_text() == "100 %"
    picture = photo.get_by_role("img", name="Photo MOD_0001")
    until(lambda: picture.get_attribute("data-missing") == "0")
    photo.get_by_role("button", name="About").click()
    assert "2880 × 2160" in photo.get_by_role("group", name="About this photo").inner_text()
    with page.expect_download() as download:
        photo.get_by_role("link", name="Download JPEG").click()
    assert download.value.suggested_filename == "MOD_0001.jpg"


def test_a_photo_that_was_replaced_is_fetched_anew(served: Served, look: Look) -> None:
    served.photo("A_0001")
    page = look()
    gallery = page.get_by_role("button", name="Gallery", exact=True)

    def address() -> str:
        gallery.click()
        tile = page.get_by_role("list", name="Photos").get_by_role("button", name="Photo A_0001")
        source: str = tile.locator("img").get_attribute("src")
        page.get_by_role("button", name="Back to the camera").click()
        return source

    before = address()
    assert address() == before
    served.photo("A_0001")
    until(lambda: address() != before)


def test_pinch_zooms_and_delete_can_be_undone(served: Served, look: Look) -> None:
    served.photo("A_0001")
    page = look()
    page.get_by_role("button", name="Gallery", exact=True).click()
    page.get_by_role("list", name="Photos").get_by_role("button", name="Photo A_0001").click()
    photo = page.get_by_role("dialog", name="Photo", exact=True)
    before = int(photo.get_by_label("Zoom").inner_text().split()[0])
    session = page.context.new_cdp_session(page)
    for kind, spread in (
        ("touchStart", 40),
        ("touchMove", 80),
        ("touchMove", 140),
        ("touchEnd", 0),
    ):
        points = [{"x": 195 - spread, "y": 400, "id": 0}, {"x": 195 + spread, "y": 400, "id": 1}]
        event = {"type": kind, "touchPoints": points if spread else []}
        session.send("Input.dispatchTouchEvent", event)
    until(lambda: int(photo.get_by_label("Zoom").inner_text().split()[0]) > 2 * before)
    photo.get_by_role("button", name="Delete photo").click()
    until(lambda: not served.phone.gallery.list())
    page.get_by_role("button", name="Undo").click()
    until(served.phone.gallery.list)
    page.get_by_role("list", name="Photos").get_by_role("button", name="Photo A_0001").wait_for()


def test_keys_of_the_desktop(served: Served, look: Look) -> None:
    attach(served)
    page = look((1440, 900), touch=False)
    page.keyboard.press("ArrowUp")
    until(lambda: any(d[0] == "turn_ring" and d[1] > 1.2 for d in served.hands.done))
    page.keyboard.press("]")
    until(lambda: sets(served, "f_number") == [2.2])
    page.keyboard.press("Space")
    until(lambda: Shoot() in served.phone.actions)
    page.get_by_role("button", name="Viewfinder aids").click()
    for key, name in (("f", "Peaking"), ("z", "Zebra"), ("g", "Grid")):
        page.keyboard.press(key)
        button = page.get_by_role("button", name=name, exact=True)
        assert button.get_attribute("aria-pressed") == "true"
    page.keyboard.press("h")
    assert page.get_by_role("img", name="Histogram").is_hidden()
    page.keyboard.press("m")
    page.get_by_role("img", name="Magnifier").wait_for()


def test_the_wheel_turns_the_ring(served: Served, look: Look) -> None:
    page = look((1440, 900), touch=False)
    page.mouse.move(*middle(page.get_by_role("slider", name="Focus ring")))
    page.mouse.wheel(0, -200)
    until(lambda: sets(served, "focus_distance_m"))
    assert sets(served, "focus_distance_m")[-1] > 1.2


def test_a_lost_shot_is_reported_by_name(served: Served, look: Look) -> None:
    page = look()
    served.phone.notify("error", "MOD_0007 was lost: the module was pulled off at 40 %", "MOD_0007")
    page.get_by_role("log", name="Notices").get_by_text("MOD_0007 was lost").wait_for()


def test_a_lost_connection_is_shown_and_mends_itself(served: Served, look: Look) -> None:
    page = look()
    port = served.server.port
    served.server.stop()
    alert = page.get_by_role("alert")
    alert.get_by_text("Connection lost").wait_for()
    assert "old" in alert.inner_text()
    served.serve(port)
    alert.wait_for(state="hidden")
    before = frames(page)
    until(lambda: frames(page) > before)


def test_two_browsers_see_the_same_and_one_has_the_controls(served: Served, look: Look) -> None:
    first, second = look(), look((1440, 900), touch=False)
    second.get_by_text("Another viewer has the controls").wait_for()
    served.phone.seat()
    for page in (first, second):
        until(lambda page=page: camera(page) == MODULE.id)
    second.get_by_role("button", name="Take control").click()
    second.keyboard.press("Space")
    until(lambda: Shoot() in served.phone.actions)
    first.get_by_text("Another viewer has the controls").wait_for()


def test_a_page_elsewhere_cannot_reach_the_camera(served: Served, chrome: Any) -> None:
    port = served.server.port
    context = chrome.new_context()
    context.route("http://evil.example/*", lambda route: route.fulfill(body="<p>hello"))
    page = context.new_page()
    page.goto("http://evil.example/")
    outcome = page.evaluate(
        f"""() => new Promise((done) => {{
        const socket = new WebSocket('ws://127.0.0.1:{port}/ws');
        socket.onopen = () => done('open'); socket.onerror = () => done('refused'); }})"""
    )
    assert outcome == "refused"
    context.close()


def test_a_browser_that_vanishes_leaves_the_camera_running(
    served: Served, look: Look, chrome: Any
) -> None:
    page = look()
    gone = chrome.new_context()
    other = gone.new_page()
    other.goto(served.url)
    until(lambda: served.server.viewers == 2)
    gone.close()
    until(lambda: served.server.viewers == 1)
    before = frames(page)
    until(lambda: frames(page) > before + 3)
