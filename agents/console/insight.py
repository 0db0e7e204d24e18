"""Pages over the read model: a scenario as its graph with live counts, the journey map, the funnels."""

from collections.abc import Callable

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agents.console.graph import draw, short
from agents.console.queries import journeys, scenarios
from agents.console.queries.base import Period, period
from pipeline.engine.plan import Plan

Render = Callable[..., Response]


class InsightPages:
    """Answers from the database that the projector keeps; one that is away is said, and the pipeline goes on."""

    def __init__(self, engine: Engine, plan: Callable[[], Plan | None], render: Render):
        self._engine = engine
        self._plan = plan
        self._render = render

    def routes(self) -> list[Route]:
        """Return the pages' routes."""
        return [
            Route("/scenario/{name}", self._page(self._scenario)),
            Route("/map", self._page(self._map)),
            Route("/funnels", self._page(self._funnels)),
        ]

    def _page(self, answer: Callable[[Request, Connection, Period], Response]) -> Callable[[Request], Response]:
        def page(request: Request) -> Response:
            said = request.query_params.get("days", "")
            try:
                with self._engine.connect() as connection:
                    return answer(request, connection, period(connection, int(said) if said.isdecimal() else 30))
            except SQLAlchemyError:
                return self._render(request, "away.html", status=503)

        return page

    def _scenario(self, request: Request, connection: Connection, days: Period) -> Response:
        name = request.path_params["name"]
        plan = self._plan()
        found = next((one for one in plan.scenarios if one.name == name), None) if plan else None
        if found is None:
            return self._render(request, "said.html", status=404, title="No live scenario has this name", text="")
        graph = draw(found, scenarios.steps(connection, name, days), scenarios.waiting(connection, name))
        return self._render(
            request,
            "scenario.html",
            scenario=found,
            graph=graph,
            short=short,
            period=days,
            result=scenarios.results(connection, days).get(name),
            credits=scenarios.credits_of(connection, days, name),
            versions=scenarios.versions(connection, name),
        )

    def _map(self, request: Request, connection: Connection, days: Period) -> Response:
        nodes, edges = journeys.nodes(connection, days, ""), journeys.edges(connection, days, "")
        for node in nodes:
            out = [edge for edge in edges if edge["source"] == node["name"]]
            went = sum(edge["n"] for edge in out)
            node["left"] = node["visits"] - went
            node["left_value"] = node["value"] - sum(edge["value"] for edge in out)
            node["seconds"] = sum(edge["ms"] for edge in out) / 1000 / went if went else 0
        return self._render(request, "map.html", nodes=nodes, edges=edges[:60], period=days)

    def _funnels(self, request: Request, connection: Connection, days: Period) -> Response:
        return self._render(request, "funnels.html", stages=journeys.stages(connection, days, ""), period=days)
