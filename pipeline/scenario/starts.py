"""Scenarios that start each other: whose entry fields they hand on, and that they go round in no circle."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from models.scenario import ScenarioSpec, StartStep
from pipeline.engine.plan import START
from pipeline.errors import Problem
from pipeline.scenario.expressions.compile import nearest
from pipeline.yaml_places import Places

Path = tuple[str | int, ...]
Read = tuple[ScenarioSpec, Places]


def started_in(node: Any, path: Path = ()) -> Iterator[tuple[str, Path]]:
    """Yield each scenario that a file starts, with the place."""
    if isinstance(node, StartStep):
        yield node.start, (*path, "start")
    elif isinstance(node, list):
        for index, one in enumerate(node):
            yield from started_in(one, (*path, index))
    elif isinstance(node, BaseModel):
        for name in type(node).model_fields:
            value = getattr(node, name)
            if isinstance(value, list | BaseModel):
                yield from started_in(value, (*path, name))


class Starts:
    """Who starts whom among the scenarios of a plan."""

    def __init__(self, specs: Mapping[str, Read]):
        self.specs = specs
        self.to = {name: list(dict(started_in(spec.steps, ("steps",)))) for name, (spec, _) in specs.items()}

    def entry_events(self, name: str, seen: tuple[str, ...] = ()) -> list[str]:
        """Return the events that may begin a scenario: its own, and those of the scenarios that start it."""
        own = [enter.event for enter in self.specs[name][0].enter]
        found = [one for one in own if one != START]
        if START in own:
            for other, started in self.to.items():
                if name in started and other not in seen:
                    found += self.entry_events(other, (*seen, name))
        return list(dict.fromkeys(found))

    def handed_on(self, name: str, seen: tuple[str, ...] = ()) -> Iterator[str]:
        """Yield the scenarios that a scenario starts, and those that they start."""
        for other in self.to.get(name, ()):
            if other in self.specs and other not in seen:
                yield other
                yield from self.handed_on(other, (*seen, other))

    def problems(self) -> Iterator[Problem]:
        """Yield every start of a scenario that is not there, has no such entry, or leads back to its starter."""
        for name, (spec, places) in self.specs.items():
            for other, path in started_in(spec.steps, ("steps",)):
                if other not in self.specs:
                    yield places.problem(path, f"unknown scenario {other!r}{nearest(other, self.specs)}")
                elif START not in [enter.event for enter in self.specs[other][0].enter]:
                    yield places.problem(path, f"{other} cannot be started: it has no `enter: {{on: start}}`")
                elif other == name or name in self.handed_on(other):
                    yield places.problem(path, f"a circle: {other} leads back to {name}")
