"""The sequence that carries out one command, without sockets or topics: both hosts drive it.

For every command: expired? cancelled? suppressed? is the engine catching up (then marketing waits)? has it an address
that is one? rendered? Then an intent is committed, the provider is called within CALL_WITHIN_MS of the check, and the
outcome is committed. What a crash leaves between intent and outcome is unknown: sent again only where the provider
takes the command id as a key or the step says so.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from models.command import Command
from models.receipt import Receipt
from pipeline.errors import ParcoursError
from pipeline.sending.mime import AddressError, MimeError, checked_address
from pipeline.sending.outcome import Message, Outcome, Provider
from pipeline.sending.protocol import Suppressions
from pipeline.sending.render import Renderer, RenderError

# A buyer whose order is 10 s (hold) + 5 s (call) old in Kafka is not reminded, whatever was down in between.
HOLD_BEHIND_MS = 10_000
CALL_WITHIN_MS = 5_000
ROUND_MAX = 100
# Waits of 1, 2, 4 ... 300 s: 14 tries span over 30 minutes, which a relay's greylisting and a restart both fit in.
RETRIES_MAX = 14
BACKOFF_S = 1.0
BACKOFF_S_MAX = 300.0
ENDS = {"accepted": "sent", "rejected": "rejected", "unknown": "unknown"}


@dataclass(slots=True)
class Queued:
    """A command that waits for its end: its place on `delivery`, how often it was tried, and not before when (ms)."""

    command: Command
    offset: int
    attempts: int = 0
    not_before: int = 0
    held: bool = False


@dataclass(frozen=True, slots=True)
class Ready:
    """A command that passed its checks at `checked_at` and is rendered."""

    queued: Queued
    message: Message
    checked_at: int


class SenderStage:
    """Checks, renders and calls; `renderer_of` finds the renderer of a plan by hash."""

    def __init__(
        self,
        channel: str,
        provider: Provider,
        renderer_of: Callable[[str], Renderer],
        suppressions: Suppressions | None = None,
    ):
        self.channel = channel
        self.provider = provider
        self.renderer_of = renderer_of
        self.suppressions = suppressions

    def receipt(self, queued: Queued, state: str, at: int, reason: str = "", provider_id: str = "") -> Receipt:
        """Return a receipt of a command."""
        command = queued.command
        return Receipt(
            command=command.id,
            customer=command.customer,
            state=state,
            at=at,
            channel=command.channel,
            scenario=command.scenario,
            step=command.step,
            purpose=command.purpose,
            reason=reason,
            provider=self.provider.name,
            provider_id=provider_id,
            delivery_offset=queued.offset,
            template_version=command.version,
            depth=command.depth,
        )

    def end_of(self, queued: Queued, now: int, cancels: Mapping[str, int]) -> Receipt | None:
        """Return the receipt of a command that must not be carried out any more, None where it may be.

        `cancels` holds the times of cancels by command id: one that is after `now` does not count yet.
        """
        command = queued.command
        if now > command.valid_until:
            return self.receipt(queued, "expired", now, "valid_until has passed")
        if cancels.get(command.id, now + 1) <= now:
            return self.receipt(queued, "cancelled", now, "cancelled by the engine")
        suppressed = self.suppressions.reason(command) if self.suppressions else None
        if suppressed is not None:
            return self.receipt(queued, "rejected", now, f"suppressed: {suppressed}")
        try:
            self._check_address(command)
        except AddressError as error:
            return self.receipt(queued, "rejected", now, f"address: {error}")
        return None

    def _check_address(self, command: Command) -> None:
        if command.address is not None:
            if command.channel == "email":
                checked_address(command.address)
        elif self.provider.needs_address:
            raise AddressError("none is known")

    def holds(self, queued: Queued, behind_ms: int) -> bool:
        """Say whether a command waits because the engine is catching up: what the log holds may still cancel it."""
        return queued.command.purpose == "marketing" and behind_ms > HOLD_BEHIND_MS

    def prepare(self, queued: Queued, now: int) -> Ready:
        """Render a command that may go; RenderError says which template failed and why."""
        return Ready(queued, self.renderer_of(queued.command.plan).render(queued.command, now), now)

    def check(self, queued: Queued, now: int, cancels: Mapping[str, int], behind_ms: int) -> Receipt | Ready | None:
        """Say what becomes of a command now: a final receipt, ready to be called, or None (it waits).

        `behind_ms` is how far the last mark is behind the clock.
        """
        ended = self.end_of(queued, now, cancels)
        if ended is not None:
            return ended
        if self.holds(queued, behind_ms) or queued.not_before > now:
            return None
        try:
            return self.prepare(queued, now)
        except RenderError as error:
            return self.receipt(queued, "rejected", now, f"template: {error}")

    async def call(self, ready: Ready, now: int) -> Receipt:
        """Call the provider, if the check is fresh enough, and return the outcome's receipt."""
        queued = ready.queued
        if now - ready.checked_at > CALL_WITHIN_MS:
            return self.receipt(queued, "retry", now, "the check was over 5 s old: checked again")
        return self.judge(queued, await self.carry(ready), now)

    async def carry(self, ready: Ready) -> Outcome:
        """Call the provider and return its word; a ParcoursError says that the run cannot go on, and is passed on."""
        try:
            return await self.provider.send(ready.message)
        except ParcoursError:
            raise
        except MimeError as error:
            return Outcome("rejected", str(error))
        except Exception as error:  # noqa: BLE001 - whatever a provider fails with, the message may have left
            return Outcome("unknown", f"the provider failed: {type(error).__name__}: {error}", trouble=True)

    def judge(self, queued: Queued, outcome: Outcome, now: int) -> Receipt:
        """Return the receipt of an outcome; a command that is put off knows its next time."""
        if outcome.state != "retry":
            return self.receipt(queued, ENDS[outcome.state], now, outcome.reason, outcome.provider_id)
        queued.attempts += 1
        if queued.attempts >= RETRIES_MAX:
            return self.receipt(queued, "rejected", now, f"given up after {queued.attempts} tries: {outcome.reason}")
        wait_s = outcome.after_s or min(BACKOFF_S * 2 ** (queued.attempts - 1), BACKOFF_S_MAX)
        queued.not_before = now + round(wait_s * 1000)
        return self.receipt(queued, "retry", now, outcome.reason)

    def after_crash(self, queued: Queued, now: int) -> Receipt | None:
        """Say what becomes of a command with an intent and no outcome: None where it may be sent again."""
        if self.provider.idempotent or queued.command.repeat_unknown:
            return None
        return self.receipt(queued, "unknown", now, "the sender stopped between the call and its outcome")
