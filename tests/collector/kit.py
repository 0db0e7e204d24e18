"""A collector over an intake in memory, with a clock that is moved by hand."""

from collections.abc import Sequence
from typing import Any

import httpx
from starlette.routing import Route

from agents.collector.app import build
from agents.collector.hub import Hub
from agents.collector.limits import Gate
from models.settings import SettingsSpec
from pipeline.intake.mapper import Mapper, validator_for
from pipeline.intake.mapping import load_mapping
from pipeline.intake.record import SourceRecord
from pipeline.sending.hearing import Heard, IntakeError
from pipeline.sending.links import About, Links
from pipeline.sending.suppressions import SuppressionTable
from tests.sending.build import T0, command

LINKS = Links(b"s" * 32)
BASE = "https://m.shop.example"
PERSON = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
ADDRESS = LINKS.address_hash("email", "c1@shop.example")
ABOUT = About(command(1).id, "c1", "email", "cart", "hello", "marketing", T0, ADDRESS)


class MemoryIntake:
    """Keeps what was heard, as native events that the real mapper has read; `broken` takes nothing."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self.events: list[dict[str, Any]] = []
        self.table = SuppressionTable(LINKS)
        self.broken = False
        self._mapper = Mapper(load_mapping("native"), "collected", validator_for("EUR"))

    async def accept(self, heard: Sequence[Heard]) -> None:
        import msgspec

        if self.broken:
            raise IntakeError("the disk is full")
        for one in heard:
            self.heard.append(one)
            for row in one.suppress:
                self.table.put(row)
            for key in one.lift:
                self.table.lift(key)
            if one.event is not None:
                record = SourceRecord(source="collected", offset=len(self.events), value=msgspec.json.encode(one.event))
                (event,) = self._mapper.feed(record)
                assert not hasattr(event, "reason"), event
                self.events.append({"type": event.type, "customer": event.customer, "id": event.id, "at": event.at, **event.data})  # type: ignore[union-attr]  # fmt: skip


class Desk:
    """A hub, its application, and a client that a person could be using."""

    def __init__(self, *routes_of: Any, **more: Any):
        self.now = T0 + 60_000
        self.seconds = 0.0
        self.intake = MemoryIntake()
        said: dict[str, Any] = {
            "settings": SettingsSpec.model_validate({"store": {"name": "Shop & Co", "url": "https://shop.example"}}),
            "base": BASE,
            "channels": ["email", "sms"],
            "clock_ms": lambda: self.now,
            "gate": Gate(lambda: self.seconds),
        }
        self.hub = Hub(LINKS, self.intake, **(said | more))
        routes: list[Route] = [route for make in routes_of for route in make(self.hub)]
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(build(self.hub, *routes), raise_app_exceptions=False),
            base_url=BASE,
            headers={"user-agent": PERSON},
        )

    def token(self, kind: str, about: About = ABOUT) -> str:
        return LINKS.seal(kind, about)

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in self.intake.events]


def refusals() -> dict[tuple[str, str], float]:
    """Return the counter of refused requests, by route and cause."""
    from agents import metrics

    return {
        (sample.labels["route"], sample.labels["why"]): sample.value
        for metric in metrics.REFUSED.collect()
        for sample in metric.samples
        if sample.name.endswith("_total")
    }
