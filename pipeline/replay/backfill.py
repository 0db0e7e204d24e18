"""Backfill: what a new scenario's state would be, had it been live since a time, with nothing sent.

The log is replayed from that time up to the control record that made the scenario live: what came before the record is
this replay's to judge, what came after it was seen live. Who is inside at that place is handed to the live workers as
an event of the feedback source `forwards`, which the engine takes in exactly once (`pipeline.engine.backfilling`).
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from rocksdict import AccessType, Rdict

from models.customer import NEVER, Customer, Enrolment
from models.event import Event, Position
from models.identity import BACKFILLED, FORWARDS, is_anonymous
from models.ids import derived_event_id
from models.journal import PlanActivated
from pipeline.errors import UsageError
from pipeline.replay.errors import LogError
from pipeline.replay.recorded import RecordedLog, decoded
from pipeline.replay.shown import moment
from pipeline.replay.spread import Replayed, Watch, replay
from pipeline.replay.task import Task
from pipeline.scenario.compile import compile_plan
from pipeline.scenario.sources import PlanSources
from pipeline.store.rocks import RocksState, options

KIND = b'"kind":"plan"'
SLICE = 1_000


@dataclass
class Backfill:
    """What history gives for one scenario, from `since` up to `until` (UTC ms): counts, and who is inside.

    `visitors` are inside too, but under an anonymous id: they are left out. `live` says whether the scenario is live,
    so that what was found can be handed on.
    """

    scenario: str
    since: int
    until: int
    live: bool
    entered: int = 0
    inside: int = 0
    visitors: int = 0
    passed_over: int = 0
    ended: dict[str, int] = field(default_factory=dict)
    folders: list[Path] = field(default_factory=list)

    def events(self) -> Iterator[Event]:
        """Yield one event for each who is inside, in the order of customers in each partition; undated."""
        for customer, enrolment in _inside(self.folders, self.scenario):
            if not is_anonymous(customer.id):
                yield event_of(customer, enrolment)


def event_of(customer: Customer, enrolment: Enrolment) -> Event:
    """Return the event that brings an enrolment; its id is that of what began it, so that it acts once."""
    kept = msgspec.structs.replace(enrolment, sent=())
    return Event(
        id=derived_event_id(enrolment.entry.event, BACKFILLED, enrolment.scenario),
        type=BACKFILLED,
        customer=customer.id,
        occurred_at=0,
        arrived_at=0,
        position=Position(FORWARDS),
        data={"enrolment": msgspec.to_builtins(kept), "first_seen": customer.profile.first_seen},
    )


def work_out(
    log: Path,
    draft: PlanSources | None,
    scenario: str,
    since: int,
    out: Path,
    *,
    checkpoint: Path | None = None,
    checkpoints: dict[int, Path] | None = None,
    processes: int = 1,
    watch: Watch | None = None,
) -> Backfill:
    """Replay the history; `draft` None takes the live plan, else a plan that may not be live yet.

    UsageError where there is nothing to build, LogError where the log cannot give a whole answer.
    """
    recorded = RecordedLog(log)
    try:
        plan = draft or recorded.live_plan()
        record = began(recorded, scenario)
        ends = recorded.span()
    finally:
        recorded.close()
    if plan is None:
        raise UsageError(f"{log}: no plan is live here: name one with --plan")
    if scenario not in compile_plan(plan).live:
        raise UsageError(f"the plan has no scenario {scenario!r}: name one with --plan that has it")
    if record is not None and record.at <= since:
        raise UsageError(
            f"{scenario} has been live since {moment(record.at)}, which is not after --from: nothing to build"
        )
    task = Task(
        log,
        plan,
        since,
        checkpoint=checkpoint,
        checkpoints=checkpoints or {},
        live_from={scenario: NEVER},
        stop_at=record.id if record is not None else "",
    )
    found = replay(task, out, processes, watch)
    until = record.at if record is not None else (ends[1] if ends is not None else since)
    return _counted(Backfill(scenario, since, until, record is not None), found)


def began(log: RecordedLog, scenario: str) -> PlanActivated | None:
    """Return the control record that made a scenario live for the last time; None where it is not live."""
    known: dict[str, bool] = {}
    last: PlanActivated | None = None
    for raw in log.raw(0, log.first(0)):
        if KIND not in raw.value:
            continue
        for entry in decoded(raw, 0).bundle.entries:
            if not isinstance(entry, PlanActivated):
                continue
            if entry.plan not in known:
                sources = log.plan(entry.plan)
                if sources is None:
                    raise LogError(f"the plan {entry.plan} of the log is not kept: it cannot be replayed")
                known[entry.plan] = scenario in compile_plan(sources).live
            last = (last or entry) if known[entry.plan] else None
    return last


def _counted(found: Backfill, replayed: Replayed) -> Backfill:
    name, counts = found.scenario, replayed.counts
    found.folders = replayed.folders
    found.entered = counts["entered", name]
    found.passed_over = sum(
        count for key, count in counts.items() if key[:2] == ("suppressed", name) and key[-1] == "before_activation"
    )
    ended: Counter[str] = Counter()
    for key, count in counts.items():
        if key[0] in {"exited", "completed", "dropped"} and key[1] == name:
            ended[key[2]] += count
    found.ended = dict(sorted(ended.items()))
    for customer, _ in _inside(found.folders, name):
        if is_anonymous(customer.id):
            found.visitors += 1
        else:
            found.inside += 1
    return found


def _inside(folders: list[Path], scenario: str) -> Iterator[tuple[Customer, Enrolment]]:
    for folder in folders:
        rows = Rdict(str(folder), options(), access_type=AccessType.read_only())
        try:
            yield from _of_store(RocksState(rows), scenario)
        finally:
            rows.close()


def _of_store(store: Any, scenario: str) -> Iterator[tuple[Customer, Enrolment]]:
    cursor: str | None = None
    while names := store.customers_after(cursor, SLICE):
        for name in names:
            customer = store.get(name)
            for one in customer.enrolments if customer is not None else ():
                if one.scenario == scenario and not one.closing:
                    yield customer, one
        cursor = names[-1]
