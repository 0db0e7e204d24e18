"""The proof that an engine decides as before: the recorded journal replayed, compared byte for byte with what was done.

For each customer the commands, decisions and cancels must be the recorded ones, in the recorded order, and so must the
last state, where the replay ends where the run did. With `until` the replay is the beginning of what was recorded.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import msgspec
from rocksdict import Rdict, WriteBatch

from models.customer import Customer
from models.progress import Progress
from pipeline.replay.decided import COUNTED, count_at, numbered, progress_at
from pipeline.replay.errors import LogError
from pipeline.replay.recorded import RecordedLog
from pipeline.replay.results import Results
from pipeline.replay.spread import Watch, replay
from pipeline.replay.task import Task
from pipeline.replay.workspace import CANCELS, COMMANDS, DECISIONS
from pipeline.store.codec import COLD, HOT, PROGRESS, decode_customer, decode_progress
from pipeline.store.rocks import options

STREAMS = {"delivery": COMMANDS, "decisions": DECISIONS, "cancels": CANCELS}
DIFFERENCES_MAX = 100
Rows = Iterator[tuple[str, bytes]]


@dataclass(frozen=True)
class Difference:
    """One place where the replay and the record part: `was` is what the run wrote, `now` what the replay gives."""

    customer: str
    stream: str
    step: str
    was: Any
    now: Any

    def __str__(self) -> str:
        """Return the place in a sentence."""
        where = f"customer {self.customer}, {self.stream}" + (f", step {self.step}" if self.step else "")
        return f"{where}: was {_said(self.was)}, now {_said(self.now)}"


def _said(value: Any) -> str:
    return "nothing" if value is None else msgspec.json.encode(value).decode()


@dataclass
class Verdict:
    """What was compared and where it differs; `count` is of all differences, of which the first are kept."""

    compared: dict[str, int] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    count: int = 0

    def add(self, one: Difference) -> None:
        """Note a difference."""
        self.count += 1
        if len(self.differences) < DIFFERENCES_MAX:
            self.differences.append(one)


def verify(task: Task, out: Path, processes: int = 1, watch: Watch | None = None) -> Verdict:
    """Replay a log as it was and compare; LogError where there is nothing recorded to compare with."""
    if task.draft is not None:
        raise LogError("what is verified is the log as it was, under its own plans")
    log = RecordedLog(task.log)
    try:
        if not log.was_live:
            raise LogError(f"{task.log}: nothing was ever decided here: there is nothing to compare with")
        recorded = _by_customer(log, out / "recorded", _stretch(log, task))
        whole = replace(task, decisions=True, as_decided=True)
        found = replay(whole, out, processes, watch)
        verdict = Verdict()
        for stream, kind in STREAMS.items():
            replayed = _merged(found.folders, kind)
            _compare(verdict, stream, _merged([recorded], kind), replayed, whole=task.until is None)
        if task.until is None:
            _compare_states(verdict, log, found.folders)
        return verdict
    finally:
        log.close()


def _stretch(log: RecordedLog, task: Task) -> dict[tuple[str, int], range]:
    """Return the numbers of the records that the replay must give again, by stream and partition."""
    found = {}
    for partition in range(log.partitions):
        decided, begun = log.decided(partition), progress_at(task.start(partition))
        if decided is None:
            raise LogError(
                f"nothing was decided yet of the journal's partition {partition}: there is nothing to compare"
            )
        for stream in COUNTED:
            first = count_at(begun.counts, stream) if begun is not None else 0
            lacking = decided.lacking.get(stream, 0)
            if lacking and decided.moving:
                raise LogError(
                    f"the topic {stream} has lost its beginning in partition {partition}, and the workers went on while"
                    " it was read: let them come to rest, or stop them, and ask again"
                )
            if lacking > first:
                raise LogError(
                    f"the topic {stream} no longer keeps the first records of partition {partition}: begin at a"
                    " checkpoint of a later day, with --from and --checkpoints"
                )
            found[stream, partition] = range(first, count_at(decided.counts, stream))
    return found


def _by_customer(log: RecordedLog, path: Path, stretch: dict[tuple[str, int], range]) -> Path:
    """Put the recorded streams in the order of customers, on disk."""
    rows = Rdict(str(path), options())
    try:
        for stream, kind in STREAMS.items():
            batch = WriteBatch(raw_mode=True)
            for partition in range(log.partitions):
                wanted = stretch[stream, partition]
                for number, customer, offset, raw in numbered(log, stream, partition):
                    if number in wanted:
                        batch.put(kind + customer.encode() + b"\x00" + offset.to_bytes(8, "big"), raw)
                    if number % 10_000 == 9_999:
                        rows.write(batch)
                        batch = WriteBatch(raw_mode=True)
            rows.write(batch)
    finally:
        rows.close()
    return path


def _merged(folders: list[Path], kind: bytes) -> Rows:
    """Yield (customer, value) of several folders in the order of customers; no customer is in two of them."""
    with Results(folders) as results:
        yield from results.rows(kind)


def _groups(rows: Rows) -> Iterator[tuple[str, list[bytes]]]:
    name, held = None, list[bytes]()
    for customer, value in rows:
        if customer != name:
            if name is not None:
                yield name, held
            name, held = customer, []
        held.append(value)
    if name is not None:
        yield name, held


def pairs(left: Rows, right: Rows) -> Iterator[tuple[str, list[bytes], list[bytes]]]:
    """Yield (customer, values of the one, values of the other), in the order of customers."""
    ones, others = _groups(left), _groups(right)
    one, other = next(ones, None), next(others, None)
    while one is not None or other is not None:
        if other is None or (one is not None and one[0].encode() < other[0].encode()):
            assert one is not None
            yield one[0], one[1], []
            one = next(ones, None)
        elif one is None or other[0].encode() < one[0].encode():
            yield other[0], [], other[1]
            other = next(others, None)
        else:
            yield one[0], one[1], other[1]
            one, other = next(ones, None), next(others, None)


def _compare(verdict: Verdict, stream: str, recorded: Rows, replayed: Rows, *, whole: bool) -> None:
    count = 0
    for customer, was, now in pairs(recorded, replayed):
        # A command of a replay says first whether it was real.
        now = [raw[1:] for raw in now] if stream == "delivery" else now  # noqa: PLW2901
        count += len(was) if whole else len(now)
        for old, new in zip_longest(was if whole else was[: len(now)], now):
            if old != new:
                verdict.add(_difference(customer, stream, old, new))
                break
    verdict.compared[stream] = count


def _difference(customer: str, stream: str, old: bytes | None, new: bytes | None) -> Difference:
    was, now = (None if raw is None else msgspec.json.decode(raw) for raw in (old, new))
    said = now or was or {}
    step = "/".join(part for part in (said.get("scenario", ""), said.get("step", "")) if part)
    return Difference(customer, stream, step, was, now)


def _compare_states(verdict: Verdict, log: RecordedLog, folders: list[Path]) -> None:
    """Compare the last states with those that the run left: every value of every customer."""
    count = 0
    for customer, was, now in pairs(log_states(log), _states_of(folders)):
        count += 1
        if was != now:
            verdict.add(Difference(customer, "state", "", _builtins(customer, was), _builtins(customer, now)))
    verdict.compared["states"] = count


def log_states(log: RecordedLog) -> Rows:
    """Yield each customer's values as the run left them: hot, then cold."""
    colds = log.states(COLD)
    yield from _joined(log.states(HOT), colds)


def _joined(hots: Iterator[tuple[bytes, bytes]], colds: Iterator[tuple[bytes, bytes]]) -> Rows:
    cold = next(colds, None)
    for key, hot in hots:
        yield key.decode(), hot
        while cold is not None and cold[0] < key:
            cold = next(colds, None)
        if cold is not None and cold[0] == key:
            yield key.decode(), cold[1]


def _raw(rows: Rdict, kind: bytes) -> Iterator[tuple[bytes, bytes]]:
    found = rows.iter()
    found.seek(kind)
    while found.valid() and found.key()[:1] == kind:
        yield found.key()[1:], found.value()
        found.next()


def _states_of(folders: list[Path]) -> Rows:
    import heapq

    opened = [Rdict(str(folder), options()) for folder in folders]
    try:
        readers = [_joined(_raw(rows, HOT), _raw(rows, COLD)) for rows in opened]
        yield from heapq.merge(*readers, key=lambda row: row[0].encode())
    finally:
        for rows in opened:
            rows.close()


def _builtins(customer: str, values: list[bytes]) -> Any:
    if not values:
        return None
    found: Customer = decode_customer(customer, values[0], values[1] if len(values) > 1 else None)
    return msgspec.to_builtins(found)


def recorded_progress(log: RecordedLog) -> Progress | None:
    """Return the progress record of an embedded run."""
    raw = log.state(PROGRESS)
    return None if raw is None else decode_progress(raw)
