"""`make sim SEEDS=1000`: many seeds of the simulated cluster; a failure prints its seed, the commit and what differs."""

import argparse
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext

from tests.sim.cluster.bugs import BUGS, planted
from tests.sim.cluster.checker import differences
from tests.sim.cluster.world import World


def one(seed: int, bug: str = "") -> tuple[int, list[str], Counter[str]]:
    """Run a seed, with a bug planted where one is named; return what differs, and what happened."""
    with planted(bug) if bug else nullcontext():
        world = World(seed)
        try:
            world.run()
            found = differences(world)
        except Exception as error:  # noqa: BLE001 - with a bug anything may be raised
            found = [f"raised {error!r}"]
    happened = Counter(world.tally.faults)
    happened.update(fenced=world.broker.fenced, unknown_commits=world.broker.unknown_commits)
    happened.update(aborted=world.broker.aborted, records=world.tally.published)
    return seed, found, happened


def commit() -> str:
    """Return the commit that runs, marked where files differ from it."""
    said = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return said.stdout.strip() or "unknown"


def main() -> int:
    """Run seeds in all cores; the exit code says whether all were as they must be."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--seeds", type=int, default=100)
    words.add_argument("--first", type=int, default=0)
    words.add_argument("--workers", type=int, default=2)
    words.add_argument("--bug", choices=sorted(BUGS), default="", help="plant this, to see it found")
    said = words.parse_args()
    began, failed, happened = time.monotonic(), 0, Counter[str]()
    seeds = range(said.first, said.first + said.seeds)
    with ProcessPoolExecutor(said.workers) as pool:
        for seed, found, faults in pool.map(one, seeds, [said.bug] * len(seeds)):
            happened.update(faults)
            if found:
                failed += 1
                print(
                    f"seed {seed} of commit {commit()}: {len(found)} differences; again: make sim FIRST={seed} SEEDS=1"
                )
                for text in found[:5]:
                    print(f"    {text[:1_000]}")
                sys.stdout.flush()
    print(f"{said.seeds} seeds from {said.first}, commit {commit()}: {failed} failed, {time.monotonic() - began:.0f} s")
    print(", ".join(f"{name.strip('_')} {count}" for name, count in sorted(happened.items())))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
