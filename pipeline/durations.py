"""Durations as people write them: 45m, 23h, 7d, 2w, 1h30m."""

import re

UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
PART = re.compile(r"(\d+)(ms|[smhdw])")


def parse_duration(text: str) -> int:
    """Return a duration in milliseconds; a day is 24 hours. ValueError says what a duration looks like."""
    if not text or PART.sub("", text):
        raise ValueError(f"{text!r} is not a duration: write 45m, 23h, 7d or 1h30m")
    return sum(int(count) * UNITS_MS[unit] for count, unit in PART.findall(text))
