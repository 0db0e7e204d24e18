"""A cluster as the console's place: it reads the read model alone; what an operator asks for goes to the topics."""

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import SQLAlchemyError

from agents.kafka import control, erasing, letters
from agents.projector import schema
from agents.projector.projector import KEPT, OF_ONE_CUSTOMER, PLAN
from models.customer import Customer
from models.ids import digest
from models.progress import Progress
from models.topics import Topics
from pipeline.runtime.letters import Replayed
from pipeline.runtime.reading import customer_view
from pipeline.scenario.sources import PlanSources
from pipeline.store.codec import COLD, HOT, decode_customer, decode_progress

FRESH_S = 1.0
Found = TypeVar("Found")


class ClusterPlace:
    """What the head of every page needs is kept for a second, and as it was while the database is away."""

    def __init__(self, engine: Engine, bootstrap: str, topics: Topics, sources: Path | None = None):
        self.engine = engine
        self.bootstrap = bootstrap
        self.topics = topics
        self.sources = sources
        self._progress: list[Progress] = []
        self._plan: PlanSources | None = None
        self._looked_at = -FRESH_S
        self._lock = threading.Lock()

    def _ask(self, question: Callable[[Connection], Found]) -> Found:
        with self.engine.connect() as connection:
            return question(connection)

    def _look(self) -> None:
        with self._lock:
            if time.monotonic() < self._looked_at + FRESH_S:
                return
            self._looked_at = time.monotonic()
            try:
                self._ask(self._renew)
            except SQLAlchemyError:
                return  # the page that asks for more than this says it

    def _renew(self, connection: Connection) -> None:
        table = schema.meta
        found = connection.execute(select(table.c.value).where(table.c.name.startswith("progress/"))).scalars()
        self._progress = sorted((decode_progress(bytes(one)) for one in found), key=lambda one: one.partition)
        live = connection.execute(select(table.c.value).where(table.c.name == PLAN)).scalar()
        name = bytes(live).decode() if live else ""
        if name and (self._plan is None or self._plan.hash != name):
            self._plan = self._kept(connection, name) or self._plan

    def _kept(self, connection: Connection, name: str) -> PlanSources | None:
        raw = connection.execute(select(schema.meta.c.value).where(schema.meta.c.name == f"{KEPT}{name}")).scalar()
        return PlanSources.decode(bytes(raw)) if raw else None

    def plan_sources(self) -> PlanSources | None:
        """Return the live plan's sources, as far as the read model has come."""
        self._look()
        return self._plan

    def plan(self, name: str) -> PlanSources | None:
        """Return a plan's sources by its hash, None where it is not kept."""
        return self._ask(lambda connection: self._kept(connection, name))

    def partitions(self) -> list[Progress]:
        """Return how far each journal partition has come."""
        self._look()
        return self._progress

    def watermark(self) -> int:
        """Return the least watermark (UTC ms), 0 before any."""
        return min((one.watermark for one in self.partitions()), default=0)

    def switches(self) -> dict[str, str]:
        """Return what is paused or stopped: every partition has the same, the first knows as early as any."""
        found = self.partitions()
        return dict(found[0].switches) if found else {}

    def state(self, name: str) -> Customer | None:
        """Return a customer's state, None where nothing is known of them."""
        table = schema.customers

        def values(connection: Connection) -> dict[str, bytes]:
            return {row.kind: bytes(row.value) for row in connection.execute(table.select().where(table.c.id == name))}

        found = self._ask(values)
        hot = found.get(HOT.decode())
        return None if hot is None else decode_customer(name, hot, found.get(COLD.decode()))

    def customer(self, name: str) -> dict[str, Any] | None:
        """Return what is known of a customer, as people read it."""
        found = self.state(name)
        return None if found is None else customer_view(found)

    def last_diff(self) -> dict[str, Any] | None:
        """Return None: a report of `parcours diff` stays with who made it."""
        return None

    def _latest(self) -> int:
        return max((one.watermark for one in self.partitions()), default=0)

    def switch(self, scenario: str, state: str) -> None:
        """Switch a scenario: the senders first, then every journal partition."""
        asyncio.run(control.switch(self.bootstrap, self.topics, scenario, state, self._latest()))

    def release(self, scenario: str, *, cancel: bool) -> None:
        """Let the senders' held commands go, or drop them."""
        now_ms = time.time_ns() // 1_000_000
        asyncio.run(control.release(self.bootstrap, self.topics, scenario, now_ms, cancel=cancel))

    def erase(self, customer: str) -> None:
        """Ask for a customer to be forgotten, as `parcours erase` does."""
        now_ms = time.time_ns() // 1_000_000
        name = digest("erase", customer, str(time.time_ns()))[:32]
        asyncio.run(erasing.ask(self.bootstrap, self.topics, customer, name, now_ms))

    def export(self, customer: str) -> dict[str, Any]:
        """Return all that the read model keeps of a customer."""
        found = self._ask(lambda connection: _rows_of(connection, customer))
        return {"customer": self.customer(customer), **found}

    def replay(self, places: list[tuple[int, int]]) -> Replayed:
        """Read dead letters again, by partition and offset of their topic."""
        return asyncio.run(self._replay(places))

    async def _replay(self, places: list[tuple[int, int]]) -> Replayed:
        found = await letters.letters_at(self.bootstrap, self.topics, places)
        return await letters.replay_on_cluster(self.bootstrap, self.topics, found, self.sources)


def _rows_of(connection: Connection, customer: str) -> dict[str, list[dict[str, Any]]]:
    found = {}
    for table in OF_ONE_CUSTOMER:
        rows = connection.execute(table.select().where(table.c.customer == customer)).mappings()
        # Names of columns are SQLAlchemy's own kind of text, which the writer of JSON does not take.
        found[str(table.name)] = [{str(name): value for name, value in row.items()} for row in rows]
    return found
