"""One journal partition: reads messages, steps customers in memory, and gives batches to commit.

Both hosts drive it in the same way: `read` a message, `drain` what is due, `take` a batch, commit it, `committed`.
After anything but a clean commit the host throws the runtime away and opens a new one from the last progress record.
"""

import heapq
from typing import Any

from msgspec.structs import replace

from models.command import Mark
from models.customer import Customer, Tracked
from models.event import Event
from models.identity import ERASURE
from models.journal import Control, Entry, JournalMessage, SourceChanged, Tick
from models.membership import Membership, labels_of, moved
from models.progress import Counts, Progress
from pipeline.engine import api
from pipeline.engine.plan import Plan
from pipeline.errors import RunError
from pipeline.journal.records_clock import MERGED
from pipeline.journal.watermark import SourceTable
from pipeline.runtime.batch import Batch
from pipeline.runtime.controls import controlled
from pipeline.runtime.erasing import erased
from pipeline.runtime.plans import PlanBook
from pipeline.runtime.stepping import Stepped, cause, dead_letter, fire_apart, measured
from pipeline.store.protocol import StateStore

DRAIN_SLICE = 500
NOTHING = Tracked()


class ContinuityError(RunError):
    """The journal skipped messages: reading on would lose events."""


class PartitionRuntime:
    """The state machine of one journal partition, without I/O but its local store."""

    def __init__(self, progress: Progress, store: StateStore, plans: PlanBook):
        self.progress = progress
        self.store = store
        self.plans = plans
        self.table = SourceTable(progress.sources, progress.watermark, progress.applied_until)
        self.records_clock = any(row.source == MERGED for row in progress.sources)
        self._plan = self._build_plan()
        self._counts = {name: getattr(progress.counts, name) for name in Counts.__struct_fields__}
        self._marked_until = progress.applied_until
        self._clear()

    def _clear(self) -> None:
        self._dirty: dict[str, Customer | None] = {}
        self._encoded: dict[str, tuple[bytes, bytes]] = {}
        # Timers of customers changed since the last commit; the store's index, which does not know them yet, is read
        # on from a cursor, so that no drain looks twice at what an earlier one of the same batch has fired.
        self._dues: list[tuple[int, str]] = []
        self._due_cursor: tuple[int, str] | None = None
        self._batch = Batch(progress=self.progress)
        self._kinds: tuple[tuple[str, list[Any]], ...] = tuple(
            (kind, getattr(self._batch, kind)) for kind in ("commands", "cancels", "decisions", "forwards", "vouchers")
        )
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
    def plan(self) -> Plan | None:
        """Return the live plan, with earlier versions pinned; None before any activation."""
        return self._plan

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
        silent = event.silent or self.table.is_joining(event.position)
        try:
            found = self._step(event, self._plan, silent)
        except Exception as error:  # noqa: BLE001 - whatever a step raises is that event's fault alone: a dead letter
            self._dead(event, cause(error))
            return
        self._count("duplicate" if found.done.duplicate else "applied")
        if found.done.silent:
            self._count("silent")
        if found.done.commands:
            self._batch.caused.extend([event.arrived_at] * len(found.done.commands))
        if found.done.customer is None and event.type == ERASURE:
            self._batch.erased.append(erased(event, self._customer(event.customer)))
        self._keep(event.customer, found)

    def _step(self, event: Event, plan: Plan, silent: bool) -> Stepped:
        """Step an event; where that raises, the fault may be a timer's that was due before it: those go apart first."""
        try:
            return self._apply(event, plan, silent)
        except Exception:
            customer = self._customer(event.customer)
            if customer is None or not self._owes(customer, plan):
                raise
            self._fire_apart(customer, plan)
            return self._apply(event, plan, silent)

    def _apply(self, event: Event, plan: Plan, silent: bool) -> Stepped:
        before, activated_at = self._customer(event.customer), self.progress.activated_at
        done = api.apply_event(before, event, self.watermark, plan, activated_at=activated_at, silent=silent)
        found = measured(done)
        self._note_moves(event.customer, event.at, before, done.customer)
        return found

    def _note_moves(self, name: str, at: int, before: Customer | None, after: Customer | None) -> None:
        """Note who is in other segments or levels than before; `at` (UTC ms) is when, where nothing of them is kept."""
        was, now = before.tracked if before else NOTHING, after.tracked if after else NOTHING
        if moved(was, now):
            since = after.now if after else at
            self._batch.memberships.append(Membership(customer=name, at=since, names=labels_of(now)))

    def _owes(self, customer: Customer, plan: Plan) -> bool:
        due = api.next_due(customer)
        return customer.activated != plan.pass_name or (due is not None and due < self.watermark)

    def _dead(self, event: Event, reason: str) -> None:
        self._count("dead")
        self._batch.dead_letters.append(dead_letter(event, reason))

    def _customer(self, name: str) -> Customer | None:
        if name in self._dirty:
            return self._dirty[name]
        return self.store.get(name)

    def _keep(self, name: str, found: Stepped) -> None:
        done = found.done
        self._dirty[name] = done.customer
        counts = self._counts
        for kind, kept in self._kinds:
            records = getattr(done, kind)
            if records:
                kept.extend(records)
                counts[kind] += len(records)
        if done.customer is None or found.encoded is None:
            self._encoded.pop(name, None)
            return
        self._encoded[name] = found.encoded
        due = api.next_due(done.customer)
        if due is not None:
            heapq.heappush(self._dues, (due, name))

    def _count(self, name: str) -> None:
        self._counts[name] += 1

    def drain(self, limit: int = DRAIN_SLICE) -> bool:
        """Fire due timers and do the activation pass, up to so many customers; say whether more may wait.

        The host may commit between two drains, and reads its next message when there is no more.
        """
        plan = self._plan
        if plan is None:
            return False
        done = self._drain_changed(plan, limit)
        while done < limit and (waiting := self.store.due(self.watermark, limit - done, self._due_cursor)):
            self._due_cursor = waiting[-1]
            fresh = [name for _, name in waiting if name not in self._dirty]
            for name in fresh:
                self._fire(name, plan)
            done += len(fresh)
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
        self._batch.woken += 1
        try:
            done = api.fire_timers(customer, self.watermark, plan, activated_at=self.progress.activated_at)
            found = measured(done)
        except Exception:  # noqa: BLE001 - fired again apart, where what raises ends with a decision
            self._fire_apart(customer, plan)
            return
        self._note_moves(name, self.watermark, customer, done.customer)
        self._keep(name, found)

    def _fire_apart(self, customer: Customer, plan: Plan) -> None:
        before: Customer | None = customer
        for found in fire_apart(customer, self.watermark, plan, self.progress.activated_at):
            self._note_moves(customer.id, self.watermark, before, found.done.customer)
            self._keep(customer.id, found)
            before = found.done.customer

    def _pass(self, plan: Plan, limit: int) -> int:
        """Do a slice of the activation pass: customers whom no input has brought to it yet, in the order of ids."""
        cursor = self.progress.pass_cursor
        if cursor is None:
            return 0
        new = heapq.nsmallest(limit, (name for name in self._dirty if name > cursor))
        names = sorted({*self.store.customers_after(cursor or None, limit), *new})[:limit]
        for name in names:
            customer = self._customer(name)
            if customer is not None and customer.activated != plan.pass_name:
                self._fire(name, plan)
        self.progress = replace(self.progress, pass_cursor=names[-1] if len(names) == limit else None)
        return len(names)

    def drain_all(self) -> None:
        """Fire everything that is due before the watermark."""
        while self.drain():
            pass

    def _control(self, entry: Control) -> None:
        """A control record acts once, and is a barrier: all that was due before it is done first."""
        if entry.id in self.progress.controls:
            return
        self.drain_all()
        if isinstance(entry, SourceChanged):
            self.table.change(entry)
            self.records_clock = self.records_clock or entry.source == MERGED
        self.progress = controlled(self.progress, entry, self.plans.scenarios)
        self._plan = self._build_plan()

    def take(self) -> Batch:
        """Return all that is to be committed, with the mark and the progress record."""
        batch = self._batch
        batch.customers, batch.encoded = self._dirty, self._encoded
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
