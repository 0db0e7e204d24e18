"""Files whose mapping says how they are written and in which order their records came."""

from pathlib import Path

import pytest

from models.dead_letter import DeadLetter
from models.mapping import MappingSpec
from pipeline.errors import UsageError
from pipeline.intake import history
from pipeline.intake.history import file_source, records_of
from pipeline.intake.mapper import Mapper, validator_for
from pipeline.intake.record import SourceRecord

LINES = " who  when  what\r\n a 1000000003  x \r\n a 1000000005  y\r\n b 1000000001  z\r\n\r\n b never z\r\n c 1000000003  w"


def spec(**file: str) -> MappingSpec:
    said = {"mapping": "s", "customer": "who", "time": {"path": "when", "format": "epoch_s"}, "id": ["who", "when"]}
    return MappingSpec.model_validate({**said, "events": [{"type": "page_viewed"}], "file": file})


def mapper_of(made: MappingSpec) -> Mapper:
    return Mapper(made, "s", validator_for("EUR"))


def read(path: Path, made: MappingSpec, start: int = 0) -> list[SourceRecord]:
    return list(records_of(file_source(path, made), mapper_of(made), start))


def said(records: list[SourceRecord]) -> list[str]:
    return [" ".join((one.fields or {}).values()) for one in records]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "s.txt").write_text(LINES, newline="")
    return tmp_path / "s.txt"


def test_columns_stand_between_any_number_of_blanks(path: Path) -> None:
    found = read(path, spec(separator="spaces"))
    assert found[0].fields == {"who": "a", "when": "1000000003", "what": "x"}
    assert said(found) == ["a 1000000003 x", "a 1000000005 y", "b 1000000001 z", "b never z", "c 1000000003 w"]


@pytest.mark.parametrize(("separator", "letter"), [(";", ";"), ("tab", "\t")])
def test_a_column_may_be_quoted_whatever_separates_it(tmp_path: Path, separator: str, letter: str) -> None:
    (tmp_path / "s.csv").write_text(f'who{letter}when\n"a{letter}b"{letter}3\n')
    [found] = read(tmp_path / "s.csv", spec(separator=separator))
    assert found.fields == {"who": f"a{letter}b", "when": "3"}


def test_records_come_in_the_order_of_their_times_and_a_bad_one_stays_beside_the_one_before(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("who,when\na,1000000003\na,1000000005\nb,1000000001\nb,never\nc,1000000003\n")
    made = spec(order="time")
    found = read(tmp_path / "s.csv", made)
    assert said(found) == ["b 1000000001", "b never", "a 1000000003", "c 1000000003", "a 1000000005"]
    assert [one.offset for one in found] == [0, 1, 2, 3, 4]
    [letter] = [one for record in found for one in mapper_of(made).feed(record) if isinstance(one, DeadLetter)]
    assert letter.reason == "'never' is not a time"


def test_a_sorted_file_is_read_on_from_any_place(path: Path) -> None:
    made = spec(separator="spaces", order="time")
    whole = read(path, made)
    for start in range(7):
        assert read(path, made, start) == whole[start:]


def test_a_file_that_is_too_long_to_sort_is_refused_with_what_to_do(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "SORTED_RECORDS_MAX", 4)
    with pytest.raises(UsageError, match="sort it by time, and leave `order` out"):
        read(path, spec(separator="spaces", order="time"))
