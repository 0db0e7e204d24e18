"""Orders the pages of the docs site: those named here first, then whatever else stands in the same folder."""

from pathlib import Path
from typing import Any

# Section -> folder, and the pages that a reader should meet first.
SECTIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "Start": ("tutorial", ("first-scenario", "own-topics")),
    "Reference": ("reference", ("scenario-language", "scenarios", "commands", "seeing-before-sending", "mappings")),
    "Deploy": ("deploy", ()),
    "Operate": ("operate", ()),
    "Decisions": ("decisions", ()),
}
FIRST = ("index.md", "architecture.md", "guarantees.md", "security.md")
LAST = ("not-there-yet.md",)


def on_config(config: Any) -> Any:
    """Give the site its contents; a page that is added to a folder appears by itself."""
    docs = Path(config["docs_dir"])
    top = sorted(path.name for path in docs.glob("*.md") if path.name not in {*FIRST, *LAST})
    sections = [{title: _pages(docs, folder, first)} for title, (folder, first) in SECTIONS.items()]
    config["nav"] = [FIRST[0], *sections[:1], *FIRST[1:], *top, *sections[1:], *LAST]
    return config


def _pages(docs: Path, folder: str, first: tuple[str, ...]) -> list[str]:
    names = {path.stem: path.relative_to(docs).as_posix() for path in sorted((docs / folder).rglob("*.md"))}
    return [*(names.pop(name) for name in first if name in names), *names.values()]
