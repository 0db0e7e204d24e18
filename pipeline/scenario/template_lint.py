"""What is doubtful in the templates of mail, although they can be rendered: `parcours check` prints it as warnings.

A language with half a mail, no subject, marketing with no way out, a picture without words, more than mail programs
show.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

from models.scenario import ScenarioSpec, SendStep
from models.settings import SettingsSpec
from pipeline.errors import Problem
from pipeline.mjml import MjmlError, to_html
from pipeline.scenario.template_values import TemplateValues
from pipeline.scenario.walking import walk
from pipeline.templating import environment, split_head

# Mail programs cut what is longer; the largest of them at 102 kB.
HTML_BYTES_MAX = 100_000
WAYS_OUT = frozenset({"unsubscribe_url", "preferences_url"})
IMAGE = re.compile(r"<(?:img|mj-image)\b(?:\"[^\"]*\"|'[^']*'|[^>\"'])*>", re.IGNORECASE)
ALT = re.compile(r"\salt\s*=", re.IGNORECASE)
HTML = ("mjml", "html")
NO_WAY_OUT = "marketing mail offers no way out: set `collector: {url: …}`, or `senders: {email: {unsubscribe_url: …}}`"


def of_templates(files: Mapping[str, str], settings: SettingsSpec, specs: Iterable[ScenarioSpec]) -> Iterator[Problem]:
    """Yield what is doubtful in the templates of all mails of a plan, each file once."""
    lint = _Lint(files, settings)
    mails = dict.fromkeys(_mails(specs))
    for template, marketing in mails:
        yield from lint.of(template, marketing)
    yield from lint.pictures()
    no_way = settings.collector is None and settings.senders.email.unsubscribe_url is None
    if no_way and any(marketing for _, marketing in mails):
        yield Problem("settings.yaml", 1, 1, f"warning: {NO_WAY_OUT}")


def _mails(specs: Iterable[ScenarioSpec]) -> Iterator[tuple[str, bool]]:
    """Yield the template of each mail, and whether it is marketing."""
    for spec in specs:
        for _, step in walk(spec.steps):
            if isinstance(step, SendStep) and "email" in (step.channel, *step.channels):
                template = step.template or f"{spec.scenario}/{step.send}"
                yield template, (step.purpose or spec.purpose) == "marketing"


class _Lint:
    """The templates of one plan."""

    def __init__(self, files: Mapping[str, str], settings: SettingsSpec):
        self.files = files
        liquid = environment({}, settings.store.currency, settings.timezone, autoescape=False)
        self.values = TemplateValues(files, liquid)
        self.bodies = {name: split_head(text)[1] for name, text in files.items() if name.endswith(".mjml")}
        self.used: set[str] = set()

    def of(self, template: str, marketing: bool) -> Iterator[Problem]:
        """Yield what is doubtful in one template's files."""
        parts = self._parts(template)
        for language, kinds in sorted(parts.items()):
            html = next((kinds[kind] for kind in HTML if kind in kinds), None)
            text = kinds.get("txt")
            self.used |= {one for one in (html, text) if one}
            yield from self._halves(template, language, html, text)
            yield from self._subject(html, text)
            yield from self._size(html)
            if marketing:
                yield from self._ways_out(html, text)

    def _parts(self, template: str) -> dict[str, dict[str, str]]:
        """Return language -> kind -> file of a template's mail."""
        found: dict[str, dict[str, str]] = {}
        for name in self.files:
            if name.startswith(f"{template}."):
                language, _, kind = name.removeprefix(f"{template}.").partition(".")
                kind = kind.removeprefix("email.")
                if kind in {*HTML, "txt"}:
                    found.setdefault(language, {})[kind] = name
        return found

    def _halves(self, template: str, language: str, html: str | None, text: str | None) -> Iterator[Problem]:
        missing = "txt" if text is None else "mjml" if html is None else None
        there = html or text
        if missing and there:
            say = f"{template}.{language}.{missing} is missing: half of this mail comes in another language"
            yield Problem(there, 1, 1, f"warning: {say}")

    def _subject(self, html: str | None, text: str | None) -> Iterator[Problem]:
        there = [one for one in (text, html) if one]
        if len(there) == 2 and not any(split_head(self.files[one])[0].get("subject") for one in there):
            yield Problem(
                there[0], 1, 1, "warning: no subject between lines of --- at the top: no such mail can go out"
            )

    def _size(self, html: str | None) -> Iterator[Problem]:
        if html is None:
            return
        try:
            whole = to_html(html, self.bodies) if html.endswith(".mjml") else split_head(self.files[html])[1]
        except MjmlError:
            return  # a fault of its own
        size = len(whole.encode())
        if size > HTML_BYTES_MAX:
            say = f"{size // 1000} kB of HTML before anything is filled in: mail programs cut what is over"
            yield Problem(html, 1, 1, f"warning: {say} {HTML_BYTES_MAX // 1000} kB")

    def _ways_out(self, html: str | None, text: str | None) -> Iterator[Problem]:
        for one in (html, text):
            if one and not WAYS_OUT & self.values.names(one):
                say = "marketing mail without `{{ unsubscribe_url }}`: nobody can say stop"
                yield Problem(one, 1, 1, f"warning: {say}")

    def pictures(self) -> Iterator[Problem]:
        """Yield pictures without words, in what was looked at and in the shared parts."""
        for name in sorted(self.used | {one for one in self.files if one.startswith("shared/")}):
            if not name.endswith(HTML):
                continue
            for found in IMAGE.finditer(self.files[name]):
                if not ALT.search(found[0]):
                    before = self.files[name][: found.start()]
                    line, column = before.count("\n") + 1, found.start() - before.rfind("\n")
                    say = 'a picture without alternative text: write alt="…", or alt="" where it says nothing'
                    yield Problem(name, line, column, f"warning: {say}")
