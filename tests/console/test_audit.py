"""The audit as a table of the read model's database."""

from pathlib import Path

from agents.console.audit import TableAudit, customer_mark, entry
from agents.projector.database import empty, migrate, open_database


def test_entries_come_back_newest_first_by_target_and_a_rebuild_keeps_them(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'a.sqlite'}")
    migrate(engine)
    book = TableAudit(engine)
    mark = customer_mark(b"secret", "c1")
    book.write(entry("marie", "pause", "abandoned-cart"))
    book.write(entry("marie", "erase", mark))
    empty(engine)
    assert [(one.who, one.action) for one in book.last()] == [("marie", "erase"), ("marie", "pause")]
    assert [one.action for one in book.last(mark)] == ["erase"]
    assert "c1" not in mark
    engine.dispose()
