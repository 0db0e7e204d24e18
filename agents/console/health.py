"""How far everything has come: partitions, sources with their lag, the ledger, the read model."""

from collections.abc import Callable, Iterable
from typing import Any

from models.progress import Progress

READ = ("journal", "decisions", "delivery", "receipts")


def partitions(found: Iterable[Progress], end: Callable[[int], int | None]) -> list[dict[str, Any]]:
    """Return each partition's figures; `end` gives the offset after the last message of its journal, if known."""
    rows = []
    for one in sorted(found, key=lambda progress: progress.partition):
        last = end(one.partition)
        rows.append(
            {
                "partition": one.partition, "watermark": one.watermark, "next": one.next_offset,
                "unread": None if last is None else max(last - one.next_offset, 0), "applied": one.counts.applied,
                "duplicate": one.counts.duplicate, "dead": one.counts.dead, "commands": one.counts.commands,
            }
        )  # fmt: skip
    return rows


def sources(found: Iterable[Progress]) -> list[dict[str, Any]]:
    """Return each source partition as the slowest journal partition has it; `behind` ms after the newest source."""
    rows: dict[tuple[str, int], dict[str, Any]] = {}
    for progress in found:
        for one in progress.sources:
            key = (one.source, one.partition)
            row: dict[str, Any] = {
                "source": one.source, "partition": one.partition, "state": one.state, "before": one.before,
                "covered": one.covered, "feedback": one.feedback,
            }  # fmt: skip
            if key not in rows or one.before < rows[key]["before"]:
                rows[key] = row
    newest = max((row["before"] for row in rows.values() if not row["feedback"]), default=0)
    for row in rows.values():
        row["behind"] = None if row["feedback"] or not row["before"] else newest - row["before"]
    return [rows[key] for key in sorted(rows)]


def read_model(positions: Iterable[Any], end: Callable[[str, int], int | None]) -> list[dict[str, Any]]:
    """Return how far the projector is in each stream, and how many records it has still to take in."""
    found: list[dict[str, Any]] = []
    for row in positions:
        last = end(row.topic, row.partition)
        unread = None if last is None else max(last - int(row.next), 0)
        found.append({"topic": row.topic, "partition": row.partition, "next": row.next, "unread": unread})
    return sorted(found, key=lambda one: (one["topic"], one["partition"]))
