"""Window counts: never too low, too high for a 60th of the window at most, the same in any order of reading."""

from hypothesis import given
from hypothesis import strategies as st

from models.customer import NEVER, Cold
from pipeline.engine import counts
from pipeline.engine.env import Counter
from tests.engine.build import DAY, HOUR, T0

WINDOW = 7 * DAY
TIMES = st.lists(st.integers(0, 20 * 24), max_size=30).map(lambda hours: sorted(T0 + hour * HOUR for hour in hours))


def bucketed(times: list[int], now: int) -> counts.Buckets:
    found: counts.Buckets = ()
    for at in times:
        found = counts.counted(found, WINDOW, at, now)
    return found


@given(TIMES, st.integers(0, 20 * 24))
def test_a_count_is_never_too_low_and_an_event_counts_for_a_bucket_too_long_at_most(
    times: list[int], hour: int
) -> None:
    now = T0 + hour * HOUR
    known = [at for at in times if at <= now]
    found = counts.count_of(bucketed(known, now), WINDOW, now)
    least = sum(1 for at in known if at > now - WINDOW)
    most = sum(1 for at in known if at > now - WINDOW - counts.width_ms(WINDOW))
    assert least <= found <= most


@given(TIMES, st.randoms(use_true_random=False))
def test_the_order_of_reading_changes_no_bucket(times: list[int], dice: object) -> None:
    shuffled = list(times)
    dice.shuffle(shuffled)  # type: ignore[attr-defined]
    now = T0 + 20 * DAY
    assert bucketed(shuffled, now) == bucketed(times, now)


@given(TIMES, st.integers(1, 5))
def test_a_count_falls_below_a_number_when_it_is_said_to(times: list[int], number: int) -> None:
    now = times[-1] if times else T0
    buckets = bucketed(times, now)

    def below(at: int) -> bool:
        return counts.count_of(buckets, WINDOW, at) < number

    at = counts.falls_below(buckets, WINDOW, number, now)
    if at == NEVER:
        assert below(now)
    else:
        assert not below(now) and not below(at - 1) and below(at)


def test_of_more_than_fifty_values_the_latest_are_counted() -> None:
    counter = Counter(key="k", on="product_viewed", window_ms=WINDOW, by="product_id")
    cold = Cold()
    for number in range(60):
        at = T0 + number * 3 * HOUR
        _, same = counts.add({}, cold.same, [counter], {"at": at, "product_id": f"p{number:02}"}, at)
        assert same is not None
        cold = Cold(same=same)
    assert list(cold.same["k"]) == [f"p{number:02}" for number in range(10, 60)]


def test_values_that_left_the_window_are_forgotten_in_time() -> None:
    counter = Counter(key="k", on="product_viewed", window_ms=DAY, by="product_id")
    cold = Cold()
    for number in range(100):
        at = T0 + number * DAY
        _, same = counts.add({}, cold.same, [counter], {"at": at, "product_id": f"p{number}"}, at)
        assert same is not None
        cold = Cold(same=same)
    assert len(cold.same["k"]) <= 4


def test_a_long_value_is_counted_under_a_hash_of_it() -> None:
    counter = Counter(key="k", on="product_viewed", window_ms=WINDOW, by="product_id")
    same: dict[str, dict[str, counts.Buckets]] = {}
    for _ in range(2):
        _, found = counts.add({}, same, [counter], {"at": T0, "product_id": "x" * 5_000}, T0)
        assert found is not None
        same = found
    ((name, buckets),) = same["k"].items()
    assert len(name) == 32 and name == counts.named("x" * 5_000) != counts.named("x" * 5_001)
    assert counts.count_of(buckets, WINDOW, T0) == 2
