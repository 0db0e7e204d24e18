"""Tokens of the console from the command line."""

from pathlib import Path

from agents.console.tokens import TokenBook
from tests.acceptance.running import parcours


def test_a_token_is_added_listed_used_and_taken_away(tmp_path: Path) -> None:
    data = ("--data", tmp_path)
    made = parcours("console", "token", "add", "Marie", "--role", "see", "--role", "edit", *data)
    assert made.returncode == 0, made.stderr
    person = TokenBook(tmp_path).person(made.stdout.strip())
    assert person is not None
    assert (person.name, sorted(person.roles)) == ("Marie", ["edit", "see"])
    assert parcours("console", "token", "ls", *data).stdout == "Marie  see, edit\noperator  see, edit, send, erase\n"
    kept = (tmp_path / "console-tokens.json").read_text()
    assert made.stdout.strip() not in kept
    assert (tmp_path / "console-tokens.json").stat().st_mode & 0o077 == 0
    assert parcours("console", "token", "remove", "Marie", *data).returncode == 0
    assert TokenBook(tmp_path).person(made.stdout.strip()) is None


def test_wrong_use_says_what_to_do(tmp_path: Path) -> None:
    for words, said in {
        ("token", "add", "Marie", "--role", "king"): "king: roles are see, edit, send, erase",
        ("token", "remove", "Paul"): "Paul has no token",
        ("token", "remove", "operator"): "console.token is deleted",
    }.items():
        done = parcours("console", *words, "--data", tmp_path)
        assert (done.returncode, said in done.stderr) == (2, True), done.stderr
