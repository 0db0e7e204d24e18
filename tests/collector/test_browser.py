"""The pages in a real headless browser: pressed and chosen as a person does."""

import asyncio
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Page, sync_playwright
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from agents.collector.inbox import InboxDesk
from agents.collector.serve import serve_in_thread
from agents.collector.tokens import InboxTokens
from models.inbox import InboxItem
from pipeline.runtime.folder import Folder
from pipeline.runtime.inbox import FolderInbox
from pipeline.sending.links import PREFERENCES, UNSUBSCRIBE
from tests.collector.kit import Desk
from tests.collector.test_embedded_stop import wait_for
from tests.console.test_pages import FLAGS
from tests.sending.build import T0

ROOT = Path(__file__).parents[2]
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


class Shop:
    """A store: its page as the docs show it, and a server that says who is signed in."""

    def __init__(self, tokens: InboxTokens) -> None:
        self.customer, self.lasts_s = "c1", 3_600
        page = (ROOT / "docs" / "reference" / "inbox-example.html").read_text()

        async def home(request: Request) -> Response:
            return HTMLResponse(page.replace('<html lang="en">', f'<html lang="en" data-collector="{self.collector}">'))

        async def token(request: Request) -> Response:
            return PlainTextResponse(tokens.make(self.customer, round(time.time()), self.lasts_s))

        app = Starlette(routes=[Route("/", home), Route("/inbox-token", token)])
        self.collector = ""
        self.server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", lifespan="off"))
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.socket]})
        self.thread.start()

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join(timeout=5)
        self.socket.close()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[tuple[Shop, Desk, FolderInbox]]:
    folder, tokens = Folder(tmp_path / "d"), InboxTokens(b"i" * 32)
    store, one = FolderInbox(folder, lambda: T0, 50), Shop(tokens)
    desk = Desk(inbox=InboxDesk(store, tokens, [one.url]), clock_ms=lambda: time.time_ns() // 1_000_000)
    one.collector, close = serve_in_thread(desk.hub, 0)
    yield one, desk, store
    close()
    one.close()
    folder.close()


def keep(store: FolderInbox, item: InboxItem) -> None:
    """Keep a message as a run does, from a thread of its own: the browser's driver has this one's event loop."""
    with ThreadPoolExecutor(1) as run:
        run.submit(asyncio.run, store.keep(item)).result()


def message(name: str, title: str, customer: str = "c1") -> InboxItem:
    payload = {"title": title, "body": "<b>Two</b> things wait", "url": "https://shop.example/cart"}
    return InboxItem(id=name, customer=customer, scenario="cart", step="hello", purpose="marketing", at=T0, until=T0 + 1, payload=payload)  # fmt: skip


def test_the_stores_page_shows_messages_as_they_come_and_says_what_became_of_them(
    page: Page, shop: tuple[Shop, Desk, FolderInbox]
) -> None:
    one, desk, store = shop
    keep(store, message("m1", "Your cart"))
    keep(store, message("x1", "Another's", "c2"))
    page.goto(one.url)
    page.get_by_text("Your cart").wait_for()
    assert page.get_by_text("Another's").count() == 0
    assert "<b>Two</b> things wait" in page.locator("#inbox li").inner_text(), "what a message says is no HTML"
    keep(store, message("m2", "Free delivery today"))
    page.get_by_text("Free delivery today").wait_for()
    page.locator("li", has_text="Free delivery").get_by_role("button", name="Dismiss").click()
    page.get_by_text("Free delivery today").wait_for(state="detached")
    page.route("https://shop.example/**", lambda route: route.fulfill(body="the cart"))
    page.get_by_role("link", name="Have a look").click()
    page.get_by_text("the cart").wait_for()
    wanted = ["message_clicked", "message_delivered", "message_delivered", "message_dismissed"]
    wanted += ["message_opened", "message_opened"]
    wait_for(lambda: sorted(desk.types) == wanted, 5, f"what became of the messages, not {sorted(desk.types)}")
    page.goto(one.url)
    page.get_by_text("Your cart").wait_for()
    assert page.get_by_text("Free delivery today").count() == 0


def test_a_page_of_another_site_reads_nothing(page: Page, shop: tuple[Shop, Desk, FolderInbox]) -> None:
    one, desk, store = shop
    keep(store, message("m1", "Your cart"))
    token = page.request.get(f"{one.url}/inbox-token").text()
    page.goto(one.url.replace("127.0.0.1", "localhost"))
    read = """async ([url, token]) => {
        try { return await (await fetch(url, {headers: {authorization: `Bearer ${token}`}})).text() }
        catch (error) { return error.name }
    }"""
    assert page.evaluate(read, [f"{one.collector}/v1/inbox", token]) == "TypeError"
    assert desk.intake.heard == []


def test_a_page_whose_token_is_over_asks_the_store_for_another(
    page: Page, shop: tuple[Shop, Desk, FolderInbox]
) -> None:
    one, desk, store = shop
    page.goto(one.url)
    wait_for(lambda: desk.hub.inbox and desk.hub.inbox.streams.count, 5, "the page listens")
    desk.hub.clock_ms = lambda: time.time_ns() // 1_000_000 + 2 * 3_600_000
    with page.expect_request("**/inbox-token", timeout=20_000):
        # The end of a token is seen with the next event.
        keep(store, message("m1", "Your cart"))
    desk.hub.clock_ms = lambda: time.time_ns() // 1_000_000
    page.get_by_text("Your cart").wait_for(timeout=20_000)
