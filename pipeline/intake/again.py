"""Dead letters read again: what their records give now, after the mapping, the settings or the code was mended.

Letters of one source partition are read in their order, so that the lines of an order that stopped together come back
together. The events keep their own ids and times: an event that is there already is a duplicate, and one that is long
past updates the profile and starts nothing.
"""

from collections.abc import Iterable

import msgspec
import orjson

from models.dead_letter import DeadLetter
from models.event import Event, Position
from models.receipt import Receipt
from pipeline.intake.feedback import FORWARDS, RECEIPTS, event_of_receipt
from pipeline.intake.mapper import Mapper
from pipeline.intake.record import SourceRecord

ENGINE = "engine"
_event = msgspec.json.Decoder(Event)
_receipt = msgspec.json.Decoder(Receipt)


def read_again(letters: Iterable[DeadLetter], mapper: Mapper | None) -> tuple[list[Event], list[DeadLetter]]:
    """Return the events that letters of one source give now, and the letters that still give none, each with why.

    `mapper` is the source's; None for our own streams, and where only the engine stopped at the events.
    """
    found: list[Event | DeadLetter] = []
    for letter in sorted(letters, key=lambda one: (one.partition, one.offset, one.index)):
        if letter.stage == ENGINE or letter.source in {FORWARDS, RECEIPTS}:
            found += _of_ours(letter)
        elif mapper is None:
            found.append(_still(letter, f"the mapping of {letter.source} is not known: name it"))
        else:
            found += mapper.feed(_record(letter))
    if mapper is not None:
        found += mapper.flush()
    events = [one for one in found if isinstance(one, Event)]
    return events, [one for one in found if isinstance(one, DeadLetter)]


def _still(letter: DeadLetter, reason: str) -> DeadLetter:
    return msgspec.structs.replace(letter, reason=reason)


def _of_ours(letter: DeadLetter) -> list[Event | DeadLetter]:
    """Return the event that stands in a letter of the engine's, or of a stream of ours."""
    try:
        if letter.stage != ENGINE and letter.source == RECEIPTS:
            position = Position(letter.source, letter.partition, letter.epoch, letter.offset, letter.index)
            done = event_of_receipt(_receipt.decode(letter.value or b""), position)
            return [done] if done is not None else []
        return [_event.decode(letter.value or b"")]
    except msgspec.DecodeError as error:
        return [_still(letter, str(error))]


def _record(letter: DeadLetter) -> SourceRecord:
    """Return the source record that a letter holds whole."""
    return SourceRecord(
        source=letter.source,
        partition=letter.partition,
        epoch=letter.epoch,
        offset=letter.offset,
        timestamp_ms=letter.at or None,
        key=letter.key,
        value=letter.value,
        headers=letter.headers,
        fault=_fault(letter),
    )


def _fault(letter: DeadLetter) -> str:
    """Return why a line of a file is still no record: one with columns too many keeps them under an empty name."""
    try:
        fields = orjson.loads(letter.value or b"")
    except orjson.JSONDecodeError:
        return ""
    return letter.reason if isinstance(fields, dict) and "" in fields else ""
