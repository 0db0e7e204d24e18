"""SMTP and the outbox folder, against real sockets and a real folder."""

import asyncio
import email
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from email.policy import strict
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from agents.senders.email_smtp import Smtp
from agents.senders.outbox import Outbox
from pipeline.sending.clock import SystemClock
from pipeline.sending.outcome import Message
from tests.sending.test_mime import MESSAGE


class Handler:
    """Keeps what it takes; `rcpt` and `data` are its answers; `connections` counts those opened."""

    def __init__(self, rcpt: str = "250 ok", data: str = "250 taken as 77"):
        self.rcpt, self.data = rcpt, data
        self.mails: list[bytes] = []
        self.connections = 0

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.rcpt_tos.append(address)
        return self.rcpt

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.data == "drop":
            server.transport.close()
            return "250 never said"
        if self.data.startswith("250"):
            self.mails.append(envelope.original_content or b"")
        return self.data


@asynccontextmanager
async def relay(handler: Handler) -> AsyncIterator[str]:
    def connected() -> SMTP:
        handler.connections += 1
        return SMTP(handler, enable_SMTPUTF8=False)

    server = await asyncio.get_running_loop().create_server(connected, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"smtp://127.0.0.1:{port}"
    finally:
        server.close()
        await server.wait_closed()


@asynccontextmanager
async def connected(handler: Handler, at_once: int = 4) -> AsyncIterator[Smtp]:
    async with relay(handler) as url:
        smtp = Smtp(url, at_once=at_once, timeout_s=5)
        try:
            yield smtp
        finally:
            await smtp.close()


async def test_a_mail_arrives_whole_and_its_name_at_the_relay_is_kept() -> None:
    handler = Handler()
    async with connected(handler) as smtp:
        outcome = await smtp.send(MESSAGE)
    assert (outcome.state, outcome.provider_id) == ("accepted", "taken as 77")
    mail = email.message_from_bytes(handler.mails[0], policy=strict)
    assert mail["subject"] == MESSAGE.subject
    assert mail["to"] == MESSAGE.address


async def test_connections_are_kept_and_bounded() -> None:
    handler = Handler()
    async with connected(handler, at_once=2) as smtp:
        outcomes = await asyncio.gather(*[smtp.send(replace(MESSAGE, command=f"c{n}")) for n in range(20)])
    assert {one.state for one in outcomes} == {"accepted"}
    assert len(handler.mails) == 20
    assert handler.connections <= 2


@pytest.mark.parametrize(
    ("answers", "state", "trouble"),
    [
        ({"rcpt": "550 no such box"}, "rejected", False),
        ({"rcpt": "450 try later"}, "retry", False),
        ({"rcpt": "421 closing"}, "retry", True),
        ({"data": "554 spam"}, "rejected", False),
        ({"data": "451 greylisted"}, "retry", False),
        ({"data": "drop"}, "unknown", True),
    ],
)
async def test_what_the_relay_answers_is_the_outcome(answers: dict[str, str], state: str, trouble: bool) -> None:
    handler = Handler(**answers)
    async with connected(handler) as smtp:
        outcome = await smtp.send(MESSAGE)
        assert (outcome.state, outcome.trouble) == (state, trouble), outcome
        handler.rcpt, handler.data = "250 ok", "250 ok"
        assert (await smtp.send(MESSAGE)).state == "accepted", "the next mail is hindered by the last"


@pytest.mark.parametrize(
    ("answer", "permanent"),
    [("550 5.1.1 no such user", True), ("550 5.1.10 null MX", True), ("550 5.7.1 policy", False), ("550 no", False),
     ("450 4.1.1 later", False), ("550 5.1.11 other", False)],
)  # fmt: skip
async def test_a_mailbox_that_does_not_exist_is_refused_for_good(answer: str, permanent: bool) -> None:
    async with connected(Handler(rcpt=answer)) as smtp:
        assert (await smtp.send(MESSAGE)).permanent is permanent


async def test_a_relay_that_is_not_there_is_tried_again() -> None:
    async with relay(Handler()) as url:
        gone = url
    outcome = await Smtp(gone, timeout_s=2).send(MESSAGE)
    assert (outcome.state, outcome.trouble) == ("retry", True)


async def test_a_kept_connection_that_the_relay_closed_meanwhile_is_made_anew() -> None:
    handler = Handler()
    servers: list[SMTP] = []

    def made() -> SMTP:
        servers.append(SMTP(handler))
        return servers[-1]

    server = await asyncio.get_running_loop().create_server(made, "127.0.0.1", 0)
    smtp = Smtp(f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}", timeout_s=5)
    try:
        assert (await smtp.send(MESSAGE)).state == "accepted"
        servers[0].transport.close()
        assert (await smtp.send(replace(MESSAGE, command="c2"))).state == "accepted"
        assert len(servers) == 2
    finally:
        await smtp.close()
        server.close()
        await server.wait_closed()


async def test_an_answer_after_data_that_is_none_is_unknown() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for line in (b"220 hello", b"250 ok", b"250 ok", b"250 ok", b"354 go on"):
            writer.write(line + b"\r\n")
            await writer.drain()
            await reader.readline()
        await reader.readuntil(b"\r\n.\r\n")
        writer.write(b"what?\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    smtp = Smtp(f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}", timeout_s=5)
    outcome = await smtp.send(MESSAGE)
    await smtp.close()
    server.close()
    await server.wait_closed()
    assert (outcome.state, outcome.trouble) == ("unknown", True)


async def test_a_mail_whose_check_is_too_old_is_not_handed_over() -> None:
    handler = Handler()
    async with connected(handler) as smtp:
        outcome = await smtp.send(replace(MESSAGE, call_by=SystemClock().ticks() - 1))
    assert outcome.state == "retry"
    assert handler.mails == []


async def test_the_outbox_holds_one_file_a_command_however_often_it_is_sent(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox")
    for _ in range(2):
        assert (await outbox.send(MESSAGE)).state == "accepted"
    files = list(outbox.folder.iterdir())
    assert [path.name for path in files] == [f"{MESSAGE.command}.eml"]
    assert email.message_from_bytes(files[0].read_bytes(), policy=strict)["subject"] == MESSAGE.subject


async def test_the_outbox_takes_a_message_to_nobody_known(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    await outbox.send(replace(MESSAGE, address=None))
    assert (tmp_path / f"{MESSAGE.command}.eml").exists()


@pytest.mark.parametrize("make", [Outbox, lambda path: Smtp("smtp://127.0.0.1:9")])
async def test_every_provider_says_what_it_can(tmp_path: Path, make: Callable[[Path], Outbox | Smtp]) -> None:
    provider = make(tmp_path)
    assert provider.idempotent is (provider.name == "outbox")
    assert provider.at_once >= 1
    message: Message = MESSAGE
    assert message.call_by is None
    await provider.close()
