"""The tutorials work as they are written: every command is run, every file written, every printed line looked for."""

from pathlib import Path

import pytest

from tests.docs.page import ROOT, Reader

TUTORIALS = {"first-scenario": 12, "own-topics": 8}  # with the least number of commands that are run


@pytest.mark.parametrize("name", sorted(TUTORIALS))
def test_a_tutorial_does_what_it_says(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "reader"
    folder.mkdir()
    reader = Reader(folder, tmp_path)
    reader.follow(ROOT / "docs/tutorial" / f"{name}.md")
    assert reader.ran >= TUTORIALS[name]


def page(folder: Path, text: str) -> Path:
    path = folder / "page.md"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "text",
    [
        "```sh\nfalse\n```\n",
        "```{.sh .fails}\ntrue\n```\n",
        "```sh\necho one\n```\n```text\ntwo\n```\n",
        "```sh\necho one; echo two\n```\n```text\ntwo\none\n```\n",
        '```yaml title="a.yaml"\nb: 1\n```\n```diff\n--- a.yaml\n-c: 1\n+c: 2\n```\n',
    ],
)
def test_a_page_that_says_what_is_not_so_is_found(tmp_path: Path, text: str) -> None:
    with pytest.raises(AssertionError):
        Reader(tmp_path, tmp_path).follow(page(tmp_path, text))


def test_files_edits_and_output_are_followed(tmp_path: Path) -> None:
    text = (
        '```yaml title="d/a.txt"\none\ntwo\n```\n```diff\n--- d/a.txt\n-one\n+1\n+1b\n-two\n+2\n```\n'
        "```sh\ncd d\ncat a.txt\n```\n```text\n1\n…b\n2\n```\n"
    )
    reader = Reader(tmp_path, tmp_path)
    reader.follow(page(tmp_path, text))
    assert (tmp_path / "d/a.txt").read_text() == "1\n1b\n2\n"
    assert reader.ran == 1
