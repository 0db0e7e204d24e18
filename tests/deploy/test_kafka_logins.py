"""Every way to log in, at a real broker: topics are made, transactions committed and read; what is wrong is refused."""

import asyncio
import itertools
import time

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError

from agents.kafka import clients, oauth
from agents.kafka.tables import read_to_end, whole_topic
from agents.kafka.topics import Wanted, create
from tests.deploy.secured import CLIENT, CLIENT_SECRET, SecuredBroker, token_endpoint, unsigned_token

pytestmark = [pytest.mark.broker, pytest.mark.timeout(120)]
DEADLINE_S = 40.0
_numbers = itertools.count()
LOGINS = [("PLAIN", "PLAIN"), ("SCRAM", "SCRAM-SHA-256"), ("SCRAM", "SCRAM-SHA-512"), ("TLS", "")]


def set_all(monkeypatch: pytest.MonkeyPatch, said: dict[str, str]) -> str:
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    return said["KAFKA_BOOTSTRAP"]


async def round_trip(bootstrap: str) -> list[bytes]:
    """Make a topic, commit a transaction with the same id twice, and return what a group's consumer reads."""
    topic = f"login-{next(_numbers)}"
    await create(bootstrap, [Wanted(topic, 1)])
    for value in (b"first", b"second"):
        producer = clients.producer(bootstrap, transactional_id=f"{topic}-writer")
        await producer.start()
        async with producer.transaction():
            await producer.send_and_wait(topic, value, partition=0)
        await producer.stop()
    reader = clients.consumer(bootstrap, group=f"{topic}-group")
    await reader.start()
    try:
        place = TopicPartition(topic, 0)
        return [record.value async for record in read_to_end(reader, {place: 0})]
    finally:
        await reader.stop()


@pytest.mark.parametrize(("listener", "mechanism"), LOGINS)
async def test_topics_transactions_and_groups_work(
    secured: SecuredBroker, monkeypatch: pytest.MonkeyPatch, listener: str, mechanism: str
) -> None:
    bootstrap = set_all(monkeypatch, secured.environment(listener, mechanism))
    assert await round_trip(bootstrap) == [b"first", b"second"]


async def test_a_token_of_a_file_logs_in(secured: SecuredBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    file = secured._write("token", unsigned_token(600).encode() + b"\n")
    bootstrap = set_all(monkeypatch, {**secured.environment("OAUTH"), "KAFKA_OAUTH_TOKEN_FILE": file})
    assert await round_trip(bootstrap) == [b"first", b"second"]


async def test_one_token_of_an_endpoint_serves_all_clients(
    secured: SecuredBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    with token_endpoint(life_s=600) as (url, given):
        bootstrap = set_all(monkeypatch, secured.environment("OAUTH") | endpoint(url))
        assert await round_trip(bootstrap) == [b"first", b"second"]
    assert len(given) == 1


async def test_a_token_that_ends_is_renewed_and_nothing_is_lost_or_doubled(
    secured: SecuredBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker cuts a connection at its token's end: the client comes back with another in mid-stream."""
    topic = f"renewed-{next(_numbers)}"
    with token_endpoint(life_s=3) as (url, given):
        bootstrap = set_all(monkeypatch, secured.environment("OAUTH") | endpoint(url))
        await create(bootstrap, [Wanted(topic, 1)])
        producer = clients.producer(bootstrap, transactional_id=f"{topic}-writer")
        await producer.start()
        sent, deadline = 0, time.monotonic() + DEADLINE_S
        while len(given) < 4 and time.monotonic() < deadline:
            async with producer.transaction():
                await producer.send_and_wait(topic, str(sent).encode(), partition=0)
            sent += 1
        await producer.stop()
        assert len(given) >= 4, "no token was asked for anew"
        read = [record.value async for record in whole_topic(bootstrap, [topic])]
    assert read == [str(number).encode() for number in range(sent)]


def endpoint(url: str) -> dict[str, str]:
    return {
        oauth.TOKEN_URL: url,
        "KAFKA_OAUTH_CLIENT_ID": CLIENT,
        "KAFKA_OAUTH_CLIENT_SECRET": CLIENT_SECRET,
        "KAFKA_OAUTH_SCOPE": "kafka",
    }


async def refused(bootstrap: str) -> None:
    reader = clients.consumer(bootstrap)
    with pytest.raises(KafkaConnectionError):
        await reader.start()
    await reader.stop()


@pytest.mark.parametrize(("listener", "mechanism"), LOGINS[:3])
async def test_a_wrong_password_is_refused(
    secured: SecuredBroker,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    listener: str,
    mechanism: str,
) -> None:
    said = secured.environment(listener, mechanism)
    del said["KAFKA_SASL_PASSWORD_FILE"]
    await refused(set_all(monkeypatch, {**said, "KAFKA_SASL_PASSWORD": "guessed-at"}))
    assert "uthenticat" in caplog.text
    assert "guessed-at" not in caplog.text


async def test_a_wrong_client_secret_is_refused(
    secured: SecuredBroker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with token_endpoint(life_s=600) as (url, given):
        said = {**secured.environment("OAUTH"), **endpoint(url), "KAFKA_OAUTH_CLIENT_SECRET": "guessed-at"}
        await refused(set_all(monkeypatch, said))
    assert not given
    assert "no token from" in caplog.text
    assert "guessed-at" not in caplog.text


async def test_a_broker_of_another_authority_is_refused(
    secured: SecuredBroker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    said = secured.environment("SCRAM", "SCRAM-SHA-512") | {"KAFKA_SSL_CA_FILE": secured.stranger}
    await refused(set_all(monkeypatch, said))
    assert "CERTIFICATE_VERIFY_FAILED" in caplog.text


async def test_a_broker_by_a_name_that_its_certificate_lacks_is_refused(
    secured: SecuredBroker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    set_all(monkeypatch, secured.environment("SCRAM", "SCRAM-SHA-512"))
    await refused(f"localhost:{secured.ports['SCRAM']}")
    assert "Hostname mismatch" in caplog.text


async def test_who_has_no_certificate_is_refused(secured: SecuredBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    said = secured.environment("TLS")
    del said["KAFKA_SSL_CERT_FILE"], said["KAFKA_SSL_KEY_FILE"]
    bootstrap = set_all(monkeypatch, said)
    await asyncio.wait_for(refused(bootstrap), DEADLINE_S)
