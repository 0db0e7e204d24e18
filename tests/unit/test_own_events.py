"""Events that the store declares itself, on the way in to a cluster: of the live plan, and of no matter to produce."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from agents.cli.main import parcours as cli
from agents.ingest.sources import Source
from agents.kafka.produce import reader_of
from pipeline.errors import ParcoursError
from pipeline.intake.mapping import load_mapping
from pipeline.intake.record import SourceRecord
from pipeline.scenario.sources import PlanSources

MAPPING = """mapping: own
customer: user
time: {path: at}
events: [{type: form_downloaded, fields: {form: form}}]
"""
LINE = b'{"user": "u-1", "at": "2026-01-05T10:00:00Z", "form": "size guide"}'
RECORD = SourceRecord(source="own", offset=0, value=LINE)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "own.yaml").write_text(MAPPING)
    (tmp_path / "sources.yaml").write_text("sources: [{name: own, mapping: own.yaml}]\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ingest(monkeypatch: pytest.MonkeyPatch, live: PlanSources | None) -> tuple[list[Source], BaseException | None]:
    """Return the sources that an ingest worker would read under a live plan."""
    seen: list[Source] = []

    async def live_sources(bootstrap: str, topics: object) -> PlanSources | None:
        return live

    async def run(**said: Any) -> None:
        seen.extend(said["sources"])

    monkeypatch.setattr("agents.kafka.control.live_sources", live_sources)
    monkeypatch.setattr("agents.ingest.worker.run", run)
    words = ["worker", "ingest", "--sources", "sources.yaml", "--metrics-port", "0"]
    return seen, CliRunner().invoke(cli, words).exception


def test_ingest_knows_the_events_and_the_currency_of_the_live_plan(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = "store: {currency: GBP}\nevents: {form_downloaded: {form: string}}\n"
    [own], error = ingest(monkeypatch, PlanSources({"settings.yaml": settings}))
    assert error is None
    [event] = own.mapper().feed(RECORD)
    assert (event.type, event.data) == ("form_downloaded", {"form": "size guide"})
    assert own.validator.currency == "GBP"


def test_an_event_that_no_live_plan_declares_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [own], _ = ingest(monkeypatch, None)
    with pytest.raises(ParcoursError, match="unknown event 'form_downloaded'"):
        own.mapper()


def test_a_history_of_own_events_can_be_published(folder: Path) -> None:
    assert reader_of(load_mapping("own.yaml"), "own").time_of(RECORD) == 1_767_607_200_000
