"""The names of our topics on Kafka, and of the same streams in the embedded store."""

from dataclasses import dataclass

STREAMS = ("delivery", "decisions", "cancels", "receipts", "forwards", "vouchers")


@dataclass(frozen=True, slots=True)
class Topics:
    """Every topic that we own, with an optional prefix ("parcours." gives "parcours.journal")."""

    prefix: str = ""

    def name(self, stream: str) -> str:
        """Return the topic of a stream."""
        return f"{self.prefix}{stream}"

    @property
    def journal(self) -> str:
        """Native events, ticks and control records: the only input of the engine."""
        return self.name("journal")

    @property
    def changelog(self) -> str:
        """The last state of every customer, and the progress record of each partition."""
        return self.name("customers-changelog")

    @property
    def delivery(self) -> str:
        """Commands and marks."""
        return self.name("delivery")

    @property
    def decisions(self) -> str:
        """Reasons."""
        return self.name("decisions")

    @property
    def cancels(self) -> str:
        """Commands that must not be carried out any more."""
        return self.name("cancels")

    @property
    def receipts(self) -> str:
        """What the senders did; read back by ingest."""
        return self.name("receipts")

    @property
    def sender_progress(self) -> str:
        """Where the senders stand, compacted: partitioned as `delivery`, keyed by channel."""
        return self.name("sender-progress")

    @property
    def forwards(self) -> str:
        """Events handed on to a known customer; read back by ingest."""
        return self.name("forwards")

    @property
    def collected(self) -> str:
        """What customers and providers said to the collector, as native records; read back by ingest."""
        return self.name("collected")

    @property
    def suppressions(self) -> str:
        """Who must not be written to, by the keyed hash of their address: compacted."""
        return self.name("suppressions")

    @property
    def inbox(self) -> str:
        """Messages of the channel `web` and what became of them, compacted: partitioned as `delivery`."""
        return self.name("inbox")

    @property
    def vouchers(self) -> str:
        """Codes that messages name, for the shop."""
        return self.name("vouchers")

    @property
    def products(self) -> str:
        """The store's catalogue, compacted: its products, and lists of products."""
        return self.name("products")

    @property
    def plans(self) -> str:
        """Plan sources by hash, compacted."""
        return self.name("plans")

    @property
    def dead_letters(self) -> str:
        """Records that could not be used."""
        return self.name("dead-letters")
