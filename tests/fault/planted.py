"""`python -m tests.fault.planted BUG worker ...`: a worker with a known mistake, which a row must show.

Most are the simulator's own (tests/sim/cluster/bugs.py); those that there patch what is simulated are written here.
"""

import json
import os
import sys
from typing import Any

import msgspec
from aiokafka import OffsetAndMetadata, TopicPartition

from agents.cli.main import main
from agents.ingest.live import LiveIngest
from agents.kafka import clients
from tests.sim.cluster import bugs
from tests.sim.cluster.processes import patched

Patches = dict[str, Any]


def no_fencing() -> Patches:
    """Every process has a transactional id of its own: no owner of a partition ends an earlier one."""

    def producer(bootstrap: str, *, transactional_id: str | None = None, **more: Any) -> Any:
        name = transactional_id and f"{transactional_id}-{os.getpid()}"
        return _producer(bootstrap, transactional_id=name, **more)

    _producer = clients.producer
    return {"agents.kafka.clients.producer": producer}


def offsets_acknowledged_early() -> Patches:
    """The ingest commits what it has fetched before the journal has it, and dies a moment later if at all."""

    async def flush(self: Any) -> None:
        ingest = _ingests.get(id(self))
        if ingest is not None:
            offsets = {}
            for place, one in ingest.owned.items():
                said = json.dumps(msgspec.to_builtins(one.footprint))
                offsets[TopicPartition(*place)] = OffsetAndMetadata(one.clock.next, said)
            if offsets:
                await ingest.reader.commit(offsets)
        from agents.pausing import pause_at

        pause_at("written", "early")
        await _flush(self)

    def init(self: LiveIngest, *words: Any, **more: Any) -> None:
        _init(self, *words, **more)
        _ingests[id(self.writer)] = self

    _ingests: dict[int, LiveIngest] = {}
    _init = LiveIngest.__init__
    from agents.ingest.writer import JournalWriter

    _flush = JournalWriter.flush
    return {"agents.ingest.live.LiveIngest.__init__": init, "agents.ingest.writer.JournalWriter.flush": flush}


HERE = {one.__name__: one for one in (no_fencing, offsets_acknowledged_early)}
BUGS = {**bugs.BUGS, **HERE}


def run() -> None:
    """Plant the bug that is named first, and run the command that follows."""
    name = sys.argv.pop(1)
    with patched(BUGS[name]()):
        main()


if __name__ == "__main__":
    run()
