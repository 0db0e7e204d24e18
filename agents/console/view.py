"""What every page is given: who asks, the words of their language, how figures are written, how far the log is."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse

from agents.console.formats import LANGUAGES, Formats
from agents.console.guard import Session
from agents.console.place import Place, Plans

HERE = Path(__file__).parent
LANGUAGE = "parcours_language"
LANGUAGE_S = 365 * 86_400
NAVIGATION = (
    ("/", "Scenarios"), ("/messages", "Messages"), ("/customer", "Customer"), ("/map", "Journey map"),
    ("/funnels", "Funnels"), ("/segments", "Segments"), ("/control", "Control"), ("/dead-letters", "Dead letters"),
    ("/health", "Health"), ("/audit", "Audit"),
)  # fmt: skip


class View:
    """Renders the templates over one place."""

    def __init__(self, place: Place):
        self.place = place
        self.plans = Plans(place.plan_sources)
        self._templates = Environment(
            loader=FileSystemLoader(HERE / "templates"), autoescape=select_autoescape(), trim_blocks=True
        )
        self._templates.filters["quote"] = lambda text: quote(str(text), safe="")

    def formats(self, request: Request) -> Formats:
        """Return the request's language with the store's zone and currency."""
        settings = self.plans.settings()
        return Formats(language_of(request), settings.timezone, settings.store.currency)

    def render(self, request: Request, template: str, *, status: int = 200, **values: object) -> HTMLResponse:
        """Return a page; `values` are the template's own."""
        session: Session | None = getattr(request.state, "session", None)
        formats = self.formats(request)
        said: dict[str, Any] = {
            **formats.names(),
            "language": formats.language,
            "languages": {one: _in_language(request, one) for one in LANGUAGES},
            "language_names": LANGUAGES,
            "here": request.url.path,
            "navigation": NAVIGATION,
            "store": self.plans.settings().store.name if session else "",
            "session": session,
            "mark": session.mark if session else "",
            "may": lambda role: session is not None and session.person.may(role),
            "watermark": self.place.watermark() if session else 0,
            **values,
        }
        response = HTMLResponse(self._templates.get_template(template).render(said), status)
        chosen = request.query_params.get("lang", "")
        if chosen in LANGUAGES:
            response.set_cookie(LANGUAGE, chosen, max_age=LANGUAGE_S, samesite="strict", httponly=True)
        return response


def language_of(request: Request) -> str:
    """Return the language: chosen now, or before, else the browser's, else English."""
    for said in (request.query_params.get("lang", ""), request.cookies.get(LANGUAGE, "")):
        if said in LANGUAGES:
            return said
    for one in request.headers.get("accept-language", "").split(","):
        wanted = one.strip()[:2].lower()
        if wanted in LANGUAGES:
            return wanted
    return "en"


def _in_language(request: Request, language: str) -> str:
    """Return this page's address in a language; a page that cannot be asked for again leads to the first."""
    if request.method != "GET":
        return f"/?lang={language}"
    return f"?{request.url.include_query_params(lang=language).query}"
