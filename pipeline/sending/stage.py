"""The sequence that carries out one command, without sockets or topics: both hosts drive it.

For every command: expired? cancelled? suppressed? is the engine catching up (then marketing waits)? has it an address
that is one? are the goods there that it requires? rendered? Then an intent is committed, the provider is called within
CALL_WITHIN_MS of the check, and the outcome is committed. What a crash leaves between intent and outcome is unknown:
sent again only where the provider takes the command id as a key or the step says so.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from models.command import COMMAND_BYTES_MAX, Command
from models.receipt import Receipt
from models.senders import EmailSpec
from pipeline.errors import ParcoursError
from pipeline.sending.addresses import check_address
from pipeline.sending.catalogue import Goods, NoGoods
from pipeline.sending.guards import NO_GUARD, Guard
from pipeline.sending.mime import AddressError, MimeError
from pipeline.sending.outcome import OUTBOX, Message, Outcome, Provider
from pipeline.sending.protocol import Suppressions
from pipeline.sending.render import Renderer, RenderError, plain
from pipeline.sending.suppressions import Suppression

# A buyer whose order is 10 s (hold) + 5 s (call) old in Kafka is not reminded, whatever was down in between.
HOLD_BEHIND_MS = 10_000
CALL_WITHIN_MS = 5_000
ROUND_MAX = 100
# Waits of 1, 2, 4 ... 300 s: 14 tries span over 30 minutes, which a relay's greylisting and a restart both fit in.
RETRIES_MAX = 14
BACKOFF_S = 1.0
BACKOFF_S_MAX = 300.0
KEY_MARGIN_MS = 120_000
EMAIL = "email"
ENDS = {"accepted": "sent", "rejected": "rejected", "unknown": "unknown"}


@dataclass(slots=True)
class Queued:
    """A command that waits for its end: its place on `delivery`, how often it was tried, and not before when (ms).

    `unsure_since`: since then it may have gone out (UTC ms of the wall clock); 0 where it has not. `catalogue`: the
    version that it was last rendered from.
    """

    command: Command
    offset: int
    attempts: int = 0
    not_before: int = 0
    held: bool = False
    unsure_since: int = 0
    catalogue: str = ""


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
        goods: Goods | None = None,
    ):
        self.channel = channel
        self.provider = provider
        self.renderer_of = renderer_of
        self.suppressions = suppressions
        self.goods = goods or NoGoods()
        self._facts: list[Suppression] = []

    @property
    def leaves(self) -> bool:
        """Say whether messages leave this machine."""
        return self.provider.name != OUTBOX

    def receipt(
        self, queued: Queued, state: str, at: int, reason: str = "", provider_id: str = "", *, permanent: bool = False
    ) -> Receipt:
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
            permanent=permanent,
            catalogue_version=queued.catalogue,
        )

    def end_of(self, queued: Queued, now: int, cancels: Mapping[str, int]) -> Receipt | None:
        """Return the receipt of a command that must not be carried out any more, None where it may be.

        `cancels` holds the times of cancels by command id: one that is after `now` does not count yet.
        """
        command = queued.command
        if now > command.valid_until:
            return self.end(queued, "expired", now, "valid_until has passed")
        if cancels.get(command.id, now + 1) <= now:
            return self.end(queued, "cancelled", now, "cancelled by the engine")
        if command.channel != self.channel:
            return self.end(queued, "rejected", now, "channel: no sender has it")
        if self._is_out_of_test(command):
            return self.end(queued, "rejected", now, "test_mode")
        suppressed = self._suppressed(command)
        if suppressed is not None:
            return self.end(queued, "rejected", now, f"suppressed: {suppressed}")
        try:
            self._check_address(command)
        except AddressError as error:
            return self.end(queued, "rejected", now, f"address: {error}")
        return None

    def _suppressed(self, command: Command) -> str | None:
        """Return why nothing may be sent to a command's address, by the rule of its plan; None where it may."""
        if self.suppressions is None:
            return None
        try:
            return self.suppressions.reason(command, self.renderer_of(command.plan).soft_rule)
        except RenderError:
            return self.suppressions.reason(command)

    def _learn(self, command: Command, outcome: Outcome, at: int) -> None:
        """Take note of what a refusal says of an address: that it takes nothing, or that its owner said stop."""
        if self.suppressions is None or outcome.state != "rejected" or not outcome.permanent:
            return
        fact = self.suppressions.fact(command, "stopped" if outcome.stopped else "bounced", at)
        if fact is not None:
            self.suppressions.put(fact)
            self._facts.append(fact)

    def take_facts(self) -> list[Suppression]:
        """Return what was learnt of addresses since the last call: to be written with the next commit."""
        found, self._facts = self._facts, []
        return found

    def is_quiet(self, command: Command, now: int) -> bool:
        """Say whether a command must wait because it is quiet hours by now (UTC ms) where the customer is."""
        try:
            return self.renderer_of(command.plan).is_quiet(command, now)
        except RenderError:
            return False  # its rendering will say so

    def _is_out_of_test(self, command: Command) -> bool:
        """Say whether the plan of a command is in test mode, and its address is none of those listed."""
        try:
            only = self.renderer_of(command.plan).only
        except RenderError:
            return False  # its rendering will say so
        return only is not None and plain(command.address or "") not in only

    def guard_of(self, command: Command) -> Guard:
        """Return what the plan of a command says of how fast its scenario goes."""
        try:
            return self.renderer_of(command.plan).guard(command.scenario)
        except RenderError:
            return NO_GUARD

    def mail_of(self, command: Command) -> EmailSpec | None:
        """Return what the plan of a command says of mail; None for other channels, and where the plan is not there."""
        if self.channel != EMAIL:
            return None
        try:
            return self.renderer_of(command.plan).settings.senders.email
        except RenderError:
            return None

    def _check_address(self, command: Command) -> None:
        if command.address is not None:
            check_address(command.channel, command.address)
        elif self.provider.needs_address:
            raise AddressError("none is known")

    def holds(self, queued: Queued, behind_ms: int) -> bool:
        """Say whether a command waits because the engine is catching up: what the log holds may still cancel it."""
        return queued.command.purpose == "marketing" and behind_ms > HOLD_BEHIND_MS

    def unfit(self, queued: Queued, now: int) -> Receipt | None:
        """Return the receipt of a command that may go and cannot: too much data, or its goods are gone."""
        size = len(msgspec.json.encode(queued.command.data))
        if size > COMMAND_BYTES_MAX:
            return self.end(queued, "rejected", now, f"data: {size} bytes, a command takes {COMMAND_BYTES_MAX}")
        return self.out_of_stock(queued, now)

    def out_of_stock(self, queued: Queued, now: int) -> Receipt | None:
        """Return the receipt of a command that may go, requires its goods in stock, and whose goods are gone."""
        catalogue = self.goods.now()
        if not catalogue.gone(queued.command):
            return None
        queued.catalogue = catalogue.version
        return self.end(queued, "rejected", now, "out_of_stock")

    def prepare(self, queued: Queued, now: int, at: int) -> Ready:
        """Render a command that may go as of a time; RenderError says which template failed and why."""
        message = self.renderer_of(queued.command.plan).render(queued.command, at)
        queued.catalogue = message.catalogue
        return Ready(queued, message, now)

    def check(self, queued: Queued, now: int, cancels: Mapping[str, int], behind_ms: int) -> Receipt | Ready | None:
        """Say what becomes of a command now: a final receipt, ready to be called, or None (it waits).

        `behind_ms` is how far the last mark is behind the clock.
        """
        ended = self.end_of(queued, now, cancels)
        if ended is not None:
            return ended
        if self.holds(queued, behind_ms) or queued.not_before > now:
            return None
        unfit = self.unfit(queued, now)
        if unfit is not None:
            return unfit
        try:
            return self.prepare(queued, now, now)
        except RenderError as error:
            return self.end(queued, "rejected", now, f"template: {error}")

    async def call(self, ready: Ready, now: int, wall: int) -> Receipt:
        """Call the provider, if the check is fresh enough, and return the outcome's receipt."""
        queued = ready.queued
        if now - ready.checked_at > CALL_WITHIN_MS:
            return self.receipt(queued, "retry", now, "the check was over 5 s old: checked again")
        return self.judge(queued, await self.carry(ready), now, wall)

    async def carry(self, ready: Ready) -> Outcome:
        """Call the provider and return its word; a ParcoursError says that the run cannot go on, and is passed on."""
        # Once more, in the last moment: a stop may have come while others of the round were called.
        suppressed = self._suppressed(ready.queued.command)
        if suppressed is not None:
            return Outcome("rejected", f"suppressed: {suppressed}")
        try:
            outcome = await self.provider.send(ready.message)
            self._learn(ready.queued.command, outcome, ready.checked_at)
            return outcome
        except ParcoursError:
            raise
        except MimeError as error:
            return Outcome("rejected", str(error))
        except Exception as error:  # noqa: BLE001 - whatever a provider fails with, the message may have left
            return Outcome("unknown", f"the provider failed: {type(error).__name__}: {error}", trouble=True)

    def judge(self, queued: Queued, outcome: Outcome, now: int, wall: int | None = None) -> Receipt:
        """Return the receipt of an outcome; a command that is put off knows its next time.

        `wall` is the wall clock at the check, where `now` is not: keys hold by it.
        """
        wall = now if wall is None else wall
        if outcome.state == "unknown":
            queued.unsure_since = queued.unsure_since or wall
            if outcome.repeatable and self.may_repeat(queued, wall):
                return self._put_off(queued, outcome, now, f"unknown, and repeated: {outcome.reason}")
        if outcome.state == "retry":
            return self._put_off(queued, outcome, now, outcome.reason)
        return self.end(
            queued, ENDS[outcome.state], now, outcome.reason, outcome.provider_id, permanent=outcome.permanent
        )

    def end(self, queued: Queued, state: str, at: int, reason: str, provider_id: str = "", **more: bool) -> Receipt:
        """Return the last receipt of a command: what may have gone out before is unknown, however it ended then."""
        if queued.unsure_since and state not in {"sent", "unknown"}:
            return self.receipt(queued, "unknown", at, f"it may have gone out, then {state}: {reason}")
        return self.receipt(queued, state, at, reason, provider_id, **more)

    def _put_off(self, queued: Queued, outcome: Outcome, now: int, reason: str) -> Receipt:
        queued.attempts += 1
        # A provider that is away is no message's fault: only `valid_until` ends the wait for it.
        if queued.attempts >= RETRIES_MAX and not outcome.trouble:
            return self.end(queued, "rejected", now, f"given up after {queued.attempts} tries: {outcome.reason}")
        wait_s = outcome.after_s or min(BACKOFF_S * 2 ** (queued.attempts - 1), BACKOFF_S_MAX)
        queued.not_before = now + round(wait_s * 1000)
        return self.receipt(queued, "retry", now, reason)

    def may_repeat(self, queued: Queued, wall: int) -> bool:
        """Say whether a command that may have gone out may be sent again: asked for, or the provider knows its key.

        A key that the provider forgets within two minutes counts as forgotten: clocks differ, and a call takes time.
        """
        if queued.command.repeat_unknown:
            return True
        holds = self.provider.key_holds_ms
        return self.provider.idempotent and (not holds or wall - queued.unsure_since <= holds - KEY_MARGIN_MS)

    def after_crash(self, queued: Queued, now: int, wall: int | None = None) -> Receipt | None:
        """Say what becomes of a command that may have gone out: None where it may be sent again."""
        if self.may_repeat(queued, now if wall is None else wall):
            return None
        forgotten = self.provider.idempotent and "; the provider knows its key no longer"
        return self.receipt(queued, "unknown", now, f"the call had no outcome{forgotten or ''}")
