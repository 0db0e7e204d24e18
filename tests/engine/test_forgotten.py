"""What becomes of a message of somebody who was forgotten begins nothing anew; what they do themselves does."""

import pytest
from msgspec.structs import replace

from models.event import Event, Position
from pipeline.engine.api import apply_event
from tests.engine.build import T0, event, plan


@pytest.mark.parametrize("source", ["receipts", "collected"])
@pytest.mark.parametrize("kind", ["message_sent", "message_cancelled", "message_opened", "message_clicked"])
def test_what_is_heard_of_a_message_keeps_nothing_of_nobody(source: str, kind: str) -> None:
    done = apply_event(None, replaced(event(kind, T0), source), 0, plan())
    assert (done.customer, done.decisions, done.commands) == (None, [], [])


def test_a_wish_of_the_same_person_or_an_open_that_the_store_tells_begins_a_state() -> None:
    for kind, source in (("consent_changed", "collected"), ("message_opened", "email-opens")):
        data = {"given": True, "for_channel": "email", "purpose": "marketing"} if kind == "consent_changed" else {}
        done = apply_event(None, replaced(event(kind, T0, **data), source), 0, plan())
        assert done.customer is not None


def replaced(one: Event, source: str) -> Event:
    return replace(one, position=Position(source))
