"""Simulate: one customer under a plan, one step after another, with the time moved by hand; nothing is sent.

The engine is called as the runtime calls it: before an event every timer that is due before it, one due time after
another. Each message counts as sent at once. Of recorded reactions only those count whose message the simulation sent.
"""

import heapq
from collections.abc import Iterable, Iterator

from models.command import Command
from models.customer import Customer
from models.event import Event, Position
from models.receipt import Receipt
from pipeline.engine import api
from pipeline.engine.plan import Plan
from pipeline.intake.feedback import RECEIPTS, event_of_receipt
from pipeline.replay.guards import Tracer
from pipeline.replay.one import Step

REACTION = "message_"


class Simulation:
    """One customer; `clock` (UTC ms) is how far time has come, `commands` what was sent, in order."""

    def __init__(self, plan: Plan, name: str, events: Iterable[Event] = (), clock: int = 0):
        self._tracer = Tracer()
        self.plan = self._tracer.plan(plan)
        self.name = name
        self.customer: Customer | None = None
        self.clock = clock
        self.commands: list[Command] = []
        self.withheld = 0
        self._waiting: list[tuple[int, int, Event]] = []
        self._count = 0
        for event in events:
            self.put(event)

    def put(self, event: Event) -> None:
        """Let an event come when it arrives; of two at one moment the one that was put first."""
        heapq.heappush(self._waiting, (event.arrived_at, self._count, event))
        self._count += 1

    @property
    def next_event(self) -> int | None:
        """Return when the next event arrives (UTC ms)."""
        return self._waiting[0][0] if self._waiting else None

    @property
    def last_event(self) -> int:
        """Return when the last event that is known arrives (UTC ms), or what the clock shows."""
        return max((arrived for arrived, _, _ in self._waiting), default=self.clock)

    @property
    def next_timer(self) -> int | None:
        """Return when the next timer is due (UTC ms)."""
        return api.next_due(self.customer) if self.customer is not None else None

    def step(self, until: int | None = None) -> Step | None:
        """Do what comes next: an event, or a timer that is due before it; None where nothing comes before a time."""
        self._leave_out()
        event, timer = self.next_event, self.next_timer
        if timer is not None and (event is None or timer < event):
            if until is not None and timer >= until:
                return None
            return self._fire(timer)
        if event is None or (until is not None and event >= until):
            return None
        return self._apply(heapq.heappop(self._waiting)[2])

    def advance(self, until: int) -> Iterator[Step]:
        """Move time on to a time (UTC ms), and yield every step up to it and at it."""
        while (step := self.step(until + 1)) is not None:
            yield step
        self.clock = max(self.clock, until)

    def _leave_out(self) -> None:
        """Leave out the reactions to messages that the simulation has not sent."""
        while self._waiting and self._of_another(self._waiting[0][2]):
            heapq.heappop(self._waiting)
            self.withheld += 1

    def _of_another(self, event: Event) -> bool:
        command = event.data.get("command_id")
        return event.type.startswith(REACTION) and command is not None and command not in {c.id for c in self.commands}

    def _fire(self, due: int) -> Step:
        before = self.customer
        assert before is not None
        done = api.fire_timers(before, due + 1, self.plan)
        self.clock = max(self.clock, due)
        return self._done(Step(due + 1, 0, None, before, done))

    def _apply(self, event: Event) -> Step:
        self.clock = max(self.clock, event.arrived_at)
        before = self.customer
        done = api.apply_event(before, event, event.arrived_at, self.plan)
        return self._done(Step(event.arrived_at, 0, event, before, done, repeated=done.duplicate))

    def _done(self, step: Step) -> Step:
        done = step.done
        assert done is not None
        self.customer, step.guards, step.plan = done.customer, self._tracer.take(), self.plan
        for command in done.commands:
            self.commands.append(command)
            self.put(self._reaction(command, "sent", self.clock))
        return step

    def _reaction(self, command: Command, state: str, at: int) -> Event:
        receipt = Receipt(
            command=command.id,
            customer=command.customer,
            state=state,
            at=at,
            channel=command.channel,
            scenario=command.scenario,
            step=command.step,
            purpose=command.purpose,
            depth=command.depth,
        )
        event = event_of_receipt(receipt, Position(RECEIPTS, 0, 0, len(self.commands)))
        assert event is not None, "a final state has an event"
        return event
