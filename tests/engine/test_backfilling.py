"""What a backfill brings is taken in once, looks back at what was seen live, and sends nothing that was due before."""

from typing import Any

import pytest
from msgspec.structs import replace

from models.customer import Enrolment
from models.event import Event
from models.identity import BACKFILLED
from pipeline.engine.plan import Alternative, ExitRule, Goal, Plan, Scenario, Wait, WaitFor
from pipeline.replay.backfill import event_of
from tests.engine.build import DAY, HOUR, T0, Life, abandoned, cart, event, order, plan, scenario, send, view

A = T0 + 30 * HOUR
LATER = A + HOUR


def worked_out(under: Plan, *events: Event, until: int = A) -> Life:
    """A customer over whom history was replayed, as `backfill` does: sends are passed over as before the activation."""
    life = Life(replace_activated(under))
    life.feed(*events).until(until)
    return life


def replace_activated(under: Plan) -> Plan:
    return plan(*under.scenarios, settings=under.settings, activated={one.name: 2**60 for one in under.scenarios})


def brought(life: Life, at: int = LATER, **changes: Any) -> Event:
    """The event that brings the one who is inside, dated as the host dates it."""
    [inside] = life.open
    found = event_of(life.known, replace(inside, **changes))
    return replace(found, occurred_at=at, arrived_at=at)


def lived(under: Plan, *events: Event) -> Life:
    """The same customer under a plan that had no such scenario until A, and has it since."""
    before = Life(plan(scenario(name="other", on="wishlist_changed")))
    early = [one for one in events if one.arrived_at < A]
    before.feed(*early).until(A)
    life = Life(under)
    life.customer = replace(before.known, activated=under.pass_name)
    return life.feed(*[one for one in events if one.arrived_at >= A])


def test_it_goes_on_from_where_history_left_it_and_sends_nothing_that_was_due_before() -> None:
    under = plan(abandoned())
    history = (cart(T0, "p1"),)
    life = lived(under, *history)
    # The first and the second were due 45 minutes and a day after; the third is due after two days more.
    life.feed(brought(worked_out(under, *history))).until(T0 + 9 * DAY)
    assert life.sends == [("third", T0 + HOUR * 3 // 4 + 23 * HOUR + 2 * DAY)]
    assert ("entered", "backfill") in life.reasons


def test_what_is_due_between_its_working_out_and_now_is_passed_over_too() -> None:
    under = plan(abandoned())
    history = (cart(A - 30 * 60_000, "p1"),)
    life = lived(under, *history)
    life.feed(brought(worked_out(under, *history), at=LATER)).until(LATER + 2 * HOUR)
    assert life.sends == []
    assert ("suppressed", "before_backfill") in life.reasons
    life.until(A + 9 * DAY)
    assert [step for step, _ in life.sends] == ["urgency", "third"]


def test_twice_it_enters_once_also_after_it_has_ended() -> None:
    under = plan(abandoned())
    history = (cart(T0, "p1"),)
    event_ = brought(worked_out(under, *history))
    life = lived(under, *history).feed(event_, event_)
    assert life.reasons.count(("entered", "backfill")) == 1
    life.feed(*(view(LATER + number) for number in range(40)))  # more than the duplicate check remembers
    life.feed(replace(event_, occurred_at=LATER + HOUR, arrived_at=LATER + HOUR))
    assert life.reasons[-1] == ("not_entered", "inside")
    life.feed(order(LATER + 2 * HOUR), *(view(LATER + 3 * HOUR + number) for number in range(40)))
    life.feed(replace(event_, occurred_at=LATER + 4 * HOUR, arrived_at=LATER + 4 * HOUR))
    assert life.reasons.count(("entered", "backfill")) == 1


def test_an_exit_that_was_seen_live_since_then_overtakes_it() -> None:
    under = plan(abandoned())
    history = (cart(T0, "p1"), order(A + 60_000))
    life = lived(under, *history).feed(brought(worked_out(under, history[0])))
    assert life.open == []
    assert life.reasons[-1][0] == "not_entered"


def test_whoever_entered_live_meanwhile_stays_as_they_are() -> None:
    under = plan(abandoned())
    history = (cart(T0, "p1"), cart(A + 60_000, "p2"))
    life = lived(under, *history).feed(brought(worked_out(under, history[0])))
    assert [one.entry.at for one in life.open] == [A + 60_000]
    assert life.reasons[-1] == ("not_entered", "inside")


def waiting_for(**changes: Any) -> Scenario:
    return scenario(
        WaitFor((Alternative(1, on="wishlist_changed"),), otherwise=2, at_most_ms=3 * DAY),
        send("thanks", 3),
        send("please", 3),
        event_fields=(("wishlist_changed", ()),),
        **changes,
    )


def test_what_it_waited_for_and_was_seen_live_since_lets_it_go_on() -> None:
    under = plan(waiting_for())
    history = (view(T0), event("wishlist_changed", A + 60_000))
    life = lived(under, *history).feed(brought(worked_out(under, history[0]), at=A + 30_000))
    assert life.sends == [("thanks", A + 60_000)]


def test_a_restart_that_was_seen_live_since_moves_its_wait_and_one_before_is_kept() -> None:
    under = plan(
        scenario(
            Wait(2 * DAY, 1, restart_on="wishlist_changed"), send("one", 2), event_fields=(("wishlist_changed", ()),)
        )
    )
    first, second = event("wishlist_changed", T0 + DAY), event("wishlist_changed", A + 60_000, salt="2")
    life = lived(under, view(T0), first).feed(brought(worked_out(under, view(T0), first)))
    assert [one.waiting and one.waiting.due for one in life.open] == [T0 + 3 * DAY]
    life = lived(under, view(T0), first, second).feed(brought(worked_out(under, view(T0), first)))
    assert [one.waiting and one.waiting.due for one in life.open] == [A + 60_000 + 2 * DAY]


def test_a_goal_that_was_reached_live_meanwhile_counts() -> None:
    goal = Goal("order_placed", 5 * DAY)
    under = plan(waiting_for(goal=goal))
    under = plan(replace_events(under.scenarios[0]))
    life = lived(under, view(T0), order(A + 60_000)).feed(brought(worked_out(under, view(T0))))
    assert [one.goal_at for one in life.open] == [A + 60_000]


def replace_events(one: Scenario) -> Scenario:
    from dataclasses import replace as changed

    return changed(one, event_fields=(*one.event_fields, ("order_placed", ())))


def test_somebody_who_was_forgotten_since_stays_forgotten() -> None:
    under = plan(abandoned())
    event_ = brought(worked_out(under, cart(T0, "p1")))
    nobody = Life(under).feed(event_)
    assert nobody.customer is None
    assert nobody.reasons == [("not_entered", "unknown")]
    anew = lived(under, cart(T0, "p1"))
    anew.feed(event("erasure_requested", A + 1), view(A + 2), event_)
    assert anew.known.enrolments == ()
    assert anew.reasons[-1] == ("not_entered", "unknown")


@pytest.mark.parametrize(
    ("changes", "under", "wanted"),
    [
        ({"version": "0"}, plan(abandoned()), "version_changed"),
        ({}, plan(scenario(name="other")), "version_changed"),
        ({}, plan(abandoned(), switches={"abandoned-cart": "stopped"}), "stopped"),
        (
            {},
            plan(
                abandoned(
                    exits=(ExitRule(on="page_viewed", reason="page_viewed"),), event_fields=(("page_viewed", ()),)
                )
            ),
            "overtaken",
        ),
    ],
)
def test_where_it_may_not_enter_it_says_why(changes: dict[str, Any], under: Plan, wanted: str) -> None:
    event_ = brought(worked_out(plan(abandoned()), cart(T0, "p1")), **changes)
    life = lived(under, cart(T0, "p1"), view(A + 60_000)).feed(event_)
    assert life.reasons[-1] == ("not_entered", wanted)
    assert not any(one.entry.at == T0 for one in life.open)


def test_an_alias_hands_it_on_to_nobody() -> None:
    under = plan(abandoned())
    event_ = replace(brought(worked_out(under, cart(T0, "p1"))), customer="anon:1")
    life = Life(under).feed(
        event("cart_updated", T0, "anon:1", items=[]), event("identity_linked", T0 + 1, "anon:1", known_id="c1"), event_
    )
    assert [kept.type for out in life.out for kept in out.forwards] == ["identity_merged"]
    assert life.reasons[-1] == ("dropped", "forwarded_once")


def test_no_source_may_send_one() -> None:
    from pipeline.intake.native import Fault, Validator

    with pytest.raises(Fault):
        Validator("EUR").convert({"type": BACKFILLED, "customer": "c1", "occurred_at": T0, "enrolment": {}})


def test_an_enrolment_that_no_backfill_brought_is_stored_as_before() -> None:
    import msgspec

    assert b"live_from" not in msgspec.json.encode(Life(plan(abandoned())).feed(cart(T0, "p1")).open[0])
    assert Enrolment.__struct_defaults__[-1] == 0
