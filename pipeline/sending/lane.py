"""The life of one channel in one partition of `delivery`: rounds of checks, intents, calls and outcomes.

A round: 1. read `delivery` as far as it goes, which brings the last mark; 2. take the time; 3. read `cancels` to their
end; 4. check every command that may go, and render up to ROUND_MAX of them; 5. commit their intents with the ends that
are known already; 6. call, each within CALL_WITHIN_MS of 2; 7. commit the outcomes. What was called too late goes
through a new check and a new intent. FencedError at 5 says that somebody else owns the partition: nothing was called.

Two clocks. Live, `now` is the wall clock, and marketing is held while the last mark is more than HOLD_BEHIND_MS behind
it. Under the records clock (the mark says so) `now` at a command is its `emitted_at`, so that the outcome depends on
the log alone, nothing is held, and a cancel counts if its `at` is not after that.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import msgspec

from models.command import Command, Mark, Release
from models.receipt import FINAL, Receipt
from pipeline.sending.brakes import Brakes
from pipeline.sending.breaker import Breaker
from pipeline.sending.bucket import Bucket
from pipeline.sending.outcome import Outcome
from pipeline.sending.pace import Pace
from pipeline.sending.progress import SenderProgress
from pipeline.sending.protocol import Delivered, DeliveryLog, SenderClock, Switches
from pipeline.sending.render import RenderError
from pipeline.sending.stage import CALL_WITHIN_MS, ROUND_MAX, Queued, Ready, SenderStage
from pipeline.sending.tally import BRAKED, Tallies
from pipeline.sending.waiting import KEPT_MAX, Waiting

READ_MAX = 1_000
ENDED_MAX = 1_000  # receipts of one commit, beside the intents
IDLE_MS = 100
PAUSED = "paused by an operator"
LOOK_MS = 1_000  # how often `cancels` is read, and what is held or put off is looked at for its end
SAVE_RECORDS = 1_000  # progress without receipts is committed after so many records
# A cancel is kept this long after `delivery` was last read to its end: its command is committed before it or with it.
CANCELS_KEPT_MS = 600_000


@dataclass(slots=True)
class Checked:
    """What a round's checks gave."""

    receipts: list[Receipt] = field(default_factory=list)
    ready: list[Ready] = field(default_factory=list)
    held: int = 0


class SenderLane:
    """Drives a stage over one partition; everything outside comes through protocols.

    `slots` bounds the calls at once over all lanes of a provider; `breaker` and `bucket` are theirs in common too.
    """

    def __init__(
        self,
        stage: SenderStage,
        log: DeliveryLog,
        clock: SenderClock,
        progress: SenderProgress,
        *,
        breaker: Breaker | None = None,
        bucket: Bucket | None = None,
        slots: asyncio.Semaphore | None = None,
        switches: Switches | None = None,
        kept_max: int = KEPT_MAX,
        partitions: int = 1,
    ):
        self.stage = stage
        self.log = log
        self.clock = clock
        self.breaker = breaker or Breaker()
        self.bucket = bucket or Bucket(stage.provider.rate)
        self.slots = slots or asyncio.Semaphore(stage.provider.at_once)
        self.switches = switches
        self.held = 0
        self._saved = progress
        self._waiting = Waiting(progress, kept_max)
        self._tallies = Tallies(progress)
        self._brakes = Brakes(progress.paced, progress.sped, progress.passed, partitions)
        self._pace = Pace(partitions)
        self._dropped = dict(progress.dropped)
        self._records_clock = progress.records_clock
        self._open = set(progress.open)
        self._opened_at = progress.opened_at
        self._applied_until: int | None = None
        self._cancels: tuple[dict[str, int], dict[str, int]] = ({}, {})
        self._turned_at = clock.ticks()
        self._look_at = 0
        self._worked = False

    async def open(self) -> None:
        """Take up where the progress stands."""
        await self.log.seek(self._waiting.next)

    async def round(self) -> bool:
        """Do one round; False when nothing was to be done."""
        self._worked = await self._round()
        return self._worked

    async def _round(self) -> bool:
        await self._read()
        now, ticks = self.clock.now(), self.clock.ticks()
        look = ticks >= self._look_at
        if self._records_clock is None or not (self._waiting.kept or look):
            await self._save_if_due()
            return False
        await self._read_cancels(ticks)
        checked = self._check(now, ticks, look)
        if not checked.receipts and not checked.ready:
            await self._save_if_due()
            return False
        called = {one.queued.offset for one in checked.ready}
        self._open |= called
        self._opened_at = now
        intents = [self.stage.receipt(one.queued, "intent", one.checked_at) for one in checked.ready]
        await self._commit([*checked.receipts, *intents])
        if checked.ready:
            outcomes = await asyncio.gather(*[self._call(one, ticks) for one in checked.ready])
            self._open -= called
            await self._commit(outcomes)
        return True

    async def _read(self) -> None:
        """Read on; the wait is for when nothing else is to be done."""
        wait_ms = 0 if self._worked else IDLE_MS
        while True:
            records = await self.log.read(READ_MAX, wait_ms)
            for one in records:
                self._take(one)
            if len(records) < READ_MAX:
                break
            wait_ms = 0
        await self._read_parked()

    async def _read_parked(self) -> None:
        """Read parked commands again, as far as there is room for them."""
        room, start = self._waiting.room, self._waiting.parked_from
        while room > 0 and start is not None:
            records = await self.log.again(start, room)
            for one in records:
                self._waiting.unpark(one.offset, one.record if isinstance(one.record, Command) else None)
            if not records:
                self._waiting.unpark(self._waiting.next, None)  # retention has taken them all
            room, start = self._waiting.room, self._waiting.parked_from

    def _take(self, one: Delivered) -> None:
        match one.record:
            case Command():
                self._waiting.take(one.offset, one.record)
                return
            case Mark():
                self._records_clock = one.record.records_clock
                self._applied_until = max(self._applied_until or 0, one.record.applied_until)
            case Release() if one.offset >= self._saved.next:
                self._tallies.release(one.record.scenario)
                self._brakes.release(one.record.scenario, one.offset)
                if one.record.cancel:
                    self._dropped[one.record.scenario] = one.offset
        self._waiting.passed(one.offset)

    async def _read_cancels(self, ticks: int) -> None:
        """Take the cancels up to their end: under the wall clock they count at once, whatever host wrote them."""
        if ticks - self._turned_at > CANCELS_KEPT_MS and self._waiting.parked_from is None:
            self._cancels, self._turned_at = ({}, self._cancels[0]), ticks
        for cancel in await self.log.cancels():
            self._cancels[0][cancel.command] = cancel.at if self._records_clock else 0

    def _now(self, queued: Queued, now: int) -> int:
        return queued.command.emitted_at if self._records_clock else now

    def _check(self, now: int, ticks: int, look: bool) -> Checked:
        found = Checked()
        if look:
            self._look_at = ticks + LOOK_MS
        room = min(self.breaker.room(ticks, ROUND_MAX), self.bucket.room(ticks, ROUND_MAX))
        behind_ms = 0 if self._records_clock else now - (self._applied_until or 0)
        for queued in self._waiting.ordered():
            if len(found.ready) >= ROUND_MAX or len(found.receipts) >= ENDED_MAX:
                break
            put_off = queued.not_before > now and queued.offset not in self._open
            why = self._why_held(queued, self._now(queued, now), behind_ms)
            if (put_off or (why and queued.held)) and not look:
                found.held += bool(why)
                continue
            left = 0 if put_off else room - len(found.ready)
            self._check_one(queued, self._now(queued, now), why, left, found)
        self.held = found.held
        self.bucket.spend(len(found.ready))
        return found

    def _why_held(self, queued: Queued, now: int, behind_ms: int) -> str:
        scenario = queued.command.scenario
        if self.stage.holds(queued, behind_ms):
            return "the engine is catching up"
        if self._tallies.braked(scenario):
            return BRAKED
        if self._is_paused(queued):
            return PAUSED
        if not self._records_clock and self.stage.is_quiet(queued.command, now):
            return "quiet hours"
        return self._brakes.why(queued, now, self.stage.guard_of(queued.command), leaves=self.stage.leaves)

    def _is_paused(self, queued: Queued) -> bool:
        """Say whether an operator's switch is off: asked in the last moment before a call too."""
        return self.switches is not None and self.switches.paused(self.stage.channel, queued.command.scenario)

    def _check_one(self, queued: Queued, now: int, why: str, room: int, found: Checked) -> None:
        ended = self.stage.after_crash(queued, now, self.clock.now()) if queued.unsure_since else None
        ended = ended or self._end_of(queued, now)
        if ended is not None:
            found.receipts.append(ended)
        elif why:
            found.held += 1
            if not queued.held:
                queued.held = True
                found.receipts.append(self.stage.receipt(queued, "held", now, why))
        elif room > 0 and self._is_its_turn(queued, now):
            self._prepare(queued, now, found)

    def _is_its_turn(self, queued: Queued, now: int) -> bool:
        """Say whether rates and domains let a command go: by the wall clock, so not under the records clock."""
        if self._records_clock:
            return True
        command, ticks = queued.command, self.clock.ticks()
        mail = self.stage.mail_of(command)
        return self._brakes.room(command.scenario, self.stage.guard_of(command), ticks) and (
            mail is None or self._pace.room(command, mail, now, ticks)
        )

    def _end_of(self, queued: Queued, now: int) -> Receipt | None:
        if queued.offset < self._dropped.get(queued.command.scenario, -1):
            return self.stage.end(queued, "cancelled", now, "cancelled by an operator")
        young, old = self._cancels
        return self.stage.end_of(queued, now, young if queued.command.id in young else old)

    def _prepare(self, queued: Queued, now: int, found: Checked) -> None:
        unfit = self.stage.unfit(queued, now)
        if unfit is not None:
            found.receipts.append(unfit)
            return
        try:
            # What may have gone out is rendered as it was then: a provider takes a key with one content only.
            at = now if self._records_clock else queued.unsure_since or now
            found.ready.append(self.stage.prepare(queued, now, at))
            mail = self.stage.mail_of(queued.command)
            if mail is not None:
                self._pace.spend(queued.command, mail, now)
            if not (queued.attempts or queued.unsure_since):
                self._brakes.count(queued.command, now, self.stage.guard_of(queued.command))
        except RenderError as error:
            self._tallies.count(queued.command, failed=True)
            found.receipts.append(self.stage.end(queued, "rejected", now, f"template: {error}"))

    async def _call(self, ready: Ready, checked: int) -> Receipt:
        """Call the provider, if the check at `checked` (ticks) is fresh enough when it is this one's turn."""
        queued = ready.queued
        async with self.slots:
            now, ticks = self.clock.now(), self.clock.ticks()
            at = self._now(queued, now)
            if ticks - checked > CALL_WITHIN_MS:
                return self.stage.receipt(queued, "retry", at, "the check was over 5 s old: checked again")
            if self._is_paused(queued):
                return self.stage.receipt(queued, "retry", at, PAUSED)
            message = replace(ready.message, call_by=checked + CALL_WITHIN_MS)
            self.breaker.begin(ticks)
            outcome = Outcome("unknown", "broken off", trouble=True)
            try:
                outcome = await self.stage.carry(replace(ready, message=message))
            finally:
                self.breaker.note(outcome.trouble, self.clock.ticks())
        done = self.stage.judge(queued, outcome, at, self._opened_at)
        if done.state == "retry":
            queued.not_before += self.clock.now() - at  # its wait is of the wall clock, whichever clock holds
        else:
            self._tallies.count(queued.command, failed=False)
        return done

    async def _commit(self, receipts: Iterable[Receipt]) -> None:
        receipts = list(receipts)
        for receipt in receipts:
            if receipt.state in FINAL:
                self._waiting.done(receipt.delivery_offset)
                self._open.discard(receipt.delivery_offset)
        progress = self._progress()
        await self.log.commit(receipts, progress, self.stage.take_facts())
        self._saved = progress

    def _progress(self) -> SenderProgress:
        return msgspec.structs.replace(
            self._waiting.progress(self._open),
            opened_at=self._opened_at if self._open else 0,
            tallies=self._tallies.rows(),
            braked=self._tallies.stopped(),
            dropped=self._dropped,
            paced=self._brakes.rows(),
            sped=self._brakes.sped(),
            passed=self._brakes.passed,
            records_clock=self._records_clock,
        )

    async def _save_if_due(self) -> None:
        if self._waiting.next - self._saved.next >= SAVE_RECORDS:
            await self._commit([])
