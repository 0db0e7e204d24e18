"""The simulated store as an input of the embedded pipeline."""

from collections import defaultdict

import msgspec

from agents.shop.simulator import HOUR_MS, START_MS, Shop
from models.receipt import Receipt
from pipeline.intake.mapper import Mapper, validator_for
from pipeline.intake.mapping import load_mapping
from pipeline.journal.records_clock import IngestState, Input, SourcePosition
from pipeline.runtime.folder import Folder

SEED = 1


class SentMails:
    """The mails that went out, by simulated hour, read on from the receipts."""

    def __init__(self, folder: Folder):
        self._folder = folder
        self._next = 0
        self._by_hour: defaultdict[int, list[tuple[str, str]]] = defaultdict(list)

    def __call__(self, hour: int) -> list[tuple[str, str]]:
        """Return (command id, customer) of an hour's mails."""
        for offset, raw in self._folder.scan("receipts", self._next):
            receipt = msgspec.json.decode(raw, type=Receipt)
            self._next = offset + 1
            if receipt.state == "sent":
                self._by_hour[(receipt.at - START_MS) // HOUR_MS].append((receipt.command, receipt.customer))
        return self._by_hour[hour]


def shop_input(state: IngestState, folder: Folder) -> Input:
    """Return the store's stream from where the last run stopped."""
    start = state.positions.get("shop/0", SourcePosition()).first
    shop = Shop(SEED, SentMails(folder))
    mapper = Mapper(load_mapping("native"), "shop", validator_for("EUR"))
    return Input(source="shop", partition=0, records=shop.records(start), mapper=mapper)
