"""A mapping file as a person writes it: how one source record becomes native events."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from models.scenario import EventName, Written
from models.settings import known_zone

PathText = Annotated[str, Field(pattern=r"^[^\s.\[\]]+(\[\d+\])*(\.[^\s.\[\]]+(\[\d+\])*)*$")]
Scalar = str | int | float | bool


class TimeSpec(Written):
    """Where a record's own time stands and how it is written; `zone` is for times without one."""

    path: PathText
    format: str = "iso"  # iso | epoch_s | epoch_ms | a strptime pattern
    zone: str = "UTC"

    @field_validator("format")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in {"iso", "epoch_s", "epoch_ms"} and "%" not in value:
            raise ValueError(f"{value!r} is no format: iso, epoch_s, epoch_ms, or a pattern as in %d/%m/%Y %H:%M")
        return value

    @field_validator("zone")
    @classmethod
    def _zone(cls, value: str) -> str:
        return known_zone(value)


class FieldSpec(Written):
    """One field: a path with small changes, a constant, or a hash of the record."""

    path: PathText | None = None
    const: Scalar | None = None
    content_id: bool = False
    absolute: bool = False
    strip: str = ""
    map: dict[str, Scalar] = {}
    item: dict[str, "FieldSpec | PathText"] | None = None  # a list at `path`, each of its objects read by these

    @model_validator(mode="after")
    def _one_kind(self) -> "FieldSpec":
        if sum([self.path is not None, self.const is not None, self.content_id]) != 1:
            raise ValueError("a field has one of `path`, `const` and `content_id`")
        return self


Fields = dict[str, FieldSpec | PathText | list[dict[str, FieldSpec | PathText]]]


class EventSpec(Written):
    """One native event that a record gives, if its `when` holds: each path equals its value, or begins with `text*`."""

    type: EventName
    when: dict[PathText, Scalar] = {}
    fields: Fields = {}


class GroupSpec(Written):
    """Adjacent records with equal values at these paths are one event; each gives one line of `items`."""

    by: list[PathText] = Field(min_length=1)
    items: dict[str, FieldSpec | PathText]


class FileSpec(Written):
    """How a file of such records is written; a topic's records are JSON objects.

    `spaces` stand for any number of blanks between columns. `order: time` is for files that are sorted by something
    else, as by customer: read in the order of their times.
    """

    separator: Literal[",", ";", "tab", "spaces"] = ","
    order: Literal["file", "time"] = "file"


class MappingSpec(Written):
    """A whole mapping file; `native` records are our own events and need no paths.

    `anonymous` is the id of a visitor before a sign-in: the customer, as `anon:` and that id, where none is named.
    """

    mapping: str
    source: str = ""
    native: bool = False
    file: FileSpec = FileSpec()
    customer: FieldSpec | PathText | None = None
    anonymous: FieldSpec | PathText | None = None
    time: TimeSpec | None = None
    id: list[PathText] = []
    group: GroupSpec | None = None
    events: list[EventSpec] = []

    @model_validator(mode="before")
    @classmethod
    def _whole(cls, value: Any) -> Any:
        if isinstance(value, dict) and not value.get("native"):
            for name in ("customer", "time", "events"):
                if not value.get(name):
                    raise ValueError(f"{name!r} is missing")
        return value


FieldSpec.model_rebuild()
