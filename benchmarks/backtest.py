"""A backtest of the year of a shop, on one process and on two; and of a long generated log, whose memory is watched.

The year's file is read into a spool once, which is its own row: the replays that follow read that log.
"""

import resource
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import psutil

from benchmarks.load import Record, records
from models.journal import Bundle, Entry, PlanActivated, SourceChanged, Tick
from pipeline.intake.mapper import Mapper, validator_for
from pipeline.intake.mapping import load_mapping
from pipeline.intake.record import SourceRecord
from pipeline.journal.codec import encode
from pipeline.replay.recorded import SpoolWriter
from pipeline.replay.spool import spool_files
from pipeline.replay.spread import replay
from pipeline.replay.task import Task
from pipeline.scenario.sources import PlanSources, read_sources

PLAN = Path(__file__).parents[1] / "scenarios"
START_MS = 1_767_600_000_000
BUNDLE = 500
PART = 500_000
EVENTS_PER_S = 5
MB = 1 << 20


def shipped() -> PlanSources:
    """Return the shipped plan, open to all."""
    return read_sources(PLAN, {"consent_default": "granted", "require_address": "false"})


def three() -> PlanSources:
    """Return three of the shipped scenarios, which use no segment, level or score."""
    named = ("shared/", "abandoned-cart/", "purchase/", "welcome/")
    return PlanSources(
        {name: text for name, text in shipped().files.items() if "/" not in name or name.startswith(named)}
    )


PARTS = 5


class Watched:
    """What the largest of this process and its children holds, as its highest in each fifth of the time."""

    def __init__(self) -> None:
        self._samples: list[int] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def _look(self) -> None:
        while not self._ended.wait(0.2):
            self._samples.append(_largest())

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def end(self) -> list[float]:
        """Return the highest of each fifth, in MB."""
        self._ended.set()
        self._thread.join()
        bounds = [len(self._samples) * part // PARTS for part in range(PARTS + 1)]
        return [max(self._samples[a:b], default=0) / MB for a, b in pairwise(bounds)]


def _largest() -> int:
    """Return what a process holds alone: tables mapped from disk are the system's cache, and shared."""
    held = [0]
    me = psutil.Process()
    for one in (me, *me.children(recursive=True)):
        try:
            memory = one.memory_info()
        except psutil.NoSuchProcess:
            continue
        held.append(memory.rss - memory.shared)
    return max(held)


def _cpu_s() -> float:
    """Return what this process and its ended children have used."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


@contextmanager
def folder() -> Iterator[Path]:
    """Give a folder that is gone afterwards."""
    name = Path(tempfile.mkdtemp(prefix="parcours-bench-"))
    try:
        yield name
    finally:
        shutil.rmtree(name, ignore_errors=True)


def year(file: Path) -> dict[str, float]:
    """Backtest the retail year: lines a second into the log, then events a second on one process and on two."""
    plan, found = shipped(), {}
    with folder() as at:
        began = time.monotonic()
        spooled = spool_files([(file, "uci-retail")], plan, at / "log", advance_ms=30 * 86_400_000)
        reading = time.monotonic() - began
        found["year: lines into the log, s"] = reading
        found["year: lines a second into the log"] = spooled.records / reading
        for processes in (1, 2):
            began, used = time.monotonic(), _cpu_s()
            done = replay(Task(at / "log", plan), at / f"out{processes}", processes)
            spent, used = time.monotonic() - began, _cpu_s() - used
            events = sum(one.events for one in done.units)
            found["year: events"] = events
            found[f"year: backtest on {processes}, s"] = spent
            found[f"year: backtest on {processes}, events/s"] = events / spent
            found[f"year: backtest on {processes}, CPU s"] = used
        found["year: whole backtest of the file on 2, s"] = reading + found["year: backtest on 2, s"]
    return found


def _load(count: int, customers: int) -> Iterator[Record]:
    """Yield the load in parts, each with a seed of its own: what is drawn at once is held at once."""
    for part in range(-(-count // PART)):
        start_ms = START_MS + part * PART * 1000 // EVENTS_PER_S
        yield from records(min(PART, count - part * PART), customers, part + 1, start_ms, EVENTS_PER_S)


def _entries(count: int, customers: int) -> Iterator[list[Entry]]:
    mapper = Mapper(load_mapping("native"), "shop", validator_for("EUR"))
    entries: list[Entry] = []
    for offset, record in enumerate(_load(count, customers)):
        at = START_MS + offset * 1000 // EVENTS_PER_S
        entries += mapper.feed(SourceRecord(source="shop", offset=offset, timestamp_ms=at, value=record.value))
        if len(entries) >= BUNDLE:
            yield [*entries, Tick(source="shop", first=0, next=offset + 1, before=at, upto=at)]
            entries = []


def generate(count: int, customers: int, out: Path, plan: PlanSources) -> None:
    """Write a log of a generated store, over weeks of log time."""
    writer = SpoolWriter(out, 1, from_file=True)
    writer.plan(plan, live=True)
    first: list[Entry] = [
        SourceChanged(id="join", change="join", source="shop"),
        PlanActivated(id="first", plan=plan.hash, at=0),
    ]
    writer.put("journal", 0, 0, encode(Bundle(writer="bench", entries=first)), appended_at=0)
    for number, entries in enumerate(_entries(count, customers), 1):
        writer.put("journal", 0, number, encode(Bundle(writer="bench", entries=entries)), appended_at=0)
    writer.close()


def long(count: int, customers: int) -> dict[str, float]:
    """Backtest a generated log under three scenarios on two processes, with the memory in each fifth of the time."""
    plan = three()
    with folder() as at:
        generate(count, customers, at / "log", plan)
        watched = Watched()
        began = time.monotonic()
        watched.start()
        done = replay(Task(at / "log", plan), at / "out", 2)
        spent = time.monotonic() - began
        parts = watched.end()
        events = sum(one.events for one in done.units)
    name = f"{count / 1e6:g}M generated events"
    found = {f"{name}: backtest on 2, s": spent, f"{name}: backtest on 2, events/s": events / spent}
    for number, highest in enumerate(parts, 1):
        found[f"{name}: most memory of a process in fifth {number} of the time, MB"] = highest
    return found
