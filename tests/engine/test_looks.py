"""Conditions that time alone turns, and those that other scenarios turn: in exits, and in what is waited for."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.engine import api
from pipeline.engine.plan import Plan
from pipeline.errors import PlanError
from pipeline.scenario.compile import compile_plan
from pipeline.scenario.sources import PlanSources
from tests.engine.build import DAY, HOUR, MINUTE, T0, Life, event, order
from tests.engine.test_properties import flat

SETTINGS = """\
consent_default: granted
require_address: false
attributes: {mood: string}
scores: {lead: {half_life: 2d, events: {product_viewed: 8}}, kept: {}}
segments: {asleep: age(profile.last_seen) > duration("2d")}
"""
LONG = "[{wait: 30d}, {send: late, channel: webhook}]"


def plan_of(*scenarios: tuple[str, str, str, str]) -> Plan:
    """Each scenario: name, entry, exits, steps."""
    files = {"settings.yaml": SETTINGS}
    for name, enter, exits, steps in scenarios:
        files[f"{name}/scenario.yaml"] = (
            f"scenario: {name}\ntitle: x\npurpose: marketing\nenter: {enter}\nexit: {exits}\nsteps: {steps}\n"
        )
    return compile_plan(PlanSources(files))


def one(exits: str = "[]", steps: str = LONG, enter: str = "{on: page_viewed, again: always}") -> Plan:
    return plan_of(("one", enter, exits, steps))


def ends(life: Life) -> list[tuple[str, int]]:
    return [
        (one.outcome, one.at - T0)
        for out in life.out
        for one in out.decisions
        if one.outcome in {"exited", "completed"}
    ]


def test_an_exit_on_time_alone_ends_at_the_moment_when_it_turns() -> None:
    life = Life(one("[{when: 'age(profile.last_seen) > duration(\"5d\")'}]")).feed(event("page_viewed", T0))
    # Where both sides are equal, and the millisecond after, in which it turns.
    assert api.next_due(life.known) == T0 + 5 * DAY
    assert ends(life.until(T0 + 90 * DAY)) == [("exited", 5 * DAY + 1)]
    assert life.sends == [] and life.known.enrolments == ()


def test_an_event_moves_the_moment_on() -> None:
    under = one("[{when: 'age(profile.last_seen) > duration(\"5d\")'}]", enter="{on: order_placed}")
    life = Life(under).feed(order(T0), event("page_viewed", T0 + 3 * DAY))
    assert ends(life.until(T0 + 90 * DAY)) == [("exited", 8 * DAY + 1)]


def test_a_condition_on_the_entry_turns_by_time() -> None:
    life = Life(one("[{when: 'now - entry.at >= duration(\"12h\")'}]")).feed(event("page_viewed", T0))
    assert ends(life.until(T0 + DAY)) == [("exited", 12 * HOUR)]


@pytest.mark.parametrize(
    ("exits", "at"),
    [
        ("[{when: score('lead') < 4}]", None),
        ('[{when: \'count("page_viewed", "1d") == 0\'}]', DAY),
        ("[{when: segment('asleep')}]", 2 * DAY + 1),
        ("[{on: segment_entered, segment: asleep}]", 2 * DAY + 1),
        ("[{on: level_fell, of: activity, where: event.to == 'inactive'}]", None),
    ],
)
def test_scores_counts_and_segments_turn_exits_by_time(exits: str, at: int | None) -> None:
    life = Life(one(exits)).feed(event("product_viewed", T0 - HOUR), event("page_viewed", T0)).until(T0 + 90 * DAY)
    ((outcome, ended),) = ends(life)
    if "level" in exits:
        assert outcome == "completed"  # 60 days are longer than the wait
    elif at is None:
        # 8 points are under 4 after a half-life.
        assert outcome == "exited" and 2 * DAY - HOUR <= ended <= 2 * DAY + HOUR
    else:
        assert outcome == "exited" and at <= ended <= at + DAY // 60 + 1


def test_a_closing_enrolment_is_cancelled_when_time_turns_its_exit() -> None:
    under = one("[{when: 'now - entry.at >= duration(\"2h\")'}]", "[{send: hello, channel: webhook}]")
    life = Life(under).feed(event("page_viewed", T0)).until(T0 + 3 * HOUR)
    assert life.cancels == ['now - entry.at >= duration("2h")']


def test_what_is_waited_for_comes_by_time_alone_and_the_way_goes_on_from_there() -> None:
    steps = (
        "[{wait_for: [{on: order_placed, then: [{exit: bought}]}, {when: 'age(profile.last_seen) > duration(\"2d\")', "
        "then: [{send: asleep, channel: webhook}]}], at_most: 9d, otherwise: [{send: timeout, channel: webhook}]}, "
        "{wait: 1h}, {send: after, channel: webhook}]"
    )
    life = Life(one(steps=steps)).feed(event("page_viewed", T0), event("contact_made", T0 + DAY)).until(T0 + 90 * DAY)
    asleep = T0 + 3 * DAY + 1
    assert life.sends == [("asleep", asleep), ("after", asleep + HOUR)]


def test_without_a_time_out_a_wait_for_a_time_ends_too() -> None:
    steps = "[{wait_for: [{when: now > entry.at + duration('3d')}]}, {send: hello, channel: webhook}]"
    life = Life(one(steps=steps)).feed(event("page_viewed", T0)).until(T0 + 9 * DAY)
    assert life.sends == [("hello", T0 + 3 * DAY + 1)]


def test_an_exit_wins_over_what_is_waited_for_at_the_same_moment() -> None:
    steps = "[{wait_for: [{when: now >= entry.at + duration('3d')}]}, {send: hello, channel: webhook}]"
    life = Life(one("[{when: now >= entry.at + duration('3d')}]", steps)).feed(event("page_viewed", T0))
    assert ends(life.until(T0 + 9 * DAY)) == [("exited", 3 * DAY)] and life.sends == []


@pytest.mark.parametrize("text", ["cart.items.exists(i, now > entry.at)", "(now - entry.at) / duration('1d') > 3"])
def test_a_condition_of_which_nobody_knows_when_it_turns_is_refused(text: str) -> None:
    for exits, steps in ((f'[{{when: "{text}"}}]', LONG), ("[]", f'[{{wait_for: [{{when: "{text}"}}]}}]')):
        with pytest.raises(PlanError, match="nobody can say when"):
            one(exits, steps)


def test_an_exit_on_being_inside_another_scenario_acts_when_that_one_is_entered() -> None:
    under = plan_of(
        ("one", "{on: page_viewed}", "[{when: inside('other')}]", LONG),
        ("other", "{on: cart_changed}", "[]", "[{wait: 1d}]"),
    )
    life = Life(under).feed(event("page_viewed", T0), event("cart_updated", T0 + HOUR, items=[{"product_id": "p"}]))
    assert ends(life) == [("exited", HOUR)]


def test_who_waits_for_the_end_of_another_scenario_goes_on_when_its_last_step_is_done() -> None:
    under = plan_of(
        ("one", "{on: page_viewed}", "[]", "[{wait_for: [{when: '!inside(\"other\")'}]}, {send: a, channel: webhook}]"),
        ("other", "{on: page_viewed}", "[]", "[{wait: 2d}]"),
    )
    life = Life(under).feed(event("page_viewed", T0)).until(T0 + 9 * DAY)
    assert life.sends == [("a", T0 + 2 * DAY)]


@pytest.mark.parametrize(
    ("exits", "step"),
    [
        ('[{when: \'default(customer.mood, "") == "low"\'}]', "{set: {mood: '\"low\"'}}"),
        ("[{when: score('kept') >= 5}]", "{score: {kept: 5}}"),
        ('[{when: \'count_sent("other/hi", "9d") >= 1\'}]', "{send: hi, channel: webhook}"),
    ],
)
def test_an_exit_on_what_another_scenario_does_acts_when_it_does_it(exits: str, step: str) -> None:
    under = plan_of(
        ("one", "{on: page_viewed}", exits, LONG), ("other", "{on: page_viewed}", "[]", f"[{{wait: 2d}}, {step}]")
    )
    life = Life(under).feed(event("page_viewed", T0)).until(T0 + 9 * DAY)
    assert [
        (one.at - T0) for out in life.out for one in out.decisions if (one.scenario, one.outcome) == ("one", "exited")
    ] == [2 * DAY]


TIMED = one(
    "[{when: 'age(profile.last_seen) > duration(\"30h\") && size(cart.items) == 0'}, {when: score('lead') > 20}]",
    "[{wait: 6h, restart_on: page_viewed}, {wait_for: [{when: score('lead') < 6, then: [{send: cold, channel: webhook}]}, "
    "{on: order_placed}], at_most: 3d, otherwise: [{send: out, channel: webhook}]}, {wait: 2d}, {send: end, channel: webhook}]",
)
ROWS = st.tuples(st.sampled_from(["page_viewed", "product_viewed", "cart", "order_placed"]), st.integers(0, 200))


def made(kind: str, hours: int, number: int) -> Any:
    at = T0 + hours * HOUR + number * MINUTE
    if kind == "cart":
        return event("cart_updated", at, items=[{"product_id": "p"}] * (number % 2), salt=str(number))
    return event(kind, at, order_id=f"o{number}", items=[], salt=str(number))


@settings(max_examples=100, deadline=None)
@given(st.lists(ROWS, max_size=12), st.lists(st.integers(0, 300), max_size=20))
def test_looks_fire_the_same_however_the_watermark_moves(rows: list[tuple[str, int]], moves: list[int]) -> None:
    events = [made(kind, hours, number) for number, (kind, hours) in enumerate(sorted(rows, key=lambda row: row[1]))]
    events.sort(key=lambda each: each.at)
    plain, sliced = Life(TIMED), Life(TIMED)
    for each in events:
        for hours in sorted(moves):
            if sliced.watermark < T0 + hours * HOUR <= each.at:
                sliced.until(T0 + hours * HOUR)
        plain.feed(each)
        sliced.feed(each)
    assert flat(plain.until(T0 + 90 * DAY).out) == flat(sliced.until(T0 + 90 * DAY).out)
    assert plain.customer == sliced.customer
    if plain.customer is not None:
        assert plain.customer.enrolments == ()
