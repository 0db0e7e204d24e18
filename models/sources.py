"""`sources.yaml` as a person writes it: which topics are read, by which mapping, and how late they may come."""

from typing import Annotated

from pydantic import Field

from models.scenario import Span, Written


class SourceSpec(Written):
    """One source topic. `delay` is how long after its arrival time a record may still appear (default 10 s)."""

    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9._-]{1,100}$")]
    topic: str | None = None
    mapping: str = "native"
    delay: Span = "10s"


class SourcesSpec(Written):
    """All source topics; their order breaks ties under the records clock."""

    sources: list[SourceSpec] = Field(min_length=1)
