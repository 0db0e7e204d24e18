"""Whatever is asked, the answer is no fault of ours, and nothing unsigned is heard."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from agents.collector.webhooks import mailgun, postmark, ses, twilio
from agents.collector.webhooks.base import webhook
from pipeline.sending.links import PREFERENCES
from tests.collector.kit import Desk

PATHS = ["/o/{}.gif", "/c/{}", "/u/{}", "/p/{}", "/webhooks/ses", "/webhooks/mailgun", "/webhooks/postmark",
         "/webhooks/twilio", "/{}"]  # fmt: skip
LETTERS = "abcXYZ019-_=.%~"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(["signature", "event-data", "TopicArn", "Type", "Message", "timestamp", "token", "Signature"]), inner, max_size=5
    ),
    max_leaves=20,
)  # fmt: skip


async def never(url: str) -> bytes:
    raise AssertionError(f"asked for {url}")


def fresh_desk() -> Desk:
    listeners = {
        "ses": ses.listener("arn", never),
        "mailgun": mailgun.listener("k"),
        "postmark": postmark.listener("shop:a-long-password-of-it"),
        "twilio": twilio.listener("t"),
    }
    return Desk(lambda hub: [webhook(hub, name, one) for name, one in listeners.items()])


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(PATHS),
    st.text(LETTERS, max_size=60),
    st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"]),
    st.binary(max_size=300) | JSON.map(lambda value: __import__("json").dumps(value).encode()),
)
def test_no_request_gives_a_fault_of_ours_and_nothing_unsigned_is_heard(
    path: str, token: str, method: str, body: bytes
) -> None:
    one = fresh_desk()
    answer = asyncio.run(one.client.request(method, path.format(token), content=body))
    assert answer.status_code < 500
    assert one.intake.heard == []


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400))
def test_no_form_gives_a_fault_of_ours(body: bytes) -> None:
    one = Desk()
    answer = asyncio.run(one.client.post(f"/p/{one.token(PREFERENCES)}", content=body))
    assert answer.status_code < 500
