"""The open pixel and the click redirect."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from agents.collector.hub import Hub
from agents.collector.limits import Refused
from agents.collector.machines import is_machine
from pipeline.sending import hearing
from pipeline.sending.links import CLICK, OPEN, About, LinkError
from pipeline.sending.tracking import is_web_address

# One transparent point.
PIXEL = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c000000000100010000020144003b")


class Tracking:
    """The routes that mails lead to."""

    def __init__(self, hub: Hub):
        self.hub = hub

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [Route("/o/{token}.gif", self.open), Route("/c/{token}", self.click)]

    def _about(self, kind: str, request: Request) -> tuple[About, bool]:
        try:
            about = self.hub.links.open(kind, request.path_params["token"])
        except LinkError:
            raise Refused(404, "link") from None
        since = self.hub.since_ms(about.command, about.at)
        return about, is_machine(request.method, request.headers, since)

    async def open(self, request: Request) -> Response:
        """Answer the pixel, and note that the mail was opened, by somebody or by a machine."""
        about, machine = self._about(OPEN, request)
        await self.hub.hear_if_possible(hearing.opened(about, self.hub.clock_ms(), machine))
        return Response(PIXEL, media_type="image/gif")

    async def click(self, request: Request) -> Response:
        """Lead on to where the mail's link led; the target stands sealed in the link."""
        about, machine = self._about(CLICK, request)
        if not is_web_address(about.url):
            raise Refused(404, "link")
        await self.hub.hear_if_possible(hearing.clicked(about, self.hub.clock_ms(), about.url, machine))
        return RedirectResponse(about.url, 302)
