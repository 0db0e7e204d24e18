"""The pages of who operates: the switches and what is held, dead letters, the audit."""

from collections.abc import Callable, Iterable
from typing import Any

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agents.console.audit import Audit, customer_mark
from agents.console.place import ALL, Place
from agents.console.queries import operating
from agents.console.view import View

log = structlog.get_logger()
VALUE_BYTES_SHOWN = 4_096


class OperatingPages:
    """Pages over the place, the read model and the audit."""

    def __init__(self, view: View, place: Place, engine: Engine, audit: Audit, secret: bytes):
        self._view = view
        self._place = place
        self._engine = engine
        self._audit = audit
        self._secret = secret

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/control", self._page(self.control)),
            Route("/dead-letters", self._page(self.dead_letters)),
            Route("/dead-letters/{partition:int}/{offset:int}", self._page(self.dead_letter)),
            Route("/audit", self._page(self.audit)),
        ]

    def _page(self, answer: Callable[[Request], Response]) -> Callable[[Request], Response]:
        def page(request: Request) -> Response:
            try:
                return answer(request)
            except SQLAlchemyError as error:
                log.warning("the read model cannot be asked", cause=type(error).__name__)
                return self._view.render(request, "away.html", status=503)

        return page

    def control(self, request: Request) -> Response:
        """Show the switches, which work without the read model, and what is held, which is read there."""
        plan, switches = self._view.plans.plan(), self._place.switches()
        rows = [
            {"name": one.name, "title": one.title or one.name, "state": switches.get(one.name, "active")}
            for one in (plan.scenarios if plan else ())
        ]
        return self._view.render(
            request, "control.html", scenarios=rows, everything=switches.get(ALL, "active"), held=self._held()
        )

    def _held(self) -> list[dict[str, Any]] | None:
        try:
            with self._engine.connect() as connection:
                return operating.held(connection)
        except SQLAlchemyError as error:
            log.warning("the read model cannot be asked", cause=type(error).__name__)
            return None

    def dead_letters(self, request: Request) -> Response:
        """Show why records could not be used, and the last of them; of one reason where it is named."""
        reason = request.query_params.get("reason", "")
        with self._engine.connect() as connection:
            letters = operating.dead_letters(connection, reason)
            reasons = operating.dead_reasons(connection)
        return self._view.render(
            request,
            "dead_letters.html",
            letters=letters,
            reasons=reasons,
            reason=reason,
            gave=_number(request, "gave"),
            still=_number(request, "still"),
            places=" ".join(_places(letters)),
        )

    def dead_letter(self, request: Request) -> Response:
        """Show one whole."""
        place = (request.path_params["partition"], request.path_params["offset"])
        with self._engine.connect() as connection:
            found = operating.dead_letter(connection, *place)
        if found is None:
            return self._view.render(request, "said.html", status=404, title="There is no such page", text="")
        value = bytes(found["value"] or b"")
        text = value[:VALUE_BYTES_SHOWN].decode(errors="replace")
        return self._view.render(request, "dead_letter.html", letter=found, value=text, bytes=len(value))

    def audit(self, request: Request) -> Response:
        """Show who did what; of one customer where an id is named."""
        customer = request.query_params.get("customer", "")
        target = customer_mark(self._secret, customer) if customer else ""
        return self._view.render(request, "audit.html", entries=self._audit.last(target), customer=customer)


def _number(request: Request, name: str) -> int | None:
    said = request.query_params.get(name, "")
    return int(said) if said.isdecimal() and len(said) < 10 else None


def _places(letters: Iterable[dict[str, Any]]) -> list[str]:
    return [f"{one['partition']}/{one['offset']}" for one in letters if not one["replayed_at"]]
