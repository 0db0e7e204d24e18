"""The shipped plan, all its scenarios together, is fair to every customer, whatever they do and however it is read."""

import os
from collections.abc import Iterator
from random import Random

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from models.customer import Customer
from models.decision import Decision
from models.event import Event
from pipeline.engine.quiet import end_of_quiet
from tests.engine.build import DAY, MINUTE
from tests.engine.test_fairness import BEGINS
from tests.engine.test_local_time import ZONES, named
from tests.runtime.kit import Desk
from tests.scenario.shop_life import KINDS, Answered, Row, events_of, rows, shipped

# Customers a property; `PARCOURS_LIVES=2000` is the long run.
LIVES = int(os.environ.get("PARCOURS_LIVES", "120"))
QUIET = 'quiet_hours: {from: "21:00", to: "08:00"}\n'
END = 430 * DAY  # the longest scenario is over by then, a yearly date included
begins = st.sampled_from(BEGINS)
encode = msgspec.msgpack.Encoder(order="deterministic").encode


def lived(begin: int, some: list[Row], consent: str = "granted", more: str = "", **person: object) -> Answered:
    return Answered(shipped(consent, more)).live(events_of(some, begin, **person), begin + 40 * DAY)


def decisions(life: Answered) -> list[Decision]:
    return [one for out in life.out for one in out.decisions]


def within(times: list[int], at_most: int, per: int) -> bool:
    return all(later - first >= per for first, later in zip(times, times[at_most:], strict=False))


@settings(max_examples=LIVES)
@given(begins, rows())
def test_no_window_holds_more_than_the_caps_and_a_transactional_message_is_never_capped(
    begin: int, some: list[Row]
) -> None:
    life = lived(begin, some)
    # What expired was never sent, and gave its place back.
    kept = [one for one in life.commands if one.purpose == "marketing" and one.id not in life.given_back]
    for cap in life.plan.settings.caps:
        mine = [one for one in kept if cap.channel in {None, one.channel}]
        assert within([one.emitted_at for one in mine], cap.at_most, cap.per_ms)
        if cap.free_count:
            low = [one for one in mine if life.plan.live[one.scenario].priority < cap.free_above]
            assert within([one.emitted_at for one in low], cap.at_most - cap.free_count, cap.per_ms)
    assert within([one.emitted_at for one in kept if one.scenario == "abandoned-cart"], 3, 7 * DAY)
    capped = {(one.scenario, one.step) for one in decisions(life) if one.reason == "capped"}
    assert not [one for one in capped if one in transactional(life)]
    assert len({one.id for one in life.commands}) == len(life.commands)


def transactional(life: Answered) -> set[tuple[str, str]]:
    return {
        (one.name, op.name)
        for one in life.plan.scenarios
        for op in one.program
        if getattr(op, "purpose", "") == "transactional"
    }


@settings(max_examples=LIVES)
@given(begins, rows(("cart", "added", "order", "empty", "view"), 14))
def test_after_an_order_in_the_log_no_message_of_a_cart_that_was_begun_before_it(begin: int, some: list[Row]) -> None:
    life = lived(begin, some)
    entered = {one.enrolment: one.at for one in decisions(life) if one.outcome == "entered"}
    orders: list[int] = []
    for done, event in zip(life.out, life.inputs, strict=True):
        if event is not None and event.type == "order_placed":
            orders.append(event.at)
        for command in done.commands:
            if command.scenario == "abandoned-cart":
                assert not [at for at in orders if at >= entered[command.enrolment]]


@settings(max_examples=LIVES)
@given(begins, rows(), st.sampled_from(ZONES))
def test_no_marketing_in_quiet_hours_in_any_zone_on_days_of_change_too(begin: int, some: list[Row], zone: str) -> None:
    life = lived(begin, some, more=QUIET, timezone=zone)
    quiet = life.plan.settings.quiet
    assert quiet is not None
    for one in life.commands:
        if one.purpose == "marketing":
            assert end_of_quiet(quiet, one.emitted_at, named(zone)) is None


@settings(max_examples=LIVES)
@given(begins, rows((*KINDS, "yes", "no", "yes", "no")))
def test_nobody_gets_marketing_who_did_not_say_yes_last(begin: int, some: list[Row]) -> None:
    life = lived(begin, some, consent="none")
    said: list[tuple[int, str, bool]] = []
    for done, event in zip(life.out, life.inputs, strict=True):
        if event is not None and event.type == "consent_changed":
            said.append((event.at, event.id, event.data["given"]))
        for command in done.commands:
            assert command.purpose != "marketing" or max(said)[2], "the last word that the log had was no"


@settings(max_examples=LIVES)
@given(begins, rows())
def test_every_enrolment_ends_and_every_message_that_was_due_has_its_reason(begin: int, some: list[Row]) -> None:
    life = lived(begin, some)
    life.until(begin + END)
    told = decisions(life)
    entered = [one.enrolment for one in told if one.outcome == "entered"]
    ended = [one.enrolment for one in told if one.outcome in {"exited", "completed"}]
    assert sorted(entered) == sorted(ended)
    assert life.known.enrolments == (), "somebody is still inside after a year"
    assert [one.command for one in told if one.outcome == "sent"] == [one.id for one in life.commands]


def _log(people: list[list[Event]], spans: list[int], dice: Random) -> Iterator[Event | int]:
    """Yield events in windows, drawn from customer after customer, and after each window the time that it reached."""
    everything = sorted((one for events in people for one in events), key=lambda one: (one.arrived_at, one.id))
    width = 0
    while everything:
        width = spans[width % len(spans)]
        begin = everything[0].arrived_at
        window = [one for one in everything if one.arrived_at <= begin + width * MINUTE]
        everything = everything[len(window) :]
        waiting = [[one for one in window if one.customer == name] for name in sorted({one.customer for one in window})]
        while waiting := [one for one in waiting if one]:
            yield dice.choice(waiting).pop(0)
        yield everything[0].arrived_at if everything else window[-1].arrived_at + 40 * DAY


def _read(log: Iterator[Event | int]) -> tuple[dict[str, list[bytes]], dict[str, Customer | None]]:
    """Read a log through the runtime of a partition; return what went out of it for each customer, and the states."""
    desk = Desk(shipped("granted"))
    for number, one in enumerate(log):
        if isinstance(one, int):
            desk.read_offset = number
            desk.say(desk.tick(one))
        else:
            desk.say(one)
    out: dict[str, list[bytes]] = {}
    for batch in desk.batches:
        for record in (*batch.commands, *batch.cancels, *batch.decisions):
            out.setdefault(record.customer, []).append(encode(record))
    states = {name: desk.store.get(name) for name in desk.store.customers_after(None, 100)}
    return {name: _in_kind(found) for name, found in out.items()}, states


def _in_kind(found: list[bytes]) -> list[bytes]:
    """Return records with those of a kind in their order; kinds are told apart by their tag."""
    kinds: dict[str, list[bytes]] = {}
    for one in found:
        kinds.setdefault(str(msgspec.msgpack.decode(one).get("kind", "decision")), []).append(one)
    return [one for kind in sorted(kinds) for one in kinds[kind]]


@settings(max_examples=LIVES // 6)
@given(begins, st.lists(rows(size=12), min_size=2, max_size=5), st.lists(st.integers(0, 3000), min_size=1), st.data())
def test_customers_whose_records_are_drawn_in_another_order_get_the_same(
    begin: int, people: list[list[Row]], spans: list[int], data: st.DataObject
) -> None:
    logs = [events_of(some, begin, f"c{number}") for number, some in enumerate(people)]
    one, other = (_read(_log(logs, spans, data.draw(st.randoms(use_true_random=False)))) for _ in range(2))
    assert one == other


def test_the_lives_reach_what_they_are_to_prove() -> None:
    some = [(day * 24 * 60 + 60, "cart", day % 6, 0) for day in range(10)]
    some += [(5, "signup", 0, 0), (14_400, "order", 1, 0), (9, "due", 5, 0)]
    life = lived(BEGINS[0], some, more=QUIET, timezone="Europe/Paris")
    reasons = {one.reason for one in decisions(life) if one.outcome in {"suppressed", "waiting"}}
    assert "quiet_hours" in reasons and reasons & {"capped", "limit"}
    assert {"abandoned-cart", "purchase", "welcome", "payment-reminder"} <= {one.scenario for one in life.commands}
    assert any(lived(begin, some).given_back for begin in BEGINS)
