"""Touchpoints, funnels and attribution of `settings.yaml`, compiled; faults with their places."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.customer import Customer
from models.event import Event
from models.insight import FunnelSpec, TouchpointSpec
from models.settings import SettingsSpec
from pipeline.durations import parse_duration
from pipeline.engine.env import Env, Expr
from pipeline.errors import PlanError, Problem
from pipeline.scenario.expressions.compile import Scope, compile_expression, nearest
from pipeline.scenario.expressions.parse import ExpressionError
from pipeline.scenario.scope import event_types, union
from pipeline.yaml_places import Places

Path = tuple[str | int, ...]
NOBODY = Customer(id="")


@dataclass(frozen=True, slots=True)
class Matcher:
    """Events of some types that satisfy a condition on the event."""

    name: str
    on: tuple[str, ...]
    where: Expr | None = None

    def matches(self, event: Event, settings: Any) -> bool:
        """Say whether an event is of this kind; a condition on a missing field does not hold."""
        if event.type not in self.on:
            return False
        if self.where is None:
            return True
        view = {**event.data, "id": event.id, "type": event.type, "at": event.at}
        return self.where.holds(Env(NOBODY, event.at, settings, event=view))


@dataclass(frozen=True, slots=True)
class Kpi:
    """An event that should come within a time after a visit."""

    count: str
    within_ms: int


@dataclass(frozen=True, slots=True)
class Touchpoint:
    """A matcher with what it should lead to."""

    matcher: Matcher
    kpi: Kpi | None = None


@dataclass(frozen=True, slots=True)
class Funnel:
    """Steps in order, within a time from the first."""

    name: str
    steps: tuple[Matcher, ...]
    within_ms: int


@dataclass(frozen=True)
class Definitions:
    """All that the folds need; `by_type` finds the touchpoints that an event type may be."""

    touchpoints: tuple[Touchpoint, ...]
    funnels: tuple[Funnel, ...]
    click_ms: int
    open_ms: int
    timezone: str
    settings: Any
    by_type: Mapping[str, tuple[Touchpoint, ...]]
    funnel_types: frozenset[str]
    kpis: Mapping[str, Kpi]
    kpi_types: frozenset[str]

    def touchpoint(self, event: Event) -> Touchpoint | None:
        """Return the first touchpoint that an event belongs to."""
        for one in self.by_type.get(event.type, ()):
            if one.matcher.matches(event, self.settings):
                return one
        return None


class _Reader:
    def __init__(self, settings: SettingsSpec, places: Places | None):
        self.places = places
        self.types = event_types(settings)
        self.currency = settings.store.currency
        self.problems: list[Problem] = []

    def fault(self, path: Path, message: str, offset: int = 0) -> None:
        if self.places is None:
            self.problems.append(Problem("settings.yaml", 1, 1, message))
        else:
            self.problems.append(self.places.problem(path, message, offset=offset))

    def matcher(self, name: str, on: tuple[str, ...], where: str | None, path: Path) -> Matcher:
        for one in on:
            if one not in self.types:
                self.fault((*path, "on"), f"unknown event {one!r}{nearest(one, self.types)}")
        return Matcher(name, on, self._condition(on, where, path))

    def _condition(self, on: tuple[str, ...], where: str | None, path: Path) -> Expr | None:
        if where is None:
            return None
        scope = Scope({"event": union(self.types[one] for one in on if one in self.types)}, self.currency)
        try:
            return compile_expression(where, scope, condition=True)
        except ExpressionError as error:
            self.fault((*path, "where"), error.message, error.offset)
            return None


def compile_definitions(spec: SettingsSpec, engine: Any, places: Places | None = None) -> Definitions:
    """Return the definitions of a settings file; PlanError carries every fault. `engine` is the engine's settings."""
    reader = _Reader(spec, places)
    touchpoints = tuple(_touchpoint(one, index, reader) for index, one in enumerate(spec.touchpoints))
    funnels = tuple(_funnel(one, index, reader) for index, one in enumerate(spec.funnels))
    for kind, names in (
        ("touchpoints", [one.name for one in spec.touchpoints]),
        ("funnels", [f.name for f in funnels]),
    ):
        for index, name in enumerate(names):
            if name in names[:index]:
                reader.fault((kind, index, "name"), f"the name {name!r} is taken")
    if reader.problems:
        raise PlanError(reader.problems)
    by_type: dict[str, list[Touchpoint]] = {}
    for one in touchpoints:
        for kind in one.matcher.on:
            by_type.setdefault(kind, []).append(one)
    return Definitions(
        touchpoints=touchpoints,
        funnels=funnels,
        click_ms=parse_duration(spec.attribution.click),
        open_ms=parse_duration(spec.attribution.open),
        timezone=spec.timezone,
        settings=engine,
        by_type={kind: tuple(found) for kind, found in by_type.items()},
        funnel_types=frozenset(kind for funnel in funnels for step in funnel.steps for kind in step.on),
        kpis={one.matcher.name: one.kpi for one in touchpoints if one.kpi},
        kpi_types=frozenset(one.kpi.count for one in touchpoints if one.kpi),
    )


def _touchpoint(spec: TouchpointSpec, index: int, reader: _Reader) -> Touchpoint:
    path: Path = ("touchpoints", index)
    kpi = None
    if spec.kpi is not None:
        if spec.kpi.count not in reader.types:
            reader.fault(
                (*path, "kpi", "count"), f"unknown event {spec.kpi.count!r}{nearest(spec.kpi.count, reader.types)}"
            )
        kpi = Kpi(spec.kpi.count, parse_duration(spec.kpi.within))
    return Touchpoint(reader.matcher(spec.name, spec.on, spec.where, path), kpi)


def _funnel(spec: FunnelSpec, index: int, reader: _Reader) -> Funnel:
    steps = tuple(
        reader.matcher(step.name, step.on, step.where, ("funnels", index, "steps", number))
        for number, step in enumerate(spec.steps)
    )
    return Funnel(spec.name, steps, parse_duration(spec.within))
