"""What an embedded run is made of, and the pace that it keeps."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.journal.records_clock import IngestState, Input
from pipeline.runtime.folder import Folder
from pipeline.scenario.sources import PlanSources
from pipeline.sending.catalogue import Goods
from pipeline.sending.inbox import InboxStore
from pipeline.sending.outcome import Provider


@dataclass
class EmbeddedOptions:
    """What a run is made of.

    `provider` is the mail's, `others` are those of the other channels; `inbox` makes the web channel's of the run's own
    inbox, where the plan has one, and else the channel is among `others`.
    `inputs` are opened by the caller; `speed` None is as fast as it goes, else a factor. `stopping` is asked between
    commits: once it says so the pipeline does nothing more, and is to be closed. `goods` is the store's catalogue, None
    for the files of the data folder. `refused` says of a plan that an operator applies whether this run cannot take it.
    """

    data: Path
    plan: PlanSources
    inputs: Callable[[IngestState, Folder], list[Input]]
    provider: Callable[[Path], Provider]
    others: Callable[[Path], dict[str, Provider]] = lambda data: {}
    inbox: Callable[[InboxStore], Provider] | None = None
    speed: float | None = None
    until_end: bool = False
    advance_ms: int = 0
    stopping: Callable[[], bool] = lambda: False
    voucher_key: bytes = b""
    goods: Goods | None = None
    refused: Callable[[PlanSources], bool] = lambda plan: False


@dataclass
class Pace:
    """Holds log time back to `speed` times the wall clock from its first moment on."""

    speed: float
    began: float = field(default_factory=time.monotonic)
    first: int | None = None

    def until(self, next_time: int | None) -> int | None:
        """Return the log time (UTC ms) up to which records may be taken now."""
        if next_time is None:
            return None
        if self.first is None:
            self.first = next_time
        return self.first + round((time.monotonic() - self.began) * 1000 * self.speed)
