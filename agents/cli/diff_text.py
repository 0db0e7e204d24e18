"""A comparison as a person reads it in a terminal."""

from collections.abc import Iterator
from typing import Any

from agents.cli.replay_text import exact_lines
from pipeline.replay.changes import APPEARS, DISAPPEARS


def diff_text(figures: dict[str, Any]) -> str:
    """Return a comparison in lines."""
    return "\n".join(_diff(figures))


def _diff(figures: dict[str, Any]) -> Iterator[str]:
    messages = figures["messages"]
    yield (
        f"{figures['changed']:,} of {messages['was']:,} messages differ ({figures['share']}), of"
        f" {figures['customers']['any']:,} customers; the draft sends {messages['now']:,}"
    )
    yield f"over {figures['events']:,} events up to {figures['until']}; nothing was sent"
    if figures["settings"]["was"] != figures["settings"]["now"]:
        was, now = (_said(figures["settings"][side]) for side in ("was", "now"))
        yield f"set with the plan compared with: {was}; with the draft: {now}"
    for one in figures["changes"]:
        yield ""
        yield f"{one['kind']:<10} {one['count']:>7,}  {one['scenario']}/{one['step']}"
        for reason, count in one["reasons"].items():
            yield f"           {count:>7,}  {reason}"
        for example in one["examples"]:
            yield f"    {example['customer']}, due {example['due_at']}: {example['why']}"
            if one["kind"] in {APPEARS, DISAPPEARS}:
                yield from _conditions(example["conditions"])
    if figures["texts"]:
        yield ""
        yield "other words in: " + ", ".join(figures["texts"])
    yield ""
    yield from exact_lines(figures["exact"]["now"])
    if figures["failed"]:
        yield f"more than {figures['limit']} of the messages differ"


def _said(overrides: dict[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in overrides.items()) or "nothing"


def _conditions(found: dict[str, list[dict[str, Any]]]) -> Iterator[str]:
    """Show the conditions that came out otherwise than on the other side."""
    for side, title in (("was", "before"), ("now", "draft")):
        for one in found.get(side, []):
            if one["alone"]:
                held = {True: "held", False: "did not hold", None: "had no value"}[one["held"]]
                values = ", ".join(f"{name} = {value}" for name, value in one["values"].items())
                yield f"        {title}: {one['source']} {held}" + (f" ({values})" if values else "")
