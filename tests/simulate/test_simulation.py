"""A simulation decides as the live run did, and moves time as it is told."""

import json
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from agents.cli.simulate import simulate
from models.event import Event, Position
from pipeline.engine.plan import Plan
from pipeline.errors import ParcoursError
from pipeline.replay.recorded import RecordedLog
from pipeline.replay.records import records_of
from pipeline.replay.simulate import Simulation
from pipeline.scenario.compile import compile_plan
from tests.explain.story import CART, HOUR, MINUTE, MONDAY
from tests.replay.build import plan, recorded
from tests.sim.world import SCENARIOS

CUSTOMERS = [f"c{number}" for number in range(6)]
TESTS = SCENARIOS / "abandoned-cart" / "scenario.test.yaml"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recorded(tmp_path_factory.mktemp("store") / "data")


@pytest.fixture(scope="module")
def compiled() -> Plan:
    return compile_plan(plan())


@pytest.mark.parametrize("customer", CUSTOMERS[:3])
def test_with_the_recorded_events_it_sends_what_the_run_sent_byte_for_byte(
    data: Path, compiled: Plan, customer: str
) -> None:
    log = RecordedLog(data)
    known = records_of(log, customer)
    log.close()
    run = Simulation(compiled, customer, [one.event for one in known.events])
    steps = list(run.advance(known.ends or 0))
    assert [msgspec.json.encode(one) for one in run.commands] == [msgspec.json.encode(one) for one in known.commands]
    assert run.commands
    # Here a message counts as sent at once; in the run its receipt came back a slice later.
    about_receipts = {"settled", "cancelled"}
    simulated = [one for step in steps if step.done for one in step.done.decisions]
    assert [one for one in simulated if one.outcome not in about_receipts] == [
        one for one in known.decisions if one.outcome not in about_receipts
    ]


def call(*words: str | Path, text: str = "") -> Result:
    return CliRunner().invoke(simulate, [str(word) for word in words], input=text)


def test_at_once_it_shows_conditions_timers_and_where_it_stands() -> None:
    done = call("abandoned-cart", "--plan", SCENARIOS, "--events", TESTS, "--choose", "third_message=voucher")
    assert done.exception is None, done.output
    for wanted in (
        "enter: size(cart.items) > 0  holds  (size(cart.items) = 1)",
        "waits 45m, anew with each cart_changed until 2026-01-05T09:45:00Z",
        "2026-01-05T09:45:00Z  a timer",
        "sent reminder: due",
        "branched third_message: voucher  (the draw of customer-1 is ",
        "2026-02-04T09:00:00Z  the end: 3 sent, not inside",
    ):
        assert wanted in done.output


def test_by_hand_time_goes_where_it_is_told() -> None:
    said = (
        "\n",  # the customer
        "\n",  # the first cart
        "+30m\n",
        'cart_updated items=[{"product_id":"p2","price":7}]\n',  # begins the 45 minutes anew
        "+44m\n",
        "timers\n",
        "+2m\n",
        "open\n",
        "order_placed order_id=o1\n",
        "nonsense a=1\n",
        "+soon\n",
        "state\n",
        "quit\n",
    )
    done = call("abandoned-cart", "--plan", SCENARIOS, "--events", TESTS, "--step", text="".join(said))
    assert done.exception is None, done.output
    before, _, after = done.output.partition("it is 2026-01-05T10:14:00Z")
    assert "sent reminder" not in before
    assert "abandoned-cart: waits 45m, anew with each cart_changed until 2026-01-05T10:15:00Z" in after
    assert "2026-01-05T10:15:00Z  a timer\n    sent reminder: due" in after
    assert "message_opened" in after
    assert "exited: order_placed" in after
    assert "nonsense: unknown event type" in after
    assert "'soon' is not a duration" in after
    assert '"orders": 1' in after


def test_as_a_customer_of_the_log_shows_their_own_way_from_a_time_on(data: Path) -> None:
    whole = call("abandoned-cart", "--as", "c0", "--data", data, "--json")
    assert whole.exception is None, whole.output
    steps = [json.loads(line) for line in whole.output.splitlines()]
    sent = [one for step in steps for one in step["commands"]]
    assert sent and {one["customer"] for one in sent} == {"c0"}
    middle = steps[len(steps) // 2]["at"]
    late = call("abandoned-cart", "--as", "c0", "--data", data, "--json", "--from", middle)
    rest = [json.loads(line) for line in late.output.splitlines()]
    assert 0 < len(rest) < len(steps)
    assert rest == steps[-len(rest) :]


def test_reactions_to_messages_that_are_not_sent_here_are_left_out(data: Path) -> None:
    done = call("abandoned-cart", "--as", "c0", "--data", data, "--plan", SCENARIOS)
    assert done.exception is None, done.output
    # Without --set of the run nobody has consented: the recorded message_sent are of messages of another plan.
    assert "suppressed" in done.output
    assert "recorded reactions to messages that were not sent here were left out" in done.output


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("abandoned-cart",), "name somebody of the log with --as"),
        (("abandoned-kart", "--events", str(TESTS)), "no scenario of the plan is named 'abandoned-kart'; did you mean"),
        (("abandoned-cart", "--events", "absent.yaml"), "absent.yaml: no such file"),
        (("abandoned-cart", "--events", str(TESTS), "--test", "none"), "no test 'none'"),
        (("abandoned-cart", "--events", str(TESTS), "--until", "+soon"), "--until +soon"),
    ],
)
def test_wrong_use_is_said_in_a_sentence(words: tuple[str, ...], wanted: str) -> None:
    done = call(*words, "--plan", SCENARIOS)
    assert isinstance(done.exception, ParcoursError)
    assert wanted in str(done.exception)


def test_events_of_a_file_of_lines_and_what_is_wrong_in_it(tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    row = {"type": "cart_updated", "occurred_at": "2026-01-05T09:00:00Z", "items": [{"product_id": "p", "price": 2}]}
    file.write_text(json.dumps(row) + "\n")
    done = call("abandoned-cart", "--plan", SCENARIOS, "--events", file, "--until", "+2h", "--stranger")
    assert "suppressed reminder: no_address" in done.output
    file.write_text(json.dumps({**row, "items": [{"product_id": "p", "price": "much"}]}) + "\n")
    done = call("abandoned-cart", "--plan", SCENARIOS, "--events", file)
    assert "events.ndjson, event 1:" in str(done.exception)


def test_an_event_comes_before_a_timer_of_the_same_millisecond(compiled: Plan) -> None:

    def event(kind: str, at: int, **data: object) -> Event:
        return Event(
            id=kind, type=kind, customer="ada", occurred_at=at, arrived_at=at, position=Position("shop"), data=data
        )

    nine = MONDAY + 9 * HOUR
    order = event("order_placed", nine + 45 * MINUTE, order_id="o1", items=[])
    run = Simulation(compiled, "ada", [event("cart_updated", nine, **CART), order])
    list(run.advance(nine + HOUR))
    assert "reminder" not in {one.step for one in run.commands}
