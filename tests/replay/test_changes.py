"""Every message of either plan is accounted for once: it appears, disappears, moves, changes, or is the same."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from models.command import Cause, Command
from pipeline.replay.changes import APPEARS, CHANGES, DISAPPEARS, MOVES, changes_of, differing

CAUSE = Cause(event_id="e", source_topic="shop", partition=0, offset=0)
BASE = Command(
    id="c", scenario="s", step="a", customer="u", channel="email", purpose="marketing", template="s/a", data={"n": 1},
    due_at=1_000, emitted_at=1_000, valid_until=2_000, reason=CAUSE, enrolment="n", version="v1", plan="p1",
)  # fmt: skip
VARIANTS = {
    "same": BASE,
    "plan": replace(BASE, plan="p2", version="v2"),
    MOVES: replace(BASE, due_at=1_500, emitted_at=1_500, valid_until=2_500),
    CHANGES: replace(BASE, data={"n": 2}),
}
sides = st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from(sorted(VARIANTS)), max_size=8)


@given(sides, sides)
def test_all_messages_of_both_sides_are_accounted_for(old: dict[str, str], new: dict[str, str]) -> None:
    was, now = ([replace(VARIANTS[kind], id=name) for name, kind in side.items()] for side in (old, new))
    kinds = Counter(change.kind for change in changes_of("u", was, now))
    both = old.keys() & new.keys()
    assert kinds[APPEARS] == len(new.keys() - both)
    assert kinds[DISAPPEARS] == len(old.keys() - both)
    assert kinds[MOVES] == sum((old[name] == MOVES) != (new[name] == MOVES) for name in both)
    assert kinds[MOVES] + kinds[CHANGES] == sum(differing(*pair(name, was, now)) != () for name in both)


def pair(name: str, was: list[Command], now: list[Command]) -> tuple[Command, Command]:
    found = [next(one for one in side if one.id == name) for side in (was, now)]
    return found[0], found[1]


def test_plan_and_version_are_no_difference_and_a_longer_validity_is() -> None:
    assert differing(BASE, VARIANTS["plan"]) == ()
    assert differing(BASE, replace(BASE, valid_until=3_000)) == ("valid_for",)
    assert differing(BASE, VARIANTS[MOVES]) == ("due_at", "emitted_at")
    assert differing(BASE, replace(BASE, data={"m": 1}, channel="sms")) == ("channel", "data.m", "data.n")
