"""What happens to the workers of a simulation: kills, freezes, outages, lost answers, edits, in an order of the seed."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from agents.kafka.control import activate
from tests.sim.cluster import shop
from tests.sim.cluster.clock import Process
from tests.sim.cluster.processes import TOPICS

if TYPE_CHECKING:
    from tests.sim.cluster.world import World

WORKERS = ("ingest-a", "ingest-b", "journeys-a", "journeys-b", "sender-a", "sender-b")
RESTART_S = (0.3, 1.0, 8.0)


class Nemesis:
    """Lets things happen to the workers of a world."""

    def __init__(self, world: "World"):
        self.world = world
        self.dice = world.dice

    async def work(self) -> None:
        """Let things happen to the workers until the shop is done."""
        dice = self.dice
        doing: list[asyncio.Task[None]] = []
        kinds: list[Callable[[], Coroutine[Any, Any, None]]] = [
            *[self._a_kill, self._kill_in_transaction, self._broker_trouble] * 2,
            *[self._a_freeze, self._a_zombie, self._all_killed, self._outage],
            *[self._provider_trouble, self._disk_full, self._an_edit, self._group_moves],
        ]
        await asyncio.sleep(2.0)
        for _ in range(dice.randrange(4, 10)):
            await asyncio.sleep(dice.expovariate(1 / 3))
            kind = dice.choice(kinds)
            self.world.tally.faults[kind.__name__] += 1
            doing.append(self.world.loop.create_task(kind()))
        await asyncio.gather(*doing)

    async def _a_kill(self) -> None:
        await self.world.kill(self.dice.choice(WORKERS), self.dice.choice(RESTART_S))

    async def _all_killed(self) -> None:
        kind = self.dice.choice(("ingest", "journeys", "sender", ""))
        names = [name for name in WORKERS if name.startswith(kind)]
        await asyncio.gather(*[self.world.kill(name, self.dice.choice((1.0, 15.0))) for name in names])

    async def _outage(self) -> None:
        """Senders go first, then what would tell them of a win, and the senders are back before it."""
        senders = [name for name in WORKERS if name.startswith("sender")]
        kind = self.dice.choice(("ingest", "journeys"))
        others = [name for name in WORKERS if name.startswith(kind)]
        down = [self.world.loop.create_task(self.world.kill(name, 21.0)) for name in senders]
        await asyncio.sleep(self.dice.choice((2.0, 4.0)))
        await asyncio.gather(*down, *[self.world.kill(name, 25.0) for name in others])

    async def _a_freeze(self) -> None:
        process = self.world.live[self.dice.choice(WORKERS)]
        process.freeze(self.world.clock.monotonic())
        await asyncio.sleep(self.dice.choice((1.0, 8.0, 20.0)))
        process.thaw()

    def _trap(self, then: Callable[[Process], None]) -> None:
        """Let something happen to a process between two records of a transaction of its own."""
        kind, record = self.dice.choice(("journeys", "sender")), self.dice.choice((1, 2, 5))

        def sprung(process: Process, count: int) -> None:
            if process.name.startswith(kind) and count >= record:
                self.world.broker.trap = None
                try:
                    then(process)
                except Exception as error:
                    self.world.failed.append(error)  # within a worker nobody would hear of it
                    raise

        self.world.broker.trap = sprung

    async def _kill_in_transaction(self) -> None:
        def then(process: Process) -> None:
            process.dead = True
            self.world.tally.faults["killed in a transaction"] += 1
            if self.world.live[process.name] is process:
                self.world.outside(self.world.again(process.name, process))

        self._trap(then)

    async def _a_zombie(self) -> None:
        """Freeze a process in the middle of a transaction until others have taken its place, and thaw it."""

        def then(process: Process) -> None:
            self.world.tally.faults["frozen in a transaction"] += 1
            process.freeze(self.world.clock.monotonic())
            self.world.loop.call_later(self.dice.choice((9.0, 20.0)), process.thaw)

        self._trap(then)

    async def _broker_trouble(self) -> None:
        self.world.broker.trouble = self.dice.choice((0.05, 0.2))
        await asyncio.sleep(self.dice.choice((1.0, 5.0)))
        self.world.broker.trouble = 0.0

    async def _provider_trouble(self) -> None:
        self.world.provider.trouble = 0.4
        await asyncio.sleep(self.dice.choice((2.0, 10.0)))
        self.world.provider.trouble = 0.0

    async def _disk_full(self) -> None:
        self.world.disk.full = True
        await asyncio.sleep(self.dice.choice((0.5, 4.0)))
        self.world.disk.full = False

    async def _group_moves(self) -> None:
        for name in ("journeys", "ingest", "feedback", "sender-email"):
            if self.world.broker.group(name).members and self.dice.random() < 0.6:
                self.world.broker.rebalance(self.world.broker.group(name))

    async def _an_edit(self) -> None:
        """Activate the other version, as `parcours apply` does: at the watermark that the progress records say."""
        operator = self.world.process("operator")
        name = self.dice.choice(tuple(shop.WAITS))
        at = max((one.watermark for one in self.world.progress().values()), default=0)
        with self.world.broker.quiet():
            await operator.start(activate("sim", TOPICS, shop.plan(name), at))
