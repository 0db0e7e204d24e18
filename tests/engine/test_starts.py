"""A scenario that starts another one: the same entry, from where the starter's clock stands, and both go on."""

from typing import Any

from models.ids import command_id
from pipeline.engine.plan import Again, Enter, ExitRule, Goal, Scenario, Start, Wait
from tests.engine.build import DAY, HOUR, T0, Life, event, expr, order, plan, scenario, send, view

FIRST = scenario(Wait(HOUR, 1), Start("other", 2), send("after", 3), name="first", entry_fields=("url",))


def other(*program: Any, **changes: Any) -> Scenario:
    fields: dict[str, Any] = {"name": "other", "entries": (Enter("start"),), "entry_fields": ("url",), **changes}
    return scenario(*(program or (Wait(HOUR, 1), send("two", 2))), **fields)


def test_it_enrols_there_by_the_same_entry_and_goes_on() -> None:
    data = (("url", expr(lambda env: env.entry["url"])),)
    entry = view(T0, url="/a")
    life = Life(plan(FIRST, other(send("two", 1, data=data)))).feed(entry).until(T0 + DAY)
    assert sorted(life.sends) == [("after", T0 + HOUR), ("two", T0 + HOUR)]
    two = next(one for one in life.commands if one.step == "two")
    assert (two.id, two.data) == (command_id("other", entry.id, "two"), {"url": "/a"})


def test_its_waits_exits_and_goal_count_from_the_start() -> None:
    one = other(exits=(ExitRule(on="order_placed", reason="bought"),), goal=Goal("order_placed", DAY))
    before = Life(plan(FIRST, one)).feed(view(T0), order(T0 + 1)).until(T0 + DAY)
    assert ("two", T0 + 2 * HOUR) in before.sends
    after = Life(plan(FIRST, one)).feed(view(T0)).until(T0 + HOUR + 1).feed(order(T0 + HOUR + 2)).until(T0 + DAY)
    assert [step for step, _ in after.sends] == ["after"]
    assert ("goal", "order_placed") in after.reasons


def test_what_stops_an_entry_stops_a_start_too() -> None:
    life = Life(plan(FIRST, other())).feed(view(T0)).until(T0 + DAY).feed(view(T0 + DAY)).until(T0 + 2 * DAY)
    assert [step for step, _ in life.sends].count("two") == 1
    assert ("not_entered", "again") in life.reasons
    always = other(entries=(Enter("start", when=expr(lambda env: env.event["url"] == "/a"), again=Again("always")),))
    life = Life(plan(FIRST, always)).feed(view(T0, url="/b")).until(T0 + DAY)
    assert [step for step, _ in life.sends] == ["after"]


def test_an_event_starts_nothing_by_that_name() -> None:
    assert Life(plan(other())).feed(event("start", T0)).until(T0 + DAY).sends == []


def test_a_scenario_that_the_live_plan_lacks_is_said() -> None:
    life = Life(plan(FIRST)).feed(view(T0)).until(T0 + DAY)
    assert ("not_entered", "no_such_scenario") in life.reasons
    assert [step for step, _ in life.sends] == ["after"]
