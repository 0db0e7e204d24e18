"""Quiet hours: marketing waits until they end, by the customer's clock; exits act meanwhile; then all checks again."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pipeline.engine.plan import ExitRule, Limit, Plan, QuietHours, Settings, Wait
from pipeline.engine.quiet import end_of_quiet
from tests.engine.build import DAY, HOUR, MINUTE, Life, event, plan, scenario, send, view
from tests.engine.test_local_time import ZONES, moments, named

QUIET = QuietHours(21 * HOUR, 8 * HOUR)
NIGHT = Settings(consent_default="granted", require_address=False, timezone="Europe/Paris", quiet=QUIET)


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


EVENING, MORNING = ms("2026-03-28T21:00+01:00"), ms("2026-03-29T08:00+02:00")


def under(settings: Settings = NIGHT, **said: Any) -> Plan:
    return plan(scenario(send("one", 1, **said)), settings=settings)


def test_a_send_waits_for_the_morning_also_in_the_night_of_23_hours() -> None:
    life = Life(under()).feed(view(EVENING))
    assert life.reasons[-1] == ("waiting", "quiet_hours")
    life.until(MORNING + 1)
    assert [(one.due_at, one.emitted_at) for one in life.commands] == [(MORNING, MORNING)]
    assert life.commands[0].valid_until == MORNING + DAY


def test_before_they_begin_and_when_they_end_it_goes() -> None:
    for at in (EVENING - 1, MORNING):
        assert Life(under()).feed(view(at)).sends == [("one", at)]


def test_a_command_carries_the_customers_zone_where_quiet_hours_hold_for_it_and_nowhere_else() -> None:
    said = event("customer_updated", EVENING - 2 * HOUR, timezone="America/New_York")
    loud, sms = Settings(consent_default="granted", require_address=False), QuietHours(21 * HOUR, 8 * HOUR, ("sms",))
    for settings, zone in ((NIGHT, "America/New_York"), (loud, ""), (replace(NIGHT, quiet=sms), "")):
        (one,) = Life(under(settings)).feed(said, view(EVENING - HOUR)).commands
        assert one.timezone == zone
    (one,) = Life(under()).feed(view(EVENING - HOUR)).commands
    assert one.timezone == "", "the store's"


def test_the_customers_clock_counts() -> None:
    life = Life(under()).feed(event("customer_updated", EVENING - 1, timezone="America/New_York"), view(EVENING))
    assert life.sends == [("one", EVENING)]


def test_other_channels_and_purposes_do_not_wait() -> None:
    phones = replace(NIGHT, quiet=replace(QUIET, channels=("sms", "push")))
    assert Life(under(phones)).feed(view(EVENING)).sends == [("one", EVENING)]
    assert Life(under(phones, channels=("sms",))).feed(view(EVENING)).sends == []
    assert Life(under(purpose="transactional")).feed(view(EVENING)).sends == [("one", EVENING)]


def test_an_exit_in_the_night_ends_what_waits_for_the_morning() -> None:
    leaving = replace(under().scenarios[0], exits=(ExitRule(on="order_placed", reason="bought"),))
    life = Life(plan(leaving, settings=NIGHT)).feed(view(EVENING), event("order_placed", EVENING + HOUR, order_id="o"))
    assert life.until(MORNING + DAY).sends == []


def test_in_the_morning_all_checks_come_again() -> None:
    life = Life(under(replace(NIGHT, consent_default="none")))
    life.feed(event("consent_changed", EVENING - 1, for_channel="*", purpose="marketing", given=True))
    life.feed(view(EVENING), event("consent_changed", EVENING + 1, for_channel="*", purpose="marketing", given=False))
    assert life.until(MORNING + 1).sends == []
    assert life.reasons[-2] == ("suppressed", "no_consent")


def test_who_waits_for_the_night_to_end_holds_no_place_meanwhile() -> None:
    text = scenario(send("text", 1, channels=("sms",)), name="a", limit=Limit(1, DAY))
    life = Life(plan(text, settings=NIGHT)).feed(view(EVENING))
    assert life.known.places == ()
    assert [place.at for place in life.until(MORNING + 1).known.places] == [MORNING]


def test_a_step_that_was_due_at_night_and_is_read_by_day_is_due_in_the_morning() -> None:
    one = scenario(Wait(10 * MINUTE, 1), send("one", 2))
    life = Life(plan(one, settings=NIGHT)).feed(view(EVENING))
    life.feed(event("review_posted", MORNING + HOUR, rating=5), watermark=EVENING).until(MORNING + DAY)
    assert [(one.due_at, one.emitted_at) for one in life.commands] == [(MORNING, MORNING + HOUR)]


hours = st.integers(0, 24 * 60 - 1).map(lambda minute: minute * MINUTE)


@given(moments, hours, hours, st.sampled_from(ZONES))
def test_the_end_of_quiet_hours_is_later_within_25_hours_and_not_quiet(
    now: int, begin: int, end: int, zone: str
) -> None:
    quiet, where = QuietHours(begin, end), named(zone)
    found = end_of_quiet(quiet, now, where)
    if found is not None:
        assert now < found <= now + 25 * HOUR
        assert end_of_quiet(quiet, found, where) is None
