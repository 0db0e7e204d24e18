"""Expressions that YAML reads otherwise than they were meant, and how each is written so that it does not.

Outside quotes a comma ends a value in braces, ` #` begins a comment, `: ` a mapping, `!` a tag; and a text that begins
with a quote ends at the next one. Whatever it is, quotes round the whole help.
"""

import re
from collections.abc import Mapping
from typing import Any

KEY = re.compile(r"(?:^|(?<=[\s{,]))([A-Za-z_][\w-]*):[ \t]+")
PAIRS = {"(": ")", "[": "]", "{": "}"}


def quoted(text: str) -> str:
    """Return a text in YAML's single quotes."""
    return "'" + text.replace("'", "''") + "'"


def as_meant(line: str, column: int, *, in_braces: bool = False) -> str | None:
    """Return `key: 'value'` of the value that stands at a column (from 1) of a line; None where no key is before it.

    The value is taken as one text up to where its line ends, or the braces that it stands in (`in_braces`: they began
    before this line).
    """
    keys = [found for found in KEY.finditer(line) if found.end() < column + 1]
    keys = [found for found in keys if not _inside_text(line, found.start())]
    if not keys:
        return None
    key = keys[-1]
    value = line[key.end() : _end(line, key.end(), in_braces=in_braces or _depth(line[: key.end()]) > 0)].strip()
    if not value or _is_quoted(value) or column > key.end() + len(value) + 1:
        return None
    return f"{key[1]}: {quoted(value)}"


def is_open(text: str) -> bool:
    """Say whether a text ends inside a bracket or a quote: something cut it."""
    return _depth(text) > 0 or _inside_text(text, len(text))


def cut_in_braces(mapping: Mapping[Any, Any], key: str) -> str | None:
    """Return the key whose value was cut at a comma before `key`, which is what was left of it; None where none was."""
    names = list(mapping)
    if key not in names:
        return None
    for name in reversed(names[: names.index(key)]):
        value = mapping[name]
        if isinstance(value, str):
            return str(name) if is_open(value) else None
        if value is not None:
            return None
    return None


def _is_quoted(value: str) -> bool:
    return (
        len(value) > 1
        and value[0] in "\"'"
        and value[-1] == value[0]
        and value.count(value[0]) % 2 == 0
        and (value[0] not in value[1:-1].replace(value[0] * 2, ""))
    )


def _inside_text(line: str, end: int) -> bool:
    """Say whether a position stands inside quotes."""
    inside = ""
    for char in line[:end]:
        if inside:
            inside = "" if char == inside else inside
        elif char in "\"'":
            inside = char
    return bool(inside)


def _depth(text: str) -> int:
    """Return how many brackets are open at a text's end, outside quotes."""
    inside, depth = "", 0
    for char in text:
        if inside:
            inside = "" if char == inside else inside
        elif char in "\"'":
            inside = char
        else:
            depth += (char in PAIRS) - (char in PAIRS.values())
    return depth


def _end(line: str, start: int, *, in_braces: bool) -> int:
    """Return where a value ends: at a comma or a bracket that closes what was open before it, else with the line."""
    inside, depth = "", 0
    for index in range(start, len(line)):
        char = line[index]
        if inside:
            inside = "" if char == inside else inside
        elif char in "\"'":
            inside = char
        elif char in PAIRS:
            depth += 1
        elif char in PAIRS.values():
            depth -= 1
            if depth < 0:
                return index
        elif depth == 0 and ((char == "," and in_braces) or (char == "#" and line[index - 1] == " ")):
            return index
    return len(line)
