"""Durations as people write them: 45m, 23h, 7d, 2w, 1h30m."""

import re

UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
PART = re.compile(r"(\d+)(ms|[smhdw])")


def parse_duration(text: str) -> int:
    """Return a duration in milliseconds; a day is 24 hours. ValueError says what a duration looks like."""
    if not text or PART.sub("", text):
        raise ValueError(f"{text!r} is not a duration: write 45m, 23h, 7d or 1h30m")
    return sum(int(count) * UNITS_MS[unit] for count, unit in PART.findall(text))


def parse_offset(text: str) -> int:
    """Return a duration with a sign (-3d, +2h, 1d) in milliseconds."""
    return -parse_duration(text[1:]) if text.startswith("-") else parse_duration(text.removeprefix("+"))


def parse_time_of_day(text: str) -> int:
    """Return a time as a clock shows it (09:30) in milliseconds after midnight."""
    hours, _, minutes = text.partition(":")
    return int(hours) * UNITS_MS["h"] + int(minutes) * UNITS_MS["m"]


def parse_share(text: str) -> int:
    """Return a share (5%, 12.5%) in 1/10000."""
    whole, _, part = text[:-1].partition(".")
    return int(whole) * 100 + int(part.ljust(2, "0") or 0)
