"""Version 2 comes while customers are inside version 1: every message is explained by the policy, none comes twice."""

import os
import random
from collections import Counter
from pathlib import Path

import pytest
from rocksdict import WriteBatch

from pipeline.runtime.embedded import EmbeddedPipeline
from pipeline.runtime.folder import Folder
from pipeline.runtime.reading import DataFolder
from tests.edits.shop import POLICIES, Message, cut, expected, given, plan, records_of, rows_of, shoppers
from tests.sim.world import Fuse, Killed, World, compile_once, small_slices

SEED = 2
# `PARCOURS_CUSTOMERS=10000` is the long run.
CUSTOMERS = int(os.environ.get("PARCOURS_CUSTOMERS", "100"))
KILLS = 15
PEOPLE = shoppers(SEED, CUSTOMERS)
BEFORE, AFTER, EDITED = cut(rows_of(PEOPLE), 1)
_write = Folder.write


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    compile_once(monkeypatch)


def until_read(world: World) -> None:
    """Read all that is there, and leave the history open."""
    pipeline = EmbeddedPipeline.open(world.options())
    try:
        while pipeline.step():
            pass
    finally:
        pipeline.close()


def burn(world: World, fuse: Fuse, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every write of the store an effect of a fuse."""

    def write(self: Folder, batch: WriteBatch) -> None:
        with fuse.effect():
            _write(self, batch)

    monkeypatch.setattr(Folder, "write", write)
    world.fuse = fuse


def edited_world(data: Path, policy: str, monkeypatch: pytest.MonkeyPatch, kills: int) -> int:
    """Run version 1 up to the edit and version 2 from it on, killed so many times in each; return how often it was."""
    dice, killed = random.Random(SEED), 0
    for number, (rows, sources) in enumerate(((BEFORE, plan()), (BEFORE + AFTER, plan(policy)))):
        world = World(data, records_of(rows), sources)
        for left in range(kills, -1, -1):
            # The first effects after a start matter most: the activation and its pass are among them.
            burn(world, Fuse(dice.randrange(12) if left else None, dice.random() < 0.5), monkeypatch)
            try:
                world.run() if number else until_read(world)
                break
            except Killed:
                killed += 1
    return killed


def messages(data: Path) -> dict[str, list[Message]]:
    folder = DataFolder(data)
    try:
        return given(folder.commands())
    finally:
        folder.close()


@pytest.mark.parametrize("policy", POLICIES)
def test_every_message_is_explained_by_the_policy_of_the_edit(
    tmp_path: Path, policy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    edited_world(tmp_path / "data", policy, monkeypatch, 0)
    found = messages(tmp_path / "data")
    assert found == expected(PEOPLE, EDITED, policy)
    kinds = Counter((version, step) for mine in found.values() for version, step, _ in mine)
    inside = [one for one in PEOPLE if one.left < EDITED and one.ordered is None]
    assert len(inside) > CUSTOMERS // 4
    assert kinds["old", "reminder"] > CUSTOMERS // 10
    assert (kinds["new", "reminder"] > CUSTOMERS // 10) == (policy != "drain")
    mixed = sum(1 for mine in found.values() if len({version for version, _, _ in mine}) == 2)
    assert (mixed > CUSTOMERS // 10) == (policy == "migrate")


@pytest.mark.parametrize("policy", POLICIES)
def test_an_edit_with_kills_before_in_and_after_it_gives_the_same(
    tmp_path: Path, policy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if CUSTOMERS < 1000:
        small_slices(monkeypatch)
    killed = edited_world(tmp_path / "data", policy, monkeypatch, KILLS)
    assert killed > KILLS
    assert messages(tmp_path / "data") == expected(PEOPLE, EDITED, policy)
