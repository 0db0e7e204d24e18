"""What is still there of a customer who was forgotten: in the state, which must hold nothing, and in the past.

`Left.until` says what ends it; without it, it should be gone already.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from models.customer import Customer
from models.receipt import FINAL
from pipeline.runtime import operator
from pipeline.runtime.checkpoints import checkpoints_of
from pipeline.runtime.folder import STREAMS, Folder
from pipeline.runtime.inbox import rows_of
from pipeline.runtime.reading import DataFolder
from pipeline.store.rocks import DUE, TIMER

FOLDER_LIVES = "this data folder is deleted: an embedded run keeps its streams"


@dataclass(frozen=True)
class Left:
    """So many records of one kind; `until` is what ends them, empty where they should not be there."""

    what: str
    count: int
    until: str = ""


@dataclass
class Report:
    """All that was found, what should not be there first."""

    rows: list[Left] = field(default_factory=list)

    def add(self, what: str, count: int, until: str = "") -> None:
        """Note what was found, if anything was."""
        if count:
            self.rows.append(Left(what, count, until))

    @property
    def readable(self) -> list[Left]:
        """Return what should be gone and is not."""
        return [one for one in self.rows if not one.until]

    @property
    def kept(self) -> list[Left]:
        """Return what the streams of the past hold, and until when."""
        return [one for one in self.rows if one.until]


def names(customer: Customer, who: str) -> bool:
    """Say whether a customer's state names another one: as whose alias they are, or among their own."""
    identity = customer.identity
    return customer.id == who or (identity is not None and who in {identity.alias_of, *identity.aliases})


def unsent(commands: Iterable[str], receipts: Iterable[dict[str, Any]], cancelled: Iterable[str]) -> int:
    """Return how many of a customer's commands have neither an end nor a cancel."""
    ended = {one["command"] for one in receipts if one["state"] in FINAL}
    return len(set(commands) - ended - set(cancelled))


def left_in_folder(place: Folder, who: str) -> Report:
    """Return what a data folder holds of a customer, without its read model."""
    report, reader = Report(), DataFolder(place)
    report.add("state", sum(1 for one in reader.states() if names(one, who)))
    report.add("timers", _timers(place, who))
    streams = {name: _records(place, name, who) for name in (*STREAMS, "collected")}
    commands = [one["id"] for one in map(msgspec.json.decode, streams["delivery"]) if one["kind"] == "command"]
    receipts = [msgspec.json.decode(one) for one in streams["receipts"]]
    cancels = [msgspec.json.decode(one)["command"] for one in streams["cancels"]]
    report.add("unsent commands", unsent(commands, receipts, cancels))
    report.add("inbox", sum(1 for _ in place.values(rows_of(who))))
    report.add("words for the run that it has not taken yet", _words(place, who))
    for name, found in streams.items():
        report.add(f"stream {name}", len(found), FOLDER_LIVES)
    outbox = place.path / "outbox"
    files = [path for path in outbox.glob("*") if path.stem in set(commands)]
    report.add(f"messages in {outbox}", len(files), "their files are deleted")
    kept = len(checkpoints_of(place.path))
    report.add("checkpoints of the store, which may hold the state as it was", kept, _checkpoints_until())
    return report


def _checkpoints_until() -> str:
    return "30 newer ones are made, one a day of log time, or their folders are deleted"


def _timers(place: Folder, who: str) -> int:
    raw, found = who.encode(), int(place.db.get(DUE + who.encode()) is not None)
    rows = place.db.iter()
    rows.seek(TIMER)
    while rows.valid() and rows.key().startswith(TIMER):
        found += rows.key()[len(TIMER) + 8 :] == raw
        rows.next()
    return found


def _records(place: Folder, stream: str, who: str) -> list[bytes]:
    """Return the records of a stream that name a customer as a whole value: nothing else is decoded."""
    written = msgspec.json.encode(who)
    return [raw for _, raw in place.scan(stream) if written in raw or _holds(stream, raw, written)]


def _holds(stream: str, raw: bytes, written: bytes) -> bool:
    """Say whether a record carries another that names them: a dead letter what it refused, as it was."""
    if stream not in {"dead-letters", "collected"}:
        return False
    held = msgspec.json.decode(raw, type=_Holding).value
    return held is not None and written in held


class _Holding(msgspec.Struct):
    value: bytes | None = None


def _words(place: Folder, who: str) -> int:
    written = msgspec.json.encode(who)
    return sum(1 for path in (place.path / operator.FOLDER).glob("*.json") if written in path.read_bytes())
