"""`parcours recommend` from a run's own log to what its next messages show."""

import json
from pathlib import Path
from typing import Any

from pipeline.scenario.compile import read_settings
from pipeline.scenario.sources import read_sources
from pipeline.sending.guards import guard_of
from tests.acceptance.running import lines_of, parcours

SCENARIO = """\
scenario: thanks
title: Thanks
purpose: marketing
enter: {on: order_placed, again: always, per: event.order_id}
steps:
  - wait: 1h
  - send: offer
    channel: email
    require: [in_stock]
    with:
      items: entry.items
      offers: related(entry.items, 2)
      best: popular(1)
"""
TEXT = """\
---
subject: "Thanks"
---
{% for one in items %}got {{ one.name }} {% endfor %}{% for one in offers %}with {{ one.name }} {% endfor %}
{% for one in best %}best {{ one.name }} {{ one.price | money }}{% endfor %}
"""


def plan(folder: Path) -> Path:
    (folder / "thanks").mkdir(parents=True)
    (folder / "settings.yaml").write_text("consent_default: granted\nrequire_address: false\n")
    (folder / "thanks" / "scenario.yaml").write_text(SCENARIO)
    for kind in ("txt", "html"):
        (folder / "thanks" / f"offer.en.{kind}").write_text(TEXT)
    return folder


def order(day: int, number: int, *products: str) -> str:
    items = [{"product_id": one, "name": one.title(), "price": 20} for one in products]
    said: dict[str, Any] = {"type": "order_placed", "customer": f"c{number}", "order_id": f"o{day}-{number}"}
    return json.dumps({**said, "items": items, "occurred_at": f"2026-01-{day:02}T10:00:{number:02}Z"}) + "\n"


def test_a_log_gives_lists_that_the_next_messages_show(tmp_path: Path) -> None:
    shop, data, folder = tmp_path / "shop.ndjson", tmp_path / "data", plan(tmp_path / "plan")
    run = ("run", "--data", data, "--input", shop, "--mapping", "native", "--plan", folder, "--until-end")
    run = (*run, "--advance", "2h", "--no-console")
    shop.write_text(order(5, 1, "cup", "saucer") + order(5, 2, "cup", "saucer") + order(5, 3, "jug", "cup"))
    first = parcours(*run)
    assert (first.returncode, first.stdout) == (0, "3 due, 3 sent\n"), first.stderr
    said = parcours("recommend", "--data", data)
    assert said.stdout == f"3 orders of 3 products: 3 lists; written to {data / 'recommendations.ndjson'}\n"
    # The store's own word on a product overrides what the events said.
    (data / "products.ndjson").write_text('{"product_id": "saucer", "name": "Fine saucer", "stock": 1}\n')
    with (data / "products.ndjson").open("a") as file:
        file.write('{"product_id": "jug", "stock": 0}\nnonsense\n')
    with shop.open("a") as file:
        file.write(order(6, 4, "cup") + order(6, 5, "jug"))
    second = parcours(*run)
    assert second.returncode == 0 and "products.ndjson:3: no JSON" in second.stderr, second.stderr
    last = [
        row for row in lines_of("receipts", "--data", data) if row["at"] > "2026-01-06" and row["state"] != "intent"
    ]
    assert {row["customer"]: (row["state"], row.get("reason", "")) for row in last} == {
        "c4": ("sent", ""), "c5": ("rejected", "out_of_stock"),
    }  # fmt: skip
    assert len({row["catalogue_version"] for row in last}) == 1
    [command] = [row for row in lines_of("commands", "--data", data) if row["customer"] == "c4"]
    assert command["lookups"]["offers"] == {"ask": "related", "products": ["cup"], "without": ["cup"], "count": 2}
    texts = [path.read_text() for path in sorted((data / "outbox").glob("*.eml"))]
    assert any("got Cup with Fine saucer" in text for text in texts)


def test_what_recommend_cannot_do_is_said_in_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "shop.ndjson"
    file.write_text(order(5, 1, "cup"))
    for words, message in (
        (("--input", file, "--mapping", "native", "--plan", "scenarios"), "name it with --out"),
        (("--data", tmp_path / "absent"), "absent"),
        (("--data", tmp_path, "--window", "soon"), "--window"),
        (("--data", tmp_path, "--json"), "--json and --from are not of `recommend`"),
    ):
        done = parcours("recommend", *words)
        assert done.returncode == 2 and message in done.stderr, (words, done.stderr)
        assert "Traceback" not in done.stderr


def test_a_backtest_leaves_its_busiest_hours_for_the_brakes(tmp_path: Path) -> None:
    shop, folder = tmp_path / "shop.ndjson", plan(tmp_path / "plan")
    shop.write_text("".join(order(5, number, "cup") for number in range(1, 8)))
    words = ("--input", shop, "--mapping", "native", "--advance", "2h", "--processes", "1")
    done = parcours("backtest", "--plan", folder, "--remember", *words)
    assert done.returncode == 0, done.stderr
    assert json.loads((folder / "backtest.json").read_text()) == {"busiest_hour": {"thanks": 7}}
    sources = read_sources(folder)
    assert guard_of(sources, read_settings(sources), "thanks").brake == 70
    assert parcours("check", folder).returncode == 0
    refused = parcours("backtest", "--remember", *words)
    assert refused.returncode == 2 and "name it with --plan" in refused.stderr
