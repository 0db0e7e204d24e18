"""The inboxes that a collector of a cluster holds: whatever order rows come in, a customer sees the same."""

from hypothesis import given
from hypothesis import strategies as st

from models.inbox import STATES, InboxItem
from models.inbox_rows import ForgottenRow, InboxRow, MessageRow, StateRow, decode_row, encode_row, key_of
from pipeline.sending.inbox_table import InboxTable

NOW, LATER = 1_000, 5_000
NAMES, CUSTOMERS = ("a", "b", "c"), ("c1", "c2")


def message(name: str, customer: str = "c1", at: int = 10, until: int = LATER) -> MessageRow:
    payload = {"title": name}
    item = InboxItem(
        id=name, customer=customer, scenario="s", step="t", purpose="marketing", at=at, until=until, payload=payload
    )
    return MessageRow(item=item)


def state(name: str, word: str, customer: str = "c1") -> StateRow:
    return StateRow(id=name, customer=customer, state=word, until=LATER)


def held(rows: list[InboxRow], most: int = 10) -> list[tuple[str, str]]:
    table = InboxTable(most, lambda: NOW)
    for number, row in enumerate(rows, 1):
        table.take(decode_row(encode_row(row)), number)
    return sorted((one.id, one.state) for name in CUSTOMERS for one in table.of(name))


# An id names one command of one customer, emitted once.
rows_of = st.one_of(
    st.sampled_from(NAMES).map(lambda name: message(name, CUSTOMERS[NAMES.index(name) % 2], NAMES.index(name) * 100)),
    st.tuples(st.sampled_from(NAMES), st.sampled_from(STATES[1:])).map(
        lambda said: state(said[0], said[1], CUSTOMERS[NAMES.index(said[0]) % 2])
    ),
    st.tuples(st.sampled_from(CUSTOMERS), st.sampled_from((50, 150, 250))).map(
        lambda said: ForgottenRow(customer=said[0], at=said[1])
    ),
)


@given(st.lists(rows_of, max_size=8), st.randoms())
def test_the_order_of_rows_changes_nothing_and_a_repetition_neither(rows: list[InboxRow], dice: object) -> None:
    mixed = [*rows, *rows[:3]]
    dice.shuffle(mixed)  # type: ignore[attr-defined]
    assert held(mixed) == held(rows)


@given(st.lists(rows_of, max_size=12))
def test_what_compaction_leaves_shows_the_same_as_the_whole_topic(rows: list[InboxRow]) -> None:
    ranked = [row for row in rows if not isinstance(row, StateRow)]
    # Collectors move a state on, never back: that is the order in which its key has its values.
    ranked += sorted((r for r in rows if isinstance(r, StateRow)), key=lambda r: STATES.index(r.state))
    forgotten = sorted((r for r in ranked if isinstance(r, ForgottenRow)), key=lambda r: r.at)
    ranked = [row for row in ranked if not isinstance(row, ForgottenRow)] + forgotten
    assert held(list({key_of(row): row for row in ranked}.values())) == held(ranked)


def test_a_repeated_message_does_not_undo_what_became_of_it() -> None:
    rows: list[InboxRow] = [message("a"), state("a", "seen"), message("a"), message("b"), state("b", "dismissed")]
    assert held([*rows, message("b")]) == [("a", "seen")]


def test_a_bound_keeps_the_latest_and_what_has_expired_is_not_taken() -> None:
    rows: list[InboxRow] = [message("a"), message("b"), message("c"), message("d", until=NOW)]
    assert [name for name, _ in held(rows, most=2)] == ["b", "c"]


def test_who_was_forgotten_has_nothing_that_was_emitted_before_and_may_come_back() -> None:
    rows: list[InboxRow] = [message("a", at=10), ForgottenRow(customer="c1", at=20), message("b", at=15)]
    assert held([*rows, message("c", at=30)]) == [("c", "new")]
