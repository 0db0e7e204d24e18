"""What a person may do from the pages: by a role, from a form of their own session, audited before it is done."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import orjson
import structlog
from aiokafka.errors import KafkaError
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from agents.console.audit import Audit, customer_mark, entry
from agents.console.guard import Session, session_of
from agents.console.place import ALL, Place
from agents.console.queries import operating
from agents.console.view import View
from pipeline.errors import ParcoursError, UsageError

log = structlog.get_logger()
Form = Mapping[str, Any]
STATES = {"paused": "pause", "stopped": "stop", "active": "resume"}
REPLAYED_AT_ONCE = 1_000
NOT_OURS = "This form is not of your session: load the page again"
NO_ROLE = "Your roles do not allow this"
NOT_AUDITED = "Not done: it could not be written into the audit"
NOT_DONE = "This was not done"


@dataclass(frozen=True)
class Job:
    """One action that a form asks for: the audit's words, what it does, and where its page is."""

    name: str
    target: str
    do: Callable[[], Response | None]
    back: str


class Actions:
    """The routes that change something or take a customer's data out."""

    def __init__(self, view: View, place: Place, engine: Engine, audit: Audit, secret: bytes):
        self._view = view
        self._place = place
        self._engine = engine
        self._audit = audit
        self._secret = secret

    def routes(self) -> list[Route]:
        """Return the routes; every one is a POST."""
        return [
            self._route("/do/switch", "edit", self._switch),
            self._route("/do/release", "send", self._release),
            self._route("/do/replay", "send", self._replay),
            self._route("/do/erase", "erase", self._erase),
            self._route("/do/export", "erase", self._export),
        ]

    def _route(self, path: str, role: str, job: Callable[[Form], Job]) -> Route:
        async def answer(request: Request) -> Response:
            form = await request.form(max_files=0, max_fields=50)
            return await run_in_threadpool(self._answer, request, form, role, job)

        return Route(path, answer, methods=["POST"])

    def _answer(self, request: Request, form: Form, role: str, asked: Callable[[Form], Job]) -> Response:
        session = session_of(request)
        if str(form.get("mark", "")) != session.mark:
            return self._say(request, 403, NOT_OURS)
        if not session.person.may(role):
            self._refused(session, request.url.path, role)
            return self._say(request, 403, NO_ROLE, role)
        try:
            job = asked(form)
        except UsageError as error:
            return self._say(request, 400, NOT_DONE, str(error))
        return self._done(request, session, job)

    def _done(self, request: Request, session: Session, job: Job) -> Response:
        """Write the audit first: what cannot be audited is not done."""
        try:
            self._audit.write(entry(session.person.name, job.name, job.target))
        except (OSError, SQLAlchemyError) as error:
            log.warning("the audit cannot be written", cause=type(error).__name__)
            return self._say(request, 503, NOT_AUDITED)
        try:
            answer = job.do()
        except (ParcoursError, KafkaError, OSError, SQLAlchemyError) as error:
            self._audit.write(entry(session.person.name, job.name, job.target, f"failed: {type(error).__name__}"))
            return self._say(request, 503, NOT_DONE, str(error) if isinstance(error, ParcoursError) else "")
        return answer or RedirectResponse(job.back, 303)

    def _refused(self, session: Session, path: str, role: str) -> None:
        try:
            self._audit.write(entry(session.person.name, path, "", f"refused: needs the role {role}"))
        except (OSError, SQLAlchemyError) as error:
            log.warning("the audit cannot be written", cause=type(error).__name__)

    def _say(self, request: Request, status: int, title: str, text: str = "") -> Response:
        return self._view.render(request, "said.html", status=status, title=title, text=text)

    def _scenario(self, form: Form) -> str:
        name = str(form.get("scenario", ""))
        plan = self._view.plans.plan()
        if name != ALL and (plan is None or name not in plan.live):
            raise UsageError("no scenario of the live plan has this name")
        return name

    def _switch(self, form: Form) -> Job:
        name, state = self._scenario(form), str(form.get("state", ""))
        if state not in STATES:
            raise UsageError("a scenario is paused, stopped or active")
        return Job(STATES[state], name, lambda: self._place.switch(name, state), "/control")

    def _release(self, form: Form) -> Job:
        name, cancel = self._scenario(form), form.get("cancel") == "yes"
        done = "drop held" if cancel else "release held"
        return Job(done, name, lambda: self._place.release(name, cancel=cancel), "/control")

    def _customer(self, form: Form) -> str:
        name = str(form.get("customer", ""))
        if not name:
            raise UsageError("no customer is named")
        return name

    def _erase(self, form: Form) -> Job:
        name = self._customer(form)
        if str(form.get("again", "")) != name:
            raise UsageError("the id that was written again is another one")
        mark = customer_mark(self._secret, name)
        return Job("erase", mark, lambda: self._place.erase(name), f"/customer/{quote(name, safe='')}")

    def _export(self, form: Form) -> Job:
        name = self._customer(form)

        def give() -> Response:
            found = orjson.dumps(self._place.export(name), option=orjson.OPT_INDENT_2)
            head = {"content-disposition": 'attachment; filename="customer.json"'}
            return Response(found, media_type="application/json", headers=head)

        return Job("export", customer_mark(self._secret, name), give, "/customer")

    def _replay(self, form: Form) -> Job:
        said = str(form.get("letters", "")).split()
        try:
            places = [(int(partition), int(offset)) for partition, _, offset in (one.partition("/") for one in said)]
        except ValueError:
            raise UsageError("letters are named by partition and number") from None
        if not 0 < len(places) <= REPLAYED_AT_ONCE:
            raise UsageError(f"name 1 to {REPLAYED_AT_ONCE} letters")

        def again() -> Response:
            done = self._place.replay(places)
            at = time.time_ns() // 1_000_000
            still = [(one.source, one.partition, one.offset) for one in done.still]
            with self._engine.begin() as connection:
                operating.replayed(connection, places, still, at)
            return RedirectResponse(f"/dead-letters?gave={done.events}&still={len(done.still)}", 303)

        return Job("replay", f"{len(places)} dead letters from {said[0]}", again, "/dead-letters")
