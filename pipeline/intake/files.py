"""Files as sources: CSV, columns between blanks and NDJSON, gzip too, read as a stream of records."""

import codecs
import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Literal

import orjson

from pipeline.errors import RunError, UsageError
from pipeline.intake.record import SourceRecord

GZIP_MAGIC = b"\x1f\x8b"
LINE_BYTES_MAX = 16 * 1024 * 1024
Separator = Literal[",", ";", "tab", "spaces"]


class FileSource:
    """One file of history: each line (or CSV row) is a record whose offset is its number from 0."""

    def __init__(self, path: Path, source: str, separator: Separator = ","):
        if not path.is_file():
            raise UsageError(f"{path}: no such file")
        self.path = path
        self.source = source
        self.separator = separator
        self.bytes_total = path.stat().st_size
        self._raw: IO[bytes] | None = None
        self._ended = False

    @property
    def bytes_read(self) -> int:
        """Return how far the file has been read, in bytes on disk."""
        if self._ended:
            return self.bytes_total
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
                self._ended = True
            except (EOFError, OSError, zlib.error) as error:
                raise RunError(f"{self.path}: broken after record {offset}: {error}") from None
            except csv.Error as error:
                # A fault in a row is that row's dead letter; without a header no row means anything.
                raise RunError(f"{self.path}: the first line is no CSV header: {error}") from None

    def _rows(self, lines: IO[bytes]) -> Iterator[dict[str, Any]]:
        is_json = self.path.name.removesuffix(".gz").endswith((".json", ".jsonl", ".ndjson"))
        return _json_rows(lines) if is_json else _csv_rows(lines, self.separator)


def _json_rows(lines: IO[bytes]) -> Iterator[dict[str, Any]]:
    while line := lines.readline(LINE_BYTES_MAX + 1):
        if len(line) > LINE_BYTES_MAX:
            while line and not line.endswith(b"\n"):
                line = lines.readline(LINE_BYTES_MAX)
            yield {"value": b"", "fault": f"a line of over {LINE_BYTES_MAX} bytes"}
            continue
        text = line.removeprefix(codecs.BOM_UTF8).strip()
        if text:
            yield {"value": text}


class _Lines:
    """Passes the lines of a text on, and keeps those since the last row for a dead letter."""

    def __init__(self, text: IO[str]):
        self._text = text
        self.since: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._text.readline(LINE_BYTES_MAX)
        if not line:
            raise StopIteration
        self.since.append(line)
        return line


def _csv_rows(lines: IO[bytes], separator: Separator) -> Iterator[dict[str, Any]]:
    # Excel writes a byte order mark: it is no part of the first column's name.
    with io.TextIOWrapper(lines, encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
        yield from _csv_fields(_Lines(text), separator)


def _rows_of(lines: _Lines, separator: Separator) -> Iterator[list[str]]:
    if separator == "spaces":
        return (line.split() for line in lines)
    csv.field_size_limit(LINE_BYTES_MAX)
    return csv.reader(lines, delimiter="\t" if separator == "tab" else separator, strict=True)


def _csv_fields(lines: _Lines, separator: Separator) -> Iterator[dict[str, Any]]:
    reader = _rows_of(lines, separator)
    header = next(reader, None)
    if not header:
        return
    # A name in another encoding is written as a person can read it; the mapping's paths are plain words anyway.
    header = [name.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for name in header]
    while True:
        lines.since.clear()
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            said = "".join(lines.since).encode("utf-8", "surrogateescape")
            yield {"value": said, "fault": f"not CSV: {error}"}
            continue
        if row:
            yield _csv_record(header, row)


def _csv_record(header: list[str], row: list[str]) -> dict[str, Any]:
    """A row's value is the JSON object that a producer would put on a topic, so that ids agree between the two."""
    if not all(text.isascii() for text in row) and any("\udc80" <= letter <= "\udcff" for letter in "".join(row)):
        # Bytes that are no UTF-8 were kept by surrogateescape; a person can still read the rest.
        row = [text.encode("utf-8", "surrogateescape").decode("latin-1") for text in row]
    fields: dict[str, Any] = dict(zip(header, row, strict=False))
    # A shorter row has nothing to say in its last columns (real exports have such rows); in a longer one a comma was
    # not quoted, and its values may stand in wrong columns.
    if len(row) > len(header):
        fault = f"a row of {len(row)} columns under a header of {len(header)}"
        return {"value": orjson.dumps({**fields, "": row[len(header) :]}), "fault": fault}
    return {"value": orjson.dumps(fields), "fields": fields}
