"""A scenario as a graph with its live counts, laid out for an SVG: from the entry down, a layer a step.

A wait counts who waits there now, and who left there and why: the projector knows after which named step somebody is,
so of two waits in a row the first shows both. A node's place: its layer is the longest way from the entry, its column
follows its parents'.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any

from agents.console.flow import Edge, Node, work_out
from pipeline.engine.plan import Branch, Done, Exit, Op, Scenario, Send, Split, Start, Until, Wait, WaitFor
from pipeline.engine.program import AddScore, SetAttributes

WIDTH, HEIGHT, GAP_X, GAP_Y, MARGIN = 168, 58, 14, 34, 8
LABEL_CHARS = 22
Counts = Counter[tuple[str, str, str]]


@dataclass
class Graph:
    """Nodes in the order of reading, edges, and the size of the picture."""

    nodes: list[Node]
    edges: list[Edge]
    width: float = 0
    height: float = 0


def ways_on(op: Op) -> list[tuple[int, str]]:
    """Return where an op leads, each with its label."""
    match op:
        case Send() | Wait() | Start():
            return [(op.next, "")]
        case Until():
            return [(op.next, ""), *([(op.skip, "past")] if op.if_past == "skip_next" and op.skip != op.next else [])]
        case WaitFor():
            ways = [(one.goto, one.on or "condition") for one in op.alternatives]
            return _joined([*ways, (op.otherwise, "otherwise")])
        case Branch():
            ways = [(goto, "otherwise" if when is None else when.source) for when, goto in op.arms]
            return _joined([*ways, *([] if any(when is None for when, _ in op.arms) else [(op.next, "otherwise")])])
        case Split():
            return _joined([(goto, name) for name, _, goto in op.arms])
        case Exit() | Done():
            return []
    following = getattr(op, "next", None)
    return [] if following is None else [(following, "")]


def _joined(ways: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """Ways to one place are one arrow with both labels."""
    labels: dict[int, list[str]] = {}
    for goto, label in ways:
        labels.setdefault(goto, []).append(label)
    return [(goto, ", ".join(found)) for goto, found in labels.items()]


def kind_of(op: Op) -> tuple[str, str, str]:
    """Return an op's kind, label and name."""
    match op:
        case Send():
            return "send", op.name, op.name
        case Wait():
            return "wait", f"wait {op.label}", ""
        case Until():
            return "wait", f"until {op.label}", ""
        case WaitFor():
            return "wait", f"wait for {op.label}", ""
        case Split():
            return "split", f"split {op.name}", op.name
        case Branch():
            return "split", "branch", op.label
        case Start():
            return "start", f"start {op.scenario}", ""
        case SetAttributes():
            return "step", f"set {', '.join(name for name, _ in op.values)}", ""
        case AddScore():
            return "step", f"score {', '.join(name for name, _ in op.points)}", ""
        case Exit():
            return "end", f"exit: {op.reason}", ""
        case Done():
            return "end", "end", ""


def draw(scenario: Scenario, counts: Counts, inside: dict[str, int]) -> Graph:
    """Return the graph of a scenario with its counts."""
    program = scenario.program
    entry = Node(-1, "entry", _entry_label(scenario), figures=_entered(counts))
    reached = _reachable(program)
    nodes = {-1: entry}
    for index in reached:
        kind, label, name = kind_of(program[index])
        nodes[index] = Node(index, kind, label, name)
    # Those held out are enrolled and do no step.
    began = entry.figures[0][1] - counts["entered", "", "held_out"]
    edges = [Edge(-1, 0, "", began)] if program else []
    edges += [Edge(index, goto, label) for index in reached for goto, label in ways_on(program[index])]
    _fill(nodes, edges, counts, inside)
    work_out(nodes, edges)
    _place(nodes, edges)
    for edge in edges:
        _route(edge, nodes)
    ordered = sorted(nodes.values(), key=lambda node: (node.layer, node.x))
    width = max(node.x for node in ordered) + WIDTH + MARGIN
    return Graph(ordered, edges, width, max(node.y for node in ordered) + HEIGHT + MARGIN)


def _entry_label(scenario: Scenario) -> str:
    return ", ".join(dict.fromkeys(str(one.on) for one in scenario.entries)) or "entry"


def _reachable(program: tuple[Op, ...]) -> list[int]:
    found: set[int] = set()
    waiting = [0] if program else []
    while waiting:
        index = waiting.pop()
        if index not in found:
            found.add(index)
            waiting += [goto for goto, _ in ways_on(program[index])]
    return sorted(found)


def _entered(counts: Counts) -> list[tuple[str, int]]:
    held_out = counts["entered", "", "held_out"]
    return [("entered", _sum(counts, "entered")), *([("held out", held_out)] if held_out else [])]


def _sum(counts: Counts, outcome: str, step: str | None = None) -> int:
    return sum(n for (out, name, _), n in counts.items() if out == outcome and step in {None, name})


def _reasons(counts: Counts, outcome: str, step: str) -> list[tuple[str, int]]:
    found = [(reason, n) for (out, name, reason), n in counts.items() if out == outcome and name == step and n]
    return sorted(found, key=lambda pair: (-pair[1], pair[0]))


def _fill(nodes: dict[int, Node], edges: list[Edge], counts: Counts, inside: dict[str, int]) -> None:
    """Put figures on nodes and edges; what the log does not say stays away."""
    after = _last_named(nodes, edges)
    shown: set[str] = set()
    for node in sorted(nodes.values(), key=lambda one: one.key):
        if node.kind == "send":
            figures = [(what, _sum(counts, what, node.name)) for what in ("sent", "opened", "clicked")]
            node.figures = figures[:1] + [pair for pair in figures[1:] if pair[1]]
            node.reasons = _reasons(counts, "suppressed", node.name)
        elif node.kind == "wait":
            step = after.get(node.key, "")
            if step not in shown:
                shown.add(step)
                node.figures = [("inside", inside.get(step, 0))]
                node.reasons = [(why, n) for why, n in _reasons(counts, "left", step) if why != "last step"]
        elif node.kind == "end" and node.label == "end":
            done = sum(n for (out, _, why), n in counts.items() if out == "completed" and why != "held_out")
            node.figures = [("completed", done)]
    into = Counter(edge.target for edge in edges)
    for edge in edges:
        if edge.source >= 0:
            edge.count = _taken(nodes[edge.source], nodes[edge.target], edge, into, counts)


def _passed(node: Node, counts: Counts) -> int | None:
    if node.kind != "send":
        return None
    return _sum(counts, "sent", node.name) + _sum(counts, "suppressed", node.name)


def _taken(source: Node, target: Node, edge: Edge, into: Counter[int], counts: Counts) -> int | None:
    if source.kind == "split":
        arms = edge.label.split(", ")
        found = [counts[("branched", source.name, arm)] for arm in arms]
        return sum(found) if any(found) else _passed(target, counts) if into[target.key] == 1 else None
    if into[target.key] == 1 and target.kind == "send":
        return _passed(target, counts)
    return _passed(source, counts)


def _last_named(nodes: dict[int, Node], edges: list[Edge]) -> dict[int, str]:
    """Return the named step that stands last before each node on some way to it ("" for none)."""
    found: dict[int, str] = {0: ""}
    for edge in sorted(edges, key=lambda one: one.source):
        if edge.source in nodes and edge.source >= 0:
            found.setdefault(edge.target, nodes[edge.source].name or found.get(edge.source, ""))
    return found


def _place(nodes: dict[int, Node], edges: list[Edge]) -> None:
    """Set layers and columns. Programs only jump forward, so one pass in their order finds the longest ways."""
    for _ in range(len(nodes)):
        moved = False
        for edge in edges:
            if nodes[edge.target].layer < nodes[edge.source].layer + 1 and edge.target != edge.source:
                nodes[edge.target].layer = nodes[edge.source].layer + 1
                moved = True
        if not moved:
            break
    layers: defaultdict[int, list[Node]] = defaultdict(list)
    for node in sorted(nodes.values(), key=lambda one: one.key):
        layers[node.layer].append(node)
    widest = max(len(found) for found in layers.values())
    full = widest * WIDTH + (widest - 1) * GAP_X
    for layer, found in layers.items():
        mine = len(found) * WIDTH + (len(found) - 1) * GAP_X
        for column, node in enumerate(found):
            node.x = MARGIN + (full - mine) / 2 + column * (WIDTH + GAP_X)
            node.y = MARGIN + layer * (HEIGHT + GAP_Y)


def _route(edge: Edge, nodes: dict[int, Node]) -> None:
    """Draw a curve from the bottom of one node to the top of the other; a long one keeps to the side."""
    source, target = nodes[edge.source], nodes[edge.target]
    x1, y1 = source.x + WIDTH / 2, source.y + HEIGHT
    x2, y2 = target.x + WIDTH / 2, target.y
    bend = (y2 - y1) / 2
    if target.layer - source.layer > 1 and abs(x1 - x2) < WIDTH / 2:
        side = (
            min(one.x for one in nodes.values()) - MARGIN / 2
            if x1 <= x2
            else max(one.x for one in nodes.values()) + WIDTH
        )
        edge.path = f"M{x1:.0f} {y1:.0f} C{side:.0f} {y1 + bend:.0f} {side:.0f} {y2 - bend:.0f} {x2:.0f} {y2:.0f}"
    else:
        edge.path = f"M{x1:.0f} {y1:.0f} C{x1:.0f} {y1 + bend:.0f} {x2:.0f} {y2 - bend:.0f} {x2:.0f} {y2:.0f}"
    edge.x, edge.y = (x1 + x2) / 2 - 6, (y1 + y2) / 2 + 4


def short(text: str, chars: int = LABEL_CHARS) -> str:
    """Return a text that fits a node."""
    return text if len(text) <= chars else text[: chars - 1] + "…"


def view(graph: Graph) -> dict[str, Any]:
    """Return the graph as templates read it."""
    return {
        "nodes": graph.nodes, "edges": graph.edges, "width": round(graph.width), "height": round(graph.height),
        "box": (WIDTH, HEIGHT),
    }  # fmt: skip
