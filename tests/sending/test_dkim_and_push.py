"""Signatures on mails and push messages, checked by who would receive them."""

import base64
import json
import os
from dataclasses import replace

import dkim
import http_ece
import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from agents.senders.dkim import DkimSigner
from agents.senders.providers.web_push import WebPush, subscription_of
from models.senders import DkimSpec, WebPushSpec
from pipeline.sending.mime import AddressError, to_mime
from tests.sending.api import MESSAGE, SECRET, said


def signer(monkeypatch: pytest.MonkeyPatch, key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> DkimSigner:
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    monkeypatch.setenv("TEST_PROVIDER_SECRET", pem)
    return DkimSigner(DkimSpec(domain="shop.example", selector="s1", key=SECRET))


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_a_signed_mail_verifies_and_one_that_was_changed_does_not(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    key = rsa.generate_private_key(65537, 2048) if kind == "rsa" else ed25519.Ed25519PrivateKey.generate()
    raw = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo) if kind == "rsa" else (Encoding.Raw, PublicFormat.Raw)
    public = base64.b64encode(key.public_key().public_bytes(*raw)).decode()
    record = f"v=DKIM1; k={kind}; p={public}".encode()
    asked: list[bytes] = []

    def dns(name: bytes, timeout: int = 5) -> bytes:
        asked.append(name)
        return record

    mail = signer(monkeypatch, key).sign(to_mime(MESSAGE))
    assert dkim.verify(mail, dnsfunc=dns)
    assert asked[0].startswith(b"s1._domainkey.shop.example")
    assert not dkim.verify(mail.replace(b"One-Click", b"Two-Click"), dnsfunc=dns), "the unsubscription is not signed"


async def test_a_web_push_is_read_by_the_browser_s_key_alone_and_signed_for_its_push_service(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    browser, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    pem = own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    monkeypatch.setenv("TEST_PROVIDER_SECRET", pem)
    auth = os.urandom(16)
    point = browser.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    seen: list[httpx.Request] = []

    def serve(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(201 if len(seen) == 1 else 410, headers={"location": "https://push.example/m/1"})

    keys = {"p256dh": base64.urlsafe_b64encode(point).decode(), "auth": base64.urlsafe_b64encode(auth).decode()}
    address = json.dumps({"endpoint": "https://push.example/s/1", "keys": keys})
    spec = WebPushSpec(private_key=SECRET, contact="mailto:shop@shop.example")
    provider = WebPush(spec, httpx.AsyncClient(transport=httpx.MockTransport(serve)))
    message = replace(MESSAGE, channel="push", address=address, payload={"title": "Été", "body": "b"})
    first, second = await provider.send(message), await provider.send(message)
    await provider.close()
    assert (first.state, first.provider_id) == ("accepted", "https://push.example/m/1")
    assert said(second) == ("rejected", False, True)
    plain = http_ece.decrypt(seen[0].content, private_key=browser, auth_secret=auth, version="aes128gcm")
    assert json.loads(plain) == {"title": "Été", "body": "b", "command": MESSAGE.command}
    assert seen[0].headers["content-encoding"] == "aes128gcm"
    token = seen[0].headers["authorization"].removeprefix("vapid t=").partition(",")[0]
    claims = jwt.decode(token, own.public_key(), algorithms=["ES256"], audience="https://push.example")
    assert claims["sub"] == "mailto:shop@shop.example"


@pytest.mark.parametrize(
    "endpoint",
    ["http://push.example/", "https://127.0.0.1/", "https://[::ffff:10.0.0.1]/", "https://u:p@push.example/"],
)
def test_a_subscription_that_leads_elsewhere_than_to_a_push_service_is_refused(endpoint: str) -> None:
    keys = {
        "p256dh": base64.urlsafe_b64encode(bytes(65)).decode(),
        "auth": base64.urlsafe_b64encode(bytes(16)).decode(),
    }
    with pytest.raises(AddressError):
        subscription_of(json.dumps({"endpoint": endpoint, "keys": keys}))
