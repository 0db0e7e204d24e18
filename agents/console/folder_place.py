"""A data folder as the console's place, in the process that runs its pipeline."""

import sys
import time
from typing import Any

from models.command import Release
from models.customer import Customer
from models.ids import digest
from models.journal import ScenarioSwitched
from models.progress import Progress
from pipeline.replay.report.kept import kept_diff
from pipeline.runtime.folder import Folder
from pipeline.runtime.letters import Replayed, letter_at, replay_in_folder
from pipeline.runtime.operator import EraseSaid, say
from pipeline.runtime.reading import DataFolder
from pipeline.scenario.sources import PlanSources


def _now() -> str:
    return str(time.time_ns())


class FolderPlace:
    """Reads the folder as it is now; what an operator asks for is left there for the run, which hears it in between."""

    def __init__(self, folder: Folder):
        self.folder = folder

    def reader(self) -> DataFolder:
        """Return a reader of the folder."""
        return DataFolder(self.folder)

    def plan_sources(self) -> PlanSources | None:
        """Return the live plan's sources."""
        live = (self.folder.get("plan") or b"").decode()
        raw = self.folder.get(f"plan/{live}") if live else None
        return PlanSources.decode(raw) if raw else None

    def watermark(self) -> int:
        """Return the watermark (UTC ms)."""
        return self.reader().watermark()

    def switches(self) -> dict[str, str]:
        """Return what is paused or stopped."""
        progress = self.reader().standing()
        return dict(progress.switches) if progress else {}

    def customer(self, name: str) -> dict[str, Any] | None:
        """Return what is known of a customer."""
        return self.reader().customer(name)

    def state(self, name: str) -> Customer | None:
        """Return a customer's state."""
        return self.reader().state(name)

    def plan(self, name: str) -> PlanSources | None:
        """Return a plan's sources by its hash."""
        return self.reader().plan_sources(name)

    def partitions(self) -> list[Progress]:
        """Return how far the one partition has come."""
        found = self.reader().standing()
        return [found] if found else []

    def last_diff(self) -> dict[str, Any] | None:
        """Return the last report of `parcours diff` in this folder."""
        return kept_diff(self.folder.path)

    def switch(self, scenario: str, state: str) -> None:
        """Ask the run to switch a scenario, at the log time at which it hears of it."""
        name = digest("switch", scenario, state, _now())
        say(self.folder.path, ScenarioSwitched(id=name, scenario=scenario, state=state, at=0))

    def release(self, scenario: str, *, cancel: bool) -> None:
        """Ask the run's sender to let go what it holds, or to drop it."""
        name = digest("release", scenario, str(cancel), _now())
        say(self.folder.path, Release(id=name, scenario=scenario, cancel=cancel, at=0))

    def erase(self, customer: str) -> None:
        """Ask the run to forget a customer."""
        say(self.folder.path, EraseSaid(id=digest("erase", customer, _now())[:32], customer=customer))

    def export(self, customer: str) -> dict[str, Any]:
        """Return all that the folder's state and streams hold of a customer."""
        reader = self.reader()
        return {"customer": reader.customer(customer), "timeline": reader.timeline(customer, sys.maxsize)}

    def replay(self, places: list[tuple[int, int]]) -> Replayed:
        """Read dead letters again and leave their events for the run."""
        letters = [letter_at(self.folder, number) for _, number in places]
        return replay_in_folder(self.folder, [one for one in letters if one is not None])
