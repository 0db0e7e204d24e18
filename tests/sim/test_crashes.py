"""Killed between any two effects and started again, a run ends as if nothing had been: byte for byte."""

import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from rocksdict import WriteBatch

from models.receipt import FINAL, Receipt
from pipeline.runtime.folder import Folder
from pipeline.runtime.reading import DataFolder
from tests.sim.world import Fuse, World, compile_once, plan, records, small_slices

SEED = 20_231_114
RECORDS = 90
_write = Folder.write
Burn = Callable[[World, Fuse], World]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    small_slices(monkeypatch)
    compile_once(monkeypatch)


@pytest.fixture
def burn(monkeypatch: pytest.MonkeyPatch) -> Burn:
    """Make every write of the store an effect of a world's fuse. All worlds hash addresses with one secret."""
    monkeypatch.setenv("PARCOURS_SECRET", "s" * 64)

    def lit(world: World, fuse: Fuse) -> World:
        def write(self: Folder, batch: WriteBatch) -> None:
            with fuse.effect():
                _write(self, batch)

        monkeypatch.setattr(Folder, "write", write)
        world.fuse = fuse
        return world

    return lit


def world(data: Path, **more: bool) -> World:
    return World(data, records(SEED, RECORDS), plan(), **more)


def ends(found: World) -> Counter[tuple[str, str]]:
    folder = Folder(found.data, read_only=True)
    receipts = [msgspec.json.decode(raw, type=Receipt) for _, raw in folder.scan("receipts")]
    folder.close()
    return Counter((one.command, one.state) for one in receipts if one.state in FINAL)


def test_a_run_that_is_killed_between_any_two_effects_ends_byte_for_byte_as_an_undisturbed_one(
    tmp_path: Path, burn: Burn
) -> None:
    calm = burn(world(tmp_path / "calm"), Fuse())
    calm.run()
    expected, count = calm.content(), calm.fuse.effects
    assert len(calm.calls) > 20 and count > 80, "too little happened to show anything"
    # Before an effect is after the one that precedes it: nothing that lasts happens between them.
    for number in range(count):
        tried = burn(world(tmp_path / str(number)), Fuse(number))
        assert tried.run_killed()
        burn(tried, Fuse()).run()
        assert tried.content() == expected, f"killed before effect {number}"
        assert set(tried.calls) == set(calm.calls)
        shutil.rmtree(tried.data)


def test_a_run_that_is_killed_again_and_again_ends_the_same(tmp_path: Path, burn: Burn) -> None:
    calm = burn(world(tmp_path / "calm"), Fuse())
    calm.run()
    dice = random.Random(SEED)
    tried, killed = world(tmp_path / "tried"), 0
    while burn(tried, Fuse(dice.randrange(1, 8), dice.random() < 0.5)).run_killed():
        killed += 1
    assert killed > 10
    assert tried.content() == calm.content()


def test_a_provider_without_keys_is_never_called_twice_and_what_is_unknown_is_said(tmp_path: Path, burn: Burn) -> None:
    dice = random.Random(SEED)
    tried, killed = world(tmp_path / "tried", idempotent=False), 0
    while burn(tried, Fuse(dice.randrange(1, 8), dice.random() < 0.5)).run_killed():
        killed += 1
    assert killed > 10
    assert max(Counter(tried.calls).values()) == 1
    found = ends(tried)
    assert set(found.values()) == {1}, "every command ends once"
    assert {command for command, state in found if state == "sent"} <= set(tried.calls)
    assert {command for command, state in found if state == "unknown"}, "some kill fell between a call and its outcome"
    reader = DataFolder(tried.data)
    ledger = reader.ledger()
    reader.close()
    assert ledger["commands"]["pending"] == 0
    assert ledger["commands"]["in"] == len(found)


def test_a_run_over_a_finished_folder_changes_nothing(tmp_path: Path, burn: Burn) -> None:
    calm = burn(world(tmp_path / "calm"), Fuse())
    calm.run()
    before = calm.content()
    again = burn(calm, Fuse())
    again.run()
    assert again.content() == before
    assert again.fuse.effects == 0
