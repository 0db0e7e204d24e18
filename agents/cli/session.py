"""One embedded run: puts inputs, plan, provider and console together, and drives the pipeline."""

import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from agents.senders.build import provider_of
from agents.senders.outbox import Outbox
from agents.senders.providers.inbox import Inbox
from pipeline.errors import ParcoursError, UsageError
from pipeline.intake.files import FileSource
from pipeline.intake.history import file_source, records_of
from pipeline.intake.mapper import Mapper, validator_for
from pipeline.intake.mapping import load_mapping
from pipeline.journal.records_clock import IngestState, Input, SourcePosition
from pipeline.runtime.embedded import EmbeddedPipeline
from pipeline.runtime.embedded_options import EmbeddedOptions
from pipeline.runtime.folder import Folder
from pipeline.runtime.letters import remember_mappings
from pipeline.runtime.summary import summary
from pipeline.scenario.compile import compile_plan, read_settings
from pipeline.scenario.sources import PlanSources, read_sources
from pipeline.sending.catalogue_files import FileGoods, in_folder
from pipeline.sending.links import voucher_key
from pipeline.sending.outcome import Provider

IDLE_S = 0.05


@dataclass
class Session:
    """The options of a run, checked before anything starts."""

    data: Path
    files: list[Path]
    mappings: list[str]
    plan: Path
    speed: float | None
    until_end: bool
    advance_ms: int
    overrides: dict[str, str]
    send: bool
    shop: bool
    console_port: int | None
    collector_port: int | None = None
    console_settings: Path | None = None
    products: tuple[Path, ...] = ()

    def run(self, stop: threading.Event) -> str:
        """Run until the end or the stop; return the sentence that says what became of what was due."""
        if len(self.files) != len(self.mappings):
            raise UsageError("every --input needs its --mapping, in the same order")
        if not self.files and not self.shop:
            raise UsageError("nothing to read: name an --input and its --mapping, or --shop for a simulated one")
        plan = read_sources(self.plan, self.overrides)
        key = voucher_key()
        self._check_vouchers(plan, key)
        sources = self._sources()
        mappers = self._mappers(plan)
        options = EmbeddedOptions(
            data=self.data,
            plan=plan,
            inputs=lambda state, folder: self._inputs(state, folder, sources, mappers),
            provider=self._provider(plan),
            others=self._others(plan),
            inbox=Inbox,
            speed=self.speed,
            until_end=self.until_end,
            advance_ms=self.advance_ms,
            stopping=stop.is_set,
            voucher_key=key,
            goods=self._goods(),
            refused=lambda applied: self._refused(applied, key),
        )
        with ExitStack() as stack:
            pipeline = EmbeddedPipeline.open(options)
            stack.callback(pipeline.close)
            named = zip(sources, self.mappings, strict=True)
            remember_mappings(pipeline.folder, {source.source: mapping for source, mapping in named})
            if self.console_port is not None:
                self._console(stack, pipeline.folder)
            if self.collector_port is not None:
                self._collector(stack, pipeline, plan)
            self._drive(pipeline, sources, stop)
            return summary(pipeline.folder, stopped=stop.is_set())

    def _check_vouchers(self, plan: PlanSources, key: bytes) -> None:
        if compile_plan(plan).issues_vouchers and self.send and not key:
            raise UsageError("the plan issues vouchers: set PARCOURS_SECRET, which makes their codes, before --send")

    def _refused(self, plan: PlanSources, key: bytes) -> bool:
        """Say whether a plan that an operator applies cannot be taken, and tell why."""
        try:
            self._check_vouchers(plan, key)
        except ParcoursError as error:
            print(f"the plan {plan.hash} was not applied: {error}", file=sys.stderr, flush=True)
            return True
        return False

    def _goods(self) -> FileGoods:
        """Return the catalogue of the files that were named, else of the data folder's."""
        missing = [path for path in self.products if not path.is_file()]
        if missing:
            raise UsageError(f"--products {missing[0]}: no such file")
        return FileGoods(self.products or in_folder(self.data), lambda said: print(said, file=sys.stderr, flush=True))

    def _console(self, stack: ExitStack, folder: Folder) -> None:
        from agents.console.access import read_console_settings
        from agents.console.serve import serve_in_thread

        assert self.console_port is not None
        url, close = serve_in_thread(folder, self.console_port, read_console_settings(self.console_settings))
        stack.callback(close)
        print(f"console: {url}", file=sys.stderr, flush=True)

    def _collector(self, stack: ExitStack, pipeline: EmbeddedPipeline, plan: PlanSources) -> None:
        from agents.collector.serve import embedded_hub, serve_in_thread

        assert self.collector_port is not None
        url, close = serve_in_thread(embedded_hub(pipeline, plan), self.collector_port)
        stack.callback(close)
        print(f"collector: {url}", file=sys.stderr, flush=True)

    def _sources(self) -> list[FileSource]:
        found: list[FileSource] = []
        for path, mapping in zip(self.files, self.mappings, strict=True):
            source = file_source(path, load_mapping(mapping))
            if any(one.source == source.source for one in found):
                message = f"two inputs are named {source.source}: put one after the other in two runs, or in one file"
                raise UsageError(message)
            found.append(source)
        return found

    def _mappers(self, plan: PlanSources) -> list[Mapper]:
        settings = read_settings(plan)
        validator = validator_for(settings.store.currency, settings.events)
        pairs = zip(self._sources(), self.mappings, strict=True)
        return [Mapper(load_mapping(mapping), source.source, validator) for source, mapping in pairs]

    def _inputs(
        self, state: IngestState, folder: Folder, sources: list[FileSource], mappers: list[Mapper]
    ) -> list[Input]:
        found = []
        for source, mapper in zip(sources, mappers, strict=True):
            start = state.positions.get(f"{source.source}/0", SourcePosition()).first
            records = records_of(source, mapper, start)
            found.append(Input(source=source.source, partition=0, records=records, mapper=mapper))
        if self.shop:
            from agents.shop.source import shop_input

            found.append(shop_input(state, folder))
        return found

    def _provider(self, plan: PlanSources) -> Callable[[Path], Provider]:
        if not self.send:
            return lambda data: Outbox(data / "outbox")
        senders = read_settings(plan).senders
        return lambda data: provider_of("email", senders)

    def _others(self, plan: PlanSources) -> Callable[[Path], dict[str, Provider]]:
        """Return the providers of the other channels: the outbox, or with --send those that the settings name."""
        # The inbox is a channel of its own: it is on this machine, and only the collector shows it.
        others = ("sms", "push", "web", "webhook")
        if not self.send:
            return lambda data: dict.fromkeys(others, Outbox(data / "outbox"))
        senders = read_settings(plan).senders
        named = [channel for channel in others if channel != "web" and getattr(senders, channel, None) is not None]
        return lambda data: {channel: provider_of(channel, senders) for channel in named}

    def _drive(self, pipeline: EmbeddedPipeline, sources: list[FileSource], stop: threading.Event) -> None:
        bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty() or not sources,
        )
        with bars:
            task = bars.add_task("bytes read", total=sum(one.bytes_total for one in sources))
            while not stop.is_set():
                busy = pipeline.step()
                bars.update(task, completed=sum(one.bytes_read for one in sources))
                if pipeline.ended and not busy:
                    if self.until_end:
                        pipeline.finish()
                        return
                    # Without --until-end the run stays, with its console, until it is stopped.
                if not busy:
                    stop.wait(IDLE_S)
