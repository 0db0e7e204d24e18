"""Quiet hours are looked at again when a message is about to go: a queue may have been slow."""

from models.command import Command
from pipeline.scenario.sources import PlanSources
from pipeline.sending.render import Renderer
from tests.sending.build import HOUR, PLAN, T0, Bench, command, mark

# T0 is 15:13 by the clock in London, 23:13 in Tokyo.
QUIET = """\
store: {name: Shop, url: 'https://shop.example'}
timezone: Europe/London
quiet_hours: {from: "21:00", to: "08:00", channels: [email]}
"""
SOURCES = PlanSources({**PLAN.files, "settings.yaml": QUIET})


def bench(now: int, *commands: Command) -> Bench:
    found = Bench(plan=SOURCES)
    found.clock.wall = now
    found.log.put(*commands, mark(now))
    return found


async def test_marketing_that_was_slow_waits_for_the_end_of_the_quiet_hours_and_orders_are_confirmed() -> None:
    long = {"valid_until": T0 + 30 * HOUR}
    late, order = command(1, **long), command(2, purpose="transactional", **long)
    one = bench(T0 + 7 * HOUR, late, order)
    await one.settle()
    assert (one.log.states(late), one.log.last(late).reason) == (["held"], "quiet hours")
    assert one.log.last(order).state == "sent"
    for hours, state in ((9, "held"), (1, "sent")):
        one.clock.pass_ms(hours * HOUR)
        one.log.put(mark(one.clock.wall))
        await one.settle()
        assert one.log.last(late).state == state
    assert one.log.states(late) == ["held", "intent", "sent"]


async def test_it_is_the_customers_own_clock_that_counts() -> None:
    tokyo, london = command(1, timezone="Asia/Tokyo"), command(2)
    one = bench(T0, tokyo, london)
    await one.settle()
    assert (one.log.last(tokyo).state, one.log.last(london).state) == ("held", "sent")


async def test_what_is_no_longer_valid_when_they_end_expires() -> None:
    late = command(1, valid_until=T0 + 12 * HOUR)
    one = bench(T0 + 7 * HOUR, late)
    await one.settle()
    one.clock.pass_ms(10 * HOUR)
    await one.settle()
    assert one.log.states(late) == ["held", "expired"]


async def test_under_the_records_clock_the_engine_has_said_all_there_is_to_say() -> None:
    one = Bench(plan=SOURCES)
    one.clock.wall = T0 + 8 * HOUR
    one.log.put(command(1), mark(records=True))
    await one.settle()
    assert one.log.last(command(1)).state == "sent"


def test_channels_that_are_not_named_have_none() -> None:
    renderer = Renderer(SOURCES)
    assert renderer.is_quiet(command(1), T0 + 8 * HOUR)
    assert not renderer.is_quiet(command(1, channel="push"), T0 + 8 * HOUR)
    assert not Renderer(PLAN).is_quiet(command(1), T0 + 8 * HOUR)
