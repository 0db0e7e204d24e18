"""The pages in a real headless browser: pressed and chosen as a person does."""

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, sync_playwright

from agents.collector.serve import serve_in_thread
from pipeline.sending.links import PREFERENCES, UNSUBSCRIBE
from tests.collector.kit import Desk
from tests.console.test_pages import FLAGS

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    chromium = shutil.which("chromium")
    if chromium is None:
        if os.environ.get("CI"):
            raise AssertionError("no chromium: apt-get install chromium")
        pytest.skip("no chromium: apt-get install chromium")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser.new_page()
        browser.close()


@pytest.fixture
def desk() -> Iterator[tuple[Desk, str]]:
    one = Desk()
    url, close = serve_in_thread(one.hub, 0)
    yield one, url
    close()


@pytest.mark.parametrize("width", [1280, 360])
def test_preferences_are_chosen_and_saved(page: Page, desk: tuple[Desk, str], width: int) -> None:
    one, url = desk
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"{url}/p/{one.token(PREFERENCES)}")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("getComputedStyle(document.querySelector('button')).fontWeight") == "600", "the style holds"
    page.get_by_role("group", name="Email").get_by_label("No", exact=True).check()
    page.get_by_label("Nothing for 30 days").check()
    page.get_by_role("button", name="Save").click()
    assert "takes effect within seconds" in page.get_by_role("status").inner_text()
    assert [(event["for_channel"], event["given"]) for event in one.intake.events] == [("email", False), ("*", False)]
    assert errors == []


def test_a_person_unsubscribes_by_the_button_and_can_go_on_to_the_preferences(
    page: Page, desk: tuple[Desk, str]
) -> None:
    one, url = desk
    page.goto(f"{url}/u/{one.token(UNSUBSCRIBE)}")
    assert one.intake.heard == []
    page.get_by_role("button", name="Yes, unsubscribe me").click()
    assert "No more marketing messages by email" in page.get_by_role("status").inner_text()
    assert one.types == ["message_unsubscribed"]
    page.get_by_role("link", name="Change what you get instead").click()
    assert page.locator("h1").inner_text() == "Your messages"
