"""Who may come in with a token, and what they may do there.

The folder's own token (`console.token`, made once) may do everything. More are added with `parcours console token add`;
their file keeps a hash of each, with its name and roles.
"""

import hashlib
import json
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import UsageError

# see: the pages. edit: pause, resume, stop. send: release, cancel, replay. erase: erase and export a customer.
ROLES = ("see", "edit", "send", "erase")
OWNER = "operator"
NAME_CHARS_MAX = 120


@dataclass(frozen=True)
class Person:
    """Somebody who has come in: a name for the audit, roles, and which token it was ("" for none of ours)."""

    name: str
    roles: frozenset[str]
    token: str = ""

    def may(self, role: str) -> bool:
        """Say whether they have a role; whoever has any may see."""
        return role in self.roles or (role == "see" and bool(self.roles))


def checked_roles(said: Iterable[str]) -> frozenset[str]:
    """Return roles; UsageError for one that there is not."""
    found = frozenset(said)
    wrong = sorted(found - set(ROLES))
    if wrong or not found:
        raise UsageError(f"{', '.join(wrong) or 'no role'}: roles are {', '.join(ROLES)}")
    return found


def private_file(path: Path, make: bytes) -> bytes:
    """Return a file's content; made once, whole, readable by its owner alone."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        half = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
        half.touch(mode=0o600)
        half.write_bytes(make)
        try:
            os.link(half, path)
        except FileExistsError:
            pass  # another process made it meanwhile: that one counts
        finally:
            half.unlink()
    return path.read_bytes().strip()


def token_of(folder: Path) -> str:
    """Return the folder's token; made once, readable by its owner alone."""
    return private_file(folder / "console.token", secrets.token_urlsafe(24).encode()).decode()


def secret_of(folder: Path) -> bytes:
    """Return the key that signs sessions; made once, readable by its owner alone."""
    return private_file(folder / "console.secret", secrets.token_bytes(32).hex().encode())


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


class TokenBook:
    """The tokens of a folder, by hash; read again when their files change."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.path = folder / "console-tokens.json"
        token_of(folder)
        self._changed = (-1, -1)
        self._found: dict[str, Person] = {}

    def person(self, token: str) -> Person | None:
        """Return whose token it is. All hashes are compared, in constant time: time says nothing of what was right."""
        return self._of_hash(_hash(token))

    def current(self, known: str) -> Person | None:
        """Return a person by their token's hash as they are now; None where the token was taken away."""
        return self._of_hash(known)

    def _of_hash(self, said: str) -> Person | None:
        self._read()
        found = None
        for known, person in self._found.items():
            if secrets.compare_digest(said.encode(), known.encode()):
                found = person
        return found

    def _read(self) -> None:
        own = self.folder / "console.token"
        changed = (_changed(own), _changed(self.path))
        if changed == self._changed:
            return
        rows = json.loads(self.path.read_text()) if self.path.exists() else []
        found = {row["sha256"]: Person(row["name"], frozenset(row["roles"]), row["sha256"]) for row in rows}
        owner = _hash(token_of(self.folder))
        self._found = {**found, owner: Person(OWNER, frozenset(ROLES), owner)}
        self._changed = (_changed(own), changed[1])

    def names(self) -> list[Person]:
        """Return whoever has a token, the folder's own among them."""
        self._read()
        return sorted(self._found.values(), key=lambda one: one.name)

    def add(self, name: str, roles: frozenset[str]) -> str:
        """Make a token, and return it: it is kept nowhere. UsageError where the name has one or is none."""
        if not name.isprintable() or not 0 < len(name.strip()) <= NAME_CHARS_MAX:
            raise UsageError(f"a name is 1 to {NAME_CHARS_MAX} printable characters")
        if any(one.name == name for one in self.names()):
            raise UsageError(f"{name} has a token: remove it first")
        token = secrets.token_urlsafe(24)
        self._write([*self._rows(), {"sha256": _hash(token), "name": name, "roles": sorted(roles)}])
        return token

    def remove(self, name: str) -> None:
        """Take a token away; its sessions end with it. UsageError where nobody of that name has one."""
        if name == OWNER:
            raise UsageError("the folder's own token ends when its file console.token is deleted: a new one is made")
        rows = self._rows()
        kept = [row for row in rows if row["name"] != name]
        if len(kept) == len(rows):
            known = ", ".join(str(row["name"]) for row in rows) or "nobody"
            raise UsageError(f"{name} has no token; {known} has")
        self._write(kept)

    def _rows(self) -> list[dict[str, object]]:
        found: list[dict[str, object]] = json.loads(self.path.read_text()) if self.path.exists() else []
        return found

    def _write(self, rows: list[dict[str, object]]) -> None:
        half = self.path.with_suffix(".part")
        half.unlink(missing_ok=True)
        half.touch(mode=0o600)
        half.write_text(json.dumps(rows, indent=1))
        os.replace(half, self.path)


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
