"""The dashboards that are checked in are those of the code, and ask for metrics that there are."""

import json
import re

import pytest

from deploy.dashboards import DASHBOARDS, FOLDER, build
from tests.observe.test_reference import registered


@pytest.mark.parametrize("name", DASHBOARDS)
def test_what_is_checked_in_is_what_the_code_makes(name: str) -> None:
    assert (FOLDER / f"{name}.json").read_text() == build(name), "run `python -m deploy.dashboards`"


@pytest.mark.parametrize("name", DASHBOARDS)
def test_panels_ask_for_metrics_that_there_are_and_lie_apart(name: str) -> None:
    panels = json.loads(build(name))["panels"]
    for panel in panels:
        for target in panel["targets"]:
            asked = {re.sub(r"_(bucket|count|sum)$", "", one) for one in re.findall(r"parcours_\w+", target["expr"])}
            assert asked and asked <= registered().keys(), panel["title"]
    cells = [
        (place["x"] + x, place["y"] + y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["w"])
        for y in range(place["h"])
    ]
    assert len(cells) == len(set(cells)) and max(x for x, _ in cells) < 24
