"""The true cause of each kind of non-send, where what is known today, or a simple count, would say another."""

from pathlib import Path

import pytest

from tests.explain.story import CART, CART_REMINDER, DAY, HOUR, MINUTE, MONDAY, OPEN, Story, passage, scenario, step

NINE = MONDAY + 9 * HOUR
BOTH = pytest.mark.parametrize("deep", [False, True], ids=["recorded", "replayed"])


@BOTH
def test_consent_that_came_later_was_not_there_then(tmp_path: Path, deep: bool) -> None:
    story = Story(tmp_path / "log", CART_REMINDER, "consent_default: none\n")
    story.event("cart_updated", NINE, **CART)
    # Given before the message was due, but heard of only afterwards.
    story.event("consent_changed", NINE + 30 * MINUTE, arrived=NINE + 2 * HOUR, purpose="marketing", given=True)
    story.at(NINE + 2 * DAY)
    found = story.told(deep=deep)
    first = step(found, "first")
    assert (first.outcome, first.reason) == ("not_sent", "no_consent")
    assert first.text.startswith("no consent at the time: no word on web by then")
    assert "consent came later, with consent_changed of 2026-01-05T09:30:00Z (shop/0/1)" in first.text
    assert step(found, "second").outcome == "pending"


@BOTH
def test_a_refusal_that_was_taken_back_since_is_named(tmp_path: Path, deep: bool) -> None:
    story = Story(tmp_path / "log", CART_REMINDER)
    story.consent(NINE - HOUR, given=False)
    story.event("cart_updated", NINE, **CART)
    story.consent(NINE + 3 * HOUR)
    first = step(story.told(deep=deep), "first")
    assert "web was refused by consent_changed of 2026-01-05T08:00:00Z (shop/0/0)" in first.text


CAPPED = OPEN + "caps: [{channel: web, purpose: marketing, at_most: 1, per: 1d}]\n"
VIEWED = scenario(
    "viewed", "priority: 80\nenter: {on: product_viewed, again: always}\nsteps: [{send: look, channel: web}]\n"
)


@BOTH
def test_the_cap_names_what_held_its_place_and_not_what_was_given_back(tmp_path: Path, deep: bool) -> None:
    story = Story(tmp_path / "log", CART_REMINDER | VIEWED, CAPPED)
    story.event("product_viewed", NINE - 3 * HOUR, product_id="p1", price=1)
    story.receipt(story.commands[-1], "rejected", NINE - 2 * HOUR, "address: none is known")
    story.event("product_viewed", NINE - HOUR, product_id="p2", price=1)
    held = story.commands[-1]
    story.receipt(held, "sent", NINE - 30 * MINUTE)
    story.event("cart_updated", NINE, **CART)
    story.at(NINE + 3 * DAY)
    found = story.told(deep=deep)
    first = step(found, "first")
    assert (first.outcome, first.reason) == ("not_sent", "capped")
    assert first.cause is not None
    assert [one["command"] for one in first.cause.facts["held_by"]] == [held.id]
    # The place counts from the call, which was half an hour after the emission.
    assert first.text == "the cap of 1 web marketing messages in 1d was full: viewed/look of 2026-01-05T08:30:00Z"
    assert step(found, "second").outcome == "pending"


QUIET = OPEN + 'timezone: Europe/Paris\nquiet_hours: {from: "21:00", to: "08:00", channels: [web]}\n'


@BOTH
def test_quiet_hours_in_the_customers_zone_put_it_off_and_an_order_ended_it(tmp_path: Path, deep: bool) -> None:
    story = Story(tmp_path / "log", CART_REMINDER, QUIET)
    story.event(
        "customer_updated", NINE - DAY, attributes={"timezone": "America/New_York"}, timezone="America/New_York"
    )
    # 23:00 in New York, but 05:00 in Paris: where the store is, quiet hours end three hours later.
    story.event("cart_updated", MONDAY + 3 * HOUR, **CART)
    story.event("order_placed", MONDAY + 12 * HOUR, order_id="o1", items=[])
    first = step(story.told(deep=deep), "first")
    assert (first.outcome, first.reason) == ("not_sent", "quiet_hours")
    assert "it was 23:00 in America/New_York, in the quiet hours from 21:00 to 08:00" in first.text
    assert first.text.endswith("before that ended by order_placed of 2026-01-05T12:00:00Z (shop/0/2)")


@BOTH
def test_an_exit_by_a_condition_that_no_longer_holds(tmp_path: Path, deep: bool) -> None:
    files = scenario(
        "reminder",
        "enter: {on: cart_changed, when: size(cart.items) > 0, again: once}\n"
        "exit: [{when: size(cart.items) == 0}]\n"
        "steps: [{wait: 1h}, {send: first, channel: web}]\n",
    )
    story = Story(tmp_path / "log", files)
    story.event("cart_updated", NINE, **CART)
    story.event("cart_updated", NINE + 10 * MINUTE, items=[])
    story.event("cart_updated", NINE + 20 * MINUTE, **CART)
    story.at(NINE + DAY)
    found = story.told(deep=deep)
    first = step(found, "first")
    assert first.outcome == "not_reached"
    assert first.text == "ended as size(cart.items) == 0, at cart_updated of 2026-01-05T09:10:00Z (shop/0/1)"
    assert [(one.reason, one.cause and one.cause.text) for one in found.not_entered] == [
        (
            "again",
            "the last passage ended at 2026-01-05T09:10:00Z (exited: size(cart.items) == 0); the scenario lets nobody in twice",
        )
    ]
    if deep:
        [guard] = [one for line in passage(found).lines if line.outcome == "exited" for one in line.guards]
        assert [(value.text, value.value) for value in guard.values] == [("size(cart.items)", 0)]


@BOTH
def test_held_out_under_the_plan_of_then(tmp_path: Path, deep: bool) -> None:
    story = Story(tmp_path / "log", CART_REMINDER, OPEN + "holdout: {share: 100%, salt: s}\n")
    story.event("cart_updated", NINE, **CART)
    story.at(NINE + 2 * DAY)
    story.plan(CART_REMINDER, OPEN, at=NINE + 2 * DAY)
    story.at(NINE + 3 * DAY)
    found = story.told(deep=deep)
    assert passage(found).held_out
    first = step(found, "first")
    assert first.outcome == "not_reached"
    assert first.text.startswith("held out: the draw ")
    assert "the holdout of all marketing, 100.00%, under the plan of then" in first.text


@BOTH
def test_an_event_that_came_too_late_says_by_how_much(tmp_path: Path, deep: bool) -> None:
    story = Story(tmp_path / "log", CART_REMINDER, OPEN + "lateness_limit: 2h\n")
    story.event("cart_updated", NINE, arrived=NINE + 3 * HOUR, **CART)
    found = story.told(deep=deep)
    assert found.passages == []
    [refused] = found.not_entered
    assert refused.cause is not None
    assert refused.cause.text == (
        "cart_updated of 2026-01-05T09:00:00Z (shop/0/0) arrived at 2026-01-05T12:00:00Z, 3h after it happened;"
        " the limit is 2h: it updated the profile and started nothing"
    )


@BOTH
def test_a_message_that_expired_at_the_sender(tmp_path: Path, deep: bool) -> None:
    files = scenario(
        "reminder",
        "enter: {on: cart_changed, again: always}\nsteps: [{send: first, channel: web, valid_for: 2h}]\n",
    )
    story = Story(tmp_path / "log", files)
    story.event("cart_updated", NINE, **CART)
    story.receipt(story.commands[-1], "expired", NINE + 5 * HOUR, "valid_until has passed")
    first = step(story.told(deep=deep), "first")
    assert first.outcome == "expired"
    assert "(due at 2026-01-05T09:00:00Z, valid until 2026-01-05T11:00:00Z)" in first.text


@BOTH
def test_a_message_that_was_taken_back_names_what_took_it_back(tmp_path: Path, deep: bool) -> None:
    story = Story(tmp_path / "log", CART_REMINDER)
    story.event("cart_updated", NINE, **CART)
    story.at(NINE + HOUR + MINUTE)
    story.event("order_placed", NINE + 2 * HOUR, order_id="o1", items=[])
    story.receipt(story.commands[-1], "cancelled", NINE + 3 * HOUR, "cancelled by the engine")
    found = story.told(deep=deep)
    first = step(found, "first")
    assert first.outcome == "cancelled"
    assert first.text == (
        "cancelled at 2026-01-05T12:00:00Z: cancelled by the engine;"
        " the engine took it back at 2026-01-05T11:00:00Z: order_placed"
    )
    assert step(found, "second").text == "ended by order_placed of 2026-01-05T11:00:00Z (shop/0/1)"


@BOTH
def test_a_pause_that_is_over_by_now(tmp_path: Path, deep: bool) -> None:
    story = Story(tmp_path / "log", CART_REMINDER)
    story.event("cart_updated", NINE, **CART)
    story.switch("paused", NINE + 30 * MINUTE)
    story.switch("active", NINE + 90 * MINUTE)
    story.at(NINE + 2 * DAY)
    found = story.told(deep=deep)
    first = step(found, "first")
    assert (first.outcome, first.reason) == ("not_sent", "paused")
    assert first.text == (
        "an operator had paused reminder at 2026-01-05T09:30:00Z, and resumed it at 2026-01-05T10:30:00Z,"
        " after this was due"
    )
    assert step(found, "second").outcome == "pending"


@BOTH
def test_an_event_that_was_read_twice_began_one_passage(tmp_path: Path, deep: bool) -> None:
    files = scenario("thanks", "enter: {on: order_placed, again: always}\nsteps: [{send: first, channel: web}]\n")
    story = Story(tmp_path / "log", files)
    for at in (NINE, NINE + HOUR):
        story.event("order_placed", at, name="o1", order_id="o1", items=[])
    found = story.told(deep=deep)
    assert len(found.passages) == 1
    [again] = found.repeated
    assert (again.type, again.source) == ("order_placed", "shop/0/1")
    assert again.repeats is not None and again.repeats < again.journal


@BOTH
def test_a_silence_that_counts_is_over_by_now(tmp_path: Path, deep: bool) -> None:
    settings = OPEN + 'silence: [{purpose: marketing, when: \'count("contact_made", "1d") > 0\'}]\n'
    story = Story(tmp_path / "log", CART_REMINDER, settings)
    story.event("contact_made", NINE - HOUR, medium="chat", kind="complaint")
    story.event("cart_updated", NINE, **CART)
    story.at(NINE + 2 * DAY)
    found = story.told(deep=deep)
    first = step(found, "first")
    assert (first.outcome, first.reason) == ("not_sent", "silence")
    assert 'the store keeps silent towards the customer: count("contact_made", "1d") > 0' in first.text
    assert step(found, "second").outcome == "pending"
