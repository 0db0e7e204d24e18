"""Copies a scenario under a new name: its file, texts and tests, with the name changed wherever it is meant.

The old name is meant as the scenario's own, before a slash in the name of a template or of a file that is included, in
`inside("…")` and `count_sent("…/step", …)`, and where an event's `scenario` is compared or given. Everywhere else it is
a word like any other. What comes of it is compiled and tested before anything is written.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import PlanError, UsageError
from pipeline.scenario.compile import compile_plan
from pipeline.scenario.expressions.compile import nearest
from pipeline.scenario.sources import KINDS, PlanSources, read_sources
from pipeline.yaml_places import load_yaml

NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")
PARTS = "shared"


@dataclass(frozen=True)
class Copy:
    """What was written, and the tests that were left out, each with the neighbours that the plan lacks."""

    files: list[Path]
    left_out: dict[str, list[str]] = field(default_factory=dict)


def copy_scenario(plan: Path, places: Sequence[Path], source: str, name: str, title: str | None) -> Copy:
    """Write a copy into a plan's folder; UsageError says why not, and nothing is written.

    `source` is looked for in `places`, one after the other. Shared parts that the plan lacks come along. A test that
    runs beside a scenario which the plan has not is left out.
    """
    if not NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name: small letters, digits and hyphens, as in cart-reminder")
    if (plan / name).exists():
        raise UsageError(f"{plan / name} is there already: choose another name")
    if not plan.is_dir():
        raise UsageError(f"{plan}: no such folder; `parcours init` makes one")
    found = _find(places, source)
    files = {f"{name}/{path.name}": _copied(path, source, name, title) for path in _files(found)}
    files |= _parts(found.parent, plan)
    known = _check(plan, files, source)
    left_out: dict[str, list[str]] = {}
    for path in [path for path in files if path.endswith(".test.yaml")]:
        files[path] = _without_strangers(files[path], path, known, left_out)
    for path, text in files.items():
        (plan / path).parent.mkdir(parents=True, exist_ok=True)
        (plan / path).write_text(text)
    return Copy([plan / path for path in sorted(files)], left_out)


def _find(places: Sequence[Path], source: str) -> Path:
    for place in places:
        if (place / source / "scenario.yaml").is_file():
            return place / source
    known = sorted({path.parent.name for place in places for path in place.glob("*/scenario.yaml")})
    hint = nearest(source, known) or f"; there are {', '.join(known)}"
    raise UsageError(f"no scenario {source!r} to copy{hint}")


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file() and path.suffix in KINDS)


def _parts(source: Path, plan: Path) -> dict[str, str]:
    """Return the shared parts that the plan lacks."""
    parts = [path for path in sorted((source / PARTS).rglob("*")) if path.is_file() and path.suffix in KINDS]
    names = {path.relative_to(source).as_posix(): path for path in parts}
    return {name: path.read_text() for name, path in names.items() if not (plan / name).exists()}


def _copied(path: Path, source: str, name: str, title: str | None) -> str:
    text = renamed(path.read_text(), source, name)
    if path.name == "scenario.yaml":
        text = re.sub(rf"(?m)^(scenario:\s*)([\"']?){source}\2(?=\s|$)", rf"\g<1>{name}", text, count=1)
        title = title or name.replace("-", " ").replace("_", " ").capitalize()
        # As a quoted text: a person's title may hold what YAML would read as its own.
        quoted = '"' + title.replace("\\", "\\\\").replace('"', '\\"') + '"'
        text = re.sub(r"(?m)^title:.*$", lambda _: f"title: {quoted}", text, count=1)
    return text


def renamed(text: str, source: str, name: str) -> str:
    """Return a file's text with the old name changed where it means the scenario."""
    old = re.escape(source)
    quote = "[\"']"
    for meant in (
        rf"(template:\s*{quote}?){old}(?=/)",
        rf"((?:include|render)\s+{quote}){old}(?=/)",
        rf"(path={quote}){old}(?=/)",
        rf"(\b(?:inside|count_sent)\(\s*{quote}){old}(?=[/\"'])",
        rf"(\bscenario\s*[!=]=\s*{quote}){old}(?={quote})",
        rf"([{{,]\s*scenario:\s*{quote}?){old}(?=[\s,}}\"'])",
    ):
        text = re.sub(meant, rf"\g<1>{name}", text)
    return text


def _check(plan: Path, files: dict[str, str], source: str) -> set[str]:
    """Return the names of the plan's scenarios with the copy.

    UsageError where this plan would not take it: what its own plan had in the settings may be missing here.
    """
    before = read_sources(plan)
    compile_plan(before)
    own = {path: text for path, text in files.items() if not path.endswith(".test.yaml")}
    try:
        return set(compile_plan(PlanSources({**before.files, **own})).live)
    except PlanError as error:
        raise UsageError(
            f"{source} cannot be copied into {plan} as it is; nothing was written. What it needs may stand in the"
            f" settings that it came with: add that first.\n{error}"
        ) from None


def _without_strangers(text: str, path: str, known: set[str], left_out: dict[str, list[str]]) -> str:
    """Return a test file without the tests whose neighbours are not known; note their names."""
    tests, places = load_yaml(text, path)
    lines = text.splitlines(keepends=True)
    begins = [places.of((index,))[0] - 1 for index in range(len(tests or []))]
    kept = lines[: begins[0]] if begins else lines
    for test, begin, end in zip(tests or [], begins, [*begins[1:], len(lines)], strict=True):
        strangers = [one for one in test.get("with", []) if one not in known]
        if strangers:
            left_out[str(test.get("test"))] = strangers
        else:
            kept += lines[begin:end]
    return "".join(kept)
