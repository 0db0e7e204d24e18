"""Which files are the template of a message, and whether they can be read.

A template is `NAME.LANGUAGE.KIND`, or `NAME.LANGUAGE.CHANNEL.KIND` where a channel has its own; the language is the
customer's, else the store's, else English.

| channel | kinds |
|---|---|
| email | txt and html (or mjml, which becomes html), both |
| sms | txt |
| push | json (title, body, and what else the app reads), else txt: its subject is the title |
| web | json, else txt, else none: the step's `with` as it is |
| webhook | json, else none: the step's `with` as it is |

A JSON template is JSON before anything is filled in: each text in it is a Liquid template of its own, so that no value
can break out of its place.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from liquid import Environment
from liquid.exceptions import LiquidError

from pipeline.templating import split_head

# Every kind of one of these alternatives must be there; none at all where the alternative is empty.
FORMS: dict[str, tuple[tuple[str, ...], ...]] = {
    "email": (("html", "txt"),),
    "sms": (("txt",),),
    "push": (("json",), ("txt",)),
    "web": (("json",), ("txt",), ()),
    "webhook": (("json",), ()),
}


# What a part may be written in, the first that is there.
ENDINGS = {"html": ("mjml", "html")}


def candidates(template: str, channel: str, language: str, kind: str) -> list[str]:
    """Return the file names of one part of a template, the channel's own first."""
    stems = (f"{template}.{language}.{channel}", f"{template}.{language}")
    return [f"{stem}.{ending}" for stem in stems for ending in ENDINGS.get(kind, (kind,))]


def find_part(
    files: Mapping[str, Any], template: str, channel: str, languages: Iterable[str], kind: str
) -> tuple[str, str] | None:
    """Return the file of one part and its language: the first language that has one; None where none has."""
    for language in languages:
        for name in candidates(template, channel, language, kind):
            if name in files:
                return name, language
    return None


def missing(files: Mapping[str, Any], template: str, channel: str, languages: Iterable[str]) -> str | None:
    """Return the file that a template lacks on a channel, None where it has what the channel needs."""
    languages = tuple(languages)
    for form in FORMS[channel]:
        absent = [kind for kind in form if find_part(files, template, channel, languages, kind) is None]
        if not absent:
            return None
        last = absent[0]
    return f"{template}.{languages[0]}.{ENDINGS.get(last, (last,))[0]}"


def texts_of(node: Any) -> Iterable[str]:
    """Return every text in a JSON template."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, list):
        for one in node:
            yield from texts_of(one)
    elif isinstance(node, dict):
        for one in node.values():
            yield from texts_of(one)


def fault_of(name: str, text: str, environment: Environment) -> str | None:
    """Return what is wrong with one file of a template: no JSON, no Liquid, a filter that is not there."""
    head, body = split_head(text)
    try:
        parts = [*head.values(), *(texts_of(json.loads(body)) if name.endswith(".json") else [body])]
        for part in parts:
            found = environment.from_string(part).analyze(include_partials=False)
            for word in found.filters:
                if word not in environment.filters:
                    return f"{name}: unknown filter {word!r}"
    except json.JSONDecodeError as error:
        return f"{name}: not JSON: {error}"
    except LiquidError as error:
        return f"{name}: {type(error).__name__}: {error}"
    return None
