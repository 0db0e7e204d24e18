"""Coming in by the browser, and going out."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from agents.console.audit import Audit, entry
from agents.console.guard import COOKIE, Sessions, session_of
from agents.console.view import View


class Login:
    """The page that asks for a token, its answer, and the way out."""

    def __init__(self, view: View, sessions: Sessions, audit: Audit, *, provider: bool = False):
        self._view = view
        self._sessions = sessions
        self._audit = audit
        self._provider = provider

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/login", self.asked, methods=["GET"]),
            Route("/login", self.answered, methods=["POST"]),
            Route("/logout", self.left, methods=["POST"]),
        ]

    def page(self, request: Request, status: int = 200, *, wrong: bool = False) -> Response:
        """Return the page that asks for a token: it says nothing of what is behind it."""
        return self._view.render(request, "login.html", status=status, provider=self._provider, wrong=wrong)

    async def asked(self, request: Request) -> Response:
        """Show the page."""
        return await run_in_threadpool(self.page, request)

    async def answered(self, request: Request) -> Response:
        """Begin a session by a token."""
        form = await request.form(max_files=0, max_fields=4)
        person = self._sessions.book.person(str(form.get("token", "")))
        if person is None:
            return await run_in_threadpool(lambda: self.page(request, 401, wrong=True))
        await run_in_threadpool(self._audit.write, entry(person.name, "sign in"))
        response = RedirectResponse("/", 303)
        self._sessions.begin(response, person)
        return response

    async def left(self, request: Request) -> Response:
        """End the session."""
        form = await request.form(max_files=0, max_fields=4)
        session = session_of(request)
        if str(form.get("mark", "")) != session.mark:
            return PlainTextResponse("403: this form is not of your session: load the page again\n", 403)
        self._sessions.end(session)
        response = RedirectResponse("/login", 303)
        response.delete_cookie(COOKIE)
        return response
