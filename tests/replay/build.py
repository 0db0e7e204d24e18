"""Recorded logs for replay's tests: a small store run by the embedded host, whole or killed on the way."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rocksdict import WriteBatch

from pipeline.replay.spread import Replayed, replay, scratch
from pipeline.replay.summary import summary
from pipeline.replay.task import Task
from pipeline.replay.verify import Verdict, verify
from pipeline.runtime.folder import Folder
from pipeline.scenario.sources import PlanSources
from tests.sim.world import Fuse, World, compile_once, plan, records, small_slices

SEED, COUNT = 11, 400


def world(data: Path, count: int = COUNT, seed: int = SEED, **overrides: str) -> World:
    return World(data, records(seed, count), plan(**overrides))


def recorded(data: Path, count: int = COUNT, **overrides: str) -> Path:
    """Run the store to its end."""
    world(data, count, **overrides).run()
    return data


def killed_on_the_way(data: Path, monkeypatch: pytest.MonkeyPatch, seed: int = SEED) -> int:
    """Run the store, killed between writes again and again, to its end; return how often it was."""
    compile_once(monkeypatch)
    small_slices(monkeypatch)
    dice, killed, write = random.Random(seed), 0, Folder.write

    def burning(fuse: Fuse) -> World:
        def lit(self: Folder, batch: WriteBatch) -> None:
            with fuse.effect():
                write(self, batch)

        monkeypatch.setattr(Folder, "write", lit)
        return replace(world(data), fuse=fuse)

    while burning(Fuse(dice.randrange(1, 60), dice.random() < 0.5)).run_killed():
        killed += 1
    monkeypatch.setattr(Folder, "write", write)
    return killed


def changed(old: str, new: str, file: str = "abandoned-cart/scenario.yaml", **overrides: str) -> PlanSources:
    """Return the shipped plan with one thing written otherwise."""
    found = plan(**overrides)
    assert old in found.files[file]
    return PlanSources({**found.files, file: found.files[file].replace(old, new)})


def verified(task: Task, processes: int = 1) -> Verdict:
    with scratch() as out:
        return verify(task, out, processes)


def figures(task: Task, processes: int = 1) -> dict[str, Any]:
    with scratch() as out:
        return summary(replay(task, out, processes))


__all__ = ["Replayed", "changed", "figures", "killed_on_the_way", "plan", "recorded", "verified", "world"]
