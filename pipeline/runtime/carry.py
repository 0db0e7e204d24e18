"""The embedded sender: carries out what stands on `delivery`, with intents and outcomes in write batches.

A round: 1. the next commands of `delivery`, up to ROUND_MAX; 2. checks; 3. one write batch: the ends that need no call,
the intents of the others, and the round's extent; 4. the calls; 5. one write batch: the outcomes and the next round's
beginning. A restart does the same round again: what has ended is left out, what has an intent gets no second one.

History is sent by its own clock: the clock at a command is when the engine emitted it, so that the outcome does not
depend on when the process was running.
"""

import asyncio
from collections.abc import Callable

import msgspec
from rocksdict import WriteBatch

from models.command import Cancel, Command, DeliveryRecord
from models.receipt import FINAL, Receipt
from pipeline.runtime.folder import Folder, meta_key, stream_key
from pipeline.sending.clock import SystemClock
from pipeline.sending.stage import ROUND_MAX, Queued, Ready, SenderStage

# How soon a stop is heard while a provider's time to retry is awaited.
HEARD_S = 0.1
_delivery = msgspec.json.Decoder(DeliveryRecord)
_cancel = msgspec.json.Decoder(Cancel)
encode = msgspec.json.Encoder().encode


class SenderState(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Where the sender stands on `delivery`.

    Every command before `next` has ended. The round in hand goes up to `upto`; of it `done` have ended, `open` have an
    intent and no outcome since `opened_at` (UTC ms of the wall clock), and `put_off` have an intent and were not sent:
    a stop came before.
    """

    next: int = 0
    upto: int = 0
    done: list[int] = []
    open: list[int] = []
    opened_at: int = 0
    put_off: list[int] = []


_state = msgspec.json.Decoder(SenderState)


class EmbeddedSender:
    """Drives the stage of each channel over the folder's streams."""

    def __init__(self, folder: Folder, stages: dict[str, SenderStage], stopping: Callable[[], bool]):
        self.folder = folder
        self.stages = stages
        self.stopping = stopping
        self.clock = SystemClock()
        raw = folder.get("sender")
        self.state = _state.decode(raw) if raw else SenderState()
        self._receipts_end = folder.end("receipts")
        self._cancels: dict[str, int] = {}
        self._cancels_next = 0
        self._runner = asyncio.Runner()

    def carry_out(self) -> bool:
        """Carry out every command on `delivery`, in rounds; False where a stop came first."""
        while not self.stopping():
            queued = self._read()
            if not queued:
                return True
            self._read_cancels()
            self._round(queued)
        return False

    def _read(self) -> list[Queued]:
        state = self.state
        found: list[Queued] = []
        for offset, raw in self.folder.scan("delivery", state.next):
            if state.next < state.upto <= offset:
                break
            record = _delivery.decode(raw)
            if isinstance(record, Command):
                if offset not in state.done:
                    found.append(Queued(record, offset))
                if len(found) >= ROUND_MAX:
                    break
            elif not found and not state.done:
                state.next = offset + 1
        return found

    def _read_cancels(self) -> None:
        for offset, raw in self.folder.scan("cancels", self._cancels_next):
            cancel = _cancel.decode(raw)
            self._cancels.setdefault(cancel.command, cancel.at)
            self._cancels_next = offset + 1

    def _round(self, queued: list[Queued]) -> None:
        """Check, commit the intents, call, commit the outcomes."""
        state = self.state
        ended: list[Receipt] = []
        ready: list[Ready] = []
        for one in queued:
            checked = self._checked(one)
            if isinstance(checked, Ready):
                ready.append(checked)
            else:
                ended.append(checked)
        fresh = [one for one in ready if one.queued.offset not in {*state.open, *state.put_off}]
        intents = [self._stage(one.queued).receipt(one.queued, "intent", one.checked_at) for one in fresh]
        state.upto = queued[-1].offset + 1
        state.done = [*state.done, *(receipt.delivery_offset for receipt in ended)]
        # From here on a crash leaves open whether those were called that a stop had put off.
        news = bool(ended or intents or state.put_off)
        state.open, state.put_off = [one.queued.offset for one in ready], []
        state.opened_at = self.clock.now() if ready else 0
        if news:
            self._commit([*ended, *intents])
        outcomes = self._runner.run(self._calls(ready)) if ready else []
        state.open, state.opened_at = [], 0
        if len(outcomes) == len(ready):
            state.next, state.done = state.upto, []
        else:
            state.put_off = [one.queued.offset for one in ready[len(outcomes) :]]
            state.done = [*state.done, *(receipt.delivery_offset for receipt in outcomes)]
        self._commit(outcomes)

    def _stage(self, queued: Queued) -> SenderStage:
        return self.stages.get(queued.command.channel) or self.stages["email"]

    def _checked(self, queued: Queued) -> Ready | Receipt:
        stage, now = self._stage(queued), queued.command.emitted_at
        if queued.command.channel not in self.stages:
            return stage.receipt(queued, "rejected", now, f"no sender for {queued.command.channel}")
        if queued.offset in self.state.open:
            queued.unsure_since = self.state.opened_at or 1
            after = stage.after_crash(queued, now, self.clock.now())
            if after is not None:
                return after
        done = stage.check(queued, now, self._cancels, behind_ms=0)
        assert done is not None, "history holds nothing back"
        return done

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
        stage = self._stage(ready.queued)
        while not self.stopping():
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

    def _commit(self, receipts: list[Receipt]) -> None:
        batch = WriteBatch(raw_mode=True)
        for receipt in receipts:
            batch.put(stream_key("receipts", self._receipts_end), encode(receipt))
            self._receipts_end += 1
        batch.put(meta_key("sender"), encode(self.state))
        self.folder.write(batch)

    def close(self) -> None:
        """Close the providers."""
        for stage in self.stages.values():
            self._runner.run(stage.provider.close())
        self._runner.close()
