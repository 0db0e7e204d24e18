"""Pages over the read model: a scenario as its graph with live counts, the journey map, funnels, segments."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agents.console.funnels import Shown, shown
from agents.console.graph import draw, short
from agents.console.journey_map import put_together
from agents.console.queries import journeys, scenarios, segments
from agents.console.queries.base import CHOICES, Period, period
from agents.console.report import about
from agents.console.view import View
from pipeline.durations import parse_share

BY = ("", "segment", "device", "channel")
EDGES_SHOWN = 40


class InsightPages:
    """Answers from the database that the projector keeps; one that is away is said, and the pipeline goes on."""

    def __init__(self, engine: Engine, view: View):
        self._engine = engine
        self._view = view

    def routes(self) -> list[Route]:
        """Return the pages' routes."""
        return [
            Route("/scenario/{name}", self._page(self._scenario)),
            Route("/scenario/{name}/inside", self._page(self._inside)),
            Route("/map", self._page(self._map)),
            Route("/funnels", self._page(self._funnels)),
            Route("/funnels/{name}/{step:int}", self._page(self._behind)),
            Route("/segments", self._page(self._segments)),
            Route("/segments/{name:path}", self._page(self._members)),
        ]

    def _page(self, answer: Callable[[Request, Connection, Period], Response]) -> Callable[[Request], Response]:
        def page(request: Request) -> Response:
            said = request.query_params.get("days", "")
            try:
                with self._engine.connect() as connection:
                    return answer(request, connection, period(connection, int(said) if said.isdecimal() else 30))
            except SQLAlchemyError:
                return self._view.render(request, "away.html", status=503)

        return page

    def _render(self, request: Request, template: str, days: Period, **values: Any) -> Response:
        kept = {name: value for name, value in request.query_params.items() if name not in {"days", "lang"}}
        return self._view.render(request, template, period=days, choices=CHOICES, kept=kept, **values)

    def _unknown(self, request: Request, title: str) -> Response:
        return self._view.render(request, "said.html", status=404, title=title, text="")

    def _scenario(self, request: Request, connection: Connection, days: Period) -> Response:
        name = request.path_params["name"]
        plan = self._view.plans.plan()
        found = next((one for one in plan.scenarios if one.name == name), None) if plan else None
        if plan is None or found is None:
            return self._unknown(request, "No live scenario has this name")
        counts, waiting = scenarios.steps(connection, name, days), scenarios.waiting(connection, name)
        target = self._view.plans.settings().targets.get(name)
        return self._render(
            request, "scenario.html", days,
            scenario=found,
            objective=self._view.plans.objectives().get(name, ""),
            graph=draw(found, counts, waiting),
            waiting=waiting,
            short=short,
            result=scenarios.results(connection, days).get(name),
            target=parse_share(target) / 10_000 if target else None,
            spared=scenarios.spared(counts),
            credits=scenarios.credits_of(connection, days, name),
            versions=scenarios.versions(connection, name),
            compared=about(self._view.place.last_diff(), name, plan.hash),
        )  # fmt: skip

    def _inside(self, request: Request, connection: Connection, days: Period) -> Response:
        name, step = request.path_params["name"], request.query_params.get("step", "")
        found = scenarios.inside_at(connection, name, step)
        return self._render(request, "inside.html", days, scenario=name, step=step, found=found)

    def _map(self, request: Request, connection: Connection, days: Period) -> Response:
        known = journeys.segments(connection)
        said = request.query_params.get("segment", "")
        segment = said if said in known else ""
        edges = journeys.edges(connection, days, segment)
        specs, targets = self._view.plans.settings().touchpoints, self._view.plans.settings().targets
        results, objectives = scenarios.results(connection, days), self._view.plans.objectives()
        return self._render(
            request, "map.html", days,
            map=put_together(specs, journeys.nodes(connection, days, segment), edges),
            edges=edges[:EDGES_SHOWN],
            segments=known,
            segment=segment,
            scenarios=[
                (
                    name, objectives.get(name, ""), parse_share(targets[name]) / 10_000 if name in targets else None,
                    results[name].treated if name in results else None,
                )
                for name in sorted({*targets, *(name for name, said in objectives.items() if said)})
            ],
            short=short,
        )  # fmt: skip

    def _funnels(self, request: Request, connection: Connection, days: Period) -> Response:
        said = request.query_params.get("by", "")
        by = said if said in BY else ""
        specs = self._view.plans.settings().funnels
        found: list[Shown] = shown(specs, journeys.stages(connection, days, by))
        return self._render(request, "funnels.html", days, funnels=found, by=by, ways=BY)

    def _behind(self, request: Request, connection: Connection, days: Period) -> Response:
        name, step = request.path_params["name"], request.path_params["step"]
        stopped = request.query_params.get("stopped") == "1"
        spec = next((one for one in self._view.plans.settings().funnels if one.name == name), None)
        if spec is None or not 1 <= step <= len(spec.steps):
            return self._unknown(request, "No funnel has this step")
        found = journeys.behind(connection, days, name, step, only_there=stopped)
        said = spec.steps[step - 1].name
        return self._render(request, "behind.html", days, funnel=name, step=said, stopped=stopped, found=found)

    def _segments(self, request: Request, connection: Connection, days: Period) -> Response:
        return self._render(request, "segments.html", days, found=segments.sizes(connection, days))

    def _members(self, request: Request, connection: Connection, days: Period) -> Response:
        name = request.path_params["name"]
        found = segments.members(connection, name)
        return self._render(request, "members.html", days, segment=name, found=found)
