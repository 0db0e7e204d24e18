"""What one request may take: bytes of a body, and how often a client may ask, above all with what is not ours."""

from collections import OrderedDict
from collections.abc import Callable, Hashable

from starlette.requests import ClientDisconnect, Request

CLIENTS_MAX = 20_000
# A mail provider's picture proxy and its webhooks come from few addresses: what is right is limited loosely, what is
# refused tightly.
ASKED_PER_S, ASKED_AT_ONCE = 200.0, 2_000.0
REFUSED_PER_S, REFUSED_AT_ONCE = 0.5, 30.0
REMEMBERED_MAX = 200_000


class Refused(Exception):
    """A request is refused: `status` for the client, `why` for the counter (a word, never what the request held)."""

    def __init__(self, status: int, why: str):
        super().__init__(why)
        self.status = status
        self.why = why


class Buckets:
    """A token bucket for each client; times are seconds of a monotonic clock."""

    def __init__(self, per_s: float, at_once: float):
        self._per_s = per_s
        self._at_once = at_once
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def _now(self, client: str, now_s: float) -> float:
        left, since = self._left.get(client, (self._at_once, now_s))
        return min(self._at_once, left + (now_s - since) * self._per_s)

    def empty(self, client: str, now_s: float) -> bool:
        """Say whether a client has nothing left."""
        return self._now(client, now_s) < 1

    def take(self, client: str, now_s: float) -> bool:
        """Take one; False where none is left."""
        left = self._now(client, now_s)
        taken = left >= 1
        self._left[client] = (left - taken, now_s)
        self._left.move_to_end(client)
        while len(self._left) > CLIENTS_MAX:
            self._left.popitem(last=False)
        return taken


class Remembered:
    """The last REMEMBERED_MAX things: what was seen once is a replay."""

    def __init__(self, most: int = REMEMBERED_MAX):
        self._most = most
        self._seen: OrderedDict[Hashable, int] = OrderedDict()

    def get(self, key: Hashable) -> int | None:
        """Return what was noted with a key."""
        return self._seen.get(key)

    def note(self, key: Hashable, value: int = 0) -> None:
        """Remember a key."""
        self._seen[key] = value
        self._seen.move_to_end(key)
        while len(self._seen) > self._most:
            self._seen.popitem(last=False)


async def body_of(request: Request, most: int) -> bytes:
    """Return a body of at most so many bytes; Refused where it is larger, whatever its head says."""
    found = bytearray()
    try:
        async for part in request.stream():
            found += part
            if len(found) > most:
                raise Refused(413, "body")
    except ClientDisconnect:
        raise Refused(400, "cut_off") from None
    return bytes(found)


class Gate:
    """Lets a client in while it has tokens left; what was refused counts double, in a bucket of its own."""

    def __init__(self, clock_s: Callable[[], float]):
        self._clock_s = clock_s
        self._asked = Buckets(ASKED_PER_S, ASKED_AT_ONCE)
        self._refused = Buckets(REFUSED_PER_S, REFUSED_AT_ONCE)

    def enter(self, client: str) -> None:
        """Refuse a client that asks too often."""
        now = self._clock_s()
        if not self._asked.take(client, now) or self._refused.empty(client, now):
            raise Refused(429, "rate")

    def refused(self, client: str) -> None:
        """Note that a client's request was refused."""
        self._refused.take(client, self._clock_s())
