"""Looks at segments, levels and scores that are spared: the same decisions and states as with none spared."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.event import Event
from pipeline.engine.plan import Plan
from pipeline.engine.rules import Moved
from pipeline.engine.scores import decayed, steps_below
from pipeline.scenario.compile import compile_plan
from pipeline.scenario.sources import PlanSources
from tests.engine.build import DAY, HOUR, T0, Life, cart, event, order

SETTINGS = """\
consent_default: granted
require_address: false
attributes: {gave_up_at: time}
scores:
  lead: {half_life: 2d, events: {product_viewed: 2, cart_changed: 5, page_viewed: 1, order_cancelled: -8}}
  kept: {events: {product_viewed: 1, message_clicked: 3}}
segments:
  asleep: profile.orders == 0 && age(profile.last_seen) > duration("3d")
  keen: count("product_viewed", "2d") >= 3
  cream: count("product_viewed", "5d", event.category == "cream") > 1 || score("kept") == 4
  mixed: level("heat") == "hot" && cart.total > 30
  over: segment("keen") || segment("asleep")
  odd: score("lead") * 2 > score("kept")
  fresh: default(age(profile.last_order_at), duration("9d")) < duration("1d")
levels:
  heat: [hot: score("lead") >= 8, warm: score("lead") >= 3 && age(profile.last_seen) <= duration("4d"), cold: true]
"""
ON = {
    "asleep": "{on: segment_entered, segment: asleep, again: always}",
    "left": "{on: segment_left, segment: keen, again: always}",
    "cream": "{on: segment_entered, segment: cream, again: always}",
    "mixed": "{on: segment_entered, segment: mixed, again: always}",
    "over": "{on: segment_left, segment: over, again: always}",
    "odd": "{on: segment_entered, segment: odd, again: always}",
    "fresh": "{on: segment_left, segment: fresh, again: always}",
    "fell": "{on: level_fell, of: heat, again: always}",
    "rose": "{on: level_rose, of: heat, again: always}",
    "reached": "{on: score_reached, score: lead, at_least: 6, again: always}",
    "active": "{on: level_fell, of: activity, again: always}",
    "engaged": "{on: level_fell, of: engagement, again: always}",
}


def everything() -> Plan:
    files = {"settings.yaml": SETTINGS}
    for name, enter in ON.items():
        files[f"{name}/scenario.yaml"] = (
            f"scenario: {name}\ntitle: x\npurpose: marketing\nenter: {enter}\n"
            "steps: [{send: hello, channel: webhook}, {wait: 1d}]\n"
        )
    return compile_plan(PlanSources(files))


def with_nothing_spared(plan: Plan) -> Plan:
    def whole(moved: Moved) -> Moved:
        return replace(moved, always=2 ** len(moved.rules) - 1, scores=(), counts=(), ages=())

    rules = plan.rules
    return replace(
        plan,
        rules=replace(
            rules,
            moved={kind: whole(one) for kind, one in rules.moved.items()},
            with_cart={kind: whole(one) for kind, one in rules.with_cart.items()},
            by_any=whole(rules.by_any),
        ),
    )


PLAN = everything()
WHOLE = with_nothing_spared(PLAN)
KINDS = ("view", "view", "view", "page", "cart", "order", "click", "machine", "cancelled", "person", "time")
ROWS = st.tuples(st.sampled_from(KINDS), st.sampled_from([0, 1, HOUR // 2, 5 * HOUR, DAY, 3 * DAY]), st.booleans())
encode = msgspec.msgpack.Encoder(order="deterministic").encode


def made(kind: str, at: int, number: int, late: bool) -> Event:
    more: dict[str, Any] = {"salt": str(number), "arrived": at + (40 * 60_000 if late else 0)}
    at -= 20 * HOUR if late and kind == "view" else 0
    match kind:
        case "view":
            return event(
                "product_viewed", at, product_id=f"p{number % 3}", category=("cream", "soap")[number % 2], **more
            )
        case "page":
            return event("page_viewed", at, **more)
        case "cart":
            return cart(at, f"p{number}", price=1000 * (1 + number % 5), salt=str(number))
        case "order":
            return order(at, f"o{number}")
        case "click" | "machine":
            return event("message_clicked", at, machine=kind == "machine", command_id="x", **more)
        case "cancelled":
            return event("order_cancelled", at, order_id="o1", **more)
        case _:
            return event("customer_updated", at, first_name=f"n{number}", **more)


@settings(max_examples=150, deadline=None)
@given(st.lists(ROWS, max_size=40))
def test_a_look_that_is_spared_would_have_found_nothing(rows: list[tuple[str, int, bool]]) -> None:
    spared, whole = Life(PLAN), Life(WHOLE)
    at = T0
    for number, (kind, later, late) in enumerate(rows):
        at += later
        for life in (spared, whole):
            if kind == "time":
                life.until(at)
            else:
                life.feed(made(kind, at, number, late), watermark=max(life.watermark, at - HOUR))
        assert encode(spared.customer) == encode(whole.customer)
    for life in (spared, whole):
        life.until(at + 400 * DAY)
    assert encode([one.decisions for one in spared.out]) == encode([one.decisions for one in whole.out])
    assert encode(spared.customer) == encode(whole.customer)


def test_looks_are_spared_and_those_of_what_is_not_compared_with_a_constant_are_not() -> None:
    view = PLAN.rules.moved["product_viewed"]

    def named(rules: int) -> list[str]:
        return [rule.name for index, rule in enumerate(view.rules) if rules >> index & 1]

    assert named(view.always) == ["odd"]
    assert {rule.name: (bounds, named(rules)) for rule, bounds, rules in view.scores} == {
        "engagement": ((10_000, 40_000), ["engagement"]),
        "kept": ((4_000, 5_000), ["cream", "odd"]),
        "lead": ((3_000, 6_000, 8_000), ["heat", "mixed", "odd", "lead>=6"]),
    }
    assert [(name, least) for name, least, _ in view.ages] == [("last_seen", 3 * DAY)]
    assert sorted((bounds, named(rules)) for _, bounds, rules in view.counts) == [
        ((2,), ["cream"]), ((3,), ["keen", "over"]),
    ]  # fmt: skip


@pytest.mark.parametrize("limit", [1, 2, 3, 999, 1000, 50_000])
@pytest.mark.parametrize("times", [1, 2, 3, 7, 8, 100])
def test_the_step_at_which_a_score_falls_below_a_limit_is_the_first(limit: int, times: int) -> None:
    for value in (limit * times, limit * times + limit // 2, limit * times + 1):
        steps = steps_below(value, limit)
        assert decayed(value, steps) < limit <= decayed(value, steps - 1)
