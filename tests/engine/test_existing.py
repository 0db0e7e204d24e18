"""Who is in a segment, level or score already when a scenario comes: `existing: no | yes | spread`."""

from typing import Any

import pytest

from pipeline.engine import api
from pipeline.engine.plan import Plan
from pipeline.scenario.compile import compile_plan
from pipeline.scenario.sources import PlanSources
from tests.engine.build import DAY, HOUR, T0, Life, event, order

SETTINGS = """\
consent_default: granted
require_address: false
scores: {lead: {events: {product_viewed: 5}}}
segments: {buyers: profile.orders > 0}
"""


def plan_of(*scenarios: tuple[str, str], known: dict[str, tuple[str, ...]] | None = None, **more: Any) -> Plan:
    files = {"settings.yaml": SETTINGS}
    for name, enter in scenarios:
        files[f"{name}/scenario.yaml"] = (
            f"scenario: {name}\ntitle: x\npurpose: marketing\nenter: {enter}\nsteps: [{{send: hello, channel: webhook}}]\n"
        )
    found = compile_plan(PlanSources(files), **more)
    found.known.update(known or {})
    return found


FIRST = plan_of(("old", "{on: checkout_started}"))
WAYS = {
    "segment": "{on: segment_entered, segment: buyers, existing: EXISTING}",
    "left": "{on: segment_left, segment: buyers, existing: EXISTING}",
    "level": '{on: level_fell, of: buyer, when: event.to == "new", existing: EXISTING}',
    "score": "{on: score_reached, score: lead, at_least: 10, existing: EXISTING}",
}


def second(way: str, existing: str) -> Plan:
    return plan_of(("new", WAYS[way].replace("EXISTING", existing)), known={FIRST.hash: ("old",)})


def known(*names: str) -> Life:
    """A customer of the first plan: a buyer, or nobody yet."""
    life = Life(FIRST).feed(event("page_viewed", T0))
    return life.feed(order(T0 + 1)) if "buyer" in names else life


def passed(life: Life, under: Plan) -> Life:
    """Do the pass of a plan that is activated a second after the customer's last event."""
    life.plan = under
    at = life.known.now + 1_000
    life._keep(api.activate(life.known, under, at, at))
    return life


def sent(life: Life) -> list[int]:
    return [command.due_at for command in life.commands]


@pytest.mark.parametrize(("way", "who"), [("segment", ["buyer"]), ("left", []), ("level", ["buyer"])])
def test_yes_lets_those_in_who_are_in_it_and_no_lets_nobody(way: str, who: list[str]) -> None:
    for existing, number in (("no", 0), ("yes", 1)):
        life = known(*who)
        assert len(passed(life, second(way, existing)).until(T0 + DAY).commands) == number
        other = known(*([] if who else ["buyer"]))
        assert passed(other, second(way, existing)).until(T0 + DAY).commands == []


def test_spread_lets_each_in_at_a_moment_of_their_own_within_seven_days() -> None:
    moments = []
    for number in range(20):
        life = Life(FIRST).feed(order(T0, customer=f"c{number}"))
        moments += sent(passed(life, second("segment", "spread")).until(T0 + 9 * DAY))
    assert len(moments) == 20 and len(dict.fromkeys(moments)) > 15
    assert T0 <= min(moments) and max(moments) <= T0 + 7 * DAY + HOUR
    assert max(moments) - min(moments) > 3 * DAY


def test_who_is_in_it_no_more_when_their_moment_comes_does_not_enter() -> None:
    settings = SETTINGS.replace("profile.orders > 0", "size(cart.items) > 0")
    files = {
        "settings.yaml": settings,
        "new/scenario.yaml": "scenario: new\ntitle: x\npurpose: marketing\n"
        "enter: {on: segment_entered, segment: buyers, existing: spread}\nsteps: [{send: hello, channel: webhook}]\n",
    }
    after = compile_plan(PlanSources(files))
    after.known[FIRST.hash] = ("old",)
    life = Life(FIRST).feed(event("cart_updated", T0, items=[{"product_id": "p"}]))
    assert len(passed(life, after).known.tracked.pending) == 1
    life.feed(event("cart_updated", T0 + 5_000, items=[]))
    assert life.until(T0 + 9 * DAY).commands == []
    assert life.known.tracked.pending == ()


def test_an_edit_of_the_scenario_lets_nobody_in_again() -> None:
    life = known("buyer")
    first = second("segment", "yes")
    assert len(passed(life, first).until(T0 + DAY).commands) == 1
    edited = plan_of(
        ("new", WAYS["segment"].replace("EXISTING", "yes").replace("buyers,", "buyers, again: always,")),
        known={FIRST.hash: ("old",), first.hash: ("new",)},
    )
    assert len(passed(life, edited).until(T0 + 2 * DAY).commands) == 1


def test_of_a_customer_whose_earlier_plan_nobody_knows_nobody_enters() -> None:
    life = known("buyer")
    passed(life, plan_of(("new", WAYS["segment"].replace("EXISTING", "yes"))))
    assert life.until(T0 + 9 * DAY).commands == []
