"""AsyncAPI: what stands on which topic, made from the records themselves."""

import io
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import msgspec
from ruamel.yaml import YAML

from models.catalogue import Product, Ranking
from models.command import Cancel, Command, Mark, Release
from models.decision import Decision
from models.event import Event
from models.journal import Bundle
from models.receipt import Receipt
from models.sources import SourceSpec
from models.topics import Topics
from models.voucher import Voucher
from pipeline.intake.native import Validator

SCHEMAS = "#/components/schemas/"
MESSAGES = "#/components/messages/"
BYTES = {"description": "A value that is no concern of others."}
HEAD = """\
# The topics and their records, by `parcours schema asyncapi`: made from the code, and compared by a test.
# Times are whole UTC milliseconds, amounts whole minor units; in records of the store as the store writes them.
"""


@dataclass(frozen=True)
class Stream:
    """A topic of ours: what it is for, its records, and whether others may write there."""

    topic: str
    about: str
    records: tuple[type, ...] = ()
    theirs: bool = False


def streams(topics: Topics) -> list[Stream]:
    """Return all our topics; those without records are read by nobody else."""
    return [
        Stream(topics.journal, "Native events and ticks, in the order in which they act.", (Bundle,)),
        Stream(topics.changelog, "The last state of every customer, and each partition's progress; compacted."),
        Stream(topics.delivery, "Messages to send, and marks of how far the engine is.", (Command, Mark, Release)),
        Stream(topics.decisions, "Why something was or was not done.", (Decision,)),
        Stream(topics.cancels, "Commands that must not be carried out any more.", (Cancel,)),
        Stream(topics.receipts, "What the senders did; read back by ingest.", (Receipt,)),
        Stream(topics.forwards, "Events handed on to a known customer; read back by ingest.", (Event,)),
        Stream(topics.collected, "What was said to the collector, as records of events; read back by ingest."),
        Stream(topics.vouchers, "Codes that messages name, for the shop.", (Voucher,)),
        Stream(topics.sender_progress, "Where the senders stand; compacted."),
        Stream(topics.plans, "Plans by their hash, and which is live; compacted."),
        Stream(topics.inbox, "Messages of the channel `web`, and what became of them; compacted, deleted in time."),
        Stream(topics.suppressions, "Keyed hashes of addresses that must not be written to; compacted."),
        Stream(topics.products, "The store's catalogue; compacted.", (Product, Ranking), theirs=True),
        Stream(
            topics.dead_letters,
            "Records that could not be used: key, value and headers as they were, and headers `__parcours.errors.*`.",
        ),
    ]


def document(sources: Iterable[SourceSpec], prefix: str = "") -> dict[str, Any]:
    """Return the whole description: the store's topics that are read with our own events, and ours."""
    ours = streams(Topics(prefix))
    events = Validator("EUR").record_types()
    classes = {f"event_{name}": kind for name, kind in sorted(events.items())}
    classes |= {kind.__name__: kind for one in ours for kind in one.records}
    payloads, schemas = msgspec.json.schema_components(list(classes.values()), ref_template=SCHEMAS + "{name}")
    native = [one.topic or one.name for one in sources if one.mapping == "native"]
    channels = {
        name: _channel(name, "The store's events.", sorted(n for n in classes if n[:6] == "event_")) for name in native
    }
    channels |= {one.topic: _channel(one.topic, one.about, [kind.__name__ for kind in one.records]) for one in ours}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Parcours",
            "version": version("parcours"),
            "description": "Events in, commands out. Every value is a JSON object; keys are customers.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": {
            **{f"read {name}": {"action": "receive", "channel": _ref(name)} for name in native},
            **{f"{_verb(one)} {one.topic}": {"action": _verb(one), "channel": _ref(one.topic)} for one in ours},
        },
        "components": {
            "messages": {
                name: {"name": name, "summary": _first_line(kind), "payload": draft_07(payload)}
                for (name, kind), payload in zip(classes.items(), payloads, strict=True)
            },
            "schemas": {name: draft_07(said) for name, said in sorted(schemas.items())},
        },
    }


def _verb(one: Stream) -> str:
    return "receive" if one.theirs else "send"


def _ref(channel: str) -> dict[str, str]:
    return {"$ref": f"#/channels/{channel}"}


def _channel(topic: str, about: str, messages: list[str]) -> dict[str, Any]:
    said: dict[str, Any] = {"address": topic, "description": about}
    if messages:
        said["messages"] = {name: {"$ref": MESSAGES + name} for name in messages}
    return said


def _first_line(kind: type) -> str:
    """A record's own words, where it has any: those of a class without are its fields'."""
    said = (kind.__doc__ or "").strip().splitlines()
    return said[0] if said else f"A record of the store: {kind.__struct_config__.tag}."  # type: ignore[attr-defined]


def draft_07(schema: Any) -> Any:
    """Return a schema in the form that AsyncAPI takes: no discriminator of OpenAPI, tuples as lists of items."""
    if isinstance(schema, list):
        return [draft_07(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    said = {name: draft_07(value) for name, value in schema.items() if name != "discriminator"}
    if isinstance(said.get("description"), str):
        said["description"] = said["description"].strip().splitlines()[0]  # the rest is for who reads the code
    if "prefixItems" in said:
        rest = said.pop("items", True)
        said["items"], said["additionalItems"] = said.pop("prefixItems"), rest
    return said


def text(sources: Iterable[SourceSpec], prefix: str = "") -> str:
    """Return the description as YAML."""
    yaml, out = YAML(), io.StringIO()
    yaml.default_flow_style = False
    yaml.width = 120
    yaml.representer.ignore_aliases = lambda _: True
    yaml.dump(document(sources, prefix), out)
    return HEAD + out.getvalue()
