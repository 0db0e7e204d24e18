"""Segments on the map and in funnels: a touch counts for everybody, and once for each name that the customer is in."""

EVERYBODY = ""
SEGMENTS_BETWEEN = "|"


def counted_for(segments: str) -> tuple[str, ...]:
    """Return the names under which a touch of somebody in these segments ("vip|buyer:loyal") counts."""
    return (EVERYBODY, *segments.split(SEGMENTS_BETWEEN)) if segments else (EVERYBODY,)
