"""Spreads a replay over processes: each has its own share of the customers, and none waits for another.

An embedded log has one partition: its customers are divided by hash. A cluster's log has several: each is a unit, and
is divided further where there are more processes than partitions. A stop ends all of them and leaves nothing behind.
"""

import multiprocessing
import os
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from ctypes import c_uint64
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.replay.errors import LogError
from pipeline.replay.recorded import RecordedLog
from pipeline.replay.task import Task, Unit, UnitResult
from pipeline.replay.unit import run_unit

LOOK_S = 0.2
HAPPENED = frozenset({"sent", "entered", "suppressed", "waiting", "exited", "completed"})
Watch = Callable[[int, int, int], None]
_progress: Any = None


@dataclass
class Replayed:
    """What all units of a task gave together."""

    units: list[UnitResult]
    counts: Counter[tuple[str, ...]] = field(default_factory=Counter)

    @property
    def watermark(self) -> int:
        """Return how far all partitions have come (UTC ms)."""
        return min(one.watermark for one in self.units)

    @property
    def folders(self) -> list[Path]:
        """Return where the records stand, by customer."""
        return [one.out for one in self.units]


def cores() -> int:
    """Return how many processes may work at once."""
    return len(os.sched_getaffinity(0))


@contextmanager
def scratch(near: Path | None = None) -> Iterator[Path]:
    """Give a folder for what is under way; whatever happens, it is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="parcours-replay-", dir=near))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def units_of(task: Task, out: Path, processes: int) -> list[Unit]:
    """Divide a task; LogError where the log has nothing to read."""
    log = RecordedLog(task.log)
    try:
        partitions = log.partitions
        if not any(log.end("journal", partition) for partition in range(partitions)):
            raise LogError(f"{task.log}: the journal is empty: nothing was ever read into it")
        _check_whole(log, task)
    finally:
        log.close()
    shares = max(1, processes // partitions) if task.customers is None else 1
    return [
        Unit(task, partition, partitions, share, shares, out)
        for partition in range(partitions)
        for share in range(shares)
    ]


def _check_whole(log: RecordedLog, task: Task) -> None:
    """A partition that lacks its beginning, or any message at all while others have some, cannot be answered for."""
    for partition in range(log.partitions):
        if log.begin("journal", partition) is None:
            raise LogError(f"the journal's partition {partition} is missing or empty: a report would not be whole")
    span = log.span()
    if span is None:
        raise LogError("the journal holds no event and no tick: there is nothing to look at")
    if task.since is not None and task.since >= span[1]:
        raise LogError(f"nothing in the log is as late as --from: it ends at {_iso(span[1])}")
    if task.until is not None and task.until <= span[0]:
        raise LogError(f"nothing in the log is as early as --to: it begins at {_iso(span[0])}")
    if task.since is not None and task.until is not None and task.until <= task.since:
        raise LogError("--to is not after --from: the range is empty")


def _iso(moment: int) -> str:
    from pipeline.runtime.reading import iso

    return iso(moment) or ""


def replay(task: Task, out: Path, processes: int = 1, watch: Watch | None = None) -> Replayed:
    """Run a task and return its counts; `watch(messages, of, events)` is told how far it is, a few times a second."""
    units = units_of(task, out, processes)
    totals = _totals(task, units)
    if processes <= 1 or len(units) == 1:
        found = _here(units, totals, watch)
    else:
        found = _spread(units, totals, processes, watch)
    result = Replayed(found)
    for one in found:
        result.counts.update(one.counts)
    _check_range(task, result)
    return result


def _check_range(task: Task, found: Replayed) -> None:
    """A stretch in which nobody did anything and nothing was due is most likely a slip in its dates."""
    bounded = task.customers is None and (task.since is not None or task.until is not None)
    if bounded and not any(one.events for one in found.units) and not any(key[0] in HAPPENED for key in found.counts):
        raise LogError("the log has nothing between --from and --to: no event, and nothing that was due")


def _totals(task: Task, units: list[Unit]) -> int:
    log = RecordedLog(task.log)
    try:
        return sum(log.end("journal", one.partition) for one in units)
    finally:
        log.close()


def _here(units: list[Unit], total: int, watch: Watch | None) -> list[UnitResult]:
    messages, events = [0] * len(units), [0] * len(units)

    def report(number: int, done: int, count: int) -> None:
        messages[number], events[number] = done, max(count, events[number])
        if watch is not None:
            watch(sum(messages), total, sum(events))

    return [run_unit(unit, partial(report, number)) for number, unit in enumerate(units)]


def _begin(progress: Any) -> None:
    """A worker leaves Ctrl-C to the process that started it."""
    global _progress  # noqa: PLW0603 - one shared array for each worker process
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _progress = progress


def _work(number: int, unit: Unit) -> UnitResult:
    def report(messages: int, events: int) -> None:
        _progress[2 * number] = messages
        _progress[2 * number + 1] = max(events, _progress[2 * number + 1])

    return run_unit(unit, report)


def _spread(units: list[Unit], total: int, processes: int, watch: Watch | None) -> list[UnitResult]:
    context = multiprocessing.get_context("spawn")
    progress = context.Array(c_uint64, 2 * len(units), lock=False)
    pool = ProcessPoolExecutor(min(processes, len(units)), context, _begin, (progress,))
    try:
        waiting: list[Future[UnitResult]] = [pool.submit(_work, number, unit) for number, unit in enumerate(units)]
        left: set[Future[UnitResult]] = set(waiting)
        while left:
            done, left = wait(left, timeout=LOOK_S)
            for one in done:
                one.result()
            if watch is not None:
                watch(sum(progress[::2]), total, sum(progress[1::2]))
        return [one.result() for one in waiting]
    except BaseException:
        for process in list((pool._processes or {}).values()):
            process.kill()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
