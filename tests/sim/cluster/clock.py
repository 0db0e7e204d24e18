"""Virtual time: an event loop that never waits, and the processes whose tasks run on it.

Where all tasks sleep, the loop moves its time on to the next of them. Every effect on the world outside sleeps for a
latency that is drawn from the seed, so the seed alone decides how the effects of all processes interleave.
"""

import asyncio
import contextvars
import random
import selectors
from collections.abc import Callable, Coroutine
from typing import Any

# UTC seconds at which every simulation begins.
BEGIN_S = 1_790_000_000.0
current: contextvars.ContextVar["Process | None"] = contextvars.ContextVar("current", default=None)


class Deadlock(Exception):
    """Every task waits for another: nothing can ever happen again."""


class _NoWait(selectors.SelectSelector):
    """A selector that reports nothing, and moves the loop's time on instead of waiting."""

    loop: "VirtualLoop"

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Deadlock("every task waits for another")
        if timeout > 0:
            self.loop.now_s += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on virtual time; its tasks belong to the process that made them."""

    def __init__(self) -> None:
        selector = _NoWait()
        super().__init__(selector)
        selector.loop = self
        self.now_s = 0.0
        self.set_task_factory(_owned)

    def time(self) -> float:
        return self.now_s


def _owned(loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], **more: Any) -> asyncio.Task[Any]:
    task = asyncio.Task(coro, loop=loop, **more)
    process = current.get()
    if process is not None:
        process.tasks.append(task)
        if process.dead:
            task.cancel()
    return task


class Clock:
    """The time of the simulation, in the shapes of the module `time`; each process may have a wall clock that is off."""

    def __init__(self, loop: VirtualLoop):
        self.loop = loop

    def monotonic(self) -> float:
        return self.loop.now_s

    def time(self) -> float:
        process = current.get()
        return BEGIN_S + self.loop.now_s + (process.skew_s if process is not None else 0.0)

    def time_ns(self) -> int:
        return int(self.time() * 1000) * 1_000_000

    def broker_ms(self) -> int:
        """Return the broker's time (UTC ms)."""
        return int((BEGIN_S + self.loop.now_s) * 1000)

    def now(self) -> int:
        """Return the wall clock of the process that asks (UTC ms)."""
        return int(self.time() * 1000)

    def ticks(self) -> int:
        return int(self.loop.now_s * 1000)


class Process:
    """One process: it can be killed between any two of its effects, and frozen."""

    def __init__(self, name: str, dice: random.Random):
        self.name = name
        self.dice = dice
        self.dead = False
        self.skew_s = 0.0
        self.tasks: list[asyncio.Task[Any]] = []
        self.frozen_at: float | None = None
        self._going = asyncio.Event()
        self._going.set()
        self.at_end: list[Callable[[], None]] = []

    def start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Begin its work."""
        context = contextvars.copy_context()
        context.run(current.set, self)
        return context.run(lambda: asyncio.get_running_loop().create_task(work))

    def freeze(self, now_s: float) -> None:
        self.frozen_at = now_s
        self._going.clear()

    def thaw(self) -> None:
        self.frozen_at = None
        self._going.set()

    async def kill(self) -> None:
        """End it at once: nothing that it would still do has any effect."""
        self.dead = True
        self.thaw()
        # A task that ends tidily when it is cancelled is cancelled again: a killed process ends nothing tidily.
        while left := [task for task in self.tasks if not task.done()]:
            for task in left:
                task.cancel()
            await asyncio.wait(left, timeout=0.001)
        for one in self.at_end:
            one()

    async def effect(self, latency_s: float = 0.0) -> None:
        """Stand before an effect: it takes its time, waits while the process is frozen, and never comes when dead."""
        await asyncio.sleep(latency_s or self.dice.choice((0.0002, 0.0005, 0.001, 0.003)) * (1 + self.dice.random()))
        while not self._going.is_set():
            await self._going.wait()
        if self.dead:
            raise asyncio.CancelledError


def here() -> Process:
    """Return the process of the task that runs."""
    found = current.get()
    assert found is not None, "no process"
    return found
