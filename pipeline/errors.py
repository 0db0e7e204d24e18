"""The errors that reach a person.

ParcoursError
├── UsageError       wrong use: an input, mapping or option that does not exist (exit code 2)
├── PlanError        a scenario, settings or mapping file is refused, with its places (exit code 2)
└── RunError         the run cannot go on: disk full, foreign data folder, broken invariant (exit code 1)
    └── DataFolderError   the data folder belongs to another application, a newer version or a live process
"""

from dataclasses import dataclass


class ParcoursError(Exception):
    """Root of the errors whose text is meant for the person at the command line."""

    exit_code = 1


class UsageError(ParcoursError):
    """The command was used wrongly; the text says which part and what to do."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault in a file that a person wrote: where it stands and what is wrong."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        """Return file:line:column: message."""
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


class PlanError(ParcoursError):
    """One or more files are refused; `problems` names every place."""

    exit_code = 2

    def __init__(self, problems: list[Problem]):
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


class RunError(ParcoursError):
    """The run cannot go on; the text says why and what to do."""


class DataFolderError(RunError):
    """The data folder is of another application or a newer version, or another process holds it."""

    exit_code = 2
