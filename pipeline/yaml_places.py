"""YAML 1.2 with the place of every key and value, so that a fault is reported as file:line:column.

`on` stays a word (in YAML 1.1 it is a boolean). Anchors are refused: nobody needs them here, and they are what bombs
are made of.
"""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from pipeline.errors import PlanError, Problem

BYTES_MAX = 256 * 1024
Path = tuple[str | int, ...]


class Places:
    """Where each node of one file stands: line and column from 1."""

    def __init__(self, file: str, root: Any):
        self.file = file
        self._root = root

    def of(self, path: Sequence[str | int], *, key: bool = False) -> tuple[int, int]:
        """Return the place of the value (or the key) at a path; of the nearest parent where it is not in the file."""
        node, found = self._root, (1, 1)
        for part in path:
            place = _place(node, part, key and part == path[-1])
            if place is None:
                # Union tags and the like of a model stand in its error paths, not in the file.
                continue
            found = place
            node = node[part]
        return found

    def problem(self, path: Sequence[str | int], message: str, *, key: bool = False, offset: int = 0) -> Problem:
        """Return a problem at a path; `offset` moves the column on inside a plain text."""
        line, column = self.of(path, key=key)
        return Problem(self.file, line, column + offset, message)


def _place(node: Any, part: str | int, key: bool) -> tuple[int, int] | None:
    if isinstance(node, CommentedMap) and part in node:
        line, column = node.lc.key(part) if key else node.lc.value(part)
        return line + 1, column + 1
    if isinstance(node, CommentedSeq) and isinstance(part, int) and part < len(node):
        line, column = node.lc.item(part)
        return line + 1, column + 1
    return None


def load_yaml(text: str, file: str) -> tuple[Any, Places]:
    """Return plain data and the places; PlanError where the text is no YAML, too large, or uses anchors or tags."""
    if len(text.encode()) > BYTES_MAX:
        raise PlanError([Problem(file, 1, 1, f"a file of over {BYTES_MAX // 1024} KiB is refused")])
    yaml = YAML(typ="rt", pure=True)
    yaml.version = (1, 2)
    try:
        for token in yaml.scan(text):
            _refuse_token(token, file)
        root = YAML(typ="rt", pure=True).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise PlanError([Problem(file, line, column, f"not YAML: {error.problem or error.context}")]) from None
    except YAMLError as error:
        raise PlanError([Problem(file, 1, 1, f"not YAML: {error}")]) from None
    return _plain(root), Places(file, root)


def _refuse_token(token: Any, file: str) -> None:
    kind = type(token).__name__
    place = token.start_mark.line + 1, token.start_mark.column + 1
    if kind in {"AnchorToken", "AliasToken"}:
        raise PlanError([Problem(file, *place, "anchors and aliases are not used here: write it out")])
    if kind == "TagToken":
        rest = token.start_mark.buffer[token.start_mark.pointer :].split("\n")[0].rstrip("} ,\x00")
        raise PlanError([Problem(file, *place, f"YAML reads what begins with ! as a tag: quote it, '{rest}'")])


def _plain(node: Any) -> Any:
    if isinstance(node, CommentedMap):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, CommentedSeq):
        return [_plain(value) for value in node]
    if isinstance(node, bool):
        return bool(node)
    # Numbers and texts remember how they were written; outside they are what they are.
    return next((kind(node) for kind in (str, int, float) if isinstance(node, kind)), node)


def problems_of(error: ValidationError, places: Places, known: Sequence[str] = ()) -> list[Problem]:
    """Return the problems of a pydantic error, with the nearest right name for an unknown field."""
    return [_problem(detail, places, known) for detail in error.errors(include_url=False)]


def _problem(detail: ErrorDetails, places: Places, known: Sequence[str]) -> Problem:
    path = detail["loc"]
    name = str(path[-1]) if path else ""
    if detail["type"] == "extra_forbidden":
        if ")" in name or '"' in name or name.count("(") != name.count(")"):
            return places.problem(path, f"YAML cut an expression before {name!r}: quote the whole expression", key=True)
        near = get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        return places.problem(path, f"unknown field {name!r}{hint}", key=True)
    if detail["type"] == "missing":
        return places.problem(path[:-1], f"{name!r} is missing")
    message = detail["msg"].removeprefix("Value error, ")
    return places.problem(path, f"{name}: {message}" if isinstance(path[-1] if path else 0, str) else message)
