"""Senders against a provider that fails, while they are killed and frozen; by hand: `python -m tests.fault.senders`.

Two sender processes share the partitions of a real broker. Commands come at a steady pace, some of them cancelled a
moment later; a chaos that a seed draws kills one of the two with -9 and starts it again, or freezes it past its session
so that the other takes over, and thaws it. At the end the ledger is held against the provider's book.
"""

import argparse
import asyncio
import itertools
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from aiokafka import TopicPartition

from agents import localkafka
from agents.kafka import clients
from agents.kafka.control import LIVE, put
from agents.kafka.topics import create, wanted
from models.command import Cancel, Command, Mark
from models.ids import partition_of
from models.receipt import FINAL, Receipt
from models.topics import Topics
from pipeline.scenario.sources import PlanSources
from tests.fault.ledger import accounts_of, faults_of, figures_of, read_book
from tests.sending.build import PLAN, cancel, command, mark

PARTITIONS = 4
KINDS = {"smtp": "email", "keyed": "sms", "plain": "sms"}
# Past the session of 6 s, so that the group gives the partitions away.
FROZEN_S = 8.0
SETTLE_S = 900.0


@dataclass(frozen=True)
class Run:
    """What is tried: `repeat` percent of the commands ask for a repetition of what is unknown, `stopped` are cancelled."""

    kind: str
    seed: int
    commands: int = 100_000
    a_second: int = 350
    kills: int = 20
    freezes: int = 10
    faults: float = 5.0
    repeat: int = 10
    stopped: int = 1
    every_s: float = 3.0


@dataclass
class Stage:
    """The processes around a run, each with its log."""

    run: Run
    bootstrap: str
    folder: Path
    topics: Topics
    ports: tuple[int, int] = (0, 0)
    plan: str = ""
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    @property
    def book(self) -> Path:
        return self.folder / "book"

    def receiver(self) -> None:
        """Start the provider."""
        words = [sys.executable, "-m", "benchmarks.receiver", "--faults", str(self.run.faults)]
        words += ["--seed", str(self.run.seed), "--journal", str(self.book)]
        process = subprocess.Popen(words, stdout=subprocess.PIPE)
        self.processes.append(process)
        assert process.stdout is not None
        smtp, http = process.stdout.readline().split()
        self.ports = int(smtp), int(http)

    def settings(self) -> str:
        """Return the plan's settings: short time-outs, so that what is slow is cut off."""
        smtp, http = self.ports
        key = ", idempotency_header: idempotency-key" if self.run.kind == "keyed" else ""
        return (
            "store: {name: Shop, url: 'https://shop.example'}\n"
            f"senders: {{email: {{smtp: {{url: 'smtp://127.0.0.1:{smtp}', timeout_s: 2, at_once: 16}}}}, "
            f"sms: {{provider: {{kind: gateway, url: 'http://127.0.0.1:{http}', timeout_s: 2{key}}}}}}}\n"
        )

    def sender(self, slot: int) -> subprocess.Popen[bytes]:
        """Start a sender."""
        words = [sys.executable, "-m", "agents.cli.main", "worker", "sender", "--channel", KINDS[self.run.kind]]
        words += ["--prefix", self.topics.prefix, "--bootstrap", self.bootstrap]
        with (self.folder / f"sender-{slot}.log").open("ab") as log:
            process = subprocess.Popen(words, stdout=log, stderr=log)
        self.processes.append(process)
        return process

    def end(self) -> None:
        """End what still runs."""
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()

    def logged(self, text: str) -> int:
        """Return how often the senders' logs have a text."""
        return sum(path.read_text().count(text) for path in self.folder.glob("sender-*.log"))


@asynccontextmanager
async def set_up(run: Run, bootstrap: str, folder: Path) -> AsyncIterator[Stage]:
    """Make topics, start the provider, and publish a plan that names it."""
    stage = Stage(run, bootstrap, folder, Topics(f"f{run.seed}-{run.kind}-"))
    await create(bootstrap, wanted(stage.topics, PARTITIONS))
    try:
        stage.receiver()
        sources = PlanSources({**PLAN.files, "settings.yaml": stage.settings()})
        stage.plan = sources.hash
        key = sources.hash.encode()
        await put(bootstrap, stage.topics, [(key, sources.encode()), (LIVE, key)])
        yield stage
    finally:
        stage.end()


def commands_of(run: Run, plan: str) -> list[Command]:
    """Return the run's commands; their times are set when they are emitted."""
    sms = {"channel": "sms", "purpose": "transactional"} if KINDS[run.kind] == "sms" else {}
    found = [
        command(number, plan=plan, repeat_unknown=number % 100 < run.repeat, **sms) for number in range(run.commands)
    ]
    return [msgspec.structs.replace(one, address="+33612345678") for one in found] if sms else found


async def feed(stage: Stage, commands: list[Command]) -> None:
    """Emit the commands at their pace with a mark a second, as an engine at the head does, then marks for ever."""
    run, topics = stage.run, stage.topics
    producer = clients.producer(stage.bootstrap, transactional_id=f"{topics.prefix}engine")
    await producer.start()
    dice = random.Random(run.seed)
    regretted: list[Cancel] = []
    try:
        for first in itertools.count(0, run.a_second):
            began = time.monotonic()
            now = time.time_ns() // 1_000_000
            batch = [
                msgspec.structs.replace(one, due_at=now, emitted_at=now, valid_until=now + 3_600_000)
                for one in commands[first : first + run.a_second]
            ]
            await emit(producer, topics, [*batch, *regretted, mark(now)])
            regretted = [cancel(one, now) for one in batch if dice.randrange(100) < run.stopped]
            await asyncio.sleep(max(0.0, 1 - (time.monotonic() - began)))
    finally:
        await clients.drop(producer)


async def emit(producer: clients.AIOKafkaProducer, topics: Topics, records: list[Command | Cancel | Mark]) -> None:
    """Write records in one transaction."""
    async with producer.transaction():
        sends = []
        for one in records:
            topic = topics.cancels if isinstance(one, Cancel) else topics.delivery
            places = range(PARTITIONS) if isinstance(one, Mark) else [partition_of(one.customer, PARTITIONS)]
            sends += [await producer.send(topic, msgspec.json.encode(one), partition=place) for place in places]
        await asyncio.gather(*sends)


async def chaos(stage: Stage) -> None:
    """Kill and freeze one of the two senders at a time, in the order that the seed draws."""
    run = stage.run
    dice = random.Random(run.seed)
    senders = [stage.sender(0), stage.sender(1)]
    acts = ["kill"] * run.kills + ["freeze"] * run.freezes
    dice.shuffle(acts)
    for act in acts:
        await asyncio.sleep(run.every_s * dice.uniform(0.5, 1.5))
        slot = dice.randrange(2)
        assert senders[slot].poll() is None, f"sender {slot} ended by itself: see its log"
        stage.said.append(f"{act} {slot}")
        if act == "kill":
            senders[slot].kill()
            senders[slot].wait()
            senders[slot] = stage.sender(slot)
            continue
        os.kill(senders[slot].pid, signal.SIGSTOP)
        await asyncio.sleep(FROZEN_S * dice.uniform(1, 1.5))
        os.kill(senders[slot].pid, signal.SIGCONT)


async def follow(stage: Stage, receipts: list[Receipt], wanted_ends: int) -> None:
    """Collect the receipts until every command is at its end."""
    reader = clients.consumer(stage.bootstrap)
    await reader.start()
    ended: set[str] = set()
    try:
        places = [TopicPartition(stage.topics.receipts, one) for one in range(PARTITIONS)]
        reader.assign(places)
        for place in places:
            reader.seek(place, 0)
        while len(ended) < wanted_ends:
            for records in (await reader.getmany(timeout_ms=500)).values():
                found = [msgspec.json.decode(record.value, type=Receipt) for record in records]
                receipts += found
                ended.update(one.command for one in found if one.state in FINAL)
    finally:
        await reader.stop()


async def try_out(run: Run, bootstrap: str, folder: Path) -> tuple[list[str], dict[str, int]]:
    """Return every broken promise of a run, and its figures."""
    async with set_up(run, bootstrap, folder) as stage:
        commands = commands_of(run, stage.plan)
        receipts: list[Receipt] = []
        began = time.monotonic()
        feeding = asyncio.create_task(feed(stage, commands))
        following = asyncio.create_task(follow(stage, receipts, len(commands)))
        try:
            await chaos(stage)
            emitting_s = run.commands / run.a_second - (time.monotonic() - began)
            await asyncio.wait(
                {following, feeding}, timeout=max(emitting_s, 0) + SETTLE_S, return_when="FIRST_COMPLETED"
            )
            if feeding.done():
                feeding.result()
        finally:
            for task in (feeding, following):
                task.cancel()
            await asyncio.gather(feeding, following, return_exceptions=True)
        accounts, book = accounts_of(receipts), read_book(stage.book)
        repeat = {one.id for one in commands if one.repeat_unknown}
        wrong = faults_of((one.id for one in commands), accounts, book, keyed=run.kind == "keyed", repeat=repeat)
        named = {line.partition(" ")[0] for line in wrong[:20]}
        wrong += [str(one) for one in receipts if one.command in named]
        more = {"fenced": stage.logged("FencedError"), "seconds": round(time.monotonic() - began)}
        return wrong, figures_of(accounts, book) | more


def main() -> None:
    """Run one by hand, whole by default; print its seed first and its figures last."""
    words = argparse.ArgumentParser()
    words.add_argument("kind", choices=KINDS)
    words.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    for name, default in (("commands", 100_000), ("a-second", 350), ("kills", 20), ("freezes", 10)):
        words.add_argument(f"--{name}", type=int, default=default)
    words.add_argument("--folder", type=Path, help="where the broker, the book and the logs stay")
    said = words.parse_args()
    run = Run(said.kind, said.seed, said.commands, said.a_second, said.kills, said.freezes)
    print(run, flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = said.folder or Path(name)
        bootstrap = localkafka.start(folder / "kafka")
        try:
            wrong, figures = asyncio.run(try_out(run, bootstrap, folder))
        finally:
            localkafka.stop(folder / "kafka")
        for row, figure in figures.items():
            print(f"| {row} | {figure:,} |")
        print(*wrong[:50], f"{len(wrong)} promises broken", sep="\n", flush=True)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
