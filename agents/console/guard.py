"""The console's door: every request is let in, refused or sent to the login before anything is looked up.

A session is a signed cookie that only this site sends: which token opened it, or who the login provider said it is. A
token's roles are looked up with each request, so a token that is taken away ends its sessions. A request that changes
something must come from this site (its Origin, and what the browser says of where it comes from) and carry the mark of
its session; `agents.console.actions` checks the mark.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from itsdangerous import BadData, URLSafeTimedSerializer
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agents.console.tokens import Person, TokenBook

COOKIE = "parcours"
SESSION_S = 12 * 3600
ENDED_MAX = 10_000
OPEN_PATHS = frozenset({"/metrics", "/livez", "/readyz", "/login"})
OPEN_FOLDERS = ("/static/", "/oidc/")
READING = frozenset({"GET", "HEAD"})
BODY_BYTES_MAX = 16 * 1024
REFUSED = "401: open the address that the run printed\n"
HEADERS = [
    (
        b"content-security-policy",
        b"default-src 'self'; object-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    ),
    (b"x-content-type-options", b"nosniff"),
    # Same origin: a form tells this site, and no other, where it was sent from.
    (b"referrer-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
]


@dataclass(frozen=True)
class Session:
    """A person, the session's own name, and the mark that its forms carry."""

    person: Person
    name: str
    mark: str


class Sessions:
    """Signs and reads the cookie."""

    def __init__(self, secret: bytes, book: TokenBook, *, secure: bool = False):
        self._signer = URLSafeTimedSerializer(secret, salt="parcours-session")
        self._secret = secret
        self._ended: dict[str, None] = {}
        self.book = book
        self.secure = secure

    def begin(self, response: Response, person: Person) -> None:
        """Put a session into a response. The roles of a login provider stand in it; a token's are looked up."""
        said = {"id": secrets.token_hex(16), "token": person.token}
        if not person.token:
            said |= {"name": person.name, "roles": ",".join(sorted(person.roles))}
        value = text_of(self._signer.dumps(said))
        response.set_cookie(COOKIE, value, max_age=SESSION_S, httponly=True, samesite="strict", secure=self.secure)

    def read(self, request: Request) -> Session | None:
        """Return the session of a request, None where there is no valid one."""
        try:
            said: dict[str, str] = self._signer.loads(request.cookies.get(COOKIE, ""), max_age=SESSION_S)
        except BadData:
            return None
        if said["id"] in self._ended:
            return None
        person = self.book.current(said["token"]) if said["token"] else _provided(said)
        if person is None or not person.roles:
            return None
        mark = hmac.new(self._secret, b"form " + said["id"].encode(), hashlib.sha256).hexdigest()
        return Session(person, said["id"], mark)

    def end(self, session: Session) -> None:
        """Let a session's cookie open nothing any more, also where somebody kept a copy of it."""
        self._ended[session.name] = None
        if len(self._ended) > ENDED_MAX:
            del self._ended[next(iter(self._ended))]


def text_of(signed: str | bytes) -> str:
    """Return what a signer gives as text."""
    return signed.decode() if isinstance(signed, bytes) else signed


def _provided(said: dict[str, str]) -> Person:
    return Person(said["name"], frozenset(filter(None, said["roles"].split(","))))


def same_site(request: Request) -> bool:
    """Say whether a browser sent a request from our own pages."""
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        return False
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


class Guard:
    """Lets in who has a session or a token."""

    def __init__(self, app: ASGIApp, sessions: Sessions, login: Callable[[Request, int], Response]):
        self.app = app
        self.sessions = sessions
        self.login = login

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 401, 403, 411 or 413."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope, receive)
        answer = self._answer(request)
        await (answer or self.app)(scope, receive, _with_headers(send))

    def _answer(self, request: Request) -> Response | None:
        path, changing = str(request.scope["path"]), request.method not in READING
        if changing and not same_site(request):
            return PlainTextResponse("403: this must come from the console's own pages\n", 403)
        if changing and (wrong := _body(request)):
            return PlainTextResponse(f"{wrong}: a form's length must be said, and be small\n", wrong)
        if path in OPEN_PATHS or path.startswith(OPEN_FOLDERS):
            return None
        said = request.query_params.get("token", "")
        if said and (person := self.sessions.book.person(said)):
            # The address that the run printed begins a session, and leaves the address bar.
            response = RedirectResponse(quote(path) if _local(path) else "/", 303)
            self.sessions.begin(response, person)
            return response
        session = self.sessions.read(request)
        if session is None:
            return self._refused(request)
        request.scope.setdefault("state", {})["session"] = session
        return None

    def _refused(self, request: Request) -> Response:
        """The same words for every path, there or not: nothing was looked up."""
        if "text/html" in request.headers.get("accept", ""):
            return self.login(request, 401)
        return PlainTextResponse(REFUSED, 401)


def _local(path: str) -> bool:
    """Say whether a path leads to this site: `//other.example` would not."""
    return path.startswith("/") and not path.startswith(("//", "/\\"))


def _body(request: Request) -> int:
    """Return the status that refuses a body, 0 where it may be read."""
    said = request.headers.get("content-length", "")
    if not said.isdecimal():
        return 411
    return 413 if int(said) > BODY_BYTES_MAX else 0


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *HEADERS]
        await send(message)

    return sending


def session_of(request: Request) -> Session:
    """Return the session that the guard let in."""
    found: Any = request.state.session
    assert isinstance(found, Session)
    return found
