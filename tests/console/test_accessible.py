"""Each page by axe in a headless browser, in both languages and in the dark, and by the keyboard alone."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from pipeline.runtime.operator import said
from tests.console.kit import Desk, opened, run_history
from tests.console.test_pages import FLAGS

pytestmark = pytest.mark.browser
ODD = "<script>alert(1)</script> & ö/ü?#% '\\"
CART = {"type": "cart_updated", "occurred_at": "2026-01-05T10:00:00Z"}
PAGES = (
    "/", "/messages", "/customer", "/customer/c1", "/scenario/abandoned-cart", "/map", "/funnels", "/segments",
    "/control", "/dead-letters", "/dead-letters/0/0", "/health", "/audit", "/no-such-page",
)  # fmt: skip
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("accessible")
    items = [{"product_id": "p1", "name": ODD, "price": 20}]
    rows = [{**CART, "customer": "c1", "items": items}, {**CART, "customer": ODD, "items": items}, {"type": "?"}]
    run_history(folder, "".join(json.dumps(row) + "\n" for row in rows))
    with opened(folder / "d") as one:
        yield one


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    if chromium is None:
        if os.environ.get("CI"):
            raise AssertionError("no chromium: apt-get install chromium")
        pytest.skip("no chromium: apt-get install chromium")
    with sync_playwright() as play:
        one = play.chromium.launch(executable_path=chromium, args=FLAGS)
        yield one
        one.close()


def signed_in(browser: Browser, desk: Desk, **look: Any) -> Page:
    page = browser.new_page(base_url=desk.base, **look)
    page.goto("/login")
    page.get_by_label("Token" if look.get("locale") != "fr" else "Jeton").fill(token_of(desk))
    page.keyboard.press("Enter")
    page.wait_for_url("**/")
    return page


def token_of(desk: Desk) -> str:
    return (desk.folder.path / "console.token").read_text()


def faults(page: Page) -> list[str]:
    found = Axe().run(page, options=RULES).response["violations"]
    return [f"{one['id']}: {node['html'][:120]}" for one in found for node in one["nodes"]]


@pytest.mark.parametrize(
    "look", [{"locale": "en"}, {"locale": "fr", "color_scheme": "dark"}], ids=["light-en", "dark-fr"]
)
def test_axe_finds_nothing_on_any_page(browser: Browser, desk: Desk, look: dict[str, Any]) -> None:
    page = signed_in(browser, desk, **look)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    found = {}
    for path in PAGES:
        page.goto(path)
        assert page.evaluate("document.documentElement.lang") == look["locale"]
        found[path] = faults(page)
    page.context.clear_cookies()
    page.goto("/control")
    found["login"] = faults(page)
    page.close()
    assert {path: said for path, said in found.items() if said} == {}
    assert errors == []


def test_axe_would_find_a_picture_without_words(browser: Browser) -> None:
    page = browser.new_page()
    page.set_content('<html lang="en"><title>A</title><main><h1>A</h1><img src="data:,"></main></html>')
    assert [one.split(":")[0] for one in faults(page)] == ["image-alt"]
    page.close()


def test_a_scenario_is_stopped_by_the_keyboard_alone(browser: Browser, desk: Desk) -> None:
    page = signed_in(browser, desk)
    page.goto("/control")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    stop = page.locator("summary", has_text="Stop").last
    for _ in range(60):
        page.keyboard.press("Tab")
        if stop.evaluate("one => one === document.activeElement"):
            break
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Yes, stop"
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert [getattr(word, "state", "") for _, word in said(desk.folder.path)] == ["stopped"]
    page.close()
    shutil.rmtree(desk.folder.path / "operator")


def test_a_page_renews_itself_but_not_under_a_hand_that_is_about_to_press(browser: Browser, desk: Desk) -> None:
    page = browser.new_page(base_url=desk.base)
    page.clock.install()
    page.goto(f"/?token={token_of(desk)}")
    page.goto("/control")
    with page.expect_response("**/control"):
        page.clock.run_for(5_100)
    asked: list[str] = []
    page.locator("summary").first.click()
    page.on("request", lambda request: asked.append(request.url))
    page.clock.run_for(20_000)
    assert asked == []
    page.close()


def test_a_customer_of_any_letters_has_a_page_and_their_goods_names_are_text(browser: Browser, desk: Desk) -> None:
    page = signed_in(browser, desk)
    page.goto("/customer")
    page.fill("#id", ODD)
    page.locator("main button").first.click()
    assert ODD in page.inner_text("main")
    page.get_by_text("Erase…").click()
    page.get_by_label("Write the customer id again").fill(ODD)
    page.get_by_role("button", name="Yes, erase").click()
    page.wait_for_load_state()
    [(_, word)] = said(desk.folder.path)
    assert getattr(word, "customer", "") == ODD
    page.close()
    shutil.rmtree(desk.folder.path / "operator")


@pytest.mark.parametrize("width", [1280, 390])
def test_no_page_is_wider_than_its_window(browser: Browser, desk: Desk, width: int) -> None:
    page = signed_in(browser, desk, viewport={"width": width, "height": 900})
    pictures = os.environ.get("PARCOURS_PICTURES")
    for path in PAGES:
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        if pictures:
            name = path.strip("/").replace("/", "-") or "scenarios"
            page.screenshot(path=Path(pictures) / f"{name}-{width}.png", full_page=True)
    page.close()
