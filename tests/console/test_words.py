"""Every text of the pages is said in French too."""

import re
from pathlib import Path
from string import Formatter

from agents.console import actions
from agents.console.formats import LANGUAGES, WORDS, Formats, dictionary
from agents.console.view import HERE, NAVIGATION

# A text that is put together (`"by " ~ kind`) is not among them.
SAID = re.compile(r"""\bt\(\s*"([^"]+)"\s*[,)]|\bt\(\s*'([^']+)'\s*[,)]""")


def texts() -> set[str]:
    """Return the English of all that templates and handlers say."""
    found = {one or other for path in HERE.glob("templates/*.html") for one, other in SAID.findall(path.read_text())}
    titled = {one for path in Path(HERE).glob("*.py") for one in re.findall(r'title="([^"]+)"', path.read_text())}
    said = {actions.NOT_OURS, actions.NO_ROLE, actions.NOT_AUDITED, actions.NOT_DONE}
    return found | titled | said | {label for _, label in NAVIGATION}


def test_every_text_has_its_french() -> None:
    assert sorted(texts() - set(dictionary("fr"))) == []


def test_a_translation_fills_in_what_its_english_does() -> None:
    def names(text: str) -> set[str]:
        return {name for _, name, _, _ in Formatter().parse(text) if name}

    pairs = [(one, other) for one, other in dictionary("fr").items() if not one.startswith("code:")]
    assert [one for one, other in pairs if names(one) != names(other)] == []


def test_no_two_files_of_words_say_the_same_text_otherwise() -> None:
    import json

    seen: dict[str, str] = {}
    for path in sorted(WORDS.glob("fr.*.json")):
        for english, french in json.loads(path.read_text()).items():
            assert seen.setdefault(english, french) == french, f"{path.name}: {english}"


def test_numbers_money_and_times_read_as_in_each_language() -> None:
    english, french = (Formats(one, "Europe/Paris", "EUR") for one in LANGUAGES)
    assert (english.number(1234567.5, 1), french.number(1234567.5, 1)) == ("1,234,567.5", "1\u202f234\u202f567,5")
    assert (english.percent(0.125), french.percent(0.125)) == ("12.5%", "12,5\u202f%")
    assert (english.money(1999), french.money(1999)) == ("19.99\xa0EUR", "19,99\xa0EUR")
    assert english.when(1767607200000) == french.when("2026-01-05T10:00:00Z") == "2026-01-05 11:00:00"
    assert (english.span(90_061_000), french.span(90_061_000)) == ("1\xa0d 1\xa0h", "1\xa0j 1\xa0h")
