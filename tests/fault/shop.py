"""The shop: writes leads and wins at a rate, as broken, doubled and late as a row wants them, until it is told to stop.

It goes on through an outage of the broker: what it has said it wrote is in Kafka. `shop.json` says how much that is.
"""

import argparse
import asyncio
import json
import random
import signal
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.kafka import clients
from models.ids import partition_of
from tests.fault.deployment import PARTITIONS, Deployment, now_ms
from tests.reference.evidence import POISON

STEP_S = 0.02
OLD_MS = (0, 0, 0, 0, 0, 0, 300, 2_000, 9_000, 45_000)


@dataclass(frozen=True)
class Load:
    """What the shop writes: records a second, of how many customers; shares that are broken, doubled, of one customer.

    A doubled record is written again at once, somewhere, or up to 20 s later; late ones claim to be up to 45 s old.
    """

    rate: int = 60
    customers: int = 400
    poison: float = 0.002
    doubled: float = 0.03
    hot: float = 0.0
    burst: float = 1.0


class Shop:
    """Writes; `count` says of what how much."""

    def __init__(self, deployment: Deployment, load: Load):
        self.deployment = deployment
        self.load = load
        self.dice = random.Random(f"shop {deployment.seed}")
        self.count: Counter[str] = Counter()
        self.again: list[tuple[float, str, bytes]] = []
        self.asked: list[Any] = []
        # An outage of a minute is shorter than this: nothing that was handed over is given up.
        self.producer = clients.producer(deployment.bootstrap, request_timeout_ms=180_000)

    async def run(self, stop: asyncio.Event) -> None:
        """Write until told to stop, and then to the end what was handed over."""
        await self.producer.start()
        await self._people()
        loop = asyncio.get_running_loop()
        began, written = loop.time(), 0
        while not stop.is_set():
            await asyncio.sleep(STEP_S)
            now = loop.time()
            wanted = int((now - began) * self.load.rate)
            # After an outage the shop does not write at once what it could not: its customers did not wait.
            written = max(written, wanted - self.load.rate)
            for _ in range(written, wanted):
                await self._record(now)
            written = wanted
            await self._repeat(now)
            self._note()
        await asyncio.gather(*self.asked)
        self._note()
        await self.producer.stop()

    async def _people(self) -> None:
        for number in range(self.load.customers):
            name = f"c{number}"
            said = {"type": "customer_signed_up", "customer": name, "id": f"p{number}", "occurred_at": now_ms()}
            await self._write("people", json.dumps(said | {"email": f"{name}@example.com"}).encode(), name)

    async def _record(self, now: float) -> None:
        dice, load = self.dice, self.load
        number = self.count["records"]
        source = dice.choices(("leads", "wins"), (4, 1))[0]
        name = "c0" if dice.random() < load.hot else f"c{dice.randrange(load.customers)}"
        at = now_ms() - dice.choice(OLD_MS)
        said = {"type": source.removesuffix("s"), "customer": name, "id": f"{source}-{number}", "occurred_at": at}
        value = json.dumps(said | {"n": number}).encode()
        if dice.random() < load.poison:
            value, self.count["poison"] = POISON, self.count["poison"] + 1
        elif dice.random() < load.doubled:
            self.count["doubled"] += 1
            self.again.append((now + dice.choice((0.0, 0.0, 1.0, 20.0)), source, value))
        self.count["records"] += 1
        await self._write(source, value, name)

    async def _repeat(self, now: float) -> None:
        due = [one for one in self.again if one[0] <= now]
        self.again = [one for one in self.again if one[0] > now]
        for _, source, value in due:
            await self._write(source, value, None)

    async def _write(self, source: str, value: bytes, customer: str | None) -> None:
        """A customer's records mostly lie in one partition; some, and what is doubled, anywhere."""
        anywhere = customer is None or self.dice.random() < 0.1
        partition = self.dice.randrange(PARTITIONS) if anywhere else partition_of(str(customer), PARTITIONS)
        topic = self.deployment.sources[source]
        self.asked.append(await self.producer.send(topic, value, partition=partition))
        if len(self.asked) > 5_000:
            self.asked = [one for one in self.asked if not one.done() or one.exception() is not None]

    def _note(self) -> None:
        path = self.deployment.path / "shop.json"
        path.with_suffix(".new").write_text(json.dumps(self.count))
        path.with_suffix(".new").rename(path)


async def _main(deployment: Deployment, load: Load) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await Shop(deployment, load).run(stop)


def main() -> None:
    """Run until SIGTERM."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("folder", type=Path)
    words.add_argument("load", type=json.loads)
    said = words.parse_args()
    asyncio.run(_main(Deployment.load(said.folder), Load(**said.load)))


if __name__ == "__main__":
    main()
