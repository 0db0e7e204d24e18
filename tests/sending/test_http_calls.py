"""What every call over HTTP has in common: what a failure says of the message, and when nothing is handed over."""

import asyncio
import email.utils
import time
from dataclasses import replace

import httpx
import pytest
from aiohttp import web

from agents.senders.providers.gateway import Gateway
from agents.senders.providers.http import retry_after_s
from models.senders import GatewaySpec
from pipeline.sending.clock import SystemClock
from pipeline.sending.outcome import Outcome
from tests.sending.api import SMS, Answer, Api, calling, said, serving

GOOD = Answer(200, {"id": "m1"})


def gateway(url: str, timeout_s: float = 5) -> Gateway:
    return Gateway(GatewaySpec(kind="gateway", url=url, timeout_s=timeout_s))


@pytest.mark.parametrize(
    ("answer", "expected", "after_s"),
    [
        (GOOD, ("accepted", False, False), 0),
        (Answer(400, {"error": "bad text"}), ("rejected", False, False), 0),
        (Answer(401, {"error": "who?"}), ("retry", True, False), 0),
        (Answer(403), ("retry", True, False), 0),
        (Answer(302, headers={"location": "http://127.0.0.1:9/"}), ("retry", True, False), 0),
        (Answer(429, headers={"retry-after": "7"}), ("retry", True, False), 7),
        (Answer(503, "<html>down</html>", {"retry-after": "99999"}), ("retry", True, False), 3600),
        (Answer(500, {"error": "oh"}), ("unknown", True, False), 0),
        (Answer(502, "<html>"), ("unknown", True, False), 0),
        (Answer(504), ("unknown", True, False), 0),
        (Answer(cut=True), ("unknown", True, False), 0),
        (Answer(silent=True), ("unknown", True, False), 0),
    ],
)
async def test_what_is_answered_is_the_outcome(
    answer: Answer, expected: tuple[str, bool, bool], after_s: float
) -> None:
    api = Api(GOOD)
    async with calling(api, lambda url: gateway(url, timeout_s=1)) as provider:
        api.answers = [answer]
        outcome = await provider.send(SMS)
        assert (said(outcome), outcome.after_s) == (expected, after_s), outcome
        assert (await provider.send(SMS)).state == "accepted", "the next message is hindered by the last"
    assert len(api.seen) == 2, "a call was repeated behind the ledger's back, or a redirect followed"


async def test_what_was_never_connected_is_tried_again_and_not_unknown() -> None:
    async with serving(Api(GOOD)) as api:
        gone = api.url
    assert said(await sent_once(gone)) == ("retry", True, False)


async def test_a_name_that_is_unknown_is_tried_again() -> None:
    assert said(await sent_once("http://nowhere.invalid/")) == ("retry", True, False)


async def sent_once(url: str) -> Outcome:
    provider = gateway(url)
    try:
        return await provider.send(SMS)
    finally:
        await provider.close()


async def test_a_server_that_speaks_no_http_leaves_it_unknown() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"220 mail.example ESMTP\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    outcome = await sent_once(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    server.close()
    await server.wait_closed()
    assert said(outcome) == ("unknown", True, False)


async def test_a_kept_connection_that_the_server_has_closed_is_made_anew() -> None:
    api = Api(GOOD)
    async with calling(api, gateway) as provider:
        assert (await provider.send(SMS)).state == "accepted"
        api.answers = [Answer(200, {"id": "m2"}, {"connection": "close"})]
        assert (await provider.send(SMS)).state == "accepted"
        assert (await provider.send(SMS)).state == "accepted"


async def test_a_message_whose_check_is_too_old_is_not_handed_over() -> None:
    api = Api(GOOD)
    async with calling(api, gateway) as provider:
        outcome = await provider.send(replace(SMS, call_by=SystemClock().ticks() - 1))
    assert outcome.state == "retry"
    assert api.seen == []


class Gated(Api):
    """Answers only when its gate is open."""

    def __init__(self) -> None:
        super().__init__(GOOD)
        self.gate = asyncio.Event()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        await self.gate.wait()
        return await super().handle(request)


async def test_a_message_that_waits_for_a_connection_until_its_check_is_too_old_is_not_handed_over() -> None:
    api = Gated()
    async with calling(api, lambda url: Gateway(GatewaySpec(kind="gateway", url=url, at_once=1))) as provider:
        first = asyncio.create_task(provider.send(SMS))
        until = SystemClock().ticks() + 100
        second = asyncio.create_task(provider.send(replace(SMS, command="second", call_by=until)))
        while SystemClock().ticks() <= until:  # noqa: ASYNC110 - a clock, not an event
            await asyncio.sleep(0.01)
        api.gate.set()
        outcomes = await asyncio.gather(first, second)
    assert [one.state for one in outcomes] == ["accepted", "retry"]
    assert [one.json["id"] for one in api.seen] == [SMS.command]


@pytest.mark.parametrize("text", ["", "soon", "-5", "٣", "Wed, 99 Foo 2026"])
def test_a_retry_after_that_is_none_is_no_wait(text: str) -> None:
    assert retry_after_s(httpx.Response(429, headers={"retry-after": text.encode()})) == 0


def test_a_retry_after_may_be_a_date() -> None:
    at = email.utils.formatdate(time.time() + 120, usegmt=True)
    assert 100 < retry_after_s(httpx.Response(503, headers={"retry-after": at})) <= 120


async def test_a_cookie_is_neither_kept_nor_sent_back() -> None:
    api = Api(Answer(200, {"id": "m1"}, {"set-cookie": "who=us; Path=/"}))
    async with calling(api, gateway) as provider:
        for _ in range(2):
            assert (await provider.send(SMS)).state == "accepted"
        assert isinstance(provider, Gateway)
        assert not provider.client.cookies
    assert not any("cookie" in seen.headers for seen in api.seen)
