"""Charts as geometry: numbers to rectangles and labels, which the page's template draws as SVG."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

WIDTH = 720
LABEL_WIDTH, VALUE_WIDTH = 280, 70
BAR, GAP = 12, 14
LABEL_CHARS = 34
DAYS_HEIGHT, COLUMNS_MAX = 150, 60


@dataclass(frozen=True)
class Bar:
    """One rectangle of a side ("was", "now", or a kind), with the text beside it."""

    side: str
    x: float
    y: float
    width: float
    height: float
    text: str


@dataclass(frozen=True)
class Label:
    """A text at a place; `whole` is what it was cut from."""

    x: float
    y: float
    text: str
    whole: str


@dataclass(frozen=True)
class Chart:
    """A chart of a height, and what it shows in words."""

    title: str
    height: float
    bars: tuple[Bar, ...]
    labels: tuple[Label, ...]
    width: int = WIDTH


def rows(title: str, found: Sequence[tuple[str, dict[str, int]]]) -> Chart:
    """Return horizontal bars: for each name one bar of each side."""
    most = max((count for _, sides in found for count in sides.values()), default=0) or 1
    scale = (WIDTH - LABEL_WIDTH - VALUE_WIDTH) / most
    bars, labels, y = [], [], 4.0
    for name, sides in found:
        labels.append(Label(LABEL_WIDTH - 10, y + len(sides) * BAR / 2 + 4, _cut(name), name))
        for side, count in sides.items():
            width = max(count * scale, 1.0 if count else 0.0)
            bars.append(Bar(side, LABEL_WIDTH, y, round(width, 1), BAR - 2, f"{count:,}"))
            y += BAR
        y += GAP
    return Chart(title, y, tuple(bars), tuple(labels))


def days(title: str, found: Sequence[dict[str, Any]]) -> Chart:
    """Return columns by day, or by as many days as fit: one of each side beside the other."""
    span = -(-len(found) // COLUMNS_MAX) or 1
    groups = [found[index : index + span] for index in range(0, len(found), span)]
    sums = [(group[0]["day"], {side: sum(day[side] for day in group) for side in ("was", "now")}) for group in groups]
    most = max((count for _, sides in sums for count in sides.values()), default=0) or 1
    step = WIDTH / max(1, len(sums))
    bars = []
    for index, (day, sides) in enumerate(sums):
        for place, (side, count) in enumerate(sides.items()):
            height = count * (DAYS_HEIGHT - 20) / most
            x = index * step + place * step * 0.42
            said = f"{day}{f' and {span - 1} days' if span > 1 else ''}, {side}: {count:,}"
            bars.append(Bar(side, round(x, 1), round(DAYS_HEIGHT - height, 1), round(step * 0.4, 1), height, said))
    every = max(1, len(sums) // 6)
    labels = [Label(round(index * step, 1), DAYS_HEIGHT + 16, day, day) for index, (day, _) in enumerate(sums)]
    return Chart(f"{title}; the highest column is {most:,}", DAYS_HEIGHT + 24, tuple(bars), tuple(labels[::every]))


def _cut(text: str) -> str:
    return text if len(text) <= LABEL_CHARS else text[: LABEL_CHARS - 1] + "…"
