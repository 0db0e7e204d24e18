"""A provider's rate as a token bucket, over all partitions of one process."""


class Bucket:
    """`rate` messages a second, with a second's worth kept at most; None for no limit. Times are monotonic, in ms.

    A provider that was away gets no burst when it is back: what could not be sent meanwhile is not saved up.
    """

    def __init__(self, rate: float | None):
        self._rate = rate
        self._most = max(rate or 1.0, 1.0)
        self._tokens = self._most
        self._at: int | None = None

    def room(self, ticks: int, most: int) -> int:
        """Return how many messages may go now, `most` at most."""
        if self._rate is None:
            return most
        if self._at is not None:
            self._tokens = min(self._most, self._tokens + (ticks - self._at) * self._rate / 1000)
        self._at = ticks
        return min(most, int(self._tokens))

    def spend(self, count: int) -> None:
        """Take note of messages that go now."""
        self._tokens -= count
