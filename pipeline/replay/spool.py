"""A file of history as a recorded log: mapped, validated and bundled as an embedded run would, into a spool."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from models.journal import Bundle, Entry, PlanActivated, SourceChanged
from pipeline.intake.feedback import FORWARDS, RECEIPTS
from pipeline.intake.files import FileSource
from pipeline.intake.history import file_source, records_of
from pipeline.intake.mapper import Mapper, validator_for
from pipeline.intake.mapping import load_mapping
from pipeline.journal.codec import encode
from pipeline.journal.records_clock import MERGED, IngestState, Input, RecordsIngest
from pipeline.replay.errors import LogError
from pipeline.replay.recorded import SpoolWriter
from pipeline.scenario.compile import read_settings
from pipeline.scenario.sources import PlanSources

SLICE_RECORDS = 500


@dataclass
class Spooled:
    """What reading the files gave."""

    path: Path
    records: int = 0
    events: int = 0
    refused: Counter[str] = field(default_factory=Counter)


def without_scenarios(plan: PlanSources) -> PlanSources:
    """Return a plan that knows the store and sends nothing: what held before the first scenario was published."""
    kept = {name: text for name, text in plan.files.items() if "/" not in name and name != "scenario.yaml"}
    return PlanSources(kept)


def spool_files(
    files: list[tuple[Path, str]],
    plan: PlanSources,
    out: Path,
    *,
    advance_ms: int = 0,
    first: PlanSources | None = None,
    watch: Callable[[int, int], None] | None = None,
) -> Spooled:
    """Read (file, mapping) pairs into a spool; `first` is live from the beginning of time (else `plan`).

    LogError where no event comes of them; `watch(bytes, of)` is told how far it is.
    """
    settings = read_settings(plan)
    validator = validator_for(settings.store.currency, settings.events)
    specs = [load_mapping(mapping) for _, mapping in files]
    sources = [file_source(path, spec) for (path, _), spec in zip(files, specs, strict=True)]
    mappers = [Mapper(spec, one.source, validator) for one, spec in zip(sources, specs, strict=True)]
    inputs = [
        Input(source=one.source, partition=0, records=records_of(one, mapper), mapper=mapper)
        for one, mapper in zip(sources, mappers, strict=True)
    ]
    found = Spooled(out)
    writer = SpoolWriter(out, 1, from_file=True)
    try:
        live = first or plan
        writer.plan(live, live=True)
        _write(writer, 0, _beginning(live))
        ingest = RecordsIngest(inputs, 1, IngestState())
        number = _records(ingest, writer, found, sources, watch)
        closing = ingest.advance(ingest.state.time + advance_ms)
        _write(writer, number, closing.entries[0])
    finally:
        writer.close()
    found.records, found.events = ingest.state.records, ingest.state.events
    if not found.events:
        raise LogError(f"no event comes of {found.records} records: {_why(found)}")
    return found


def _why(found: Spooled) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in found.refused.most_common(3)) or "the files are empty"


def _beginning(live: PlanSources) -> list[Entry]:
    return [
        SourceChanged(id="join", change="join", source=MERGED),
        *(SourceChanged(id=f"join {name}", change="join", source=name, feedback=True) for name in (RECEIPTS, FORWARDS)),
        PlanActivated(id="first", plan=live.hash, at=0),
    ]


def _records(
    ingest: RecordsIngest,
    writer: SpoolWriter,
    found: Spooled,
    sources: list[FileSource],
    watch: Callable[[int, int], None] | None,
) -> int:
    number, total = 1, sum(one.bytes_total for one in sources)
    while True:
        slice_ = ingest.step(SLICE_RECORDS)
        for letter in slice_.dead_letters:
            found.refused[letter.reason] += 1
        if slice_.entries[0]:
            _write(writer, number, slice_.entries[0])
            number += 1
        if watch is not None:
            watch(sum(one.bytes_read for one in sources), total)
        if slice_.done:
            return number


def _write(writer: SpoolWriter, number: int, entries: list[Entry]) -> None:
    writer.put("journal", 0, number, encode(Bundle(writer="spool", entries=entries)), appended_at=0)
