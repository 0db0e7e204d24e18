"""The events of a simulation: from a file, as a test's `given` or as native lines, or typed at a prompt."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from models.event import Event, Position
from models.ids import event_id
from models.settings import SettingsSpec
from pipeline.errors import UsageError
from pipeline.intake.native import Fault, Validator
from pipeline.scenario.testing import FIRST_DAY, REACHABLE, WHEN
from pipeline.yaml_places import load_yaml

SOURCE = "simulated"
SECOND_MS = 1_000
LINES = {".ndjson", ".jsonl", ".json"}


class Given:
    """Makes events of one customer, validated as those of a source are."""

    def __init__(self, settings: SettingsSpec, customer: str):
        self.customer = customer
        self._zone = ZoneInfo(settings.timezone)
        self._validator = Validator(settings.store.currency, settings.events)
        self._count = 0

    def reachable(self, before: int) -> Event:
        """Return what makes the customer reachable and willing, a second before a time (UTC ms)."""
        return self._made("customer_updated", before - SECOND_MS, dict(REACHABLE), "the customer")

    def made(self, kind: str, at: int, fields: dict[str, Any]) -> Event:
        """Return an event typed by hand; UsageError says what is wrong with it."""
        return self._made(kind, at, fields, kind)

    def file(self, path: Path, test: str | None = None) -> list[Event]:
        """Return the events of a file in the order in which they arrive; UsageError or PlanError names the fault.

        A YAML file is a list of events, or a scenario's tests, of which `test` names one (else the first).
        """
        if not path.is_file():
            raise UsageError(f"{path}: no such file")
        rows = _lines(path) if path.suffix in LINES else _given(path, test)
        events = [self._row(row, f"{path.name}, event {number}") for number, row in enumerate(rows, 1)]
        if not events:
            raise UsageError(f"{path}: holds no event")
        return sorted(events, key=lambda event: event.arrived_at)

    def _row(self, row: Any, place: str) -> Event:
        if not isinstance(row, dict):
            raise UsageError(f"{place}: an event has fields, as in {{at: '10:00', event: cart_updated, …}}")
        fields = {str(name): value for name, value in row.items()}
        kind = fields.pop("event", None) or fields.pop("type", None)
        at = self.time(fields.pop("at", None) or fields.pop("occurred_at", None), place)
        read = fields.pop("read_at", None)
        fields.pop("customer", None)
        return self._made(str(kind), at, fields, place, at if read is None else self.time(read, place))

    def time(self, text: Any, place: str) -> int:
        """Return a time in UTC ms: ISO 8601, or the time of a test's day ("2d 10:30") in the store's zone."""
        found = WHEN.match(str(text))
        if found:
            days, hour, minute = (int(part or 0) for part in found.groups())
            moment = FIRST_DAY.replace(tzinfo=self._zone)
            day = moment.fromordinal(moment.toordinal() + days).replace(tzinfo=self._zone)
            return round(day.replace(hour=hour, minute=minute).timestamp() * 1000)
        try:
            said = datetime.fromisoformat(str(text))
        except ValueError:
            raise UsageError(f'{place}: {text!r} is not a time: write "10:30", "2d 10:30" or ISO 8601') from None
        return round((said if said.tzinfo else said.replace(tzinfo=UTC)).timestamp() * 1000)

    def _made(self, kind: str, at: int, fields: dict[str, Any], place: str, arrived: int | None = None) -> Event:
        try:
            kind, _, _, _, data = self._validator.convert(
                {"type": kind, "customer": self.customer, "occurred_at": at, **fields}
            )
        except Fault as fault:
            raise UsageError(f"{place}: {fault.reason} {fault.path}".rstrip()) from None
        self._count += 1
        return Event(
            id=event_id(SOURCE, kind, str(self._count)),
            type=kind,
            customer=self.customer,
            occurred_at=at,
            arrived_at=at if arrived is None else arrived,
            position=Position(SOURCE, 0, 0, self._count),
            data=data,
        )


def _lines(path: Path) -> Iterator[Any]:
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        if line.strip():
            try:
                yield orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise UsageError(f"{path}:{number}: not JSON: {error}") from None


def _given(path: Path, test: str | None) -> list[Any]:
    data, _ = load_yaml(path.read_text(), path.name)
    rows = data if isinstance(data, list) else []
    tests = [row for row in rows if isinstance(row, dict) and "given" in row]
    if not tests:
        return rows
    named = [row for row in tests if test in {None, row.get("test")}]
    if not named:
        known = ", ".join(repr(row.get("test")) for row in tests)
        raise UsageError(f"{path}: no test {test!r}; there are {known}")
    return list(named[0]["given"])
