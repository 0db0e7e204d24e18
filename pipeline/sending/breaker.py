"""The breaker of a provider: when it is in trouble, it is left alone for a while, and then asked once."""

# Five in a row are no chance; waits of 2, 4 ... 60 s: short against any `valid_for`, long against a restart.
TROUBLES_MAX = 5
OPEN_MS = 2_000
# Who answers nobody for so long is in trouble, though its calls have not run into their time-outs yet.
SILENT_MS = 8_000
OPEN_MS_MAX = 60_000


class Breaker:
    """Closed, open until a time, or half open (one call to see). Times are ticks of a monotonic clock, in ms."""

    def __init__(self) -> None:
        self._troubles = 0
        self._until: int | None = None
        self._wait_ms = OPEN_MS
        self._under_way = 0
        self._heard_at = 0

    def is_open(self, ticks: int) -> bool:
        """Say whether the provider is in trouble: left alone, or asked once."""
        return self._until is not None or self._is_silent(ticks)

    def _is_silent(self, ticks: int) -> bool:
        return self._under_way > 0 and ticks - self._heard_at > SILENT_MS

    def begin(self, ticks: int) -> None:
        """Take note of a call that begins; `note` ends it."""
        if not self._under_way:
            self._heard_at = ticks
        self._under_way += 1

    def room(self, ticks: int, most: int) -> int:
        """Return how many calls may be made now."""
        if self._is_silent(ticks):
            return 0
        if self._until is None:
            return most
        return 1 if ticks >= self._until else 0

    def note(self, trouble: bool, ticks: int) -> None:
        """Take note of what a call came to."""
        self._under_way -= 1
        self._heard_at = ticks
        if not trouble:
            self._troubles, self._until, self._wait_ms = 0, None, OPEN_MS
            return
        self._troubles += 1
        if self._until is not None and ticks >= self._until:
            self._wait_ms = min(self._wait_ms * 2, OPEN_MS_MAX)
            self._until = ticks + self._wait_ms
        elif self._until is None and self._troubles >= TROUBLES_MAX:
            self._until = ticks + self._wait_ms
