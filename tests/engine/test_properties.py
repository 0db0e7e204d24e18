"""What holds for every history: no input is changed, time is the log's alone, order of reading, bounds, ends."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from models.customer import Customer
from models.event import Event
from models.ids import derived_event_id
from pipeline.engine import api
from pipeline.engine.plan import Again, Alternative, Enter, ExitRule, Goal, WaitFor
from pipeline.engine.transition import Transition
from tests.engine.build import (
    DAY,
    HOUR,
    MINUTE,
    T0,
    Life,
    abandoned,
    cart,
    event,
    expr,
    field,
    order,
    plan,
    scenario,
    send,
)

MINE = expr(lambda env: env.event["order_id"] == env.entry["order_id"])
PURCHASE = scenario(
    send("confirmation", 1, purpose="transactional"),
    WaitFor((Alternative(2, on="order_shipped", where=MINE, keep_as="parcel"),), 3, 3 * DAY, since_entry=True),
    send("shipped", 3, data=(("carrier", expr(lambda env: env.names["parcel"]["carrier"])),)),
    name="purchase",
    purpose="transactional",
    entries=(Enter("order_placed", per=field("order_id"), again=Again("once")),),
    exits=(ExitRule(on="order_cancelled", where=MINE, reason="order_cancelled"),),
    goal=Goal("review_posted", 9 * DAY),
    entry_fields=("order_id", "items"),
    event_fields=(
        ("order_shipped", ("order_id", "carrier")),
        ("order_cancelled", ("order_id",)),
        ("review_posted", ()),
    ),
)
BOTH = plan(abandoned(), PURCHASE)
KINDS = ("cart", "empty", "order", "view", "shipped", "cancelled", "review", "added")
encode = msgspec.msgpack.Encoder(order="deterministic").encode


def made(kind: str, at: int, number: int) -> Event:
    name = f"o{number % 4}"
    match kind:
        case "cart":
            return cart(at, *[f"p{number}-{n}" for n in range(1 + number % 3)])
        case "empty":
            return cart(at, salt=str(number))
        case "order":
            return order(at, f"o{number}")
        case "added":
            return event("cart_item_added", at, product_id=f"p{number}", price=100, salt=str(number))
        case "shipped":
            return event("order_shipped", at, order_id=name, carrier="Post", salt=str(number))
        case "cancelled":
            return event("order_cancelled", at, order_id=name, salt=str(number))
        case "review":
            return event("review_posted", at, rating=4, salt=str(number))
        case _:
            return event("page_viewed", at, salt=str(number))


def histories(minutes_max: int, kinds: tuple[str, ...] = KINDS, size: int = 14) -> st.SearchStrategy[list[Event]]:
    """One customer's events in the order of their times."""
    rows = st.lists(st.tuples(st.integers(0, minutes_max), st.sampled_from(kinds)), max_size=size)
    return rows.map(
        lambda some: [made(kind, T0 + at * MINUTE, number) for number, (at, kind) in enumerate(sorted(some))]
    )


def said(outs: list[Transition]) -> bytes:
    """All that went out, as bytes."""
    return encode([[one.commands, one.cancels, one.decisions] for one in outs if one.decisions or one.cancels])


def flat(outs: list[Transition]) -> bytes:
    """All that went out, whichever input brought it."""
    return encode(
        [
            [one for out in outs for one in out.commands],
            [one for out in outs for one in out.cancels],
            [one for out in outs for one in out.decisions],
        ]
    )


@given(histories(3 * 24 * 60))
def test_a_step_never_changes_its_input(events: list[Event]) -> None:
    customer: Customer | None = None
    for one in events:
        before, kept = encode(customer), encode(one)
        done = api.apply_event(customer, one, one.at, BOTH)
        assert (encode(customer), encode(one)) == (before, kept)
        customer = done.customer
    if customer is not None:
        before = encode(customer)
        api.fire_timers(customer, T0 + 90 * DAY, BOTH)
        assert encode(customer) == before


@given(histories(3 * 24 * 60), st.lists(st.integers(0, 5 * 24 * 60), max_size=8))
def test_moves_of_the_watermark_in_between_change_nothing(events: list[Event], moves: list[int]) -> None:
    plain, sliced = Life(BOTH), Life(BOTH)
    for one in events:
        for minutes in sorted(moves):
            # What other customers' events make of the watermark: anywhere up to where it stands at the next event.
            if sliced.watermark < T0 + minutes * MINUTE <= one.at:
                sliced.until(T0 + minutes * MINUTE)
        plain.feed(one)
        sliced.feed(one)
    assert flat(plain.until(T0 + 90 * DAY).out) == flat(sliced.until(T0 + 90 * DAY).out)
    assert plain.customer == sliced.customer


@given(histories(3 * 24 * 60))
def test_a_state_that_was_stored_and_read_again_goes_on_the_same(events: list[Event]) -> None:
    kept, stored = Life(BOTH), Life(BOTH)
    for one in events:
        kept.feed(one)
        stored.feed(one)
        stored.customer = msgspec.msgpack.decode(encode(stored.customer), type=Customer)
    assert said(kept.until(T0 + 90 * DAY).out) == said(stored.until(T0 + 90 * DAY).out)


@given(histories(44, ("cart", "order", "view"), 7), st.randoms(use_true_random=False))
def test_the_order_of_reading_within_the_first_wait_changes_no_message(events: list[Event], dice: object) -> None:
    shuffled = list(events)
    dice.shuffle(shuffled)  # type: ignore[attr-defined]
    in_order = Life(BOTH).feed(*events, watermark=T0).until(T0 + 30 * DAY)
    as_read = Life(BOTH).feed(*shuffled, watermark=T0).until(T0 + 30 * DAY)
    assert sorted(as_read.sends) == sorted(in_order.sends)


def test_a_whole_cart_that_is_read_after_a_younger_one_restarts_no_wait() -> None:
    # The limit of the property above (docs/guarantees.md): what it would have moved the wait to is not known any more.
    first, second, third = (cart(T0 + at * MINUTE, f"p{at}") for at in (0, 1, 46))
    in_order = Life(BOTH).feed(first, second, third, watermark=T0).until(T0 + DAY)
    as_read = Life(BOTH).feed(first, third, second, watermark=T0).until(T0 + DAY)
    assert next(at for _, at in in_order.sends) == T0 + (46 + 45) * MINUTE
    assert next(at for _, at in as_read.sends) == T0 + 45 * MINUTE


@given(histories(50, ("cart", "order", "view", "added", "empty"), 8), st.randoms(use_true_random=False))
def test_nobody_is_reminded_of_what_they_bought_in_whatever_order_it_is_read(events: list[Event], dice: object) -> None:
    carts = [one.at for one in events if one.type != "order_placed" and one.type.startswith("cart")]
    orders = [one.at for one in events if one.type == "order_placed"]
    shuffled = list(events)
    dice.shuffle(shuffled)  # type: ignore[attr-defined]
    life = Life(BOTH).feed(*shuffled, watermark=T0).until(T0 + 30 * DAY)
    reminded = [step for step, _ in life.sends if step in {"reminder", "urgency", "third"}]
    if orders and not [at for at in carts if at > max(orders)]:
        assert reminded == []


@given(histories(10 * 24 * 60))
def test_no_message_of_a_cart_falls_due_after_the_order_that_ends_it(events: list[Event]) -> None:
    life = Life(BOTH).feed(*events).until(T0 + 90 * DAY)
    began = {derived_event_id(one.id, "cart_changed"): one.at for one in events}
    orders = [one.at for one in events if one.type == "order_placed"]
    for command in life.commands:
        if command.scenario == "abandoned-cart":
            at = began[command.reason.event_id]
            assert [one for one in orders if at <= one <= command.due_at] == []


@settings(max_examples=60)
@given(histories(20 * 24 * 60, ("cart", "order", "empty"), 40))
def test_at_most_three_messages_of_a_cart_in_any_seven_days(events: list[Event]) -> None:
    life = Life(BOTH).feed(*events).until(T0 + 90 * DAY)
    at = [command.emitted_at for command in life.commands if command.scenario == "abandoned-cart"]
    assert all(later - first >= 7 * DAY for first, later in zip(at, at[3:], strict=False))


@given(histories(10 * 24 * 60))
def test_every_enrolment_ends_and_leaves_no_timer(events: list[Event]) -> None:
    life = Life(BOTH).feed(*events).until(T0 + 120 * DAY)
    if life.customer is not None:
        assert life.customer.enrolments == ()
        assert api.next_due(life.customer) is None


@given(histories(10 * 24 * 60))
def test_every_entry_that_matched_and_every_send_that_was_reached_has_one_outcome(events: list[Event]) -> None:
    life = Life(BOTH).feed(*events).until(T0 + 120 * DAY)
    decisions = [one for out in life.out for one in out.decisions]
    orders = [one.event for one in decisions if one.scenario == "purchase" and one.outcome.endswith("entered")]
    assert orders == [one.id for one in events if one.type == "order_placed"]
    ended = [one.enrolment for one in decisions if one.outcome in {"exited", "completed"}]
    assert sorted(ended) == sorted(one.enrolment for one in decisions if one.outcome == "entered")
    sent = [one.command for one in decisions if one.outcome == "sent"]
    assert sent == [one.id for one in life.commands]
    assert len(dict.fromkeys(sent)) == len(sent)


@given(histories(10 * 24 * 60), st.integers(0, 13))
def test_a_repeated_event_changes_nothing_but_time(events: list[Event], which: int) -> None:
    if not events:
        return
    again = events[which % len(events)]
    life = Life(BOTH).feed(*events)
    before = encode(life.known)
    assert life.feed(again, watermark=life.watermark).out[-1].duplicate
    assert encode(life.known) == before


def test_the_histories_reach_what_they_are_to_prove() -> None:
    events = [
        made("cart", T0, 0), made("order", T0 + 2 * HOUR, 1), made("shipped", T0 + 3 * HOUR, 5),
        made("cart", T0 + 4 * HOUR, 2), made("cancelled", T0 + 5 * HOUR, 1),
    ]  # fmt: skip
    life = Life(BOTH).feed(*events).until(T0 + 90 * DAY)
    steps = [step for step, _ in life.sends]
    assert steps == ["reminder", "confirmation", "shipped", "reminder", "urgency"]
    assert {"order_placed", "last step"} <= {reason for _, reason in life.reasons}
