"""The `collector:` part of `settings.yaml`: where customers' clicks, opens and wishes come in."""

from typing import Annotated

from pydantic import Field

from models.scenario import Span, Written


class SoftBounces(Written):
    """From how many soft bounces of an address, within how long, nothing more is sent to it."""

    count: Annotated[int, Field(ge=1, le=100)] = 5
    within: Span = "30d"


class CollectorSpec(Written):
    """The collector's public address, without a path of its own; what mails carry of it.

    `opens`: mails have an open pixel. `clicks`: links of the HTML part lead over the collector.
    """

    url: Annotated[str, Field(pattern=r"^https?://[A-Za-z0-9.\-\[\]:]+(/[A-Za-z0-9._~/\-]*)?$", max_length=200)]
    opens: bool = True
    clicks: bool = True
    soft_bounces: SoftBounces = SoftBounces()
    help: str = ""  # the answer to HELP by text message; without one the store's name and address
