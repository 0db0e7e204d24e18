"""HTTP connections of the providers: httpx over aiohttp's connections, called in time, and to public addresses only.

httpx's own connections take 1 ms of CPU a request, aiohttp's 0.2: see docs/decisions. HTTP/2 is httpx's own.
"""

import ipaddress
import socket
import ssl
from collections.abc import Sequence
from contextvars import ContextVar

import aiohttp
import httpx
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_reqrep import ClientRequest
from aiohttp.connector import Connection
from aiohttp.tracing import Trace
from httpx_aiohttp import AiohttpTransport

from models.senders import ProviderSpec
from pipeline.sending.clock import SystemClock

CONNECT_S = 10.0
KEPT_S = 30.0
USER_AGENT = "parcours"
_clock = SystemClock()
call_by: ContextVar[int | None] = ContextVar("call_by", default=None)


class TooLateError(Exception):
    """A connection was there only after the time until which the message's check holds: nothing was handed over."""


class ForbiddenAddressError(OSError):
    """A name leads to an address that is not public: it is not called."""


def too_late() -> bool:
    """Say whether the check of the message at hand holds no longer."""
    until = call_by.get()
    return until is not None and _clock.ticks() > until


class _NoCookies(httpx.Cookies):
    """No provider is to know us by a cookie; looking for them costs a tenth of a call's CPU."""

    def extract_cookies(self, response: httpx.Response) -> None:
        """Keep none."""


class _InTime(aiohttp.TCPConnector):
    """Looks at the clock once more when a connection is there: nothing is written after that."""

    async def connect(self, req: ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout) -> Connection:  # noqa: ASYNC109 - its signature
        connection = await super().connect(req, traces, timeout)
        if too_late():
            connection.close()
            raise TooLateError
        return connection


class PublicResolver(AbstractResolver):
    """Gives out addresses only where every one of a name is public; the connection is made to just those.

    So what is checked is what is called, whatever the name's server says a moment later (DNS rebinding).
    """

    def __init__(self, resolver: AbstractResolver | None = None):
        self._resolver = resolver or aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a name; ForbiddenAddressError where one of them is not public."""
        found = await self._resolver.resolve(host, port, family)
        check_public([one["host"] for one in found])
        return found

    async def close(self) -> None:
        """Close the resolver behind."""
        await self._resolver.close()


def is_public(address: str) -> bool:
    """Say whether an IP address is one of the internet: not private, loopback, link-local, shared, multicast, mapped.

    An IPv6 address that carries an IPv4 one (mapped, NAT64, 6to4, Teredo) is judged by both.
    """
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        inner = _carried(found)
        if inner is not None:
            return inner.is_global and not inner.is_multicast
    return found.is_global and not found.is_multicast


NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
COMPATIBLE = ipaddress.IPv6Network("::/96")


def _carried(found: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if found.teredo is not None:
        return found.teredo[1]
    if found in NAT64 or found in COMPATIBLE:
        return ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
    return found.ipv4_mapped or found.sixtofour


def check_public(addresses: Sequence[str]) -> None:
    """Refuse where one address is not public, or there is none."""
    if not addresses or not all(is_public(one) for one in addresses):
        raise ForbiddenAddressError("the name leads to an address that is not public")


def literal_address(url: httpx.URL) -> str | None:
    """Return the host of an address of the web where it is an IP address, which no resolver is asked for."""
    host = url.host.strip("[]")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return None
    return host


def http_client(
    spec: ProviderSpec, *, public_only: bool = False, context: ssl.SSLContext | None = None
) -> httpx.AsyncClient:
    """Return a client with kept connections, `at_once` of them; no redirects, no proxies, no cookies kept."""
    context = context or httpx.create_ssl_context()

    def session() -> aiohttp.ClientSession:
        connector = _InTime(
            limit=spec.at_once,
            keepalive_timeout=KEPT_S,
            ssl=context,
            resolver=PublicResolver() if public_only else aiohttp.ThreadedResolver(),
            use_dns_cache=not public_only,
        )
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())

    client = httpx.AsyncClient(
        transport=AiohttpTransport(client=session),
        timeout=httpx.Timeout(spec.timeout_s, connect=CONNECT_S, pool=CONNECT_S),
        trust_env=False,
    )
    client._cookies = _NoCookies()
    return client


def http2_client(spec: ProviderSpec, *, context: ssl.SSLContext | None = None) -> httpx.AsyncClient:
    """Return a client that speaks HTTP/2, over few connections: many calls share one."""
    return httpx.AsyncClient(
        http2=True,
        verify=context or httpx.create_ssl_context(),
        limits=httpx.Limits(max_connections=4, keepalive_expiry=KEPT_S),
        timeout=httpx.Timeout(spec.timeout_s, connect=CONNECT_S, pool=CONNECT_S),
        trust_env=False,
    )
