"""The embedded host: all stages in one process on one RocksDB, crash-safe at any moment.

The schedule is strict, and every stage goes on from its own durable progress, so that a run that was killed and
restarted gives byte for byte what an undisturbed one gives:
  1. ingest takes the next slice of source records; journal, dead letters and positions are one write batch;
  2. journeys fire what is due, a commit a slice of customers, then read the next journal message, until the end;
  3. the sender carries out what stands on `delivery`, in rounds;
  4. receipts, forwarded events and what the collector heard go back into the journal as one message, and 2 to 4 are
     repeated until all is quiet.
A restart begins at 2, and so does a stop that came between two commits. Every commit is one write batch, and what a
stage does next depends on nothing but what was committed: slices are counts, of records, customers or commands. A slice
also ends behind an event of a visitor that the engine hands on to a known customer, so that it reaches them before the
next record: in a history that is thin, five hundred records can be days.

Under a pace a slice of records also ends where log time has come to the wall clock's share. It ends at a record's
boundary where log time moves on, so every tick still stands before the event that moved it, and every customer's inputs
keep their order; only receipts come back in other places between them, and those are judged by their own times.
"""

import time

import msgspec
from msgspec.structs import replace
from rocksdict import WriteBatch

from models.command import Release
from models.dead_letter import DeadLetter
from models.event import Event, Position
from models.identity import LINKED, is_anonymous
from models.ids import digest
from models.journal import Bundle, Entry, JournalMessage, PlanActivated, ScenarioSwitched, SourceChanged
from models.progress import Progress
from models.receipt import Receipt
from pipeline.errors import RunError
from pipeline.intake.feedback import COLLECTED, FORWARDS, RECEIPTS, event_of_receipt, forwarded
from pipeline.intake.mapper import Mapper, validator_for
from pipeline.intake.mapping import load_mapping
from pipeline.journal.codec import decode, encode
from pipeline.journal.records_clock import MERGED, IngestState, RecordsIngest, Slice
from pipeline.runtime import operator
from pipeline.runtime.batch import Batch
from pipeline.runtime.carry import EmbeddedSender
from pipeline.runtime.checkpoints import DailyCheckpoints
from pipeline.runtime.collected import CollectedStream
from pipeline.runtime.embedded_options import EmbeddedOptions, Pace
from pipeline.runtime.erasing import hashes
from pipeline.runtime.folder import STREAMS, Folder, meta_key, stream_key
from pipeline.runtime.inbox import FolderInbox
from pipeline.runtime.operator import PlanSaid
from pipeline.runtime.partition import PartitionRuntime
from pipeline.runtime.plans import PlanBook
from pipeline.scenario.compile import read_settings
from pipeline.scenario.sources import PlanSources
from pipeline.sending.catalogue_files import FileGoods, in_folder
from pipeline.sending.hearing import Heard
from pipeline.sending.links import links_of
from pipeline.sending.render import Renderer
from pipeline.sending.stage import SenderStage
from pipeline.store.rocks import RocksState

SLICE_RECORDS = 500
SLICE_CUSTOMERS = 500
FEEDBACK_MAX = 500
WRITER = "embedded"
_json = msgspec.json.Encoder().encode
_state_decoder = msgspec.json.Decoder(IngestState)
_receipt_decoder = msgspec.json.Decoder(Receipt)
_event_decoder = msgspec.json.Decoder(Event)


class Feedback(msgspec.Struct, kw_only=True, omit_defaults=True):
    """How far receipts, forwards and what was collected have gone back into the journal."""

    receipts: int = 0
    forwards: int = 0
    collected: int = 0


class EmbeddedPipeline:
    """All stages over one data folder."""

    def __init__(self, options: EmbeddedOptions, folder: Folder):
        self.options = options
        self.folder = folder
        raw = folder.get("ingest")
        self.ingest_state = _state_decoder.decode(raw) if raw else IngestState()
        raw = folder.get("feedback")
        self.feedback = msgspec.json.decode(raw, type=Feedback) if raw else Feedback()
        self._renderers: dict[str, Renderer] = {}
        self._goods = options.goods or FileGoods(in_folder(options.data))
        self._store = RocksState(folder.db)
        self._checkpoints = DailyCheckpoints(options.data, lambda: folder.db)
        self._ends = {name: folder.end(name) for name in STREAMS if name != RECEIPTS}
        self._links = links_of(options.data)
        self.collected = CollectedStream(folder, self._links, lambda: self.ingest_state.time)
        settings = read_settings(options.plan)
        self._native = Mapper(
            load_mapping("native"), COLLECTED, validator_for(settings.store.currency, settings.events)
        )
        providers = {"email": options.provider(options.data), **options.others(options.data)}
        most = settings.senders.web.at_most if settings.senders.web else 0
        self.inbox = FolderInbox(
            folder, lambda: self.ingest_state.time, most, lambda name: self._store.get(name) is not None
        )
        if options.inbox and most:
            providers["web"] = options.inbox(self.inbox)
        stages = {
            channel: SenderStage(channel, one, self._renderer, self.collected.table, self._goods)
            for channel, one in providers.items()
        }
        self._sender = EmbeddedSender(folder, stages, options.stopping)
        try:
            self._activate()
            self.partition = PartitionRuntime(
                self._progress(), self._store, PlanBook(self._sources, options.voucher_key)
            )
            self._settle()
            inputs = options.inputs(self.ingest_state, folder)
            self.ingest = RecordsIngest(inputs, 1, self.ingest_state, self._is_handed_on)
        except BaseException:
            self._sender.close()
            raise
        self._pace = Pace(options.speed) if options.speed else None

    @classmethod
    def open(cls, options: EmbeddedOptions) -> "EmbeddedPipeline":
        """Open the data folder and finish what a stop or crash left; DataFolderError where it is not ours."""
        folder = Folder(options.data)
        try:
            return cls(options, folder)
        except BaseException:
            folder.close()
            raise

    def _progress(self) -> Progress:
        found = self._store.progress()
        if found is not None:
            return found
        lineage = digest("lineage", str(self.options.data), str(time.time_ns()))
        return Progress(journal="embedded", partitions=1, partition=0, lineage=lineage)

    def _sources(self, name: str) -> PlanSources | None:
        raw = self.folder.get(f"plan/{name}")
        return None if raw is None else PlanSources.decode(raw)

    def _renderer(self, name: str) -> Renderer:
        if name not in self._renderers:
            sources = self._sources(name)
            if sources is None:
                raise RunError(f"the plan {name} is not stored")
            self._renderers[name] = Renderer(sources, self._links, self._goods)
        return self._renderers[name]

    def _activate(self) -> None:
        """Write the sources' join and the plan's activation where they are new; the plan is stored first."""
        plan, activated = self.options.plan, False
        entries: list[Entry] = []
        if not self.ingest_state.joined:
            entries.append(SourceChanged(id="join", change="join", source=MERGED))
            for name in (RECEIPTS, FORWARDS):
                entries.append(SourceChanged(id=f"join {name}", change="join", source=name, feedback=True))
        live, given = self.folder.get("plan"), self.folder.get("given")
        # What an operator applied since this plan was given the last time stays.
        if live is None or plan.hash.encode() not in {live, given}:
            # The first plan is live from the beginning of time: history is judged by it.
            at = 0 if live is None else self.ingest_state.time
            name = digest("activate", plan.hash, str(self._ends["journal"]))
            entries.append(PlanActivated(id=name, plan=plan.hash, at=at))
            activated = True
        if not entries and given == plan.hash.encode():
            return
        batch = WriteBatch(raw_mode=True)
        batch.put(meta_key("given"), plan.hash.encode())
        if activated:
            batch.put(meta_key(f"plan/{plan.hash}"), plan.encode())
            batch.put(meta_key("plan"), plan.hash.encode())
        self.ingest_state.joined = True
        self._journal(batch, entries)
        batch.put(meta_key("ingest"), _json(self.ingest_state))
        self.folder.write(batch)

    def _journal(self, batch: WriteBatch, entries: list[Entry]) -> None:
        if entries:
            bundle = Bundle(writer=WRITER, entries=entries)
            batch.put(stream_key("journal", self._ends["journal"]), encode(bundle))
            self._ends["journal"] += 1

    def _append(self, batch: WriteBatch, stream: str, records: list[object]) -> None:
        for record in records:
            batch.put(stream_key(stream, self._ends[stream]), _json(record))
            self._ends[stream] += 1

    def _is_handed_on(self, event: Event) -> bool:
        """Say whether the engine will forward an event: the rest of a slice waits for it, as it would not on a broker.

        A link makes the next event of its visitor one, and ends its slice: the state says so before that is read.
        """
        if not is_anonymous(event.customer):
            return False
        if event.type == LINKED:
            return True
        known = self._store.get(event.customer)
        return known is not None and known.identity is not None and known.identity.alias_of != ""

    def step(self) -> bool:
        """Take one slice all the way through; False when there is nothing to do now, or a stop was asked for."""
        if self.options.stopping():
            return False
        self._hear_operator()
        until = self._pace.until(self.ingest.next_time) if self._pace else None
        slice_ = self.ingest.step(SLICE_RECORDS, until)
        if not slice_.records and not slice_.dead_letters:
            heard = self.collected.end > self.feedback.collected
            if heard:
                self._settle()
            return heard
        if self._pace and not any(slice_.entries):
            slice_ = self._with_tick(slice_)
        self._write(slice_, WriteBatch(raw_mode=True))
        self._settle()
        return True

    def _hear_operator(self) -> None:
        """Put what an operator said into the log, at the log time that has come; then it is done with."""
        found = operator.said(self.options.data)
        if not found:
            return
        batch = WriteBatch(raw_mode=True)
        words = [replace(word, at=self.ingest_state.time) for _, word in found]
        entries = [self._heard(word, batch) for word in words if isinstance(word, ScenarioSwitched | PlanSaid)]
        self._journal(batch, [entry for entry in entries if entry is not None])
        self._append(batch, "delivery", [word for word in words if isinstance(word, Release)])
        for word in words:
            if isinstance(word, operator.HandedOn):
                self._append(batch, FORWARDS, list(word.dated()))
            elif isinstance(word, operator.EraseSaid):
                self.collected.put([word.heard()])
            elif isinstance(word, operator.Lifted):
                self.collected.put([Heard(None, (), tuple(word.keys))])
        self.folder.write(batch)
        for path, _ in found:
            path.unlink()
        self._settle()

    def _heard(self, word: ScenarioSwitched | PlanSaid, batch: WriteBatch) -> Entry | None:
        """Return the entry of what an operator said; a plan is stored first."""
        if isinstance(word, ScenarioSwitched):
            return word
        plan = PlanSources(word.files)
        if self.options.refused(plan):
            return None
        batch.put(meta_key(f"plan/{plan.hash}"), plan.encode())
        batch.put(meta_key("plan"), plan.hash.encode())
        return PlanActivated(id=word.id, plan=plan.hash, at=word.at)

    def _with_tick(self, slice_: Slice) -> Slice:
        ticks = self.ingest.tick_all()
        return Slice(entries=ticks.entries, dead_letters=slice_.dead_letters, records=slice_.records)

    @property
    def ended(self) -> bool:
        """Say whether every input is read."""
        return self.ingest.next_time is None

    def finish(self) -> None:
        """Close the history: move the watermark on past the last event, and let every due timer fire."""
        if self.options.stopping():
            return
        last = self.ingest_state.time
        raw = self.folder.get("finished")
        if raw is not None and int(raw) == last:
            return
        closing = self.ingest.advance(last + self.options.advance_ms)
        batch = WriteBatch(raw_mode=True)
        batch.put(meta_key("finished"), str(self.ingest_state.time).encode())
        self._write(closing, batch)
        self._settle()

    def _write(self, slice_: Slice, batch: WriteBatch) -> None:
        self._journal(batch, slice_.entries[0])
        self._append(batch, "dead-letters", list(slice_.dead_letters))
        batch.put(meta_key("ingest"), _json(self.ingest_state))
        self.folder.write(batch)

    def _settle(self) -> None:
        """Stages 2 to 4 until all is quiet, or a stop comes between two commits."""
        while self._journeys() and self._sender.carry_out() and self._feed_back():
            pass

    def _journeys(self) -> bool:
        """Fire what is due and read the journal to its end; False where a stop came first."""
        going = self._fire()
        for offset, raw in self.folder.scan("journal", self.partition.progress.next_offset):
            if not going:
                break
            self.partition.read(JournalMessage(offset=offset, appended_at=0, bundle=decode(raw)))
            going = self._fire()
        return going

    def _fire(self) -> bool:
        more = True
        while more:
            more = self.partition.drain(SLICE_CUSTOMERS)
            if self.partition.changed:
                self._commit(self.partition.take())
            if self.options.stopping():
                return False
        return True

    def _commit(self, taken: Batch) -> None:
        batch = WriteBatch(raw_mode=True)
        self._append(batch, "delivery", [*taken.commands, *([taken.mark] if taken.mark else [])])
        self._append(batch, "cancels", list(taken.cancels))
        self._append(batch, "decisions", list(taken.decisions))
        self._append(batch, "forwards", list(taken.forwards))
        self._append(batch, "vouchers", list(taken.vouchers))
        self._append(batch, "memberships", list(taken.memberships))
        self._append(batch, "dead-letters", list(taken.dead_letters))
        self._store.write(taken, batch)
        for gone in taken.erased:
            # Before the commit: what a page says of a message in between finds nothing any more.
            self.inbox.forget(gone.customer)
            self.collected.suppress(hashes(gone, self._links), batch)
        self.folder.write(batch)
        self.partition.committed()
        self._checkpoints.after(taken.progress)

    def _feed_back(self) -> bool:
        """Put the next receipts and forwarded events into the journal; False when there are none."""
        entries: list[Entry] = []
        read = 0
        for offset, raw in self.folder.scan(RECEIPTS, self.feedback.receipts):
            event = event_of_receipt(_receipt_decoder.decode(raw), Position(RECEIPTS, 0, 0, offset))
            self.feedback.receipts, read = offset + 1, read + 1
            if event is not None:
                entries.append(event)
            if read >= FEEDBACK_MAX:
                break
        for offset, raw in self.folder.scan(FORWARDS, self.feedback.forwards):
            entries.append(forwarded(_event_decoder.decode(raw), Position(FORWARDS, 0, 0, offset)))
            self.feedback.forwards, read = offset + 1, read + 1
            if read >= FEEDBACK_MAX:
                break
        letters = self._take_collected(entries)
        if not read and not entries and not letters:
            return False
        batch = WriteBatch(raw_mode=True)
        self._journal(batch, entries)
        self._append(batch, "dead-letters", list(letters))
        batch.put(meta_key("feedback"), _json(self.feedback))
        self.ingest_state.fed_back += len(entries)
        batch.put(meta_key("ingest"), _json(self.ingest_state))
        self.folder.write(batch)
        return True

    def _take_collected(self, entries: list[Entry]) -> list[DeadLetter]:
        """Add what the collector heard to the entries; return what of it could not be used."""
        letters: list[DeadLetter] = []
        for offset, found in self.collected.events(self.feedback.collected, FEEDBACK_MAX, self._native):
            self.feedback.collected = offset + 1
            if isinstance(found, Event):
                entries.append(found)
            else:
                letters.append(found)
        self.ingest_state.dead += len(letters)
        return letters

    def close(self) -> None:
        """Close everything; what was done is done."""
        self._sender.close()
        self.folder.close()
