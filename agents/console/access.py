"""Who may come in: the tokens of a folder, the key that signs sessions, and what the console's settings say."""

from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from agents.console.guard import Sessions
from agents.console.tokens import TokenBook, secret_of
from models.console import ConsoleSpec
from pipeline.errors import PlanError, UsageError
from pipeline.yaml_places import load_yaml, problems_of


@dataclass
class Access:
    """Tokens, sessions, the signing key, and the settings."""

    book: TokenBook
    sessions: Sessions
    secret: bytes
    settings: ConsoleSpec = field(default_factory=ConsoleSpec)

    @classmethod
    def of_folder(cls, folder: Path, settings: ConsoleSpec | None = None, *, secure: bool = False) -> "Access":
        """Return the access that a folder's files give; token and key are made where they are missing."""
        said = settings or ConsoleSpec()
        book, secret = TokenBook(folder), secret_of(folder)
        return cls(book, Sessions(secret, book, secure=secure or said.url.startswith("https://")), secret, said)


def read_console_settings(path: Path | None) -> ConsoleSpec:
    """Return the settings of a file, the defaults without one; UsageError or PlanError says what is wrong and where."""
    if path is None:
        return ConsoleSpec()
    if not path.is_file():
        raise UsageError(f"{path}: no such file; --console-settings names the console's settings")
    data, places = load_yaml(path.read_text(), path.name)
    try:
        return ConsoleSpec.model_validate(data)
    except ValidationError as error:
        raise PlanError(problems_of(error, places, tuple(ConsoleSpec.model_fields))) from None
