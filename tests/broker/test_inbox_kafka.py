"""The inbox of a cluster: what a sender puts there is read at any collector, said back, and gone with its customer."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from agents.collector.tokens import AUDIENCE
from agents.localkafka import free_port
from tests.broker.cluster import wait_for
from tests.broker.test_collector_kafka import SECRET, Shop, asked

pytestmark = [pytest.mark.broker, pytest.mark.timeout(240)]
KEY = "k" * 64
ORIGIN = "https://shop.example"
PLAN = {
    "settings.yaml": 'store: {name: Shop, url: "https://shop.example"}\ncollector: {url: "http://127.0.0.1:1"}\n'
    'senders: {web: {origins: ["https://shop.example"]}}\nconsent_default: granted\n',
    "note/scenario.yaml": "scenario: note\ntitle: Note\npurpose: marketing\nenter: {on: product_viewed, again: always}\n"
    "steps:\n  - send: hello\n    channel: web\n",
    "note/hello.en.json": '{"title": "Hello", "url": "https://shop.example/p"}',
}


class Inboxes(Shop):
    """A cluster whose one channel is `web`, with two collectors."""

    def __init__(self, kafka: str, folder: Path):
        super().__init__(kafka, folder)
        for path in (folder / "plan").rglob("*.*"):
            path.unlink()
        for name, text in PLAN.items():
            (folder / "plan" / name).parent.mkdir(exist_ok=True)
            (folder / "plan" / name).write_text(text)
        self.ports = [free_port(), free_port()]

    def start(self) -> None:
        cluster, secret = self.cluster, {"PARCOURS_SECRET": SECRET, "PARCOURS_INBOX_SECRET": KEY}
        cluster.start("ingest", "--plan", self.folder / "plan", "--sources", cluster.sources)
        wait_for(lambda: "plan" in self.keys(cluster.topics.plans), 60, "the plan is live")
        cluster.journeys("a", env=secret)
        cluster.start("sender", "--channel", "web", env=secret)
        for port in self.ports:
            self.collector(port)

    def collector(self, port: int) -> Any:
        env = {"PARCOURS_SECRET": SECRET, "PARCOURS_INBOX_SECRET": KEY}
        found = self.cluster.start("collector", "--port", str(port), env=env)
        wait_for(lambda: asked(f"http://127.0.0.1:{port}/livez") == 200, 60, "the collector listens")
        return found

    def call(self, port: int, path: str, who: str, data: bytes | None = None) -> Any:
        said = {"sub": who, "aud": AUDIENCE, "exp": time.time() + 600}
        heads = {"authorization": f"Bearer {jwt.encode(said, KEY, algorithm='HS256')}", "origin": ORIGIN}
        request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/inbox{path}", data, heads)
        with urllib.request.urlopen(request, timeout=10) as answer:
            raw = answer.read()
        return json.loads(raw) if raw else None

    def messages(self, port: int, who: str) -> list[dict[str, Any]]:
        return list(self.call(port, "", who)["messages"])


@pytest.fixture
def shop(kafka: str, tmp_path: Path) -> Iterator[Inboxes]:
    one = Inboxes(kafka, tmp_path)
    try:
        one.start()
        yield one
    finally:
        one.cluster.stop()


def test_a_message_is_read_and_answered_at_any_collector_and_goes_with_its_customer(shop: Inboxes) -> None:
    here, there = shop.ports
    shop.did("product_viewed", "anneli", "bobbie")
    [message] = wait_for(lambda: shop.messages(here, "anneli"), 60, "the message is there")
    assert message["payload"]["title"] == "Hello" and not message["seen"]
    wait_for(lambda: shop.messages(there, "bobbie"), 30, "the other collector has them too")
    wait_for(lambda: shop.ends("anneli", "note") == [("sent", "")], 30, "it is reported as sent")
    with pytest.raises(urllib.error.HTTPError) as refused:
        shop.call(there, f"/{message['id']}/clicked", "bobbie", b"")
    assert refused.value.code == 404
    refused.value.close()

    shop.call(there, f"/{message['id']}/clicked", "anneli", b"")
    wait_for(lambda: shop.messages(here, "anneli")[0]["clicked"], 30, "the first collector knows of the click")
    kinds = [json.loads(one.value)["type"] for one in shop.records(shop.cluster.topics.collected)]
    assert sorted(kinds) == ["message_clicked", "message_delivered", "message_delivered"]

    late = free_port()
    shop.collector(late)
    assert [one["clicked"] for one in shop.messages(late, "anneli")] == [True]
    [other] = shop.messages(late, "bobbie")
    shop.call(late, f"/{other['id']}/dismissed", "bobbie", b"")
    assert shop.messages(late, "bobbie") == []

    shop.cluster.run("erase", "anneli", "--kafka", "--yes", "--prefix", shop.cluster.prefix)
    for port in (here, there, late):
        wait_for(lambda port=port: not shop.messages(port, "anneli"), 60, "who is forgotten has no messages")
    keys = wait_for(
        lambda: (found := shop.keys(shop.cluster.topics.inbox)) and f"message/{message['id']}" not in found and found,
        30,
        "the topic lets go of them",
    )
    assert keys == {f"message/{other['id']}", f"state/{other['id']}", "forgotten/anneli"}
