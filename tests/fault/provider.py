"""The provider: takes messages as Postmark (no key) and Resend (a key) do, and fails as it is told to.

It keeps every message that it took, with the time; at the end it writes them to a topic, which the verifier reads.
"""

import argparse
import asyncio
import json
import signal
from typing import Any

from aiohttp import web

from agents.kafka import clients
from tests.fault.deployment import now_ms

ANSWERS = {"ok": 200, "late": 429, "busy": 503, "broken": 500}


class Provider:
    """One provider; `mode` is one of ok, late (429), busy (503), broken (500), slow, cut, down."""

    def __init__(self) -> None:
        self.mode = "ok"
        self.share = 1.0  # of the calls that the mode is for
        self.taken: list[tuple[str, int]] = []
        self.keys: set[str] = set()
        self.calls: dict[str, int] = {}
        self._number = 0

    def _mode(self) -> str:
        """Return the mode of a call: of ten calls the first so many."""
        self._number += 1
        return self.mode if self._number % 10 < round(self.share * 10) else "ok"

    async def take(self, request: web.Request) -> web.StreamResponse:
        """Answer one call."""
        at = now_ms()
        body = await request.json()
        named = body.get("Metadata") or {row["name"]: row["value"] for row in body.get("tags", [])}
        command, mode = named["command"], self._mode()
        self.calls[mode] = self.calls.get(mode, 0) + 1
        if mode in {"late", "busy"}:
            return web.json_response({"message": "later"}, status=ANSWERS[mode], headers={"retry-after": "1"})
        if mode != "broken" or self._number % 2:
            self._keep(command, at, keyed="idempotency-key" in request.headers)
        if mode == "broken":
            return web.json_response({"message": "oh"}, status=ANSWERS[mode])
        if mode == "slow":
            await asyncio.sleep(7 if self._number % 3 == 0 else 1)  # the sender waits 5 s
        if mode == "cut":
            assert request.transport is not None
            request.transport.abort()
        return web.json_response({"MessageID": f"m-{command}", "id": f"m-{command}", "ErrorCode": 0})

    def _keep(self, command: str, at: int, *, keyed: bool) -> None:
        """Take a message; one with a key that is known is the same message."""
        if keyed and command in self.keys:
            return
        self.keys.add(command)
        self.taken.append((command, at))

    async def flush(self, request: web.Request) -> web.Response:
        """Write what was taken to a topic."""
        said = await request.json()
        producer = clients.producer(said["bootstrap"])
        await producer.start()
        await asyncio.gather(
            *[await producer.send(said["topic"], json.dumps(row).encode(), partition=0) for row in self.taken]
        )
        await producer.stop()
        return web.json_response({"taken": len(self.taken)})


async def serve(port: int, control: int) -> None:
    """Serve the two ports until SIGTERM."""
    provider = Provider()
    runners: dict[str, Any] = {}

    async def up() -> None:
        app = web.Application()
        app.add_routes([web.post("/email", provider.take), web.post("/emails", provider.take)])
        runners["app"] = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runners["app"].setup()
        await web.TCPSite(runners["app"], "127.0.0.1", port, reuse_address=True).start()

    async def mode(request: web.Request) -> web.Response:
        said = await request.json()
        if "app" in runners and said["mode"] == "down":
            await runners.pop("app").cleanup()
        elif "app" not in runners and said["mode"] != "down":
            await up()
        provider.mode, provider.share = said["mode"], said.get("share", 1.0)
        return web.json_response({"calls": provider.calls})

    await up()
    app = web.Application()
    app.add_routes([web.post("/mode", mode), web.post("/flush", provider.flush)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", control).start()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()


def main() -> None:
    """Run until SIGTERM."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--port", type=int, required=True)
    words.add_argument("--control", type=int, required=True)
    said = words.parse_args()
    asyncio.run(serve(said.port, said.control))


if __name__ == "__main__":
    main()
