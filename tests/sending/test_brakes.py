"""The guards against the field's worst day: a test mode, a brake, first messages that are approved, a rate."""

import json
from typing import Any

import pytest

from models.command import Command, Release
from pipeline.errors import PlanError
from pipeline.scenario.compile import compile_plan, read_settings
from pipeline.scenario.sources import PlanSources
from pipeline.sending.brakes import Brakes
from pipeline.sending.guards import NO_GUARD, Guard, guard_of
from pipeline.sending.render import Renderer
from pipeline.sending.stage import Queued, SenderStage
from tests.sending.build import HOUR, MINUTE, PLAN, T0, Bench, FakeProvider, command, mark

SCENARIO = "scenario: cart\ntitle: Cart\npurpose: marketing\nenter: {on: order_placed}\nsteps:\n  - wait: 1d\n"


def plan(lines: str = "", settings: str = "{}", **files: str) -> PlanSources:
    said = {**PLAN.files, "settings.yaml": settings, **files}
    return PlanSources({**said, "cart/scenario.yaml": SCENARIO.replace("title: Cart\n", f"title: Cart\n{lines}")})


def bench(sources: PlanSources, provider: FakeProvider | None = None, **more: Any) -> Bench:
    found = Bench(provider, **more)
    renderer = Renderer(sources)
    found.lane.stage = SenderStage("email", found.provider, lambda name: renderer)
    return found


async def settle(there: Bench, *records: Any) -> None:
    there.log.put(*records, mark(there.clock.now()))
    await there.settle()


def states(there: Bench, of: list[Command]) -> list[str]:
    return [there.log.last(one).state for one in of]


def commands(count: int, first: int = 0, **more: Any) -> list[Command]:
    return [command(first + number, **more) for number in range(count)]


def released(cancel: bool = False) -> Release:
    return Release(id="r", scenario="cart", cancel=cancel, at=T0)


def guard(lines: str = "", settings: str = "{}", **files: str) -> Guard:
    sources = plan(lines, settings, **files)
    return guard_of(sources, read_settings(sources), "cart")


@pytest.mark.parametrize(
    ("lines", "settings", "wanted"),
    [
        ("", "{}", Guard(brake=1_000, is_default=True)),
        ("brake: 50/h\n", "{}", Guard(brake=50)),
        ("brake: off\n", "{}", Guard()),
        ("", "brake: 70/h", Guard(brake=70)),
        ("brake: 50/h\n", "brake: off", Guard(brake=50)),
        ("rate: 120/m\napprove_first: 20\n", "{}", Guard(2.0, 1_000, True, 20)),
    ],
)
def test_a_plan_says_how_fast_a_scenario_may_go(lines: str, settings: str, wanted: Guard) -> None:
    assert guard(lines, settings) == wanted
    assert guard_of(plan(lines), read_settings(plan(lines)), "art") == NO_GUARD


def test_without_a_word_the_brake_is_ten_times_the_busiest_hour_of_the_last_backtest() -> None:
    assert guard(**{"backtest.json": json.dumps({"busiest_hour": {"cart": 37}})}).brake == 370
    for odd in (
        '{"busiest_hour": {"cart": 0}}',
        '{"busiest_hour": [1]}',
        "[]",
        "no json",
        '{"busiest_hour": {"cart": "x"}}',
    ):
        assert guard(**{"backtest.json": odd}).brake == 1_000


@pytest.mark.parametrize("line", ["brake: 50/m", "brake: fast", "rate: 0/h", "rate: 5", "approve_first: 0"])
def test_what_is_no_pace_is_refused_with_its_place(line: str) -> None:
    with pytest.raises(PlanError) as error:
        compile_plan(plan(f"{line}\n"))
    assert str(error.value).startswith("cart/scenario.yaml:3:")


async def test_a_test_mode_reaches_the_listed_addresses_alone() -> None:
    there = bench(plan(settings="test_mode: {only: [C1@shop.example]}"))
    one, other, web = command(1), command(2), command(3, address=None)
    await settle(there, one, other, web)
    assert states(there, [one, other, web]) == ["sent", "rejected", "rejected"]
    assert there.log.last(other).reason == there.log.last(web).reason == "test_mode"
    assert [call.address for call in there.provider.calls] == ["c1@shop.example"]


async def test_what_is_above_the_brake_is_held_until_an_operator_lets_it_go() -> None:
    there = bench(plan("brake: 5/h\n"))
    first = commands(8)
    await settle(there, *first)
    assert states(there, first) == ["sent"] * 5 + ["held"] * 3
    assert there.log.last(first[7]).reason == "over 5 of the scenario in an hour (`brake`): release or cancel it"
    there.clock.pass_ms(2 * HOUR - MINUTE)
    await settle(there)
    assert states(there, first) == ["sent"] * 5 + ["held"] * 3, "time alone releases nothing"
    later = commands(6, 20, at=there.clock.now())
    there.log.put(released())
    await settle(there, *later)
    assert states(there, first) == ["sent"] * 8
    assert states(there, later) == ["sent"] * 2 + ["held"] * 4, "what was released counts for the hour that follows"


async def test_an_operator_drops_what_the_brake_holds() -> None:
    there = bench(plan("brake: 2/h\n"))
    first = commands(4)
    await settle(there, *first)
    there.log.put(released(cancel=True))
    there.clock.pass_ms(1_000)
    await settle(there)
    assert states(there, first) == ["sent", "sent", "cancelled", "cancelled"]
    assert there.log.last(first[3]).reason == "cancelled by an operator"


async def test_as_much_an_hour_as_the_brake_allows_goes_on_for_ever() -> None:
    there = bench(plan("brake: 5/h\n"))
    for hour in range(4):
        now = commands(5, 10 * hour, at=there.clock.now())
        await settle(there, *now)
        assert states(there, now) == ["sent"] * 5
        there.clock.pass_ms(HOUR + 6 * MINUTE)


async def test_a_restart_forgets_neither_count_nor_brake_nor_release() -> None:
    sources = plan("brake: 3/h\n")
    there = bench(sources)
    renderer = Renderer(sources)

    async def restarted(*records: Any) -> None:
        await there.restart()
        there.lane.stage = SenderStage("email", there.provider, lambda name: renderer)
        there.log.put(*records, mark(there.clock.now()))
        await there.settle()

    first = commands(2)
    await settle(there, *first)
    more = commands(3, 10)
    await restarted(*more)
    assert states(there, [*first, *more]) == ["sent"] * 3 + ["held"] * 2
    await restarted(released())
    assert states(there, more) == ["sent"] * 3
    last = commands(3, 20)
    await restarted(*last)
    assert states(there, last) == ["sent", "held", "held"]


def test_the_default_brake_holds_no_confirmation_and_nothing_in_an_outbox() -> None:
    brakes = Brakes(rows=(), sped=("cart",))
    default, said = Guard(brake=1, is_default=True), Guard(brake=1)
    marketing, other = Queued(command(1), 5), Queued(command(2, purpose="transactional"), 6)
    assert brakes.why(marketing, T0, default)
    assert not brakes.why(marketing, T0, default, leaves=False)
    assert not brakes.why(other, T0, default)
    assert brakes.why(other, T0, said) and brakes.why(marketing, T0, said, leaves=False)
    assert not SenderStage("email", _Box(), lambda name: Renderer(PLAN)).leaves


class _Box(FakeProvider):
    name = "outbox"


async def test_the_first_of_a_version_wait_until_they_are_approved_and_the_rest_goes() -> None:
    there = bench(plan("approve_first: 3\nbrake: off\n"))
    first = commands(2)
    await settle(there, *first)
    assert states(there, first) == ["held"] * 2
    assert "one of the first 3 of its version" in there.log.last(first[0]).reason
    there.log.put(released())
    there.clock.pass_ms(1_000)
    await settle(there)
    assert states(there, first) == ["sent"] * 2
    more = commands(3, 10)
    await settle(there, *more)
    assert states(there, more) == ["held"] * 3
    there.log.put(released())
    there.clock.pass_ms(1_000)
    rest = commands(5, 20)
    await settle(there, *rest)
    assert states(there, [*more, *rest]) == ["sent"] * 8
    edited = commands(1, 30, version="v2")
    await settle(there, *edited)
    assert states(there, edited) == ["held"]


def test_partitions_share_a_limit_and_round_it_up() -> None:
    brakes, limit = Brakes(partitions=4), Guard(brake=10)
    went = 0
    while not brakes.why(Queued(command(went), went), T0, limit):
        brakes.count(command(went), T0, limit)
        went += 1
    assert went == 3


async def test_a_rate_spreads_a_scenario_and_leaves_others_alone() -> None:
    there = bench(plan("rate: 1/s\nbrake: off\n"))
    mine, other = commands(4), command(99, scenario="other")
    await settle(there, *mine, other)
    assert there.log.states(other)[-1] == "sent"
    for count in range(1, 5):
        assert len([one for one in mine if "sent" in there.log.states(one)]) == count
        there.clock.pass_ms(1_000)
        await settle(there)
    assert {state for one in mine for state in there.log.states(one)} == {"intent", "sent"}, "nothing is held"


async def test_what_is_tried_again_is_neither_counted_nor_held_again() -> None:
    from pipeline.sending.outcome import Outcome

    there = bench(plan("brake: 1/h\n"), FakeProvider(Outcome("retry", "later")))
    one, two = command(1), command(2)
    await settle(there, one, two)
    assert states(there, [one, two]) == ["retry", "held"]
    there.clock.pass_ms(2_000)
    await settle(there)
    assert states(there, [one, two]) == ["sent", "held"]
