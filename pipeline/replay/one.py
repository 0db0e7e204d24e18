"""The recorded log once more for one customer, step by step, through the very runtime that a live worker drives.

The state is kept in memory; of every input it is noted what came, what the engine made of it, and what each condition
saw. It begins at the log's beginning, or at a checkpoint, from which only this customer's values are read.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rocksdict import AccessType, Rdict

from models.customer import Customer
from models.event import Event
from models.ids import partition_of
from models.journal import Bundle, JournalMessage
from models.progress import Progress
from pipeline.engine.plan import Plan
from pipeline.engine.transition import Transition
from pipeline.errors import RunError
from pipeline.replay.errors import LogError
from pipeline.replay.guards import Guard, Tracer
from pipeline.replay.recorded import RecordedLog
from pipeline.runtime.batch import Batch
from pipeline.runtime.partition import PartitionRuntime
from pipeline.runtime.plans import PlanBook
from pipeline.runtime.stepping import Stepped
from pipeline.sending.links import voucher_key
from pipeline.store.memory import MemoryStore
from pipeline.store.rocks import RocksState, options


@dataclass
class Step:
    """One input of one customer: an event, or (`event` None) what time or a new plan brought.

    `watermark` (UTC ms) is how far timers could fire; `offset` the journal message at hand. `dead` is the reason of a
    dead letter: the event could not be applied. `repeated`: it was read before, by its place or its id.
    """

    watermark: int
    offset: int
    event: Event | None = None
    before: Customer | None = None
    done: Transition | None = None
    guards: list[Guard] = field(default_factory=list)
    dead: str = ""
    repeated: bool = False
    plan: Plan | None = None

    @property
    def at(self) -> int:
        """Return when it happened, in log time (UTC ms)."""
        if self.event is not None:
            return self.event.at
        after = self.done.customer if self.done is not None else None
        return after.now if after is not None else self.watermark


class TracedBook(PlanBook):
    """Compiles plans with each condition traced."""

    def __init__(self, tracer: Tracer, log: RecordedLog):
        super().__init__(log.plan, voucher_key())
        self._tracer = tracer

    def _plan(self, name: str) -> Plan:
        known = name in self._compiled
        found = super()._plan(name)
        if not known:
            found = self._compiled[name] = self._tracer.plan(found)
        return found


class TracedRuntime(PartitionRuntime):
    """Notes every step; what it decides is what the runtime decides."""

    def __init__(self, progress: Progress, store: MemoryStore, plans: PlanBook, tracer: Tracer):
        super().__init__(progress, store, plans)
        self._tracer = tracer
        self._at_hand: Event | None = None
        self._noted = False
        self.steps: list[Step] = []

    def _event(self, event: Event, appended_at: int) -> None:
        self._at_hand, self._noted = event, False
        super()._event(event, appended_at)
        if not self._noted:
            # The filter dropped it: the same record stood in the journal before.
            self._note(Step(self.watermark, 0, event, self._customer(event.customer), repeated=True))
        self._at_hand = None

    def _step(self, event: Event, plan: Plan, silent: bool) -> Stepped:
        """Fire what is due before an event apart from it, one due time after another: each is a step of its own."""
        customer = self._customer(event.customer)
        if customer is not None and self._owes(customer, plan):
            self._at_hand = None
            self._fire_apart(customer, plan)
            self._at_hand = event
        return super()._step(event, plan, silent)

    def _fire(self, name: str, plan: Plan) -> None:
        customer = self._customer(name)
        if customer is None:
            super()._fire(name, plan)
        else:
            self._fire_apart(customer, plan)

    def _dead(self, event: Event, reason: str) -> None:
        self._note(Step(self.watermark, 0, event, self._customer(event.customer), dead=reason))
        super()._dead(event, reason)

    def _keep(self, name: str, found: Stepped) -> None:
        done = found.done
        step = Step(self.watermark, 0, self._at_hand, self._customer(name), done, repeated=done.duplicate)
        self._note(step)
        super()._keep(name, found)

    def _note(self, step: Step) -> None:
        step.offset, step.plan, step.guards = self.progress.next_offset, self.plan, self._tracer.take()
        self._noted = self._noted or step.event is not None
        self.steps.append(step)


def steps_of(
    log: RecordedLog, customer: str, *, checkpoint: Path | None = None, until: int | None = None
) -> Iterator[Step]:
    """Yield the steps of a customer in their order; LogError where the log cannot give a whole answer."""
    partition = partition_of(customer, log.partitions)
    store, progress = _beginning(log, partition, customer, checkpoint)
    tracer = Tracer()
    try:
        runtime = TracedRuntime(progress, store, TracedBook(tracer, log), tracer)
        decided = log.decided(partition)
        for message in log.messages(partition, runtime.progress.next_offset):
            if decided is not None and message.offset >= decided.next_offset:
                return
            runtime.read(_only(message, customer))
            runtime.drain_all()
            store.apply(runtime.take())
            runtime.committed()
            yield from runtime.steps
            runtime.steps = []
            if until is not None and runtime.watermark >= until:
                return
    except RunError as error:
        raise LogError(str(error)) from None


def _only(message: JournalMessage, customer: str) -> JournalMessage:
    """Return a message without the events of others: ticks and control records act on everybody."""
    kept: list[Any] = [one for one in message.bundle.entries if not isinstance(one, Event) or one.customer == customer]
    bundle = Bundle(writer=message.bundle.writer, entries=kept)
    return JournalMessage(offset=message.offset, appended_at=message.appended_at, bundle=bundle)


def _beginning(
    log: RecordedLog, partition: int, customer: str, checkpoint: Path | None
) -> tuple[MemoryStore, Progress]:
    store = MemoryStore()
    if checkpoint is None:
        return store, Progress(journal="journal", partitions=log.partitions, partition=partition, lineage="explain")
    rows = Rdict(str(checkpoint), options(), access_type=AccessType.read_only())
    try:
        kept = RocksState(rows)
        found, progress = kept.get(customer), kept.progress()
    finally:
        rows.close()
    if progress is None:
        raise LogError(f"{checkpoint}: the checkpoint has no progress record: it is damaged")
    if found is not None:
        store.apply(Batch(progress, customers={customer: found}))
    return store, progress
