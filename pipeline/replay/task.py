"""What a replay is asked: which log, under which plan, which stretch of it, whose events."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.ids import partition_of
from pipeline.scenario.sources import PlanSources


@dataclass(frozen=True)
class Task:
    """One replay. Times are UTC milliseconds of log time.

    `draft` None replays the log as it was; else that plan takes the place of the recorded ones: from the log's first
    activation on, or from `since` on, as if it had been published then. `customers` names those who are looked at
    (None: all). `decisions` keeps every decision and cancel. `live_from` says of scenarios from when on they send,
    whenever they were activated. With `stop_at` the replay ends before the recorded control record of that id.

    With `as_decided` it ends where the run itself had come when its log was copied.

    `checkpoint` is where the replay of a log of one partition begins, `checkpoints` where that of several does, by
    partition; without one it begins at the log's beginning.
    """

    log: Path
    draft: PlanSources | None = None
    since: int | None = None
    until: int | None = None
    customers: tuple[str, ...] | None = None
    decisions: bool = False
    checkpoint: Path | None = None
    checkpoints: dict[int, Path] = field(default_factory=dict)
    live_from: dict[str, int] = field(default_factory=dict)
    stop_at: str = ""
    as_decided: bool = False

    def start(self, partition: int) -> Path | None:
        """Return the checkpoint at which the replay of a partition begins."""
        return self.checkpoints.get(partition, self.checkpoint)


@dataclass(frozen=True)
class Unit:
    """One process's part of a task: a journal partition, and of its customers one share of several."""

    task: Task
    partition: int
    partitions: int
    share: int
    shares: int
    out: Path

    @property
    def name(self) -> str:
        """Return a name for its folder."""
        return f"part-{self.partition}-{self.share}"

    def takes(self, customer: str) -> bool:
        """Say whether a customer of this partition belongs to this unit."""
        names = self.task.customers
        if names is not None and customer not in names:
            return False
        # Shares divide what the partition's own hash leaves over.
        whole = partition_of(customer, self.partitions * self.shares)
        return self.shares == 1 or whole // self.partitions == self.share


@dataclass
class UnitResult:
    """What one unit gave: counts by key, and the folder where its records stand by customer."""

    out: Path
    counts: dict[tuple[str, ...], int] = field(default_factory=dict)
    watermark: int = 0
    first: int | None = None
    events: int = 0
    notes: dict[str, Any] = field(default_factory=dict)
