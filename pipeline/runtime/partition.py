"""One journal partition: reads messages, steps customers in memory, and gives batches to commit.

Both hosts drive it in the same way: `read` a message, `drain` what is due, `take` a batch, commit it, `committed`.
After anything but a clean commit the host throws the runtime away and opens a new one from the last progress record.
"""

import heapq

import msgspec
from msgspec.structs import replace

from models.command import Mark
from models.customer import Customer
from models.dead_letter import DeadLetter
from models.event import Event
from models.journal import (
    Entry,
    JournalMessage,
    PlanActivated,
    ScenarioSwitched,
    SourceChanged,
    StateVersionSet,
    Tick,
)
from models.progress import Counts, Progress
from pipeline.engine import api
from pipeline.engine.plan import Plan
from pipeline.engine.transition import Transition
from pipeline.errors import RunError
from pipeline.journal.records_clock import MERGED
from pipeline.journal.watermark import SourceTable
from pipeline.runtime.batch import Batch
from pipeline.runtime.plans import PLANS_KEPT, PlanBook
from pipeline.store.codec import STATE_BYTES_MAX, encode_cold, encode_hot
from pipeline.store.protocol import StateStore

CONTROLS_KEPT = 64
DRAIN_SLICE = 500
COMMAND_BYTES_MAX = 256 * 1024
# A state is measured only when it can be large: a customer with this many parts.
PARTS_MEASURED = 24
_encode = msgspec.json.Encoder().encode


class ContinuityError(RunError):
    """The journal skipped messages: reading on would lose events."""


class PartitionRuntime:
    """The state machine of one journal partition, without I/O but its local store."""

    def __init__(self, progress: Progress, store: StateStore, plans: PlanBook):
        self.progress = progress
        self.store = store
        self.plans = plans
        self.table = SourceTable(progress.sources, progress.watermark)
        self.records_clock = any(row.source == MERGED for row in progress.sources)
        self._plan = self._build_plan()
        self._counts = {name: getattr(progress.counts, name) for name in Counts.__struct_fields__}
        self._marked_until = progress.applied_until
        self._clear()

    def _clear(self) -> None:
        self._dirty: dict[str, Customer | None] = {}
        self._dues: list[tuple[int, str]] = []
        self._batch = Batch(progress=self.progress)
        self.events_in_batch = 0

    def _build_plan(self) -> Plan | None:
        progress = self.progress
        if not progress.plan:
            return None
        return self.plans.build(progress.plan, progress.plans, progress.activated, progress.switches)

    @property
    def watermark(self) -> int:
        """Return the watermark (UTC ms)."""
        return self.table.watermark

    @property
    def changed(self) -> bool:
        """Say whether there is anything to commit."""
        return self.progress is not self._batch.progress or bool(self._dirty)

    def read(self, message: JournalMessage) -> None:
        """Apply a journal message in memory; ContinuityError where it does not follow the last one."""
        wanted = self.progress.next_offset
        if message.offset < wanted:
            return
        if message.offset > wanted:
            raise ContinuityError(f"journal messages {wanted} to {message.offset} were skipped: read them first")
        for entry in message.bundle.entries:
            self._entry(entry, message.appended_at)
        self.progress = replace(self.progress, next_offset=wanted + 1, journal_at=message.appended_at)

    def _entry(self, entry: Entry, appended_at: int) -> None:
        match entry:
            case Event():
                self._event(entry, appended_at)
            case Tick():
                self.table.tick(entry)
            case _:
                self._control(entry)

    def _event(self, event: Event, appended_at: int) -> None:
        self._count("events")
        self.events_in_batch += 1
        if not self.table.accept(event.position):
            self._count("duplicate")
            return
        if self._plan is None:
            raise RunError("the journal has events before any plan: activate a plan first")
        if not self.records_clock and event.arrived_at > appended_at:
            event = replace(event, arrived_at=appended_at)
        silent = self.table.is_joining(event.position)
        before = self._customer(event.customer)
        try:
            done = api.apply_event(
                before, event, self.watermark, self._plan, activated_at=self.progress.activated_at, silent=silent
            )
            self._check_size(done)
        except Exception as error:  # noqa: BLE001 - whatever a step raises is that event's fault alone: a dead letter
            self._dead(event, f"{type(error).__name__}: {error}")
            return
        self._count("duplicate" if done.duplicate else "applied")
        if done.silent:
            self._count("silent")
        self._keep(event.customer, done)

    def _check_size(self, done: Transition) -> None:
        customer = done.customer
        if customer is not None and len(customer.enrolments) + len(customer.cold.cart.items) > PARTS_MEASURED:
            size = len(encode_hot(customer)) + len(encode_cold(customer))
            if size > STATE_BYTES_MAX:
                raise ValueError(f"a state of {size} bytes; {STATE_BYTES_MAX} are allowed")
        for command in done.commands:
            if command.data and len(_encode(command)) > COMMAND_BYTES_MAX:
                raise ValueError(f"a command of over {COMMAND_BYTES_MAX} bytes")

    def _dead(self, event: Event, reason: str) -> None:
        position = event.position
        self._count("dead")
        self._batch.dead_letters.append(
            DeadLetter(
                stage="engine",
                reason=reason,
                source=position.source,
                partition=position.partition,
                epoch=position.epoch,
                offset=position.offset,
                index=position.index,
                value=_encode(event),
                at=event.arrived_at,
            )
        )

    def _customer(self, name: str) -> Customer | None:
        if name in self._dirty:
            return self._dirty[name]
        return self.store.get(name)

    def _keep(self, name: str, done: Transition) -> None:
        self._dirty[name] = done.customer
        batch = self._batch
        batch.commands += done.commands
        batch.cancels += done.cancels
        batch.decisions += done.decisions
        batch.forwards += done.forwards
        for kind in ("commands", "cancels", "decisions", "forwards"):
            self._counts[kind] += len(getattr(done, kind))
        due = api.next_due(done.customer) if done.customer is not None else None
        if due is not None:
            heapq.heappush(self._dues, (due, name))

    def _count(self, name: str) -> None:
        self._counts[name] += 1

    def drain(self, limit: int = DRAIN_SLICE) -> bool:
        """Fire due timers and do the activation pass, up to so many customers; say whether more may wait."""
        plan = self._plan
        if plan is None:
            return False
        done = self._drain_changed(plan, limit)
        if done < limit:
            waiting = self.store.due(self.watermark, limit - done + len(self._dirty))
            for name in [name for name in waiting if name not in self._dirty][: limit - done]:
                self._fire(name, plan)
                done += 1
        if done < limit:
            done += self._pass(plan, limit - done)
        return done >= limit

    def _drain_changed(self, plan: Plan, limit: int) -> int:
        done = 0
        while self._dues and self._dues[0][0] < self.watermark and done < limit:
            due, name = heapq.heappop(self._dues)
            customer = self._dirty.get(name)
            if customer is not None and api.next_due(customer) == due:
                self._fire(name, plan)
                done += 1
        return done

    def _fire(self, name: str, plan: Plan) -> None:
        customer = self._customer(name)
        if customer is None:
            # An index entry of a customer who is gone: the commit takes it away.
            self._dirty[name] = None
            return
        self._keep(name, api.fire_timers(customer, self.watermark, plan, activated_at=self.progress.activated_at))

    def _pass(self, plan: Plan, limit: int) -> int:
        """Do a slice of the activation pass: customers whom no event has brought to it yet."""
        cursor = self.progress.pass_cursor
        if cursor is None:
            return 0
        names = self.store.customers_after(cursor or None, limit)
        for name in names:
            customer = self._customer(name)
            if customer is not None and customer.activated != plan.hash:
                self._keep(name, api.activate(customer, plan, self.watermark, self.progress.activated_at))
        self.progress = replace(self.progress, pass_cursor=names[-1] if names else None)
        return len(names)

    def drain_all(self) -> None:
        """Fire everything that is due before the watermark."""
        while self.drain():
            pass

    def _control(self, entry: PlanActivated | ScenarioSwitched | SourceChanged | StateVersionSet) -> None:
        """A control record acts once, and is a barrier: all that was due before it is done first."""
        if entry.id in self.progress.controls:
            return
        self.drain_all()
        progress = self.progress
        match entry:
            case PlanActivated():
                progress = self._activated(entry)
            case ScenarioSwitched():
                switches = {name: state for name, state in progress.switches.items() if name != entry.scenario}
                if entry.state != "active":
                    switches[entry.scenario] = entry.state
                progress = replace(progress, switches=switches)
            case SourceChanged():
                self.table.change(entry)
                self.records_clock = self.records_clock or entry.source == MERGED
            case StateVersionSet():
                progress = replace(progress, state_version=entry.version)
        self.progress = replace(progress, controls=(*progress.controls, entry.id)[-CONTROLS_KEPT:])
        self._plan = self._build_plan()

    def _activated(self, entry: PlanActivated) -> Progress:
        progress = self.progress
        earlier = tuple(name for name in (*progress.plans, progress.plan) if name and name != entry.plan)
        names = self.plans.scenarios(entry.plan)
        activated = {name: progress.activated.get(name, entry.at) for name in names}
        return replace(
            progress,
            plan=entry.plan,
            plans=earlier[-PLANS_KEPT:],
            activated=activated,
            activated_at=max(entry.at, progress.activated_at),
            pass_cursor="" if progress.plan else None,
        )

    def take(self) -> Batch:
        """Return all that is to be committed, with the mark and the progress record."""
        batch = self._batch
        batch.customers = self._dirty
        until = self.table.applied_until
        self.progress = replace(
            self.progress,
            watermark=self.watermark,
            applied_until=until,
            sources=self.table.rows(),
            counts=Counts(**self._counts),
        )
        batch.progress = self.progress
        if until > self._marked_until:
            batch.mark = Mark(partition=self.progress.partition, applied_until=until, records_clock=self.records_clock)
        return batch

    def committed(self) -> None:
        """The batch was committed, and applied to the local store: go on."""
        if self._batch.mark is not None:
            self._marked_until = self._batch.mark.applied_until
        self._clear()
