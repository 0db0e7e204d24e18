"""What a deployment's topics hold at the end: all that a check may look at, of a simulation or of a real broker."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from models.event import Event
from models.progress import Progress
from models.topics import Topics
from pipeline.journal.codec import decode
from pipeline.store.codec import PROGRESS, decode_progress

POISON = b"{broken"


@dataclass(frozen=True)
class Evidence:
    """`records` gives a topic's committed records, partition by partition and in order (aiokafka's own).

    `sources` is (name, topic) of each source; `waits` the two waits (ms) of `chase` by plan; `versions` those of
    (plan, scenario); `accepted` is (command, UTC ms) of each call that the provider took, which is `keyed` if it takes
    a command's id as a key. `stamp_ms` is how long before the broker had it a source record may be dated.
    """

    topics: Topics
    partitions: int
    sources: dict[str, str]
    records: Callable[[str], list[Any]]
    waits: dict[str, tuple[int, int]]
    versions: dict[tuple[str, str], str]
    accepted: list[tuple[str, int]]
    keyed: bool
    stamp_ms: int

    def rows(self, topic: str) -> list[dict[str, Any]]:
        """Return a topic's records as JSON."""
        return [json.loads(one.value or b"{}") for one in self.records(topic)]

    def rows_of(self, topic: str, partition: int) -> list[dict[str, Any]]:
        """Return one partition's records as JSON."""
        return [json.loads(one.value or b"{}") for one in self.records(topic) if one.partition == partition]

    @cached_property
    def progress(self) -> dict[int, Progress]:
        """Return the last committed progress record of each journal partition."""
        last = {one.partition: one.value for one in self.records(self.topics.changelog) if one.key == PROGRESS}
        return {number: decode_progress(last[number]) for number in sorted(last)}

    def journal(self, partition: int) -> list[tuple[int, bytes]]:
        """Return (append time, bundle) of a journal partition, as far as it is committed to the state."""
        upto = self.progress[partition].next_offset
        return [
            (one.timestamp, one.value or b"")
            for one in self.records(self.topics.journal)
            if one.partition == partition and one.offset < upto
        ]

    @cached_property
    def events(self) -> list[Event]:
        """Return every event of the journal."""
        found = []
        for record in self.records(self.topics.journal):
            found += [entry for entry in decode(record.value or b"").entries if isinstance(entry, Event)]
        return found

    @cached_property
    def commands(self) -> list[dict[str, Any]]:
        """Return every committed command."""
        return [one for one in self.rows(self.topics.delivery) if one["kind"] == "command"]

    @cached_property
    def receipts(self) -> list[dict[str, Any]]:
        """Return every receipt."""
        return self.rows(self.topics.receipts)
