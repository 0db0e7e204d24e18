"""The embedded sender: carries out what stands on `delivery`, with intents and outcomes in write batches.

History is sent by its own clock: the clock at a command is when the engine emitted it, so that the outcome does not
depend on when the process was running.
"""

import asyncio

import msgspec
from rocksdict import WriteBatch

from models.command import Cancel, Command, DeliveryRecord
from models.receipt import Receipt
from pipeline.runtime.folder import Folder, meta_key, stream_key
from pipeline.sending.stage import ROUND_MAX, Queued, Ready, SenderStage

_delivery = msgspec.json.Decoder(DeliveryRecord)
_cancel = msgspec.json.Decoder(Cancel)
_state: "msgspec.json.Decoder[SenderState]"
encode = msgspec.json.Encoder().encode


class SenderState(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Where the sender stands: the next offset of `delivery`, and the offsets whose intents are open."""

    next: int = 0
    open: list[int] = []


_state = msgspec.json.Decoder(SenderState)


class EmbeddedSender:
    """Drives the stage of one channel over the folder's streams."""

    def __init__(self, folder: Folder, stages: dict[str, SenderStage]):
        self.folder = folder
        self.stages = stages
        raw = folder.get("sender")
        self.state = _state.decode(raw) if raw else SenderState()
        self._receipts_end = folder.end("receipts")
        self._cancels: dict[str, int] = {}
        self._cancels_next = 0
        self._runner = asyncio.Runner()

    def carry_out(self) -> int:
        """Carry out every command on `delivery`, in rounds; return how many ended."""
        ended = 0
        while True:
            queued = self._read()
            if not queued:
                return ended
            self._read_cancels()
            self._round(queued)
            ended += len(queued)

    def _read(self) -> list[Queued]:
        found: list[Queued] = []
        for offset, raw in self.folder.scan("delivery", self.state.next):
            record = _delivery.decode(raw)
            if isinstance(record, Command):
                found.append(Queued(record, offset))
                if len(found) >= ROUND_MAX:
                    break
            elif not found:
                self.state.next = offset + 1
        return found

    def _read_cancels(self) -> None:
        for offset, raw in self.folder.scan("cancels", self._cancels_next):
            cancel = _cancel.decode(raw)
            self._cancels.setdefault(cancel.command, cancel.at)
            self._cancels_next = offset + 1

    def _round(self, queued: list[Queued]) -> None:
        """Check, commit the intents, call, commit the outcomes."""
        receipts: list[Receipt] = []
        ready: list[Ready] = []
        for one in queued:
            done = self._checked(one)
            if isinstance(done, Ready):
                ready.append(done)
            else:
                receipts.append(done)
        intents = [self._stage(one.queued).receipt(one.queued, "intent", one.checked_at) for one in ready]
        self.state.open = [one.queued.offset for one in ready]
        self._commit([*receipts, *intents])
        outcomes = [self._runner.run(self._call(one)) for one in ready]
        self.state.open = []
        self.state.next = queued[-1].offset + 1
        self._commit(outcomes)

    def _stage(self, queued: Queued) -> SenderStage:
        return self.stages.get(queued.command.channel) or self.stages["email"]

    def _checked(self, queued: Queued) -> Ready | Receipt:
        stage, now = self._stage(queued), queued.command.emitted_at
        if queued.command.channel not in self.stages:
            return stage.receipt(queued, "rejected", now, f"no sender for {queued.command.channel}")
        if queued.offset in self.state.open:
            after = stage.after_crash(queued, now)
            if after is not None:
                return after
        done = stage.check(queued, now, self._cancels, behind_ms=0)
        assert done is not None, "history holds nothing back"
        return done

    async def _call(self, ready: Ready) -> Receipt:
        """Call until there is an end: a history waits for its provider, by the wall clock."""
        stage = self._stage(ready.queued)
        while True:
            done = await stage.call(ready, ready.checked_at)
            if done.state != "retry":
                return done
            wait_s = (ready.queued.not_before - ready.checked_at) / 1000
            await asyncio.sleep(wait_s)

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
