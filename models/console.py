"""`console.yaml` as a person writes it: the console's outer address, and who may sign in by a login provider."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from models.scenario import Text, Written
from models.senders import Secret

Role = Literal["see", "edit", "send", "erase"]
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def web_address(said: str) -> str:
    """Return an https address, or an http one of this machine; ValueError for any other."""
    place = urlsplit(said)
    plain = place.scheme == "http" and place.hostname in LOOPBACK
    if not place.hostname or not (plain or place.scheme == "https") or place.username is not None:
        raise ValueError(f"{said!r}: write an https:// address (http:// for 127.0.0.1 alone)")
    return said


class OidcSpec(Written):
    """A login provider: its issuer, our client there, and which of its groups have which roles."""

    issuer: Text
    client_id: Text
    client_secret: Secret
    claim: Text = "groups"
    roles: Annotated[dict[Text, Annotated[list[Role], Field(min_length=1)]], Field(min_length=1)]
    scope: Text = "openid profile email"

    @field_validator("issuer")
    @classmethod
    def _address(cls, said: str) -> str:
        return web_address(said)


class ConsoleSpec(Written):
    """`url` is where browsers find the console when a proxy stands before it."""

    url: str = ""
    oidc: OidcSpec | None = None

    @field_validator("url")
    @classmethod
    def _address(cls, said: str) -> str:
        return web_address(said) if said else said
