"""What a draft changes is counted right, and each difference has its true reason."""

import re
from pathlib import Path
from typing import Any

import pytest

from pipeline.replay.backtest import commands_of
from pipeline.replay.changes import CHANGES, KINDS
from pipeline.replay.diff import diff
from pipeline.replay.diff_figures import figures_of
from pipeline.replay.spread import replay, scratch
from pipeline.replay.task import Task
from pipeline.scenario.sources import PlanSources
from tests.replay.build import changed, plan
from tests.sim.world import DAY, T0

CART = "abandoned-cart"


def nothing(*_: int) -> None:
    """Nobody watches."""


def compared(data: Path, draft: PlanSources, live: PlanSources | None = None, **task: Any) -> dict[str, Any]:
    processes = task.pop("processes", 1)
    with scratch() as out:
        found = diff(Task(data, **task), live or plan(), draft, out, processes, (nothing, nothing))
        return figures_of(found, 500)


def sent(data: Path, sources: PlanSources) -> dict[str, dict[str, Any]]:
    with scratch() as out:
        return {row["id"]: row for row in commands_of(replay(Task(data, sources), out))}


def kinds(figures: dict[str, Any]) -> dict[str, int]:
    return {kind: count for kind, count in figures["kinds"].items() if count}


def place(figures: dict[str, Any], kind: str, step: str) -> dict[str, Any]:
    found = [one for one in figures["changes"] if (one["kind"], one["step"]) == (kind, step)]
    assert len(found) == 1
    return dict(found[0])


def test_the_same_plan_differs_in_nothing(data: Path) -> None:
    figures = compared(data, plan())
    assert kinds(figures) == {}
    assert figures["changes"] == []
    assert figures["messages"]["was"] == figures["messages"]["now"] > 50
    assert figures["share"] == "0.0%"
    assert not figures["failed"]


def test_a_narrower_entry_drops_exactly_the_messages_of_those_whom_it_leaves_out(data: Path) -> None:
    draft = changed("when: size(cart.items) > 0", "when: size(cart.items) > 1")
    figures = compared(data, draft)
    was, now = sent(data, plan()), sent(data, draft)
    gone = {name for name in was.keys() - now.keys() if was[name]["step"] == "reminder"}
    found = place(figures, "disappears", "reminder")
    assert found["count"] == len(gone) > 0
    example = found["examples"][0]
    assert example["command"] in gone
    assert example["was"]["due_at"] == example["due_at"]
    assert example["now"] is None
    [alone] = [one for one in example["conditions"]["now"] if one["alone"]]
    assert (alone["source"], alone["held"]) == ("size(cart.items) > 1", False)
    assert alone["values"] == {"size(cart.items)": "1"}


@pytest.mark.parametrize("processes", [1, 2])
def test_as_many_processes_as_there_are_give_the_same_report(data: Path, processes: int) -> None:
    draft = changed("wait: 45m", "wait: 90m")
    figures = compared(data, draft, processes=processes)
    was, now = sent(data, plan()), sent(data, draft)
    both = was.keys() & now.keys()
    moved = {name for name in both if (was[name]["due_at"], was[name]["emitted_at"]) != (now[name]["due_at"], now[name]["emitted_at"])}  # fmt: skip
    assert figures["kinds"]["moves"] == len(moved) > 0
    assert figures["kinds"]["appears"] == len(now.keys() - was.keys())
    assert figures["kinds"]["disappears"] == len(was.keys() - now.keys())
    assert figures == compared(data, draft)


def test_a_move_says_by_how_much(data: Path) -> None:
    figures = compared(data, changed("wait: 23h", "wait: 25h"))
    example = place(figures, "moves", "urgency")["examples"][0]
    assert example["why"].startswith("2.0 h later; due ")
    assert {"due_at", "emitted_at"} <= set(example["fields"])


def test_another_content_at_the_same_time_is_a_change_and_names_the_field(data: Path) -> None:
    figures = compared(data, changed('link: default(cart.url, "")', 'link: default(cart.url, "shop")'))
    assert kinds(figures).keys() == {CHANGES}
    found = place(figures, CHANGES, "reminder")
    assert found["reasons"] == {"other data.link": found["count"]}
    assert found["examples"][0]["why"] == "link:  -> shop"


def test_a_step_that_the_draft_has_no_longer_is_said_to_be_gone(data: Path) -> None:
    figures = compared(data, changed("send: urgency", "send: hurry\n    template: abandoned-cart/urgency"))
    was = place(figures, "disappears", "urgency")
    assert was["reasons"] == {"no such step": was["count"]}
    now = place(figures, "appears", "hurry")
    assert now["reasons"] == {"no such step": now["count"]}
    assert now["count"] == was["count"]


def test_a_scenario_that_the_draft_has_no_longer_is_said_to_be_gone(data: Path) -> None:
    kept = {name: text for name, text in plan().files.items() if not name.startswith("welcome/")}
    figures = compared(data, PlanSources(kept))
    found = place(figures, "disappears", "thanks")
    assert found["reasons"] == {"no such scenario": found["count"]}


def test_a_tighter_cap_is_the_reason_of_what_it_holds_back(data: Path) -> None:
    one_a_week = "caps:\n  - {channel: email, purpose: marketing, at_most: 1, per: 7d}\n"
    settings = re.sub(r"caps:.*?\n(?=\w)", one_a_week, plan().files["settings.yaml"], flags=re.DOTALL)
    figures = compared(data, PlanSources({**plan().files, "settings.yaml": settings}))
    mine = [one for one in figures["changes"] if (one["scenario"], one["kind"]) == (CART, "disappears")]
    assert {"not sent: capped", "exited: capped"} & {reason for one in mine for reason in one["reasons"]}


def test_another_way_at_a_branch_is_the_reason(data: Path) -> None:
    condition = "size(profile.top_categories) >= 0"
    figures = compared(data, changed("size(profile.top_categories) > 0", condition, "welcome/scenario.yaml"))
    found = place(figures, "disappears", "offer")
    assert found["reasons"] == {f"a branch: `{condition}`": found["count"]}


def test_only_the_stretch_that_was_named_is_compared(data: Path) -> None:
    draft = changed("wait: 23h", "wait: 25h")
    since = T0 + 2 * DAY
    figures = compared(data, draft, since=since, until=since + 2 * DAY)
    whole = compared(data, draft)
    assert 0 < figures["messages"]["was"] < whole["messages"]["was"]
    assert figures["days"][0]["day"] >= "2023-11-16"


def test_every_kind_is_counted_by_customer_and_examples_are_five_at_most(data: Path) -> None:
    figures = compared(data, changed("wait: 45m", "wait: 3h"))
    assert figures["changed"] == sum(figures["kinds"][kind] for kind in KINDS)
    assert max(figures["customers"][kind] for kind in KINDS) <= figures["customers"]["any"]
    assert all(len(one["examples"]) == min(5, one["count"]) for one in figures["changes"])
    assert all(one["count"] == sum(one["reasons"].values()) for one in figures["changes"])
