"""The comparison as Markdown for a pull request: counts, reasons and examples, without what a message holds."""

import re
from collections.abc import Iterator
from html import escape
from typing import Any

from pipeline.replay.changes import APPEARS, DISAPPEARS
from pipeline.replay.report.page import WORDS

TICKS = re.compile("`+")
HELD = {True: "held", False: "did not hold", None: "had no value"}
SIDES = {"was": "before", "now": "draft"}


def code(text: object) -> str:
    """Return a text as code on one line: nothing in it is Markdown, HTML, or a mention."""
    flat = " ".join(str(text).split())
    ticks = "`" * (1 + max((len(run) for run in TICKS.findall(flat)), default=0))
    return f"{ticks} {flat} {ticks}" if flat.startswith("`") or flat.endswith("`") else f"{ticks}{flat}{ticks}"


def diff_markdown(figures: dict[str, Any]) -> str:
    """Return a comparison's figures as Markdown."""
    return "\n".join(_lines(figures)) + "\n"


def _lines(figures: dict[str, Any]) -> Iterator[str]:
    messages, customers = figures["messages"], figures["customers"]
    yield "### What the draft changes"
    yield ""
    yield (
        f"**{figures['changed']:,}** of {messages['was']:,} messages differ ({figures['share']}), of"
        f" {customers['any']:,} customers; the draft sends {messages['now']:,}, over {figures['events']:,} recorded"
        f" events up to {figures['until']}."
    )
    if figures["failed"]:
        yield ""
        yield f"**This is more than {figures['limit']}.**"
    yield ""
    yield "| step | before | draft | " + " | ".join(WORDS.values()) + " |"
    yield "|---|--:|--:|" + "--:|" * len(WORDS)
    yield from _steps(figures)
    for one in figures["changes"]:
        yield ""
        yield from _change(one)
    yield ""
    exact = figures["exact"]["now"]
    yield f"Exact: {exact['share']} of the draft's messages depend on what customers did alone."


def _steps(figures: dict[str, Any]) -> Iterator[str]:
    counts = {(one["scenario"], one["step"], one["kind"]): one["count"] for one in figures["changes"]}
    for one in figures["steps"]:
        cells = [counts.get((one["scenario"], one["step"], kind), 0) for kind in WORDS]
        name = code(f"{one['scenario']} / {one['step']}").replace("|", "\\|")
        yield f"| {name} | {one['was']:,} | {one['now']:,} | " + " | ".join(f"{count:,}" for count in cells) + " |"


def _change(one: dict[str, Any]) -> Iterator[str]:
    title = escape(f"{one['scenario']} / {one['step']}")
    yield f"<details><summary>{title}: {one['count']:,} {WORDS[one['kind']]}</summary>"
    yield ""
    for reason, count in one["reasons"].items():
        yield f"- {count:,}: {code(reason)}"
    yield ""
    yield "Examples:"
    yield ""
    for example in one["examples"]:
        yield f"- customer {code(example['customer'])}, due {example['due_at']}: {code(example['reason'])}"
        # Where both plans send it, the conditions do not tell what differs.
        parting = example["conditions"] if one["kind"] in {APPEARS, DISAPPEARS} else {}
        for side, guards in parting.items():
            yield from (f"  - {SIDES[side]}: {_guard(guard)}" for guard in guards if guard["alone"])
    yield ""
    yield "</details>"


def _guard(guard: dict[str, Any]) -> str:
    said = ", ".join(code(f"{name} = {value}") for name, value in guard["values"].items())
    return f"{code(guard['source'])} {HELD[guard['held']]}" + (f": {said}" if said else "")
