"""A small store whose log is written step by step, so that a test says exactly what was read, decided and sent, when."""

from pathlib import Path
from typing import Any

import msgspec

from models.command import Command
from models.event import Event, Position
from models.ids import digest
from models.journal import Bundle, Entry, JournalMessage, PlanActivated, ScenarioSwitched, SourceChanged, Tick
from models.progress import Progress
from models.receipt import Receipt
from pipeline.intake.feedback import event_of_receipt, forwarded
from pipeline.journal.codec import encode
from pipeline.replay.deep import explain, explain_deep
from pipeline.replay.explanation import Explanation, Passage, SendStep
from pipeline.replay.recorded import RecordedLog, SpoolWriter
from pipeline.runtime.batch import Batch
from pipeline.runtime.partition import PartitionRuntime
from pipeline.runtime.plans import PlanBook
from pipeline.scenario.sources import PlanSources
from pipeline.store.codec import cold_key, hot_key
from pipeline.store.memory import MemoryStore

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
MONDAY = 1_767_571_200_000  # 2026-01-05T00:00:00Z
ADA = "ada"
HEAD = "title: T\npurpose: marketing\n"
OPEN = "consent_default: granted\n"
YES = {"purpose": "marketing", "given": True}
NO = {"purpose": "marketing", "given": False}
CART = {"items": [{"product_id": "p1", "price": 2000, "quantity": 1}]}


def scenario(name: str, body: str) -> dict[str, str]:
    return {f"{name}/scenario.yaml": f"scenario: {name}\n{HEAD}{body}"}


CART_REMINDER = scenario(
    "reminder",
    "enter: {on: cart_changed, when: size(cart.items) > 0, again: always}\n"
    "exit: [{on: order_placed}]\n"
    "steps: [{wait: 1h}, {send: first, channel: web}, {wait: 1d}, {send: second, channel: web}]\n",
)


class Story:
    """A log with one source; times are UTC ms, events move time on to when they arrived."""

    def __init__(
        self,
        path: Path,
        files: dict[str, str],
        settings: str = OPEN,
        *,
        partitions: int = 1,
        voucher_key: bytes = b"",
    ):
        self.path = path
        self.writer = SpoolWriter(path, partitions)
        self.sources: dict[str, PlanSources] = {}
        self.store = MemoryStore()
        self.commands: list[Command] = []
        self.batches: list[Batch] = []
        self.messages: list[bytes] = []
        self._ends: dict[str, int] = {}
        progress = Progress(journal="journal", partitions=partitions, partition=0, lineage="story")
        self.runtime = PartitionRuntime(progress, self.store, PlanBook(self.sources.get, voucher_key))
        feedback = [
            SourceChanged(id=name, change="join", source=name, feedback=True) for name in ("receipts", "forwards")
        ]
        self._say(SourceChanged(id="join", change="join", source="*"), *feedback)
        self.plan(files, settings, at=0)

    def plan(self, files: dict[str, str], settings: str = OPEN, *, at: int) -> None:
        """Publish a plan."""
        sources = PlanSources({"settings.yaml": settings, **files})
        self.sources[sources.hash] = sources
        self.writer.plan(sources, live=True)
        self._say(PlanActivated(id=digest("plan", sources.hash, str(at)), plan=sources.hash, at=at))

    def at(self, moment: int) -> None:
        """Let time come, and everything fire that is due before it."""
        self._say(Tick(source="*", first=0, next=0, before=moment))

    def event(
        self, kind: str, at: int, /, *, arrived: int | None = None, name: str = "", customer: str = ADA, **data: Any
    ) -> Event:
        """Read an event; one of the same name is the same event once more."""
        arrived = at if arrived is None else arrived
        self.at(arrived)
        event = Event(
            id=digest("story", kind, name or str(self._ends.get("shop", 0))),
            type=kind,
            customer=customer,
            occurred_at=at,
            arrived_at=arrived,
            position=Position("shop", 0, 0, self._next("shop")),
            data=data,
        )
        self._say(event)
        return event

    def consent(self, at: int, *, given: bool = True) -> Event:
        return self.event("consent_changed", at, for_channel="*", purpose="marketing", given=given)

    def switch(self, state: str, at: int, scenario: str = "reminder") -> None:
        self.at(at)
        self._say(ScenarioSwitched(id=digest(state, str(at)), scenario=scenario, state=state, at=at))

    def receipt(self, command: Command, state: str, at: int, reason: str = "") -> None:
        """Let the sender say what became of a command."""
        receipt = Receipt(
            command=command.id,
            customer=command.customer,
            state=state,
            at=at,
            channel=command.channel,
            scenario=command.scenario,
            step=command.step,
            purpose=command.purpose,
            reason=reason,
        )
        self.at(at)
        offset = self._put("receipts", receipt)
        event = event_of_receipt(receipt, Position("receipts", 0, 0, offset))
        if event is not None:
            self._say(event)

    def _next(self, stream: str) -> int:
        found = self._ends.get(stream, 0)
        self._ends[stream] = found + 1
        return found

    def _put(self, stream: str, record: Any) -> int:
        offset = self._next(stream)
        self.writer.put(stream, 0, offset, msgspec.json.encode(record))
        return offset

    def _say(self, *entries: Entry) -> None:
        offset = self._next("journal")
        bundle = Bundle(writer="story", entries=list(entries))
        self.messages.append(encode(bundle))
        self.writer.put("journal", 0, offset, self.messages[-1], appended_at=2**50)
        self.runtime.read(JournalMessage(offset=offset, appended_at=2**50, bundle=bundle))
        self.runtime.drain_all()
        batch = self.runtime.take()
        for stream, records in (
            ("delivery", batch.commands),
            ("decisions", batch.decisions),
            ("cancels", batch.cancels),
        ):
            for record in records:
                self._put(stream, record)
        for name, values in batch.encoded.items():
            self.writer.state(hot_key(name), values[0])
            self.writer.state(cold_key(name), values[1])
        self.commands += batch.commands
        self.batches.append(batch)
        self.store.apply(batch)
        self.runtime.committed()
        for event in batch.forwards:
            self._say(forwarded(event, Position("forwards", 0, 0, self._put("forwards", event))))

    def close(self) -> Path:
        self.writer.close()
        return self.path

    def told(self, customer: str = ADA, *, deep: bool = False) -> Explanation:
        """Close the log, and explain."""
        if not (self.path / "closed").exists():
            self.close()
            (self.path / "closed").touch()
        log = RecordedLog(self.path)
        try:
            found = explain_deep(log, customer) if deep else explain(log, customer)
            assert not found.differs
            return found
        finally:
            log.close()


def passage(found: Explanation, name: str = "reminder", number: int = -1) -> Passage:
    return [one for one in found.passages if one.scenario == name][number]


def step(found: Explanation, name: str, scenario: str = "reminder", number: int = -1) -> SendStep:
    return next(one for one in passage(found, scenario, number).steps if one.step == name)
