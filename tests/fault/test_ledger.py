"""The audit of a sender run finds what is wrong."""

from pathlib import Path

import pytest

from models.receipt import Receipt
from tests.fault.ledger import accounts_of, faults_of, read_book

ONE = "0" * 32


def receipt(state: str, reason: str = "") -> Receipt:
    return Receipt(
        command=ONE, customer="c", state=state, at=0, channel="sms", scenario="s", step="s", purpose="p", reason=reason
    )


@pytest.mark.parametrize(
    ("states", "book", "keyed", "complaint"),
    [
        (["intent", "sent"], [f"taken {ONE} a"], True, ""),
        (["intent", "sent"], [], True, "never taken"),
        (["intent"], [f"taken {ONE} a"], True, "one is due"),
        (["intent", "sent"], [f"taken {ONE} a", f"taken {ONE} a"], False, "was taken 2 times"),
        (["intent", "intent", "sent"], [f"taken {ONE} a", f"taken {ONE} a"], False, ""),
        (["intent", "intent", "sent"], [f"taken {ONE} a", f"taken-again {ONE} b"], True, "2 contents"),
        (["intent", "rejected"], [f"taken-unsaid {ONE} a"], False, "was taken 1 times"),
        (["intent", "intent", "sent"], [f"taken {ONE} a", f"taken {ONE} a"], False, "did not ask"),
        (["intent", "unknown"], [f"taken-unsaid {ONE} a"], False, ""),
        (["intent", "sent", "sent"], [f"taken {ONE} a"], False, "one is due"),
    ],
)
def test_the_audit_finds_what_is_wrong_and_nothing_else(
    tmp_path: Path, states: list[str], book: list[str], keyed: bool, complaint: str
) -> None:
    repeat = [] if complaint == "did not ask" else [ONE]
    path = tmp_path / "book"
    path.write_text("\n".join(book))
    wrong = faults_of([ONE], accounts_of(map(receipt, states)), read_book(path), keyed=keyed, repeat=repeat)
    assert any(complaint in line for line in wrong) if complaint else not wrong
