"""The brakes of scenarios: what is too much in an hour, and first messages that nobody approved, wait for an operator.

What is released goes, however much it is; what comes after it is counted anew.

A partition of `delivery` keeps its own counts, with its share of each limit (rounded up): customers lie in partitions
by a hash, so a scenario's messages spread evenly. Counts stand in the sender's progress: a restart forgets none.
"""

from models.command import Command
from pipeline.sending.bucket import Bucket
from pipeline.sending.guards import Guard
from pipeline.sending.progress import Paced
from pipeline.sending.stage import Queued

# An hour in twelve parts: a message counts for 60 minutes at least and 65 at most.
PART_MS, PARTS = 300_000, 12
ROWS_MAX = 64


class Brakes:
    """Counts what goes out by scenario and version, and says why a command must wait.

    `passed` holds the offset below which an operator has released a scenario's commands.
    """

    def __init__(
        self,
        rows: tuple[Paced, ...] = (),
        sped: tuple[str, ...] = (),
        passed: dict[str, int] | None = None,
        partitions: int = 1,
    ):
        self._rows = {(row.scenario, row.version): row for row in rows}
        self._sped = dict.fromkeys(sped)
        self.passed = dict(passed or {})
        self._partitions = partitions
        self._buckets: dict[tuple[str, float], Bucket] = {}

    def why(self, queued: Queued, now: int, guard: Guard, *, leaves: bool = True) -> str:
        """Return why a command waits for an operator at `now` (UTC ms), "" where it does not.

        What may have gone out already is counted. `leaves`: the message would leave this machine.
        """
        command = queued.command
        counted = queued.attempts or queued.unsure_since
        if counted or queued.offset < self.passed.get(command.scenario, -1):
            return ""
        if self._seen(command) < self._share(guard.approve_first):
            return f"one of the first {guard.approve_first} of its version (`approve_first`): release or cancel it"
        if guard.brake is None or (guard.is_default and not (leaves and command.purpose == "marketing")):
            return ""
        if command.scenario in self._sped or self._of_an_hour(command.scenario, now) >= self._share(guard.brake):
            self._sped[command.scenario] = None
            return f"over {guard.brake} of the scenario in an hour (`brake`): release or cancel it"
        return ""

    def room(self, scenario: str, guard: Guard, ticks: int) -> bool:
        """Say whether the scenario's rate lets a message go now (ticks of a monotonic clock, ms)."""
        return guard.rate is None or self._bucket(scenario, guard.rate).room(ticks, 1) > 0

    def count(self, command: Command, now: int, guard: Guard) -> None:
        """Count a command that goes out at `now` (UTC ms)."""
        if guard.rate is not None:
            self._bucket(command.scenario, guard.rate).spend(1)
        if guard.brake is None and not guard.approve_first:
            return
        key, part = (command.scenario, command.version), now // PART_MS
        old = self._rows.pop(key, Paced(*key, 0))
        parts = dict(old.parts)
        parts[part] = parts.get(part, 0) + 1
        kept = tuple((at, parts[at]) for at in sorted(parts) if at > part - PARTS)
        self._rows[key] = Paced(*key, old.seen + 1, kept)
        if len(self._rows) > ROWS_MAX:
            del self._rows[next(iter(self._rows))]

    def release(self, scenario: str, offset: int) -> None:
        """Let go what stands before an offset, and count the hour anew."""
        self.passed[scenario] = offset
        self._sped.pop(scenario, None)
        for key, row in self._rows.items():
            if row.scenario == scenario:
                self._rows[key] = Paced(row.scenario, row.version, row.seen)

    def _bucket(self, scenario: str, rate: float) -> Bucket:
        return self._buckets.setdefault((scenario, rate), Bucket(rate / self._partitions))

    def _share(self, limit: int) -> int:
        return -(-limit // self._partitions)

    def _seen(self, command: Command) -> int:
        row = self._rows.get((command.scenario, command.version))
        return row.seen if row is not None else 0

    def _of_an_hour(self, scenario: str, now: int) -> int:
        since = now // PART_MS - PARTS
        rows = (row for row in self._rows.values() if row.scenario == scenario)
        return sum(count for row in rows for at, count in row.parts if at > since)

    def rows(self) -> tuple[Paced, ...]:
        """Return the counts, the longest unused first."""
        return tuple(self._rows.values())

    def sped(self) -> tuple[str, ...]:
        """Return the scenarios that went too fast."""
        return tuple(self._sped)
