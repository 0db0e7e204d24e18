"""Waiting until a moment of local time: what is past, days that are not known, the best hour."""

from datetime import datetime
from typing import Any

import pytest

from pipeline.engine.plan import ExitRule, Plan, Settings, Until
from tests.engine.build import DAY, HOUR, Life, event, expr, plan, scenario, send, view

PARIS = Settings(consent_default="granted", require_address=False, timezone="Europe/Paris")
DUE = expr(lambda env: env.entry["due_on"])


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def under(**said: Any) -> Plan:
    fields: dict[str, Any] = {"next": 1, "skip": 2, "time_ms": 9 * HOUR, **said}
    one = scenario(Until(**fields), send("first", 2), send("second", 3), entry_fields=("due_on",))
    return plan(one, settings=PARIS)


def sent(life: Life) -> list[tuple[str, int]]:
    return life.until(ms("2027-01-01T00:00Z")).sends


def test_until_a_time_waits_for_it_and_goes_on() -> None:
    nine = ms("2026-03-29T09:00+02:00")
    assert sent(Life(under()).feed(view(ms("2026-03-28T22:00+01:00")))) == [("first", nine), ("second", nine)]


def test_at_the_very_time_nothing_is_waited_for() -> None:
    nine = ms("2026-03-27T09:00+01:00")
    assert sent(Life(under()).feed(view(nine)))[0] == ("first", nine)


def test_the_customers_zone_counts() -> None:
    life = Life(under()).feed(event("customer_updated", ms("2026-03-01T00:00Z"), timezone="Asia/Tokyo"))
    assert sent(life.feed(view(ms("2026-03-02T01:00Z"))))[0][1] == ms("2026-03-03T09:00+09:00")


def test_days_before_a_date_at_a_time() -> None:
    life = Life(under(day=DUE, offset_ms=-3 * DAY)).feed(view(ms("2026-03-20T12:00Z"), due_on="2026-03-30"))
    assert sent(life)[0][1] == ms("2026-03-27T09:00+01:00")


def test_a_moment_without_a_time_of_day_is_itself() -> None:
    life = Life(under(day=DUE, time_ms=None, offset_ms=-HOUR)).feed(
        view(ms("2026-03-20T12:00Z"), due_on=ms("2026-03-21T15:20Z"))
    )
    assert sent(life)[0][1] == ms("2026-03-21T14:20Z")


@pytest.mark.parametrize(
    ("if_past", "steps", "reason"),
    [
        ("go_on", ["first", "second"], ("branched", "past")),
        ("skip_next", ["second"], ("branched", "past")),
        ("exit", [], ("exited", "past")),
    ],
)
def test_what_is_past_follows_if_past(if_past: str, steps: list[str], reason: tuple[str, str]) -> None:
    life = Life(under(day=DUE, if_past=if_past)).feed(view(ms("2026-03-20T12:00Z"), due_on="2026-03-20"))
    assert [step for step, _ in sent(life)] == steps
    assert reason in life.reasons


@pytest.mark.parametrize("day", [None, "soon", 2**60, "9999-12-31"])
def test_a_day_that_is_not_known_is_said_and_follows_if_past(day: Any) -> None:
    life = Life(under(day=DUE, offset_ms=DAY, if_past="exit")).feed(view(ms("2026-03-20T12:00Z"), due_on=day))
    assert sent(life) == []
    assert ("failed", "until has no day") in life.reasons


def test_exits_act_while_the_moment_is_awaited() -> None:
    one = scenario(Until(1, 1, time_ms=9 * HOUR), send("first", 2), exits=(ExitRule(on="order_placed", reason="x"),))
    life = Life(plan(one, settings=PARIS)).feed(view(ms("2026-03-20T22:00Z")))
    assert sent(life.feed(event("order_placed", ms("2026-03-20T23:00Z"), order_id="o"))) == []


BEST = under(time_ms=None, best_of="email", within_ms=DAY)


def opened(*times: str, **more: Any) -> Life:
    life = Life(BEST)
    for time in times:
        life.feed(event("message_opened", ms(time), command_id=time, **{"channel": "email", **more}))
    return life


def test_the_best_hour_is_that_of_most_opens_and_clicks() -> None:
    life = opened("2026-03-02T18:10+01:00", "2026-03-03T07:10+01:00", "2026-03-04T18:50+01:00")
    assert sent(life.feed(view(ms("2026-03-10T10:00+01:00"))))[0][1] == ms("2026-03-10T18:00+01:00")


def test_within_the_best_hour_or_without_one_it_is_now() -> None:
    now = ms("2026-03-10T18:20+01:00")
    assert sent(opened("2026-03-02T18:10+01:00").feed(view(now)))[0][1] == now
    assert sent(opened().feed(view(now)))[0][1] == now


def test_opens_by_machines_and_on_other_channels_say_nothing() -> None:
    now = ms("2026-03-10T10:00+01:00")
    assert sent(opened("2026-03-02T18:10+01:00", machine=True).feed(view(now)))[0][1] == now
    assert sent(opened("2026-03-02T18:10+01:00", channel="push").feed(view(now)))[0][1] == now


def test_hours_are_counted_only_where_a_step_asks_for_them() -> None:
    life = Life(plan(settings=PARIS)).feed(event("message_opened", ms("2026-03-02T18:10Z"), channel="email"))
    assert life.known.cold.hours == {}
