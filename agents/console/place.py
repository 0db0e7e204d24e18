"""Where the console looks beside the read model, and where its actions go: a data folder, or a cluster."""

import threading
from collections.abc import Callable
from typing import Any, Protocol

from models.customer import Customer
from models.progress import Progress
from models.settings import SettingsSpec
from pipeline.engine.plan import Plan
from pipeline.errors import PlanError
from pipeline.runtime.letters import Replayed
from pipeline.scenario.compile import compile_plan, read_scenarios, read_settings
from pipeline.scenario.sources import PlanSources

ALL = "*"


class Place(Protocol):
    """What pages need that is not in the read model, and what an operator can ask for."""

    def plan_sources(self) -> PlanSources | None:
        """Return the live plan's sources, None before any."""

    def watermark(self) -> int:
        """Return the least watermark (UTC ms), 0 before any."""

    def switches(self) -> dict[str, str]:
        """Return scenario -> "paused" or "stopped", for those that are; "*" is all of them."""

    def customer(self, name: str) -> dict[str, Any] | None:
        """Return what is known of a customer, None where nothing is."""

    def state(self, name: str) -> Customer | None:
        """Return a customer's state, None where nothing is known of them."""

    def plan(self, name: str) -> PlanSources | None:
        """Return a plan's sources by its hash, None where it is not kept."""

    def partitions(self) -> list[Progress]:
        """Return how far each journal partition has come."""

    def last_diff(self) -> dict[str, Any] | None:
        """Return the last report of `parcours diff`, None where none was kept."""

    def switch(self, scenario: str, state: str) -> None:
        """Pause ("paused"), stop ("stopped") or resume ("active") a scenario; "*" for all."""

    def release(self, scenario: str, *, cancel: bool) -> None:
        """Let go what the senders hold of a scenario, or drop it."""

    def erase(self, customer: str) -> None:
        """Ask for a customer to be forgotten."""

    def export(self, customer: str) -> dict[str, Any]:
        """Return all that is kept of a customer."""

    def replay(self, places: list[tuple[int, int]]) -> Replayed:
        """Read dead letters again, by partition and number of their own stream."""


class Plans:
    """The live plan and its settings, compiled once for each hash."""

    def __init__(self, sources: Callable[[], PlanSources | None]):
        self._sources = sources
        self._hash = ""
        self._plan: Plan | None = None
        self._settings = SettingsSpec()
        self._objectives: dict[str, str] = {}
        self._lock = threading.Lock()

    def _look(self) -> None:
        sources = self._sources()
        if sources is None or sources.hash == self._hash:
            return
        try:
            self._plan, self._settings = compile_plan(sources), read_settings(sources)
        except PlanError:
            # Of another release: the counts still stand, without their graph.
            self._plan, self._settings = None, SettingsSpec()
        specs, _ = read_scenarios(sources)
        self._objectives = {name: spec.objective or "" for name, (_, spec, _) in specs.items()}
        self._hash = sources.hash

    def objectives(self) -> dict[str, str]:
        """Return what each live scenario is for, in its author's words."""
        with self._lock:
            self._look()
            return self._objectives

    def plan(self) -> Plan | None:
        """Return the live plan, None before any and for one of another release."""
        with self._lock:
            self._look()
            return self._plan

    def settings(self) -> SettingsSpec:
        """Return its settings."""
        with self._lock:
            self._look()
            return self._settings
