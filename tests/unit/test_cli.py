"""The command line: what is wrong is said in one sentence on stderr, with exit code 2, and nothing is started."""

import json
from pathlib import Path

import pytest

from tests.acceptance.running import lines_of, parcours

CART = {"type": "cart_updated", "items": [{"product_id": "p1", "price": 20}], "occurred_at": "2026-01-05T10:00:00Z"}


def history(folder: Path, *rows: dict[str, object]) -> Path:
    path = folder / "shop.ndjson"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--input", "absent.csv", "--mapping", "rees46"), "absent.csv: no such file"),
        (("--input", "absent.csv", "--mapping", "rees64"), "mapping 'rees64' does not exist; did you mean rees46?"),
        (("--input", "absent.csv"), "every --input needs its --mapping"),
        ((), "nothing to read"),
        (("--shop", "--plan", "nowhere"), "nowhere: no such folder"),
        (("--shop", "--speed", "fast"), "--speed fast: write max, live, or a factor"),
        (("--shop", "--advance", "soon"), "--advance: 'soon' is not a duration"),
        (("--shop", "--set", "consent"), "--set consent: write KEY=VALUE"),
        (("--shop", "--set", "consent_default=yes"), "consent_default"),
        (("--bogus",), "No such option"),
    ],
)
def test_wrong_use_ends_with_2_and_one_sentence(tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    data = tmp_path / "data"
    done = parcours("run", "--data", data, "--no-console", *words)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not data.exists(), "something was started"


def test_a_plan_with_an_error_is_refused_with_its_place_and_nothing_is_started(tmp_path: Path) -> None:
    plan = tmp_path / "plan" / "one"
    plan.mkdir(parents=True)
    (plan / "scenario.yaml").write_text("scenario: one\ntitle: One\npurpose: selling\n")
    done = parcours("run", "--data", tmp_path / "data", "--shop", "--no-console", "--plan", tmp_path / "plan")
    assert done.returncode == 2
    assert "one/scenario.yaml:3:10: purpose:" in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_data_folder_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.json").write_text(json.dumps({"app": "parcours", "version": 99}))
    done = parcours("ledger", "--data", tmp_path)
    assert done.returncode == 2
    assert "newer release" in done.stderr


def test_a_history_ends_with_a_sentence_of_what_became_of_it(tmp_path: Path) -> None:
    file = history(tmp_path, {**CART, "customer": "c1"})
    common = ("run", "--input", file, "--mapping", "native", "--until-end", "--advance", "7d", "--no-console")
    closed = parcours(*common, "--data", tmp_path / "a", "--set", "require_address=false")
    assert closed.returncode == 0, closed.stderr
    assert closed.stdout == "3 due, 0 sent, 3 without consent: try --set consent_default=granted\n"
    said = ("--set", "require_address=false", "--set", "consent_default=granted")
    opened = parcours(*common, "--data", tmp_path / "b", *said)
    assert opened.stdout == "3 due, 3 sent\n"
    assert len(list((tmp_path / "b" / "outbox").glob("*.eml"))) == 3


def test_a_command_says_all_that_is_promised_of_it(tmp_path: Path) -> None:
    file = history(tmp_path, {**CART, "customer": "c1"})
    said = ("--set", "require_address=false", "--set", "consent_default=granted")
    parcours(
        "run",
        "--data",
        tmp_path / "d",
        "--input",
        file,
        "--mapping",
        "native",
        "--until-end",
        "--advance",
        "1h",
        "--no-console",
        *said,
    )
    [command] = lines_of("commands", "--data", tmp_path / "d")
    wanted = {"id", "scenario", "step", "customer", "channel", "template", "data", "due_at", "valid_until", "reason"}
    assert wanted <= command.keys()
    assert command["due_at"] == "2026-01-05T10:45:00Z"
    assert {"event_id", "source_topic", "partition", "offset"} <= command["reason"].keys()
    [customer] = lines_of("customer", "c1", "--data", tmp_path / "d")
    assert customer["cart"]["total"] == 2000
    assert customer["profile"]["last_seen"] == "2026-01-05T10:00:00Z"
    assert [timer["scenario"] for timer in customer["timers"]] == ["abandoned-cart"]


def test_bad_records_are_dead_letters_and_the_next_one_is_processed(tmp_path: Path) -> None:
    bad = {
        "type": "order_placed",
        "customer": "c1",
        "order_id": "o1",
        "total": "much",
        "occurred_at": "2026-01-05T10:00:00Z",
    }
    file = history(tmp_path, bad, {**CART, "customer": ""}, {**CART, "customer": "c2"})
    parcours("run", "--data", tmp_path / "d", "--input", file, "--mapping", "native", "--until-end", "--no-console")
    letters = lines_of("deadletters", "--data", tmp_path / "d")
    assert [(row["offset"], row["path"]) for row in letters] == [(0, "$.total"), (1, "$.customer")]
    [ledger] = lines_of("ledger", "--data", tmp_path / "d")
    assert ledger["events"]["applied"] == 1


def test_a_second_process_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    from pipeline.runtime.folder import Folder

    folder = Folder(tmp_path / "d")
    try:
        done = parcours("run", "--data", tmp_path / "d", "--shop", "--no-console")
        assert done.returncode == 2
        assert "another parcours works in this folder" in done.stderr
    finally:
        folder.close()


def test_help_which_tells_every_command_apart() -> None:
    done = parcours("help", "which")
    assert done.returncode == 0
    assert {"check", "test", "run", "ledger"} <= {line.split()[0] for line in done.stdout.splitlines()}
