"""The reports of a replay as a person reads them in a terminal."""

from collections.abc import Iterator
from typing import Any

from pipeline.replay.shown import value_text


def backtest_text(figures: dict[str, Any], currency: str) -> str:
    """Return a backtest's summary in lines."""
    return "\n".join(_backtest(figures, currency))


def _backtest(figures: dict[str, Any], currency: str) -> Iterator[str]:
    yield f"{figures['sent']:,} messages to {figures['customers']:,} customers, over {figures['events']:,} events"
    yield f"up to {figures['until']}; nothing was sent"
    for name, one in figures["scenarios"].items():
        yield ""
        yield from _scenario(name, one, currency)
    yield ""
    yield f"messages per customer: {_histogram(figures['messages_per_customer'])}"
    for channel, hour in figures["busiest_hour"].items():
        yield f"busiest hour of {channel}: {hour['messages']:,} messages from {hour['from']}" + _limit(hour)
    yield from exact_lines(figures["exact"])
    if figures.get("refused"):
        yield "records that could not be used: " + _counts(figures["refused"])


def _limit(hour: dict[str, Any]) -> str:
    if hour.get("limit") is None:
        return ""
    minutes = f"it takes {hour['minutes']:,} minutes" if hour["minutes"] > 60 else "it takes the hour or less"
    return f"; the provider takes {hour['limit']:,} an hour: {minutes}"


def _scenario(name: str, one: dict[str, Any], currency: str) -> Iterator[str]:
    held_out = f", {one['held_out']:,} of them held out" if one["held_out"] else ""
    yield f"{name}: {one['entered']:,} entered{held_out}, {one['waiting']:,} inside at the end"
    for step, channels in one["sent"].items():
        yield f"  sent      {step}: " + _counts(channels)
    for step, reasons in one["suppressed"].items():
        yield f"  not sent  {step}: " + _counts(reasons)
    for step, reasons in one["waited"].items():
        yield f"  waited    {step}: " + _counts(reasons)
    for title, key in (("exits", "exits"), ("refused", "not_entered"), ("recalled", "cancelled")):
        if one[key]:
            yield f"  {title:<9} " + _counts(one[key])
    if one["completed"]:
        yield f"  finished  {one['completed']:,}"
    goals = one["goals"]
    if goals["reached"] or goals["held_out"]:
        yield f"  goal      {goals['reached']:,} reached, worth {value_text(goals['value'], 'money', currency)}"
    if goals["held_out"]:
        value = value_text(goals["held_out_value"], "money", currency)
        yield f"            {goals['held_out']:,} of the held out, worth {value}"
    if one["failed"] or one["dropped"]:
        yield f"  failed {one['failed']:,}, dropped {one['dropped']:,}"


def _counts(found: dict[str, int]) -> str:
    ordered = sorted(found.items(), key=lambda row: (-row[1], row[0]))
    return ", ".join(f"{count:,} {name}" for name, count in ordered)


def _histogram(found: dict[str, int]) -> str:
    """Show few numbers in full, and many in groups."""
    groups = ((0, 0), (1, 1), (2, 2), (3, 3), (4, 5), (6, 10), (11, 20), (21, 10**9))
    parts = []
    for low, high in groups:
        count = sum(many for number, many in found.items() if low <= int(number) <= high)
        if count:
            name = str(low) if low == high else f"{low} or more" if high == 10**9 else f"{low}-{high}"
            parts.append(f"{name}: {count:,}")
    return ", ".join(parts)


def exact_lines(found: dict[str, Any]) -> Iterator[str]:
    """Yield how much of what is sent is exact."""
    yield f"exact: {found['share']} of the messages depend on what customers did alone"
    for step, count in found["supposed"].items():
        yield f"  {step}: {count:,} may depend on reactions to messages that were never sent: as if there were none"
    if found["reactions_left_out"]:
        yield f"  {found['reactions_left_out']:,} reactions to messages that this plan does not send were left out"


def verify_text(verdict: Any) -> str:
    """Return what a verification found, in lines."""
    said = ", ".join(f"{count:,} {stream}" for stream, count in verdict.compared.items())
    if not verdict.count:
        return f"the same, byte for byte: {said}"
    lines = [f"{verdict.count:,} customers' streams differ ({said} compared)", *map(str, verdict.differences)]
    return "\n".join(lines)
