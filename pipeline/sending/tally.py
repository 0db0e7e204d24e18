"""How often a scenario's templates fail, and the brake that this puts on."""

from models.command import Command
from pipeline.sending.progress import SenderProgress, Tally

# Over 1% of at least 100 (DESIGN, bad input): one customer's odd data is not a broken template.
SEEN_MIN = 100
FAILED_PERCENT_MAX = 1
TALLIES_MAX = 64
BRAKED = "over 1% of the scenario's templates fail: release or cancel it"


class Tallies:
    """Counts by (scenario, version); a version that goes over the limit brakes its scenario until released."""

    def __init__(self, progress: SenderProgress):
        self._rows = {(row.scenario, row.version): row for row in progress.tallies}
        self._braked = dict.fromkeys(progress.braked)

    def count(self, command: Command, *, failed: bool) -> None:
        """Count one command whose template was filled, or failed."""
        key = (command.scenario, command.version)
        old = self._rows.pop(key, Tally(*key, 0, 0))
        row = Tally(*key, old.seen + 1, old.failed + failed)
        self._rows[key] = row
        if len(self._rows) > TALLIES_MAX:
            del self._rows[next(iter(self._rows))]
        if row.seen >= SEEN_MIN and row.failed * 100 > row.seen * FAILED_PERCENT_MAX:
            self._braked[command.scenario] = None

    def braked(self, scenario: str) -> bool:
        """Say whether a scenario waits for an operator."""
        return scenario in self._braked

    def release(self, scenario: str) -> None:
        """Let a scenario go on, and count anew."""
        self._braked.pop(scenario, None)
        self._rows = {key: row for key, row in self._rows.items() if key[0] != scenario}

    def rows(self) -> tuple[Tally, ...]:
        """Return the counts, the longest unused first."""
        return tuple(self._rows.values())

    def stopped(self) -> tuple[str, ...]:
        """Return the braked scenarios."""
        return tuple(self._braked)
