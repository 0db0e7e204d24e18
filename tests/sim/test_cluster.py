"""The whole cluster on one thread: whatever happens, a naive reading of the journal gives what the topics hold."""

from collections import Counter

import pytest

from tests.sim.cluster.bugs import BUGS, planted
from tests.sim.cluster.checker import differences
from tests.sim.cluster.world import World
from tests.sim.run import one

SEEDS = (0, 1, 2)
# Those that nearly every seed finds; all the others are tried by hand: make sim BUG=name.
QUICK = (
    "hosts_clock_in_ticks",
    "offsets_acknowledged_early",
    "random_command_ids",
    "tick_before_its_events",
    "watermark_used_as_now",
)
TRIES = 12


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_lost_twice_or_wrong_whatever_happens(seed: int) -> None:
    world = World(seed)
    world.run()
    assert differences(world) == []
    assert world.tally.published > 80 and len(world.commands()) > 30
    assert sum(world.tally.faults.values()) > 3, "nothing happened: this run shows nothing"


def test_a_seed_decides_everything() -> None:
    first, second = World(3), World(3)
    for world in (first, second):
        world.run()
    assert first.broker.logs == second.broker.logs
    assert first.tally.faults == second.tally.faults


@pytest.mark.parametrize("bug", QUICK)
def test_a_planted_bug_turns_a_seed_red(bug: str) -> None:
    assert bug in BUGS
    assert any(one(seed, bug)[1] for seed in range(TRIES))


def test_every_planted_bug_is_known_by_name_and_is_gone_afterwards() -> None:
    for name in BUGS:
        with planted(name):
            pass
    assert one(SEEDS[0])[1] == []


def test_without_faults_every_message_is_sent() -> None:
    world = World(4, faults=False)
    world.run()
    assert differences(world) == []
    assert set(Counter(row["state"] for row in world.receipts())) == {"intent", "sent"}
