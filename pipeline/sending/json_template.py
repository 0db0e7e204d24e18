"""JSON templates: JSON first, then every text in it is filled in, so that no value can break out of its place.

A text that is one name alone, `{{ items }}`, gives the value as it is: a number stays a number, a list a list. A field
whose value is nothing is left out.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol

ONE_NAME = re.compile(r"^\{\{\s*([A-Za-z_][\w]*(?:\.[A-Za-z_][\w]*)*)\s*\}\}$")
Fill = Callable[[Mapping[str, Any]], Any]


class Template(Protocol):
    """A compiled Liquid template."""

    def render(self, *args: Any, **more: Any) -> str:
        """Fill it in."""


def compile_json(text: str, from_string: Callable[[str], Template]) -> Fill:
    """Return what fills a JSON template in; ValueError where it is not JSON."""
    return _compile(json.loads(text), from_string)


def _compile(node: Any, from_string: Callable[[str], Template]) -> Fill:
    match node:
        case str():
            return _text(node, from_string)
        case list():
            parts = [_compile(one, from_string) for one in node]
            return lambda context: [filled for part in parts if (filled := part(context)) is not None]
        case dict():
            fields = {name: _compile(one, from_string) for name, one in node.items()}
            return lambda context: {
                name: filled for name, part in fields.items() if (filled := part(context)) is not None
            }
    return lambda context: node


def _text(text: str, from_string: Callable[[str], Template]) -> Fill:
    one = ONE_NAME.match(text.strip())
    if one is not None:
        path = one.group(1).split(".")
        return lambda context: _value(context, path)
    template = from_string(text)
    return lambda context: template.render(**context)


def _value(context: Any, path: list[str]) -> Any:
    for name in path:
        if not isinstance(context, Mapping) or name not in context:
            return None
        context = context[name]
    return context
