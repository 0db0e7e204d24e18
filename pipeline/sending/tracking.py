"""What a mail carries of the collector: an open pixel, links that lead over it, and the ways to say stop."""

import re
from html import escape, unescape

from msgspec.structs import replace

from models.collecting import CollectorSpec
from models.command import Command
from pipeline.sending.links import CLICK, OPEN, PREFERENCES, REFERENCE, UNSUBSCRIBE, About, Links

_ANCHOR = re.compile(r"<a\b[^>]*>", re.IGNORECASE)
_HREF = re.compile(r"""(\shref\s*=\s*)("[^"]*"|'[^']*')""", re.IGNORECASE)
_KEPT = re.compile(r"\sdata-track\s*=\s*[\"']?no\b", re.IGNORECASE)
_BODY_END = re.compile(r"</body\s*>", re.IGNORECASE)
URL_CHARS_MAX = 2_000
REFERENCE_CHARS_MAX = 256


class Tracker:
    """Writes the links of one message; `at` is when it is rendered (UTC ms)."""

    def __init__(self, spec: CollectorSpec, links: Links, command: Command, at: int):
        self._spec = spec
        self.base = spec.url.rstrip("/")
        self._links = links
        self._about = About(
            command=command.id,
            customer=command.customer,
            channel=command.channel,
            scenario=command.scenario,
            step=command.step,
            purpose=command.purpose,
            at=at,
            address=links.address_hash(command.channel, command.address) if command.address else "",
            language=command.language,
        )

    @property
    def reference(self) -> str:
        """Return the token that a provider hands back with what it reports of the message; empty where none is short.

        Providers take values of up to 256 characters: where a customer's id is long, scenario and step are left out.
        """
        for about in (self._about, replace(self._about, scenario="", step="")):
            token = self._links.seal(REFERENCE, replace(about, language="en"))
            if len(token) <= REFERENCE_CHARS_MAX:
                return token
        return ""

    @property
    def unsubscribe_url(self) -> str:
        """Return the address that stops marketing by this channel: a page to a person, at once to a one-click POST."""
        return f"{self.base}/u/{self._links.seal(UNSUBSCRIBE, self._about)}"

    @property
    def preferences_url(self) -> str:
        """Return the address of the customer's preference page."""
        return f"{self.base}/p/{self._links.seal(PREFERENCES, self._about)}"

    def html(self, html: str) -> str:
        """Return a mail's HTML with its links rewritten and the pixel before its end, as far as the settings say."""
        if self._spec.clicks:
            html = _ANCHOR.sub(lambda anchor: self._anchor(anchor.group()), html)
        if not self._spec.opens:
            return html
        pixel = f'<img src="{self.base}/o/{self._links.seal(OPEN, self._about)}.gif" width="1" height="1" alt="">'
        ends = [found.start() for found in _BODY_END.finditer(html)]
        end = ends[-1] if ends else len(html)
        return f"{html[:end]}{pixel}{html[end:]}"

    def _anchor(self, tag: str) -> str:
        return tag if _KEPT.search(tag) else _HREF.sub(self._href, tag, count=1)

    def _href(self, found: "re.Match[str]") -> str:
        target = unescape(found.group(2)[1:-1]).strip()
        if not is_web_address(target) or target.startswith(f"{self.base}/"):
            return found.group()
        about = replace(self._about, url=target)
        return f'{found.group(1)}"{escape(f"{self.base}/c/{self._links.seal(CLICK, about)}")}"'


def is_web_address(text: str) -> bool:
    """Say whether a text is an address of the web that a browser may be sent to: nothing else is ever redirected to."""
    if len(text) > URL_CHARS_MAX or not text.isascii() or any(ord(char) <= 32 or char in '"<>\\' for char in text):
        return False
    return re.match(r"https?://[^/?#@]+([/?#]|$)", text, re.IGNORECASE) is not None
