"""What the read model holds of one customer, as the records that an explanation is made of.

Each query is one range of an index, and bounded: of a customer with more, the latest are read.
"""

import json
from typing import Any

from sqlalchemy import Connection

from agents.console.queries.base import number, rows
from models.command import Cause, Command
from models.customer import Customer
from models.decision import Decision
from models.event import Event, Position
from models.journal import PlanActivated, ScenarioSwitched
from models.receipt import Receipt
from pipeline.replay.records import Records, Seen

LIMIT = 300
MINE = " where customer = :customer order by {at} desc, {order} limit :limit"


def _latest(connection: Connection, said: str, customer: str, at: str, order: str) -> list[dict[str, Any]]:
    """Return a customer's latest rows, the oldest of them first."""
    found = rows(connection, said + MINE.format(at=at, order=order), customer=customer, limit=LIMIT)
    return found[::-1]


def records(connection: Connection, customer: str, state: Customer | None, ends: int) -> Records:
    """Return a customer's part of the log as the read model keeps it; `ends` is the log time that has come (UTC ms)."""
    found = Records(customer, 0, state=state, ends=ends)
    order = '"partition" desc, "offset" desc'
    events = _latest(connection, "select * from events", customer, "at", f"{order}, number desc")
    found.events = [_seen(row) for row in events]
    decisions = _latest(connection, "select * from decisions", customer, "at", order)
    found.decisions = [_decision(row) for row in decisions]
    found.commands = [
        _command(row) for row in _latest(connection, "select * from commands", customer, "due_at", "id desc")
    ]
    found.receipts = [_receipt(row) for row in _latest(connection, "select * from receipts", customer, "at", order)]
    found.whole = max(len(events), len(decisions)) < LIMIT
    times = [one.event.at for one in found.events] + [one.at for one in found.decisions]
    found.begins = min(times, default=None)
    for row in rows(connection, "select * from controls order by at, id limit 1000"):
        if row["kind"] == "plan":
            found.plans.append(PlanActivated(id=row["id"], plan=row["plan"], at=row["at"]))
        else:
            switched = ScenarioSwitched(id=row["id"], scenario=row["scenario"], state=row["state"], at=row["at"])
            found.switches.append(switched)
    return found


def _seen(row: dict[str, Any]) -> Seen:
    at = row["at"]
    position = Position(row["source"], row["source_partition"], 0, row["source_offset"])
    event = Event(
        id=row["id"], type=row["type"], customer=row["customer"], occurred_at=at,
        arrived_at=max(row["arrived_at"], at), position=position, data=json.loads(row["data"] or "{}"),
    )  # fmt: skip
    return Seen(event, row["offset"])


def _decision(row: dict[str, Any]) -> Decision:
    names = ("customer", "at", "outcome", "reason", "scenario", "enrolment", "step", "event", "command", "version")
    return Decision(**{name: row[name] for name in names}, detail=json.loads(row["detail"] or "{}"))


def _command(row: dict[str, Any]) -> Command:
    names = (
        "id", "scenario", "step", "customer", "channel", "purpose", "due_at", "emitted_at", "valid_until",
        "enrolment", "version", "plan",
    )  # fmt: skip
    cause = Cause(event_id="", source_topic=row["source"], partition=0, offset=row["source_offset"])
    return Command(**{name: row[name] for name in names}, template="", data={}, reason=cause)


def _receipt(row: dict[str, Any]) -> Receipt:
    names = ("command", "customer", "state", "at", "channel", "scenario", "step", "reason", "provider")
    return Receipt(**{name: row[name] for name in names}, purpose="")


def reactions(connection: Connection, customer: str) -> dict[str, dict[str, int]]:
    """Return command -> when it was first opened and clicked (UTC ms, 0 for never)."""
    said = "select id, opened_at, clicked_at from commands where customer = :customer order by due_at desc limit :limit"
    found = rows(connection, said, customer=customer, limit=LIMIT)
    return {row["id"]: {"opened": number(row["opened_at"]), "clicked": number(row["clicked_at"])} for row in found}


def memberships(connection: Connection, customer: str) -> list[dict[str, Any]]:
    """Return what a customer is in, and since when (UTC ms)."""
    return rows(
        connection, "select name, since from members where customer = :customer order by name", customer=customer
    )
