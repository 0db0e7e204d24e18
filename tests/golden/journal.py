"""A golden journal: its messages and plans, and what was decided, as lines of text; replayed and compared.

`NAME.journal.jsonl` holds the plans by hash (the first lines) and then the journal's messages, each as it was written.
`NAME.expected.jsonl` holds the outcome: [customer, stream, record] in the order of customers and of each stream, and
last of each customer the state. Only the record's bytes count.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import msgspec

from models.journal import JournalMessage
from models.progress import Progress
from pipeline.engine.plan import Plan
from pipeline.journal.codec import decode
from pipeline.replay.verify import Difference
from pipeline.runtime.partition import PartitionRuntime
from pipeline.runtime.plans import PlanBook
from pipeline.scenario.sources import PlanSources
from pipeline.store.memory import MemoryStore

FOLDER = Path(__file__).parent / "journals"
STREAMS = ("commands", "cancels", "decisions", "forwards", "vouchers")
STATE = "state"
Row = tuple[str, str, bytes]
encode = msgspec.json.Encoder().encode


class Recorded(msgspec.Struct, array_like=True, frozen=True):
    """One line of what was expected."""

    customer: str
    stream: str
    record: msgspec.Raw


class Book(PlanBook):
    """Plans under the names that they had when they were recorded: the time zone data has a version of its own."""

    def __init__(self, plans: dict[str, PlanSources], voucher_key: bytes):
        super().__init__(plans.get, voucher_key)

    def _plan(self, name: str) -> Plan:
        known = name in self._compiled
        found = super()._plan(name)
        if not known:
            found = self._compiled[name] = replace(found, hash=name)
        return found


def write(name: str, plans: dict[str, PlanSources], messages: list[bytes], voucher_key: bytes) -> None:
    """Record a journal and what comes of it now."""
    FOLDER.mkdir(exist_ok=True)
    heads = [encode([key, one.files]) for key, one in plans.items()]
    (FOLDER / f"{name}.journal.jsonl").write_bytes(b"".join(line + b"\n" for line in [*heads, *messages]))
    rows = outcome(plans, messages, voucher_key)
    lines = [encode([customer, stream, msgspec.Raw(record)]) + b"\n" for customer, stream, record in rows]
    (FOLDER / f"{name}.expected.jsonl").write_bytes(b"".join(lines))


def read(name: str) -> tuple[dict[str, PlanSources], list[bytes]]:
    """Return the plans and messages of a recorded journal."""
    plans: dict[str, PlanSources] = {}
    messages: list[bytes] = []
    for line in (FOLDER / f"{name}.journal.jsonl").read_bytes().splitlines():
        if line.startswith(b"["):
            key, files = msgspec.json.decode(line)
            plans[key] = PlanSources(files)
        else:
            messages.append(line)
    return plans, messages


def expected(name: str) -> list[Row]:
    """Return what was recorded of a journal."""
    decoder = msgspec.json.Decoder(Recorded)
    lines = (FOLDER / f"{name}.expected.jsonl").read_bytes().splitlines()
    return [(one.customer, one.stream, bytes(one.record)) for one in map(decoder.decode, lines)]


def outcome(plans: dict[str, PlanSources], messages: list[bytes], voucher_key: bytes) -> list[Row]:
    """Replay a journal, and return what comes of it, by customer."""
    store = MemoryStore()
    progress = Progress(journal="journal", partitions=1, partition=0, lineage="golden")
    runtime = PartitionRuntime(progress, store, Book(plans, voucher_key))
    found: list[Row] = []
    for offset, raw in enumerate(messages):
        runtime.read(JournalMessage(offset=offset, appended_at=2**50, bundle=decode(raw)))
        runtime.drain_all()
        batch = runtime.take()
        for stream in STREAMS:
            found += [(one.customer, stream, encode(one)) for one in getattr(batch, stream)]
        store.apply(batch)
        runtime.committed()
    for name in store.customers_after(None, 1_000):
        found.append((name, STATE, encode(store.get(name))))
    order = [*STREAMS, STATE]
    return sorted(found, key=lambda row: (row[0].encode(), order.index(row[1])))


def differences(was: list[Row], now: list[Row]) -> Iterator[Difference]:
    """Yield where two outcomes part, of each customer and stream the first place."""
    keys = dict.fromkeys([*(row[:2] for row in was), *(row[:2] for row in now)])
    for customer, stream in keys:
        pairs = zip_longest(_records(was, customer, stream), _records(now, customer, stream))
        for old, new in pairs:
            if old != new:
                one, other = (None if raw is None else msgspec.json.decode(raw) for raw in (old, new))
                yield Difference(customer, stream, _step(other or one), one, other)
                break


def _records(rows: list[Row], customer: str, stream: str) -> list[bytes]:
    return [record for name, kind, record in rows if (name, kind) == (customer, stream)]


def _step(record: Any) -> str:
    return "/".join(part for part in (record.get("scenario", ""), record.get("step", "")) if part)
