"""What the last `parcours diff` said of one scenario."""

from typing import Any


def about(figures: dict[str, Any] | None, scenario: str, live: str) -> dict[str, Any] | None:
    """Return the part of a kept difference that is about a scenario, None without one.

    `applied` says that the draft is the live plan by now, `stale` that it was compared with another than the live one.
    """
    if figures is None:
        return None
    try:
        return {
            "folder": figures["folder"],
            "until": figures["until"],
            "changes": [one for one in figures["changes"] if one["scenario"] == scenario],
            "steps": [one for one in figures["steps"] if one["scenario"] == scenario],
            "applied": figures["draft"] == live,
            "stale": live not in (figures["live"], figures["draft"]),
        }
    except (KeyError, TypeError):
        # Of another release.
        return None
