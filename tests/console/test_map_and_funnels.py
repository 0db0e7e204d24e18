"""The journey map and funnels as their pages are given them: figures, targets, leaks, drop-offs."""

from pathlib import Path

from agents.console.flow import Edge, Node, work_out
from agents.console.funnels import shown
from agents.console.journey_map import put_together
from agents.console.report import about
from models.insight import FunnelSpec, KpiSpec, TouchpointSpec
from pipeline.replay.report.kept import keep_diff, kept_diff

LOOK = TouchpointSpec(
    name="look", stage="discover", note="Is it right?", on=("product_viewed",), objective="interest",
    kpi=KpiSpec(count="cart_item_added", within="10m", target="40%"),
)  # fmt: skip
BASKET = TouchpointSpec(name="basket", stage="choose", on=("cart_item_added",))
NODES = [
    {"name": "look", "visits": 10, "unnamed": 0, "value": 500, "reached": 3},
    {"name": "basket", "visits": 4, "unnamed": 0, "value": 4000, "reached": 0},
    {"name": "page:help", "visits": 2, "unnamed": 2, "value": 0, "reached": 0},
]
EDGES = [
    {"source": "", "target": "look", "n": 8, "ms": 0, "value": 0},
    {"source": "look", "target": "basket", "n": 4, "ms": 8000, "value": 100},
    {"source": "look", "target": "look", "n": 2, "ms": 1000, "value": 0},
    {"source": "page:help", "target": "look", "n": 1, "ms": 500, "value": 0},
]


def test_a_touchpoint_stands_in_its_stage_with_its_time_its_leak_and_its_indicator() -> None:
    found = put_together([LOOK, BASKET], NODES, EDGES)
    assert [stage for stage, _ in found.stages] == ["discover", "choose", "*"]
    look = found.stages[0][1][0]
    assert (look.visits, look.left, look.left_value, look.mean_ms) == (10, 4, 400, 1500)
    assert (look.kpi, look.target, look.stands, look.note) == (0.3, 0.4, "short", "Is it right?")
    assert [one.name for one in found.unnamed] == ["page:help"]


def test_leaks_are_those_that_cost_most_first() -> None:
    found = put_together([LOOK, BASKET], NODES, EDGES)
    assert [(one.name, one.left, one.left_value) for one in found.leaks] == [
        ("basket", 4, 4000), ("look", 4, 400), ("page:help", 1, 0),
    ]  # fmt: skip


def test_a_touchpoint_that_nobody_visited_is_shown_with_nothing() -> None:
    found = put_together([LOOK], [], [])
    assert [(one.name, one.visits, one.kpi, one.stands) for one in found.stops] == [("look", 0, None, "")]


def test_ways_are_drawn_between_touchpoints_and_none_from_one_to_itself() -> None:
    found = put_together([LOOK, BASKET], NODES, EDGES)
    assert [one.title for one in found.ways] == ["look → basket: 4", "page:help → look: 1"]
    assert all(one.path.startswith("M") for one in found.ways)


def test_a_funnel_says_how_many_came_how_far_and_who_was_lost() -> None:
    spec = FunnelSpec.model_validate({"name": "buying", "steps": ["product_viewed", "cart_item_added", "order_placed"]})
    rows = [{"funnel": "buying", "group": "", "step": step, "n": n} for step, n in ((1, 10), (2, 4), (3, 1))]
    ((group, steps),) = shown([spec], rows)[0].groups
    assert group == ""
    assert [(one.reached, one.stopped, one.of_first, one.of_before) for one in steps] == [
        (10, 6, 1.0, 1.0), (4, 3, 0.4, 0.4), (1, 0, 0.1, 0.25),
    ]  # fmt: skip


def test_a_funnel_by_group_has_the_largest_first_and_a_step_that_nobody_reached_is_0() -> None:
    spec = FunnelSpec.model_validate({"name": "buying", "steps": ["product_viewed", "order_placed"]})
    rows = [
        {"funnel": "buying", "group": "phone", "step": 1, "n": 2},
        {"funnel": "buying", "group": "desktop", "step": 1, "n": 5},
        {"funnel": "buying", "group": "desktop", "step": 2, "n": 1},
    ]
    groups = shown([spec], rows)[0].groups
    assert [(name, [one.reached for one in steps]) for name, steps in groups] == [
        ("desktop", [5, 1]),
        ("phone", [2, 0]),
    ]


def wait(inside: int, left: int) -> Node:
    return Node(0, "wait", "wait 1h", figures=[("inside", inside)], reasons=[("order_placed", left)])


def test_who_goes_on_from_a_wait_is_who_came_less_who_waits_or_left() -> None:
    nodes = {-1: Node(-1, "entry", "cart"), 0: wait(3, 2), 1: Node(1, "step", "set x"), 2: Node(2, "end", "end")}
    edges = [Edge(-1, 0, count=10), Edge(0, 1), Edge(1, 2)]
    work_out(nodes, edges)
    assert [edge.count for edge in edges] == [10, 5, 5]


def test_of_several_ways_the_one_that_is_not_counted_is_what_remains() -> None:
    nodes = {0: Node(0, "split", "s"), 1: Node(1, "send", "a"), 2: Node(2, "send", "b"), -1: Node(-1, "entry", "e")}
    edges = [Edge(-1, 0, count=10), Edge(0, 1, count=4), Edge(0, 2)]
    work_out(nodes, edges)
    assert [edge.count for edge in edges] == [10, 4, 6]


def test_two_ways_that_nobody_counted_stay_without_a_number() -> None:
    nodes = {0: Node(0, "split", "s"), 1: Node(1, "end", "a"), 2: Node(2, "end", "b"), -1: Node(-1, "entry", "e")}
    edges = [Edge(-1, 0, count=10), Edge(0, 1), Edge(0, 2)]
    work_out(nodes, edges)
    assert [edge.count for edge in edges] == [10, None, None]


def figures(live: str = "a", draft: str = "b") -> dict[str, object]:
    change = {"kind": "dropped", "scenario": "cart", "step": "reminder", "count": 3, "reasons": {"capped": 3}}
    return {
        "live": live, "draft": draft, "folder": "draft", "until": None, "changes": [change],
        "steps": [{"scenario": "cart", "step": "reminder", "was": 5, "now": 2}],
    }  # fmt: skip


def test_a_kept_difference_is_shown_at_its_scenario_and_says_whether_it_is_applied_or_stale() -> None:
    found = about(figures(), "cart", "a")
    assert found is not None and len(found["changes"]) == 1
    assert (found["applied"], found["stale"]) == (False, False)
    applied, stale, other = about(figures(), "cart", "b"), about(figures(), "cart", "c"), about(figures(), "x", "a")
    assert applied is not None and applied["applied"] and not applied["stale"]
    assert stale is not None and stale["stale"]
    assert other is not None and other["changes"] == []
    assert about(None, "cart", "a") is None
    assert about({"of another": "release"}, "cart", "a") is None


def test_a_difference_is_kept_for_its_owner_alone_and_names_no_customer(tmp_path: Path) -> None:
    change = {"kind": "dropped", "scenario": "cart", "step": "reminder", "count": 1, "reasons": {}}
    said = {**figures(), "changes": [{**change, "examples": [{"customer": "c1"}]}]}
    keep_diff(tmp_path, said, "draft")
    assert (tmp_path / "diff.json").stat().st_mode & 0o077 == 0
    assert "c1" not in (tmp_path / "diff.json").read_text()
    found = kept_diff(tmp_path)
    assert found is not None and found["changes"] == [change] and found["folder"] == "draft"
    assert [one.name for one in tmp_path.iterdir()] == ["diff.json"]


def test_a_difference_that_is_not_there_or_damaged_is_none(tmp_path: Path) -> None:
    assert kept_diff(tmp_path) is None
    (tmp_path / "diff.json").write_text("{half")
    assert kept_diff(tmp_path) is None
