"""What comes back from behind the engine: receipts, forwarded events, what the collector heard; each a source."""

import msgspec

from models.event import Event, Position
from models.identity import FORWARDS
from models.ids import event_id
from models.receipt import FINAL, Receipt

__all__ = ["COLLECTED", "FORWARDS", "RECEIPTS", "event_of_receipt", "forwarded"]

RECEIPTS = "receipts"
COLLECTED = "collected"


def event_of_receipt(receipt: Receipt, position: Position) -> Event | None:
    """Return the event of a command's end; None for an intent, or a command that still waits."""
    if receipt.state not in FINAL:
        return None
    kind = f"message_{receipt.state}"
    data = {
        "command_id": receipt.command,
        "scenario": receipt.scenario,
        "step": receipt.step,
        "purpose": receipt.purpose,
        "channel": receipt.channel,
    }
    if receipt.reason:
        data["reason"] = receipt.reason
    return Event(
        id=event_id(RECEIPTS, kind, receipt.command),
        type=kind,
        customer=receipt.customer,
        occurred_at=receipt.at,
        arrived_at=receipt.at,
        position=position,
        data=data,
        depth=receipt.depth,
    )


def forwarded(event: Event, position: Position) -> Event:
    """Return a forwarded event at its place in `forwards`, with its original id and times."""
    return msgspec.structs.replace(event, position=position)
