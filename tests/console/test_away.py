"""The read model is away: pages say so, what needs it not goes on, and it catches up."""

import json
import time
from pathlib import Path

import httpx

from agents.console.serve import serve_in_thread
from agents.console.tokens import token_of
from pipeline.runtime.folder import Folder
from pipeline.runtime.operator import said
from tests.console.kit import do, run_history

ITEMS = [{"product_id": "p1", "price": 20}]
CART = {"type": "cart_updated", "customer": "c1", "occurred_at": "2026-01-05T10:00:00Z", "items": ITEMS}
PAGES = ("/scenario/abandoned-cart", "/map", "/funnels", "/dead-letters", "/health")
DEADLINE_S = 60


def test_pages_say_that_the_read_model_is_away_and_it_catches_up_when_it_is_back(tmp_path: Path) -> None:
    run_history(tmp_path, json.dumps(CART) + "\n" + '{"type": "?"}\n')
    place = tmp_path / "d" / "console.sqlite"
    place.mkdir()  # no file can be opened there
    folder = Folder(tmp_path / "d")
    url, close = serve_in_thread(folder, 0)
    try:
        with httpx.Client(base_url=url.split("/?")[0], trust_env=False) as browser:
            assert browser.post("/login", data={"token": token_of(folder.path)}).status_code == 303
            for path in PAGES:
                answer = browser.get(path)
                assert (answer.status_code, "The pipeline goes on without it" in answer.text) == (503, True), path
            # The kill switch needs the log alone.
            assert browser.get("/control").status_code == 200
            assert do(browser, "/do/switch", scenario="*", state="paused").status_code == 303
            assert len(said(folder.path)) == 1
            place.rmdir()
            end = time.monotonic() + DEADLINE_S
            while "Invalid value" not in browser.get("/dead-letters").text:
                assert time.monotonic() < end, browser.get("/dead-letters").text
            assert {browser.get(path).status_code for path in PAGES} == {200}
    finally:
        close()
        folder.close()


def test_a_run_goes_to_its_end_without_its_read_model(tmp_path: Path) -> None:
    from tests.acceptance.running import lines_of, parcours

    run_history(tmp_path, json.dumps(CART) + "\n")
    (tmp_path / "d" / "console.sqlite").mkdir()
    (tmp_path / "shop.ndjson").write_text(json.dumps(CART) + "\n" + json.dumps({**CART, "customer": "c2"}) + "\n")
    done = parcours(
        "run", "--plan", tmp_path / "plan", "--data", tmp_path / "d", "--input", tmp_path / "shop.ndjson",
        "--mapping", "native", "--until-end", "--console-port", "0",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [row["id"] for row in lines_of("customer", "--all", "--data", tmp_path / "d")] == ["c1", "c2"]
