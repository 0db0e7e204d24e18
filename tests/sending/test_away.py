"""A provider that is away for seconds or hours: it is left alone soon, nothing is lost, and nothing bursts after it."""

import asyncio

import pytest

from agents.senders.providers.gateway import Gateway
from models.senders import GatewaySpec
from pipeline.sending.breaker import SILENT_MS, TROUBLES_MAX, Breaker
from pipeline.sending.outcome import Message, Outcome
from tests.sending.build import HOUR, MINUTE, T0, Bench, FakeProvider, command, mark

DOWN = Outcome("retry", "not connected", trouble=True)


class Away(FakeProvider):
    """Refuses while it is `away`; counts its calls by second."""

    away = True

    async def send(self, message: Message) -> Outcome:
        done = await super().send(message)
        return DOWN if self.away else done


async def settle_at(bench: Bench, step_ms: int) -> None:
    bench.clock.pass_ms(step_ms)
    bench.log.put(mark(bench.clock.wall))
    await bench.settle()


async def test_away_for_six_hours_nothing_valid_is_lost_what_is_not_expires_and_there_is_no_burst() -> None:
    bench = Bench(Away(rate=5))
    short = [command(number, valid_until=T0 + HOUR) for number in range(20)]
    long = [command(100 + number, valid_until=T0 + 24 * HOUR) for number in range(120)]
    bench.log.put(*short, *long, mark())
    await bench.settle()
    for _ in range(6 * 60):
        await settle_at(bench, MINUTE)
    assert len(bench.provider.calls) < 6 * 60 + 60, "it was not left alone"
    assert {bench.log.last(one).state for one in short} == {"expired"}
    assert {bench.log.last(one).reason for one in short} == {"valid_until has passed"}
    assert not {bench.log.last(one).state for one in long if bench.log.states(one)} & {"rejected", "expired"}
    bench.provider.away = False
    gone = len(bench.provider.calls)
    for _ in range(600):
        await settle_at(bench, 1_000)
        assert len(bench.provider.calls) - gone <= 5, "a burst"
        gone = len(bench.provider.calls)
    assert {bench.log.last(one).state for one in long} == {"sent"}


async def test_a_few_messages_outlive_a_provider_that_is_away_longer_than_14_tries_take() -> None:
    bench, one = Bench(Away()), command(valid_until=T0 + 24 * HOUR)
    bench.log.put(one, mark())
    for _ in range(3 * 60):
        await settle_at(bench, MINUTE)
    assert len(bench.provider.calls) > 14
    bench.provider.away = False
    for _ in range(10):
        await settle_at(bench, MINUTE)
    assert bench.log.states(one)[-1] == "sent"


def test_a_provider_that_answers_nobody_is_left_alone_within_10_s_and_taken_up_again_by_an_answer() -> None:
    breaker = Breaker()
    for ticks in range(3):
        breaker.begin(ticks)
    assert not breaker.is_open(SILENT_MS)
    assert breaker.is_open(SILENT_MS + 1) and breaker.room(SILENT_MS + 1, 100) == 0
    assert SILENT_MS < 10_000
    breaker.note(False, 9_000)
    assert not breaker.is_open(9_001) and breaker.room(9_001, 100) == 100


def test_a_slow_provider_that_answers_now_and_then_is_not_in_trouble() -> None:
    breaker = Breaker()
    for ticks in range(0, 60_000, 1_000):
        breaker.begin(ticks)
    for ticks in range(0, 60_000, 5_000):
        breaker.note(False, ticks)
        assert not breaker.is_open(ticks + 4_000)


@pytest.mark.parametrize("dies", ["closed", "silent"])
async def test_whatever_way_it_dies_the_breaker_opens_after_five_calls(dies: str) -> None:
    """Over real sockets: nobody listens any more, or somebody who never answers."""
    held: list[asyncio.StreamWriter] = []

    async def nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)

    server = await asyncio.start_server(nothing, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    if dies == "closed":
        server.close()
        await server.wait_closed()
    gateway = Gateway(GatewaySpec(kind="gateway", url=url, timeout_s=0.2))
    one = Message(command="c", channel="sms", address="+33612345678", at=T0, marketing=False, text="hello")
    outcomes = await asyncio.gather(*[gateway.send(one) for _ in range(TROUBLES_MAX)])
    await gateway.close()
    for writer in held:
        writer.close()
    server.close()
    breaker = Breaker()
    for outcome in outcomes:
        breaker.begin(0)
        breaker.note(outcome.trouble, 0)
    assert breaker.is_open(0)
