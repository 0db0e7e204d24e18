"""The collector of a cluster: one click stops what is queued and what would come, and what is forged changes nothing."""

import asyncio
import hashlib
import hmac
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agents.kafka import clients
from agents.kafka.tables import whole_topic
from agents.localkafka import free_port
from models.command import Command
from models.ids import partition_of
from models.receipt import FINAL, Receipt
from pipeline.sending.links import REFERENCE, About, Links
from tests.broker.cluster import Cluster, wait_for
from tests.collector.kit import PERSON

pytestmark = [pytest.mark.broker, pytest.mark.timeout(240)]
PARTITIONS = 2
SECRET = "s" * 64
LINKS = Links(SECRET.encode())
MAILGUN = "a-signing-key"
SECONDS = 5.0
ONE_CLICK = b"List-Unsubscribe=One-Click"
PLAN = {
    "settings.yaml": 'store: {name: Shop, url: "https://shop.example"}\ncollector: {url: "BASE"}\n',
    "news/scenario.yaml": "scenario: news\ntitle: News\npurpose: marketing\nenter: {on: product_viewed, again: always}\n"
    "steps:\n  - send: hello\n    channel: email\n",
    # Its messages wait for a person: they are what stands in the queue.
    "offer/scenario.yaml": "scenario: offer\ntitle: Offer\npurpose: marketing\napprove_first: 20\n"
    "enter: {on: search_performed, again: always}\nsteps:\n  - send: hello\n    channel: email\n",
    "order/scenario.yaml": "scenario: order\ntitle: Order\npurpose: transactional\n"
    "enter: {on: order_placed, again: always}\nsteps:\n  - send: hello\n    channel: email\n",
}
TEXT = '---\nsubject: "Hello"\n---\nHello{% if unsubscribe_url %}, to stop: {{ unsubscribe_url }}{% endif %}\n'
HTML = '<html><body><a href="https://shop.example/p">Look</a></body></html>'


def write_plan(folder: Path, base: str) -> None:
    for name, text in PLAN.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("BASE", base))
        if path.parent != folder:
            (path.parent / "hello.en.txt").write_text(TEXT)
            (path.parent / "hello.en.html").write_text(HTML)


def asked(url: str, data: bytes | None = None, **heads: str) -> int:
    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: Any) -> None:
            return None

    request = urllib.request.Request(url, data, {"user-agent": PERSON, **heads})
    try:
        with urllib.request.build_opener(Stay).open(request, timeout=10) as answer:
            answer.read()
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except urllib.error.URLError:
        return 0


class Shop:
    """A whole cluster with a collector, its sender's outbox, and what its topics hold."""

    def __init__(self, kafka: str, folder: Path):
        self.folder = folder
        self.port, self.metrics = free_port(), free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        write_plan(folder / "plan", self.base)
        self.cluster = Cluster(kafka, folder, [{"name": "shop", "mapping": "native", "delay": "1s"}], {})
        self.cluster.topics_apply(PARTITIONS)
        self._number = 0

    def start(self) -> None:
        cluster = self.cluster
        secret = {"PARCOURS_SECRET": SECRET, "PARCOURS_MAILGUN_KEY": MAILGUN}
        cluster.start("ingest", "--plan", self.folder / "plan", "--sources", cluster.sources)
        cluster.journeys("a")
        wait_for(lambda: "plan" in self.keys(cluster.topics.plans), 60, "the plan is live")
        cluster.start("sender", "--outbox", self.folder / "outbox", env=secret)
        words = ("collector", "--port", str(self.port), "--metrics-port", str(self.metrics))
        cluster.start(*words, env=secret)
        wait_for(lambda: asked(f"{self.base}/livez") == 200, 60, "the collector listens")

    def records(self, topic: str) -> list[Any]:
        async def read() -> list[Any]:
            return [one async for one in whole_topic(self.cluster.bootstrap, [topic])]

        return asyncio.run(read())

    def keys(self, topic: str) -> set[str]:
        """Return a compacted topic's keys; a plan's is shown as `plan`."""
        found = {(one.key or b"").decode(): one.value for one in self.records(topic)}
        return {"plan" if key == "live" else key for key, value in found.items() if value is not None}

    def publish(self, *rows: dict[str, Any]) -> None:
        async def send() -> None:
            producer = clients.producer(self.cluster.bootstrap)
            await producer.start()
            for row in rows:
                said = json.dumps({**row, "occurred_at": time.time_ns() // 1_000_000}).encode()
                await producer.send(self.cluster.topic_of["shop"], said, partition=partition_of(row["customer"], 2))
            await producer.stop()

        asyncio.run(send())

    def sign_up(self, *names: str) -> None:
        self.publish(
            *[
                {"type": "customer_signed_up", "customer": one, "email": f"{one}@shop.example"}
                | {"consents": [{"for_channel": "email", "given": True}]}
                for one in names
            ]
        )

    def did(self, kind: str, *names: str) -> None:
        self._number += 1
        more = {"product_viewed": {"product_id": "p"}, "search_performed": {"query": "mug"}}
        more["order_placed"] = {"order_id": f"o{self._number}", "total": 20}
        self.publish(*[{"type": kind, "customer": one, **more[kind]} for one in names])

    def mails(self, to: str, scenario: str) -> list[Any]:
        ours = {one.id for one in self.commands(to, scenario)}
        found = [message_from_bytes(one.read_bytes(), policy=policy.default) for one in self.outbox()]
        return [one for one in found if one["X-Parcours-Command"] in ours]

    def outbox(self) -> list[Path]:
        return sorted((self.folder / "outbox").glob("*.eml"))

    def commands(self, customer: str, scenario: str) -> list[Command]:
        rows = [json.loads(one.value) for one in self.records(self.cluster.topics.delivery)]
        found = [msgspec.convert(one, Command) for one in rows if one["kind"] == "command"]
        return [one for one in found if (one.customer, one.scenario) == (customer, scenario)]

    def ends(self, customer: str, scenario: str) -> list[tuple[str, str]]:
        rows = [msgspec.json.decode(one.value, type=Receipt) for one in self.records(self.cluster.topics.receipts)]
        mine = [one for one in rows if (one.customer, one.scenario) == (customer, scenario)]
        return [(one.state, one.reason) for one in mine if one.state in FINAL]

    def refused(self) -> float:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(one.split()[-1]) for one in lines if one.startswith("parcours_collector_refused_total"))

    def told(self) -> tuple[int, int]:
        topics = self.cluster.topics
        return len(self.records(topics.collected)), len(self.records(topics.suppressions))

    def webhook(self, command: Command, token: str, key: str = MAILGUN, **event: Any) -> int:
        """Tell of a command as Mailgun does."""
        address = LINKS.address_hash("email", command.address or "")
        about = About(
            command.id, command.customer, "email", command.scenario, command.step, command.purpose, 1, address
        )
        stamp = str(int(time.time()))
        signature = hmac.new(key.encode(), f"{stamp}{token}".encode(), hashlib.sha256).hexdigest()
        data = {"id": token, "timestamp": time.time(), "user-variables": {"parcours": LINKS.seal(REFERENCE, about)}}
        said = {"signature": {"timestamp": stamp, "token": token, "signature": signature}, "event-data": data | event}
        return asked(f"{self.base}/webhooks/mailgun", json.dumps(said).encode())


@pytest.fixture(scope="module")
def shop(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PARCOURS_SECRET", SECRET)
        yield from running(kafka, tmp_path_factory)


def running(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    one = Shop(kafka, tmp_path_factory.mktemp("collector"))
    try:
        one.start()
        one.sign_up("anneli", "bobbie", "cidney", "dottie")
        one.did("product_viewed", "anneli", "bobbie", "cidney", "dottie")
        wait_for(lambda: len(one.outbox()) == 4, 60, "everybody has the news")
        yield one
    finally:
        one.cluster.stop()


def way_out(shop: Shop, customer: str) -> str:
    mail = shop.mails(customer, "news")[0]
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    html = mail.get_body(("html",)).get_content()
    assert f"{shop.base}/c/" in html and f"{shop.base}/o/" in html and "https://shop.example/p" not in html
    return str(mail["List-Unsubscribe"]).strip("<>")


def test_a_get_changes_nothing_and_one_post_stops_queued_and_later_marketing_and_orders_are_confirmed(
    shop: Shop,
) -> None:
    url = way_out(shop, "anneli")
    shop.did("search_performed", "anneli", "bobbie")
    wait_for(
        lambda: shop.commands("anneli", "offer") and shop.commands("bobbie", "offer"), 30, "an offer is in the queue"
    )
    before = shop.told()
    assert asked(url) == 200
    assert (shop.told(), shop.ends("anneli", "offer")) == (before, [])
    assert asked(url, ONE_CLICK) == 200
    posted = time.monotonic()
    wait_for(lambda: shop.ends("anneli", "offer"), SECONDS, "the queued offer is taken back")
    assert time.monotonic() - posted < SECONDS
    assert shop.ends("anneli", "offer")[0] in {("rejected", "suppressed: unsubscribed"), ("cancelled", "cancelled by the engine")}  # fmt: skip
    shop.did("product_viewed", "anneli", "bobbie")
    shop.did("order_placed", "anneli", "bobbie")
    wait_for(lambda: len(shop.mails("bobbie", "news")) == 2, 30, "the other one has the next news")
    wait_for(lambda: shop.mails("anneli", "order") and shop.mails("bobbie", "order"), 30, "orders are confirmed")
    assert len(shop.mails("anneli", "news")) == 1
    assert shop.mails("anneli", "order")[0]["List-Unsubscribe"] is None
    assert shop.ends("bobbie", "offer") == [], "hers still waits for a person"
    reasons = [one["reason"] for one in shop.cluster.rows("decisions") if one["customer"] == "anneli"]
    assert "no_consent" in reasons, "the engine has taken note too"


def test_a_changed_link_and_a_forged_or_replayed_webhook_are_refused_counted_and_change_nothing(shop: Shop) -> None:
    url, [news] = way_out(shop, "cidney"), shop.commands("cidney", "news")
    assert shop.webhook(news, "told-once", event="delivered") == 200
    before, refused = shop.told(), shop.refused()
    assert asked(url[:-3] + "AAA", ONE_CLICK) == 404
    assert asked(url.replace("/u/", "/c/")) == 404
    assert shop.webhook(news, "forged", key="another-key", event="complained") == 403
    assert shop.webhook(news, "told-once", event="delivered") == 409
    assert shop.told() == before
    assert shop.refused() == refused + 4
    shop.did("product_viewed", "cidney")
    wait_for(lambda: len(shop.mails("cidney", "news")) == 2, 30, "the news still come")


def test_a_hard_bounce_stops_every_message_at_once_and_a_complaint_marketing_alone(shop: Shop) -> None:
    assert shop.webhook(shop.commands("cidney", "news")[0], "hard", event="failed", severity="permanent") == 200
    assert shop.webhook(shop.commands("dottie", "news")[0], "spam", event="complained") == 200
    shop.did("order_placed", "cidney", "dottie")
    wait_for(lambda: shop.ends("cidney", "order") and shop.mails("dottie", "order"), 30, "both orders are at their end")
    assert shop.ends("cidney", "order") == [("rejected", "suppressed: bounced")]
    shop.did("product_viewed", "bobbie", "dottie")
    wait_for(lambda: len(shop.ends("bobbie", "news")) == 3, 30, "the other one has the next news")
    assert [state for state, _ in shop.ends("dottie", "news")].count("sent") == 1
    lift = ("suppressions", "lift", "cidney@shop.example", "--kafka", "--prefix", shop.cluster.prefix)
    assert shop.cluster.run(*lift) == "lifted: bounced\n"
    assert shop.cluster.run(*lift) == "nothing is held against this address\n"
    shop.did("order_placed", "cidney")
    wait_for(lambda: shop.mails("cidney", "order"), 30, "the order after that is confirmed")
    values = [one.value for one in shop.records(shop.cluster.topics.suppressions)]
    assert all(b"shop.example" not in (one or b"") for one in values), "no address is kept"


def test_logs_of_the_collector_name_no_address_token_or_customer(shop: Shop) -> None:
    said = shop.cluster.log_of("collector") + shop.cluster.log_of("sender")
    assert all(secret not in said for secret in ("@shop.example", "/u/", "anneli"))
