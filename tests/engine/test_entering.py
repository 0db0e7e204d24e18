"""Who enters, who does not, and the reason that is recorded."""

from itertools import permutations

import pytest
from msgspec.structs import replace

from models.event import Event
from models.ids import enrolment_id
from pipeline.engine.entering import DEPTH_MAX, ENROLMENTS_MAX, OPEN_OF_A_SCENARIO
from pipeline.engine.plan import Again, Enter, ExitRule, Goal, Scenario, Wait
from tests.engine.build import DAY, HOUR, MINUTE, T0, Life, cart, expr, field, order, plan, scenario, send, view

WAIT = (Wait(HOUR, 1), send("one", 2))


def entries(life: Life) -> list[tuple[str, str]]:
    return [pair for pair in life.reasons if pair[0] in {"entered", "not_entered"}]


def test_an_entry_keeps_the_named_fields_and_where_it_was_read() -> None:
    life = Life(plan(scenario(*WAIT, entry_fields=("url", "absent")))).feed(view(T0, url="/a", device="phone"))
    kept = life.known.enrolments[0]
    assert (kept.entry.data, kept.entry.at, kept.entry.source, kept.clock) == ({"url": "/a"}, T0, "test", T0)
    assert kept.id == enrolment_id("s", kept.entry.event)


def test_when_and_unless_decide_and_a_missing_value_holds_neither_way() -> None:
    shoes = expr(lambda env: env.event["category"] == "shoes")
    for way in (Enter("page_viewed", when=shoes), Enter("page_viewed", unless=shoes)):
        life = Life(plan(scenario(*WAIT, entries=(way,)))).feed(view(T0))
        assert life.known.enrolments == ()
    asked = Life(plan(scenario(*WAIT, entries=(Enter("page_viewed", unless=shoes),)))).feed(view(T0, category="hats"))
    assert entries(asked) == [("entered", "page_viewed")]


def test_once_is_once() -> None:
    life = Life(plan(scenario(entries=(Enter("page_viewed"),)))).feed(view(T0), view(T0 + 100 * DAY))
    assert entries(life) == [("entered", "page_viewed"), ("not_entered", "again")]


def test_after_counts_from_the_end_of_the_last_enrolment() -> None:
    again = (Enter("page_viewed", again=Again("after", DAY)),)
    life = Life(plan(scenario(Wait(HOUR, 1), entries=again))).feed(view(T0)).until(T0 + 2 * HOUR)
    life.feed(view(T0 + DAY), view(T0 + HOUR + DAY))
    assert [outcome for outcome, _ in entries(life)] == ["entered", "not_entered", "entered"]


def test_per_gives_one_enrolment_for_each_value_and_again_counts_by_value() -> None:
    one_an_order = (Enter("order_placed", per=field("order_id")),)
    life = Life(plan(scenario(*WAIT, entries=one_an_order, on="order_placed")))
    life.feed(order(T0, "o1"), order(T0 + 1, "o2"), order(T0 + 2, "o1")).until(T0 + DAY).feed(order(T0 + 2 * DAY, "o1"))
    assert [outcome for outcome, _ in entries(life)] == ["entered", "entered", "not_entered", "not_entered"]
    assert entries(life)[2:] == [("not_entered", "inside"), ("not_entered", "again")]


def test_a_value_of_per_that_is_missing_enters_nobody_and_is_told() -> None:
    one_a_page = (Enter("page_viewed", per=expr(lambda env: env.event["missing"])),)
    life = Life(plan(scenario(*WAIT, entries=one_a_page))).feed(view(T0))
    assert life.reasons == [("failed", "per has no value")]


def test_an_entry_event_for_one_already_inside_changes_nothing_now() -> None:
    life = Life(plan(scenario(*WAIT))).feed(view(T0), view(T0 + MINUTE)).until(T0 + DAY)
    assert life.sends == [("one", T0 + HOUR)]
    assert entries(life) == [("entered", "page_viewed"), ("not_entered", "inside")]


EXITS = (ExitRule(on="order_placed", reason="order_placed"),)
KEEPS = (("order_placed", ()),)


@pytest.mark.parametrize("read", list(permutations(range(3))))
def test_visit_order_visit_begins_anew_after_the_order_in_any_order_of_reading(read: tuple[int, ...]) -> None:
    events = [view(T0), order(T0 + 10 * MINUTE), view(T0 + 20 * MINUTE)]
    life = Life(plan(scenario(*WAIT, exits=EXITS, event_fields=KEEPS)))
    life.feed(*[events[index] for index in read], watermark=T0).until(T0 + DAY)
    assert life.sends == [("one", T0 + 80 * MINUTE)]


def test_the_latest_of_the_entry_events_inside_is_kept() -> None:
    life = Life(plan(scenario(*WAIT, exits=EXITS, event_fields=KEEPS)))
    life.feed(view(T0), view(T0 + 30 * MINUTE), view(T0 + 20 * MINUTE), order(T0 + 10 * MINUTE), watermark=T0)
    assert [one.entry.at for one in life.open] == [T0 + 30 * MINUTE]


def test_an_entry_event_before_the_end_does_not_enter_whenever_it_is_read() -> None:
    # Inside from T0 to T0 + 1 h; the second page falls in between and is read afterwards.
    life = Life(plan(scenario(Wait(HOUR, 1)))).feed(view(T0)).until(T0 + 2 * HOUR)
    life.feed(view(T0 + 30 * MINUTE, arrived=T0 + 70 * MINUTE))
    assert entries(life) == [("entered", "page_viewed"), ("not_entered", "inside")]


def test_one_event_may_end_an_enrolment_and_begin_the_next() -> None:
    exits = (ExitRule(on="order_placed", reason="order_placed"),)
    life = Life(plan(scenario(*WAIT, on="order_placed", exits=exits))).feed(order(T0), order(T0 + 1, "o2"))
    assert [one.entry.at for one in life.open] == [T0 + 1]


def test_an_exit_that_was_read_before_the_entry_overtakes_it() -> None:
    life = Life(plan(scenario(*WAIT, exits=EXITS, event_fields=KEEPS))).feed(order(T0 + 1), view(T0), watermark=T0)
    assert entries(life) == [("not_entered", "overtaken")]


def test_an_exit_before_the_entry_does_not_overtake_it() -> None:
    life = Life(plan(scenario(*WAIT, exits=EXITS, event_fields=KEEPS))).feed(order(T0), view(T0 + 1))
    assert entries(life) == [("entered", "page_viewed")]


def test_the_last_eight_of_a_type_are_remembered_by_their_own_time() -> None:
    orders = [order(T0 + n, f"o{n}") for n in (5, 9, 1, 7, 3, 8, 2, 6, 4, 0)]
    life = Life(plan(scenario(*WAIT, exits=EXITS, event_fields=(("order_placed", ("order_id",)),)))).feed(*orders)
    kept = [(one.at, one.data) for one in life.known.remembered]
    assert kept == [(T0 + n, {"order_id": f"o{n}"}) for n in range(2, 10)]


def test_an_exit_condition_that_holds_at_entry_means_no_entry() -> None:
    bought = (ExitRule(when=expr(lambda env: env.customer.profile.orders > 0), reason="bought"),)
    life = Life(plan(scenario(*WAIT, exits=bought))).feed(order(T0), view(T0 + 1))
    assert entries(life) == [("not_entered", "exit_holds")]


def test_a_goal_that_was_read_before_the_entry_is_counted() -> None:
    goal = Goal("order_placed", DAY, value=field("total"))
    life = Life(plan(scenario(*WAIT, goal=goal, event_fields=(("order_placed", ("total",)),))))
    life.feed(order(T0 + HOUR, total=900), view(T0), watermark=T0)
    goals = [one.detail for out in life.out for one in out.decisions if one.outcome == "goal"]
    assert goals == [{"value": 900}]


def test_old_events_start_nothing_and_say_so() -> None:
    life = Life(plan(scenario(*WAIT))).feed(view(T0, arrived=T0 + HOUR + 1))
    assert life.out[-1].silent
    assert life.reasons == [("not_entered", "late")]
    assert life.known.profile.visits == 1


def test_an_event_exactly_at_the_lateness_limit_starts() -> None:
    assert entries(Life(plan(scenario(*WAIT))).feed(view(T0, arrived=T0 + HOUR))) == [("entered", "page_viewed")]


def test_events_of_a_joining_source_start_nothing() -> None:
    assert Life(plan(scenario(*WAIT))).feed(view(T0), silent=True).known.enrolments == ()


def test_a_kept_entry_event_that_came_in_time_enters_though_a_late_event_ended_the_last() -> None:
    life = Life(plan(scenario(Wait(DAY, 1), send("one", 2), exits=EXITS)))
    life.feed(view(T0), view(T0 + 20 * MINUTE), order(T0 + 10 * MINUTE, arrived=T0 + 3 * HOUR))
    assert [one.entry.at for one in life.open] == [T0 + 20 * MINUTE]


def test_a_chain_of_our_own_messages_is_cut() -> None:
    def echo(depth: int) -> Event:
        return replace(view(T0), depth=depth)

    assert entries(Life(plan(scenario(*WAIT))).feed(echo(DEPTH_MAX))) == [("entered", "page_viewed")]
    assert entries(Life(plan(scenario(*WAIT))).feed(echo(DEPTH_MAX + 1))) == [("not_entered", "loop")]


def test_a_command_is_one_deeper_than_what_began_it() -> None:
    life = Life(plan(scenario(send("one", 1)))).feed(replace(view(T0), depth=3))
    assert life.commands[0].depth == 4


def a_page(name: str) -> Scenario:
    return scenario(Wait(DAY, 1), name=name, entries=(Enter("page_viewed", again=Again("always"), per=field("url")),))


def test_of_more_than_sixteen_open_in_a_scenario_the_oldest_ends() -> None:
    views = [view(T0 + n, url=f"/{n}") for n in range(OPEN_OF_A_SCENARIO + 1)]
    life = Life(plan(a_page("s"))).feed(*views)
    assert len(life.open) == OPEN_OF_A_SCENARIO
    assert ("dropped", "bound") in life.reasons
    assert min(one.entry.at for one in life.open) == T0 + 1


def test_of_more_than_sixty_four_in_all_the_oldest_ends() -> None:
    names = [f"s{n}" for n in range(5)]
    life = Life(plan(*[a_page(name) for name in names]))
    life.feed(*[view(T0 + n, url=f"/{n}") for n in range(OPEN_OF_A_SCENARIO)])
    assert len(life.known.enrolments) == ENROLMENTS_MAX


def test_higher_priority_enters_and_sends_first_and_names_break_ties() -> None:
    life = Life(
        plan(
            scenario(send("one", 1), name="b"),
            scenario(send("two", 1), name="a"),
            scenario(send("three", 1), name="c", priority=90),
        )
    ).feed(view(T0))
    assert [command.scenario for command in life.commands] == ["c", "a", "b"]


def test_a_stopped_scenario_lets_nobody_in_and_a_paused_one_does() -> None:
    assert entries(Life(plan(scenario(*WAIT), switches={"s": "stopped"})).feed(view(T0))) == [
        ("not_entered", "stopped")
    ]
    assert entries(Life(plan(scenario(*WAIT), switches={"*": "stopped"})).feed(view(T0))) == [
        ("not_entered", "stopped")
    ]
    assert entries(Life(plan(scenario(*WAIT), switches={"s": "paused"})).feed(view(T0))) == [("entered", "page_viewed")]


def test_the_thirty_two_last_event_ids_are_recognised() -> None:
    views = [view(T0 + n) for n in range(33)]
    life = Life(plan(scenario(*WAIT))).feed(*views)
    life.feed(views[1])
    assert life.out[-1].duplicate
    life.feed(views[0])
    assert not life.out[-1].duplicate
    assert len(life.known.recent) == 32


def test_a_closing_enrolment_does_not_block_a_new_entry() -> None:
    life = Life(plan(scenario(send("one", 1)))).feed(view(T0), view(T0 + 1))
    assert [step for step, _ in life.sends] == ["one", "one"]
    assert [one.closing for one in life.known.enrolments] == [True, True]


def test_a_cart_read_early_or_late_gives_the_same_enrolment() -> None:
    carts = [cart(T0, "a"), cart(T0 + 5 * MINUTE, "a", "b")]
    sends = [Life().feed(*some, watermark=T0).until(T0 + HOUR).sends for some in permutations(carts)]
    assert sends[0] == sends[1] == [("reminder", T0 + 50 * MINUTE)]
