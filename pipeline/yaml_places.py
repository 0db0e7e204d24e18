"""YAML 1.2 with the place of every key and value, so that a fault is reported as file:line:column.

`on` stays a word (in YAML 1.1 it is a boolean). Anchors are refused: nobody needs them here, and they are what bombs
are made of.
"""

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from pipeline.errors import PlanError, Problem
from pipeline.yaml_cuts import as_meant, cut_in_braces, is_open
from pipeline.yaml_wording import KINDS, missing, wording

BYTES_MAX = 256 * 1024
Path = tuple[str | int, ...]


class Places:
    """Where each node of one file stands: line and column from 1."""

    def __init__(self, file: str, root: Any, text: str = ""):
        self.file = file
        self._root = root
        self._lines = text.splitlines()

    def of(self, path: Sequence[str | int], *, key: bool = False) -> tuple[int, int]:
        """Return the place of the value (or the key) at a path; of the nearest parent where it is not in the file."""
        return self._found(self._root, list(path), key)[1] or (1, 1)

    def in_file(self, path: Sequence[str | int]) -> tuple[str | int, ...]:
        """Return the parts of a path that are in the file."""
        return tuple(self._found(self._root, list(path), key=False)[0])

    def _found(self, node: Any, path: list[str | int], key: bool) -> tuple[list[str | int], tuple[int, int] | None]:
        """Return the parts of a path that are in the file below a node, and where the last of them stands.

        Union tags and the like of a model stand in its error paths, not in the file, and a tag may be called like a
        field: of stepping in and passing over the way that finds more is taken.
        """
        if not path:
            return [], None
        part, rest = path[0], path[1:]
        place = _place(node, part, key and not rest)
        over = self._found(node, rest, key)
        if place is None:
            return over
        names, inner = self._found(node[part], rest, key)
        return ([part, *names], inner or place) if len(names) + 1 > len(over[0]) else over

    def problem(self, path: Sequence[str | int], message: str, *, key: bool = False, offset: int = 0) -> Problem:
        """Return a problem at a path; `offset` moves the column on inside a plain text."""
        line, column = self.of(path, key=key)
        return Problem(self.file, line, column + offset, message)

    def cut_at_comma(self, path: Sequence[str | int]) -> str | None:
        """Return how an expression in braces is written that YAML cut before this key; None where it cut none."""
        if not path:
            return None
        for node in self._parents(self._root, list(path[:-1])):
            name = cut_in_braces(node, str(path[-1])) if isinstance(node, CommentedMap) else None
            if name is not None:
                line, column = node.lc.value(name)
                return as_meant(self._line(line + 1), column + 1, in_braces=True)
        return None

    def _parents(self, node: Any, path: list[str | int]) -> Iterator[Any]:
        """Yield the nodes that a path may lead to, the deepest first."""
        for index, part in enumerate(path):
            if _place(node, part, key=False) is not None:
                yield from self._parents(node[part], path[index + 1 :])
        yield node

    def cut_at_comment(self, path: Sequence[str | int]) -> str | None:
        """Return how an expression is written that YAML cut at a #; None where it cut none."""
        line, column = self.of(path)
        rest = self._line(line)[column - 1 :]
        before, sign, _ = rest.partition(" #")
        if not sign or not is_open(before) or rest[:1] in {'"', "'", "|", ">"}:
            return None
        return as_meant(self._line(line), column)

    def _line(self, number: int) -> str:
        return self._lines[number - 1] if 0 < number <= len(self._lines) else ""


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
            _refuse_token(token, file, text)
        root = YAML(typ="rt", pure=True).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        meant = as_meant(text.splitlines()[line - 1], column) if line <= len(text.splitlines()) else None
        hint = f"; if it is one text, quote it: {meant}" if meant else ""
        raise PlanError([Problem(file, line, column, f"not YAML: {error.problem or error.context}{hint}")]) from None
    except YAMLError as error:
        raise PlanError([Problem(file, 1, 1, f"not YAML: {error}")]) from None
    return _plain(root), Places(file, root, text)


def _refuse_token(token: Any, file: str, text: str) -> None:
    kind = type(token).__name__
    place = token.start_mark.line + 1, token.start_mark.column + 1
    if kind in {"AnchorToken", "AliasToken"}:
        raise PlanError([Problem(file, *place, "anchors and aliases are not used here: write it out")])
    if kind == "TagToken":
        meant = as_meant(text.splitlines()[place[0] - 1], place[1])
        raise PlanError(
            [Problem(file, *place, f"YAML reads what begins with ! as a tag: quote it, {meant or 'whole'}")]
        )


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
    details = error.errors(include_url=False)
    found = [_problem(one, places, known) for one in details if not _is_other_kind(one, details, places)]
    return list(dict.fromkeys(found))


def _is_other_kind(detail: ErrorDetails, details: Sequence[ErrorDetails], places: Places) -> bool:
    """Say whether a fault only says that a value is none of a kind which it was not meant to be.

    Where a field takes a text or fields, a wrong text is no text of that form, and no fields: the first is the fault.
    """
    if detail["type"] not in KINDS:
        return False
    here = places.in_file(detail["loc"])
    others = [one for one in details if one is not detail and places.in_file(one["loc"]) == here]
    return any(one["type"] not in KINDS for one in others) or detail is not next(
        (one for one in details if places.in_file(one["loc"]) == here), detail
    )


def _problem(detail: ErrorDetails, places: Places, known: Sequence[str]) -> Problem:
    path = detail["loc"]
    name = str(path[-1]) if path else ""
    meant = places.cut_at_comma(path)
    if meant is not None:
        return places.problem(path, f"YAML cut an expression before {name!r}: quote it, {meant}", key=True)
    if detail["type"] == "extra_forbidden":
        near = get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        return places.problem(path, f"unknown field {name!r}{hint}", key=True)
    if detail["type"] == "missing":
        return places.problem(path[:-1], missing(name))
    message = wording(detail)
    there = places.in_file(path)
    return places.problem(path, f"{there[-1]}: {message}" if there and isinstance(there[-1], str) else message)
