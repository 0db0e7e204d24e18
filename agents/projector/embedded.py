"""Feeds the projector from a data folder, in a thread beside the pipeline that writes it."""

import threading
from collections.abc import Iterator

import msgspec
import structlog
from sqlalchemy.exc import SQLAlchemyError

from agents.projector.batch import Record
from agents.projector.plans import PlanShelf
from agents.projector.projector import Projector
from agents.projector.retention import Retention, newest_at, prune
from models.dead_letter import DeadLetter
from pipeline.errors import RunError
from pipeline.runtime.folder import Folder
from pipeline.scenario.sources import PlanSources

# A journal message holds up to 500 events.
AT_ONCE = {
    "memberships": 8_000, "journal": 16, "decisions": 8_000, "delivery": 4_000, "receipts": 8_000,
    "dead-letters": 2_000,
}  # fmt: skip
IDLE_S = 0.2
AGAIN_S = 1.0
PRUNE_EVERY = 200
log = structlog.get_logger()


def plans_of(folder: Folder) -> PlanShelf:
    """Return the plans that a folder holds."""

    def sources(plan: str) -> PlanSources | None:
        raw = folder.get(f"plan/{plan}")
        return None if raw is None else PlanSources.decode(raw)

    return PlanShelf(sources)


class FolderFeed:
    """Reads a folder's streams on from where the read model stands."""

    def __init__(self, folder: Folder, projector: Projector, retention: Retention | None = None):
        self.folder = folder
        self.projector = projector
        self.retention = retention or Retention()
        self._batches = 0

    def step(self) -> bool:
        """Fold the next records of every stream in; False when all are in."""
        known = self.projector.positions()
        records = [one for name in AT_ONCE for one in self._next(name, known.get((name, 0), 0))]
        if not records:
            return False
        self.projector.apply(records)
        self._batches += 1
        if self._batches % PRUNE_EVERY == 0:
            prune(self.projector.engine, newest_at(self.projector.engine), self.retention)
        return True

    def _next(self, name: str, start: int) -> Iterator[Record]:
        left = AT_ONCE[name]
        for offset, raw in self.folder.scan(name, start):
            letter = msgspec.json.decode(raw, type=DeadLetter) if name == "dead-letters" else None
            yield Record(name, 0, offset, None if letter else raw, letter=letter)
            left -= 1
            if not left:
                return

    def run(self, stop: threading.Event) -> None:
        """Follow the folder until stopped. A database that is away is asked again: the pipeline is not touched."""
        while not stop.is_set():
            try:
                busy = self.step()
            except (SQLAlchemyError, RunError) as error:
                log.warning("the read model cannot be written", cause=type(error).__name__)
                stop.wait(AGAIN_S)
                continue
            if not busy:
                stop.wait(IDLE_S)
