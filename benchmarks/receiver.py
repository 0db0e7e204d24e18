"""A mail relay and an HTTP provider that take messages as fast as Python can, and fail as often as they are told.

A process of its own, so that its CPU is not the sender's. It prints `SMTP_PORT HTTP_PORT`, and writes to its journal a
line for each call that has named its command: what it did (`Call`), the command, and a short hash of the content. An
HTTP call with the header `idempotency-key` is taken once: a repetition is answered as the first was.
"""

import argparse
import asyncio
import hashlib
import random
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

# What a call comes to: the first three were taken, the others were not. Its sender knows only of `taken` and `refused`.
TAKEN, TAKEN_UNSAID, TAKEN_AGAIN, NOT_TAKEN, REFUSED = "taken", "taken-unsaid", "taken-again", "not-taken", "refused"
FAULTS = ("busy", "error", "cut", "slow", "refused")
SLOW_S = (0.1, 3.0)
COMMAND = b"X-Parcours-Command: "


class Trouble:
    """Draws what goes wrong: `percent` of the calls, each kind as often as the others."""

    def __init__(self, percent: float, seed: int):
        self._dice = random.Random(seed)
        self._share = percent / 100

    def next(self) -> str:
        """Return the next call's fault, "" for none."""
        return self._dice.choice(FAULTS) if self._share and self._dice.random() < self._share else ""

    def coin(self) -> bool:
        """Return heads or tails."""
        return self._dice.random() < 0.5

    def slow_s(self) -> float:
        """Return how long a slow answer takes."""
        return self._dice.uniform(*SLOW_S)


class Book:
    """What was taken, in memory and in a file that survives a kill of anybody."""

    def __init__(self, file: TextIO | None):
        self._file = file
        self.keys: set[bytes] = set()

    def note(self, what: str, command: bytes, content: bytes) -> None:
        """Note one call."""
        if self._file is not None:
            print(what, command.decode(), hashlib.blake2b(content, digest_size=8).hexdigest(), file=self._file)

    def take(self, command: bytes, content: bytes, *, keyed: bool, said: bool) -> None:
        """Take a message; `said`: the sender is told."""
        what = TAKEN_AGAIN if keyed and command in self.keys else TAKEN if said else TAKEN_UNSAID
        self.keys.add(command)
        self.note(what, command, content)


class Talk(asyncio.Protocol):
    """What both dialogues share."""

    def __init__(self, book: Book, trouble: Trouble):
        self.book, self.trouble = book, trouble
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def later(self, answer: bytes) -> None:
        """Answer after a while, if anybody still listens."""
        asyncio.get_running_loop().call_later(self.trouble.slow_s(), self.say, answer)

    def say(self, answer: bytes) -> None:
        """Answer."""
        if not self.transport.is_closing():
            self.transport.write(answer)


class Smtp(Talk):
    """A relay: one line in, one line out, and a mail up to its dot."""

    in_data = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        super().connection_made(transport)
        self.say(b"220 relay\r\n")

    def data_received(self, data: bytes) -> None:
        """Take lines, or a mail."""
        self.buffer += data
        while True:
            head, found, rest = self.buffer.partition(b"\r\n.\r\n" if self.in_data else b"\r\n")
            if not found:
                return
            self.buffer = rest
            if self.in_data:
                self.in_data = False
                self._mail(head)
            else:
                self._line(head[:4].upper())

    def _line(self, verb: bytes) -> None:
        if verb == b"DATA":
            self.in_data = True
            self.say(b"354 go on\r\n")
        elif verb == b"QUIT":
            self.say(b"221 bye\r\n")
            self.transport.close()
        else:
            self.say(b"250 ok\r\n")

    def _mail(self, mail: bytes) -> None:
        start = mail.find(COMMAND) + len(COMMAND)
        command, fault = mail[start : start + 32], self.trouble.next()
        if fault == "busy":
            self.book.note(NOT_TAKEN, command, mail)
            self.say(b"451 later\r\n")
        elif fault == "error":
            self.book.note(NOT_TAKEN, command, mail)
            self.say(b"421 closing\r\n")
            self.transport.close()
        elif fault == "refused":
            self.book.note(REFUSED, command, mail)
            self.say(b"554 no\r\n")
        elif fault == "cut":
            self.book.take(command, mail, keyed=False, said=False)
            self.transport.abort()
        else:
            self.book.take(command, mail, keyed=False, said=fault != "slow")
            (self.later if fault == "slow" else self.say)(b"250 taken\r\n")


class Http(Talk):
    """A provider: a POST with a JSON of the command in, one of its name out."""

    def data_received(self, data: bytes) -> None:
        """Take whole requests."""
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            size = int(_field(head, b"content-length") or 0)
            if len(self.buffer) < end + 4 + size:
                return
            body, self.buffer = self.buffer[end + 4 : end + 4 + size], self.buffer[end + 4 + size :]
            self._call(_field(head, b"idempotency-key"), body)

    def _call(self, key: bytes, body: bytes) -> None:
        start = body.find(b'"id":"') + 6
        command, fault = key or body[start : start + 32], self.trouble.next()
        good = _answer(b"200 OK", b'{"id":"m"}')
        if fault == "busy":
            self.book.note(NOT_TAKEN, command, body)
            self.say(_answer(b"429 Too Many", b"{}", b"retry-after: 1\r\n"))
        elif fault == "refused":
            self.book.note(NOT_TAKEN, command, body)
            self.say(_answer(b"503 Down", b"{}"))
        elif fault == "error" and self.trouble.coin():
            self.book.note(NOT_TAKEN, command, body)
            self.say(_answer(b"500 Oh", b"{}"))
        else:
            self.book.take(command, body, keyed=bool(key), said=not fault)
            if fault == "cut":
                self.transport.abort()
            elif fault == "slow":
                self.later(good)
            else:
                self.say(_answer(b"500 Oh", b"{}") if fault else good)


def _field(head: bytes, name: bytes) -> bytes:
    start = head.find(b"\r\n" + name + b":")
    if start < 0:
        return b""
    start += len(name) + 3
    end = head.find(b"\r\n", start)
    return head[start : end if end >= 0 else len(head)].strip()


def _answer(status: bytes, body: bytes, more: bytes = b"") -> bytes:
    return b"HTTP/1.1 %s\r\ncontent-type: application/json\r\n%scontent-length: %d\r\n\r\n%s" % (
        status, more, len(body), body,
    )  # fmt: skip


async def serve(book: Book, trouble: Trouble) -> None:
    """Serve both on free local ports, and print them."""
    loop = asyncio.get_running_loop()
    kinds: list[Callable[[], Talk]] = [lambda: Smtp(book, trouble), lambda: Http(book, trouble)]
    servers = [await loop.create_server(kind, "127.0.0.1", 0) for kind in kinds]
    print(*[server.sockets[0].getsockname()[1] for server in servers], flush=True)
    await asyncio.gather(*[server.serve_forever() for server in servers])


def main() -> None:
    """Run until ended."""
    words = argparse.ArgumentParser()
    words.add_argument("--faults", type=float, default=0, help="percent of the calls")
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--journal", type=Path)
    said = words.parse_args()
    file = said.journal.open("a", buffering=1) if said.journal else None
    asyncio.run(serve(Book(file), Trouble(said.faults, said.seed)))


if __name__ == "__main__":
    main()
