"""A customer is forgotten in one process: nothing readable is left but the past, and a later import does not mail them."""

import json
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from agents.cli.main import parcours
from pipeline.errors import ParcoursError, UsageError
from pipeline.runtime.folder import Folder
from pipeline.runtime.left_behind import left_in_folder
from tests.acceptance.running import lines_of
from tests.collector.test_embedded_inbox import WebShop
from tests.collector.test_embedded_stop import cart, signed_up

MAIL = """
scenario: mail
title: Mail
purpose: marketing
enter: {on: cart_changed, when: size(cart.items) > 0, again: always}
steps: [{wait: 2d}, {send: later, channel: email}]
"""


def erased_shop(folder: Path, *more: dict[str, Any]) -> WebShop:
    """A shop of two customers, each with a message in the inbox and a mail that waits."""
    shop = WebShop(folder)
    (shop.plan / "mail").mkdir()
    (shop.plan / "mail" / "scenario.yaml").write_text(MAIL)
    (shop.plan / "mail" / "later.en.txt").write_text("---\nsubject: Later\n---\nStill there?\n")
    (shop.plan / "mail" / "later.en.html").write_text("<p>Still there?</p>")
    shop.write([signed_up(name, f"2026-01-05T10:00:0{name[1]}Z") for name in ("c1", "c2")])
    shop.write([cart(name, f"2026-01-05T11:00:0{name[1]}Z") for name in ("c1", "c2")])
    shop.write(list(more))
    shop.to_the_end("1h")
    return shop


def said(*words: object) -> Result:
    """Run the command in this process: a process of its own would cost seconds each time."""
    return CliRunner().invoke(parcours, [str(word) for word in words], standalone_mode=False)


def verified(shop: WebShop, customer: str) -> tuple[int, dict[str, dict[str, Any]]]:
    done = said("erase", "verify", customer, "--data", shop.data, "--json")
    assert not isinstance(done.exception, ParcoursError), done.exception
    return done.exit_code or done.return_value or 0, {
        row["what"]: row for row in map(json.loads, done.output.splitlines())
    }


def inbox_of(shop: WebShop, customer: str) -> int:
    folder = Folder(shop.data, read_only=True)
    try:
        return sum(row.count for row in left_in_folder(folder, customer).rows if row.what == "inbox")
    finally:
        folder.close()


def test_who_asks_is_forgotten_and_a_later_import_of_their_address_mails_them_no_marketing(tmp_path: Path) -> None:
    shop = erased_shop(tmp_path)
    code, before = verified(shop, "c1")
    assert code == 1
    assert {name for name, row in before.items() if row["until"] is None} == {"state", "timers", "inbox"}
    assert said("erase", "c1", "--data", shop.data, "--yes").exception is None
    assert "words for the run that it has not taken yet" in verified(shop, "c1")[1]
    again = [signed_up("c9", "2026-02-05T10:00:00Z") | {"email": " C1@Shop.example"}]
    again += [signed_up("c8", "2026-02-05T10:00:01Z")]
    shop.write([*again, cart("c9", "2026-02-05T11:00:00Z"), cart("c8", "2026-02-05T11:00:01Z")])
    shop.to_the_end("3d")

    code, after = verified(shop, "c1")
    assert (code, [name for name, row in after.items() if row["until"] is None]) == (0, []), after
    assert {"stream journal", "stream decisions", "stream delivery"} <= set(after)
    assert "data folder" in after["stream journal"]["until"]
    words = said("erase", "verify", "c1", "--data", shop.data).output
    assert words.endswith("nothing readable is left of c1 but what is kept\n"), words
    assert verified(shop, "c2")[0] == 1, "the other one is still there"
    assert (inbox_of(shop, "c1"), inbox_of(shop, "c9")) == (0, 1)
    ends = {
        one["customer"]: (one["state"], one.get("reason", ""))
        for one in lines_of("receipts", "--data", shop.data)
        if one["channel"] == "email" and one["state"] != "intent"
    }
    assert ends == {"c9": ("rejected", "suppressed: erased"), "c8": ("sent", ""), "c2": ("sent", "")}


def test_an_erasure_from_the_stores_own_source_does_the_same(tmp_path: Path) -> None:
    shop = erased_shop(tmp_path, {"type": "erasure_requested", "customer": "c1", "occurred_at": "2026-01-05T11:30:00Z"})
    assert verified(shop, "c1")[0] == 0
    folder = Folder(shop.data, read_only=True)
    rows = [json.loads(raw) for _, raw in folder.values("suppress/")]
    folder.close()
    assert [row["kind"] for row in rows] == ["erased"]
    assert "c1" not in json.dumps(rows)


@pytest.mark.parametrize(
    "words",
    [
        ["erase"],
        ["erase", ""],
        ["erase", "c" * 257],
        ["erase", "verify"],
        ["erase", "a", "b"],
        ["erase", "verify", "a", "b"],
    ],
)
def test_a_word_that_is_missing_or_too_much_forgets_nobody(tmp_path: Path, words: list[str]) -> None:
    done = said(*words, "--data", tmp_path, "--yes")
    assert isinstance(done.exception, UsageError | click.UsageError), done.output
    assert list(tmp_path.iterdir()) == []


def test_an_erasure_is_asked_about(tmp_path: Path) -> None:
    Folder(tmp_path / "d").close()
    assert isinstance(said("erase", "c1", "--data", tmp_path / "d").exception, click.Abort)
    assert not (tmp_path / "d" / "operator").exists()
    assert said("erase", "c1", "--data", tmp_path / "d", "--yes").exception is None
    assert len(list((tmp_path / "d" / "operator").glob("*.json"))) == 1
