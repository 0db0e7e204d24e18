"""A delivery log in memory, clocks that are moved by hand, and a provider that says what it is told to."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from models.command import Cancel, Cause, Command, Mark, Release
from models.ids import digest
from models.receipt import Receipt
from pipeline.scenario.sources import PlanSources, read_sources
from pipeline.sending.lane import SenderLane
from pipeline.sending.outcome import Message, Outcome
from pipeline.sending.progress import SenderProgress, decode_progress, encode_progress
from pipeline.sending.protocol import Delivered, FencedError
from pipeline.sending.render import Renderer
from pipeline.sending.stage import SenderStage
from pipeline.sending.suppressions import Suppression

T0 = 1_790_000_000_000
MINUTE, HOUR = 60_000, 3_600_000
SCENARIOS = Path(__file__).parents[2] / "scenarios"
ACCEPTED = Outcome("accepted", provider_id="p1")
PLAN = PlanSources(
    {
        "settings.yaml": "store: {name: Shop, url: 'https://shop.example'}",
        "cart/hello.en.txt": '---\nsubject: "Hello"\n---\nHello {{ name }}\n',
        "cart/hello.en.html": "<p>Hello {{ name }}</p>",
        "cart/broken.en.txt": '---\nsubject: "Oh"\n---\n{{ total | divided_by: zero }}\n',
        "cart/broken.en.html": "<p></p>",
    }
)


def shipped() -> PlanSources:
    return read_sources(SCENARIOS)


def command(number: int = 1, **more: Any) -> Command:
    at = more.pop("at", T0)
    said: dict[str, Any] = {
        "id": digest("command", str(number)),
        "scenario": "cart",
        "step": "hello",
        "customer": f"c{number}",
        "channel": "email",
        "purpose": "marketing",
        "template": "cart/hello",
        "data": {"name": "you"},
        "due_at": at,
        "emitted_at": at,
        "valid_until": at + 2 * HOUR,
        "reason": Cause(event_id="e", source_topic="carts", partition=0, offset=0),
        "enrolment": "en",
        "version": "v1",
        "plan": "plan",
        "address": f"c{number}@shop.example",
    }
    return Command(**(said | more))


def mark(until: int = T0, *, records: bool = False) -> Mark:
    return Mark(partition=0, applied_until=until, records_clock=records)


def cancel(of: Command, at: int = T0) -> Cancel:
    return Cancel(command=of.id, customer=of.customer, channel=of.channel, reason="order_placed", at=at)


class FakeClock:
    def __init__(self, now: int = T0):
        self.wall = now
        self.mono = 1_000_000

    def now(self) -> int:
        return self.wall

    def ticks(self) -> int:
        return self.mono

    def pass_ms(self, span: int) -> None:
        self.wall += span
        self.mono += span


class FakeLog:
    """The topics of one partition; survives the lanes that read it. `fenced` refuses every commit."""

    def __init__(self) -> None:
        self.delivery: list[Command | Mark | Release] = []
        self.stopped: list[Cancel] = []
        self.receipts: list[Receipt] = []
        self.facts: list[Suppression] = []
        self.saved: bytes | None = None
        self.commits = 0
        self.fenced = False
        self.before_commit: Callable[[int], None] | None = None
        self._next = 0
        self._cancels_next = 0

    def put(self, *records: Command | Mark | Release) -> None:
        self.delivery += records

    def progress(self) -> SenderProgress:
        return decode_progress(self.saved) if self.saved else SenderProgress(channel="email", partition=0)

    async def seek(self, offset: int) -> None:
        self._next, self._cancels_next = offset, 0

    async def read(self, limit: int, wait_ms: int) -> list[Delivered]:
        found = self.delivery[self._next : self._next + limit]
        start, self._next = self._next, self._next + len(found)
        return [Delivered(start + index, record) for index, record in enumerate(found)]

    async def again(self, offset: int, limit: int) -> list[Delivered]:
        found = self.delivery[offset : offset + limit]
        return [Delivered(offset + index, record) for index, record in enumerate(found)]

    async def cancels(self) -> list[Cancel]:
        found, self._cancels_next = self.stopped[self._cancels_next :], len(self.stopped)
        return found

    async def commit(
        self, receipts: list[Receipt], progress: SenderProgress, facts: Sequence[Suppression] = ()
    ) -> None:
        if self.before_commit is not None:
            self.before_commit(self.commits)
        if self.fenced:
            raise FencedError("another owner")
        self.commits += 1
        self.receipts += receipts
        self.facts += facts
        self.saved = encode_progress(progress)

    def states(self, of: Command) -> list[str]:
        return [one.state for one in self.receipts if one.command == of.id]

    def last(self, of: Command) -> Receipt:
        return next(one for one in reversed(self.receipts) if one.command == of.id)


class FakeProvider:
    """Answers from a list, then accepts; `calls` are the messages it was given."""

    name = "fake"
    needs_address = True
    at_once = 4

    def __init__(self, *answers: Outcome, idempotent: bool = False, key_holds_ms: int = 0, rate: float | None = None):
        self.key_holds_ms = key_holds_ms
        self.rate = rate
        self.answers = list(answers)
        self.calls: list[Message] = []
        self.idempotent = idempotent
        self.on_call: Callable[[Message], None] | None = None

    async def send(self, message: Message) -> Outcome:
        self.calls.append(message)
        if self.on_call is not None:
            self.on_call(message)
        await asyncio.sleep(0)
        return self.answers.pop(0) if self.answers else ACCEPTED

    async def close(self) -> None:
        """Nothing is open."""


class Bench:
    """A lane with everything around it; `restart` is what a new owner of the partition does."""

    def __init__(self, provider: FakeProvider | None = None, **more: Any):
        self.log = FakeLog()
        self.clock = FakeClock()
        self.provider = provider or FakeProvider()
        self.more = more
        self.lane = self._lane()

    def _lane(self) -> SenderLane:
        renderer = Renderer(self.more.get("plan", PLAN))
        stage = SenderStage("email", self.provider, lambda name: renderer, self.more.pop("suppressions", None))
        more = {name: said for name, said in self.more.items() if name != "plan"}
        return SenderLane(stage, self.log, self.clock, self.log.progress(), **more)

    async def restart(self) -> None:
        self.lane = self._lane()
        await self.lane.open()

    async def settle(self) -> None:
        """Do rounds until there is nothing more to do now."""
        while await self.lane.round():
            pass


def full_command(scenario: str, step: str, language: str, data: dict[str, Any], **more: Any) -> Command:
    return msgspec.structs.replace(
        command(1, **more),
        scenario=scenario,
        step=step,
        template=f"{scenario}/{step}",
        language=language,
        data=data,
    )
