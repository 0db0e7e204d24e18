"""Which values a template uses, so that one which nothing provides is a fault and not an empty place in a mail."""

import json
import re
from collections.abc import Mapping
from difflib import get_close_matches

from liquid import CachingDictLoader, Environment
from liquid.exceptions import LiquidError

from pipeline.errors import Problem
from pipeline.mjml import MjmlError, document
from pipeline.scenario.templates import FORMS, candidates, texts_of
from pipeline.templating import GIVEN, split_head


class TemplateValues:
    """The templates of one plan, and the names that each uses and does not set itself."""

    def __init__(self, files: Mapping[str, str], environment: Environment):
        self.files = files
        self.bodies = {name: split_head(text)[1] for name, text in files.items() if not name.endswith(".yaml")}
        environment.loader = CachingDictLoader(dict(self.bodies))
        self.environment = environment
        self._names: dict[str, frozenset[str]] = {}

    def unprovided(self, template: str, channel: str, step: str, provided: Mapping[str, str]) -> list[Problem]:
        """Return a fault for each name that a template's files use and neither `with` nor the sender provides."""
        found = []
        for file in self._files_of(template, channel):
            for name in sorted(self.names(file) - provided.keys() - GIVEN):
                near = get_close_matches(name, [*provided, *GIVEN], n=1)
                hint = f"; did you mean {near[0]}?" if near else f": put it under `with` of {step!r}"
                where, line, column = self._place(file, name)
                found.append(Problem(where, line, column, f"nothing provides {name!r}{hint}"))
        return found

    def _files_of(self, template: str, channel: str) -> list[str]:
        """Return the files of a template on a channel, in every language."""
        kinds = {kind for form in FORMS[channel] for kind in form}
        mine = [file for file in self.files if file.startswith(f"{template}.")]
        languages = {file.removeprefix(f"{template}.").split(".")[0] for file in mine}
        wanted = {
            one for language in languages for kind in kinds for one in candidates(template, channel, language, kind)
        }
        return sorted(wanted & self.files.keys())

    def names(self, file: str) -> frozenset[str]:
        """Return the names that a file uses and does not set itself; none where it cannot be read."""
        if file not in self._names:
            self._names[file] = self._read(file)
        return self._names[file]

    def _read(self, file: str) -> frozenset[str]:
        head, body = split_head(self.files[file])
        found: set[str] = set()
        try:
            if file.endswith(".mjml"):
                body = document(file, self.bodies)
            texts = texts_of(json.loads(body)) if file.endswith(".json") else [body]
            for text in [*head.values(), *texts]:
                found |= set(self.environment.from_string(text).analyze().globals)
        except (LiquidError, MjmlError, json.JSONDecodeError):
            # What cannot be read at all is a fault of its own.
            return frozenset()
        return frozenset(found)

    def _place(self, file: str, name: str) -> tuple[str, int, int]:
        """Return where a name stands: in the file itself, else in what it includes."""
        word = re.compile(rf"\{{[{{%](?:(?![}}%]\}}).)*?(?<![\w.\-'\"]){re.escape(name)}(?![\w\-'\"])")
        others = [one for one in self.bodies if one.startswith("shared/") and one != file]
        for one in [file, *sorted(others)]:
            found = word.search(self.files[one])
            if found:
                at = found.end() - len(name)
                before = self.files[one][:at]
                return one, before.count("\n") + 1, at - (before.rfind("\n") + 1) + 1
        return file, 1, 1
