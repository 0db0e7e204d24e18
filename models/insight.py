"""What a store asks of its journey map, funnels and attribution, as a person writes it in `settings.yaml`."""

from typing import Annotated, Any

from pydantic import Field, field_validator

from models.scenario import EventName, Name, Share, Span, Text, Written, one_or_many

Words = Annotated[str, Field(max_length=200)]


class KpiSpec(Written):
    """Of the visits of a touchpoint, the share after which an event `count` came within a time; `target` is the aim."""

    count: EventName
    within: Span = "1h"
    target: Share | None = None


class TouchpointSpec(Written):
    """One place where customer and store meet: events of some types that satisfy a condition on the event."""

    name: Name
    stage: Words = ""
    note: Words = ""
    on: tuple[EventName, ...] = Field(json_schema_extra=one_or_many)
    where: Text | None = None
    objective: Words = ""
    kpi: KpiSpec | None = None

    @field_validator("on", mode="before")
    @classmethod
    def _many(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value


class FunnelStepSpec(Written):
    """One step of a funnel."""

    name: Name
    on: tuple[EventName, ...] = Field(json_schema_extra=one_or_many)
    where: Text | None = None

    @field_validator("on", mode="before")
    @classmethod
    def _many(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value


def _bare_or_spelled_out(schema: dict[str, Any]) -> None:
    schema["items"] = {"anyOf": [{"type": "string"}, schema["items"]]}


class FunnelSpec(Written):
    """Steps that a customer should take in this order, `within` a time from the first. A bare event type is a step."""

    name: Name
    steps: Annotated[
        tuple[FunnelStepSpec, ...], Field(min_length=2, max_length=12, json_schema_extra=_bare_or_spelled_out)
    ]
    within: Span = "1d"

    @field_validator("steps", mode="before")
    @classmethod
    def _spelled_out(cls, value: object) -> object:
        if not isinstance(value, list | tuple):
            return value
        return [{"name": one, "on": one} if isinstance(one, str) else one for one in value]


class AttributionSpec(Written):
    """Until how long after a click, else an open, an order counts for that message: one order, one message."""

    click: Span = "5d"
    open: Span = "1d"
