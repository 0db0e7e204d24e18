"""Anonymous to known: aliases, what goes along, what is handed on, and what never is."""

from itertools import permutations

import msgspec
import pytest

from models.customer import Customer
from models.event import Event
from models.ids import command_id, derived_event_id
from pipeline.engine import api
from pipeline.engine.identity import ALIASES_MAX
from pipeline.engine.plan import Again, Cap, Enter, Settings, Wait
from tests.engine.build import DAY, HOUR, MINUTE, T0, abandoned, cart, event, order, plan, scenario, send, view
from tests.engine.people import People, sign_in

ADDRESSED = plan(abandoned(), settings=Settings(consent_default="granted"))
V, W = "anon:v", "anon:w"


def signed_up(at: int, customer: str = "c1") -> Event:
    return event("customer_signed_up", at, customer, email=f"{customer}@shop.example")


def products(people: People, customer: str = "c1") -> list[str]:
    return [item.product_id for item in people.known[customer].cold.cart.items]


def test_a_cart_left_before_the_sign_in_is_reminded_of_once_and_at_the_time_that_counts_from_the_cart() -> None:
    people = People(ADDRESSED).feed(cart(T0, "p1", customer=V), signed_up(T0 + 10 * MINUTE), sign_in(T0 + 20 * MINUTE))
    people.until(T0 + 3 * HOUR)
    assert people.sends == [("c1", "reminder", T0 + 45 * MINUTE)]
    assert people.commands[0].emitted_at == T0 + 45 * MINUTE
    assert ("exited", "identified") in people.reasons(V)
    assert products(people) == ["p1"]


def test_the_command_has_the_id_that_the_visitors_enrolment_would_have_given_it() -> None:
    first = cart(T0, "p1", customer=V)
    people = People(ADDRESSED).feed(first, signed_up(T0), sign_in(T0 + MINUTE)).until(T0 + HOUR)
    entry = derived_event_id(first.id, "cart_changed")
    assert [one.id for one in people.commands] == [command_id("abandoned-cart", entry, "reminder")]


def test_a_later_change_of_the_visitors_cart_restarts_the_wait_for_the_known_customer_too() -> None:
    people = People(ADDRESSED).feed(
        cart(T0, "p1", customer=V), cart(T0 + 20 * MINUTE, "p1", "p2", customer=V),
        signed_up(T0), sign_in(T0 + 30 * MINUTE),
    ).until(T0 + 3 * HOUR)  # fmt: skip
    assert people.sends == [("c1", "reminder", T0 + 65 * MINUTE)]


def test_a_sign_in_after_the_time_of_the_reminder_gives_it_at_once_with_its_own_deadline() -> None:
    people = People(ADDRESSED).feed(cart(T0, "p1", customer=V), signed_up(T0)).until(T0 + HOUR)
    assert people.sends == []
    people.feed(sign_in(T0 + 80 * MINUTE)).until(T0 + 2 * HOUR)
    [only] = people.commands
    assert (only.customer, only.due_at, only.emitted_at) == ("c1", T0 + 45 * MINUTE, T0 + 80 * MINUTE)
    assert only.valid_until == T0 + 45 * MINUTE + 2 * HOUR


def test_what_went_out_to_the_visitor_is_cancelled_and_not_said_again_to_the_known() -> None:
    people = People().feed(cart(T0, "p1", customer=V)).until(T0 + HOUR)
    assert people.sends == [(V, "reminder", T0 + 45 * MINUTE)]
    people.feed(sign_in(T0 + 61 * MINUTE)).until(T0 + 30 * HOUR)
    cancels = [(one.command, one.reason) for _, out in people.out for one in out.cancels]
    assert cancels == [(people.commands[0].id, "identified")]
    # The steps go on where they were: the second message, a day after the first.
    assert people.sends[1:] == [("c1", "urgency", T0 + 45 * MINUTE + 23 * HOUR)]
    assert ("suppressed", "already_sent") in people.reasons("c1")


def test_a_receipt_of_a_visitors_command_settles_it_with_the_known_customer() -> None:
    people = People().feed(cart(T0, "p1", customer=V)).until(T0 + HOUR)
    sent = people.commands[0]
    people.feed(sign_in(T0 + 61 * MINUTE), event("message_sent", T0 + 62 * MINUTE, V, command_id=sent.id))
    [inside] = people.known["c1"].enrolments
    assert [(one.command, one.settled) for one in inside.sent] == [(sent.id, "sent")]
    assert [(one.command, one.at) for one in people.known["c1"].places] == [(sent.id, T0 + 62 * MINUTE)]


def test_places_under_the_caps_count_for_the_person() -> None:
    capped = Settings(consent_default="granted", require_address=False, caps=(Cap(1, 7 * DAY),))
    entered = scenario(send("s1", 1), on="page_viewed")
    people = People(plan(entered, settings=capped)).feed(view(T0, customer=V), sign_in(T0 + MINUTE), view(T0 + HOUR))
    assert [(one.customer, one.step) for one in people.commands] == [(V, "s1")]
    assert ("suppressed", "capped") in people.reasons("c1")


def test_later_events_of_the_visitor_are_the_known_customers_with_their_own_ids_and_times() -> None:
    late = cart(T0 + 2 * HOUR, "p2", customer=V, arrived=T0 + 2 * HOUR + MINUTE)
    people = People(ADDRESSED).feed(signed_up(T0), sign_in(T0 + MINUTE), late).until(T0 + 4 * HOUR)
    handed = people.forwards[-1]
    assert (handed.customer, handed.id, handed.at, handed.arrived_at) == ("c1", late.id, late.at, late.arrived_at)
    assert products(people) == ["p2"]
    assert people.sends == [("c1", "reminder", T0 + 2 * HOUR + 45 * MINUTE)]
    assert people.known[V].cold.cart.items == ()


def test_an_event_that_comes_again_under_an_alias_is_handed_on_once() -> None:
    one = view(T0 + HOUR, customer=V)
    people = People().feed(sign_in(T0), one, one)
    assert [handed.type for handed in people.forwards] == ["identity_merged", "page_viewed"]


def test_an_event_read_under_the_anonymous_id_and_again_under_the_known_one_counts_once() -> None:
    one = cart(T0, "p1", customer=V)
    people = People().feed(one, sign_in(T0 + MINUTE), msgspec.structs.replace(one, customer="c1"))
    assert people.out[-1][1].duplicate


def test_a_second_sign_in_says_nothing_new() -> None:
    people = People(ADDRESSED).feed(cart(T0, "p1", customer=V), signed_up(T0), sign_in(T0 + MINUTE))
    before = people.known["c1"]
    people.feed(sign_in(T0 + 2 * MINUTE, salt="again"))
    assert people.known["c1"] == before
    assert len(people.until(T0 + 3 * HOUR).sends) == 1


def test_a_shared_device_merges_no_two_people_and_what_comes_later_of_it_is_nobodys() -> None:
    people = People().feed(
        cart(T0, "p1", customer=V), sign_in(T0 + MINUTE), sign_in(T0 + HOUR, known="c2"),
        cart(T0 + 2 * HOUR, "p9", customer=V),
    )  # fmt: skip
    assert products(people) == ["p1"]
    assert "c2" not in people.known
    assert people.reasons(V)[-2:] == [("dropped", "shared_device"), ("dropped", "shared_device")]
    people.feed(view(T0 + 30 * MINUTE, customer=V, salt="read late"))
    assert people.forwards[-1].type == "page_viewed", "before the second person came it was the first one's"


@pytest.mark.parametrize(
    ("visitor", "known", "reason"), [("c5", "c1", "not_anonymous"), (V, W, "known_id_is_anonymous")]
)
def test_only_an_anonymous_id_becomes_an_alias_and_only_of_a_known_one(visitor: str, known: str, reason: str) -> None:
    people = People().feed(cart(T0, "p1", customer=visitor), sign_in(T0 + MINUTE, visitor, known))
    assert people.forwards == []
    assert people.reasons(visitor)[-1] == ("dropped", reason)
    assert products(people, visitor) == ["p1"]


def test_what_was_handed_on_is_never_handed_on_again() -> None:
    people = People().feed(sign_in(T0), view(T0 + MINUTE, customer=V))
    handed = msgspec.structs.replace(people.forwards[-1], customer=V, id="x", position=people_position())
    people.feed(handed)
    assert len(people.forwards) == 2
    assert people.reasons(V)[-1] == ("dropped", "forwarded_once")


def people_position() -> object:
    from models.event import Position

    return Position("forwards", 0, 0, 99)


def test_two_devices_of_one_person_are_one_cart_and_one_reminder() -> None:
    people = People(ADDRESSED).feed(
        cart(T0, "p1", customer=V), cart(T0 + 5 * MINUTE, "p2", "p1", customer=W), signed_up(T0),
        sign_in(T0 + 10 * MINUTE), sign_in(T0 + 11 * MINUTE, W),
    ).until(T0 + 3 * HOUR)  # fmt: skip
    assert products(people) == ["p2", "p1"]
    assert people.sends == [("c1", "reminder", T0 + 50 * MINUTE)]
    assert people.known["c1"].identity is not None
    assert people.known["c1"].identity.aliases == (V, W)


def test_an_account_with_a_cart_of_its_own_gets_the_other_lines_and_keeps_its_enrolment() -> None:
    people = People(ADDRESSED).feed(
        signed_up(T0), cart(T0, "p1"), cart(T0 + 10 * MINUTE, "p2", customer=V), sign_in(T0 + 20 * MINUTE)
    ).until(T0 + 3 * HOUR)  # fmt: skip
    assert products(people) == ["p2", "p1"]
    assert people.sends == [("c1", "reminder", T0 + 55 * MINUTE)]


def test_a_whole_cart_of_the_known_id_after_the_sign_in_stands_although_it_was_read_first() -> None:
    people = People(ADDRESSED, lag=1).feed(
        cart(T0, "p1", customer=V), sign_in(T0 + MINUTE), cart(T0 + 2 * MINUTE, "p7")
    ).deliver()  # fmt: skip
    assert products(people) == ["p7"]


def readings() -> list[tuple[list[str], int]]:
    """Return the cart that every order of reading gives: two devices that sign in, a whole cart between and after."""
    both = (
        [cart(T0 + 2 * MINUTE, "v1", "v2", customer=V), sign_in(T0 + 10 * MINUTE, V), cart(T0 + 11 * MINUTE, "v3", customer=V)],
        [cart(T0 + 5 * MINUTE, "w1", "v2", customer=W), sign_in(T0 + 20 * MINUTE, W)],
        [cart(T0 + MINUTE, "p0"), cart(T0 + 15 * MINUTE, "p1", "p2")],
    )  # fmt: skip
    found = []
    for order_of in sorted(set(permutations("vvvwwpp"))):
        queues = {"v": list(both[0]), "w": list(both[1]), "p": list(both[2])}
        people = People(ADDRESSED).feed(signed_up(T0), *[queues[one].pop(0) for one in order_of])
        found.append((sorted(products(people)), people.known["c1"].cold.cart.total))
    return found


def test_the_cart_of_two_devices_does_not_depend_on_the_order_in_which_they_are_read() -> None:
    first, *others = readings()
    assert len(others) > 100
    assert {(tuple(names), total) for names, total in (first, *others)} == {(("p1", "p2", "v2", "w1"), 8000)}


def test_a_cart_that_was_given_again_with_the_same_content_changes_nothing_after_a_sign_in_either() -> None:
    early = (
        signed_up(T0), cart(T0 + MINUTE, "p1", "p2", customer=V), sign_in(T0 + 2 * MINUTE),
        cart(T0 + 5 * MINUTE, "w1", customer=W),
    )  # fmt: skip
    again, linked = cart(T0 + 9 * MINUTE, "p1", "p2", customer=V), sign_in(T0 + 20 * MINUTE, W)
    for last in ((again, linked), (linked, again)):
        people = People(ADDRESSED).feed(*early, *last).until(T0 + 3 * HOUR)
        assert people.sends == [("c1", "reminder", T0 + 50 * MINUTE)]
        assert sorted(products(people)) == ["p1", "p2", "w1"]


def test_an_order_read_before_the_visitors_cart_comes_overtakes_it() -> None:
    people = People(ADDRESSED, lag=3).feed(
        signed_up(T0), cart(T0, "p1", customer=V), sign_in(T0 + MINUTE), order(T0 + 10 * MINUTE)
    ).until(T0 + 3 * HOUR)  # fmt: skip
    assert people.sends == []
    assert products(people) == []
    assert ("not_entered", "exit_holds") in people.reasons("c1")


def test_an_order_of_the_visitor_ends_what_the_known_customer_is_inside() -> None:
    people = People(ADDRESSED).feed(
        signed_up(T0), cart(T0, "p1"), order(T0 + 10 * MINUTE, customer=V), sign_in(T0 + 20 * MINUTE)
    ).until(T0 + 3 * HOUR)  # fmt: skip
    assert people.sends == []
    assert ("exited", "order_placed") in people.reasons("c1")
    assert people.known["c1"].profile.orders == 1


def test_a_visitors_scenario_that_ended_is_not_begun_again_by_the_same_cart() -> None:
    people = People().feed(cart(T0, "p1", customer=V)).until(T0 + 8 * DAY)
    assert len(people.sends) == 3
    people.feed(sign_in(T0 + 8 * DAY)).until(T0 + 20 * DAY)
    assert len(people.sends) == 3


def test_a_visitor_of_whom_nothing_is_open_is_forgotten_after_30_days_and_comes_back_as_somebody_new() -> None:
    people = People(plan(scenario(Wait(HOUR, 1), name="s"))).feed(view(T0, customer=V))
    people.until(T0 + HOUR + 30 * DAY)
    assert V in people.known
    people.until(T0 + HOUR + 30 * DAY + 1)
    assert V not in people.known
    people.feed(view(T0 + 40 * DAY, customer=V))
    assert people.known[V].profile.first_seen == T0 + 40 * DAY


def test_being_forgotten_does_not_depend_on_whether_the_watermark_stopped_before_the_next_event() -> None:
    calm, stopped = People(), People()
    for people in (calm, stopped):
        people.feed(view(T0, customer=V))
    stopped.until(T0 + 31 * DAY)
    for people in (calm, stopped):
        people.feed(view(T0 + 32 * DAY, customer=V))
    assert calm.known == stopped.known


def test_a_known_customer_is_not_forgotten_and_a_visitor_with_something_open_neither() -> None:
    long = scenario(Wait(60 * DAY, 1), name="s", entries=(Enter("page_viewed", again=Again("once")),))
    people = People(plan(long)).feed(view(T0, customer=V), cart(T0, "p1")).until(T0 + 59 * DAY)
    assert sorted(people.known) == [V, "c1"]


def test_an_alias_is_forgotten_90_days_after_its_last_event() -> None:
    people = People().feed(sign_in(T0), view(T0 + 50 * DAY, customer=V)).until(T0 + 140 * DAY)
    assert V in people.known
    people.until(T0 + 140 * DAY + 1)
    assert V not in people.known


def test_an_erasure_reaches_every_alias() -> None:
    people = People().feed(
        cart(T0, "p1", customer=V), sign_in(T0 + 1), sign_in(T0 + 2, W), event("erasure_requested", T0 + HOUR, "c1")
    )
    assert people.known == {}
    people.feed(view(T0 + 2 * HOUR, customer=V))
    assert people.known[V].identity is None, "and the device is a visitor's again"


def test_an_erasure_under_an_alias_forgets_the_alias_and_leaves_the_account() -> None:
    people = People().feed(sign_in(T0), event("erasure_requested", T0 + HOUR, V))
    assert sorted(people.known) == ["c1"]


def test_an_erasure_that_was_handed_on_forgets_no_device_that_has_become_somebody_elses() -> None:
    people = People(lag=2).feed(sign_in(T0))
    people.deliver()
    people.feed(event("erasure_requested", T0 + HOUR, V), sign_in(T0 + 2 * HOUR, V, "c2"))
    people.deliver().feed(event("erasure_requested", T0 + 3 * HOUR, "c1")).deliver()
    assert people.known[V].identity is not None
    assert people.known[V].identity.alias_of == "c2"


def test_beyond_the_bound_the_oldest_alias_is_forgotten() -> None:
    people = People().feed(*[sign_in(T0 + n, f"anon:{n}") for n in range(ALIASES_MAX + 1)])
    assert people.known["c1"].identity is not None
    assert len(people.known["c1"].identity.aliases) == ALIASES_MAX
    assert "anon:0" not in people.known
    assert "anon:1" in people.known


def test_silent_backfill_of_a_visitor_is_silent_for_the_known_customer_too() -> None:
    people = People(ADDRESSED).feed(signed_up(T0), sign_in(T0 + MINUTE))
    people.feed(cart(T0 + HOUR, "p1", customer=V), silent=True).until(T0 + 5 * HOUR)
    assert people.sends == []
    assert ("not_entered", "late") in people.reasons("c1")


def test_a_late_sign_in_lets_a_cart_that_came_in_time_enter() -> None:
    people = People(ADDRESSED).feed(signed_up(T0), cart(T0, "p1", customer=V))
    people.feed(sign_in(T0 + MINUTE, arrived=T0 + 2 * HOUR)).until(T0 + 5 * HOUR)
    assert people.sends == [("c1", "reminder", T0 + 45 * MINUTE)]


def test_a_state_with_aliases_is_the_same_after_it_was_stored() -> None:
    people = People().feed(cart(T0, "p1", customer=V), sign_in(T0 + 1))
    for one in people.known.values():
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(one), type=Customer) == one
    assert api.next_due(people.known[V]) == T0 + 1 + 90 * DAY
