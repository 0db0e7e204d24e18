"""The inbox over HTTP: who may read it, what comes back of it, and what a page of another site may not do."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from agents.collector.inbox import InboxDesk
from agents.collector.serve import serve_in_thread
from agents.collector.streams import OF_A_CUSTOMER_MAX, Streams
from agents.collector.tokens import InboxTokens
from models.inbox import InboxItem
from pipeline.runtime.folder import Folder
from pipeline.runtime.inbox import FolderInbox
from tests.collector.kit import Desk, refusals
from tests.sending.build import HOUR, MINUTE, T0

SECRET, OLD = b"i" * 32, b"o" * 32
SHOP = "https://shop.example"
NOW_S = (T0 + MINUTE) // 1000


def item(name: str = "m1", customer: str = "c1", **more: Any) -> InboxItem:
    said: dict[str, Any] = {"at": T0, "until": T0 + 24 * HOUR, "payload": {"title": "Hello", "url": f"{SHOP}/cart"}}
    said |= {"scenario": "cart", "step": "hello", "purpose": "marketing"} | more
    return InboxItem(id=name, customer=customer, **said)


class Inbox(Desk):
    """A desk whose collector has an inbox on disk, and a clock of the log."""

    def __init__(self, folder: Folder, most: int = 3, heartbeat_s: float = 15.0):
        self.log_time = T0
        self.store = FolderInbox(folder, lambda: self.log_time, most)
        self.tokens = InboxTokens(SECRET, OLD)
        self.desk = InboxDesk(self.store, self.tokens, [SHOP], Streams(heartbeat_s))
        super().__init__(inbox=self.desk)

    def head(self, customer: str = "c1", **more: str) -> dict[str, str]:
        return {"authorization": f"Bearer {self.tokens.make(customer, NOW_S)}", **more}

    async def asked(self, customer: str = "c1") -> list[dict[str, Any]]:
        answer = await self.client.get("/v1/inbox", headers=self.head(customer))
        assert answer.status_code == 200, answer.text
        return list(answer.json()["messages"])

    async def say(self, name: str, word: str, customer: str = "c1") -> int:
        return (await self.client.post(f"/v1/inbox/{name}/{word}", headers=self.head(customer))).status_code


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    one = Folder(tmp_path / "d")
    yield one
    one.close()


@pytest.fixture
def one(folder: Folder) -> Inbox:
    return Inbox(folder)


async def test_a_customer_reads_their_own_messages_and_the_delivery_is_told_once(one: Inbox) -> None:
    await one.store.keep(item())
    await one.store.keep(item("m2", customer="c2"))
    found = await one.asked()
    assert [(two["id"], two["payload"]["title"], two["seen"]) for two in found] == [("m1", "Hello", False)]
    await one.asked()
    assert [(event["type"], event["customer"], event["channel"]) for event in one.intake.events] == [
        ("message_delivered", "c1", "web")
    ]


async def test_what_the_page_says_of_a_message_is_told_as_an_event_once_and_never_back(one: Inbox) -> None:
    await one.store.keep(item())
    for word in ("seen", "seen", "clicked", "clicked", "seen"):
        assert await one.say("m1", word) == 204
    assert one.types == ["message_opened", "message_clicked"]
    clicked = one.intake.events[1]
    assert (clicked["url"], clicked["command_id"], clicked["scenario"]) == (f"{SHOP}/cart", "m1", "cart")
    assert "machine" not in clicked
    assert [(two["seen"], two["clicked"]) for two in await one.asked()] == [(True, True)]


async def test_a_dismissed_message_is_gone_and_a_repeated_call_does_not_bring_it_back(one: Inbox) -> None:
    await one.store.keep(item())
    assert await one.say("m1", "dismissed") == 204
    await one.store.keep(item())
    assert (await one.asked(), one.types) == ([], ["message_dismissed"])
    assert await one.say("m1", "dismissed") == 404


async def test_a_message_goes_at_the_log_time_at_which_its_command_is_no_longer_valid(one: Inbox) -> None:
    await one.store.keep(item(until=T0 + HOUR))
    one.log_time = T0 + HOUR - 1
    assert len(await one.asked()) == 1
    one.log_time = T0 + HOUR
    assert await one.asked() == []
    assert await one.say("m1", "seen") == 404


async def test_the_oldest_goes_where_a_customer_has_too_many_and_nobody_elses(one: Inbox) -> None:
    await one.store.keep(item("other", customer="c2"))
    for number in range(5):
        await one.store.keep(item(f"m{number}"))
    assert [two["id"] for two in await one.asked()] == ["m2", "m3", "m4"]
    assert [two["id"] for two in await one.asked("c2")] == ["other"]


async def test_what_has_expired_of_somebody_who_never_comes_back_leaves_the_disk(folder: Folder) -> None:
    early = FolderInbox(folder, lambda: T0, 3)
    await early.keep(item(until=T0 + HOUR))
    assert len(list(folder.values("inbox/"))) == 1
    FolderInbox(folder, lambda: T0 + HOUR, 3)
    assert list(folder.values("inbox/")) == []


async def test_an_id_that_looks_like_a_path_reaches_into_no_other_inbox(one: Inbox) -> None:
    await one.store.keep(item("m1", customer="c1/../c2"))
    assert await one.asked("c2") == []
    assert await one.asked("c1") == []
    assert [two["id"] for two in await one.asked("c1/../c2")] == ["m1"]
    assert await one.say("m1", "seen", "c2") == 404


def tokens_that_are_refused() -> Iterator[tuple[str, str]]:
    right = {"sub": "c1", "aud": "parcours-inbox", "exp": NOW_S + 60}
    yield "none", ""
    yield "nonsense", "a.b.c"
    yield "another secret", jwt.encode(right, b"x" * 32, algorithm="HS256")
    yield "another algorithm", jwt.encode(right, b"i" * 64, algorithm="HS512")
    yield "no signature", jwt.encode(right, "", algorithm="none")
    yield "for another audience", jwt.encode({**right, "aud": "shop"}, SECRET, algorithm="HS256")
    yield "over", jwt.encode({**right, "exp": NOW_S}, SECRET, algorithm="HS256")
    yield "for too long", jwt.encode({**right, "exp": NOW_S + 86_401}, SECRET, algorithm="HS256")
    yield "a time that is none", jwt.encode({**right, "exp": True}, SECRET, algorithm="HS256")
    yield "no end", jwt.encode({"sub": "c1", "aud": "parcours-inbox"}, SECRET, algorithm="HS256")
    yield "nobody", jwt.encode({**right, "sub": ""}, SECRET, algorithm="HS256")
    yield "a name that is too long", jwt.encode({**right, "sub": "c" * 257}, SECRET, algorithm="HS256")
    yield "huge", "a" * 5_000


@pytest.mark.parametrize(("why", "token"), list(tokens_that_are_refused()), ids=lambda value: str(value)[:24])
async def test_a_token_that_is_not_right_reads_nothing_and_is_counted(one: Inbox, why: str, token: str) -> None:
    await one.store.keep(item())
    before = sum(count for (route, _), count in refusals().items() if route == "v1")
    for method, path in (("GET", "/v1/inbox"), ("GET", "/v1/inbox/stream"), ("POST", "/v1/inbox/m1/seen")):
        answer = await one.client.request(method, path, headers={"authorization": f"Bearer {token}"})
        assert answer.status_code == 401, why
    assert sum(count for (route, _), count in refusals().items() if route == "v1") == before + 3
    assert one.intake.heard == []


async def test_a_token_of_the_secret_before_is_still_read(one: Inbox) -> None:
    token = InboxTokens(OLD).make("c1", NOW_S)
    assert (await one.client.get("/v1/inbox", headers={"authorization": f"Bearer {token}"})).status_code == 200


async def test_a_token_in_the_address_opens_the_stream_alone(one: Inbox) -> None:
    token = one.tokens.make("c1", NOW_S)
    assert (await one.client.get(f"/v1/inbox?token={token}")).status_code == 401
    assert (await one.client.post(f"/v1/inbox/m1/seen?token={token}")).status_code == 401
    assert (await one.client.head(f"/v1/inbox/stream?token={token}")).status_code == 200


async def test_pages_of_the_store_may_ask_and_no_others(one: Inbox) -> None:
    answer = await one.client.get("/v1/inbox", headers=one.head(origin=SHOP))
    assert answer.headers["access-control-allow-origin"] == SHOP
    assert "access-control-allow-credentials" not in answer.headers
    for origin in ("https://evil.example", "https://shop.example.evil.example", "null"):
        answer = await one.client.get("/v1/inbox", headers=one.head(origin=origin))
        assert (answer.status_code, answer.headers.get("access-control-allow-origin")) == (403, None)
        asks = {"origin": origin, "access-control-request-method": "POST"}
        assert (await one.client.options("/v1/inbox/m1/seen", headers=asks)).status_code == 400
    asks = {"origin": SHOP, "access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    assert (await one.client.options("/v1/inbox/m1/seen", headers=asks)).status_code == 200
    refused = await one.client.get("/v1/inbox", headers={"origin": SHOP})
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, SHOP)


async def test_what_could_not_be_kept_is_not_noted_and_is_told_when_it_is_said_again(one: Inbox) -> None:
    await one.store.keep(item())
    one.intake.broken = True
    assert await one.say("m1", "clicked") == 503
    one.intake.broken = False
    assert await one.say("m1", "clicked") == 204
    assert one.types == ["message_clicked"]


async def test_without_the_channel_there_is_no_inbox() -> None:
    assert (await Desk().client.get("/v1/inbox")).status_code == 404


@pytest.fixture
def served(folder: Folder) -> Iterator[tuple[Inbox, str]]:
    one = Inbox(folder, heartbeat_s=0.05)
    url, close = serve_in_thread(one.hub, 0)
    yield one, url
    close()


async def frames(answer: httpx.Response) -> AsyncIterator[dict[str, str]]:
    """Yield the events of a stream: what stands before each empty line."""
    found: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if not line:
            yield found
            found = {}
            continue
        name, _, value = line.partition(":")
        found[name or "comment"] = value.strip()


async def test_a_stream_shows_what_is_there_then_what_comes_and_what_goes(served: tuple[Inbox, str]) -> None:
    one, url = served
    await one.store.keep(item())
    async with httpx.AsyncClient(timeout=10) as client:
        async with client.stream("GET", f"{url}/v1/inbox/stream", headers=one.head()) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            found = frames(answer)
            assert (await anext(found))["retry"] == "3000"
            first = await anext(found)
            assert (first["event"], first["id"], json.loads(first["data"])["id"]) == ("message", "1", "m1")
            assert "comment" in await anext(found), "a heartbeat"
            await one.store.keep(item("other", customer="c2"))
            await one.store.keep(item("m2"))
            news = [frame async for frame in until(found, "message")]
            assert (news[-1]["id"], json.loads(news[-1]["data"])["id"]) == ("3", "m2")
            await client.post(f"{url}/v1/inbox/m1/dismissed", headers=one.head())
            gone = [frame async for frame in until(found, "gone")]
            assert json.loads(gone[-1]["data"]) == {"id": "m1"}
        again = one.head(**{"last-event-id": "1"})
        async with client.stream("GET", f"{url}/v1/inbox/stream", headers=again) as answer:
            found = frames(answer)
            await anext(found)
            assert (await anext(found))["id"] == "3", "it goes on where the page was"


async def until(found: AsyncIterator[dict[str, str]], kind: str) -> AsyncIterator[dict[str, str]]:
    async for frame in found:
        yield frame
        if frame.get("event") == kind:
            return


async def test_a_stream_ends_with_its_token_and_with_the_server(served: tuple[Inbox, str]) -> None:
    one, url = served
    async with httpx.AsyncClient(timeout=10) as client:
        async with client.stream("GET", f"{url}/v1/inbox/stream", headers=one.head()) as answer:
            found = frames(answer)
            await anext(found)
            one.now += 2 * HOUR
            assert all(["event" not in frame async for frame in found])
        one.now -= 2 * HOUR
        async with client.stream("GET", f"{url}/v1/inbox/stream", headers=one.head()) as answer:
            found = frames(answer)
            await anext(found)
            one.desk.streams.close()
            assert all(["event" not in frame async for frame in found])
        assert (await client.get(f"{url}/v1/inbox/stream", headers=one.head())).status_code == 503


async def test_one_customer_has_few_streams_and_a_page_that_goes_gives_its_place_back(
    served: tuple[Inbox, str],
) -> None:
    one, url = served
    clients = [httpx.AsyncClient(timeout=10) for _ in range(OF_A_CUSTOMER_MAX)]
    open_ = [await client.send(client.build_request("GET", f"{url}/v1/inbox/stream", headers=one.head()), stream=True)
             for client in clients]  # fmt: skip
    assert {answer.status_code for answer in open_} == {200}
    async with httpx.AsyncClient(timeout=10) as more:
        assert (await more.get(f"{url}/v1/inbox/stream", headers=one.head())).status_code == 429
        for answer, client in zip(open_, clients, strict=True):
            await answer.aclose()
            await client.aclose()
        async with client_of(one, url) as answer:
            assert answer.status_code == 200


def client_of(one: Inbox, url: str) -> Any:
    """Open a stream as soon as there is a place for it."""
    import asyncio
    import time
    from contextlib import asynccontextmanager

    @asynccontextmanager
    async def opened() -> AsyncIterator[httpx.Response]:
        deadline = time.monotonic() + 5
        async with httpx.AsyncClient(timeout=10) as client:
            while True:
                async with client.stream("GET", f"{url}/v1/inbox/stream", headers=one.head()) as answer:
                    if answer.status_code == 200 or time.monotonic() > deadline:
                        yield answer
                        return
                await asyncio.sleep(0.02)

    return opened()
