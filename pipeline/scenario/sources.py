"""A plan's sources: the text of its files, named by their hash."""

import json
from dataclasses import dataclass
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path

from pipeline.errors import PlanError, Problem, UsageError

# Raised when the same plan over the same journal would decide otherwise (docs/decisions/0013): a plan keeps the version
# under which it was read, and `Settings.rule_version` tells the engine.
RULE_VERSION = 1
OVERRIDES, RULES = "overrides.json", "rules.json"
FILE_BYTES_MAX = 1024 * 1024
KINDS = {".yaml", ".html", ".txt", ".mjml", ".json"}


@dataclass(frozen=True)
class PlanSources:
    """Relative path -> text: settings.yaml, NAME/scenario.yaml, templates; `--set` stands under `overrides.json`."""

    files: dict[str, str]

    @property
    def hash(self) -> str:
        """Name the plan: its files, the engine's rule version, and the version of the time zone data."""
        hasher = blake2b(digest_size=16)
        hasher.update(f"rules {self.rule_version} tzdata {version('tzdata')}".encode())
        for path in sorted(self.files):
            for part in (path, self.files[path]):
                raw = part.encode()
                hasher.update(b"%d:" % len(raw) + raw)
        return hasher.hexdigest()

    def encode(self) -> bytes:
        """Return the sources as JSON."""
        return json.dumps(self.files, sort_keys=True, ensure_ascii=False).encode()

    @classmethod
    def decode(cls, raw: bytes) -> "PlanSources":
        """Return sources from JSON."""
        return cls(files=json.loads(raw))

    @property
    def rule_version(self) -> int:
        """Return the version of the engine's rules under which the plan decides."""
        return int(self.files.get(RULES, "1"))

    @property
    def overrides(self) -> dict[str, str]:
        """Return what `--set` said."""
        found: dict[str, str] = json.loads(self.files.get(OVERRIDES, "{}"))
        return found


def read_sources(directory: Path, overrides: dict[str, str] | None = None) -> PlanSources:
    """Read a plan's folder; UsageError where it is none, PlanError where a file is too large or no text."""
    if not directory.is_dir():
        raise UsageError(f"{directory}: no such folder; --plan names a folder with settings.yaml and scenarios")
    files, problems = {}, []
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if (
            path.suffix not in KINDS
            or not path.is_file()
            or name.endswith(".test.yaml")
            or "/." in f"/{name}"
            or name in {OVERRIDES, RULES}
        ):
            continue
        try:
            if path.stat().st_size > FILE_BYTES_MAX:
                raise ValueError(f"a file of over {FILE_BYTES_MAX // 1024} KiB is refused")
            files[name] = path.read_bytes().decode()
        except ValueError as error:
            problems.append(Problem(name, 1, 1, str(error)))
    if problems:
        raise PlanError(problems)
    if RULE_VERSION > 1:
        files[RULES] = str(RULE_VERSION)
    if overrides:
        files[OVERRIDES] = json.dumps(overrides, sort_keys=True)
    return PlanSources(files)
