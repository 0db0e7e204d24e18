"""Pages for customers: unsubscribe and preferences. Asking changes nothing, only a POST does."""

from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from jinja2 import Environment, FileSystemLoader, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from agents.collector.hub import Hub, Wishes
from agents.collector.limits import Refused, body_of
from agents.collector.texts import texts
from pipeline.sending import hearing
from pipeline.sending.hearing import PAUSE_MS, Heard
from pipeline.sending.links import PREFERENCES, UNSUBSCRIBE, About, LinkError

TEMPLATES = Path(__file__).with_name("templates")
STYLE = (TEMPLATES / "style.css").read_text()
STYLE_HASH = b64encode(sha256(STYLE.encode()).digest()).decode()
FORM_BYTES_MAX = 16 * 1024
FIELDS_MAX = 20


class Pages:
    """The pages over one hub."""

    def __init__(self, hub: Hub):
        self.hub = hub
        self._pages = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=select_autoescape(["html"]))

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/u/{token}", self.unsubscribe, methods=["GET", "HEAD", "POST"]),
            Route("/p/{token}", self.preferences, methods=["GET", "HEAD", "POST"]),
        ]

    def page(self, template: str, language: str, status: int = 200, **more: Any) -> Response:
        """Return a page in a language."""
        store = self.hub.settings.store.name
        filled = self._pages.get_template(template).render(t=texts(language), store=store, style=STYLE, **more)
        return HTMLResponse(filled, status)

    def about(self, kind: str, request: Request) -> About:
        """Return what a page's link is about."""
        try:
            return self.hub.links.open(kind, request.path_params["token"])
        except LinkError:
            raise Refused(404, "link") from None

    async def unsubscribe(self, request: Request) -> Response:
        """Ask, or by POST unsubscribe: by the page's button, or at once by a mail program (RFC 8058)."""
        about = self.about(UNSUBSCRIBE, request)
        more: dict[str, Any] = {"channel": about.channel, "preferences": self._preferences_url(about)}
        if request.method != "POST":
            return self.page("unsubscribe.html", about.language, **more)
        await body_of(request, FORM_BYTES_MAX)
        now = self.hub.clock_ms()
        await self.hub.hear([hearing.unsubscribed(about, now, f"page/{about.command}/{now}")])
        return self.page("unsubscribed.html", about.language, **more)

    def _preferences_url(self, about: About) -> str:
        return f"../p/{self.hub.links.seal(PREFERENCES, about)}"

    async def preferences(self, request: Request) -> Response:
        """Show what is known of the customer's wishes, or by POST take new ones."""
        about = self.about(PREFERENCES, request)
        known = self.hub.lookup(about.customer)
        if request.method != "POST":
            return self._preferences(about, known, saved=False)
        form = await self._form(request)
        heard = self._wishes(about, form)
        if heard:
            await self.hub.hear(heard)
        return self._preferences(about, _after(known, form, self.hub.clock_ms()), saved=True)

    async def _form(self, request: Request) -> Mapping[str, str]:
        raw = await body_of(request, FORM_BYTES_MAX)
        try:
            fields = parse_qs(raw.decode(), strict_parsing=bool(raw), max_num_fields=FIELDS_MAX, keep_blank_values=True)
        except ValueError:
            raise Refused(400, "form") from None
        allowed = {
            **{channel: {"yes", "no", "keep"} for channel in self.hub.channels},
            "pause": {"keep", "month", "end"},
        }
        for name, said in fields.items():
            if name not in allowed or len(said) != 1 or said[0] not in allowed[name]:
                raise Refused(400, "form")
        return {name: said[0] for name, said in fields.items()}

    def _wishes(self, about: About, form: Mapping[str, str]) -> list[Heard]:
        now = self.hub.clock_ms()
        heard = [
            hearing.consent(about, now, channel, form[channel] == "yes")
            for channel in self.hub.channels
            if form.get(channel) in {"yes", "no"}
        ]
        if form.get("pause") == "month":
            heard.append(hearing.paused(about, now, now + PAUSE_MS))
        elif form.get("pause") == "end":
            heard.append(hearing.paused(about, now, now))
        return heard

    def _preferences(self, about: About, known: Wishes | None, *, saved: bool) -> Response:
        chosen = [(channel, _chosen(known, channel)) for channel in self.hub.channels]
        until = known.paused_until if known else None
        paused = None if until is None else datetime.fromtimestamp(until / 1000, UTC).date().isoformat()
        return self.page("preferences.html", about.language, channels=chosen, saved=saved, paused=paused)


def _chosen(known: Wishes | None, channel: str) -> str:
    given = known.given.get(channel) if known else None
    return "keep" if given is None else "yes" if given else "no"


def _after(known: Wishes | None, form: Mapping[str, str], now: int) -> Wishes:
    """Return the wishes as they will be: the page need not wait for the engine to show them."""
    said = {name: value == "yes" for name, value in form.items() if name != "pause" and value != "keep"}
    until = known.paused_until if known else None
    paused = {"month": now + PAUSE_MS, "end": None}.get(form.get("pause", "keep"), until)
    return Wishes({**(known.given if known else {}), **said}, paused)
