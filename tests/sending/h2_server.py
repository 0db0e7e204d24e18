"""A server that speaks HTTP/2 over TLS alone, as Apple's does: keeps what it is asked, answers as told."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, DataReceived, RequestReceived, StreamEnded

from tests.sending.api import Answer, Seen


class H2Api:
    """`answer` says what a request is answered with; `connections` counts those that were opened."""

    def __init__(self, answer: Callable[[Seen], Answer]):
        self.answer = answer
        self.seen: list[Seen] = []
        self.connections = 0
        self.url = ""


class _Connection(asyncio.Protocol):
    def __init__(self, api: H2Api):
        self._api = api
        self._h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self._open: dict[int, Seen] = {}

    def connection_made(self, transport: Any) -> None:
        chosen = transport.get_extra_info("ssl_object").selected_alpn_protocol()
        assert chosen == "h2", "the client did not ask for HTTP/2"
        self._api.connections += 1
        self._transport = transport
        self._h2.initiate_connection()
        self._flush()

    def data_received(self, data: bytes) -> None:
        for event in self._h2.receive_data(data):
            match event:
                case RequestReceived(headers=headers, stream_id=stream):
                    said = dict(headers)
                    self._open[stream] = Seen(said[":method"], said[":path"], said, b"")
                case DataReceived(data=part, stream_id=stream, flow_controlled_length=length):
                    self._open[stream].content += part
                    self._h2.acknowledge_received_data(length, stream)
                case StreamEnded(stream_id=stream):
                    self._reply(stream, self._open.pop(stream))
                case ConnectionTerminated():
                    self._transport.close()
        self._flush()

    def _reply(self, stream: int, seen: Seen) -> None:
        self._api.seen.append(seen)
        answer = self._api.answer(seen)
        if answer.cut:
            self._transport.abort()
            return
        body = b"" if answer.body is None else json.dumps(answer.body).encode()
        self._h2.send_headers(stream, [(":status", str(answer.status)), *answer.headers.items()], end_stream=not body)
        if body:
            self._h2.send_data(stream, body, end_stream=True)

    def _flush(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(self._h2.data_to_send())


@asynccontextmanager
async def serving_h2(api: H2Api, context: ssl.SSLContext) -> AsyncIterator[H2Api]:
    context.set_alpn_protocols(["h2"])
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(api), "127.0.0.1", 0, ssl=context)
    api.url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield api
    finally:
        server.close()
        await server.wait_closed()
