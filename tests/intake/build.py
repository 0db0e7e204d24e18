"""Source records and mappings for the tests of intake."""

from typing import Any

import orjson

from models.dead_letter import DeadLetter
from models.event import Event
from models.mapping import MappingSpec
from pipeline.intake.mapper import Mapper, validator_for
from pipeline.intake.record import SourceRecord

T0 = 1_700_000_000_000
VALIDATOR = validator_for(
    "EUR", {"form_downloaded": {"form": "string", "fee": "money", "signed_at": "time", "n": "int"}}
)


def record(value: bytes | dict[str, Any] | None, offset: int = 0) -> SourceRecord:
    content = orjson.dumps(value) if isinstance(value, dict) else value
    return SourceRecord(
        source="s", offset=offset, timestamp_ms=T0 + 60_000, key=b"k", value=content, headers=[("h", b"1")]
    )


def native(**fields: Any) -> dict[str, Any]:
    return {"type": "page_viewed", "customer": "c", "occurred_at": T0, **fields}


def native_mapper() -> Mapper:
    return Mapper(MappingSpec.model_validate({"mapping": "native", "native": True}), "s", VALIDATOR)


def mapper(**mapping: Any) -> Mapper:
    spec = {"mapping": "test", "customer": "who", "time": {"path": "at", "format": "epoch_ms"}, **mapping}
    return Mapper(MappingSpec.model_validate(spec), "s", VALIDATOR)


def event(found: list[Event | DeadLetter]) -> Event:
    [one] = found
    assert isinstance(one, Event), one
    return one


def letter(found: list[Event | DeadLetter]) -> DeadLetter:
    [one] = found
    assert isinstance(one, DeadLetter), one
    return one
