"""Tells people from programs that open and follow what they scan: what a program did is no sign of interest."""

import re
from collections.abc import Mapping

# Nobody reads a mail and follows a link within two seconds of its delivery.
SOON_MS = 2_000
# Apple's privacy proxy loads every picture by itself, under a name that no browser has. Google's and Yahoo's proxies
# load when the mail is opened: they are believed.
PRIVACY_PROXY = re.compile(r"^Mozilla/5\.0$")
SCANNERS = re.compile(
    r"bot\b|crawl|spider|scan|preview|prefetch|headless|python|curl|wget|libwww|httpclient|http-client|okhttp|java/|go-http"
    r"|node-fetch|axios|barracuda|mimecast|proofpoint|symantec|messagelabs|fireeye|trendmicro|bitdefender|sophos"
    r"|facebookexternalhit|slack|skypeuripreview|whatsapp|telegram|zscaler|safelinks",
    re.IGNORECASE,
)


def is_machine(method: str, headers: Mapping[str, str], since_ms: int | None) -> bool:
    """Say whether a program did this; `since_ms` is how long ago the message was delivered, or last rendered."""
    if method == "HEAD" or (since_ms is not None and 0 <= since_ms < SOON_MS):
        return True
    if "prefetch" in headers.get("sec-purpose", headers.get("purpose", headers.get("x-purpose", ""))).lower():
        return True
    agent = headers.get("user-agent", "").strip()
    return not agent or PRIVACY_PROXY.match(agent) is not None or SCANNERS.search(agent) is not None
