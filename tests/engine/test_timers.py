"""Timers are data: their order, their strictness, and what the watermark may and may not do."""

from pipeline.engine import api
from pipeline.engine.plan import Again, Enter, Wait
from tests.engine.build import DAY, HOUR, MINUTE, T0, Life, cart, event, field, order, plan, scenario, send, view


def test_timers_fire_by_due_time_then_priority_then_scenario() -> None:
    under = plan(
        scenario(Wait(HOUR, 1), send("x", 2), name="b"),
        scenario(Wait(HOUR, 1), send("x", 2), name="a"),
        scenario(Wait(HOUR, 1), send("x", 2), name="z", priority=99),
        scenario(Wait(MINUTE, 1), send("x", 2), name="early", priority=1),
    )
    life = Life(under).feed(view(T0)).until(T0 + DAY)
    assert [one.scenario for one in life.commands] == ["early", "z", "a", "b"]


def test_of_one_scenario_and_due_time_the_enrolment_id_decides() -> None:
    entries = (Enter("page_viewed", again=Again("always"), per=field("url")),)
    life = Life(plan(scenario(Wait(HOUR, 1), send("x", 2), entries=entries)))
    life.feed(*[view(T0, url=f"/{n}") for n in range(5)]).until(T0 + DAY)
    assert [one.enrolment for one in life.commands] == sorted(one.enrolment for one in life.commands)


def test_fireable_timers_fire_before_an_event() -> None:
    life = Life().feed(cart(T0, "a")).feed(order(T0 + 2 * HOUR), watermark=T0 + HOUR)
    assert [one.step for one in life.out[-1].commands] == ["reminder"]
    assert life.cancels == ["order_placed"]


def test_timers_that_an_event_sets_in_the_past_fire_directly_after_it() -> None:
    life = Life().feed(cart(T0, "a", arrived=T0 + 50 * MINUTE))
    assert life.sends == [("reminder", T0 + 45 * MINUTE)]


def test_now_never_goes_back() -> None:
    life = Life().feed(view(T0 + HOUR), view(T0), watermark=T0)
    assert life.known.now == T0 + HOUR
    assert life.feed(cart(T0 + 1, "a"), watermark=T0).until(T0 + 10 * HOUR).commands[0].emitted_at == T0 + HOUR


def test_the_watermark_enters_no_command_and_no_decision() -> None:
    outs = []
    for watermark in (T0 + 46 * MINUTE, T0 + HOUR, T0 + 2 * HOUR):
        life = Life().feed(cart(T0, "a")).until(watermark)
        outs.append((life.commands, [one for out in life.out for one in out.decisions]))
    assert outs[0] == outs[1] == outs[2]


def test_the_first_due_time_is_told_for_the_stores_index() -> None:
    life = Life().feed(view(T0))
    assert api.next_due(life.known) is None
    assert api.next_due(life.feed(cart(T0, "a")).known) == T0 + 45 * MINUTE
    assert api.next_due(life.feed(cart(T0 + MINUTE, "b")).known) == T0 + 46 * MINUTE


def test_firing_with_nothing_due_changes_nothing() -> None:
    life = Life().feed(cart(T0, "a"))
    before = life.known
    assert life.until(T0 + 45 * MINUTE).known == before
    assert life.out[-1].decisions == []


def test_a_repeated_event_still_lets_due_timers_fire() -> None:
    first = cart(T0, "a")
    life = Life().feed(first).feed(first, watermark=T0 + HOUR)
    assert life.out[-1].duplicate
    assert life.sends == [("reminder", T0 + 45 * MINUTE)]


def test_an_unknown_event_type_counts_for_nothing_and_breaks_nothing() -> None:
    life = Life().feed(event("form_downloaded", T0, form="a"))
    assert life.known.profile.first_seen is None
    assert life.known.recent != ()
