"""A data folder is ours, of a version we know, and nobody else's at the same time; or it is refused."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from rocksdict import WriteBatch

from pipeline.errors import DataFolderError, RunError
from pipeline.runtime.folder import FOLDER_VERSION, Folder, meta_key, stream_key

WRITER = """
import sys
import time
from pathlib import Path
from rocksdict import WriteBatch
from pipeline.runtime import folder
from pipeline.store import rocks

def often_flushed(cache=None):
    found = rocks.options(cache)
    found.set_write_buffer_size(256 * 1024)
    return found

folder.options = often_flushed
open_folder = folder.Folder(Path(sys.argv[1]))
for first in range(0, 3_000_000, 50):
    batch = WriteBatch(raw_mode=True)
    for offset in range(first, first + 50):
        batch.put(folder.stream_key("journal", offset), b"x" * 100)
    open_folder.write(batch)
    time.sleep(0.0005)  # some 40 flushes a second, and not all of the disk
    if first == 0:
        print("going", flush=True)
"""


def put(folder: Folder, stream: str, *values: bytes) -> None:
    batch = WriteBatch(raw_mode=True)
    end = folder.end(stream)
    for number, value in enumerate(values):
        batch.put(stream_key(stream, end + number), value)
    folder.write(batch)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    Folder(tmp_path / "data").close()
    return tmp_path / "data"


def test_a_folder_in_use_is_refused_and_says_what_to_do(made: Path) -> None:
    held = Folder(made)
    with pytest.raises(DataFolderError, match="another parcours works in this folder: stop it first"):
        Folder(made)
    held.close()
    Folder(made).close()


def test_a_folder_of_a_newer_release_is_refused_and_says_which(made: Path) -> None:
    (made / "folder.json").write_text(json.dumps({"app": "parcours", "version": FOLDER_VERSION + 1}))
    for read_only in (True, False):
        with pytest.raises(DataFolderError, match=f"newer release \\(version {FOLDER_VERSION + 1}"):
            Folder(made, read_only=read_only)


def test_a_folder_of_another_application_is_refused(made: Path) -> None:
    (made / "folder.json").write_text(json.dumps({"app": "other", "version": 1}))
    with pytest.raises(DataFolderError, match="belongs to 'other'"):
        Folder(made)


def test_a_folder_with_other_files_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(DataFolderError, match=r"thesis\.txt"):
        Folder(tmp_path)
    assert not (tmp_path / "folder.json").exists() and not (tmp_path / "db").exists()


def test_a_damaged_marker_is_refused(made: Path) -> None:
    (made / "folder.json").write_text("{")
    with pytest.raises(DataFolderError, match="damaged"):
        Folder(made)


def test_a_refused_folder_is_not_kept_locked(made: Path) -> None:
    marker = (made / "folder.json").read_text()
    (made / "folder.json").write_text("{")
    with pytest.raises(DataFolderError):
        Folder(made)
    (made / "folder.json").write_text(marker)
    Folder(made).close()


def test_reading_where_nothing_is_says_how_to_make_some(tmp_path: Path) -> None:
    with pytest.raises(DataFolderError, match="parcours run"):
        Folder(tmp_path / "nothing", read_only=True)
    assert not (tmp_path / "nothing").exists()


def test_streams_keep_their_order_and_do_not_run_into_each_other(made: Path) -> None:
    folder = Folder(made)
    put(folder, "delivery", b"d0", b"d1")
    put(folder, "decisions", *[b"%d" % number for number in range(300)])
    assert list(folder.scan("delivery")) == [(0, b"d0"), (1, b"d1")]
    assert [offset for offset, _ in folder.scan("decisions", 254)] == list(range(254, 300))
    assert (folder.end("delivery"), folder.end("decisions"), folder.end("cancels")) == (2, 300, 0)
    folder.close()


def test_a_write_that_fails_says_that_nothing_is_lost(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def write(self, batch: WriteBatch) -> None:
            raise Exception("IO error: No space left on device")

        def close(self) -> None:
            raise Exception("IO error: Writer has previous error.")

    folder = Folder(made)
    folder.db.close()
    monkeypatch.setattr(folder, "db", Full())
    with pytest.raises(RunError, match=r"No space left on device.*make space.*nothing is lost"):
        folder.write(WriteBatch(raw_mode=True))
    folder.close()


def test_a_folder_is_read_without_holes_while_another_process_writes_it(tmp_path: Path) -> None:
    data = tmp_path / "data"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(data)], stdout=subprocess.PIPE)
    assert writer.stdout is not None and writer.stdout.readline() == b"going\n"
    seen = 0
    try:
        while seen < 60_000:
            folder = Folder(data, read_only=True)
            offsets = [offset for offset, _ in folder.scan("journal")]
            folder.close()
            assert writer.poll() is None, "the writer was done too soon to show anything"
            assert offsets == list(range(len(offsets))), "a hole"
            assert len(offsets) % 50 == 0, "half a commit"
            assert len(offsets) >= seen, "what was read before is gone"
            seen = len(offsets)
    finally:
        writer.kill()
        writer.communicate()
    after = Folder(data)
    assert after.end("journal") >= seen, "the writer was killed: what was read is still there"
    batch = WriteBatch(raw_mode=True)
    batch.put(meta_key("note"), b"1")
    after.write(batch)
    assert after.get("note") == b"1"
    after.close()
