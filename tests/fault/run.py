"""The driver: `make fault` runs rows, each on a broker and a deployment of its own, and prints a line for each."""

import argparse
import asyncio
import json
import secrets
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from agents import localkafka
from agents.kafka.control import activate
from agents.kafka.topics import Wanted, apply, create, wanted
from tests.broker.cluster import wait_for
from tests.fault.deployment import CALLS, DELAY, PARTITIONS, TOKEN_ENV, Deployment
from tests.fault.nemesis import Row
from tests.fault.rows import ROWS
from tests.fault.supervisor import Supervisor
from tests.fault.verifier import Held
from tests.sim.run import commit

ROOT = Path(__file__).parents[2]
KINDS = ("lost", "duplicated", "wrong", "state")
# Other work may be on the machine: no figure of the product.
READY_S = 300.0
NEMESIS_S = 3_600.0
LAST_RECORDS_S = 3.0


class Run:
    """One row with one seed."""

    def __init__(self, row: Row, seed: int, count: int, bug: str, folder: Path):
        self.row = row
        self.count = count
        self.bug = bug
        port, control = localkafka.free_port(), localkafka.free_port()
        self.deployment = Deployment(
            folder=str(folder),
            bootstrap=localkafka.start(folder / "kafka"),
            prefix=f"{row.name.replace('_', '-')}-",
            control=f"http://127.0.0.1:{control}",
            provider=f"http://127.0.0.1:{port}",
            keyed=seed % 2 == 1,
            seed=seed,
        )
        self.deployment.save()
        self.supervisor = Supervisor(folder, ROOT)
        self.provider = self._python("tests.fault.provider", "--port", str(port), "--control", str(control))

    def _python(self, module: str, *words: str) -> "subprocess.Popen[bytes]":
        with (self.deployment.path / f"{module}.log").open("ab") as log:
            return subprocess.Popen([sys.executable, "-m", module, *words], cwd=ROOT, stdout=log, stderr=log)

    def result(self) -> dict[str, Any]:
        """Do it all, and return what the verifier says."""
        try:
            asyncio.run(self._topics())
            self._workers()
            wait_for(lambda: asyncio.run(self._is_ready()), READY_S, "every partition commits")
            shop = self._python("tests.fault.shop", self.deployment.folder, json.dumps(asdict(self.row.load)))
            try:
                self._break()
                time.sleep(LAST_RECORDS_S)
            finally:
                shop.terminate()
                shop.wait(timeout=240)
            return self._verify()
        finally:
            self.close()

    async def _topics(self) -> None:
        """Make the topics, those of the sources with the broker's own time, and make the plan live."""
        one = self.deployment
        await apply(one.bootstrap, wanted(one.topics, PARTITIONS))
        stamped = {"message.timestamp.type": "LogAppendTime"}
        await create(one.bootstrap, [Wanted(topic, PARTITIONS, stamped) for topic in one.sources.values()])
        await create(one.bootstrap, [Wanted(one.prefix + CALLS, 1)])
        said = [{"name": name, "topic": topic, "delay": DELAY} for name, topic in one.sources.items()]
        (one.path / "sources.yaml").write_text(json.dumps({"sources": said}))
        await activate(one.bootstrap, one.topics, one.plan("one"), 0)

    def _workers(self) -> None:
        one = self.deployment
        for name in (*self.row.slots, *self.row.spare):
            kind, _, slot = name.partition("-")
            more = {
                "ingest": ("--sources", str(one.path / "sources.yaml")),
                "journeys": ("--data", str(one.path / f"data-{slot}"), "--instance", slot),
                "sender": ("--channel", "email", "--instance", slot),
            }[kind]
            start = ["-m", "tests.fault.planted", self.bug] if self.bug else ["-m", "agents.cli.main"]
            words = [sys.executable, *start, "worker", kind, *more]
            words += ["--bootstrap", one.bootstrap, "--prefix", one.prefix]
            env = {TOKEN_ENV: "a token", **self.row.env.get(name, {})}
            self.supervisor.add(name, words, env, wanted=name in self.row.slots)
        self.supervisor.start()

    async def _is_ready(self) -> bool:
        """Say whether every partition has committed a mark."""
        held = Held(self.deployment.bootstrap)
        await held.start([self.deployment.topics.delivery])
        await held.refresh()
        await held.reader.stop()
        return all(held.records.values())

    def _break(self) -> None:
        nemesis = self._python("tests.fault.nemesis", self.deployment.folder, self.row.name, str(self.count))
        try:
            if nemesis.wait(timeout=NEMESIS_S):
                raise RuntimeError(f"the nemesis failed: {self.deployment.path / 'tests.fault.nemesis.log'}")
        finally:
            nemesis.kill()
            nemesis.wait()

    def _verify(self) -> dict[str, Any]:
        words = [sys.executable, "-m", "tests.fault.verifier", self.deployment.folder, "--wait", str(self.row.settle_s)]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"the verifier failed: {done.stderr[-2_000:]}")
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        deaths = self.deployment.path / "deaths.jsonl"
        codes = [json.loads(line)["code"] for line in deaths.read_text().splitlines()] if deaths.exists() else []
        return found | {"ended_by_itself": sorted(code for code in codes if code not in {0, -9, -15})}

    def close(self) -> None:
        """End every process."""
        self.supervisor.stop()
        self.provider.kill()
        self.provider.wait()
        localkafka.stop(self.deployment.path / "kafka")


def verdict(row: Row, count: int, found: dict[str, Any]) -> str:
    """Return passed, void (it showed too little) or failed."""
    if any(found[kind] for kind in KINDS) or not found["settled"]:
        return "failed"
    valid = sum(not one["void"] for one in found["injections"])
    return "passed" if valid >= count else "void"


def line(row: Row, seed: int, took_s: float, found: dict[str, Any], said: str) -> str:
    """Return a row of the table."""
    valid = [one for one in found["injections"] if not one["void"]]
    pauses = sorted(one["pause_ms"] / 1000 for one in valid) or [0.0]
    recoveries = sorted(one["recovery_ms"] / 1000 for one in valid) or [0.0]
    parts = (
        row.name, said, str(seed), str(len(valid)), str(len(found["injections"]) - len(valid)),
        str(found["records"]), str(found["commands"]), *(str(found[kind]) for kind in KINDS),
        str(found["aborted"]), f"{statistics.median(recoveries):.1f} / {recoveries[-1]:.1f}",
        f"{statistics.median(pauses):.1f} / {pauses[-1]:.1f}", f"{took_s:.0f}",
    )  # fmt: skip
    return "| " + " | ".join(parts) + " |"


HEAD = (
    "| row | verdict | seed | injections | void | records | commands | lost | duplicated | wrong | state "
    "| aborted records | recovery median / worst s | pause median / worst s | took s |\n" + "|---" * 15 + "|"
)


def chosen(text: str) -> list[Row]:
    """Return the rows that a text names: all, short, or names."""
    if text in {"all", ""}:
        return list(ROWS.values())
    if text == "short":
        return [row for row in ROWS.values() if row.short]
    return [ROWS[name] for name in text.split(",")]


def one(row: Row, seed: int, count: int, bug: str, keep: bool) -> tuple[dict[str, Any], str]:
    """Run a row and print its line; return its result and verdict."""
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix=f"parcours-fault-{row.name}-"))
    try:
        found = Run(row, seed, count, bug, folder).result()
    except (AssertionError, RuntimeError, subprocess.TimeoutExpired) as error:
        print(f"| {row.name} | failed | {seed} | {str(error)[:300]}; kept: {folder} |", flush=True)
        return {"error": str(error)}, "failed"
    said = verdict(row, count, found)
    print(line(row, seed, time.monotonic() - began, found, said), flush=True)
    for text in [*found["differences"], *({one["void"] for one in found["injections"]} - {""})]:
        print(f"    {text}")
    if found["ended_by_itself"]:
        print(f"    workers that ended by themselves: {found['ended_by_itself']}")
    if not found["settled"]:
        print("    it never came to rest")
    if said == "passed" and not keep:
        shutil.rmtree(folder)
    else:
        print(f"    kept: {folder}")
    sys.stdout.flush()
    return found, said


def main() -> int:
    """Run rows; exit 0 when each passed."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--rows", default="all", help="all, short, or names with commas between")
    words.add_argument("--seed", type=int, default=None)
    words.add_argument("--injections", type=int, default=0)
    words.add_argument("--bug", default="", help="plant this, to see it found (tests/fault/planted.py)")
    words.add_argument("--keep", action="store_true", help="keep the folders of rows that passed")
    words.add_argument("--json", type=Path, help="write all results here")
    said = words.parse_args()
    seed = said.seed if said.seed is not None else secrets.randbelow(10**6)
    # Whoever ends the driver ends all that it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    print(f"seed {seed}, commit {commit()}{', planted: ' + said.bug if said.bug else ''}\n{HEAD}", flush=True)
    results, verdicts = {}, []
    for row in chosen(said.rows):
        count = said.injections or (row.short if said.rows == "short" else row.full)
        results[row.name], result = one(row, seed, count, said.bug, said.keep)
        verdicts.append(result)
        if said.json:
            said.json.write_text(json.dumps({"seed": seed, "commit": commit(), "rows": results}, indent=1))
    print(f"{verdicts.count('passed')} passed, {verdicts.count('void')} void, {verdicts.count('failed')} failed")
    return 0 if set(verdicts) == {"passed"} else 1


if __name__ == "__main__":
    sys.exit(main())
