"""The field's rules for retention, reactivation and re-engagement, each on its own, over the shipped plan."""

from datetime import UTC, datetime
from itertools import accumulate, islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from models.event import Event
from models.event_types import OWN_ACTS
from pipeline.engine.plan import Plan
from pipeline.scenario.compile import compile_plan
from pipeline.scenario.shipped_levels import POINTS
from pipeline.scenario.sources import PlanSources, read_sources
from pipeline.scenario.testing import alone
from tests.engine.build import DAY, HOUR, MINUTE, Life, event, order
from tests.reference.cdnow_fold import left

SOURCES = read_sources(Path(__file__).parents[2] / "scenarios")
PLAN = compile_plan(SOURCES)
START = round(datetime(2026, 1, 5, 10, tzinfo=UTC).timestamp() * 1000)
MISSED = ("store_and_help", "special_offer")
# A probe: marketing at a parcel's leaving, which is the store's doing and no sign of the customer.
PROBE = """\
scenario: probe
title: Probe
purpose: marketing
enter: {on: order_shipped, again: always}
steps: [{send: probe, channel: webhook}]
"""


def person(at: int = START - 1) -> Event:
    consent = {"for_channel": "*", "purpose": "marketing", "given": True}
    return event("customer_updated", at, email="customer@customers.example", consents=[consent])


def shipped(at: int) -> Event:
    return event("order_shipped", at, order_id="o1")


def plan_with_probe(**settings_said: tuple[str, str]) -> Plan:
    files = {**SOURCES.files, "probe/scenario.yaml": PROBE}
    for old, new in settings_said.values():
        assert old in files["settings.yaml"]
        files["settings.yaml"] = files["settings.yaml"].replace(old, new)
    return compile_plan(PlanSources(files))


def decided(life: Life, scenario: str) -> list[tuple[str, str, int]]:
    found = [one for out in life.out for one in out.decisions]
    return [(one.outcome, one.reason, one.at) for one in found if one.scenario == scenario]


def sends(life: Life, scenario: str) -> list[tuple[str, int]]:
    return [(one.step, one.due_at) for one in life.commands if one.scenario == scenario]


# Retention: exactly when the engagement level falls.
STEP_MS = 30 * DAY // 64
SCALE = (40_000, 10_000, 0)  # hot, warm, cold, in thousandths of a point
acts = st.sampled_from(("page_viewed", "product_viewed", "order_placed", "message_clicked", "message_opened"))
minutes = st.integers(0, 150 * 24 * 60)
histories = st.lists(st.tuples(minutes, acts), min_size=1, max_size=25, unique_by=lambda one: one[0])


def rank(value: int) -> int:
    return next(rank for rank, least in enumerate(SCALE) if value >= least)


def falls_of(history: list[Event], end: int) -> list[int]:
    """Every moment before the end at which the level falls, told naively: looked at again at every step of the decay."""
    found: list[int] = []
    value, since = 0, history[0].at
    for one, until in zip([*history, None], [*(one.at for one in history), end], strict=True):
        was = rank(value)
        for step in range(since // STEP_MS + 1, -(-until // STEP_MS)):
            now = rank(left(value, step - since // STEP_MS))
            if now > was:
                found.append(step * STEP_MS)
            was = now
        if one is not None:
            value = left(value, one.at // STEP_MS - since // STEP_MS) + 1000 * POINTS.get(one.type, 0)
            since = one.at
    return found


@settings(max_examples=60)
@given(histories)
def test_retention_begins_exactly_when_the_engagement_level_falls(history: list[tuple[int, str]]) -> None:
    events = [_act(kind, START + minute * MINUTE) for minute, kind in sorted(history)]
    end = events[-1].at + 130 * DAY
    life = Life(alone(PLAN, ["retention"])).feed(person(), *events).until(end)
    falls = falls_of([person(), *events], end)
    said = decided(life, "retention")
    began = [at for outcome, _, at in said if outcome == "entered"]
    # A second fall while inside, or within 30 days, is told and begins nothing; the inactive are for reactivation.
    refused = [at for outcome, reason, at in said if outcome == "not_entered" and reason in {"inside", "again"}]
    seen = [one.at for one in events if one.type in OWN_ACTS] + [START - 1]
    active = [at for at in falls if at - max(act for act in seen if act <= at) <= 60 * DAY]
    assert sorted(began + refused) == active
    assert [step for step, _ in life.sends[:1]] in ([], ["content"])


def _act(kind: str, at: int) -> Event:
    return order(at, f"o{at}") if kind == "order_placed" else event(kind, at, command_id=f"m{at}")


def test_retention_needs_no_event_only_time() -> None:
    life = Life(alone(PLAN, ["retention"])).feed(person(), order(START))
    before = life.until(START + 30 * DAY).commands
    assert before == []
    [content, offer] = life.until(START + 45 * DAY).commands
    assert (content.step, offer.step) == ("content", "offer")
    assert content.reason.source_topic == "clock"
    assert offer.due_at - content.due_at == 7 * DAY


# Reactivation: a reactivated customer gets no "it has been a while".
gaps = st.lists(st.tuples(st.integers(1, 100 * 24 * 60), st.sampled_from(sorted(OWN_ACTS))), max_size=12)


@settings(max_examples=60)
@given(gaps)
def test_nobody_who_was_seen_within_sixty_days_is_told_that_it_has_been_a_while(said: list[tuple[int, str]]) -> None:
    ats = accumulate((gap * MINUTE for gap, _ in said), initial=START)
    events = [
        sign(kind, at, number) for number, ((_, kind), at) in enumerate(zip(said, islice(ats, 1, None), strict=True))
    ]
    end = START + sum(gap for gap, _ in said) * MINUTE + 100 * DAY
    life = Life(alone(PLAN, ["reactivation"])).feed(person(), order(START), *events).until(end)
    seen = [START, *(one.at for one in events)]
    for step, at in sends(life, "reactivation"):
        assert at - max(act for act in seen if act < at) > 60 * DAY, step
    assert len(sends(life, "reactivation")) >= 2


def test_who_comes_back_in_the_hour_before_gets_neither_message() -> None:
    first = sends(Life(PLAN).feed(person(), order(START)).until(START + 80 * DAY), "reactivation")
    assert [step for step, _ in first] == list(MISSED)
    for number, (_, due) in enumerate(first):
        life = Life(PLAN).feed(person(), order(START), event("page_viewed", due - MINUTE)).until(START + 90 * DAY)
        assert sends(life, "reactivation") == first[:number]
        at_the_minute = Life(PLAN).feed(person(), order(START), event("page_viewed", due)).until(START + 90 * DAY)
        assert sends(at_the_minute, "reactivation") == first[:number]


def given_up(plan: Plan) -> tuple[Life, int]:
    life = Life(plan).feed(person(), order(START)).until(START + 100 * DAY)
    [done] = [at for outcome, _, at in decided(life, "reactivation") if outcome == "completed"]
    return life, done


def test_after_the_last_offer_there_is_silence_until_a_sign_of_life() -> None:
    life, done = given_up(plan_with_probe())
    [offer] = [at for step, at in sends(life, "reactivation") if step == "special_offer"]
    assert done == offer + 14 * DAY
    # A year and a half without a sign: the customer is lost by now, and even so nothing goes out.
    quiet = life.until(START + 365 * DAY).feed(shipped(START + 366 * DAY)).until(START + 500 * DAY)
    assert [one.due_at for one in quiet.commands if one.due_at > done] == []
    assert ("suppressed", "silence", START + 366 * DAY) in decided(quiet, "probe")
    back = START + 501 * DAY
    life.feed(event("page_viewed", back), shipped(back + HOUR))
    assert ("probe", back + HOUR) in sends(life, "probe")


def test_before_the_last_offer_is_over_there_is_no_silence() -> None:
    life, done = given_up(plan_with_probe())
    early = Life(life.plan).feed(person(), order(START), shipped(done - 1)).until(done + DAY)
    assert sends(early, "probe") == [("probe", done - 1)]


def test_silence_is_for_marketing_alone() -> None:
    life, done = given_up(plan_with_probe())
    life.feed(event("payment_due", done + DAY, payment_id="p1", due_on=done + 30 * DAY)).until(done + 40 * DAY)
    assert [step for step, _ in sends(life, "payment-reminder")] == ["upcoming", "due_today"]


def test_a_full_week_puts_the_store_and_its_help_off_until_there_is_room() -> None:
    cap = "at_most: 5, per: 7d, keep_free_for: {priority: 70, count: 3}"
    tight = plan_with_probe(cap=(cap, "at_most: 1, per: 7d"))
    # Content of retention an hour before the customer is inactive: it takes the week's one place.
    life = Life(tight).feed(person(), order(START), order(START + 2 * DAY, "o2")).until(START + 90 * DAY)
    [(_, content)] = sends(life, "retention")
    assert ("waiting", "capped") in [one[:2] for one in decided(life, "reactivation")]
    assert sends(life, "reactivation")[0] == ("store_and_help", content + 7 * DAY)


# Re-engagement: any sign of life ends it.
DATA: dict[str, dict[str, Any]] = {
    "wishlist_changed": {"items": [{"product_id": "p1"}]},
    "cart_updated": {"items": [{"product_id": "p1", "price": 2000, "quantity": 1}]},
    "cart_item_added": {"product_id": "p1", "price": 2000, "quantity": 1},
    "cart_item_removed": {"product_id": "p1"},
    "order_placed": {"items": [{"product_id": "p1", "price": 2000}]},
    "review_posted": {"rating": 4},
    "consent_changed": {"for_channel": "sms", "given": True},
    "message_opened": {},
}
NO_SIGN = ("message_sent", "message_delivered", "order_shipped", "order_delivered", "payment_due")


def sign(kind: str, at: int, number: int = 0) -> Event:
    data = {"order_id": f"o{number}-{at}", **DATA.get(kind, {})} if kind.startswith("order_") else DATA.get(kind, {})
    return replace(event(kind, at, salt=str(number)), data=data)


def quiet_prospect(*more: Event) -> Life:
    """A visit, then a month of nothing: the advantage is out on day 31, the promotion would follow on day 41."""
    return (
        Life(alone(PLAN, ["re-engagement"])).feed(person(), event("page_viewed", START), *more).until(START + 60 * DAY)
    )


def test_without_a_sign_of_life_the_promotion_follows_the_advantage() -> None:
    assert [step for step, _ in sends(quiet_prospect(), "re-engagement")] == ["advantage", "promotion"]


@pytest.mark.parametrize("kind", sorted({*OWN_ACTS, "message_opened"}))
def test_any_sign_of_life_ends_re_engagement(kind: str) -> None:
    life = quiet_prospect(sign(kind, START + 35 * DAY))
    assert [step for step, _ in sends(life, "re-engagement")] == ["advantage"]
    assert [at for outcome, _, at in decided(life, "re-engagement") if outcome == "exited"] == [START + 35 * DAY]


@pytest.mark.parametrize("kind", NO_SIGN)
def test_what_the_store_does_is_no_sign_of_life(kind: str) -> None:
    life = quiet_prospect(sign(kind, START + 35 * DAY))
    assert [step for step, _ in sends(life, "re-engagement")] == ["advantage", "promotion"]


def test_a_machine_that_opens_or_clicks_is_no_sign_of_life() -> None:
    machines = [
        replace(event(kind, START + 35 * DAY), data={"machine": True}) for kind in ("message_opened", "message_clicked")
    ]
    assert [step for step, _ in sends(quiet_prospect(*machines), "re-engagement")] == ["advantage", "promotion"]
