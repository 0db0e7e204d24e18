"""Pages that put state and read model together, over a pipeline that has run: the customer, segments, funnels, health."""

import http.cookiejar
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator

import pytest

from agents.console.serve import serve_in_thread
from pipeline.runtime.folder import Folder
from tests.acceptance.running import parcours

Page = Callable[[str], str]
DAY = "2026-01-05T"
SETTINGS = """
store: {currency: EUR}
timezone: UTC
consent_default: granted
require_address: false
segments: {with_cart: "size(cart.items) > 0", bought: profile.orders > 0}
watch: [bought]
touchpoints:
  - {name: look, stage: discover, note: "Is it right?", on: product_viewed, objective: interest, kpi: {count: cart_updated, within: 1h, target: 90%}}
funnels:
  - {name: buying, within: 1h, steps: [product_viewed, cart_updated, order_placed]}
targets: {reminder: 50%}
"""
SCENARIO = """
scenario: reminder
title: A reminder
objective: bring the cart back
purpose: marketing
enter: {on: segment_entered, segment: with_cart, again: always}
exit: [{on: order_placed}]
goal: {on: order_placed, within: 1d, value: event.total}
steps:
  - wait: 45m
  - send: reminder
    channel: email
  - wait: 2d
  - send: urgency
    channel: email
"""
MAIL = """---
subject: Hello
---
<mjml><mj-body><mj-section><mj-column><mj-text>Your cart.</mj-text></mj-column></mj-section></mj-body></mjml>
"""


def rows() -> Iterator[dict[str, object]]:
    item = [{"product_id": "p1", "name": "Lamp", "price": 20}]
    for name, more in (("c1", {}), ("c2", {}), ("c3", {})):
        yield {"type": "product_viewed", "customer": name, "occurred_at": f"{DAY}10:00:00Z", "product_id": "p1", **more}
    refused = {"channel": "email", "purpose": "marketing", "given": False}
    yield {"type": "consent_changed", "customer": "c3", "occurred_at": f"{DAY}10:01:00Z", **refused}
    for name in ("c1", "c2", "c3"):
        yield {"type": "cart_updated", "customer": name, "occurred_at": f"{DAY}10:05:00Z", "items": item}
    yield {"type": "order_placed", "customer": "c2", "occurred_at": f"{DAY}10:20:00Z", "order_id": "o", "total": 20}
    yield {"type": "page_viewed", "customer": "c9", "occurred_at": f"{DAY}12:00:00Z", "page_type": "help"}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("customer")
    plan = folder / "plan"
    (plan / "reminder").mkdir(parents=True)
    (plan / "settings.yaml").write_text(SETTINGS)
    (plan / "reminder" / "scenario.yaml").write_text(SCENARIO)
    for name in ("reminder", "urgency"):
        (plan / "reminder" / f"{name}.en.mjml").write_text(MAIL)
        (plan / "reminder" / f"{name}.en.txt").write_text("Your cart.\n")
    source = folder / "shop.ndjson"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows()))
    done = parcours(
        "run", "--data", folder / "d", "--plan", plan, "--input", source, "--mapping", "native", "--until-end",
        "--advance", "1d", "--no-console",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    draft = plan / "reminder" / "scenario.yaml"
    draft.write_text(draft.read_text().replace("wait: 45m", "wait: 10m"))
    compared = parcours("diff", "--data", folder / "d", "--plan", plan)
    assert compared.returncode == 0, compared.stderr
    opened = Folder(folder / "d")
    url, close = serve_in_thread(opened, 0)
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))

    def get(path: str) -> str:
        with opener.open(url.split("/?")[0] + path) as answer:
            return " ".join(str(answer.read().decode()).split())

    opener.open(url).close()
    _wait_until(lambda: "A reminder" in get("/customer/c1") and ">0<" in get("/health"))
    _wait_until(lambda: get("/health").count("<td>0</td>") >= 5)
    yield get
    close()
    opened.close()


def _wait_until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end, "the read model did not come up to the log"


def test_why_not_says_what_stands_in_the_way_with_its_cause(page: Page) -> None:
    refused = page("/customer/c3")
    assert "no consent at the time: email was refused by consent_changed of 2026-01-05T10:01:00Z" in refused
    assert refused.index("Why not?") < refused.index("Identity")
    bought = page("/customer/c2")
    assert "ended by order_placed of 2026-01-05T10:20:00Z" in bought
    never = page("/customer/c9")
    assert "1 scenarios never began" in never and "begins with segment entered" in never


def test_who_waits_sees_what_is_scheduled_next(page: Page) -> None:
    waiting = page("/customer/c1")
    assert "still to come: the customer waits 2d until 2026-01-07T10:50:00Z" in waiting
    assert "reminder / urgency: <time>2026-01-07 10:50:00</time>" in waiting


def test_the_card_shows_behaviour_segments_cart_and_consent(page: Page) -> None:
    one = page("/customer/c1")
    assert 'href="/segments/with_cart">with_cart</a>' in one
    assert "Lamp, 20.00" in one
    assert "any channel, marketing: withdrawn, 2026-01-05 10:01:00" in page("/customer/c3")
    assert "20.00" in page("/customer/c2")


def test_the_timeline_has_events_decisions_and_messages_and_why_each_was_sent(page: Page) -> None:
    one = page("/customer/c1")
    assert "cart updated <span" in one
    assert "reminder / reminder: sent, because due" in one
    assert "<p>segment_entered at 2026-01-05T10:05:00Z</p>" in one


def test_an_unknown_customer_is_said_and_is_404(page: Page) -> None:
    with pytest.raises(urllib.error.HTTPError) as error:
        page("/customer/nobody")
    with error.value as answer:
        assert answer.code == 404


def test_segments_have_their_sizes_and_who_is_in(page: Page) -> None:
    assert '<a href="/segments/with_cart">with_cart</a></td><td>2</td><td>3</td><td>1</td>' in page("/segments")
    assert '<a href="/segments/bought">bought</a></td><td>1</td><td>1</td><td>0</td>' in page("/segments"), "watched"
    members = page("/segments/with_cart")
    assert 'href="/customer/c1"' in members and 'href="/customer/c2"' not in members


def test_a_funnels_numbers_lead_to_the_customers_behind_them(page: Page) -> None:
    assert 'href="/funnels/buying/2?days=30&amp;stopped=1">2</a>' in page("/funnels")
    stopped = page("/funnels/buying/2?stopped=1")
    assert "came no further than cart_updated" in stopped
    assert 'href="/customer/c1"' in stopped and 'href="/customer/c2"' not in stopped
    assert 'href="/customer/c2"' in page("/funnels/buying/3")
    assert "not said" in page("/funnels?by=device")
    with pytest.raises(urllib.error.HTTPError) as error:
        page("/funnels/buying/4")
    error.value.close()


def test_the_map_shows_notes_targets_leaks_and_what_nothing_names(page: Page) -> None:
    shown = page("/map")
    assert "Is it right?" in shown and "Objective: interest" in shown
    assert "100.0% <span" in shown and ">met<" in shown
    assert "page:help" in shown[shown.index("What no touchpoint names") :]
    assert ">short of it<" in shown[shown.index("Scenarios and their targets") :]
    assert '<option value="with_cart"' in shown


def test_the_map_of_a_segment_counts_its_members_alone(page: Page) -> None:
    assert "page:help" not in page("/map?segment=with_cart")


def test_a_scenario_shows_who_was_spared_its_versions_and_what_a_draft_would_change(page: Page) -> None:
    shown = page("/scenario/reminder")
    assert "Objective: bring the cart back" in shown
    assert "Buyers not nagged</dt><dd>1<" in shown
    assert "33.3% <span" in shown and "of 50.0% aimed at" in shown
    assert ">live</span></td><td>3</td><td>1</td>" in shown
    assert "of the folder plan" in shown and "It changes no message" not in shown
    inside = page("/scenario/reminder/inside?step=reminder")
    assert 'href="/customer/c1"' in inside and 'href="/customer/c2"' not in inside


def test_the_edges_of_a_scenario_are_counted(page: Page) -> None:
    shown = page("/scenario/reminder")
    graph = shown[shown.index("<svg") : shown.index("</svg>")]
    assert graph.count('text-anchor="end"') == 5


def test_health_shows_the_partition_its_sources_and_the_read_model(page: Page) -> None:
    shown = page("/health")
    assert "<td>journal/0</td>" in shown and "<td>decisions/0</td>" in shown
    assert "The ledger closes" in shown
    assert "2026-01-06 12:00:00" in shown


def test_every_word_of_the_pages_is_there_in_french(page: Page) -> None:
    for path in ("/map", "/funnels", "/segments", "/customer/c1", "/scenario/reminder", "/health"):
        shown = page(f"{path}?lang=fr")
        assert 'lang="fr"' in shown
        for word in ("Touchpoint", "Reached", "Segment, level", "Why not", "Versions</h2> None", "Read model"):
            assert word not in shown, (path, word)
    page("/map?lang=en")
