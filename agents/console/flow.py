"""How many took each way of a graph: where the log does not count a way itself, by what goes into a step and out of it.

Into a step go those who come from before it; out of it all but those who wait there or left there. A way is worked out
where it is the only one at a step whose number is not known. What is counted stands for the period that is shown, who
waits for now, so a short period gives no more than a near number for such a way: never below 0.
"""

from dataclasses import dataclass, field

STAYS = ("inside",)


@dataclass
class Node:
    """One step: what is drawn and what is said of it."""

    key: int
    kind: str
    label: str
    name: str = ""  # the step's own name, where decisions speak of it
    figures: list[tuple[str, int]] = field(default_factory=list)
    reasons: list[tuple[str, int]] = field(default_factory=list)
    layer: int = 0
    x: float = 0
    y: float = 0


@dataclass
class Edge:
    """One way on, with how many took it where that is known."""

    source: int
    target: int
    label: str = ""
    count: int | None = None
    path: str = ""
    x: float = 0
    y: float = 0


def work_out(nodes: dict[int, Node], edges: list[Edge]) -> None:
    """Fill in the numbers of ways that follow from those that are known."""
    for _ in range(len(edges)):
        if not any([_follow(node, edges) for node in nodes.values()]):
            return


def stays(node: Node) -> int:
    """Return how many came to a step and did not go on."""
    waiting = sum(count for what, count in node.figures if what in STAYS)
    return waiting + sum(count for _, count in node.reasons) if node.kind == "wait" else 0


def _follow(node: Node, edges: list[Edge]) -> bool:
    into = [edge for edge in edges if edge.target == node.key]
    out = [edge for edge in edges if edge.source == node.key]
    if not into or not out:
        return False
    unknown = [edge for edge in (*into, *out) if edge.count is None]
    if len(unknown) != 1:
        return False
    came = sum(edge.count or 0 for edge in into)
    went = sum(edge.count or 0 for edge in out)
    one = unknown[0]
    one.count = max(went + stays(node) - came if one in into else came - stays(node) - went, 0)
    return True
