"""The embedded sender: carries out what stands on `delivery`, with intents and outcomes in write batches.

A round: 1. the next commands, up to ROUND_MAX: those that an operator has released, else the next of `delivery`; 2.
checks; 3. one write batch: the ends that need no call, what is held, the intents of the others; 4. the calls; 5. one
write batch: the outcomes. A restart does the same round again: what has ended is left out, what has an intent gets no
second one.

History is sent by its own clock: the clock at a command is when the engine emitted it (or when an operator let it go),
so that the outcome does not depend on when the process was running. A provider's rate, and its times to retry, are of
the wall clock.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
from rocksdict import WriteBatch

from models.command import Cancel, Command, DeliveryRecord, Release
from models.receipt import FINAL, Receipt
from pipeline.runtime.collected import SUPPRESSIONS
from pipeline.runtime.folder import Folder, meta_key, stream_key
from pipeline.runtime.sender_state import Aside, SenderState, decode_state
from pipeline.sending import suppressions
from pipeline.sending.brakes import Brakes
from pipeline.sending.bucket import Bucket
from pipeline.sending.clock import SystemClock
from pipeline.sending.stage import ROUND_MAX, Queued, Ready, SenderStage
from pipeline.sending.tally import BRAKED, Tallies

# How soon a stop is heard while a provider's time to retry is awaited.
HEARD_S = 0.1
_delivery = msgspec.json.Decoder(DeliveryRecord)
_cancel = msgspec.json.Decoder(Cancel)
encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Checked:
    """What a round's checks gave: receipts (ends, and what is held), offsets held, and what is to be called."""

    receipts: list[Receipt] = field(default_factory=list)
    held: list[int] = field(default_factory=list)
    ready: list[Ready] = field(default_factory=list)


class EmbeddedSender:
    """Drives the stage of each channel over the folder's streams."""

    def __init__(self, folder: Folder, stages: dict[str, SenderStage], stopping: Callable[[], bool]):
        self.folder = folder
        self.stages = stages
        self.stopping = stopping
        self.clock = SystemClock()
        raw = folder.get("sender")
        self.state = decode_state(raw) if raw else SenderState()
        self._aside = Aside(folder)
        self._taken: list[int] = []  # rows of `released` that the round in hand has
        self._of_an_earlier_release()
        self._tallies = Tallies(self.state.counted())
        self._brakes = Brakes(self.state.paced, self.state.sped)
        self._buckets = {channel: Bucket(stage.provider.rate) for channel, stage in stages.items()}
        self._receipts_end = folder.end("receipts")
        self._cancels: dict[str, int] = {}
        self._cancels_next = 0
        self._runner = asyncio.Runner()

    def carry_out(self) -> bool:
        """Carry out every command on `delivery`, in rounds; False where a stop came first."""
        while not self.stopping():
            queued = self._next_round()
            if not queued:
                return True
            self._read_cancels()
            self._round(queued)
        return False

    def _of_an_earlier_release(self) -> None:
        state = self.state
        if state.upto > state.next:
            found = [offset for offset, _ in self._commands(state.next, state.upto) if offset not in state.done]
            state.round, state.next, state.upto, state.done = found, state.upto, 0, []

    def _commands(self, start: int, end: int) -> list[tuple[int, Command]]:
        found = []
        for offset, raw in self.folder.scan("delivery", start):
            if offset >= end:
                break
            record = _delivery.decode(raw)
            if isinstance(record, Command):
                found.append((offset, record))
        return found

    def _next_round(self) -> list[Queued]:
        """Return the round in hand, else a round of what was released, else the next commands of `delivery`."""
        state = self.state
        if not state.round:
            state.round, state.round_at = self._aside.released(ROUND_MAX)
            self._taken = list(state.round)
        if not state.round:
            return self._read_on()
        return [Queued(self._command(offset), offset) for offset in state.round]

    def _command(self, offset: int) -> Command:
        [(_, command)] = self._commands(offset, offset + 1)
        return command

    def _read_on(self) -> list[Queued]:
        state = self.state
        found: list[Queued] = []
        for offset, raw in self.folder.scan("delivery", state.next):
            record = _delivery.decode(raw)
            if isinstance(record, Release) and found:
                break
            state.next = offset + 1
            if isinstance(record, Release):
                self._release(record)
                return self._next_round()
            if isinstance(record, Command):
                found.append(Queued(record, offset))
                if len(found) >= ROUND_MAX:
                    break
        state.round = [one.offset for one in found]
        return found

    def _release(self, said: Release) -> None:
        """Let a scenario's held commands go, or end them."""
        queued = [Queued(self._command(offset), offset) for offset in self._aside.held()]
        queued = [one for one in queued if one.command.scenario == said.scenario]
        self._tallies.release(said.scenario)
        self._brakes.release(said.scenario, 0)
        batch, ends = WriteBatch(raw_mode=True), []
        for one in queued:
            if said.cancel:
                self._aside.forget(batch, one.offset)
                ends.append(self._stage(one).end(one, "cancelled", said.at, "cancelled by an operator"))
            else:
                self._aside.release(batch, one.offset, said.at)
        self._commit(ends, batch)

    def _read_cancels(self) -> None:
        for offset, raw in self.folder.scan("cancels", self._cancels_next):
            cancel = _cancel.decode(raw)
            self._cancels.setdefault(cancel.command, cancel.at)
            self._cancels_next = offset + 1

    def _round(self, queued: list[Queued]) -> None:
        """Check, commit the intents, call, commit the outcomes."""
        state = self.state
        intended = {*state.open, *state.put_off}
        checked = Checked()
        for one in queued:
            self._check(one, checked, counted=one.offset in intended)
        fresh = [one for one in checked.ready if one.queued.offset not in intended]
        intents = [self._stage(one.queued).receipt(one.queued, "intent", one.checked_at) for one in fresh]
        state.round = [one.queued.offset for one in checked.ready]
        # From here on a crash leaves open whether those were called that a stop had put off.
        news = bool(checked.receipts or intents or state.put_off)
        state.open, state.put_off = list(state.round), []
        state.opened_at = self.clock.now() if checked.ready else 0
        if news:
            batch = WriteBatch(raw_mode=True)
            for offset in self._taken:
                self._aside.forget(batch, offset)
            for offset in checked.held:
                self._aside.hold(batch, offset)
            self._commit([*checked.receipts, *intents], batch)
            self._taken = []
        outcomes = self._runner.run(self._calls(checked.ready)) if checked.ready else []
        state.open, state.opened_at = [], 0
        state.put_off = state.round = state.round[len(outcomes) :]
        self._commit(outcomes, WriteBatch(raw_mode=True))

    def _stage(self, queued: Queued) -> SenderStage:
        return self.stages.get(queued.command.channel) or self.stages["email"]

    def _check(self, queued: Queued, checked: Checked, *, counted: bool) -> None:
        """Say of one command that it has ended, waits for an operator, or may be called."""
        stage, now = self._stage(queued), max(queued.command.emitted_at, self.state.round_at)
        if queued.command.channel not in self.stages:
            checked.receipts.append(stage.receipt(queued, "rejected", now, f"no sender for {queued.command.channel}"))
            return
        if queued.offset in self.state.open:
            queued.unsure_since = self.state.opened_at or 1
            after = stage.after_crash(queued, now, self.clock.now())
            if after is not None:
                checked.receipts.append(after)
                return
        elif not counted and (why := self._why_held(queued, now)):
            self._hold(queued, now, why, checked)
            return
        done = stage.check(queued, now, self._cancels, behind_ms=0)
        assert done is not None, "history holds nothing back"
        if not counted and (isinstance(done, Ready) or done.reason.startswith("template: ")):
            self._tallies.count(queued.command, failed=not isinstance(done, Ready))
        if not counted and isinstance(done, Ready):
            self._brakes.count(queued.command, now, stage.guard_of(queued.command))
        if isinstance(done, Ready):
            checked.ready.append(done)
        else:
            checked.receipts.append(done)

    def _why_held(self, queued: Queued, now: int) -> str:
        """Return why a command waits for an operator; what he has let go waits no more, unless templates fail anew."""
        if self._tallies.braked(queued.command.scenario):
            return BRAKED
        if self.state.round_at:
            return ""
        stage = self._stage(queued)
        return self._brakes.why(queued, now, stage.guard_of(queued.command), leaves=stage.leaves)

    def _hold(self, queued: Queued, now: int, why: str, checked: Checked) -> None:
        """Put a command aside for an operator, with a receipt, unless it has ended anyway."""
        stage = self._stage(queued)
        ended = stage.end_of(queued, now, self._cancels)
        if ended is None:
            checked.held.append(queued.offset)
        checked.receipts.append(ended or stage.receipt(queued, "held", now, why))

    async def _calls(self, ready: list[Ready]) -> list[Receipt]:
        """Call one after another, and return the ends up to where a stop came."""
        ends: list[Receipt] = []
        for one in ready:
            end = await self._call(one)
            if end is None:
                break
            ends.append(end)
        return ends

    async def _call(self, ready: Ready) -> Receipt | None:
        """Call until there is an end: a history waits for its provider, by the wall clock. None where a stop came."""
        stage, bucket = self._stage(ready.queued), self._buckets[ready.queued.command.channel]
        while not self.stopping():
            if not bucket.room(self.clock.ticks(), 1):
                await asyncio.sleep(HEARD_S / 10)
                continue
            bucket.spend(1)
            done = await stage.call(ready, ready.checked_at, self.clock.now())
            if done.state in FINAL:
                return done
            await self._until_retry((ready.queued.not_before - ready.checked_at) / 1000)
        return None

    async def _until_retry(self, wait_s: float) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_s
        while not self.stopping() and (left := deadline - loop.time()) > 0:  # noqa: ASYNC110 - a flag, not an event
            await asyncio.sleep(min(left, HEARD_S))

    def _commit(self, receipts: list[Receipt], batch: WriteBatch) -> None:
        state = self.state
        state.tallies, state.braked = self._tallies.rows(), self._tallies.stopped()
        state.paced, state.sped = self._brakes.rows(), self._brakes.sped()
        for receipt in receipts:
            batch.put(stream_key("receipts", self._receipts_end), encode(receipt))
            self._receipts_end += 1
        for row in [row for stage in self.stages.values() for row in stage.take_facts()]:
            batch.put(meta_key(SUPPRESSIONS + row.key), suppressions.encode(row))
        batch.put(meta_key("sender"), encode(state))
        self.folder.write(batch)

    def close(self) -> None:
        """Close the providers."""
        for stage in self.stages.values():
            self._runner.run(stage.provider.close())
        self._runner.close()
