"""Which facts about an address stop which commands, and until when."""

from itertools import permutations

import pytest

from pipeline.scenario.sources import PlanSources
from pipeline.sending.links import Links
from pipeline.sending.outcome import Outcome
from pipeline.sending.suppressions import (
    SOFT_MAX,
    SOFT_WITHIN_MS,
    UNSUBSCRIBED_MS,
    Suppression,
    SuppressionTable,
    encode,
)
from tests.sending.build import HOUR, PLAN, T0, Bench, FakeProvider, command, mark

LINKS = Links(b"s" * 32)
DAY = 24 * HOUR
ADDRESS = LINKS.address_hash("email", "c1@shop.example")


def row(kind: str, at: int = T0, **more: str) -> Suppression:
    return Suppression(address=ADDRESS, kind=kind, at=at, **more)  # type: ignore[arg-type]


def table(*rows: Suppression) -> SuppressionTable:
    found = SuppressionTable(LINKS)
    for one in rows:
        found.put(one)
    return found


@pytest.mark.parametrize(
    ("kind", "marketing", "transactional"),
    [("bounced", "bounced", "bounced"), ("complained", "complained", None), ("stopped", "stopped", None),
     ("erased", "erased", None), ("unsubscribed", "unsubscribed", None)],
)  # fmt: skip
def test_what_a_fact_stops(kind: str, marketing: str | None, transactional: str | None) -> None:
    found = table(row(kind))
    assert found.reason(command(1)) == marketing
    assert found.reason(command(1, purpose="transactional")) == transactional
    assert found.reason(command(2)) is None


def test_an_unsubscription_stops_what_was_emitted_before_it_and_leaves_the_rest_to_the_engine() -> None:
    found = table(row("unsubscribed"))
    assert found.reason(command(1, at=T0 + UNSUBSCRIBED_MS)) == "unsubscribed"
    assert found.reason(command(1, at=T0 + UNSUBSCRIBED_MS + 1)) is None


def test_soft_bounces_stop_from_the_stated_number_on_each_counted_once_and_not_for_ever() -> None:
    rows = [row("soft", T0, event=str(n)) for n in range(SOFT_MAX)]
    assert table(*rows[1:], rows[1]).reason(command(1)) is None
    assert table(*rows).reason(command(1, purpose="transactional")) == "5 soft bounces"
    assert table(*rows).reason(command(1, at=T0 + SOFT_WITHIN_MS + HOUR)) is None


async def test_the_plan_says_how_many_soft_bounces_are_too_many() -> None:
    settings = "collector: {url: 'https://m.shop.example', soft_bounces: {count: 2, within: 1d}}"
    plan = PlanSources({**PLAN.files, "settings.yaml": settings})
    rows = table(row("soft", T0 - 2 * DAY, event="old"), row("soft", event="a"))
    bench = Bench(suppressions=rows, plan=plan)
    bench.log.put(command(1), mark())
    await bench.settle()
    assert bench.log.last(command(1)).state == "sent"
    rows.put(row("soft", event="b"))
    mine = command(4, address="c1@shop.example")
    bench.log.put(mine)
    await bench.settle()
    assert bench.log.last(mine).reason == "suppressed: 2 soft bounces"


def test_rows_give_the_same_in_any_order_and_are_lifted_one_by_one() -> None:
    rows = [row("complained"), row("unsubscribed"), row("soft", event="e")]
    for some in permutations(rows):
        found = table(*some)
        found.load(rows[0].key.encode(), None)
        assert found.reason(command(1)) == "unsubscribed"
        found.load(rows[1].key.encode(), None)
        assert found.reason(command(1)) is None
        found.lift(rows[2].key)
        assert len(found) == 0


def test_a_record_of_the_stream_holds_no_address() -> None:
    raw = encode(row("bounced"))
    assert b"shop.example" not in raw
    found = SuppressionTable(LINKS)
    found.load(row("bounced").key.encode(), raw)
    assert found.reason(command(1)) == "bounced"


async def test_a_suppressed_command_is_rejected_with_the_reason_and_nobody_is_called() -> None:
    bench = Bench(suppressions=table(row("unsubscribed")))
    bench.log.put(command(1), command(2), command(3, purpose="transactional", address="c1@shop.example"), mark())
    await bench.settle()
    assert bench.log.last(command(1)).state == "rejected"
    assert bench.log.last(command(1)).reason == "suppressed: unsubscribed"
    assert sorted(one.address or "" for one in bench.provider.calls) == ["c1@shop.example", "c2@shop.example"]


@pytest.mark.parametrize(
    ("refusal", "kind", "order"),
    [(Outcome("rejected", "no such mailbox", permanent=True), "bounced", "rejected"),
     (Outcome("rejected", "21610", permanent=True, stopped=True), "stopped", "sent")],
)  # fmt: skip
async def test_an_address_that_the_provider_refuses_for_good_gets_nothing_more(
    refusal: Outcome, kind: str, order: str
) -> None:
    found = table()
    bench = Bench(FakeProvider(refusal), suppressions=found)
    one, again = command(1), command(2, address="C1@shop.example")
    later = command(3, address="c1@shop.example", purpose="transactional")
    bench.log.put(one, mark())
    await bench.settle()
    bench.log.put(again, later)
    await bench.settle()
    assert bench.log.last(again).reason == f"suppressed: {kind}"
    assert bench.log.last(later).state == order
    assert [(fact.kind, fact.address, fact.at) for fact in bench.log.facts] == [(kind, ADDRESS, T0)]


async def test_a_refusal_that_may_pass_suppresses_nobody() -> None:
    found = table()
    bench = Bench(FakeProvider(Outcome("rejected", "too large")), suppressions=found)
    bench.log.put(command(1), mark())
    await bench.settle()
    assert (len(found), bench.log.facts) == (0, [])
