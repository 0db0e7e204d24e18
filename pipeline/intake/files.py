"""Files as sources: CSV and NDJSON, gzip too, read as a stream of records."""

import csv
import gzip
import io
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import orjson

from pipeline.errors import RunError, UsageError
from pipeline.intake.record import SourceRecord

GZIP_MAGIC = b"\x1f\x8b"
LINE_BYTES_MAX = 16 * 1024 * 1024


class FileSource:
    """One file of history: each line (or CSV row) is a record whose offset is its number from 0."""

    def __init__(self, path: Path, source: str):
        if not path.is_file():
            raise UsageError(f"{path}: no such file")
        self.path = path
        self.source = source
        self.bytes_total = path.stat().st_size
        self._raw: IO[bytes] | None = None

    @property
    def bytes_read(self) -> int:
        """Return how far the file has been read, in bytes on disk."""
        return 0 if self._raw is None or self._raw.closed else self._raw.tell()

    def read(self, start: int = 0) -> Iterator[SourceRecord]:
        """Yield the records from an offset on; a broken archive is a RunError that names the place."""
        offset = 0
        with self.path.open("rb") as raw:
            self._raw = raw
            packed = raw.read(2) == GZIP_MAGIC
            raw.seek(0)
            lines: IO[bytes] = gzip.open(raw, "rb") if packed else raw  # type: ignore[assignment]
            try:
                for record in self._rows(lines):
                    if offset >= start:
                        yield SourceRecord(source=self.source, offset=offset, **record)
                    offset += 1
            except (EOFError, gzip.BadGzipFile, OSError) as error:
                raise RunError(f"{self.path}: broken after record {offset}: {error}") from None

    def _rows(self, lines: IO[bytes]) -> Iterator[dict[str, Any]]:
        is_json = ".ndjson" in self.path.name or ".json" in self.path.name
        return _json_rows(lines) if is_json else _csv_rows(lines)


def _json_rows(lines: IO[bytes]) -> Iterator[dict[str, Any]]:
    for line in lines:
        text = line.strip()
        if text:
            yield {"value": text}


def _csv_rows(lines: IO[bytes]) -> Iterator[dict[str, Any]]:
    text = io.TextIOWrapper(lines, encoding="utf-8", errors="surrogateescape", newline="")
    csv.field_size_limit(LINE_BYTES_MAX)
    reader = csv.reader(text)
    header = next(reader, None)
    if not header:
        return
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield {"value": b"", "fault": f"not CSV: {error}"}
            continue
        if row:
            yield _csv_record(header, row)


def _csv_record(header: list[str], row: list[str]) -> dict[str, Any]:
    """A row's value is the JSON object that a producer would put on a topic, so that ids agree between the two."""
    fields = dict(zip(header, row, strict=False))
    try:
        value = orjson.dumps(fields)
    except orjson.JSONEncodeError:
        # Bytes that are no UTF-8 were kept by surrogateescape; a person can still read the rest.
        fields = {name: text.encode("utf-8", "surrogateescape").decode("latin-1") for name, text in fields.items()}
        value = orjson.dumps(fields)
    # A short row has nothing to say in its last columns; a longer one was cut in a wrong place.
    if len(row) > len(header):
        return {"value": value, "fault": f"a row of {len(row)} columns under a header of {len(header)}"}
    return {"value": value, "fields": fields}
