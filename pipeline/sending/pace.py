"""How fast mail goes to one domain, and how much a sender whose address is new sends in a day.

Mailbox providers slow down or refuse who sends too much at once, and who is unknown to them. Both limits hold for the
whole store: each partition of `delivery` keeps its share of them, as the brakes do. What must wait stays in the queue
until it is its turn or its `valid_until` has passed.
"""

from datetime import UTC, datetime

from models.command import Command
from models.senders import EmailSpec, WarmUpSpec
from pipeline.sending.bucket import Bucket

DAY_S = 86_400
OTHERS = "*"


class Pace:
    """Token buckets of one partition: one a domain, and one for the day of the warm-up."""

    def __init__(self, partitions: int = 1):
        self._partitions = partitions
        self._buckets: dict[tuple[str, float], Bucket] = {}
        self._warm: tuple[float, Bucket] | None = None

    def room(self, command: Command, spec: EmailSpec, now: int, ticks: int) -> bool:
        """Say whether a mail may go at `now` (UTC ms; `ticks` are of a monotonic clock, ms).

        The warm-up holds marketing alone: a confirmation does not wait, but it counts.
        """
        return all(
            bucket.room(ticks, 1) > 0 or (is_warm_up and command.purpose != "marketing")
            for bucket, is_warm_up in self._of(command, spec, now)
        )

    def spend(self, command: Command, spec: EmailSpec, now: int) -> None:
        """Take note of a mail that goes now."""
        for bucket, _ in self._of(command, spec, now):
            bucket.spend(1)

    def _of(self, command: Command, spec: EmailSpec, now: int) -> list[tuple[Bucket, bool]]:
        found: list[tuple[Bucket, bool]] = []
        if not spec.domains and spec.warm_up is None:
            return found
        domain = (command.address or "").rpartition("@")[2].rstrip(">").lower()
        rate = spec.domains.get(domain, spec.domains.get(OTHERS))
        if rate is not None:
            found.append((self._bucket(domain, rate), False))
        allowed = allowance(spec.warm_up, now) if spec.warm_up is not None else None
        if allowed is not None:
            found.append((self._warming(allowed / DAY_S), True))
        return found

    def _bucket(self, domain: str, rate: float) -> Bucket:
        return self._buckets.setdefault((domain, rate), Bucket(rate / self._partitions))

    def _warming(self, rate: float) -> Bucket:
        """Return the day's bucket: a new day takes over from the last one."""
        if self._warm is None or self._warm[0] != rate:
            self._warm = rate, Bucket(rate / self._partitions)
        return self._warm[1]


def allowance(spec: WarmUpSpec, now: int) -> int | None:
    """Return how many mails the day of `now` (UTC ms) takes, None once the warm-up is over."""
    days = (datetime.fromtimestamp(now / 1000, UTC).date() - spec.since).days
    allowed = spec.first_day
    for _ in range(days):
        if allowed >= spec.until:
            return None
        allowed += max(1, allowed * spec.growth_percent // 100)
    return allowed if allowed < spec.until else None
