"""The pages of a cluster that the embedded run answers from its folder: here each is answered from the read model."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, select
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agents.console import health
from agents.console.cluster_place import ClusterPlace
from agents.console.model import RECENT, scenario_view
from agents.console.queries import lists, scenarios
from agents.console.queries.base import period
from agents.console.view import View
from agents.projector import schema
from pipeline.runtime.reading import iso

DAYS = 30


class ClusterPages:
    """Answers from the database; one that is away is said by the application's handler of its errors."""

    def __init__(self, place: ClusterPlace, view: View):
        self._place = place
        self._view = view

    def routes(self) -> list[Route]:
        """Return the pages' routes."""
        return [
            Route("/", self._page(self._scenarios)),
            Route("/messages", self._page(self._messages)),
            Route("/health", self._page(self._health)),
        ]

    def _page(self, answer: Callable[[Request, Connection], Response]) -> Callable[[Request], Response]:
        def page(request: Request) -> Response:
            with self._place.engine.connect() as connection:
                return answer(request, connection)

        return page

    def _scenarios(self, request: Request, connection: Connection) -> Response:
        plan = self._view.plans.plan()
        counts = lists.counts(connection, period(connection, DAYS))
        inside = scenarios.insides(connection)
        found = [
            {**scenario_view(one, counts.get(one.name, Counter())), "inside": inside.get(one.name, 0)}
            for one in (plan.scenarios if plan else ())
        ]
        return self._view.render(request, "scenarios.html", scenarios=found)

    def _messages(self, request: Request, connection: Connection) -> Response:
        found = scenarios.messages(connection, limit=RECENT)
        states = {one["id"]: one["state"] for one in found if one["ended_at"]}
        return self._view.render(request, "messages.html", commands=[_message(one) for one in found], states=states)

    def _health(self, request: Request, connection: Connection) -> Response:
        found = self._place.partitions()
        ends = lists.ends(connection)
        return self._view.render(
            request, "health.html",
            ledger=lists.ledger(connection, found),
            partitions=health.partitions(found, lambda number: ends.get(("journal", number))),
            sources=health.sources(found),
            read_model=health.read_model(
                connection.execute(select(schema.positions)).all(), lambda stream, number: ends.get((stream, number))
            ),
            embedded=False,
        )  # fmt: skip


def _message(row: dict[str, Any]) -> dict[str, Any]:
    reason = {"source_topic": row["source"], "offset": row["source_offset"]}
    return {**row, "due_at": iso(row["due_at"]), "reason": reason}
