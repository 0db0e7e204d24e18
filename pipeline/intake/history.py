"""Files of history as their mappings say: which columns, and in which order their records came."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from msgspec.structs import replace

from models.mapping import MappingSpec
from pipeline.errors import UsageError
from pipeline.intake.files import FileSource
from pipeline.intake.mapper import Mapper
from pipeline.intake.native import Fault
from pipeline.intake.record import SourceRecord

# A file in another order is kept whole in memory: some 0.8 KB a record.
SORTED_RECORDS_MAX = 1_000_000


def file_source(path: Path, spec: MappingSpec) -> FileSource:
    """Return a file as a source, named by its mapping, else by its own name up to the first point."""
    return FileSource(path, spec.source or path.name.split(".")[0], spec.file.separator)


def records_of(source: FileSource, mapper: Mapper, start: int = 0) -> Iterator[SourceRecord]:
    """Yield a file's records from an offset on, in the order that its mapping states.

    Where that is the order of their times, an offset is a record's place in that order; at one time the file's own
    order stands. UsageError where there are too many to sort.
    """
    if mapper.spec.file.order == "file":
        return source.read(start)
    return islice(_sorted(source, mapper), start, None)


def _sorted(source: FileSource, mapper: Mapper) -> Iterator[SourceRecord]:
    found: list[tuple[int, int, SourceRecord]] = []
    at = 0
    for record in source.read():
        if len(found) == SORTED_RECORDS_MAX:
            message = (
                f"{source.path}: over {SORTED_RECORDS_MAX} records to sort: sort it by time, and leave `order` out"
            )
            raise UsageError(message)
        try:
            at = mapper.time_of(record)
        except Fault:
            pass  # the mapper makes a dead letter of it; it stays beside the record before it
        # A copy: the JSON writer's own bytes hold on to 4 KB each.
        value = None if record.value is None else bytes(memoryview(record.value))
        found.append((at, record.offset, replace(record, value=value)))
    found.sort(key=lambda one: one[:2])
    for offset, (_, _, record) in enumerate(found):
        yield replace(record, offset=offset)
