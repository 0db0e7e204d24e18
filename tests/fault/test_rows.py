"""What can be said of the rows without a broker; `make fault ROWS=short`, nightly, runs them."""

from tests.fault.planted import BUGS
from tests.fault.rows import ROWS
from tests.sim.cluster import bugs


def test_every_planted_bug_can_be_put_into_a_worker() -> None:
    assert set(BUGS) >= set(bugs.BUGS)
    for name, patches in BUGS.items():
        assert patches(), name


def test_every_row_says_what_it_does_and_starts_each_kind_of_worker() -> None:
    for row in ROWS.values():
        assert row.promise and row.full >= max(row.short, 1), row.name
        assert {name.partition("-")[0] for name in row.slots} == {"ingest", "journeys", "sender"}, row.name
