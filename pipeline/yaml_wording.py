"""What is wrong with a value, in the words of who wrote the file and not of the library that read it."""

from pydantic_core import ErrorDetails

NAME = "small letters, digits, - and _, a letter first"
# The forms that fields ask for, by their pattern, and how each is said.
FORMS = {
    r"^(\d+(ms|[smhdw]))+$": "is not a duration: write 45m, 23h, 7d or 1h30m",
    r"^[+-]?(\d+(ms|[smhdw]))+$": "is not a duration: write 3d, or -3d for before",
    r"^([01]\d|2[0-3]):[0-5]\d$": 'is not a time of day: write "09:00", in quotes',
    r"^\d{1,3}(\.\d{1,2})?%$": "is not a share: write 5% or 12.5%",
    r"^[a-z][a-z0-9_-]{0,63}$": f"is no name: {NAME}",
    r"^[a-z][a-z0-9_]{0,63}$": "is no name: small letters, digits and _, a letter first",
    r"^[^\s.\[\]]+(\[\d+\])*(\.[^\s.\[\]]+(\[\d+\])*)*$": "is no path: names and indexes, as in a.b[0].c",
    r"^[A-Z]{3}$": "is no currency: write EUR",
    r"^[a-z]{2}$": "is no language: write en",
    r"^https?://[^\s]+$": "is no address: write https://…",
    r"^smtps?://[^\s]+$": "is no relay: write smtp://HOST:PORT",
}
KINDS = {
    "model_type": "fields with values are needed here",
    "dict_type": "fields with values are needed here",
    "list_type": "a list is needed here",
    "string_type": "a text is needed here",
}
MISSING = {"purpose": "marketing (needs consent), transactional or internal"}


def wording(detail: ErrorDetails) -> str:
    """Return what one fault of a value is."""
    kind, value = detail["type"], detail.get("input")
    if kind == "string_pattern_mismatch":
        form = FORMS.get(detail.get("ctx", {}).get("pattern", ""))
        if form is not None:
            return f"{value!r} {form}"
    if kind in KINDS:
        written = f", not {value}: quote it" if kind == "string_type" and isinstance(value, bool | int | float) else ""
        return KINDS[kind] + written
    return detail["msg"].removeprefix("Value error, ")


def missing(name: str) -> str:
    """Return what it means that a field is missing."""
    hint = f": {MISSING[name]}" if name in MISSING else ""
    return f"{name!r} is missing{hint}"
