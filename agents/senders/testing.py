"""One message to one address that somebody named, to see how it arrives: no customer gets it, and no ledger has it."""

import uuid
from dataclasses import replace
from pathlib import Path

from agents.senders.build import provider_of
from agents.senders.email_smtp import Smtp
from agents.senders.outbox import Outbox
from pipeline.errors import RunError, UsageError
from pipeline.scenario.compile import read_settings
from pipeline.scenario.sources import read_sources
from pipeline.sending.clock import SystemClock
from pipeline.sending.mime import AddressError, MimeError, checked_address
from pipeline.sending.outcome import Message, Outcome, Provider

MARK = "[TEST] "


def test_message(message: Message, address: str) -> Message:
    """Return a message as a test to an address: its subject is marked, and its id is of this one try.

    UsageError where it is no mail, or the address is none.
    """
    if message.channel != "email":
        raise UsageError(f"{message.scenario}/{message.step} goes by {message.channel}: send-test sends mail")
    try:
        checked_address(address)
    except AddressError as error:
        raise UsageError(f"--to: {error}") from None
    return replace(
        message,
        command=f"test-{uuid.uuid4().hex}",  # a provider that takes ids as keys would drop the second try
        address=address,
        at=SystemClock().now(),
        subject=f"{MARK}{message.subject}",
        # An answer to a test belongs to nobody's file, and its way out unsubscribes nobody.
        customer="",
        unsubscribe_url=None,
        reference="",
    )


test_message.__test__ = False  # type: ignore[attr-defined]  # it is none of pytest's


async def send_once(plan: Path, smtp: str | None, outbox: Path | None, message: Message) -> tuple[str, Outcome]:
    """Send a message and return by which provider and what came of it; RunError where it was not taken."""
    provider = _provider(plan, smtp, outbox)
    try:
        done = await provider.send(message)
    except MimeError as error:
        raise RunError(f"not sent: {error}") from None
    finally:
        await provider.close()
    if done.state != "accepted":
        raise RunError(f"not sent by {provider.name}: {done.reason or done.state}")
    return provider.name, done


def _provider(plan: Path, smtp: str | None, outbox: Path | None) -> Provider:
    if outbox is not None:
        return Outbox(outbox)
    if smtp is not None:
        return Smtp(smtp)
    return provider_of("email", read_settings(read_sources(plan)).senders)
