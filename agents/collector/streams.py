"""Server-sent events (the HTML standard, section 9.2): what is new in a customer's inbox, while the page is open.

Starlette's own streaming answer carries them. The library `sse-starlette` was looked at: it takes over uvicorn's signal
handler for the whole process, and does not see the end of a server that stands in a thread, as the embedded run's does.
"""

import asyncio
from collections.abc import AsyncIterator, Callable

import orjson

from agents.collector.limits import Refused
from models.inbox import InboxItem

HEARTBEAT_S = 15.0  # under the minute after which proxies cut a silent connection
RETRY_MS = 3_000
STREAMS_MAX = 2_000
OF_A_CUSTOMER_MAX = 5
# A page that reads so slowly is cut off: it comes back and goes on from the last number that it saw.
WAITING_MAX = 200


class Streams:
    """The open streams of one collector, all on the event loop of its server."""

    def __init__(self, heartbeat_s: float = HEARTBEAT_S):
        self._heartbeat_s = heartbeat_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._open: dict[str, list[asyncio.Queue[InboxItem | None]]] = {}
        self._count = 0
        self._closed = False

    @property
    def count(self) -> int:
        """Return how many streams are open."""
        return self._count

    def told(self, item: InboxItem) -> None:
        """Hear of a message that is new or changed, in any thread."""
        if self._loop is not None and item.customer in self._open:
            self._on_loop(lambda: self._hand_out(item))

    def close(self) -> None:
        """End every stream, from any thread: a server that is to stop waits for its answers to end."""
        self._closed = True
        self._on_loop(self._end_all)

    def _on_loop(self, what: Callable[[], None]) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(what)

    def _hand_out(self, item: InboxItem) -> None:
        for queue in self._open.get(item.customer, []):
            queue.put_nowait(item if queue.qsize() < WAITING_MAX else None)

    def _end_all(self) -> None:
        for queues in self._open.values():
            for queue in queues:
                queue.put_nowait(None)

    def enter(self, customer: str) -> "asyncio.Queue[InboxItem | None]":
        """Open a stream, before its first messages are read; Refused where there are too many."""
        if self._closed:
            raise Refused(503, "closing")
        mine = self._open.get(customer, [])
        if self._count >= STREAMS_MAX or len(mine) >= OF_A_CUSTOMER_MAX:
            raise Refused(429, "streams")
        self._loop = asyncio.get_running_loop()
        queue: asyncio.Queue[InboxItem | None] = asyncio.Queue()
        self._open[customer] = [*mine, queue]
        self._count += 1
        return queue

    def leave(self, customer: str, queue: "asyncio.Queue[InboxItem | None]") -> None:
        """Close a stream."""
        left = [one for one in self._open.get(customer, []) if one is not queue]
        self._count -= 1
        if left:
            self._open[customer] = left
        else:
            self._open.pop(customer, None)

    async def follow(self, queue: "asyncio.Queue[InboxItem | None]") -> AsyncIterator[InboxItem | None]:
        """Yield what comes, None at each heartbeat, until the stream is to end."""
        while True:
            try:
                item = await asyncio.wait_for(queue.get(), self._heartbeat_s)
            except TimeoutError:
                yield None
                continue
            if item is None:
                return
            yield item


def event(kind: str, said: object, number: int | None = None) -> bytes:
    """Return one event; with a number, where a stream goes on from."""
    head = b"" if number is None else b"id: %d\n" % number
    return head + b"event: " + kind.encode() + b"\ndata: " + orjson.dumps(said) + b"\n\n"
