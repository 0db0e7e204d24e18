"""The services of the compose file as processes, with its own words: events in at one end, a mail out at the other."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiosmtpd.controller import Controller

from agents.localkafka import free_port
from tests.broker.cluster import wait_for
from tests.broker.histories import Mailbox
from tests.deploy.accepting import ROOT
from tests.deploy.secured import SecuredBroker
from tests.deploy.test_compose import OURS, SERVICES
from tests.docs.page import Reader

pytestmark = [pytest.mark.broker, pytest.mark.timeout(400)]
ORDER = ["ingest", "journeys-0", "journeys-1", "sender-email", "projector", "console", "collector"]
MINUTE_MS = 60_000


class Stack:
    """Runs services; what a container's network and volumes would give is put in the words' place."""

    def __init__(self, bootstrap: str, relay: int, folder: Path):
        self.relay, self.folder = relay, folder
        self.places = {"kafka:9092": bootstrap, "mail:1025": f"127.0.0.1:{relay}", "0.0.0.0": "127.0.0.1"}
        self.read_model = folder / "projector" / "console.sqlite"
        self.places["postgresql://parcours@database/parcours"] = f"sqlite:///{self.read_model}"
        self.console = free_port()
        self.metrics: dict[str, int] = {}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def words(self, service: str) -> list[str]:
        data, port = self.folder / service, str(self.metrics.setdefault(service, free_port()))
        data.mkdir(exist_ok=True)
        changed = {
            "/data": str(data),
            "/app/": f"{ROOT}/",
            "9400": port,
            "8421": str(free_port()),
            "8420": str(self.console),
            **self.places,
        }
        words = list(SERVICES[service]["command"])
        for old, new in changed.items():
            words = [word.replace(old, new) for word in words]
        return [sys.executable, "-m", "agents.cli.main", *words]

    def environment(self, service: str) -> dict[str, str]:
        said = {}
        for name, value in SERVICES[service]["environment"].items():
            said[name] = re.sub(r"\$\{\w+:-(.*)\}", r"\1", self.places.get(value, value))
        return {**os.environ, "PYTHONPATH": str(ROOT), **said}

    def start(self, service: str) -> None:
        # A working folder that holds nothing, as a container's root cannot be written.
        with (self.folder / f"{service}.log").open("wb") as log:
            self.processes[service] = subprocess.Popen(
                self.words(service), env=self.environment(service), cwd=self.folder, stdout=log, stderr=log
            )

    def run(self, service: str) -> None:
        done = subprocess.run(
            self.words(service), env=self.environment(service), cwd=self.folder, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    def ready(self, service: str) -> bool:
        assert self.processes[service].poll() is None, (self.folder / f"{service}.log").read_text()[-2000:]
        with suppress(httpx.HTTPError):
            return httpx.get(f"http://127.0.0.1:{self.metrics[service]}/readyz", timeout=2).status_code == 200
        return False

    def parcours(self, *words: str) -> str:
        full = [sys.executable, "-m", "agents.cli.main", *words]
        done = subprocess.run(
            full, env=self.environment("ingest"), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def stop(self) -> None:
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def mail_catcher() -> Iterator[tuple[int, Mailbox]]:
    port, mailbox = free_port(), Mailbox()
    relay = Controller(mailbox, hostname="127.0.0.1", port=port)
    relay.start()
    try:
        yield port, mailbox
    finally:
        relay.stop()


def order(at: int) -> list[tuple[str, dict[str, Any]]]:
    """A customer with an address who orders: the confirmation is transactional, and needs no consent."""
    person = {"customer": "anna", "email": "anna@private.example", "occurred_at": at}
    bought = {"customer": "anna", "order_id": "o1", "total": 20, "occurred_at": at + 1}
    return [
        ("customers", {"type": "customer_signed_up", **person}),
        ("orders", {"type": "order_placed", **bought, "items": [{"product_id": "p1", "price": 20, "quantity": 1}]}),
    ]


def known_to(read_model: Path) -> list[str]:
    with closing(sqlite3.connect(f"file:{read_model}?mode=ro", uri=True, timeout=15)) as connection:
        return [row[0] for row in connection.execute("select distinct customer from commands")]


def publish(bootstrap: str, records: list[tuple[str, dict[str, Any]]]) -> None:
    import asyncio

    from agents.kafka import clients

    async def send() -> None:
        producer = clients.producer(bootstrap)
        await producer.start()
        for topic, row in records:
            await producer.send_and_wait(topic, json.dumps(row).encode(), key=row["customer"].encode())
        await producer.stop()

    asyncio.run(send())


def test_an_order_becomes_a_mail_and_the_pages_commands_work_there(
    secured: SecuredBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert set(ORDER) | {"topics"} == set(OURS), "a service was added: start it here too"
    with mail_catcher() as (relay, mailbox):
        stack = Stack(secured.inner, relay, tmp_path)
        try:
            stack.run("topics")
            for service in ORDER[:-1]:
                stack.start(service)
            wait_for(lambda: stack.ready("ingest"), 60, "ingest is healthy: the collector waits for it")
            stack.start(ORDER[-1])
            for service in ORDER:
                wait_for(lambda one=service: stack.ready(one), 120, f"{service} is ready")  # type: ignore[misc]
            publish(secured.inner, order(time.time_ns() // 1_000_000))
            wait_for(lambda: mailbox.commands, 90, "the mail arrives")
            sent = [json.loads(line) for line in stack.parcours("commands", "--kafka", "--json").splitlines()]
            assert mailbox.commands[0] in {row["id"] for row in sent}
            wait_for(lambda: known_to(stack.read_model) == ["anna"], 60, "the read model knows her")
            page = f"http://127.0.0.1:{stack.console}/"
            assert httpx.get(page).status_code == 401
            token = (tmp_path / "console" / "console.token").read_text()
            assert httpx.get(page, params={"token": token}, follow_redirects=True).status_code == 200
            monkeypatch.setenv("KAFKA_BOOTSTRAP", secured.inner)
            reader = Reader(ROOT, tmp_path)
            reader.follow(ROOT / "docs/deploy/upgrade.md")
            assert reader.ran == 6, "the commands of the page were run, on this stack"
            (tmp_path / "bin" / "parcours").unlink()
            (tmp_path / "bin").rmdir()
            assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == set(ORDER) | {"topics"}
        finally:
            stack.stop()
        codes = {service: process.returncode for service, process in stack.processes.items()}
        assert codes == dict.fromkeys(ORDER, 0), "told to stop, each ends well"
