"""Whatever stands on `delivery`: it ends with a receipt that says why, and the next message goes out."""

from typing import Any

import msgspec
import pytest
from aiokafka import ConsumerRecord

from agents.senders.delivery import delivered, readable
from models.command import Cancel
from pipeline.sending.lane import SenderLane
from pipeline.sending.protocol import Delivered
from pipeline.sending.render import Renderer, RenderError
from pipeline.sending.stage import SenderStage
from tests.sending.build import PLAN, Bench, FakeClock, FakeLog, FakeProvider, command, mark

FIVE_MB = {"name": "x" * 5_000_000}


def stored(name: str) -> Renderer:
    """Only one plan is on the topic."""
    if name != "plan":
        raise RenderError(f"the plan {name} is not in plans: `parcours apply` its files again")
    return Renderer(PLAN)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"template": "cart/nowhere"}, "template: the template cart/nowhere is missing in en"),
        ({"channel": "fax"}, "channel: no sender has it"),
        ({"plan": "older"}, "template: the plan older is not in plans"),
        ({"address": None}, "address: "),
        ({"address": "lea at shop"}, "address: "),
        ({"address": "lea@shop.example\r\nBcc: all@shop.example"}, "address: "),
        ({"template": "cart/broken", "data": {"total": 1, "zero": 0}}, "template: cart/broken.en.txt"),
        ({"data": FIVE_MB}, "data: 5000011 bytes, a command takes 262144"),
        ({"data": FIVE_MB, "channel": "fax"}, "channel: no sender has it"),
        ({"language": "../../etc/passwd", "template": "cart/nowhere"}, "template: "),
    ],
)
async def test_it_is_rejected_with_its_reason_and_the_next_goes_out(more: dict[str, Any], reason: str) -> None:
    log, provider = FakeLog(), FakeProvider()
    bad, good = command(1, **more), command(2)
    log.put(bad, good, mark())
    lane = SenderLane(SenderStage("email", provider, stored), log, FakeClock(), log.progress())
    while await lane.round():
        pass
    assert log.states(bad) == ["rejected"]
    assert log.last(bad).reason.startswith(reason)
    assert len(log.last(bad).reason) < 300, "a reason is no place for a message"
    assert log.states(good) == ["intent", "sent"]
    assert log.progress().waiting == ()


async def test_a_channel_that_is_some_senders_is_left_to_it() -> None:
    bench, other = Bench(), command(1, channel="web")
    bench.log.put(other, mark())
    await bench.settle()
    assert bench.log.states(other) == []


async def test_a_webhook_of_5_mb_is_rejected_before_any_call() -> None:
    provider = FakeProvider()
    log, bad = FakeLog(), command(1, channel="webhook", template="cart/none", data=FIVE_MB)
    log.saved = b'{"channel":"webhook","partition":0}'
    log.put(bad, mark())
    lane = SenderLane(SenderStage("webhook", provider, stored), log, FakeClock(), log.progress())
    while await lane.round():
        pass
    assert log.states(bad) == ["rejected"]
    assert provider.calls == []


async def test_a_record_that_says_nothing_is_passed_over() -> None:
    bench, one = Bench(), command()
    bench.log.put(one, mark())
    real = bench.log.read

    async def with_a_hole(limit: int, wait_ms: int) -> list[Delivered]:
        found = await real(limit, wait_ms)
        return [Delivered(0, None), *(Delivered(each.offset + 1, each.record) for each in found)] if found else []

    bench.log.read = with_a_hole  # type: ignore[method-assign]
    await bench.settle()
    assert bench.log.states(one) == ["intent", "sent"]


def record(value: bytes | None) -> ConsumerRecord:
    return ConsumerRecord("delivery", 0, 7, 0, 0, None, value, None, 0, 0, ())


@pytest.mark.parametrize("value", [None, b"", b"\xff", b"{}", b"[1]", b'{"kind":"fax"}', b'{"kind":"command","id":1}'])
def test_what_is_no_record_of_ours_is_read_as_none(value: bytes | None) -> None:
    assert delivered(record(value)) == Delivered(7, None)
    assert delivered(record(msgspec.json.encode(command()))) == Delivered(7, command())
    assert readable(msgspec.json.Decoder(Cancel), record(value)) is None
