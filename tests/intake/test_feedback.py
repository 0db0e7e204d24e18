"""What comes back from behind the engine: only what ends a command is an event, and nothing is renamed."""

import pytest

from models.event import Event, Position
from models.event_types import PAYLOADS
from models.receipt import FINAL, STATES, Receipt
from pipeline.intake.feedback import event_of_receipt, forwarded
from tests.intake.build import T0

PLACE = Position("receipts", 2, 0, 5)


def receipt(state: str, **more: object) -> Receipt:
    fields = {"command": "k1", "customer": "c", "at": T0, "channel": "email", "scenario": "welcome", "step": "thanks"}
    return Receipt(**{**fields, "state": state, "purpose": "marketing", **more})  # type: ignore[arg-type]


@pytest.mark.parametrize("state", FINAL)
def test_the_end_of_a_command_is_an_event_of_its_customer(state: str) -> None:
    found = event_of_receipt(receipt(state, reason="bounced before", depth=2), PLACE)
    assert found is not None
    assert (found.type, found.customer, found.at, found.depth) == (f"message_{state}", "c", T0, 2)
    assert found.type in PAYLOADS
    assert found.position == PLACE
    assert found.data == {
        "command_id": "k1", "scenario": "welcome", "step": "thanks", "purpose": "marketing", "channel": "email",
        "reason": "bounced before",
    }  # fmt: skip


@pytest.mark.parametrize("state", [state for state in STATES if state not in FINAL])
def test_a_command_that_still_waits_gives_no_event(state: str) -> None:
    assert event_of_receipt(receipt(state), PLACE) is None


def test_a_receipt_that_is_read_twice_is_the_same_event() -> None:
    first = event_of_receipt(receipt("sent"), PLACE)
    again = event_of_receipt(receipt("sent"), Position("receipts", 2, 0, 9))
    assert first is not None
    assert again is not None
    assert first.id == again.id


def test_a_forwarded_event_keeps_its_id_and_times_and_takes_its_new_place() -> None:
    event = Event(
        id="e", type="page_viewed", customer="c", occurred_at=T0, arrived_at=T0 + 1, position=PLACE, data={"url": "u"}
    )
    moved = forwarded(event, Position("forwards", 0, 0, 3))
    assert (moved.id, moved.occurred_at, moved.arrived_at, moved.data) == ("e", T0, T0 + 1, {"url": "u"})
    assert moved.position == Position("forwards", 0, 0, 3)
