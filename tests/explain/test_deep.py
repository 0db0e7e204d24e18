"""The replay of one customer: it decides as the run did, and says what each condition saw."""

import shutil
from pathlib import Path

import msgspec
import pytest

from agents.cli.explain_text import explanation_text
from pipeline.engine import sending
from pipeline.replay.deep import beginning_of, explain, explain_deep
from pipeline.replay.errors import LogError
from pipeline.replay.one import steps_of
from pipeline.replay.recorded import RecordedLog
from pipeline.runtime import checkpoints
from pipeline.runtime.folder import Folder, stream_key
from tests.explain.story import ADA, CART, CART_REMINDER, HOUR, MONDAY, Story, passage, scenario
from tests.replay.build import recorded
from tests.sim.world import small_slices

NINE = MONDAY + 9 * HOUR
CUSTOMERS = [f"c{number}" for number in range(6)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoints.DailyCheckpoints.__init__, "__kwdefaults__", {"every_s": 0.0})
        small_slices(patch)
        return recorded(tmp_path_factory.mktemp("store") / "data")


def decided(log: RecordedLog, customer: str) -> list[bytes]:
    return [raw for raw in log.records("decisions", 0) if msgspec.json.decode(raw)["customer"] == customer]


@pytest.mark.parametrize("customer", CUSTOMERS)
def test_a_traced_plan_decides_byte_for_byte_as_the_plan(data: Path, customer: str) -> None:
    log = RecordedLog(data)
    steps = [step.done for step in steps_of(log, customer) if step.done is not None]
    assert [msgspec.json.encode(one) for done in steps for one in done.decisions] == decided(log, customer) != []
    log.close()


@pytest.mark.parametrize("customer", CUSTOMERS[:2])
def test_from_a_checkpoint_or_the_beginning_the_explanation_is_the_same_but_for_what_conditions_saw(
    data: Path, customer: str
) -> None:
    log = RecordedLog(data)
    kept = checkpoints.checkpoints_of(data)
    assert len(kept) > 3
    start = beginning_of(log, customer, kept[-2].watermark)
    assert start == kept[-2].path
    whole, late, told = explain_deep(log, customer), explain_deep(log, customer, start), explain(log, customer)
    log.close()
    assert not whole.differs and not late.differs
    assert [one.steps for one in whole.passages] == [one.steps for one in late.passages]
    assert [one.scenario for one in told.passages] == [one.scenario for one in whole.passages]
    lines = [line for one in whole.passages for line in one.lines if line.outcome == "entered"]
    assert any(line.guards for line in lines)


VIP = scenario(
    "vip",
    "enter: {on: order_placed, when: profile.spent >= 1000 && has(customer.email), again: always}\n"
    "steps: [{send: first, channel: web}]\n",
)
DUE = scenario("due", "enter: {on: payment_due, again: always}\nsteps: [{send: first, channel: web}]\n")


def test_what_never_began_says_which_condition_failed_with_its_values(tmp_path: Path) -> None:
    story = Story(tmp_path / "log", CART_REMINDER | VIP | DUE)
    story.event("order_placed", NINE, order_id="o1", items=[], total=12_050)
    found = story.told(deep=True)
    assert found.passages == []
    never = {one.scenario: one for one in found.never}
    assert never["due"].text == "no payment_due came"
    assert never["reminder"].text == "no cart_changed came"
    assert never["vip"].text == "its entry condition failed each of 1 times; the last time:"
    text = explanation_text(found)
    assert (
        "enter: profile.spent >= 1000 && has(customer.email)  does not hold"
        "  (profile.spent = 120.50 EUR, has(customer.email) = false)" in text
    )


def test_an_event_that_could_not_be_applied_is_told_with_its_reason(tmp_path: Path) -> None:
    story = Story(tmp_path / "log", CART_REMINDER)
    story.event("cart_updated", NINE, **CART)
    story.event("review_posted", NINE + HOUR)  # without its rating, which no source gets past the validation
    found = story.told(deep=True)
    [dead] = [one for one in found.other if one.outcome == "dead_letter"]
    assert dead.event is not None and dead.event.source == "shop/0/1"
    assert "2026-01-05T10:00:00Z review_posted (shop/0/1) dead_letter: KeyError" in explanation_text(found)


def test_what_began_once_says_why_it_did_not_begin_again(tmp_path: Path) -> None:
    story = Story(tmp_path / "log", CART_REMINDER)
    story.event("cart_updated", NINE, **CART)
    story.event("order_placed", NINE + HOUR, order_id="o1", items=[])
    [also] = story.told(deep=True).never
    assert also.text == "it began, and its entry condition failed 1 of 2 times; the last time:"
    assert [(guard.held, guard.values[0].value) for guard in also.guards] == [(False, 0)]


def test_what_a_state_would_have_begun_shows_the_state_as_it_stands(tmp_path: Path) -> None:
    settings = (
        "consent_default: granted\nsegments: {dear: profile.spent >= 500}\nscores: {lead: {events: {page_viewed: 5}}}\n"
        "levels: {mood: [{hot: profile.visits > 3}, {cold: true}]}\n"
    )
    begun = {
        "dear": "on: segment_entered, segment: dear",
        "lead": "on: score_reached, score: lead, at_least: 50",
        "mood": "on: level_rose, of: mood",
        "day": "on: {date: customer.birthday, every: year}",
    }
    sends = "steps: [{send: first, channel: web}]\n"
    files = {
        name: text for one, how in begun.items() for name, text in scenario(one, f"enter: {{{how}}}\n{sends}").items()
    }
    story = Story(tmp_path / "log", files, settings)
    story.event("page_viewed", NINE, url="https://shop.example/")
    text = explanation_text(story.told(deep=True))
    assert "dear: no segment_entered came, as it stands:" in text
    assert "segment: profile.spent >= 500  does not hold  (profile.spent = 0.00 EUR)" in text
    assert 'score: score("lead") >= 50  does not hold  (score("lead") = 5)' in text
    assert "level mood, hot: profile.visits > 3  does not hold  (profile.visits = 1)" in text
    assert "date: customer.birthday = no value" in text


def test_who_is_inside_is_told_where_they_stand_and_until_when(tmp_path: Path) -> None:
    story = Story(tmp_path / "log", CART_REMINDER)
    story.event("cart_updated", NINE, **CART)
    story.at(NINE + 2 * HOUR)
    second = next(one for one in passage(story.told()).steps if one.step == "second")
    assert second.text == "still to come: the customer waits 1d until 2026-01-06T10:00:00Z"


def test_a_branch_says_what_each_of_its_conditions_saw(tmp_path: Path) -> None:
    files = scenario(
        "reminder",
        "enter: {on: cart_changed, again: always}\nsteps:\n  - branch:\n"
        "      - {when: cart.total >= 500, then: [{send: dear, channel: web}]}\n"
        "      - {when: customer.city == 'Lyon', then: [{send: near, channel: web}]}\n"
        "      - {otherwise: [{send: plain, channel: web}]}\n",
    )
    story = Story(tmp_path / "log", files)
    story.event("cart_updated", NINE, **CART)
    found = story.told(deep=True)
    [line] = [one for one in passage(found).lines if one.outcome == "branched"]
    assert [(guard.arm, guard.held, guard.values[0].value) for guard in line.guards] == [
        (1, False, 2_000),
        (2, None, None),
    ]
    text = explanation_text(found)
    assert "branch 1: cart.total >= 500  does not hold  (cart.total = 20.00 EUR)" in text
    assert "branch 2: customer.city == 'Lyon'  has no value (city)  (customer.city = no value)" in text
    assert {one.step: one.outcome for one in passage(found).steps} == {
        "dear": "not_reached",
        "near": "not_reached",
        "plain": "pending",
    }


def test_of_somebody_unknown_it_says_since_when_the_log_can_answer(tmp_path: Path) -> None:
    story = Story(tmp_path / "log", CART_REMINDER)
    story.event("cart_updated", NINE, **CART)
    with pytest.raises(LogError, match="holds nothing of customer 'bob'; it begins at 2026-01-05T09:00:00Z"):
        story.told("bob")


def test_a_log_whose_beginning_is_gone_is_told_as_such_and_is_not_replayed(data: Path, tmp_path: Path) -> None:
    shutil.copytree(data, tmp_path / "data", ignore=shutil.ignore_patterns("checkpoints"))
    folder = Folder(tmp_path / "data")
    for offset in range(2):
        folder.db.delete(stream_key("journal", offset))
    folder.close()
    log = RecordedLog(tmp_path / "data")
    found = explain(log, "c0")
    assert not found.whole
    assert "what was before is no longer kept" in explanation_text(found).splitlines()[0]
    with pytest.raises(LogError, match="begins at message 2: what was before it is no longer kept"):
        explain_deep(log, "c0", beginning_of(log, "c0", None))
    log.close()


def test_an_engine_that_decides_otherwise_is_said_and_what_was_recorded_is_told(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = RecordedLog(data)
    told = explain(log, "c0")
    monkeypatch.setattr(sending, "address_of", lambda cold, channel: None)
    monkeypatch.setattr(sending, "consents_to", lambda *_: False)
    deep = explain_deep(log, "c0")
    log.close()
    assert deep.differs
    assert [one.steps for one in deep.passages] == [one.steps for one in told.passages]
    assert "this release decides otherwise" in explanation_text(deep)


def test_decisions_that_are_kept_for_less_long_than_the_journal_are_no_difference(data: Path, tmp_path: Path) -> None:
    shutil.copytree(data, tmp_path / "data", ignore=shutil.ignore_patterns("checkpoints"))
    folder = Folder(tmp_path / "data")
    half = folder.end("decisions") // 2
    for offset in range(half):
        folder.db.delete(stream_key("decisions", offset))
    folder.close()
    log = RecordedLog(tmp_path / "data")
    found = explain_deep(log, "c0")
    log.close()
    assert not found.differs and found.passages


def test_the_state_in_the_middle_of_a_step_is_that_of_each_timer(tmp_path: Path) -> None:
    """Two timers that fire together: the first must not be told what the second did."""
    story = Story(tmp_path / "log", CART_REMINDER)
    story.event("cart_updated", NINE, **CART)
    story.at(NINE + 5 * 24 * HOUR)
    log = RecordedLog(story.close())
    timers = [step for step in steps_of(log, ADA) if step.event is None and step.done and step.done.commands]
    log.close()
    assert [[one.step for one in step.done.commands] for step in timers if step.done] == [["first"], ["second"]]
