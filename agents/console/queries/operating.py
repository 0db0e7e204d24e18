"""What is held, and the dead letters."""

from typing import Any

from sqlalchemy import Connection, text

from agents.console.queries.base import rows

SHOWN = 200
REASONS = 20
COLUMNS = 'partition, "offset", at, stage, reason, source, source_partition, source_offset, path, replayed_at'


def held(connection: Connection) -> list[dict[str, Any]]:
    """Return scenario and reason -> how many messages wait at the senders, and since which due time (UTC ms)."""
    said = (
        "select scenario, reason, count(*) as n, min(due_at) as since from commands where state = 'held'"
        " group by scenario, reason order by n desc, scenario, reason limit 100"
    )
    return rows(connection, said)


def dead_letters(connection: Connection, reason: str = "", limit: int = SHOWN) -> list[dict[str, Any]]:
    """Return the last dead letters, newest first; of one reason where it is named."""
    only = " where reason = :reason" if reason else ""
    said = f'select {COLUMNS} from dead_letters{only} order by at desc, "offset" desc, partition limit :limit'
    return rows(connection, said, reason=reason, limit=limit)


def dead_reasons(connection: Connection) -> list[dict[str, Any]]:
    """Return source, stage and reason with how many, the most frequent first."""
    said = (
        "select source, stage, reason, count(*) as n, sum(case when replayed_at > 0 then 1 else 0 end) as replayed"
        " from dead_letters group by source, stage, reason order by n desc, source, stage, reason limit :limit"
    )
    return rows(connection, said, limit=REASONS)


def dead_letter(connection: Connection, partition: int, offset: int) -> dict[str, Any] | None:
    """Return one dead letter with its value."""
    said = f'select {COLUMNS}, value from dead_letters where partition = :partition and "offset" = :offset'
    found = rows(connection, said, partition=partition, offset=offset)
    return found[0] if found else None


def replayed(connection: Connection, places: list[tuple[int, int]], still: list[tuple[str, int, int]], at: int) -> None:
    """Note when dead letters were read again (UTC ms); `still` are the source's places of those that gave nothing."""
    said = 'update dead_letters set replayed_at = :at where partition = :partition and "offset" = :offset'
    connection.execute(text(said), [{"at": at, "partition": one, "offset": other} for one, other in places])
    if still:
        back = (
            "update dead_letters set replayed_at = 0"
            " where source = :source and source_partition = :partition and source_offset = :offset"
        )
        values = [dict(zip(("source", "partition", "offset"), one, strict=True)) for one in still]
        connection.execute(text(back), values)
