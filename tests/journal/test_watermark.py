"""The watermark of a journal partition: one test for every rule, named after it."""

from models.event import Position
from models.journal import SourceChanged, Tick
from pipeline.journal.watermark import JOIN_WITHIN_MS, SourceTable

MINUTE = 60_000
T0 = 1_700_000_000_000


def join(source: str, partition: int = 0, first: int = 0, *, epoch: int = 0, feedback: bool = False) -> SourceChanged:
    name = f"join {source}/{partition} {epoch}"
    return SourceChanged(
        id=name, change="join", source=source, partition=partition, first=first, epoch=epoch, feedback=feedback
    )


def changed(change: str, source: str, partition: int = 0, *, epoch: int = 0, first: int = 0) -> SourceChanged:
    name = f"{change} {source}/{partition} {epoch}"
    return SourceChanged(id=name, change=change, source=source, partition=partition, epoch=epoch, first=first)


def tick(source: str, before: int, first: int = 0, upto: int = 0, *, partition: int = 0, epoch: int = 0) -> Tick:
    """A tick that covers ten records from `first` on."""
    return Tick(source=source, partition=partition, epoch=epoch, first=first, next=first + 10, before=before, upto=upto)


def table(*sources: str) -> SourceTable:
    found = SourceTable()
    for source in sources:
        found.change(join(source))
    return found


def state_of(found: SourceTable, source: str) -> str:
    return next(row.state for row in found.rows() if row.source == source)


def reopened(found: SourceTable) -> SourceTable:
    return SourceTable(found.rows(), found.watermark, found.applied_until)


def test_the_watermark_is_the_minimum_over_all_source_partitions() -> None:
    found = table("orders", "carts")
    found.tick(tick("orders", T0 + MINUTE))
    assert found.watermark == 0, "carts have said nothing yet"
    found.tick(tick("carts", T0))
    assert found.watermark == T0
    found.tick(tick("carts", T0 + 2 * MINUTE, first=10))
    assert found.watermark == T0 + MINUTE


def test_two_partitions_of_one_source_count_each() -> None:
    found = SourceTable()
    found.change(join("orders", 0))
    found.change(join("orders", 1))
    found.tick(tick("orders", T0 + MINUTE, partition=0))
    assert found.watermark == 0
    found.tick(tick("orders", T0, partition=1))
    assert found.watermark == T0


def test_a_source_whose_reader_is_paused_holds_the_watermark_and_is_named() -> None:
    found = table("orders", "carts")
    found.tick(tick("orders", T0))
    found.tick(tick("carts", T0))
    found.tick(tick("carts", T0 + MINUTE, first=10))
    assert found.watermark == T0
    assert found.behind() == ["orders/0"]


def test_the_watermark_never_goes_back() -> None:
    found = table("orders")
    found.tick(tick("orders", T0 + MINUTE))
    found.tick(tick("orders", T0, first=10))
    assert found.watermark == T0 + MINUTE


def test_a_tick_that_is_repeated_changes_nothing() -> None:
    found = table("orders")
    found.tick(tick("orders", T0))
    found.tick(tick("orders", T0 + MINUTE, first=10))
    before = found.rows()
    found.tick(tick("orders", T0))
    assert found.rows() == before


def test_missing_events_hold_the_watermark_and_raise_an_alarm_that_names_the_source() -> None:
    found = table("orders", "carts")
    found.tick(tick("orders", T0))
    found.tick(tick("carts", T0 + MINUTE))
    found.tick(tick("orders", T0 + MINUTE, first=25))
    assert state_of(found, "orders") == "held"
    assert found.watermark == T0
    assert "10 to 25 are missing" in found.alarms["orders/0"]
    assert list(reopened(found).alarms) == ["orders/0"], "the alarm is raised again after a restart"


def test_a_held_source_does_not_go_on_by_itself() -> None:
    found = table("orders")
    found.tick(tick("orders", T0))
    assert found.accept(Position("orders", 0, 0, 29))
    found.tick(tick("orders", T0 + MINUTE, first=20))
    # A late repetition of 10 to 19 would be dropped by the filter: no tick may say that nothing is missing.
    assert not found.accept(Position("orders", 0, 0, 12))
    found.tick(tick("orders", T0 + 2 * MINUTE, first=10))
    assert state_of(found, "orders") == "held"
    assert found.watermark == T0


def test_a_reset_lets_a_held_source_go_on_in_a_new_epoch() -> None:
    found = table("orders", "carts")
    for one in ("orders", "carts"):
        found.tick(tick(one, T0))
    found.tick(tick("orders", T0 + MINUTE, first=25))
    found.change(changed("reset", "orders", epoch=1, first=0))
    assert not found.alarms
    assert found.accept(Position("orders", 0, 1, 0)), "the new epoch begins at its first offset"
    assert not found.accept(Position("orders", 0, 0, 500)), "the old epoch is over"
    found.tick(tick("orders", T0 + MINUTE, first=10, epoch=0))
    assert state_of(found, "orders") == "joining", "a tick of the old epoch says nothing"
    found.tick(tick("orders", T0 + MINUTE, epoch=1))
    found.tick(tick("carts", T0 + MINUTE, first=10))
    assert found.watermark == T0 + MINUTE


def test_a_reset_to_an_epoch_that_has_begun_already_changes_nothing() -> None:
    found = table("orders")
    found.tick(tick("orders", T0))
    found.accept(Position("orders", 0, 0, 9))
    before = found.rows()
    found.change(changed("reset", "orders", epoch=0))
    assert found.rows() == before


def test_an_epoch_that_begins_without_a_reset_stops_the_watermark_with_an_alarm() -> None:
    found = table("orders")
    found.tick(tick("orders", T0))
    found.tick(tick("orders", T0 + MINUTE, epoch=1))
    assert found.watermark == T0
    assert "reset" in found.alarms["orders/0"]


def test_feedback_sources_count_for_no_watermark_and_no_mark() -> None:
    found = table("orders")
    found.change(join("receipts", feedback=True))
    found.tick(tick("orders", T0, upto=T0 + 10_000))
    assert found.watermark == T0
    assert found.applied_until == T0 + 10_000


def test_a_feedback_source_that_joins_late_is_heard_at_once() -> None:
    found = table("orders")
    found.tick(tick("orders", T0))
    found.change(join("receipts", feedback=True))
    assert not found.is_joining(Position("receipts"))


def test_the_first_sources_are_live_at_once() -> None:
    found = table("orders", "carts")
    assert not found.is_joining(Position("orders"))
    found.tick(tick("orders", T0))
    found.change(join("payments"))
    assert not found.is_joining(Position("payments")), "the watermark is still 0: no timer has fired"
    found.tick(tick("carts", T0))
    assert found.watermark == 0, "so it waits for that one too"


def test_a_source_that_joins_later_counts_for_nothing_until_it_has_caught_up() -> None:
    found = table("orders")
    found.tick(tick("orders", T0))
    found.change(join("payments"))
    found.tick(tick("payments", T0 - JOIN_WITHIN_MS - 1))
    assert found.is_joining(Position("payments")), "its events are silent"
    found.tick(tick("orders", T0 + MINUTE, first=10))
    assert found.watermark == T0 + MINUTE, "and it holds nothing back"
    found.tick(tick("payments", T0 + MINUTE - JOIN_WITHIN_MS, first=10))
    assert not found.is_joining(Position("payments"))
    found.tick(tick("orders", T0 + 5 * MINUTE, first=20))
    assert found.watermark == T0 + MINUTE, "from now on it counts"


def test_a_source_that_is_gone_holds_the_timers_until_it_is_retired() -> None:
    found = table("orders", "carts")
    found.tick(tick("carts", T0))
    found.tick(tick("orders", T0 + MINUTE))
    assert found.watermark == T0
    found.change(changed("retire", "carts"))
    assert found.watermark == T0 + MINUTE


def test_a_retired_source_that_comes_back_gives_nothing_twice() -> None:
    found = table("orders", "carts")
    found.tick(tick("orders", T0))
    found.tick(tick("carts", T0))
    assert found.accept(Position("carts", 0, 0, 9))
    found.change(changed("retire", "carts"))
    found.change(join("carts", first=0))
    assert state_of(found, "carts") == "joining"
    assert not found.accept(Position("carts", 0, 0, 9))
    assert found.accept(Position("carts", 0, 0, 10))


def test_a_source_that_joins_twice_keeps_its_place() -> None:
    found = table("orders")
    found.tick(tick("orders", T0))
    before = found.rows()
    found.change(join("orders", first=500))
    assert found.rows() == before


def test_a_tick_of_a_source_that_never_joined_moves_nothing() -> None:
    found = table("orders")
    found.tick(tick("carts", T0))
    found.tick(tick("orders", T0 + MINUTE))
    assert found.watermark == T0 + MINUTE
    assert [row.source for row in found.rows()] == ["orders"]


def test_the_mark_is_the_arrival_time_before_the_delay_is_taken_off() -> None:
    found = table("orders", "carts")
    found.tick(tick("orders", T0 - 10_000, upto=T0))
    found.tick(tick("carts", T0 - 10_000, upto=T0 - 3_000))
    assert found.watermark == T0 - 10_000
    assert found.applied_until == T0 - 3_000


def test_the_mark_never_goes_back_though_every_source_is_reset() -> None:
    found = table("orders")
    found.tick(tick("orders", T0, upto=T0))
    found.change(changed("reset", "orders", epoch=1))
    assert found.applied_until == reopened(found).applied_until == T0


def test_the_table_goes_on_after_a_restart_as_if_nothing_had_been() -> None:
    found = table("orders", "carts")
    found.tick(tick("orders", T0))
    found.accept(Position("carts", 0, 0, 7, 1))
    again = reopened(found)
    assert again.rows() == found.rows()
    assert not again.accept(Position("carts", 0, 0, 7, 1))
    again.tick(tick("carts", T0))
    assert again.watermark == T0
