"""Firing timers apart, as after a failure, is firing them all."""

from hypothesis import given
from hypothesis import strategies as st

from models.event import Event
from pipeline.engine import api
from pipeline.engine.giving_up import give_up
from pipeline.engine.plan import Again, Done, Enter, Wait
from pipeline.runtime.stepping import fire_apart
from tests.engine.build import DAY, MINUTE, T0, Life, abandoned, cart, order, plan

AFTERWARDS = abandoned(
    name="afterwards",
    priority=10,
    entries=(Enter("order_placed", again=Again("always")),),
    exits=(),
    program=(Wait(30 * MINUTE, 1), Done()),
)
TWICE = plan(abandoned(), AFTERWARDS)


def _event(kind: str, at: int) -> Event:
    return cart(at, "p1", price=at % 97) if kind == "cart" else order(at, f"o{at}")


@given(
    st.lists(st.tuples(st.sampled_from(("cart", "order")), st.integers(0, 200)), min_size=1, max_size=8),
    st.integers(0, 10),
)
def test_firing_one_due_time_after_another_gives_what_firing_all_at_once_gives(
    said: list[tuple[str, int]], days: int
) -> None:
    life = Life(TWICE)
    for kind, minute in sorted(said, key=lambda one: one[1]):
        life.feed(_event(kind, T0 + minute * MINUTE))
    watermark = life.watermark + days * DAY
    whole = api.fire_timers(life.known, watermark, TWICE)
    apart = [one.done for one in fire_apart(life.known, watermark, TWICE, 0)]
    assert (apart[-1].customer if apart else life.known) == whole.customer
    for kind in ("commands", "decisions", "cancels"):
        assert [record for one in apart for record in getattr(one, kind)] == getattr(whole, kind)


def test_giving_up_ends_what_was_due_and_leaves_the_rest() -> None:
    life = Life(TWICE).feed(order(T0 + 10 * MINUTE)).feed(cart(T0 + 20 * MINUTE, "p2"))
    dues = sorted(one.waiting.due for one in life.known.enrolments if one.waiting)
    first = dues[0]
    done = give_up(life.known, first + 1, TWICE, "a cause")
    assert done.customer is not None
    left = [one for one in done.customer.enrolments if one.waiting and one.waiting.due <= first]
    assert left == []
    assert len(dues) == 2 and len(done.customer.enrolments) == 1
    assert {one.reason for one in done.decisions if one.outcome == "failed"} == {"a cause"}
