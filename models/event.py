"""The native event: what one source record says about one customer, after mapping and validation."""

from typing import Any

import msgspec


class Position(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Where an event was read: source name, partition, epoch of the topic, offset of the record, index within it."""

    source: str
    partition: int = 0
    epoch: int = 0
    offset: int = 0
    index: int = 0


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="event"):
    """One event of one customer.

    `occurred_at` is the source's claim and `arrived_at` Kafka's timestamp of the source record, both UTC milliseconds.
    `data` holds the fields of the type (see `models.event_types`): money as minor units, times as UTC milliseconds.
    `depth` counts how many of our own messages stand between this event and a customer's own act. `silent` is set on
    an event that was handed on to another customer and may start nothing there either (see `engine.identity`).
    """

    id: str
    type: str
    customer: str
    occurred_at: int
    arrived_at: int
    position: Position
    data: dict[str, Any] = {}
    depth: int = 0
    silent: bool = False

    @property
    def at(self) -> int:
        """The time that every rule uses: the earlier of claim and arrival (no event is of the future)."""
        return self.occurred_at if self.occurred_at < self.arrived_at else self.arrived_at
