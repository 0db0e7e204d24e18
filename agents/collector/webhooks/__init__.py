"""Providers' webhooks: each checks who speaks, and says what was heard."""

from starlette.routing import Route

from agents.collector.hub import Hub


def routes_from_environment(hub: Hub) -> list[Route]:
    """Return the routes of the providers whose secrets the environment has."""
    return []
