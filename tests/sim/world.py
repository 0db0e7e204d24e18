"""A small store from one seed, run by the embedded host, which can be killed between any two of its effects."""

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from pipeline.engine.plan import Plan
from pipeline.intake.mapper import Mapper, validator_for
from pipeline.intake.mapping import load_mapping
from pipeline.intake.record import SourceRecord
from pipeline.journal.records_clock import IngestState, Input, SourcePosition
from pipeline.runtime import carry, embedded, plans
from pipeline.runtime.embedded import EmbeddedPipeline
from pipeline.runtime.embedded_options import EmbeddedOptions
from pipeline.runtime.folder import Folder
from pipeline.scenario.compile import compile_plan
from pipeline.scenario.sources import PlanSources, read_sources
from pipeline.sending.outcome import Message, Outcome
from pipeline.store.codec import PROGRESS, decode_progress, encode_progress

T0 = 1_700_000_000_000
MINUTE = 60_000
DAY = 24 * 60 * MINUTE
SCENARIOS = Path(__file__).parents[2] / "scenarios"
CUSTOMERS = 12


class Killed(BaseException):
    """The process died here: nothing of the program may catch it."""


@dataclass
class Fuse:
    """Counts effects on the world outside, and kills the process before or after one of them."""

    at: int | None = None
    after: bool = False
    effects: int = 0

    @contextmanager
    def effect(self) -> Iterator[None]:
        number, self.effects = self.effects, self.effects + 1
        if number == self.at and not self.after:
            raise Killed
        yield
        if number == self.at and self.after:
            raise Killed


@dataclass
class Provider:
    """A provider that remembers every call; `idempotent` says whether it takes the command id as a key."""

    fuse: Fuse
    idempotent: bool = True
    name: str = "fake"
    needs_address: bool = False
    at_once: int = 1
    key_holds_ms: int = 0
    rate: float | None = None
    calls: list[str] = field(default_factory=list)

    async def send(self, message: Message) -> Outcome:
        with self.fuse.effect():
            self.calls.append(message.command)
        return Outcome("accepted", provider_id=f"<{message.command}>")

    async def close(self) -> None:
        """Nothing is open."""


def plan(**overrides: str) -> PlanSources:
    return read_sources(SCENARIOS, {"consent_default": "granted", "require_address": "false", **overrides})


def _event(dice: random.Random, at: int, number: int) -> dict[str, Any]:
    customer = f"c{dice.randrange(CUSTOMERS)}"
    # Some claims are older than the record: read early or late, they mean the same.
    said = {"customer": customer, "occurred_at": at - dice.choice((0, 0, 0, 5 * MINUTE, 3 * 60 * MINUTE))}
    items = [{"product_id": f"p{dice.randrange(6)}", "price": dice.randrange(5, 90), "quantity": 1}]
    order = f"o{number // 4}"
    what: dict[str, dict[str, Any]] = {
        "cart_updated": {"items": items * dice.randrange(0, 3)},
        "order_placed": {"order_id": order, "items": items, "total": items[0]["price"]},
        "order_shipped": {"order_id": order, "carrier": "post", "expected_at": at + 3 * DAY},
        "order_delivered": {"order_id": order},
        "product_viewed": {"product_id": "p1", "price": 9},
        "customer_signed_up": {"email": f"{customer}@shop.example", "first_name": "Ada"},
        "erasure_requested": {},
    }
    kind = dice.choices(tuple(what), (8, 3, 2, 2, 4, 2, 0.2))[0]
    return {"type": kind, **said, **what[kind]}


def records(seed: int, count: int) -> list[SourceRecord]:
    """Return a store's records in the order of time; one in forty cannot be read."""
    dice = random.Random(seed)
    at, found = T0, []
    for number in range(count):
        at += dice.choice((0, 1_000, MINUTE, 10 * MINUTE, 2 * 60 * MINUTE))
        value = b"{broken" if dice.random() < 0.025 else json.dumps(_event(dice, at, number)).encode()
        found.append(SourceRecord(source="shop", offset=number, timestamp_ms=at, value=value))
    return found


@dataclass
class World:
    """One data folder, its inputs, and what happened to the outside."""

    data: Path
    inputs: list[SourceRecord]
    sources: PlanSources
    fuse: Fuse = field(default_factory=Fuse)
    idempotent: bool = True
    calls: list[str] = field(default_factory=list)

    def _inputs(self, state: IngestState, _: Folder) -> list[Input]:
        start = state.positions.get("shop/0", SourcePosition()).first
        mapper = Mapper(load_mapping("native"), "shop", validator_for("EUR"))
        return [Input(source="shop", partition=0, records=iter(self.inputs[start:]), mapper=mapper)]

    def options(self) -> EmbeddedOptions:
        provider = Provider(self.fuse, self.idempotent, calls=self.calls)
        return EmbeddedOptions(
            data=self.data, plan=self.sources, inputs=self._inputs, provider=lambda _: provider, advance_ms=7 * DAY
        )

    def run(self) -> None:
        """Run to the end of the inputs, or until the fuse blows."""
        pipeline = EmbeddedPipeline.open(self.options())
        try:
            while pipeline.step():
                pass
            pipeline.finish()
        finally:
            pipeline.close()

    def run_killed(self) -> bool:
        """Run, and say whether the process was killed."""
        try:
            self.run()
        except Killed:
            return True
        return False

    def content(self) -> dict[bytes, bytes]:
        """Return every key and value of the store but the lineage, which is random."""
        folder = Folder(self.data, read_only=True)
        found = dict(folder.db.items())
        folder.close()
        found[PROGRESS] = encode_progress(replace(decode_progress(found[PROGRESS]), lineage=""))
        return found


def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every slice so small that a short history has many of each."""
    monkeypatch.setattr(embedded, "SLICE_RECORDS", 25)
    monkeypatch.setattr(embedded, "SLICE_CUSTOMERS", 2)
    monkeypatch.setattr(embedded, "FEEDBACK_MAX", 3)
    monkeypatch.setattr(carry, "ROUND_MAX", 3)


def compile_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compile a plan once for all runs: it is most of the time of a restart."""
    known: dict[str, Plan] = {}

    def compiled(sources: PlanSources) -> Plan:
        if sources.hash not in known:
            known[sources.hash] = compile_plan(sources)
        return known[sources.hash]

    monkeypatch.setattr(plans, "compile_plan", compiled)
