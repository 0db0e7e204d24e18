"""One click, end to end in one process: what is queued and what would come stops, orders are still confirmed."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest

from agents.collector.hub import Hub
from agents.collector.serve import embedded_hub
from pipeline.intake.files import FileSource
from pipeline.intake.mapper import Mapper, validator_for
from pipeline.intake.mapping import load_mapping
from pipeline.journal.records_clock import Input
from pipeline.runtime.embedded import EmbeddedPipeline
from pipeline.runtime.embedded_options import EmbeddedOptions
from pipeline.runtime.reading import DataFolder
from pipeline.scenario.sources import PlanSources, read_sources
from pipeline.sending import hearing
from pipeline.sending.hearing import Heard
from pipeline.sending.links import About
from pipeline.sending.outcome import Message, Outcome
from tests.acceptance.running import command, lines_of, parcours
from tests.collector.kit import PERSON
from tests.sending.build import FakeProvider

SHIPPED = Path(__file__).parents[2] / "scenarios"
SECONDS = 5.0
ONE_CLICK = b"List-Unsubscribe=One-Click"


def signed_up(name: str, at: str) -> dict[str, Any]:
    consents = [{"for_channel": "email", "given": True}]
    return {"type": "customer_signed_up", "customer": name, "occurred_at": at, "email": f"{name}@shop.example", "consents": consents}  # fmt: skip


def cart(name: str, at: str, price: int = 20) -> dict[str, Any]:
    return {
        "type": "cart_updated",
        "customer": name,
        "occurred_at": at,
        "items": [{"product_id": "p1", "price": price}],
    }


def order(name: str, at: str) -> dict[str, Any]:
    return {"type": "order_placed", "customer": name, "occurred_at": at, "order_id": f"o-{name}", "total": 20}


BEFORE = [signed_up("c1", "2026-01-05T10:00:00Z"), signed_up("c2", "2026-01-05T10:00:01Z")]
BEFORE += [cart("c1", "2026-01-05T11:00:00Z"), cart("c2", "2026-01-05T11:00:01Z")]
AFTER = [cart("c1", "2026-02-05T11:00:00Z", 21), cart("c2", "2026-02-05T11:00:01Z", 21)]
AFTER += [order("c1", "2026-02-06T11:00:00Z"), order("c2", "2026-02-06T11:00:01Z")]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def wait_for(condition: Callable[[], Any], timeout_s: float, what: str) -> Any:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {timeout_s} s: {what}")


def asked(url: str, data: bytes | None = None) -> tuple[int, str]:
    request = urllib.request.Request(url, data, {"user-agent": PERSON})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, ""
    except urllib.error.URLError:
        return 0, ""


class Shop:
    """One data folder, its input file, and runs over it."""

    def __init__(self, folder: Path):
        self.data, self.rows = folder / "d", folder / "shop.ndjson"
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.written = 0

    def write(self, rows: list[dict[str, Any]]) -> None:
        with self.rows.open("a") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)

    @property
    def said(self) -> list[str]:
        words = ["run", "--data", str(self.data), "--input", str(self.rows), "--mapping", "native", "--no-console"]
        return [*words, "--set", f"collector.url={self.base}"]

    def to_the_end(self, advance: str) -> None:
        done = parcours(*self.said, "--until-end", "--advance", advance)
        assert done.returncode == 0, done.stderr

    @contextmanager
    def listening(self) -> Iterator[None]:
        process = subprocess.Popen(command(*self.said, "--collector-port", str(self.port)), stderr=subprocess.PIPE)
        try:
            wait_for(lambda: asked(f"{self.base}/livez")[0] == 200, 30, "the collector listens")
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                _, said = process.communicate(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        assert process.returncode == 0, said
        for secret in (b"@shop.example", b"/u/", b"c1"):
            assert secret not in said, said

    def mails(self, to: str) -> list[Any]:
        found = [
            message_from_bytes(path.read_bytes(), policy=policy.default) for path in self.data.glob("outbox/*.eml")
        ]
        return [mail for mail in found if mail["To"] == f"{to}@shop.example"]

    def given(self, name: str) -> list[bool]:
        rows = lines_of("customer", "--data", self.data, name)
        return [one["given"] for one in rows[0]["consents"]]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    one = Shop(tmp_path)
    one.write(BEFORE)
    one.to_the_end("2h")
    return one


def test_a_get_changes_nothing_and_one_post_stops_marketing_within_seconds_and_orders_are_confirmed(shop: Shop) -> None:
    mail = next(mail for mail in shop.mails("c1") if mail["List-Unsubscribe"])
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    url = str(mail["List-Unsubscribe"]).strip("<>")
    with shop.listening():
        assert asked(url)[0] == 200
        assert asked(url[:-3], ONE_CLICK)[0] == 404
        time_of_post = time.monotonic()
        assert asked(url, ONE_CLICK)[0] == 200
        wait_for(lambda: shop.given("c1") == [False], SECONDS, "the engine has taken note")
        assert time.monotonic() - time_of_post < SECONDS
    assert shop.given("c2") == [True]
    before = {name: len(shop.mails(name)) for name in ("c1", "c2")}
    shop.write(AFTER)
    shop.to_the_end("3d")
    new = {name: shop.mails(name)[0:] for name in ("c1", "c2")}
    assert len(new["c2"]) - before["c2"] >= 2
    kinds = {name: sorted(bool(one["List-Unsubscribe"]) for one in mails) for name, mails in new.items()}
    assert kinds["c1"].count(False) == kinds["c2"].count(False) >= 1, "orders are confirmed"
    assert kinds["c1"].count(True) < kinds["c2"].count(True)
    reasons = {one["reason"] for one in lines_of("decisions", "--data", shop.data) if one["customer"] == "c1"}
    assert "no_consent" in reasons


def test_what_was_heard_survives_a_kill_and_is_taken_by_the_next_run(shop: Shop) -> None:
    url = str(next(mail for mail in shop.mails("c2") if mail["List-Unsubscribe"])["List-Unsubscribe"]).strip("<>")
    words = command(*shop.said, "--collector-port", str(shop.port))
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    wait_for(lambda: asked(f"{shop.base}/livez")[0] == 200, 30, "the collector listens")
    assert asked(url, ONE_CLICK)[0] == 200
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    shop.to_the_end("2h")
    assert shop.given("c2") == [False]


class Slow:
    """A provider in whose first call everybody else says stop."""

    name, idempotent, needs_address, at_once, rate = "slow", True, True, 1, None

    def __init__(self, names: list[str]):
        self.names = names
        self.hub: Hub | None = None
        self.sent: list[str] = []

    async def send(self, message: Message) -> Outcome:
        if not self.sent and self.hub is not None:
            for customer in self.names:
                if customer != message.customer:
                    await self.hub.hear([self._stop(customer, message)])
        self.sent.append(message.customer)
        return Outcome("accepted", provider_id=message.command)

    def _stop(self, customer: str, message: Message) -> Heard:
        assert self.hub is not None
        address = self.hub.links.address_hash("email", f"{customer}@shop.example")
        about = About("another", customer, "email", message.scenario, message.step, "marketing", message.at, address)
        return hearing.unsubscribed(about, 1, customer)

    async def close(self) -> None:
        """Nothing is open."""


def test_a_stop_reaches_what_stands_in_the_queue_behind_the_mail_that_is_being_sent(tmp_path: Path) -> None:
    rows = tmp_path / "shop.ndjson"
    names = [f"c{number}" for number in range(1, 6)]
    said = [signed_up(name, "2026-01-05T10:00:00Z") for name in names]
    said += [cart(name, f"2026-01-09T11:00:{index:02}Z") for index, name in enumerate(names)]
    rows.write_text("".join(json.dumps(row) + "\n" for row in said))
    shipped = read_sources(SHIPPED, {"collector.url": "https://m.shop.example"}).files
    plan = PlanSources({name: text for name, text in shipped.items() if not name.startswith(("welcome/", "purchase/"))})
    mapper = Mapper(load_mapping("native"), "shop", validator_for("EUR"))
    provider = Slow(names)
    options = EmbeddedOptions(
        data=tmp_path / "d",
        plan=plan,
        inputs=lambda *_: [Input(source="shop", partition=0, records=FileSource(rows, "shop").read(0), mapper=mapper)],
        provider=lambda *_: provider,
        advance_ms=2 * 3_600_000,
    )
    pipeline = EmbeddedPipeline.open(options)
    try:
        provider.hub = embedded_hub(pipeline, plan)
        while pipeline.step():
            pass
        pipeline.finish()
        ends = [
            (one["customer"], one["state"], one.get("reason", "")) for one in DataFolder(pipeline.folder).receipts()
        ]
    finally:
        pipeline.close()
    assert provider.sent == ["c1"]
    assert [one for one in ends if one[1] != "intent"] == [
        ("c1", "sent", ""), *[(name, "rejected", "suppressed: unsubscribed") for name in names[1:]]
    ]  # fmt: skip


def test_an_address_that_the_relay_refuses_for_good_gets_nothing_more_in_the_next_run_either(tmp_path: Path) -> None:
    rows = tmp_path / "shop.ndjson"
    said = [signed_up("c1", "2026-01-05T10:00:00Z"), cart("c1", "2026-01-09T11:00:00Z")]
    rows.write_text("".join(json.dumps(row) + "\n" for row in said))
    plan = read_sources(SHIPPED, {"collector.url": "https://m.shop.example"})
    mapper = Mapper(load_mapping("native"), "shop", validator_for("EUR"))
    provider = FakeProvider(Outcome("rejected", "550 5.1.1 no such user", permanent=True))
    options = EmbeddedOptions(
        data=tmp_path / "d",
        plan=plan,
        inputs=lambda *_: [Input(source="shop", partition=0, records=FileSource(rows, "shop").read(0), mapper=mapper)],
        provider=lambda *_: provider,
        advance_ms=5 * 24 * 3_600_000,
    )
    pipeline = EmbeddedPipeline.open(options)
    try:
        while pipeline.step():
            pass
        pipeline.finish()
        reader = DataFolder(pipeline.folder)
        ends = [one["reason"] for one in reader.receipts() if one["state"] == "rejected"]
    finally:
        pipeline.close()
    assert len(provider.calls) == 1 and len(ends) > 1
    assert set(ends[1:]) == {"suppressed: bounced"}
    pipeline = EmbeddedPipeline.open(options)
    try:
        assert len(pipeline.collected.table) == 1
    finally:
        pipeline.close()
