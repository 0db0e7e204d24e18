"""Copies a scenario under a new name: its file, texts and tests, with the name changed wherever it is meant.

The old name is meant as the scenario's own, before a slash in the name of a template or of a file that is included, in
`inside("…")` and `count_sent("…/step", …)`, and where an event's `scenario` is compared or given. Everywhere else it is
a word like any other. What comes of it is compiled and tested before anything is written.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import PlanError, UsageError
from pipeline.scenario.compile import compile_plan
from pipeline.scenario.expressions.compile import nearest
from pipeline.scenario.sources import KINDS, PlanSources, read_sources

NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")
PARTS = "shared"


def copy_scenario(plan: Path, places: Sequence[Path], source: str, name: str, title: str | None) -> list[Path]:
    """Write a copy into a plan's folder and return its files; UsageError says why not, and nothing is written.

    `source` is looked for in `places`, one after the other. Shared parts that the plan lacks come along.
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
    _check(plan, files, source, name)
    for path, text in files.items():
        (plan / path).parent.mkdir(parents=True, exist_ok=True)
        (plan / path).write_text(text)
    return [plan / path for path in sorted(files)]


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


def _check(plan: Path, files: dict[str, str], source: str, name: str) -> None:
    """Refuse a copy that this plan would not take: what its own plan had in the settings may be missing here."""
    before = read_sources(plan)
    compile_plan(before)
    own = {path: text for path, text in files.items() if not path.endswith(".test.yaml")}
    try:
        compile_plan(PlanSources({**before.files, **own}))
    except PlanError as error:
        raise UsageError(
            f"{source} cannot be copied into {plan} as it is; nothing was written. What it needs may stand in the"
            f" settings that it came with: add that first.\n{error}"
        ) from None
