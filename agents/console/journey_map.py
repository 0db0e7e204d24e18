"""The journey map put together: touchpoints in their stages with figures and targets, leaks, a picture of the ways."""

from dataclasses import dataclass, field
from typing import Any

from models.insight import TouchpointSpec
from pipeline.durations import parse_share

WAYS_DRAWN = 24
LEAKS_SHOWN = 12
WIDTH, HEIGHT, GAP_X, GAP_Y, MARGIN = 148, 46, 64, 34, 34


@dataclass
class Stop:
    """One touchpoint with its figures; times in ms, money in minor units. `kpi` is a share, `target` too."""

    name: str
    stage: str = ""
    note: str = ""
    objective: str = ""
    named: bool = False
    visits: int = 0
    mean_ms: float = 0
    left: int = 0
    left_value: int = 0
    count: str = ""
    within: str = ""
    reached: int = 0
    target: float | None = None
    x: int = 0
    y: int = 0

    @property
    def kpi(self) -> float | None:
        """Return the share of visits after which the indicator came in time; None without one."""
        return self.reached / self.visits if self.count and self.visits else None

    @property
    def stands(self) -> str:
        """Return "met", "short" or "" where there is no target or no visit."""
        if self.target is None or self.kpi is None:
            return ""
        return "met" if self.kpi >= self.target else "short"

    @property
    def left_share(self) -> float:
        """Return the share of visits that were the last of their session."""
        return self.left / self.visits if self.visits else 0.0


@dataclass
class Way:
    """A transition that is drawn: a curve as wide as it is frequent."""

    path: str
    width: float
    title: str


@dataclass
class JourneyMap:
    """Stages in the order of the settings, those without one last; what no touchpoint names; the picture."""

    stages: list[tuple[str, list[Stop]]] = field(default_factory=list)
    unnamed: list[Stop] = field(default_factory=list)
    leaks: list[Stop] = field(default_factory=list)
    ways: list[Way] = field(default_factory=list)
    width: int = 0
    height: int = 0

    @property
    def stops(self) -> list[Stop]:
        """Return all that is drawn."""
        return [one for _, found in self.stages for one in found]


def put_together(specs: list[TouchpointSpec], nodes: list[dict[str, Any]], edges: list[dict[str, Any]]) -> JourneyMap:
    """Return the map from the settings' touchpoints and the sums of a period."""
    stops = {one.name: _stop(one) for one in specs}
    for node in nodes:
        stop = stops.setdefault(node["name"], Stop(node["name"]))
        _measure(stop, node, [edge for edge in edges if edge["source"] == stop.name])
    found = JourneyMap()
    for stage in dict.fromkeys([*(one.stage for one in specs if one.stage), ""]):
        mine = [one for one in stops.values() if one.named and one.stage == stage]
        if mine:
            found.stages.append((stage, mine))
    found.unnamed = [one for one in stops.values() if not one.named]
    if found.unnamed:
        found.stages.append(("*", found.unnamed[:8]))
    left = [one for one in stops.values() if one.left > 0]
    found.leaks = sorted(left, key=lambda one: (-one.left_value, -one.left, one.name))[:LEAKS_SHOWN]
    _draw(found, edges)
    return found


def _stop(spec: TouchpointSpec) -> Stop:
    stop = Stop(spec.name, spec.stage, spec.note, spec.objective, named=True)
    if spec.kpi is not None:
        stop.count, stop.within = spec.kpi.count, spec.kpi.within
        stop.target = parse_share(spec.kpi.target) / 10_000 if spec.kpi.target else None
    return stop


def _measure(stop: Stop, node: dict[str, Any], out: list[dict[str, Any]]) -> None:
    went = sum(edge["n"] for edge in out)
    stop.visits, stop.reached = node["visits"], node["reached"]
    stop.left, stop.left_value = node["visits"] - went, node["value"] - sum(edge["value"] for edge in out)
    stop.mean_ms = sum(edge["ms"] for edge in out) / went if went else 0


def _draw(found: JourneyMap, edges: list[dict[str, Any]]) -> None:
    """Place a column for each stage, and draw the most frequent ways between touchpoints."""
    for column, (_, stops) in enumerate(found.stages):
        for row, stop in enumerate(stops):
            stop.x = MARGIN + column * (WIDTH + GAP_X)
            stop.y = MARGIN + row * (HEIGHT + GAP_Y)
    drawn = {one.name: one for one in found.stops}
    known = [
        edge
        for edge in edges
        if edge["source"] in drawn and edge["target"] in drawn and edge["source"] != edge["target"]
    ]
    most = max((edge["n"] for edge in known), default=1)
    for edge in known[:WAYS_DRAWN]:
        title = f"{edge['source']} → {edge['target']}: {edge['n']}"
        path = _curve(drawn[edge["source"]], drawn[edge["target"]])
        found.ways.append(Way(path, round(1 + 4 * edge["n"] / most, 1), title))
    found.width = max((one.x for one in drawn.values()), default=0) + WIDTH + GAP_X
    found.height = max((one.y for one in drawn.values()), default=0) + HEIGHT + MARGIN


def _curve(one: Stop, other: Stop) -> str:
    """To the next column straight on; over what lies between above it; back, or to the same column, below it."""
    if 0 < other.x - one.x <= WIDTH + GAP_X:
        x1, x2, y1, y2 = one.x + WIDTH, other.x, one.y + HEIGHT // 2, other.y + HEIGHT // 2
        return f"M{x1} {y1} C{x1 + GAP_X // 2} {y1} {x2 - GAP_X // 2} {y2} {x2} {y2}"
    x1, x2 = one.x + WIDTH // 2, other.x + WIDTH // 2
    if other.x > one.x:
        return f"M{x1} {one.y} C{x1} {one.y - MARGIN} {x2} {other.y - MARGIN} {x2} {other.y}"
    y1, y2 = one.y + HEIGHT, other.y + HEIGHT
    return f"M{x1 + 12} {y1} C{x1 + 12} {y1 + MARGIN} {x2 - 12} {y2 + MARGIN} {x2 - 12} {y2}"
