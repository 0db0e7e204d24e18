"""A lane of the Kafka host: told to stop, it ends, whatever it is doing at that moment."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agents.journeys.lane import Lane, Place
from agents.kafka import clients
from models.topics import Topics

ENDS_S = 5.0


def lane_of(tmp_path: Path) -> Lane:
    """Return a lane whose partition is open, and whose runtime takes what comes."""
    place = Place(
        bootstrap="nowhere",
        topics=Topics(""),
        data=tmp_path,
        partitions=1,
        plans=SimpleNamespace(),  # type: ignore[arg-type]
        links=None,  # type: ignore[arg-type]
        seek=lambda partition, offset: None,
        owned=lambda partition: True,
        refresh=lambda: asyncio.sleep(0),
        note=lambda partition, offset: None,
    )
    lane = Lane(0, place)

    async def opened() -> None:
        lane.runtime = SimpleNamespace(  # type: ignore[assignment]
            read=lambda message: None, events_in_batch=0, drain=lambda: False, changed=False
        )

    lane._open = opened  # type: ignore[method-assign]
    return lane


@pytest.mark.parametrize("turns", range(8))
async def test_a_lane_that_is_told_to_stop_as_records_come_ends(
    turns: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by the row `zombie` with seed 101: the cancellation was lost, and the worker hung in the rebalance."""
    monkeypatch.setattr("agents.journeys.lane.decode", lambda value: value)
    monkeypatch.setattr("agents.journeys.lane.JournalMessage", lambda **said: said)
    record: Any = SimpleNamespace(offset=0, timestamp=0, value=None)
    lane = lane_of(tmp_path)
    lane.start()
    lane.queue.put_nowait([record])
    await asyncio.sleep(0.005)  # it gathers more for a commit
    stopping = asyncio.create_task(lane.stop())
    for _ in range(turns):
        await asyncio.sleep(0)
    lane.queue.put_nowait([record])
    done, _ = await asyncio.wait({stopping}, timeout=ENDS_S)
    assert done, "it hangs"


async def test_a_producer_whose_requests_never_end_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    async def for_ever() -> None:
        await asyncio.Event().wait()

    async def routine() -> None:
        """As aiokafka's: told to end, it first awaits its requests."""
        request = asyncio.create_task(for_ever())
        try:
            await for_ever()
        except asyncio.CancelledError:
            await request

    async def close() -> None:
        sender.sender_task.cancel()
        await sender.sender_task

    async def stop() -> None:
        raise TimeoutError

    closed = []

    async def shut() -> None:
        closed.append(True)

    sender = SimpleNamespace(sender_task=asyncio.create_task(routine()), close=close)
    await asyncio.sleep(0)
    client: Any = SimpleNamespace(stop=stop, _sender=sender, client=SimpleNamespace(close=shut))
    await asyncio.wait_for(clients.drop(client), ENDS_S)
    assert closed and sender.sender_task.done()
