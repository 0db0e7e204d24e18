"""Source records to native events or dead letters, for one source partition."""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import orjson

from models.dead_letter import DeadLetter
from models.event import Event, Position
from models.identity import ANONYMOUS, LINKED, is_anonymous
from models.ids import content_event_id, derived_event_id, event_id
from models.mapping import MappingSpec
from pipeline.intake.native import Fault, Validator, checked_visitor, plausible, to_ms
from pipeline.intake.paths import condition, field_getter, fields_getter, path_getter
from pipeline.intake.record import SourceRecord

RECORD_BYTES_MAX = 1024 * 1024
# An open group is kept in memory and read again after a restart: it must stay small. A year of real invoices has 542
# lines in its longest.
GROUP_LINES_MAX = 2_000
Out = list[Event | DeadLetter]


class Group:
    """Adjacent records of one key, not yet an event."""

    def __init__(self, key: tuple[Any, ...], record: SourceRecord, fields: dict[str, Any]):
        self.key = key
        self.record = record
        self.fields = fields
        self.items: list[dict[str, Any]] = []
        self.lines: list[SourceRecord] = []


class Mapper:
    """Maps the records of one source partition, in order. Lines of one group become one event when the group closes."""

    def __init__(self, spec: MappingSpec, source: str, validator: Validator):
        self.spec = spec
        self.source = source
        self.validator = validator
        self._open: Group | None = None
        self._group: list[Callable[[Any], Any]] | None = None
        validator.check(spec)
        if spec.native:
            return
        assert spec.time is not None and spec.customer is not None
        self._visitor = field_getter(spec.anonymous) if spec.anonymous is not None else lambda fields, content: None
        self._named = field_getter(spec.customer)
        self._time = path_getter(spec.time.path)
        self._ids = [path_getter(path) for path in spec.id]
        self._events = [(one.type, condition(one.when), fields_getter(one.fields)) for one in spec.events]
        if spec.group:
            self._group = [path_getter(path) for path in spec.group.by]
        self._line = fields_getter(spec.group.items) if spec.group else None

    @property
    def open_from(self) -> int | None:
        """Return the offset of the open group's first record: a committed offset never passes it."""
        return self._open.record.offset if self._open else None

    @property
    def open_time(self) -> int | None:
        """Return the open group's time (UTC ms): no tick may pass it."""
        return self._open.record.timestamp_ms if self._open else None

    def feed(self, record: SourceRecord) -> Out:
        """Return what a record gives, the event of the group that it closes included."""
        if record.value is None and not record.fault:
            return [*self.flush(), self._dead(record, Fault("a record without a value"))]
        if record.fault or (record.value is not None and len(record.value) > RECORD_BYTES_MAX):
            fault = record.fault or f"a record of over {RECORD_BYTES_MAX} bytes"
            return [*self.flush(), self._dead(record, Fault(fault))]
        try:
            if self.spec.native:
                return self._native(record)
            fields = fields_of(record)
            if self._group is not None:
                return self._grouped(record, fields)
            return list(self._mapped(record, fields, {}))
        except Fault as fault:
            return [self._dead(record, fault)]

    def group_key(self, record: SourceRecord) -> tuple[Any, ...] | None:
        """Return what the adjacent lines of one event share; None for a record that stands alone."""
        if self._group is None or record.fault or record.value is None or len(record.value) > RECORD_BYTES_MAX:
            return None
        try:
            fields = fields_of(record)
        except Fault:
            return None
        if self._customer(fields, record.value) is None:
            return None
        return tuple(follow(fields) for follow in self._group)

    def flush(self) -> Out:
        """Close the open group."""
        group, self._open = self._open, None
        if group is None:
            return []
        try:
            return list(self._mapped(group.record, group.fields, {"items": group.items}))
        except Fault as fault:
            # One bad line spoils its order: every line is kept, so that the order can be replayed whole.
            return [self._dead(line, fault) for line in group.lines]

    def time_of(self, record: SourceRecord) -> int:
        """Return a record's own time (UTC ms); Fault where it has none."""
        if self.spec.native:
            fields = fields_of(record)
            if "occurred_at" not in fields:
                raise Fault("Object missing required field `occurred_at`", "$")
            return to_ms(fields["occurred_at"])
        return self._time_of(fields_of(record))

    def _time_of(self, fields: dict[str, Any]) -> int:
        spec = self.spec.time
        assert spec is not None
        said = self._time(fields)
        if said is None or said == "":
            raise Fault("no time", f"$.{spec.path}")
        return _parsed(said, spec.format, spec.zone, spec.path)

    def _customer(self, fields: dict[str, Any], content: bytes) -> Any:
        """Return the customer that a record names, else its visitor, else None."""
        named = self._named(fields, content)
        visitor = self._visitor(fields, content) if named is None else None
        return named if visitor is None else f"{ANONYMOUS}{visitor}"

    def _native(self, record: SourceRecord) -> Out:
        assert record.value is not None
        kind, source_id, customer, occurred_at, data = self.validator.decode(record.value)
        visitor = data.pop("anonymous_id", None)
        event = self._event(record, 0, kind, customer, occurred_at, data, source_id)
        return [event, *_sign_in(event, visitor, 1)]

    def _grouped(self, record: SourceRecord, fields: dict[str, Any]) -> Out:
        assert self._group is not None and self._line is not None and record.value is not None
        if self._customer(fields, record.value) is None:
            return [*self.flush(), self._dead(record, Fault("no customer", "$.customer"))]
        key = tuple(follow(fields) for follow in self._group)
        done = self.flush() if self._open is not None and self._open.key != key else []
        if self._open is None:
            self._open = Group(key, record, fields)
        if len(self._open.items) >= GROUP_LINES_MAX:
            # A second event of the same id would be taken for a duplicate, and these lines lost in silence.
            return [self._dead(record, Fault(f"a group of over {GROUP_LINES_MAX} lines"))]
        self._open.items.append(self._line(fields, record.value))
        self._open.lines.append(record)
        return done

    def _mapped(self, record: SourceRecord, fields: dict[str, Any], more: dict[str, Any]) -> Out:
        assert record.value is not None
        customer = self._customer(fields, record.value)
        if customer is None:
            raise Fault("no customer", "$.customer")
        occurred_at = self._time_of(fields)
        visitor = self._visitor(fields, record.value)
        source_id = "/".join(str(follow(fields)) for follow in self._ids) if self._ids else None
        if visitor is not None:
            more = {"anonymous_id": visitor, **more}
        found: Out = []
        for kind, holds, get in self._events:
            if holds(fields):
                raw = {"type": kind, "customer": customer, "occurred_at": occurred_at, **get(fields, record.value)}
                _, _, person, at, data = self.validator.convert({**raw, **more})
                data.pop("anonymous_id", None)
                event = self._event(record, len(found), kind, person, at, data, source_id)
                found += [event, *_sign_in(event, visitor, len(found) + 1)]
                if self._group is not None:
                    break
        if not found:
            raise Fault("no event of the mapping fits this record")
        return found

    def _event(
        self,
        record: SourceRecord,
        index: int,
        kind: str,
        customer: str,
        at: int,
        data: dict[str, Any],
        name: str | None,
    ) -> Event:
        assert record.value is not None
        return Event(
            id=content_event_id(self.source, record.value, index)
            if name is None
            else event_id(self.source, kind, name, index),
            type=kind,
            customer=customer,
            occurred_at=at,
            arrived_at=at if record.timestamp_ms is None else record.timestamp_ms,
            position=Position(self.source, record.partition, record.epoch, record.offset, index),
            data=data,
        )

    def _dead(self, record: SourceRecord, fault: Fault) -> DeadLetter:
        return DeadLetter(
            stage="intake",
            reason=fault.reason,
            path=fault.path,
            source=self.source,
            partition=record.partition,
            epoch=record.epoch,
            offset=record.offset,
            key=record.key,
            value=record.value,
            headers=record.headers,
            at=record.timestamp_ms or 0,
        )


def _sign_in(event: Event, visitor: str | int | None, index: int) -> Out:
    """Return the link that a sign-up with both ids is, at the next index of its record."""
    if visitor is None or event.type != "customer_signed_up" or is_anonymous(event.customer):
        return []
    linked = msgspec.structs.replace(
        event,
        id=derived_event_id(event.id, LINKED),
        type=LINKED,
        customer=checked_visitor(visitor),
        position=msgspec.structs.replace(event.position, index=index),
        data={"known_id": event.customer},
    )
    return [linked]


def fields_of(record: SourceRecord) -> dict[str, Any]:
    """Return a record's value as an object; Fault where it is none."""
    if record.fields is not None:
        return record.fields
    try:
        fields = orjson.loads(record.value or b"")
    except orjson.JSONDecodeError as error:
        raise Fault(f"not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise Fault("not a JSON object", "$")
    return fields


@lru_cache(maxsize=4096)
def _strptime_ms(text: str, pattern: str, zone: str) -> int:
    moment = datetime.fromisoformat(text) if pattern == "iso" else datetime.strptime(text, pattern)  # noqa: DTZ007 - the zone is set below
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(zone))
    return round(moment.timestamp() * 1000)


def _parsed(said: Any, pattern: str, zone: str, path: str) -> int:
    try:
        if pattern == "epoch_ms":
            found = round(float(said))
        elif pattern == "epoch_s":
            found = round(float(said) * 1000)
        else:
            found = _strptime_ms(str(said), pattern, zone)
    except (ValueError, TypeError, OverflowError):
        raise Fault(f"{said!r} is not a time", f"$.{path}") from None
    return plausible(found, said, path)


def validator_for(currency: str, events: Mapping[str, Mapping[str, str]] | None = None) -> Validator:
    """Return a validator for a store: its currency, and the events that its settings declare."""
    return Validator(currency, events)
