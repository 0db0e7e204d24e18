"""Webhooks: the providers' published signatures are believed, forged, changed, old and replayed calls are not."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

from agents.collector.hub import Hub
from agents.collector.webhooks import PROVIDERS, mailgun, postmark, routes_from_environment, sendgrid, ses, twilio
from agents.collector.webhooks.base import Listener, webhook
from pipeline.errors import UsageError
from pipeline.sending.links import REFERENCE
from tests.collector.kit import ABOUT, LINKS, Desk, refusals
from tests.sending.build import T0, command

REF = LINKS.seal(REFERENCE, ABOUT)
LOGIN, TWILIO, TOPIC = "shop:a-long-password-of-it", "12345", "arn:aws:sns:eu-west-1:123456789012:mails"
SECONDS = (T0 + 60_000) // 1000


def desk(name: str, listener: Listener, **more: Any) -> Desk:
    return Desk(lambda hub: [webhook(hub, name, listener)], **more)


# SendGrid: the key, signature and body of its own libraries' tests.
PUBLISHED_KEY = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g=="
PUBLISHED_SIGNATURE = "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM="
PUBLISHED_BODY = (
    b'[{"email":"hello@world.com","event":"dropped","reason":"Bounced Address","sg_event_id":"ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA",'
    b'"sg_message_id":"LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0",'
    b'"smtp-id":"<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>","timestamp":1600112492}]\r\n'
)
KEY = ec.generate_private_key(ec.SECP256R1())
PUBLIC = base64.b64encode(
    KEY.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
).decode()


def signed_by_sendgrid(body: bytes, timestamp: str = str(SECONDS)) -> dict[str, str]:
    raw = KEY.sign(timestamp.encode() + body, ec.ECDSA(hashes.SHA256()))
    return {sendgrid.SIGNATURE: base64.b64encode(raw).decode(), sendgrid.TIMESTAMP: timestamp}


def events(*said: dict[str, Any]) -> bytes:
    more = {"parcours": REF, "timestamp": SECONDS}
    return json.dumps([{**more, "sg_event_id": str(number), **one} for number, one in enumerate(said)]).encode()


async def test_sendgrids_published_signature_is_believed_and_any_change_is_not() -> None:
    one = desk("sendgrid", sendgrid.listener(PUBLISHED_KEY), clock_ms=lambda: 1_600_112_510_000)
    heads = {sendgrid.SIGNATURE: PUBLISHED_SIGNATURE, sendgrid.TIMESTAMP: "1600112502"}
    post = one.client.post
    assert (await post("/webhooks/sendgrid", content=PUBLISHED_BODY, headers=heads)).status_code == 200
    for body, changed in (
        (PUBLISHED_BODY[:-2], heads),
        (PUBLISHED_BODY.replace(b"dropped", b"bounced"), heads),
        (PUBLISHED_BODY, {**heads, sendgrid.TIMESTAMP: "1600112503"}),
        (PUBLISHED_BODY, {**heads, sendgrid.SIGNATURE: "x"}),
        (PUBLISHED_BODY, {}),
    ):
        assert (await post("/webhooks/sendgrid", content=body, headers=changed)).status_code == 403


async def test_what_sendgrid_tells_becomes_events_and_facts() -> None:
    one = desk("sendgrid", sendgrid.listener(PUBLIC))
    body = events(
        {"event": "delivered"}, {"event": "open", "useragent": "Mozilla/5.0 (X11) Firefox", "sg_machine_open": True},
        {"event": "click", "url": "https://shop.example/", "useragent": "Mozilla/5.0 (X11) Firefox"},
        {"event": "bounce", "type": "blocked", "reason": "busy <a@b.example>"}, {"event": "bounce", "type": "bounce"},
        {"event": "spamreport"}, {"event": "group_unsubscribe"}, {"event": "processed"}, {"event": ["odd"]},
        {"event": "open", "parcours": "not ours"},
    )  # fmt: skip
    answer = await one.client.post("/webhooks/sendgrid", content=body, headers=signed_by_sendgrid(body))
    assert answer.status_code == 200
    assert one.types == [
        "message_delivered", "message_opened", "message_clicked", "message_bounced", "message_bounced",
        "message_complained", "message_unsubscribed",
    ]  # fmt: skip
    assert [event.get("machine") for event in one.intake.events[1:3]] == [True, True], "within 2 s of its delivery"
    assert [event.get("permanent") for event in one.intake.events[3:5]] == [False, True]
    assert "a@b.example" not in str(one.intake.events)
    assert {row.kind for row in one.intake.table.of("email", "c1@shop.example")} == {
        "soft", "bounced", "complained", "unsubscribed",
    }  # fmt: skip


async def test_a_replayed_and_a_stale_call_change_nothing_and_are_counted() -> None:
    one = desk("sendgrid", sendgrid.listener(PUBLIC))
    body = events({"event": "spamreport"})
    heads = signed_by_sendgrid(body)
    codes = [(await one.client.post("/webhooks/sendgrid", content=body, headers=heads)).status_code for _ in range(2)]
    assert codes == [200, 409] and len(one.intake.heard) == 1
    for timestamp in (str(SECONDS - 100_000), str(SECONDS + 5_000), "9" * 5_000, "-1", ""):
        old = signed_by_sendgrid(body, timestamp)
        assert (await one.client.post("/webhooks/sendgrid", content=body, headers=old)).status_code == 403
    assert refusals()[("webhooks", "replayed")] >= 1 and refusals()[("webhooks", "stale")] >= 1
    assert len(one.intake.heard) == 1


async def test_what_could_not_be_kept_may_be_told_again() -> None:
    one = desk("sendgrid", sendgrid.listener(PUBLIC))
    body = events({"event": "spamreport"})
    one.intake.broken = True
    assert (
        await one.client.post("/webhooks/sendgrid", content=body, headers=signed_by_sendgrid(body))
    ).status_code == 503
    one.intake.broken = False
    assert (
        await one.client.post("/webhooks/sendgrid", content=body, headers=signed_by_sendgrid(body))
    ).status_code == 200


def mailgun_body(token: str = "t" * 50, key: bytes = b"key", **event: Any) -> bytes:
    signature = hmac.new(key, f"{SECONDS}{token}".encode(), hashlib.sha256).hexdigest()
    data = {"id": "e1", "timestamp": SECONDS + 0.5, "user-variables": {"parcours": REF}, **event}
    return json.dumps(
        {"signature": {"timestamp": str(SECONDS), "token": token, "signature": signature}, "event-data": data}
    ).encode()


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ({"event": "failed", "severity": "permanent"}, "message_bounced"),
        ({"event": "complained"}, "message_complained"),
        ({"event": "unsubscribed"}, "message_unsubscribed"),
        ({"event": "opened", "client-info": {"bot": "apple"}}, "message_opened"),
    ],
)
async def test_mailguns_token_is_good_once(event: dict[str, Any], kind: str) -> None:
    one = desk("mailgun", mailgun.listener("key"))
    post = one.client.post
    assert (await post("/webhooks/mailgun", content=mailgun_body(**event))).status_code == 200
    assert one.types == [kind]
    assert (await post("/webhooks/mailgun", content=mailgun_body(event="delivered"))).status_code == 409
    assert (await post("/webhooks/mailgun", content=mailgun_body("u" * 50, b"other", **event))).status_code == 403
    assert one.types == [kind]


async def test_postmark_must_know_the_password() -> None:
    one = desk("postmark", postmark.listener(LOGIN))
    said = {
        "RecordType": "Bounce",
        "Type": "HardBounce",
        "ID": 42,
        "MessageID": "m",
        "BouncedAt": "2026-09-21T12:00:00Z",
    }
    body = json.dumps({**said, "Metadata": {"parcours": REF[:80], "parcours-2": REF[80:]}})
    assert (await one.client.post("/webhooks/postmark", content=body)).status_code == 401
    wrong = await one.client.post("/webhooks/postmark", content=body, auth=("shop", "wrong"))
    assert wrong.status_code == 401 and one.intake.heard == []
    right = ("shop", "a-long-password-of-it")
    assert (await one.client.post("/webhooks/postmark", content=body, auth=right)).status_code == 200
    assert (one.types, one.intake.events[0]["permanent"]) == (["message_bounced"], True)
    assert one.intake.table.reason(command(1, purpose="transactional")) == "bounced"
    assert (await one.client.post("/webhooks/postmark", content=body, auth=right)).status_code == 409


def test_twilios_published_signature() -> None:
    fields = [("To", "+18005551212"), ("CallSid", "CA1234567890ABCDE"), ("Digits", "1234")]
    fields += [("From", "+12349013030"), ("Caller", "+12349013030")]
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    assert twilio.signature("12345", url, fields) == "0/KCTR6DLpKmkAf8muzZqo1nDgQ="


async def texted(one: Desk, query: str = "", **said: str) -> tuple[int, str]:
    url = f"{one.hub.base}/webhooks/twilio{query}"
    heads = {"x-twilio-signature": twilio.signature(TWILIO, url, list(said.items()))}
    answer = await one.client.post(f"/webhooks/twilio{query}", data=said, headers=heads)
    return answer.status_code, answer.text


async def test_stop_by_text_message_holds_until_start_and_help_is_answered() -> None:
    one = desk("twilio", twilio.listener(TWILIO))
    mine = command(1, channel="sms", address="+33612345678")
    assert await texted(one, MessageSid="1", From="+33612345678", Body=" Stop. ") == (200, '<?xml version="1.0" encoding="UTF-8"?><Response></Response>')  # fmt: skip
    assert one.intake.table.reason(mine) == "stopped"
    assert one.intake.table.reason(command(1, channel="sms", address="+33612345678", purpose="transactional")) is None
    status, answer = await texted(one, MessageSid="2", From="+33612345678", Body="HELP")
    assert status == 200 and "Shop &amp; Co: reply STOP" in answer
    await texted(one, MessageSid="3", From="+33612345678", Body="start")
    assert one.intake.table.reason(mine) is None
    forged = await one.client.post("/webhooks/twilio", data={"From": "+33612345678", "Body": "STOP"})
    assert forged.status_code == 403 and one.intake.table.reason(mine) is None


async def test_a_text_messages_status_is_heard_of_the_message_it_names() -> None:
    one = desk("twilio", twilio.listener(TWILIO))
    assert (await texted(one, f"?ref={REF}", MessageSid="1", MessageStatus="undelivered", ErrorCode="30005"))[0] == 200
    assert (one.types, one.intake.events[0]["permanent"]) == (["message_bounced"], True)
    assert (await texted(one, "?ref=other", MessageSid="2", MessageStatus="delivered"))[0] == 200
    assert len(one.types) == 1


CERTIFICATE_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CERTIFICATE_URL = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-1.pem"


def certificate(days: int = 30) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    since = datetime.fromtimestamp(T0 / 1000, UTC) - timedelta(days=60)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(CERTIFICATE_KEY.public_key())
    made = made.serial_number(1).not_valid_before(since).not_valid_after(since + timedelta(days=60 + days))
    return made.sign(CERTIFICATE_KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def notified(event: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    said = {"eventType": "Complaint", "complaint": {"timestamp": "2026-09-21T12:00:00Z"}, "mail": {"tags": {"parcours": [REF]}}}  # fmt: skip
    moment = datetime.fromtimestamp(SECONDS, UTC).isoformat()
    found: dict[str, Any] = {"Type": "Notification", "MessageId": "m1", "TopicArn": TOPIC, "Timestamp": moment, "Message": json.dumps(event or said), "SignatureVersion": "2", "SigningCertURL": CERTIFICATE_URL}  # fmt: skip
    found |= more
    raw = CERTIFICATE_KEY.sign(ses.signed_text(found), padding.PKCS1v15(), hashes.SHA256())
    return {"Signature": base64.b64encode(raw).decode(), **found}


class Amazon:
    def __init__(self, content: bytes | None = None):
        self.content = certificate() if content is None else content
        self.asked: list[str] = []

    async def __call__(self, url: str) -> bytes:
        self.asked.append(url)
        return self.content


async def test_ses_is_believed_by_amazons_certificate_which_is_fetched_once() -> None:
    amazon = Amazon()
    one = desk("ses", ses.listener(TOPIC, amazon))
    bounce = {"eventType": "Bounce", "mail": {"tags": {"parcours": [REF]}}, "bounce": {"bounceType": "Permanent", "bouncedRecipients": [{"diagnosticCode": "smtp; 550 5.1.1 c1@shop.example unknown"}]}}  # fmt: skip
    for number, said in enumerate((None, bounce)):
        assert (await one.client.post("/webhooks/ses", json=notified(said, MessageId=f"m{number}"))).status_code == 200
    assert one.types == ["message_complained", "message_bounced"] and amazon.asked == [CERTIFICATE_URL]
    assert "c1@shop.example" not in str(one.intake.events)
    assert (await one.client.post("/webhooks/ses", json=notified())).status_code in {200, 409}


@pytest.mark.parametrize(
    "change",
    [{"Message": "{}"}, {"Signature": "AAAA"}, {"Signature": 7}, {"SignatureVersion": "1"}, {"TopicArn": "arn:other"},
     {"Timestamp": "2020-01-01T00:00:00Z"}, {"MessageId": "m2"}, {"Type": "SubscriptionConfirmation"},
     {"SigningCertURL": "https://evil.example/x.pem"}, {"SigningCertURL": None}],
)  # fmt: skip
async def test_a_changed_notification_is_refused(change: dict[str, Any]) -> None:
    amazon = Amazon()
    one = desk("ses", ses.listener(TOPIC, amazon))
    assert (await one.client.post("/webhooks/ses", json={**notified(), **change})).status_code == 403
    assert one.intake.heard == [] and set(amazon.asked) <= {CERTIFICATE_URL}


async def test_an_expired_certificate_is_refused_and_a_subscription_confirmed_at_amazon_alone() -> None:
    assert (await desk("ses", ses.listener(TOPIC, Amazon(certificate(-1)))).client.post("/webhooks/ses", json=notified())).status_code == 403  # fmt: skip
    amazon = Amazon()
    one = desk("ses", ses.listener(TOPIC, amazon))
    here = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription"
    for url, code in ((here, 200), ("https://evil.example/", 403)):
        said = notified(Type="SubscriptionConfirmation", Token="t", SubscribeURL=url, MessageId=url)
        assert (await one.client.post("/webhooks/ses", json=said)).status_code == code
    assert amazon.asked == [CERTIFICATE_URL, here]


@pytest.mark.parametrize("url", ["http://sns.eu-west-1.amazonaws.com/x.pem", "https://sns.eu-west-1.amazonaws.com.evil.example/x.pem",
                                 "https://sns.eu-west-1.amazonaws.com@evil.example/x.pem", "https://127.0.0.1/x.pem",
                                 "https://sns.eu-west-1.amazonaws.com:8443/x.pem", "https://s3.amazonaws.com/x.pem", "https://[::1"])  # fmt: skip
def test_nothing_but_amazons_own_host_is_ever_asked(url: str) -> None:
    assert not ses.may_fetch(url)


async def test_a_provider_without_its_secret_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, _ in PROVIDERS.values():
        monkeypatch.delenv(variable, raising=False)
    hub = Hub(LINKS, Desk().intake)
    assert routes_from_environment(hub) == []
    monkeypatch.setenv("PARCOURS_MAILGUN_KEY", "key")
    assert [route.path for route in routes_from_environment(hub)] == ["/webhooks/mailgun"]
    for make, wrong in ((sendgrid.listener, "AAAA"), (postmark.listener, "a:short")):
        with pytest.raises(UsageError):
            make(wrong)


async def test_a_body_of_over_a_megabyte_is_refused() -> None:
    one = desk("mailgun", mailgun.listener("key"))
    assert (await one.client.post("/webhooks/mailgun", content=b"x" * (1024 * 1024 + 1))).status_code == 413


def test_what_a_sender_gives_postmark_and_twilio_is_what_the_collector_reads() -> None:
    from agents.collector.webhooks.postmark import _reference
    from agents.senders.providers.postmark import metadata_of
    from tests.sending.test_tracking import rendered

    message = rendered()
    said = metadata_of(message)
    assert max(len(value) for value in said.values()) <= 80 and len(message.reference) > 80
    assert _reference({"Metadata": said}) == message.reference
    assert LINKS.open(REFERENCE, message.reference).customer == "c1"
    assert message.collector_url == "https://m.shop.example"
