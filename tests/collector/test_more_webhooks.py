"""Webhooks of Resend, Brevo and Vonage: their signatures are believed; forged, changed, old and replayed calls are not."""

import base64
import hashlib
import json
from typing import Any

import jwt
import pytest

from agents.collector.webhooks import brevo, resend, vonage
from agents.collector.webhooks.base import webhook
from agents.senders.providers.brevo import Brevo
from agents.senders.providers.resend import Resend
from agents.senders.providers.vonage import Vonage
from models import senders as specs
from pipeline.errors import UsageError
from pipeline.sending.links import REFERENCE
from tests.collector.kit import ABOUT, LINKS, Desk, refusals
from tests.sending.api import MESSAGE, SECRET, SMS
from tests.sending.build import T0, command

REF = LINKS.seal(REFERENCE, ABOUT)
SECONDS = (T0 + 60_000) // 1000
KEY = b"k" * 24
TOKEN = "a-long-token-of-the-shop"
SIGNATURE_SECRET = "the-signature-secret-of-the-account"

# Resend: the example of Svix's own documentation.
PUBLISHED_SECRET = "whsec_plJ3nmyCDGBKInavdOK15jsl"
PUBLISHED_BODY = b'{"event_type":"ping","data":{"success":true}}'
PUBLISHED_SIGNATURE = "rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0="


def test_the_published_signature() -> None:
    key = base64.b64decode(PUBLISHED_SECRET.removeprefix("whsec_"))
    made = resend.signature(key, "msg_loFOjxBNrRLzqYUf", "1731705121", PUBLISHED_BODY)
    assert made == PUBLISHED_SIGNATURE


def by_resend(body: bytes, once: str = "msg_1", timestamp: str = str(SECONDS), key: bytes = KEY) -> dict[str, str]:
    made = f"v1,{resend.signature(key, once, timestamp, body)}"
    return {"svix-id": once, "svix-timestamp": timestamp, "svix-signature": f"v1,b2xk {made}"}


def resend_desk() -> Desk:
    secret = "whsec_" + base64.b64encode(KEY).decode()
    return Desk(lambda hub: [webhook(hub, "resend", resend.listener(secret))])


def resend_body(kind: str, **data: Any) -> bytes:
    said = {"tags": {"parcours": REF, "command": "x"}, **data}
    return json.dumps({"type": kind, "created_at": "2026-09-21T12:00:00.000Z", "data": said}).encode()


@pytest.mark.parametrize(
    ("kind", "data", "type_", "more"),
    [
        ("email.delivered", {}, "message_delivered", {}),
        ("email.bounced", {"bounce": {"type": "Permanent", "message": "no <a@b.example>"}}, "message_bounced", {"permanent": True}),
        ("email.bounced", {"bounce": {"type": "Transient"}}, "message_bounced", {"permanent": False}),
        ("email.delivery_delayed", {}, "message_bounced", {"permanent": False}),
        ("email.complained", {}, "message_complained", {}),
        ("email.clicked", {"click": {"link": "https://shop.example/p", "userAgent": "Mozilla/5.0 (X11) Firefox"}}, "message_clicked", {"url": "https://shop.example/p"}),
        ("email.delivered", {"tags": [{"name": "parcours", "value": REF}]}, "message_delivered", {}),
    ],
)  # fmt: skip
async def test_what_resend_tells(kind: str, data: dict[str, Any], type_: str, more: dict[str, Any]) -> None:
    one = resend_desk()
    body = resend_body(kind, **data)
    assert (await one.client.post("/webhooks/resend", content=body, headers=by_resend(body))).status_code == 200
    assert one.types == [type_]
    assert {name: one.intake.events[0].get(name) for name in more} == more
    assert "a@b.example" not in str(one.intake.events)
    again = await one.client.post("/webhooks/resend", content=body, headers=by_resend(body))
    assert again.status_code == 409 and len(one.intake.heard) == 1


async def test_resend_is_not_believed_without_its_signature() -> None:
    one, body = resend_desk(), resend_body("email.complained")
    right = by_resend(body)
    before = refusals().get(("webhooks", "signature"), 0)
    for content, heads in (
        (body, {}),
        (body + b" ", right),
        (body, {**right, "svix-id": "msg_2"}),
        (body, {**right, "svix-timestamp": str(SECONDS + 1)}),
        (body, by_resend(body, key=b"x" * 24)),
        (body, by_resend(body, timestamp=str(SECONDS - 100_000))),
    ):
        assert (await one.client.post("/webhooks/resend", content=content, headers=heads)).status_code == 403
    assert one.intake.heard == [] and refusals()[("webhooks", "signature")] == before + 5


def brevo_desk() -> Desk:
    return Desk(lambda hub: [webhook(hub, "brevo", brevo.listener(TOKEN))])


@pytest.mark.parametrize(
    ("event", "type_", "permanent"),
    [
        ("hard_bounce", "message_bounced", True),
        ("invalid_email", "message_bounced", True),
        ("soft_bounce", "message_bounced", False),
        ("spam", "message_complained", None),
        ("unsubscribed", "message_unsubscribed", None),
        ("unique_opened", "message_opened", None),
    ],
)
async def test_what_brevo_tells(event: str, type_: str, permanent: bool | None) -> None:
    one = brevo_desk()
    body = json.dumps({"event": event, "ts_event": SECONDS, "message-id": "<m>", "X-Mailin-custom": f"parcours={REF}"})
    assert (await one.client.post("/webhooks/brevo", content=body)).status_code == 401
    wrong = {"authorization": "Bearer another-token-of-length"}
    assert (await one.client.post("/webhooks/brevo", content=body, headers=wrong)).status_code == 401
    assert one.intake.heard == []
    right = {"authorization": f"Bearer {TOKEN}"}
    assert (await one.client.post("/webhooks/brevo", content=body, headers=right)).status_code == 200
    assert one.types == [type_] and one.intake.events[0].get("permanent") == permanent
    assert (await one.client.post("/webhooks/brevo", content=body, headers=right)).status_code == 409


async def test_an_open_by_apples_proxy_is_a_machines() -> None:
    one = brevo_desk()
    said = {"event": "unique_proxy_open", "ts_event": SECONDS, "X-Mailin-custom": f"parcours={REF}"}
    heads = {"authorization": f"Bearer {TOKEN}"}
    await one.client.post("/webhooks/brevo", json={**said, "user_agent": "Mozilla/5.0 (X11) Firefox"}, headers=heads)
    assert one.intake.events[0]["machine"] is True


def vonage_desk() -> Desk:
    return Desk(lambda hub: [webhook(hub, "vonage", vonage.listener(SIGNATURE_SECRET))])


def by_vonage(body: bytes, jti: str = "j1", secret: str = SIGNATURE_SECRET, **claims: Any) -> dict[str, str]:
    said = {"iss": "Vonage", "iat": SECONDS, "jti": jti, "payload_hash": hashlib.sha256(body).hexdigest(), **claims}
    return {"authorization": f"Bearer {jwt.encode(said, secret, algorithm='HS256')}"}


async def texted(one: Desk, said: dict[str, Any], query: str = "", **claims: Any) -> int:
    body = json.dumps(said).encode()
    answer = await one.client.post(f"/webhooks/vonage{query}", content=body, headers=by_vonage(body, **claims))
    return answer.status_code


async def test_stop_and_start_by_text_message_to_vonage() -> None:
    one = vonage_desk()
    mine = command(1, channel="sms", address="+33612345678")
    said = {"from": "33612345678", "to": "Shop", "channel": "sms", "message_type": "text"}
    assert await texted(one, {**said, "text": " stop. "}, jti="1") == 200
    assert one.intake.table.reason(mine) == "stopped"
    assert one.intake.table.reason(command(1, channel="sms", address="+33612345678", purpose="transactional")) is None
    assert await texted(one, {**said, "text": "where is my order?"}, jti="2") == 200
    assert one.intake.table.reason(mine) == "stopped"
    assert await texted(one, {**said, "text": "START"}, jti="3") == 200
    assert one.intake.table.reason(mine) is None


@pytest.mark.parametrize(
    ("said", "type_", "permanent"),
    [
        ({"status": "delivered"}, ["message_delivered"], None),
        ({"status": "undeliverable", "error": {"title": "1240"}}, ["message_bounced"], True),
        ({"status": "rejected", "error": {"type": "https://developer.vonage.com/api-errors/messages#1190", "title": "Gone"}}, ["message_bounced"], True),
        ({"status": "undeliverable", "error": {"title": 1180}}, ["message_bounced"], False),
        ({"status": "submitted"}, [], None),
    ],
)  # fmt: skip
async def test_a_text_messages_status_is_heard_of_the_message_that_the_address_names(
    said: dict[str, Any], type_: list[str], permanent: bool | None
) -> None:
    one = vonage_desk()
    whole = {"message_uuid": "u", "timestamp": "2026-09-21T12:00:00Z", "text": "", **said}
    assert await texted(one, whole, f"?ref={REF}") == 200
    assert one.types == type_
    if type_:
        assert one.intake.events[0].get("permanent") == permanent
    assert await texted(one, whole, f"?ref={REF}") == 409


async def test_vonage_is_not_believed_without_its_signature() -> None:
    one, body = vonage_desk(), json.dumps({"from": "33612345678", "text": "STOP"}).encode()
    unsigned = jwt.encode({"iat": SECONDS, "payload_hash": hashlib.sha256(body).hexdigest()}, "", algorithm="none")
    for heads in (
        {},
        {"authorization": "Bearer nothing"},
        {"authorization": f"Bearer {unsigned}"},
        by_vonage(body, secret="another-signature-secret-of-32-b"),
        by_vonage(body + b" "),
        by_vonage(body, payload_hash=None),
        by_vonage(body, iat=SECONDS - 100_000),
        by_vonage(body, iat="now"),
    ):
        assert (await one.client.post("/webhooks/vonage", content=body, headers=heads)).status_code == 403
    assert one.intake.heard == []


def test_a_secret_that_is_none_is_refused_at_the_start() -> None:
    for make, wrong in ((resend.listener, "whsec_"), (brevo.listener, "short"), (vonage.listener, "short")):
        with pytest.raises(UsageError):
            make(wrong)


async def test_what_senders_give_along_is_what_the_collector_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    monkeypatch.setenv("TEST_PROVIDER_SECRET", "s")
    mail = replace(MESSAGE, reference=REF, collector_url="https://m.shop.example")
    text = replace(SMS, reference=REF, collector_url="https://m.shop.example")
    sent = await Resend(specs.ResendSpec(kind="resend", api_key=SECRET)).request(mail)
    tags = {one["name"]: one["value"] for one in json.loads(sent.content)["tags"]}
    assert resend._reference(tags) == REF
    sent = await Brevo(specs.BrevoSpec(kind="brevo", api_key=SECRET)).request(mail)
    assert json.loads(sent.content)["headers"]["X-Mailin-custom"] == f"parcours={REF}"
    spec = specs.VonageSpec.model_validate({"kind": "vonage", "api_key": SECRET, "api_secret": SECRET, "from": "Shop"})
    sent = await Vonage(spec).request(text)
    assert json.loads(sent.content)["webhook_url"] == f"https://m.shop.example/webhooks/vonage?ref={REF}"
