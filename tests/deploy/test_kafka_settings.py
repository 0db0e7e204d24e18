"""What the environment says of security is checked before the first connection; errors name the setting."""

import base64
import ssl
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import trustme

from agents.kafka.oauth import FileTokens, KeptTokens, token_provider
from agents.kafka.security import connection
from pipeline.errors import UsageError

SASL = {"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT", "KAFKA_SASL_MECHANISM": "PLAIN"}
OAUTH = {"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT", "KAFKA_SASL_MECHANISM": "OAUTHBEARER"}
ENDPOINT = {"KAFKA_OAUTH_CLIENT_ID": "a", "KAFKA_OAUTH_CLIENT_SECRET": "b"}


def test_without_a_word_of_security_nothing_changes() -> None:
    assert connection({"KAFKA_BOOTSTRAP": "127.0.0.1:9092"}) == {}


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ({"KAFKA_SECURITY_PROTOCOL": "TLS"}, "KAFKA_SECURITY_PROTOCOL is 'TLS'"),
        ({"KAFKA_SASL_USERNAME": "a"}, "KAFKA_SASL_USERNAME is set, but KAFKA_SECURITY_PROTOCOL is not"),
        ({"KAFKA_SSL_CA_FILE": "/a"}, "KAFKA_SSL_CA_FILE is set, but KAFKA_SECURITY_PROTOCOL is not"),
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}, "KAFKA_SASL_MECHANISM"),
        ({**SASL, "KAFKA_SASL_MECHANISM": "GSSAPI"}, "KAFKA_SASL_MECHANISM is 'GSSAPI'"),
        (SASL, "PLAIN needs KAFKA_SASL_USERNAME"),
        ({**SASL, "KAFKA_SASL_USERNAME": "a"}, "PLAIN needs KAFKA_SASL_PASSWORD"),
        ({**SASL, "KAFKA_SASL_USERNAME": " "}, "KAFKA_SASL_USERNAME is empty"),
        ({**SASL, "KAFKA_SASL_USERNAME_FILE": "/not/there"}, "KAFKA_SASL_USERNAME_FILE: /not/there cannot be read"),
        ({**SASL, "KAFKA_SASL_USERNAME": "a", "KAFKA_SASL_USERNAME_FILE": "/b"}, "are both set"),
        ({"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_CA_FILE": "/not/there"}, "KAFKA_SSL_CA_FILE: /not/there"),
        ({"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_KEY_FILE": __file__}, "without KAFKA_SSL_CERT_FILE"),
        ({"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_CA_FILE": __file__}, "cannot be used"),
        (OAUTH, "OAUTHBEARER needs one of"),
        ({**OAUTH, "KAFKA_OAUTH_PROVIDER": "msk", "KAFKA_OAUTH_TOKEN_FILE": __file__}, "OAUTHBEARER needs one of"),
        ({**OAUTH, "KAFKA_OAUTH_PROVIDER": "azure"}, "KAFKA_OAUTH_PROVIDER is 'azure'"),
        ({**OAUTH, "KAFKA_OAUTH_PROVIDER": "msk"}, "needs AWS_REGION"),
        ({**OAUTH, "KAFKA_OAUTH_TOKEN_URL": "https://a.example"}, "needs KAFKA_OAUTH_CLIENT_ID"),
        ({**OAUTH, **ENDPOINT, "KAFKA_OAUTH_TOKEN_URL": "http://a.example"}, "must be https"),
    ],
)
def test_a_wrong_setting_is_named(said: dict[str, str], named: str) -> None:
    with pytest.raises(UsageError, match=named.replace("|", "\\|")):
        connection(said)


def test_names_and_certificates_are_always_checked(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_bytes(trustme.CA().cert_pem.bytes())
    context = connection({"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_CA_FILE": str(ca)})["ssl_context"]
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert len(context.get_ca_certs()) == 1, "with an authority of the store's, no other is trusted"


def test_a_changed_secret_is_read_by_the_next_client(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("before\n")
    said = {**SASL, "KAFKA_SASL_USERNAME": "a", "KAFKA_SASL_PASSWORD_FILE": str(secret)}
    assert connection(said)["sasl_plain_password"] == "before"
    secret.write_text("after\n")
    assert connection(said)["sasl_plain_password"] == "after"


async def test_a_token_file_is_read_at_every_login(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("one\n")
    tokens = FileTokens(str(file))
    assert await tokens.token() == "one"
    file.write_text("two\n")
    assert await tokens.token() == "two"


async def test_a_token_is_renewed_when_a_fifth_of_its_life_is_left() -> None:
    now = [1000.0]
    asked: list[float] = []

    class Tokens(KeptTokens):
        async def ask(self) -> tuple[str, float]:
            asked.append(now[0])
            return f"token {len(asked)}", 100

    tokens = Tokens(lambda: now[0])
    assert await tokens.token() == "token 1"
    now[0] = 1079.9
    assert await tokens.token() == "token 1"
    now[0] = 1080
    assert await tokens.token() == "token 2"
    assert asked == [1000.0, 1080]


async def test_a_token_for_msk_is_a_signed_request_of_the_region(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("aws_msk_iam_sasl_signer", reason="the extra `msk` is not installed")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing to guess")
    said = {"KAFKA_OAUTH_PROVIDER": "msk", "AWS_REGION": "eu-west-3"}
    tokens = token_provider(said.get, said.get)
    token = await tokens.token()
    url = urlsplit(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode())
    asked = parse_qs(url.query)
    assert url.hostname == "kafka.eu-west-3.amazonaws.com"
    assert asked["Action"] == ["kafka-cluster:Connect"]
    assert asked["X-Amz-Credential"][0].startswith("AKIDEXAMPLE/")
    assert len(asked["X-Amz-Signature"][0]) == 64
    assert await tokens.token() is token, "good for a quarter of an hour: kept"
