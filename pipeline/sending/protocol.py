"""What a sender lane needs of its host and of the store's own rules."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from models.command import Cancel, Command, DeliveryRecord
from models.receipt import Receipt
from pipeline.errors import ParcoursError
from pipeline.sending.progress import SenderProgress
from pipeline.sending.suppressions import SOFT, Kind, SoftRule, Suppression


class FencedError(ParcoursError):
    """Somebody else owns this partition now: nothing more may be sent from here."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """One record of `delivery` at its offset; None for one that cannot be read."""

    offset: int
    record: DeliveryRecord | None


class DeliveryLog(Protocol):
    """The topics of one partition as a lane sees them: only what is committed is ever read."""

    async def seek(self, offset: int) -> None:
        """Read `delivery` from this offset on, and `cancels` from before anything at or after it could be cancelled."""

    async def read(self, limit: int, wait_ms: int) -> list[Delivered]:
        """Return the next records of `delivery`, in order; waits up to `wait_ms` where there are none."""

    async def again(self, offset: int, limit: int) -> list[Delivered]:
        """Return records of `delivery` from an offset that was read before; `read` goes on where it was.

        Where those are gone (retention) the first ones after them; none only where there is nothing at all.
        """

    async def cancels(self) -> list[Cancel]:
        """Return the cancels not returned before, to their end at a moment after this call began."""

    async def commit(
        self, receipts: list[Receipt], progress: SenderProgress, facts: Sequence[Suppression] = ()
    ) -> None:
        """Write receipts, progress and facts about addresses, all or nothing.

        FencedError where another owner has opened the partition.
        """


class SenderClock(Protocol):
    """The host's clocks: `now` is UTC milliseconds, `ticks` milliseconds that never go back nor stand still."""

    def now(self) -> int:
        """Return the wall clock."""

    def ticks(self) -> int:
        """Return the monotonic clock, which runs on while the process is frozen."""


class Suppressions(Protocol):
    """Who must not be written to, whatever the engine knew when it emitted the command."""

    def reason(self, command: Command, soft: SoftRule = SOFT) -> str | None:
        """Return why this command's address is suppressed or consent withdrawn, None where it is not."""

    def fact(self, command: Command, kind: Kind, at: int) -> Suppression | None:
        """Return a fact about a command's address as of a time (UTC ms), None where it has no address."""

    def put(self, row: Suppression) -> None:
        """Take a fact: it holds at once."""


class Switches(Protocol):
    """The operator's switches."""

    def paused(self, channel: str, scenario: str) -> bool:
        """Say whether commands of a scenario on a channel wait for the operator."""
