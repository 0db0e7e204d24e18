"""The description of the HTTP is that of the code, and whatever it lets one ask is no fault of ours."""

import asyncio
import http.client
import itertools
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount, Route

from agents import metrics
from agents.collector import openapi, serve
from agents.collector.app import build
from agents.collector.inbox import InboxDesk
from agents.collector.limits import Gate
from agents.collector.tokens import InboxTokens
from agents.collector.webhooks import PROVIDERS, routes_from_environment
from pipeline.runtime.folder import Folder
from pipeline.runtime.inbox import FolderInbox
from pipeline.sending.links import CLICK, OPEN, PREFERENCES, UNSUBSCRIBE
from tests.collector.kit import Desk
from tests.collector.test_inbox import item
from tests.collector.test_webhooks import PUBLISHED_KEY
from tests.sending.build import T0

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
KINDS = {"/o/": OPEN, "/c/": CLICK, "/u/": UNSUBSCRIBE, "/p/": PREFERENCES}
Asked = tuple[str, str]


def routes_of(routes: Sequence[BaseRoute], before: str = "") -> Iterator[Asked]:
    """Yield what a list of routes answers, as OpenAPI says it: HEAD goes without saying."""
    for one in routes:
        if isinstance(one, Mount):
            yield from routes_of(one.routes, before + one.path)
        elif isinstance(one, Route):
            yield from ((before + one.path, method) for method in one.methods or () if method != "HEAD")


def described(document: openapi.Described) -> set[Asked]:
    return {(path, method.upper()) for path, methods in document["paths"].items() for method in methods}


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A collector with an inbox of one message and every provider's webhook; nobody asks too often."""
    folder, seconds = Folder(tmp_path_factory.mktemp("d") / "d"), itertools.count(1, 1_000_000)
    store = FolderInbox(folder, lambda: T0, 3)
    asyncio.run(store.keep(item()))
    inbox = InboxDesk(store, InboxTokens(b"i" * 32), ["https://shop.example"])
    with pytest.MonkeyPatch.context() as patch:
        for name, (variable, _) in PROVIDERS.items():
            patch.setenv(
                variable, {"sendgrid": PUBLISHED_KEY, "postmark": "shop:a-long-password-of-it"}.get(name, "k" * 40)
            )
        one = Desk(routes_from_environment, inbox=inbox, gate=Gate(lambda: float(next(seconds))))
        one.now = time.time_ns() // 1_000_000
        yield one
    folder.close()


@pytest.fixture(scope="module")
def served(everything: Desk) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(serve, "routes_from_environment", routes_from_environment)
        url, close = serve.serve_in_thread(everything.hub, 0)
        yield url
        close()


def test_the_collectors_description_has_the_routes_of_the_code(everything: Desk) -> None:
    app = build(everything.hub, *routes_from_environment(everything.hub))
    assert described(openapi.collector()) == set(routes_of(app.routes))


def test_the_operators_description_has_the_routes_of_the_code() -> None:
    assert described(openapi.operations()) == set(routes_of(Starlette(routes=metrics.routes(lambda: True)).routes))


@pytest.mark.parametrize("name", ["collector", "operations"])
def test_the_files_are_what_the_command_writes(name: str) -> None:
    path = REFERENCE / openapi.FILES[name]
    made = openapi.written(getattr(openapi, name)())
    assert path.read_bytes() == made, "python -m agents.collector.openapi docs/reference"


SCHEMA = schemathesis.openapi.from_dict(openapi.collector())
OPERATIONS = [found.ok() for found in SCHEMA.get_all_operations()]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: f"{one.method.upper()} {one.path}")
def test_whatever_is_asked_the_answer_is_one_that_is_described(
    operation: "schemathesis.APIOperation", served: str, everything: Desk
) -> None:
    token = everything.hub.inbox.tokens.make("c1", everything.now // 1000) if everything.hub.inbox else ""
    allowed = {int(status) for status in operation.definition.raw["responses"]} | {404}
    kind = next((kind for start, kind in KINDS.items() if operation.path.startswith(start)), None)

    @settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(operation.as_strategy(), st.booleans())
    def ask(case: "schemathesis.Case", rightly: bool) -> None:
        heads = {}
        if rightly and kind is not None:
            case.path_parameters = {"token": everything.token(kind)}
        elif rightly and operation.path != "/v1/inbox/stream":  # it would not end
            heads = {"authorization": f"Bearer {token}"}
        answer = case.call(base_url=served, headers=heads, timeout=10, allow_redirects=False)
        case.validate_response(answer, checks=[not_a_server_error, response_schema_conformance])
        assert answer.status_code in allowed, (answer.status_code, case)

    ask()


def raw(
    url: str, method: str, path: str, body: bytes = b"", heads: dict[str, str] | None = None
) -> http.client.HTTPResponse:
    """Ask for a path exactly as it is written: no client puts its dots in order."""
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=10)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in {
        "host": place.netloc,
        "content-length": str(len(body)),
        "connection": "close",
        **(heads or {}),
    }.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer


UPWARDS = ["..", "%2e%2e", "..%2f", "%2e%2e%2f", "..%5c", "....//", "%c0%ae%c0%ae/", "..;/", "%252e%252e%252f"]


@pytest.mark.parametrize("up", UPWARDS)
@pytest.mark.parametrize("start", ["/", "/o/", "/u/", "/v1/inbox/", "/v1/", "/webhooks/"])
def test_no_path_leads_to_a_file(served: str, start: str, up: str) -> None:
    for target in ("etc/passwd", "secret.key", "templates/style.css"):
        answer = raw(served, "GET", f"{start}{'/'.join([up] * 4)}/{target}")
        assert 400 <= answer.status < 500


@pytest.mark.parametrize("path", ["//evil.example", "/\\evil.example", "/c//evil.example", "/u//evil.example/", "/v1//evil.example", "/livez/"])  # fmt: skip
def test_nobody_is_led_to_another_site(served: str, path: str) -> None:
    answer = raw(served, "GET", path, heads={"host": "evil.example"})
    assert (answer.status, answer.getheader("location")) == (404, None)


def test_a_link_leads_only_where_the_mail_led(served: str, everything: Desk) -> None:
    from msgspec.structs import replace

    from tests.collector.kit import ABOUT

    for target, status in (("https://shop.example/p", 302), ("javascript:alert(1)", 404), ("//evil.example", 404)):
        token = everything.token(CLICK, replace(ABOUT, url=target))
        answer = raw(served, "GET", f"/c/{token}?url=https://evil.example&next=//evil.example")
        assert (answer.status, answer.getheader("location")) == (status, target if status == 302 else None)


@pytest.mark.parametrize(
    ("path", "most"), [("/u/TOKEN", 16 * 1024), ("/v1/inbox/m1/seen", 1_024), ("/webhooks/mailgun", 1024 * 1024)]
)
def test_a_body_over_its_limit_is_refused_whatever_its_head_says(
    served: str, everything: Desk, path: str, most: int
) -> None:
    assert everything.hub.inbox is not None
    heads = {"authorization": f"Bearer {everything.hub.inbox.tokens.make('c1', everything.now // 1000)}"}
    path = path.replace("TOKEN", everything.token(UNSUBSCRIBE))
    assert raw(served, "POST", path, b"x" * (most + 1), heads).status == 413
    assert raw(served, "POST", path, b"x" * 100, heads).status != 413
