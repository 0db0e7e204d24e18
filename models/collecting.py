"""The `collector:` part of `settings.yaml`: where customers' clicks, opens and wishes come in."""

from typing import Annotated

from pydantic import Field

from models.scenario import Written


class CollectorSpec(Written):
    """The collector's public address, without a path of its own; what mails carry of it.

    `opens`: mails have an open pixel. `clicks`: links of the HTML part lead over the collector.
    """

    url: Annotated[str, Field(pattern=r"^https?://[A-Za-z0-9.\-\[\]:]+(/[A-Za-z0-9._~/\-]*)?$", max_length=200)]
    opens: bool = True
    clicks: bool = True
    help: str = ""  # the answer to HELP by text message; without one the store's name and address
