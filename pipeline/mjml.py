"""MJML templates of a plan to HTML that mail clients understand; the Liquid in them is left as it is.

A template holds what stands between head and foot; `shared/layout.mjml` is put round it, where
`<mj-include path="content"/>` stands. A template that is a whole `<mjml>` document needs no layout. Other includes
name files of the plan. Liquid tags that stand between sections belong in `<mj-raw>`; inside a text they need nothing.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

from mjml import mjml2html

from pipeline.errors import ParcoursError

LAYOUT = "shared/layout.mjml"
INCLUDE = re.compile(r"""<mj-include\s+path=["']([^"']+)["']\s*(?:/>|>\s*</mj-include>)""")
TAG = re.compile(r"<(mj-[a-z-]+|mjml)\b")
DEPTH_MAX = 5
# The compiler closes what HTML never closes; `</br>` would be a second line break.
VOID_END = re.compile(r"</(?:img|br|hr|meta|input|link|wbr)>")
KNOWN_TAGS = frozenset(
    {
        "mjml", "mj-head", "mj-body", "mj-title", "mj-preview", "mj-attributes", "mj-all", "mj-class", "mj-style",
        "mj-font", "mj-breakpoint", "mj-raw", "mj-include", "mj-section", "mj-column", "mj-group", "mj-wrapper",
        "mj-hero", "mj-text", "mj-image", "mj-button", "mj-divider", "mj-spacer", "mj-table", "mj-social",
        "mj-social-element", "mj-navbar", "mj-navbar-link", "mj-accordion", "mj-accordion-element",
        "mj-accordion-title", "mj-accordion-text", "mj-carousel", "mj-carousel-image", "mj-html-attributes",
    }
)  # fmt: skip


class MjmlError(ParcoursError):
    """A template is no MJML, or includes what is not there; the text says which and why."""


def is_part(name: str) -> bool:
    """Say whether a file is there for others to include, and no message of its own."""
    return name.startswith("shared/")


def document(name: str, bodies: Mapping[str, str]) -> str:
    """Return a template as one whole MJML document; MjmlError where a part is missing."""
    body = bodies[name]
    if "<mjml" not in body:
        if LAYOUT not in bodies:
            raise MjmlError(f"{name}: no {LAYOUT} to put it in: write it, or make this a whole <mjml> document")
        layout = bodies[LAYOUT]
        whole = INCLUDE.sub(lambda found: body if found[1] == "content" else found[0], layout)
    else:
        whole = body
    return _included(name, whole, bodies, 0)


def _included(name: str, text: str, bodies: Mapping[str, str], depth: int) -> str:
    def put(found: re.Match[str]) -> str:
        path = found[1]
        if path not in bodies:
            raise MjmlError(f"{name}: it includes {path}, which is not there")
        if depth == DEPTH_MAX:
            raise MjmlError(f"{name}: includes nest over {DEPTH_MAX} deep")
        return _included(name, bodies[path], bodies, depth + 1)

    return INCLUDE.sub(put, text)


def to_html(name: str, bodies: Mapping[str, str]) -> str:
    """Return a template's HTML, Liquid and all; MjmlError says what is wrong."""
    whole = document(name, bodies)
    for found in TAG.finditer(whole):
        if found[1] not in KNOWN_TAGS:
            # The compiler would leave it out without a word.
            raise MjmlError(f"{name}: <{found[1]}> is no MJML")
    try:
        return _compiled(whole)
    except ValueError as error:
        raise MjmlError(f"{name}: not MJML: {error}{_near(whole, str(error))}") from None


@lru_cache(maxsize=1024)
def _compiled(whole: str) -> str:
    """Return a document's HTML, made once: check, lint and renderer ask for the same."""
    html: str = mjml2html(whole)
    return VOID_END.sub("", html)


def _near(whole: str, message: str) -> str:
    """Show the text at the position that the compiler names: it counts in the assembled document."""
    found = re.search(r"position (\d+):(\d+)", message)
    return f", near {whole[int(found[1]) : int(found[2])][:60]!r}" if found else ""
