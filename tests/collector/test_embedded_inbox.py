"""A web message, end to end in one process: the scenario sends it, the page reads it, and the engine hears the click."""

import json
import urllib.request
from pathlib import Path
from typing import Any

from tests.acceptance.running import lines_of, parcours
from tests.collector.test_embedded_stop import Shop, asked, cart, signed_up, wait_for

SCENARIO = """
scenario: hello
title: Hello
purpose: transactional
enter: {on: cart_changed, when: size(cart.items) > 0, again: always}
steps: [{send: note, channel: web, valid_for: 7d, with: {total: cart.total}}]
"""
NOTE = '{"title": "Your cart", "body": "{{ total | money }}", "url": "https://shop.example/cart"}'


class WebShop(Shop):
    """A shop with a plan of its own: one scenario that writes to the inbox."""

    def __init__(self, folder: Path):
        super().__init__(folder)
        self.plan = folder / "scenarios"
        (self.plan / "hello").mkdir(parents=True)
        (self.plan / "settings.yaml").write_text(
            "store: {name: Shop, url: 'https://shop.example'}\nsenders: {web: {}}\n"
        )
        (self.plan / "hello" / "scenario.yaml").write_text(SCENARIO)
        (self.plan / "hello" / "note.en.json").write_text(NOTE)

    @property
    def said(self) -> list[str]:
        return [*super().said, "--plan", str(self.plan)]

    def token(self, customer: str) -> str:
        done = parcours("inbox", "token", customer, "--data", self.data)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def asked(self, token: str, path: str, data: bytes | None = None) -> Any:
        head = {"authorization": f"Bearer {token}"}
        with urllib.request.urlopen(urllib.request.Request(self.base + path, data, head), timeout=10) as answer:
            return json.loads(answer.read() or b"null")


def test_a_web_message_is_read_by_the_page_and_its_click_comes_back_to_the_engine(tmp_path: Path) -> None:
    shop = WebShop(tmp_path)
    shop.write([signed_up("c1", "2026-01-05T10:00:00Z"), cart("c1", "2026-01-05T11:00:00Z")])
    shop.to_the_end("1h")
    [sent] = [one for one in lines_of("receipts", "--data", shop.data) if one["state"] == "sent"]
    assert (sent["channel"], sent["provider"]) == ("web", "inbox")
    token = shop.token("c1")
    with shop.listening():
        [message] = shop.asked(token, "/v1/inbox")["messages"]
        assert (message["payload"]["title"], message["until"]) == ("Your cart", "2026-01-12T11:00:00.000Z")
        assert shop.asked(shop.token("c2"), "/v1/inbox") == {"messages": []}
        shop.asked(token, f"/v1/inbox/{message['id']}/clicked", b"")
        clicks = lambda: lines_of("customer", "--data", shop.data, "c1")[0]["profile"].get("clicks")  # noqa: E731
        wait_for(lambda: clicks() == 1, 5, "the engine has heard the click")
        assert asked(f"{shop.base}/v1/inbox")[0] == 401
