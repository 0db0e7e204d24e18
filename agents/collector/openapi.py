"""The HTTP of our processes as OpenAPI 3.1: the collector's, and what every process answers to its operators.

`python -m agents.collector.openapi FOLDER` writes the files that stand in `docs/reference`. The routes are those of the
code: a test compares both.
"""

import sys
from pathlib import Path
from typing import Any

import orjson

from agents.collector.inbox import WORDS
from agents.collector.webhooks import PROVIDERS

Described = dict[str, Any]
FILES = {"collector": "openapi-collector.json", "operations": "openapi-operations.json"}
REFUSED = "not ours, changed, too large, too often, or unsigned: nothing has changed, and it is counted"
STATUS = {
    200: "done",
    204: "taken, or known already",
    302: "leads on to the address that is sealed in the link",
    400: "not a request of ours",
    401: "the token or signature is missing, wrong, or over",
    403: "not from a page or a certificate that may ask",
    404: "not there",
    405: "not this method",
    409: "told before",
    413: "the body is too large",
    425: "could not be checked yet: tell again",
    429: "too often: come back after `retry-after`",
    503: "not ready, or it could not be kept: come back",
}


def _answers(*statuses: int, kind: str = "text/plain", schema: Described | None = None) -> Described:
    """Return the answers of an operation; the first is what is hoped for, and has a content."""
    found: Described = {str(status): {"description": STATUS[status]} for status in sorted(statuses)}
    if kind and statuses[0] == 200:
        found["200"]["content"] = {kind: {"schema": schema or {"type": "string"}}}
    return found


def _in_path(name: str, **schema: Any) -> Described:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1, **schema}}


def _operation(summary: str, answers: Described, *parameters: Described, **more: Any) -> Described:
    found: Described = {"summary": summary, "responses": answers, **more}
    if parameters:
        found["parameters"] = list(parameters)
    return found


def _form(schema: Described) -> Described:
    return {"required": False, "content": {"application/x-www-form-urlencoded": {"schema": schema}}}


def _links() -> Described:
    token = _in_path("token", maxLength=8_000)
    refused = (404, 429)
    choice = {"type": "string", "enum": ["yes", "no", "keep"]}
    wishes: Described = {name: choice for name in ("email", "sms", "push", "web")}
    wishes["pause"] = {"type": "string", "enum": ["keep", "month", "end"]}
    page = _answers(200, *refused, kind="text/html")
    posted = _answers(200, 400, 413, 503, *refused, kind="text/html")
    one_click = {"type": "object", "properties": {"List-Unsubscribe": {"const": "One-Click"}}}
    return {
        "/o/{token}.gif": {
            "get": _operation("The open pixel of a mail", _answers(200, 503, *refused, kind="image/gif"), token)
        },
        "/c/{token}": {"get": _operation("A tracked link", _answers(302, 503, *refused), token)},
        "/u/{token}": {
            "get": _operation("Asks whether to unsubscribe; changes nothing", page, token),
            "post": _operation("Unsubscribes (RFC 8058)", posted, token, requestBody=_form(one_click)),
        },
        "/p/{token}": {
            "get": _operation("The preference page; changes nothing", page, token),
            "post": _operation(
                "Takes the customer's wishes",
                posted,
                token,
                requestBody=_form({"type": "object", "properties": wishes, "additionalProperties": False}),
            ),
        },
    }


def _inbox() -> Described:
    text = {"type": "string"}
    message = {
        "type": "object",
        "required": ["id", "at", "until", "seen", "clicked", "payload"],
        "properties": {
            "id": text,
            "at": {"type": "string", "format": "date-time"},
            "until": {"type": "string", "format": "date-time"},
            "seen": {"type": "boolean"},
            "clicked": {"type": "boolean"},
            "payload": {"type": "object"},
        },
    }
    listed = {
        "type": "object",
        "required": ["messages"],
        "properties": {"messages": {"type": "array", "items": message}},
    }
    secured: Described = {"security": [{"customer": []}]}
    refused = (401, 403, 429)
    query = {"name": "token", "in": "query", "required": False, "schema": text}
    last = {"name": "Last-Event-ID", "in": "header", "required": False, "schema": {"type": "string"}}
    return {
        "/v1/inbox": {
            "get": _operation(
                "A customer's messages", _answers(200, 503, *refused, kind="application/json", schema=listed), **secured
            )
        },
        "/v1/inbox/stream": {
            "get": _operation(
                "The messages as they come: server-sent events `message` and `gone`",
                _answers(200, 503, *refused, kind="text/event-stream"),
                query,
                last,
                **secured,
            )
        },
        "/v1/inbox/{name}/{word}": {
            "post": _operation(
                "Says what became of a message",
                _answers(204, 400, 404, 413, 503, *refused),
                _in_path("name"),
                _in_path("word", enum=list(WORDS)),
                **secured,
            )
        },
    }


def _webhooks() -> Described:
    answers = _answers(200, 400, 401, 403, 404, 409, 413, 425, 429, 503, kind="*/*")
    body = {"required": True, "content": {"application/json": {}, "application/x-www-form-urlencoded": {}}}
    return {
        f"/webhooks/{name}": {"post": _operation(f"What {name} reports; signed by it", answers, requestBody=body)}
        for name in PROVIDERS
    }


def _probes() -> Described:
    return {
        "/livez": {"get": _operation("Whether the process runs", _answers(200))},
        "/readyz": {"get": _operation("Whether it does its work", _answers(200, 503))},
    }


def _document(title: str, description: str, paths: Described, **components: Any) -> Described:
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": "1", "description": description},
        "paths": dict(sorted(paths.items())),
        **({"components": components} if components else {}),
    }


def collector() -> Described:
    """Return the collector's description."""
    bearer = {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "HS256: docs/reference/inbox.md",
    }
    return _document(
        "The collector of Parcours",
        f"What customers, the store's page and providers ask. Refused is what is {REFUSED}.",
        {**_links(), **_inbox(), **_webhooks(), **_probes()},
        securitySchemes={"customer": bearer},
    )


def operations() -> Described:
    """Return the description of what every process answers on its `--metrics-port`, and a run on its console's."""
    measured = {"/metrics": {"get": _operation("Figures for Prometheus", _answers(200))}}
    return _document("Operations of Parcours", "Probes and figures of every process.", {**measured, **_probes()})


def written(document: Described) -> bytes:
    """Return a description as it stands in its file."""
    return orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n"


def main(folder: Path) -> None:
    """Write the files."""
    for name, document in (("collector", collector()), ("operations", operations())):
        (folder / FILES[name]).write_bytes(written(document))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
