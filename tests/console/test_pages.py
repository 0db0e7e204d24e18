"""The console in a real headless browser, over a pipeline that has run."""

import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from agents.console.graph import kind_of
from agents.console.serve import serve_in_thread
from pipeline.runtime.folder import Folder
from pipeline.scenario.compile import compile_plan
from pipeline.scenario.sources import read_sources
from tests.acceptance.running import parcours

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
PAGES = (
    "/",
    "/messages",
    "/customer",
    "/customer/c1",
    "/dead-letters",
    "/health",
    "/map",
    "/funnels",
    "/scenario/abandoned-cart",
)
ODD = "<script>alert(1)</script> & ö/ü?#%"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("console")
    rows = folder / "shop.ndjson"
    name = ODD.replace('"', "")
    rows.write_text(
        '{"type":"cart_updated","customer":"c1","occurred_at":"2026-01-05T10:00:00Z",'
        f'"items":[{{"product_id":"p1","name":"{name}","price":20}}]}}\n'
        f'{{"type":"product_viewed","customer":"{name}","occurred_at":"2026-01-05T10:01:00Z","product_id":"p1"}}\n'
        '{"type":"order_placed","customer":"c2","occurred_at":"2026-01-05T10:02:00Z"}\n'
    )
    said = ("--set", "consent_default=granted", "--set", "require_address=false")
    done = parcours(
        "run", "--data", folder / "d", "--input", rows, "--mapping", "native", "--until-end", "--advance", "2d",
        "--no-console", *said,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    opened = Folder(folder / "d")
    url, close = serve_in_thread(opened, 0)
    yield url
    close()
    opened.close()


@pytest.fixture(scope="module")
def page(served: str) -> Iterator[Page]:
    chromium = shutil.which("chromium")
    if chromium is None:
        if os.environ.get("CI"):
            raise AssertionError("no chromium: apt-get install chromium")
        pytest.skip("no chromium: apt-get install chromium")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=FLAGS)
        one = browser.new_page()
        one.goto(served)
        yield one
        browser.close()


def status(url: str) -> int:
    try:
        return int(urllib.request.urlopen(url).status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def base(served: str) -> str:
    return served.split("/?", maxsplit=1)[0]


@pytest.mark.parametrize("path", PAGES)
def test_without_the_token_there_is_401_and_nothing_leaks(served: str, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(base(served) + path)
    with error.value as answer:
        assert answer.code == 401
        assert answer.read() == b"401: open the address that the run printed\n"
    assert status(f"{base(served)}{path}?token=wrong") == 401


def test_probes_and_metrics_need_no_token_and_show_no_customer(served: str) -> None:
    for path in ("/livez", "/readyz"):
        assert status(base(served) + path) == 200
    with urllib.request.urlopen(base(served) + "/metrics") as answer:
        text = answer.read().decode()
    assert 'parcours_ledger_events{state="applied"}' in text
    assert "c1" not in text.replace("c1ient", "")


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("path", PAGES)
def test_a_page_shows_without_errors_and_fits_its_width(page: Page, served: str, path: str, width: int) -> None:
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.set_viewport_size({"width": width, "height": 900})
    answer = page.goto(base(served) + path)
    assert answer is not None and answer.status == 200
    assert errors == []
    assert page.locator("h1").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.browser
def test_scenarios_show_their_counts_and_messages_their_end(page: Page, served: str) -> None:
    page.goto(base(served) + "/")
    card = page.locator("section", has=page.locator("#abandoned-cart"))
    assert "Entered\n1" in card.inner_text()
    assert "1 sent" in card.inner_text()
    page.goto(base(served) + "/messages")
    assert "abandoned-cart / reminder" in page.inner_text("main")
    assert "sent" in page.inner_text("main")


@pytest.mark.browser
def test_a_customers_page_says_what_happened_and_why(page: Page, served: str) -> None:
    page.goto(base(served) + "/customer")
    page.fill("#id", "c1")
    page.click("button")
    text = page.inner_text("main")
    assert "cart updated" in text
    assert "abandoned-cart / reminder: sent, because due" in text


@pytest.mark.browser
def test_script_in_a_name_is_shown_as_text_and_an_odd_customer_id_works(page: Page, served: str) -> None:
    page.goto(base(served) + "/customer/c1")
    assert "<script>alert(1)</script>" in page.inner_text("main")
    page.goto(base(served) + "/customer")
    page.fill("#id", ODD)
    page.click("button")
    assert "product viewed" in page.inner_text("main")


def test_the_token_file_is_its_owners_alone(tmp_path: Path) -> None:
    from agents.console.tokens import token_of

    token = token_of(tmp_path)
    assert len(token) >= 32
    assert (tmp_path / "console.token").stat().st_mode & 0o077 == 0


def test_every_step_of_every_shipped_scenario_has_a_label_of_its_kind() -> None:
    plan = compile_plan(read_sources(Path(__file__).parents[2] / "scenarios"))
    labels = {kind_of(op)[1] for scenario in plan.live.values() for op in scenario.program[:-1]}
    assert "end" not in labels
    assert {"set gave_up_at", "branch"} <= labels
    assert any(label.startswith("until ") for label in labels)
