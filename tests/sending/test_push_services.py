"""FCM and APNs against local servers that demand what the published APIs demand, HTTP/2 and tokens included."""

import json
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from urllib.parse import parse_qs

import jwt
import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from agents.senders.providers import apns as apns_module
from agents.senders.providers.apns import Apns
from agents.senders.providers.fcm import SCOPE, Fcm
from agents.senders.providers.net import http2_client
from agents.senders.providers.oauth import GRANT
from models.senders import ApnsSpec, FcmSpec
from pipeline.sending.outcome import Message
from tests.sending.api import MESSAGE, SECRET, Answer, Api, Seen, said, serving
from tests.sending.h2_server import H2Api, serving_h2

DEVICE = "ab" * 32
PUSH = replace(
    MESSAGE,
    channel="push",
    address="device-1",
    subject="Été",
    text="Votre panier",
    payload={"title": "Été", "body": "Votre panier", "link": "https://shop.example/cart", "items": [1]},
    valid_until=4_102_444_800_000,
)
RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


class Google(Api):
    """Google's token server and FCM: `good_for` says how many calls a token holds."""

    def __init__(self) -> None:
        super().__init__(Answer(200, {"name": "projects/shop/messages/m1"}), self._demand)
        self.tokens = 0
        self.refuse: set[str] = set()
        self.down = 0

    def _demand(self, seen: Seen) -> Answer | None:
        if seen.path == "/token":
            return self._token(seen)
        token = seen.headers.get("authorization", "").removeprefix("Bearer ")
        if token not in {f"t{number}" for number in range(1, self.tokens + 1)} - self.refuse:
            return Answer(401, {"error": {"code": 401, "status": "UNAUTHENTICATED", "message": "no"}})
        message = seen.json.get("message", {})
        is_text = all(isinstance(value, str) for value in message.get("data", {}).values())
        if seen.path != "/v1/projects/shop/messages:send" or "token" not in message or not is_text:
            return Answer(400, {"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "bad"}})
        return None

    def _token(self, seen: Seen) -> Answer:
        if self.down:
            self.down -= 1
            return Answer(503)
        form = {name: one for name, (one,) in parse_qs(seen.content.decode()).items()}
        claims = jwt.decode(form["assertion"], RSA_KEY.public_key(), algorithms=["RS256"], audience=f"{self.url}/token")
        if form["grant_type"] != GRANT or claims["scope"] != SCOPE or claims["exp"] - claims["iat"] > 3_600:
            return Answer(400, {"error": "invalid_grant"})
        self.tokens += 1
        return Answer(200, {"access_token": f"t{self.tokens}", "expires_in": 3_599, "token_type": "Bearer"})


@asynccontextmanager
async def firebase(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Google, Fcm]]:
    google = Google()
    async with serving(google):
        account = {
            "project_id": "shop",
            "client_email": "sender@shop.example",
            "private_key": pem(RSA_KEY),
            "private_key_id": "k1",
            "token_uri": f"{google.url}/token",
        }
        monkeypatch.setenv("TEST_PROVIDER_SECRET", json.dumps(account))
        fcm = Fcm(FcmSpec(service_account=SECRET, url=google.url))
        try:
            yield google, fcm
        finally:
            await fcm.close()


async def test_fcm_takes_a_message_and_one_token_serves_many(monkeypatch: pytest.MonkeyPatch) -> None:
    async with firebase(monkeypatch) as (google, fcm):
        valid_until = int(time.time() + 7_200) * 1000
        each = [replace(PUSH, command=f"{number:032x}", valid_until=valid_until) for number in range(3)]
        outcomes = [await fcm.send(one) for one in each]
    assert {(one.state, one.provider_id) for one in outcomes} == {("accepted", "projects/shop/messages/m1")}
    assert google.tokens == 1
    sent = google.seen[1].json["message"]
    assert sent["notification"] == {"title": "Été", "body": "Votre panier"}
    assert sent["data"] == {"command": "0" * 32, "link": "https://shop.example/cart", "items": "[1]"}
    assert 7_100 <= int(sent["android"]["ttl"].removesuffix("s")) <= 7_200


async def test_fcm_gets_a_new_token_when_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async with firebase(monkeypatch) as (google, fcm):
        assert (await fcm.send(PUSH)).state == "accepted"
        google.refuse = {"t1"}
        assert said(await fcm.send(PUSH)) == ("retry", True, False)
        assert (await fcm.send(PUSH)).state == "accepted"
    assert google.tokens == 2


async def test_a_token_server_that_is_down_for_a_moment_is_asked_again_and_one_that_stays_down_drops_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with firebase(monkeypatch) as (google, fcm):
        google.down = 1
        assert (await fcm.send(PUSH)).state == "accepted"
        google.refuse, google.down = {"t1"}, 100
        await fcm.send(PUSH)
        assert said(await fcm.send(PUSH)) == ("retry", True, False)


def fcm_error(code: int, status: str, error: str = "") -> Answer:
    details = [{"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": error}] if error else []
    return Answer(code, {"error": {"code": code, "status": status, "message": "m", "details": details}})


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (fcm_error(404, "NOT_FOUND", "UNREGISTERED"), ("rejected", False, True)),
        (fcm_error(403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH"), ("rejected", False, True)),
        (fcm_error(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT"), ("rejected", False, False)),
        (fcm_error(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED"), ("retry", False, False)),
        (fcm_error(503, "UNAVAILABLE", "UNAVAILABLE"), ("retry", True, False)),
        (fcm_error(500, "INTERNAL", "INTERNAL"), ("unknown", True, False)),
        (fcm_error(401, "UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR"), ("rejected", False, False)),
        (Answer(cut=True), ("unknown", True, False)),
    ],
)
async def test_fcms_published_errors_are_read_as_what_they_say(
    monkeypatch: pytest.MonkeyPatch, answer: Answer, expected: tuple[str, bool, bool]
) -> None:
    async with firebase(monkeypatch) as (google, fcm):
        assert (await fcm.send(PUSH)).state == "accepted"
        google.answers = [answer]
        assert said(await fcm.send(PUSH)) == expected


def apple(seen: Seen) -> Answer:
    """Demand what Apple does; its token is checked as Apple checks it."""
    head = seen.headers
    token = head["authorization"].removeprefix("bearer ")
    claims = jwt.decode(token, EC_KEY.public_key(), algorithms=["ES256"])
    good = (
        seen.method == "POST"
        and seen.path == f"/3/device/{DEVICE}"
        and head["apns-topic"] == "example.shop"
        and head["apns-push-type"] == "alert"
        and len(head["apns-collapse-id"]) <= 64
        and len(head["apns-id"]) == 36
        and claims["iss"] == "TEAM123456"
        and jwt.get_unverified_header(token)["kid"] == "KEY1234567"
        and seen.json["aps"]["alert"] == {"title": "Été", "body": "Votre panier"}
    )
    return Answer(200, headers={"apns-id": head["apns-id"]}) if good else Answer(400, {"reason": "BadPath"})


class Phones:
    """Apple's answers: from a list, else what its demands give."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []

    def __call__(self, seen: Seen) -> Answer:
        return self.answers.pop(0) if self.answers else apple(seen)


@asynccontextmanager
async def apple_push(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[H2Api, Phones, Apns]]:
    authority, phones = trustme.CA(), Phones()
    context, trusting = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(trusting)
    monkeypatch.setenv("TEST_PROVIDER_SECRET", pem(EC_KEY))
    async with serving_h2(H2Api(phones), context) as api:
        spec = ApnsSpec(team_id="TEAM123456", key_id="KEY1234567", key=SECRET, topic="example.shop", url=api.url)
        apns = Apns(spec, http2_client(spec, context=trusting))
        try:
            yield api, phones, apns
        finally:
            await apns.close()


NOTE: Message = replace(PUSH, address=DEVICE)


async def test_apns_takes_notifications_over_one_http2_connection_under_one_token(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with apple_push(monkeypatch) as (api, _, apns):
        outcomes = [await apns.send(replace(NOTE, command=f"{number:032x}")) for number in range(5)]
    assert {one.state for one in outcomes} == {"accepted"}, outcomes
    assert len({one.provider_id for one in outcomes}) == 5
    assert len({seen.headers["authorization"] for seen in api.seen}) == 1
    assert api.connections == 1


async def test_apns_token_is_made_anew_when_it_is_old_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async with apple_push(monkeypatch) as (api, phones, apns):
        await apns.send(NOTE)
        now = time.monotonic()
        monkeypatch.setattr(apns_module.time, "monotonic", lambda: now + 3_001)
        await apns.send(NOTE)
        phones.answers = [Answer(403, {"reason": "ExpiredProviderToken"})]
        assert said(await apns.send(NOTE)) == ("retry", True, False)
        assert (await apns.send(NOTE)).state == "accepted"
    tokens = [seen.headers["authorization"] for seen in api.seen]
    assert len(dict.fromkeys(tokens)) == 3
    assert tokens[1] == tokens[2]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(410, {"reason": "Unregistered", "timestamp": 1}), ("rejected", False, True)),
        (Answer(400, {"reason": "BadDeviceToken"}), ("rejected", False, True)),
        (Answer(400, {"reason": "DeviceTokenNotForTopic"}), ("rejected", False, True)),
        (Answer(413, {"reason": "PayloadTooLarge"}), ("rejected", False, False)),
        (Answer(429, {"reason": "TooManyRequests"}), ("retry", False, False)),
        (Answer(429, {"reason": "TooManyProviderTokenUpdates"}), ("retry", True, False)),
        (Answer(500, {"reason": "InternalServerError"}), ("unknown", True, False)),
        (Answer(503, {"reason": "ServiceUnavailable"}), ("retry", True, False)),
        (Answer(503, {"reason": "Shutdown"}), ("retry", True, False)),
        (Answer(cut=True), ("unknown", True, False)),
    ],
)
async def test_apns_published_errors_are_read_as_what_they_say(
    monkeypatch: pytest.MonkeyPatch, answer: Answer, expected: tuple[str, bool, bool]
) -> None:
    async with apple_push(monkeypatch) as (_, phones, apns):
        phones.answers = [answer]
        assert said(await apns.send(NOTE)) == expected
        assert (await apns.send(NOTE)).state == "accepted", "the next is hindered by the last"


async def test_an_apns_whose_certificate_is_not_trusted_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async with apple_push(monkeypatch) as (api, _, apns):
        stranger = Apns(apns._spec)
        outcome = await stranger.send(NOTE)
        await stranger.close()
    assert said(outcome) == ("retry", True, False)
    assert api.seen == []
