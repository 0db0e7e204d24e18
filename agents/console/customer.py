"""The customer's page: why not, who they are, what happened and why, what is scheduled next."""

import threading

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agents.console.place import Place
from agents.console.queries import customers
from agents.console.view import View
from agents.console.why import points, scheduled, timeline, why_not
from models.customer import Customer
from pipeline.errors import PlanError
from pipeline.replay.explain import Explainer
from pipeline.replay.explanation import Explanation
from pipeline.replay.records import Known, Records, Shelf, known_at, known_of
from pipeline.replay.shown import moment
from pipeline.runtime.reading import customer_view


class CustomerPages:
    """Puts a customer's state and their part of the read model together; both are asked by the customer alone."""

    def __init__(self, engine: Engine, view: View, place: Place):
        self._engine = engine
        self._view = view
        self._place = place
        self._lock = threading.Lock()
        self._shelf = Shelf(place)

    def routes(self) -> list[Route]:
        """Return the pages' routes."""
        return [Route("/customer", self.customer), Route("/customer/{name:path}", self.customer)]

    def customer(self, request: Request) -> Response:
        """Show a customer, or ask for one."""
        name = request.path_params.get("name") or request.query_params.get("id", "")
        state = self._place.state(name) if name else None
        if state is None:
            return self._view.render(request, "customer.html", status=404 if name else 200, state=None, name=name)
        try:
            with self._engine.connect() as connection:
                return self._known(request, connection, state)
        except SQLAlchemyError:
            return self._view.render(request, "away.html", status=503)

    def _known(self, request: Request, connection: Connection, state: Customer) -> Response:
        now = self._place.watermark()
        records = customers.records(connection, state.id, state, now)
        plan = self._view.plans.plan()
        found = self._explained(records, state)
        return self._view.render(
            request, "customer.html",
            name=state.id,
            state=state,
            customer=customer_view(state),
            memberships=customers.memberships(connection, state.id),
            points=points(state, plan.settings.definitions, max(now, state.now)) if plan is not None else [],
            why=why_not(found, plan),
            timeline=timeline(found, records, customers.reactions(connection, state.id)),
            scheduled=scheduled(state, plan),
            whole=records.whole,
        )  # fmt: skip

    def _explained(self, records: Records, state: Customer) -> Explanation:
        """Explain from what the read model keeps; nothing where it keeps nothing, or a plan is of another release."""
        empty = Explanation(customer=state.id, since=None, until=moment(records.ends), whole=records.whole)
        if records.nothing:
            return empty

        def known(number: int) -> Known:
            at = records.decisions[number].at
            return known_at(records, at) if records.whole else known_of(state)

        try:
            with self._lock:
                return Explainer(records, self._shelf, known).explain()
        except PlanError:
            return empty
