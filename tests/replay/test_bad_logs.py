"""A log that cannot be read whole gives no report: exit 2 and one sentence that says what is wrong."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from rocksdict import WriteBatch

from pipeline.replay.errors import LogError
from pipeline.replay.recorded import SpoolWriter
from pipeline.replay.spread import replay, scratch
from pipeline.replay.task import Task
from pipeline.runtime.folder import Folder, meta_key, stream_key
from tests.replay.build import changed, plan, recorded
from tests.replay.cli import Shell
from tests.sim.world import DAY, MINUTE, T0

HOUR = 60 * MINUTE
Spoil = Callable[[Folder], None]


def spoiled(data: Path, path: Path, spoil: Spoil) -> Path:
    """Return a copy of a data folder to which something was done."""
    shutil.copytree(data, path)
    folder = Folder(path)
    spoil(folder)
    folder.close()
    return path


def without(*offsets: int) -> Spoil:
    def spoil(folder: Folder) -> None:
        batch = WriteBatch(raw_mode=True)
        for offset in offsets:
            batch.delete(stream_key("journal", offset))
        folder.write(batch)

    return spoil


def putting(offset: int, value: bytes) -> Spoil:
    def spoil(folder: Folder) -> None:
        batch = WriteBatch(raw_mode=True)
        batch.put(stream_key("journal", offset), value)
        folder.write(batch)

    return spoil


def emptied(folder: Folder) -> None:
    without(*range(folder.end("journal")))(folder)


NEWER = b'{"writer":"w","entries":[{"kind":"of_next_year","id":"x"}]}'
LOGS: dict[str, tuple[Spoil, str]] = {
    "retention passed": (without(0, 1), "begins at message 2: what was before it is no longer kept"),
    "a gap": (without(3), "has no messages 3 to 3: a replay would miss them"),
    "a newer version": (putting(3, NEWER), "was written by a newer release: use that one"),
    "damaged": (putting(3, b"{"), "message 3 of the journal's partition 0"),
    "empty": (emptied, "the journal is empty"),
}


@pytest.mark.parametrize("command", ["backtest", "diff", "replay"])
@pytest.mark.parametrize("name", LOGS)
def test_a_log_that_is_not_whole_gives_no_report(
    data: Path, tmp_path: Path, shell: Shell, command: str, name: str
) -> None:
    spoil, message = LOGS[name]
    bad = spoiled(data, tmp_path / "bad", spoil)
    page, out = tmp_path / "page.html", tmp_path / "out"
    more: dict[str, tuple[str | Path, ...]] = {
        "backtest": ("--out", out),
        "diff": ("--plan", "scenarios", "--html", page, "--json"),
        "replay": ("--verify", "--json"),
    }
    said = shell(command, "--data", bad, "--processes", "1", *more[command])
    assert (said.code, said.out) == (2, "")
    assert message in said.err
    assert said.err.startswith("parcours: ")
    assert said.err.count("\n") == 1
    assert not page.exists() and not out.exists() and not out.with_name("out.part").exists()


def test_a_gap_found_by_another_process_is_said_as_well(data: Path, tmp_path: Path) -> None:
    bad = spoiled(data, tmp_path / "bad", without(3))
    with scratch(tmp_path) as out, pytest.raises(LogError, match="has no messages 3 to 3"):
        replay(Task(bad, plan()), out, 2)
    assert [one.name for one in tmp_path.iterdir()] == ["bad"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--from", "2033-01-01T00:00:00Z"), "nothing in the log is as late as --from: it ends at"),
        (("--to", "2013-01-01T00:00:00Z"), "nothing in the log is as early as --to: it begins at"),
        (("--from", "2023-11-16T00:00:00Z", "--to", "2023-11-15T00:00:00Z"), "--to is not after --from"),
        (("--from", "yesterday"), "is not a time"),
        (("--plan", "nowhere"), "nowhere: no such folder"),
        (("--kafka", "--input", "x", "--mapping", "native"), "name either --input or --kafka"),
        (("--input", "x"), "every --input needs its --mapping"),
        (("--input", "x", "--mapping", "native"), "a file has no plan of its own"),
        (("--set", "language=fr"), "--set changes a plan that --plan names"),
    ],
)
def test_a_wrong_stretch_or_option_is_one_sentence(
    data: Path, shell: Shell, words: tuple[str, ...], message: str
) -> None:
    said = shell("backtest", "--data", data, "--processes", "1", *words)
    assert (said.code, said.out) == (2, "")
    assert message in said.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--fail-over", "much"), "--fail-over much: write a share, as in 5%"),
        (("--fail-over", "5"), "write a share"),
        (("--input", "x", "--mapping", "native"), "a file has no live plan: name the plan to compare with"),
        (("--against", "nowhere"), "nowhere: no such folder"),
        (("--checkpoints", "x"), "--checkpoints belongs to --kafka and --from"),
    ],
)
def test_a_comparison_that_is_asked_for_wrongly_is_one_sentence(
    data: Path, shell: Shell, words: tuple[str, ...], message: str
) -> None:
    said = shell("diff", "--plan", "scenarios", "--data", data, *words)
    assert (said.code, said.out) == (2, "")
    assert message in said.err


def test_a_stretch_in_which_nothing_happened_is_refused(tmp_path: Path) -> None:
    """One event, and a clock that ran on for seven days: at their end nobody does anything any more."""
    log = recorded(tmp_path / "data", count=1)
    with scratch() as out, pytest.raises(LogError, match="nothing between --from and --to"):
        replay(Task(log, since=T0 + 7 * DAY - HOUR, until=T0 + 7 * DAY), out)


def test_a_plan_that_does_not_compile_is_refused_with_its_place_before_anything_is_read(
    tmp_path: Path, shell: Shell
) -> None:
    draft = tmp_path / "draft" / "one"
    draft.mkdir(parents=True)
    (draft / "scenario.yaml").write_text("scenario: one\ntitle: One\npurpose: selling\n")
    for command in ("backtest", "diff"):
        said = shell(command, "--plan", tmp_path / "draft", "--data", tmp_path / "absent")
        assert (said.code, said.out) == (2, "")
        assert "one/scenario.yaml:3:10: purpose:" in said.err


def test_a_recorded_plan_that_this_release_refuses_is_said_by_every_process(data: Path, tmp_path: Path) -> None:
    broken = changed("send: reminder", "sand: reminder")
    live = plan().hash

    def spoil(folder: Folder) -> None:
        batch = WriteBatch(raw_mode=True)
        batch.put(meta_key(f"plan/{live}"), broken.encode())
        folder.write(batch)

    bad = spoiled(data, tmp_path / "bad", spoil)
    for processes in (1, 2):
        with scratch() as out, pytest.raises(LogError, match=r"abandoned-cart/scenario.yaml:\d+:\d+"):
            replay(Task(bad), out, processes)


def test_a_partition_of_the_journal_that_is_missing_is_named(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path / "log", 3)
    for partition in (0, 2):
        writer.put("journal", partition, 0, b'{"writer":"w","entries":[]}', appended_at=T0)
    writer.close()
    with scratch() as out, pytest.raises(LogError, match="partition 1 is missing or empty"):
        replay(Task(tmp_path / "log", plan()), out)


@pytest.mark.parametrize("folder", ["absent", "foreign"])
def test_a_folder_without_a_log_is_refused(tmp_path: Path, shell: Shell, folder: str) -> None:
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "letter.txt").write_text("dear")
    said = shell("backtest", "--data", tmp_path / folder)
    assert (said.code, said.out) == (2, "")
    assert "no data here" in said.err
