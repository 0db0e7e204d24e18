"""Each API is called as its documentation demands, and its published errors are read as what they say."""

import base64
import email
import hashlib
import hmac
from collections.abc import Callable
from email.policy import strict
from typing import Any

import pytest

from agents.senders.providers.brevo import Brevo
from agents.senders.providers.mailgun import Mailgun
from agents.senders.providers.net import is_public
from agents.senders.providers.postmark import Postmark
from agents.senders.providers.resend import Resend
from agents.senders.providers.sendgrid import SendGrid
from agents.senders.providers.ses import Ses
from agents.senders.providers.twilio import Twilio
from agents.senders.providers.vonage import Vonage
from agents.senders.providers.webhook import Endpoint, signature
from models import senders as specs
from pipeline.errors import UsageError
from pipeline.sending.outcome import Message, Provider
from tests.sending.api import MESSAGE, SECRET, SMS, Answer, Api, Seen, calling, said

SID = "AC" + "0" * 32
KEY = base64.b64encode(bytes(range(32))).decode()
ADDRESS = "lea@shop.example"


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_PROVIDER_SECRET", KEY)


def ses(seen: Seen) -> bool:
    mail = email.message_from_bytes(base64.b64decode(seen.json["Content"]["Raw"]["Data"]), policy=strict)
    signed = seen.headers["authorization"]
    return (
        seen.path == "/v2/email/outbound-emails"
        and signed.startswith(f"AWS4-HMAC-SHA256 Credential={KEY}/")
        and "/eu-west-3/ses/aws4_request, SignedHeaders=content-type;host;x-amz-date" in signed
        and mail["subject"] == MESSAGE.subject
        and seen.json["Destination"] == {"ToAddresses": [ADDRESS]}
    )


def sendgrid(seen: Seen) -> bool:
    body = seen.json
    return (
        seen.path == "/v3/mail/send"
        and seen.headers["authorization"] == f"Bearer {KEY}"
        and body["personalizations"] == [{"to": [{"email": ADDRESS}]}]
        and body["from"] == {"email": "shop@shop.example", "name": "Boutique Été"}
        and [one["type"] for one in body["content"]] == ["text/plain", "text/html"]
        and body["headers"]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    )


def mailgun(seen: Seen) -> bool:
    mail = email.message_from_string(seen.form["message"], policy=strict)
    return (
        seen.path == "/v3/shop.example/messages.mime"
        and seen.basic == ("api", KEY)
        and seen.form["to"] == ADDRESS
        and mail["subject"] == MESSAGE.subject
    )


def postmark(seen: Seen) -> bool:
    return (
        seen.path == "/email"
        and seen.headers["x-postmark-server-token"] == KEY
        and seen.json["To"] == ADDRESS
        and seen.json["MessageStream"] == "broadcast"
        and seen.json["HtmlBody"] == MESSAGE.html
    )


def resend(seen: Seen) -> bool:
    return (
        seen.path == "/emails"
        and seen.headers["authorization"] == f"Bearer {KEY}"
        and seen.headers["idempotency-key"] == MESSAGE.command
        and seen.json["to"] == [ADDRESS]
    )


def brevo(seen: Seen) -> bool:
    return (
        seen.path == "/v3/smtp/email"
        and seen.headers["api-key"] == KEY
        and len(seen.json["headers"]["idempotencyKey"]) == 36
        and seen.json["to"] == [{"email": ADDRESS}]
    )


def twilio(seen: Seen) -> bool:
    return (
        seen.path == f"/2010-04-01/Accounts/{SID}/Messages.json"
        and seen.basic == (SID, KEY)
        and b"To=%2B33612345678" in seen.content
        and seen.headers["content-type"] == "application/x-www-form-urlencoded"
    )


def vonage(seen: Seen) -> bool:
    return (
        seen.path == "/v1/messages"
        and seen.basic == (KEY, KEY)
        and seen.json["to"] == "33612345678"
        and seen.json["message_type"] == "text"
        and seen.json["client_ref"] == SMS.command
    )


def webhook(seen: Seen) -> bool:
    signed = f"{MESSAGE.command}.{seen.headers['webhook-timestamp']}.".encode() + seen.content
    made = hmac.new(base64.b64decode(KEY), signed, hashlib.sha256).digest()
    return (
        seen.headers["webhook-id"] == MESSAGE.command
        and seen.headers["webhook-signature"] == f"v1,{base64.b64encode(made).decode()}"
        and seen.json["type"] == "abandoned-cart.reminder"
    )


Make = Callable[[str], Provider]
APIS: dict[str, tuple[Make, Callable[[Seen], bool], Answer, str, Message]] = {
    "ses": (
        lambda url: Ses(specs.SesSpec(kind="ses", region="eu-west-3", access_key=SECRET, secret_key=SECRET, url=url)),
        ses,
        Answer(200, {"MessageId": "m1"}),
        "m1",
        MESSAGE,
    ),
    "sendgrid": (
        lambda url: SendGrid(specs.SendGridSpec(kind="sendgrid", api_key=SECRET, url=url)),
        sendgrid,
        Answer(202, headers={"x-message-id": "m1"}),
        "m1",
        MESSAGE,
    ),
    "mailgun": (
        lambda url: Mailgun(specs.MailgunSpec(kind="mailgun", domain="shop.example", api_key=SECRET, url=url)),
        mailgun,
        Answer(200, {"id": "<m1>", "message": "Queued. Thank you."}),
        "<m1>",
        MESSAGE,
    ),
    "postmark": (
        lambda url: Postmark(specs.PostmarkSpec(kind="postmark", token=SECRET, url=url)),
        postmark,
        Answer(200, {"MessageID": "m1", "ErrorCode": 0, "Message": "OK"}),
        "m1",
        MESSAGE,
    ),
    "resend": (
        lambda url: Resend(specs.ResendSpec(kind="resend", api_key=SECRET, url=url)),
        resend,
        Answer(200, {"id": "m1"}),
        "m1",
        MESSAGE,
    ),
    "brevo": (
        lambda url: Brevo(specs.BrevoSpec(kind="brevo", api_key=SECRET, url=url)),
        brevo,
        Answer(201, {"messageId": "<m1>"}),
        "<m1>",
        MESSAGE,
    ),
    "twilio": (
        lambda url: Twilio(
            specs.TwilioSpec(kind="twilio", account_sid=SID, auth_token=SECRET, sender="+33700000000", url=url)
        ),
        twilio,
        Answer(201, {"sid": "SM1", "status": "queued"}),
        "SM1",
        SMS,
    ),
    "vonage": (
        lambda url: Vonage(specs.VonageSpec(kind="vonage", api_key=SECRET, api_secret=SECRET, sender="Shop", url=url)),
        vonage,
        Answer(202, {"message_uuid": "m1"}),
        "m1",
        SMS,
    ),
    "webhook": (
        lambda url: Endpoint("default", specs.EndpointSpec(url=url, secret=SECRET, allow_private=True)),
        webhook,
        Answer(204),
        "",
        MESSAGE,
    ),
}


@pytest.mark.parametrize("name", APIS)
async def test_a_message_is_put_as_the_api_demands_and_its_name_is_kept(name: str) -> None:
    make, demands, good, provider_id, message = APIS[name]
    api = Api(good)
    async with calling(api, make) as provider:
        outcome = await provider.send(message)
    assert (outcome.state, outcome.provider_id) == ("accepted", provider_id), outcome
    assert [demands(one) for one in api.seen] == [True], api.seen


REJECTED, DEAD, LATER, UNKNOWN = (
    ("rejected", False, False),
    ("rejected", False, True),
    ("retry", True, False),
    ("unknown", True, False),
)


@pytest.mark.parametrize(
    ("name", "status", "body", "headers", "expected"),
    [
        ("ses", 400, {"message": "virus"}, {"x-amzn-errortype": "MessageRejected:"}, REJECTED),
        ("ses", 429, {"message": "rate"}, {"x-amzn-errortype": "TooManyRequestsException:"}, LATER),
        ("ses", 400, {"message": "off"}, {"x-amzn-errortype": "SendingPausedException:"}, LATER),
        ("sendgrid", 400, {"errors": [{"field": "to", "message": "bad", "help": None}]}, {}, REJECTED),
        ("sendgrid", 401, {"errors": [{"message": "Maximum credits exceeded"}]}, {}, LATER),
        ("sendgrid", 500, {"errors": [{"message": "oh"}]}, {}, UNKNOWN),
        ("mailgun", 400, {"message": "to parameter is not a valid address"}, {}, REJECTED),
        ("mailgun", 404, {"message": "Domain not found"}, {}, LATER),
        ("postmark", 422, {"ErrorCode": 406, "Message": "inactive"}, {}, DEAD),
        ("postmark", 422, {"ErrorCode": 300, "Message": "Invalid email request"}, {}, REJECTED),
        ("postmark", 422, {"ErrorCode": 405, "Message": "no credits"}, {}, LATER),
        ("resend", 422, {"name": "validation_error", "message": "bad"}, {}, REJECTED),
        ("resend", 409, {"name": "concurrent_idempotent_requests"}, {}, ("unknown", False, False)),
        ("resend", 409, {"name": "invalid_idempotent_request"}, {}, ("unknown", False, False)),
        ("brevo", 400, {"code": "duplicate_parameter"}, {}, ("accepted", False, False)),
        ("brevo", 400, {"code": "invalid_parameter", "message": "bad"}, {}, REJECTED),
        ("brevo", 402, {"code": "not_enough_credits"}, {}, LATER),
        ("twilio", 400, {"code": 21610, "message": "STOP", "status": 400}, {}, DEAD),
        ("twilio", 400, {"code": 21211, "message": "Invalid 'To'", "status": 400}, {}, DEAD),
        ("twilio", 429, {"code": 20429, "message": "Too Many Requests"}, {}, LATER),
        ("twilio", 401, {"code": 20003, "message": "Authenticate"}, {}, LATER),
        ("vonage", 422, {"title": "t", "detail": "d", "invalid_parameters": [{"name": "to"}]}, {}, DEAD),
        ("vonage", 402, {"title": "Low balance", "detail": "d"}, {}, LATER),
        ("webhook", 410, None, {}, DEAD),
        ("webhook", 404, None, {}, LATER),
        ("webhook", 422, {"message": "no"}, {}, REJECTED),
    ],
)
async def test_a_published_error_is_read_as_what_it_says(
    name: str, status: int, body: Any, headers: dict[str, str], expected: tuple[str, bool, bool]
) -> None:
    make, _, _, _, message = APIS[name]
    async with calling(Api(Answer(status, body, headers)), make) as provider:
        assert said(await provider.send(message)) == expected


def test_a_webhook_is_signed_as_the_specification_s_own_example() -> None:
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    made = signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1", "::1", "fe80::1",
     "fd00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "::127.0.0.1", "nowhere"],
)  # fmt: skip
def test_an_address_that_is_not_of_the_internet_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["9.9.9.9", "2620:fe::fe", "::ffff:9.9.9.9"])
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


def test_an_endpoint_on_a_private_address_is_refused_at_start() -> None:
    with pytest.raises(UsageError, match="allow_private"):
        Endpoint("default", specs.EndpointSpec(url="http://169.254.169.254/x", secret=SECRET))


async def test_an_endpoint_whose_name_leads_to_a_private_address_is_never_called() -> None:
    api = Api(Answer(204))
    spec = specs.EndpointSpec
    async with calling(
        api, lambda url: Endpoint("default", spec(url=url.replace("127.0.0.1", "localhost"), secret=SECRET))
    ) as provider:
        outcome = await provider.send(MESSAGE)
    assert (outcome.state, api.seen) == ("retry", [])
