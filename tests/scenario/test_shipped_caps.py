"""The shipped cap keeps room for the abandoned cart: whatever scenarios below it send, its messages stay the same."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from pipeline.engine.plan import Plan, Settings
from pipeline.scenario.compile import compile_plan, engine_settings, read_settings
from pipeline.scenario.sources import read_sources
from tests.engine.build import DAY, MINUTE, T0, Life, abandoned, cart, order, plan, scenario, send, view

SOURCES = read_sources(Path(__file__).parents[2] / "scenarios")
CAPS = engine_settings(read_settings(SOURCES)).caps
# Those that may be sent beside a cart's reminders without taking their place.
BELOW = (
    "browse-abandonment", "first-purchase", "loyalty", "nurturing", "re-engagement", "reactivation", "retention",
    "welcome",
)  # fmt: skip


def plan_of(*, neighbours: bool) -> Plan:
    low = [scenario(send("low", 1), name=name, priority=priority) for name, priority in (("a", 69), ("b", 10))]
    return plan(
        abandoned(),
        *(low if neighbours else ()),
        settings=Settings(consent_default="granted", require_address=False, caps=CAPS),
    )


minutes = st.integers(0, 20 * 24 * 60)
histories = st.lists(st.tuples(minutes, st.sampled_from(("cart", "cart", "order", "view", "view"))), max_size=40)


def lived(under: Plan, history: list[tuple[int, str]]) -> Life:
    life = Life(under)
    for number, (minute, kind) in enumerate(sorted(history)):
        at = T0 + minute * MINUTE
        what = {
            "cart": lambda at=at, number=number: cart(at, f"p{number}"),
            "order": lambda at=at, number=number: order(at, f"o{number}"),
            "view": lambda at=at, number=number: view(at, salt=str(number)),
        }[kind]
        life.feed(what())
    return life.until(T0 + 40 * DAY)


@given(histories)
def test_lower_scenarios_never_displace_a_message_of_the_abandoned_cart(history: list[tuple[int, str]]) -> None:
    beside, alone = lived(plan_of(neighbours=True), history), lived(plan_of(neighbours=False), history)
    found = [(one.id, one.due_at) for one in beside.commands if one.scenario == "abandoned-cart"]
    assert found == [(one.id, one.due_at) for one in alone.commands]


def test_both_kinds_fill_the_week_together_and_no_more() -> None:
    history = [
        (day * 24 * 60 + hour * 60, kind)
        for day in range(6)
        for hour, kind in ((1, "view"), (8, "cart"), (20, "order"))
    ]
    life = lived(plan_of(neighbours=True), history)
    week = [one.scenario for one in life.commands if one.due_at < T0 + 7 * DAY]
    assert sorted(week) == ["a", "abandoned-cart", "abandoned-cart", "abandoned-cart", "b"]


def test_every_shipped_marketing_scenario_below_the_abandoned_cart_leaves_it_its_room() -> None:
    live = compile_plan(SOURCES).live
    assert [cap.free_above for cap in CAPS] == [live["abandoned-cart"].priority]
    assert {name for name in BELOW if name in live and live[name].priority >= live["abandoned-cart"].priority} == set()
