"""Compiles the paths and fields of a mapping to getters."""

import re
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any

from models.mapping import FieldSpec

Fields = dict[str, Any]
Getter = Callable[[Fields, bytes], Any]
PART = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


def path_getter(path: str) -> Callable[[Any], Any]:
    """Return a function that follows a path like `order.lines[0].sku`; None where it leads nowhere."""
    parts: list[str | int] = [int(index) if index else name for name, index in PART.findall(path)]
    if len(parts) == 1 and isinstance(parts[0], str):
        name = parts[0]
        return lambda fields: fields.get(name) if isinstance(fields, dict) else None

    def follow(value: Any) -> Any:
        for part in parts:
            if isinstance(part, str):
                value = value.get(part) if isinstance(value, dict) else None
            else:
                value = value[part] if isinstance(value, list) and part < len(value) else None
            if value is None:
                return None
        return value

    return follow


def field_getter(spec: FieldSpec | str | list[Any]) -> Getter:
    """Return a function of (fields, content) for one field of an event; an empty text is no value."""
    if isinstance(spec, str):
        follow = path_getter(spec)
        return lambda fields, content: _present(follow(fields))
    if isinstance(spec, list):
        lines = [fields_getter(line) for line in spec]
        return lambda fields, content: [line(fields, content) for line in lines]
    if spec.content_id:
        return lambda fields, content: blake2b(content, digest_size=8).hexdigest()
    if spec.const is not None:
        constant = spec.const
        return lambda fields, content: constant
    return _changed(spec, path_getter(spec.path or ""))


def _present(value: Any) -> Any:
    return None if value == "" else value


def _changed(spec: FieldSpec, follow: Callable[[Any], Any]) -> Getter:
    item = fields_getter(spec.item) if spec.item is not None else None

    def get(fields: Fields, content: bytes) -> Any:
        value = _present(follow(fields))
        if value is None:
            return None
        if item is not None:
            return [item(one, content) for one in value] if isinstance(value, list) else value
        if spec.strip and isinstance(value, str):
            value = value.removesuffix(spec.strip)
        if spec.absolute:
            value = str(value).lstrip("-")
        if spec.map:
            value = spec.map.get(str(value), value)
        return value

    return get


def fields_getter(specs: Mapping[str, Any]) -> Getter:
    """Return a function that makes a dict of all the fields that are there."""
    getters = [(name, field_getter(spec)) for name, spec in specs.items()]

    def get(fields: Fields, content: bytes) -> dict[str, Any]:
        found = ((name, getter(fields, content)) for name, getter in getters)
        return {name: value for name, value in found if value is not None}

    return get


def condition(when: Mapping[str, Any]) -> Callable[[Fields], bool]:
    """Return a test that every path has its value; a text that ends in * is a prefix."""
    tests = [(path_getter(path), str(value)) for path, value in when.items()]

    def holds(fields: Fields) -> bool:
        for follow, wanted in tests:
            found = "" if (value := follow(fields)) is None else str(value)
            if wanted.endswith("*") and found.startswith(wanted[:-1]):
                continue
            if found != wanted:
                return False
        return True

    return holds
