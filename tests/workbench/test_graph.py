"""A scenario's graph shows all that its file says: ways in, steps, ways on, ways out, the goal."""

import re
from pathlib import Path

import pytest

from models.scenario import ScenarioSpec
from pipeline.scenario.compile import read_scenarios
from pipeline.scenario.graph import to_mermaid
from pipeline.scenario.sources import read_sources
from pipeline.scenario.walking import walk
from tests.acceptance.running import parcours

SHIPPED = {
    name: spec
    for name, (_, spec, _) in read_scenarios(read_sources(Path(__file__).parents[2] / "scenarios"))[0].items()
}
NODE = re.compile(r'^ *(n\d+)(?:\(\["|\("|\["|\{"|\[\["|\{\{")(.*?)(?:"\]\)|"\)|"\]|"\}|"\]\]|"\}\})$')
ARROW = re.compile(r'^ *(n\d+|inside) (?:-->|-\.->|-\.-)(?:\|"(.*)"\|)? (n\d+)$')


def read(chart: str) -> tuple[dict[str, str], list[tuple[str, str, str]]]:
    """Return the nodes and the arrows (from, label, to) of a chart, by their text; every line must be one."""
    nodes, arrows = {"inside": "inside"}, []
    for line in chart.splitlines():
        if found := NODE.match(line):
            nodes[found[1]] = found[2]
        elif found := ARROW.match(line):
            arrows.append((found[1], found[2] or "", found[3]))
        else:
            assert re.match(r'^(flowchart TD|  subgraph inside\[".*"\]|  end)$', line), line
    return nodes, [(nodes[a], label, nodes[b]) for a, label, b in arrows]


def spec_of(steps: list[object], **more: object) -> ScenarioSpec:
    head = {"scenario": "one", "title": "One", "purpose": "marketing", "enter": {"on": "order_placed"}}
    return ScenarioSpec.model_validate({**head, "steps": steps, **more})


def arrows(steps: list[object], **more: object) -> list[tuple[str, str, str]]:
    return read(to_mermaid(spec_of(steps, **more)))[1]


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_every_step_of_a_shipped_scenario_has_its_node_and_is_reached(name: str) -> None:
    spec = SHIPPED[name]
    nodes, ways = read(to_mermaid(spec))
    reached = {target for _, _, target in ways}
    for node in nodes.values():
        assert (
            node in reached
            or node == "inside"
            or any(node.startswith(str(one.on)) for one in spec.enter)
            or (not isinstance(spec.enter[0].on, str))
        ), node
    steps = len(list(walk(spec.steps)))
    outside = len(spec.enter) + len(spec.exit) + (1 if spec.goal else 0)
    assert len(nodes) - 1 >= steps + outside


def test_entries_exits_and_the_goal_are_there_with_their_conditions() -> None:
    ways = arrows(
        [{"wait": "1d"}],
        enter=[
            {"on": "cart_changed", "when": "size(cart.items) > 0", "again": {"after": "7d"}},
            {"on": {"date": "customer.birthday", "offset": "-7d", "every": "year"}, "name": "birthday"},
            {"on": "level_fell", "of": "engagement", "existing": "spread", "when": "event.to == 'cold'", "name": "c"},
        ],
        exit=[{"on": "order_placed", "where": "event.total > 5"}, {"when": "size(cart.items) == 0"}],
        goal={"on": "order_placed", "within": "5d", "value": "event.total"},
    )
    assert ("cart_changed when size(cart.items) #gt; 0, again after 7d", "", "wait 1d") in ways
    assert ("customer.birthday -7d at 09:00 every year", "", "wait 1d") in ways
    assert ("level_fell engagement when event.to == 'cold', existing: spread", "", "wait 1d") not in ways
    assert ("level_fell of engagement when event.to == 'cold', existing: spread", "", "wait 1d") in ways
    assert ("inside", "", "exit: order_placed where event.total #gt; 5") in ways
    assert ("inside", "", "exit: when size(cart.items) == 0") in ways
    assert ("inside", "", "goal: order_placed, within 5d of the entry, value event.total") in ways


def test_branches_splits_and_waits_for_something_lead_where_the_file_says() -> None:
    ways = arrows(
        [
            {"wait_for": [{"on": "order_shipped", "as": "parcel", "then": [{"set": {"a": "1"}}]}], "at_most": "2d"},
            {"branch": [{"when": "profile.orders > 1", "then": [{"exit": "often"}]}]},
            {
                "split": "s",
                "paths": [{"name": "a", "share": "30%"}, {"name": "b", "share": "70%", "then": [{"start": "x"}]}],
            },
            {"score": {"lead": 5}},
        ]
    )
    wait, branch, split, score = "wait for what comes first", "the first that holds", "split s", "score lead +5"
    assert ways == [
        ("order_placed", "", wait),
        (wait, "order_shipped as parcel", "set a = 1"),
        ("set a = 1", "", branch),
        (wait, "after 2d", branch),
        (branch, "profile.orders #gt; 1", "exit: often"),
        (branch, "otherwise", split),
        (split, "b 70%", "start x"),
        (split, "a 30%", score),
        ("start x", "", score),
        (score, "", "end"),
    ]


def test_a_moment_that_is_past_passes_over_the_next_step() -> None:
    until = {"until": {"day": "entry.due_on", "offset": "-3d", "time": "09:00"}, "if_past": "skip_next"}
    due = "until entry.due_on -3d 09:00"
    ways = arrows([until, {"send": "early", "channel": "web"}, {"send": "late", "channels": ["sms", "email"]}])
    assert (due, "", "send early by web") in ways
    assert (due, "past", "send late by sms or email") in ways
    assert (due, "past", "exit: past") in arrows([{**until, "if_past": "exit"}, {"wait": "1d"}])


def test_what_mermaid_would_read_as_its_own_is_escaped() -> None:
    text = to_mermaid(spec_of([{"exit": 'so "it" is <b>#1</b>'}], title="One\n`two`"))
    assert "exit: so #quot;it#quot; is #lt;b#gt;#35;1#lt;/b#gt;" in text
    assert "One #96;two#96;, marketing" in text


def test_the_command_prints_the_graph_and_names_the_nearest_scenario() -> None:
    done = parcours("graph", "abandoned-cart")
    assert done.returncode == 0
    assert done.stdout == to_mermaid(SHIPPED["abandoned-cart"])
    wrong = parcours("graph", "abandoned-card")
    assert wrong.returncode == 2
    assert "no scenario 'abandoned-card'; did you mean abandoned-cart?" in wrong.stderr
