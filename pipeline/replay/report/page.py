"""The comparison as one page that needs nothing else: no script, no font, no address is fetched."""

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipeline.replay.report import charts

HERE = Path(__file__).parent
WORDS = {
    "appears": "sent by the draft alone",
    "disappears": "no longer sent",
    "moves": "sent at another time",
    "changes": "sent with another content",
}


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


def diff_page(figures: dict[str, Any]) -> str:
    """Return a comparison's figures as an HTML page; everything in it is escaped."""
    steps = [
        (f"{one['scenario']} / {one['step']}", {side: one[side] for side in ("was", "now")}) for one in figures["steps"]
    ]
    kinds = [(WORDS[kind], {kind: count}) for kind, count in figures["kinds"].items()]
    return (
        _environment()
        .get_template("diff.html")
        .render(
            figures=figures,
            words=WORDS,
            kinds=charts.rows("Messages that differ", kinds),
            steps=charts.rows("Messages by step", steps),
            days=charts.days("Messages by the day on which they are due", figures["days"]),
        )
    )
