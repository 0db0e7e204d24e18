"""What waits: kept in memory up to a bound, parked beyond it, and the same after the progress was written and read."""

import random

import pytest

from models.command import Command
from pipeline.sending.progress import SenderProgress, decode_progress, encode_progress
from pipeline.sending.waiting import Waiting
from tests.sending.build import command

EMPTY = SenderProgress(channel="email", partition=0)


def again(waiting: Waiting, *opened: int) -> SenderProgress:
    return decode_progress(encode_progress(waiting.progress(opened)))


def test_neighbours_make_one_span_across_records_of_others() -> None:
    waiting = Waiting(EMPTY)
    waiting.take(0, command(0))
    waiting.passed(1)
    waiting.take(2, command(2, channel="sms"))
    waiting.take(5, command(5))  # offsets between are control records
    assert [(span.first, span.last) for span in waiting.spans()] == [(0, 5)]


def test_what_has_an_open_intent_is_kept_even_where_memory_is_full() -> None:
    full = Waiting(EMPTY, kept_max=9)
    for offset in range(9):
        full.take(offset, command(offset))
    smaller = Waiting(again(full, 7), kept_max=2)
    for offset in range(9):
        smaller.take(offset, command(offset))
    assert list(smaller.kept) == [0, 1, 7]


def unpark(waiting: Waiting, topic: list[Command | None]) -> int:
    start, room = waiting.parked_from, waiting.room
    if start is None:
        return 0
    for offset in range(start, min(start + room, len(topic))):
        waiting.unpark(offset, topic[offset])
    return room


def test_what_retention_has_taken_is_parked_no_longer() -> None:
    waiting = Waiting(EMPTY, kept_max=2)
    for offset in range(10):
        waiting.take(offset, command(offset))
    waiting.done(0)
    waiting.done(1)
    waiting.unpark(6, command(6))
    assert [(span.first, span.last) for span in waiting.spans()] == [(6, 6), (7, 9)]
    waiting.unpark(10, None)
    assert list(waiting.kept) == [6]
    assert waiting.parked_from is None


@pytest.mark.parametrize("seed", range(30))
def test_any_order_of_ends_and_restarts_loses_and_revives_nothing(seed: int) -> None:
    """Against a plain set of offsets: whatever is taken up, ended and read again, the same commands wait."""
    draw = random.Random(seed)
    topic: list[Command | None] = []
    for number in range(120):
        kind = draw.random()
        purpose = "transactional" if draw.random() < 0.3 else "marketing"
        topic.append(
            None if kind < 0.2 else command(number, purpose=purpose, channel="email" if kind < 0.85 else "sms")
        )
    own = {offset for offset, one in enumerate(topic) if one is not None and one.channel == "email"}
    ended: set[int] = set()
    waiting = Waiting(EMPTY, kept_max=8)
    for _ in range(600):
        act = draw.random()
        if act < 0.5 and waiting.next < len(topic):
            one = topic[waiting.next]
            if one is None:
                waiting.passed(waiting.next)
            else:
                waiting.take(waiting.next, one)
        elif act < 0.9 and waiting.kept:
            offset = draw.choice(list(waiting.kept))
            assert offset not in ended, "an end was forgotten"
            waiting.done(offset)
            ended.add(offset)
        elif act >= 0.95:
            waiting = Waiting(again(waiting), kept_max=8)
        else:
            unpark(waiting, topic)
        progress = again(waiting)
        still = {offset for offset in own - ended if offset < progress.next}
        spanned = {offset for offset in own if any(span.first <= offset <= span.last for span in progress.waiting)}
        assert spanned == still
    while len(ended) < len(own):
        if waiting.next < len(topic):
            one = topic[waiting.next]
            waiting.passed(waiting.next) if one is None else waiting.take(waiting.next, one)
        elif waiting.kept:
            for offset in list(waiting.kept):
                waiting.done(offset)
                ended.add(offset)
        else:
            assert unpark(waiting, topic), "parked for ever"
    assert ended == own
