"""The embedded host: what a run promises to whoever stops, repeats, starves or changes it."""

import itertools
import json
import resource
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import RunError
from pipeline.journal.codec import decode
from pipeline.runtime.embedded import EmbeddedPipeline
from pipeline.runtime.embedded_options import EmbeddedOptions
from pipeline.runtime.folder import Folder
from pipeline.runtime.reading import DataFolder
from pipeline.sending.outcome import Message, Outcome
from tests.acceptance.running import command, lines_of
from tests.sim.world import DAY, World, compile_once, plan, records, small_slices

RECORDS = 120


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    small_slices(monkeypatch)
    compile_once(monkeypatch)


def commands(data: Path) -> list[dict[str, Any]]:
    reader = DataFolder(data)
    found = list(reader.commands())
    reader.close()
    return found


def drive(options: EmbeddedOptions) -> None:
    """Take slices until there is nothing to do, or a stop was asked for."""
    pipeline = EmbeddedPipeline.open(options)
    try:
        while pipeline.step():
            pass
    finally:
        pipeline.close()


def ids(data: Path) -> set[str]:
    return {one["id"] for one in commands(data)}


@pytest.fixture
def calm(tmp_path: Path) -> World:
    world = World(tmp_path / "calm", records(3, RECORDS), plan())
    world.run()
    return world


def test_slices_of_any_size_give_the_same_messages(
    tmp_path: Path, calm: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    whole = World(tmp_path / "whole", calm.inputs, calm.sources)
    whole.run()
    assert ids(whole.data) == ids(calm.data)


def test_a_stop_at_any_commit_and_a_later_run_end_as_a_run_that_was_not_stopped(tmp_path: Path, calm: World) -> None:
    tried = World(tmp_path / "stopped", calm.inputs, calm.sources)
    stops = 0
    for stop_after in itertools.cycle((3, 5, 9, 14)):
        asked = 0

        def stopping(limit: int = stop_after) -> bool:
            nonlocal asked
            asked += 1
            return asked > limit

        options = tried.options()
        options.stopping = stopping
        drive(options)
        if asked <= stop_after:
            break
        stops += 1
    assert stops > 10
    tried.run()
    assert tried.content() == calm.content()


def test_a_stop_is_heard_while_a_provider_is_awaited_and_nothing_is_sent_twice(tmp_path: Path, calm: World) -> None:
    tried = World(tmp_path / "busy", calm.inputs, calm.sources, idempotent=False)
    options = tried.options()
    provider = options.provider(tried.data)
    busy = [0]

    class Busy(type(provider)):  # type: ignore[misc]
        async def send(self, message: Message) -> Outcome:
            if len(self.calls) < 5:
                outcome: Outcome = await super().send(message)
                return outcome
            busy[0] += 1
            return Outcome("retry", "come back later", after_s=3600)

    provider.__class__ = Busy
    options.provider = lambda _: provider
    options.stopping = lambda: busy[0] > 0
    drive(options)
    assert busy[0] == 1 and len(tried.calls) == 5
    tried.run()
    assert sorted(tried.calls) == sorted(set(tried.calls)), "nothing twice"
    assert set(tried.calls) == set(calm.calls), "and nothing is missing or unknown"
    assert tried.calls[:5] == calm.calls[:5]


def test_another_plan_is_activated_once_at_the_log_time_where_it_comes(calm: World) -> None:
    last = DataFolder(calm.data)
    at = last.watermark()
    last.close()
    calm.sources = plan(language="fr")
    calm.run()
    calm.run()
    folder = Folder(calm.data, read_only=True)
    found = [entry for _, raw in folder.scan("journal") for entry in decode(raw).entries if hasattr(entry, "plan")]
    folder.close()
    assert [entry.at for entry in found] == [0, at]
    assert found[1].plan == calm.sources.hash


def test_a_history_that_goes_on_later_goes_on_where_it_stopped(tmp_path: Path) -> None:
    whole = records(3, RECORDS)
    parts = World(tmp_path / "parts", whole[:60], plan())
    drive(parts.options())
    parts.inputs = whole
    parts.run()
    once = World(tmp_path / "once", whole, plan())
    once.run()
    assert ids(parts.data) == ids(once.data)


def test_the_closing_of_a_history_lets_timers_fire_that_fired_timers_set(calm: World) -> None:
    steps = {one["step"] for one in commands(calm.data) if one["scenario"] == "abandoned-cart"}
    assert {"reminder", "urgency"} <= steps and steps & {"voucher", "cross_sell"}
    reader = DataFolder(calm.data)
    assert reader.watermark() >= calm.inputs[-1].timestamp_ms + 7 * DAY  # type: ignore[operator]
    reader.close()


def test_a_message_that_finds_no_space_stops_the_run_and_goes_out_later(tmp_path: Path, calm: World) -> None:
    tried = World(tmp_path / "full", calm.inputs, calm.sources)
    options = tried.options()
    provider = options.provider(tried.data)

    class Full(type(provider)):  # type: ignore[misc]
        async def send(self, message: Message) -> Outcome:
            raise RunError("No space left on device")

    provider.__class__ = Full
    options.provider = lambda _: provider
    with pytest.raises(RunError, match="No space left on device"):
        drive(options)
    tried.run()
    assert tried.content() == calm.content()


def _limited(limit_bytes: int) -> None:
    """A file of this process may not grow beyond a size: the write fails in its middle, as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))


def test_a_full_disk_stops_the_run_with_a_reason_and_the_next_one_loses_nothing(tmp_path: Path, calm: World) -> None:
    file = tmp_path / "shop.ndjson"
    file.write_bytes(b"\n".join(one.value or b"" for one in calm.inputs))

    def words(data: str) -> list[str]:
        inputs = ("--input", file, "--mapping", "native", "--until-end", "--advance", "7d", "--no-console")
        settings = ("--set", "consent_default=granted", "--set", "require_address=false")
        return command("run", "--data", tmp_path / data, *inputs, *settings)

    whole = subprocess.run(words("whole"), capture_output=True, text=True, check=False, timeout=120)
    assert whole.returncode == 0, whole.stderr
    size = sum(path.stat().st_size for path in (tmp_path / "whole" / "db").glob("*") if path.suffix in {".log", ".sst"})
    for share in (3, 2):
        full = subprocess.run(
            words("tried"),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            preexec_fn=lambda share=share: _limited(size // share),  # type: ignore[misc]
        )
        assert full.returncode == 1, full.stderr
        assert "cannot be written" in full.stderr and "nothing is lost" in full.stderr
        assert "Traceback" not in full.stderr
    again = subprocess.run(words("tried"), capture_output=True, text=True, check=False, timeout=120)
    assert again.returncode == 0, again.stderr
    for what in ("commands", "decisions", "receipts", "deadletters", "ledger"):
        found = lines_of(what, "--data", tmp_path / "tried")
        assert json.dumps(found) == json.dumps(lines_of(what, "--data", tmp_path / "whole")), what
