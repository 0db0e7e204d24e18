"""Files of history: read as a stream, from any record on, with every fault named."""

import gzip
from pathlib import Path

import orjson
import pytest

from pipeline.errors import RunError, UsageError
from pipeline.intake.files import LINE_BYTES_MAX, FileSource
from pipeline.intake.record import SourceRecord

CSV = b"who,what\nc1,view\nc2,cart\nc3,view\n"
NDJSON = b'{"who":"c1"}\n\n{"who":"c2"}\n{"who":"c3"}'


def read(folder: Path, name: str, content: bytes, start: int = 0) -> list[SourceRecord]:
    (folder / name).write_bytes(content)
    return list(FileSource(folder / name, "s").read(start))


def test_a_csv_row_is_named_by_the_json_that_a_producer_would_publish(tmp_path: Path) -> None:
    found = read(tmp_path, "a.csv", CSV)
    assert [one.offset for one in found] == [0, 1, 2]
    assert found[0].value == b'{"who":"c1","what":"view"}'
    assert all(orjson.loads(one.value or b"") == one.fields for one in found)


def test_ndjson_lines_are_records_and_empty_lines_are_none(tmp_path: Path) -> None:
    found = read(tmp_path, "a.ndjson", NDJSON)
    assert [(one.offset, one.value) for one in found] == [
        (0, b'{"who":"c1"}'),
        (1, b'{"who":"c2"}'),
        (2, b'{"who":"c3"}'),
    ]


@pytest.mark.parametrize(("name", "content"), [("a.csv", CSV), ("a.ndjson", NDJSON)])
def test_gzip_is_known_by_its_first_bytes_not_by_its_name(tmp_path: Path, name: str, content: bytes) -> None:
    assert read(tmp_path, name, gzip.compress(content)) == read(tmp_path, name, content)


@pytest.mark.parametrize(("name", "content"), [("a.csv", CSV), ("a.ndjson", NDJSON)])
def test_reading_goes_on_from_any_record(tmp_path: Path, name: str, content: bytes) -> None:
    whole = read(tmp_path, name, content)
    for start in range(len(whole) + 2):
        assert read(tmp_path, name, content, start) == whole[start:]


def test_progress_ends_at_the_size_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(gzip.compress(CSV * 1000))
    source = FileSource(tmp_path / "a.csv", "s")
    assert source.bytes_read == 0
    records = source.read()
    next(records)
    assert 0 < source.bytes_read <= source.bytes_total
    assert sum(1 for _ in records) == 4 * 1000 - 2
    assert source.bytes_read == source.bytes_total


def test_quotes_commas_and_line_ends_inside_a_field_are_text(tmp_path: Path) -> None:
    [one] = read(tmp_path, "a.csv", b'who,what\nc1,"a, ""b""\nc"\n')
    assert one.fields == {"who": "c1", "what": 'a, "b"\nc'}


def test_a_byte_order_mark_is_no_part_of_the_first_column_or_line(tmp_path: Path) -> None:
    [row] = read(tmp_path, "a.csv", b"\xef\xbb\xbfwho\nc1\n")
    assert row.fields == {"who": "c1"}
    [line] = read(tmp_path, "a.jsonl", b'\xef\xbb\xbf{"who":"c1"}\n')
    assert line.value == b'{"who":"c1"}'


def test_bytes_that_are_no_utf_8_stay_readable_and_the_next_row_is_read(tmp_path: Path) -> None:
    first, second = read(tmp_path, "a.csv", b"who,what\nc1,caf\xe9\nc2,th\xc3\xa9\n")
    assert first.fields == {"who": "c1", "what": "café"}
    assert second.fields == {"who": "c2", "what": "thé"}


def test_a_row_with_fewer_columns_lacks_the_last_ones(tmp_path: Path) -> None:
    [one] = read(tmp_path, "a.csv", b"who,what\nc1\n")
    assert (one.fault, one.fields) == ("", {"who": "c1"})


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        (b"c1,view,more\xff", "a row of 3 columns under a header of 2"),
        (b'c1,"view" er', "not CSV"),
    ],
)
def test_a_broken_row_is_a_fault_that_keeps_what_it_said_and_the_next_row_is_read(
    tmp_path: Path, bad: bytes, fault: str
) -> None:
    first, second = read(tmp_path, "a.csv", b"who,what\n" + bad + b"\nc2,cart\n")
    assert fault in first.fault
    assert b"c1" in (first.value or b"")
    assert (second.offset, second.fields) == (1, {"who": "c2", "what": "cart"})


def test_a_quote_that_is_never_closed_is_a_fault_that_keeps_every_line_it_swallowed(tmp_path: Path) -> None:
    first, second = read(tmp_path, "a.csv", b'who,what\nc1,view\nc2,"cart\nc3,view\n')
    assert first.fields == {"who": "c1", "what": "view"}
    assert "not CSV" in second.fault
    assert second.value == b'c2,"cart\nc3,view\n'


def test_a_line_of_json_beyond_the_limit_is_a_fault_and_the_next_line_is_read(tmp_path: Path) -> None:
    long = b'{"a":"' + b"x" * (2 * LINE_BYTES_MAX) + b'"}\n'
    first, second = read(tmp_path, "a.ndjson", long + b'{"who":"c2"}\n')
    assert "a line of over" in first.fault
    assert (second.offset, second.value) == (1, b'{"who":"c2"}')


def test_a_missing_file_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        FileSource(tmp_path / "none.csv", "s")


def test_an_empty_file_has_no_records(tmp_path: Path) -> None:
    assert read(tmp_path, "a.csv", b"") == []
    assert read(tmp_path, "a.ndjson", b"") == []


def archive(rows: int) -> bytes:
    return gzip.compress(b"who,what\n" + b"".join(b"c%d,%d\n" % (n, n * 7919) for n in range(rows)))


def test_an_archive_that_was_cut_ends_the_run_and_names_the_place(tmp_path: Path) -> None:
    whole = archive(50_000)
    (tmp_path / "a.csv.gz").write_bytes(whole[: len(whole) // 2])
    found = []
    with pytest.raises(RunError, match=r"a\.csv\.gz: broken after record \d+"):
        for one in FileSource(tmp_path / "a.csv.gz", "s").read():
            found.append(one)
    assert len(found) > 1000


def test_an_archive_with_damaged_bytes_ends_the_run_and_names_the_place(tmp_path: Path) -> None:
    whole = bytearray(archive(50_000))
    whole[len(whole) // 2 : len(whole) // 2 + 64] = b"\x00" * 64
    (tmp_path / "a.csv.gz").write_bytes(bytes(whole))
    with pytest.raises(RunError, match="broken after record"):
        list(FileSource(tmp_path / "a.csv.gz", "s").read())


def test_a_first_line_that_is_no_header_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="the first line is no CSV header"):
        read(tmp_path, "a.csv", b'who,"what\nc1,view\n')
