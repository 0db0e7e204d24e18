"""Fairness, whatever comes: caps in every window, quiet hours in every zone on days of change, consent, edits."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from models.command import Command
from models.event import Event
from pipeline.engine import api
from pipeline.engine.plan import Cap, Plan, QuietHours, Settings, Wait, make_plan
from pipeline.engine.quiet import end_of_quiet
from tests.engine.build import DAY, HOUR, MINUTE, Life, event, scenario, send
from tests.engine.test_local_time import ZONES, named

# Both changes of both hemispheres lie within the four days after one of these.
BEGINS = [
    round(datetime.fromisoformat(day).timestamp() * 1000)
    for day in ("2026-03-27T00:00Z", "2026-10-23T00:00Z", "2026-04-03T00:00Z", "2026-09-25T00:00Z", "2026-03-06T00:00Z")
]
QUIET = QuietHours(21 * HOUR, 8 * HOUR)
CAPS = (Cap(2, DAY, "email", "marketing"), Cap(3, 2 * DAY, None, "marketing", free_above=80, free_count=1))
FAIR = Settings(require_address=False, timezone="Europe/Paris", quiet=QUIET, caps=CAPS)


def rules(under: Settings = FAIR, version: str = "1", **more: Any) -> Plan:
    mails = [
        scenario(
            send("now", 1, if_capped=capped), Wait(wait, 2), send("then", 3, channels=("email", "sms"), if_capped=capped),
            name=name, priority=priority, on=on, version=version, on_change=more.get("on_change", "pin"),
        )
        for name, priority, on, wait, capped in (
            ("low", 20, "page_viewed", 5 * HOUR, "wait"),
            ("high", 90, "search_performed", 90 * MINUTE, "skip"),
        )
    ]  # fmt: skip
    bill = scenario(send("bill", 1, purpose="transactional"), name="bill", purpose="transactional", on="order_placed")
    return make_plan(f"plan-{version}", [*mails, bill], under, pinned=more.get("pinned"))


KINDS = ("page_viewed", "search_performed", "order_placed", "yes", "no", "bounce")
rows = st.lists(st.tuples(st.integers(0, 4 * 24 * 60), st.sampled_from(KINDS)), max_size=16)


def history(begin: int, some: list[tuple[int, str]], zone: str) -> list[Event]:
    found = [event("customer_updated", begin - 1, timezone=zone)]
    for number, (minute, kind) in enumerate(sorted(some)):
        at = begin + minute * MINUTE
        if kind in {"yes", "no"}:
            said = {"for_channel": "*", "purpose": "marketing", "given": kind == "yes"}
            found.append(event("consent_changed", at, salt=str(number), **said))
        elif kind == "bounce":
            found.append(event("message_bounced", at, salt=str(number), channel="email", permanent=True))
        else:
            found.append(event(kind, at, salt=str(number), order_id=f"o{number}"))
    return found


def lived(begin: int, some: list[tuple[int, str]], zone: str, under: Plan) -> Life:
    return Life(under).feed(*history(begin, some, zone)).until(begin + 60 * DAY)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(BEGINS), rows, st.sampled_from(ZONES))
def test_fair_to_everybody_whatever_comes(begin: int, some: list[tuple[int, str]], zone: str) -> None:
    life = lived(begin, some, zone, rules(replace(FAIR, consent_default="granted")))
    marketing = [one for one in life.commands if one.purpose == "marketing"]
    _within_caps(marketing)
    for one in marketing:
        for moment in (one.due_at, one.emitted_at):
            assert end_of_quiet(QUIET, moment, named(zone)) is None
    assert life.known.enrolments == ()
    bills = [one.due_at for one in life.commands if one.step == "bill"]
    assert bills == sorted(begin + minute * MINUTE for minute, kind in some if kind == "order_placed")
    assert len({one.id for one in life.commands}) == len(life.commands)


def _within_caps(marketing: list[Command]) -> None:
    mails = [one.emitted_at for one in marketing if one.channel == "email"]
    assert all(later - first >= DAY for first, later in zip(mails, mails[2:], strict=False))
    every = [one.emitted_at for one in marketing]
    assert all(later - first >= 2 * DAY for first, later in zip(every, every[3:], strict=False))


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(BEGINS), rows, st.sampled_from(ZONES))
def test_nobody_without_consent_gets_marketing(begin: int, some: list[tuple[int, str]], zone: str) -> None:
    life = lived(begin, some, zone, rules())
    said = [(begin + minute * MINUTE, kind == "yes") for minute, kind in some if kind in {"yes", "no"}]
    for one in life.commands:
        before = [word for word in said if word[0] <= one.emitted_at]
        last = max((at for at, _ in before), default=0)
        # Of two words at one millisecond either may be the later one.
        assert one.purpose != "marketing" or (last, True) in before


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(BEGINS), rows, st.integers(0, 5 * 24 * 60), st.sampled_from(("pin", "migrate", "drain")))
def test_an_edit_in_the_middle_sends_nothing_twice_and_leaves_nobody_inside(
    begin: int, some: list[tuple[int, str]], minute: int, on_change: str
) -> None:
    granted = Settings(consent_default="granted", require_address=False)
    old = rules(granted)
    new = rules(granted, "2", on_change=on_change, pinned=old.versions)
    at = begin + minute * MINUTE
    life = Life(old)
    events = history(begin, some, "Europe/Paris")
    life.feed(*[one for one in events if one.at < at]).until(at)
    life.plan = new
    if life.customer is not None:
        life._keep(api.activate(life.known, new, at, at))
    life.feed(*[one for one in events if one.at >= at]).until(begin + 60 * DAY)
    assert len({one.id for one in life.commands}) == len(life.commands)
    assert life.known.enrolments == ()
    entered = {one.enrolment: one.at for out in life.out for one in out.decisions if one.outcome == "entered"}
    for one in life.commands:
        if one.emitted_at < at or one.scenario == "bill":
            continue
        before = entered[one.enrolment] < at
        assert one.version == ("1" if before and on_change != "migrate" else "2")
        assert on_change != "drain" or before


def test_the_histories_reach_what_they_are_to_prove() -> None:
    some = [(number * 30, "page_viewed") for number in range(8)] + [(700, "search_performed"), (1300, "page_viewed")]
    life = lived(BEGINS[0], [*some, (0, "yes")], "Europe/Paris", rules())
    reasons = {reason for outcome, reason in life.reasons if outcome in {"waiting", "suppressed"}}
    assert {"capped", "quiet_hours"} <= reasons
    assert {one.scenario for one in life.commands} == {"low", "high"}
