"""Folds `delivery` and `receipts`: the messages, and what became of each."""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from agents.projector.batch import Record, Sums, read
from models.command import Command, DeliveryRecord
from models.receipt import FINAL, Receipt

_delivery = msgspec.json.Decoder(DeliveryRecord)
_receipt = msgspec.json.Decoder(Receipt)


class MessageFold:
    """The commands and receipts of one batch: rows of `commands` by id, receipts, ends by day."""

    def __init__(self, day: Callable[[int, int], str]):
        self._day = day  # from a partition and a time (UTC ms)
        self._commands: dict[str, dict[str, Any]] = {}
        self.receipts: list[tuple[Any, ...]] = []
        self.counts = Sums()

    def read_delivery(self, records: Iterable[Record]) -> None:
        """Take records of `delivery`: the commands among them."""
        for record in records:
            one = read(record, _delivery.decode)
            if isinstance(one, Command):
                self._of(one.id, one).update(
                    enrolment=one.enrolment,
                    version=one.version,
                    source=one.reason.source_topic,
                    source_offset=one.reason.offset,
                    due_at=one.due_at,
                    emitted_at=one.emitted_at,
                    valid_until=one.valid_until,
                    plan=one.plan,
                )

    def read_receipts(self, records: Iterable[Record]) -> None:
        """Take records of `receipts`; an intent says nothing that its outcome does not."""
        for record in records:
            one = read(record, _receipt.decode)
            if one is None or one.state == "intent":
                continue
            row = self._of(one.command, one)
            row.update(state=one.state, reason=one.reason)
            if one.state in FINAL:
                row["ended_at"] = one.at
                day = self._day(record.partition, one.at)
                self.counts.add((day, one.scenario, "", f"receipt_{one.state}", one.step, one.reason[:80]), 1)
            self.receipts.append(
                (
                    record.partition, record.offset, one.at, one.customer, one.command, one.state, one.reason,
                    one.channel, one.scenario, one.step, one.provider,
                )
            )  # fmt: skip

    def touched(self, seen: dict[str, list[int]]) -> None:
        """Note when messages were first opened and clicked, by command."""
        for name, (opened, clicked) in seen.items():
            self._commands.setdefault(name, {"id": name}).update(opened_at=opened, clicked_at=clicked)

    def _of(self, name: str, one: Command | Receipt) -> dict[str, Any]:
        row = self._commands.setdefault(name, {"id": name})
        row.update(
            customer=one.customer, scenario=one.scenario, step=one.step, channel=one.channel, purpose=one.purpose
        )
        return row

    def rows(self) -> list[tuple[Any, ...]]:
        """Return the rows of `commands`, "" and 0 where nothing was said."""
        return [
            (
                row["id"], row.get("customer", ""), row.get("scenario", ""), row.get("step", ""),
                row.get("channel", ""), row.get("purpose", ""), row.get("enrolment", ""), row.get("version", ""),
                row.get("source", ""), row.get("source_offset", 0), row.get("due_at", 0), row.get("emitted_at", 0),
                row.get("state", ""), row.get("reason", ""), row.get("ended_at", 0), row.get("opened_at", 0),
                row.get("clicked_at", 0), row.get("valid_until", 0), row.get("plan", ""),
            )
            for row in self._commands.values()
        ]  # fmt: skip
