"""`make bench`: measures and prints a table, row by row. Nothing else should run on the machine meanwhile."""

import argparse
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.backtest import long, year
from benchmarks.console import pages
from benchmarks.deployment import Deployment
from benchmarks.events import by_type
from benchmarks.machine import describe
from benchmarks.pipeline import backlog, open_loop
from benchmarks.projecting import projecting
from benchmarks.restart import fill, restarts
from benchmarks.senders import senders
from benchmarks.stages import PLAN, ingest_us, journeys_us, sources_of
from tests.acceptance.running import RETAIL

PARTS = (
    "stages", "engine", "backlog", "latency", "sustained", "restart", "backtest", "senders", "projector", "console",
)  # fmt: skip


@contextmanager
def deployment() -> Iterator[Deployment]:
    """Give a fresh broker with its topics."""
    with tempfile.TemporaryDirectory() as name:
        run = Deployment(Path(name))
        try:
            yield run
        finally:
            run.close()


def stages(events: int, customers: int) -> dict[str, float]:
    """Measure the stages alone, without a broker."""
    used, size = journeys_us(events, customers)
    everything = sources_of(PLAN)
    number = sum(1 for path in everything.files if path.endswith("/scenario.yaml"))
    more, larger = journeys_us(events, customers, everything)
    return {
        "ingest stage, CPU us/event": ingest_us(events, customers),
        "journeys stage, 3 scenarios, CPU us/event": used,
        f"journeys stage, {number} scenarios, CPU us/event": more,
        "store, 3 scenarios, bytes a customer": size,
        f"store, {number} scenarios, bytes a customer": larger,
    }


def worked_off(events: int, customers: int) -> dict[str, float]:
    """Measure a backlog on a fresh broker."""
    with deployment() as run:
        return backlog(run, events, customers)


def loop(rate: int, seconds: int, customers: int) -> dict[str, float]:
    """Measure an open loop over customers who are all known already."""
    with deployment() as run:
        fill(run, customers)
        return open_loop(run, rate, seconds, customers, 2).rows()


def again(customers: int) -> dict[str, float]:
    """Measure restarts."""
    with deployment() as run:
        memory = fill(run, customers)
        return {f"memory of journeys, {customers:,} customers, MB": memory, **restarts(run, customers)}


def main() -> None:
    """Measure what was asked for; by default everything."""
    words = argparse.ArgumentParser()
    words.add_argument("parts", nargs="*", choices=PARTS, default=list(PARTS))
    words.add_argument("--events", type=int, default=400_000)
    words.add_argument("--customers", type=int, default=200_000)
    words.add_argument("--known", type=int, default=1_000_000, help="customers of the restart")
    words.add_argument("--logged", type=int, default=10_000_000, help="events of the generated log")
    words.add_argument("--messages", type=int, default=20_000, help="messages of each sender")
    words.add_argument("--decided", type=int, default=10_000_000, help="decisions of the read model")
    words.add_argument("--rates", type=int, nargs="*", default=[10_000, 15_000, 20_000, 25_000])
    words.add_argument("--seconds", type=int, default=20)
    said = words.parse_args()
    parts: dict[str, Callable[[], dict[str, float]]] = {
        "stages": lambda: stages(said.events, said.customers),
        "engine": by_type,
        "backlog": lambda: worked_off(said.events, said.customers),
        "latency": lambda: loop(5_000, said.seconds, said.customers),
        "sustained": lambda: {k: v for rate in said.rates for k, v in loop(rate, said.seconds, said.customers).items()},
        "restart": lambda: again(said.known),
        "senders": lambda: senders(said.messages),
        "backtest": lambda: {**(year(RETAIL) if RETAIL.exists() else {}), **long(said.logged, said.customers)},
        "projector": lambda: projecting(said.events, said.customers),
        "console": lambda: pages(said.known, said.decided),
    }
    print(describe(), flush=True)
    for name in said.parts:
        for row, figure in parts[name]().items():
            print(f"| {row} | {figure:,.1f} |", flush=True)


if __name__ == "__main__":
    main()
