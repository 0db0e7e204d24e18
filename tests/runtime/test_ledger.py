"""The ledger of a data folder, looked at again and again."""

from pathlib import Path

import msgspec
from rocksdict import WriteBatch

from models.receipt import Receipt
from pipeline.runtime.folder import Folder, stream_key
from pipeline.runtime.ledger import CommandCounts
from tests.sending.build import command, mark


def receipt(number: int, state: str) -> Receipt:
    one = command(number)
    return Receipt(
        command=one.id, customer=one.customer, state=state, at=0, channel="email", scenario="cart", step="hello",
        purpose="marketing",
    )  # fmt: skip


def put(folder: Folder, stream: str, *records: object) -> None:
    batch = WriteBatch(raw_mode=True)
    for offset, record in enumerate(records, folder.end(stream)):
        batch.put(stream_key(stream, offset), msgspec.json.encode(record))
    folder.write(batch)


def test_a_second_look_counts_what_is_new_and_nothing_twice(tmp_path: Path) -> None:
    folder, counted = Folder(tmp_path / "d"), CommandCounts()
    put(folder, "delivery", command(1), mark(), command(2))
    put(folder, "receipts", receipt(1, "intent"), receipt(1, "sent"))
    counted.look(folder)
    counted.look(folder)
    assert (counted.emitted, counted.ends["sent"]) == (2, 1)
    put(folder, "delivery", command(3))
    put(folder, "receipts", receipt(2, "held"), receipt(2, "expired"))
    counted.look(folder)
    assert counted.emitted == 3
    assert {state: count for state, count in counted.ends.items() if count} == {"sent": 1, "expired": 1}
    folder.close()
