"""The journey map and a funnel of a real store's clickstream equal those of a short separate program."""

import shutil
import subprocess
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from agents.console.journey_map import put_together
from agents.console.queries import journeys
from agents.console.queries.base import period
from agents.projector.database import migrate, open_database, sqlite_url
from agents.projector.embedded import FolderFeed, plans_of
from agents.projector.projector import Projector
from pipeline.runtime.folder import Folder
from tests.acceptance.running import OPEN_TO_ALL, REES46, command
from tests.reference import rees46_map

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not REES46.exists(), reason=f"the real store data is not at {REES46}"),
]
SETTINGS = """
touchpoints:
  - {name: look, stage: discover, on: product_viewed}
  - {name: basket, stage: choose, on: cart_item_added}
funnels:
  - {name: buying, within: 6h, steps: [{name: look, on: product_viewed}, cart_item_added, order_placed]}
"""


@pytest.fixture(scope="module")
def read_model(tmp_path_factory: pytest.TempPathFactory) -> Projector:
    folder = tmp_path_factory.mktemp("map")
    shipped = Path(__file__).parents[2] / "scenarios"
    shutil.copytree(shipped, folder / "plan")
    settings = folder / "plan" / "settings.yaml"
    settings.write_text(settings.read_text() + SETTINGS)
    run = command(
        "run", "--data", folder / "d", "--plan", folder / "plan", "--input", REES46, "--mapping", "rees46",
        "--until-end", "--advance", "7d", "--no-console", *OPEN_TO_ALL,
    )  # fmt: skip
    done = subprocess.run(run, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    opened = Folder(folder / "d", read_only=True)
    engine = open_database(sqlite_url(folder))
    migrate(engine)
    feed = FolderFeed(opened, Projector(engine, plans_of(opened)))
    while feed.step():
        pass
    opened.close()
    return feed.projector


def ask(made: Projector, said: str) -> list[tuple[object, ...]]:
    with made.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(said)).all()]


def test_visits_transitions_and_time_are_those_of_the_file(read_model: Projector) -> None:
    visits, moves, seconds = rees46_map.journey_map(REES46)
    assert dict(ask(read_model, "select name, sum(visits) from nodes where segment = '' group by 1")) == dict(visits)
    rows = ask(read_model, "select source, target, sum(n), sum(ms) from edges where segment = '' group by 1, 2")
    assert {row[:2]: row[2] for row in rows} == dict(moves)
    spent: Counter[object] = Counter()
    for source, _, _, ms in rows:
        spent[source] += int(str(ms)) // 1000
    assert {name: count for name, count in spent.items() if name} == dict(seconds)
    assert sum(visits.values()) > 17_000


def test_the_funnel_is_that_of_the_file(read_model: Projector) -> None:
    rows = ask(
        read_model, "select step, sum(n) from stages where funnel = 'buying' and segment = '' group by 1 order by 1"
    )
    assert [row[1] for row in rows] == rees46_map.funnel(REES46, timedelta(hours=6))
    behind = ask(read_model, "select count(*) from attempts where reached >= 3")
    assert behind == [(rows[2][1],)]


def test_people_leave_where_they_leave_in_the_file_and_with_the_carts_that_they_had(read_model: Projector) -> None:
    with read_model.engine.connect() as connection:
        days = period(connection, 0)
        found = put_together([], journeys.nodes(connection, days, ""), journeys.edges(connection, days, ""))
    assert {one.name: (one.left, one.left_value) for one in found.unnamed} == rees46_map.leaks(REES46)
