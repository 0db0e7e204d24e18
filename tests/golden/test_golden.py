"""Recorded journals decide byte for byte as when they were recorded (CONTRIBUTING.md says how to change that)."""

from dataclasses import replace

import msgspec
import pytest

from models.customer import Enrolment
from pipeline.engine import sending, steps, waits
from pipeline.engine.plan import Wait
from pipeline.engine.work import Work
from tests.golden.journal import FOLDER, differences, expected, outcome, read
from tests.golden.stories import STORIES, VOUCHER_KEY

BYTES_MAX = 300_000
# A set that reaches none of these would be green whatever became of them.
REACHED = {
    "bound by": {("suppressed", "capped"), ("suppressed", "limit"), ("waiting", "limit"), ("suppressed", "silence")},
    "kept from": {("suppressed", "no_address"), ("suppressed", "no_consent"), ("suppressed", "paused")},
    "waited for": {("waiting", "quiet_hours")},
    "entered by": {("entered", "order_placed"), ("entered", "segment_entered"), ("entered", "date_reached")},
    "kept out by": {("not_entered", "late"), ("not_entered", "inside"), ("not_entered", "draining")},
    "ended by": {
        ("exited", "order_placed"),
        ("exited", "stopped"),
        ("exited", "identified"),
        ("completed", "held_out"),
    },
    "taken back by": {("cancelled", "order_placed"), ("settled", "expired"), ("settled", "overdue")},
    "known as": {("merged", "identified"), ("dropped", "shared_device"), ("dropped", "erasure")},
}


def said(name: str) -> list[str]:
    plans, messages = read(name)
    return [str(one) for one in differences(expected(name), outcome(plans, messages, VOUCHER_KEY))]


@pytest.mark.parametrize("name", STORIES)
def test_a_recorded_journal_decides_as_before(name: str) -> None:
    found = said(name)
    assert found == [], "\n".join(["decisions have changed: CONTRIBUTING.md says what to do", *found])


def test_the_set_reaches_what_it_is_to_guard_and_stays_small() -> None:
    rows = [(stream, msgspec.json.decode(raw)) for name in STORIES for _, stream, raw in expected(name)]
    reached = {(one["outcome"], one["reason"]) for stream, one in rows if stream == "decisions"}
    assert {what: wanted - reached for what, wanted in REACHED.items() if wanted - reached} == {}
    assert any(one["outcome"] == "migrated" for stream, one in rows if stream == "decisions")
    assert {stream for stream, _ in rows} == {"commands", "cancels", "decisions", "forwards", "vouchers", "state"}
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < BYTES_MAX


def test_a_rule_that_decides_otherwise_turns_it_red_with_customer_and_step(monkeypatch: pytest.MonkeyPatch) -> None:
    def begin_wait(work: Work, enrolment: Enrolment, op: Wait) -> None:
        waits.begin_wait(work, enrolment, replace(op, for_ms=op.for_ms + 1))

    monkeypatch.setattr(steps, "begin_wait", begin_wait)
    found = said("store")
    assert found
    assert any("customer c" in one and "commands, step cart/reminder: was {" in one for one in found)


def test_a_check_that_is_left_out_turns_it_red_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "quiet_until", lambda *_: None)
    assert any("quiet_hours" in one for one in said("store"))


def test_one_byte_of_a_state_is_seen() -> None:
    was = expected("store")
    customer, stream, raw = was[-1]
    assert stream == "state"
    now = [*was[:-1], (customer, stream, raw.replace(b'"now":1', b'"now":2', 1))]
    assert [(one.customer, one.stream) for one in differences(was, now)] == [(customer, "state")]
