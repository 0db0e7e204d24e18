"""A year of a real shop's invoices: every line is accounted for, every order counted once."""

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.acceptance.running import RETAIL, lines_of, parcours
from tests.reference import uci_fold

pytestmark = [
    pytest.mark.data,
    pytest.mark.slow,
    pytest.mark.skipif(not RETAIL.exists(), reason=f"the real store data is not at {RETAIL}"),
]


@pytest.fixture(scope="module")
def retail() -> uci_fold.Retail:
    return uci_fold.fold(RETAIL)


def test_lines_without_a_customer_are_dead_letters_with_the_reason(retail_run: Path, retail: uci_fold.Retail) -> None:
    reasons = Counter(row["reason"] for row in lines_of("deadletters", "--data", retail_run))
    assert reasons["no customer"] == retail.without_customer == 135_080


def test_the_ledger_closes_over_the_whole_year(retail_run: Path) -> None:
    [ledger] = lines_of("ledger", "--data", retail_run)
    events = ledger["events"]
    assert events["in"] == events["applied"] + events["duplicate"] + events["dead_lettered"]


def test_order_counts_equal_those_of_a_naive_fold(retail_run: Path, retail: uci_fold.Retail) -> None:
    by_customer = {customer: len(orders) for customer, orders in retail.orders.items()}
    done = parcours("customer", "--all", "--data", retail_run, "--json")
    assert done.returncode == 0, done.stderr
    found = {}
    for line in done.stdout.splitlines():
        row = json.loads(line)
        found[row["id"]] = row["profile"].get("orders", 0)
    assert {customer: count for customer, count in found.items() if count} == by_customer
